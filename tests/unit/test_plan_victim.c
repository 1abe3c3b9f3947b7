/* Tests of what a neighbour does to a pod: by hand for two servers, and arrangement by arrangement
 * in a plan with tenants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "plan/pools.h"
#include "plan_fixture.h"

#define MS TR_NS_PER_MS

static struct tr_arena arena;

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- by hand --------------------------------------------------------------------------------- */

static const struct tr_slo within_12_ms = {.n = 1, .objective = {{TR_TTFT, 0.95, 12 * MS}}};

static struct tr_source *one_item_each(void)
{
    struct tr_knot knot = {.rate = 1};
    struct tr_traffic_spec spec;
    struct tr_source *src;
    struct tr_err err = {0};
    tr_traffic_spec_init(&spec);
    spec.process = TR_POISSON;
    spec.knots = &knot;
    spec.n_knots = 1;
    spec.duration_ns = TR_NS_PER_S;
    spec.prompt = spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 1};
    assert_int_equal(tr_source_open(&spec, 1, &src, NULL, &err), 0);
    return src;
}

/* Servers that take 2.5 ms an item, one at a time. */
static struct tr_device_config servers(int pods, enum tr_sharing sharing)
{
    struct tr_server server = {
        .gpu = &a100_pcie, .batch_ns = 2 * MS, .item_ns = MS / 2, .max_batch = 1};
    struct tr_share_hw hw = share_whole(&a100_pcie);
    struct tr_steptime *st = TR_ARENA_NEW(&arena, struct tr_steptime, 1);
    tr_steptime_server(st, &arena, &hw, &server);
    return (struct tr_device_config){.engine = tr_engine_server(st),
                                     .n_pods = pods,
                                     .sharing = sharing,
                                     .quantum_ps = INT64_C(1000000000)};
}

