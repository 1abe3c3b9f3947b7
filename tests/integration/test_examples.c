/* Every example with workloads, planned with --quick, against the verdict that docs/examples.md
 * derives by hand: winner, runner-up and figures, each with the tolerance of its derivation.
 *
 *   test_examples          those that take seconds
 *   test_examples days     those that simulate whole days, or several workloads
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../unit/plan_fixture.h"
#include "plan/pools.h"

enum figure {
    NODES,        /* of the smallest fleet */
    COST_RATIO,   /* of the fleet to the pick's */
    CAPACITY,     /* requests/s of one GPU */
    UNLOADED_P95, /* TTFT of the p95 prompt on an idle share, s */
    TPOT_P50,     /* of the fleet, s */
    KV_TOK,       /* of one pod */
    PEAK_OVER_C,  /* the busiest minute over the capacity that the traffic is relative to */
    HITS,         /* share of prompt tokens from the prefix cache, in the fleet */
    INSIDE,       /* share of all requests within every objective, in the fleet */
};

struct expected {
    const char *candidate; /* "whole bf16" */
    enum figure figure;
    double value, tolerance; /* relative */
};

struct example {
    const char *file, *pick, *runner_up;
    struct expected figures[5];
};

static const struct example of_days[] = {
    {"aks-chatbot",
     "whole bf16",
     "mig:7g.80gb bf16",
     {{"whole bf16", UNLOADED_P95, 0.288, 0.02},
      {"mig:4g.40gb bf16", UNLOADED_P95, 0.451, 0.03},
      {"whole bf16", CAPACITY, 2.8, 0.20},
      {"timeslice:2 bf16", CAPACITY, 0.13, 0.20},
      {"whole bf16", NODES, 15, 0.20}}},
    {"aks-chatbot-one-gpu",
     "whole bf16",
     "whole int4",
     {{"whole bf16", CAPACITY, 2.8, 0.20},
      {"whole bf16", PEAK_OVER_C, 1.85, 0.10},
      {"whole bf16", INSIDE, 0.96, 0.015}}},
};

static const struct example of_hours[] = {
    {"azure-chat",
     "whole bf16",
     "mig:7g.80gb bf16",
     {{"whole bf16", UNLOADED_P95, 0.356, 0.02}, {"whole bf16", CAPACITY, 3.5, 0.20}}},
    {"heavy",
     "whole bf16",
     "mig:7g.80gb bf16",
     {{"whole bf16", CAPACITY, 3.3, 0.15},
      {"whole bf16", TPOT_P50, 0.028, 0.10},
      {"timeslice:2 bf16", NODES, 2, 0}}},
    {"seven-tenants",
     "mig:1g.10gb*7 bf16",
     "mig:1g.20gb*4 bf16",
     {{"mig:1g.10gb*7 bf16", KV_TOK, 16080, 0.02},
      {"mig:1g.10gb*7 bf16", TPOT_P50, 0.0346, 0.05},
      {"mig:1g.20gb*4 bf16", COST_RATIO, 2, 0},
      {"whole bf16", NODES, 7, 0}}},
    {"sessions",
     "whole bf16",
     "timeslice:2 bf16",
     {{"whole bf16", HITS, 0.754, 0.05},
      {"mig:7g.80gb bf16", NODES, 1, 0},
      {"mig:3g.40gb*2 bf16", NODES, 2, 0},
      {"whole bf16", KV_TOK, 616000, 0.02}}},
    {"four-small",
     "timeslice:4 bf16",
     "timeslice:8 bf16",
     {{"whole bf16", NODES, 4, 0},
      {"timeslice:4 bf16", NODES, 1, 0},
      {"timeslice:4 bf16", TPOT_P50, 0.00219, 0.03}}},
    {"four-limited",
     "mps:4 bf16",
     "mig:1g.20gb*4 bf16",
     {{"mps:2 bf16", NODES, 2, 0},
      {"mps:4 bf16", NODES, 1, 0},
      {"mps:4 bf16", KV_TOK, 518000, 0.02},
      {"mps:4 bf16", TPOT_P50, 0.00444, 0.03}}},
};

