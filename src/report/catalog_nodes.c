/* report, catalog: node types and what they cost. */
#include "report/catalog_print.h"

#include <math.h>

/* "13.9211 USD/h, 37 % below the list price" */
static void price_fact(struct tr_table *t, const char *what, double usd_per_h, double list)
{
    if (isnan(usd_per_h))
        tr_catalog_fact(t, what, "unknown");
    else if (isnan(list))
        tr_catalog_fact(t, what, "%.4f USD/h", usd_per_h);
    else
        tr_catalog_fact(t, what, "%.4f USD/h, %.0f %% below the list price", usd_per_h,
                        100 * (1 - usd_per_h / list));
}

static void price_cell(struct tr_table *t, double usd_per_h)
{
    if (isnan(usd_per_h))
        tr_table_cell(t, "-");
    else
        tr_table_cell(t, "%.3f", usd_per_h);
}

static void node_facts(const struct tr_catalog *cat, const struct tr_node_type *n,
                       struct tr_str *out)
{
    struct tr_table t = {0};
    tr_str_printf(out, "%s\n\n", n->name);
    tr_catalog_fact_columns(&t);
    tr_catalog_fact(&t, "GPUs", "%d x %s", n->gpus, n->gpu->name);
    if (isnan(n->usd_per_h))
        tr_catalog_fact(&t, "price", "unknown: no price with a source was found");
    else
        tr_catalog_fact(&t, "price", "%.4f USD/h on demand in %s, %.0f USD a month of 730 h",
                        n->usd_per_h, n->region, n->usd_per_h * TR_HOURS_PER_MONTH);
    price_fact(&t, "reserved, 1 year", n->reserved_usd_per_h, n->usd_per_h);
    price_fact(&t, "reserved, 3 years", n->reserved_3y_usd_per_h, n->usd_per_h);
    price_fact(&t, "spot", n->spot_usd_per_h, n->usd_per_h);
    if (isnan(n->spot_interrupts_per_h))
        tr_catalog_fact(&t, "spot nodes taken back", "unknown");
    else
        tr_catalog_fact(&t, "spot nodes taken back", "%.0f %% within a month: %.6f an hour",
                        100 * (1 - tr_exp(-n->spot_interrupts_per_h * TR_HOURS_PER_MONTH)),
                        n->spot_interrupts_per_h);
    tr_catalog_fact(&t, "read on", "%s", cat->prices_date);
    if (n->note != NULL)
        tr_catalog_fact(&t, "note", "%s", n->note);
    tr_catalog_fact(&t, "source", "%s", n->source);
    tr_table_end(&t, out);
}

int tr_catalog_nodes_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                           struct tr_err *err)
{
    const struct tr_node_type *n = NULL;
    if (name != NULL) {
        int rc = tr_catalog_node(cat, name, NULL, &n, err);
        if (rc == TR_OK)
            node_facts(cat, n, out);
        return rc;
    }
    struct tr_table t = {0};
    static const char price[] = "USD/h";
    tr_table_column(&t, TR_LEFT, NULL, "node type");
    tr_table_column(&t, TR_RIGHT, NULL, "GPUs");
    tr_table_column(&t, TR_LEFT, NULL, "of type");
    tr_table_column(&t, TR_RIGHT, price, "GPU");
    tr_table_column(&t, TR_RIGHT, price, "node");
    tr_table_column(&t, TR_RIGHT, price, "1 year");
    tr_table_column(&t, TR_RIGHT, price, "spot");
    for (size_t i = 0; i < cat->n_nodes; i++) {
        n = &cat->nodes[i];
        tr_table_cell(&t, "%s", n->name);
        tr_table_cell(&t, "%d", n->gpus);
        tr_table_cell(&t, "%s", n->gpu->name);
        price_cell(&t, n->usd_per_h / n->gpus);
        price_cell(&t, n->usd_per_h);
        price_cell(&t, n->reserved_usd_per_h);
        price_cell(&t, n->spot_usd_per_h);
    }
    tr_table_end(&t, out);
    struct tr_str note = {0};
    tr_str_printf(
        &note,
        "GPU and node: list prices on demand, read on %s; 1 year: reserved for so long; -: "
        "not known. Regions, dates and sources: tranche catalog nodes NAME",
        cat->prices_date);
    tr_text_wrap(out, "\n", 0, note.text);
    tr_str_free(&note);
    return TR_OK;
}

int tr_catalog_nodes_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                          struct tr_err *err)
{
    const struct tr_node_type *only = NULL;
    int rc = name != NULL ? tr_catalog_node(cat, name, NULL, &only, err) : TR_OK;
    tr_json_text(j, "prices_date", cat->prices_date);
    tr_json_begin(j, "nodes", '[');
    for (size_t i = 0; i < cat->n_nodes && rc == TR_OK; i++) {
        const struct tr_node_type *n = &cat->nodes[i];
        if (only != NULL && n != only)
            continue;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "name", n->name);
        tr_json_text(j, "gpu", n->gpu->name);
        tr_json_int(j, "gpus", n->gpus);
        tr_json_num(j, "usd_per_h", n->usd_per_h);
        tr_json_num(j, "reserved_usd_per_h", n->reserved_usd_per_h);
        tr_json_num(j, "reserved_3y_usd_per_h", n->reserved_3y_usd_per_h);
        tr_json_num(j, "spot_usd_per_h", n->spot_usd_per_h);
        tr_json_num(j, "spot_interrupts_per_h", n->spot_interrupts_per_h);
        tr_json_text(j, "region", n->region);
        tr_json_bool(j, "mig_at_creation_only", n->mig_at_creation_only);
        tr_json_text(j, "note", n->note);
        tr_json_text(j, "source", n->source);
        tr_json_end(j);
    }
    tr_json_end(j);
    return rc;
}
