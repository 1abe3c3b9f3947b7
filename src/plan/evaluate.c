/* Capacity of one GPU, and the smallest fleet: searches over simulations. */
#include "plan/plan.h"

#include <stdlib.h>

#define CAPACITY_REQUESTS 20000
#define CAPACITY_WARMUP   2000
#define CAPACITY_SEEDS    5
#define QUICK_REQUESTS    5000
#define QUICK_WARMUP      500
#define QUICK_GPUS        4  /* --quick simulates this many of a fleet's GPUs */
#define BEYOND_GPUS       16 /* the full plan this many, where a fleet is beyond nodes.max */
#define QUEUE_LIMIT       1000000

/* ---- capacity -----------------------------------------------------------------------------------
 */

/* Is the objective met, and not only because it cannot see a queue that grows for ever? TPOT leaves
 * out the wait for the first token, and no request of a run waits for longer than the run. */
static bool carried(const struct tr_sim_result *result, const struct tr_slo *slo)
{
    const struct tr_outcome *o = &result->outcome;
    bool sees_queue = false;
    for (int i = 0; i < slo->n; i++)
        sees_queue =
            sees_queue || (slo->objective[i].metric != TR_TPOT &&
                           slo->objective[i].limit_ns < o->last_arrival_ns - o->first_arrival_ns);
    return result->meets && (sees_queue || tr_outcome_label(o) != TR_OVERLOADED);
}

struct rate_search {
    const struct tr_candidate *c;
    const struct tr_workload *w;
    const struct tr_slo *slo;
    struct tr_source *src;
    int64_t requests, warmup;
    uint64_t seed;
    const struct tr_evaluation *ev;
};

/* What hardware allows: with every prompt cached, where prompts share anything. */
static double ceiling_of(const struct tr_candidate *c)
{
    return c->shares ? c->ceiling.lowest_cached : c->ceiling.lowest;
}

static int rate_meets(const struct rate_search *q, double rate, bool *meets, struct tr_err *err)
{
    struct tr_sim_result result;
    *meets = false;
    if (rate > ceiling_of(q->c)) /* a run may be too short to show what physics forbids */
        return TR_OK;
    struct tr_source *src = tr_source_poisson_like(q->src, rate, q->requests + q->warmup, q->seed);
    struct tr_sim_config cfg = {
        .fleet = tr_candidate_fleet(q->c, q->w, 1, q->seed),
        .slo = q->slo,
        .expected = q->requests,
        .warmup = q->warmup,
        .decide = true,
        .max_queue = QUEUE_LIMIT,
        .stop = q->ev->opts->progress.stop,
        .simulated = q->ev->simulated,
    };
    int rc = tr_sim_run(&cfg, src, &result, err);
    *meets = carried(&result, q->slo);
    tr_sim_result_free(&result);
    tr_source_close(src);
    return rc;
}

