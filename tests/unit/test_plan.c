/* plan: one input changed at a time, and what must change with it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "plan_fixture.h"

/* ---- the objective, the prompts, the rate
 * ---------------------------------------------------- */

#define SEVEN "[whole bf16, mig:1g.10gb*7 int4]"

static void slo_changes_the_cause(void **state)
{
    struct recipe r = {.precision = "[bf16, int4]", .compare = SEVEN};
    struct tr_plan *tight = plan_of(&r);
    r.slo = "{ttft_p95: 2s}";
    struct tr_plan *loose = plan_of(&r);
    const struct tr_candidate *a = of(tight, "mig:1g.10gb*7 int4");
    const struct tr_candidate *b = of(loose, "mig:1g.10gb*7 int4");
    (void)state;
    /* Arithmetic refutes it before anything is simulated, ... */
    assert_int_equal(a->gate, TR_GATE_BOUND);
    assert_contains(a->cause,
                    "prefill on 14 SMs, alone: 0.708 s (0.874 s with all slices busy) for the mean "
                    "prompt of 1200 tokens");
    assert_contains(a->cause, "the objective is 0.5 s: at most 0.0 % of requests can be inside");
    assert_int_equal(a->nodes, 0);
    assert_int_equal(a->result.requests, 0);
    /* ... and at 2 s no more. */
    assert_int_equal(b->gate, TR_GATE_OK);
    assert_true(b->nodes > 0);
    assert_true(b->capacity_rps > 0);
    assert_null(strstr(b->cause, "prefill"));
    plan_free(tight);
    plan_free(loose);
}

static void short_prompts_spare_the_slices(void **state)
{
    struct recipe r = {.precision = "[bf16, int4]", .compare = SEVEN};
    r.traffic = "{rate: 1/s, duration: 10m, prompt_tokens: 300, output_tokens: 200}";
    struct tr_plan *plan = plan_of(&r);
    const struct tr_candidate *c = of(plan, "mig:1g.10gb*7 int4");
    (void)state;
    assert_int_equal(c->gate, TR_GATE_OK);
    assert_null(strstr(c->cause, "prefill"));
    /* A quarter of the 0.71 s of 1,200 tokens, and a little attention less. */
    assert_near((double)c->unloaded_mean_ttft_ns, 0.18e9, 0.10);
    plan_free(plan);
}

/* The capacity that the objective allows, for the same requests. */
static void looser_objectives_never_cost_more(void **state)
{
    static const char *const slo[] = {"{ttft_p95: 300ms}", "{ttft_p95: 1s}", "{ttft_p95: 4s}"};
    struct recipe r = {.compare = "[whole, timeslice:2, mig:3g.40gb*2]"};
    int nodes[3] = {1 << 20, 1 << 20, 1 << 20};
    double capacity[3] = {0};
    (void)state;
    r.traffic = "{rate: 8/s, duration: 10m, prompt_tokens: 1200, output_tokens: 200}";
    for (size_t k = 0; k < TR_LEN(slo); k++) {
        r.slo = slo[k];
        struct tr_plan *plan = plan_of(&r);
        for (int i = 0; i < 3; i++) {
            const struct tr_candidate *c = &plan->candidates[i];
            if (c->gate != TR_GATE_OK)
                continue;
            assert_true(c->capacity_rps >= 0.95 * capacity[i]);
            assert_true(c->nodes <= nodes[i]);
            nodes[i] = c->nodes;
            capacity[i] = c->capacity_rps;
        }
        plan_free(plan);
    }
    assert_true(nodes[2] < 1 << 20);
}

