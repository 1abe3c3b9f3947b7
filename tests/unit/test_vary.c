/* vary: the same requests with one thing changed, and nothing else. */
#include "traffic/traffic.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECOND   TR_NS_PER_S
#define MINUTES  20
#define MINUTE_S 60

static struct tr_traffic_spec spec;
static const struct tr_variation as_it_is = {1.0, 1.0, -1.0};
/* An idle minute, a spike, and a last minute of which only 30 s belong to the period. */
static const struct tr_knot knots[] = {
    {0, 5.0},
    {300 * SECOND, 5.0},
    {300 * SECOND, 50.0},
    {420 * SECOND, 50.0},
    {420 * SECOND, 0.0},
    {480 * SECOND, 0.0},
    {480 * SECOND, 10.0},
    {600 * SECOND, 10.0},
    {600 * SECOND, 2.0},
    {1170 * SECOND, 2.0},
};

static int fresh(void **state)
{
    (void)state;
    tr_traffic_spec_init(&spec);
    spec.knots = knots;
    spec.n_knots = TR_LEN(knots);
    spec.duration_ns = 1170 * SECOND;
    spec.prompt = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 300.0, 1.0, 1, 4096};
    spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 7};
    spec.system_tok = 100;
    spec.sessions.turns = 3.0;
    spec.sessions.message = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 40};
    spec.sessions.think_ns = 5 * SECOND;
    spec.sessions.think_cv = 1.0;
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

/* Are the two the same but for what `v` changes? Times only where burst stays 1. */
static void differs_by(struct tr_source *src, struct tr_source *varied,
                       const struct tr_variation *v)
{
    struct tr_arrival a, b;
    int64_t last_ns = 0;

    assert_int_equal(tr_source_span_ns(varied), tr_source_span_ns(src));
    while (tr_source_next(src, &a)) {
        assert_int_equal(tr_source_next(varied, &b), 1);
        if (v->burst == 1.0)
            assert_int_equal(b.time_ns, a.time_ns);
        assert_true(b.time_ns >= last_ns);
        assert_true(v->burst == 1.0 || b.time_ns <= tr_source_span_ns(src));
        last_ns = b.time_ns;
        assert_int_equal(b.prompt_tok, TR_MAX(1, (int)(a.prompt_tok * v->prompt + 0.5)));
        assert_int_equal(b.output_tok, a.output_tok);
        assert_int_equal(b.tenant, a.tenant);
        assert_int_equal(b.session, a.session);
        if (v->shared >= 0.0) {
            int end_tok = (int)(b.prompt_tok * v->shared);
            assert_int_equal(b.chain.n, end_tok > 0);
            assert_true(end_tok == 0 || b.chain.own[0].end_tok == end_tok);
            continue;
        }
        assert_int_equal(b.chain.n, a.chain.n);
        for (int i = 0; i < a.chain.n; i++) {
            int32_t end_tok = a.chain.own[i].end_tok;
            if (end_tok != TR_CHAIN_OPEN)
                end_tok = TR_MAX(1, (int)(end_tok * v->prompt + 0.5));
            assert_int_equal(b.chain.own[i].end_tok, end_tok);
            assert_true(b.chain.own[i].key == a.chain.own[i].key);
        }
    }
    assert_int_equal(tr_source_next(varied, &b), 0);
    tr_source_rewind(src);
    tr_source_rewind(varied);
}

static void only_what_is_asked_for_changes(void **state)
{
    static const struct tr_variation variations[] = {
        {1.0, 1.0, -1.0}, {0.0, 1.0, -1.0}, {0.5, 1.0, -1.0}, {2.0, 1.0, -1.0}, {1.0, 0.3, -1.0},
        {1.0, 2.5, -1.0}, {1.0, 1.0, 0.0},  {1.0, 1.0, 0.7},  {1.5, 1.3, 1.0},
    };

    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        struct tr_source *src = open_source(4);
        if (keep)
            tr_source_keep(src, 1000000);
        for (size_t i = 0; i < TR_LEN(variations); i++) {
            struct tr_source *varied = tr_source_vary(src, &variations[i]);
            differs_by(src, varied, &variations[i]);
            differs_by(src, varied, &variations[i]); /* rewound */
            struct tr_source *copy = tr_source_clone(varied);
            tr_source_close(varied);
            differs_by(src, copy, &variations[i]);
            /* A variation of a variation begins anew from the requests as they are. */
            struct tr_source *back = tr_source_vary(copy, &as_it_is);
            differs_by(src, back, &as_it_is);
            tr_source_close(back);
            tr_source_close(copy);
        }
        tr_source_close(src);
    }
}

