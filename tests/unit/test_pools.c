/* plan of several workloads: who shares, what that costs, and what it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan/pools.h"
#include "plan_fixture.h"

/* ---- scenarios ------------------------------------------------------------------------------ */

struct spec {
    const char *name, *model, *rate, *slo;
    const char *more; /* further lines, each indented by four */
};

static struct tr_scenario *several(const struct spec *w, int n, const char *compare)
{
    struct tr_str t = {0};
    struct tr_scenario *s;
    struct tr_err err = {0};
    tr_str_printf(&t, "name: several\ncluster: {node: %s, nodes: {min: 1, max: 9}}\nworkloads:\n",
                  A100);
    for (int i = 0; i < n; i++)
        tr_str_printf(&t,
                      "  - name: %s\n    model: %s\n    precision: bf16\n    engine: "
                      "{max_model_len: 2048}\n    traffic: {rate: %s, "
                      "prompt_tokens: 400, output_tokens: 20}\n    slo: %s\n%s",
                      w[i].name, w[i].model, w[i].rate, w[i].slo, or_else(w[i].more, ""));
    tr_str_printf(&t, "compare: %s\n", or_else(compare, "[whole, timeslice:2]"));
    if (tr_scenario_parse("test.yaml", t.text, t.len, NULL, &s, &err) != 0)
        fail_msg("%s\n%s", err.text, t.text);
    tr_str_free(&t);
    return s;
}

static struct tr_plan *plan_several(const struct spec *w, int n, const char *compare)
{
    struct tr_plan *plan;
    struct tr_err err = {0};
    if (tr_plan_run(several(w, n, compare), &(struct tr_plan_opts){.quick = true, .jobs = 2}, &plan,
                    &err) != 0)
        fail_msg("%s", err.text);
    return plan;
}

/* "a,b timeslice:2 1; c whole 2" */
static const char *picked(const struct tr_plan *plan)
{
    static char text[400];
    struct tr_pools *p = plan->pools;
    size_t used = 0;
    for (int g = 0; g < p->answer.best[0].n; g++) {
        uint32_t members = p->answer.best[0].group[g];
        const struct tr_pool *pool = tr_pools_group(p, members);
        const struct tr_plan *alone = p->member[__builtin_ctz(members)].alone;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %s %d", g > 0 ? "; " : "",
                                 tr_pools_names(p, members),
                                 pool != NULL ? pool->stand.layout.arrangement.text
                                              : alone->candidates[alone->pick].arrangement.text,
                                 pool != NULL ? pool->nodes : alone->candidates[alone->pick].nodes);
    }
    return text;
}

static void assert_pools_say(const struct tr_plan *plan, const char *part)
{
    for (int i = 0; i < plan->pools->n_lines; i++)
        if (strstr(plan->pools->lines[i], part) != NULL)
            return;
    for (int i = 0; i < plan->pools->n_lines; i++)
        print_message("%s\n", plan->pools->lines[i]);
    fail_msg("no line says \"%s\"", part);
}

/* ---- who shares ----------------------------------------------------------------------------- */

static const struct spec small_ones[] = {
    {"a", "llama-3.2-1b", "1/s, duration: 2m", "{ttft_p95: 500ms}", NULL},
    {"b", "llama-3.2-3b", "1/s, duration: 2m", "{ttft_p95: 500ms}", NULL},
};

static void two_small_ones_share_a_card(void **state)
{
    (void)state;
    struct tr_plan *plan = plan_several(small_ones, 2, NULL);
    assert_string_equal(picked(plan), "a and b timeslice:2 1");
    assert_true(plan->meets);
    assert_int_equal(plan->pools->answer.best[0].cost,
                     tr_pools_cost(plan->pools, plan->pools->groups[0]->stand.node, 1));
    assert_int_equal(plan->pools->apart, 2 * plan->pools->answer.best[0].cost);
    assert_pools_say(plan, "sharing saves $2,681 a month, 50.0 %");
    /* The memory is divided: both start, and both have a KV cache that holds a request. */
    const struct tr_stand *s = &plan->pools->groups[0]->stand;
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        const struct tr_memory *m = &s->seat[i]->pod.memory[0];
        sum += (double)(m->budget_bytes + m->context_bytes);
        assert_true(m->kv_tok >= 2048 + 16);
    }
    assert_true(sum <= (double)s->node->gpu->mem_bytes);
    plan_free(plan);
}

