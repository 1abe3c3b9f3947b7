/* A context that has the hardware to itself. See lone.h. */
#include "share/lone.h"

void tr_lone_init(struct tr_lone *l)
{
    *l = (struct tr_lone){0};
}

void tr_lone_post(struct tr_lone *l, int64_t now_ns, const struct tr_work *work)
{
    tr_assert(l->queued < 2 && work->gpu_ps > work->gaps);
    int64_t ready_ps = work->delay_ps + (now_ns == l->clock_ns ? l->clock_ps : 0); /* from now */
    bool turn = l->queued == 0;
    if (l->queued > 0) {
        const struct tr_lone_piece *before = &l->piece[l->first];
        int64_t before_ps = (before->end_ns - now_ns) * TR_PS_PER_NS + before->end_ps;
        turn = ready_ps > before_ps;
        ready_ps = TR_MAX(ready_ps, before_ps);
    }
    struct tr_lone_piece *p = &l->piece[(l->first + l->queued++) & 1];
    int64_t end_ps = ready_ps + work->gpu_ps + work->gaps * work->gap_ps;
    p->end_ns = now_ns + end_ps / TR_PS_PER_NS;
    p->end_ps = end_ps % TR_PS_PER_NS;
    p->gpu_ps = work->gpu_ps;
    p->gap_ps = work->gap_ps;
    p->gaps = work->gaps;
    p->turns = turn + (work->gap_ps > 0 ? work->gaps : 0);
}

bool tr_lone_advance(struct tr_lone *l, int64_t until_ns, int64_t *end_ns)
{
    const struct tr_lone_piece *p = &l->piece[l->first];
    l->seen_ns = until_ns;
    if (l->queued == 0 || p->end_ns >= until_ns)
        return false;
    l->clock_ns = *end_ns = p->end_ns;
    l->clock_ps = p->end_ps;
    l->busy_ps += (tr_u128)p->gpu_ps;
    l->turns += p->turns;
    l->first ^= 1;
    l->queued--;
    return true;
}

/* The next piece ends `span_ps` after the last did. */
static void set_end(struct tr_lone_piece *p, const struct tr_lone_piece *before, int64_t span_ps)
{
    int64_t end_ps = before->end_ps + span_ps;
    p->end_ns = before->end_ns + end_ps / TR_PS_PER_NS;
    p->end_ps = end_ps % TR_PS_PER_NS;
}

bool tr_lone_skip(struct tr_lone *l, struct tr_stretch *s, int64_t until_ns)
{
    struct tr_lone_piece *a = &l->piece[l->first], *b = &l->piece[l->first ^ 1];
    s->done = 0;
    if (l->queued < 2 || a->end_ns >= until_ns || a->gaps + b->gaps + b->turns > 0 ||
        b->gpu_ps != a->gpu_ps + s->growth_ps)
        return false;
    int64_t gpu_ps = a->gpu_ps, rest_ns = until_ns - a->end_ns, span_ps = 0;
    int64_t rest_ps = rest_ns > INT64_MAX / TR_PS_PER_NS ? INT64_MAX : rest_ns * TR_PS_PER_NS;
    s->done = tr_work_fit(0, gpu_ps, s->growth_ps, TR_MIN(s->most, TR_MOST_PIECES),
                          rest_ps - a->end_ps, &span_ps);
    if (s->done == 0)
        return false;
    l->busy_ps += (tr_u128)tr_work_span_ps(s->done, gpu_ps, gpu_ps, s->growth_ps);
    l->turns += a->turns;
    a->turns = 0;
    a->gpu_ps += s->done * s->growth_ps;
    b->gpu_ps += s->done * s->growth_ps;
    set_end(a, a, span_ps);
    l->clock_ns = s->end_ns = a->end_ns;
    l->clock_ps = a->end_ps;
    set_end(a, a, a->gpu_ps);
    set_end(b, a, b->gpu_ps);
    s->lost_ps = 0;
    return true;
}

/* The piece under way counts as far as the driver has seen it. */
struct tr_share_stats tr_lone_stats(const struct tr_lone *l)
{
    const struct tr_lone_piece *p = &l->piece[l->first];
    int64_t turns = l->turns, busy_ps = 0;
    if (l->queued > 0) {
        int64_t segment_ps = p->gpu_ps / (p->gaps + 1);
        int64_t length_ps = p->gpu_ps - p->gaps * segment_ps;
        int64_t left_ps = p->gpu_ps + p->gaps * p->gap_ps;
        /* How much of it, from its readiness on, is behind. */
        int64_t past_ps = left_ps - (p->end_ns - l->seen_ns) * TR_PS_PER_NS - p->end_ps;
        bool gap_turns = p->gap_ps > 0;
        turns += past_ps > 0 ? p->turns - (gap_turns ? p->gaps : 0) : 0;
        for (int i = 0; i <= p->gaps && past_ps > 0; i++) {
            turns += i > 0 && gap_turns;
            busy_ps += TR_MIN(length_ps, past_ps);
            past_ps -= length_ps + p->gap_ps;
            length_ps = segment_ps;
        }
    }
    return (struct tr_share_stats){
        .busy_ns = (int64_t)((l->busy_ps + (tr_u128)busy_ps) / TR_PS_PER_NS), .slices = turns};
}
