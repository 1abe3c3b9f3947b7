/* Tests of several workloads in one run: their streams merged, each sent to its own pods and held
 * to its own objectives. */
#include "sim/sim.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "num/num.h"

#define MS TR_NS_PER_MS
#define S  TR_NS_PER_S

static struct tr_arena arena;
static struct tr_steptime table[2]; /* synchronous, asynchronous */

static int setup(void **state)
{
    (void)state;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    for (int async = 0; async < 2; async++)
        tr_steptime_init(&table[async], &arena, &hw, &tiny, &bf16, 512, 16, async, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- traffic --------------------------------------------------------------------------------- */

/* Poisson for half a minute; with sessions and a system prompt where `turns` is not 0. */
static struct tr_source *open_source(double rate, double turns, uint64_t seed)
{
    struct tr_knot knot = {.rate = rate};
    struct tr_traffic_spec spec;
    struct tr_source *src;
    struct tr_err err = {0};
    tr_traffic_spec_init(&spec);
    spec.process = TR_POISSON;
    spec.knots = &knot;
    spec.n_knots = 1;
    spec.duration_ns = 30 * S;
    spec.prompt = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 80, 0.8, 1, 200};
    spec.output = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 60, 0.8, 1, 200};
    if (turns > 0) {
        spec.system_tok = 20;
        spec.sessions.turns = turns;
        spec.sessions.think_ns = S;
        spec.sessions.think_cv = 1;
        spec.sessions.message = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 5};
    }
    if (tr_source_open(&spec, seed, &src, NULL, &err) < 0)
        fail_msg("%s", err.text);
    return src;
}

static struct tr_source *merged(double rate, double turns)
{
    struct tr_source *parts[] = {open_source(rate, turns, 1), open_source(2 * rate, turns, 2),
                                 open_source(rate, turns, 1)};
    return tr_source_merge(parts, 3);
}

static void same_request(const struct tr_arrival *a, const struct tr_arrival *b)
{
    assert_int_equal(a->time_ns, b->time_ns);
    assert_int_equal(a->prompt_tok, b->prompt_tok);
    assert_int_equal(a->output_tok, b->output_tok);
    assert_int_equal(a->tenant, b->tenant);
    assert_int_equal(a->session, b->session);
    assert_int_equal(a->chain.n, b->chain.n);
}

/* Every workload's requests in their order; of two at the same time the first workload's. */
static void a_merged_stream_is_its_parts_by_time(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        struct tr_source *src = merged(20, 3), *copy;
        struct tr_source *part[] = {open_source(20, 3, 1), open_source(40, 3, 2),
                                    open_source(20, 3, 1)};
        struct tr_arrival a, b, last = {.time_ns = -1};
        int64_t n[3] = {0};
        if (keep)
            tr_source_keep(src, 100000);
        copy = tr_source_clone(src);
        assert_int_equal(tr_source_span_ns(src), 30 * S);
        while (tr_source_next(src, &a)) {
            assert_int_equal(tr_source_next(part[a.workload], &b), 1);
            same_request(&a, &b);
            if (a.workload == 0)
                assert_int_equal(a.chain.own[0].key, b.chain.own[0].key);
            assert_true(a.time_ns > last.time_ns ||
                        (a.time_ns == last.time_ns && a.workload >= last.workload));
            last = a;
            n[a.workload]++;
        }
        for (int w = 0; w < 3; w++) {
            assert_int_equal(tr_source_next(part[w], &b), 0);
            assert_true(n[w] > 300);
            tr_source_close(part[w]);
        }
        tr_source_rewind(src);
        for (int64_t i = 0; i < n[0] + n[1] + n[2]; i++) {
            assert_int_equal(tr_source_next(src, &a), 1);
            assert_int_equal(tr_source_next(copy, &b), 1);
            same_request(&a, &b);
            assert_int_equal(a.workload, b.workload);
            assert_int_equal(a.chain.own[1].key, b.chain.own[1].key);
        }
        tr_source_close(src);
        tr_source_close(copy);
    }
}

/* Workloads 0 and 2 have the same seed, and so the same requests at the same times. */
static void prompts_of_two_workloads_share_nothing(void **state)
{
    (void)state;
    struct tr_source *src = merged(20, 3);
    struct tr_arrival a, b;
    int pairs = 0;
    while (tr_source_next(src, &a)) {
        if (a.workload != 0)
            continue;
        assert_int_equal(tr_source_next(src, &b), 1);
        same_request(&a, &b);
        assert_int_equal(b.workload, 2);
        assert_int_equal(a.chain.n, 2);
        for (int i = 0; i < 2; i++)
            assert_true(a.chain.own[i].key != b.chain.own[i].key);
        pairs++;
    }
    assert_true(pairs > 300);
    tr_source_close(src);
}

