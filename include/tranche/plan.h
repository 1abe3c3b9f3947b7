/* plan: which arrangement suits the traffic of a scenario, why, and what it costs.
 *
 * tr_plan_run tries every arrangement of the scenario on the same requests: what cannot fit is
 * refused with arithmetic, what a bound refutes is not simulated, the rest is measured for its
 * capacity on one GPU and for the smallest fleet that meets the objective. tr_plan_write prints the
 * verdict. The same scenario, seed and version give the same bytes for any number of jobs.
 */
#ifndef TRANCHE_PLAN_H
#define TRANCHE_PLAN_H

#include <tranche/tranche.h>
#include <tranche/scenario.h>

struct tr_plan_opts {
    uint64_t seed; /* default 0 */
    int jobs;      /* threads; 0: one per CPU */
    bool quick;    /* shorter capacity runs, and a sample of each fleet's GPUs: seconds */
    bool flips;    /* look for what would flip the answer, by simulation */
    int draws;     /* of constants and traffic, by which the best are compared; 0: none */
    bool brief;    /* what decides the pick only: no front of cost, no victims of neighbours */
    struct tr_progress progress;
};

struct tr_plan;

/* On TR_EINTR *out is set too and holds what was finished. */
int tr_plan_run(const struct tr_scenario *scenario, const struct tr_plan_opts *opts,
                struct tr_plan **out, struct tr_err *err);
void tr_plan_free(struct tr_plan *plan);

/* Prints the plan; `explain` adds the arithmetic behind every figure. TABLE or JSON (schema:
 * docs/json.md); a table is at most 100 columns wide. */
int tr_plan_write(const struct tr_plan *plan, enum tr_format format, bool explain, FILE *out,
                  struct tr_err *err);

/* 0: an arrangement was picked; TR_EXIT_NO: none meets the objective. */
int tr_plan_exit(const struct tr_plan *plan);

#endif
