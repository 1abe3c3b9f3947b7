/* traffic: the arrivals that a description promises, the same ones every time, and the figures that
 * describe a stream.
 *
 * Seeds are fixed, so a test gives the same result each time; bounds are four or more standard
 * errors wide, so that a right generator of other random numbers would pass as well. */
#include "traffic/parts.h"

#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define SECOND TR_NS_PER_S
#define DAY    (INT64_C(86400) * SECOND)

static struct tr_traffic_spec spec;
static struct tr_knot steady = {0, 10.0};

/* A steady 10 requests/s for 1,000 s, with short lengths. */
static int fresh(void **state)
{
    (void)state;
    tr_traffic_spec_init(&spec);
    steady.rate = 10.0;
    spec.knots = &steady;
    spec.n_knots = 1;
    spec.duration_ns = 1000 * SECOND;
    spec.prompt = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 100.0, 1.0, 1, 4096};
    spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 7};
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

static struct tr_traffic_stats measure(uint64_t seed)
{
    struct tr_source *src = open_source(seed);
    struct tr_traffic_stats stats;

    tr_traffic_measure(src, &stats);
    tr_source_close(src);
    return stats;
}

static void is_near(const char *what, double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s is %.6g, not %.6g +- %.3g", what, value, expected, tolerance);
}

/* Quantile of the chi-square distribution over its degrees of freedom (Wilson and Hilferty). */
static double chi_square_per_df(double df, double p)
{
    double c = 2.0 / (9.0 * df), root = 1.0 - c + tr_normal_quantile(p) * sqrt(c);
    return root * root * root;
}

/* The rate of the description as its definition reads, without modulation. */
static double base_at(double t_s)
{
    for (size_t i = spec.n_knots - 1; i-- > 0;) {
        double a = (double)spec.knots[i].time_ns / 1e9;
        double b = (double)spec.knots[i + 1].time_ns / 1e9;
        if (t_s >= a && t_s < b)
            return spec.knots[i].rate +
                   (spec.knots[i + 1].rate - spec.knots[i].rate) * (t_s - a) / (b - a);
    }
    return NAN;
}

static double rate_at(double t_s)
{
    double rate = base_at(t_s);

    for (size_t i = 0; i < spec.n_spikes; i++) {
        const struct tr_spike *s = &spec.spikes[i];
        double x = t_s - (double)s->start_ns / 1e9, y = 0.0;
        double ramp = (double)s->ramp_ns / 1e9, top = ramp + (double)s->hold_ns / 1e9;
        double tau = (double)s->decay_tau_ns / 1e9;
        if (x >= 0.0 && x < ramp)
            y = x / ramp;
        else if (x >= ramp && x < top)
            y = 1.0;
        else if (x >= top && x < top + 5.0 * tau)
            y = exp(-(x - top) / tau);
        if (y > 0.0)
            rate += (s->peak_rate - base_at((double)s->start_ns / 1e9)) * y;
    }
    return rate;
}

/* Requests expected from `from_s` on for `length_s`. */
static double expected(double from_s, double length_s)
{
    const double step = 0.05;
    double sum = 0.0;

    for (double t = from_s + step / 2; t < from_s + length_s; t += step)
        sum += rate_at(t) * step;
    return sum;
}

/* ---- the chatbot's day ---------------------------------------------------------------------- */

/* How often each length occurred. */
struct lengths {
    int64_t times[16385], n;
    double sum;
};

static void add_length(struct lengths *l, int32_t tok, int32_t min_tok, int32_t max_tok)
{
    assert_true(tok >= min_tok && tok <= max_tok);
    l->times[tok]++;
    l->n++;
    l->sum += tok;
}

static void add_lengths(struct tr_source *src, struct lengths *prompt, struct lengths *output)
{
    struct tr_arrival a;
    int64_t last_ns = 0;

    while (tr_source_next(src, &a)) {
        assert_true(a.time_ns >= last_ns && a.time_ns < DAY);
        last_ns = a.time_ns;
        add_length(prompt, a.prompt_tok, 16, 16384);
        add_length(output, a.output_tok, 1, 2048);
    }
}