static void twice_the_rate_never_lowers_a_fleet(void **state)
{
    static const char *const rate[] = {"3/s", "6/s", "12/s"};
    static const char *const names[] = {"whole bf16", "timeslice:2 bf16", "mig:4g.40gb bf16"};
    struct recipe r = {.compare = "[whole, timeslice:2, mig:4g.40gb]"};
    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        int nodes[TR_LEN(names)] = {0};
        for (size_t k = 0; k < TR_LEN(rate); k++) {
            char traffic[200];
            snprintf(traffic, sizeof traffic,
                     "{rate: %s, duration: 10m, prompt_tokens: {mean: 900, cv: 0.5}, "
                     "output_tokens: {mean: 150, cv: 0.5, max: 900}}",
                     rate[k]);
            r.traffic = traffic;
            struct tr_plan *plan =
                plan_with(&r, &(struct tr_plan_opts){.quick = true, .jobs = 2, .seed = seed});
            for (size_t i = 0; i < TR_LEN(names); i++) {
                const struct tr_candidate *c = of(plan, names[i]);
                if (c->nodes < nodes[i])
                    fail_msg("seed %d: %s needs %d nodes at %s, %d at half of that", (int)seed,
                             names[i], c->nodes, rate[k], nodes[i]);
                nodes[i] = c->nodes;
            }
            plan_free(plan);
        }
        assert_true(nodes[0] > 1);
    }
}

/* An objective that cannot see a queue grow must not make a card carry anything. */
static void capacity_stays_below_physics(void **state)
{
    static const char *const slo[] = {"{tpot_p95: 300ms}", "{ttft_p95: 20h}", "{e2e_p50: 24h}"};
    struct recipe r = {.compare = "[whole]"};
    (void)state;
    for (size_t k = 0; k < TR_LEN(slo); k++) {
        r.slo = slo[k];
        struct tr_plan *plan = plan_of(&r);
        const struct tr_candidate *c = of(plan, "whole bf16");
        assert_true(c->capacity_rps > 4);
        assert_true(c->capacity_rps < c->ceiling.arithmetic_attained * 1.1);
        assert_int_equal(c->nodes, 1);
        plan_free(plan);
    }
    /* A run of 5,500 such requests takes less than a second at any rate. */
    r.slo = "{ttft_p95: 20s}";
    r.model = "llama-3.2-1b";
    r.traffic = "{rate: 1/s, duration: 10m, prompt_tokens: 1, output_tokens: 1}";
    struct tr_plan *plan = plan_of(&r);
    assert_true(of(plan, "whole bf16")->capacity_rps <= of(plan, "whole bf16")->ceiling.lowest);
    plan_free(plan);
}

/* ---- constraints
 * ------------------------------------------------------------------------------ */

static void isolation_refuses_and_admits(void **state)
{
    static const struct {
        const char *isolation;
        bool timeslice, divided, mig;
    } want[] = {{"none", true, true, true},
                {"memory", false, false, true},
                {"fault", false, false, true},
                {"performance", false, false, true}};
    struct recipe r = {.compare = "[whole, timeslice:2, mig:3g.40gb*2, mig:3g.40gb*2/timeslice:2]",
                       .slo = "{ttft_p95: 2s}"};
    (void)state;
    for (size_t i = 0; i < TR_LEN(want); i++) {
        char top[40];
        snprintf(top, sizeof top, "isolation: %s\n", want[i].isolation);
        r.top = top;
        struct tr_plan *plan = plan_of(&r);
        const struct tr_candidate *t = of(plan, "timeslice:2 bf16");
        assert_int_equal(of(plan, "whole bf16")->gate, TR_GATE_OK);
        assert_int_equal(t->gate == TR_GATE_OK, want[i].timeslice);
        assert_int_equal(of(plan, "mig:3g.40gb*2 bf16")->gate == TR_GATE_OK, want[i].mig);
        assert_int_equal(of(plan, "mig:3g.40gb*2/timeslice:2 bf16")->gate != TR_GATE_ISOLATION,
                         want[i].divided);
        assert_int_equal(rule_of(plan, "isolation needed")->met, i > 0);
        assert_int_equal(rule_of(plan, "tenants trust")->met, i == 0);
        if (!want[i].timeslice) {
            char why[120];
            snprintf(why, sizeof why,
                     "isolation of %s between pods is asked for; timeslice:2 gives none",
                     want[i].isolation);
            assert_int_equal(t->gate, TR_GATE_ISOLATION);
            assert_string_equal(t->cause, why);
        }
        plan_free(plan);
    }
}

