/* source: iterators over arrivals: opened, cloned, kept, closed. */
#include "traffic/source.h"

#include <math.h>
#include <stdlib.h>

/* Do prompts of a trace share anything? */
static bool has_chains(const struct tr_trace *trace)
{
    return trace->histories || trace->runs_at;
}

static void traffic_release(struct tr_traffic *t)
{
    if (atomic_fetch_sub(&t->users, 1) > 1)
        return;
    tr_trace_free(&t->trace);
    tr_synth_model_free(&t->synth);
    tr_tokens_free(&t->prompt);
    tr_tokens_free(&t->output);
    tr_tokens_free(&t->sessions.message);
    free(t->up_to);
    free(t);
}

static struct tr_source *source_new(struct tr_traffic *t, enum tr_source_kind kind, uint64_t seed)
{
    struct tr_source *src = tr_calloc(1, sizeof(*src));

    atomic_fetch_add(&t->users, 1);
    src->traffic = t;
    src->kind = kind;
    src->seed = seed;
    src->synth.model = &t->synth;
    src->synth.seed = seed;
    src->sessions.model = &t->sessions;
    src->sessions.seed = seed;
    src->sessions.starts = &src->synth;
    tr_source_rewind(src);
    return src;
}

/* Shares may be missing for a single tenant. */
static int init_tenants(struct tr_traffic *t, const struct tr_traffic_spec *spec,
                        struct tr_err *err)
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

static int open_trace(struct tr_traffic *t, const struct tr_traffic_spec *spec,
                      struct tr_trace_info *info, struct tr_err *err)
{
    struct tr_lines *lines;
    int rc = tr_lines_open(spec->trace, &lines, err);

    if (rc == 0)
        rc = tr_trace_open(lines, spec, &t->trace, info, err);
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

static int check_system_prompt(const struct tr_traffic_spec *spec, struct tr_err *err)
{
    if (spec->system_tok < 0 || spec->system_tok > TR_MAX_TOK)
        return tr_err_set(err, TR_EINPUT, "a system prompt of %d tokens; allowed are 0 to %d",
                          spec->system_tok, TR_MAX_TOK);
    if (spec->system_variants < 1 || spec->system_variants > TR_MAX_VARIANTS)
        return tr_err_set(err, TR_EINPUT, "%d system prompts; allowed are 1 to %d",
                          spec->system_variants, TR_MAX_VARIANTS);
    return 0;
}

static int open_description(struct tr_traffic *t, const struct tr_traffic_spec *spec, uint64_t seed,
                            struct tr_err *err)
{
    int rc = tr_tokens_init(&t->prompt, &spec->prompt, "prompt length", err);

    if (rc == 0)
        rc = tr_tokens_init(&t->output, &spec->output, "output length", err);
    if (rc == 0)
        rc = tr_synth_model_init(&t->synth, spec, err);
    if (rc == 0)
        rc = check_system_prompt(spec, err);
    t->system_tok = spec->system_tok;
    t->system_variants = spec->system_variants;
    t->has_sessions = spec->sessions.turns != 0.0;
    if (rc == 0 && t->has_sessions)
        rc = tr_sessions_model_init(&t->sessions, spec, &t->prompt, &t->output, &t->synth, err);
    if (rc == 0)
        rc = tr_synth_model_part(&t->synth, spec, seed, err);
    return rc;
}

static void init_streams(struct tr_traffic *t)
{
    t->prompt_stream = tr_rng_stream("traffic prompt", 0, 0);
    t->output_stream = tr_rng_stream("traffic output", 0, 0);
    t->tenant_stream = tr_rng_stream("traffic tenant", 0, 0);
    t->row_stream = tr_rng_stream("traffic row", 0, 0);
    t->like_gap_stream = tr_rng_stream("traffic capacity gap", 0, 0);
    t->lap_stream = tr_rng_stream("traffic lap", 0, 0);
    t->history_stream = tr_rng_stream("traffic history key", 0, 0);
    t->system_stream = tr_rng_stream("traffic system prompt", 0, 0);
    t->system_key_stream = tr_rng_stream("traffic system prompt key", 0, 0);
    t->workload_stream = tr_rng_stream("traffic workload", 0, 0);
    t->session_key_stream = tr_rng_stream("traffic session key", 0, 0);
}

/* The end of the period or, where max_requests cuts sessions, the time of the last arrival. */
static int64_t span_of_sessions(struct tr_source *src)
{
    const struct tr_sessions_model *m = src->sessions.model;
    struct tr_turn turn = {0};

    if (!m->max_requests)
        return m->end_ns;
    while (tr_sessions_next(&src->sessions, &turn))
        continue;
    int64_t span_ns = src->sessions.given == m->max_requests ? turn.time_ns : m->end_ns;
    tr_source_rewind(src);
    return span_ns;
}

static struct tr_source *first_source(struct tr_traffic *t, uint64_t seed)
{
    struct tr_source *src = source_new(t,
                                       t->is_trace       ? TR_FROM_TRACE
                                       : t->has_sessions ? TR_FROM_SESSIONS
                                                         : TR_FROM_LENGTHS,
                                       seed);

    if (t->is_trace)
        src->span_ns = tr_trace_time(t, t->trace.n - 1);
    else if (t->has_sessions)
        src->span_ns = span_of_sessions(src);
    else
        src->span_ns = tr_synth_span_ns(&t->synth, seed);
    return src;
}

int tr_source_open(const struct tr_traffic_spec *spec, uint64_t seed, struct tr_source **out,
                   struct tr_trace_info *info, struct tr_err *err)
{
    struct tr_trace_info unused;
    struct tr_traffic *t = tr_calloc(1, sizeof(*t));
    int rc = 0;

