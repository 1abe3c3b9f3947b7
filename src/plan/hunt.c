/* The highest load that meets the objective, in few runs. */
#include "plan/plan.h"

#include <math.h>

#define LEAST_EXCESS   (-4.0) /* far inside: a run says no more than that */
#define MOST_EXCESS    3.0
#define LEAST_SLOPE    0.5
#define MOST_SLOPE     6.0
#define LONGEST_STRIDE 1.4 /* of ln load: a factor of four */

double tr_hunt_growth(const struct tr_candidate *c)
{
    return c->arrangement.n_pods > c->arrangement.n_parts ? 1 : 3;
}

double tr_hunt_excess(const struct tr_candidate *c, const struct tr_sim_result *result,
                      const struct tr_slo *slo, int64_t expected)
{
    const struct tr_outcome *o = &result->outcome;
    double worst = LEAST_EXCESS;
    bool carried = tr_objective_carried(result, slo);
    for (int i = 0; i < slo->n; i++) {
        double forgiven = TR_MAX(1 - slo->objective[i].fraction, 1e-6);
        double idle = TR_MIN(1 - c->unloaded_inside[i], 0.99 * forgiven);
        double outside = 1 - tr_outcome_inside(o, i, slo->spikes_only);
        if (o->stopped_early && expected > o->offered)
            outside = TR_MAX(outside, forgiven * (double)expected / (double)TR_MAX(o->offered, 1));
        if (outside > idle)
            worst = TR_MAX(worst, tr_ln((outside - idle) / (forgiven - idle)));
    }
    return carried ? TR_MIN(worst, 0) : TR_MIN(TR_MAX(worst, 1e-3), MOST_EXCESS);
}

void tr_hunt_learn(struct tr_hunt *h, double load, double excess)
{
    bool met = excess <= 0;
    if (h->runs > 0 && load != h->last) {
        double slope = (excess - h->last_excess) / (tr_ln(load) - tr_ln(h->last));
        if (slope > 0)
            h->slope = TR_MIN(TR_MAX(slope, LEAST_SLOPE), MOST_SLOPE);
    }
    h->in_a_row = h->runs > 0 && met == (h->last_excess <= 0) ? h->in_a_row + 1 : 1;
    h->runs++;
    h->last = load;
    h->last_excess = excess;
    if (met) {
        h->met = load;
        h->met_excess = excess;
    } else {
        h->over = load;
        h->over_excess = excess;
    }
}

double tr_hunt_next(const struct tr_hunt *h, double precision)
{
    double past = h->last_excess <= 0 ? precision / 2 : -precision / 2, step;
    if (h->met > 0 && h->over > 0) {
        double ratio = tr_ln(h->over / h->met);
        double part = h->met_excess / (h->met_excess - h->over_excess);
        if (h->in_a_row > 1)
            return h->met * tr_exp(0.5 * ratio);
        step = TR_MIN(TR_MAX(part * ratio + past, ratio / 8), ratio * 7 / 8);
        return h->met * tr_exp(step);
    }
    /* Open on one side: as far as the excess suggests, and further each time. */
    double least = precision * h->in_a_row * h->in_a_row;
    step = TR_MIN(TR_MAX(fabs(h->last_excess) / h->slope + precision / 2, least), LONGEST_STRIDE);
    return h->last * tr_exp(h->last_excess <= 0 ? step : -step);
}