static void tenants_that_share_pods_cannot_be_isolated(void **state)
{
    (void)state;
    assert_refused(
        &(struct recipe){.workload = "    tenants: {count: 3}\n", .top = "isolation: memory\n"},
        "test.yaml: isolation: memory keeps pods apart, but the 3 tenants of 'chat' "
        "share theirs; allowed: tenants.pods: own, or isolation: none");
}

static void quality_limit_admits_and_refuses(void **state)
{
    struct recipe r = {.precision = "[bf16, int4]", .compare = "[whole, mig:1g.10gb*7]"};
    (void)state;
    r.workload = "    max_quality_loss: {metric: arena-hard, at_most: 8%}\n";
    struct tr_plan *plan = plan_of(&r);
    assert_int_equal(of(plan, "whole int4")->gate, TR_GATE_OK);
    assert_true(rule_of(plan, "fits a MIG instance")->met);
    plan_free(plan);

    r.workload = "    max_quality_loss: {metric: arena-hard, at_most: 5%}\n";
    plan = plan_of(&r);
    assert_int_equal(of(plan, "whole bf16")->gate, TR_GATE_OK);
    assert_int_equal(of(plan, "whole int4")->gate, TR_GATE_QUALITY);
    assert_string_equal(of(plan, "whole int4")->cause,
                        "int4 loses 7.0 % on arena-hard, the limit is 5.0 %");
    /* It would fit the slice at int4 only, which is refused. */
    assert_false(rule_of(plan, "fits a MIG instance")->met);
    plan_free(plan);

    /* Preferring a precision does not make it good enough. */
    r.precision = "[int4, bf16]";
    plan = plan_of(&r);
    assert_int_equal(of(plan, "whole int4")->gate, TR_GATE_QUALITY);
    assert_string_equal(ranked_text(plan, plan->pick), "whole bf16");
    plan_free(plan);

    /* What was never measured is not assumed. */
    r.workload = "    max_quality_loss: {metric: openllm-v2, at_most: 5%}\n";
    plan = plan_of(&r);
    assert_int_equal(of(plan, "whole int4")->gate, TR_GATE_OK); /* 3.9 % there */
    plan_free(plan);
}

static void kv_cache_must_hold_the_longest_request(void **state)
{
    struct recipe r = {.compare = "[whole, mig:2g.20gb*3]", .slo = "{ttft_p95: 2s}"};
    (void)state;
    r.engine = "{max_model_len: 14000}";
    struct tr_plan *plan = plan_of(&r);
    assert_int_equal(of(plan, "mig:2g.20gb*3 bf16")->gate, TR_GATE_OK);
    plan_free(plan);

    r.engine = "{max_model_len: 16384}";
    plan = plan_of(&r);
    const struct tr_candidate *c = of(plan, "mig:2g.20gb*3 bf16");
    assert_int_equal(c->gate, TR_GATE_MEMORY);
    assert_string_equal(c->cause,
                        "KV cache of 15008 tokens (1.83 GiB) does not hold one request of "
                        "max_model_len 16384: vLLM does not start");
    assert_int_equal(of(plan, "whole bf16")->gate, TR_GATE_OK);
    plan_free(plan);
}

/* Every pod gets as many requests, whatever its instance can do. */
static void the_small_instance_is_what_misses(void **state)
{
    struct recipe r = {
        .model = "llama-3.2-3b",
        .traffic = "{rate: 40/s, duration: 2m, prompt_tokens: {mean: 500, cv: 0.8, min: 16, "
                   "max: 3000}, output_tokens: 150}",
        .slo = "{ttft_p95: 250ms}",
        .compare = "[whole, mig:3g.40gb*2, mig:3g.40gb+2g.20gb*2, mig:4g.40gb+1g.10gb*3]"};
    struct tr_plan *plan = plan_of(&r);
    (void)state;
    assert_contains(of(plan, "mig:4g.40gb+1g.10gb*3 bf16")->cause,
                    "of requests outside, 100 % are on 1g.10gb, 3 of the 4 pods");
    assert_contains(of(plan, "mig:3g.40gb+2g.20gb*2 bf16")->cause, "% are on 2g.20gb, 2 of the 3");
    assert_null(strstr(of(plan, "mig:3g.40gb*2 bf16")->cause, "are on"));
    plan_free(plan);
}

