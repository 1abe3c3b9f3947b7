/* plan: the searches for a load and for a fleet, and the two stages of a full plan. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

/* ---- the hunt ------------------------------------------------------------------------------ */

/* Requests outside over what is forgiven: a power of load over capacity. */
static int runs_to_find(double capacity, double power, double guess, double precision)
{
    struct tr_hunt h = {.slope = 1.5};
    for (double load = guess; h.met == 0 || h.over == 0 || h.over > h.met * (1 + precision);
         load = tr_hunt_next(&h, precision)) {
        tr_hunt_learn(&h, load, power * (tr_ln(load) - tr_ln(capacity)));
        assert_true(h.runs < 60);
    }
    assert_true(h.met <= capacity && capacity < h.over);
    return h.runs;
}

static void a_hunt_ends_in_few_runs(void **state)
{
    static const double powers[] = {0.6, 1, 2, 4};
    (void)state;
    for (size_t i = 0; i < TR_LEN(powers); i++) {
        assert_true(runs_to_find(2.9, powers[i], 2.5, 0.02) <= 6);
        assert_true(runs_to_find(2.9, powers[i], 3.2, 0.02) <= 6);
        assert_true(runs_to_find(2.9, powers[i], 290, 0.02) <= 10);
        assert_true(runs_to_find(2.9, powers[i], 0.029, 0.02) <= 10);
    }
}

/* Where a run only says yes or no, the hunt still ends. */
static void a_hunt_ends_on_a_cliff(void **state)
{
    struct tr_hunt h = {.slope = 1.5};
    (void)state;
    for (double load = 40; h.met == 0 || h.over == 0 || h.over > h.met * 1.02;
         load = tr_hunt_next(&h, 0.02)) {
        tr_hunt_learn(&h, load, load <= 3 ? -4 : 3);
        assert_true(h.runs < 30);
    }
    assert_true(h.met <= 3 && h.over > 3);
}

/* ---- two stages ---------------------------------------------------------------------------- */

#define BUSY "{rate: 40/s, duration: 20m, prompt_tokens: 1200, output_tokens: 200}"

/* The whole of a fleet is as good on a sample, and what wins has been run on all of it. */
static void who_can_win_is_run_on_all_gpus(void **state)
{
    struct recipe r = {.compare = "[whole, timeslice:2, mig:7g.80gb]", .traffic = BUSY};
    (void)state;
    r.slo = "{ttft_p95: 700ms}";
    struct tr_plan *plan = plan_with(&r, &(struct tr_plan_opts){.jobs = 2});
    struct tr_plan *quick = plan_of(&r);
    for (int place = 0; place < 2; place++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[place]];
        assert_true(c->confirmed);
        assert_int_equal(c->sampled_gpus, 0);
        assert_int_equal(c->capacity_seeds, TR_CAPACITY_SEEDS);
        assert_int_equal(c->result.outcome.offered, plan->stats.requests);
        assert_true(c->fail_nodes == c->nodes - 1 || c->nodes == 1);
    }
    const struct tr_candidate *last = of(plan, "timeslice:2 bf16");
    assert_true(last->rank == 3 && !last->confirmed && last->sampled_gpus > 0);
    assert_int_equal(last->capacity_seeds, 1);
    for (size_t i = 0; i < quick->n_candidates; i++) {
        assert_false(quick->candidates[i].confirmed);
        assert_near(quick->candidates[i].nodes, plan->candidates[i].nodes, 0.15);
    }
    plan_free(plan);
    plan_free(quick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hunt_ends_in_few_runs),
        cmocka_unit_test(a_hunt_ends_on_a_cliff),
        cmocka_unit_test(who_can_win_is_run_on_all_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
