/* traffic: streams of requests, from a trace file or from a description.
 *
 * An arrival says when a request is sent and how long its prompt and its answer are; it never says
 * what became of it. A source is an iterator: next() until it returns 0, rewind() and it yields the
 * same arrivals again. Whatever its length, a source takes a bounded amount of memory (a trace file
 * is kept as 16 bytes a request, and some more for tenant, session and what prompts share).
 * Sources are values: two of the same description yield the same arrivals, so every arrangement is
 * tried on the very same requests.
 *
 * Times start at 0 with the period (synthetic traffic) or with the first request (a trace).
 */
#ifndef TR_TRAFFIC_TRAFFIC_H
#define TR_TRAFFIC_TRAFFIC_H

#include "base/base.h"
#include "base/chain.h"
#include "num/num.h"
#include "fmt/fmt.h"

struct tr_arrival {
    int64_t time_ns;
    int32_t prompt_tok; /* >= 1 */
    int32_t output_tok; /* >= 1 */
    int32_t workload;   /* 0 but in a merged source */
    int32_t tenant;     /* 0.. */
    int32_t priority;
    int64_t session; /* -1: none; equal numbers go to the same pod under session-affine routing */
    struct tr_chain chain; /* what its prompt shares with others */
};

/* ---- description of synthetic traffic ------------------------------------------------------- */

struct tr_knot { /* request rate over time, linear between knots; equal times make a step */
    int64_t time_ns;
    double rate; /* 1/s */
};

struct tr_spike { /* docs/traffic.md: rises linearly, holds, decays exponentially, cut at 5 tau */
    int64_t start_ns;
    double peak_rate;
    int64_t ramp_ns, hold_ns, decay_tau_ns;
};

enum tr_length_kind { TR_LENGTH_FIXED, TR_LENGTH_LOGNORMAL };

struct tr_length {
    enum tr_length_kind kind;
    int32_t fixed_tok;
    double mean, cv; /* mean of the clamped values; cv before clamping (num/num.h) */
    int32_t min_tok, max_tok;
};

/* Conversations. The first prompt of one is drawn from the traffic's prompt lengths; each later one
 * is the prompt before it, the answer to that and a new message, and comes when that answer has
 * been given (output tokens x TPOT) and read. A session ends before a prompt would be longer than
 * the prompt lengths' max_tok (32,768 where they are fixed). Rates stay those of requests. */
struct tr_sessions_spec {
    double turns;     /* per session, geometric with this mean; 0: no sessions */
    bool fixed_turns; /* always `turns`, a whole number */
    struct tr_length message;
    int64_t think_ns; /* mean; lognormal */
    double think_cv;
    int64_t tpot_ns; /* nominal: no system is asked */
};

enum tr_process { TR_POISSON, TR_CONSTANT, TR_GAMMA };

struct tr_traffic_spec {
    /* A trace, or (trace == NULL) a description. */
    const char *trace;
    const char *format; /* "azure", "vidur", "csv", "mooncake", or NULL: by the first line */
    /* Column names for format csv; NULL: the defaults arrived_at, num_prefill_tokens, ... */
    const char *col_time, *col_prompt, *col_output, *col_tenant, *col_session;
    double time_unit_s;   /* seconds per unit of the time column; 0: the format's own */
    int64_t max_requests; /* 0: all */

    enum tr_process process;
    double burstiness; /* gamma shape: 1 Poisson, below 1 burstier; vllm bench serve's word */
    size_t n_knots, n_spikes;
    const struct tr_knot *knots;
    const struct tr_spike *spikes;
    int64_t duration_ns;
    double modulation_variance; /* of the multiplier; ln multiplier has variance ln(1 + this) */
    int64_t modulation_time_ns; /* correlation time of its logarithm; constant over 1 s */
    struct tr_length prompt, output;
    /* What the prompts of a description share. The first system_tok tokens of each are one of
     * system_variants system prompts, drawn evenly for a session or, without these, a request. */
    int32_t system_tok; /* 0: none */
    int32_t system_variants;
    struct tr_sessions_spec sessions;

    /* Applies to both. */
    double rate_scale;      /* 1; a trace's times are divided by it */
    bool capacity_relative; /* rate_scale is C / relative_to, set by plan once C is known */
    double relative_to;     /* 45 for the AKS chatbot case */
    int n_tenants;          /* tenants drawn per request by `shares` unless the trace has them */
    const double *shares;   /* n_tenants, sum 1 */
    /* This part of each tenant's requests follows a curve of the tenant's own: the description's,
     * shifted around its period by a drawn time and modulated by itself. 0: one curve for all. Not
     * of a trace. */
    double own_curve;
    /* Mixed into the seed (0: not), so that workloads described alike have arrivals of their own.
     */
    uint64_t salt;
};

/* The AKS chatbot case: knots, spikes, modulation and lengths filled in (static storage); what else
 * the description holds stays as it is. */
void tr_traffic_aks_chatbot(struct tr_traffic_spec *spec);
/* Sensible zeroes: rate_scale 1, burstiness 1, one tenant, one system prompt, TPOT 25 ms. */
void tr_traffic_spec_init(struct tr_traffic_spec *spec);

