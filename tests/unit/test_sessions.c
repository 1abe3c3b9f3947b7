/* sessions: turns that grow from each other, at the rate described, the same ones every time.
 *
 * Seeds are fixed; bounds are four or more standard errors wide. A session start brings E[T] turns,
 * so that the variance of a count of turns is its mean times E[T^2]/E[T]: 9 for geometric turns of
 * mean 5. */
#include "traffic/sessions.h"

#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECOND TR_NS_PER_S

static struct tr_traffic_spec spec;
static struct tr_knot steady = {0, 10.0};

/* 10 requests/s for 10,000 s in sessions of five turns; a life of 5 x (100 x 25 ms + 20 s). */
static int fresh(void **state)
{
    (void)state;
    tr_traffic_spec_init(&spec);
    steady.rate = 10.0;
    spec.knots = &steady;
    spec.n_knots = 1;
    spec.duration_ns = 10000 * SECOND;
    spec.prompt = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 300.0, 1.0, 1, 100000};
    spec.output = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 100.0, 0.8, 1, 2048};
    spec.sessions.turns = 5.0;
    spec.sessions.message = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 40.0, 1.0, 1, 4096};
    spec.sessions.think_ns = 20 * SECOND;
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

static void is_near(const char *what, double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s is %.6g, not %.6g +- %.3g", what, value, expected, tolerance);
}

static bool same_chain(const struct tr_chain *a, const struct tr_chain *b)
{
    const struct tr_run *x = tr_chain_runs(a), *y = tr_chain_runs(b);

    for (int i = 0; a->n == b->n && i < a->n; i++)
        if (x[i].key != y[i].key || x[i].end_tok != y[i].end_tok)
            return false;
    return a->n == b->n;
}

/* Every arrival of a source. */
struct stream {
    struct tr_arrival *a;
    size_t n, cap;
};

static struct stream collect(struct tr_source *src)
{
    struct stream s = {0};
    struct tr_arrival a;

    while (tr_source_next(src, &a)) {
        tr_grow(&s.a, &s.cap, s.n + 1, sizeof(*s.a));
        s.a[s.n++] = a;
    }
    return s;
}

static void same_stream(const struct stream *x, const struct stream *y)
{
    assert_int_equal(x->n, y->n);
    for (size_t i = 0; i < x->n; i++) {
        assert_int_equal(x->a[i].time_ns, y->a[i].time_ns);
        assert_int_equal(x->a[i].prompt_tok, y->a[i].prompt_tok);
        assert_int_equal(x->a[i].output_tok, y->a[i].output_tok);
        assert_int_equal(x->a[i].tenant, y->a[i].tenant);
        assert_int_equal(x->a[i].session, y->a[i].session);
        assert_true(same_chain(&x->a[i].chain, &y->a[i].chain));
    }
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* The turn before each arrival's own, by session; those of sessions that began before time 0 have
 * none at first. */
static const struct tr_arrival **last_turns(const struct stream *s)
{
    int64_t sessions = 0;

    for (size_t i = 0; i < s->n; i++)
        sessions = TR_MAX(sessions, s->a[i].session + 1);
    return tr_calloc((size_t)sessions, sizeof(struct tr_arrival *));
}

/* Each prompt holds the one before it, its answer and a message, and comes when that is read. */
static void a_turn_follows_from_the_one_before(void **state)
{
    static const double shares[] = {0.5, 0.3, 0.2};
    size_t followed = 0;

    (void)state;
    spec.n_tenants = 3;
    spec.shares = shares;
    spec.system_tok = 200;
    spec.system_variants = 4;
    spec.prompt.max_tok = 2000;
    spec.sessions.message = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 40};
    spec.sessions.think_cv = 0.0;
    struct tr_source *src = open_source(3);
    struct stream s = collect(src);
    const struct tr_arrival **last = last_turns(&s);
    for (size_t i = 0; i < s.n; i++) {
        const struct tr_arrival *a = &s.a[i], *b = last[a->session];
        assert_true(a->prompt_tok <= 2000 && a->time_ns < spec.duration_ns);
        assert_true(i == 0 || a->time_ns > s.a[i - 1].time_ns ||
                    (a->time_ns == s.a[i - 1].time_ns && a->session > s.a[i - 1].session));
        assert_int_equal(a->chain.n, 2);
        assert_true(a->chain.own[0].end_tok <= TR_MIN(200, a->prompt_tok));
        assert_int_equal(a->chain.own[1].end_tok, TR_CHAIN_OPEN);
        last[a->session] = a;
        if (!b)
            continue;
        followed++;
        assert_int_equal(a->prompt_tok, b->prompt_tok + b->output_tok + 40);
        assert_int_equal(a->time_ns, b->time_ns + b->output_tok * 25 * TR_NS_PER_MS + 20 * SECOND);
        assert_int_equal(a->tenant, b->tenant);
        assert_true(same_chain(&a->chain, &b->chain));
    }
    assert_in_range(followed, s.n / 2, s.n);
    free(last);
    free(s.a);
    tr_source_close(src);
}

