/* simulate: one arrangement in depth, on a given number of nodes. */
#ifndef TRANCHE_SIMULATE_H
#define TRANCHE_SIMULATE_H

#include <tranche/tranche.h>
#include <tranche/scenario.h>

struct tr_simulate_opts {
    const char *arrangement; /* "timeslice:4 int4"; NULL: whole at the preferred precision */
    int nodes;               /* 0: nodes.min of the scenario */
    uint64_t seed;
    int64_t max_requests; /* 0: all of the traffic */
    /* NULL, or hears every event as a line that ends in a newline, in order of time. */
    void (*trace)(void *arg, const char *line);
    void *trace_arg;
    struct tr_progress progress;
};

struct tr_simulation;

int tr_simulate_run(const struct tr_scenario *scenario, const struct tr_simulate_opts *opts,
                    struct tr_simulation **out, struct tr_err *err);
void tr_simulation_free(struct tr_simulation *s);
int tr_simulation_write(const struct tr_simulation *s, enum tr_format format, FILE *out,
                        struct tr_err *err);
/* 0: the objectives are met; TR_EXIT_NO: not. */
int tr_simulation_exit(const struct tr_simulation *s);

#endif
