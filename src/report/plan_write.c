/* report, plan: the plan as JSON and as CSV, and the choice between the forms. */
#include "report/report.h"

#include <math.h>

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_fleet(struct tr_json *j, const struct tr_candidate *c)
{
    if (c->capacity_seeds > 0) {
        tr_json_begin(j, "capacity", '{');
        tr_json_num(j, "median_per_s", c->capacity_rps);
        tr_json_num(j, "lowest_per_s", c->capacity_lo);
        tr_json_num(j, "highest_per_s", c->capacity_hi);
        tr_json_int(j, "seeds", c->capacity_seeds);
        tr_json_int(j, "requests", c->capacity_requests);
        tr_json_end(j);
    } else {
        tr_json_null(j, "capacity");
    }
    if (c->nodes > 0) {
        tr_json_begin(j, "fleet", '{');
        tr_json_int(j, "nodes", c->nodes);
        tr_json_int(j, "gpus", c->nodes * c->node->gpus);
        tr_json_int(j, "simulated_gpus",
                    *tr_show_sample((char[TR_SHOW]){0}, c) ? c->sampled_gpus
                                                           : c->nodes * c->node->gpus);
        tr_json_bool(j, "confirmed", c->confirmed);
        tr_json_bool(j, "beyond_max", c->beyond_max);
        tr_json_num(j, "usd_per_month", c->usd_per_month);
        if (c->screened_gpus > 0) {
            tr_json_begin(j, "sample", '{');
            tr_json_int(j, "gpus", c->screened_gpus);
            tr_json_num(j, "inside_all_share", c->screened_inside);
            tr_json_end(j);
        } else {
            tr_json_null(j, "sample");
        }
        tr_json_end(j);
    } else {
        tr_json_null(j, "fleet");
    }
    if (c->fail_nodes == 0) {
        tr_json_null(j, "too_small");
        return;
    }
    tr_json_begin(j, "too_small", '{');
    tr_json_int(j, "nodes", c->fail_nodes);
    tr_json_begin(j, "missed", '{');
    for (int i = 0; i < TR_N_CAUSES; i++)
        if (c->fail_missed[i] > 0)
            tr_json_int(j, tr_cause_name((enum tr_cause)i), c->fail_missed[i]);
    tr_json_end(j);
    tr_json_end(j);
}

static void add_candidates(struct tr_json *j, const struct tr_plan *plan)
{
    const struct tr_slo *slo = &plan->scenario->workload.slo;

    tr_json_begin(j, "candidates", '[');
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        tr_json_begin(j, NULL, '{');
        tr_json_int(j, "rank", c->rank);
        tr_report_json_candidate(j, c, slo);
        add_fleet(j, c);
        if (tr_candidate_ran(c))
            tr_report_json_result(j, &c->result, c->label, slo);
        else
            tr_json_null(j, "result");
        tr_report_json_bill(j, plan, c);
        tr_json_text(j, "cause", *c->cause ? c->cause : NULL);
        tr_json_end(j);
    }
    tr_json_end(j);
}

static void add_synchrony(struct tr_json *j, const struct tr_plan *plan)
{
    const struct tr_synchrony *s = &plan->synchrony;

    tr_json_begin(j, "synchrony", '[');
    for (int i = 0; s->looked && i < TR_N_SYNCHRONY; i++) {
        tr_json_begin(j, NULL, '{');
        tr_json_num(j, "value", s->value[i]);
        tr_json_begin(j, "fleets", '[');
        for (int k = 0; k < 2 && s->candidate[k] >= 0; k++) {
            const struct tr_candidate *c = &plan->candidates[s->candidate[k]];
            int nodes = s->nodes[i][k];
            tr_json_begin(j, NULL, '{');
            tr_json_int(j, "candidate", s->candidate[k]);
            if (nodes > 0)
                tr_json_int(j, "nodes", nodes);
            else
                tr_json_null(j, "nodes");
            tr_json_num(j, "usd_per_month", nodes > 0 ? tr_evaluate_cost(c, nodes) : (double)NAN);
            tr_json_end(j);
        }
        tr_json_end(j);
        tr_json_end(j);
    }
    tr_json_end(j);
}

static void add_rules(struct tr_json *j, const struct tr_plan *plan)
{
    tr_json_begin(j, "rules", '[');
    for (int i = 0; i < plan->n_rules; i++) {
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "condition", plan->rules[i].condition);
        tr_json_text(j, "advice", plan->rules[i].advice);
        tr_json_bool(j, "met", plan->rules[i].met);
        tr_json_text(j, "figure", plan->rules[i].figure);
        tr_json_end(j);
    }
    tr_json_end(j);
}

static void add_index(struct tr_json *j, const char *key, int index)
{
    if (index >= 0)
        tr_json_int(j, key, index);
    else
        tr_json_null(j, key);
}