/* ---- fleets ---------------------------------------------------------------------------------- */

/* Two workloads on instances of their own: what each pod serves is a bit of `serves`. */
static struct tr_sim_config config(const struct tr_sim_aim *aims, int first_pods, int second_pods)
{
    struct tr_sim_config cfg = {.fleet = {.gpus = 2, .parts = 2, .n_workloads = 2, .seed = 7},
                                .aims = aims};
    int pods[2] = {first_pods, second_pods};
    for (int p = 0, at = 0; p < 2; p++) {
        cfg.fleet.device[p] = (struct tr_device_config){
            .engine = {.steptime = &table[p],
                       .max_num_batched_tokens = 512,
                       .max_num_seqs = 8,
                       .max_model_len = 512,
                       .num_gpu_blocks = 200,
                       .async = p == 1,
                       .enable_prefix_caching = true},
            .n_pods = pods[p],
            .quantum_ps = INT64_C(1024000000),
            .switch_ps = INT64_C(113000000),
        };
        for (int i = 0; i < pods[p]; i++)
            cfg.fleet.serves[at++] = 1U << p;
        cfg.fleet.workload[p] =
            (struct tr_fleet_workload){.router = TR_ROUTE_ROUND_ROBIN, .n_tenants = 1};
    }
    return cfg;
}