static double quantile(const struct lengths *l, double q)
{
    int64_t below = 0;

    for (size_t i = 0; i < TR_LEN(l->times); i++) {
        below += l->times[i];
        if ((double)below >= q * (double)l->n)
            return (double)i;
    }
    return NAN;
}

/* The published quantile, rounded to whole tokens as it is, lies in the confidence interval of the
 * drawn one: the sample's quantiles at four standard errors of a proportion to either side. */
static void quantile_is(const struct lengths *l, double q, double published)
{
    double margin = 4.0 * sqrt(q * (1.0 - q) / (double)l->n);

    assert_true(quantile(l, q - margin) - 0.5 <= published + 0.5);
    assert_true(quantile(l, q + margin) + 0.5 >= published - 0.5);
}

/* The arrivals of the whole stream. */
static int64_t count(struct tr_source *src)
{
    struct tr_arrival a;
    int64_t n = 0;

    while (tr_source_next(src, &a))
        n++;
    return n;
}

/* 914,261 requests a day with an sd of 2,201. Whatever the lengths: these are the cheapest. */
static void chatbot_day_over_many_seeds(void **state)
{
    enum { SEEDS = 6 };
    double sum = 0.0, squares = 0.0;

    (void)state;
    struct tr_length fixed = spec.output;
    tr_traffic_aks_chatbot(&spec);
    spec.prompt = spec.output = fixed;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct tr_source *src = open_source(seed);
        double off = (double)count(src) - 914261.0;
        sum += off;
        squares += off * off;
        assert_int_equal(tr_source_span_ns(src), DAY);
        tr_source_close(src);
    }
    double mean = sum / SEEDS;
    double variance = (squares - sum * mean) / (SEEDS - 1);
    is_near("mean count - 914,261", mean, 0.0, 4.0 * 2201.0 / sqrt(SEEDS));
    double ratio = variance / (2201.0 * 2201.0); /* within its central 99.99 % */
    assert_true(ratio > chi_square_per_df(SEEDS - 1, 0.00005));
    assert_true(ratio < chi_square_per_df(SEEDS - 1, 0.99995));
}

/* Lengths as published with the scenario. */
static void chatbot_lengths_are_as_published(void **state)
{
    static struct lengths prompt, output;

    (void)state;
    tr_traffic_aks_chatbot(&spec);
    struct tr_source *src = open_source(0);
    add_lengths(src, &prompt, &output);
    tr_source_close(src);
    double n = (double)prompt.n; /* the sd of a prompt is 1,200, of an output below 400 */
    is_near("prompt mean", prompt.sum / n, 1200.0, 4.0 * 1200.0 / sqrt(n));
    is_near("output mean", output.sum / n, 500.0, 4.0 * 400.0 / sqrt(n));
    quantile_is(&prompt, 0.50, 849);
    quantile_is(&prompt, 0.95, 3340);
    quantile_is(&prompt, 0.99, 5890);
    quantile_is(&output, 0.50, 395);
    quantile_is(&output, 0.95, 1257);
    quantile_is(&output, 0.99, 2029);
}

/* The segments that arrivals are drawn from follow the definition, steps and cuts included; a
 * decay's chords lie above it by less than (1/64)^2 / 8 of the spike. */
static void segments_follow_the_definition(void **state)
{
    struct tr_rate rate;
    struct tr_err err = {0};
    double sum = 0.0;

    (void)state;
    tr_traffic_aks_chatbot(&spec);
    assert_int_equal(tr_rate_build(&spec, DAY, &rate, &err), 0);
    for (size_t i = 0; i < rate.n; i++) {
        const struct tr_rate_segment *s = &rate.segments[i];
        assert_int_equal(s->t0_ns, i ? rate.segments[i - 1].t1_ns : 0);
        double t0_s = (double)s->t0_ns / 1e9, length_s = (double)(s->t1_ns - s->t0_ns) / 1e9;
        for (double x = 0.05; x < 1.0; x += 0.1)
            is_near("rate", s->r0 + (s->r1 - s->r0) * x, rate_at(t0_s + length_s * x), 0.002);
        sum += (s->r0 + s->r1) / 2.0 * length_s;
    }
    assert_int_equal(rate.segments[rate.n - 1].t1_ns, DAY);
    is_near("requests of the day", sum, 914261.0, 2.0);
    tr_rate_free(&rate);
}

