/* report, JSON: the objects that several documents share; docs/json.md lists every key. */
#include "report/report.h"

#include <math.h>

static void add_seconds(struct tr_json *j, const char *key, int64_t ns)
{
    tr_json_num(j, key, (double)ns / (double)TR_NS_PER_S);
}

void tr_report_json_lines(struct tr_json *j, const char *key, const char *const *lines, int n)
{
    tr_json_begin(j, key, '[');
    for (int i = 0; i < n; i++)
        tr_json_text(j, NULL, lines[i]);
    tr_json_end(j);
}

void tr_report_json_head(struct tr_json *j, const char *schema, const struct tr_scenario *s)
{
    char hash[24];

    snprintf(hash, sizeof(hash), "%016" PRIx64, s->hash);
    tr_json_text(j, "schema", schema);
    tr_json_text(j, "tranche_version", tr_version());
    tr_json_begin(j, "scenario", '{');
    tr_json_text(j, "name", s->name);
    tr_json_text(j, "path", s->path);
    tr_json_text(j, "hash", hash);
    tr_json_end(j);
}

void tr_report_json_traffic(struct tr_json *j, const struct tr_traffic_stats *stats)
{
    static const char *const peak[] = {"peak_over_mean_1s", "peak_over_mean_10s",
                                       "peak_over_mean_1min", "peak_over_mean_1h"};
    static const char *const idc[] = {"dispersion_1s", "dispersion_10s", "dispersion_60s"};

    tr_json_begin(j, "traffic", '{');
    tr_json_int(j, "requests", stats->requests);
    add_seconds(j, "span_s", stats->span_ns);
    tr_json_num(j, "rate_per_s", stats->rate);
    for (size_t i = 0; i < TR_LEN(peak); i++)
        tr_json_num(j, peak[i], stats->peak_over_mean[i]);
    for (size_t i = 0; i < TR_LEN(idc); i++)
        tr_json_num(j, idc[i], stats->idc[i]);
    tr_json_num(j, "gap_cv", stats->iat_cv);
    tr_json_num(j, "median_minute_per_s", stats->median_minute_rate);
    tr_json_int(j, "prompt_tok_sum", stats->prompt_tok);
    tr_json_int(j, "output_tok_sum", stats->output_tok);
    tr_json_num(j, "prefix_reuse_at_most", stats->prefix_reuse);
    tr_json_int(j, "sessions", stats->sessions);
    tr_json_num(j, "mean_turns", stats->mean_turns);
    tr_json_end(j);
}

void tr_report_json_lengths(struct tr_json *j, const struct tr_lengths *l)
{
    tr_json_begin(j, "lengths", '{');
    tr_json_num(j, "prompt_tok_mean", l->prompt_tok);
    tr_json_num(j, "output_tok_mean", l->output_tok);
    tr_json_num(j, "computed_tok_mean", l->computed_tok);
    tr_json_num(j, "resident_tok_mean", l->resident_tok);
    tr_json_end(j);
}

void tr_report_json_objectives(struct tr_json *j, const struct tr_slo *slo)
{
    tr_json_begin(j, "objectives", '[');
    for (int i = 0; i < slo->n; i++) {
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "metric", tr_metric_name(slo->objective[i].metric));
        tr_json_num(j, "fraction", slo->objective[i].fraction);
        add_seconds(j, "limit_s", slo->objective[i].limit_ns);
        tr_json_end(j);
    }
    tr_json_end(j);
    tr_json_text(j, "objective_window", slo->spikes_only ? "spikes" : "all");
}

/* ---- a candidate ---------------------------------------------------------------------------- */

static void add_part(struct tr_json *j, const struct tr_candidate *c, int i, int count)
{
    static const char *const sharing[] = {
        [TR_SOLO] = "solo", [TR_TIMESLICE] = "timeslice", [TR_MPS] = "mps"};
    const struct tr_part *p = &c->arrangement.parts[i];
    const struct tr_share_hw *hw = &c->hw[i];
    const struct tr_memory *m = &c->memory[i];

    tr_json_begin(j, NULL, '{');
    tr_json_text(j, "profile", p->profile ? p->profile->name : NULL);
    tr_json_int(j, "count", count);
    tr_json_text(j, "sharing", sharing[p->sharing]);
    tr_json_int(j, "pods_each", p->n_pods);
    tr_json_num(j, "sm_fraction", hw->sm_fraction);
    tr_json_num(j, "bandwidth_fraction", hw->bw_fraction);
    tr_json_int(j, "memory_bytes", hw->mem_bytes);
    tr_json_begin(j, "pod", '{');
    tr_json_num(j, "gpu_memory_utilization", m->utilization);
    tr_json_num(j, "gpu_memory_utilization_max", m->utilization_max);
    tr_json_int(j, "budget_bytes", m->budget_bytes);
    tr_json_int(j, "weights_bytes", m->weights_bytes);
    tr_json_int(j, "activation_bytes", m->activation_bytes);
    tr_json_int(j, "graphs_bytes", m->graphs_bytes);
    tr_json_int(j, "context_bytes", m->context_bytes);
    tr_json_int(j, "kv_bytes", m->kv_bytes);
    tr_json_int(j, "kv_tok", m->kv_tok);
    tr_json_int(j, "num_gpu_blocks", m->num_gpu_blocks);
    tr_json_int(j, "max_num_batched_tokens", c->engine[i].max_num_batched_tokens);
    tr_json_int(j, "max_num_seqs", c->engine[i].max_num_seqs);
    tr_json_int(j, "max_model_len", c->engine[i].max_model_len);
    tr_json_end(j);
    tr_json_end(j);
}

