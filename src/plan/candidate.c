/* Candidates: what a scenario allows, and the gates that need no simulation. */
#include "plan/plan.h"

#include <stdlib.h>
#include <strings.h>

/* vLLM's scheduler defaults where a process cannot see a large card: every MIG slice
 * (docs/engine.md, "Defaults"). */
#define SLICE_BATCHED_TOKENS 2048
#define SLICE_NUM_SEQS       256

static double gib(int64_t bytes)
{
    return (double)bytes / TR_GIB;
}

static void refuse(struct tr_candidate *c, enum tr_gate gate, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct tr_candidate *c, enum tr_gate gate, const char *fmt, ...)
{
    va_list ap;
    if (c->gate != TR_GATE_OK)
        return;
    c->gate = gate;
    va_start(ap, fmt);
    vsnprintf(c->why, sizeof c->why, fmt, ap);
    va_end(ap);
}

/* ---- gates ------------------------------------------------------------------------------------
 */

static void gate_quality(struct tr_candidate *c, const struct tr_workload *w)
{
    const struct tr_precision *pr = c->precision;
    if (!w->has_quality_limit || pr->weight_bytes >= 2.0)
        return;
    for (int i = 0; i < pr->n_quality; i++) {
        if (strcasecmp(pr->quality[i].metric, w->quality.metric) != 0)
            continue;
        if (pr->quality[i].loss > w->quality.at_most)
            refuse(c, TR_GATE_QUALITY, "%s loses %.1f %% on %s, the limit is %.1f %%", pr->name,
                   100 * pr->quality[i].loss, w->quality.metric, 100 * w->quality.at_most);
        return;
    }
    refuse(c, TR_GATE_QUALITY, "no published %s figure for %s", w->quality.metric, pr->name);
}

/* What a part keeps its pods apart with. Time-slicing shares memory and faults; MPS limits memory
 * only; MIG, and a card of one's own, separate all three (docs/share.md). */
enum tr_isolation tr_isolation_of(const struct tr_arrangement *a)
{
    enum tr_isolation least = a->one_engine ? TR_ISOLATION_NONE : TR_ISOLATION_PERFORMANCE;
    for (int p = 0; p < a->n_parts; p++) {
        if (a->parts[p].sharing == TR_TIMESLICE)
            least = TR_ISOLATION_NONE;
        else if (a->parts[p].sharing == TR_MPS)
            least = TR_MIN(least, TR_ISOLATION_MEMORY);
    }
    return least;
}

static void gate_isolation(struct tr_candidate *c, const struct tr_scenario *s)
{
    enum tr_isolation have = tr_isolation_of(&c->arrangement);
    if (have < s->isolation)
        refuse(c, TR_GATE_ISOLATION, "isolation of %s between %s is asked for; %s gives %s",
               tr_isolation_name(s->isolation), c->arrangement.one_engine ? "tenants" : "pods",
               c->arrangement.text, have == TR_ISOLATION_NONE ? "none" : "memory limits only");
}

static void gate_memory(struct tr_candidate *c, const struct tr_workload *w)
{
    for (int p = 0; p < c->arrangement.n_parts; p++) {
        const struct tr_memory *m = &c->memory[p];
        int pods = c->hw[p].n_pods;
        double have = gib(c->hw[p].mem_bytes);
        if (m->weights_bytes * pods > c->hw[p].mem_bytes)
            refuse(c, TR_GATE_MEMORY, "%s %.2f GiB x %d pod%s = %.1f GiB > %.2f GiB",
                   w->server != NULL ? "memory" : "weights", gib(m->weights_bytes), pods,
                   pods > 1 ? "s" : "", gib(m->weights_bytes) * pods, have);
        else if (w->server != NULL)
            continue;
        else if (m->kv_tok <= 0)
            refuse(c, TR_GATE_MEMORY,
                   "no memory left for a KV cache: weights %.2f + activations %.2f + CUDA graphs "
                   "%.2f GiB > %.2f GiB (%.3f of %.2f GiB)",
                   gib(m->weights_bytes), gib(m->activation_bytes), gib(m->graphs_bytes),
                   gib(m->budget_bytes), m->utilization, have);
        else if ((int64_t)m->num_gpu_blocks * TR_BLOCK_TOK < c->engine[p].max_model_len)
            refuse(c, TR_GATE_MEMORY,
                   "KV cache of %" PRId64 " tokens (%.2f GiB) does not hold one request of "
                   "max_model_len %d: vLLM does not start",
                   m->kv_tok, gib(m->kv_bytes), c->engine[p].max_model_len);
        else if (w->engine.gpu_memory_utilization > m->utilization_max &&
                 c->hw[p].sharing == TR_MPS)
            refuse(c, TR_GATE_MEMORY,
                   "gpu_memory_utilization %.3f is more than MPS lets a pod allocate, 1/%d of the "
                   "card less the CUDA context: at most %.3f",
                   w->engine.gpu_memory_utilization, pods, m->utilization_max);
        else if (w->engine.gpu_memory_utilization > m->utilization_max && pods > 1)
            refuse(c, TR_GATE_MEMORY,
                   "gpu_memory_utilization %.3f starts fewer than %d pods: at most %.3f each",
                   w->engine.gpu_memory_utilization, pods, m->utilization_max);
    }
}

