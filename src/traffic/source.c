/* source: the iterator over arrivals, whatever they come from. */
#include "traffic/synth.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum kind { KIND_TRACE, KIND_SYNTH, KIND_KEPT, KIND_LIKE };

/* What the iterators of one tr_source_open share: read-only, freed with the last of them. */
struct traffic {
    atomic_int users;
    bool is_trace;
    struct tr_trace trace;
    double time_scale; /* of a trace: times are divided by it */
    struct tr_synth_model synth;
    struct tr_tokens prompt, output;
    int n_tenants;
    double *up_to; /* n_tenants: cumulative shares */
    uint64_t prompt_stream, output_stream, tenant_stream, row_stream, like_gap_stream;
};

struct tr_source {
    struct traffic *traffic;
    enum kind kind;
    uint64_t seed;
    int64_t span_ns;
    uint64_t index; /* of the next arrival */
    struct tr_synth synth;
    /* Poisson like the traffic: the sum of unit gaps so far, the rate, how many. */
    double gaps, rate;
    int64_t n;
};

static void traffic_release(struct traffic *t)
{
    if (atomic_fetch_sub(&t->users, 1) > 1)
        return;
    tr_trace_free(&t->trace);
    tr_rate_free(&t->synth.rate);
    tr_tokens_free(&t->prompt);
    tr_tokens_free(&t->output);
    free(t->up_to);
    free(t);
}

static struct tr_source *source_new(struct traffic *t, enum kind kind, uint64_t seed)
{
    struct tr_source *src = tr_calloc(1, sizeof(*src));

    atomic_fetch_add(&t->users, 1);
    src->traffic = t;
    src->kind = kind;
    src->seed = seed;
    src->synth.model = &t->synth;
    src->synth.seed = seed;
    tr_source_rewind(src);
    return src;
}

/* Shares may be missing for a single tenant. */
static int init_tenants(struct traffic *t, const struct tr_traffic_spec *spec, struct tr_err *err)
{
    double sum = 0.0;

    t->n_tenants = TR_MAX(spec->n_tenants, 1);
    if (t->n_tenants > TR_MAX_TENANTS)
        return tr_err_set(err, TR_EINPUT, "%d tenants; at most %d are allowed", t->n_tenants,
                          TR_MAX_TENANTS);
    if (t->n_tenants == 1)
        return 0;
    if (!spec->shares)
        return tr_err_set(err, TR_EINPUT, "%d tenants need their shares of the traffic",
                          t->n_tenants);
    t->up_to = tr_calloc((size_t)t->n_tenants, sizeof(*t->up_to));
    for (int i = 0; i < t->n_tenants; i++) {
        if (!(spec->shares[i] >= 0.0 && spec->shares[i] <= 1.0))
            return tr_err_set(err, TR_EINPUT, "share %d of the tenants is %g; allowed are 0 to 1",
                              i + 1, spec->shares[i]);
        sum += spec->shares[i];
        t->up_to[i] = sum;
    }
    if (!(fabs(sum - 1.0) <= 1e-3))
        return tr_err_set(err, TR_EINPUT, "the tenants' shares add up to %g, not to 1", sum);
    for (int i = 0; i < t->n_tenants; i++)
        t->up_to[i] /= sum;
    return 0;
}

static int open_trace(struct traffic *t, const struct tr_traffic_spec *spec,
                      struct tr_trace_info *info, struct tr_err *err)
{
    struct tr_csv *csv;
    int rc = tr_csv_open(spec->trace, &csv, err);

