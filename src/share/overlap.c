/* Overlapping contexts. See overlap.h for the rule and docs/model.md for where it comes from. */
#include "share/overlap.h"

#define RATE_BITS 32
#define RATE_ONE  (INT64_C(1) << RATE_BITS)
#define REBASE_PS (INT64_C(1) << 60) /* about 13 days: keeps picoseconds inside int64 */

void tr_overlap_init(struct tr_overlap *o, int n, double sharpness)
{
    tr_assert(n >= 1 && n <= TR_MAX_PODS && sharpness >= 1);
    *o = (struct tr_overlap){.n = n, .sharpness = sharpness};
}

/* Brings what is left up to the clock, at the rates that held until now. */
static void settle(struct tr_overlap *o)
{
    int64_t span_ps = o->clock_ps - o->since_ps;
    for (int i = 0; i < o->n; i++) {
        struct tr_overlap_ctx *c = &o->ctx[i];
        tr_u128 done = (tr_u128)span_ps * (tr_u128)c->rate;
        if (c->runs)
            c->left = c->left > done ? c->left - done : 0;
    }
    o->busy_ps += o->busy ? span_ps : 0;
    o->since_ps = o->clock_ps;
}

static void rebase(struct tr_overlap *o)
{
    int64_t whole_ns = o->clock_ps / TR_PS_PER_NS, shift_ps = whole_ns * TR_PS_PER_NS;
    settle(o);
    o->base_ns += whole_ns;
    o->clock_ps -= shift_ps;
    o->since_ps -= shift_ps;
    for (int i = 0; i < o->n; i++) {
        struct tr_overlap_ctx *c = &o->ctx[i];
        c->post_ps[0] -= shift_ps;
        c->post_ps[1] -= shift_ps;
        c->ready_ps -= shift_ps;
        c->began_ps -= shift_ps;
        c->end_ps -= shift_ps;
    }
    o->busy_ns += o->busy_ps / TR_PS_PER_NS;
    o->busy_ps %= TR_PS_PER_NS;
}

static int64_t limit_of(const struct tr_overlap *o, int64_t until_ns)
{
    int64_t span_ns = until_ns - o->base_ns;
    return span_ns > INT64_MAX / 2 / TR_PS_PER_NS ? INT64_MAX / 2 : span_ns * TR_PS_PER_NS;
}

/* ---- rates ----------------------------------------------------------------------------------- */

static double power(double x, double exponent)
{
    return x > 0 ? tr_exp(exponent * tr_ln(x)) : 0;
}

/* (u)^p, made once for each piece. */
static double demand_power(const struct tr_overlap *o, const struct tr_work *w)
{
    tr_assert(w->arithmetic >= 0 && w->arithmetic <= TR_DEMAND_ONE && w->memory >= 0 &&
              w->memory <= TR_DEMAND_ONE);
    return power((double)TR_MAX(w->arithmetic, w->memory) / TR_DEMAND_ONE, o->sharpness);
}

static int64_t rate_of(const struct tr_overlap *o, double all, double own, int64_t demand)
{
    int64_t rate = (int64_t)(power(1 + all - own, -1 / o->sharpness) * (double)RATE_ONE);
    /* What no context may pass, however a last bit falls: 1/X, and the speed that it has alone. */
    int64_t most = demand > TR_DEMAND_ONE ? TR_DEMAND_ONE * RATE_ONE / demand : RATE_ONE;
    return TR_MIN(rate, most);
}

/* The card does no more than it can: sums of r a and r b, in 2^-52. */
static void assert_conserved(const struct tr_overlap *o)
{
    int64_t arithmetic = 0, memory = 0;
    for (int i = 0; i < o->n; i++)
        if (o->ctx[i].runs) {
            arithmetic += o->ctx[i].rate * o->ctx[i].work[0].arithmetic;
            memory += o->ctx[i].rate * o->ctx[i].work[0].memory;
        }
    tr_assert(arithmetic <= TR_DEMAND_ONE * RATE_ONE && memory <= TR_DEMAND_ONE * RATE_ONE);
}