/* Of geometric turns, one in five sessions has one turn; fixed ones are always as many. Sessions
 * that start in the first half have long ended at the end. */
static void turns_have_their_distribution(void **state)
{
    (void)state;
    for (int fixed = 0; fixed < 2; fixed++) {
        spec.sessions.fixed_turns = fixed;
        struct tr_source *src = open_source(5);
        struct stream s = collect(src);
        int64_t sessions = s.a[s.n - 1].session + 1000;
        int *turns = tr_calloc((size_t)sessions, sizeof(*turns));
        bool *begun = tr_calloc((size_t)sessions, sizeof(*begun));
        double n = 0.0, sum = 0.0, single = 0.0;
        for (size_t i = 0; i < s.n; i++) {
            const struct tr_arrival *a = &s.a[i];
            begun[a->session] |=
                turns[a->session] == 0 && a->time_ns > 1000 * SECOND && a->time_ns < 5000 * SECOND;
            turns[a->session]++;
        }
        for (int64_t i = 0; i < sessions; i++) {
            n += begun[i];
            sum += begun[i] * turns[i];
            single += begun[i] && turns[i] == 1;
        }
        if (fixed) {
            assert_true(sum == 5.0 * n && n > 7000);
        } else { /* the sd of geometric turns of mean 5 is sqrt(20) */
            is_near("mean turns", sum / n, 5.0, 4.0 * sqrt(20.0 / n));
            is_near("single turns", single / n, 0.2, 4.0 * sqrt(0.16 / n));
        }
        free(turns);
        free(begun);
        free(s.a);
        tr_source_close(src);
    }
}

/* Turns of one time come in the order of their sessions. */
/* Levels of the table or not, and right beside each of them: always what the formula says. */
static void turns_from_the_table_equal_the_formula(void **state)
{
    static const double turns[] = {1.0001, 1.8, 5.0, 1000.0};

    (void)state;
    for (size_t t = 0; t < TR_LEN(turns); t++) {
        spec.sessions.turns = turns[t];
        struct tr_sessions_model m = {0};
        struct tr_synth_model synth = {0};
        struct tr_tokens prompt, output;
        struct tr_err err = {0};
        if (tr_tokens_init(&prompt, &spec.prompt, "prompt", &err) ||
            tr_tokens_init(&output, &spec.output, "output", &err) ||
            tr_synth_model_init(&synth, &spec, &err) ||
            tr_sessions_model_init(&m, &spec, &prompt, &output, &synth, &err))
            fail_msg("%s", err.text);
        for (uint64_t i = 0; i < 50000; i++) {
            double u = tr_rng_unit(1, 2, i);
            if (i < 2000) /* up to 100 of the smallest differences from a level */
                u = tr_exp((double)(1 + i % 10) * m.ln_stay) *
                    (1.0 + ((double)(i / 10) - 100.0) * 0x1p-53);
            if (u > 0.0 && u < 1.0)
                assert_int_equal(tr_sessions_further(&m, u),
                                 (int32_t)TR_MIN(tr_ln(u) / m.ln_stay, 65534.0));
        }
        tr_rate_free(&synth.rate);
        tr_tokens_free(&prompt);
        tr_tokens_free(&output);
        tr_tokens_free(&m.message);
    }
}

static void turns_of_one_time_have_an_order(void **state)
{
    size_t ties = 0;

    (void)state;
    spec.process = TR_CONSTANT;
    spec.duration_ns = 1000 * SECOND;
    spec.prompt = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 100};
    spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 40};
    spec.sessions.message = spec.output;
    spec.sessions.fixed_turns = true;
    spec.sessions.think_cv = 0.0;
    struct tr_source *src = open_source(1);
    struct stream s = collect(src);
    for (size_t i = 1; i < s.n; i++) {
        bool tie = s.a[i].time_ns == s.a[i - 1].time_ns;
        assert_true(s.a[i].time_ns >= s.a[i - 1].time_ns);
        assert_true(!tie || s.a[i].session > s.a[i - 1].session);
        ties += tie;
    }
    assert_int_equal(s.n, 10000); /* 2 starts/s, 5 turns each */
    assert_true(ties > 1000);
    free(s.a);
    tr_source_close(src);
}

