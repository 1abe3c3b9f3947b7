/* Tests of num: the functions against the C library's long double ones, the random numbers against
 * the distributions that they claim, and all of it against a committed hash: other bits on another
 * compiler or CPU show at once. */
#include "num/num.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED 42

static double error_of(double got, long double want)
{
    long double error = want == 0.0L ? (long double)got : ((long double)got - want) / want;
    return (double)fabsl(error);
}

/* The k-th of a mixture that covers what the functions are asked: all magnitudes, near 1, in (0,1).
 */
static double positive(uint64_t k)
{
    double u = tr_rng_unit(SEED, 1, k);
    switch (k % 4) {
    case 0:
        return tr_exp((u - 0.5) * 1400.0);
    case 1:
        return 1.0 + (u - 0.5) * 1e-3;
    case 2:
        return u;
    default:
        return 0.5 + 1.5 * u;
    }
}

/* ---- functions ---------------------------------------------------------------------------- */

static void ln_exp_and_cbrt_are_accurate(void **state)
{
    (void)state;
    double worst_ln = 0.0, worst_exp = 0.0, worst_cbrt = 0.0;
    for (uint64_t k = 0; k < 400000; k++) {
        double x = positive(k);
        double y = (tr_rng_unit(SEED, 2, k) - 0.5) * (k % 2 ? 1400.0 : 2.0);
        worst_ln = fmax(worst_ln, error_of(tr_ln(x), logl((long double)x)));
        worst_exp = fmax(worst_exp, error_of(tr_exp(y), expl((long double)y)));
        worst_cbrt = fmax(worst_cbrt, error_of(tr_cbrt(x), cbrtl((long double)x)));
    }
    assert_true(worst_ln < 4e-16);
    assert_true(worst_exp < 4e-16);
    assert_true(worst_cbrt < 1e-15);
}

static void functions_are_right_at_the_edges(void **state)
{
    (void)state;
    assert_true(tr_ln(1.0) == 0.0);
    assert_true(isinf(tr_ln(INFINITY)));
    assert_true(error_of(tr_ln(0x1p-1074), logl(0x1p-1074L)) < 4e-16);
    assert_true(error_of(tr_ln(0x1.fffffffffffffp1023), logl(0x1.fffffffffffffp1023L)) < 4e-16);
    assert_true(error_of(tr_ln(1.0 + 0x1p-52), logl(1.0L + 0x1p-52L)) < 4e-16);
    assert_true(error_of(tr_ln(1.0 - 0x1p-53), logl(1.0L - 0x1p-53L)) < 4e-16);
    assert_true(tr_exp(0.0) == 1.0);
    assert_true(tr_exp(-700.1) == 0.0 && tr_exp(-INFINITY) == 0.0);
    assert_true(isinf(tr_exp(700.1)) && isinf(tr_exp(INFINITY)));
    assert_true(isnan(tr_exp(NAN)));
    assert_true(error_of(tr_exp(700.0), expl(700.0L)) < 4e-16);
    assert_true(error_of(tr_exp(-700.0), expl(-700.0L)) < 4e-16);
    assert_true(tr_cbrt(0.0) == 0.0);
    assert_true(tr_cbrt(27.0) == 3.0 && tr_cbrt(0.125) == 0.5);
    assert_true(error_of(tr_cbrt(0x1p-1074), cbrtl(0x1p-1074L)) < 1e-15);
}

static long double normal_cdf_long(double x)
{
    return 0.5L * erfcl(-(long double)x / sqrtl(2.0L));
}