static void add_ceiling(struct tr_json *j, const struct tr_ceiling *l)
{
    if (!(l->arithmetic > 0.0)) {
        tr_json_null(j, "ceiling");
        return;
    }
    tr_json_begin(j, "ceiling", '{');
    tr_json_num(j, "flop_per_request", l->flops_per_request);
    tr_json_num(j, "flop_per_request_cached", l->flops_cached);
    tr_json_num(j, "kv_read_bytes_per_request", l->kv_read_bytes);
    tr_json_num(j, "weight_read_bytes_per_step", l->weight_read_bytes);
    tr_json_num(j, "arithmetic_per_s", l->arithmetic);
    tr_json_num(j, "arithmetic_cached_per_s", l->arithmetic_cached);
    tr_json_num(j, "arithmetic_attained_per_s", l->arithmetic_attained);
    tr_json_num(j, "arithmetic_cached_attained_per_s", l->arithmetic_cached_attained);
    tr_json_num(j, "bandwidth_per_s", l->bandwidth);
    tr_json_num(j, "kv_memory_per_s", l->kv_memory);
    tr_json_num(j, "lowest_per_s", l->lowest);
    tr_json_num(j, "lowest_cached_per_s", l->lowest_cached);
    tr_json_num(j, "concurrent_requests", l->concurrent);
    tr_json_end(j);
}

static void add_unloaded(struct tr_json *j, const struct tr_candidate *c, const struct tr_slo *slo)
{
    if (c->unloaded_ttft_ns[0] <= 0) {
        tr_json_null(j, "unloaded");
        return;
    }
    tr_json_begin(j, "unloaded", '{');
    add_seconds(j, "ttft_p50_s", c->unloaded_ttft_ns[0]);
    add_seconds(j, "ttft_p95_s", c->unloaded_ttft_ns[1]);
    add_seconds(j, "ttft_p99_s", c->unloaded_ttft_ns[2]);
    add_seconds(j, "ttft_of_mean_prompt_s", c->unloaded_mean_ttft_ns);
    tr_json_num(j, "answer_s", c->solo_answer_s);
    tr_json_begin(j, "inside", '[');
    for (int i = 0; i < slo->n; i++)
        tr_json_num(j, NULL, c->unloaded_inside[i]);
    tr_json_end(j);
    tr_json_end(j);
}

void tr_report_json_candidate(struct tr_json *j, const struct tr_candidate *c,
                              const struct tr_slo *slo)
{
    int count, next;

    tr_json_text(j, "arrangement", c->arrangement.text);
    tr_json_text(j, "precision", c->precision->name);
    tr_json_text(j, "node", c->node ? c->node->name : NULL);
    tr_json_text(j, "gpu", c->gpu->name);
    tr_json_text(j, "gate", tr_gate_name(c->gate));
    tr_json_text(j, "reason", *c->why ? c->why : NULL);
    tr_json_text(j, "warning", *c->warning ? c->warning : NULL);
    tr_json_int(j, "pods_per_gpu", c->arrangement.n_pods);
    tr_json_begin(j, "parts", '[');
    for (int i = 0; i < c->arrangement.n_parts; i = next) {
        next = tr_part_run(&c->arrangement, i, &count);
        add_part(j, c, i, count);
    }
    tr_json_end(j);
    add_ceiling(j, &c->ceiling);
    add_unloaded(j, c, slo);
}

/* ---- a run ---------------------------------------------------------------------------------- */

static void add_hist(struct tr_json *j, const char *name, const struct tr_hist *h)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50", 0.50}, {"p90", 0.90}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1.0}};
    char key[32];

    snprintf(key, sizeof(key), "%s_mean_s", name);
    tr_json_num(j, key, h->count ? tr_hist_mean(h) / 1e9 : (double)NAN);
    for (size_t i = 0; i < TR_LEN(quantiles); i++) {
        snprintf(key, sizeof(key), "%s_%s_s", name, quantiles[i].name);
        if (h->count)
            add_seconds(j, key, tr_hist_quantile(h, quantiles[i].q));
        else
            tr_json_null(j, key);
    }
}