static void a_model_that_nothing_holds(void **state)
{
    struct tr_plan *plan = plan_of(&(struct recipe){.model = "llama-3.1-70b"});
    (void)state;
    for (size_t i = 0; i < plan->n_candidates; i++)
        assert_int_equal(plan->candidates[i].gate, TR_GATE_MEMORY);
    assert_string_equal(of(plan, "whole bf16")->cause,
                        "weights 131.42 GiB x 1 pod = 131.4 GiB > 79.25 GiB");
    assert_int_equal(plan->pick, -1);
    assert_int_equal(plan->runner_up, -1);
    assert_int_equal(tr_plan_exit(plan), TR_EXIT_NO);
    assert_says(plan, "No arrangement is possible");
    plan_free(plan);
}

static void requests_longer_than_the_model_len(void **state)
{
    struct recipe r = {.compare = "[whole, mig:3g.40gb*2]"};
    (void)state;
    r.traffic = "{rate: 1/s, duration: 10m, prompt_tokens: 6000, output_tokens: 2}";
    struct tr_plan *plan = plan_of(&r);
    assert_int_equal(of(plan, "whole bf16")->gate, TR_GATE_BOUND);
    assert_string_equal(of(plan, "whole bf16")->cause,
                        "100.0 % of the requests exceed max_model_len 4096");
    assert_true(of(plan, "whole bf16")->ceiling.lowest == 0);
    assert_int_equal(tr_plan_exit(plan), TR_EXIT_NO);
    plan_free(plan);

    /* Some of them: they are refused, are outside, and take no work. */
    r.engine = "{max_model_len: 2000}";
    r.slo = "{ttft_p80: 1s}";
    r.traffic = "{rate: 1/s, duration: 10m, prompt_tokens: {mean: 1000, cv: 1, max: 20000}, "
                "output_tokens: 100}";
    plan = plan_of(&r);
    const struct tr_candidate *c = of(plan, "whole bf16");
    assert_int_equal(c->gate, TR_GATE_OK);
    assert_true(c->result.outcome.rejected > 30);
    assert_true(c->result.outcome.missed[TR_CAUSE_TOO_LONG] == c->result.outcome.rejected);
    assert_near((double)c->result.outcome.rejected / (double)c->result.outcome.offered,
                1 - c->unloaded_inside[0], 0.05);
    assert_true(plan->lengths.computed_tok < 0.8 * plan->lengths.prompt_tok);
    plan_free(plan);
}

/* ---- fleets
 * ------------------------------------------------------------------------------------ */

static void beyond_nodes_max_is_marked_and_counted(void **state)
{
    struct recipe r = {.compare = "[whole, timeslice:2]"};
    (void)state;
    r.traffic = "{rate: 20/s, duration: 10m, prompt_tokens: 1200, output_tokens: 200}";
    struct tr_plan *enough = plan_of(&r);
    r.nodes = "{min: 1, max: 2}";
    struct tr_plan *few = plan_of(&r);
    assert_int_equal(tr_plan_exit(enough), 0);
    assert_int_equal(tr_plan_exit(few), TR_EXIT_NO);
    assert_false(few->meets);
    assert_true(of(few, "whole bf16")->beyond_max);
    assert_int_equal(of(few, "whole bf16")->nodes, of(enough, "whole bf16")->nodes);
    assert_true(of(few, "whole bf16")->nodes >= 4);
    assert_true(of(few, "whole bf16")->usd_per_month > 4 * 2600);
    assert_string_equal(ranked_text(few, few->pick), "whole bf16");
    assert_says(few, "Nothing meets the objective within 2 nodes. The nearest is whole bf16");
    plan_free(enough);
    plan_free(few);
}

