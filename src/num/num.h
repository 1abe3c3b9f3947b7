/* num: numbers that are the same on every machine.
 *
 * glibc picks a variant of log, exp and pow by CPU, so their last bits differ between machines; one
 * bit in an arrival time can change which request is preempted. Everything here is built from
 * + - * / and sqrt, which IEEE 754 fixes, and is compiled with -ffp-contract=off.
 *
 * Random numbers are a pure function of (seed, stream, index): no generator has a state that one
 * consumer could advance for another. One stream per purpose and entity, so that changing a policy
 * shifts nobody's draws and two arrangements see the same requests.
 */
#ifndef TR_NUM_NUM_H
#define TR_NUM_NUM_H

#include "base/base.h"

/* ---- functions ---------------------------------------------------------------------------- */

double tr_ln(double x); /* x > 0; relative error below 4e-16 */
/* tr_ln of x[0..7] in their places, bit for bit, for normal finite numbers. */
void tr_ln_8(double x[8]);
double tr_exp(double x);  /* the same; 0 below -700, infinity above 700 */
double tr_cbrt(double x); /* x >= 0; relative error below 1e-15 */
/* Quantile of the standard normal distribution, 0 < p < 1 (Wichura 1988, AS 241: 1e-15). */
double tr_normal_quantile(double p);
/* Distribution function of the standard normal, absolute error below 1e-12. */
double tr_normal_cdf(double x);

/* ---- random numbers ------------------------------------------------------------------------ */

uint64_t tr_rng_u64(uint64_t seed, uint64_t stream, uint64_t index);
double tr_rng_unit(uint64_t seed, uint64_t stream, uint64_t index); /* in the open (0, 1) */
/* A stream's name from a purpose and up to two entity numbers. */
uint64_t tr_rng_stream(const char *purpose, uint64_t a, uint64_t b);

double tr_rng_exp(uint64_t seed, uint64_t stream, uint64_t index);    /* mean 1 */
double tr_rng_normal(uint64_t seed, uint64_t stream, uint64_t index); /* mean 0, sd 1 */

/* tr_rng_exp of one index after the other, of one seed and stream. Some are drawn ahead together: a
 * logarithm waits for its own intermediate results more than it computes. Starts as all zeroes. */
#define TR_RNG_AHEAD 8
struct tr_rng_exps {
    uint64_t first, n; /* what is drawn: from index `first` on */
    double exp[TR_RNG_AHEAD];
};
void tr_rng_exps_fill(struct tr_rng_exps *e, uint64_t seed, uint64_t stream, uint64_t index);

static inline double tr_rng_exps_at(struct tr_rng_exps *e, uint64_t seed, uint64_t stream,
                                    uint64_t index)
{
    if (index - e->first >= e->n)
        tr_rng_exps_fill(e, seed, stream, index);
    return e->exp[index - e->first];
}

/* Gamma with the given shape > 0 and mean 1. */
double tr_rng_gamma(uint64_t seed, uint64_t stream, uint64_t index, double shape);

/* ---- distributions ------------------------------------------------------------------------- */

/* A lognormal clamped to [lo, hi]: values outside are set to the bound, so the mean of what comes
 * out differs from the lognormal's own. Integers are made by rounding half up. */
struct tr_lognormal {
    double mu, sigma; /* of ln x */
    double lo, hi;
};

/* Solves for the lognormal whose CLAMPED values have this mean. `cv` is its own coefficient of
 * variation, before clamping: sigma^2 = ln(1 + cv^2), and only mu is solved for. (Mean 500, cv 0.8,
 * 1 to 2048: the lognormal's own mean is 505.98, and the clamped values vary by 0.739.)
 * TR_EINPUT when the mean is outside the bounds, or on one and cv is not 0. */
int tr_lognormal_solve(struct tr_lognormal *d, double mean, double cv, double lo, double hi,
                       struct tr_err *err);
double tr_lognormal_own_mean(const struct tr_lognormal *d); /* before clamping */
double tr_lognormal_clamped_mean(const struct tr_lognormal *d);
double tr_lognormal_clamped_sd(const struct tr_lognormal *d);
double tr_lognormal_quantile(const struct tr_lognormal *d, double p); /* clamped */

/* ---- histogram ----------------------------------------------------------------------------- */

/* Log-linear histogram of int64 values >= 0: exact below 256, then 128 buckets per factor of two
 * (width below 0.8 %, so a quantile is within 0.4 % of the exact one). Covers all of int64: nothing
 * is clipped. Adding is O(1) and allocates only while new magnitudes appear; merging two histograms
 * is exact. Starts as all zeroes. */
__extension__ typedef unsigned __int128 tr_u128;
struct tr_hist {
    uint64_t *buckets;
    size_t n_buckets;
    uint64_t count;
    int64_t min, max;
    tr_u128 sum; /* of all values: whole, so that the order of merging does not show */
};
void tr_hist_add(struct tr_hist *h, int64_t value, uint64_t times);
void tr_hist_merge(struct tr_hist *into, const struct tr_hist *from);
/* The smallest recorded value with at least q * count values at or below it (0 <= q <= 1), to
 * bucket precision (the bucket's midpoint, never outside [min, max]; the least and the greatest
 * value are exact); -1 when empty. */
int64_t tr_hist_quantile(const struct tr_hist *h, double q);
double tr_hist_mean(const struct tr_hist *h); /* exact but for one rounding; 0 when empty */
void tr_hist_free(struct tr_hist *h);

/* 64-bit FNV-1a, for scenario hashes. `start` is 0, or the hash of what comes before. */
uint64_t tr_hash(const void *data, size_t len, uint64_t start);

#endif
