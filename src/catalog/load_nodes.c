/* load_nodes: reads nodes.yaml: what clouds rent out, and for how much. */
#include "catalog/load.h"

#include <math.h>

#define NODE(key, type, member, ...)                                                               \
    {                                                                                              \
        key, type, offsetof(struct tr_node_type, member), __VA_ARGS__                              \
    }

static const struct tr_field node_fields[] = {
    NODE("name", TR_FIELD_TEXT, name, .required = true),
    {"gpu", TR_FIELD_OTHER, 0, .required = true},
    NODE("gpus", TR_FIELD_INT, gpus, true, false, 1, 64),
    NODE("usd_per_h", TR_FIELD_NUMBER, usd_per_h, false, false, 0, 1e5),
    NODE("reserved_usd_per_h", TR_FIELD_NUMBER, reserved_usd_per_h, false, false, 0, 1e5),
    NODE("reserved_3y_usd_per_h", TR_FIELD_NUMBER, reserved_3y_usd_per_h, false, false, 0, 1e5),
    NODE("spot_usd_per_h", TR_FIELD_NUMBER, spot_usd_per_h, false, false, 0, 1e5),
    NODE("spot_interrupted", TR_FIELD_FRACTION, spot_interrupts_per_h, .required = false),
    NODE("region", TR_FIELD_TEXT, region, .required = false),
    NODE("mig_at_creation_only", TR_FIELD_BOOL, mig_at_creation_only, .required = false),
    NODE("note", TR_FIELD_TEXT, note, .required = false),
    {"source", TR_FIELD_OTHER, 0, .required = true},
};

/* Sources stand once in a map and are named by the entries. */
static int read_source(struct tr_arena *arena, const struct tr_node *sources,
                       const struct tr_entry *entry, const char **out, struct tr_err *err)
{
    const struct tr_node *node = tr_node_get(entry->map, "source");
    const struct tr_node *text =
        node->kind == TR_NODE_SCALAR ? tr_node_get(sources, node->text) : NULL;
    if (text == NULL || text->kind != TR_NODE_SCALAR)
        return tr_catalog_err(err, node,
                              "node type %s: source must be a key of the file's "
                              "'sources'",
                              entry->name);
    *out = tr_arena_strdup(arena, text->text);
    return TR_OK;
}

/* The file has the part of spot nodes that is taken back within a month: of a node that is taken
 * back at random at rate r, 1 - exp(-r x 730 h). */
static int interrupts_of(const struct tr_entry *entry, struct tr_node_type *node,
                         struct tr_err *err)
{
    double taken = node->spot_interrupts_per_h;
    if (isnan(taken))
        return TR_OK;
    if (taken >= 1)
        return tr_catalog_err(err, tr_node_get(entry->map, "spot_interrupted"),
                              "node type %s: spot_interrupted must be below 100%%", entry->name);
    node->spot_interrupts_per_h = -tr_ln(1 - taken) / TR_HOURS_PER_MONTH;
    return TR_OK;
}

int tr_load_nodes(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err)
{
    struct tr_node *list = NULL, *sources = NULL;
    int rc = tr_fields_child(root, "nodes", TR_NODE_LIST, &list, err);
    if (rc == TR_OK)
        rc = tr_fields_child(root, "sources", TR_NODE_MAP, &sources, err);
    if (rc != TR_OK)
        return rc;
    const struct tr_node *date = tr_node_get(root, "prices_date");
    if (date == NULL || date->kind != TR_NODE_SCALAR)
        return tr_catalog_err(err, root, "'prices_date' is missing: the day the prices were read");
    cat->prices_date = tr_arena_strdup(&cat->arena, date->text);
    cat->nodes = TR_ARENA_NEW(&cat->arena, struct tr_node_type, list->n);
    cat->n_nodes = list->n;
    for (size_t i = 0; i < list->n && rc == TR_OK; i++) {
        struct tr_node_type *node = &cat->nodes[i];
        struct tr_entry entry;
        /* Stay where the file has none. */
        node->usd_per_h = node->reserved_usd_per_h = node->reserved_3y_usd_per_h = NAN;
        node->spot_usd_per_h = node->spot_interrupts_per_h = NAN;
        rc = tr_load_entry(&cat->arena, "node type", list, i, &entry, err);
        if (rc == TR_OK)
            rc = tr_fields_read(&entry, node_fields, TR_LEN(node_fields), node, err);
        if (rc == TR_OK)
            rc = interrupts_of(&entry, node, err);
        if (rc == TR_OK)
            rc = read_source(&cat->arena, sources, &entry, &node->source, err);
        if (rc == TR_OK && tr_node_get(entry.map, "gpu")->kind != TR_NODE_SCALAR)
            rc = tr_catalog_err(err, entry.map, "node type %s: gpu must be a name", entry.name);
        if (rc == TR_OK) {
            const struct tr_node *gpu = tr_node_get(entry.map, "gpu");
            rc = tr_catalog_gpu(cat, gpu->text, gpu, &node->gpu, err);
        }
    }
    return rc;
}