/* Without modulation the counts of five minutes are Poisson about the integral of the rate: every
 * ramp, hold, decay and step of the day is where it should be. */
static void chatbot_rate_has_its_shape(void **state)
{
    enum { SEEDS = 2, WINDOWS = 288 };
    double counts[WINDOWS] = {0}, chi_square = 0.0, total = 0.0;

    (void)state;
    tr_traffic_aks_chatbot(&spec);
    spec.modulation_variance = 0.0;
    spec.prompt = spec.output;
    for (uint64_t seed = 100; seed < 100 + SEEDS; seed++) {
        struct tr_source *src = open_source(seed);
        struct tr_arrival a;
        while (tr_source_next(src, &a))
            counts[a.time_ns / (300 * SECOND)] += 1.0 / SEEDS;
        tr_source_close(src);
    }
    for (int i = 0; i < WINDOWS; i++) {
        double mean = expected(300.0 * i, 300.0), off = counts[i] - mean;
        chi_square += off * off / (mean / SEEDS) / WINDOWS;
        total += mean;
    }
    is_near("requests of the day", total, 914261.0, 1.0);
    assert_true(chi_square > chi_square_per_df(WINDOWS, 0.00005));
    assert_true(chi_square < chi_square_per_df(WINDOWS, 0.99995));
}

/* Counts of a Poisson process with the modulated rate: variance over mean follows from the
 * covariance (1 + v)^(rho^k) - 1 of multipliers k seconds apart. */
static void modulation_shows_in_the_dispersion(void **state)
{
    static const int width_s[] = {1, 10, 60};
    static const double tolerance[] = {0.04, 0.12, 0.24}; /* some four standard errors */

    (void)state;
    steady.rate = 20.0;
    spec.duration_ns = DAY;
    spec.modulation_variance = 0.02;
    spec.modulation_time_ns = 5 * SECOND;
    spec.prompt = spec.output;
    struct tr_traffic_stats stats = measure(3);
    for (int i = 0; i < 3; i++) {
        double covariance = 0.0;
        for (int k = 1 - width_s[i]; k < width_s[i]; k++)
            covariance += (width_s[i] - abs(k)) * (pow(1.02, exp(-abs(k) / 5.0)) - 1.0);
        double idc = 1.0 + 20.0 * covariance / width_s[i];
        is_near("index of dispersion", stats.idc[i], idc, tolerance[i] * idc);
    }
    is_near("rate", stats.rate, 20.0, 0.1);
}

/* ---- processes ------------------------------------------------------------------------------ */

static void poisson_and_gamma_have_their_dispersion(void **state)
{
    static const double shapes[] = {1.0, 0.25, 4.0};

    (void)state;
    spec.duration_ns = DAY;
    spec.prompt = spec.output;
    for (size_t i = 0; i < TR_LEN(shapes); i++) {
        spec.process = i == 0 ? TR_POISSON : TR_GAMMA;
        spec.burstiness = shapes[i];
        struct tr_traffic_stats stats = measure(11);
        double cv = 1.0 / sqrt(shapes[i]); /* vllm bench serve: gaps are Gamma(shape) */
        is_near("CV of the gaps", stats.iat_cv, cv, 0.015 * cv);
        is_near("index of dispersion", stats.idc[2], cv * cv, 0.15 * cv * cv);
        is_near("rate", stats.rate, 10.0, 4.0 * cv * sqrt(10.0 / 86400.0));
    }
    spec.duration_ns = 1000 * SECOND;
    spec.process = TR_GAMMA;
    spec.burstiness = 1.0; /* is Poisson, draw by draw */
    struct tr_traffic_stats gamma = measure(11);
    spec.process = TR_POISSON;
    struct tr_traffic_stats poisson = measure(11);
    assert_int_equal(gamma.requests, poisson.requests);
}

static void constant_is_even(void **state)
{
    struct tr_arrival a;
    int64_t i;

    (void)state;
    spec.process = TR_CONSTANT;
    steady.rate = 8.0;
    struct tr_source *src = open_source(1);
    for (i = 0; tr_source_next(src, &a); i++)
        assert_int_equal(a.time_ns, 62500000 + 125000000 * i);
    assert_int_equal(i, 8000);
    tr_source_close(src);

    steady.rate = 0.3; /* not a whole number of ns apart */
    assert_int_equal(measure(1).requests, 300);
}