    if (rc)
        return rc;
    rc = tr_trace_read(csv, spec, &t->trace, info, err);
    tr_csv_close(csv);
    if (rc)
        return rc;
    t->is_trace = true;
    t->time_scale = spec->rate_scale;
    double span_ns = (double)t->trace.rows[t->trace.n - 1].time_ns / t->time_scale;
    if (!(span_ns <= (double)TR_MAX_SPAN_NS))
        return tr_err_set(err, TR_EINPUT, "%s: a rate scale of %g stretches it beyond 100 years",
                          spec->trace, spec->rate_scale);
    if (t->trace.n_tenants == 0)
        return 0;
    if (t->n_tenants > 1 && t->trace.n_tenants > t->n_tenants)
        return tr_err_set(err, TR_EINPUT, "%s: has %d tenants, but only %d are expected",
                          spec->trace, t->trace.n_tenants, t->n_tenants);
    t->n_tenants = TR_MAX(t->n_tenants, t->trace.n_tenants);
    return 0;
}

/* The time of row `i` under the rate scale. */
static int64_t trace_time(const struct traffic *t, size_t i)
{
    int64_t time_ns = t->trace.rows[i].time_ns;
    return t->time_scale == 1.0 ? time_ns : (int64_t)((double)time_ns / t->time_scale);
}

static int open_description(struct traffic *t, const struct tr_traffic_spec *spec,
                            struct tr_err *err)
{
    int rc = tr_tokens_init(&t->prompt, &spec->prompt, "prompt length", err);

    if (rc == 0)
        rc = tr_tokens_init(&t->output, &spec->output, "output length", err);
    if (rc == 0)
        rc = tr_synth_model_init(&t->synth, spec, err);
    return rc;
}

int tr_source_open(const struct tr_traffic_spec *spec, uint64_t seed, struct tr_source **out,
                   struct tr_trace_info *info, struct tr_err *err)
{
    struct tr_trace_info unused;
    struct traffic *t = tr_calloc(1, sizeof(*t));
    int rc = 0;

    *out = NULL;
    info = info ? info : &unused;
    *info = (struct tr_trace_info){0};
    atomic_store(&t->users, 1);
    t->prompt_stream = tr_rng_stream("traffic prompt", 0, 0);
    t->output_stream = tr_rng_stream("traffic output", 0, 0);
    t->tenant_stream = tr_rng_stream("traffic tenant", 0, 0);
    t->row_stream = tr_rng_stream("traffic row", 0, 0);
    t->like_gap_stream = tr_rng_stream("traffic capacity gap", 0, 0);
    if (!(spec->rate_scale >= 1e-6 && spec->rate_scale <= 1e6))
        rc = tr_err_set(err, TR_EINPUT, "rate scale %g; allowed are 1e-6 to 1e6", spec->rate_scale);
    if (rc == 0 && spec->max_requests < 0)
        rc = tr_err_set(err, TR_EINPUT, "at most %" PRId64 " requests; must not be negative",
                        spec->max_requests);
    if (rc == 0)
        rc = init_tenants(t, spec, err);
    if (rc == 0)
        rc = spec->trace ? open_trace(t, spec, info, err) : open_description(t, spec, err);
    if (rc == 0) {
        *out = source_new(t, t->is_trace ? KIND_TRACE : KIND_SYNTH, seed);
        (*out)->span_ns =
            t->is_trace ? trace_time(t, t->trace.n - 1) : tr_synth_span_ns(&t->synth, seed);
    }
    traffic_release(t);
    return rc;
}