/* The neighbours of the fast one would be busy more than half of the time, and a prompt that takes
 * turns with them takes twice as long. */
static void one_with_a_tight_objective_stays_alone(void **state)
{
    const struct spec w[] = {
        {"a", "llama-3.2-1b", "4/s, duration: 2m", "{ttft_p95: 500ms}", NULL},
        {"b", "llama-3.2-3b", "4/s, duration: 2m", "{ttft_p95: 500ms}", NULL},
        {"fast", "llama-3.1-8b", "0.5/s, duration: 4m", "{ttft_p95: 62ms}", NULL}};
    (void)state;
    struct tr_plan *plan = plan_several(w, 3, "[whole, timeslice:2, timeslice:3]");
    assert_string_equal(picked(plan), "a and b timeslice:2 1; fast whole 1");
    assert_contains(tr_pools_group(plan->pools, 7)->why, "fast has ");
    plan_free(plan);
}

/* ---- how they share ------------------------------------------------------------------------- */

static void one_model_and_trust_share_an_engine(void **state)
{
    struct spec w[] = {small_ones[0], small_ones[0]};
    (void)state;
    w[1].name = "b";
    struct tr_plan *plan = plan_several(w, 2, NULL);
    assert_string_equal(picked(plan), "a and b one-engine 1");
    assert_int_equal(plan->pools->groups[0]->stand.serves[0], 3);
    plan_free(plan);
    w[0].more = "    trust: red\n";
    w[1].more = "    trust: blue\n";
    plan = plan_several(w, 2, NULL);
    assert_string_equal(picked(plan), "a and b timeslice:2 1");
    plan_free(plan);
}

static void isolation_asked_by_one_is_kept_from_the_other(void **state)
{
    struct spec w[] = {small_ones[0], small_ones[1]};
    (void)state;
    w[1].more = "    isolation: memory\n";
    struct tr_plan *plan = plan_several(w, 2, "[whole, timeslice:2, mps:2]");
    assert_string_equal(picked(plan), "a and b mps:2 1");
    plan_free(plan);
    w[1].more = "    isolation: fault\n";
    plan = plan_several(w, 2, "[whole, mps:2, 'mig:3g.40gb*2']");
    assert_string_equal(picked(plan), "a and b mig:3g.40gb*2 1");
    plan_free(plan);
    plan = plan_several(w, 2, NULL);
    assert_string_equal(picked(plan), "a whole 1; b whole 1");
    assert_string_equal(plan->pools->groups[0]->why,
                        "no layout of a GPU holds all of them; a and b need isolation of fault");
    assert_pools_say(plan, "Nobody shares");
    plan_free(plan);
    w[0].more = w[1].more = "    isolation: fault\n    trust: red\n";
    plan = plan_several(w, 2, "[whole, timeslice:2]");
    assert_string_equal(picked(plan), "a and b timeslice:2 1");
    plan_free(plan);
}

/* A prompt of 8B takes some 36 ms alone, 50 on half of the card, and more than 70 beside a
 * neighbour that never rests; one that is busy 3 % of the time is forgiven. */
static void what_is_guaranteed_holds_beside_a_saturated_neighbour(void **state)
{
    static const char compare[] = "[whole, timeslice:2, 'mig:4g.40gb+3g.40gb']";
    struct spec w[] = {{"a", "llama-3.1-8b", "0.1/s, duration: 40m", "{ttft_p95: 75ms}", NULL},
                       {"b", "llama-3.2-3b", "0.2/s, duration: 20m", "{ttft_p95: 500ms}", NULL}};
    (void)state;
    struct tr_plan *plan = plan_several(w, 2, compare);
    assert_string_equal(picked(plan), "a and b timeslice:2 1");
    plan_free(plan);
    w[0].more = "    guaranteed: true\n";
    plan = plan_several(w, 2, compare);
    assert_string_equal(picked(plan), "a and b mig:4g.40gb+3g.40gb 1");
    assert_pools_say(plan, "a is guaranteed: while its neighbours' queues are always full");
    plan_free(plan);
}

