/* The verdict on candidates filled in by hand: what is ranked before what, and what is said. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

#define MOST 8

static struct tr_plan plan;
static struct tr_candidate list[MOST];

static void begin(const struct recipe *r)
{
    plan = (struct tr_plan){.scenario = scenario_of(r), .candidates = list, .pick = -1};
    plan.runner_up = -1;
    plan.stats.rate = 1;
    plan.spikes.peak_rate = 2;
}

/* A candidate that carries `capacity` on a GPU and needs so many nodes at so much a month. */
static struct tr_candidate *found(const char *arrangement, int precision, int nodes, double usd,
                                  double capacity)
{
    struct tr_candidate *c = &list[plan.n_candidates++];
    const struct tr_precision *none;
    struct tr_err err = {0};
    *c = (struct tr_candidate){
        .node = plan.scenario->nodes[0],
        .gpu = plan.scenario->nodes[0]->gpu,
        .precision = plan.scenario->workload.precisions[precision],
        .precision_order = precision,
        .nodes = nodes,
        .beyond_max = nodes > plan.scenario->nodes_max,
        .usd_per_month = usd,
        .capacity_rps = capacity,
    };
    if (tr_arrangement_parse(arrangement, c->gpu, plan.scenario->catalog, &c->arrangement, &none,
                             &err))
        fail_msg("%s", err.text);
    c->hw[0] = tr_share_hw_of(c->gpu, &c->arrangement.parts[0]);
    tr_outcome_init(&c->result.outcome);
    c->result.outcome.offered = c->result.outcome.inside[0] = 100;
    return c;
}

/* Makes the verdict and compares the order, "whole bf16, timeslice:2 bf16". */
static void assert_order(const char *expected)
{
    struct tr_str order = {0};
    tr_verdict_make(&plan);
    for (size_t i = 0; i < plan.n_candidates; i++)
        if (list[plan.order[i]].rank > 0)
            tr_str_printf(&order, "%s%s", i > 0 ? ", " : "",
                          ranked_text(&plan, (int)plan.order[i]));
    assert_string_equal(order.text != NULL ? order.text : "", expected);
    tr_str_free(&order);
}

static int end(void **state)
{
    (void)state;
    tr_arena_free(&plan.arena);
    tr_scenario_free((struct tr_scenario *)plan.scenario);
    return 0;
}

static void five_per_cent_are_a_tie(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    found("timeslice:2", 0, 1, 1000, 2);
    found("whole", 0, 1, 1049, 2);
    assert_order("whole bf16, timeslice:2 bf16");
    assert_string_equal(list[0].cause, "costs the same within 5 % and is not as simple as whole");
    end(NULL);

    begin(&(struct recipe){0});
    found("timeslice:2", 0, 1, 1000, 2);
    found("whole", 0, 1, 1051, 2);
    assert_order("timeslice:2 bf16, whole bf16");
    assert_contains(list[1].cause, "needs 1 node, $1,051 a month: 1.05 times the pick");
    assert_says(&plan, "Runner-up whole bf16: 1 node, $1,051 a month, 1.05 times the pick.");
    /* The simpler wins a tie: it need only come within 5 %. */
    assert_near(plan.flips[TR_FLIP_PRICE].below.at, 1000.0 / 1051 * 1.05, 1e-9);
}

/* What nodes cost when they come and go decides, and what was said of fixed fleets is dropped where
 * it makes another the pick. */
