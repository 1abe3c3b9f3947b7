/* The time-slice ring. See ring.h for the rules and docs/share.md for the model behind them. */
#include "share/ring.h"

#define REBASE_PS (INT64_C(1) << 60) /* about 13 days: keeps picoseconds inside int64 */

void tr_ring_init(struct tr_ring *r, int n, int64_t quantum_ps, int64_t switch_ps)
{
    tr_assert(n >= 1 && n <= TR_MAX_PODS && (n == 1 || (quantum_ps > 0 && switch_ps >= 0)));
    *r = (struct tr_ring){
        .n = n,
        .quantum_ps = n == 1 ? REBASE_PS : quantum_ps,
        .switch_ps = n == 1 ? 0 : switch_ps,
        .owner = -1,
        .last = -1,
    };
}

static void carry(struct tr_ring *r)
{
    r->busy_ns += r->busy_ps / TR_PS_PER_NS;
    r->busy_ps %= TR_PS_PER_NS;
    r->switched_ns += r->switched_ps / TR_PS_PER_NS;
    r->switched_ps %= TR_PS_PER_NS;
}

static void rebase(struct tr_ring *r)
{
    int64_t whole_ns = r->clock_ps / TR_PS_PER_NS, shift_ps = whole_ns * TR_PS_PER_NS;
    r->base_ns += whole_ns;
    r->clock_ps -= shift_ps;
    for (int i = 0; i < r->n; i++) {
        struct tr_ring_ctx *c = &r->ctx[i];
        c->post_ps[0] -= shift_ps;
        c->post_ps[1] -= shift_ps;
        c->ready_ps -= shift_ps;
        c->began_ps -= shift_ps;
    }
    carry(r);
}

static int64_t limit_of(const struct tr_ring *r, int64_t until_ns)
{
    int64_t span_ns = until_ns - r->base_ns;
    return span_ns > INT64_MAX / 2 / TR_PS_PER_NS ? INT64_MAX / 2 : span_ns * TR_PS_PER_NS;
}

static bool is_ready(const struct tr_ring *r, int i)
{
    return r->ctx[i].queued > 0 && r->ctx[i].ready_ps <= r->clock_ps;
}

/* work[0] is now what the context works on; it cannot be ready before `from_ps`. */
static void begin(struct tr_ring_ctx *c, int64_t from_ps)
{
    const struct tr_work *w = &c->work[0];
    c->ready_ps = c->began_ps = TR_MAX(c->post_ps[0] + w->delay_ps, from_ps);
    c->segments = w->gaps;
    c->left_ps = w->gpu_ps - w->gaps * (w->gpu_ps / (w->gaps + 1));
}

void tr_ring_post(struct tr_ring *r, int ctx, int64_t now_ns, const struct tr_work *work)
{
    struct tr_ring_ctx *c = &r->ctx[ctx];
    bool idle = true;
    tr_assert(c->queued < 2 && work->gpu_ps > work->gaps);
    for (int i = 0; i < r->n && idle; i++)
        idle = r->ctx[i].queued == 0;
    if (idle || r->clock_ps > REBASE_PS)
        rebase(r);
    if (idle && now_ns > r->base_ns) {
        r->base_ns = now_ns;
        r->clock_ps = 0;
    }
    int64_t now_ps = TR_MAX((now_ns - r->base_ns) * TR_PS_PER_NS, r->clock_ps);
    c->work[c->queued] = *work;
    c->post_ps[c->queued] = now_ps;
    if (c->queued++ == 0)
        begin(c, now_ps);
}

/* The first ready context behind `i` in ring order, itself last; -1: none is. */
static int ready_after(const struct tr_ring *r, int i)
{
    for (int k = 0; k < r->n; k++) {
        i = i + 1 < r->n ? i + 1 : 0;
        if (is_ready(r, i))
            return i;
    }
    return -1;
}

/* The turn goes to a context, which may have had the last one too. */
static void hand_over(struct tr_ring *r, int to)
{
    r->pay_ps = r->last >= 0 && to != r->last ? r->switch_ps : 0;
    r->owner = r->last = to;
    r->left_ps = r->quantum_ps;
    r->slices++;
}

/* Gives the turn to the next in the ring; false when none is ready at or before the clock and none
 * becomes ready before `limit_ps`. Moves the clock over idle time. */
static bool pick(struct tr_ring *r, int64_t limit_ps)
{
    int next = ready_after(r, r->last);
    if (next < 0) {
        int64_t earliest_ps = INT64_MAX;
        for (int i = 0; i < r->n; i++)
            if (r->ctx[i].queued > 0)
                earliest_ps = TR_MIN(earliest_ps, r->ctx[i].ready_ps);
        if (earliest_ps >= limit_ps)
            return false;
        r->clock_ps = earliest_ps;
        next = ready_after(r, r->last);
    }
    hand_over(r, next);
    return true;
}

