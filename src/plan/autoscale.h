/* autoscale: a fleet that comes and goes with its traffic, and the policy under which that is
 * cheapest.
 *
 * A policy is how few and how many nodes there may be, what a replica is to carry (the HPA's
 * target), and how long a node is unneeded before it goes. Each is tried by simulating all of the
 * traffic. More nodes at least never serve worse and never cost less, nor does a smaller target: so
 * for each of a few bounds and each delay the largest target that keeps the objective is found by
 * halving (docs/plan.md, "Autoscaling").
 */
#ifndef TR_PLAN_AUTOSCALE_H
#define TR_PLAN_AUTOSCALE_H

#include "scenario/scenario.h"

struct tr_plan;
struct tr_candidate;
struct tr_evaluation;
struct tr_sim_result;
struct tr_spikes;

struct tr_policy {
    int min_nodes, max_nodes;
    double target; /* of the workload's metric, per replica */
    int64_t unneeded_ns;
};

#define TR_TIMELINE_SPANS 24 /* of the traffic, all equally long */

/* One policy on all of the traffic. */
struct tr_policy_run {
    struct tr_policy policy;
    bool meets;
    double inside, spike_inside;        /* share inside every objective; NAN: no spikes */
    int64_t p50_ns, p95_ns;             /* of the first objective's metric */
    double usd_per_month;               /* on demand */
    double reserved_base_usd_per_month; /* min_nodes reserved for a year, the rest on demand */
    double nodes_mean, node_hours;      /* paid for; hours of the traffic's span */
    int nodes_max;
    double short_s;      /* fewer replicas were ready than were wanted */
    double start_mean_s; /* from the wish for a replica to its being ready; NAN: there was none */
    double nodes[TR_TIMELINE_SPANS], ready[TR_TIMELINE_SPANS]; /* nodes, replicas: means */
    /* Spikes: how many, how long in the median; in how many a replica came that was not there when
     * it began, and after how long in the median (NAN: in none). */
    int spikes, answered;
    double spike_s, answer_s;
};

/* Of one candidate. */
struct tr_autoscaled {
    int candidate;
    bool found; /* the best costs less than the fleet of fixed size by more than a tie */
    struct tr_policy_run best; /* the cheapest that keeps the objective; else with most inside */
    /* The same policy under each delay of the scenario. */
    struct tr_policy_run delay[TR_MAX_UNNEEDED];
};

struct tr_scaled_run {
    int candidate;
    struct tr_policy_run run;
};

/* The scenario's rules for so many nodes of the candidate under this policy. */
void tr_policy_scaling(const struct tr_candidate *c, const struct tr_scenario *s,
                       const struct tr_policy *policy, struct tr_scaling *out);
/* From the wish for a replica to its first request, where a node is new. */
int64_t tr_scaling_start_ns(const struct tr_scaling *s);
/* What a run says of its policy. */
void tr_policy_read(struct tr_policy_run *out, const struct tr_candidate *c,
                    const struct tr_scenario *s, const struct tr_spikes *spikes,
                    const struct tr_sim_result *result);
/* Searches for the candidates that can be cheapest, where the scenario's nodes come and go (not
 * with --quick). */
int tr_autoscale_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err);
/* Ranks by what they cost then. Draws and flips are about fleets of fixed size: where another
 * becomes the pick they are dropped. */
void tr_autoscale_rank(struct tr_plan *plan);
/* Why a candidate's nodes, of which some could go at times, were not looked at as coming and going;
 * NULL: no reason. */
const char *tr_autoscale_why_not(const struct tr_plan *plan, const struct tr_candidate *c);
/* "10m": a delay as one writes it into the flag. */
const char *tr_policy_delay(char buf[24], int64_t ns);
/* The sentences of the verdict. */
void tr_verdict_autoscale(struct tr_plan *plan);

#endif