static void think_times_have_their_mean_and_spread(void **state)
{
    double n = 0.0, sum = 0.0, squares = 0.0;

    (void)state;
    spec.sessions.think_cv = 0.5;
    struct tr_source *src = open_source(8);
    struct stream s = collect(src);
    const struct tr_arrival **last = last_turns(&s);
    for (size_t i = 0; i < s.n; i++) {
        const struct tr_arrival *a = &s.a[i], *b = last[a->session];
        last[a->session] = a;
        if (!b)
            continue;
        double think_s = (double)(a->time_ns - b->time_ns) / 1e9 - b->output_tok * 0.025;
        n++;
        sum += think_s;
        squares += think_s * think_s;
    }
    double mean = sum / n;
    is_near("mean think time", mean, 20.0, 4.0 * 10.0 / sqrt(n));
    is_near("its cv", sqrt(squares / n - mean * mean) / mean, 0.5, 0.01);
    free(last);
    free(s.a);
    tr_source_close(src);
}

/* ---- rate ----------------------------------------------------------------------------------- */

/* Requests come at the rate described, from the first second on and where sessions are cut short
 * by the longest prompt. */
static void requests_come_at_the_rate_described(void **state)
{
    static const int32_t max_tok[] = {100000, 1000};
    enum { SEEDS = 25 };

    (void)state;
    steady.rate = 80.0;
    spec.duration_ns = 125 * SECOND;
    for (size_t k = 0; k < TR_LEN(max_tok); k++) {
        double first = 0.0, all = 0.0;
        spec.prompt.max_tok = max_tok[k];
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct tr_source *src = open_source(seed);
            struct tr_arrival a;
            for (; tr_source_next(src, &a); all++)
                first += a.time_ns < 20 * SECOND;
            tr_source_close(src);
        }
        double n = SEEDS * 10000.0;
        is_near("requests", all / n, 1.0, 4.0 * 3.0 / sqrt(n));
        n = SEEDS * 1600.0;
        is_near("first requests", first / n, 1.0, 4.0 * 3.0 / sqrt(n));
    }
}

/* Mean turns under a longest prompt, drawn one by one. */
static double drawn_turns(const struct tr_sessions_model *m, int sessions)
{
    int64_t turns = 0;

    for (int i = 0; i < sessions; i++) {
        uint64_t stream = tr_rng_stream("test", (uint64_t)i, 0);
        int64_t prompt_tok = tr_tokens_draw(m->prompt, 1, stream, 0);
        for (uint64_t turn = 1;; turn++) {
            turns++;
            prompt_tok += tr_tokens_draw(m->output, 1, stream, 3 * turn) +
                          tr_tokens_draw(&m->message, 1, stream, 3 * turn + 1);
            bool stays = m->fixed ? (double)turn < m->turns
                                  : tr_rng_unit(1, stream, 3 * turn + 2) < 1.0 - 1.0 / m->turns;
            if (!stays || prompt_tok > m->max_tok)
                break;
        }
    }
    return (double)turns / sessions;
}

static void mean_turns_are_computed(void **state)
{
    static const struct {
        double turns;
        bool fixed;
        int32_t max_tok;
    } cases[] = {{1.0, false, 1000},  {5.0, false, 1000}, {5.0, true, 1000},
                 {50.0, false, 4000}, {12.0, true, 1500}, {3.0, false, 400}};
    enum { SESSIONS = 20000 };

    (void)state;
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        struct tr_sessions_model m = {0};
        struct tr_synth_model synth = {0};
        struct tr_tokens prompt, output;
        struct tr_err err = {0};
        spec.sessions.turns = cases[i].turns;
        spec.sessions.fixed_turns = cases[i].fixed;
        spec.prompt.max_tok = cases[i].max_tok;
        if (tr_tokens_init(&prompt, &spec.prompt, "prompt", &err) ||
            tr_tokens_init(&output, &spec.output, "output", &err) ||
            tr_synth_model_init(&synth, &spec, &err) ||
            tr_sessions_model_init(&m, &spec, &prompt, &output, &synth, &err))
            fail_msg("%s", err.text);
        /* The sd of the turns is not above their mean. */
        is_near("mean turns", m.turns_out, drawn_turns(&m, SESSIONS),
                (0.001 + 4.0 / sqrt(SESSIONS)) * m.turns_out);
        tr_rate_free(&synth.rate);
        tr_tokens_free(&prompt);
        tr_tokens_free(&output);
        tr_tokens_free(&m.message);
    }
}

