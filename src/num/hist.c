/* hist: a log-linear histogram: exact below 256, then 128 buckets for each factor of two. */
#include "num/num.h"

#include <stdlib.h>

#define EXACT       256 /* values below this have a bucket each: 2^(SUB_BITS + 1) */
#define SUB_BITS    7
#define SUB_BUCKETS (1 << SUB_BITS)

static size_t bucket_of(int64_t value)
{
    if (value < EXACT)
        return (size_t)value;
    int octave = 63 - __builtin_clzll((unsigned long long)value); /* 8..62 */
    int shift = octave - SUB_BITS;
    return (size_t)(EXACT + (shift - 1) * SUB_BUCKETS + ((value >> shift) - SUB_BUCKETS));
}

/* The middle of the values that a bucket holds. */
static int64_t bucket_middle(size_t bucket)
{
    if (bucket < EXACT)
        return (int64_t)bucket;
    size_t above = bucket - EXACT;
    int shift = (int)(above / SUB_BUCKETS) + 1;
    int64_t low = (int64_t)(above % SUB_BUCKETS + SUB_BUCKETS) << shift;
    return low + ((INT64_C(1) << shift) - 1) / 2;
}

void tr_hist_add(struct tr_hist *h, int64_t value, uint64_t times)
{
    tr_assert(value >= 0);
    if (times == 0)
        return;
    size_t bucket = bucket_of(value);
    if (bucket >= h->n_buckets)
        tr_grow(&h->buckets, &h->n_buckets, bucket + 1, sizeof(*h->buckets));
    h->buckets[bucket] += times;
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (h->count == 0 || value > h->max)
        h->max = value;
    h->count += times;
    h->sum += (tr_u128)(uint64_t)value * times;
}

void tr_hist_merge(struct tr_hist *into, const struct tr_hist *from)
{
    if (from->count == 0)
        return;
    tr_grow(&into->buckets, &into->n_buckets, bucket_of(from->max) + 1, sizeof(*into->buckets));
    for (size_t i = bucket_of(from->min); i <= bucket_of(from->max); i++)
        into->buckets[i] += from->buckets[i];
    into->min = into->count ? TR_MIN(into->min, from->min) : from->min;
    into->max = into->count ? TR_MAX(into->max, from->max) : from->max;
    into->count += from->count;
    into->sum += from->sum;
}

/* The least whole number that is at least q * count, where a product that is off by rounding only
 * (0.07 * 100 is 7.000000000000001) counts as the number it stands for. */
static uint64_t rank_of(double q, uint64_t count)
{
    double product = q * (double)count;
    if (product >= (double)count)
        return count;
    uint64_t rank = (uint64_t)product;
    if (product - (double)rank > product * 1e-15)
        rank++;
    return rank;
}

int64_t tr_hist_quantile(const struct tr_hist *h, double q)
{
    tr_assert(q >= 0.0 && q <= 1.0);
    if (h->count == 0)
        return -1;
    uint64_t rank = rank_of(q, h->count);
    if (rank <= 1)
        return h->min;
    if (rank >= h->count)
        return h->max;

    uint64_t seen = 0;
    size_t bucket = bucket_of(h->min);
    while ((seen += h->buckets[bucket]) < rank)
        bucket++;
    int64_t middle = bucket_middle(bucket);
    return TR_MIN(TR_MAX(middle, h->min), h->max);
}

double tr_hist_mean(const struct tr_hist *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0.0;
}

void tr_hist_free(struct tr_hist *h)
{
    free(h->buckets);
    *h = (struct tr_hist){0};
}