/* The owner's segment is done. Returns true if that completes its piece of work. */
static bool end_segment(struct tr_ring *r)
{
    struct tr_ring_ctx *c = &r->ctx[r->owner];
    if (c->segments > 0) {
        c->segments--;
        c->left_ps = c->work[0].gpu_ps / (c->work[0].gaps + 1);
        c->ready_ps = r->clock_ps + c->work[0].gap_ps;
        if (c->ready_ps > r->clock_ps)
            r->owner = -1;
        return false;
    }
    if (--c->queued > 0) {
        c->work[0] = c->work[1];
        c->post_ps[0] = c->post_ps[1];
        begin(c, r->clock_ps);
    }
    if (!is_ready(r, r->owner))
        r->owner = -1;
    return true;
}

/* When the next context becomes ready that is not yet. */
static int64_t next_ready_ps(const struct tr_ring *r)
{
    int64_t next_ps = INT64_MAX;
    for (int i = 0; i < r->n; i++)
        if (r->ctx[i].queued > 0 && r->ctx[i].ready_ps > r->clock_ps)
            next_ps = TR_MIN(next_ps, r->ctx[i].ready_ps);
    return next_ps;
}

/* The owner runs for a span, its quantum renewed as often as it takes. */
static void run_on(struct tr_ring *r, int64_t span_ps)
{
    r->clock_ps += span_ps;
    r->busy_ps += span_ps;
    if (span_ps <= r->left_ps) {
        r->left_ps -= span_ps;
    } else {
        int64_t over_ps = (span_ps - r->left_ps) % r->quantum_ps;
        r->left_ps = over_ps == 0 ? 0 : r->quantum_ps - over_ps;
    }
}

/* ---- skipping -------------------------------------------------------------------------------- */

/* How many completions of a context need not be told one by one. */
static int64_t most_of(const struct tr_ring_ctx *c, const struct tr_stretch *s)
{
    bool alike = s != NULL && c->queued == 2 && c->work[0].gaps + c->work[1].gaps == 0 &&
                 c->work[1].gpu_ps == c->work[0].gpu_ps + s->growth_ps;
    return alike ? TR_MIN(s->most, TR_MOST_PIECES) : 0;
}

/* How long a context can run before something has to be told. */
static int64_t quiet_ps(const struct tr_ring_ctx *c, const struct tr_stretch *s)
{
    int64_t most = most_of(c, s);
    if (most == 0)
        return c->left_ps - 1;
    return tr_work_span_ps(most + 1, c->left_ps, c->work[0].gpu_ps, s->growth_ps) - 1;
}

/* Runs a context for `gpu_ps`. Returns how much of it had passed when the last of the pieces ended
 * that ended; 0: none did. */
static int64_t run_quietly(struct tr_ring_ctx *c, struct tr_stretch *s, int64_t gpu_ps)
{
    int64_t left_ps = c->left_ps, first_ps = c->work[0].gpu_ps, last_ps = 0;
    c->left_ps -= gpu_ps;
    if (c->left_ps > 0)
        return 0;
    int64_t growth_ps = s->growth_ps;
    int64_t n = tr_work_fit(left_ps, first_ps, growth_ps, most_of(c, s), gpu_ps + 1, &last_ps);
    c->work[0].gpu_ps += n * growth_ps;
    c->work[1].gpu_ps += n * growth_ps;
    c->left_ps = tr_work_span_ps(n + 1, left_ps, first_ps, growth_ps) - gpu_ps;
    s->done = n;
    s->lost_ps = -tr_work_span_ps(n, first_ps, first_ps, growth_ps); /* and the time it took */
    return last_ps;
}

/* Every ready context runs for `gpu_ps`, in turns of a quantum. */
static void run_all_quietly(struct tr_ring *r, struct tr_stretch *stretch, int64_t gpu_ps,
                            int64_t round_ps)
{
    int64_t q = r->quantum_ps, used_ps = q - r->left_ps; /* of the quantum under way */
    int64_t turn_ps = r->clock_ps - used_ps;             /* when a context's first turn began */
    int i = r->owner;
    do {
        struct tr_ring_ctx *c = &r->ctx[i];
        struct tr_stretch *s = stretch != NULL ? &stretch[i] : NULL;
        int64_t last_ps = run_quietly(c, s, gpu_ps);
        if (last_ps > 0) {
            last_ps += used_ps;
            int64_t turns = last_ps > q ? (last_ps - 1) / q : 0;
            int64_t end_ps = turn_ps + turns * round_ps + last_ps - turns * q;
            s->lost_ps += end_ps - c->began_ps;
            s->end_ns = r->base_ns + end_ps / TR_PS_PER_NS;
            c->post_ps[0] = c->post_ps[1] = c->began_ps = end_ps;
        }
        turn_ps += q + r->switch_ps;
        used_ps = 0;
        i = ready_after(r, i);
    } while (i != r->owner);
}

/* As far as nothing has to be told, nothing becomes ready and the limit is not reached, the ready
 * contexts share the card in whole rounds, after which the ring is as it was but for the clock and
 * the work; one alone needs no rounds. */
