/* plan: what would flip the answer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

#define H100 "azure/Standard_NC40ads_H100_v5"

static struct tr_plan *flipped(const struct recipe *r)
{
    return plan_with(r, &(struct tr_plan_opts){.quick = true, .jobs = 2, .flips = true});
}

static const char *node_picked(struct recipe *r, double rate)
{
    static char node[64];
    char traffic[120];
    snprintf(traffic, sizeof traffic,
             "{rate: %.4f/s, duration: 2m, prompt_tokens: 1200, output_tokens: 200}", rate);
    r->traffic = traffic;
    struct tr_plan *plan = plan_of(r);
    snprintf(node, sizeof node, "%s", plan->candidates[plan->pick].node->name);
    plan_free(plan);
    return node;
}

/* One A100 is the cheaper while it carries the traffic, one H100 once that takes two. What is said
 * of the tipping point is what plans of more and of less traffic find. */
static void more_traffic_flips_to_the_larger_card(void **state)
{
    struct recipe r = {.node = "[" A100 ", " H100 "]", .compare = "[whole]"};
    (void)state;
    r.traffic = "{rate: 2/s, duration: 2m, prompt_tokens: 1200, output_tokens: 200}";
    struct tr_plan *plan = flipped(&r);
    const struct tr_flip *rate = &plan->flips[TR_FLIP_RATE];
    assert_string_equal(plan->candidates[plan->pick].node->name, A100);
    assert_true(rate->looked && rate->above.flips && !rate->below.flips);
    assert_string_equal(plan->candidates[rate->above.to].node->name, H100);
    assert_true(rate->above.pick_nodes > rate->above.to_nodes);
    assert_true(rate->least == 1.0 / 16);
    double at = rate->above.at;
    plan_free(plan);
    assert_string_equal(node_picked(&r, 2 * at / 1.25), A100);
    assert_string_equal(node_picked(&r, 2 * at * 1.12), H100);
}

/* 1,200 x 3.25 tokens and 200 of answer are all that max_model_len 4096 admits. */
static void longer_prompts_leave_nothing(void **state)
{
    struct recipe r = {.compare = "[whole, timeslice:2]", .slo = "{ttft_p95: 2s}"};
    (void)state;
    struct tr_plan *plan = flipped(&r);
    const struct tr_flip *prompt = &plan->flips[TR_FLIP_PROMPT];
    assert_true(prompt->above.flips);
    assert_int_equal(prompt->above.to, -1);
    assert_int_equal(prompt->above.pick_nodes, 0);
    assert_true(prompt->above.at > 3.247 && prompt->above.at < 3.247 * 1.06);
    assert_false(prompt->below.flips);
    assert_true(prompt->least == 0.25);
    plan_free(plan);
}

/* Short prompts spare the slices: what a bound refuses today can win then. */
static void shorter_prompts_flip_to_another_kind(void **state)
{
    struct recipe r = {.model = "llama-3.2-1b", .slo = "{ttft_p95: 60ms}"};
    (void)state;
    r.compare = "[whole, mig:1g.10gb*7]";
    r.workload = "    tenants: {count: 7, pods: own}\n";
    r.top = "isolation: performance\n";
    struct tr_plan *plan = flipped(&r);
    const struct tr_flip *prompt = &plan->flips[TR_FLIP_PROMPT];
    assert_string_equal(ranked_text(plan, plan->pick), "whole bf16");
    assert_int_equal(of(plan, "mig:1g.10gb*7 bf16")->gate, TR_GATE_BOUND);
    assert_true(prompt->below.flips);
    assert_string_equal(ranked_text(plan, prompt->below.to), "mig:1g.10gb*7 bf16");
    assert_true(prompt->below.to_nodes < 7);
    assert_int_equal(prompt->below.pick_nodes, 7);
    plan_free(plan);
}

/* ---- closed forms --------------------------------------------------------------------------- */

static void price_and_isolation_need_no_simulation(void **state)
{
    struct recipe r = {.model = "llama-3.2-1b"};
    (void)state;
    r.compare = "[timeslice:4, mig:2g.20gb*3]";
    r.workload = "    tenants: {count: 4, pods: own}\n";
    r.slo = "{ttft_p95: 1s}";
    struct tr_plan *plan = plan_of(&r);
    const struct tr_flip *price = &plan->flips[TR_FLIP_PRICE];
    const struct tr_flip *isolation = &plan->flips[TR_FLIP_ISOLATION];
    assert_string_equal(ranked_text(plan, plan->pick), "timeslice:4 bf16");
    assert_false(plan->flips[TR_FLIP_RATE].looked);
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    const struct tr_candidate *next = &plan->candidates[plan->runner_up];
    double ratio = pick->usd_per_month / next->usd_per_month;
    bool next_wins_ties = next->arrangement.n_pods == 1 && !next->arrangement.one_engine;
    assert_true(price->below.flips && price->below.to == plan->runner_up);
    assert_near(price->below.at, next_wins_ties ? ratio * 1.05 : ratio / 1.05, 1e-9);
    assert_true(isolation->above.flips);
    assert_true(isolation->above.at == TR_ISOLATION_MEMORY);
    assert_string_equal(ranked_text(plan, isolation->above.to), "mig:2g.20gb*3 bf16");
    plan_free(plan);

    r.workload = "    tenants: {count: 4}\n";
    plan = plan_of(&r);
    assert_false(plan->flips[TR_FLIP_ISOLATION].looked);
    assert_contains(plan->flips[TR_FLIP_ISOLATION].why_not, "cannot be kept apart");
    plan_free(plan);
}

/* Eight tenants with one spike each: together it takes more cards than one after another. With
 * one tenant there is nothing to ask. */
static void peaks_apart_need_fewer_cards(void **state)
{
    struct recipe r = {.compare = "[whole, 'mig:7g.80gb']",
                       .slo = "{ttft_p99: 1s}",
                       .workload = "    tenants: {count: 8}\n",
                       .traffic =
                           "{rate: 1/s, duration: 20m, prompt_tokens: 600, output_tokens: 50, "
                           "spikes: [{start: 5m, peak: 40/s, hold: 40s}]}"};
    (void)state;
    struct tr_plan *plan = flipped(&r);
    const struct tr_synchrony *s = &plan->synchrony;
    assert_true(s->looked);
    assert_int_equal(s->candidate[0], plan->pick);
    assert_true(s->nodes[0][0] > 0 && 2 * s->nodes[0][0] <= s->nodes[2][0]);
    assert_int_equal(s->nodes[1][0], s->nodes[2][0]);
    assert_int_equal(s->nodes[2][0], plan->candidates[plan->pick].nodes);
    plan_free(plan);
    r.workload = NULL;
    plan = flipped(&r);
    assert_false(plan->synchrony.looked);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_traffic_flips_to_the_larger_card),
        cmocka_unit_test(longer_prompts_leave_nothing),
        cmocka_unit_test(shorter_prompts_flip_to_another_kind),
        cmocka_unit_test(price_and_isolation_need_no_simulation),
        cmocka_unit_test(peaks_apart_need_fewer_cards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
