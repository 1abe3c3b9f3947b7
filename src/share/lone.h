/* lone: one piece of GPU hardware with one context, which has it whenever it wants it.
 *
 * What a ring of one does (ring.h), at a fraction of its cost, as a lone context never waits for a
 * turn: when a piece of work is posted its end is known. Every step of `whole` and of a MIG
 * instance that is not divided passes through here; the ring is its oracle (tests/property).
 */
#ifndef TR_SHARE_LONE_H
#define TR_SHARE_LONE_H

#include "num/num.h"
#include "share/work.h"

struct tr_lone {
    int first, queued; /* pieces of work: 0, 1 or 2; piece[first] is first */
    struct tr_lone_piece {
        int64_t end_ns, end_ps; /* the fraction of a nanosecond apart */
        int64_t gpu_ps, gap_ps;
        int gaps;
        int turns; /* that it takes: the hardware falls idle before it, and in its gaps */
    } piece[2];
    int64_t clock_ns, clock_ps; /* the end of the last piece */
    int64_t seen_ns;            /* how far the driver has asked */
    tr_u128 busy_ps;
    int64_t turns;
};

void tr_lone_init(struct tr_lone *l);
/* These are as their namesakes of the ring. A lone context loses no time. */
void tr_lone_post(struct tr_lone *l, int64_t now_ns, const struct tr_work *work);
bool tr_lone_advance(struct tr_lone *l, int64_t until_ns, int64_t *end_ns);
bool tr_lone_skip(struct tr_lone *l, struct tr_stretch *stretch, int64_t until_ns);
struct tr_share_stats tr_lone_stats(const struct tr_lone *l);

#endif