/* Are the sessions of the description possible? */
int tr_sessions_check(const struct tr_traffic_spec *spec, struct tr_err *err);

/* ---- sources -------------------------------------------------------------------------------- */

struct tr_source;

/* What a trace reader saw; rows read = kept + dropped, by reason. */
struct tr_trace_info {
    const char *format;
    int64_t rows_read, rows_kept;
    int64_t dropped_no_prompt, dropped_no_output, unsorted; /* unsorted rows are kept, and sorted */
    int64_t equal_stamps;
};

/* Opens a source. Reads a trace file whole (bad rows: TR_EINPUT with file:line). `seed` drives
 * everything drawn. For synthetic traffic `info` is zeroed. */
int tr_source_open(const struct tr_traffic_spec *spec, uint64_t seed, struct tr_source **out,
                   struct tr_trace_info *info, struct tr_err *err);
/* 1 and the next arrival, times never decreasing; 0 at the end. */
int tr_source_next(struct tr_source *src, struct tr_arrival *out);
void tr_source_rewind(struct tr_source *src);
/* A second, independent iterator over the same arrivals (for another thread), at their start. The
 * two share a trace's rows, which are freed with the last of them. */
struct tr_source *tr_source_clone(const struct tr_source *src);
/* Synthetic traffic of at most `most` requests is drawn once and kept (16 bytes a request, 8 more
 * with sessions) by this iterator and its later clones, which then yield the same arrivals faster.
 * Does nothing otherwise. Call it before the source is cloned for other threads. */
void tr_source_keep(struct tr_source *src, int64_t most);
/* The end of the period: duration of a description, the last arrival of a trace; the last arrival
 * also where max_requests cuts a description short. */
int64_t tr_source_span_ns(const struct tr_source *src);
/* How many tenants the arrivals can name: those of the description or, when the trace has a column
 * of them, of the trace. */
int tr_source_tenants(const struct tr_source *src);
void tr_source_close(struct tr_source *src);

/* Constant Poisson at `rate`, for `n` arrivals, whose lengths and tenants are drawn from the
 * scenario's own traffic: the same length distribution, or the trace's own pairs drawn at random
 * with replacement. Of a trace whose prompts share something: its rows in their order, from a drawn
 * one on and round again, where no lap shares anything with another. Of described sessions: the
 * same sessions, started at a constant rate so that requests come at `rate` in the mean. This is
 * what capacity is measured with. */
struct tr_source *tr_source_poisson_like(const struct tr_source *src, double rate, int64_t n,
                                         uint64_t seed);

/* What would be different: see tr_source_vary. */
struct tr_variation {
    double burst;  /* 1: as it is; 0: the same rate in every minute; above 1: sharper peaks */
    double prompt; /* factor on prompt lengths, 0.05 to 20; 1: as they are */
    double shared; /* this part of every prompt is the same for all; below 0: as it is */
};

/* An iterator over the same requests in the same order, varied from how they were opened (not from
 * an earlier variation). Burst: times move so that every minute's rate becomes proportional to its
 * rate to the power `burst`; number and span stay (costs one pass, and 16 bytes a minute). Prompt:
 * lengths and the ends of what is shared are multiplied, at least 1 token. Shared: whatever a
 * prompt shares is replaced by its first `shared` x tokens. A capacity run of it keeps prompt and
 * shared. */
struct tr_source *tr_source_vary(const struct tr_source *src, const struct tr_variation *v);

/* Several sources as one, in the order of (time, workload): arrivals of sources[w] have workload w,
 * and their prompts share nothing with those of other workloads. Takes the sources over. Tenants
 * and sessions stay numbered by workload. Sources opened with the same seed draw the same numbers:
 * give each its own. It can be neither varied nor the model of a capacity run: vary the sources
 * before.
 */
struct tr_source *tr_source_merge(struct tr_source *const *sources, int n);

/* ---- statistics ----------------------------------------------------------------------------- */

struct tr_traffic_stats {
    int64_t requests, span_ns;
    int64_t prompt_tok, output_tok; /* sums */
    double rate;                    /* requests / span */
    double peak_over_mean[4];       /* windows of 1 s, 10 s, 1 min, 1 h; NAN: span shorter than 2 */
    double idc[3];                  /* index of dispersion, windows of 1 s, 10 s, 60 s */
    double iat_cv;                  /* coefficient of variation of the gaps */
    double median_minute_rate;      /* median over minutes of requests/s: base of the spike rule */
    int32_t prompt_q[4], output_q[4]; /* p50, p90, p95, p99 */
    int n_tenants;
    int64_t sessions;    /* that have a request here */
    double mean_turns;   /* requests of a session here; NAN: no sessions */
    double prefix_reuse; /* share of the prompt tokens that an unbounded prefix cache would have */
};
/* Consumes the source from its start and rewinds it. Takes 16 to 64 bytes for each key that prompts
 * share, and a bit for each session. */
void tr_traffic_measure(struct tr_source *src, struct tr_traffic_stats *out);

#endif