static void a_fleet_has_at_least_nodes_min(void **state)
{
    struct tr_plan *plan =
        plan_of(&(struct recipe){.compare = "[whole]", .nodes = "{min: 3, max: 5}"});
    (void)state;
    assert_int_equal(of(plan, "whole bf16")->nodes, 3);
    plan_free(plan);
}

static void own_pods_take_a_gpu_each_on_whole(void **state)
{
    struct recipe r = {.model = "llama-3.2-1b", .compare = "[whole, timeslice:2, timeslice:8]"};
    (void)state;
    r.workload = "    tenants: {count: 5, pods: own}\n";
    struct tr_plan *plan = plan_of(&r);
    assert_int_equal(of(plan, "whole bf16")->nodes, 5);
    assert_int_equal(of(plan, "timeslice:2 bf16")->nodes, 3);
    assert_int_equal(of(plan, "timeslice:8 bf16")->nodes, 1);
    assert_string_equal(ranked_text(plan, plan->pick), "timeslice:8 bf16");
    assert_contains(of(plan, "whole bf16")->cause, "5 tenants with a pod each, 1 pod to a GPU");
    assert_says(plan, "Share the engine, not the card, if you can: the 5 tenants trust each other");
    assert_says(plan, "one-engine bf16 needs 1 node");
    assert_says(plan, "a pod for each needs 1 node");
    assert_int_equal(of(plan, "one-engine bf16")->nodes, 1);
    double one = of(plan, "one-engine bf16")->capacity_rps;
    plan_free(plan);

    r.workload = "    tenants: {count: 5}\n";
    plan = plan_of(&r);
    assert_int_equal(of(plan, "whole bf16")->nodes, 1);
    assert_string_equal(ranked_text(plan, plan->pick), "whole bf16");
    assert_says(plan, "Share the engine, not the card: one engine batches all requests");
    /* With common pods that is what `whole` is. */
    assert_near(of(plan, "whole bf16")->capacity_rps, one, 0.01);
    plan_free(plan);
}

/* One tenant in four goes first, on a card that is a little too small for all. */
static void priority_serves_its_tier_first(void **state)
{
    struct recipe r = {.compare = "[whole]",
                       .workload = "    tenants: {count: 4, priorities: [0, 5, 5, 5]}\n"};
    (void)state;
    r.traffic = "{rate: 6/s, duration: 10m, prompt_tokens: {mean: 1200, cv: 0.5}, "
                "output_tokens: {mean: 300, cv: 0.8, max: 1500}}";
    struct tr_plan *plan = plan_of(&r);
    const struct tr_candidate *whole = of(plan, "whole bf16"), *one = of(plan, "one-engine bf16");
    const struct tr_outcome *fcfs = &whole->result.outcome, *tiers = &one->result.outcome;
    assert_int_equal(fcfs->n_tiers, 2);
    assert_int_equal(tiers->n_tiers, 2);
    assert_int_equal(tiers->tier[0].priority, 0);
    assert_int_equal(tiers->tier[1].priority, 5);
    assert_int_equal(tiers->tier[0].offered + tiers->tier[1].offered, tiers->offered);
    assert_true(tr_hist_quantile(&tiers->tier[0].ttft, 0.99) <
                tr_hist_quantile(&fcfs->tier[0].ttft, 0.99));
    assert_true(tr_hist_quantile(&tiers->tier[0].ttft, 0.99) <
                tr_hist_quantile(&tiers->tier[1].ttft, 0.99));
    plan_free(plan);
}

/* With answers of unlike lengths: equal ones that began together also end together, and then their
 * pod gets the next arrivals all at once. */
