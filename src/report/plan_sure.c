/* report, plan: how sure the verdict is, as tables and as JSON. */
#include "report/report.h"

#include <math.h>

/* "15 to 18", "15", "-" where no fleet would do */
static void print_nodes(struct tr_table *t, int lo, int hi)
{
    if (lo == 0)
        tr_table_cell(t, "-");
    else if (hi == 0)
        tr_table_cell(t, "%d to -", lo);
    else if (lo == hi)
        tr_table_cell(t, "%d", lo);
    else
        tr_table_cell(t, "%d to %d", lo, hi);
}

static void print_usd(struct tr_table *t, double lo, double hi)
{
    char a[TR_SHOW], b[TR_SHOW];

    if (lo == hi)
        tr_table_cell(t, "%s", tr_show_num(a, lo));
    else
        tr_table_cell(t, "%s to %s", tr_show_num(a, lo), tr_show_num(b, hi));
}

static double size_of(int nodes)
{
    return nodes > 0 ? nodes : (double)NAN;
}

void tr_report_draws(struct tr_str *out, const struct tr_plan *plan)
{
    static const char draws[] = "draws in which it costs";
    struct tr_table t = {.indent = 2};
    char letter[TR_SHOW];

    if (plan->n_draws == 0)
        return;
    tr_str_printf(out, "\nDraws: %d of constants and traffic, sizes on a sample; p10 to p90\n",
                  plan->n_draws);
    tr_table_column(&t, TR_LEFT, NULL, "arrangement");
    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_LEFT, NULL, plan->scenario->n_nodes > 1 ? "node" : "");
    tr_table_column(&t, TR_RIGHT, NULL, "nodes");
    tr_table_column(&t, TR_RIGHT, NULL, "USD per month");
    tr_table_column(&t, TR_RIGHT, draws, "less than the pick");
    tr_table_column(&t, TR_RIGHT, draws, "the same");
    tr_table_column(&t, TR_RIGHT, draws, "more");
    for (int i = 0; i < plan->n_finalists; i++) {
        const struct tr_finalist *x = &plan->finalists[i];
        const struct tr_candidate *c = &plan->candidates[x->candidate];
        double lo = size_of(x->nodes_p10), hi = size_of(x->nodes_p90);
        double price = c->node->usd_per_h * TR_HOURS_PER_MONTH;
        tr_table_cell(&t, "%s", c->arrangement.text);
        tr_table_cell(&t, "%s", c->precision->name);
        tr_table_cell(&t, "%s", tr_show_node_letter(letter, plan->scenario, c->node));
        print_nodes(&t, x->nodes_p10, x->nodes_p90);
        print_usd(&t, lo * price, hi * price);
        if (i == 0) {
            tr_table_cell(&t, "pick");
            tr_table_cell(&t, "%s", "");
            tr_table_cell(&t, "%s", "");
            continue;
        }
        tr_table_cell(&t, "%d", x->cheaper);
        tr_table_cell(&t, "%d", x->ties);
        tr_table_cell(&t, "%d", x->dearer);
    }
    tr_table_end(&t, out);
}

static void add_nodes(struct tr_json *j, const char *key, int nodes)
{
    if (nodes > 0)
        tr_json_int(j, key, nodes);
    else
        tr_json_null(j, key);
}

void tr_report_json_draws(struct tr_json *j, const struct tr_plan *plan)
{
    if (plan->n_draws == 0) {
        tr_json_null(j, "draws");
        return;
    }
    tr_json_begin(j, "draws", '{');
    tr_json_int(j, "count", plan->n_draws);
    tr_json_begin(j, "finalists", '[');
    for (int f = 0; f < plan->n_finalists; f++) {
        const struct tr_finalist *x = &plan->finalists[f];
        double price = plan->candidates[x->candidate].node->usd_per_h * TR_HOURS_PER_MONTH;
        tr_json_begin(j, NULL, '{');
        tr_json_int(j, "candidate", x->candidate);
        add_nodes(j, "nodes_p10", x->nodes_p10);
        add_nodes(j, "nodes_p90", x->nodes_p90);
        tr_json_num(j, "usd_per_month_p10", size_of(x->nodes_p10) * price);
        tr_json_num(j, "usd_per_month_p90", size_of(x->nodes_p90) * price);
        tr_json_int(j, "cheaper_than_pick", x->cheaper);
        tr_json_int(j, "same_as_pick", x->ties);
        tr_json_int(j, "dearer_than_pick", x->dearer);
        tr_json_bool(j, "too_close", tr_draws_too_close(plan, x));
        tr_json_begin(j, "nodes", '[');
        for (int i = 0; i < plan->n_draws; i++)
            add_nodes(j, NULL, x->nodes[i]);
        tr_json_end(j);
        tr_json_end(j);
    }
    tr_json_end(j);
    tr_json_end(j);
}