static double value_of(const struct tr_plan *plan, const struct expected *e)
{
    const struct tr_candidate *c = of(plan, e->candidate);
    const struct tr_outcome *o = &c->result.outcome;
    switch (e->figure) {
    case NODES:
        return c->nodes;
    case COST_RATIO:
        return c->usd_per_month / plan->candidates[plan->pick].usd_per_month;
    case CAPACITY:
        return c->capacity_rps;
    case UNLOADED_P95:
        return (double)c->unloaded_ttft_ns[1] / 1e9;
    case TPOT_P50:
        return (double)tr_hist_quantile(&o->metric[TR_TPOT], 0.50) / 1e9;
    case KV_TOK:
        return (double)c->memory[0].kv_tok;
    case HITS:
        return (double)c->result.fleet.prefix_hits_tok / (double)c->result.fleet.prefix_queries_tok;
    case PEAK_OVER_C:
        return plan->spikes.peak_rate / plan->relative_capacity;
    default:
        return (double)o->inside_all / (double)o->offered;
    }
}

static void verdict_is_that_of_the_hand(void **state)
{
    const struct example *x = *state;
    struct tr_scenario *s = NULL;
    struct tr_plan *plan = NULL;
    struct tr_err err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/examples/%s.yaml", getenv("TRANCHE_ROOT"), x->file);
    if (tr_scenario_load(path, NULL, &s, &err) != 0 ||
        tr_plan_run(s, &(struct tr_plan_opts){.quick = true}, &plan, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(ranked_text(plan, plan->pick), x->pick);
    assert_string_equal(ranked_text(plan, plan->runner_up), x->runner_up);
    for (size_t i = 0; i < TR_LEN(x->figures) && x->figures[i].candidate != NULL; i++) {
        double value = value_of(plan, &x->figures[i]);
        print_message("# %s, %s: %.5g, by hand %.5g within %.1f %%\n", x->file,
                      x->figures[i].candidate, value, x->figures[i].value,
                      100 * x->figures[i].tolerance);
        assert_near(value, x->figures[i].value, x->figures[i].tolerance);
    }
    plan_free(plan);
}

static struct tr_plan *quick_plan(const char *file)
{
    struct tr_scenario *s = NULL;
    struct tr_plan *plan = NULL;
    struct tr_err err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/examples/%s.yaml", getenv("TRANCHE_ROOT"), file);
    if (tr_scenario_load(path, NULL, &s, &err) != 0 ||
        tr_plan_run(s, &(struct tr_plan_opts){.quick = true}, &plan, &err) != 0)
        fail_msg("%s", err.text);
    return plan;
}

/* The guaranteed workload in the way of sharing with this name; `by_arrival`: as if its engine
 * went first come first served. */
static const struct tr_pool_victim *premium_in(const struct tr_pools *p, const char *name,
                                               bool by_arrival)
{
    for (size_t i = 0; i < p->n_victims; i++) {
        const struct tr_pool_victim *v = &p->victims[i];
        if (v->workload == 0 && v->first_come == by_arrival &&
            strcmp(v->way->stand.layout.arrangement.text, name) == 0)
            return v;
    }
    fail_msg("there is no %s", name);
    abort();
}

/* Premium's first tokens while standard's queue is always full. */
static void tiers_are_those_of_the_hand(void **state)
{
    (void)state;
    struct tr_plan *plan = quick_plan("tiers");
    const struct tr_pools *p = plan->pools;
    const struct tr_pool *both = tr_pools_group(p, 3);
    assert_true(plan->meets);
    assert_int_equal(p->answer.best[0].n, 1);
    assert_string_equal(both->stand.layout.arrangement.text, "one-engine");
    assert_int_equal(both->nodes, 1);
    const struct tr_pool_victim *one = premium_in(p, "one-engine", false);
    const struct tr_pool_victim *queue = premium_in(p, "one-engine", true);
    const struct tr_pool_victim *turns = premium_in(p, "timeslice:2", false);
    const struct tr_pool_victim *slices = premium_in(p, "mig:4g.40gb+3g.40gb", false);
    assert_near((double)one->at[TR_NEIGHBOUR_SATURATES].p50_ns / 1e9, 0.158, 0.20);
    assert_near((double)queue->at[TR_NEIGHBOUR_SATURATES].p50_ns / 1e9, 6.4, 0.20);
    assert_near((double)turns->at[TR_NEIGHBOUR_SATURATES].p50_ns / 1e9, 0.055, 0.20);
    assert_true(one->at[TR_NEIGHBOUR_SATURATES].inside >= 0.95);
    assert_true(queue->at[TR_NEIGHBOUR_SATURATES].inside < 0.01);
    assert_near(one->at[TR_NEIGHBOUR_SATURATES].inside, both->saturated[0], 1e-12);
    assert_int_equal(slices->way->breaks, 0);
    assert_contains(slices->way->why, "premium is guaranteed, and has ");
    /* Behind premium's endless queue nobody of standard is ever served, and that is said. */
    const struct tr_pool_victim *standard = &p->victims[p->n_victims - 1];
    assert_int_equal(standard->workload, 1);
    assert_true(standard->at[TR_NEIGHBOUR_SATURATES].inside < 0.01);
    plan_free(plan);
}

/* Of several workloads: who shares with whom, and how many nodes each pool has. */
static void pools_are_those_of_the_hand(void **state)
{
    (void)state;
    struct tr_plan *plan = quick_plan("aks-chatbot-final");
    const struct tr_pools *p = plan->pools;
    const struct tr_candidate *chat = &p->member[0].alone->candidates[p->member[0].alone->pick];
    assert_true(plan->meets);
    assert_int_equal(p->answer.best[0].n, 2);
    assert_int_equal(p->answer.best[0].group[0], 1);    /* chat */
    assert_int_equal(p->answer.best[0].group[1], 0x1e); /* all others */
    assert_string_equal(chat->arrangement.text, "whole");
    print_message("# aks-chatbot-final, chat: %d nodes, by hand 15\n", chat->nodes);
    assert_near(chat->nodes, 15, 0.20);
    for (int i = 1; i < p->n; i++)
        assert_int_equal(p->member[i].alone->candidates[p->member[i].alone->pick].nodes, 1);
    const struct tr_pool *small = tr_pools_group(p, 0x1e);
    assert_string_equal(small->stand.layout.arrangement.text, "timeslice:4");
    assert_int_equal(small->nodes, 1);
    assert_true(p->answer.bound == p->answer.best[0].cost);
    plan_free(plan);
}

/* Under a sanitizer an example takes ten times as long: there, the two short ones stand for all. */
#ifdef __SANITIZE_ADDRESS__
#define FIRST_HOUR 2
#else
#define FIRST_HOUR 0
#endif

static void fill(struct CMUnitTest *tests, const struct example *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){.name = list[i].file,
                                       .test_func = verdict_is_that_of_the_hand,
                                       .initial_state = (void *)&list[i]};
}

int main(int argc, char **argv)
{
    struct CMUnitTest days[TR_LEN(of_days) + 2], hours[TR_LEN(of_hours) - FIRST_HOUR];
    fill(days, of_days, TR_LEN(of_days));
    days[TR_LEN(of_days)] =
        (struct CMUnitTest){.name = "aks-chatbot-final", .test_func = pools_are_those_of_the_hand};
    days[TR_LEN(of_days) + 1] =
        (struct CMUnitTest){.name = "tiers", .test_func = tiers_are_those_of_the_hand};
    fill(hours, of_hours + FIRST_HOUR, TR_LEN(hours));
    if (argc == 2 && strcmp(argv[1], "days") == 0)
        return cmocka_run_group_tests(days, NULL, NULL);
    return cmocka_run_group_tests(hours, NULL, NULL);
}