static void count_minutes(struct tr_source *src, double counts[MINUTES])
{
    struct tr_arrival a;

    memset(counts, 0, MINUTES * sizeof(*counts));
    while (tr_source_next(src, &a))
        counts[a.time_ns / (MINUTE_S * SECOND)]++;
    tr_source_rewind(src);
}

/* Every minute's rate becomes its rate to the power `burst`, times what keeps the number. Requests
 * stand evenly in their minutes here: the map moves times, not requests. */
static void burst_sharpens_the_minutes(void **state)
{
    static const double bursts[] = {0.0, 0.4, 1.7};
    double before[MINUTES], after[MINUTES];

    (void)state;
    spec.process = TR_CONSTANT;
    spec.sessions.turns = 0.0;
    struct tr_source *src = open_source(4);
    count_minutes(src, before);
    for (size_t k = 0; k < TR_LEN(bursts); k++) {
        struct tr_variation v = {bursts[k], 1.0, -1.0};
        struct tr_source *varied = tr_source_vary(src, &v);
        double n = 0.0, weights = 0.0, sum = 0.0;
        count_minutes(varied, after);
        for (int i = 0; i < MINUTES; i++) {
            double length = i < MINUTES - 1 ? 1.0 : 0.5;
            n += before[i];
            weights += length * pow(before[i] / length, bursts[k]);
        }
        for (int i = 0; i < MINUTES; i++) {
            double length = i < MINUTES - 1 ? 1.0 : 0.5;
            sum += after[i];
            assert_true(fabs(after[i] - n * length * pow(before[i] / length, bursts[k]) / weights) <
                        1.5); /* whole requests on either side */
        }
        assert_true(sum == n);
        tr_source_close(varied);
    }
    tr_source_close(src);
}

/* What stands in a minute keeps its order and its spacing, stretched. */
static void times_within_a_minute_are_stretched_evenly(void **state)
{
    static const struct tr_knot two[] = {
        {0, 1.0}, {60 * SECOND, 1.0}, {60 * SECOND, 3.0}, {120 * SECOND, 3.0}};
    struct tr_variation flat = {0.0, 1.0, -1.0};
    struct tr_arrival a, b;

    (void)state;
    spec.knots = two;
    spec.n_knots = TR_LEN(two);
    spec.duration_ns = 120 * SECOND;
    spec.process = TR_CONSTANT;
    spec.sessions.turns = 0.0;
    struct tr_source *src = open_source(1), *varied = tr_source_vary(src, &flat);
    for (int i = 0; i < 240; i++) {
        assert_int_equal(tr_source_next(src, &a), 1);
        assert_int_equal(tr_source_next(varied, &b), 1);
        double t = (double)a.time_ns / 1e9, count = t < 60.0 ? t : 60.0 + 3.0 * (t - 60.0);
        assert_true(fabs((double)b.time_ns / 1e9 - count * 120.0 / 240.0) < 1e-6);
    }
    tr_source_close(src);
    tr_source_close(varied);
}

/* A capacity run of varied traffic has its prompts and what they share, at the same times. */
static void a_capacity_run_keeps_prompts_and_sharing(void **state)
{
    struct tr_variation v = {2.0, 1.5, 0.25}, prompts = {1.0, 1.5, 0.25};

    (void)state;
    for (int sessions = 0; sessions < 2; sessions++) {
        spec.sessions.turns = sessions ? 3.0 : 0.0;
        struct tr_source *src = open_source(4), *varied = tr_source_vary(src, &v);
        struct tr_source *like = tr_source_poisson_like(src, 5.0, 2000, 8);
        struct tr_source *varied_like = tr_source_poisson_like(varied, 5.0, 2000, 8);
        differs_by(like, varied_like, &prompts);
        tr_source_close(src);
        tr_source_close(varied);
        tr_source_close(like);
        tr_source_close(varied_like);
    }
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_is_asked_for_changes),
        TEST(burst_sharpens_the_minutes),
        TEST(times_within_a_minute_are_stretched_evenly),
        TEST(a_capacity_run_keeps_prompts_and_sharing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