static void a_number_of_requests_ends_a_description(void **state)
{
    (void)state;
    spec.max_requests = 500;
    struct tr_traffic_stats cut = measure(2);
    assert_int_equal(cut.requests, 500);
    assert_true(cut.span_ns < 100 * SECOND);
    spec.duration_ns = 0;
    struct tr_traffic_stats open_end = measure(2);
    assert_int_equal(open_end.requests, 500);
    assert_int_equal(open_end.span_ns, cut.span_ns);
    spec.duration_ns = 10 * SECOND;
    assert_int_equal(measure(2).span_ns, 10 * SECOND);
}

static void a_rate_of_zero_is_silence(void **state)
{
    static const struct tr_knot knots[] = {
        {0, 0.0}, {100 * SECOND, 0.0}, {100 * SECOND, 5.0}, {200 * SECOND, 0.0}};
    struct tr_arrival a;
    int64_t n = 0;

    (void)state;
    spec.knots = knots;
    spec.n_knots = TR_LEN(knots);
    struct tr_source *src = open_source(5);
    for (; tr_source_next(src, &a); n++)
        assert_true(a.time_ns >= 100 * SECOND && a.time_ns < 200 * SECOND);
    is_near("requests", (double)n, 250.0, 4.0 * sqrt(250.0));
    tr_source_close(src);
}

/* ---- the same arrivals ---------------------------------------------------------------------- */

static void same_stream(struct tr_source *a, struct tr_source *b)
{
    struct tr_arrival x, y;
    int more;

    do {
        more = tr_source_next(a, &x);
        assert_int_equal(tr_source_next(b, &y), more);
        if (more) {
            assert_int_equal(x.time_ns, y.time_ns);
            assert_int_equal(x.prompt_tok, y.prompt_tok);
            assert_int_equal(x.output_tok, y.output_tok);
            assert_int_equal(x.tenant, y.tenant);
            assert_int_equal(x.session, y.session);
        }
    } while (more);
}

static void repeats_itself(struct tr_source *src)
{
    struct tr_source *copy = tr_source_clone(src), *late;
    struct tr_arrival a;

    same_stream(src, copy);
    tr_source_rewind(src);
    for (int i = 0; i < 100; i++)
        assert_int_equal(tr_source_next(src, &a), 1);
    late = tr_source_clone(src); /* begins at the start, wherever its model stands */
    tr_source_rewind(copy);
    same_stream(late, copy);
    tr_source_rewind(src);
    tr_source_rewind(late);
    assert_int_equal(tr_source_span_ns(late), tr_source_span_ns(src));
    same_stream(src, late);
    tr_source_close(src); /* the others live on */
    tr_source_rewind(copy);
    tr_source_rewind(late);
    same_stream(copy, late);
    tr_source_close(copy);
    tr_source_close(late);
}

static void rewound_and_cloned_streams_are_the_same(void **state)
{
    static const double shares[] = {0.5, 0.3, 0.2};
    static const struct tr_spike spike = {50 * SECOND, 40.0, SECOND, 9 * SECOND, 20 * SECOND};

    (void)state;
    spec.spikes = &spike;
    spec.n_spikes = 1;
    spec.modulation_variance = 0.5;
    spec.n_tenants = 3;
    spec.shares = shares;
    for (int process = TR_POISSON; process <= TR_GAMMA; process++) {
        spec.process = (enum tr_process)process;
        spec.burstiness = 0.5;
        repeats_itself(open_source(9));
    }
    struct tr_source *src = open_source(9);
    struct tr_source *like = tr_source_poisson_like(src, 3.0, 1000, 4);
    tr_source_close(src);
    repeats_itself(like);
}

