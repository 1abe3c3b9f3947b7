/* Which candidate comes before which. */
#include "plan/plan.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

bool tr_rank_ranked(const struct tr_candidate *c)
{
    return c->gate == TR_GATE_OK && c->nodes > 0;
}

bool tr_rank_priced(const struct tr_candidate *c)
{
    return !isnan(c->usd_per_month);
}

double tr_rank_cost(const struct tr_candidate *c)
{
    if (!tr_rank_priced(c))
        return (double)c->nodes * c->node->gpus;
    return c->scaled_usd_per_month > 0 ? c->scaled_usd_per_month : c->usd_per_month;
}

/* Fleets within nodes.max come first, then those whose price is known. */
static int class_of(const struct tr_candidate *c)
{
    return (c->beyond_max ? 2 : 0) + (tr_rank_priced(c) ? 0 : 1);
}

/* Both cost the same within the tie: which is the better choice? */
bool tr_rank_simpler(const struct tr_plan *plan, const struct tr_candidate *a,
                     const struct tr_candidate *b)
{
    if (plan->scenario->workload.own_pods && a->arrangement.one_engine != b->arrangement.one_engine)
        return !a->arrangement.one_engine; /* own pods were asked for */
    int ra = tr_arrangement_rank(&a->arrangement), rb = tr_arrangement_rank(&b->arrangement);
    if (ra != rb)
        return ra < rb;
    if (a->arrangement.n_pods != b->arrangement.n_pods)
        return a->arrangement.n_pods < b->arrangement.n_pods;
    if (a->precision_order != b->precision_order)
        return a->precision_order < b->precision_order;
    if (tr_rank_cost(a) != tr_rank_cost(b))
        return tr_rank_cost(a) < tr_rank_cost(b);
    return a->capacity_rps > b->capacity_rps; /* what is left for more traffic */
}

/* The best of those not yet ranked: of the first class that has any, the simplest of those within
 * 5 % of the cheapest. -1: none is left. */
static int best_left(const struct tr_plan *plan)
{
    int best = -1, class = INT_MAX;
    double least = INFINITY;
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        if (!tr_rank_ranked(c) || c->rank > 0 || class_of(c) > class)
            continue;
        if (class_of(c) < class)
            least = INFINITY;
        class = class_of(c);
        least = TR_MIN(least, tr_rank_cost(c));
    }
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        if (!tr_rank_ranked(c) || c->rank > 0 || class_of(c) != class ||
            tr_rank_cost(c) > least * (1 + TR_TIE))
            continue;
        if (best < 0 || tr_rank_simpler(plan, c, &plan->candidates[best]))
            best = (int)i;
    }
    return best;
}

void tr_rank_all(struct tr_plan *plan)
{
    size_t n = 0;
    int next;
    if (plan->order == NULL)
        plan->order = TR_ARENA_NEW(&plan->arena, size_t, plan->n_candidates);
    for (size_t i = 0; i < plan->n_candidates; i++)
        plan->candidates[i].rank = 0;
    while ((next = best_left(plan)) >= 0) {
        plan->order[n++] = (size_t)next;
        plan->candidates[next].rank = (int)n;
    }
    plan->pick = n > 0 ? (int)plan->order[0] : -1;
    plan->runner_up = n > 1 ? (int)plan->order[1] : -1;
    plan->meets = n > 0 && !plan->candidates[plan->pick].beyond_max;
    for (size_t i = 0; i < plan->n_candidates; i++)
        if (plan->candidates[i].rank == 0)
            plan->order[n++] = i;
}

int tr_rank_among(const struct tr_plan *plan, const int *which, const int *nodes, int n)
{
    struct tr_plan few = {.scenario = plan->scenario, .n_candidates = (size_t)n};
    few.candidates = tr_calloc((size_t)n, sizeof *few.candidates);
    for (int i = 0; i < n; i++) {
        struct tr_candidate *c = &few.candidates[i];
        *c = plan->candidates[which[i]];
        c->gate = nodes[i] > 0 ? TR_GATE_OK : TR_GATE_FLEET;
        c->rank = 0;
        c->nodes = nodes[i];
        c->beyond_max = nodes[i] > plan->scenario->nodes_max;
        c->usd_per_month = tr_evaluate_cost(c, nodes[i]);
    }
    int best = best_left(&few);
    free(few.candidates);
    return best;
}
