/* A context that has the hardware to itself: stretches and counters. See lone.h. */
#include "share/lone.h"

/* `p` ends `span_ps` after a piece that ended at (from_ns, from_ps). */
static void set_end(struct tr_lone_piece *p, int64_t from_ns, int64_t from_ps, int64_t span_ps)
{
    p->end_ns = from_ns + (from_ps + span_ps) / TR_PS_PER_NS;
    p->end_ps = (from_ps + span_ps) % TR_PS_PER_NS;
}

bool tr_lone_skip(struct tr_lone *l, struct tr_stretch *s, int64_t until_ns)
{
    struct tr_lone_piece *a = &l->piece[l->first], *b = &l->piece[l->first ^ 1];
    s->done = 0;
    if (l->queued < 2 || a->end_ns >= until_ns || b->gpu_ps != a->gpu_ps + s->growth_ps)
        return false;
    int64_t gpu_ps = a->gpu_ps, rest_ns = until_ns - a->end_ns, span_ps = 0;
    int64_t rest_ps = rest_ns > INT64_MAX / TR_PS_PER_NS ? INT64_MAX : rest_ns * TR_PS_PER_NS;
    s->done = tr_work_fit(0, gpu_ps, s->growth_ps, TR_MIN(s->most, TR_MOST_PIECES),
                          rest_ps - a->end_ps, &span_ps);
    if (s->done == 0)
        return false;
    int64_t grown_ps = s->done * s->growth_ps;
    l->busy_ps += (tr_u128)(gpu_ps + span_ps);
    set_end(a, a->end_ns, a->end_ps, span_ps); /* of the last that is done */
    l->clock_ns = s->end_ns = a->end_ns;
    l->clock_ps = a->end_ps;
    s->lost_ps = 0;
    a->gpu_ps += grown_ps;
    b->gpu_ps += grown_ps;
    set_end(a, a->end_ns, a->end_ps, a->gpu_ps);
    set_end(b, a->end_ns, a->end_ps, b->gpu_ps);
    return true;
}

/* The piece under way counts as far as the driver has seen it. */
struct tr_share_stats tr_lone_stats(const struct tr_lone *l)
{
    const struct tr_lone_piece *p = &l->piece[l->first];
    tr_u128 busy_ps = l->busy_ps;
    if (l->queued > 0) {
        int64_t left_ps = (p->end_ns - l->seen_ns) * TR_PS_PER_NS + p->end_ps;
        busy_ps += (tr_u128)TR_MAX(p->gpu_ps - left_ps, 0);
    }
    return (struct tr_share_stats){.busy_ns = (int64_t)(busy_ps / TR_PS_PER_NS),
                                   .slices = l->turns};
}
