/* voices: tenants with curves of their own: how far they coincide, and what stays as it is.
 *
 * Seeds are fixed; bounds are four or more standard errors wide. */
#include "traffic/traffic.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECOND  TR_NS_PER_S
#define HOUR    (3600 * SECOND)
#define WINDOW  (600 * SECOND)
#define TENANTS 24
#define WINDOWS 144 /* of ten minutes in a day */

static struct tr_traffic_spec spec;
static double shares[TENANTS];

/* A fifth of the AKS chatbot's day, from 24 tenants alike. */
static int fresh(void **state)
{
    (void)state;
    tr_traffic_spec_init(&spec);
    tr_traffic_aks_chatbot(&spec);
    spec.prompt = spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 9};
    for (int i = 0; i < TENANTS; i++)
        shares[i] = 1.0 / TENANTS;
    spec.shares = shares;
    spec.n_tenants = TENANTS;
    spec.rate_scale = 0.2;
    return 0;
}

static struct tr_source *open_source(uint64_t seed)
{
    struct tr_source *src;
    struct tr_err err = {0};

    if (tr_source_open(&spec, seed, &src, NULL, &err) != 0)
        fail_msg("%s", err.text);
    return src;
}

static double correlation(const double *a, const double *b)
{
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;

    for (int i = 0; i < WINDOWS; i++) {
        ma += a[i] / WINDOWS;
        mb += b[i] / WINDOWS;
    }
    for (int i = 0; i < WINDOWS; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return ab / sqrt(aa * bb);
}

/* Of the tenants' ten-minute counts, the mean over all pairs. */
static double mean_correlation(void)
{
    static double counts[TENANTS][WINDOWS];
    struct tr_source *src = open_source(3);
    struct tr_arrival a;
    double sum = 0;
    int64_t last_ns = 0;

    memset(counts, 0, sizeof(counts));
    while (tr_source_next(src, &a)) {
        assert_true(a.time_ns >= last_ns && a.time_ns < spec.duration_ns);
        last_ns = a.time_ns;
        counts[a.tenant][a.time_ns / WINDOW]++;
    }
    tr_source_close(src);
    for (int i = 0; i < TENANTS; i++)
        for (int k = 0; k < i; k++)
            sum += correlation(counts[i], counts[k]);
    return sum / (TENANTS * (TENANTS - 1) / 2.0);
}

static void peaks_coincide_as_asked(void **state)
{
    double together, half, apart;

    (void)state;
    together = mean_correlation();
    spec.own_curve = 0.5;
    half = mean_correlation();
    spec.own_curve = 1;
    apart = mean_correlation();
    /* A window holds 53 requests of a tenant in the mean, and the variance of its rate is 37 times
     * that of Poisson counts: 37/38 at one. Half on a common curve and half on own ones: half the
     * variance is common. */
    assert_true(together > 0.95);
    assert_true(half > 0.4 && half < 0.6);
    assert_true(fabs(apart) < 0.05);
}

static void rates_and_shares_stay(void **state)
{
    int64_t counts[TENANTS] = {0}, n = 0;
    struct tr_source *src;
    struct tr_arrival a;
    double sum = 0;

    (void)state;
    for (int i = 0; i < TENANTS; i++)
        sum += shares[i] = 1.0 / (i + 1);
    for (int i = 0; i < TENANTS; i++)
        shares[i] /= sum;
    spec.own_curve = 0.7;
    spec.modulation_variance = 0;
    src = open_source(5);
    assert_int_equal(tr_source_span_ns(src), spec.duration_ns);
    assert_int_equal(tr_source_tenants(src), TENANTS);
    for (; tr_source_next(src, &a); n++)
        counts[a.tenant]++;
    tr_source_close(src);
    /* docs/traffic.md: 914,261 a day at full rate. */
    assert_true(fabs((double)n - 0.2 * 914261) < 4 * sqrt(0.2 * 914261));
    for (int i = 0; i < TENANTS; i++) {
        double want = shares[i] * 0.2 * 914261;
        assert_true(fabs((double)counts[i] - want) < 5 * sqrt(want));
    }
}

/* All the traffic comes within one hour of the day: so does each tenant's, around midnight too. */
static void a_curve_is_shifted_around_the_day(void **state)
{
    static const struct tr_knot knots[] = {
        {0, 0}, {22 * HOUR, 0}, {22 * HOUR, 24}, {23 * HOUR, 24}, {23 * HOUR, 0}};
    int64_t first[TENANTS], last[TENANTS], gap[TENANTS], counts[TENANTS] = {0};
    bool apart = false, wrapped = false;
    struct tr_source *src;
    struct tr_arrival a;

    (void)state;
    spec.knots = knots;
    spec.n_knots = TR_LEN(knots);
    spec.n_spikes = 0;
    spec.modulation_variance = 0;
    spec.process = TR_CONSTANT;
    spec.rate_scale = 1;
    spec.own_curve = 1;
    src = open_source(8);
    while (tr_source_next(src, &a)) {
        if (counts[a.tenant]++ == 0) {
            first[a.tenant] = a.time_ns;
            gap[a.tenant] = 0;
        } else {
            gap[a.tenant] = TR_MAX(gap[a.tenant], a.time_ns - last[a.tenant]);
        }
        last[a.tenant] = a.time_ns;
    }
    tr_source_close(src);
    for (int i = 0; i < TENANTS; i++) {
        /* Around the day: from the last to the first again, or the gap inside. */
        int64_t silence = TR_MAX(gap[i], first[i] + 24 * HOUR - last[i]);
        assert_true(counts[i] >= 3599 && counts[i] <= 3600);
        assert_true(silence >= 23 * HOUR && silence <= 23 * HOUR + 2 * SECOND);
        apart |= first[i] / HOUR != first[0] / HOUR;
        wrapped |= gap[i] > 22 * HOUR;
    }
    assert_true(apart);
    assert_true(wrapped); /* with this seed one does */
}

static void same_stream(struct tr_source *x, struct tr_source *y)
{
    struct tr_arrival a, b;
    int64_t n = 0;

    for (; tr_source_next(x, &a); n++) {
        assert_true(tr_source_next(y, &b));
        assert_true(a.time_ns == b.time_ns && a.tenant == b.tenant && a.session == b.session &&
                    a.prompt_tok == b.prompt_tok);
    }
    assert_false(tr_source_next(y, &b));
    assert_true(n > 1000);
    tr_source_rewind(x);
    tr_source_rewind(y);
}

static void streams_repeat_themselves(void **state)
{
    static const struct tr_knot knots[] = {{0, 2}, {HOUR / 2, 20}, {HOUR, 1}};

    (void)state;
    spec.own_curve = 0.8;
    spec.knots = knots;
    spec.n_knots = TR_LEN(knots);
    spec.n_spikes = 0;
    spec.duration_ns = HOUR;
    for (int sessions = 0; sessions < 2; sessions++) {
        if (sessions)
            spec.sessions = (struct tr_sessions_spec){
                .turns = 3, .message = spec.prompt, .think_ns = 60 * SECOND, .think_cv = 1};
        struct tr_source *src = open_source(2), *copy = tr_source_clone(src);
        struct tr_source *kept = open_source(2);
        struct tr_arrival a;

        for (int i = 0; i < 500; i++)
            tr_source_next(copy, &a);
        tr_source_rewind(copy);
        same_stream(src, copy);
        tr_source_keep(kept, 1000000);
        same_stream(src, kept);
        tr_source_close(copy);
        copy = tr_source_clone(kept);
        same_stream(src, copy);
        tr_source_close(src);
        tr_source_close(copy);
        tr_source_close(kept);
    }
}

/* Turns of one session are one tenant's, and come when that tenant's curve says. */
static void sessions_belong_to_a_tenant(void **state)
{
    static int32_t tenant_of[200000];
    int64_t counts[TENANTS] = {0}, n = 0;
    struct tr_source *src;
    struct tr_arrival a;

    (void)state;
    memset(tenant_of, 0xFF, sizeof(tenant_of));
    spec.own_curve = 1;
    spec.modulation_variance = 0;
    spec.sessions = (struct tr_sessions_spec){
        .turns = 3, .message = spec.prompt, .think_ns = 60 * SECOND, .think_cv = 1};
    src = open_source(4);
    for (; tr_source_next(src, &a); n++) {
        assert_true(a.session >= 0 && (size_t)a.session < TR_LEN(tenant_of));
        assert_true(tenant_of[a.session] < 0 || tenant_of[a.session] == a.tenant);
        tenant_of[a.session] = a.tenant;
        counts[a.tenant]++;
    }
    tr_source_close(src);
    /* Three turns each: the variance of a count is about that of Poisson times the mean of squares
     * over the mean of a geometric number of mean 3, which is 5. */
    assert_true(fabs((double)n - 0.2 * 914261) < 4 * sqrt(5 * 0.2 * 914261));
    for (int i = 0; i < TENANTS; i++) {
        double want = 0.2 * 914261 / TENANTS;
        assert_true(fabs((double)counts[i] - want) < 5 * sqrt(5 * want));
    }
}

static void requests_can_be_counted_off(void **state)
{
    struct tr_source *src;
    struct tr_arrival a;
    int64_t n = 0, last_ns = 0;

    (void)state;
    spec.own_curve = 1;
    spec.max_requests = 777;
    src = open_source(4);
    for (; tr_source_next(src, &a); n++)
        last_ns = a.time_ns;
    assert_int_equal(n, 777);
    assert_int_equal(tr_source_span_ns(src), last_ns);
    tr_source_close(src);
}

/* Workloads described alike: another salt, other arrivals; none, the same as ever. */
static void a_salt_makes_arrivals_of_its_own(void **state)
{
    struct tr_source *plain, *salted, *other;
    struct tr_arrival a, b, c;

    (void)state;
    plain = open_source(1);
    spec.salt = 17;
    salted = open_source(1);
    spec.salt = 18;
    other = open_source(1);
    tr_source_next(plain, &a);
    tr_source_next(salted, &b);
    tr_source_next(other, &c);
    assert_true(a.time_ns != b.time_ns && b.time_ns != c.time_ns && a.time_ns != c.time_ns);
    tr_source_close(plain);
    tr_source_close(salted);
    tr_source_close(other);
}

static void impossible_parts_are_refused(void **state)
{
    struct tr_source *src;
    struct tr_err err = {0};

    (void)state;
    spec.own_curve = 1.5;
    assert_int_equal(tr_source_open(&spec, 0, &src, NULL, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "curves of tenants' own; allowed are 0 to 1"));
    err = (struct tr_err){0};
    spec.own_curve = 1;
    spec.duration_ns = 0;
    spec.max_requests = 10;
    assert_int_equal(tr_source_open(&spec, 0, &src, NULL, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "need a duration"));
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(peaks_coincide_as_asked),           TEST(rates_and_shares_stay),
        TEST(a_curve_is_shifted_around_the_day), TEST(streams_repeat_themselves),
        TEST(sessions_belong_to_a_tenant),       TEST(requests_can_be_counted_off),
        TEST(a_salt_makes_arrivals_of_its_own),  TEST(impossible_parts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