static void weights_that_do_not_fit_together_stay_apart(void **state)
{
    const struct spec w[] = {
        {"a", "qwen3-14b", "1/s, duration: 2m", "{ttft_p95: 2s}", NULL},
        {"b", "qwen3-14b", "1/s, duration: 2m", "{ttft_p95: 2s}", "    trust: red\n"},
        {"c", "qwen3-14b", "1/s, duration: 2m", "{ttft_p95: 2s}", "    trust: blue\n"}};
    (void)state;
    struct tr_plan *plan = plan_several(w, 3, "[whole, timeslice:2, timeslice:3]");
    const struct tr_pool *all = tr_pools_group(plan->pools, 7);
    assert_null(all->stand.node);
    assert_contains(all->why, "no layout of a GPU holds all of them: memory");
    assert_int_equal(plan->pools->answer.best[0].n, 2);
    plan_free(plan);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* What the search finds with few groups is what all of them would have given. */
static void the_answer_is_that_of_every_group(void **state)
{
    struct spec w[] = {small_ones[0], small_ones[1], small_ones[0]};
    int64_t cost[8] = {0};
    struct tr_partition best[2];
    (void)state;
    w[2].name = "c";
    w[2].rate = "9/s, duration: 2m";
    w[2].more = "    isolation: memory\n";
    struct tr_plan *plan = plan_several(w, 3, "[whole, timeslice:2, timeslice:3, mps:2]");
    struct tr_pools *p = plan->pools;
    for (uint32_t set = 1; set < 8; set++) {
        struct tr_pool pool;
        struct tr_err err = {0};
        int64_t sum = 0;
        for (int i = 0; i < 3; i++)
            sum += set >> i & 1 ? tr_pools_alone(p, i) : 0;
        cost[set] = sum;
        if ((set & (set - 1)) == 0)
            continue;
        assert_int_equal(tr_pool_find(p, set, (int64_t)((double)sum / 1.05), &pool, &err), TR_OK);
        cost[set] = pool.cost;
        tr_sim_result_free(&pool.result);
    }
    assert_true(tr_partition_best(3, cost, best) > 0);
    assert_true(best[0].cost == p->answer.best[0].cost);
    assert_true(p->answer.bound == best[0].cost);
    plan_free(plan);
}

/* Owned by the caller. */
static char *json_with(int jobs)
{
    struct tr_plan *plan;
    struct tr_err err = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(tr_plan_run(several(small_ones, 2, NULL),
                                 &(struct tr_plan_opts){.quick = true, .jobs = jobs}, &plan, &err),
                     TR_OK);
    assert_int_equal(tr_plan_write(plan, TR_FORMAT_JSON, false, out, &err), TR_OK);
    assert_int_equal(tr_plan_exit(plan), 0);
    (void)fclose(out);
    plan_free(plan);
    return text;
}

static void threads_change_no_byte(void **state)
{
    (void)state;
    char *one = json_with(1), *three = json_with(3);
    assert_string_equal(one, three);
    free(one);
    free(three);
}

static void one_of_several_can_be_planned_alone(void **state)
{
    struct tr_scenario *s = several(small_ones, 2, NULL);
    struct tr_plan *plan;
    struct tr_err err = {0};
    (void)state;
    assert_int_equal(tr_scenario_only(s, "bb", &err), TR_EINPUT);
    assert_string_equal(err.text, "test.yaml: has no workload 'bb'; known are a, b");
    assert_int_equal(tr_scenario_only(s, "b", &err), TR_OK);
    assert_int_equal(tr_plan_run(s, &(struct tr_plan_opts){.quick = true, .jobs = 2}, &plan, &err),
                     TR_OK);
    assert_null(plan->pools);
    assert_string_equal(plan->scenario->workload.name, "b");
    assert_string_equal(ranked_text(plan, plan->pick), "whole bf16");
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_small_ones_share_a_card),
        cmocka_unit_test(one_with_a_tight_objective_stays_alone),
        cmocka_unit_test(one_model_and_trust_share_an_engine),
        cmocka_unit_test(isolation_asked_by_one_is_kept_from_the_other),
        cmocka_unit_test(what_is_guaranteed_holds_beside_a_saturated_neighbour),
        cmocka_unit_test(weights_that_do_not_fit_together_stay_apart),
        cmocka_unit_test(the_answer_is_that_of_every_group),
        cmocka_unit_test(threads_change_no_byte),
        cmocka_unit_test(one_of_several_can_be_planned_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