static void autoscaled_costs_rank(void **state)
{
    (void)state;
    static struct tr_autoscaled scaled[2];
    begin(&(struct recipe){0});
    found("whole", 0, 4, 4000, 2);
    found("timeslice:2", 0, 5, 5000, 2);
    tr_rank_all(&plan);
    assert_string_equal(ranked_text(&plan, plan.pick), "whole bf16");
    scaled[0] = (struct tr_autoscaled){.candidate = 0, .found = true};
    scaled[0].best.usd_per_month = 3500;
    plan.scaled = scaled;
    plan.n_scaled = 1;
    plan.n_draws = 3;
    tr_autoscale_rank(&plan);
    assert_string_equal(ranked_text(&plan, plan.pick), "whole bf16");
    assert_int_equal(plan.n_draws, 3);
    scaled[1] = (struct tr_autoscaled){.candidate = 1, .found = true};
    scaled[1].best.usd_per_month = 3000;
    plan.n_scaled = 2;
    tr_autoscale_rank(&plan);
    assert_string_equal(ranked_text(&plan, plan.pick), "timeslice:2 bf16");
    assert_int_equal(plan.n_draws, 0);
    assert_contains(plan.flips[TR_FLIP_RATE].why_not, "not their cheapest");
    assert_order("timeslice:2 bf16, whole bf16");
    assert_contains(list[0].cause,
                    "needs 4 nodes, $4,000 a month (autoscaled $3,500 a month): 1.17 times");
}

/* A chain of ties must not carry a dear one past a cheap one: each place is given among those
 * within 5 % of the cheapest that is left. */
static void ties_do_not_chain(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    found("mig:1g.10gb*7", 0, 1, 1000, 2);
    found("timeslice:2", 0, 1, 1040, 2);
    found("whole", 0, 1, 1080, 2);
    assert_order("timeslice:2 bf16, mig:1g.10gb*7 bf16, whole bf16");
}

static void equals_differ_by_precision_then_cost_then_capacity(void **state)
{
    (void)state;
    begin(&(struct recipe){.precision = "[int4, bf16]"});
    found("mig:4g.40gb", 0, 1, 1000, 2);
    found("mig:7g.80gb", 1, 1, 1000, 9);
    found("mig:7g.80gb", 0, 1, 1000, 5);
    assert_order("mig:7g.80gb int4, mig:4g.40gb int4, mig:7g.80gb bf16");
    assert_contains(list[0].cause, "carries less on a GPU");
    assert_contains(list[1].cause, "int4 is preferred to bf16");
    assert_says(&plan, "but carries less on a GPU. 2 requests/s per GPU against the pick's 5");
}

static void within_nodes_max_before_cheaper(void **state)
{
    (void)state;
    begin(&(struct recipe){.nodes = "{min: 1, max: 4}"});
    found("timeslice:2", 0, 5, 500, 2);
    found("whole", 0, 4, 9000, 2);
    assert_order("whole bf16, timeslice:2 bf16");
    assert_true(plan.meets);
    assert_string_equal(list[0].cause, "needs 5 nodes, more than nodes.max 4");
    assert_says(&plan, "Runner-up timeslice:2 bf16: it needs 5 nodes, nodes.max is 4.");
}

static void what_no_price_is_known_of_comes_last(void **state)
{
    (void)state;
    begin(&(struct recipe){.nodes = "{min: 1, max: 4}"});
    found("timeslice:4", 0, 5, 700, 2);
    found("timeslice:2", 0, 1, (double)NAN, 2);
    found("whole", 0, 4, 9000, 2);
    found("timeslice:8", 0, 7, (double)NAN, 2);
    assert_order("whole bf16, timeslice:2 bf16, timeslice:4 bf16, timeslice:8 bf16");
    assert_string_equal(list[1].cause, "needs 1 node of unknown price");
    assert_says(&plan, "Runner-up timeslice:2 bf16: it needs 1 node of unknown price.");
    end(NULL);

    /* Without any price, GPUs are counted. */
    begin(&(struct recipe){0});
    found("whole", 0, 3, (double)NAN, 2);
    found("timeslice:2", 0, 2, (double)NAN, 2);
    assert_order("timeslice:2 bf16, whole bf16");
    assert_contains(list[0].cause, "needs 3 nodes, price unknown: 1.50 times the pick");
}

