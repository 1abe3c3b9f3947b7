/* A context that has the hardware to itself. See lone.h. */
#include "share/lone.h"

void tr_lone_init(struct tr_lone *l)
{
    *l = (struct tr_lone){.end_ns = TR_TIME_NEVER};
}

void tr_lone_post(struct tr_lone *l, int64_t now_ns, const struct tr_work *work)
{
    tr_assert(l->queued < 2 && work->gpu_ps > work->gaps);
    bool idle = l->queued == 0;
    if (idle && now_ns > l->base_ns) {
        l->base_ns = now_ns;
        l->clock_ps = 0;
    }
    int64_t post_ps = TR_MAX((now_ns - l->base_ns) * TR_PS_PER_NS, l->clock_ps);
    int64_t ready_ps = post_ps + work->delay_ps;
    int64_t before_ps = idle ? ready_ps : l->piece[0].end_ps;
    struct tr_lone_piece *p = &l->piece[l->queued++];
    p->gpu_ps = work->gpu_ps;
    p->gaps = work->gaps;
    p->gap_ps = work->gap_ps;
    p->turn = idle || ready_ps > before_ps;
    p->ready_ps = TR_MAX(ready_ps, before_ps);
    p->end_ps = p->ready_ps + p->gpu_ps + p->gaps * p->gap_ps;
    if (idle)
        l->end_ns = l->base_ns + p->end_ps / TR_PS_PER_NS;
}

/* The clock goes to `end_ps`, in the nanosecond `end_ns`, where the first piece is another one. */
static void move_on(struct tr_lone *l, int64_t end_ps, int64_t end_ns)
{
    int64_t shift_ps = (end_ns - l->base_ns) * TR_PS_PER_NS;
    l->base_ns = end_ns;
    l->clock_ps = end_ps - shift_ps;
    l->end_ns = TR_TIME_NEVER;
    for (int i = 0; i < l->queued; i++) {
        l->piece[i].ready_ps -= shift_ps;
        l->piece[i].end_ps -= shift_ps;
    }
    if (l->queued > 0)
        l->end_ns = end_ns + l->piece[0].end_ps / TR_PS_PER_NS;
}

bool tr_lone_advance(struct tr_lone *l, int64_t until_ns, int64_t *end_ns)
{
    l->seen_ns = until_ns;
    if (l->end_ns >= until_ns)
        return false;
    struct tr_lone_piece *p = &l->piece[0];
    int64_t end_ps = p->end_ps;
    l->busy_ps += (tr_u128)p->gpu_ps;
    l->turns += p->turn + (p->gap_ps > 0 ? p->gaps : 0);
    *end_ns = l->end_ns;
    l->queued--;
    l->piece[0] = l->piece[1];
    move_on(l, end_ps, *end_ns);
    return true;
}

bool tr_lone_skip(struct tr_lone *l, struct tr_stretch *s, int64_t until_ns)
{
    struct tr_lone_piece *a = &l->piece[0], *b = &l->piece[1];
    s->done = 0;
    if (l->end_ns >= until_ns || l->queued < 2 || a->gaps + b->gaps > 0 || b->turn ||
        b->gpu_ps != a->gpu_ps + s->growth_ps)
        return false;
    int64_t gpu_ps = a->gpu_ps, span_ns = until_ns - l->base_ns, span_ps = 0;
    int64_t limit_ps = span_ns > INT64_MAX / TR_PS_PER_NS ? INT64_MAX : span_ns * TR_PS_PER_NS;
    s->done = tr_work_fit(a->end_ps, gpu_ps, s->growth_ps, TR_MIN(s->most, TR_MOST_PIECES),
                          limit_ps, &span_ps);
    if (s->done == 0)
        return false;
    l->busy_ps += (tr_u128)tr_work_span_ps(s->done, gpu_ps, gpu_ps, s->growth_ps);
    l->turns += a->turn;
    a->turn = false;
    a->gpu_ps += s->done * s->growth_ps;
    b->gpu_ps += s->done * s->growth_ps;
    a->ready_ps = span_ps;
    a->end_ps = b->ready_ps = span_ps + a->gpu_ps;
    b->end_ps = b->ready_ps + b->gpu_ps;
    s->lost_ps = 0;
    s->end_ns = l->base_ns + span_ps / TR_PS_PER_NS;
    move_on(l, span_ps, s->end_ns);
    return true;
}

/* The piece under way counts as far as the driver has seen it. */
struct tr_share_stats tr_lone_stats(const struct tr_lone *l)
{
    const struct tr_lone_piece *p = &l->piece[0];
    int64_t turns = l->turns, busy_ps = 0;
    if (l->queued > 0 && l->seen_ns > l->base_ns) {
        int64_t seen_ps = (l->seen_ns - l->base_ns) * TR_PS_PER_NS;
        int64_t segment_ps = p->gpu_ps / (p->gaps + 1), from_ps = p->ready_ps;
        int64_t length_ps = p->gpu_ps - p->gaps * segment_ps;
        turns += p->turn && from_ps < seen_ps;
        for (int i = 0; i <= p->gaps && from_ps < seen_ps; i++) {
            turns += i > 0 && p->gap_ps > 0;
            busy_ps += TR_MIN(length_ps, seen_ps - from_ps);
            from_ps += length_ps + p->gap_ps;
            length_ps = segment_ps;
        }
    }
    return (struct tr_share_stats){
        .busy_ns = (int64_t)((l->busy_ps + (tr_u128)busy_ps) / TR_PS_PER_NS), .slices = turns};
}
