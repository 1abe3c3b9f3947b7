/* What would flip the answer, as far as no simulation is needed: the runner-up's price, and
 * isolation. */
#include "plan/plan.h"

#include <math.h>

/* At which part of its price the runner-up's nodes make it the pick: where it costs the same within
 * the tie, or is beyond it, by which of the two is the simpler. */
static void flip_price(struct tr_plan *plan)
{
    struct tr_flip *flip = &plan->flips[TR_FLIP_PRICE];
    const struct tr_candidate *pick = &plan->candidates[plan->pick], *next;
    if (plan->runner_up < 0) {
        snprintf(flip->why_not, sizeof flip->why_not, "there is no runner-up");
        return;
    }
    next = &plan->candidates[plan->runner_up];
    if (!tr_rank_priced(pick) || !tr_rank_priced(next) || next->beyond_max != pick->beyond_max) {
        snprintf(flip->why_not, sizeof flip->why_not, "price is not what the two differ in");
        return;
    }
    bool wins_ties = tr_rank_simpler(plan, next, pick);
    double at = tr_rank_cost(pick) / tr_rank_cost(next);
    at *= wins_ties ? 1 + TR_TIE : 1 / (1 + TR_TIE);
    flip->looked = true;
    flip->least = 0;
    flip->most = 1;
    flip->below = (struct tr_flip_side){.flips = true,
                                        .at = at,
                                        .to = plan->runner_up,
                                        .pick_nodes = pick->nodes,
                                        .to_nodes = next->nodes};
}

/* The least isolation, above what is asked for, that another arrangement must be picked for. */
static void flip_isolation(struct tr_plan *plan)
{
    struct tr_flip *flip = &plan->flips[TR_FLIP_ISOLATION];
    const struct tr_scenario *s = plan->scenario;
    enum tr_isolation have = tr_isolation_of(&plan->candidates[plan->pick].arrangement);
    if (s->workload.n_tenants > 1 && !s->workload.own_pods) {
        snprintf(flip->why_not, sizeof flip->why_not,
                 "tenants that share pods cannot be kept apart");
        return;
    }
    flip->looked = true;
    flip->least = s->isolation;
    flip->most = TR_ISOLATION_PERFORMANCE;
    if (have == TR_ISOLATION_PERFORMANCE)
        return;
    flip->above = (struct tr_flip_side){.flips = true,
                                        .at = (double)have + 1,
                                        .to = -1,
                                        .pick_nodes = plan->candidates[plan->pick].nodes};
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        if (tr_rank_ranked(c) && tr_isolation_of(&c->arrangement) > have) {
            flip->above.to = (int)plan->order[i];
            flip->above.to_nodes = c->nodes;
            return;
        }
    }
}

void tr_flips_closed(struct tr_plan *plan)
{
    flip_price(plan);
    flip_isolation(plan);
}
