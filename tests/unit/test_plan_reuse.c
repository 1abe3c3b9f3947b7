/* Prefix caches as a user meets them: how much of the prompts they hold depends on how large they
 * are, on how many of them there are, and on who gets which turn of a conversation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tranche/simulate.h>

#include "plan_fixture.h"

static const char yaml[] = "cluster: {node: azure/Standard_NC24ads_A100_v4}\n"
                           "workloads:\n"
                           "  - model: llama-3.2-1b\n"
                           "    precision: bf16\n"
                           "    engine: {max_model_len: 8192}\n"
                           "    router: %s\n"
                           "    traffic:\n"
                           "      rate: %s\n"
                           "      duration: 20m\n"
                           "      prompt_tokens: {mean: 1200, cv: 0.3, min: 900, max: 4000}\n"
                           "      output_tokens: {mean: 100, cv: 0.5, min: 1, max: 400}\n"
                           "      system_prompt: {tokens: 800}\n"
                           "      sessions: {turns: 4, think_time: 30s, message_tokens: 100}\n"
                           "    slo: {ttft_p95: 1s}\n";

struct run {
    int64_t queries_tok, hits_tok, evicted_blocks;
    double most; /* share of the prompts that a cache without end would hold */
};

static struct run simulate(const char *router, const char *rate, const char *arrangement)
{
    struct tr_scenario *s = NULL;
    struct tr_simulation *sim = NULL;
    struct tr_err err = {0};
    char text[1200];
    int len = snprintf(text, sizeof text, yaml, router, rate);
    if (tr_scenario_parse("reuse.yaml", text, (size_t)len, NULL, &s, &err) != 0 ||
        tr_simulate_run(s, &(struct tr_simulate_opts){.arrangement = arrangement, .nodes = 1}, &sim,
                        &err) != 0)
        fail_msg("%s", err.text);
    const struct tr_fleet_stats *f = &sim->result.fleet;
    struct run run = {f->prefix_queries_tok, f->prefix_hits_tok, f->evicted_blocks,
                      sim->stats.prefix_reuse};
    print_message("# %s, %s, %s: %.1f %% of at most %.1f %%, %" PRId64 " blocks evicted\n",
                  arrangement, router, rate, 100.0 * (double)run.hits_tok / (double)run.queries_tok,
                  100 * run.most, run.evicted_blocks);
    tr_simulation_free(sim);
    tr_scenario_free(s);
    return run;
}

static double share(struct run r)
{
    return (double)r.hits_tok / (double)r.queries_tok;
}

/* Nothing is evicted, and every turn comes after the answer before it: all that can be found is.
 * The trace's own count knows nothing of engines. */
static void a_large_cache_finds_all_there_is(void **state)
{
    (void)state;
    struct run r = simulate("random", "1/s", "whole");
    assert_int_equal(r.evicted_blocks, 0);
    assert_true(r.most > 0.7);
    assert_near(share(r), r.most, 1e-9);
}

/* The system prompt is computed once on each of seven cards' parts; a turn finds its conversation
 * only where it was before. */
static void seven_caches_are_cold_seven_times(void **state)
{
    (void)state;
    struct run one = simulate("random", "1/s", "whole");
    struct run affine = simulate("session-affine", "1/s", "mig:1g.10gb*7");
    struct run random = simulate("random", "1/s", "mig:1g.10gb*7");
    int64_t system_tok = 800;
    assert_int_equal(affine.queries_tok, one.queries_tok);
    assert_int_equal(one.hits_tok - affine.hits_tok, 6 * system_tok);
    assert_true(share(random) < share(affine) - 0.10);
    /* Every prompt but the first of a pod finds the system prompt, whoever gets it. */
    assert_true(random.hits_tok > affine.queries_tok / 2);
}

/* The same conversations on smaller and smaller caches: LRU has the stack property, but for what
 * requests in progress hold. */
static void a_smaller_cache_finds_less(void **state)
{
    (void)state;
    static const char *const arrangements[] = {"whole", "timeslice:4", "timeslice:8"};
    double before = 1;
    for (size_t i = 0; i < TR_LEN(arrangements); i++) {
        struct run r = simulate("session-affine", "25/s", arrangements[i]);
        assert_true(r.evicted_blocks > 0 || i == 0);
        assert_true(share(r) < before);
        before = share(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_cache_finds_all_there_is),
        cmocka_unit_test(seven_caches_are_cold_seven_times),
        cmocka_unit_test(a_smaller_cache_finds_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
