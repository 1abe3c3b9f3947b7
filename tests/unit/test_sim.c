/* Tests of a whole run: conservation, labels, and that what is decided early, interrupted or run
 * twice is decided right. What theory says of runs is in tests/property/test_theory.c. */
#include "sim/sim.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define MS TR_NS_PER_MS
#define S  TR_NS_PER_S

static struct tr_arena arena;
static struct tr_steptime steptime;

static int setup(void **state)
{
    (void)state;
    struct tr_gpu slow = a100_pcie; /* so that a prompt takes some milliseconds */
    slow.peak_flops /= 500;
    slow.bandwidth /= 500;
    struct tr_share_hw hw = share_whole(&slow);
    tr_steptime_init(&steptime, &arena, &hw, &tiny, &bf16, 2048, 16, true, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static const struct tr_knot *knots(int n, ...) /* pairs of seconds and rates */
{
    struct tr_knot *k = TR_ARENA_NEW(&arena, struct tr_knot, n);
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i < n; i++) {
        k[i].time_ns = (int64_t)(va_arg(ap, double) * 1e9);
        k[i].rate = va_arg(ap, double);
    }
    va_end(ap);
    return k;
}

static struct tr_source *source(const struct tr_knot *k, int n_knots, double seconds,
                                int64_t requests, struct tr_length prompt, struct tr_length output,
                                uint64_t seed)
{
    struct tr_traffic_spec spec;
    struct tr_source *src;
    struct tr_trace_info info;
    struct tr_err err = {0};
    tr_traffic_spec_init(&spec);
    spec.process = TR_POISSON;
    spec.knots = k;
    spec.n_knots = (size_t)n_knots;
    spec.duration_ns = (int64_t)(seconds * 1e9);
    spec.max_requests = requests;
    spec.prompt = prompt;
    spec.output = output;
    if (tr_source_open(&spec, seed, &src, &info, &err) < 0)
        fail_msg("%s", err.text);
    return src;
}

static struct tr_length fixed(int32_t tok)
{
    return (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = tok};
}

static struct tr_length varied(double mean)
{
    return (struct tr_length){
        .kind = TR_LENGTH_LOGNORMAL, .mean = mean, .cv = 0.8, .min_tok = 1, .max_tok = 400};
}

/* Poisson at one rate. */
static struct tr_source *steady(double rate, double seconds, struct tr_length prompt,
                                struct tr_length output, uint64_t seed)
{
    return source(knots(2, 0.0, rate, seconds, rate), 2, seconds, 0, prompt, output, seed);
}

static struct tr_sim_config config(int gpus, int pods, int places, const struct tr_slo *slo)
{
    struct tr_sim_config cfg = {.fleet = {.gpus = gpus,
                                          .parts = 1,
                                          .workload = {{.router = TR_ROUTE_RANDOM, .n_tenants = 1}},
                                          .seed = 7},
                                .slo = slo};
    cfg.fleet.device[0] = (struct tr_device_config){
        .engine = {.steptime = &steptime,
                   .max_num_batched_tokens = 2048,
                   .max_num_seqs = places,
                   .max_model_len = 1024,
                   .num_gpu_blocks = 64 + 40 * places,
                   .async = true},
        .n_pods = pods,
        .quantum_ps = INT64_C(1024000000),
        .switch_ps = INT64_C(113000000),
    };
    return cfg;
}

static const struct tr_slo no_slo = {.n = 0};

static struct tr_sim_result run(const struct tr_sim_config *cfg, struct tr_source *src)
{
    struct tr_sim_result r;
    struct tr_err err = {0};
    if (tr_sim_run(cfg, src, &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

/* ---- conservation ---------------------------------------------------------------------------- */

struct sums {
    int64_t n, prompt_tok, output_tok, done, preemptions;
};

static void add_up(void *arg, const struct tr_record *r)
{
    struct sums *s = arg;
    s->n++;
    s->preemptions += r->preemptions;
    if (r->status != TR_DONE)
        return;
    s->done++;
    s->prompt_tok += r->prompt_tok;
    s->output_tok += r->output_tok;
    assert_true(r->arrival_ns + TR_API_NS <= r->scheduled_ns);
    assert_true(r->scheduled_ns < r->first_token_ns && r->first_token_ns <= r->last_token_ns);
}

/* Whatever the load: who was offered has been served, refused, or has given up. */
static void every_request_has_one_end(void **state)
{
    (void)state;
    static const double rates[] = {50, 500, 3000};
    for (size_t i = 0; i < TR_LEN(rates); i++)
        for (int kind = 0; kind < 3; kind++) {
            struct tr_sim_config cfg = config(2, 2, 4, &no_slo);
            struct tr_source *src = steady(rates[i], 4000 / rates[i], varied(300), varied(60), 9);
            struct sums sums = {0};
            cfg.on_record = add_up;
            cfg.on_record_arg = &sums;
            cfg.fleet.device[0].engine.timeout_ns = kind == 1 ? 100 * MS : 0;
            cfg.fleet.device[0].engine.queue_limit = kind == 2 ? 10 : 0;
            cfg.fleet.device[0].engine.max_model_len = 700; /* refuses some */
            struct tr_sim_result r = run(&cfg, src);
            const struct tr_outcome *o = &r.outcome;
            assert_int_equal(o->offered, r.requests);
            assert_int_equal(o->offered, sums.n);
            assert_int_equal(o->done + o->rejected + o->timed_out, o->offered);
            assert_int_equal(o->done, sums.done);
            assert_int_equal(o->aborted, 0);
            assert_true(o->rejected > 0);
            assert_true(kind == 1 ? i < 2 || o->timed_out > 0 : o->timed_out == 0);
            assert_int_equal(o->prompt_tok, sums.prompt_tok);
            assert_int_equal(o->output_tok, sums.output_tok);
            if (kind != 1 && sums.preemptions == 0) { /* work: each token computed once */
                assert_int_equal(r.fleet.prefill_tok, sums.prompt_tok);
                assert_int_equal(r.fleet.decode_tok, sums.output_tok - sums.done);
            }
            tr_sim_result_free(&r);
            tr_source_close(src);
        }
}

/* Under a load that is always more than can be done the card never idles. */
static void a_card_with_work_never_idles(void **state)
{
    (void)state;
    struct tr_sim_config cfg = config(1, 1, 8, &no_slo);
    struct tr_source *src = steady(20000, 0.2, fixed(200), varied(50), 2);
    struct tr_sim_result r = run(&cfg, src);
    double idle_s = (double)(r.outcome.end_ns - r.outcome.first_arrival_ns - TR_API_NS) / 1e9 -
                    (double)r.fleet.busy_ns / 1e9;
    assert_true(fabs(idle_s) < 1e-5);
    tr_sim_result_free(&r);
    tr_source_close(src);
}

/* ---- labels ---------------------------------------------------------------------------------- */

static enum tr_label label(const struct tr_knot *k, int n_knots, double seconds)
{
    struct tr_source *src = source(k, n_knots, seconds, 0, fixed(900), fixed(1), 11);
    struct tr_sim_config cfg = config(1, 1, 1, &no_slo);
    struct tr_sim_result r = run(&cfg, src);
    enum tr_label l = tr_outcome_label(&r.outcome);
    tr_sim_result_free(&r);
    tr_source_close(src);
    return l;
}

static void runs_are_labelled(void **state)
{
    (void)state;
    double c = 1e12 / (double)tr_steptime_prefill_ps(&steptime, 900, 2048);
    double rate = 0.6 * c, twice = 2 * c, over = 1.2 * c;
    assert_int_equal(label(knots(2, 0.0, rate, 60.0, rate), 2, 60), TR_STABLE);
    assert_int_equal(label(knots(2, 0.0, over, 60.0, over), 2, 60), TR_OVERLOADED);
    assert_int_equal(
        label(knots(6, 0.0, rate, 30.0, rate, 30.0, twice, 40.0, twice, 40.0, rate, 400.0, rate), 6,
              400),
        TR_STABLE); /* ten seconds of backlog are none of five minutes */
    assert_int_equal(
        label(knots(6, 0.0, rate, 30.0, rate, 30.0, twice, 230.0, twice, 230.0, rate, 1000.0, rate),
              6, 1000),
        TR_BACKLOGGED);
}

/* ---- deciding early -------------------------------------------------------------------------- */

static const struct tr_slo slo = {
    .n = 2, .objective = {{TR_TTFT, 0.95, 100 * MS}, {TR_E2E, 0.90, 500 * MS}}};

static void a_run_that_stops_early_is_right(void **state)
{
    (void)state;
    int met = 0, early = 0;
    for (int i = 0; i < 40; i++) {
        int gpus = 1 + i % 7;
        double rate = gpus * (20 + 4.0 * (i % 20));
        struct tr_source *src = steady(rate, 3000 / rate, varied(200), varied(40), (uint64_t)i + 1);
        struct tr_sim_config cfg = config(gpus, 1 + i % 3, 8, &slo);
        cfg.warmup = i % 2 ? 500 : 0;
        struct tr_sim_result full = run(&cfg, src);
        cfg.decide = true;
        cfg.expected = full.outcome.offered;
        struct tr_sim_result quick = run(&cfg, src);
        assert_int_equal(full.meets, tr_outcome_meets(&full.outcome, &slo));
        assert_int_equal(quick.meets, full.meets);
        if (quick.outcome.stopped_early)
            assert_true(quick.requests < full.requests);
        met += full.meets;
        early += quick.outcome.stopped_early;
        tr_sim_result_free(&full);
        tr_sim_result_free(&quick);
        tr_source_close(src);
    }
    print_message("# 40 runs: %d met, %d stopped early\n", met, early);
    assert_in_range(met, 8, 32);
    assert_in_range(early, 4, 32);
}

/* A burst over 100 GPUs, then `trickle` requests a second for two minutes. */
static void burst(double trickle, const struct tr_slo *patience, int64_t warmup)
{
    struct tr_source *src =
        source(knots(4, 0.0, 20000.0, 0.1, 20000.0, 0.1, trickle, 120.0, trickle), 4, 120, 0,
               fixed(900), fixed(100), 4);
    struct tr_sim_config cfg = config(100, 1, 1, patience);
    cfg.warmup = warmup;
    struct tr_sim_result full = run(&cfg, src);
    assert_true(full.meets);
    assert_int_equal(full.outcome.offered, full.requests - warmup);
    cfg.decide = true;
    cfg.expected = full.outcome.offered;
    cfg.max_queue = 3000;
    struct tr_sim_result quick = run(&cfg, src);
    assert_true(quick.meets);
    assert_false(quick.queue_overflow);
    tr_sim_result_free(&full);
    tr_sim_result_free(&quick);
    tr_source_close(src);
}

/* The burst is served within 5 s. Those who wait are not late before that; nor, where it is quiet
 * afterwards and a GPU not heard of for seconds, are those who waited when it last was; nor are
 * those that do not count. */
static void only_those_certain_to_be_late_stop_a_run(void **state)
{
    (void)state;
    static const struct tr_slo patient = {.n = 1, .objective = {{TR_TTFT, 0.99, 5 * S}}};
    static const struct tr_slo hasty = {.n = 1, .objective = {{TR_TTFT, 0.99, 200 * MS}}};
    burst(18, &patient, 0);
    burst(4, &patient, 0);
    burst(18, &hasty, 2200);
}

static void a_queue_without_end_stops_the_run(void **state)
{
    (void)state;
    struct tr_sim_config cfg = config(1, 1, 1, &no_slo);
    struct tr_source *src = steady(100000, 1, fixed(900), fixed(50), 4);
    cfg.max_queue = 5000;
    struct tr_sim_result r = run(&cfg, src);
    assert_true(r.queue_overflow);
    assert_false(r.meets);
    assert_true(r.outcome.stopped_early);
    assert_in_range(r.requests, 5001, 8000);
    tr_sim_result_free(&r);
    tr_source_close(src);
}

/* ---- spikes ---------------------------------------------------------------------------------- */

static void spikes_are_minutes_above_three_times_the_median(void **state)
{
    (void)state;
    struct tr_source *src =
        source(knots(6, 0.0, 2.0, 600.0, 2.0, 600.0, 10.0, 720.0, 10.0, 720.0, 2.0, 1800.0, 2.0), 6,
               1800, 0, fixed(50), fixed(5), 6);
    struct tr_slo in_spikes = {.n = 1, .objective = {{TR_TTFT, 0.5, S}}, .spikes_only = true};
    struct tr_spikes spikes;
    struct tr_arrival a;
    int64_t n = 0, in = 0;
    tr_spikes_find(&spikes, src);
    assert_true(fabs(spikes.median_rate - 2) < 0.4);
    assert_true(fabs(spikes.peak_rate - 10) < 1.5);
    assert_false(tr_spikes_at(&spikes, 599 * S));
    assert_true(tr_spikes_at(&spikes, 600 * S));
    assert_true(tr_spikes_at(&spikes, 719 * S));
    assert_false(tr_spikes_at(&spikes, 720 * S));
    assert_false(tr_spikes_at(&spikes, 999999 * S));
    assert_false(tr_spikes_at(NULL, 0));
    while (tr_source_next(src, &a)) {
        n++;
        in += a.time_ns >= 600 * S && a.time_ns < 720 * S;
    }
    assert_int_equal(spikes.requests, n);
    assert_int_equal(spikes.in_spike, in);
    struct tr_sim_config cfg = config(1, 1, 8, &in_spikes);
    cfg.spikes = &spikes;
    struct tr_sim_result r = run(&cfg, src);
    assert_int_equal(r.outcome.spike_offered, in);
    assert_true(r.meets);
    tr_sim_result_free(&r);
    tr_spikes_free(&spikes);
    tr_source_close(src);
}

/* ---- the same again, and interruption -------------------------------------------------------- */

static void fold(void *arg, const struct tr_record *r)
{
    uint64_t *hash = arg;
    int64_t fields[] = {r->id,  r->arrival_ns, r->scheduled_ns, r->first_token_ns, r->last_token_ns,
                        r->pod, r->status,     r->preemptions};
    *hash = tr_hash(fields, sizeof fields, *hash);
}

static uint64_t hash_of_run(uint64_t seed, bool sampled)
{
    uint64_t hash = 0;
    struct tr_source *src = steady(150, 30, varied(200), varied(40), seed);
    struct tr_sim_config cfg = config(3, 2, 8, &slo);
    cfg.on_record = fold;
    cfg.on_record_arg = &hash;
    cfg.fleet.simulated_gpus = sampled ? 2 : 0;
    struct tr_sim_result r = run(&cfg, src);
    hash = tr_hash(&r.fleet, sizeof r.fleet, hash);
    tr_sim_result_free(&r);
    tr_source_close(src);
    return hash;
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    assert_true(hash_of_run(1, false) == hash_of_run(1, false));
    assert_true(hash_of_run(1, false) != hash_of_run(2, false));
    assert_true(hash_of_run(1, true) == hash_of_run(1, true));
}

struct halt {
    atomic_int stop;
    int64_t after, n;
};

static void count_down(void *arg, const struct tr_record *r)
{
    struct halt *h = arg;
    (void)r;
    h->stop = ++h->n >= h->after;
}

/* Stopped while requests still come, and while the last are served: what is there is whole. */
static void an_interrupted_run_keeps_what_it_has(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct tr_source *src =
            steady(late ? 60000 : 30, late ? 0.1 : 200, fixed(900), fixed(20), 8);
        struct tr_sim_config cfg = config(1, 1, 4, &slo);
        _Atomic int64_t simulated = 0;
        struct halt halt = {.after = late ? 5 : 3000};
        struct tr_sim_result r;
        struct tr_err err = {0};
        cfg.stop = &halt.stop;
        cfg.on_record = count_down;
        cfg.on_record_arg = &halt;
        cfg.simulated = &simulated;
        assert_int_equal(tr_sim_run(&cfg, src, &r, &err), TR_EINTR);
        assert_int_equal(err.code, TR_EINTR);
        assert_true(r.outcome.stopped_early);
        assert_false(r.meets);
        assert_int_equal(r.outcome.offered, halt.n);
        assert_true(r.outcome.offered < r.requests || !late);
        assert_true(simulated <= r.requests);
        tr_sim_result_free(&r);
        tr_source_close(src);
    }
}

static void a_source_without_requests_is_a_run_without_an_answer(void **state)
{
    (void)state;
    struct tr_source *src = steady(1e-9, 1, fixed(10), fixed(1), 1);
    struct tr_sim_config cfg = config(1, 1, 4, &slo);
    struct tr_spikes spikes;
    tr_spikes_find(&spikes, src);
    cfg.spikes = &spikes;
    struct tr_sim_result r = run(&cfg, src);
    assert_int_equal(r.outcome.offered, 0);
    assert_false(r.meets);
    assert_true(r.fleet.busy_fraction == 0);
    tr_sim_result_free(&r);
    tr_spikes_free(&spikes);
    tr_source_close(src);
}

static void progress_counts_every_request(void **state)
{
    (void)state;
    struct tr_source *src = steady(500, 6, fixed(100), fixed(5), 1);
    struct tr_sim_config cfg = config(1, 1, 4, &no_slo);
    _Atomic int64_t simulated = 0;
    cfg.simulated = &simulated;
    struct tr_sim_result r = run(&cfg, src);
    assert_int_equal(simulated, r.requests);
    tr_sim_result_free(&r);
    tr_source_close(src);
}

/* ---- fleets that change size ------------------------------------------------------------------
 */

static struct tr_scaling scaling(int min_nodes, int max_nodes)
{
    struct tr_scaling s;
    tr_scaling_defaults(&s, 1, max_nodes);
    s.hpa.min_replicas = s.autoscaler.min_nodes = min_nodes;
    s.hpa.stabilization_ns = 30 * S;
    s.hpa.target = 3;
    s.autoscaler.unneeded_ns = s.autoscaler.delay_after_add_ns = 20 * S;
    s.node = (struct tr_node_life){.vm_ns = 20 * S, .driver_ns = 5 * S, .image_ns = 5 * S};
    s.pod = (struct tr_pod_life){.weights_ns = 4 * S, .warm_ns = S, .grace_ns = 30 * S};
    return s;
}

/* A minute of little, two of much, three of little. */
static struct tr_source *hill(double low, double high, uint64_t seed)
{
    const struct tr_knot *k =
        knots(6, 0.0, low, 60.0, low, 60.001, high, 180.0, high, 180.001, low, 360.0, low);
    return source(k, 6, 360, 0, varied(300), varied(60), seed);
}

static void an_elastic_fleet_follows_its_traffic(void **state)
{
    (void)state;
    struct tr_scaling sc = scaling(1, 6);
    struct tr_sim_config cfg = config(1, 1, 4, &slo);
    struct tr_source *src = hill(10, 120, 3);
    cfg.fleet.scaling = &sc;
    cfg.fleet.device[0].engine.ttft_limit_ns = slo.objective[0].limit_ns;
    cfg.fleet.device[0].engine.timeout_ns = 20 * S;
    struct tr_sim_result r = run(&cfg, src), again = run(&cfg, src);
    const struct tr_scale_stats *t = &r.fleet.scale;
    assert_int_equal(r.outcome.offered, r.arrivals);
    assert_true(t->span_s >= 360 && t->span_s < 400);
    assert_true(t->wanted_max > 2 && t->ready_max > 2 && t->removals > 0);
    /* More than the least would cost, less than the most. */
    assert_true(t->node_hours * 3600 > 1.2 * t->span_s);
    assert_true(t->node_hours * 3600 < 0.8 * 6 * t->span_s);
    /* Whoever came while the fleet was catching up knows why it waited. */
    assert_true(r.outcome.missed[TR_CAUSE_STARTUP] > 1000);
    assert_true(r.outcome.missed[TR_CAUSE_STARTUP] > r.outcome.missed[TR_CAUSE_QUEUE]);
    assert_int_equal(r.outcome.missed[TR_CAUSE_LOST], t->lost_to_drains);
    assert_int_equal(r.n_timeline, again.n_timeline);
    assert_memory_equal(r.timeline, again.timeline, r.n_timeline * sizeof *r.timeline);
    assert_memory_equal(&r.fleet, &again.fleet, sizeof r.fleet);
    assert_memory_equal(r.outcome.missed, again.outcome.missed, sizeof r.outcome.missed);
    tr_sim_result_free(&r);
    tr_sim_result_free(&again);
    tr_source_close(src);
}

/* As many nodes as the other, always: the same outcome, and their time is paid for to the second in
 * which the last request left. */
static void an_elastic_fleet_that_cannot_change_is_the_fixed_one(void **state)
{
    (void)state;
    struct tr_scaling sc = scaling(3, 3);
    struct tr_sim_config cfg = config(3, 1, 4, &slo);
    struct tr_source *src = hill(60, 200, 4);
    struct tr_sim_result fixed = run(&cfg, src);
    cfg.fleet.gpus = 1;
    cfg.fleet.scaling = &sc;
    struct tr_sim_result elastic = run(&cfg, src);
    const struct tr_outcome *a = &fixed.outcome, *b = &elastic.outcome;
    assert_int_equal(a->offered, b->offered);
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->end_ns, b->end_ns);
    assert_memory_equal(a->inside, b->inside, sizeof a->inside);
    assert_memory_equal(a->missed, b->missed, sizeof a->missed);
    for (int m = 0; m < TR_N_METRICS; m++)
        assert_true(a->metric[m].sum == b->metric[m].sum);
    assert_int_equal(fixed.fleet.busy_ns, elastic.fleet.busy_ns);
    assert_true(elastic.fleet.scale.short_s == 0 && elastic.n_timeline == 1);
    double end_s = (double)TR_MAX(b->end_ns, 360 * S) / 1e9;
    double each_s = elastic.fleet.scale.node_hours * 1200;
    assert_true(each_s >= end_s - 1e-6 && each_s < end_s + 1.001);
    tr_sim_result_free(&fixed);
    tr_sim_result_free(&elastic);
    tr_source_close(src);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_has_one_end),
        cmocka_unit_test(a_card_with_work_never_idles),
        cmocka_unit_test(runs_are_labelled),
        cmocka_unit_test(a_run_that_stops_early_is_right),
        cmocka_unit_test(only_those_certain_to_be_late_stop_a_run),
        cmocka_unit_test(a_queue_without_end_stops_the_run),
        cmocka_unit_test(spikes_are_minutes_above_three_times_the_median),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(an_interrupted_run_keeps_what_it_has),
        cmocka_unit_test(a_source_without_requests_is_a_run_without_an_answer),
        cmocka_unit_test(progress_counts_every_request),
        cmocka_unit_test(an_elastic_fleet_follows_its_traffic),
        cmocka_unit_test(an_elastic_fleet_that_cannot_change_is_the_fixed_one),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
