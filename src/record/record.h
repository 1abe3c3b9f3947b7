/* record: what became of requests.
 *
 * One record, two producers: the simulator and the load generator fill the same struct, so that
 * every table can lay a measurement over a prediction. All latencies count from the PLANNED arrival
 * (no coordinated omission): TTFT = first_token - arrival, TPOT = (last - first)/(output_tok - 1),
 * E2E = last_token - arrival, queue = scheduled - arrival. A request that got no answer counts as
 * outside every objective; it is never dropped from view.
 *
 * An outcome aggregates many records: counts and histograms only, so that merging outcomes of
 * different GPUs gives the same bytes in any order.
 */
#ifndef TR_RECORD_RECORD_H
#define TR_RECORD_RECORD_H

#include "base/base.h"
#include "num/num.h"

enum tr_status { TR_DONE, TR_REJECTED, TR_TIMEOUT, TR_ABORTED, TR_ERROR };

/* What kept a request's first token waiting most, decided from its own counters (docs/record.md):
 *   prefill    its prompt alone takes longer than the objective on this share
 *   neighbour  another pod held the GPU
 *   kv         it waited for KV cache blocks
 *   queue      it waited for a place in the batch (max_num_seqs, token budget, steps in progress)
 *   batch      it was in the batch, behind the other tokens of its own pod's steps
 *   preemption its first token was in time, but its KV blocks were taken for others' and its
 *              tokens computed once more
 *   decode     its first token was in time, its later ones came too slowly
 *   start-up   it waited while replicas were wanted that were not ready
 *   pod-lost   its pod went away before it was served: drained for its whole grace, or interrupted
 *   too-long   refused: prompt and answer exceed max_model_len
 *   refused    refused: the queue limit */
#define TR_CAUSES(X)                                                                               \
    X(TR_CAUSE_NONE, "none")                                                                       \
    X(TR_CAUSE_PREFILL, "prefill")                                                                 \
    X(TR_CAUSE_NEIGHBOUR, "neighbour")                                                             \
    X(TR_CAUSE_KV, "kv")                                                                           \
    X(TR_CAUSE_QUEUE, "queue")                                                                     \
    X(TR_CAUSE_BATCH, "batch")                                                                     \
    X(TR_CAUSE_PREEMPTION, "preemption")                                                           \
    X(TR_CAUSE_DECODE, "decode")                                                                   \
    X(TR_CAUSE_STARTUP, "start-up")                                                                \
    X(TR_CAUSE_LOST, "pod-lost")                                                                   \
    X(TR_CAUSE_TOO_LONG, "too-long")                                                               \
    X(TR_CAUSE_REFUSED, "refused")
enum tr_cause {
#define X(name, text) name,
    TR_CAUSES(X)
#undef X
        TR_N_CAUSES
};
const char *tr_cause_name(enum tr_cause c);

struct tr_record {
    int64_t id;         /* position in the arrival stream */
    int64_t arrival_ns; /* planned */
    int64_t sent_ns;
    int64_t scheduled_ns;                  /* first given tokens by the engine; -1: never */
    int64_t first_token_ns, last_token_ns; /* -1: none */
    int32_t workload, tenant, priority;
    int32_t pod;
    int32_t prompt_tok, cached_tok, output_tok;
    int32_t preemptions;
    enum tr_status status;
    enum tr_cause cause; /* of its TTFT, whether it missed or not; measured records: none */
    int64_t lost_ns;     /* from its first token on, while other pods held the GPU */
};

/* ---- objectives ----------------------------------------------------------------------------- */

enum tr_metric { TR_TTFT, TR_TPOT, TR_E2E, TR_N_METRICS };
const char *tr_metric_name(enum tr_metric m); /* "TTFT" */

struct tr_objective {
    enum tr_metric metric;
    double fraction; /* 0.95 for p95: at least this share of all requests offered is within */
    int64_t limit_ns;
};

#define TR_MAX_OBJECTIVES 8

struct tr_slo {
    int n;
    struct tr_objective objective[TR_MAX_OBJECTIVES];
    bool spikes_only; /* `window: spikes`: only requests that arrive inside spikes decide */
};

/* The value of a metric, or INT64_MAX when the request has none (not done). A one-token answer has
 * a TPOT of 0. */
int64_t tr_record_metric(const struct tr_record *r, enum tr_metric m);

/* ---- outcome -------------------------------------------------------------------------------- */

/* Arrivals and admissions are counted in windows of ten seconds; five minutes are the time over
 * which the label looks for a backlog. */
#define TR_WINDOW_NS  (INT64_C(10) * TR_NS_PER_S)
#define TR_BACKLOG_NS (INT64_C(300) * TR_NS_PER_S)

enum tr_label { TR_STABLE, TR_BACKLOGGED, TR_OVERLOADED };
const char *tr_label_name(enum tr_label l);

/* Requests of one priority, where tenants have several. */
#define TR_MAX_TIERS 8
struct tr_tier {
    int32_t priority;
    int64_t offered, inside_all;
    struct tr_hist ttft; /* of done requests, ns */
};

struct tr_window {
    int64_t arrived, admitted; /* admitted: first given tokens in this window */
};

struct tr_outcome {
    int64_t offered, done, rejected, timed_out, aborted;
    int64_t spike_offered;
    int64_t inside[8], spike_inside[8];   /* per objective */
    int64_t inside_all, spike_inside_all; /* every objective met: goodput */
    int64_t missed[TR_N_CAUSES];          /* requests outside some objective, by cause */
    int64_t prompt_tok, output_tok, preemptions;
    struct tr_hist metric[TR_N_METRICS]; /* of done requests, ns */
    struct tr_hist queue;                /* of requests that were scheduled, ns */
    int64_t first_arrival_ns, last_arrival_ns, end_ns;
    struct tr_window *windows; /* by arrival / admission time */
    size_t n_windows;
    bool by_priority; /* count tiers: set before the first record */
    int n_tiers;
    struct tr_tier tier[TR_MAX_TIERS]; /* by priority; beyond eight: with the last */
    bool stopped_early;                /* the answer was certain: counts are a lower bound */
};

void tr_outcome_init(struct tr_outcome *o);
void tr_outcome_free(struct tr_outcome *o);
void tr_outcome_add(struct tr_outcome *o, const struct tr_slo *slo, const struct tr_record *r,
                    bool in_spike);
void tr_outcome_merge(struct tr_outcome *into, const struct tr_outcome *from);
/* Share of offered requests within objective i (of all, or of those inside spikes). NAN: none. */
double tr_outcome_inside(const struct tr_outcome *o, int i, bool spikes);
/* Does the outcome meet every objective, on the requests that decide? */
bool tr_outcome_meets(const struct tr_outcome *o, const struct tr_slo *slo);
/* Overloaded: requests arrived faster than they were admitted over the whole run; backlogged: over
 * some five minutes of it; docs/record.md has the exact rule. */
enum tr_label tr_outcome_label(const struct tr_outcome *o);

#endif
