/* The front of cost against the share of requests inside the objective. */
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

#define NEAR     1.5 /* times the pick's cost: whose other sizes are run */
#define MOST     4   /* of these candidates */
#define STEP     20  /* a step is one node in so many */
#define N_STEPS  4
#define FLAT     1e-9
#define SAMPLE   400000 /* requests of one of these runs; where pods take turns: */
#define SAMPLE_T 12000

/* Sizes around the smallest fleet, in steps. */
static const int steps[N_STEPS] = {-2, -1, 1, 2};

struct sizes {
    struct tr_plan *plan;
    struct tr_evaluation ev;
    struct tr_front_point runs[MOST * N_STEPS];
};

/* ---- the front of given points ----------------------------------------------------------------
 */

/* By cost, then by the better share, then by candidate, size, purchase and policy. */
static int by_cost(const void *a, const void *b)
{
    const struct tr_front_point *x = a, *y = b;
    if (x->usd_per_month != y->usd_per_month)
        return x->usd_per_month < y->usd_per_month ? -1 : 1;
    if (x->inside != y->inside)
        return x->inside > y->inside ? -1 : 1;
    if (x->candidate != y->candidate)
        return x->candidate < y->candidate ? -1 : 1;
    if (x->nodes != y->nodes)
        return x->nodes < y->nodes ? -1 : 1;
    if (x->purchase != y->purchase)
        return (int)x->purchase - (int)y->purchase;
    return (x->scaled > y->scaled) - (x->scaled < y->scaled); /* of one list */
}

void tr_front_make(struct tr_front_point *points, int n, struct tr_front *out)
{
    out->points = points;
    out->n = 0;
    out->knee = -1;
    qsort(points, (size_t)n, sizeof *points, by_cost);
    for (int i = 0; i < n; i++)
        if (out->n == 0 || points[i].inside > points[out->n - 1].inside)
            points[out->n++] = points[i];
    double best = FLAT;
    for (int i = 1; i < out->n - 1; i++) {
        const struct tr_front_point *a = &points[0], *z = &points[out->n - 1];
        double x =
            (points[i].usd_per_month - a->usd_per_month) / (z->usd_per_month - a->usd_per_month);
        double y = (points[i].inside - a->inside) / (z->inside - a->inside);
        if (y - x > best) { /* the distance, times the square root of 2 */
            best = y - x;
            out->knee = i;
        }
    }
}

/* ---- the points of a plan ---------------------------------------------------------------------
 */

static double inside_of(const struct tr_slo *slo, const struct tr_outcome *o)
{
    if (slo->spikes_only)
        return (double)o->spike_inside_all / (double)TR_MAX(o->spike_offered, 1);
    return (double)o->inside_all / (double)TR_MAX(o->offered, 1);
}

static bool has_place(const struct tr_candidate *c)
{
    return tr_rank_ranked(c) && tr_rank_priced(c) && !c->beyond_max;
}

static int run_one(void *arg, size_t i, struct tr_err *err)
{
    struct sizes *job = arg;
    struct tr_front_point *p = &job->runs[i];
    const struct tr_candidate *c = &job->plan->candidates[p->candidate];
    struct tr_sim_result result;
    int rc = tr_evaluate_share(c, &job->ev, p->nodes, &result, err);
    if (rc == TR_OK && !result.outcome.stopped_early) {
        p->inside = inside_of(&job->plan->scenario->workload.slo, &result.outcome);
        p->sampled = result.fleet.simulated_pods < result.fleet.pods;
        p->usd_per_month = tr_evaluate_cost(c, p->nodes);
    }
    tr_sim_result_free(&result);
    return rc;
}

/* The sizes to run: around the smallest fleets of the best candidates. */
static size_t choose(struct sizes *job)
{
    const struct tr_plan *plan = job->plan;
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    size_t n = 0;
    int taken = 0;
    for (size_t i = 0; i < plan->n_candidates && taken < MOST; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        if (!has_place(c) || tr_rank_cost(c) > NEAR * tr_rank_cost(pick))
            continue;
        taken++;
        for (int k = 0; k < N_STEPS; k++) {
            int nodes = c->nodes + steps[k] * TR_MAX(c->nodes / STEP, 1);
            if (nodes < tr_evaluate_least(c, plan->scenario) || nodes > plan->scenario->nodes_max)
                continue;
            job->runs[n++] = (struct tr_front_point){
                .candidate = (int)plan->order[i], .nodes = nodes, .inside = (double)NAN};
        }
    }
    return n;
}

/* A point on demand, and the same reserved: who is served does not change. */
static int add(struct tr_plan *plan, struct tr_front_point *points, int n,
               struct tr_front_point point)
{
    const struct tr_node_type *node = plan->candidates[point.candidate].node;
    for (int p = TR_ON_DEMAND; p <= TR_RESERVED; p++) {
        double usd_per_h = tr_purchase_usd_per_h(node, (enum tr_purchase)p);
        if (isnan(usd_per_h) || isnan(point.inside))
            continue;
        point.purchase = (enum tr_purchase)p;
        point.usd_per_month = point.nodes * usd_per_h * TR_HOURS_PER_MONTH;
        points[n++] = point;
    }
    return n;
}

