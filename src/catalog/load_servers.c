/* load_servers: reads servers.yaml: embedders, classifiers and the like. */
#include "catalog/load.h"

#define SERVER(key, type, member, ...)                                                             \
    {                                                                                              \
        key, type, offsetof(struct tr_server, member), __VA_ARGS__                                 \
    }

static const struct tr_field server_fields[] = {
    SERVER("name", TR_FIELD_TEXT, name, .required = true),
    SERVER("note", TR_FIELD_TEXT, note, .required = false),
    SERVER("unit", TR_FIELD_TEXT, item, .required = true),
    {"gpu", TR_FIELD_OTHER, 0, .required = true},
    SERVER("batch", TR_FIELD_DURATION, batch_ns, true, true),
    SERVER("item", TR_FIELD_DURATION, item_ns, true, true),
    SERVER("max_batch", TR_FIELD_INT, max_batch, true, true, 1, 65536),
    SERVER("memory", TR_FIELD_BYTES, mem_bytes, true, true),
    {"sources", TR_FIELD_OTHER, 0, .required = true},
};

static int read_server(struct tr_catalog *cat, const struct tr_entry *entry, struct tr_server *s,
                       struct tr_err *err)
{
    const struct tr_node *gpu = tr_node_get(entry->map, "gpu");
    int rc = tr_fields_read(entry, server_fields, TR_LEN(server_fields), s, err);

    if (rc != TR_OK)
        return rc;
    if (gpu->kind != TR_NODE_SCALAR)
        return tr_catalog_err(err, gpu, "server %s: gpu must be a name", entry->name);
    if ((rc = tr_catalog_gpu(cat, gpu->text, gpu, &s->gpu, err)) != TR_OK)
        return rc;
    if (tr_server_check(s, entry->map, err) != TR_OK)
        return TR_EINPUT;
    return tr_fields_sources(entry, server_fields, TR_LEN(server_fields), &s->source, err);
}

int tr_server_check(const struct tr_server *s, const struct tr_node *at, struct tr_err *err)
{
    if (s->batch_ns + s->item_ns == 0)
        return tr_catalog_err(err, at, "server %s: a batch must take some time", s->name);
    if (s->mem_bytes > s->gpu->mem_bytes)
        return tr_catalog_err(err, at, "server %s: a memory of %.2f GiB is more than %s has (%.2f)",
                              s->name, (double)s->mem_bytes / TR_GIB, s->gpu->name,
                              (double)s->gpu->mem_bytes / TR_GIB);
    return TR_OK;
}

int tr_load_servers(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err)
{
    struct tr_node *list = NULL;
    int rc = tr_fields_child(root, "servers", TR_NODE_LIST, &list, err);

    if (rc != TR_OK)
        return rc;
    cat->servers = TR_ARENA_NEW(&cat->arena, struct tr_server, list->n);
    cat->n_servers = list->n;
    for (size_t i = 0; i < list->n && rc == TR_OK; i++) {
        struct tr_entry entry;
        rc = tr_load_entry(&cat->arena, "server", list, i, &entry, err);
        if (rc == TR_OK)
            rc = read_server(cat, &entry, &cat->servers[i], err);
    }
    return rc;
}
