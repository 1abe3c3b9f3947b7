/* Capacity of one GPU: the highest constant rate that meets the objective. */
#include "plan/plan.h"

#include <stdlib.h>

#define ROUGH_PART      8   /* this part of the requests finds the neighbourhood, */
#define ROUGH_REQUESTS  400 /* but no fewer than these */
#define ROUGH_PRECISION 0.15

/* TPOT leaves out the wait for the first token, and no request of a run waits for longer than the
 * run: neither sees a queue that grows for ever. */
bool tr_objective_carried(const struct tr_sim_result *result, const struct tr_slo *slo)
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
    int64_t *outside; /* NULL, or told of the last run */
};

/* What hardware allows: with every prompt cached, where prompts share anything. */
static double ceiling_of(const struct tr_candidate *c)
{
    return c->shares ? c->ceiling.lowest_cached : c->ceiling.lowest;
}

static int run_at(const struct rate_search *q, double rate, double *excess, struct tr_err *err)
{
    struct tr_sim_result result;
    *excess = 1;
    if (rate > ceiling_of(q->c)) /* a run may be too short to show what physics forbids */
        return TR_OK;
    struct tr_source *src = tr_source_poisson_like(q->src, rate, q->requests + q->warmup, q->seed);
    struct tr_sim_config cfg = {
        .fleet = tr_candidate_fleet(q->c, q->w, 1, q->seed),
        .slo = q->slo,
        .expected = q->requests,
        .warmup = q->warmup,
        .decide = true,
        .max_queue = TR_QUEUE_LIMIT,
        .stop = q->ev->opts->progress.stop,
        .simulated = q->ev->simulated,
    };
    int rc = tr_sim_run(&cfg, src, &result, err);
    *excess = tr_hunt_excess(q->c, &result, q->slo, q->requests);
    if (q->outside != NULL)
        memcpy(q->outside, result.outside, sizeof result.outside);
    tr_sim_result_free(&result);
    tr_source_close(src);
    return rc;
}

/* *rate is the highest found to be met, to `precision`; 0: not even one request now and then. */
static int search_from(const struct rate_search *q, double guess, double precision, double *rate,
                       struct tr_err *err)
{
    struct tr_hunt h = {.slope = tr_hunt_growth(q->c)};
    *rate = 0;
    for (double r = guess; h.met == 0 || h.over == 0 || h.over > h.met * (1 + precision);
         r = tr_hunt_next(&h, precision)) {
        double excess;
        if (r < guess * 1e-4)
            return TR_OK;
        int rc = run_at(q, r, &excess, err);
        if (rc < 0)
            return rc;
        tr_hunt_learn(&h, r, excess);
    }
    *rate = h.met;
    return TR_OK;
}

/* A part of the requests finds the neighbourhood, all of them the rate. */
static int search(const struct rate_search *q, double guess, double precision, double *rate,
                  struct tr_err *err)
{
    struct rate_search rough = *q;
    double near = 0;
    rough.requests = TR_MAX(q->requests / ROUGH_PART, ROUGH_REQUESTS);
    rough.warmup = q->warmup / ROUGH_PART;
    int rc = search_from(&rough, guess, ROUGH_PRECISION, &near, err);
    if (rc < 0)
        return rc;
    return search_from(q, near > 0 ? near : guess, precision, rate, err);
}

int tr_search_rate(const struct tr_candidate *c, const struct tr_workload *w,
                   const struct tr_slo *slo, struct tr_source *src, int64_t requests,
                   int64_t warmup, double precision, double guess, uint64_t seed,
                   const struct tr_evaluation *ev, double *rate, struct tr_err *err)
{
    struct tr_slo whole_run = *slo;
    whole_run.spikes_only = false; /* a constant rate has no spikes */
    struct rate_search q = {c, w, &whole_run, src, requests, warmup, seed, ev, NULL};
    return search(&q, guess, precision, rate, err);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int tr_evaluate_capacity(struct tr_candidate *c, const struct tr_evaluation *ev, struct tr_err *err)
{
    const struct tr_workload *w = &ev->scenario->workload;
    const struct tr_effort *effort = &ev->effort;
    int64_t requests = effort->requests[tr_evaluate_turns(c)];
    struct tr_slo whole_run = w->slo;
    double rates[TR_CAPACITY_SEEDS], guess = c->capacity_rps;
    struct rate_search q = {c, w,  &whole_run,     tr_source_clone(ev->source), requests, 0,
                            0, ev, c->fail_outside};
    int rc = TR_OK;
    whole_run.spikes_only = false; /* a constant rate has no spikes */
    q.warmup = requests / 10;
    for (int i = 0; i < effort->seeds && rc == TR_OK; i++) {
        q.seed = tr_rng_u64(ev->opts->seed, tr_rng_stream("capacity", 0, 0), (uint64_t)i);
        if (guess > 0)
            rc = search_from(&q, guess, effort->precision, &rates[i], err);
        else
            rc = search(&q, TR_MIN(c->ceiling.arithmetic_attained, c->ceiling.lowest) * 0.6,
                        effort->precision, &rates[i], err);
        if (rc == TR_OK && rates[i] > 0)
            guess = rates[i];
    }
    tr_source_close(q.src);
    if (rc < 0)
        return rc;
    qsort(rates, (size_t)effort->seeds, sizeof rates[0], by_value);
    c->capacity_requests = requests;
    c->capacity_seeds = effort->seeds;
    c->capacity_rps = rates[effort->seeds / 2];
    c->capacity_lo = rates[0];
    c->capacity_hi = rates[effort->seeds - 1];
    return TR_OK;
}
