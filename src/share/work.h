/* work: what a context puts on the hardware, and how ring.h, overlap.h and lone.h take many pieces
 * of it at once. */
#ifndef TR_SHARE_WORK_H
#define TR_SHARE_WORK_H

#include "base/base.h"
#include "catalog/catalog.h"

#include <math.h>

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
    int64_t slices;    /* turns, those of skipped rounds included; none under MPS */
};

/* A stretch of a context's work of which its driver needs not be told piece by piece: the next
 * `most` completions, where each piece is `growth_ps` longer than the one before and another is
 * posted at each end. */
struct tr_stretch {
    int64_t growth_ps, most;
    int64_t done, lost_ps, end_ns; /* told: completions, their lost time, the end of the last */
};

/* The time that n pieces take, the first of which has `left_ps` to go and was `gpu_ps` long. */
static inline int64_t tr_work_span_ps(int64_t n, int64_t left_ps, int64_t gpu_ps, int64_t growth_ps)
{
    return left_ps + (n - 1) * gpu_ps + n * (n - 1) / 2 * growth_ps;
}

#define TR_MOST_PIECES 65536 /* at once: the square of it, in picoseconds, fits int64 */

/* How many of at most `most` such pieces end less than `limit_ps` from now, and in *span_ps when
 * the last of them does: the root of the quadratic, put right by the sum in whole numbers. */
static inline int64_t tr_work_fit(int64_t left_ps, int64_t gpu_ps, int64_t growth_ps, int64_t most,
                                  int64_t limit_ps, int64_t *span_ps)
{
    if (most <= 0 || left_ps >= limit_ps)
        return 0;
    int64_t n = most, end_ps = tr_work_span_ps(n, left_ps, gpu_ps, growth_ps);
    if (end_ps >= limit_ps) {
        double rest_ps = (double)(limit_ps - left_ps), half_ps = 0.5 * (double)growth_ps;
        double b = (double)gpu_ps + half_ps;
        double further = 2.0 * rest_ps / (b + sqrt(b * b + 4.0 * half_ps * rest_ps));
        n = 1 + (int64_t)TR_MIN(further, (double)(most - 1));
        end_ps = tr_work_span_ps(n, left_ps, gpu_ps, growth_ps);
    }
    while (end_ps >= limit_ps)
        end_ps = tr_work_span_ps(--n, left_ps, gpu_ps, growth_ps);
    for (int64_t more_ps; n < most; end_ps = more_ps, n++) {
        more_ps = tr_work_span_ps(n + 1, left_ps, gpu_ps, growth_ps);
        if (more_ps >= limit_ps)
            break;
    }
    *span_ps = end_ps;
    return n;
}

#endif
