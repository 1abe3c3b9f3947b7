/* report, simulate: one arrangement on a fleet of a given size. */
#include "report/report.h"

#include <math.h>

static void print_latencies(struct tr_str *out, const struct tr_outcome *o)
{
    static const struct {
        const char *name;
        double q;
    } columns[] = {{"p50", 0.50}, {"p90", 0.90}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1.0}};
    static const struct {
        const char *name;
        double unit_ns;
    } rows[] = {{"TTFT, s", 1e9}, {"TPOT, ms", 1e6}, {"E2E, s", 1e9}, {"queue, s", 1e9}};
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW];

    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_RIGHT, NULL, "mean");
    for (size_t k = 0; k < TR_LEN(columns); k++)
        tr_table_column(&t, TR_RIGHT, NULL, columns[k].name);
    for (size_t i = 0; i < TR_LEN(rows); i++) {
        const struct tr_hist *h = i < TR_N_METRICS ? &o->metric[i] : &o->queue;
        if (h->count == 0)
            continue;
        tr_table_cell(&t, "%s", rows[i].name);
        tr_table_cell(&t, "%s", tr_show_num(a, tr_hist_mean(h) / rows[i].unit_ns));
        for (size_t k = 0; k < TR_LEN(columns); k++)
            tr_table_cell(
                &t, "%s",
                tr_show_num(a, (double)tr_hist_quantile(h, columns[k].q) / rows[i].unit_ns));
    }
    tr_str_printf(out, "\nLatencies of answered requests, from the planned arrival on\n");
    tr_table_end(&t, out);
}

static void print_objectives(struct tr_str *out, const struct tr_outcome *o,
                             const struct tr_slo *slo)
{
    struct tr_table t = {.indent = 2};
    char buf[64], a[TR_SHOW];

    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_RIGHT, NULL, "inside, %");
    tr_table_column(&t, TR_RIGHT, NULL, "in spikes, %");
    tr_table_column(&t, TR_LEFT, NULL, "");
    for (int i = 0; i < slo->n; i++) {
        double decides = tr_outcome_inside(o, i, slo->spikes_only);
        tr_table_cell(&t, "%s", tr_show_objective(buf, &slo->objective[i]));
        tr_table_cell(&t, "%s", tr_show_percent(a, tr_outcome_inside(o, i, false)));
        tr_table_cell(&t, "%s", tr_show_percent(a, tr_outcome_inside(o, i, true)));
        tr_table_cell(&t, "%s", decides >= slo->objective[i].fraction ? "met" : "not met");
    }
    tr_str_printf(out, "\nObjectives%s\n", slo->spikes_only ? " (spikes decide)" : "");
    tr_table_end(&t, out);
}

/* Nodes that came and went: what they cost, what was lost by it, and their course. */
static void print_scaling(struct tr_str *out, const struct tr_simulation *s)
{
    const struct tr_policy_run *r = &s->policy;
    const struct tr_scale_stats *x = &s->result.fleet.scale;
    struct tr_str text = {0};
    char a[TR_SHOW], b[TR_SHOW], span[24];

    if (!s->scaled)
        return;
    tr_str_printf(&text, "%s nodes in the mean, %d at most: %s USD a month",
                  tr_show_num(a, r->nodes_mean), r->nodes_max, tr_show_num(b, r->usd_per_month));
    tr_str_printf(&text,
                  "; %" PRId64 " nodes asked for, %" PRId64 " not to be had, %" PRId64
                  " removed; %s s short of replicas",
                  x->asks, x->failed_asks, x->removals, tr_show_num(a, r->short_s));
    if (!isnan(r->start_mean_s) && r->start_mean_s > 0)
        tr_str_printf(&text, ", each ready %s s after it was wanted",
                      tr_show_num(a, r->start_mean_s));
    tr_str_printf(&text,
                  "; %" PRId64 " requests waited for a first replica, %" PRId64
                  " were lost with their pod",
                  x->held, x->lost_to_drains + x->lost_to_interruptions);
    tr_text_wrap(out, "  scaling", 14, text.text);
    tr_str_free(&text);
    tr_str_printf(out, "\nCourse, each figure the mean of %s\n",
                  tr_policy_delay(span, s->stats.span_ns / TR_TIMELINE_SPANS));
    tr_report_course(out, r);
}

static void print_table(struct tr_str *out, const struct tr_simulation *s)
{
    const struct tr_candidate *c = &s->candidate;
    const struct tr_outcome *o = &s->result.outcome;
    int gpus = s->nodes * c->node->gpus;
    char name[128], a[32], rate[TR_SHOW], span[24];

    if (s->scaled)
        tr_str_printf(out, "%s on %d to %d x %s, %g %s per replica\n", tr_show_candidate(name, c),
                      s->policy.policy.min_nodes, s->policy.policy.max_nodes, c->node->name,
                      s->policy.policy.target,
                      tr_scale_metric_name(s->scenario->workload.hpa.metric));
    else
        tr_str_printf(out, "%s on %d x %s: %d %s\n", tr_show_candidate(name, c), s->nodes,
                      c->node->name, gpus, gpus == 1 ? "GPU" : "GPUs");
    tr_str_printf(out, "%s requests in %s, ", tr_units_show_count(a, s->stats.requests),
                  tr_units_show_ns(span, s->stats.span_ns));
    tr_str_printf(out, "%s/s on average; seed %" PRIu64 "\n\n", tr_show_num(rate, s->stats.rate),
                  s->opts.seed);
    tr_report_memory(out, c);
    tr_report_ceiling(out, c);
    tr_report_idle(out, c, &s->scenario->workload.slo);
    tr_report_run(out, &s->result);
    print_scaling(out, s);
    if (o->offered == 0)
        return;
    print_latencies(out, o);
    print_objectives(out, o, &s->scenario->workload.slo);
    tr_str_printf(out, "\nThe run is %s%s\n", tr_label_name(s->label),
                  s->label == TR_OVERLOADED
                      ? ": requests came faster than they were served; all latencies grow with it"
                  : s->label == TR_BACKLOGGED
                      ? ": for some five minutes, requests came faster than they were served"
                      : "");
}

static void print_json(struct tr_str *out, const struct tr_simulation *s)
{
    const struct tr_slo *slo = &s->scenario->workload.slo;
    struct tr_json j = {.out = out};

    tr_json_begin(&j, NULL, '{');
    tr_report_json_head(&j, "tranche.simulate/1", s->scenario);
    tr_json_int(&j, "seed", (int64_t)s->opts.seed);
    tr_json_int(&j, "max_requests", s->opts.max_requests);
    tr_report_json_traffic(&j, &s->stats);
    tr_report_json_objectives(&j, slo);
    tr_json_int(&j, "nodes", s->nodes);
    tr_json_int(&j, "gpus", s->nodes * s->candidate.node->gpus);
    tr_json_begin(&j, "candidate", '{');
    tr_report_json_candidate(&j, &s->candidate, slo);
    tr_json_end(&j);
    tr_report_json_result(&j, &s->result, s->label, slo);
    if (s->scaled)
        tr_report_json_policy(&j, "autoscaled", &s->policy);
    else
        tr_json_null(&j, "autoscaled");
    tr_json_end(&j);
}

int tr_simulation_write(const struct tr_simulation *s, enum tr_format format, FILE *out,
                        struct tr_err *err)
{
    struct tr_str text = {0};

    if (format == TR_FORMAT_TABLE)
        print_table(&text, s);
    else if (format == TR_FORMAT_JSON)
        print_json(&text, s);
    else
        return tr_report_refuse(format, "table, json", err);
    return tr_report_flush(&text, out, err);
}
