/* Paired draws: the best candidates once more with other constants and another seed of the
 * traffic, all with the same ones. */
#include "plan/plan.h"

#include <stdlib.h>

#define NEAR     1.5 /* times the pick's cost: finalists */
#define TOO_LONG INT64_C(20000000)
#define FEWEST   3

struct draws {
    struct tr_plan *plan;
    const struct tr_evaluation *ev;
};

static void choose_finalists(struct tr_plan *plan)
{
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    for (size_t i = 0; i < plan->n_candidates && plan->n_finalists < TR_MAX_FINALISTS; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        if (!tr_rank_ranked(c) || c->beyond_max != pick->beyond_max ||
            tr_rank_priced(c) != tr_rank_priced(pick) ||
            tr_rank_cost(c) > NEAR * tr_rank_cost(pick))
            continue;
        plan->finalists[plan->n_finalists++] = (struct tr_finalist){
            .candidate = (int)plan->order[i],
            .nodes = TR_ARENA_NEW(&plan->arena, int, TR_MAX(plan->opts.draws, 1)),
        };
    }
}

/* Draw i of the constants (0 is the catalog's own) and of the traffic. */
static int one_draw(void *arg, size_t i, struct tr_err *err)
{
    struct draws *job = arg;
    struct tr_plan *plan = job->plan;
    struct tr_source *src;
    struct tr_trace_info info;
    struct tr_case k;
    uint64_t seed = tr_rng_u64(plan->opts.seed, tr_rng_stream("draw", 0, 0), i);
    int rc = tr_source_open(&plan->traffic, seed, &src, &info, err);
    if (rc < 0)
        return rc;
    tr_source_keep(src, TR_KEEP_REQUESTS);
    tr_case_open(&k, plan, job->ev, src);
    k.draw = i + 1;
    for (int f = 0; f < plan->n_finalists && rc == TR_OK; f++) {
        struct tr_finalist *x = &plan->finalists[f];
        const struct tr_candidate *c = &plan->candidates[x->candidate];
        rc = tr_case_size(&k, c, c->nodes, &x->nodes[i], err);
    }
    tr_case_close(&k);
    return rc;
}

static int by_size(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Sizes at the 10th and 90th percentile; a draw without any fleet (0) counts as the largest. */
static void spread(struct tr_finalist *x, int n)
{
    int *sorted = tr_calloc((size_t)n, sizeof *sorted);
    for (int i = 0; i < n; i++)
        sorted[i] = x->nodes[i] > 0 ? x->nodes[i] : INT32_MAX;
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    x->nodes_p10 = sorted[(n - 1) / 10];
    x->nodes_p90 = sorted[n - 1 - (n - 1) / 10];
    if (x->nodes_p90 == INT32_MAX)
        x->nodes_p90 = 0;
    if (x->nodes_p10 == INT32_MAX)
        x->nodes_p10 = 0;
    free(sorted);
}

static void compare(struct tr_plan *plan, struct tr_finalist *x)
{
    const struct tr_finalist *pick = &plan->finalists[0];
    for (int i = 0; i < plan->n_draws; i++) {
        double mine = tr_case_cost(&plan->candidates[x->candidate], x->nodes[i]);
        double its = tr_case_cost(&plan->candidates[pick->candidate], pick->nodes[i]);
        bool none = x->nodes[i] == 0, its_none = pick->nodes[i] == 0;
        if (none != its_none)
            *(none ? &x->dearer : &x->cheaper) += 1;
        else if (mine > its * (1 + TR_TIE))
            x->dearer++;
        else if (its > mine * (1 + TR_TIE))
            x->cheaper++;
        else
            x->ties++;
    }
}

int tr_draws_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    struct draws job = {plan, ev};
    int n = plan->opts.draws;
    if (plan->pick < 0 || n == 0)
        return TR_OK;
    choose_finalists(plan);
    int64_t each = 0;
    bool sampled = true;
    for (int f = 0; f < plan->n_finalists; f++) {
        const struct tr_candidate *c = &plan->candidates[plan->finalists[f].candidate];
        each += tr_case_requests(c, ev);
        sampled = sampled && tr_evaluate_can_sample(c, &plan->scenario->workload);
    }
    if (!sampled)
        n = (int)TR_MIN(n, TR_MAX(TOO_LONG / each, FEWEST));
    struct tr_stage stage = {&plan->opts, "draws", 0.57, 0.7, ev->simulated, one_draw, &job};
    int rc = tr_stage_run(&stage, (size_t)n, err);
    if (rc < 0) {
        plan->n_finalists = 0;
        return rc;
    }
    plan->n_draws = n;
    for (int f = 0; f < plan->n_finalists; f++) {
        spread(&plan->finalists[f], n);
        compare(plan, &plan->finalists[f]);
    }
    return TR_OK;
}

bool tr_draws_too_close(const struct tr_plan *plan, const struct tr_finalist *x)
{
    return x->cheaper * 5 > plan->n_draws;
}