/* Twice the rate is other times, and the same requests in the same order. */
static void a_scaled_rate_keeps_the_requests(void **state)
{
    struct tr_arrival a, b;
    int64_t n = 0, n_fast = 0;

    (void)state;
    spec.modulation_variance = 0.02;
    struct tr_source *slow = open_source(21);
    spec.rate_scale = 2.0;
    struct tr_source *fast = open_source(21);
    for (; tr_source_next(slow, &a); n++) {
        assert_int_equal(tr_source_next(fast, &b), 1);
        assert_int_equal(a.prompt_tok, b.prompt_tok);
    }
    tr_source_rewind(fast);
    while (tr_source_next(fast, &b))
        n_fast++;
    /* Poisson noise of both, and the modulation they share: sd of either mean rate is 1.4 %. */
    is_near("ratio of the counts", (double)n_fast / (double)n, 2.0, 4 * 2.0 * sqrt(1.5 / 10000));
    tr_source_close(slow);
    tr_source_close(fast);
}

static void tenants_are_drawn_by_their_shares(void **state)
{
    static const double shares[] = {0.48, 0.24, 0.0, 0.28};
    double counts[4] = {0};
    struct tr_arrival a, b;
    double n = 0.0;

    (void)state;
    spec.duration_ns = DAY / 4;
    struct tr_source *alone = open_source(31);
    assert_int_equal(tr_source_tenants(alone), 1);
    spec.n_tenants = 4;
    spec.shares = shares;
    struct tr_source *shared = open_source(31);
    assert_int_equal(tr_source_tenants(shared), 4);
    for (; tr_source_next(shared, &a); n++) {
        counts[a.tenant]++;
        assert_int_equal(a.session, -1);
        assert_int_equal(tr_source_next(alone, &b), 1); /* tenants shift nobody's draws */
        assert_int_equal(a.time_ns, b.time_ns);
        assert_int_equal(a.prompt_tok, b.prompt_tok);
    }
    for (int i = 0; i < 4; i++)
        is_near("share", counts[i] / n, shares[i], 4.0 * sqrt(shares[i] * (1.0 - shares[i]) / n));
    tr_source_close(alone);
    tr_source_close(shared);
}

/* The table of lengths is a shortcut, not another distribution. */
static void lengths_from_the_table_equal_the_formula(void **state)
{
    static const struct tr_length lengths[] = {
        {TR_LENGTH_LOGNORMAL, 0, 1200.0, 1.0, 16, 16384},
        {TR_LENGTH_LOGNORMAL, 0, 500.0, 0.8, 1, 2048},
        {TR_LENGTH_LOGNORMAL, 0, 20.0, 0.1, 1, 100},
        {TR_LENGTH_LOGNORMAL, 0, 5000.0, 3.0, 1, 1000000},
        {TR_LENGTH_LOGNORMAL, 0, 100000.0, 0.2, 1000, 10000000},
        {TR_LENGTH_LOGNORMAL, 0, 30.0, 2.0, 16, 64},
        {TR_LENGTH_LOGNORMAL, 0, 700.0, 0.0, 700, 700},
    };

    (void)state;
    for (size_t k = 0; k < TR_LEN(lengths); k++) {
        struct tr_tokens t;
        struct tr_err err = {0};
        if (tr_tokens_init(&t, &lengths[k], "length", &err) != 0)
            fail_msg("%s", err.text);
        for (uint64_t i = 0; i < 200000; i++)
            assert_int_equal(tr_tokens_draw(&t, 5, k, i), tr_tokens_at(&t, tr_rng_unit(5, k, i)));
        assert_int_equal(tr_tokens_at(&t, 1e-300), lengths[k].min_tok);
        tr_tokens_free(&t);
    }
}

/* ---- capacity runs -------------------------------------------------------------------------- */

static void capacity_runs_have_the_same_lengths(void **state)
{
    struct tr_arrival a;
    double prompt = 0.0, last_ns = 0.0;

    (void)state;
    tr_traffic_aks_chatbot(&spec);
    struct tr_source *src = open_source(1);
    struct tr_source *like = tr_source_poisson_like(src, 2.0, 22000, 77);
    struct tr_source *faster = tr_source_poisson_like(src, 4.0, 22000, 77);
    struct tr_traffic_stats stats;
    tr_traffic_measure(like, &stats);
    assert_int_equal(stats.requests, 22000);
    is_near("CV of the gaps", stats.iat_cv, 1.0, 0.04);
    while (tr_source_next(like, &a)) {
        prompt += a.prompt_tok;
        last_ns = (double)a.time_ns;
    }
    is_near("rate", 22000 / last_ns * 1e9, 2.0, 4.0 * 2.0 / sqrt(22000));
    is_near("prompt mean", prompt / 22000, 1200.0, 4.0 * 1200.0 / sqrt(22000));
    /* Another rate is the same run on another clock: what capacity search compares. */
    struct tr_arrival b;
    tr_source_rewind(like);
    while (tr_source_next(like, &a)) {
        assert_int_equal(tr_source_next(faster, &b), 1);
        assert_in_range(a.time_ns - 2 * b.time_ns + 2, 0, 4);
        assert_int_equal(a.prompt_tok, b.prompt_tok);
        assert_int_equal(a.output_tok, b.output_tok);
    }
    tr_source_close(src);
    tr_source_close(like);
    tr_source_close(faster);
}