/* The policies that were tried, as far as they keep no fewer inside than the smallest of the fleets
 * of fixed size. */
static int add_scaled(struct tr_plan *plan, struct tr_front_point *points, int n)
{
    bool spikes = plan->scenario->workload.slo.spikes_only;
    double least = 1;
    for (int i = 0; i < n; i++)
        least = TR_MIN(least, points[i].inside);
    for (size_t i = 0; i < plan->n_scaled_runs; i++) {
        const struct tr_policy_run *r = &plan->scaled_runs[i].run;
        struct tr_front_point p = {.candidate = plan->scaled_runs[i].candidate,
                                   .nodes = r->policy.max_nodes,
                                   .scaled = r,
                                   .usd_per_month = r->usd_per_month,
                                   .inside = spikes ? r->spike_inside : r->inside};
        if (!(p.inside >= least))
            continue;
        points[n++] = p;
        p.purchase = TR_BASE_RESERVED;
        p.usd_per_month = r->reserved_base_usd_per_month;
        if (!isnan(p.usd_per_month))
            points[n++] = p;
    }
    return n;
}

static void collect(const struct sizes *job, size_t n_runs)
{
    struct tr_plan *plan = job->plan;
    const struct tr_slo *slo = &plan->scenario->workload.slo;
    struct tr_front_point *points =
        TR_ARENA_NEW(&plan->arena, struct tr_front_point,
                     2 * (plan->n_candidates + n_runs + plan->n_scaled_runs) + 1);
    int n = 0;
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        if (has_place(c))
            n = add(plan, points, n,
                    (struct tr_front_point){.candidate = (int)i,
                                            .nodes = c->nodes,
                                            .inside = inside_of(slo, &c->result.outcome),
                                            .sampled = c->sampled_gpus > 0});
    }
    for (size_t i = 0; i < n_runs; i++)
        n = add(plan, points, n, job->runs[i]);
    n = add_scaled(plan, points, n);
    if (plan->front.has_spot)
        points[n++] = (struct tr_front_point){
            .candidate = plan->pick,
            .nodes = plan->candidates[plan->pick].nodes,
            .purchase = TR_SPOT,
            .usd_per_month = plan->front.spot.usd_per_month,
            .inside = slo->spikes_only ? plan->front.spot.spike_inside : plan->front.spot.inside};
    tr_front_make(points, n, &plan->front);
}

/* The pick's nodes as spot nodes: each is taken back at random, and replaced. */
static int run_spot(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    const struct tr_scenario *s = plan->scenario;
    struct tr_policy policy = {c->nodes, c->nodes, 1, s->autoscaler.unneeded_ns};
    struct tr_scaling scaling;
    struct tr_sim_result result;
    if (isnan(c->node->spot_usd_per_h) || isnan(c->node->spot_interrupts_per_h) ||
        tr_candidate_router(c, &s->workload) == TR_ROUTE_TENANT || tr_evaluate_turns(c))
        return TR_OK;
    tr_policy_scaling(c, s, &policy, &scaling);
    scaling.hpa.min_replicas = scaling.hpa.max_replicas =
        c->nodes * c->node->gpus * c->arrangement.n_pods;
    scaling.node.interrupts_per_h = c->node->spot_interrupts_per_h;
    int rc = tr_evaluate_elastic(c, ev, &scaling, &result, err);
    if (rc == TR_OK) {
        struct tr_policy_run *spot = &plan->front.spot;
        plan->front.has_spot = true;
        spot->policy = policy;
        tr_policy_read(spot, c, s, ev->spikes, &result);
        spot->usd_per_month = spot->nodes_mean * c->node->spot_usd_per_h * TR_HOURS_PER_MONTH;
    }
    tr_sim_result_free(&result);
    return rc;
}

int tr_front_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    struct sizes job = {.plan = plan, .ev = *ev};
    struct tr_stage stage = {
        &plan->opts, "cost against the objective", 0.55, 0.57, ev->simulated, run_one, &job};
    plan->front.knee = -1;
    if (plan->pick < 0 || !tr_rank_priced(&plan->candidates[plan->pick]))
        return TR_OK;
    job.ev.effort = (struct tr_effort){.sample = {SAMPLE, SAMPLE_T}};
    size_t n = plan->opts.quick ? 0 : choose(&job);
    int rc = tr_stage_run(&stage, n, err);
    if (rc == TR_OK && !plan->opts.quick)
        rc = run_spot(plan, ev, err);
    if (rc == TR_OK)
        collect(&job, n);
    return rc;
}
