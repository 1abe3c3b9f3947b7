/* Tests of fleet: who gets which request, and that some of the GPUs stand for all of them. */
#include "fleet/fleet.h"
#include "fleet/least.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "num/num.h"

#define MS TR_NS_PER_MS

static struct tr_arena arena;
static struct tr_steptime steptime;

static int setup(void **state)
{
    (void)state;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    tr_steptime_init(&steptime, &arena, &hw, &tiny, &bf16, 256, 16, true, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* Each GPU has two parts, of `first` and `second` pods (0: no second part). */
static struct tr_fleet_config config(int gpus, int first, int second, enum tr_router router)
{
    struct tr_device_config d = {.engine = {.steptime = &steptime,
                                            .max_num_batched_tokens = 256,
                                            .max_num_seqs = 8,
                                            .max_model_len = 512,
                                            .num_gpu_blocks = 100,
                                            .async = true},
                                 .n_pods = first,
                                 .quantum_ps = 1024000000,
                                 .switch_ps = 113000000};
    struct tr_fleet_config f = {.gpus = gpus,
                                .parts = second > 0 ? 2 : 1,
                                .device = {d, d},
                                .workload = {{.router = router, .n_tenants = 1}},
                                .seed = 42};
    f.device[1].n_pods = second;
    return f;
}

static struct tr_fleet_request request(int64_t id, int64_t arrival_ns)
{
    return (struct tr_fleet_request){
        .engine = {.id = id, .arrival_ns = arrival_ns, .prompt_tok = 20, .output_tok = 2},
        .session = -1};
}

/* Sends `n` requests 1 ms apart, of session id % sessions (0: none) and tenant id % tenants. */
static struct tr_fleet_stats run(const struct tr_fleet_config *cfg, int n, int sessions,
                                 struct kept *out)
{
    int64_t events = 0, simulated = 0;
    kept_open(out, n);
    struct tr_fleet *f = tr_fleet_new(cfg, kept_sink, out);
    for (int id = 0; id < n; id++) {
        struct tr_fleet_request q = request(id, id * MS);
        q.engine.tenant = id % cfg->workload[0].n_tenants;
        q.session = sessions > 0 ? id % sessions : -1;
        simulated += tr_fleet_send(f, &q, &events);
    }
    tr_fleet_advance(f, TR_TIME_NEVER);
    assert_int_equal(tr_fleet_waiting(f), 0);
    assert_int_equal(out->n, simulated);
    assert_int_equal(out->twice, 0);
    struct tr_fleet_stats s = tr_fleet_stats(f, n * MS);
    tr_fleet_free(f);
    return s;
}

static void count_pods(const struct kept *k, int *count, int n_pods)
{
    memset(count, 0, (size_t)n_pods * sizeof *count);
    for (int64_t i = 0; i < k->cap; i++) {
        assert_in_range(k->record[i].pod, 0, n_pods - 1);
        count[k->record[i].pod]++;
    }
}

/* Chi-square of `count` against equal shares, in standard deviations from its mean. */
static double unevenness(const int *count, int n, int total)
{
    double expected = (double)total / n, chi2 = 0;
    for (int i = 0; i < n; i++)
        chi2 += (count[i] - expected) * (count[i] - expected) / expected;
    return (chi2 - (n - 1)) / sqrt(2.0 * (n - 1));
}

/* ---- divided MIG ----------------------------------------------------------------------------- */

/* Two instances with two pods each and a ring in each: tenant t has pod t. Long answers of the
 * tenants in `busy` (one bit each), 1 ms apart. */
static void run_divided(unsigned busy, struct kept *out)
{
    struct tr_fleet_config cfg = config(1, 2, 2, TR_ROUTE_TENANT);
    int64_t events = 0;
    cfg.workload[0].n_tenants = 4;
    kept_open(out, 8);
    struct tr_fleet *f = tr_fleet_new(&cfg, kept_sink, out);
    for (int id = 0; id < 8; id++) {
        struct tr_fleet_request q = request(id, id * MS);
        q.engine.tenant = id % 4;
        q.engine.output_tok = 480;
        if ((busy >> id % 4 & 1) != 0)
            tr_fleet_send(f, &q, &events);
    }
    tr_fleet_advance(f, TR_TIME_NEVER);
    tr_fleet_free(f);
}

/* An instance's pods take turns with each other and with nobody else. */
static void instances_that_are_divided_do_not_couple(void **state)
{
    (void)state;
    struct kept all, first, one;
    run_divided(0xf, &all);
    run_divided(0x3, &first);
    run_divided(0x1, &one);
    assert_true(all.n == 8 && first.n == 4 && one.n == 2);
    for (int id = 0; id < 8; id++)
        if (id % 4 < 2) {
            assert_int_equal(all.record[id].pod, id % 4);
            assert_int_equal(all.record[id].first_token_ns, first.record[id].first_token_ns);
            assert_int_equal(all.record[id].last_token_ns, first.record[id].last_token_ns);
        }
    /* Two that always work have q / (q + c) / 2 of the instance each. */
    double slower = (double)tr_record_metric(&first.record[0], TR_TPOT) /
                    (double)tr_record_metric(&one.record[0], TR_TPOT);
    assert_true(fabs(slower / (2 * (1.024 + 0.113) / 1.024) - 1) < 0.04);
    free(all.record);
    free(first.record);
    free(one.record);
}

/* ---- routers --------------------------------------------------------------------------------- */

static void random_is_even_over_all_pods_of_all_parts(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(5, 1, 2, TR_ROUTE_RANDOM);
    struct kept k;
    int count[15];
    struct tr_fleet_stats s = run(&cfg, 15000, 0, &k);
    count_pods(&k, count, 15);
    assert_int_equal(s.pods, 15);
    assert_true(fabs(unevenness(count, 15, 15000)) < 4);
    free(k.record);
}

static void round_robin_takes_each_in_turn(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(2, 1, 2, TR_ROUTE_ROUND_ROBIN);
    struct kept k;
    run(&cfg, 100, 0, &k);
    for (int i = 0; i < 100; i++)
        assert_int_equal(k.record[i].pod, i % 6);
    free(k.record);
}

/* Long requests occupy their pods; short ones go wherever fewest are, the lowest number first. */
static void least_requests_looks_at_what_is_there_now(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(2, 2, 0, TR_ROUTE_LEAST_REQUESTS);
    static const struct {
        int64_t at_ms;
        int32_t output;
        int pod;
    } step[] = {
        {0, 400, 0}, {0, 1, 1},    {0, 400, 2},  {0, 1, 3},
        {0, 400, 0}, {1000, 1, 0}, {1000, 1, 1}, {1000, 1, 2},
    };
    int64_t events = 0;
    struct kept k;
    kept_open(&k, 16);
    cfg.simulated_gpus = 1; /* ignored: it needs to see them all */
    struct tr_fleet *f = tr_fleet_new(&cfg, kept_sink, &k);
    for (size_t i = 0; i < TR_LEN(step); i++) {
        struct tr_fleet_request q = request((int64_t)i, step[i].at_ms * MS);
        q.engine.output_tok = step[i].output;
        assert_true(tr_fleet_send(f, &q, &events));
    }
    /* While two long ones run, the next go past them. */
    for (int64_t i = 8; i < 12; i++) {
        struct tr_fleet_request q = request(i, 2000 * MS + (i - 8) * 12 * MS);
        q.engine.output_tok = i < 10 ? 450 : 1;
        assert_true(tr_fleet_send(f, &q, &events));
    }
    tr_fleet_advance(f, TR_TIME_NEVER);
    assert_int_equal(k.n, 12);
    for (size_t i = 0; i < TR_LEN(step); i++)
        assert_int_equal(k.record[i].pod, step[i].pod);
    static const int then[] = {0, 1, 2, 2};
    for (int i = 0; i < 4; i++)
        assert_int_equal(k.record[8 + i].pod, then[i]);
    assert_true(events > 0);
    tr_fleet_free(f);
    free(k.record);
}

static void a_session_stays_on_its_pod(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(8, 1, 0, TR_ROUTE_SESSION);
    struct kept k;
    int count[8], of_session[300];
    run(&cfg, 3000, 300, &k);
    for (int i = 0; i < 3000; i++) {
        if (i < 300)
            of_session[i] = k.record[i].pod;
        assert_int_equal(k.record[i].pod, of_session[i % 300]);
    }
    count_pods(&k, count, 8);
    for (int i = 0; i < 8; i++)
        count[i] /= 10;
    assert_true(fabs(unevenness(count, 8, 300)) < 4);
    free(k.record);
    run(&cfg, 8000, 0, &k); /* none: at random */
    count_pods(&k, count, 8);
    assert_true(fabs(unevenness(count, 8, 8000)) < 4);
    free(k.record);
}

static void a_tenant_has_pods_of_its_own(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(2, 5, 0, TR_ROUTE_TENANT);
    struct kept k;
    int count[10];
    cfg.workload[0].n_tenants = 4;
    run(&cfg, 12000, 0, &k);
    for (int i = 0; i < 12000; i++)
        assert_int_equal(k.record[i].pod % 4, i % 4);
    count_pods(&k, count, 10);
    for (int tenant = 0; tenant < 4; tenant++) {
        int own[3], n = 0;
        for (int pod = tenant; pod < 10; pod += 4)
            own[n++] = count[pod];
        assert_int_equal(n, tenant < 2 ? 3 : 2);
        assert_true(fabs(unevenness(own, n, 3000)) < 4);
    }
    free(k.record);
    cfg.workload[0].n_tenants = 25; /* more than pods: they double up */
    run(&cfg, 500, 0, &k);
    for (int i = 0; i < 500; i++)
        assert_int_equal(k.record[i].pod, i % 25 % 10);
    free(k.record);
}

static void another_seed_draws_other_pods(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(4, 1, 0, TR_ROUTE_RANDOM);
    struct kept a, b;
    int same = 0;
    run(&cfg, 1000, 0, &a);
    cfg.seed = 43;
    run(&cfg, 1000, 0, &b);
    for (int i = 0; i < 1000; i++)
        same += a.record[i].pod == b.record[i].pod;
    assert_in_range(same, 150, 350);
    free(a.record);
    free(b.record);
}

/* ---- a sample of the GPUs -------------------------------------------------------------------- */

static void a_sample_is_the_first_gpus_of_the_whole(void **state)
{
    (void)state;
    static const enum tr_router routers[] = {TR_ROUTE_RANDOM, TR_ROUTE_ROUND_ROBIN,
                                             TR_ROUTE_SESSION, TR_ROUTE_TENANT};
    for (size_t r = 0; r < TR_LEN(routers); r++) {
        struct tr_fleet_config cfg = config(10, 1, 2, routers[r]);
        struct kept all, some;
        cfg.workload[0].n_tenants = 7;
        run(&cfg, 3000, 500, &all);
        cfg.simulated_gpus = 3;
        struct tr_fleet_stats s = run(&cfg, 3000, 500, &some);
        assert_int_equal(s.simulated_pods, 9);
        assert_int_equal(s.pods, 30);
        assert_in_range(some.n, 600, 1200);
        for (int i = 0; i < 3000; i++) {
            if (all.record[i].pod >= 9)
                all.record[i] = (struct tr_record){.id = -1};
            assert_int_equal(all.record[i].pod, some.record[i].pod);
        }
        assert_int_equal(kept_differ(&all, &some), -1);
        free(all.record);
        free(some.record);
    }
}

/* ---- counters -------------------------------------------------------------------------------- */

static void counters_add_up(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(3, 2, 0, TR_ROUTE_ROUND_ROBIN);
    struct kept k;
    struct tr_fleet_stats s = run(&cfg, 600, 0, &k);
    assert_int_equal(s.prefill_tok, 600 * 20);
    assert_int_equal(s.decode_tok, 600);
    assert_int_equal(s.preemptions, 0);
    assert_true(s.busy_fraction > 0 && s.busy_fraction < 1);
    assert_true(fabs(s.busy_fraction - (double)s.busy_ns / (3 * 600.0 * MS)) < 1e-9);
    assert_true(s.kv_mean > 0 && s.kv_mean < s.kv_max && s.kv_max <= 1);
    free(k.record);
}

struct order {
    int64_t last_ns, arrivals, events;
};

static void in_order(void *arg, const struct tr_trace_event *ev)
{
    struct order *o = arg;
    assert_true(ev->time_ns >= o->last_ns);
    o->last_ns = ev->time_ns;
    o->arrivals += strcmp(ev->what, "arrive") == 0;
    o->events++;
}

/* Between two arrivals each device tells its own events in order; no device runs ahead of them. */
static void a_trace_begins_each_request_with_its_arrival(void **state)
{
    (void)state;
    struct tr_fleet_config cfg = config(1, 3, 0, TR_ROUTE_RANDOM);
    struct order o = {0};
    struct kept k;
    int64_t events = 0;
    kept_open(&k, 50);
    struct tr_fleet *f = tr_fleet_new(&cfg, kept_sink, &k);
    tr_fleet_trace(f, in_order, &o);
    for (int id = 0; id < 50; id++) {
        struct tr_fleet_request q = request(id, id * MS / 3);
        tr_fleet_send(f, &q, &events);
    }
    tr_fleet_advance(f, TR_TIME_NEVER);
    assert_int_equal(o.arrivals, 50);
    assert_true(o.events > 4 * 50);
    tr_fleet_free(f);
    free(k.record);
}

/* Pods that come, go, and gain and lose requests: always the one that a look at all would find. */
static void the_least_loaded_is_what_a_scan_finds(void **state)
{
    (void)state;
    struct draw d = {.seed = 3};
    struct tr_least least = {0};
    int32_t load[90];
    int n = 0;
    for (int i = 0; i < 5000; i++) {
        if (n < 90 && i % 50 == 0) {
            tr_least_grow(&least, n + 1);
            load[n++] = TR_LEAST_NEVER;
        }
        int pod = (int)between(&d, 0, n - 1), best = 0;
        load[pod] = between(&d, 0, 9) == 0 ? TR_LEAST_NEVER : (int32_t)between(&d, 0, 6);
        tr_least_set(&least, pod, load[pod]);
        for (int p = 1; p < n; p++)
            best = load[p] < load[best] ? p : best;
        assert_int_equal(tr_least_pick(&least), best);
    }
    free(least.min);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instances_that_are_divided_do_not_couple),
        cmocka_unit_test(random_is_even_over_all_pods_of_all_parts),
        cmocka_unit_test(round_robin_takes_each_in_turn),
        cmocka_unit_test(least_requests_looks_at_what_is_there_now),
        cmocka_unit_test(a_session_stays_on_its_pod),
        cmocka_unit_test(a_tenant_has_pods_of_its_own),
        cmocka_unit_test(another_seed_draws_other_pods),
        cmocka_unit_test(a_sample_is_the_first_gpus_of_the_whole),
        cmocka_unit_test(counters_add_up),
        cmocka_unit_test(a_trace_begins_each_request_with_its_arrival),
        cmocka_unit_test(the_least_loaded_is_what_a_scan_finds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