static void the_normal_distribution_is_accurate(void **state)
{
    (void)state;
    double worst = 0.0, worst_tail = 0.0, worst_quantile = 0.0;
    for (uint64_t k = 0; k < 100000; k++) {
        double x = (tr_rng_unit(SEED, 3, k) - 0.5) * 20.0;
        worst = fmax(worst, (double)fabsl((long double)tr_normal_cdf(x) - normal_cdf_long(x)));
        double tail = -37.0 * tr_rng_unit(SEED, 4, k);
        worst_tail = fmax(worst_tail, error_of(tr_normal_cdf(tail), normal_cdf_long(tail)));

        /* How far the quantile is from the x that has exactly this p: one Newton step. */
        double p = k % 2 ? tr_rng_unit(SEED, 5, k) : tr_exp(-690.0 * tr_rng_unit(SEED, 5, k));
        long double q = tr_normal_quantile(p);
        long double density = expl(-0.5L * q * q) / sqrtl(2.0L * acosl(-1.0L));
        long double off = (normal_cdf_long((double)q) - p) / density;
        if (fabsl(q) > 1e-3L)
            worst_quantile = fmax(worst_quantile, (double)fabsl(off / q));
    }
    assert_true(worst < 1e-15);
    assert_true(worst_tail < 1e-12);
    assert_true(worst_quantile < 2e-15);
    assert_true(tr_normal_quantile(0.5) == 0.0);
    assert_true(tr_normal_cdf(0.0) == 0.5);
    assert_true(tr_normal_cdf(-50.0) == 0.0 && tr_normal_cdf(50.0) == 1.0);
    assert_true(tr_normal_cdf(-INFINITY) == 0.0 && tr_normal_cdf(INFINITY) == 1.0);
}

/* ---- random numbers ----------------------------------------------------------------------- */

/* With 1,000 bins chi-squared has mean 999 and sd 45; the bounds are five sd away. */
static void uniform_numbers_fill_their_bins_evenly_in_each_coordinate(void **state)
{
    (void)state;
    enum { BINS = 1000, DRAWS = 500000 };
    for (int coordinate = 0; coordinate < 3; coordinate++) {
        static int bins[BINS];
        double chi2 = 0.0, product = 0.0, before = 0.0;
        memset(bins, 0, sizeof(bins));
        for (uint64_t k = 0; k < DRAWS; k++) {
            uint64_t at[3] = {7, 7, 7};
            at[coordinate] = k;
            double u = tr_rng_unit(at[0], at[1], at[2]);
            assert_true(u > 0.0 && u < 1.0);
            bins[(int)(u * BINS)]++;
            product += (u - 0.5) * before;
            before = u - 0.5;
        }
        for (int b = 0; b < BINS; b++)
            chi2 += pow(bins[b] - DRAWS / BINS, 2.0) / (DRAWS / BINS);
        assert_true(chi2 > 999.0 - 5 * 45.0 && chi2 < 999.0 + 5 * 45.0);
        /* Neighbours are not correlated: sd of the coefficient is 1 / sqrt(n). */
        assert_true(fabs(product / DRAWS * 12.0) < 5.0 / sqrt(DRAWS));
    }
}

static void one_input_bit_changes_half_of_the_output_bits(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    for (int bit = 0; bit < 192; bit++) {
        int64_t flips = 0;
        for (uint64_t k = 0; k < DRAWS; k++) {
            uint64_t at[3] = {SEED, 3 * k, k};
            uint64_t x = tr_rng_u64(at[0], at[1], at[2]);
            at[bit / 64] ^= UINT64_C(1) << bit % 64;
            flips += __builtin_popcountll(x ^ tr_rng_u64(at[0], at[1], at[2]));
        }
        double z = ((double)flips - DRAWS * 32.0) / sqrt(DRAWS * 16.0);
        assert_true(fabs(z) < 5.0);
    }
}

