/* overlap: one GPU as a resource that contexts use at the same time, as MPS lets them.
 *
 * All contexts with work that is ready run at once. A piece of work says what it asks for while it
 * has its share to itself: a, the fraction of the card's arithmetic, and b, that of its bandwidth.
 * With A and B the sums over those that run, X = max(A, B) and u_i = max(a_i, b_i), context i runs
 * at
 *
 *     r_i = (1 + X^p - u_i^p)^(-1/p),   p = 1.1
 *
 * of the speed that it has alone: 1 when it is alone, 1/X when all ask for everything, in between
 * less than the card could do if demands were perfectly even. The sums of r a and r b never exceed
 * 1, which is asserted at every change.
 *
 * Rates change only when a piece (or a segment of one) begins or ends, and are whole multiples of
 * 2^-32, so that progress is exact however time is cut into pieces. Ends are rounded up to a
 * picosecond; of two at the same one the lower context comes first. There is no clock inside.
 * Otherwise the rules are those of the ring, whose interface this is: docs/share.md, docs/model.md
 * ("MPS").
 */
#ifndef TR_SHARE_OVERLAP_H
#define TR_SHARE_OVERLAP_H

#include "num/num.h"
#include "share/work.h"

struct tr_overlap {
    int n;
    double sharpness;
    int64_t base_ns, clock_ps; /* history is decided up to base_ns + clock_ps */
    int64_t since_ps;          /* what is left of pieces is as of this moment */
    bool stale;                /* who runs has changed since rates were set */
    bool busy;                 /* somebody runs at these rates */
    struct tr_overlap_ctx {
        int queued; /* pieces of work: 0, 1 or 2; work[0] is first */
        struct tr_work work[2];
        int64_t post_ps[2]; /* when each was posted */
        int64_t ready_ps;   /* when the current segment of work[0] is or was ready */
        int64_t began_ps;   /* when work[0] was first ready */
        int segments;       /* after the current one */
        bool runs;
        tr_u128 left;   /* of the current segment, in 2^-32 ps */
        int64_t rate;   /* in 2^-32; 0: begins at the next change */
        int64_t end_ps; /* of the segment at this rate */
        double power;   /* u^p of work[0] */
    } ctx[TR_MAX_PODS];
    int64_t busy_ps, busy_ns;
};

/* `n` contexts; `sharpness` is p >= 1 of the formula. */
void tr_overlap_init(struct tr_overlap *o, int n, double sharpness);

/* As tr_ring_post. */
void tr_overlap_post(struct tr_overlap *o, int ctx, int64_t now_ns, const struct tr_work *work);

/* As tr_ring_advance; *lost_ps is by how much the neighbours made the piece longer. */
int tr_overlap_advance(struct tr_overlap *o, int64_t until_ns, int *ctx, int64_t *end_ns,
                       int64_t *lost_ps);

/* Completes up to `most` pieces of `ctx` at once, each followed by a new one posted behind the
 * other that waits, every one `growth_ps` longer than the piece before: exactly what as many calls
 * of tr_overlap_advance and tr_overlap_post would do. Only where no other context has work and none
 * has slowed the piece under way; only ends before `until_ns`. Returns how many (possibly 0) and
 * the time of the last. Demands of the two pieces that wait afterwards are still those of the two
 * before: tr_overlap_demand puts them right. */
int64_t tr_overlap_skip(struct tr_overlap *o, int ctx, int64_t growth_ps, int64_t most,
                        int64_t until_ns, int64_t *end_ns);
/* The demands of the first (0) or second (1) piece of a context that is alone. */
void tr_overlap_demand(struct tr_overlap *o, int ctx, int piece, const struct tr_work *work);

struct tr_share_stats tr_overlap_stats(const struct tr_overlap *o);

#endif