static void least_requests_needs_no_more_than_random(void **state)
{
    struct recipe r = {.compare = "[whole, timeslice:2]"};
    (void)state;
    r.traffic = "{rate: 10/s, duration: 10m, prompt_tokens: {mean: 1200, cv: 0.5}, "
                "output_tokens: {mean: 200, cv: 0.8, max: 1500}}";
    struct tr_plan *random = plan_of(&r);
    r.workload = "    router: least-requests\n";
    struct tr_plan *least = plan_of(&r);
    for (size_t i = 0; i < random->n_candidates; i++) {
        const struct tr_candidate *c = &least->candidates[i];
        assert_true(c->nodes <= random->candidates[i].nodes);
        assert_int_equal(c->sampled_gpus, 0);
        assert_int_equal(c->result.outcome.offered, least->stats.requests);
    }
    assert_true(of(least, "timeslice:2 bf16")->nodes < of(random, "timeslice:2 bf16")->nodes);
    plan_free(random);
    plan_free(least);
}

/* ---- spikes
 * ------------------------------------------------------------------------------------ */

#define SPIKY                                                                                      \
    "{rate: 1/s, duration: 20m, prompt_tokens: 1200, output_tokens: 200,\n"                        \
    "      spikes: [{start: 5m, peak: 14/s, hold: 60s, decay: 10s}]}"

static void spikes_can_decide(void **state)
{
    struct recipe r = {.compare = "[whole]", .traffic = SPIKY, .slo = "{ttft_p50: 500ms}"};
    (void)state;
    struct tr_plan *day = plan_of(&r);
    r.slo = "{ttft_p50: 500ms, window: spikes}";
    struct tr_plan *spikes = plan_of(&r);
    const struct tr_candidate *c = of(spikes, "whole bf16");
    assert_true(spikes->spikes.in_spike > 400);
    assert_true(c->nodes > of(day, "whole bf16")->nodes);
    assert_true(tr_outcome_inside(&c->result.outcome, 0, true) >= 0.50);
    assert_true(rule_of(day, "bursty")->met);
    plan_free(day);
    plan_free(spikes);
}

static void a_window_of_spikes_needs_spikes(void **state)
{
    (void)state;
    assert_refused(&(struct recipe){.traffic = "{rate: 60/min, duration: 10m, arrivals: constant, "
                                               "prompt_tokens: 9, output_tokens: 9}",
                                    .slo = "{ttft_p95: 1s, window: spikes}"},
                   "test.yaml: slo.window: spikes leaves no request to decide: the busiest minute "
                   "(1/s) is not above three times the median one (1/s)");
}

static void capacity_relative_traffic_is_scaled(void **state)
{
    struct recipe r = {.compare = "[whole]"};
    struct tr_plan *plan;
    (void)state;
    r.engine = "{max_model_len: 8192}";
    r.traffic = "{profile: aks-chatbot, variant: capacity-relative, rate_scale: 0.5}";
    plan = plan_of(&r);
    double c = plan->relative_capacity;
    /* What the plan of the same requests finds for whole, up to other draws. */
    assert_near(of(plan, "whole bf16")->capacity_rps, c, 0.06);
    /* 914,261 requests of the profile over a day of rates x 0.5 x C / 45. */
    assert_near(plan->stats.rate, 914261.0 / 86400 * 0.5 * c / 45, 0.02);
    assert_near(plan->spikes.peak_rate, 75.0 * 0.5 * c / 45, 0.25);
    plan_free(plan);
}

/* ---- node types
 * -------------------------------------------------------------------------------- */

#define L40S "aws/g6e.xlarge"
#define H200 "azure/Standard_ND96isr_H200_v5"

static const struct tr_candidate *on(const struct tr_plan *plan, const char *node,
                                     const char *arrangement)
{
    for (size_t i = 0; i < plan->n_candidates; i++)
        if (strcmp(plan->candidates[i].node->name, node) == 0 &&
            strcmp(plan->candidates[i].arrangement.text, arrangement) == 0)
            return &plan->candidates[i];
    fail_msg("there is no %s on %s", arrangement, node);
    abort();
}