/* Rates and ends for those that run from now on. */
static void set_rates(struct tr_overlap *o)
{
    int64_t arithmetic = 0, memory = 0;
    int running = 0;
    settle(o);
    for (int i = 0; i < o->n; i++)
        if (o->ctx[i].runs) {
            arithmetic += o->ctx[i].work[0].arithmetic;
            memory += o->ctx[i].work[0].memory;
            running++;
        }
    int64_t demand = TR_MAX(arithmetic, memory);
    double all = running > 1 ? power((double)demand / TR_DEMAND_ONE, o->sharpness) : 0;
    for (int i = 0; i < o->n; i++) {
        struct tr_overlap_ctx *c = &o->ctx[i];
        if (!c->runs)
            continue;
        c->rate = running == 1 ? RATE_ONE : rate_of(o, all, c->power, demand);
        tr_u128 rate = (tr_u128)c->rate;
        c->end_ps = o->clock_ps + (int64_t)((c->left + rate - 1) / rate);
    }
    assert_conserved(o);
    o->busy = running > 0;
    o->stale = false;
}

/* ---- pieces and segments --------------------------------------------------------------------- */

/* The next segment is so long, and runs as soon as it is ready. */
static void load(struct tr_overlap_ctx *c, int64_t segment_ps, int64_t ready_ps)
{
    c->ready_ps = ready_ps;
    c->left = (tr_u128)segment_ps << RATE_BITS;
    c->runs = false;
    c->rate = 0;
}

/* work[0] is now what the context works on; it cannot be ready before `from_ps`. */
static void begin(const struct tr_overlap *o, struct tr_overlap_ctx *c, int64_t from_ps)
{
    const struct tr_work *w = &c->work[0];
    load(c, w->gpu_ps - w->gaps * (w->gpu_ps / (w->gaps + 1)),
         TR_MAX(c->post_ps[0] + w->delay_ps, from_ps));
    c->began_ps = c->ready_ps;
    c->segments = w->gaps;
    c->power = demand_power(o, w);
}

void tr_overlap_post(struct tr_overlap *o, int ctx, int64_t now_ns, const struct tr_work *work)
{
    struct tr_overlap_ctx *c = &o->ctx[ctx];
    bool idle = true;
    tr_assert(c->queued < 2 && work->gpu_ps > work->gaps);
    for (int i = 0; i < o->n && idle; i++)
        idle = o->ctx[i].queued == 0;
    if (idle || o->clock_ps > REBASE_PS)
        rebase(o);
    if (idle && now_ns > o->base_ns) {
        o->base_ns = now_ns;
        o->clock_ps = o->since_ps = 0;
    }
    int64_t now_ps = TR_MAX((now_ns - o->base_ns) * TR_PS_PER_NS, o->clock_ps);
    c->work[c->queued] = *work;
    c->post_ps[c->queued] = now_ps;
    if (c->queued++ == 0)
        begin(o, c, now_ps);
}

/* Those that have become ready run. */
static void start_ready(struct tr_overlap *o)
{
    for (int i = 0; i < o->n; i++) {
        struct tr_overlap_ctx *c = &o->ctx[i];
        if (c->queued > 0 && !c->runs && c->ready_ps <= o->clock_ps)
            c->runs = o->stale = true;
    }
    if (o->stale)
        set_rates(o);
}

/* The context's segment is done. Returns true if that completes its piece of work. */
static bool end_segment(struct tr_overlap *o, struct tr_overlap_ctx *c)
{
    const struct tr_work *w = &c->work[0];
    settle(o);
    tr_assert(c->left == 0);
    o->stale = true;
    if (c->segments > 0) {
        c->segments--;
        load(c, w->gpu_ps / (w->gaps + 1), o->clock_ps + w->gap_ps);
        return false;
    }
    c->runs = false;
    if (--c->queued > 0) {
        c->work[0] = c->work[1];
        c->post_ps[0] = c->post_ps[1];
        begin(o, c, o->clock_ps);
    }
    return true;
}

