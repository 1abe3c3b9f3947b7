/* Tests of record: what counts as inside, that merging outcomes is the same as having counted all
 * in one, and the label of a run. */
#include "record/record.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "num/num.h"

#define MS TR_NS_PER_MS
#define S  TR_NS_PER_S

static const struct tr_slo slo = {
    .n = 3,
    .objective = {{TR_TTFT, 0.95, 500 * MS}, {TR_TPOT, 0.90, 50 * MS}, {TR_E2E, 0.50, 10 * S}}};

static struct tr_record done(int64_t arrival_ns, int64_t ttft_ns, int64_t tpot_ns, int32_t output)
{
    return (struct tr_record){.arrival_ns = arrival_ns,
                              .scheduled_ns = arrival_ns + ttft_ns / 2,
                              .first_token_ns = arrival_ns + ttft_ns,
                              .last_token_ns = arrival_ns + ttft_ns + tpot_ns * (output - 1),
                              .prompt_tok = 100,
                              .output_tok = output,
                              .status = TR_DONE};
}

/* ---- metrics and objectives ------------------------------------------------------------------ */

static void metrics_count_from_the_planned_arrival(void **state)
{
    (void)state;
    struct tr_record r = done(7 * S, 300 * MS, 20 * MS, 11);
    r.sent_ns = 9 * S; /* sent late: the wait counts */
    assert_int_equal(tr_record_metric(&r, TR_TTFT), 300 * MS);
    assert_int_equal(tr_record_metric(&r, TR_TPOT), 20 * MS);
    assert_int_equal(tr_record_metric(&r, TR_E2E), 500 * MS);
    r = done(0, 300 * MS, 0, 1);
    assert_int_equal(tr_record_metric(&r, TR_TPOT), 0);
    for (enum tr_status s = TR_REJECTED; s <= TR_ERROR; s++) {
        r.status = s;
        for (int m = 0; m < TR_N_METRICS; m++)
            assert_true(tr_record_metric(&r, (enum tr_metric)m) == INT64_MAX);
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(tr_metric_name(TR_TPOT), "TPOT");
    assert_string_equal(tr_cause_name(TR_CAUSE_NEIGHBOUR), "neighbour");
    assert_string_equal(tr_cause_name(TR_CAUSE_TOO_LONG), "too-long");
    assert_string_equal(tr_label_name(TR_BACKLOGGED), "backlogged");
}

/* Requests without an answer are outside every objective, and their share decides with the rest. */
static void no_answer_is_outside(void **state)
{
    (void)state;
    struct tr_outcome o;
    tr_outcome_init(&o);
    struct tr_record r = done(0, 500 * MS, 50 * MS, 10); /* on the limits: inside */
    for (int i = 0; i < 95; i++)
        tr_outcome_add(&o, &slo, &r, false);
    assert_true(tr_outcome_meets(&o, &slo));
    r.status = TR_TIMEOUT;
    r.first_token_ns = r.last_token_ns = -1;
    r.cause = TR_CAUSE_QUEUE;
    for (int i = 0; i < 5; i++)
        tr_outcome_add(&o, &slo, &r, false);
    assert_true(tr_outcome_inside(&o, 0, false) == 0.95);
    assert_true(tr_outcome_meets(&o, &slo)); /* at least 95 %: just */
    r.status = TR_REJECTED;
    r.cause = TR_CAUSE_REFUSED;
    r.scheduled_ns = -1;
    tr_outcome_add(&o, &slo, &r, false);
    assert_false(tr_outcome_meets(&o, &slo));
    assert_int_equal(o.offered, 101);
    assert_int_equal(o.done + o.rejected + o.timed_out + o.aborted, 101);
    assert_int_equal(o.missed[TR_CAUSE_QUEUE], 5);
    assert_int_equal(o.missed[TR_CAUSE_REFUSED], 1);
    assert_int_equal(o.inside_all, 95);
    assert_int_equal(o.metric[TR_TTFT].count, 95);
    assert_int_equal(o.queue.count, 100);
    tr_outcome_free(&o);
}

static void a_miss_without_a_cause_of_its_ttft_is_slow_tokens_or_unnamed(void **state)
{
    (void)state;
    struct tr_outcome o;
    tr_outcome_init(&o);
    struct tr_record r = done(0, 100 * MS, 51 * MS, 10);
    tr_outcome_add(&o, &slo, &r, false);
    assert_int_equal(o.missed[TR_CAUSE_DECODE], 1);
    r.status = TR_ERROR; /* a load generator sees that it failed, not why */
    tr_outcome_add(&o, &slo, &r, false);
    assert_int_equal(o.missed[TR_CAUSE_NONE], 1);
    tr_outcome_free(&o);
}

static void spikes_decide_where_the_scenario_says_so(void **state)
{
    (void)state;
    struct tr_slo in_spikes = slo;
    struct tr_outcome o;
    in_spikes.spikes_only = true;
    tr_outcome_init(&o);
    assert_false(tr_outcome_meets(&o, &slo)); /* nothing offered, nothing met */
    struct tr_record good = done(0, 100 * MS, 10 * MS, 10), bad = done(0, 900 * MS, 10 * MS, 10);
    for (int i = 0; i < 99; i++)
        tr_outcome_add(&o, &slo, &good, false);
    assert_true(isnan(tr_outcome_inside(&o, 0, true)));
    assert_true(tr_outcome_meets(&o, &in_spikes)); /* there were none */
    tr_outcome_add(&o, &slo, &bad, true);
    assert_true(tr_outcome_meets(&o, &slo));
    assert_false(tr_outcome_meets(&o, &in_spikes));
    assert_true(tr_outcome_inside(&o, 0, true) == 0);
    assert_int_equal(o.spike_inside_all, 0);
    tr_outcome_free(&o);
}

/* ---- merging --------------------------------------------------------------------------------- */

static struct tr_record random_record(uint64_t i)
{
    uint64_t s = tr_rng_stream("records", 0, 0);
    struct tr_record r = done((int64_t)(tr_rng_unit(1, s, 9 * i) * 9000e9),
                              (int64_t)(tr_rng_exp(1, s, 9 * i + 1) * 3e8),
                              (int64_t)(tr_rng_exp(1, s, 9 * i + 2) * 3e7),
                              (int32_t)(tr_rng_unit(1, s, 9 * i + 3) * 500) + 1);
    double kind = tr_rng_unit(1, s, 9 * i + 4);
    r.id = (int64_t)i;
    r.preemptions = kind > 0.7;
    r.cause = (enum tr_cause)(tr_rng_unit(1, s, 9 * i + 5) * TR_N_CAUSES);
    if (kind > 0.9) {
        r.status = (enum tr_status)(1 + (int)(tr_rng_unit(1, s, 9 * i + 6) * 4));
        r.scheduled_ns = r.first_token_ns = r.last_token_ns = -1;
    }
    return r;
}

static void check_equal(const struct tr_outcome *a, const struct tr_outcome *b)
{
    /* The counters stand in a row at the front, up to the first histogram. */
    assert_memory_equal(a, b, offsetof(struct tr_outcome, metric));
    for (int m = 0; m <= TR_N_METRICS; m++) {
        const struct tr_hist *x = m < TR_N_METRICS ? &a->metric[m] : &a->queue;
        const struct tr_hist *y = m < TR_N_METRICS ? &b->metric[m] : &b->queue;
        assert_int_equal(x->count, y->count);
        assert_true(x->sum == y->sum);
        for (int q = 0; q <= 1000; q++)
            assert_int_equal(tr_hist_quantile(x, q / 1000.0), tr_hist_quantile(y, q / 1000.0));
    }
    assert_int_equal(a->first_arrival_ns, b->first_arrival_ns);
    assert_int_equal(a->last_arrival_ns, b->last_arrival_ns);
    assert_int_equal(a->end_ns, b->end_ns);
    for (size_t i = 0; i < TR_MAX(a->n_windows, b->n_windows); i++) {
        struct tr_window none = {0}, x = i < a->n_windows ? a->windows[i] : none;
        struct tr_window y = i < b->n_windows ? b->windows[i] : none;
        assert_int_equal(x.arrived, y.arrived);
        assert_int_equal(x.admitted, y.admitted);
    }
    assert_int_equal(tr_outcome_label(a), tr_outcome_label(b));
}

static void merging_is_counting_all_in_one(void **state)
{
    (void)state;
    struct tr_outcome all, part[7], forth, back;
    tr_outcome_init(&all);
    tr_outcome_init(&forth);
    tr_outcome_init(&back);
    for (int i = 0; i < 7; i++)
        tr_outcome_init(&part[i]);
    for (uint64_t i = 0; i < 20000; i++) {
        struct tr_record r = random_record(i);
        tr_outcome_add(&all, &slo, &r, i % 11 == 0);
        tr_outcome_add(&part[i * i % 6], &slo, &r, i % 11 == 0); /* part[2], [5], [6] stay empty */
    }
    for (int i = 0; i < 7; i++) {
        tr_outcome_merge(&forth, &part[i]);
        tr_outcome_merge(&back, &part[6 - i]);
    }
    check_equal(&all, &forth);
    check_equal(&all, &back);
    for (int i = 0; i < 7; i++)
        tr_outcome_free(&part[i]);
    tr_outcome_free(&all);
    tr_outcome_free(&forth);
    tr_outcome_free(&back);
}

static void quantiles_are_those_of_the_values(void **state)
{
    (void)state;
    struct tr_outcome o;
    tr_outcome_init(&o);
    for (int i = 1; i <= 1000; i++) {
        struct tr_record r = done(0, i * MS, 10 * MS, 2);
        tr_outcome_add(&o, &slo, &r, false);
    }
    static const double q[] = {0.5, 0.95, 0.99};
    for (size_t i = 0; i < TR_LEN(q); i++)
        assert_true(fabs((double)tr_hist_quantile(&o.metric[TR_TTFT], q[i]) / (q[i] * 1e9) - 1) <
                    0.004);
    assert_int_equal(tr_hist_quantile(&o.metric[TR_TTFT], 1), S);
    tr_outcome_free(&o);
}

/* ---- the label ------------------------------------------------------------------------------- */

/* A server that admits `served` requests a second, at rates `rate` for `seconds` and, from
 * `spike_at` on for `spike` seconds, at `spike_rate`; arrivals are Poisson. */
static enum tr_label label_of(double served, double rate, double seconds, double spike_at,
                              double spike, double spike_rate, uint64_t seed)
{
    struct tr_outcome o;
    double free_s = 0, now_s = 0;
    tr_outcome_init(&o);
    for (uint64_t i = 0;; i++) {
        bool in = now_s >= spike_at && now_s < spike_at + spike;
        now_s += tr_rng_exp(seed, tr_rng_stream("label", 0, 0), i) / (in ? spike_rate : rate);
        if (now_s > seconds)
            break;
        free_s = TR_MAX(free_s, now_s) + 1 / served;
        struct tr_record r = done((int64_t)(now_s * 1e9), 100, 10, 10);
        r.scheduled_ns = (int64_t)((free_s - 1 / served) * 1e9);
        tr_outcome_add(&o, &slo, &r, false);
    }
    enum tr_label label = tr_outcome_label(&o);
    tr_outcome_free(&o);
    return label;
}

/* Whatever is served after the last arrival is no excuse: a run of a minute has a label as one of a
 * day has. */
static void a_run_is_labelled_by_its_rates(void **state)
{
    (void)state;
    static const double lengths_s[] = {60, 240, 450, 1000, 4000, 86400};
    for (size_t i = 0; i < TR_LEN(lengths_s); i++)
        for (int served = 2; served <= 50; served += 12)
            for (uint64_t seed = 1; seed <= 3; seed++) {
                double t = lengths_s[i];
                if (served * t < 500 || served * t > 100000)
                    continue;
                assert_int_equal(label_of(served, 1.25 * served, t, 0, 0, 0, seed), TR_OVERLOADED);
                assert_int_equal(label_of(served, 0.7 * served, t, 0, 0, 0, seed), TR_STABLE);
                if (t >= 4000) /* 400 s at twice what it can: a backlog that goes away again */
                    assert_int_equal(label_of(served, 0.6 * served, t, 1234, 400, 2 * served, seed),
                                     TR_BACKLOGGED);
            }
}

static void a_spike_at_the_end_of_a_day_is_a_backlog(void **state)
{
    (void)state;
    assert_int_equal(label_of(4, 2, 43200, 43200 - 1500, 1500, 12, 1), TR_BACKLOGGED);
}

static void those_who_are_never_served_are_a_backlog_unless_they_never_could_be(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct tr_outcome o;
        tr_outcome_init(&o);
        for (int i = 0; i < 3000; i++) {
            struct tr_record r = done((int64_t)i * S, 100 * MS, 10 * MS, 10);
            if (i % 4 == 0) {
                r.status = TR_REJECTED;
                r.scheduled_ns = r.first_token_ns = r.last_token_ns = -1;
                r.cause = kind == 0 ? TR_CAUSE_REFUSED : TR_CAUSE_TOO_LONG;
            }
            tr_outcome_add(&o, &slo, &r, false);
        }
        assert_int_equal(tr_outcome_label(&o), kind == 0 ? TR_OVERLOADED : TR_STABLE);
        tr_outcome_free(&o);
    }
    struct tr_outcome empty;
    tr_outcome_init(&empty);
    assert_int_equal(tr_outcome_label(&empty), TR_STABLE);
    tr_outcome_free(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_count_from_the_planned_arrival),
        cmocka_unit_test(names),
        cmocka_unit_test(no_answer_is_outside),
        cmocka_unit_test(a_miss_without_a_cause_of_its_ttft_is_slow_tokens_or_unnamed),
        cmocka_unit_test(spikes_decide_where_the_scenario_says_so),
        cmocka_unit_test(merging_is_counting_all_in_one),
        cmocka_unit_test(quantiles_are_those_of_the_values),
        cmocka_unit_test(a_run_is_labelled_by_its_rates),
        cmocka_unit_test(a_spike_at_the_end_of_a_day_is_a_backlog),
        cmocka_unit_test(those_who_are_never_served_are_a_backlog_unless_they_never_could_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