static void node_types_are_ranked_together_by_cost(void **state)
{
    struct recipe r = {.node = "[" A100 ", " L40S ", " H200 "]", .compare = "[whole, mig:4g.40gb]"};
    struct tr_plan *plan = plan_of(&r);
    (void)state;
    /* One of each will do, so the price decides; what has no price comes last, not first. */
    assert_ptr_equal(&plan->candidates[plan->pick], on(plan, L40S, "whole"));
    assert_ptr_equal(&plan->candidates[plan->runner_up], on(plan, A100, "whole"));
    assert_near(on(plan, L40S, "whole")->usd_per_month, 1.861 * 730, 0.001);
    assert_true(isnan(on(plan, H200, "whole")->usd_per_month));
    assert_int_equal(on(plan, H200, "whole")->rank, 4);
    assert_string_equal(on(plan, H200, "whole")->cause, "needs 1 node of unknown price");
    assert_says(plan, "Pick whole bf16 on " L40S);
    /* What only the first can have stands with its reason at the others. */
    assert_int_equal(on(plan, A100, "mig:4g.40gb")->gate, TR_GATE_OK);
    assert_int_equal(on(plan, L40S, "mig:4g.40gb")->gate, TR_GATE_GEOMETRY);
    assert_contains(on(plan, L40S, "mig:4g.40gb")->cause, "L40S has no MIG");
    plan_free(plan);

    r.node = H200;
    r.compare = "[whole, timeslice:2]";
    plan = plan_of(&r);
    assert_string_equal(ranked_text(plan, plan->pick), "whole bf16");
    assert_says(plan, "price unknown");
    assert_int_equal(tr_plan_exit(plan), 0);
    plan_free(plan);
}

static void copies_are_compared_on_one_node_type(void **state)
{
    struct recipe r = {.node = "[" A100 ", " L40S "]", .compare = "[whole, timeslice:4]"};
    r.precision = "int4";
    struct tr_plan *plan = plan_of(&r);
    char part[80];
    (void)state;
    const struct tr_candidate *copies = on(plan, L40S, "timeslice:4");
    if (copies->rank > on(plan, A100, "timeslice:4")->rank)
        copies = on(plan, A100, "timeslice:4");
    snprintf(part, sizeof part, "they carry %.3g requests/s per GPU where one engine carries %.3g",
             copies->capacity_rps, on(plan, copies->node->name, "whole")->capacity_rps);
    assert_says(plan, part);
    plan_free(plan);
}

/* ---- ties
 * -------------------------------------------------------------------------------------- */

static void ties_go_to_the_simpler(void **state)
{
    struct recipe r = {.precision = "[int4, bf16]", .slo = "{ttft_p95: 4s}"};
    r.compare = "[mig:1g.20gb*4 int4, mig:4g.40gb, mig:7g.80gb, timeslice:4 int4, timeslice:2, "
                "mig:3g.40gb*2/timeslice:2 int4, mig:3g.40gb+4g.40gb int4, whole]";
    struct tr_plan *plan = plan_of(&r);
    static const char *const order[] = {"whole int4",
                                        "whole bf16",
                                        "timeslice:2 int4",
                                        "timeslice:2 bf16",
                                        "timeslice:4 int4",
                                        "mig:7g.80gb int4",
                                        "mig:4g.40gb int4",
                                        "mig:7g.80gb bf16",
                                        "mig:4g.40gb bf16",
                                        "mig:1g.20gb*4 int4",
                                        "mig:4g.40gb+3g.40gb int4",
                                        "mig:3g.40gb*2/timeslice:2 int4"};
    (void)state;
    for (size_t i = 0; i < TR_LEN(order); i++) {
        assert_int_equal(plan->candidates[plan->order[i]].nodes, 1);
        assert_string_equal(ranked_text(plan, (int)plan->order[i]), order[i]);
    }
    assert_says(plan, "but int4 is preferred to bf16");
    assert_contains(of(plan, "timeslice:2 int4")->cause, "and is not as simple as whole");
    plan_free(plan);
}

/* ---- input that is wrong or strange
 * ------------------------------------------------------------ */