/* ---- system prompts ------------------------------------------------------------------------- */

static void system_prompts_are_drawn_evenly(void **state)
{
    enum { VARIANTS = 3 };
    uint64_t keys[VARIANTS] = {0};
    double counts[VARIANTS] = {0}, n = 0.0;
    struct tr_arrival a, b;

    (void)state;
    spec.sessions.turns = 0.0;
    spec.duration_ns = 1000 * SECOND;
    struct tr_source *plain = open_source(7);
    spec.system_tok = 250;
    spec.system_variants = VARIANTS;
    struct tr_source *src = open_source(7);
    for (; tr_source_next(src, &a); n++) {
        int v = 0;
        assert_int_equal(tr_source_next(plain, &b), 1); /* system prompts shift nobody's draws */
        assert_int_equal(a.time_ns, b.time_ns);
        assert_int_equal(a.prompt_tok, b.prompt_tok);
        assert_int_equal(b.chain.n, 0);
        assert_int_equal(a.session, -1);
        assert_int_equal(a.chain.n, 1);
        assert_int_equal(a.chain.own[0].end_tok, TR_MIN(250, a.prompt_tok));
        while (keys[v] && keys[v] != a.chain.own[0].key)
            assert_true(++v < VARIANTS);
        keys[v] = a.chain.own[0].key;
        counts[v]++;
    }
    for (int v = 0; v < VARIANTS; v++)
        is_near("share of a variant", counts[v] / n, 1.0 / 3.0, 4.0 * sqrt(2.0 / 9.0 / n));
    tr_source_close(src);
    tr_source_close(plain);
}

/* ---- the same arrivals ---------------------------------------------------------------------- */

/* Rewound, cloned, kept in memory: always the same turns, chains and tenants. */
static void sessions_repeat_themselves(void **state)
{
    static const double shares[] = {0.6, 0.4};

    (void)state;
    spec.duration_ns = 1000 * SECOND;
    spec.n_tenants = 2;
    spec.shares = shares;
    for (int with = 0; with < 4; with++) { /* system prompt or none; sessions or none */
        spec.system_tok = with & 1 ? 250 : 0;
        spec.system_variants = 3;
        spec.sessions.turns = with & 2 ? 5.0 : 0.0;
        struct tr_source *src = open_source(9);
        struct stream once = collect(src);
        tr_source_rewind(src);
        struct tr_arrival a;
        for (int i = 0; i < 700; i++)
            assert_int_equal(tr_source_next(src, &a), 1);
        tr_source_rewind(src);
        struct stream twice = collect(src);
        struct tr_source *copy = tr_source_clone(src);
        struct stream cloned = collect(copy);
        tr_source_keep(src, 100000);
        struct stream kept = collect(src);
        struct tr_source *kept_copy = tr_source_clone(src);
        tr_source_close(src);
        struct stream kept_cloned = collect(kept_copy);
        same_stream(&once, &twice);
        same_stream(&once, &cloned);
        same_stream(&once, &kept);
        same_stream(&once, &kept_cloned);
        tr_source_close(copy);
        tr_source_close(kept_copy);
        free(once.a);
        free(twice.a);
        free(cloned.a);
        free(kept.a);
        free(kept_cloned.a);
    }
}

/* What a session draws is its own: more of them, or another speed, change nobody's lengths. */
static void another_rate_keeps_the_sessions(void **state)
{
    (void)state;
    struct tr_source *slow = open_source(21);
    steady.rate = 13.0;
    spec.sessions.think_ns = 3 * SECOND;
    struct tr_source *fast = open_source(21);
    struct stream x = collect(slow), y = collect(fast);
    const struct tr_arrival **first = last_turns(&y);
    size_t same = 0;
    for (size_t i = y.n; i-- > 0;)
        first[y.a[i].session] = &y.a[i];
    const struct tr_arrival **seen = last_turns(&x);
    for (size_t i = 0; i < x.n && x.a[i].time_ns < 5000 * SECOND; i++) {
        int64_t session = x.a[i].session;
        /* A session that begins before time 0 is first seen in some later turn. */
        if (!seen[session] && x.a[i].time_ns > 2000 * SECOND) {
            assert_int_equal(x.a[i].prompt_tok, first[session]->prompt_tok);
            assert_int_equal(x.a[i].output_tok, first[session]->output_tok);
            same++;
        }
        seen[session] = &x.a[i];
    }
    assert_true(same > 1000);
    free(first);
    free(seen);
    free(x.a);
    free(y.a);
    tr_source_close(slow);
    tr_source_close(fast);
}

