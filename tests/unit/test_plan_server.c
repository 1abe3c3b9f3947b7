/* plan: a simple GPU server in place of a model, against arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

#define GIB (INT64_C(1) << 30)

/* 10 ms an item, one at a time: a queue with one server and constant service. */
static struct tr_server one_by_one = {.name = "embedder",
                                      .item = "text",
                                      .item_ns = 10 * TR_NS_PER_MS,
                                      .max_batch = 1,
                                      .mem_bytes = 12 * GIB,
                                      .source = "made up"};

static struct tr_plan *plan_of_server(const char *compare, const char *slo)
{
    struct recipe r = {.compare = compare,
                       .slo = slo,
                       .traffic =
                           "{rate: 20/s, duration: 10m, prompt_tokens: 1, output_tokens: 1}"};
    struct tr_scenario *s = scenario_of(&r);
    struct tr_plan *plan;
    struct tr_err err = {0};
    one_by_one.gpu = s->nodes[0]->gpu;
    s->workload.server = &one_by_one;
    s->workload.model = NULL;
    if (tr_plan_run(s, &(struct tr_plan_opts){.quick = true, .jobs = 2}, &plan, &err) != 0)
        fail_msg("%s", err.text);
    return plan;
}

static void gates_are_those_of_its_time_and_memory(void **state)
{
    (void)state;
    struct tr_plan *plan =
        plan_of_server("[whole, timeslice:8, 'mig:1g.10gb*7', 'mig:2g.20gb*3']", "{e2e_p95: 50ms}");
    assert_int_equal(of(plan, "whole bf16")->nodes, 1);
    assert_near(of(plan, "whole bf16")->ceiling.lowest, 100, 1e-9);
    assert_string_equal(of(plan, "timeslice:8 bf16")->why,
                        "memory 12.00 GiB x 8 pods = 96.0 GiB > 79.25 GiB");
    assert_string_equal(of(plan, "mig:1g.10gb*7 bf16")->why,
                        "memory 12.00 GiB x 1 pod = 12.0 GiB > 9.62 GiB");
    /* 10 ms x 108 / 28 SMs and 5 ms of API. */
    assert_near((double)of(plan, "mig:2g.20gb*3 bf16")->unloaded_ttft_ns[0], 43.57e6, 0.001);
    assert_int_equal(of(plan, "mig:2g.20gb*3 bf16")->gate, TR_GATE_OK);
    assert_string_equal(ranked_text(plan, plan->pick), "whole bf16");
    plan_free(plan);
}

/* P(W <= t) of M/D/1 (Erlang 1909). */
static double md1_below(double rate, double service_s, double t_s)
{
    double rho = rate * service_s, sum = 0;
    for (int k = 0; k <= (int)(t_s / service_s); k++) {
        double x = rate * (k * service_s - t_s), term = 1;
        for (int i = 1; i <= k; i++)
            term *= x / i;
        sum += term * exp(-x);
    }
    return (1 - rho) * sum;
}

static void capacity_is_that_of_a_queue_with_constant_service(void **state)
{
    double lo = 1, hi = 99;
    (void)state;
    while (hi - lo > 0.01) {
        double mid = (lo + hi) / 2;
        if (md1_below(mid, 0.010, 0.035) >= 0.95)
            lo = mid;
        else
            hi = mid;
    }
    struct tr_plan *plan = plan_of_server("[whole]", "{e2e_p95: 50ms}");
    assert_near(of(plan, "whole bf16")->capacity_rps, lo, 0.08);
    plan_free(plan);
}

static void what_no_share_is_fast_enough_for_is_said_in_items(void **state)
{
    (void)state;
    struct tr_plan *plan = plan_of_server("[whole]", "{e2e_p95: 12ms}");
    assert_contains(of(plan, "whole bf16")->why,
                    "the mean request of 1 item takes 15 ms, the p95 request of 1 15 ms");
    assert_int_equal(plan->pick, -1);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates_are_those_of_its_time_and_memory),
        cmocka_unit_test(capacity_is_that_of_a_queue_with_constant_service),
        cmocka_unit_test(what_no_share_is_fast_enough_for_is_said_in_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
