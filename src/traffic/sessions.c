/* sessions: turns in the order of their times.
 *
 * A heap holds the next turn of each session in progress; it is merged with the starts of sessions.
 * A turn taken from the heap is replaced by the one that follows it, so that a turn costs one way
 * down the heap. */
#include "traffic/sessions.h"

#include <math.h>
#include <stdlib.h>

#define MAX_TURNS    1000.0 /* mean of a session */
#define MAX_LIFE_S   (3 * 86400.0)
#define MAX_THINK_NS (INT64_C(86400) * TR_NS_PER_S)
/* Sessions start so many mean lives before time 0: of geometric turns, a share of exp(-8) = 0.03 %
 * comes later than that after the session's start. */
#define LEAD_LIVES      8.0
#define DEFAULT_MAX_TOK 32768 /* of a prompt, where its length is fixed */
#define TURN_MASK       ((UINT64_C(1) << TR_TURN_BITS) - 1)

/* ---- model ---------------------------------------------------------------------------------- */

static double mean_tok(const struct tr_length *length)
{
    return length->kind == TR_LENGTH_FIXED ? length->fixed_tok : length->mean;
}

/* Mean time from one session's first turn to what would be the turn after its last. */
static double mean_life_s(const struct tr_traffic_spec *spec)
{
    const struct tr_sessions_spec *s = &spec->sessions;

    return s->turns * (mean_tok(&spec->output) * (double)s->tpot_ns + (double)s->think_ns) * 1e-9;
}

int tr_sessions_check(const struct tr_traffic_spec *spec, struct tr_err *err)
{
    const struct tr_sessions_spec *s = &spec->sessions;

    if (!(s->turns >= 1.0 && s->turns <= MAX_TURNS))
        return tr_err_set(err, TR_EINPUT, "%g turns in the mean; allowed are 1 to %g", s->turns,
                          MAX_TURNS);
    if (s->fixed_turns && s->turns != floor(s->turns))
        return tr_err_set(err, TR_EINPUT, "always %g turns; a whole number is needed", s->turns);
    if (s->think_ns < 0 || s->think_ns > MAX_THINK_NS)
        return tr_err_set(err, TR_EINPUT, "a think time of %g s; allowed are 0 to 1 day",
                          (double)s->think_ns * 1e-9);
    if (!(s->think_cv >= 0.0 && s->think_cv <= 5.0))
        return tr_err_set(err, TR_EINPUT, "think times with a cv of %g; allowed are 0 to 5",
                          s->think_cv);
    if (s->tpot_ns < 0 || s->tpot_ns > 10 * TR_NS_PER_S)
        return tr_err_set(err, TR_EINPUT, "a nominal TPOT of %g s; allowed are 0 to 10 s",
                          (double)s->tpot_ns * 1e-9);
    double life_s = mean_life_s(spec);
    if (!(life_s <= MAX_LIFE_S))
        return tr_err_set(err, TR_EINPUT, "sessions last %.1f days in the mean; allowed are 3",
                          life_s / 86400.0);
    return 0;
}

static void init_streams(struct tr_sessions_model *m)
{
    m->turns_stream = tr_rng_stream("traffic session turns", 0, 0);
    m->prompt_stream = tr_rng_stream("traffic prompt", 0, 0);
    m->message_stream = tr_rng_stream("traffic session message", 0, 0);
    m->output_stream = tr_rng_stream("traffic output", 0, 0);
    m->think_stream = tr_rng_stream("traffic session think", 0, 0);
    m->gap_stream = tr_rng_stream("traffic capacity gap", 0, 0);
}

int tr_sessions_model_init(struct tr_sessions_model *m, const struct tr_traffic_spec *spec,
                           const struct tr_tokens *prompt, const struct tr_tokens *output,
                           struct tr_synth_model *synth, struct tr_err *err)
{
    const struct tr_sessions_spec *s = &spec->sessions;
    int rc = tr_sessions_check(spec, err);

