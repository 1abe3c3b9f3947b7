/* dist: the clamped lognormal, by its closed-form moments.
 *
 * With x = e^(mu + sigma z), a and b the z at which x reaches lo and hi, and Phi the normal
 * distribution function, the k-th moment of the clamped value is
 *   lo^k Phi(a) + e^(k mu + k^2 sigma^2 / 2) (Phi(b - k sigma) - Phi(a - k sigma)) + hi^k Phi(-b).
 */
#include "num/num.h"

#include <math.h>

#define MAX_CV    1000.0
#define MAX_BOUND 1e15 /* whole numbers up to here are exact, and no exponential overflows */

static double clamp(const struct tr_lognormal *d, double x)
{
    return x < d->lo ? d->lo : x > d->hi ? d->hi : x;
}

/* Phi(b) - Phi(a), from the side where the values are small and so keep their digits. */
static double normal_between(double a, double b)
{
    return a > 0.0 ? tr_normal_cdf(-a) - tr_normal_cdf(-b) : tr_normal_cdf(b) - tr_normal_cdf(a);
}

static double moment(const struct tr_lognormal *d, int k)
{
    double b = (tr_ln(d->hi) - d->mu) / d->sigma;
    double a = d->lo > 0.0 ? (tr_ln(d->lo) - d->mu) / d->sigma : -INFINITY;
    double at_lo = tr_normal_cdf(a), at_hi = tr_normal_cdf(-b);
    double own = tr_exp(k * d->mu + 0.5 * k * k * d->sigma * d->sigma);
    double inside = own * normal_between(a - k * d->sigma, b - k * d->sigma);
    if (k == 2) {
        at_lo *= d->lo;
        at_hi *= d->hi;
    }
    return d->lo * at_lo + inside + d->hi * at_hi;
}

double tr_lognormal_clamped_mean(const struct tr_lognormal *d)
{
    return d->sigma > 0.0 ? moment(d, 1) : clamp(d, tr_exp(d->mu));
}

double tr_lognormal_clamped_sd(const struct tr_lognormal *d)
{
    if (d->sigma <= 0.0)
        return 0.0;
    double mean = moment(d, 1);
    double variance = moment(d, 2) - mean * mean;
    return variance > 0.0 ? sqrt(variance) : 0.0;
}

double tr_lognormal_own_mean(const struct tr_lognormal *d)
{
    return tr_exp(d->mu + 0.5 * d->sigma * d->sigma);
}

double tr_lognormal_quantile(const struct tr_lognormal *d, double p)
{
    return clamp(d, tr_exp(d->mu + d->sigma * tr_normal_quantile(p)));
}

static int check(double mean, double cv, double lo, double hi, struct tr_err *err)
{
    if (!(lo >= 0.0 && lo <= hi && hi > 0.0 && hi <= MAX_BOUND))
        return tr_err_set(err, TR_EINPUT,
                          "the bounds %.10g to %.10g are impossible; allowed is 0 <= min <= max <= "
                          "1e15, and max above 0",
                          lo, hi);
    if (!(mean >= lo && mean <= hi && mean > 0.0))
        return tr_err_set(err, TR_EINPUT,
                          "the mean %.10g is outside the bounds; allowed is %.10g to %.10g%s", mean,
                          lo, hi, lo > 0.0 ? "" : ", above 0");
    if (!(cv >= 0.0 && cv <= MAX_CV))
        return tr_err_set(err, TR_EINPUT,
                          "the coefficient of variation %.10g is impossible; allowed is 0 to %.10g",
                          cv, MAX_CV);
    return 0;
}

int tr_lognormal_solve(struct tr_lognormal *d, double mean, double cv, double lo, double hi,
                       struct tr_err *err)
{
    int rc = check(mean, cv, lo, hi, err);
    if (rc < 0)
        return rc;
    *d = (struct tr_lognormal){.sigma = sqrt(tr_ln(1.0 + cv * cv)), .lo = lo, .hi = hi};
    if (d->sigma <= 0.0 || lo == hi) { /* a constant (1 + cv^2 may round to 1) */
        d->sigma = 0.0;
        d->mu = tr_ln(mean);
        return 0;
    }

    /* The clamped mean rises with mu, from lo to hi: bisection to the last bit. Forty sigmas
     * outside of the bounds, all but less than a double can show is at the bound. */
    double below = tr_ln(lo > 0.0 ? lo : mean) - 40.0 * d->sigma;
    double above = tr_ln(hi) + 40.0 * d->sigma;
    for (int i = 0; i < 100; i++) {
        d->mu = below + 0.5 * (above - below);
        if (moment(d, 1) < mean)
            below = d->mu;
        else
            above = d->mu;
    }
    double error = moment(d, 1) - mean;
    if (mean == lo || mean == hi || error > 1e-9 * mean || error < -1e-9 * mean)
        return tr_err_set(err, TR_EINPUT,
                          "the mean %.10g is too near to a bound (%.10g to %.10g) for values that "
                          "vary (coefficient of variation %.10g)",
                          mean, lo, hi, cv);
    return 0;
}
