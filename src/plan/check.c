/* check: ceilings and feasibility of every arrangement, and published claims against arithmetic. */
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

#define CLAIM_REQUESTS 5000
#define CLAIM_WARMUP   500

/* ---- how often pods meet ----------------------------------------------------------------------
 */

/* A pod is busy from a request's arrival to its last token, about `solo_answer_s` on a share it has
 * to itself. With Poisson arrivals the number of requests in service is Poisson with mean rate x
 * time (M/G/infinity), so each of the others is idle with probability exp(-rate x time). */
static double busy_probability(double rate_per_pod, double answer_s, int others)
{
    return 1.0 - tr_exp(-TR_MIN(rate_per_pod * answer_s * others, 700.0));
}

static int neighbours(const struct tr_candidate *c)
{
    int most = 0;
    for (int p = 0; p < c->arrangement.n_parts; p++)
        most = TR_MAX(most, c->arrangement.parts[p].n_pods - 1);
    return most;
}

static void check_busy(struct tr_check *check)
{
    check->busy_other = TR_ARENA_NEW(&check->arena, double, check->n_candidates);
    check->rate_half_busy = TR_ARENA_NEW(&check->arena, double, check->n_candidates);
    for (size_t i = 0; i < check->n_candidates; i++) {
        const struct tr_candidate *c = &check->candidates[i];
        int others = neighbours(c);
        if (others == 0 || c->solo_answer_s <= 0)
            continue;
        double per_pod = check->stats.rate / c->arrangement.n_pods;
        check->busy_other[i] = busy_probability(per_pod, c->solo_answer_s, others);
        check->rate_half_busy[i] = tr_ln(2.0) / (c->solo_answer_s * others);
    }
}

/* ---- claims ------------------------------------------------------------------------------------
 */