static void refused_candidates_have_no_rank(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    found("whole", 0, 1, 1000, 2)->gate = TR_GATE_BOUND;
    snprintf(list[0].why, sizeof list[0].why, "too slow");
    assert_order("");
    assert_int_equal(plan.pick, -1);
    assert_false(plan.meets);
    assert_string_equal(list[0].cause, "too slow");
    assert_says(&plan, "No arrangement is possible");
}

static void causes_name_what_kept_requests_waiting(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    found("whole", 0, 1, 1000, 2);
    struct tr_candidate *c = found("timeslice:2", 0, 4, 4000, 2);
    c->fail_nodes = 3;
    c->fail_missed[TR_CAUSE_NEIGHBOUR] = 60;
    c->fail_missed[TR_CAUSE_KV] = 31;
    c->fail_missed[TR_CAUSE_QUEUE] = 9;
    assert_order("whole bf16, timeslice:2 bf16");
    assert_string_equal(c->cause,
                        "needs 4 nodes, $4,000 a month: 4.00 times the pick; on 3, requests "
                        "outside the objective: another pod held the GPU (60 %), no KV "
                        "cache was free (31 %)");
}

static void rules_stand_beside_the_figures_that_decide_them(void **state)
{
    (void)state;
    begin(&(struct recipe){.nodes = "{min: 1, max: 1}"});
    plan.stats.rate = 1;
    plan.spikes.peak_rate = 3.1;
    found("whole", 0, 1, 1000, 5);
    found("mig:1g.10gb*7", 0, 1, 1000, 5)->gate = TR_GATE_MEMORY;
    assert_order("whole bf16");
    assert_int_equal(plan.n_rules, 6);
    assert_true(rule_of(&plan, "bursty")->met);
    assert_string_equal(rule_of(&plan, "bursty")->figure, "3.10: 3.1 against 1 requests/s");
    assert_true(rule_of(&plan, "tenants trust")->met);
    assert_false(rule_of(&plan, "isolation needed")->met);
    assert_false(rule_of(&plan, "fits a MIG")->met);
    assert_true(rule_of(&plan, "over 60 %")->met); /* 3.1 of 5 */
    assert_contains(rule_of(&plan, "over 60 %")->figure, "62 % of a GPU");
    assert_false(rule_of(&plan, "can scale out")->met);
    end(NULL);

    begin(&(struct recipe){.top = "isolation: fault\n"});
    plan.stats.rate = 1;
    plan.spikes.peak_rate = 2.9;
    found("whole", 0, 1, 1000, 5);
    found("mig:1g.10gb*7", 0, 1, 1000, 5);
    assert_order("whole bf16, mig:1g.10gb*7 bf16");
    assert_false(rule_of(&plan, "bursty")->met);
    assert_false(rule_of(&plan, "tenants trust")->met);
    assert_true(rule_of(&plan, "isolation needed")->met);
    assert_true(rule_of(&plan, "fits a MIG")->met);
    assert_false(rule_of(&plan, "over 60 %")->met); /* 2.9 of 5 */
    assert_true(rule_of(&plan, "can scale out")->met);
}

static void copies_are_a_fallback_with_their_price(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    found("whole", 0, 2, 2000, 3);
    struct tr_candidate *c = found("timeslice:4", 0, 9, 9000, 0.5);
    c->memory[0].weights_bytes = INT64_C(15) << 30;
    assert_order("whole bf16, timeslice:4 bf16");
    assert_contains(plan.lines[0], "Share the engine, not the card");
    assert_contains(
        plan.lines[0],
        "they carry 0.5 requests/s per GPU where one engine carries 3, hold the weights "
        "4 times (60.0 GiB), and need 9 nodes ($9,000 a month) where it needs 2 nodes "
        "($2,000 a month)");
    end(NULL);

    begin(&(struct recipe){.top = "isolation: performance\n"});
    found("whole", 0, 2, 2000, 3);
    assert_order("whole bf16");
    assert_contains(plan.lines[0], "Pick whole bf16");
}

