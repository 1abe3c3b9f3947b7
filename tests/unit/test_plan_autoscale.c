/* plan: policies of fleets that come and go, what a run says of them, and the search. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

#define MINUTE (60 * TR_NS_PER_S)

/* Half an hour of little, half an hour of much, an hour and a half of little; no spikes. */
#define DAY                                                                                        \
    "{rates: [[0m, 1], [30m, 1], [30m, 20], [60m, 20], [60m, 1], [150m, 1]],\n"                    \
    "              prompt_tokens: 1200, output_tokens: 20}"
#define QUICK_START "    startup: {weights: 10s, warm: 20s}\n"

static struct tr_plan *scaled(const char *cluster, const char *workload, const char *traffic)
{
    struct recipe r = {
        .nodes = cluster, .workload = workload, .traffic = traffic, .compare = "[whole]"};
    return plan_with(&r, &(struct tr_plan_opts){.jobs = 2});
}

static void a_life_follows_from_the_weights(void **state)
{
    (void)state;
    /* 15 GiB: 15/0.52 = 28.8 s to read, 17.3 + 4.91 x 15 = 91 s to start. */
    struct tr_pod_life life = {.weights_ns = -1, .warm_ns = -1};
    tr_pod_life_fill(&life, INT64_C(15) << 30);
    assert_near((double)life.weights_ns / 1e9, 28.85, 1e-3);
    assert_near((double)life.warm_ns / 1e9, 90.95, 1e-3);
    /* What is given stays. */
    life = (struct tr_pod_life){.weights_ns = 7, .warm_ns = -1};
    tr_pod_life_fill(&life, 0);
    assert_int_equal(life.weights_ns, 7);
    assert_near((double)life.warm_ns / 1e9, 17.3, 1e-9);
}

/* Two minutes of four are a spike; at its start one replica is ready, a second comes 90 s later. */
static void what_a_run_says(void **state)
{
    (void)state;
    struct tr_plan *plan = plan_of(&(struct recipe){.compare = "[whole]"});
    struct tr_candidate *c = &plan->candidates[0];
    int32_t counts[] = {1, 9, 9, 1};
    struct tr_spikes spikes = {
        .n_minutes = 4, .span_ns = 4 * MINUTE, .count = counts, .limit = 3, .requests = 20};
    struct tr_timeline_point points[] = {
        {.time_ns = 0, .nodes = 1, .ready = 1},
        {.time_ns = MINUTE + 90 * TR_NS_PER_S, .nodes = 3, .ready = 2},
        {.time_ns = 3 * MINUTE, .nodes = 1, .ready = 1},
    };
    struct tr_sim_result result = {.timeline = points, .n_timeline = 3};
    result.outcome.offered = 20;
    result.outcome.inside_all = 18;
    result.outcome.spike_offered = 18;
    result.outcome.spike_inside_all = 9;
    result.fleet.scale = (struct tr_scale_stats){.span_s = 240, .node_hours = 1.5 * 240 / 3600};
    struct tr_policy_run run = {.policy = {.min_nodes = 1, .max_nodes = 3}};
    tr_policy_read(&run, c, plan->scenario, &spikes, &result);
    assert_near(run.inside, 0.9, 1e-12);
    assert_near(run.spike_inside, 0.5, 1e-12);
    assert_near(run.nodes_mean, 1.5, 1e-12);
    assert_near(run.usd_per_month, 1.5 * 3.673 * 730, 1e-12);
    assert_int_equal(run.spikes, 1);
    assert_near(run.spike_s, 120, 1e-12);
    assert_int_equal(run.answered, 1);
    assert_near(run.answer_s, 90, 1e-12);
    /* 24 spans of ten seconds: the last before the change, and the first after it. */
    assert_near(run.nodes[14], 1, 1e-12);
    assert_near(run.nodes[15], 3, 1e-12);
    assert_near(run.ready[17], 2, 1e-12);
    assert_near(run.ready[18], 1, 1e-12);
    plan_free(plan);
}

/* Most of the day needs a part of the nodes: giving them back must save, and what is found keeps
 * the objective. A node that goes sooner is paid for no longer. */
