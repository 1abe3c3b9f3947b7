/* work: what a context puts on the hardware, and how time-slicing (ring.h) and MPS (overlap.h) take
 * many pieces of it at once. */
#ifndef TR_SHARE_WORK_H
#define TR_SHARE_WORK_H

#include "base/base.h"
#include "catalog/catalog.h"

/* A demand of the whole card's arithmetic or bandwidth, as attained: parts of 2^20. */
#define TR_DEMAND_ONE (1 << 20)

struct tr_work {
    int64_t gpu_ps;             /* GPU time alone on the share, > 0 */
    int64_t delay_ps;           /* host time before it is ready, counted from the post */
    int gaps;                   /* it is cut into gaps + 1 equal segments */
    int64_t gap_ps;             /* with this much host time between them */
    int32_t arithmetic, memory; /* its demands while it runs alone; the ring has no use for them */
};

struct tr_share_stats {
    int64_t busy_ns;   /* something runs */
    int64_t switch_ns; /* handing over; none under MPS */
    int64_t slices;    /* turns on a ring, skipped rounds included */
};

/* How many of at most `most` pieces, one after the other, end less than `limit_ps` from now, and
 * in *span_ps when: the first is `gpu_ps` long with `left_ps` to go, every other is `growth_ps`
 * longer than the one before. */
static inline int64_t tr_work_fit(int64_t left_ps, int64_t gpu_ps, int64_t growth_ps, int64_t most,
                                  int64_t limit_ps, int64_t *span_ps)
{
    int64_t n = 0, step = 1;
    while (step < most)
        step *= 2;
    for (; step > 0; step /= 2) {
        int64_t m = n + step;
        if (m > most)
            continue;
        int64_t end_ps = left_ps + (m - 1) * gpu_ps + m * (m - 1) / 2 * growth_ps;
        if (end_ps < limit_ps) {
            n = m;
            *span_ps = end_ps;
        }
    }
    return n;
}

#endif
