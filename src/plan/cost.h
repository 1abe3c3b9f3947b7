/* cost: what a fleet costs, what it does for that, and how much more of the objective more money
 * buys.
 *
 * A bill is made of a candidate's run and its node type's prices; the plan ranks by the price on
 * demand. The front is of points (candidate, nodes, purchase): those for which no other costs less
 * and keeps as many requests inside the objective. Its knee is the point farthest above the chord
 * from its cheapest to its dearest point, both axes scaled to 0..1: below it money buys more of the
 * objective than on the average of the front, above it less. Equations: docs/model.md, "Cost".
 */
#ifndef TR_PLAN_COST_H
#define TR_PLAN_COST_H

#include "plan/autoscale.h"

struct tr_plan;
struct tr_candidate;
struct tr_evaluation;

/* How nodes are bought. */
enum tr_purchase {
    TR_ON_DEMAND,
    TR_RESERVED,
    TR_SPOT,
    TR_N_PURCHASES,
    TR_BASE_RESERVED = TR_N_PURCHASES /* autoscaled: the least nodes, the rest on demand */
};
const char *tr_purchase_name(enum tr_purchase p); /* "on demand", "reserved for a year", "spot" */
double tr_purchase_usd_per_h(const struct tr_node_type *node,
                             enum tr_purchase p); /* NAN: unknown */

/* Of the smallest fleet. On demand where nothing else is said; NAN where a price is not known. */
struct tr_bill {
    double usd_per_month[TR_N_PURCHASES];
    double usd_per_mtok;        /* million tokens of answered requests, prompts and answers, */
    double usd_per_mtok_output; /* of answers only */
    double usd_per_1000;        /* answered requests */
    double idle_share;          /* of the GPU time that is paid for */
    double rate_per_usd_per_h;  /* requests/s at capacity for every dollar an hour */
};
void tr_bill_make(const struct tr_plan *plan, const struct tr_candidate *c, struct tr_bill *out);

struct tr_front_point {
    int candidate, nodes;
    const struct tr_policy_run *scaled; /* NULL: so many nodes all the time; else at most */
    enum tr_purchase purchase;
    double usd_per_month;
    double inside; /* share of the requests that decide, inside every objective */
    bool sampled;  /* on a sample of the GPUs */
};

struct tr_front {
    int n; /* by cost, ascending; 0: none, where no price is known */
    struct tr_front_point *points;
    int knee; /* -1: fewer than three points, or all on the chord */
    /* The pick's fleet on spot nodes, where their price and their interruptions are known. */
    bool has_spot;
    struct tr_policy_run spot;
};
/* Runs the fleets around the smallest of those that can be on the front (not with --quick: then
 * only what was run anyway), and makes the front. */
int tr_front_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err);
/* Of n points (reordered): the front, in place. */
void tr_front_make(struct tr_front_point *points, int n, struct tr_front *out);
/* The sentences of the verdict. */
void tr_verdict_cost(struct tr_plan *plan);

#endif