/* ---- building ------------------------------------------------------------------------------- */

static int64_t smallest_ttft(const struct tr_slo *slo)
{
    int64_t limit_ns = 0;
    for (int i = 0; i < slo->n; i++)
        if (slo->objective[i].metric == TR_TTFT)
            limit_ns = limit_ns == 0 ? slo->objective[i].limit_ns
                                     : TR_MIN(limit_ns, slo->objective[i].limit_ns);
    return limit_ns;
}

int32_t tr_workload_model_len(const struct tr_workload *w)
{
    if (w->server != NULL)
        return INT32_MAX;
    return w->engine.max_model_len > 0 ? w->engine.max_model_len : w->model->max_positions;
}

/* Less than the whole card: its low ec under a power cap is not that of a slice whose neighbours
 * idle (docs/model.md, "MIG"). */
static bool is_slice(const struct tr_candidate *c, int p)
{
    const struct tr_mig_profile *profile = c->arrangement.parts[p].profile;
    return profile != NULL && profile->compute_slices < c->gpu->compute_slices;
}

/* The engine that a real pod would be on that share: the user's settings, vLLM's defaults. */
static void build_engine(struct tr_candidate *c, int p, const struct tr_workload *w)
{
    const struct tr_engine_opts *o = &w->engine;
    const struct tr_share_hw *hw = &c->hw[p];
    int budget = hw->mig ? SLICE_BATCHED_TOKENS : c->gpu->max_num_batched_tokens;
    int seqs = hw->mig ? SLICE_NUM_SEQS : c->gpu->max_num_seqs;
    budget = o->max_num_batched_tokens > 0 ? o->max_num_batched_tokens : budget;
    seqs = o->max_num_seqs > 0 ? o->max_num_seqs : TR_MIN(seqs, budget);
    if (seqs > budget)
        refuse(c, TR_GATE_ENGINE,
               "vLLM does not start with max_num_seqs %d above max_num_batched_tokens %d", seqs,
               budget);
    c->engine[p] = (struct tr_engine_config){
        .steptime = &c->steptime[p],
        .max_num_batched_tokens = budget,
        .max_num_seqs = seqs,
        .max_model_len = tr_workload_model_len(w),
        .long_prefill_token_threshold = o->long_prefill_token_threshold,
        .async = !o->no_async_scheduling,
        .enable_prefix_caching = !o->no_prefix_caching,
        .priority = c->arrangement.one_engine && w->priorities != NULL,
        .timeout_ns = w->client_timeout_ns,
        .ttft_limit_ns = smallest_ttft(&w->slo),
        .queue_limit = o->queue_limit,
    };
}