static void answer_line(struct tr_claim_answer *a, struct tr_arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void answer_line(struct tr_claim_answer *a, struct tr_arena *arena, const char *fmt, ...)
{
    struct tr_str s = {0};
    va_list ap;
    va_start(ap, fmt);
    tr_str_vprintf(&s, fmt, ap);
    va_end(ap);
    tr_assert(a->n_lines < (int)TR_LEN(a->lines));
    a->lines[a->n_lines++] = tr_arena_strdup(arena, s.text);
    tr_str_free(&s);
}

/* A claimed rate against the three ceilings. Prefix caching is software, so that only a rate above
 * the ceilings with a perfect cache is refuted by physics. */
static void claim_rate(struct tr_claim_answer *a, struct tr_arena *arena)
{
    const struct tr_ceiling *c = &a->candidate.ceiling;
    double rate = a->claim->request_rate;
    answer_line(a, arena,
                "arithmetic: %.1f TFLOP a request x %g/s = %.0f TFLOP/s of %.0f at peak: at most "
                "%.1f requests/s, %.1f at the efficiency that is reached",
                c->flops_per_request / 1e12, rate, c->flops_per_request * rate / 1e12,
                c->peak_flops / 1e12, c->arithmetic, c->arithmetic_attained);
    answer_line(a, arena,
                "arithmetic, every prompt token cached: %.2f TFLOP x %g/s = %.0f TFLOP/s: at most "
                "%.1f requests/s",
                c->flops_cached / 1e12, rate, c->flops_cached * rate / 1e12, c->arithmetic_cached);
    answer_line(a, arena,
                "KV reads, even with every prompt cached: %.1f GB x %g/s = %.2f TB/s of %.2f: at "
                "most %.1f requests/s",
                c->kv_read_bytes / 1e9, rate, c->kv_read_bytes * rate / 1e12,
                tr_ceiling_bandwidth(&a->candidate) / 1e12, c->bandwidth);
    answer_line(a, arena,
                "KV memory (Little's law): %.0f requests at a time, each for %.0f steps that read "
                "the weights and their contexts: at most %.1f requests/s",
                c->concurrent, a->lengths.output_tok, c->kv_memory);
    if (rate > c->lowest_cached) {
        a->refuted = true;
        return;
    }
    answer_line(a, arena, "%g requests/s is %.0f %% of the lowest ceiling, %.1f requests/s%s", rate,
                100 * rate / c->lowest, c->lowest,
                rate > c->lowest ? ": possible only with prompts that are cached" : "");
}

/* The first token of a prompt cannot come before its arithmetic is done at 100 % of peak. */
static void claim_ttft(struct tr_claim_answer *a, struct tr_arena *arena)
{
    const struct tr_claim *claim = a->claim;
    const struct tr_model *m = claim->model;
    const struct tr_share_hw *hw = &a->candidate.hw[0];
    double n = claim->prompt_tok;
    int64_t claimed_ns = claim->ttft_p50_ns > 0 ? claim->ttft_p50_ns : claim->ttft_p95_ns;
    double flops = 2.0 * (double)m->layer_params * n + 2.0 * (double)m->head_params +
                   4.0 * m->heads * m->head_dim * m->layers * n * (n + 1) / 2;
    double peak = tr_ceiling_peak_flops(&a->candidate, hw->sm_fraction);
    double least_s = flops / peak;
    char ours[24], mine[64] = "";
    if (a->candidate.gate == TR_GATE_OK)
        snprintf(mine, sizeof mine, "; this model: %s on an idle share",
                 tr_units_show_ns(ours, a->candidate.unloaded_mean_ttft_ns));
    answer_line(a, arena,
                "first token: %.1f TFLOP of prefill on %d of %d SMs, %.1f TFLOP/s at peak: at "
                "least %.0f ms; claimed %.0f ms%s",
                flops / 1e12, hw->sms, hw->gpu->sms, peak / 1e12, 1e3 * least_s,
                (double)claimed_ns / 1e6, mine);
    a->refuted = a->refuted || (double)claimed_ns < least_s * 1e9;
}

/* The highest rate at which the claimed latencies hold. */
static int claim_true_rate(struct tr_claim_answer *a, struct tr_arena *arena,
                           const struct tr_scenario *s, uint64_t seed, struct tr_err *err)
{
    const struct tr_claim *claim = a->claim;
    struct tr_plan_opts opts = {.seed = seed};
    struct tr_evaluation ev = {.scenario = s, .opts = &opts};
    struct tr_slo slo = {0};
    struct tr_source *src = NULL;
    struct tr_trace_info info;
    if (claim->ttft_p50_ns > 0)
        slo.objective[slo.n++] = (struct tr_objective){TR_TTFT, 0.50, claim->ttft_p50_ns};
    if (claim->ttft_p95_ns > 0)
        slo.objective[slo.n++] = (struct tr_objective){TR_TTFT, 0.95, claim->ttft_p95_ns};
    int rc = tr_source_open(&s->workload.traffic, seed, &src, &info, err);
    if (rc == TR_OK)
        rc = tr_search_rate(&a->candidate, &s->workload, &slo, src, CLAIM_REQUESTS, CLAIM_WARMUP,
                            0.02, a->candidate.ceiling.arithmetic_attained * 0.5, seed, &ev,
                            &a->possible_rate, err);
    tr_source_close(src);
    if (rc < 0)
        return rc;
    if (a->possible_rate > 0 && claim->request_rate > 0)
        answer_line(a, arena,
                    "its latencies would be true up to %.2f requests/s: %.2f of the claimed rate",
                    a->possible_rate, a->possible_rate / claim->request_rate);
    else if (a->possible_rate > 0)
        answer_line(a, arena, "its latencies would be true up to %.2f requests/s",
                    a->possible_rate);
    else
        answer_line(a, arena, "its latencies hold at no rate on this share");
    return TR_OK;
}

/* The claim as a scenario of its own: fixed lengths, one node with one such GPU, no restrictions.
 */
static void claim_scenario(struct tr_scenario *s, struct tr_node_type *node,
                           const struct tr_scenario *from, const struct tr_claim *claim)
{
    static const struct tr_knot flat[2] = {{0, 1.0}, {3600 * TR_NS_PER_S, 1.0}};
    struct tr_workload *w = &s->workload;
    *s = (struct tr_scenario){.catalog = from->catalog,
                              .path = from->path,
                              .nodes_min = 1,
                              .nodes_max = 1,
                              .n_workloads = 1};
    *node = (struct tr_node_type){
        .name = claim->gpu->name, .gpu = claim->gpu, .gpus = 1, .usd_per_h = (double)NAN};
    w->name = "claim";
    w->model = claim->model;
    w->precisions[0] = claim->precision;
    w->n_precisions = 1;
    w->n_tenants = 1;
    w->engine.max_model_len = TR_MAX(claim->prompt_tok + claim->output_tok, 2048);
    tr_traffic_spec_init(&w->traffic);
    w->traffic.process = TR_POISSON;
    w->traffic.knots = flat;
    w->traffic.n_knots = 2;
    w->traffic.duration_ns = flat[1].time_ns;
    w->traffic.prompt =
        (struct tr_length){TR_LENGTH_FIXED, .fixed_tok = TR_MAX(claim->prompt_tok, 1)};
    w->traffic.output =
        (struct tr_length){TR_LENGTH_FIXED, .fixed_tok = TR_MAX(claim->output_tok, 1)};
}

static int answer_claim(struct tr_check *check, struct tr_claim_answer *a, uint64_t seed,
                        struct tr_err *err)
{
    struct tr_arena *arena = &check->arena;
    const struct tr_claim *claim = a->claim;
    struct tr_scenario s;
    struct tr_node_type *node = TR_ARENA_NEW(arena, struct tr_node_type, 1);
    int32_t prompt = TR_MAX(claim->prompt_tok, 1), output = TR_MAX(claim->output_tok, 1);
    claim_scenario(&s, node, check->scenario, claim);
    tr_lengths_fixed(&a->lengths, arena, prompt, output);
    tr_candidate_build(&a->candidate, arena, &s, node, &claim->arrangement, claim->precision, 0);
    a->possible_rate = -1;
    if (a->candidate.gate == TR_GATE_MEMORY) {
        a->refuted = true;
        answer_line(a, arena, "does not fit: %s", a->candidate.why);
        return TR_OK;
    }
    tr_candidate_bound(&a->candidate, &s.workload, &a->lengths);
    /* Arithmetic holds for what is not simulated, too. */
    tr_ceiling_compute(&a->candidate.ceiling, &a->candidate, claim->model, &a->lengths);
    if (claim->fits)
        answer_line(a, arena, "fits: a KV cache of %" PRId64 " tokens per pod",
                    a->candidate.memory[0].kv_tok);
    if (claim->request_rate > 0)
        claim_rate(a, arena);
    if (claim->ttft_p50_ns == 0 && claim->ttft_p95_ns == 0)
        return TR_OK;
    bool rate_refuted = a->refuted;
    claim_ttft(a, arena);
    if ((a->refuted && !rate_refuted) || a->candidate.gate != TR_GATE_OK)
        return TR_OK;
    return claim_true_rate(a, arena, &s, seed, err);
}

/* ---- the whole
 * ----------------------------------------------------------------------------------- */

static int check_workload(struct tr_check *check, uint64_t seed, struct tr_err *err)
{
    const struct tr_scenario *s = check->scenario;
    struct tr_plan_opts opts = {.seed = seed};
    struct tr_traffic_spec traffic;
    struct tr_source *src = NULL;
    struct tr_trace_info info;
    double capacity;
    int rc = tr_plan_traffic(s, &opts, NULL, &traffic, &capacity, err);
    if (rc == TR_OK)
        rc = tr_source_open(&traffic, seed, &src, &info, err);
    if (rc < 0)
        return rc;
    tr_traffic_measure(src, &check->stats);
    tr_lengths_measure(&check->lengths, &check->arena, src, tr_workload_model_len(&s->workload));
    tr_source_close(src);
    if (check->stats.requests == 0)
        return tr_err_set(err, TR_EINPUT, "%s: the traffic holds no requests", s->path);
    rc = tr_candidates_enumerate(s, &check->arena, &check->candidates, &check->n_candidates, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < check->n_candidates; i++)
        tr_candidate_bound(&check->candidates[i], &s->workload, &check->lengths);
    check_busy(check);
    return TR_OK;
}

int tr_check_run(const struct tr_scenario *scenario, uint64_t seed, struct tr_check **out,
                 struct tr_err *err)
{
    struct tr_check *check = tr_calloc(1, sizeof *check);
    int rc = TR_OK;
    *out = NULL;
    check->scenario = scenario;
    if (scenario->n_workloads > 1)
        rc = tr_err_set(err, TR_EINPUT, "%s: has %zu workloads; name one with --workload",
                        scenario->path, scenario->n_workloads);
    else if (scenario->n_workloads > 0)
        rc = check_workload(check, seed, err);
    check->answers = TR_ARENA_NEW(&check->arena, struct tr_claim_answer, scenario->n_claims);
    for (size_t i = 0; i < scenario->n_claims && rc == TR_OK; i++) {
        check->answers[i].claim = &scenario->claims[i];
        rc = answer_claim(check, &check->answers[i], seed, err);
        check->n_answers++;
    }
    if (rc == TR_OK)
        *out = check;
    else
        tr_check_free(check);
    return rc;
}

void tr_check_free(struct tr_check *check)
{
    if (check == NULL)
        return;
    tr_arena_free(&check->arena);
    free(check);
}

int tr_check_exit(const struct tr_check *check)
{
    bool possible = check->n_candidates == 0;
    for (size_t i = 0; i < check->n_candidates; i++)
        possible = possible || check->candidates[i].gate == TR_GATE_OK;
    for (size_t i = 0; i < check->n_answers; i++)
        possible = possible && !check->answers[i].refuted;
    return possible ? 0 : TR_EXIT_NO;
}