/* When something next begins or ends; INT64_MAX: never. */
static int64_t next_event_ps(const struct tr_overlap *o)
{
    int64_t next_ps = INT64_MAX;
    for (int i = 0; i < o->n; i++)
        if (o->ctx[i].queued > 0)
            next_ps = TR_MIN(next_ps, o->ctx[i].runs ? o->ctx[i].end_ps : o->ctx[i].ready_ps);
    return next_ps;
}

int tr_overlap_advance(struct tr_overlap *o, int64_t until_ns, int *ctx, int64_t *end_ns,
                       int64_t *lost_ps)
{
    if (o->clock_ps > REBASE_PS)
        rebase(o);
    int64_t limit_ps = limit_of(o, until_ns);
    while (o->clock_ps < limit_ps) {
        for (int i = 0; i < o->n; i++) {
            struct tr_overlap_ctx *c = &o->ctx[i];
            if (!c->runs || c->end_ps > o->clock_ps)
                continue;
            int64_t ideal_ps = c->work[0].gpu_ps + c->work[0].gaps * c->work[0].gap_ps;
            int64_t began_ps = c->began_ps;
            if (end_segment(o, c)) {
                *ctx = i;
                *end_ns = o->base_ns + o->clock_ps / TR_PS_PER_NS;
                *lost_ps = o->clock_ps - began_ps - ideal_ps;
                return 1;
            }
        }
        start_ready(o);
        int64_t next_ps = next_event_ps(o);
        if (next_ps == INT64_MAX)
            return 0;
        o->clock_ps = TR_MIN(next_ps, limit_ps);
    }
    return 0;
}

int64_t tr_overlap_skip(struct tr_overlap *o, int ctx, int64_t growth_ps, int64_t most,
                        int64_t until_ns, int64_t *end_ns)
{
    struct tr_overlap_ctx *c = &o->ctx[ctx];
    int64_t limit_ps = limit_of(o, until_ns) - o->clock_ps, gpu_ps = c->work[0].gpu_ps, span_ps;
    if (c->queued != 2 || c->work[0].gaps + c->work[1].gaps > 0 || limit_ps <= 0)
        return 0;
    for (int i = 0; i < o->n; i++)
        if (i != ctx && o->ctx[i].queued > 0)
            return 0;
    start_ready(o);
    settle(o);
    int64_t left_ps = gpu_ps - (o->clock_ps - c->began_ps); /* if it has lost no time */
    if (!c->runs || left_ps < 0 || c->left != (tr_u128)left_ps << RATE_BITS ||
        c->work[1].gpu_ps != gpu_ps + growth_ps)
        return 0;
    int64_t n = tr_work_fit(left_ps, gpu_ps, growth_ps, most, limit_ps, &span_ps);
    if (n == 0)
        return 0;
    o->clock_ps += span_ps;
    o->since_ps = o->clock_ps;
    o->busy_ps += span_ps;
    c->work[0].gpu_ps += n * growth_ps;
    c->work[1].gpu_ps += n * growth_ps;
    c->left = (tr_u128)c->work[0].gpu_ps << RATE_BITS;
    c->post_ps[0] = c->post_ps[1] = c->ready_ps = c->began_ps = o->clock_ps;
    c->end_ps = o->clock_ps + c->work[0].gpu_ps;
    *end_ns = o->base_ns + o->clock_ps / TR_PS_PER_NS;
    return n;
}

void tr_overlap_demand(struct tr_overlap *o, int ctx, int piece, const struct tr_work *work)
{
    struct tr_overlap_ctx *c = &o->ctx[ctx];
    c->work[piece].arithmetic = work->arithmetic;
    c->work[piece].memory = work->memory;
    c->power = demand_power(o, &c->work[0]);
}

struct tr_share_stats tr_overlap_stats(const struct tr_overlap *o)
{
    int64_t running_ps = o->busy ? o->clock_ps - o->since_ps : 0;
    return (struct tr_share_stats){.busy_ns =
                                       o->busy_ns + (o->busy_ps + running_ps) / TR_PS_PER_NS};
}