static void the_error_of_the_sample_is_told(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    struct tr_candidate *c = found("whole", 0, 15, 1000, 3);
    c->result.outcome.inside_all = 96;
    c->screened_gpus = 2;
    c->screened_inside = 0.957;
    found("timeslice:2", 0, 4, 4000, 2);
    assert_order("whole bf16, timeslice:2 bf16");
    assert_says(&plan, "a sample of 2 of 15 GPUs of whole bf16 is off by 0.30 points.");
}

static void a_finalist(int f, int candidate, int cheaper, int ties, int dearer)
{
    plan.n_draws = 20;
    plan.n_finalists = f + 1;
    plan.finalists[f] = (struct tr_finalist){
        .candidate = candidate, .cheaper = cheaper, .ties = ties, .dearer = dearer};
}

static void draws_are_counted_in_words(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    found("whole", 0, 15, 1000, 3);
    found("mig:7g.80gb", 0, 17, 1100, 2);
    found("timeslice:2", 0, 20, 1300, 1);
    a_finalist(0, 0, 0, 20, 0);
    a_finalist(1, 1, 0, 1, 19);
    a_finalist(2, 2, 0, 0, 20);
    assert_order("whole bf16, mig:7g.80gb bf16, timeslice:2 bf16");
    assert_says(&plan,
                "whole bf16 costs less than mig:7g.80gb bf16 in 95 % of draws (19 of 20; the "
                "same within 5 % in 1), than timeslice:2 bf16 in 100 % of draws (20 of 20).");
    for (int i = 0; i < plan.n_lines; i++)
        assert_null(strstr(plan.lines[i], "Too close"));
}

/* More than a fifth of the draws for the other: measure. Ties are no reason to. */
static void too_close_to_call_names_the_measurement(void **state)
{
    (void)state;
    begin(&(struct recipe){0});
    found("whole", 0, 15, 1000, 3);
    found("mig:7g.80gb", 0, 17, 1100, 2);
    found("timeslice:2", 0, 20, 1300, 1);
    a_finalist(0, 0, 0, 20, 0);
    a_finalist(1, 1, 5, 1, 14);
    a_finalist(2, 2, 4, 16, 0);
    assert_order("whole bf16, mig:7g.80gb bf16, timeslice:2 bf16");
    assert_says(&plan,
                "Too close to call: mig:7g.80gb bf16 is the cheaper in 5 of 20 draws. Measure "
                "both on one GPU, at 2.5 requests/s");
    assert_says(&plan, "tranche bench --url http://POD:8000 test.yaml --request-rate 2.5");
    for (int i = 0; i < plan.n_lines; i++)
        assert_null(strstr(plan.lines[i], "timeslice:2 bf16 is the cheaper"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(five_per_cent_are_a_tie, end),
        cmocka_unit_test_teardown(autoscaled_costs_rank, end),
        cmocka_unit_test_teardown(ties_do_not_chain, end),
        cmocka_unit_test_teardown(equals_differ_by_precision_then_cost_then_capacity, end),
        cmocka_unit_test_teardown(within_nodes_max_before_cheaper, end),
        cmocka_unit_test_teardown(what_no_price_is_known_of_comes_last, end),
        cmocka_unit_test_teardown(refused_candidates_have_no_rank, end),
        cmocka_unit_test_teardown(causes_name_what_kept_requests_waiting, end),
        cmocka_unit_test_teardown(rules_stand_beside_the_figures_that_decide_them, end),
        cmocka_unit_test_teardown(copies_are_a_fallback_with_their_price, end),
        cmocka_unit_test_teardown(the_error_of_the_sample_is_told, end),
        cmocka_unit_test_teardown(draws_are_counted_in_words, end),
        cmocka_unit_test_teardown(too_close_to_call_names_the_measurement, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
