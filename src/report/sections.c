/* report, sections: what the tables of several commands have in common. */
#include "report/report.h"

#include <math.h>

#define LEAD 12 /* columns before the text of a paragraph */

static void add_models(struct tr_str *text, const struct tr_scenario *s)
{
    const struct tr_workload *w = &s->workload;

    tr_str_printf(text, w->server != NULL ? "%s" : "%s at ",
                  w->server != NULL ? w->server->name : w->model->name);
    for (size_t i = 0; i < w->n_precisions && w->server == NULL; i++)
        tr_str_printf(text, "%s%s", i ? ", " : "", w->precisions[i]->name);
    if (w->has_quality_limit)
        tr_str_printf(text, "; %s loss at most %g %%", w->quality.metric,
                      100.0 * w->quality.at_most);
    if (w->n_tenants > 1)
        tr_str_printf(text, "; %d tenants with %s", w->n_tenants,
                      w->own_pods ? "a pod each" : "common pods");
}

void tr_report_nodes(struct tr_str *out, const struct tr_scenario *s)
{
    for (size_t i = 0; i < s->n_nodes; i++) {
        const struct tr_node_type *n = s->nodes[i];
        struct tr_str text = {0};
        char letter[TR_SHOW], num[TR_SHOW];

        tr_show_node_letter(letter, s, n);
        tr_str_printf(&text, "%s%s%s: %d x %s, ", letter, *letter ? " = " : "", n->name, n->gpus,
                      n->gpu->name);
        if (isnan(n->usd_per_h))
            tr_str_printf(&text, "price not known");
        else
            tr_str_printf(&text, "%s USD/h", tr_show_num(num, n->usd_per_h));
        tr_text_wrap(out, i ? "" : "Nodes", LEAD, text.text);
        tr_str_free(&text);
    }
}

static void head_traffic(struct tr_str *out, const struct tr_traffic_stats *stats,
                         const struct tr_lengths *lengths, double peak_minute_rate, bool server)
{
    struct tr_str text = {0};
    char a[TR_SHOW], b[TR_SHOW], span[24];

    tr_str_printf(&text, "%s requests in %s: %s/s on average",
                  tr_units_show_count(a, stats->requests), tr_units_show_ns(span, stats->span_ns),
                  tr_show_num(b, stats->rate));
    if (isfinite(peak_minute_rate) && peak_minute_rate > 0.0)
        tr_str_printf(&text, ", %s/s in the busiest minute", tr_show_num(a, peak_minute_rate));
    tr_show_num(a, lengths->prompt_tok);
    if (server)
        tr_str_printf(&text, "; %s items each on average", a);
    else
        tr_str_printf(&text, "; prompts of %s tokens, answers of %s on average", a,
                      tr_show_num(b, lengths->output_tok));
    tr_text_wrap(out, "Traffic", LEAD, text.text);
    tr_str_free(&text);
}

static void head_objective(struct tr_str *out, const struct tr_scenario *s)
{
    const struct tr_slo *slo = &s->workload.slo;
    struct tr_str text = {0};
    char buf[64];

    for (int i = 0; i < slo->n; i++)
        tr_str_printf(&text, "%s%s", i ? ", " : "", tr_show_objective(buf, &slo->objective[i]));
    tr_str_printf(&text, " over %s; router %s; isolation %s; %d to %d nodes",
                  slo->spikes_only ? "the requests inside spikes" : "all requests offered",
                  tr_router_name(s->workload.router), tr_isolation_name(s->isolation), s->nodes_min,
                  s->nodes_max);
    tr_text_wrap(out, "Objective", LEAD, text.text);
    tr_str_free(&text);
}

void tr_report_head(struct tr_str *out, const struct tr_scenario *s,
                    const struct tr_traffic_stats *stats, const struct tr_lengths *lengths,
                    double peak_minute_rate)
{
    struct tr_str models = {0};

    tr_text_wrap(out, "", 0, s->name ? s->name : s->path);
    add_models(&models, s);
    tr_text_wrap(out, "Model", LEAD, models.text);
    tr_str_free(&models);
    tr_report_nodes(out, s);
    head_traffic(out, stats, lengths, peak_minute_rate, s->workload.server != NULL);
    head_objective(out, s);
}

/* ---- one candidate -------------------------------------------------------------------------- */