static void streams_have_names_of_their_own(void **state)
{
    (void)state;
    uint64_t arrivals = tr_rng_stream("arrivals", 0, 0);
    assert_true(arrivals == tr_rng_stream("arrivals", 0, 0));
    assert_true(arrivals != tr_rng_stream("lengths", 0, 0));
    assert_true(arrivals != tr_rng_stream("arrivals", 1, 0));
    assert_true(arrivals != tr_rng_stream("arrivals", 0, 1));
    assert_true(tr_rng_stream("arrivals", 1, 0) != tr_rng_stream("arrivals", 0, 1));
    assert_true(tr_rng_stream("", 0, 0) != tr_rng_stream("", 1, 1));
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov: the largest distance between the draws' distribution and the one claimed,
 * times sqrt(n); above 1.95 once in a thousand. */
static double distance(double *draws, size_t n, double (*cdf)(double x))
{
    double worst = 0.0;
    qsort(draws, n, sizeof(*draws), compare_doubles);
    for (size_t i = 0; i < n; i++) {
        double p = cdf(draws[i]);
        worst = fmax(worst, fabs(p - (double)i / (double)n));
        worst = fmax(worst, fabs(p - (double)(i + 1) / (double)n));
    }
    return worst * sqrt((double)n);
}

static double exponential_cdf(double x)
{
    return -expm1(-x);
}
static double normal_cdf(double x)
{
    return (double)normal_cdf_long(x);
}
static double gamma_half_cdf(double x) /* the square of a normal */
{
    return 1.0 - 2.0 * normal_cdf(-sqrt(x));
}
static double gamma_two_cdf(double x)
{
    return 1.0 - exp(-2.0 * x) * (1.0 + 2.0 * x);
}

static void draws_follow_the_distributions_they_claim(void **state)
{
    (void)state;
    enum { N = 100000 };
    double *draws = tr_calloc(N, sizeof(*draws));
    for (uint64_t i = 0; i < N; i++)
        draws[i] = tr_rng_exp(SEED, 10, i);
    assert_true(distance(draws, N, exponential_cdf) < 1.95);
    for (uint64_t i = 0; i < N; i++)
        draws[i] = tr_rng_normal(SEED, 11, i);
    assert_true(distance(draws, N, normal_cdf) < 1.95);
    for (uint64_t i = 0; i < N; i++)
        draws[i] = tr_rng_gamma(SEED, 12, i, 0.5);
    assert_true(distance(draws, N, gamma_half_cdf) < 1.95);
    for (uint64_t i = 0; i < N; i++)
        draws[i] = tr_rng_gamma(SEED, 13, i, 1.0);
    assert_true(distance(draws, N, exponential_cdf) < 1.95);
    for (uint64_t i = 0; i < N; i++)
        draws[i] = tr_rng_gamma(SEED, 14, i, 2.0);
    assert_true(distance(draws, N, gamma_two_cdf) < 1.95);
    free(draws);
}

/* In any order, and where indices wrap around. */
static void exponentials_drawn_ahead_are_the_same(void **state)
{
    (void)state;
    struct tr_rng_exps ahead = {0};
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t index = i % 1000 == 999 ? i / 2 : i - 10;
        double one = tr_rng_exp(SEED, 10, index);
        double of_many = tr_rng_exps_at(&ahead, SEED, 10, index);
        assert_memory_equal(&one, &of_many, sizeof(one));
    }
}

/* Gamma of mean 1: variance 1 / shape, fourth central moment (3 + 6 / shape) / shape^2. */
static void gamma_has_its_mean_and_variance(void **state)
{
    (void)state;
    static const double shapes[] = {0.05, 0.25, 0.9, 1.0, 1.1, 4.0, 50.0, 1e6};
    enum { N = 200000 };
    for (size_t s = 0; s < TR_LEN(shapes); s++) {
        double sum = 0.0, squares = 0.0;
        for (uint64_t i = 0; i < N; i++) {
            double x = tr_rng_gamma(SEED, 20 + s, i, shapes[s]) - 1.0;
            sum += x;
            squares += x * x;
        }
        assert_true(fabs(sum / N) < 4.0 * sqrt(1.0 / shapes[s] / N));
        double sd_of_squares = sqrt((2.0 + 6.0 / shapes[s]) / N) / shapes[s];
        assert_true(fabs(squares / N - 1.0 / shapes[s]) < 4.0 * sd_of_squares);
    }
    for (uint64_t i = 0; i < 1000; i++) /* so bursty that nearly all is 0: still numbers */
        assert_true(tr_rng_gamma(SEED, 30, i, 1e-3) >= 0.0);
}

/* ---- the committed hash ------------------------------------------------------------------- */

#define HASH_OF_ALL_DRAWS UINT64_C(0x740795fe7683af82)

static uint64_t add_double(uint64_t hash, double x)
{
    return tr_hash(&x, sizeof(x), hash);
}

