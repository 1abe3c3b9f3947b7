/* lone: one piece of GPU hardware with one context, which has it whenever it wants it.
 *
 * What a ring of one does (ring.h) for work without gaps and delays, as asynchronous engines post
 * it, at a fraction of the cost: a lone context never waits for a turn, so that the end of a piece
 * is known when it is posted. Nearly every step of `whole` and of a MIG instance that is not
 * divided passes through here, hence inline; the ring is its oracle (tests/property).
 */
#ifndef TR_SHARE_LONE_H
#define TR_SHARE_LONE_H

#include "num/num.h"
#include "share/work.h"

struct tr_lone {
    int first, queued; /* pieces of work: 0, 1 or 2; piece[first] is first */
    struct tr_lone_piece {
        int64_t end_ns, end_ps; /* the fraction of a nanosecond apart */
        int64_t gpu_ps;
    } piece[2];
    int64_t clock_ns, clock_ps; /* the end of the last piece */
    int64_t seen_ns;            /* how far the driver has asked */
    tr_u128 busy_ps;            /* of pieces that have ended */
    int64_t turns;              /* pieces posted to idle hardware */
};

/* Starts as all zeroes. These are as their namesakes of the ring; no time is ever lost. */

static inline void tr_lone_post(struct tr_lone *l, int64_t now_ns, int64_t gpu_ps)
{
    tr_assert(l->queued < 2 && gpu_ps > 0);
    struct tr_lone_piece *p = &l->piece[l->first ^ l->queued];
    int64_t begin_ns = now_ns, begin_ps = now_ns == l->clock_ns ? l->clock_ps : 0;
    if (l->queued > 0) {
        begin_ns = l->piece[l->first].end_ns;
        begin_ps = l->piece[l->first].end_ps;
    }
    uint64_t end_ps = (uint64_t)(begin_ps + gpu_ps); /* unsigned: cheaper to divide */
    p->end_ns = begin_ns + (int64_t)(end_ps / TR_PS_PER_NS);
    p->end_ps = (int64_t)(end_ps % TR_PS_PER_NS);
    p->gpu_ps = gpu_ps;
    l->turns += l->queued == 0;
    l->queued++;
}

static inline bool tr_lone_advance(struct tr_lone *l, int64_t until_ns, int64_t *end_ns)
{
    const struct tr_lone_piece *p = &l->piece[l->first];
    l->seen_ns = until_ns;
    if (l->queued == 0 || p->end_ns >= until_ns)
        return false;
    l->clock_ns = *end_ns = p->end_ns;
    l->clock_ps = p->end_ps;
    l->busy_ps += (tr_u128)p->gpu_ps;
    l->first ^= 1;
    l->queued--;
    return true;
}

bool tr_lone_skip(struct tr_lone *l, struct tr_stretch *stretch, int64_t until_ns);
struct tr_share_stats tr_lone_stats(const struct tr_lone *l);

#endif