static const char *part_name(const struct tr_part *p)
{
    return p->profile ? p->profile->name : "the card";
}

void tr_report_memory(struct tr_str *out, const struct tr_candidate *c)
{
    int count, next;

    for (int i = 0; i < c->arrangement.n_parts; i = next) {
        next = tr_part_run(&c->arrangement, i, &count);
        const struct tr_memory *m = &c->memory[i];
        struct tr_str text = {0};
        char a[TR_SHOW], b[TR_SHOW], d[TR_SHOW], e[TR_SHOW], f[TR_SHOW];

        if (count > 1)
            tr_str_printf(&text, "%d x ", count);
        tr_str_printf(&text, "%s, %s GiB", part_name(&c->arrangement.parts[i]),
                      tr_show_gib(a, c->hw[i].mem_bytes));
        if (c->hw[i].n_pods > 1)
            tr_str_printf(&text, " for %d pods", c->hw[i].n_pods);
        tr_str_printf(&text,
                      "; one pod at gpu_memory_utilization %.3g: %s GiB - weights %s - activations "
                      "%s - graphs %s",
                      m->utilization, tr_show_gib(a, m->budget_bytes),
                      tr_show_gib(b, m->weights_bytes), tr_show_gib(d, m->activation_bytes),
                      tr_show_gib(e, m->graphs_bytes));
        tr_str_printf(&text, " = KV cache of %s GiB, %s tokens", tr_show_gib(f, m->kv_bytes),
                      tr_units_show_count(a, m->kv_tok));
        tr_str_printf(&text, "; CUDA context %s GiB beside it", tr_show_gib(b, m->context_bytes));
        tr_text_wrap(out, i ? "" : "  memory", 2 + LEAD, text.text);
        tr_str_free(&text);
    }
}

void tr_report_ceiling(struct tr_str *out, const struct tr_candidate *c)
{
    const struct tr_ceiling *l = &c->ceiling;
    struct tr_str text = {0};
    char a[TR_SHOW], b[TR_SHOW], d[TR_SHOW];

    if (!(l->arithmetic > 0.0))
        return;
    tr_str_printf(&text, "one GPU, requests/s: arithmetic %s at peak (%s TFLOP each), %s attained",
                  tr_show_num(a, l->arithmetic), tr_show_num(b, l->flops_per_request / 1e12),
                  tr_show_num(d, l->arithmetic_attained));
    tr_str_printf(&text, "; bandwidth %s (%s GB of KV read each)", tr_show_num(a, l->bandwidth),
                  tr_show_num(b, l->kv_read_bytes / 1e9));
    tr_str_printf(&text, "; KV memory %s (%s requests fit)", tr_show_num(a, l->kv_memory),
                  tr_show_num(b, l->concurrent));
    tr_str_printf(&text, "; with a perfect prefix cache: arithmetic %s, %s attained",
                  tr_show_num(a, l->arithmetic_cached),
                  tr_show_num(b, l->arithmetic_cached_attained));
    tr_text_wrap(out, "  ceilings", 2 + LEAD, text.text);
    tr_str_free(&text);
}

void tr_report_idle(struct tr_str *out, const struct tr_candidate *c, const struct tr_slo *slo)
{
    struct tr_str text = {0};
    char a[64], b[24], d[24], share[TR_SHOW];

    if (c->unloaded_ttft_ns[0] <= 0)
        return;
    tr_str_printf(&text, "with the fastest share to itself: TTFT p50 %s",
                  tr_units_show_ns(b, c->unloaded_ttft_ns[0]));
    tr_str_printf(&text, ", p95 %s, p99 %s", tr_units_show_ns(b, c->unloaded_ttft_ns[1]),
                  tr_units_show_ns(d, c->unloaded_ttft_ns[2]));
    tr_str_printf(&text, "; an average answer takes %s s", tr_show_num(share, c->solo_answer_s));
    for (int i = 0; i < slo->n; i++)
        if (slo->objective[i].metric == TR_TTFT)
            tr_str_printf(&text, "; inside %s: %s %%", tr_show_objective(a, &slo->objective[i]),
                          tr_show_percent(share, c->unloaded_inside[i]));
    tr_text_wrap(out, "  unloaded", 2 + LEAD, text.text);
    tr_str_free(&text);
}

/* ---- a run ---------------------------------------------------------------------------------- */

