/* How far the catalog's constants may be off, as a table and as JSON. */
#include "report/catalog_print.h"

#define PERCENT_90 164.5 /* 90 % lie within 1.645 standard deviations, in per cent */

void tr_catalog_print_spreads(const struct tr_spread *list, int n, struct tr_str *out)
{
    struct tr_table t = {.indent = 2};
    if (n == 0)
        return;
    tr_table_column(&t, TR_LEFT, NULL, "constant");
    tr_table_column(&t, TR_LEFT, NULL, "90 % within");
    tr_table_column(&t, TR_PROSE, NULL, "source");
    for (int i = 0; i < n; i++) {
        tr_table_cell(&t, "%s", list[i].name);
        if (list[i].law == TR_UNIFORM)
            tr_table_cell(&t, "%g to %g (all)", list[i].a, list[i].b);
        else
            tr_table_cell(&t, "%.0f %%", PERCENT_90 * list[i].a);
        tr_table_cell(&t, "%s", list[i].source);
    }
    tr_str_printf(out, "\nSpreads: what tranche plan --draws draws from\n");
    tr_table_end(&t, out);
}

void tr_catalog_json_spreads(const struct tr_spread *list, int n, struct tr_json *j)
{
    tr_json_begin(j, "spreads", '[');
    for (int i = 0; i < n; i++) {
        bool uniform = list[i].law == TR_UNIFORM;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "constant", list[i].name);
        tr_json_text(j, "law", uniform ? "uniform" : "lognormal");
        if (uniform) {
            tr_json_num(j, "least", list[i].a);
            tr_json_num(j, "most", list[i].b);
        } else {
            tr_json_num(j, "relative_sd", list[i].a);
        }
        tr_json_text(j, "source", list[i].source);
        tr_json_end(j);
    }
    tr_json_end(j);
}