static void build_part(struct tr_candidate *c, int p, struct tr_arena *arena,
                       const struct tr_workload *w)
{
    const struct tr_engine_opts *o = &w->engine;
    if (w->server != NULL) {
        tr_server_part(c, p, arena, w);
        return;
    }
    c->hw[p] = tr_share_hw_of(c->gpu, &c->arrangement.parts[p]);
    if (is_slice(c, p) && c->arrangement.n_parts == 1)
        c->hw[p].ec = c->gpu->ec_alone;
    build_engine(c, p, w);
    struct tr_engine_config *e = &c->engine[p];
    tr_memory_size(&c->hw[p], w->model, c->precision,
                   &(struct tr_memory_opts){.gpu_memory_utilization = o->gpu_memory_utilization,
                                            .kv_tok = o->kv_tok,
                                            .num_gpu_blocks = o->num_gpu_blocks,
                                            .max_num_batched_tokens = e->max_num_batched_tokens,
                                            .max_num_seqs = e->max_num_seqs},
                   &c->memory[p]);
    e->num_gpu_blocks = c->memory[p].num_gpu_blocks;
    tr_steptime_init(&c->steptime[p], arena, &c->hw[p], w->model, c->precision,
                     e->max_num_batched_tokens, e->max_num_seqs, e->async, o->cuda_graph_padding);
}

static void build_alone(struct tr_candidate *c, struct tr_arena *arena, const struct tr_workload *w)
{
    int best = 0;
    for (int p = 1; p < c->arrangement.n_parts; p++)
        if (c->hw[p].sm_fraction > c->hw[best].sm_fraction)
            best = p;
    struct tr_share_hw hw = c->hw[best];
    const struct tr_engine_config *e = &c->engine[best];
    if (is_slice(c, best) || hw.sharing == TR_MPS)
        hw.ec = c->gpu->ec_alone;
    c->fastest = best;
    if (w->server != NULL)
        tr_steptime_server(&c->alone, arena, &hw, w->server);
    else
        tr_steptime_init(&c->alone, arena, &hw, w->model, c->precision, e->max_num_batched_tokens,
                         e->max_num_seqs, e->async, w->engine.cuda_graph_padding);
}