static void wrong_arrangements_have_their_place(void **state)
{
    static const struct {
        const char *compare, *message;
    } bad[] = {
        {"[whole, mig:9g.90gb]",
         "test.yaml:10:18: arrangement 'mig:9g.90gb': A100-PCIe-80GB has no "
         "MIG profile '9g.90gb'"},
        {"[whole int4]",
         "test.yaml:10:11: arrangement 'whole int4': int4 is not among the precisions "
         "that 'chat' allows (workloads: precision)"},
        {"[mig:4g.40gb*2]", "test.yaml:10:11: arrangement 'mig:4g.40gb*2'"},
        {"[whole, thirds:3]", "test.yaml:10:18: arrangement 'thirds:3'"},
        {"[timeslice:0]", "test.yaml:10:11: arrangement 'timeslice:0'"},
    };
    (void)state;
    for (size_t i = 0; i < TR_LEN(bad); i++) {
        struct recipe r = {.compare = bad[i].compare};
        struct tr_scenario *s = scenario_of(&r);
        struct tr_plan *plan;
        struct tr_err err = {0};
        assert_int_equal(tr_plan_run(s, &(struct tr_plan_opts){.quick = true}, &plan, &err),
                         TR_EINPUT);
        if (strncmp(err.text, bad[i].message, strlen(bad[i].message)) != 0)
            fail_msg("%s: %s", bad[i].compare, err.text);
        tr_scenario_free(s);
    }
}

static void write_trace(const char *path, const char *rows)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "TIMESTAMP,ContextTokens,GeneratedTokens\n%s", rows);
    fclose(f);
}

static void traces_of_none_and_of_one_request(void **state)
{
    char path[] = "/tmp/tranche-plan-XXXXXX", traffic[100];
    struct recipe r = {.traffic = traffic, .compare = "[whole, timeslice:2]"};
    struct tr_plan *plan;
    struct tr_err err = {0};
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(traffic, sizeof traffic, "{trace: %s, format: azure}", path);
    write_trace(path, "");
    struct tr_scenario *s = scenario_of(&r);
    assert_int_equal(tr_plan_run(s, &(struct tr_plan_opts){.quick = true}, &plan, &err), TR_EINPUT);
    assert_contains(err.text, "no requests");
    tr_scenario_free(s);

    write_trace(path, "2023-11-16 18:17:03.9799600,374,44\n");
    plan = plan_of(&r);
    assert_int_equal(of(plan, "whole bf16")->nodes, 1);
    assert_int_equal(of(plan, "whole bf16")->result.outcome.inside_all, 1);
    plan_free(plan);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slo_changes_the_cause),
        cmocka_unit_test(short_prompts_spare_the_slices),
        cmocka_unit_test(looser_objectives_never_cost_more),
        cmocka_unit_test(twice_the_rate_never_lowers_a_fleet),
        cmocka_unit_test(capacity_stays_below_physics),
        cmocka_unit_test(isolation_refuses_and_admits),
        cmocka_unit_test(tenants_that_share_pods_cannot_be_isolated),
        cmocka_unit_test(quality_limit_admits_and_refuses),
        cmocka_unit_test(kv_cache_must_hold_the_longest_request),
        cmocka_unit_test(the_small_instance_is_what_misses),
        cmocka_unit_test(a_model_that_nothing_holds),
        cmocka_unit_test(requests_longer_than_the_model_len),
        cmocka_unit_test(beyond_nodes_max_is_marked_and_counted),
        cmocka_unit_test(a_fleet_has_at_least_nodes_min),
        cmocka_unit_test(own_pods_take_a_gpu_each_on_whole),
        cmocka_unit_test(priority_serves_its_tier_first),
        cmocka_unit_test(least_requests_needs_no_more_than_random),
        cmocka_unit_test(spikes_can_decide),
        cmocka_unit_test(a_window_of_spikes_needs_spikes),
        cmocka_unit_test(capacity_relative_traffic_is_scaled),
        cmocka_unit_test(node_types_are_ranked_together_by_cost),
        cmocka_unit_test(copies_are_compared_on_one_node_type),
        cmocka_unit_test(ties_go_to_the_simpler),
        cmocka_unit_test(wrong_arrangements_have_their_place),
        cmocka_unit_test(traces_of_none_and_of_one_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