static void every_bit_is_the_same_on_every_machine(void **state)
{
    (void)state;
    uint64_t hash = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        hash = add_double(hash, tr_ln(positive(i)));
        hash = add_double(hash, tr_exp((tr_rng_unit(SEED, 2, i) - 0.5) * 1400.0));
        hash = add_double(hash, tr_cbrt(positive(i)));
        hash = add_double(hash, tr_rng_normal(SEED, 11, i));
        hash = add_double(hash, tr_normal_cdf((tr_rng_unit(SEED, 3, i) - 0.5) * 20.0));
        hash = add_double(hash, tr_rng_gamma(SEED, 15, i, i % 2 ? 0.3 : 2.5));
    }
    if (hash != HASH_OF_ALL_DRAWS)
        fail_msg("the draws hash to 0x%016" PRIx64, hash);
}

static void the_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(tr_hash("", 0, 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(tr_hash("foobar", 6, 0) == UINT64_C(0x85944171f73967e8));
    assert_true(tr_hash("bar", 3, tr_hash("foo", 3, 0)) == tr_hash("foobar", 6, 0));
}

/* ---- lognormal ---------------------------------------------------------------------------- */

static struct tr_lognormal solved(double mean, double cv, double lo, double hi)
{
    struct tr_lognormal d;
    struct tr_err err = {0};
    if (tr_lognormal_solve(&d, mean, cv, lo, hi, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

/* The figures of the chatbot scenario: its lengths' own means and quantiles. */
static void the_chatbot_lengths_have_the_known_figures(void **state)
{
    (void)state;
    struct tr_lognormal output = solved(500, 0.8, 1, 2048);
    assert_true(near(tr_lognormal_clamped_mean(&output), 500, 1e-9));
    assert_true(near(tr_lognormal_own_mean(&output), 505.98, 0.005));
    assert_true(near(tr_lognormal_clamped_sd(&output), 369.724, 0.001));
    assert_true(near(tr_lognormal_quantile(&output, 0.50), 395, 1));
    assert_true(near(tr_lognormal_quantile(&output, 0.95), 1257, 1));
    assert_true(near(tr_lognormal_quantile(&output, 0.99), 2029, 1));

    struct tr_lognormal prompt = solved(1200, 1.0, 16, 16384);
    assert_true(near(tr_lognormal_clamped_mean(&prompt), 1200, 1e-9));
    assert_true(near(tr_lognormal_quantile(&prompt, 0.50), 849, 1));
    assert_true(near(tr_lognormal_quantile(&prompt, 0.95), 3340, 1));
    assert_true(near(tr_lognormal_quantile(&prompt, 0.99), 5890, 1));
}

static void clamped_draws_have_the_solved_moments(void **state)
{
    (void)state;
    static const double cases[][4] = {
        {500, 0.8, 1, 2048},  {1200, 1, 16, 16384}, {500, 50, 1, 2048},
        {2000, 0.8, 1, 2048}, {5, 0.1, 0, 1e15},    {20, 2, 16, 64},
    };
    enum { N = 200000 };
    for (size_t c = 0; c < TR_LEN(cases); c++) {
        struct tr_lognormal d = solved(cases[c][0], cases[c][1], cases[c][2], cases[c][3]);
        double sum = 0.0, squares = 0.0, sd = tr_lognormal_clamped_sd(&d);
        for (uint64_t i = 0; i < N; i++) {
            double x = tr_lognormal_quantile(&d, tr_rng_unit(SEED, 40 + c, i));
            assert_true(x >= d.lo && x <= d.hi);
            sum += x - cases[c][0];
            squares += (x - cases[c][0]) * (x - cases[c][0]);
        }
        assert_true(near(sum / N, 0.0, 4.0 * sd / sqrt(N)));
        assert_true(near(sqrt(squares / N), sd, 0.02 * sd));
        assert_true(near(tr_lognormal_clamped_mean(&d), cases[c][0], 1e-9 * cases[c][0]));
    }
}

static void no_variation_is_a_constant(void **state)
{
    (void)state;
    struct tr_lognormal d = solved(512, 0, 1, 2048);
    assert_true(near(tr_lognormal_quantile(&d, 0.001), 512, 1e-9));
    assert_true(near(tr_lognormal_quantile(&d, 0.999), 512, 1e-9));
    assert_true(near(tr_lognormal_clamped_mean(&d), 512, 1e-9));
    assert_true(tr_lognormal_clamped_sd(&d) == 0.0);
    d = solved(7, 3, 7, 7);
    assert_true(tr_lognormal_quantile(&d, 0.9) == 7.0);
}

static void impossible_lognormals_are_refused(void **state)
{
    (void)state;
    static const struct {
        double mean, cv, lo, hi;
        const char *message;
    } cases[] = {
        {0.5, 1, 1, 2048, "the mean 0.5 is outside the bounds; allowed is 1 to 2048"},
        {3000, 1, 1, 2048, "the mean 3000 is outside"},
        {0, 1, 0, 10, "allowed is 0 to 10, above 0"},
        {NAN, 1, 1, 10, "the mean nan is outside"},
        {1, 1, 1, 10, "too near to a bound"},
        {10, 1, 1, 10, "too near to a bound"},
        {5, -1, 1, 10, "the coefficient of variation -1 is impossible; allowed is 0 to 1000"},
        {5, NAN, 1, 10, "coefficient of variation nan"},
        {5, 1e300, 1, 10, "allowed is 0 to 1000"},
        {5, 1, 10, 1, "the bounds 10 to 1 are impossible"},
        {5, 1, -1, 10, "the bounds -1 to 10 are impossible"},
        {5, 1, 1, INFINITY, "the bounds 1 to inf are impossible"},
    };
    for (size_t c = 0; c < TR_LEN(cases); c++) {
        struct tr_lognormal d;
        struct tr_err err = {0};
        int rc = tr_lognormal_solve(&d, cases[c].mean, cases[c].cv, cases[c].lo, cases[c].hi, &err);
        assert_int_equal(rc, TR_EINPUT);
        if (!strstr(err.text, cases[c].message))
            fail_msg("%s", err.text);
    }
}

/* ---- histogram ---------------------------------------------------------------------------- */

enum { KINDS = 5, VALUES = 20000 };

/* The i-th value of several kinds of data, from constants to all of int64. */
static int64_t value_of(int kind, uint64_t i)
{
    double u = tr_rng_unit(SEED, 50 + (uint64_t)kind, i);
    switch (kind) {
    case 0:
        return (int64_t)(u * 300.0);
    case 1:
        return (int64_t)(tr_exp(u * 43.6)); /* to e^43.6, near 2^63 */
    case 2:
        return (INT64_C(1) << (int)(u * 63.0)) - (int64_t)(i % 2); /* the edges of the octaves */
    case 3:
        return i % 100 ? 500000000 : INT64_MAX;
    default:
        return (int64_t)(1e8 * tr_rng_gamma(SEED, 60, i, 2.0));
    }
}

static int compare_values(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    static const double quantiles[] = {0,   0.001, 0.01, 0.05,  0.25,   0.5,
                                       0.9, 0.95,  0.99, 0.999, 0.9999, 1};
    static const size_t sizes[] = {1, 2, 7, 100, 3001, VALUES};
    static int64_t sorted[VALUES];
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t s = 0; s < TR_LEN(sizes); s++) {
            size_t n = sizes[s];
            struct tr_hist h = {0};
            for (size_t i = 0; i < n; i++) {
                sorted[i] = value_of(kind, i);
                tr_hist_add(&h, sorted[i], 1);
            }
            qsort(sorted, n, sizeof(*sorted), compare_values);
            for (size_t k = 0; k < TR_LEN(quantiles); k++) {
                size_t rank = (size_t)ceil(quantiles[k] * (double)n - 1e-9);
                int64_t want = sorted[rank ? rank - 1 : 0];
                int64_t got = tr_hist_quantile(&h, quantiles[k]);
                int64_t off = got > want ? got - want : want - got;
                if (want < 256 ? off != 0 : (double)off > 0.004 * (double)want)
                    fail_msg("kind %d n %zu q %g: %" PRId64 ", exact %" PRId64, kind, n,
                             quantiles[k], got, want);
            }
            assert_int_equal(tr_hist_quantile(&h, 0), sorted[0]);
            assert_int_equal(tr_hist_quantile(&h, 1), sorted[n - 1]);
            assert_true(h.n_buckets < 16384); /* 128 KiB, whatever the values */
            tr_hist_free(&h);
        }
    }
}

static void a_quantile_is_not_moved_by_rounding(void **state)
{
    (void)state;
    struct tr_hist h = {0};
    for (int i = 1; i <= 100; i++)
        tr_hist_add(&h, i, 1);
    for (int i = 1; i <= 100; i++) /* 0.07 * 100 is above 7 in doubles, 0.29 * 100 is below 29 */
        assert_int_equal(tr_hist_quantile(&h, i / 100.0), i);
    tr_hist_free(&h);
}

static void same_histogram(const struct tr_hist *a, const struct tr_hist *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->min, b->min);
    assert_int_equal(a->max, b->max);
    assert_true(a->sum == b->sum);
    for (size_t i = 0; i < TR_MAX(a->n_buckets, b->n_buckets); i++)
        assert_int_equal(i < a->n_buckets ? a->buckets[i] : 0,
                         i < b->n_buckets ? b->buckets[i] : 0);
}

static void merging_is_exact_in_any_order(void **state)
{
    (void)state;
    struct tr_hist whole = {0}, parts[7] = {0}, up = {0}, down = {0}, empty = {0};
    for (int kind = 0; kind < KINDS; kind++) {
        for (uint64_t i = 0; i < VALUES; i++) {
            int64_t value = value_of(kind, i);
            uint64_t times = 1 + i % 3;
            tr_hist_add(&whole, value, times);
            tr_hist_add(&parts[tr_rng_u64(SEED, 70, i) % TR_LEN(parts)], value, times);
        }
    }
    for (size_t p = 0; p < TR_LEN(parts); p++) {
        tr_hist_merge(&up, &parts[p]);
        tr_hist_merge(&down, &parts[TR_LEN(parts) - 1 - p]);
    }
    tr_hist_merge(&up, &empty);
    same_histogram(&up, &whole);
    same_histogram(&down, &whole);
    assert_true(tr_hist_mean(&up) == tr_hist_mean(&down));
    for (size_t p = 0; p < TR_LEN(parts); p++)
        tr_hist_free(&parts[p]);
    tr_hist_free(&whole);
    tr_hist_free(&up);
    tr_hist_free(&down);
}

static void an_empty_histogram_and_the_mean(void **state)
{
    (void)state;
    struct tr_hist h = {0};
    assert_int_equal(tr_hist_quantile(&h, 0.5), -1);
    assert_true(tr_hist_mean(&h) == 0.0);
    tr_hist_add(&h, 10, 0); /* no times: nothing happened */
    assert_int_equal(tr_hist_quantile(&h, 0.5), -1);
    tr_hist_add(&h, INT64_MAX, 3); /* a sum past int64 */
    assert_true(tr_hist_mean(&h) == 0x1p63);
    tr_hist_add(&h, 0, 3);
    assert_true(tr_hist_mean(&h) == 0x1p62);
    tr_hist_free(&h);
    assert_null(h.buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ln_exp_and_cbrt_are_accurate),
        cmocka_unit_test(functions_are_right_at_the_edges),
        cmocka_unit_test(the_normal_distribution_is_accurate),
        cmocka_unit_test(uniform_numbers_fill_their_bins_evenly_in_each_coordinate),
        cmocka_unit_test(one_input_bit_changes_half_of_the_output_bits),
        cmocka_unit_test(streams_have_names_of_their_own),
        cmocka_unit_test(draws_follow_the_distributions_they_claim),
        cmocka_unit_test(exponentials_drawn_ahead_are_the_same),
        cmocka_unit_test(gamma_has_its_mean_and_variance),
        cmocka_unit_test(every_bit_is_the_same_on_every_machine),
        cmocka_unit_test(the_hash_is_fnv_1a),
        cmocka_unit_test(the_chatbot_lengths_have_the_known_figures),
        cmocka_unit_test(clamped_draws_have_the_solved_moments),
        cmocka_unit_test(no_variation_is_a_constant),
        cmocka_unit_test(impossible_lognormals_are_refused),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
        cmocka_unit_test(a_quantile_is_not_moved_by_rounding),
        cmocka_unit_test(merging_is_exact_in_any_order),
        cmocka_unit_test(an_empty_histogram_and_the_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