void tr_candidate_build(struct tr_candidate *c, struct tr_arena *arena, const struct tr_scenario *s,
                        const struct tr_node_type *node, const struct tr_arrangement *arrangement,
                        const struct tr_precision *precision, int precision_order)
{
    const struct tr_workload *w = &s->workload;
    *c = (struct tr_candidate){
        .node = node,
        .gpu = node->gpu,
        .arrangement = *arrangement,
        .precision = precision,
        .precision_order = precision_order,
    };
    for (int p = 0; p < arrangement->n_parts; p++)
        build_part(c, p, arena, w);
    build_alone(c, arena, w);
    gate_quality(c, w);
    gate_isolation(c, s);
    gate_memory(c, w);
    tr_candidate_warn(c, w);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/* The time to the first token of a prompt on an idle engine, API time included. */
static int64_t idle_ttft_ns(const struct tr_candidate *c, const struct tr_steptime *st,
                            int32_t prompt_tok)
{
    return TR_API_NS + tr_steptime_prefill_ps(st, TR_MAX(prompt_tok, 1),
                                              c->engine[c->fastest].max_num_batched_tokens) /
                           TR_PS_PER_NS;
}

/* The longest prompt whose first token comes within the limit where nothing else runs. */
static int32_t longest_prompt(const struct tr_candidate *c, int32_t most, int64_t limit_ns)
{
    int32_t lo = 0, hi = most;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo + 1) / 2;
        if (idle_ttft_ns(c, &c->alone, mid) <= limit_ns)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

static int64_t idle_tpot_ns(const struct tr_candidate *c, int64_t context_tok)
{
    return tr_steptime_ps(&c->alone, 1, 1, 1, context_tok, 0) / TR_PS_PER_NS;
}

static double share_admitted(const struct tr_candidate *c, const struct tr_lengths *l)
{
    return tr_lengths_share(l, l->total_cum, c->engine[c->fastest].max_model_len);
}

/* No more than this share of requests can be inside the objective, whatever the load. What a server
 * answers is its first token and its last. */
static double most_inside(const struct tr_candidate *c, const struct tr_objective *o,
                          const struct tr_lengths *l, bool server)
{
    double admitted = share_admitted(c, l);
    if (o->metric == TR_TTFT || (server && o->metric == TR_E2E)) {
        int32_t prompt_tok = longest_prompt(c, l->n_cum - 1, o->limit_ns);
        const int64_t *cum = c->shares ? l->fresh_cum : l->prompt_cum;
        return TR_MIN(admitted, tr_lengths_share(l, cum, prompt_tok));
    }
    if (o->metric == TR_TPOT && idle_tpot_ns(c, 1) > o->limit_ns)
        return 0;
    return admitted;
}

/* "0.65 s (0.80 s with all slices busy)": a MIG slice whose neighbours idle has more of the card's
 * power (docs/model.md, "MIG"). Elsewhere one figure: neighbours under MPS cost more than that. */
static const char *prefill_range(char buf[64], const struct tr_candidate *c, int32_t prompt_tok)
{
    char alone[24], all[24];
    int64_t alone_ns = idle_ttft_ns(c, &c->alone, prompt_tok);
    int64_t all_ns = idle_ttft_ns(c, &c->steptime[c->fastest], prompt_tok);
    tr_units_show_ns(alone, alone_ns);
    if (all_ns == alone_ns || c->hw[c->fastest].sharing == TR_MPS)
        snprintf(buf, 64, "%s", alone);
    else
        snprintf(buf, 64, "%s (%s with all slices busy)", alone, tr_units_show_ns(all, all_ns));
    return buf;
}

/* Why not even an idle share meets an objective. */
static void refuse_bound(struct tr_candidate *c, const struct tr_objective *o, double inside,
                         const struct tr_lengths *l, bool server)
{
    char limit[24], token[24], mean[64], tail[64];
    int sms = c->hw[c->fastest].sms;
    int32_t mean_tok = (int32_t)(l->prompt_tok + 0.5);
    int32_t tail_tok = tr_lengths_prompt_quantile(l, o->fraction);
    tr_units_show_ns(limit, o->limit_ns);
    if (o->metric == TR_TPOT && inside == 0)
        refuse(c, TR_GATE_BOUND, "a token takes %s on %d SMs even alone; the objective is %s",
               tr_units_show_ns(token, idle_tpot_ns(c, 1)), sms, limit);
    else if (inside >= share_admitted(c, l))
        refuse(c, TR_GATE_BOUND, "%.1f %% of the requests exceed max_model_len %d",
               100 * (1 - inside), c->engine[c->fastest].max_model_len);
    else if (server)
        refuse(
            c, TR_GATE_BOUND,
            "on %d SMs, alone, the mean request of %d item%s takes %s, the p%g request of %d %s; "
            "the objective is %s: at most %.1f %% of requests can be inside",
            sms, mean_tok, mean_tok > 1 ? "s" : "", prefill_range(mean, c, mean_tok),
            100 * o->fraction, tail_tok, prefill_range(tail, c, tail_tok), limit, 100 * inside);
    else
        refuse(c, TR_GATE_BOUND,
               "prefill on %d SMs, alone: %s for the mean prompt of %d tokens, %s for the p%g "
               "prompt of %d; the objective is %s: at most %.1f %% of requests can be inside",
               sms, prefill_range(mean, c, mean_tok), mean_tok, prefill_range(tail, c, tail_tok),
               100 * o->fraction, tail_tok, limit, 100 * inside);
}

void tr_candidate_bound(struct tr_candidate *c, const struct tr_workload *w,
                        const struct tr_lengths *l)
{
    static const double quantile[3] = {0.50, 0.95, 0.99};
    if (c->gate != TR_GATE_OK)
        return;
    for (int i = 0; i < 3; i++)
        c->unloaded_ttft_ns[i] =
            idle_ttft_ns(c, &c->alone, tr_lengths_prompt_quantile(l, quantile[i]));
    c->unloaded_mean_ttft_ns = idle_ttft_ns(c, &c->alone, (int32_t)(l->prompt_tok + 0.5));
    double context = l->decoded_tok > 0 ? l->context_decode / l->decoded_tok : 0;
    double step_s = (double)idle_tpot_ns(c, (int64_t)context) / 1e9;
    c->solo_answer_s = (double)c->unloaded_mean_ttft_ns / 1e9;
    if (w->server == NULL)
        c->solo_answer_s += l->output_tok * step_s;
    if (w->server != NULL)
        tr_server_ceiling(c, l);
    else
        tr_ceiling_compute(&c->ceiling, c, w->model, l);
    c->shares = l->shares && !w->engine.no_prefix_caching;
    for (int i = 0; i < w->slo.n; i++) {
        const struct tr_objective *o = &w->slo.objective[i];
        c->unloaded_inside[i] = most_inside(c, o, l, w->server != NULL);
        if (c->unloaded_inside[i] < o->fraction)
            refuse_bound(c, o, c->unloaded_inside[i], l, w->server != NULL);
    }
}

/* ---- fleets -------------------------------------------------------------------------------------
 */

/* One engine serves all tenants, so that none has a pod to be sent to. */
enum tr_router tr_candidate_router(const struct tr_candidate *c, const struct tr_workload *w)
{
    return c->arrangement.one_engine && w->router == TR_ROUTE_TENANT ? TR_ROUTE_RANDOM : w->router;
}

struct tr_fleet_config tr_candidate_fleet(const struct tr_candidate *c, const struct tr_workload *w,
                                          int gpus, uint64_t seed)
{
    struct tr_fleet_config f = {
        .gpus = gpus,
        .parts = c->arrangement.n_parts,
        .workload = {{.router = tr_candidate_router(c, w),
                      .n_tenants = w->n_tenants,
                      .priorities = w->priorities}},
        .seed = seed,
    };
    for (int p = 0; p < f.parts; p++)
        f.device[p] = (struct tr_device_config){
            .engine = c->engine[p],
            .n_pods = c->arrangement.parts[p].n_pods,
            .sharing = c->arrangement.parts[p].sharing,
            .quantum_ps = (int64_t)(c->gpu->quantum_s * 1e12),
            .switch_ps = (int64_t)(c->gpu->switch_s * 1e12),
            .yields = c->gpu->yields,
            .sharpness = c->gpu->mps_sharpness,
        };
    return f;
}

/* ---- enumeration ------------------------------------------------------------------------------
 */

struct builder {
    const struct tr_scenario *s;
    struct tr_arena *arena;
    struct tr_candidate *list;
    size_t n, cap;
};

static void add(struct builder *b, const struct tr_node_type *node, const struct tr_arrangement *a,
                const struct tr_precision *only)
{
    const struct tr_workload *w = &b->s->workload;
    for (size_t i = 0; i < w->n_precisions; i++) {
        if (only != NULL && w->precisions[i] != only)
            continue;
        tr_grow((void **)&b->list, &b->cap, b->n + 1, sizeof *b->list);
        tr_candidate_build(&b->list[b->n++], b->arena, b->s, node, a, w->precisions[i], (int)i);
    }
}

static int add_text(struct builder *b, const struct tr_node_type *node, const char *text,
                    struct tr_err *err)
{
    struct tr_arrangement a;
    const struct tr_precision *only = NULL;
    int rc = tr_arrangement_parse(text, node->gpu, b->s->catalog, &a, &only, err);
    if (rc == TR_OK)
        add(b, node, &a, only);
    return rc;
}

/* An arrangement that only other node types of the scenario can have. */
static void add_impossible(struct builder *b, const struct tr_node_type *node, const char *text,
                           const struct tr_err *why)
{
    tr_grow((void **)&b->list, &b->cap, b->n + 1, sizeof *b->list);
    struct tr_candidate *c = &b->list[b->n++];
    const struct tr_workload *w = &b->s->workload;
    const char *word = strrchr(text, ' ');
    int len = (int)strlen(text);
    *c = (struct tr_candidate){.node = node, .gpu = node->gpu, .precision = w->precisions[0]};
    for (size_t i = 0; i < w->n_precisions && word != NULL; i++)
        if (strcasecmp(word + 1, w->precisions[i]->name) == 0) {
            c->precision = w->precisions[i];
            len = (int)(word - text);
        }
    snprintf(c->arrangement.text, sizeof c->arrangement.text, "%.*s", len, text);
    refuse(c, TR_GATE_GEOMETRY, "%s", why->text);
}

static bool precision_allowed(const struct tr_workload *w, const struct tr_precision *precision)
{
    for (size_t i = 0; i < w->n_precisions; i++)
        if (w->precisions[i] == precision)
            return true;
    return false;
}

/* `compare[k]` as the user wrote it, for every node type. It is wrong if none can have it, or if it
 * names a precision that the workload does not allow. */
static int check_compare(const struct tr_scenario *s, size_t k, struct tr_err *err)
{
    const struct tr_workload *w = &s->workload;
    struct tr_arrangement a;
    struct tr_err first = {0};
    bool possible = false;
    for (size_t i = 0; i < s->n_nodes; i++) {
        const struct tr_precision *only = NULL;
        if (tr_arrangement_parse(s->compare[k], s->nodes[i]->gpu, s->catalog, &a, &only, &first))
            continue;
        possible = true;
        if (only != NULL && !precision_allowed(w, only))
            return tr_node_err(err, s->compare_at[k],
                               "arrangement '%s': %s is not among the precisions that '%s' allows "
                               "(workloads: precision)",
                               s->compare[k], only->name, w->name);
    }
    return possible ? TR_OK : tr_node_err(err, s->compare_at[k], "%s", first.text);
}

/* One engine for all tenants, where that is not what `whole` is: always looked at, unless they do
 * not trust each other or the user has named it himself. */
static int add_one_engine(struct builder *b, const struct tr_node_type *node, struct tr_err *err)
{
    const struct tr_scenario *s = b->s;
    const struct tr_workload *w = &s->workload;
    if (w->n_tenants < 2 || (!w->own_pods && w->priorities == NULL))
        return TR_OK;
    if (!s->compare_auto && s->isolation != TR_ISOLATION_NONE)
        return TR_OK;
    for (size_t k = 0; k < s->n_compare; k++)
        if (strncasecmp(s->compare[k], "one-engine", strlen("one-engine")) == 0)
            return TR_OK;
    return add_text(b, node, "one-engine", err);
}

static void add_compare(struct builder *b, const struct tr_node_type *node)
{
    for (size_t k = 0; k < b->s->n_compare; k++) {
        struct tr_err why = {0};
        if (add_text(b, node, b->s->compare[k], &why) < 0)
            add_impossible(b, node, b->s->compare[k], &why);
    }
}

/* whole, time-slicing and MPS by the usual counts, and every profile at its maximum count. */
static int add_auto(struct builder *b, const struct tr_node_type *node, struct tr_err *err)
{
    static const char *const usual[] = {"whole",       "timeslice:2", "timeslice:4",
                                        "timeslice:8", "mps:2",       "mps:4"};
    for (size_t i = 0; i < TR_LEN(usual); i++)
        if (add_text(b, node, usual[i], err) < 0)
            return err == NULL ? TR_EINPUT : err->code;
    for (int i = 0; i < node->gpu->n_profiles; i++) {
        const struct tr_mig_profile *p = &node->gpu->profiles[i];
        char text[64];
        if (p->media)
            continue;
        snprintf(text, sizeof text, "mig:%s*%d", p->name, p->max_count);
        if (add_text(b, node, text, err) < 0)
            return err == NULL ? TR_EINPUT : err->code;
    }
    return TR_OK;
}

int tr_candidates_enumerate(const struct tr_scenario *s, struct tr_arena *arena,
                            struct tr_candidate **out, size_t *n, struct tr_err *err)
{
    struct builder b = {.s = s, .arena = arena};
    const struct tr_workload *w = &s->workload;
    int rc = TR_OK;
    if (s->isolation != TR_ISOLATION_NONE && w->n_tenants > 1 && !w->own_pods)
        rc = tr_err_set(err, TR_EINPUT,
                        "%s: isolation: %s keeps pods apart, but the %d tenants of '%s' share "
                        "theirs; allowed: tenants.pods: own, or isolation: none",
                        s->path, tr_isolation_name(s->isolation), w->n_tenants, w->name);
    for (size_t k = 0; k < s->n_compare && rc == TR_OK; k++)
        rc = check_compare(s, k, err);
    for (size_t i = 0; i < s->n_nodes && rc == TR_OK; i++) {
        if (s->compare_auto)
            rc = add_auto(&b, s->nodes[i], err);
        else
            add_compare(&b, s->nodes[i]);
        if (rc == TR_OK)
            rc = add_one_engine(&b, s->nodes[i], err);
    }
    if (rc == TR_OK) {
        /* Step-time tables are pointed to by engine configurations: fix the addresses once. */
        *out = TR_ARENA_NEW(arena, struct tr_candidate, b.n);
        memcpy(*out, b.list, b.n * sizeof **out);
        for (size_t i = 0; i < b.n; i++)
            for (int p = 0; p < TR_MAX_PARTS; p++)
                (*out)[i].engine[p].steptime = &(*out)[i].steptime[p];
        *n = b.n;
    }
    free(b.list);
    return rc;
}