static void add_objectives_met(struct tr_json *j, const struct tr_outcome *o,
                               const struct tr_slo *slo)
{
    tr_json_begin(j, "inside", '[');
    for (int i = 0; i < slo->n; i++) {
        double decides = tr_outcome_inside(o, i, slo->spikes_only);
        tr_json_begin(j, NULL, '{');
        tr_json_num(j, "share", tr_outcome_inside(o, i, false));
        tr_json_num(j, "spike_share", tr_outcome_inside(o, i, true));
        tr_json_bool(j, "met", decides >= slo->objective[i].fraction);
        tr_json_end(j);
    }
    tr_json_end(j);
    tr_json_num(j, "inside_all_share", (double)o->inside_all / (double)o->offered);
    tr_json_num(j, "spike_inside_all_share",
                (double)o->spike_inside_all / (double)o->spike_offered);
    tr_json_begin(j, "missed", '{');
    for (int i = 0; i < TR_N_CAUSES; i++)
        if (i != TR_CAUSE_NONE || o->missed[i] > 0)
            tr_json_int(j, tr_cause_name((enum tr_cause)i), o->missed[i]);
    tr_json_end(j);
}

static void add_engines(struct tr_json *j, const struct tr_sim_result *r)
{
    const struct tr_fleet_stats *f = &r->fleet;

    tr_json_int(j, "pods", f->pods);
    tr_json_int(j, "simulated_pods", f->simulated_pods);
    tr_json_int(j, "steps", f->steps);
    tr_json_int(j, "preemptions", f->preemptions);
    tr_json_int(j, "prefill_tok", f->prefill_tok);
    tr_json_int(j, "decode_tok", f->decode_tok);
    tr_json_int(j, "prefix_queries_tok", f->prefix_queries_tok);
    tr_json_int(j, "prefix_hits_tok", f->prefix_hits_tok);
    tr_json_int(j, "prefix_evicted_blocks", f->evicted_blocks);
    tr_json_int(j, "timeslice_turns", f->slices);
    add_seconds(j, "timeslice_switch_s", f->switch_ns);
    tr_json_num(j, "gpu_busy_fraction", f->busy_fraction);
    tr_json_num(j, "kv_mean_fraction", f->kv_mean);
    tr_json_num(j, "kv_max_fraction", f->kv_max);
}

static void add_tiers(struct tr_json *j, const struct tr_outcome *o)
{
    if (o->n_tiers == 0)
        return;
    tr_json_begin(j, "tiers", '[');
    for (int i = 0; i < o->n_tiers; i++) {
        const struct tr_tier *t = &o->tier[i];
        tr_json_begin(j, NULL, '{');
        tr_json_int(j, "priority", t->priority);
        tr_json_int(j, "offered", t->offered);
        tr_json_num(j, "inside_all_share", (double)t->inside_all / (double)t->offered);
        add_hist(j, "ttft", &t->ttft);
        tr_json_end(j);
    }
    tr_json_end(j);
}

void tr_report_json_result(struct tr_json *j, const struct tr_sim_result *r, enum tr_label label,
                           const struct tr_slo *slo)
{
    const struct tr_outcome *o = &r->outcome;

    if (o->offered == 0) {
        tr_json_null(j, "result");
        return;
    }
    tr_json_begin(j, "result", '{');
    tr_json_bool(j, "meets", r->meets);
    tr_json_text(j, "label", tr_label_name(label));
    tr_json_bool(j, "stopped_early", o->stopped_early);
    tr_json_bool(j, "queue_overflow", r->queue_overflow);
    tr_json_int(j, "offered", o->offered);
    tr_json_int(j, "done", o->done);
    tr_json_int(j, "rejected", o->rejected);
    tr_json_int(j, "timed_out", o->timed_out);
    tr_json_int(j, "aborted", o->aborted);
    tr_json_int(j, "spike_offered", o->spike_offered);
    tr_json_int(j, "prompt_tok", o->prompt_tok);
    tr_json_int(j, "output_tok", o->output_tok);
    add_objectives_met(j, o, slo);
    add_tiers(j, o);
    add_hist(j, "ttft", &o->metric[TR_TTFT]);
    add_hist(j, "tpot", &o->metric[TR_TPOT]);
    add_hist(j, "e2e", &o->metric[TR_E2E]);
    add_hist(j, "queue", &o->queue);
    add_engines(j, r);
    tr_json_end(j);
}
