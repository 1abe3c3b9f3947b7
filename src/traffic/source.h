/* source: what an iterator over arrivals is made of, private to the room.
 *
 *   source.c   opened, cloned, kept, closed
 *   next.c     one arrival after the other
 *   vary.c     what is changed about each
 *   merge.c    several as one
 */
#ifndef TR_TRAFFIC_SOURCE_H
#define TR_TRAFFIC_SOURCE_H

#include "traffic/sessions.h"

#include <stdatomic.h>

enum tr_source_kind {
    TR_FROM_TRACE,
    TR_FROM_LENGTHS,  /* drawn request by request */
    TR_FROM_SESSIONS, /* drawn turn by turn */
    TR_FROM_KEPT,     /* either of the two, drawn before */
    TR_FROM_LIKE,     /* a constant rate, request by request */
    TR_FROM_LAPS,     /* a constant rate, rows of a trace in their order, from somewhere on */
    TR_FROM_MERGED,   /* other sources, each a workload */
};

/* What the iterators of one tr_source_open share: read-only, freed with the last of them. */
struct tr_traffic {
    atomic_int users;
    bool is_trace, has_sessions;
    struct tr_trace trace; /* also the requests that are kept */
    double time_scale;     /* of a trace: times are divided by it */
    struct tr_synth_model synth;
    struct tr_sessions_model sessions;
    struct tr_tokens prompt, output;
    int32_t system_tok, system_variants;
    int n_tenants;
    double *up_to; /* n_tenants: cumulative shares */
    uint64_t prompt_stream, output_stream, tenant_stream, row_stream, like_gap_stream;
    uint64_t lap_stream, history_stream;
    uint64_t system_stream, system_key_stream, session_key_stream, workload_stream;
};

/* A variation made ready; read-only, freed with the last source that has it. */
struct tr_varied {
    atomic_int users;
    struct tr_variation v;
    uint64_t shared_key;
    /* Burst: requests up to the start of each minute, as they are and as they are to be. */
    int64_t span_ns;
    size_t n_minutes; /* 0: times stay */
    double *as_is, *wanted;
};

struct tr_source {
    struct tr_traffic *traffic; /* of a merged one: NULL, as all below but kind, span and parts */
    enum tr_source_kind kind;
    uint64_t seed;
    int64_t span_ns;
    uint64_t index; /* of the next arrival */
    struct tr_synth synth;
    struct tr_sessions sessions;
    /* Poisson like the traffic: the sum of unit gaps so far, the rate, how many. */
    double gaps, rate;
    struct tr_rng_exps exps;
    int64_t n;
    /* The trace's runs with what the lap or the variation changes, by lap; NULL: not needed yet. */
    struct tr_run **lap_runs;
    size_t n_laps;
    struct tr_varied *varied; /* NULL: as it is */
    size_t moved_to;          /* minute of the last time that was moved */
    int64_t moved_ns;
    int32_t workload; /* of its arrivals: which of the parts this is */
    /* Of a merged one: the sources, and the next arrival of each that is not at its end. */
    int n_parts;
    struct tr_merged_part {
        struct tr_source *src;
        bool live;
        struct tr_arrival next;
    } * parts;
};

/* The time of row `i` under the rate scale. */
int64_t tr_trace_time(const struct tr_traffic *t, size_t i);

/* Of a merged source: tr_source_next, _rewind, _clone, _keep, _tenants and _close. */
bool tr_merged_next(struct tr_source *src, struct tr_arrival *out);
void tr_merged_rewind(struct tr_source *src);
struct tr_source *tr_merged_clone(const struct tr_source *src);
void tr_merged_keep(struct tr_source *src, int64_t most);
int tr_merged_tenants(const struct tr_source *src);
void tr_merged_close(struct tr_source *src);

/* NULL: nothing is different. */
struct tr_varied *tr_varied_new(const struct tr_variation *v);
void tr_varied_release(struct tr_varied *varied);
void tr_vary_arrival(struct tr_source *src, struct tr_arrival *a);
/* A length, or the end of a run, as varied. */
int32_t tr_vary_tok(const struct tr_varied *varied, int32_t tok);

#endif
