/* report, plan: fleets that come and go: the best policy of each candidate, and its course. */
#include "report/report.h"

#include <math.h>

static void print_share(struct tr_table *t, double share)
{
    char a[TR_SHOW];
    tr_table_cell(t, "%s", isnan(share) ? "" : tr_show_percent(a, share));
}

static void policy_columns(struct tr_table *t, const struct tr_plan *plan)
{
    static const char inside[] = "inside SLO, %", nodes[] = "nodes", usd[] = "USD per month";

    tr_table_column(t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(t, TR_LEFT, NULL, "");
    tr_table_column(t, TR_LEFT, NULL, plan->scenario->n_nodes > 1 ? "\nnode" : "");
    tr_table_column(t, TR_RIGHT, nodes, "\nmin");
    tr_table_column(t, TR_RIGHT, nodes, "\nmax");
    tr_table_column(t, TR_RIGHT, nodes, "\nmean");
    tr_table_column(t, TR_RIGHT, NULL, "per\nreplica");
    tr_table_column(t, TR_RIGHT, NULL, "unneeded\ntime");
    tr_table_column(t, TR_RIGHT, usd, "\nautoscaled");
    tr_table_column(t, TR_RIGHT, usd, "base\nreserved");
    tr_table_column(t, TR_RIGHT, usd, "\nfixed");
    tr_table_column(t, TR_RIGHT, inside, "\nall");
    tr_table_column(t, TR_RIGHT, inside, "\nspikes");
    tr_table_column(t, TR_RIGHT, NULL, "short,\ns");
    tr_table_column(t, TR_LEFT, NULL, "");
}

static void print_run(struct tr_table *t, const struct tr_plan *plan, const struct tr_candidate *c,
                      const struct tr_policy_run *r, const char *note)
{
    char a[TR_SHOW], delay[24];

    tr_table_cell(t, "%s", c->arrangement.text);
    tr_table_cell(t, "%s", c->precision->name);
    tr_table_cell(t, "%s", tr_show_node_letter(a, plan->scenario, c->node));
    tr_table_cell(t, "%d", r->policy.min_nodes);
    tr_table_cell(t, "%d", r->policy.max_nodes);
    tr_table_cell(t, "%.1f", r->nodes_mean);
    tr_table_cell(t, "%s", tr_show_num(a, r->policy.target));
    tr_table_cell(t, "%s", tr_policy_delay(delay, r->policy.unneeded_ns));
    tr_table_cell(t, "%s", tr_show_num(a, r->usd_per_month));
    tr_table_cell(t, "%s",
                  isnan(r->reserved_base_usd_per_month)
                      ? ""
                      : tr_show_num(a, r->reserved_base_usd_per_month));
    tr_table_cell(t, "%s", tr_show_num(a, c->usd_per_month));
    print_share(t, r->inside);
    print_share(t, r->spike_inside);
    tr_table_cell(t, "%.0f", r->short_s);
    tr_table_cell(t, "%s", note);
}

/* The course of a run in equal spans, half of it to a line. */
static void print_course(struct tr_str *out, const char *what, const double *values)
{
    for (int k = 0; k < TR_TIMELINE_SPANS; k++) {
        if (k % (TR_TIMELINE_SPANS / 2) == 0)
            tr_str_printf(out, "%s  %-9s", k > 0 ? "\n" : "", k > 0 ? "" : what);
        tr_str_printf(out, " %6.1f", values[k]);
    }
    tr_str_printf(out, "\n");
}

void tr_report_course(struct tr_str *out, const struct tr_policy_run *r)
{
    print_course(out, "nodes", r->nodes);
    print_course(out, "replicas", r->ready);
}

static void print_pick(struct tr_str *out, const struct tr_plan *plan,
                       const struct tr_autoscaled *x)
{
    char name[128], span[24];
    const struct tr_policy_run *r = &x->best;

    tr_str_printf(out, "\nIts course for %s, each figure the mean of %s\n",
                  tr_show_candidate(name, &plan->candidates[x->candidate]),
                  tr_policy_delay(span, plan->spikes.span_ns / TR_TIMELINE_SPANS));
    tr_report_course(out, r);
}

void tr_report_autoscale(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};

    policy_columns(&t, plan);
    for (int i = 0; i < plan->n_scaled; i++) {
        const struct tr_autoscaled *x = &plan->scaled[i];
        const struct tr_candidate *c = &plan->candidates[x->candidate];
        if (!x->found && x->candidate != plan->pick)
            continue; /* left when it could not be the cheapest */
        print_run(&t, plan, c, &x->best, x->found ? "" : x->best.meets ? "no cheaper" : "misses");
        for (size_t d = 0; d < plan->scenario->n_unneeded; d++)
            if (x->delay[d].policy.unneeded_ns != x->best.policy.unneeded_ns)
                print_run(&t, plan, c, &x->delay[d], "");
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nAutoscaled: the cheapest policy found, then with other scale-down "
                           "delays\n");
    tr_table_end(&t, out);
    for (int i = 0; i < plan->n_scaled; i++)
        if (plan->scaled[i].candidate == plan->pick)
            print_pick(out, plan, &plan->scaled[i]);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_series(struct tr_json *j, const char *key, const double *values)
{
    tr_json_begin(j, key, '[');
    for (int k = 0; k < TR_TIMELINE_SPANS; k++)
        tr_json_num(j, NULL, values[k]);
    tr_json_end(j);
}

void tr_report_json_policy(struct tr_json *j, const char *key, const struct tr_policy_run *r)
{
    tr_json_begin(j, key, '{');
    tr_json_int(j, "min_nodes", r->policy.min_nodes);
    tr_json_int(j, "max_nodes", r->policy.max_nodes);
    tr_json_num(j, "target", r->policy.target);
    tr_json_num(j, "unneeded_s", (double)r->policy.unneeded_ns / 1e9);
    tr_json_bool(j, "meets", r->meets);
    tr_json_num(j, "inside_all_share", r->inside);
    tr_json_num(j, "spike_inside_all_share", r->spike_inside);
    tr_json_num(j, "p50_s", (double)r->p50_ns / 1e9);
    tr_json_num(j, "p95_s", (double)r->p95_ns / 1e9);
    tr_json_num(j, "usd_per_month", r->usd_per_month);
    tr_json_num(j, "usd_per_month_base_reserved", r->reserved_base_usd_per_month);
    tr_json_num(j, "node_hours", r->node_hours);
    tr_json_num(j, "nodes_mean", r->nodes_mean);
    tr_json_int(j, "nodes_max", r->nodes_max);
    tr_json_num(j, "short_s", r->short_s);
    tr_json_num(j, "start_mean_s", r->start_mean_s);
    tr_json_int(j, "spikes", r->spikes);
    tr_json_int(j, "spikes_answered", r->answered);
    tr_json_num(j, "spike_median_s", r->spike_s);
    tr_json_num(j, "answer_median_s", r->answer_s);
    add_series(j, "nodes", r->nodes);
    add_series(j, "replicas", r->ready);
    tr_json_end(j);
}

void tr_report_json_autoscale(struct tr_json *j, const struct tr_plan *plan)
{
    tr_json_begin(j, "autoscaling", '[');
    for (int i = 0; i < plan->n_scaled; i++) {
        const struct tr_autoscaled *x = &plan->scaled[i];
        tr_json_begin(j, NULL, '{');
        tr_json_int(j, "candidate", x->candidate);
        tr_json_bool(j, "cheaper", x->found);
        tr_report_json_policy(j, "best", &x->best);
        tr_json_begin(j, "delays", '[');
        for (size_t d = 0; d < plan->scenario->n_unneeded; d++)
            tr_report_json_policy(j, NULL, &x->delay[d]);
        tr_json_end(j);
        tr_json_end(j);
    }
    tr_json_end(j);
}