static struct tr_victim_answer ask(const struct tr_victim_setup *setup, enum tr_neighbour state)
{
    struct tr_victim_answer a;
    struct tr_err err = {0};
    if (tr_victim_run(setup, state, &a, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(a.requests > 900);
    assert_true(a.lost == 0);
    return a;
}

static struct tr_victim_setup setup_of(struct tr_device_config device, bool one_engine,
                                       const struct tr_source *like)
{
    struct tr_victim_setup s = {.device = device,
                                .n = one_engine ? 2 : device.n_pods,
                                .slo = &within_12_ms,
                                .requests = 1000,
                                .most = 1000000,
                                .seed = 3};
    s.source[0] = (struct tr_victim_source){0, like, 1, 2, 0};
    for (int i = 1; i < s.n; i++)
        s.source[i] = (struct tr_victim_source){one_engine ? 0 : i, like, 20, 200, 1};
    return s;
}

/* Alone 5 ms of API and 2.5 ms of work. Beside a neighbour that never rests the work takes turns of
 * 1 ms: two of the neighbour's at the least lie between its own three, and up to one before. */
static void time_sliced_neighbours_take_turns(void **state)
{
    (void)state;
    struct tr_source *like = one_item_each();
    struct tr_victim_setup s = setup_of(servers(2, TR_TIMESLICE), false, like);
    struct tr_victim_answer idle = ask(&s, TR_NEIGHBOUR_IDLE);
    struct tr_victim_answer bursts = ask(&s, TR_NEIGHBOUR_BURSTS);
    struct tr_victim_answer full = ask(&s, TR_NEIGHBOUR_SATURATES);
    assert_in_range(idle.p50_ns, 7450000, 7550000);
    assert_in_range(idle.p95_ns, 7450000, 7550000);
    assert_in_range(full.p50_ns, 9000000, 10550000);
    assert_in_range(full.p95_ns, full.p50_ns, 10600000);
    assert_in_range(bursts.p95_ns, idle.p95_ns + 1, full.p95_ns);
    assert_true(idle.inside == 1 && full.inside > 0.99);
    tr_source_close(like);
}

/* Under MPS each of two that want all of the card has half of it. */
static void overlapping_neighbours_halve_each_other(void **state)
{
    (void)state;
    struct tr_source *like = one_item_each();
    struct tr_victim_setup s = setup_of(servers(2, TR_MPS), false, like);
    struct tr_victim_answer full = ask(&s, TR_NEIGHBOUR_SATURATES);
    assert_in_range(full.p50_ns, 9900000, 10100000);
    tr_source_close(like);
}

/* In one queue the victim waits for those ahead of it, 64 to 128 and the one served, unless it goes
 * first: then for half of that one. */
static void one_queue_makes_it_wait_unless_it_goes_first(void **state)
{
    (void)state;
    struct tr_source *like = one_item_each();
    struct tr_victim_setup s = setup_of(servers(1, TR_SOLO), true, like);
    struct tr_victim_answer full = ask(&s, TR_NEIGHBOUR_SATURATES);
    assert_true(full.p50_ns > 64 * 5 * MS / 2);
    assert_true(full.inside == 0);
    s.device.engine.priority = true;
    full = ask(&s, TR_NEIGHBOUR_SATURATES);
    assert_in_range(full.p50_ns, 8500000, 9000000);
    assert_in_range(full.p95_ns, 9800000, 10100000);
    tr_source_close(like);
}

/* ---- in a plan ------------------------------------------------------------------------------- */

static const struct tr_victim *row(const struct tr_plan *plan, const char *name, bool priority)
{
    const struct tr_candidate *c = of(plan, name);
    for (int i = 0; i < plan->n_victims; i++)
        if (&plan->candidates[plan->victims[i].candidate] == c &&
            plan->victims[i].priority == priority)
            return &plan->victims[i];
    fail_msg("no row of %s", name);
    abort();
}

static int64_t p95(const struct tr_victim *v, enum tr_neighbour state)
{
    assert_true(v->at[state].requests > 50);
    return v->at[state].p95_ns;
}

/* Four tenants with pods of their own: a pod whose neighbours idle has the card to itself, one
 * whose neighbours are full waits for three others, instances do not notice each other. */
static void arrangements_keep_neighbours_apart_or_not(void **state)
{
    (void)state;
    struct recipe r = {.model = "llama-3.2-1b",
                       .compare = "[whole, timeslice:4, mig:1g.20gb*4, mig:3g.40gb*2/timeslice:2]",
                       .workload = "    tenants: {count: 4, pods: own}\n"};
    struct tr_plan *plan = plan_of(&r);
    const struct tr_victim *whole = row(plan, "whole bf16", false);
    const struct tr_victim *four = row(plan, "timeslice:4 bf16", false);
    const struct tr_victim *mig = row(plan, "mig:1g.20gb*4 bf16", false);
    const struct tr_victim *divided = row(plan, "mig:3g.40gb*2/timeslice:2 bf16", false);
    const struct tr_victim *fcfs = row(plan, "one-engine bf16", false);
    const struct tr_victim *first = row(plan, "one-engine bf16", true);
    assert_false(whole->coupled || mig->coupled);
    assert_true(four->coupled && divided->coupled);
    for (int k = 0; k < TR_N_NEIGHBOURS; k++) {
        assert_int_equal(p95(whole, (enum tr_neighbour)k), p95(whole, TR_NEIGHBOUR_IDLE));
        assert_int_equal(p95(mig, (enum tr_neighbour)k), p95(mig, TR_NEIGHBOUR_IDLE));
    }
    assert_true(whole->rate == four->rate);
    assert_int_equal(p95(four, TR_NEIGHBOUR_IDLE), p95(whole, TR_NEIGHBOUR_IDLE));
    assert_true(p95(four, TR_NEIGHBOUR_BURSTS) > p95(four, TR_NEIGHBOUR_IDLE));
    assert_true(p95(four, TR_NEIGHBOUR_SATURATES) > 3 * p95(four, TR_NEIGHBOUR_IDLE));
    assert_true(p95(divided, TR_NEIGHBOUR_SATURATES) > 3 * p95(divided, TR_NEIGHBOUR_IDLE) / 2);
    assert_true(p95(fcfs, TR_NEIGHBOUR_SATURATES) > 5 * p95(first, TR_NEIGHBOUR_SATURATES));
    assert_int_equal(p95(fcfs, TR_NEIGHBOUR_IDLE), p95(first, TR_NEIGHBOUR_IDLE));
    plan_free(plan);
}

/* Tenants that share pods are each other's neighbours in the engine of a whole card. Without
 * tenants there is no table. */
static void tenants_of_common_pods_share_an_engine(void **state)
{
    (void)state;
    struct recipe r = {.compare = "[whole]", .model = "llama-3.2-1b"};
    struct tr_plan *plan = plan_of(&r);
    assert_int_equal(plan->n_victims, 0);
    plan_free(plan);
    r.workload = "    tenants: {count: 2}\n";
    plan = plan_of(&r);
    assert_int_equal(plan->n_victims, 2);
    assert_true(row(plan, "whole bf16", false)->one_engine);
    assert_true(p95(row(plan, "whole bf16", false), TR_NEIGHBOUR_SATURATES) >
                5 * p95(row(plan, "whole bf16", true), TR_NEIGHBOUR_SATURATES));
    plan_free(plan);
}

/* Two workloads on one card: each is the victim of the other. */
static void workloads_of_a_shared_pool_are_neighbours(void **state)
{
    (void)state;
    static const char text[] =
        "name: two\ncluster: {node: " A100 ", nodes: {min: 1, max: 4}}\nworkloads:\n"
        "  - name: chat\n    model: llama-3.2-1b\n    engine: {max_model_len: 2048}\n"
        "    traffic: {rate: 1/s, duration: 2m, prompt_tokens: 400, output_tokens: 100}\n"
        "    slo: {ttft_p95: 500ms}\n"
        "  - name: embed\n    server: bert-base-384\n"
        "    traffic: {rate: 2/s, duration: 2m, items: 8}\n    slo: {e2e_p95: 200ms}\n"
        "compare: [whole, timeslice:2]\n";
    struct tr_scenario *s = NULL;
    struct tr_plan *plan = NULL;
    struct tr_err err = {0};
    if (tr_scenario_parse("two.yaml", text, strlen(text), NULL, &s, &err) != 0 ||
        tr_plan_run(s, &(struct tr_plan_opts){.quick = true, .jobs = 2}, &plan, &err) != 0)
        fail_msg("%s", err.text);
    const struct tr_pools *p = plan->pools;
    assert_int_equal(p->answer.best[0].n, 1);
    assert_int_equal(p->n_victims, 2);
    for (int i = 0; i < 2; i++) {
        const struct tr_victim_answer *at = p->victims[i].at;
        assert_int_equal(p->victims[i].workload, i);
        assert_true(p->victims[i].coupled);
        assert_true(at[TR_NEIGHBOUR_SATURATES].p50_ns > 3 * at[TR_NEIGHBOUR_IDLE].p50_ns / 2);
        assert_true(at[TR_NEIGHBOUR_BURSTS].p50_ns < at[TR_NEIGHBOUR_SATURATES].p50_ns);
    }
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_sliced_neighbours_take_turns),
        cmocka_unit_test(overlapping_neighbours_halve_each_other),
        cmocka_unit_test(one_queue_makes_it_wait_unless_it_goes_first),
        cmocka_unit_test(arrangements_keep_neighbours_apart_or_not),
        cmocka_unit_test(tenants_of_common_pods_share_an_engine),
        cmocka_unit_test(workloads_of_a_shared_pool_are_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
