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

/* ---- flips ---------------------------------------------------------------------------------- */

static const struct {
    const char *name, *key, *unit; /* "request rate", "rate"; a value is "x 2.3" */
} kinds[TR_N_FLIPS] = {
    [TR_FLIP_RATE] = {"request rate", "rate", "x "},
    [TR_FLIP_BURST] = {"burstiness", "burst", "power "},
    [TR_FLIP_PROMPT] = {"prompt length", "prompt", "x "},
    [TR_FLIP_SHARED] = {"prefix reuse", "shared", ""},
    [TR_FLIP_PRICE] = {"runner-up's price", "price", "x "},
    [TR_FLIP_ISOLATION] = {"isolation", "isolation", ""},
};

static const char *show_value(char buf[TR_SHOW], int kind, double value)
{
    char num[TR_SHOW];

    if (kind == TR_FLIP_ISOLATION)
        snprintf(buf, TR_SHOW, "%s", tr_isolation_name((enum tr_isolation)value));
    else if (kind == TR_FLIP_SHARED)
        snprintf(buf, TR_SHOW, "%.0f %%", 100.0 * value);
    else
        snprintf(buf, TR_SHOW, "%s%s", kinds[kind].unit, tr_show_num(num, value));
    return buf;
}

/* "17 nodes, 45,582 USD" */
static void print_there(struct tr_table *t, const struct tr_candidate *c, int nodes, double factor)
{
    char usd[TR_SHOW];
    double cost = nodes * c->node->usd_per_h * TR_HOURS_PER_MONTH * factor;

    if (nodes == 0)
        tr_table_cell(t, "no fleet");
    else if (isnan(cost))
        tr_table_cell(t, "%d node%s", nodes, nodes > 1 ? "s" : "");
    else
        tr_table_cell(t, "%d node%s, %s USD", nodes, nodes > 1 ? "s" : "", tr_show_num(usd, cost));
}

static void print_side(struct tr_table *t, const struct tr_plan *plan, int kind,
                       const struct tr_flip_side *side, bool up)
{
    char name[128], value[TR_SHOW];
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    const struct tr_candidate *to = side->to >= 0 ? &plan->candidates[side->to] : NULL;

    tr_table_cell(t, "%s", kinds[kind].name);
    tr_table_cell(t, "%s %s", up ? "from" : "down to", show_value(value, kind, side->at));
    tr_table_cell(t, "%s", to ? tr_show_candidate(name, to) : "nothing meets it");
    if (to)
        print_there(t, to, side->to_nodes, kind == TR_FLIP_PRICE ? side->at : 1.0);
    else
        tr_table_cell(t, "%s", "");
    print_there(t, pick, side->pick_nodes, 1.0);
}

/* What does not flip it, and what was not looked at. */
static void print_steady(struct tr_str *out, const struct tr_plan *plan)
{
    char a[TR_SHOW], b[TR_SHOW];

    for (int i = 0; i < TR_N_FLIPS; i++) {
        const struct tr_flip *f = &plan->flips[i];
        struct tr_str text = {0};
        if (f->looked && !f->below.flips && !f->above.flips)
            tr_str_printf(&text, "%s: does not change the pick between %s and %s", kinds[i].name,
                          show_value(a, i, f->least), show_value(b, i, f->most));
        else if (!f->looked && *f->why_not)
            tr_str_printf(&text, "%s: not looked at: %s", kinds[i].name, f->why_not);
        if (text.len > 0)
            tr_text_wrap(out, "  ", 2, text.text);
        tr_str_free(&text);
    }
}

void tr_report_flips(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};

    if (plan->pick < 0)
        return;
    tr_table_column(&t, TR_LEFT, NULL, "if changed alone");
    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_LEFT, NULL, "then");
    tr_table_column(&t, TR_RIGHT, NULL, "at");
    tr_table_column(&t, TR_RIGHT, NULL, "the pick at");
    for (int i = 0; i < TR_N_FLIPS; i++) {
        if (plan->flips[i].below.flips)
            print_side(&t, plan, i, &plan->flips[i].below, false);
        if (plan->flips[i].above.flips)
            print_side(&t, plan, i, &plan->flips[i].above, true);
    }
    tr_str_printf(out, "\nWhat would flip it\n");
    tr_table_end(&t, out);
    print_steady(out, plan);
    if (plan->opts.quick)
        tr_str_printf(out, "  traffic: the full plan looks at it; this was --quick\n");
}

static void json_side(struct tr_json *j, const char *key, const struct tr_plan *plan, int kind,
                      const struct tr_flip_side *side)
{
    if (!side->flips) {
        tr_json_null(j, key);
        return;
    }
    tr_json_begin(j, key, '{');
    if (kind == TR_FLIP_ISOLATION)
        tr_json_text(j, "at", tr_isolation_name((enum tr_isolation)side->at));
    else
        tr_json_num(j, "at", side->at);
    if (side->to >= 0)
        tr_json_int(j, "to", side->to);
    else
        tr_json_null(j, "to");
    add_nodes(j, "nodes", side->to_nodes);
    add_nodes(j, "pick_nodes", side->pick_nodes);
    double factor = kind == TR_FLIP_PRICE ? side->at : 1.0;
    double price =
        side->to >= 0 ? plan->candidates[side->to].node->usd_per_h * factor : (double)NAN;
    tr_json_num(j, "usd_per_month", size_of(side->to_nodes) * price * TR_HOURS_PER_MONTH);
    tr_json_num(j, "pick_usd_per_month",
                size_of(side->pick_nodes) * plan->candidates[plan->pick].node->usd_per_h *
                    TR_HOURS_PER_MONTH);
    tr_json_end(j);
}

void tr_report_json_flips(struct tr_json *j, const struct tr_plan *plan)
{
    tr_json_begin(j, "flips", '[');
    for (int i = 0; i < TR_N_FLIPS && plan->pick >= 0; i++) {
        const struct tr_flip *f = &plan->flips[i];
        if (!f->looked && !*f->why_not)
            continue; /* --quick */
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "input", kinds[i].key);
        tr_json_text(j, "not_looked_at", f->looked ? NULL : f->why_not);
        if (i != TR_FLIP_ISOLATION) {
            tr_json_num(j, "least", f->looked ? f->least : (double)NAN);
            tr_json_num(j, "most", f->looked ? f->most : (double)NAN);
        }
        json_side(j, "below", plan, i, &f->below);
        json_side(j, "above", plan, i, &f->above);
        tr_json_end(j);
    }
    tr_json_end(j);
}