    if (rc == 0)
        rc = tr_tokens_init(&m->message, &s->message, "message length", err);
    if (rc)
        return rc;
    m->turns = s->turns;
    m->fixed = s->fixed_turns;
    m->ln_stay = s->turns > 1.0 ? tr_ln(1.0 - 1.0 / s->turns) : 0.0;
    for (int k = 0; k < TR_TURN_LEVELS; k++) { /* far more apart than logarithms are wrong */
        m->below[k] = tr_exp((k + 1) * m->ln_stay) * (1.0 - 1e-12);
        m->above[k] = tr_exp((k + 1) * m->ln_stay) * (1.0 + 1e-12);
    }
    m->max_tok = spec->prompt.kind == TR_LENGTH_LOGNORMAL
                     ? spec->prompt.max_tok
                     : TR_MAX(spec->prompt.fixed_tok, DEFAULT_MAX_TOK);
    m->tpot_ns = s->tpot_ns;
    m->think_s = (double)s->think_ns * 1e-9;
    double variance = tr_ln(1.0 + s->think_cv * s->think_cv);
    m->think_ln_sd = s->think_ns > 0 ? sqrt(variance) : 0.0;
    m->think_ln_mean = s->think_ns > 0 ? tr_ln(m->think_s) - 0.5 * variance : 0.0;
    m->prompt = prompt;
    m->output = output;
    m->turns_out = tr_sessions_mean_turns(m);
    init_streams(m);

    m->lead_ns = (int64_t)(LEAD_LIVES * mean_life_s(spec) * 1e9);
    m->end_ns = synth->rate.segments[synth->rate.n - 1].t1_ns;
    m->max_requests = synth->max_requests;
    synth->max_requests = 0;
    synth->rate_scale /= m->turns_out;
    synth->lead_ns = m->lead_ns;
    tr_rate_lead(&synth->rate, m->lead_ns);
    return 0;
}

/* ---- draws ---------------------------------------------------------------------------------- */

/* The quotient's whole part is how many powers of the chance to stay u is below: counted, where
 * rounding cannot matter, and computed elsewhere. */
int32_t tr_sessions_further(const struct tr_sessions_model *m, double u)
{
    int32_t k = 0;

    while (k < TR_TURN_LEVELS && u < m->below[k])
        k++;
    if (k < TR_TURN_LEVELS && u > m->above[k])
        return k;
    return (int32_t)TR_MIN(tr_ln(u) / m->ln_stay, (double)TURN_MASK - 1.0);
}

static int32_t draw_turns(const struct tr_sessions *s, uint64_t session)
{
    const struct tr_sessions_model *m = s->model;

    if (m->fixed || m->turns == 1.0)
        return (int32_t)m->turns;
    return 1 + tr_sessions_further(m, tr_rng_unit(s->seed, m->turns_stream, session));
}

static int64_t draw_think_ns(const struct tr_sessions *s, uint64_t id)
{
    const struct tr_sessions_model *m = s->model;

    if (!(m->think_ln_sd > 0.0))
        return (int64_t)(m->think_s * 1e9);
    double z = tr_rng_normal(s->seed, m->think_stream, id);
    double think_s = tr_exp(m->think_ln_mean + m->think_ln_sd * z);
    return (int64_t)(TR_MIN(think_s * 1e9, 1e3 * (double)MAX_THINK_NS));
}

static struct tr_turn first_turn(const struct tr_sessions *s)
{
    const struct tr_sessions_model *m = s->model;
    uint64_t id = s->session << TR_TURN_BITS;
    int32_t prompt_tok = tr_tokens_draw(m->prompt, s->seed, m->prompt_stream, id);

    return (struct tr_turn){.time_ns = s->start_ns,
                            .id = id,
                            .turns = (uint16_t)draw_turns(s, s->session),
                            .tenant = s->start_tenant,
                            .prompt_tok = prompt_tok,
                            .output_tok = tr_tokens_draw(m->output, s->seed, m->output_stream, id),
                            .first_tok = prompt_tok};
}

/* The turn that follows `t`, in its place; false when there is none before the end. */
static bool follow(const struct tr_sessions *s, struct tr_turn *t)
{
    const struct tr_sessions_model *m = s->model;
    uint64_t id = t->id + 1;

    if ((int32_t)(id & TURN_MASK) >= t->turns)
        return false;
    t->prompt_tok += t->output_tok + tr_tokens_draw(&m->message, s->seed, m->message_stream, id);
    if (t->prompt_tok > m->max_tok)
        return false;
    t->time_ns += t->output_tok * m->tpot_ns + draw_think_ns(s, id);
    t->id = id;
    t->output_tok = tr_tokens_draw(m->output, s->seed, m->output_stream, id);
    return s->most || t->time_ns < m->end_ns;
}

