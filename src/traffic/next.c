/* next: one arrival after the other, whatever they come from. */
#include "traffic/source.h"

/* Sessions are numbered like requests, so that what is drawn once for either has one index. */
static int32_t draw_tenant(const struct tr_source *src, uint64_t index)
{
    const struct tr_traffic *t = src->traffic;

    if (!t->up_to)
        return 0;
    double u = tr_rng_unit(src->seed, t->tenant_stream, index);
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

/* What the prompts of one workload share, no other's do. */
static uint64_t key_of(const struct tr_source *src, uint64_t key)
{
    const struct tr_traffic *t = src->traffic;

    return src->workload ? tr_rng_u64(key, t->workload_stream, (uint64_t)src->workload) : key;
}

static void add_run(struct tr_chain *chain, uint64_t key, int32_t end_tok)
{
    chain->own[chain->n++] = (struct tr_run){key, end_tok};
}

/* The system prompt drawn for request or session `index`, up to `end_tok`. */
static void add_system_prompt(const struct tr_source *src, uint64_t index, int32_t end_tok,
                              struct tr_chain *chain)
{
    const struct tr_traffic *t = src->traffic;
    uint64_t variant = 0;

    if (t->system_variants > 1)
        variant = (uint64_t)(tr_rng_unit(src->seed, t->system_stream, index) *
                             (double)t->system_variants);
    add_run(chain, key_of(src, tr_rng_u64(0, t->system_key_stream, variant)), end_tok);
}

/* Whose a turn is and what its prompt shares. */
static void fill_session(const struct tr_source *src, uint64_t session, int32_t system_tok,
                         struct tr_arrival *out)
{
    out->tenant = draw_tenant(src, session);
    out->session = (int64_t)session;
    if (system_tok)
        add_system_prompt(src, session, system_tok, &out->chain);
    uint64_t key = tr_rng_u64(0, src->traffic->session_key_stream, session);
    add_run(&out->chain, key_of(src, key), TR_CHAIN_OPEN);
}

/* The same of a request that belongs to no session. */
static inline void fill_alone(const struct tr_source *src, struct tr_arrival *out)
{
    const struct tr_traffic *t = src->traffic;

    out->tenant = draw_tenant(src, src->index);
    out->session = -1;
    if (t->system_tok)
        add_system_prompt(src, src->index, TR_MIN(t->system_tok, out->prompt_tok), &out->chain);
}

/* A trace that begins anew shares nothing with the lap before. */
static uint64_t lap_key(const struct tr_source *src, uint64_t key, uint64_t lap)
{
    return key_of(src, lap ? tr_rng_u64(key, src->traffic->lap_stream, lap) : key);
}

/* All runs of the trace as they are in this lap and under the variation, made when first needed. */
static const struct tr_run *runs_of_lap(struct tr_source *src, uint64_t lap)
{
    const struct tr_trace *trace = &src->traffic->trace;
    bool scaled = src->varied && src->varied->v.prompt != 1.0;

    if (lap == 0 && !scaled && !src->workload)
        return trace->runs;
    tr_grow(&src->lap_runs, &src->n_laps, lap + 1, sizeof(*src->lap_runs));
    if (!src->lap_runs[lap]) {
        size_t n = trace->runs_at[trace->n];
        struct tr_run *runs = tr_calloc(n, sizeof(*runs));
        for (size_t i = 0; i < n; i++) {
            int32_t end_tok = trace->runs[i].end_tok;
            runs[i].key = lap_key(src, trace->runs[i].key, lap);
            runs[i].end_tok = scaled ? tr_vary_tok(src->varied, end_tok) : end_tok;
        }
        src->lap_runs[lap] = runs;
    }
    return src->lap_runs[lap];
}

/* What the prompt of row `i` shares. More than two runs stand as varied, fewer as they are. */
static void fill_chain(struct tr_source *src, size_t i, uint64_t lap, struct tr_chain *chain)
{
    const struct tr_trace *trace = &src->traffic->trace;

    if (trace->histories && trace->histories[i] >= 0) {
        uint64_t key = tr_rng_u64(0, src->traffic->history_stream, (uint64_t)trace->histories[i]);
        add_run(chain, lap_key(src, key, lap), TR_CHAIN_OPEN);
    }
    if (!trace->runs_at)
        return;
    size_t first = trace->runs_at[i], n = trace->runs_at[i + 1] - first;
    if (n > 2) {
        chain->n = (int32_t)n;
        chain->more = runs_of_lap(src, lap) + first;
        return;
    }
    for (size_t k = first; k < first + n; k++)
        add_run(chain, lap_key(src, trace->runs[k].key, lap), trace->runs[k].end_tok);
}

static void fill_from_row(struct tr_source *src, size_t i, uint64_t lap, struct tr_arrival *out)
{
    const struct tr_trace *trace = &src->traffic->trace;

    out->prompt_tok = trace->rows[i].prompt_tok;
    out->output_tok = trace->rows[i].output_tok;
    out->tenant = trace->tenants ? trace->tenants[i] : draw_tenant(src, src->index);
    out->session = -1;
    if (trace->sessions && trace->sessions[i] >= 0)
        out->session = trace->sessions[i] + (int64_t)lap * trace->n_sessions;
    if (trace->histories || trace->runs_at)
        fill_chain(src, i, lap, &out->chain);
}

static void fill_from_kept(const struct tr_source *src, struct tr_arrival *out)
{
    const struct tr_trace *kept = &src->traffic->trace;
    size_t i = src->index;

    out->time_ns = kept->rows[i].time_ns;
    out->prompt_tok = kept->rows[i].prompt_tok;
    out->output_tok = kept->rows[i].output_tok;
    if (kept->sessions)
        fill_session(src, (uint64_t)kept->sessions[i], kept->system_tok[i], out);
    else
        fill_alone(src, out);
    if (kept->tenants)
        out->tenant = kept->tenants[i];
}

static void fill_from_lengths(const struct tr_source *src, struct tr_arrival *out)
{
    const struct tr_traffic *t = src->traffic;

    out->prompt_tok = tr_tokens_draw(&t->prompt, src->seed, t->prompt_stream, src->index);
    out->output_tok = tr_tokens_draw(&t->output, src->seed, t->output_stream, src->index);
    fill_alone(src, out);
    if (src->synth.tenant >= 0)
        out->tenant = src->synth.tenant;
}

static bool next_turn(struct tr_source *src, struct tr_arrival *out)
{
    struct tr_turn turn;

    if (!tr_sessions_next(&src->sessions, &turn))
        return false;
    out->time_ns = turn.time_ns;
    out->prompt_tok = turn.prompt_tok;
    out->output_tok = turn.output_tok;
    fill_session(src, turn.id >> TR_TURN_BITS, TR_MIN(src->traffic->system_tok, turn.first_tok),
                 out);
    if (turn.tenant > 0)
        out->tenant = turn.tenant - 1;
    return true;
}

/* The time of the next request of a capacity run; false at its end. */
static bool like_time(struct tr_source *src, struct tr_arrival *out)
{
    if ((int64_t)src->index >= src->n)
        return false;
    src->gaps += tr_rng_exps_at(&src->exps, src->seed, src->traffic->like_gap_stream, src->index);
    out->time_ns = (int64_t)(src->gaps / src->rate * 1e9);
    return true;
}

static size_t draw_row(const struct tr_source *src, uint64_t index)
{
    const struct tr_traffic *t = src->traffic;
    size_t i = (size_t)(tr_rng_unit(src->seed, t->row_stream, index) * (double)t->trace.n);

    return TR_MIN(i, t->trace.n - 1);
}

static bool next_like(struct tr_source *src, struct tr_arrival *out)
{
    if (!like_time(src, out))
        return false;
    if (src->traffic->is_trace)
        fill_from_row(src, draw_row(src, src->index), 0, out);
    else
        fill_from_lengths(src, out);
    return true;
}

/* Rows in their order: drawn at random they would share nothing with those just before, or
 * everything with themselves. */
static bool next_in_laps(struct tr_source *src, struct tr_arrival *out)
{
    size_t n = src->traffic->trace.n;

    if (!like_time(src, out))
        return false;
    uint64_t at = draw_row(src, 0) + src->index;
    fill_from_row(src, at % n, at / n, out);
    return true;
}

int64_t tr_trace_time(const struct tr_traffic *t, size_t i)
{
    int64_t time_ns = t->trace.rows[i].time_ns;
    return t->time_scale == 1.0 ? time_ns : (int64_t)((double)time_ns / t->time_scale);
}

int tr_source_next(struct tr_source *src, struct tr_arrival *out)
{
    const struct tr_traffic *t = src->traffic;
    bool more = false;

    if (src->kind == TR_FROM_MERGED)
        return tr_merged_next(src, out);
    out->workload = src->workload;
    out->priority = 0;
    out->chain = (struct tr_chain){0};
    switch (src->kind) {
    case TR_FROM_TRACE:
        more = src->index < t->trace.n;
        if (more) {
            out->time_ns = tr_trace_time(t, src->index);
            fill_from_row(src, src->index, 0, out);
        }
        break;
    case TR_FROM_LENGTHS:
        more = tr_synth_next(&src->synth, &out->time_ns);
        if (more)
            fill_from_lengths(src, out);
        break;
    case TR_FROM_SESSIONS:
        more = next_turn(src, out);
        break;
    case TR_FROM_KEPT:
        more = src->index < t->trace.n;
        if (more)
            fill_from_kept(src, out);
        break;
    case TR_FROM_LIKE:
        more = next_like(src, out);
        break;
    case TR_FROM_LAPS:
        more = next_in_laps(src, out);
        break;
    case TR_FROM_MERGED: /* above */
        break;
    }
    src->index += more;
    if (src->varied && more)
        tr_vary_arrival(src, out);
    return more;
}
