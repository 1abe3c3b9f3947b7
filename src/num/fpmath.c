/* fpmath: ln, exp, the cube root and the normal distribution from + - * / and sqrt alone.
 *
 * Each function reduces its argument by the exponent bits, exactly, and sums a series on the short
 * interval that is left; docs/num.md has the measured errors.
 */
#include "num/num.h"

#include <math.h>

/* ln 2 in two parts: the first has 21 closing zero bits, so that any exponent times it is exact. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW  0x1.a39ef35793c76p-33

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* 2^k for the exponents of normal numbers. */
static double power_of_two(int k)
{
    return from_bits((uint64_t)(k + 1023) << 52);
}

/* Splits x > 0 into *m in [1, 2) and the exponent returned, x = m * 2^exponent. */
static int split(double x, double *m)
{
    int exponent = 0;
    if (x < 0x1p-1022) { /* subnormal: the leading bit is not implied */
        x *= 0x1p54;
        exponent = -54;
    }
    uint64_t bits = bits_of(x);
    *m = from_bits((bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000));
    return exponent + (int)(bits >> 52) - 1023;
}

static double polynomial(const double *coefficients, size_t n, double x)
{
    double sum = coefficients[n - 1];
    for (size_t i = n - 1; i-- > 0;)
        sum = sum * x + coefficients[i];
    return sum;
}

/* With x = m 2^k, f = m - 1 and s = f / (2 + f): ln m = 2 atanh s = 2s + s R(s^2), and as
 * 2s = f - s f it is also f - s (f - R), or f - (h - s (h + R)) with h = f^2 / 2, whose leading
 * term is exact. */

/* 2/3, 2/5, ... 2/25: |s| < 0.172, so the first term left out is below 2^-60 of the sum. */
static const double ln_series[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                   2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23, 2.0 / 25};

double tr_ln(double x)
{
    double m;

    tr_assert(x > 0.0);
    if (isinf(x))
        return x;
    int k = split(x, &m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    double f = m - 1.0;
    double s = f / (2.0 + f);
    double z = s * s;
    double r = z * polynomial(ln_series, TR_LEN(ln_series), z);
    double h = 0.5 * f * f;
    double e = (double)k;
    return e * LN2_HIGH - ((h - (s * (h + r) + e * LN2_LOW)) - f);
}

/* The same operations, in turns for each of the eight. */
void tr_ln_8(double x[8])
{
    double e[8], f[8], s[8], z[8], sum[8];

    for (int i = 0; i < 8; i++) {
        double m;
        int k = split(x[i], &m);
        bool high = m > 1.4142135623730951;
        f[i] = (high ? 0.5 * m : m) - 1.0;
        e[i] = (double)(k + high);
        s[i] = f[i] / (2.0 + f[i]);
        z[i] = s[i] * s[i];
        sum[i] = ln_series[TR_LEN(ln_series) - 1];
    }
    for (size_t j = TR_LEN(ln_series) - 1; j-- > 0;)
        for (int i = 0; i < 8; i++)
            sum[i] = sum[i] * z[i] + ln_series[j];
    for (int i = 0; i < 8; i++) {
        double h = 0.5 * f[i] * f[i], r = z[i] * sum[i];
        x[i] = e[i] * LN2_HIGH - ((h - (s[i] * (h + r) + e[i] * LN2_LOW)) - f[i]);
    }
}

/* With x = k ln 2 + r and |r| <= ln 2 / 2: e^x = 2^k e^r, and e^r = 1 + r + r^2 P(r). */
double tr_exp(double x)
{
    /* 1/2!, 1/3!, ... 1/14!: the first term left out is below 2^-60. */
    static const double series[] = {1.0 / 2,
                                    1.0 / 6,
                                    1.0 / 24,
                                    1.0 / 120,
                                    1.0 / 720,
                                    1.0 / 5040,
                                    1.0 / 40320,
                                    1.0 / 362880,
                                    1.0 / 3628800,
                                    1.0 / 39916800,
                                    1.0 / 479001600,
                                    1.0 / 6227020800.0,
                                    1.0 / 87178291200.0};

    if (isnan(x))
        return x;
    if (x < -700.0)
        return 0.0;
    if (x > 700.0)
        return INFINITY;
    double turns = x * 1.4426950408889634;
    int k = (int)(turns < 0.0 ? turns - 0.5 : turns + 0.5);
    double high = x - (double)k * LN2_HIGH;
    double low = (double)k * LN2_LOW;
    double r = high - low;
    double lost = (high - r) - low;
    double e = 1.0 + (r + (r * r * polynomial(series, TR_LEN(series), r) + lost));
    return e * power_of_two(k);
}

/* Newton on t^3 = m, from a straight line through the interval [1, 8) that is left of x. */
double tr_cbrt(double x)
{
    double m;

    tr_assert(x >= 0.0);
    if (x == 0.0 || isinf(x))
        return x;
    int k = split(x, &m);
    int third = (k + 1200) / 3 - 400; /* floor(k / 3) */
    m *= power_of_two(k - 3 * third);

    double t = 0.9 + m * (1.0 / 7.0);
    for (int i = 0; i < 6; i++) /* the guess is within 20 %, and each step squares the error */
        t -= (t - m / (t * t)) * (1.0 / 3.0);
    return t * power_of_two(third);
}

/* Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics
 * 37 (1988), routine PPND16. Its coefficients; each quotient of polynomials serves one range of p.
 */
static const double as241_middle[2][8] = {
    {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
     1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
     3.3430575583588128105e+4, 2.5090809287301226727e+3},
    {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
     2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
     5.2264952788528545610e+3}};
static const double as241_near[2][8] = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9}};
static const double as241_far[2][8] = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15}};

static double quotient(const double tables[2][8], double x)
{
    return polynomial(tables[0], 8, x) / polynomial(tables[1], 8, x);
}

double tr_normal_quantile(double p)
{
    tr_assert(p > 0.0 && p < 1.0);
    double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425)
        return q * quotient(as241_middle, 0.180625 - q * q);

    double r = sqrt(-tr_ln(q < 0.0 ? p : 1.0 - p));
    double z = r <= 5.0 ? quotient(as241_near, r - 1.6) : quotient(as241_far, r - 5.0);
    return q < 0.0 ? -z : z;
}

/* The share of a standard normal above x >= 3: phi(x) / (x + 1/(x + 2/(x + 3/(x + ...)))). */
static double normal_tail(double x, double density)
{
    double fraction = x;
    for (int i = 80; i > 0; i--)
        fraction = x + i / fraction;
    return density / fraction;
}

double tr_normal_cdf(double x)
{
    const double inv_sqrt_2_pi = 0.3989422804014327;
    double abs_x = x < 0.0 ? -x : x;

    if (isnan(x))
        return x;
    if (abs_x > 37.0) /* what is left is below the least double that tr_exp gives */
        return x < 0.0 ? 0.0 : 1.0;
    double density = inv_sqrt_2_pi * tr_exp(-0.5 * x * x);
    if (abs_x >= 3.0)
        return x < 0.0 ? normal_tail(abs_x, density) : 1.0 - normal_tail(abs_x, density);

    /* 1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + ...): all terms have one sign. */
    double term = x, sum = x;
    for (int i = 3; i < 120 && (term > 1e-18 || term < -1e-18); i += 2) {
        term *= x * x / i;
        sum += term;
    }
    return 0.5 + density * sum;
}