/* ---- traces --------------------------------------------------------------------------------- */

static char trace_path[] = "/tmp/tranche-traffic-XXXXXX";
static const int64_t trace_ms[] = {0, 100, 100, 950, 1000, 1999, 2500, 9000, 9001, 20500};

static int write_trace(void **state)
{
    fresh(state);
    memcpy(trace_path + strlen(trace_path) - 6, "XXXXXX", 6);
    int fd = mkstemp(trace_path);
    FILE *file = fdopen(fd, "w");
    if (!file)
        return -1;
    fprintf(file, "arrived_at,num_prefill_tokens,num_decode_tokens,tenant\n");
    for (size_t i = 0; i < TR_LEN(trace_ms); i++)
        fprintf(file, "%d.%03d,%zu,%zu,%s\n", (int)(trace_ms[i] / 1000) + 5,
                (int)(trace_ms[i] % 1000), 10 * i + 1, i + 1, i % 3 ? "a" : "b");
    spec.trace = trace_path;
    return fclose(file);
}

static int remove_trace(void **state)
{
    (void)state;
    return unlink(trace_path);
}

static void a_trace_is_replayed(void **state)
{
    struct tr_arrival a;
    struct tr_trace_info info;
    struct tr_source *src;
    struct tr_err err = {0};

    (void)state;
    spec.rate_scale = 4.0;
    assert_int_equal(tr_source_open(&spec, 1, &src, &info, &err), 0);
    assert_int_equal(info.rows_kept, 10);
    assert_int_equal(info.equal_stamps, 1);
    assert_int_equal(tr_source_tenants(src), 2);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(tr_source_next(src, &a), 1);
        assert_int_equal(a.time_ns, trace_ms[i] * TR_NS_PER_MS / 4);
        assert_int_equal(a.prompt_tok, 10 * (int)i + 1);
        assert_int_equal(a.output_tok, (int)i + 1);
        assert_int_equal(a.tenant, i % 3 ? 1 : 0); /* b is seen first */
        assert_int_equal(a.session, -1);
    }
    assert_int_equal(tr_source_next(src, &a), 0);
    assert_int_equal(tr_source_span_ns(src), 20500 * TR_NS_PER_MS / 4);
    tr_source_close(src);
}

/* A capacity run on a trace draws whole rows: the pairs of lengths stay together. */
static void a_capacity_run_draws_the_rows_of_a_trace(void **state)
{
    struct tr_source *src = open_source(1);
    struct tr_source *like = tr_source_poisson_like(src, 100.0, 10000, 3);
    struct tr_arrival a;
    double counts[10] = {0};

    (void)state;
    tr_source_close(src);
    while (tr_source_next(like, &a)) {
        assert_in_range(a.output_tok, 1, 10);
        int i = a.output_tok - 1;
        assert_int_equal(a.prompt_tok, 10 * i + 1);
        assert_int_equal(a.tenant, i % 3 ? 1 : 0);
        counts[i]++;
    }
    for (int i = 0; i < 10; i++)
        is_near("draws of a row", counts[i], 1000.0, 4.0 * sqrt(900.0));
    tr_source_close(like);
}