static struct tr_sim_result run(const struct tr_sim_config *cfg, struct tr_source *src)
{
    struct tr_sim_result r;
    struct tr_err err = {0};
    if (tr_sim_run(cfg, src, &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static const struct tr_slo fast = {.n = 1, .objective = {{TR_TTFT, 0.95, 100 * MS}}};
static const struct tr_slo never = {.n = 2,
                                    .objective = {{TR_TTFT, 0.50, 100 * MS}, {TR_E2E, 0.95, MS}}};

static void same_outcome(const struct tr_outcome *a, const struct tr_outcome *b)
{
    assert_int_equal(a->offered, b->offered);
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->inside_all, b->inside_all);
    assert_int_equal(a->output_tok, b->output_tok);
    for (int m = 0; m < TR_N_METRICS; m++) {
        assert_int_equal(a->metric[m].min, b->metric[m].min);
        assert_int_equal(a->metric[m].max, b->metric[m].max);
        assert_true(a->metric[m].sum == b->metric[m].sum);
    }
}

/* On instances that do not couple a workload fares as it does without the other, in its own pods.
 */
static void workloads_apart_fare_as_if_alone(void **state)
{
    (void)state;
    struct tr_sim_aim aims[2] = {{.slo = &fast}, {.slo = &fast}};
    struct tr_sim_config cfg = config(aims, 1, 2);
    struct tr_source *both[] = {open_source(30, 0, 3), open_source(90, 0, 4)};
    struct tr_source *src = tr_source_merge(both, 2);
    struct tr_sim_result r = run(&cfg, src);
    assert_int_equal(r.outcome.offered, r.by_workload[0].offered + r.by_workload[1].offered);
    assert_int_equal(r.outcome.inside_all,
                     r.by_workload[0].inside_all + r.by_workload[1].inside_all);
    for (int w = 0; w < 2; w++) {
        struct tr_sim_config lone = cfg;
        struct tr_source *own = open_source(w == 0 ? 30 : 90, 0, w == 0 ? 3 : 4);
        lone.fleet.n_workloads = 0;
        memset(lone.fleet.serves, 0, sizeof lone.fleet.serves);
        lone.fleet.parts = 1;
        lone.fleet.device[0] = cfg.fleet.device[w];
        lone.slo = &fast;
        struct tr_sim_result alone = run(&lone, own);
        assert_null(alone.by_workload);
        same_outcome(&r.by_workload[w], &alone.outcome);
        tr_sim_result_free(&alone);
        tr_source_close(own);
    }
    tr_sim_result_free(&r);
    tr_source_close(src);
}

struct pods {
    uint32_t serves[8];
    int per_gpu, n;
    int64_t first_token[2], priority[2]; /* sums, by workload */
    int64_t of[2];
};

static void look(void *arg, const struct tr_record *r)
{
    struct pods *p = arg;
    assert_true((p->serves[r->pod % p->per_gpu] >> r->workload & 1U) != 0);
    p->first_token[r->workload] += tr_record_metric(r, TR_TTFT);
    p->priority[r->workload] += r->priority;
    p->of[r->workload]++;
    p->n++;
}

/* Whatever the router: a request never goes to a pod that does not serve it. */
static void every_router_keeps_to_the_workloads_pods(void **state)
{
    (void)state;
    static const enum tr_router routers[] = {TR_ROUTE_RANDOM, TR_ROUTE_ROUND_ROBIN,
                                             TR_ROUTE_LEAST_REQUESTS, TR_ROUTE_SESSION,
                                             TR_ROUTE_TENANT};
    static const struct tr_slo none = {.n = 0};
    struct tr_sim_aim aims[2] = {{.slo = &none}, {.slo = &none}};
    for (size_t i = 0; i < TR_LEN(routers); i++) {
        struct tr_sim_config cfg = config(aims, 2, 3);
        struct pods seen = {.per_gpu = 5, .serves = {1, 2, 3, 2, 1}};
        struct tr_source *both[] = {open_source(20, 2, 3), open_source(20, 0, 4)};
        struct tr_source *src = tr_source_merge(both, 2);
        memcpy(cfg.fleet.serves, seen.serves, sizeof seen.serves);
        cfg.fleet.workload[0].router = routers[i];
        cfg.fleet.workload[1].router = routers[(i + 2) % TR_LEN(routers)];
        cfg.on_record = look;
        cfg.on_record_arg = &seen;
        struct tr_sim_result r = run(&cfg, src);
        assert_int_equal(seen.n, r.requests);
        assert_int_equal(seen.of[0], r.by_workload[0].offered);
        assert_true(seen.of[0] > 300 && seen.of[1] > 300);
        tr_sim_result_free(&r);
        tr_source_close(src);
    }
}

/* Pods that serve both, by priority: the workload with the lower number waits less. */
static void a_workload_may_go_first_in_an_engine_of_several(void **state)
{
    (void)state;
    static const struct tr_slo none = {.n = 0};
    struct tr_sim_aim aims[2] = {{.slo = &none}, {.slo = &none}};
    struct tr_sim_config cfg = config(aims, 1, 1);
    struct pods seen = {.per_gpu = 2, .serves = {3, 3}};
    struct tr_source *both[] = {open_source(300, 0, 3), open_source(300, 0, 4)};
    struct tr_source *src = tr_source_merge(both, 2);
    memset(cfg.fleet.serves, 0, sizeof cfg.fleet.serves);
    cfg.fleet.workload[0].priority = 10;
    for (int p = 0; p < 2; p++)
        cfg.fleet.device[p].engine.priority = true;
    cfg.on_record = look;
    cfg.on_record_arg = &seen;
    struct tr_sim_result r = run(&cfg, src);
    assert_int_equal(seen.priority[0], 10 * seen.of[0]);
    assert_int_equal(seen.priority[1], 0);
    assert_true(seen.first_token[0] / seen.of[0] > 3 * (seen.first_token[1] / seen.of[1]));
    tr_sim_result_free(&r);
    tr_source_close(src);
}

/* Requests are held to their own workload's objectives, and one that cannot meet them ends a run
 * that is to decide, whichever it is. */
static void each_workload_has_its_own_objectives(void **state)
{
    (void)state;
    for (int bad = -1; bad < 2; bad++) {
        struct tr_source *both[] = {open_source(60, 0, 3), open_source(60, 0, 4)};
        struct tr_source *src = tr_source_merge(both, 2);
        struct tr_sim_aim aims[2] = {{.slo = bad == 0 ? &never : &fast},
                                     {.slo = bad == 1 ? &never : &fast}};
        struct tr_sim_config cfg = config(aims, 1, 1);
        struct tr_sim_result full = run(&cfg, src);
        for (int w = 0; w < 2; w++) {
            aims[w].expected = full.by_workload[w].offered;
            assert_int_equal(tr_outcome_meets(&full.by_workload[w], aims[w].slo), w != bad);
        }
        assert_int_equal(full.meets, bad < 0);
        cfg.decide = true;
        struct tr_sim_result quick = run(&cfg, src);
        assert_int_equal(quick.meets, full.meets);
        assert_int_equal(quick.outcome.stopped_early, bad >= 0);
        tr_sim_result_free(&full);
        tr_sim_result_free(&quick);
        tr_source_close(src);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merged_stream_is_its_parts_by_time),
        cmocka_unit_test(prompts_of_two_workloads_share_nothing),
        cmocka_unit_test(workloads_apart_fare_as_if_alone),
        cmocka_unit_test(every_router_keeps_to_the_workloads_pods),
        cmocka_unit_test(a_workload_may_go_first_in_an_engine_of_several),
        cmocka_unit_test(each_workload_has_its_own_objectives),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
