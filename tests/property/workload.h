/* A small engine and what happens to it: made at random, cut down when it shows a difference, and
 * written out for whoever has to find the reason. */
#ifndef TEST_WORKLOAD_H
#define TEST_WORKLOAD_H

#include "engine/engine.h"

#define MAX_REQUESTS 40
#define MAX_RUNS     6

struct workload {
    struct tr_engine_config cfg;
    int n;
    struct workload_request {
        struct tr_engine_request q; /* its chain is made of `run` when it is sent */
        int n_runs;
        struct tr_run run[MAX_RUNS];
    } request[MAX_REQUESTS]; /* in order of arrival */
    int n_aborts;
    struct {
        int64_t at_ns, id;
    } abort[MAX_REQUESTS];
    int64_t api_ns;      /* from its arrival until it reaches the engine */
    bool neighbour;      /* now and then the GPU is held by somebody else */
    bool abort_anywhere; /* and clients go in the middle of everything */
    uint64_t noise;      /* of the two */
};

/* Step times as they are, and in whole 10 us, so that arrivals and ends of steps coincide. */
struct workload_tables {
    struct tr_steptime plain, rounded;
};

void workload_tables_init(struct workload_tables *t, struct tr_arena *arena);
void workload_make(struct workload *w, uint64_t seed, const struct workload_tables *tables);

/* What a request shares, as long as it exists. */
struct tr_chain workload_chain(const struct workload_request *r);

/* Drops and shortens whatever can be spared while `fails` is still true of it. */
void workload_shrink(struct workload *w, bool (*fails)(void *arg, const struct workload *w),
                     void *arg);

/* As C, on stdout, each line a comment of TAP. */
void workload_print(const struct workload *w);

#endif
