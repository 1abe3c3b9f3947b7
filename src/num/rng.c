/* rng: random numbers as a pure function of (seed, stream, index).
 *
 * The mixing step is the finaliser of a 64-bit hash (Stafford's variant 13, the one of splitmix64):
 * a bijection in which each input bit changes each output bit with a chance near one half.
 */
#include "num/num.h"

#include <math.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: keeps 0 from mapping to 0 */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Key and index are each mixed before they meet, so that neither neighbouring indices nor
 * neighbouring streams give related numbers, and no stream is another one shifted. */
uint64_t tr_rng_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t key = mix(stream + mix(seed + GOLDEN));
    return mix(key ^ mix(index + GOLDEN));
}

/* 52 bits and a half: neither 0, whose logarithm is not finite, nor 1 can come out. */
double tr_rng_unit(uint64_t seed, uint64_t stream, uint64_t index)
{
    return ((double)(tr_rng_u64(seed, stream, index) >> 12) + 0.5) * 0x1p-52;
}

uint64_t tr_rng_stream(const char *purpose, uint64_t a, uint64_t b)
{
    uint64_t name = mix(tr_hash(purpose, strlen(purpose), 0));
    name = mix(name ^ mix(a + GOLDEN));
    return mix(name ^ mix(b + GOLDEN));
}

double tr_rng_exp(uint64_t seed, uint64_t stream, uint64_t index)
{
    return -tr_ln(tr_rng_unit(seed, stream, index));
}

void tr_rng_exps_fill(struct tr_rng_exps *e, uint64_t seed, uint64_t stream, uint64_t index)
{
    for (uint64_t i = 0; i < TR_RNG_AHEAD; i++)
        e->exp[i] = tr_rng_unit(seed, stream, index + i);
    tr_ln_8(e->exp);
    for (int i = 0; i < TR_RNG_AHEAD; i++)
        e->exp[i] = -e->exp[i];
    e->first = index;
    e->n = TR_RNG_AHEAD;
}

double tr_rng_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    return tr_normal_quantile(tr_rng_unit(seed, stream, index));
}

/* Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), for shape >= 1:
 * d v with v = (1 + z / sqrt(9 d))^3 and d = shape - 1/3, accepted against a uniform number. The
 * number of attempts varies, so they draw from a stream of their own, named by this draw. */
static double gamma_from_one_up(uint64_t seed, uint64_t own_stream, double shape)
{
    double d = shape - 1.0 / 3.0;
    double c = 1.0 / sqrt(9.0 * d);

    for (uint64_t attempt = 1;; attempt++) {
        double z = tr_rng_normal(seed, own_stream, 2 * attempt);
        double root = 1.0 + c * z;
        if (root <= 0.0)
            continue;
        double v = root * root * root;
        double u = tr_rng_unit(seed, own_stream, 2 * attempt + 1);
        /* The first test only saves logarithms: it holds in fewer cases than the second. */
        if (u < 1.0 - 0.0331 * (z * z) * (z * z) ||
            tr_ln(u) < 0.5 * z * z + d * (1.0 - v + tr_ln(v)))
            return d * v;
    }
}

double tr_rng_gamma(uint64_t seed, uint64_t stream, uint64_t index, double shape)
{
    tr_assert(shape > 0.0 && isfinite(shape));
    uint64_t own_stream = tr_rng_u64(seed, stream, index);
    if (shape >= 1.0)
        return gamma_from_one_up(seed, own_stream, shape) / shape;

    /* A gamma of shape a is one of shape a + 1 times u^(1/a). */
    double u = tr_rng_unit(seed, own_stream, 0);
    return gamma_from_one_up(seed, own_stream, shape + 1.0) * tr_exp(tr_ln(u) / shape) / shape;
}

uint64_t tr_hash(const void *data, size_t len, uint64_t start)
{
    const unsigned char *bytes = data;
    uint64_t hash = start ? start : UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x00000100000001b3);
    return hash;
}