static void a_day_with_a_night_is_cheaper(void **state)
{
    (void)state;
    struct tr_plan *plan = scaled("{min: 1, max: 40}", QUICK_START, DAY);
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    const struct tr_autoscaled *x = &plan->scaled[0];
    assert_int_equal(plan->n_scaled, 1);
    assert_int_equal(x->candidate, plan->pick);
    assert_true(x->found && x->best.meets && x->best.inside >= 0.95);
    assert_true(x->best.usd_per_month < 0.9 * c->usd_per_month);
    assert_true(x->best.usd_per_month >= x->best.policy.min_nodes * 3.673 * 730);
    assert_true(tr_rank_cost(c) == x->best.usd_per_month);
    assert_int_equal(x->delay[0].policy.unneeded_ns, 10 * MINUTE);
    assert_int_equal(x->delay[1].policy.unneeded_ns, 3 * MINUTE);
    assert_true(x->delay[1].usd_per_month <= x->delay[0].usd_per_month);
    /* Fewer at night than by day, all along between the bounds. */
    assert_true(x->best.ready[23] < x->best.ready[8]);
    for (int k = 0; k < TR_TIMELINE_SPANS; k++)
        assert_true(x->best.nodes[k] > x->best.policy.min_nodes - 0.01 &&
                    x->best.nodes[k] < x->best.policy.max_nodes + 0.01);
    /* No policy that was tried and keeps the objective is cheaper. */
    for (size_t i = 0; i < plan->n_scaled_runs; i++)
        assert_true(!plan->scaled_runs[i].run.meets ||
                    plan->scaled_runs[i].run.usd_per_month >= x->best.usd_per_month);
    assert_says(plan, "Behind the cluster autoscaler whole bf16 costs");
    assert_says(plan, "scale_down_unneeded_time 3m in place of 10m, nothing else changed");
    plan_free(plan);
}

static void a_steady_load_keeps_its_nodes(void **state)
{
    (void)state;
    struct tr_plan *plan = scaled("{min: 1, max: 40}", QUICK_START,
                                  "{rate: 20/s, duration: 15m, prompt_tokens: 1200,\n"
                                  "              output_tokens: 20}");
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    assert_int_equal(plan->n_scaled, 1);
    assert_false(plan->scaled[0].found);
    assert_says(plan, "nodes all the time:");
    assert_true(tr_rank_cost(c) == c->usd_per_month);
    plan_free(plan);
}

static void a_given_target_is_kept(void **state)
{
    (void)state;
    struct tr_plan *plan =
        scaled("{min: 2, max: 40}", QUICK_START "    autoscaling: {target: 2.5}\n", DAY);
    assert_int_equal(plan->n_scaled, 1);
    assert_true(plan->n_scaled_runs > 0);
    for (size_t i = 0; i < plan->n_scaled_runs; i++) {
        assert_true(plan->scaled_runs[i].run.policy.target == 2.5);
        assert_true(plan->scaled_runs[i].run.policy.min_nodes >= 2);
    }
    plan_free(plan);
}

/* Tenants' own pods are so many deployments; that they were not scaled is said. */
static void what_is_not_scaled_is_said(void **state)
{
    (void)state;
    struct tr_plan *plan =
        scaled("{min: 1, max: 40}",
               QUICK_START "    tenants: {count: 3, pods: own}\n"
                           "    isolation: performance\n",
               "{rate: 3/s, duration: 10m, prompt_tokens: 1200, output_tokens: 20}");
    assert_int_equal(plan->n_scaled, 0);
    assert_says(plan, "Autoscaling was not looked at: the pods of each tenant");
    plan_free(plan);
}

/* simulate runs the policy that the scenario gives; a number of nodes stays what it is. */
static void simulate_follows_the_scenario(void **state)
{
    (void)state;
    struct recipe r = {.workload = QUICK_START "    autoscaling: {target: 2.5}\n", .traffic = DAY};
    struct tr_scenario *s = scenario_of(&r);
    struct tr_simulation *sim;
    struct tr_err err = {0};
    assert_int_equal(tr_simulate_run(s, &(struct tr_simulate_opts){0}, &sim, &err), 0);
    assert_true(sim->scaled && sim->policy.policy.max_nodes == 40);
    assert_true(sim->nodes > 1 && sim->nodes == sim->policy.nodes_max);
    assert_true(sim->policy.nodes_mean > 1 && sim->policy.nodes_mean < sim->nodes);
    assert_int_equal(sim->result.outcome.offered, sim->stats.requests);
    tr_simulation_free(sim);
    assert_int_equal(tr_simulate_run(s, &(struct tr_simulate_opts){.nodes = 3}, &sim, &err), 0);
    assert_true(!sim->scaled && sim->nodes == 3);
    tr_simulation_free(sim);
    tr_scenario_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_follows_from_the_weights),
        cmocka_unit_test(what_a_run_says),
        cmocka_unit_test(a_day_with_a_night_is_cheaper),
        cmocka_unit_test(a_steady_load_keeps_its_nodes),
        cmocka_unit_test(a_given_target_is_kept),
        cmocka_unit_test(what_is_not_scaled_is_said),
        cmocka_unit_test(simulate_follows_the_scenario),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