/* ---- heap ----------------------------------------------------------------------------------- */

/* Without branches: which of two random times is less is not to be predicted. */
static bool before(const struct tr_turn *a, const struct tr_turn *b)
{
    return (a->time_ns < b->time_ns) | ((a->time_ns == b->time_ns) & (a->id < b->id));
}

/* The first of the children from `child` on. Four children to a node: half the levels of two, and
 * the children lie side by side. */
static size_t least_child(const struct tr_sessions *s, size_t child)
{
    const struct tr_turn *heap = s->heap;

    if (child + 4 <= s->n) {
        size_t a = child + before(&heap[child + 1], &heap[child]);
        size_t b = child + 2 + before(&heap[child + 3], &heap[child + 2]);
        return a + (b - a) * before(&heap[b], &heap[a]);
    }
    size_t least = child;
    for (size_t c = child + 1; c < s->n; c++)
        if (before(&heap[c], &heap[least]))
            least = c;
    return least;
}

/* Puts `turn` in the place of the first. */
static void sink(struct tr_sessions *s, const struct tr_turn *turn)
{
    size_t at = 0;

    while (4 * at + 1 < s->n) {
        size_t least = least_child(s, 4 * at + 1);
        if (!before(&s->heap[least], turn))
            break;
        s->heap[at] = s->heap[least];
        at = least;
    }
    s->heap[at] = *turn;
}

static void push(struct tr_sessions *s, const struct tr_turn *turn)
{
    size_t at = s->n++;

    tr_grow(&s->heap, &s->cap, s->n, sizeof(*s->heap));
    while (at > 0 && before(turn, &s->heap[(at - 1) / 4])) {
        s->heap[at] = s->heap[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    s->heap[at] = *turn;
}

/* ---- iterator ------------------------------------------------------------------------------- */

static void next_start(struct tr_sessions *s, bool first)
{
    int64_t time_ns;

    s->session += !first;
    if (s->starts) {
        s->start_ns =
            tr_synth_next(s->starts, &time_ns) ? time_ns - s->model->lead_ns : TR_TIME_NEVER;
        s->start_tenant = (uint16_t)(s->starts->tenant + 1);
        return;
    }
    s->gaps += tr_rng_exps_at(&s->exps, s->seed, s->model->gap_stream, s->session);
    s->start_ns = (int64_t)(s->gaps / s->start_rate * 1e9) - s->model->lead_ns;
}

/* The sessions from before time 0, each brought forward to its first turn from then on. */
static void begin(struct tr_sessions *s)
{
    for (next_start(s, true); s->start_ns < 0; next_start(s, false)) {
        struct tr_turn turn = first_turn(s);
        bool more = true;
        while (more && turn.time_ns < 0)
            more = follow(s, &turn);
        if (more)
            push(s, &turn);
    }
    s->begun = true;
}

void tr_sessions_rewind(struct tr_sessions *s)
{
    if (s->starts)
        tr_synth_rewind(s->starts);
    s->gaps = 0.0;
    s->given = 0;
    s->session = 0;
    s->n = 0;
    s->begun = false;
}

bool tr_sessions_next(struct tr_sessions *s, struct tr_turn *out)
{
    int64_t most = s->most ? s->most : s->model->max_requests;

    if (!s->begun)
        begin(s);
    if (most && s->given >= most)
        return false;
    if (s->n && s->heap[0].time_ns <= s->start_ns) { /* of two at one time, the older session */
        *out = s->heap[0];
        struct tr_turn turn = *out;
        if (!follow(s, &turn))
            turn = s->heap[--s->n];
        if (s->n)
            sink(s, &turn);
    } else if (s->start_ns != TR_TIME_NEVER) {
        *out = first_turn(s);
        struct tr_turn turn = *out;
        next_start(s, false);
        if (follow(s, &turn))
            push(s, &turn);
    } else {
        return false;
    }
    s->given++;
    return true;
}

void tr_sessions_free(struct tr_sessions *s)
{
    free(s->heap);
    s->heap = NULL;
    s->n = s->cap = 0;
}
