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
                      "{max_model_len: 2048}\n    traffic: {rate: %s, duration: 2m, "
                      "prompt_tokens: 400, output_tokens: 20}\n    slo: %s\n%s",
                      w[i].name, w[i].model, w[i].rate, w[i].slo, or_else(w[i].more, ""));
    tr_str_printf(&t, "compare: %s\n", or_else(compare, "[whole, timeslice:2, timeslice:3]"));
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
    {"a", "llama-3.2-1b", "1/s", "{ttft_p95: 500ms}", NULL},
    {"b", "llama-3.2-3b", "1/s", "{ttft_p95: 500ms}", NULL},
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

static void a_heavy_one_stays_alone(void **state)
{
    const struct spec w[] = {
        small_ones[0], small_ones[1], {"heavy", "llama-3.1-8b", "14/s", "{ttft_p95: 150ms}", NULL}};
    (void)state;
    struct tr_plan *plan = plan_several(w, 3, NULL);
    const struct tr_plan *heavy = plan->pools->member[2].alone;
    assert_string_equal(picked(plan), "a and b timeslice:2 1; heavy whole 1");
    assert_int_equal(heavy->candidates[heavy->pick].nodes, 1);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_small_ones_share_a_card),
        cmocka_unit_test(a_heavy_one_stays_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
