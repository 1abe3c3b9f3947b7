/* report, plan: what the fleets cost, and the front of cost against the objective. */
#include "report/report.h"

#include <math.h>

static void print_usd(struct tr_table *t, double usd)
{
    char a[TR_SHOW];
    tr_table_cell(t, "%s", isnan(usd) ? "" : tr_show_num(a, usd));
}

static void bill_columns(struct tr_table *t)
{
    static const char per[] = "USD per", month[] = "USD per month, if";

    tr_table_column(t, TR_RIGHT, NULL, "\n#");
    tr_table_column(t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(t, TR_LEFT, NULL, "");
    tr_table_column(t, TR_LEFT, NULL, "\nnode");
    tr_table_column(t, TR_RIGHT, per, "\nmonth");
    tr_table_column(t, TR_RIGHT, per, "million\ntokens");
    tr_table_column(t, TR_RIGHT, per, "million\nof output");
    tr_table_column(t, TR_RIGHT, per, "1,000\nrequests");
    tr_table_column(t, TR_RIGHT, NULL, "idle,\n%");
    tr_table_column(t, TR_RIGHT, NULL, "req/s per\nUSD/h");
    tr_table_column(t, TR_RIGHT, month, "reserved,\n1 year");
    tr_table_column(t, TR_RIGHT, month, "spot\n");
}

void tr_report_bills(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW];

    bill_columns(&t);
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        struct tr_bill b;
        if (!tr_rank_ranked(c) || !tr_candidate_ran(c))
            continue;
        tr_bill_make(plan, c, &b);
        tr_table_cell(&t, "%d", c->rank);
        tr_table_cell(&t, "%s", c->arrangement.text);
        tr_table_cell(&t, "%s", c->precision->name);
        tr_table_cell(&t, "%s", tr_show_node_letter(a, plan->scenario, c->node));
        print_usd(&t, b.usd_per_month[TR_ON_DEMAND]);
        print_usd(&t, b.usd_per_mtok);
        print_usd(&t, b.usd_per_mtok_output);
        print_usd(&t, b.usd_per_1000);
        tr_table_cell(&t, "%.1f", 100.0 * b.idle_share);
        print_usd(&t, b.rate_per_usd_per_h);
        print_usd(&t, b.usd_per_month[TR_RESERVED]);
        print_usd(&t, b.usd_per_month[TR_SPOT]);
    }
    if (t.n_cells > 0)
        tr_str_printf(out,
                      "\nWhat they cost: on demand, for answered requests; idle: paid GPU time "
                      "without work\n");
    tr_table_end(&t, out);
}

/* "15", or "5 to 15" and the rest of the policy. */
static void print_size(struct tr_table *t, const struct tr_front_point *p)
{
    char a[TR_SHOW], delay[24];

    if (p->scaled == NULL) {
        tr_table_cell(t, "%d", p->nodes);
        tr_table_cell(t, "%s", "");
        tr_table_cell(t, "%s", "");
        return;
    }
    tr_table_cell(t, "%d to %d", p->scaled->policy.min_nodes, p->nodes);
    tr_table_cell(t, "%s", tr_show_num(a, p->scaled->policy.target));
    tr_table_cell(t, "%s", tr_policy_delay(delay, p->scaled->policy.unneeded_ns));
}

void tr_report_front(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW];
    bool sampled = false;

    if (plan->front.n < 2)
        return;
    tr_table_column(&t, TR_RIGHT, NULL, "USD per\nmonth");
    tr_table_column(&t, TR_RIGHT, NULL, "inside SLO,\n%");
    tr_table_column(&t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_LEFT, NULL, "\nnode");
    tr_table_column(&t, TR_RIGHT, NULL, "\nnodes");
    tr_table_column(&t, TR_RIGHT, NULL, "per\nreplica");
    tr_table_column(&t, TR_RIGHT, NULL, "unneeded\ntime");
    tr_table_column(&t, TR_LEFT, NULL, "\nbought");
    tr_table_column(&t, TR_LEFT, NULL, "");
    for (int i = 0; i < plan->front.n; i++) {
        const struct tr_front_point *p = &plan->front.points[i];
        const struct tr_candidate *c = &plan->candidates[p->candidate];
        sampled = sampled || p->sampled;
        tr_table_cell(&t, "%s", tr_show_num(a, p->usd_per_month));
        tr_table_cell(&t, "%s%s", p->sampled ? "~" : "", tr_show_percent(a, p->inside));
        tr_table_cell(&t, "%s", c->arrangement.text);
        tr_table_cell(&t, "%s", c->precision->name);
        tr_table_cell(&t, "%s", tr_show_node_letter(a, plan->scenario, c->node));
        print_size(&t, p);
        tr_table_cell(&t, "%s",
                      p->purchase == TR_BASE_RESERVED ? "base reserved"
                                                      : tr_purchase_name(p->purchase));
        tr_table_cell(&t, "%s", i == plan->front.knee ? "knee" : "");
    }
    tr_str_printf(out, "\nCost against the objective: nothing else costs less and has as many "
                       "requests inside\n");
    tr_table_end(&t, out);
    if (sampled)
        tr_text_wrap(out, "  ~ ", 4, "on a sample of the fleet's GPUs");
}

void tr_report_json_bill(struct tr_json *j, const struct tr_plan *plan,
                         const struct tr_candidate *c)
{
    struct tr_bill b;

    if (!tr_rank_ranked(c) || !tr_candidate_ran(c)) {
        tr_json_null(j, "cost");
        return;
    }
    tr_bill_make(plan, c, &b);
    tr_json_begin(j, "cost", '{');
    tr_json_num(j, "usd_per_month", b.usd_per_month[TR_ON_DEMAND]);
    tr_json_num(j, "usd_per_month_reserved", b.usd_per_month[TR_RESERVED]);
    tr_json_num(j, "usd_per_month_spot", b.usd_per_month[TR_SPOT]);
    tr_json_num(j, "usd_per_million_tok", b.usd_per_mtok);
    tr_json_num(j, "usd_per_million_output_tok", b.usd_per_mtok_output);
    tr_json_num(j, "usd_per_1000_requests", b.usd_per_1000);
    tr_json_num(j, "idle_share", b.idle_share);
    tr_json_num(j, "requests_per_s_per_usd_per_h", b.rate_per_usd_per_h);
    tr_json_end(j);
}

void tr_report_json_front(struct tr_json *j, const struct tr_plan *plan)
{
    static const char *const purchases[] = {"on-demand", "reserved", "spot", "base-reserved"};

    tr_json_begin(j, "front", '[');
    for (int i = 0; i < plan->front.n; i++) {
        const struct tr_front_point *p = &plan->front.points[i];
        tr_json_begin(j, NULL, '{');
        tr_json_int(j, "candidate", p->candidate);
        tr_json_int(j, "nodes", p->nodes);
        if (p->scaled != NULL) {
            tr_json_begin(j, "autoscaled", '{');
            tr_json_int(j, "min_nodes", p->scaled->policy.min_nodes);
            tr_json_num(j, "target", p->scaled->policy.target);
            tr_json_num(j, "unneeded_s", (double)p->scaled->policy.unneeded_ns / 1e9);
            tr_json_end(j);
        } else {
            tr_json_null(j, "autoscaled");
        }
        tr_json_text(j, "purchase", purchases[p->purchase]);
        tr_json_num(j, "usd_per_month", p->usd_per_month);
        tr_json_num(j, "inside_all_share", p->inside);
        tr_json_bool(j, "sampled", p->sampled);
        tr_json_bool(j, "knee", i == plan->front.knee);
        tr_json_end(j);
    }
    tr_json_end(j);
}