static int32_t draw_tenant(const struct tr_source *src)
{
    const struct traffic *t = src->traffic;

    if (!t->up_to)
        return 0;
    double u = tr_rng_unit(src->seed, t->tenant_stream, src->index);
    int lo = 0, hi = t->n_tenants - 1; /* the first whose cumulative share is above u */
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (u < t->up_to[mid])
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Lengths, tenant and session of row `i`. */
static void fill_from_row(const struct tr_source *src, size_t i, struct tr_arrival *out)
{
    const struct tr_trace *trace = &src->traffic->trace;

    out->prompt_tok = trace->rows[i].prompt_tok;
    out->output_tok = trace->rows[i].output_tok;
    out->tenant = trace->tenants ? trace->tenants[i] : draw_tenant(src);
    out->session = trace->sessions ? trace->sessions[i] : -1;
}

static void fill_from_lengths(const struct tr_source *src, struct tr_arrival *out)
{
    const struct traffic *t = src->traffic;

    out->prompt_tok = tr_tokens_draw(&t->prompt, src->seed, t->prompt_stream, src->index);
    out->output_tok = tr_tokens_draw(&t->output, src->seed, t->output_stream, src->index);
    out->tenant = draw_tenant(src);
    out->session = -1;
}

static bool like_next(struct tr_source *src, struct tr_arrival *out)
{
    const struct traffic *t = src->traffic;

    if ((int64_t)src->index >= src->n)
        return false;
    src->gaps += tr_rng_exp(src->seed, t->like_gap_stream, src->index);
    out->time_ns = (int64_t)(src->gaps / src->rate * 1e9);
    if (!t->is_trace) {
        fill_from_lengths(src, out);
        return true;
    }
    double u = tr_rng_unit(src->seed, t->row_stream, src->index);
    size_t i = (size_t)(u * (double)t->trace.n);
    fill_from_row(src, TR_MIN(i, t->trace.n - 1), out);
    return true;
}

int tr_source_next(struct tr_source *src, struct tr_arrival *out)
{
    const struct traffic *t = src->traffic;
    bool more = false;

    out->priority = 0;
    out->chain = (struct tr_chain){0};
    switch (src->kind) {
    case KIND_TRACE:
        more = src->index < t->trace.n;
        if (more) {
            out->time_ns = trace_time(t, src->index);
            fill_from_row(src, src->index, out);
        }
        break;
    case KIND_SYNTH:
        more = tr_synth_next(&src->synth, &out->time_ns);
        if (more)
            fill_from_lengths(src, out);
        break;
    case KIND_KEPT:
        more = src->index < t->trace.n;
        if (more) {
            out->time_ns = t->trace.rows[src->index].time_ns;
            fill_from_row(src, src->index, out);
        }
        break;
    case KIND_LIKE:
        more = like_next(src, out);
        break;
    }
    src->index += more;
    return more;
}

void tr_source_rewind(struct tr_source *src)
{
    src->index = 0;
    src->gaps = 0.0;
    tr_synth_rewind(&src->synth);
}

void tr_source_keep(struct tr_source *src, int64_t most)
{
    struct tr_trace *kept = &src->traffic->trace;
    struct tr_trace_row *rows = NULL;
    struct tr_arrival a;
    size_t n = 0, cap = 0;

    if (src->kind != KIND_SYNTH)
        return;
    tr_source_rewind(src);
    while ((int64_t)n <= most && tr_source_next(src, &a)) {
        tr_grow(&rows, &cap, n + 1, sizeof *rows);
        rows[n++] = (struct tr_trace_row){a.time_ns, a.prompt_tok, a.output_tok};
    }
    tr_source_rewind(src);
    if ((int64_t)n > most) {
        free(rows);
        return;
    }
    kept->rows = rows;
    kept->n = n;
    src->kind = KIND_KEPT;
}

struct tr_source *tr_source_clone(const struct tr_source *src)
{
    struct tr_source *copy = source_new(src->traffic, src->kind, src->seed);

    copy->span_ns = src->span_ns;
    copy->rate = src->rate;
    copy->n = src->n;
    return copy;
}

struct tr_source *tr_source_poisson_like(const struct tr_source *src, double rate, int64_t n,
                                         uint64_t seed)
{
    struct tr_source *like = source_new(src->traffic, KIND_LIKE, seed);

    tr_assert(rate > 0.0 && n > 0 && (double)n / rate < 3e9); /* 95 years */
    like->rate = rate;
    like->n = n;
    like->span_ns = (int64_t)((double)n / rate * 1e9);
    return like;
}

int64_t tr_source_span_ns(const struct tr_source *src)
{
    return src->span_ns;
}

int tr_source_tenants(const struct tr_source *src)
{
    return src->traffic->n_tenants;
}

void tr_source_close(struct tr_source *src)
{
    if (!src)
        return;
    traffic_release(src->traffic);
    free(src);
}