static void run_counts(struct tr_str *out, const struct tr_outcome *o)
{
    struct tr_str text = {0};
    char a[32], b[32];

    tr_str_printf(&text, "%s requests offered, %s answered", tr_units_show_count(a, o->offered),
                  tr_units_show_count(b, o->done));
    tr_str_printf(&text, ", %s refused, %s timed out", tr_units_show_count(a, o->rejected),
                  tr_units_show_count(b, o->timed_out));
    if (o->aborted > 0)
        tr_str_printf(&text, ", %s unfinished", tr_units_show_count(a, o->aborted));
    if (o->stopped_early)
        tr_str_printf(&text, "; stopped when the answer was certain");
    tr_text_wrap(out, "  requests", 2 + LEAD, text.text);
    tr_str_free(&text);
}

static void run_misses(struct tr_str *out, const struct tr_outcome *o)
{
    struct tr_str text = {0};
    char a[32], share[TR_SHOW];
    int64_t total = o->offered - o->inside_all;

    tr_str_printf(&text, "%s requests outside (%s %%)", tr_units_show_count(a, total),
                  tr_show_percent(share, (double)total / (double)o->offered));
    for (int i = 0, n = 0; i < TR_N_CAUSES; i++)
        if (o->missed[i] > 0)
            tr_str_printf(&text, "%s %s %s", n++ ? "," : ":", tr_cause_name((enum tr_cause)i),
                          tr_units_show_count(a, o->missed[i]));
    tr_text_wrap(out, "  misses", 2 + LEAD, text.text);
    tr_str_free(&text);
}

static void run_engines(struct tr_str *out, const struct tr_sim_result *r)
{
    const struct tr_fleet_stats *f = &r->fleet;
    struct tr_str text = {0};
    char a[32], b[32], num[TR_SHOW];

    tr_str_printf(&text, "%s steps, %s preemptions", tr_units_show_count(a, f->steps),
                  tr_units_show_count(b, f->preemptions));
    tr_str_printf(&text, "; %s prefill and %s decode tokens",
                  tr_units_show_count(a, f->prefill_tok), tr_units_show_count(b, f->decode_tok));
    tr_str_printf(&text, "; KV cache %s %% full on average", tr_show_num(num, 100.0 * f->kv_mean));
    tr_str_printf(&text, ", %s %% at most; GPUs busy", tr_show_num(num, 100.0 * f->kv_max));
    tr_str_printf(&text, " %s %% of the time", tr_show_num(num, 100.0 * f->busy_fraction));
    if (f->prefix_hits_tok > 0)
        tr_str_printf(
            &text, "; %s %% of prompt tokens came from the prefix cache, which lost %s blocks",
            tr_show_num(num, 100.0 * (double)f->prefix_hits_tok / (double)f->prefix_queries_tok),
            tr_units_show_count(a, f->evicted_blocks));
    if (f->switch_ns > 0)
        tr_str_printf(&text, "; %s turns of the time-slice ring, %s s spent switching",
                      tr_units_show_count(a, f->slices),
                      tr_show_num(num, (double)f->switch_ns / (double)TR_NS_PER_S));
    tr_text_wrap(out, "  engines", 2 + LEAD, text.text);
    tr_str_free(&text);
}

static void run_tiers(struct tr_str *out, const struct tr_outcome *o)
{
    struct tr_str text = {0};
    char count[32], share[TR_SHOW], p95[24];

    for (int i = 0; i < o->n_tiers; i++) {
        const struct tr_tier *t = &o->tier[i];
        tr_str_printf(&text, "%spriority %d: %s %% of %s requests inside", i > 0 ? "; " : "",
                      t->priority,
                      tr_show_percent(share, (double)t->inside_all / (double)t->offered),
                      tr_units_show_count(count, t->offered));
        if (t->ttft.count > 0)
            tr_str_printf(&text, ", TTFT p95 %s",
                          tr_units_show_ns(p95, tr_hist_quantile(&t->ttft, 0.95)));
    }
    if (o->n_tiers > 0)
        tr_text_wrap(out, "  tiers", 2 + LEAD, text.text);
    tr_str_free(&text);
}

void tr_report_run(struct tr_str *out, const struct tr_sim_result *r)
{
    if (r->outcome.offered == 0)
        return;
    run_counts(out, &r->outcome);
    run_misses(out, &r->outcome);
    run_tiers(out, &r->outcome);
    run_engines(out, r);
}