static void figures_of_a_small_trace(void **state)
{
    struct tr_source *src = open_source(1);
    struct tr_traffic_stats s;
    double mean = 0.0, variance = 0.0, gap_mean = 20500.0 / 9.0, gap_squares = 0.0;
    int counts[20] = {0};

    (void)state;
    tr_traffic_measure(src, &s);
    tr_source_close(src);
    assert_int_equal(s.requests, 10);
    assert_int_equal(s.span_ns, 20500 * TR_NS_PER_MS);
    assert_int_equal(s.prompt_tok, 460);
    assert_int_equal(s.output_tok, 55);
    assert_int_equal(s.n_tenants, 2);
    is_near("rate", s.rate, 10 / 20.5, 1e-12);
    is_near("median minute", s.median_minute_rate, 10 / 20.5, 1e-12); /* no whole minute */
    /* 20 whole seconds hold 4, 2, 1, and 2 of the requests; the last one falls after them. */
    for (size_t i = 0; i < 9; i++)
        counts[trace_ms[i] / 1000]++;
    for (int i = 0; i < 20; i++)
        mean += counts[i] / 20.0;
    for (int i = 0; i < 20; i++)
        variance += (counts[i] - mean) * (counts[i] - mean) / 19.0;
    is_near("peak over mean, 1 s", s.peak_over_mean[0], 4 / mean, 1e-12);
    is_near("index of dispersion, 1 s", s.idc[0], variance / mean, 1e-12);
    is_near("peak over mean, 10 s", s.peak_over_mean[1], 9 / 4.5, 1e-12); /* 9 and 0 */
    is_near("index of dispersion, 10 s", s.idc[1], 40.5 / 4.5, 1e-12);
    assert_true(isnan(s.peak_over_mean[2]) && isnan(s.peak_over_mean[3]) && isnan(s.idc[2]));
    for (size_t i = 1; i < 10; i++) {
        double off = (double)(trace_ms[i] - trace_ms[i - 1]) - gap_mean;
        gap_squares += off * off;
    }
    is_near("CV of the gaps", s.iat_cv, sqrt(gap_squares / 8.0) / gap_mean, 1e-12);
    const int32_t prompt_q[] = {41, 81, 91, 91}, output_q[] = {5, 9, 10, 10};
    assert_memory_equal(s.prompt_q, prompt_q, sizeof(prompt_q));
    assert_memory_equal(s.output_q, output_q, sizeof(output_q));
}