static void skip(struct tr_ring *r, struct tr_stretch *stretch, int64_t limit_ps)
{
    int64_t q = r->quantum_ps, gpu_ps = INT64_MAX, n = 0;
    for (int i = 0; i < r->n; i++) {
        if (!is_ready(r, i))
            continue;
        gpu_ps = TR_MIN(gpu_ps, quiet_ps(&r->ctx[i], stretch != NULL ? &stretch[i] : NULL));
        n++;
    }
    int64_t span_ps = TR_MIN(next_ready_ps(r), limit_ps) - r->clock_ps - 1;
    if (n == 1) {
        gpu_ps = TR_MIN(gpu_ps, span_ps);
        if (gpu_ps < r->ctx[r->owner].left_ps)
            return;
        run_all_quietly(r, stretch, gpu_ps, q);
        run_on(r, gpu_ps);
        return;
    }
    int64_t round_ps = n * (q + r->switch_ps);
    if (gpu_ps < q || span_ps < round_ps)
        return;
    int64_t rounds = TR_MIN(gpu_ps / q, span_ps / round_ps);
    run_all_quietly(r, stretch, rounds * q, round_ps);
    r->clock_ps += rounds * round_ps;
    r->busy_ps += rounds * n * q;
    r->switched_ps += rounds * n * r->switch_ps;
    r->slices += rounds * n;
}

bool tr_ring_skip(struct tr_ring *r, struct tr_stretch *stretch, int64_t until_ns)
{
    bool any = false;
    if (r->owner < 0 || r->pay_ps > 0)
        return false;
    for (int i = 0; i < r->n; i++)
        stretch[i].done = 0;
    skip(r, stretch, limit_of(r, until_ns));
    for (int i = 0; i < r->n; i++)
        any = any || stretch[i].done > 0;
    return any;
}

/* ---- running ----------------------------------------------------------------------------------
 */

/* Lets the owner run as far as nothing can change, or hands over at the end of its quantum. */
static void run(struct tr_ring *r, int64_t limit_ps)
{
    struct tr_ring_ctx *c = &r->ctx[r->owner];
    int neighbour = ready_after(r, r->owner); /* the owner is ready: it stands for nobody else */
    bool alone = neighbour == r->owner;
    if (r->left_ps == 0) {
        if (!alone) {
            hand_over(r, neighbour);
            return;
        }
        r->left_ps = r->quantum_ps;
    }
    if (!alone && r->left_ps == r->quantum_ps && !r->exact && c->left_ps > r->quantum_ps)
        skip(r, NULL, limit_ps);
    int64_t span_ps = r->left_ps;
    if (alone) { /* quanta are renewed until one ends with a neighbour ready */
        int64_t ready_ps = next_ready_ps(r);
        span_ps = INT64_MAX;
        if (ready_ps != INT64_MAX) {
            int64_t beyond_ps = ready_ps - r->clock_ps - r->left_ps;
            int64_t quanta = beyond_ps > 0 ? (beyond_ps + r->quantum_ps - 1) / r->quantum_ps : 0;
            span_ps = r->left_ps + quanta * r->quantum_ps;
        }
    }
    span_ps = TR_MIN(TR_MIN(span_ps, c->left_ps), limit_ps - r->clock_ps);
    c->left_ps -= span_ps;
    run_on(r, span_ps);
}

static bool pay(struct tr_ring *r, int64_t limit_ps)
{
    int64_t span_ps = TR_MIN(r->pay_ps, limit_ps - r->clock_ps);
    r->clock_ps += span_ps;
    r->switched_ps += span_ps;
    r->pay_ps -= span_ps;
    return r->pay_ps == 0;
}

int tr_ring_advance(struct tr_ring *r, int64_t until_ns, int *ctx, int64_t *end_ns,
                    int64_t *lost_ps)
{
    if (r->clock_ps > REBASE_PS)
        rebase(r);
    int64_t limit_ps = limit_of(r, until_ns);
    while (r->clock_ps < limit_ps) {
        if (r->owner < 0 && !pick(r, limit_ps))
            return 0;
        if (r->pay_ps > 0 && !pay(r, limit_ps))
            return 0;
        struct tr_ring_ctx *c = &r->ctx[r->owner];
        if (c->left_ps > 0)
            run(r, limit_ps);
        if (r->owner < 0 || c->left_ps > 0 || r->clock_ps >= limit_ps)
            continue;
        int done = r->owner;
        int64_t ideal_ps = c->work[0].gpu_ps + c->work[0].gaps * c->work[0].gap_ps;
        int64_t began_ps = c->began_ps;
        if (end_segment(r)) {
            *ctx = done;
            *end_ns = r->base_ns + r->clock_ps / TR_PS_PER_NS;
            *lost_ps = r->clock_ps - began_ps - ideal_ps;
            return 1;
        }
    }
    return 0;
}

struct tr_share_stats tr_ring_stats(const struct tr_ring *r)
{
    struct tr_share_stats s = {
        .busy_ns = r->busy_ns + r->busy_ps / TR_PS_PER_NS,
        .switch_ns = r->switched_ns + r->switched_ps / TR_PS_PER_NS,
        .slices = r->slices,
    };
    tr_debug_assert(s.busy_ns + s.switch_ns <= r->base_ns + r->clock_ps / TR_PS_PER_NS);
    return s;
}
