/* report, catalog: simple GPU servers. */
#include "report/catalog_print.h"

static double in_ms(int64_t ns)
{
    return (double)ns / (double)TR_NS_PER_MS;
}

/* Items per second of back-to-back batches of the largest size. */
static double items_per_s(const struct tr_server *s)
{
    return s->max_batch / ((double)(s->batch_ns + s->max_batch * s->item_ns) / (double)TR_NS_PER_S);
}

static void server_facts(const struct tr_server *s, struct tr_str *out)
{
    struct tr_table t = {0};
    tr_str_printf(out, "%s\n\n", s->name);
    tr_catalog_fact_columns(&t);
    if (s->note != NULL)
        tr_catalog_fact(&t, "what it is", "%s", s->note);
    tr_catalog_fact(&t, "item", "%s", s->item);
    tr_catalog_fact(&t, "measured on", "%s", s->gpu->name);
    tr_catalog_fact(&t, "a batch of n items", "%.4g ms + n x %.4g ms, n up to %d",
                    in_ms(s->batch_ns), in_ms(s->item_ns), s->max_batch);
    tr_catalog_fact(&t, "at most", "%.0f items/s", items_per_s(s));
    tr_table_end(&t, out);
    tr_str_printf(out, "\n");
    tr_catalog_print_sources(s->source, out);
}

int tr_catalog_servers_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                             struct tr_err *err)
{
    const struct tr_server *s = NULL;
    if (name != NULL) {
        int rc = tr_catalog_server(cat, name, NULL, &s, err);
        if (rc == TR_OK)
            server_facts(s, out);
        return rc;
    }
    struct tr_table t = {0};
    tr_table_column(&t, TR_LEFT, NULL, "server");
    tr_table_column(&t, TR_LEFT, NULL, "item");
    tr_table_column(&t, TR_LEFT, NULL, "measured on");
    tr_table_column(&t, TR_RIGHT, "ms", "batch");
    tr_table_column(&t, TR_RIGHT, "ms", "item");
    tr_table_column(&t, TR_RIGHT, "items", "batch");
    tr_table_column(&t, TR_RIGHT, "items", "1/s");
    tr_table_column(&t, TR_RIGHT, NULL, "GiB");
    for (size_t i = 0; i < cat->n_servers; i++) {
        s = &cat->servers[i];
        tr_table_cell(&t, "%s", s->name);
        tr_table_cell(&t, "%s", s->item);
        tr_table_cell(&t, "%s", s->gpu->name);
        tr_table_cell(&t, "%.3f", in_ms(s->batch_ns));
        tr_table_cell(&t, "%.3f", in_ms(s->item_ns));
        tr_table_cell(&t, "%d", s->max_batch);
        tr_table_cell(&t, "%.0f", items_per_s(s));
        tr_table_cell(&t, "%.1f", (double)s->mem_bytes / TR_GIB);
    }
    tr_table_end(&t, out);
    tr_text_wrap(
        out, "\n", 0,
        "A batch of n items takes batch + n x item on the whole GPU; items: at most in one "
        "batch, and a second of full batches. Sources: tranche catalog servers NAME");
    return TR_OK;
}

int tr_catalog_servers_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                            struct tr_err *err)
{
    const struct tr_server *only = NULL;
    int rc = name != NULL ? tr_catalog_server(cat, name, NULL, &only, err) : TR_OK;
    tr_json_begin(j, "servers", '[');
    for (size_t i = 0; i < cat->n_servers && rc == TR_OK; i++) {
        const struct tr_server *s = &cat->servers[i];
        if (only != NULL && s != only)
            continue;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "name", s->name);
        tr_json_text(j, "note", s->note);
        tr_json_text(j, "unit", s->item);
        tr_json_text(j, "gpu", s->gpu->name);
        tr_json_num(j, "batch_ms", in_ms(s->batch_ns));
        tr_json_num(j, "item_ms", in_ms(s->item_ns));
        tr_json_int(j, "max_batch", s->max_batch);
        tr_json_int(j, "memory_bytes", s->mem_bytes);
        tr_catalog_json_sources(s->source, j);
        tr_json_end(j);
    }
    tr_json_end(j);
    return rc;
}
