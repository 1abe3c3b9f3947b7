/* source: what an iterator over arrivals is made of, private to the room.
 *
 *   source.c   opened, cloned, kept, closed
 *   next.c     one arrival after the other
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
    uint64_t system_stream, system_key_stream, session_key_stream;
};

struct tr_source {
    struct tr_traffic *traffic;
    enum tr_source_kind kind;
    uint64_t seed;
    int64_t span_ns;
    uint64_t index; /* of the next arrival */
    struct tr_synth synth;
    struct tr_sessions sessions;
    /* Poisson like the traffic: the sum of unit gaps so far, the rate, how many. */
    double gaps, rate;
    int64_t n;
};

/* The time of row `i` under the rate scale. */
int64_t tr_trace_time(const struct tr_traffic *t, size_t i);

#endif