void tr_report_plan_json(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_json j = {.out = out};

    tr_json_begin(&j, NULL, '{');
    tr_report_json_head(&j, "tranche.plan/1", plan->scenario);
    tr_json_int(&j, "seed", (int64_t)plan->opts.seed);
    tr_json_bool(&j, "quick", plan->opts.quick);
    tr_json_bool(&j, "interrupted", plan->interrupted);
    tr_json_int(&j, "simulated_requests", plan->simulated_requests);
    tr_report_json_traffic(&j, &plan->stats);
    tr_json_num(&j, "peak_minute_per_s", plan->spikes.peak_rate);
    tr_report_json_lengths(&j, &plan->lengths);
    tr_json_num(&j, "relative_capacity_per_s",
                plan->relative_capacity > 0.0 ? plan->relative_capacity : (double)NAN);
    tr_report_json_objectives(&j, &plan->scenario->workload.slo);
    tr_json_bool(&j, "meets", plan->meets);
    add_index(&j, "pick", plan->pick);
    add_index(&j, "runner_up", plan->runner_up);
    tr_json_begin(&j, "order", '[');
    for (size_t i = 0; i < plan->n_candidates; i++)
        tr_json_int(&j, NULL, (int64_t)plan->order[i]);
    tr_json_end(&j);
    add_candidates(&j, plan);
    tr_report_json_autoscale(&j, plan);
    tr_report_json_front(&j, plan);
    tr_report_json_victims(&j, plan);
    tr_report_json_draws(&j, plan);
    add_synchrony(&j, plan);
    tr_report_json_flips(&j, plan);
    add_rules(&j, plan);
    tr_report_json_lines(&j, "verdict", plan->lines, plan->n_lines);
    tr_report_json_lines(&j, "not_modelled", plan->not_modelled, plan->n_not_modelled);
    tr_json_end(&j);
}

/* ---- CSV ------------------------------------------------------------------------------------ */

static void add_csv_text(struct tr_str *out, const char *text)
{
    tr_str_add(out, "\"", 1);
    for (; *text; text++)
        tr_str_add(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    tr_str_add(out, "\"", 1);
}

/* The table of candidates, best first; a figure that does not exist is an empty field. */
static void plan_csv(struct tr_str *out, const struct tr_plan *plan)
{
    tr_str_printf(out, "rank,arrangement,precision,node,gate,capacity_per_s,nodes,usd_per_month,"
                       "inside_all_share,spike_inside_all_share,ttft_p50_s,ttft_p95_s,ttft_p99_s,"
                       "tpot_p50_s,tpot_p95_s,tpot_p99_s,label,reason\n");
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        const struct tr_outcome *o = &c->result.outcome;
        static const double q[] = {0.50, 0.95, 0.99};

        tr_str_printf(out, "%d,%s,%s,%s,%s,", c->rank, c->arrangement.text, c->precision->name,
                      c->node->name, tr_gate_name(c->gate));
        if (tr_candidate_ran(c)) {
            tr_str_printf(out, "%.9g,%d,%.9g,%.9g,", c->capacity_rps, c->nodes, c->usd_per_month,
                          (double)o->inside_all / (double)o->offered);
            if (o->spike_offered > 0)
                tr_str_printf(out, "%.9g", (double)o->spike_inside_all / (double)o->spike_offered);
            for (int m = TR_TTFT; m <= TR_TPOT; m++)
                for (size_t k = 0; k < TR_LEN(q); k++)
                    if (o->metric[m].count > 0)
                        tr_str_printf(out, ",%.9g",
                                      (double)tr_hist_quantile(&o->metric[m], q[k]) / 1e9);
                    else
                        tr_str_add(out, ",", 1);
            tr_str_printf(out, ",%s,", tr_label_name(c->label));
        } else {
            tr_str_printf(out, ",,,,,,,,,,,,");
        }
        add_csv_text(out, *c->why ? c->why : c->cause);
        tr_str_add(out, "\n", 1);
    }
}

int tr_plan_write(const struct tr_plan *plan, enum tr_format format, bool explain, FILE *out,
                  struct tr_err *err)
{
    struct tr_str text = {0};

    if (plan->pools && format == TR_FORMAT_TABLE)
        tr_report_pools_table(&text, plan->pools);
    else if (plan->pools && format == TR_FORMAT_JSON)
        tr_report_pools_json(&text, plan->pools);
    else if (plan->pools && format == TR_FORMAT_CSV)
        tr_report_pools_csv(&text, plan->pools);
    else if (format == TR_FORMAT_TABLE)
        tr_report_plan_table(&text, plan, explain);
    else if (format == TR_FORMAT_JSON)
        tr_report_plan_json(&text, plan);
    else if (format == TR_FORMAT_CSV)
        plan_csv(&text, plan);
    else
        return tr_report_refuse(format, "table, json, csv", err);
    return tr_report_flush(&text, out, err);
}