    *out = NULL;
    info = info ? info : &unused;
    *info = (struct tr_trace_info){0};
    atomic_store(&t->users, 1);
    init_streams(t);
    if (spec->salt)
        seed = tr_rng_u64(seed, tr_rng_stream("traffic salt", 0, 0), spec->salt);
    if (!(spec->rate_scale >= 1e-6 && spec->rate_scale <= 1e6))
        rc = tr_err_set(err, TR_EINPUT, "rate scale %g; allowed are 1e-6 to 1e6", spec->rate_scale);
    if (rc == 0 && spec->max_requests < 0)
        rc = tr_err_set(err, TR_EINPUT, "at most %" PRId64 " requests; must not be negative",
                        spec->max_requests);
    if (rc == 0)
        rc = init_tenants(t, spec, err);
    if (rc == 0)
        rc = spec->trace ? open_trace(t, spec, info, err) : open_description(t, spec, seed, err);
    if (rc == 0)
        *out = first_source(t, seed);
    traffic_release(t);
    return rc;
}

void tr_source_rewind(struct tr_source *src)
{
    if (src->kind == TR_FROM_MERGED) {
        tr_merged_rewind(src);
        return;
    }
    src->index = 0;
    src->gaps = 0.0;
    src->moved_to = 0;
    src->moved_ns = 0;
    tr_synth_rewind(&src->synth);
    tr_sessions_rewind(&src->sessions);
}

void tr_source_keep(struct tr_source *src, int64_t most)
{
    struct tr_trace kept = {0};
    struct tr_arrival a;
    size_t cap = 0, cap_sessions = 0, cap_system = 0, cap_tenants = 0;

    if (src->kind == TR_FROM_MERGED) {
        tr_merged_keep(src, most);
        return;
    }
    bool drawn = src->kind == TR_FROM_LENGTHS || src->kind == TR_FROM_SESSIONS;
    if (!drawn || src->n || src->varied) /* a capacity run has an n */
        return;
    tr_source_rewind(src);
    while ((int64_t)kept.n <= most && tr_source_next(src, &a)) {
        size_t i = kept.n++;
        tr_grow(&kept.rows, &cap, kept.n, sizeof(*kept.rows));
        kept.rows[i] = (struct tr_trace_row){a.time_ns, a.prompt_tok, a.output_tok};
        if (src->traffic->synth.n_voices) {
            tr_grow(&kept.tenants, &cap_tenants, kept.n, sizeof(*kept.tenants));
            kept.tenants[i] = a.tenant;
        }
        if (!src->traffic->has_sessions)
            continue;
        tr_assert(a.session <= INT32_MAX);
        tr_grow(&kept.sessions, &cap_sessions, kept.n, sizeof(*kept.sessions));
        kept.sessions[i] = (int32_t)a.session;
        tr_grow(&kept.system_tok, &cap_system, kept.n, sizeof(*kept.system_tok));
        kept.system_tok[i] = a.chain.n > 1 ? a.chain.own[0].end_tok : 0;
    }
    tr_source_rewind(src);
    if ((int64_t)kept.n > most) {
        tr_trace_free(&kept);
        return;
    }
    src->traffic->trace = kept;
    src->kind = TR_FROM_KEPT;
}

/* Sessions of a capacity run: as many starts as give requests at the source's rate. */
static void start_at_rate(struct tr_source *src)
{
    src->sessions.starts = NULL;
    src->sessions.start_rate = src->rate / src->traffic->sessions.turns_out;
    src->sessions.most = src->n;
}

struct tr_source *tr_source_clone(const struct tr_source *src)
{
    if (src->kind == TR_FROM_MERGED)
        return tr_merged_clone(src);
    struct tr_source *copy = source_new(src->traffic, src->kind, src->seed);

    copy->span_ns = src->span_ns;
    copy->workload = src->workload;
    copy->rate = src->rate;
    copy->n = src->n;
    if (src->sessions.most)
        start_at_rate(copy);
    copy->varied = src->varied;
    if (copy->varied)
        atomic_fetch_add(&copy->varied->users, 1);
    return copy;
}

struct tr_source *tr_source_poisson_like(const struct tr_source *src, double rate, int64_t n,
                                         uint64_t seed)
{
    tr_assert(src->kind != TR_FROM_MERGED);
    struct tr_traffic *t = src->traffic;
    struct tr_source *like = source_new(t,
                                        t->has_sessions         ? TR_FROM_SESSIONS
                                        : has_chains(&t->trace) ? TR_FROM_LAPS
                                                                : TR_FROM_LIKE,
                                        seed);

    tr_assert(rate > 0.0 && n > 0 && (double)n / rate < 3e9); /* 95 years */
    like->rate = rate;
    like->n = n;
    like->span_ns = (int64_t)((double)n / rate * 1e9);
    if (t->has_sessions)
        start_at_rate(like);
    if (src->varied) {
        struct tr_variation v = src->varied->v;
        v.burst = 1.0; /* the rate is constant */
        like->varied = tr_varied_new(&v);
    }
    return like;
}

int64_t tr_source_span_ns(const struct tr_source *src)
{
    return src->span_ns;
}

int tr_source_tenants(const struct tr_source *src)
{
    if (src->kind == TR_FROM_MERGED)
        return tr_merged_tenants(src);
    return src->traffic->n_tenants;
}

void tr_source_close(struct tr_source *src)
{
    if (!src)
        return;
    if (src->kind == TR_FROM_MERGED) {
        tr_merged_close(src);
        return;
    }
    for (size_t i = 0; i < src->n_laps; i++)
        free(src->lap_runs[i]);
    free(src->lap_runs);
    tr_sessions_free(&src->sessions);
    tr_synth_free(&src->synth);
    tr_varied_release(src->varied);
    traffic_release(src->traffic);
    free(src);
}
