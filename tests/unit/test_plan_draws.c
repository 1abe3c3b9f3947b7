/* plan: paired draws of constants and traffic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

#define BUSY "{rate: 60/s, duration: 150s, prompt_tokens: 1200, output_tokens: 100}"

static struct tr_plan *drawn(const struct recipe *r, int draws)
{
    return plan_with(r, &(struct tr_plan_opts){.quick = true, .jobs = 2, .draws = draws});
}

/* Of two that differ in nothing but SMs the one with fewer never wins, while draws move the fleets
 * of both by more than lies between them. */
static void draws_are_paired(void **state)
{
    struct recipe r = {.compare = "[whole, mig:7g.80gb]", .traffic = BUSY};
    struct tr_plan *plan = drawn(&r, 10);
    const struct tr_finalist *pick = &plan->finalists[0], *x = &plan->finalists[1];
    bool differ = false;
    (void)state;
    assert_int_equal(plan->n_finalists, 2);
    assert_int_equal(plan->n_draws, 10);
    assert_string_equal(ranked_text(plan, pick->candidate), "whole bf16");
    assert_int_equal(x->cheaper, 0);
    assert_int_equal(x->cheaper + x->ties + x->dearer, 10);
    assert_int_equal(pick->ties, 10);
    for (int i = 0; i < 10; i++) {
        assert_true(x->nodes[i] >= pick->nodes[i] && pick->nodes[i] > 0);
        differ = differ || pick->nodes[i] != pick->nodes[0];
    }
    assert_true(differ);
    assert_true(pick->nodes_p10 < pick->nodes_p90);
    plan_free(plan);
}

/* Nodes of one and of two of the same card: what moves the card moves both, so that half as many of
 * the larger nodes do in every draw, to the node. */
static void a_draw_moves_all_on_a_gpu_alike(void **state)
{
    struct recipe r = {.node = "[" A100 ", azure/Standard_NC48ads_A100_v4]",
                       .compare = "[whole]",
                       .traffic = BUSY};
    struct tr_plan *plan = drawn(&r, 10);
    const struct tr_finalist *one = &plan->finalists[0], *two = &plan->finalists[1];
    (void)state;
    assert_int_equal(plan->n_finalists, 2);
    if (plan->candidates[one->candidate].node->gpus == 2)
        two = &plan->finalists[0], one = &plan->finalists[1];
    for (int i = 0; i < 10; i++)
        assert_int_equal(two->nodes[i], (one->nodes[i] + 1) / 2);
    plan_free(plan);
}

/* Wider errors, wider intervals: an estimated GPU against a measured one at the same number. */
static int width(const char *node)
{
    struct recipe r = {.node = node,
                       .compare = "[whole]",
                       .traffic = BUSY,
                       .slo = "{ttft_p95: 1s}",
                       .nodes = "{max: 400}"};
    struct tr_plan *plan = drawn(&r, 10);
    const struct tr_finalist *x = &plan->finalists[0];
    int per_cent = 100 * (x->nodes_p90 - x->nodes_p10) / plan->candidates[plan->pick].nodes;
    assert_true(x->nodes_p10 > 0 && x->nodes_p90 > 0);
    plan_free(plan);
    return per_cent;
}

static void an_estimated_gpu_is_less_sure(void **state)
{
    (void)state;
    assert_true(width("aws/g6.xlarge") > width(A100));
}

static void dear_candidates_are_no_finalists(void **state)
{
    struct recipe r = {.model = "llama-3.2-1b", .compare = "[whole, timeslice:2, timeslice:4]"};
    (void)state;
    r.workload = "    tenants: {count: 4, pods: own}\n";
    struct tr_plan *plan = drawn(&r, 2);
    assert_int_equal(plan->n_finalists, 2); /* the others need twice and four times the nodes */
    assert_string_equal(ranked_text(plan, plan->finalists[0].candidate), "timeslice:4 bf16");
    assert_string_equal(ranked_text(plan, plan->finalists[1].candidate), "one-engine bf16");
    assert_int_equal(plan->finalists[1].ties, 2);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_paired),
        cmocka_unit_test(a_draw_moves_all_on_a_gpu_alike),
        cmocka_unit_test(an_estimated_gpu_is_less_sure),
        cmocka_unit_test(dear_candidates_are_no_finalists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