static void tenants_of_a_trace_must_fit_the_description(void **state)
{
    static const double shares[] = {0.5, 0.5};
    struct tr_source *src;
    struct tr_err err = {0};

    (void)state;
    spec.n_tenants = 2;
    spec.shares = shares;
    assert_int_equal(tr_source_open(&spec, 1, &src, NULL, &err), 0);
    tr_source_close(src);
    FILE *file = fopen(trace_path, "a");
    assert_non_null(file);
    fprintf(file, "99,1,1,c\n");
    fclose(file);
    assert_int_equal(tr_source_open(&spec, 1, &src, NULL, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, ": has 3 tenants, but only 2 are expected"));
    assert_null(src);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void median_minute_is_the_base_under_spikes(void **state)
{
    static const struct tr_spike spike = {600 * SECOND, 100.0, 0, 120 * SECOND, 0};

    (void)state;
    spec.process = TR_CONSTANT;
    spec.spikes = &spike;
    spec.n_spikes = 1;
    spec.duration_ns = 3600 * SECOND;
    struct tr_traffic_stats s = measure(1);
    is_near("median minute", s.median_minute_rate, 10.0, 1e-9);
    is_near("peak over mean, 1 min", s.peak_over_mean[2], 100.0 / 13.0, 0.01);
    assert_int_equal(s.requests, 36000 + 90 * 120);
}

/* A year needs no more memory than a minute, nor do the seconds of a modulation. */
static void a_year_takes_no_memory(void **state)
{
    static const struct {
        double modulation_variance;
        int days;
    } runs[] = {{0.0, 365}, {0.02, 10}};

    (void)state;
    steady.rate = 1.0 / 60.0;
    for (size_t i = 0; i < TR_LEN(runs); i++) {
        spec.modulation_variance = runs[i].modulation_variance;
        spec.duration_ns = runs[i].days * DAY;
        struct tr_source *src = open_source(1);
        struct mallinfo2 before = mallinfo2();
        double n = (double)count(src), expected_n = 1440.0 * runs[i].days;
        struct mallinfo2 after = mallinfo2();
        assert_true(after.uordblks <= before.uordblks && after.hblkhd <= before.hblkhd);
        is_near("requests", n, expected_n, 4.0 * sqrt(expected_n * 1.1));
        tr_source_close(src);
    }
}

static void is_refused(const char *message)
{
    struct tr_source *src;
    struct tr_err err = {0};

    assert_int_equal(tr_source_open(&spec, 1, &src, NULL, &err), TR_EINPUT);
    assert_null(src);
    assert_string_equal(err.text, message);
    fresh(NULL);
}

static void impossible_descriptions_are_refused(void **state)
{
    static const struct tr_knot back[] = {{5 * SECOND, 1.0}, {4 * SECOND, 1.0}};
    static const struct tr_spike low = {0, 9.0, 0, SECOND, 0};
    static const double shares[] = {0.5, 0.6};

    (void)state;
    steady.rate = NAN;
    is_refused("rate 1 of the traffic is nan requests/s; allowed are 0 to 1e+06");
    steady.rate = -1.0;
    is_refused("rate 1 of the traffic is -1 requests/s; allowed are 0 to 1e+06");
    steady.rate = 1e300;
    is_refused("rate 1 of the traffic is 1e+300 requests/s; allowed are 0 to 1e+06");
    spec.n_knots = 0;
    is_refused("traffic has no rate: give at least one");
    spec.knots = back;
    spec.n_knots = 2;
    is_refused("rate 2 of the traffic is at 4 s; times must not be negative and not go back");
    spec.spikes = &low;
    spec.n_spikes = 1;
    is_refused("spike 1 peaks at 9 requests/s; allowed are 10 (the rate at its start) to 1e+06");
    spec.duration_ns = 0;
    is_refused("traffic without an end: give a duration, up to 100 years, or a number of requests");
    spec.duration_ns = 0;
    spec.max_requests = 5;
    steady.rate = 0.0;
    is_refused("traffic whose last rate is 0 needs a duration, not only a number of requests");
    spec.process = TR_GAMMA;
    spec.burstiness = 0.0;
    is_refused("burstiness 0; allowed are 0.1 to 1e6 (1 is Poisson)");
    spec.rate_scale = INFINITY;
    is_refused("rate scale inf; allowed are 1e-6 to 1e6");
    spec.output.fixed_tok = 0;
    is_refused("output length of 0 tokens; allowed are 1 to 10000000");
    spec.prompt.min_tok = 5000;
    is_refused("prompt length from 5000 to 4096 tokens; allowed are 1 to 10000000, the smaller "
               "first");
    spec.n_tenants = 2;
    is_refused("2 tenants need their shares of the traffic");
    spec.n_tenants = 2;
    spec.shares = shares;
    is_refused("the tenants' shares add up to 1.1, not to 1");
    spec.trace = "/no/such/trace.csv";
    is_refused("/no/such/trace.csv: cannot open: No such file or directory");
}

int main(void)
{
#define TEST(f)  cmocka_unit_test_setup(f, fresh)
#define TRACE(f) cmocka_unit_test_setup_teardown(f, write_trace, remove_trace)
    const struct CMUnitTest tests[] = {
        TEST(chatbot_day_over_many_seeds),
        TEST(chatbot_lengths_are_as_published),
        TEST(segments_follow_the_definition),
        TEST(chatbot_rate_has_its_shape),
        TEST(modulation_shows_in_the_dispersion),
        TEST(poisson_and_gamma_have_their_dispersion),
        TEST(constant_is_even),
        TEST(a_number_of_requests_ends_a_description),
        TEST(a_rate_of_zero_is_silence),
        TEST(rewound_and_cloned_streams_are_the_same),
        TEST(a_scaled_rate_keeps_the_requests),
        TEST(tenants_are_drawn_by_their_shares),
        TEST(lengths_from_the_table_equal_the_formula),
        TEST(capacity_runs_have_the_same_lengths),
        TRACE(a_trace_is_replayed),
        TRACE(a_capacity_run_draws_the_rows_of_a_trace),
        TRACE(figures_of_a_small_trace),
        TRACE(tenants_of_a_trace_must_fit_the_description),
        TEST(median_minute_is_the_base_under_spikes),
        TEST(a_year_takes_no_memory),
        TEST(impossible_descriptions_are_refused),
    };
    return cmocka_run_group_tests_name("traffic", tests, NULL, NULL);
}
