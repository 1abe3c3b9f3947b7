/* The engine and its oracle side by side, on one GPU: everything is done to both, and every step,
 * record and counter of the two is compared. The engine takes stretches as one wherever it may
 * (tr_engine_calm), the oracle goes through them step by step. */
#ifndef TEST_PAIR_H
#define TEST_PAIR_H

#include "oracle_engine.h"
#include "workload.h"
#include "../unit/fixture.h"

/* How often the interesting things happened, beyond what the oracle counts. */
struct pair_seen {
    struct oracle_seen oracle;
    int64_t workloads, steps, decode_steps, stretches, in_stretches, on_boundary;
    int64_t preemptions, partial, blocked_kv, blocked_seqs, hits_tok, evicted, aborts;
};

/* What a test breaks on purpose: a rule of the oracle, or the length of the stretches. */
struct pair_fault {
    enum oracle_fault oracle;
    int64_t skip_more;
};

struct pair_records {
    struct tr_record record[2 * MAX_REQUESTS];
    int n;
};

struct pair {
    struct tr_engine_config cfg;
    struct tr_engine *engine;
    struct oracle *oracle;
    struct pair_records got, want;
    int compared; /* records */
    struct tr_step step[2];
    struct oracle_step expected[2];
    int64_t end_ns[2];
    int first, oracle_first; /* the older of two in flight: a stretch moves on only the oracle's */
    int in_flight;
    int64_t gpu_free_ns;
    int64_t step_ns; /* how long each step takes; 0: as long as it says */
    bool neighbour;
    struct draw noise;
    struct pair_seen *seen;
    struct pair_fault fault;
    char why[200]; /* the two part */
};

void pair_open(struct pair *p, const struct tr_engine_config *cfg, struct pair_fault fault,
               struct pair_seen *seen);
void pair_close(struct pair *p);

/* Each false, and `why`, where the two part. */
bool pair_add(struct pair *p, const struct tr_engine_request *q, int64_t now_ns);
bool pair_abort(struct pair *p, int64_t id, int64_t now_ns);
/* Puts as many steps in flight as share/device.c does: one, or two when asynchronous. */
bool pair_fill(struct pair *p, int64_t now_ns);
/* The oldest step in flight ends. */
bool pair_end_step(struct pair *p);
/* As many steps at once as end before `bound_ns`, where there is a stretch. */
bool pair_stretch(struct pair *p, int64_t bound_ns);
/* Nothing is left of either. */
bool pair_empty(struct pair *p);

/* A whole workload. */
bool pair_run(const struct workload *w, struct pair_fault fault, struct pair_seen *seen, char *why,
              size_t why_len);

#endif