/* A capacity run: so many requests, in sessions, at a constant rate. */
static void a_capacity_run_has_the_same_sessions(void **state)
{
    enum { N = 100000 };

    (void)state;
    spec.system_tok = 100;
    struct tr_source *src = open_source(1);
    struct tr_source *like = tr_source_poisson_like(src, 40.0, N, 77);
    struct tr_source *copy = tr_source_clone(like);
    tr_source_close(src);
    struct stream s = collect(like), again = collect(copy);
    same_stream(&s, &again);
    assert_int_equal(s.n, N);
    is_near("rate", N / ((double)s.a[N - 1].time_ns / 1e9), 40.0, 40.0 * 4.0 * 3.0 / sqrt(N));
    const struct tr_arrival **last = last_turns(&s);
    size_t followed = 0;
    for (size_t i = 0; i < s.n; i++) {
        const struct tr_arrival *b = last[s.a[i].session];
        last[s.a[i].session] = &s.a[i];
        assert_int_equal(s.a[i].chain.n, 2);
        if (!b)
            continue;
        followed++;
        assert_true(s.a[i].prompt_tok > b->prompt_tok + b->output_tok);
        assert_true(same_chain(&s.a[i].chain, &b->chain));
    }
    is_near("turns that follow one", (double)followed / N, 0.8, 0.02);
    free(last);
    free(s.a);
    free(again.a);
    tr_source_close(like);
    tr_source_close(copy);
}

static void a_number_of_requests_ends_sessions(void **state)
{
    (void)state;
    spec.max_requests = 500;
    spec.duration_ns = 0;
    struct tr_source *src = open_source(2);
    struct stream s = collect(src);
    assert_int_equal(s.n, 500);
    assert_int_equal(tr_source_span_ns(src), s.a[499].time_ns);
    free(s.a);
    tr_source_close(src);
}

/* Memory holds the sessions in progress, not those of the whole period. */
static void memory_holds_live_sessions_only(void **state)
{
    struct tr_arrival a;
    int64_t n = 0;

    (void)state;
    struct tr_source *src = open_source(1);
    while (n++ < 20000)
        assert_int_equal(tr_source_next(src, &a), 1);
    struct mallinfo2 before = mallinfo2();
    while (tr_source_next(src, &a))
        n++;
    struct mallinfo2 after = mallinfo2();
    assert_true(n > 80000 && after.uordblks < before.uordblks + 65536);
    tr_source_close(src);
}

static void impossible_sessions_are_said(void **state)
{
    static const struct {
        double turns;
        bool fixed;
        double think_s, think_cv;
        const char *message;
    } cases[] = {
        {0.5, false, 1.0, 1.0, "0.5 turns in the mean; allowed are 1 to 1000"},
        {2.5, true, 1.0, 1.0, "always 2.5 turns; a whole number is needed"},
        {5.0, false, 1e5, 1.0, "a think time of 100000 s; allowed are 0 to 1 day"},
        {5.0, false, 1.0, 6.0, "think times with a cv of 6; allowed are 0 to 5"},
        {5.0, false, 86400.0, 1.0, "sessions last 5.0 days in the mean; allowed are 3"},
    };

    (void)state;
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        struct tr_source *src;
        struct tr_err err = {0};
        spec.sessions.turns = cases[i].turns;
        spec.sessions.fixed_turns = cases[i].fixed;
        spec.sessions.think_ns = (int64_t)(cases[i].think_s * 1e9);
        spec.sessions.think_cv = cases[i].think_cv;
        assert_int_equal(tr_source_open(&spec, 1, &src, NULL, &err), TR_EINPUT);
        assert_string_equal(err.text, cases[i].message);
    }
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_turn_follows_from_the_one_before),
        TEST(turns_have_their_distribution),
        TEST(turns_of_one_time_have_an_order),
        TEST(turns_from_the_table_equal_the_formula),
        TEST(think_times_have_their_mean_and_spread),
        TEST(requests_come_at_the_rate_described),
        TEST(mean_turns_are_computed),
        TEST(system_prompts_are_drawn_evenly),
        TEST(sessions_repeat_themselves),
        TEST(another_rate_keeps_the_sessions),
        TEST(a_capacity_run_has_the_same_sessions),
        TEST(a_number_of_requests_ends_sessions),
        TEST(memory_holds_live_sessions_only),
        TEST(impossible_sessions_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
