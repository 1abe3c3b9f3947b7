/* plan on several threads: the same figures for any number of them, and a stop that is heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

static char *json_of(const struct tr_plan *plan)
{
    char *text = NULL;
    size_t len = 0;
    struct tr_err err = {0};
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(tr_plan_write(plan, TR_FORMAT_JSON, false, out, &err), 0);
    fclose(out);
    return text;
}

static void jobs_change_no_figure(void **state)
{
    struct recipe r = {.precision = "[bf16, int4]",
                       .compare = "[whole, timeslice:2 bf16, mig:3g.40gb*2 bf16, mig:1g.10gb*7]"};
    struct tr_plan_opts opts = {.quick = true, .jobs = 1, .seed = 7};
    (void)state;
    struct tr_plan *one = plan_with(&r, &opts);
    opts.jobs = 2;
    struct tr_plan *two = plan_with(&r, &opts);
    opts.seed = 8;
    struct tr_plan *other = plan_with(&r, &opts);
    char *a = json_of(one), *b = json_of(two), *c = json_of(other);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(a);
    free(b);
    free(c);
    plan_free(one);
    plan_free(two);
    plan_free(other);
}

/* A verdict compares arrangements on one and the same traffic. */
static void every_arrangement_sees_the_same_arrivals(void **state)
{
    struct recipe r = {.compare = "[whole, timeslice:2, mig:3g.40gb*2, mig:7g.80gb]"};
    (void)state;
    struct tr_plan *plan = plan_of(&r), *other;
    uint64_t hash = 0;
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_sim_result *run = &plan->candidates[i].result;
        assert_true(plan->candidates[i].nodes > 0);
        assert_int_equal(run->arrivals, plan->spikes.requests);
        hash = i == 0 ? run->arrivals_hash : hash;
        assert_true(run->arrivals_hash == hash);
    }
    other = plan_with(&r, &(struct tr_plan_opts){.quick = true, .jobs = 2, .seed = 9});
    assert_true(other->candidates[0].result.arrivals_hash != hash);
    plan_free(plan);
    plan_free(other);
}

/* Draws and flips: stages on stages. */
static void jobs_change_no_draw(void **state)
{
#ifdef __SANITIZE_THREAD__
    static const int jobs[] = {8}; /* it looks for races; other builds compare */
#else
    static const int jobs[] = {1, 2, 8};
#endif
    struct recipe r = {.precision = "[bf16, int4]",
                       .compare = "[whole, mig:7g.80gb bf16]",
                       .traffic =
                           "{rate: 40/s, duration: 30s, prompt_tokens: 1200, output_tokens: 100}"};
    char *first = NULL;
    (void)state;
    for (size_t i = 0; i < TR_LEN(jobs); i++) {
        struct tr_plan *plan = plan_with(
            &r, &(struct tr_plan_opts){
                    .quick = true, .jobs = jobs[i], .draws = 3, .flips = true, .seed = 7});
        char *json = json_of(plan);
        assert_int_equal(plan->n_draws, 3);
        assert_true(plan->flips[TR_FLIP_RATE].looked && plan->flips[TR_FLIP_PROMPT].looked);
        assert_true(plan->n_finalists >= 2);
        if (first == NULL)
            first = strdup(json);
        assert_string_equal(json, first);
        free(json);
        plan_free(plan);
    }
    free(first);
}

static atomic_int stop;

static void stop_at_once(void *arg, const char *what, double fraction_done)
{
    (void)arg;
    (void)what;
    (void)fraction_done;
    stop = 1;
}

static void stop_at_the_draws(void *arg, const char *what, double fraction_done)
{
    (void)arg;
    (void)fraction_done;
    if (strncmp(what, "draws", 5) == 0)
        stop = 1;
}

/* Draws are the first to go: the verdict is that of the runs. */
static void a_stop_drops_the_draws(void **state)
{
    struct recipe r = {.compare = "[whole, mig:7g.80gb]"};
    struct tr_plan_opts opts = {.quick = true,
                                .jobs = 2,
                                .draws = 1000,
                                .progress = {.stop = &stop, .report = stop_at_the_draws}};
    struct tr_scenario *s = scenario_of(&r);
    struct tr_plan *plan, *whole = plan_with(&r, &(struct tr_plan_opts){.quick = true, .jobs = 2});
    struct tr_err err = {0};
    (void)state;
    stop = 0;
    assert_int_equal(tr_plan_run(s, &opts, &plan, &err), TR_EINTR);
    assert_true(plan->interrupted);
    assert_int_equal(plan->n_draws, 0);
    assert_int_equal(plan->pick, whole->pick);
    assert_int_equal(plan->candidates[plan->pick].nodes, whole->candidates[whole->pick].nodes);
    assert_says(plan, "Interrupted: draws and what would flip the answer were left out.");
    free(json_of(plan));
    plan_free(plan);
    plan_free(whole);
}

static void a_stop_leaves_what_was_finished(void **state)
{
    struct tr_scenario *s = scenario_of(&(struct recipe){.precision = "[bf16, int4]"});
    struct tr_plan_opts opts = {
        .quick = true, .jobs = 2, .progress = {.stop = &stop, .report = stop_at_once}};
    struct tr_plan *plan;
    struct tr_err err = {0};
    int stopped = 0, finished = 0;
    (void)state;
    stop = 0;
    assert_int_equal(tr_plan_run(s, &opts, &plan, &err), TR_EINTR);
    assert_non_null(plan);
    assert_true(plan->interrupted);
    for (size_t i = 0; i < plan->n_candidates; i++) {
        stopped += plan->candidates[i].gate == TR_GATE_STOPPED;
        finished += plan->candidates[i].rank > 0;
    }
    assert_true(stopped > 0);
    assert_int_equal(finished > 0, plan->pick >= 0);
    free(json_of(plan));
    tr_plan_free(plan);

    stop = 1;
    err = (struct tr_err){0};
    assert_int_equal(tr_plan_run(s, &opts, &plan, &err), TR_EINTR);
    assert_non_null(plan);
    assert_int_equal(plan->pick, -1);
    assert_says(plan, "Interrupted before any arrangement was evaluated");
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_change_no_figure),
        cmocka_unit_test(every_arrangement_sees_the_same_arrivals),
        cmocka_unit_test(jobs_change_no_draw),
        cmocka_unit_test(a_stop_drops_the_draws),
        cmocka_unit_test(a_stop_leaves_what_was_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
