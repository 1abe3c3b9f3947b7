/* parts: what a source is made of, private to the room.
 *
 *   rate     the description's rate over time, compiled into straight segments
 *   trace    the rows of a file, 16 bytes each
 *   tokens   a length distribution, ready to be drawn from
 */
#ifndef TR_TRAFFIC_PARTS_H
#define TR_TRAFFIC_PARTS_H

#include "traffic/traffic.h"

#define TR_MAX_TOK      10000000 /* longest prompt or answer, far above any model's context */
#define TR_MAX_RATE     1e6      /* 1/s */
#define TR_MAX_SPAN_NS  (INT64_C(36525) * 86400 * TR_NS_PER_S) /* 100 years, as in base/units */
#define TR_MAX_SPIKES   10000
#define TR_MAX_TENANTS  1000000
#define TR_MAX_VOICES   60000   /* tenants with curves of their own */
#define TR_MAX_VARIANTS 1000000 /* of the system prompt */

/* ---- rate ----------------------------------------------------------------------------------- */

struct tr_rate_segment { /* from t0 to t1 the rate goes straight from r0 to r1 */
    int64_t t0_ns, t1_ns;
    double r0, r1; /* 1/s */
};

struct tr_rate {
    struct tr_rate_segment *segments; /* gapless from 0 to the end */
    size_t n;
};

/* Knots and spikes become straight segments over [0, end_ns). A spike's decay is cut into pieces of
 * tau/64, whose chords overstate its requests by 1 in 49,000; everything else is exact. */
int tr_rate_build(const struct tr_traffic_spec *spec, int64_t end_ns, struct tr_rate *out,
                  struct tr_err *err);
/* Puts `lead_ns` at the rate of time 0 before all, and moves the rest that much later. */
void tr_rate_lead(struct tr_rate *rate, int64_t lead_ns);
void tr_rate_free(struct tr_rate *rate);

/* ---- trace ---------------------------------------------------------------------------------- */

struct tr_trace_row {
    int64_t time_ns; /* since the first row */
    int32_t prompt_tok, output_tok;
};

struct tr_trace {
    struct tr_trace_row *rows;
    int32_t *tenants;    /* by row, NULL when the file has none */
    int32_t *sessions;   /* by row, -1: none; NULL when the file has none */
    int32_t *system_tok; /* by row: end of the system prompt, of drawn sessions that are kept */
    /* What a prompt shares: the history of its session (its number by row; -1: none), or runs made
     * from block ids: row i has those from runs_at[i] up to runs_at[i + 1]. NULL: nothing. */
    int32_t *histories;
    struct tr_run *runs;
    uint32_t *runs_at;
    int32_t *blocks; /* by row, while it is read: the last block id's number, -1: none */
    size_t n;
    int n_tenants; /* 0 when the file has none */
    int64_t n_sessions;
};

/* A trace that is being read, in whatever format. */
struct tr_rows {
    struct tr_trace *trace;
    struct tr_trace_info *info;
    size_t rows_cap;
    int64_t latest_ns;
};

/* Counts a row, and adds it where it has a prompt and an answer. */
int tr_rows_add(struct tr_rows *r, const char *path, const struct tr_trace_row *row, bool *kept,
                struct tr_err *err);
/* Sorts, counts equal stamps, lets time begin with the first row, finds what sessions share. No
 * rows at all is an error. */
int tr_rows_finish(struct tr_rows *r, const char *path, struct tr_err *err);

/* Reads a trace in the format asked for or, without one, found from its first line. Takes the lines
 * over, also when it fails. */
int tr_trace_open(struct tr_lines *lines, const struct tr_traffic_spec *spec, struct tr_trace *out,
                  struct tr_trace_info *info, struct tr_err *err);
/* Any CSV format; mooncake.c: lines of JSON with block ids. */
int tr_trace_read(struct tr_csv *csv, const struct tr_traffic_spec *spec, struct tr_trace *out,
                  struct tr_trace_info *info, struct tr_err *err);
int tr_mooncake_read(struct tr_lines *lines, const struct tr_traffic_spec *spec,
                     struct tr_trace *out, struct tr_trace_info *info, struct tr_err *err);
void tr_trace_free(struct tr_trace *trace);

/* A time stamp "2023-11-16 18:15:46.6805900", also with T, Z, +00:00 or without fraction, in ns
 * since 1970 UTC; false when it is none. */
bool tr_trace_stamp(const char *text, int64_t *ns);
/* A plain number of time units in ns: exact to 1 ns where the unit is a whole number of ns. False
 * when it is no number, negative, or beyond 292 years. */
bool tr_trace_seconds(const char *text, double unit_s, int64_t *ns);
/* A whole number of tokens, 0 to TR_MAX_TOK ("374" or "374.0"). */
bool tr_trace_tokens(const char *text, int32_t *tok);

/* ---- tokens --------------------------------------------------------------------------------- */

struct tr_tokens {
    int32_t fixed_tok; /* > 0: always this */
    int32_t min_tok, max_tok;
    struct tr_lognormal dist;
    struct tr_tokens_cell *cells; /* of equal probability: see tokens.c */
};

int tr_tokens_init(struct tr_tokens *t, const struct tr_length *length, const char *what,
                   struct tr_err *err);
/* The length at probability p, 0 < p < 1, by the formula. */
int32_t tr_tokens_at(const struct tr_tokens *t, double p);
/* The same at a random p, mostly by the cells. */
int32_t tr_tokens_draw(const struct tr_tokens *t, uint64_t seed, uint64_t stream, uint64_t index);
void tr_tokens_free(struct tr_tokens *t);

#endif