int tr_search_rate(const struct tr_candidate *c, const struct tr_workload *w,
                   const struct tr_slo *slo, struct tr_source *src, int64_t requests,
                   int64_t warmup, double precision, double guess, uint64_t seed,
                   const struct tr_evaluation *ev, double *rate, struct tr_err *err)
{
    struct tr_slo whole_run = *slo;
    whole_run.spikes_only = false; /* a constant rate has no spikes */
    struct rate_search q = {c, w, &whole_run, src, requests, warmup, seed, ev};
    double lo = 0, hi = 0, r = guess, factor = 1.3;
    *rate = 0;
    while (hi == 0 || lo == 0 || hi > lo * (1 + precision)) {
        bool meets;
        int rc = rate_meets(&q, r, &meets, err);
        if (rc < 0)
            return rc;
        if (meets)
            lo = r;
        else
            hi = r;
        if (lo > 0 && hi > 0) {
            r = lo + (hi - lo) / 2;
            continue;
        }
        r = meets ? r * factor : r / factor;
        factor *= 1.25;
        if (r < guess * 1e-4) /* not even one request now and then */
            return TR_OK;
    }
    *rate = lo;
    return TR_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int tr_evaluate_capacity(struct tr_candidate *c, const struct tr_evaluation *ev, struct tr_err *err)
{
    const struct tr_workload *w = &ev->scenario->workload;
    bool quick = ev->opts->quick;
    int seeds = quick ? 1 : CAPACITY_SEEDS;
    double rates[CAPACITY_SEEDS];
    double guess = TR_MIN(c->ceiling.arithmetic_attained, c->ceiling.lowest) * 0.6;
    struct tr_source *src = tr_source_clone(ev->source);
    int rc = TR_OK;
    for (int i = 0; i < seeds && rc == TR_OK; i++) {
        uint64_t seed = tr_rng_u64(ev->opts->seed, tr_rng_stream("capacity", 0, 0), (uint64_t)i);
        rc = tr_search_rate(c, w, &w->slo, src, quick ? QUICK_REQUESTS : CAPACITY_REQUESTS,
                            quick ? QUICK_WARMUP : CAPACITY_WARMUP, quick ? 0.03 : 0.02, guess,
                            seed, ev, &rates[i], err);
        if (rc == TR_OK && rates[i] > 0)
            guess = rates[i];
    }
    tr_source_close(src);
    if (rc < 0)
        return rc;
    qsort(rates, (size_t)seeds, sizeof rates[0], by_value);
    c->capacity_seeds = seeds;
    c->capacity_rps = rates[seeds / 2];
    c->capacity_lo = rates[0];
    c->capacity_hi = rates[seeds - 1];
    return TR_OK;
}

/* ---- fleet
 * ---------------------------------------------------------------------------------------- */

/* The fewest GPUs that carry, minute by minute, as large a share of the requests as the objective
 * asks for: where the search begins. */
static int guess_gpus(const struct tr_candidate *c, const struct tr_evaluation *ev)
{
    const struct tr_spikes *s = ev->spikes;
    const struct tr_slo *slo = &ev->scenario->workload.slo;
    double fraction = 0;
    for (int i = 0; i < slo->n; i++)
        fraction = TR_MAX(fraction, slo->objective[i].fraction);
    if (c->capacity_rps <= 0)
        return 1;
    int lo = 1, hi = 1 + (int)TR_MIN(s->peak_rate / c->capacity_rps, 1e6);
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        int64_t carried = 0;
        for (int64_t m = 0; m < s->n_minutes; m++)
            carried += s->count[m] <= 60.0 * c->capacity_rps * mid ? s->count[m] : 0;
        if ((double)carried >= fraction * (double)s->requests)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* How many of a fleet's GPUs are simulated. Pods that are picked without a look at their load are
 * alike, so that a few stand for all; a tenant's own pods are not. */
static int sample_of(const struct tr_evaluation *ev, int nodes, int gpus)
{
    const struct tr_workload *w = &ev->scenario->workload;
    if (w->router == TR_ROUTE_LEAST_REQUESTS || w->router == TR_ROUTE_TENANT || w->slo.spikes_only)
        return gpus;
    if (ev->opts->quick)
        return TR_MIN(gpus, QUICK_GPUS);
    return nodes > ev->scenario->nodes_max ? TR_MIN(gpus, BEYOND_GPUS) : gpus;
}

static int run_fleet(const struct tr_candidate *c, const struct tr_evaluation *ev, int nodes,
                     struct tr_sim_result *result, struct tr_err *err)
{
    const struct tr_workload *w = &ev->scenario->workload;
    int gpus = nodes * c->node->gpus;
    struct tr_source *src = tr_source_clone(ev->source);
    struct tr_sim_config cfg = {
        .fleet = tr_candidate_fleet(c, w, gpus, ev->opts->seed),
        .slo = &w->slo,
        .spikes = ev->spikes,
        .expected = ev->spikes->requests,
        .decide = true,
        .max_queue = QUEUE_LIMIT,
        .stop = ev->opts->progress.stop,
        .simulated = ev->simulated,
    };
    int sample = sample_of(ev, nodes, gpus);
    if (sample < gpus) {
        cfg.fleet.simulated_gpus = sample;
        cfg.expected = ev->spikes->requests * sample / gpus;
    }
    int rc = tr_sim_run(&cfg, src, result, err);
    tr_source_close(src);
    return rc;
}

static void keep_failure(struct tr_candidate *c, int nodes, const struct tr_sim_result *result)
{
    if (nodes <= c->fail_nodes)
        return;
    c->fail_nodes = nodes;
    memcpy(c->fail_missed, result->outcome.missed, sizeof c->fail_missed);
}

static void keep_success(struct tr_candidate *c, int nodes, struct tr_sim_result *result)
{
    tr_sim_result_free(&c->result);
    c->result = *result;
    c->nodes = nodes;
    c->sampled_gpus = result->fleet.simulated_pods < result->fleet.pods
                          ? result->fleet.simulated_pods / c->arrangement.n_pods
                          : 0;
}

/* The next size to try, given that `lo` nodes are too few and c->nodes (0: none known) suffice. */
static int next_size(const struct tr_candidate *c, int lo, int tried, int *stride)
{
    if (c->nodes == 0) {
        int next = tried + *stride;
        *stride *= 2;
        return next;
    }
    int below = c->nodes - *stride;
    *stride *= 2;
    if (c->fail_nodes == 0 && below > lo)
        return below;
    return lo + (c->nodes - lo) / 2;
}

int tr_evaluate_fleet(struct tr_candidate *c, const struct tr_evaluation *ev, struct tr_err *err)
{
    const struct tr_scenario *s = ev->scenario;
    const struct tr_workload *w = &s->workload;
    int gpus = c->node->gpus, least = TR_MAX(s->nodes_min, 1);
    if (w->own_pods) {
        int pods = c->arrangement.n_pods * gpus;
        least = TR_MAX(least, (w->n_tenants + pods - 1) / pods);
    }
    int guess = (guess_gpus(c, ev) + gpus - 1) / gpus;
    int lo = least - 1, n = TR_MAX(least, guess), limit = 8 * n + 64;
    int stride = TR_MAX(1, n / 12);
    while (c->nodes == 0 || c->nodes - lo > 1) {
        struct tr_sim_result result;
        if (n > limit) {
            c->gate = TR_GATE_FLEET;
            snprintf(c->why, sizeof c->why, "no fleet of up to %d nodes meets the objective", lo);
            return TR_OK;
        }
        int rc = run_fleet(c, ev, n, &result, err);
        if (rc < 0) {
            tr_sim_result_free(&result);
            return rc;
        }
        if (carried(&result, &w->slo)) {
            keep_success(c, n, &result);
        } else {
            keep_failure(c, n, &result);
            lo = n;
            tr_sim_result_free(&result);
        }
        n = next_size(c, lo, n, &stride);
    }
    c->beyond_max = c->nodes > s->nodes_max;
    c->usd_per_month = c->nodes * c->node->usd_per_h * TR_HOURS_PER_MONTH;
    c->label = tr_outcome_label(&c->result.outcome);
    return TR_OK;
}
