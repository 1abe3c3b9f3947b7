/* plan: bills by hand, and the front of cost against the objective. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan_fixture.h"

static void a_bill_by_hand(void **state)
{
    (void)state;
    struct tr_node_type node = {
        .gpus = 2, .usd_per_h = 7.2, .reserved_usd_per_h = 5, .spot_usd_per_h = NAN};
    struct tr_plan plan = {.stats = {.rate = 4}};
    struct tr_candidate c = {.node = &node, .nodes = 3, .capacity_rps = 2.7};
    /* A sample of the fleet: a tenth of the requests, of which one in five got no answer. */
    c.result.outcome.offered = 100;
    c.result.outcome.done = 80;
    c.result.outcome.prompt_tok = 90000;
    c.result.outcome.output_tok = 30000;
    c.result.fleet.busy_fraction = 0.75;
    struct tr_bill b;
    tr_bill_make(&plan, &c, &b);
    assert_near(b.usd_per_month[TR_ON_DEMAND], 3 * 7.2 * 730, 1e-9);
    assert_near(b.usd_per_month[TR_RESERVED], 3 * 5 * 730, 1e-9);
    assert_true(isnan(b.usd_per_month[TR_SPOT]));
    /* 21.6 dollars an hour buy 14,400 offered requests: 1.5 dollars a thousand, 1.875 answered;
     * each offered one brings 1,200 tokens, 300 of them output. */
    assert_near(b.usd_per_1000, 1.875, 1e-12);
    assert_near(b.usd_per_mtok, 1.25, 1e-12);
    assert_near(b.usd_per_mtok_output, 5, 1e-12);
    assert_near(b.idle_share, 0.25, 1e-12);
    assert_near(b.rate_per_usd_per_h, 0.75, 1e-12); /* two GPUs of 2.7 for 7.2 */
}

static struct tr_front_point point(int candidate, double usd, double inside)
{
    return (struct tr_front_point){
        .candidate = candidate, .nodes = 1, .usd_per_month = usd, .inside = inside};
}

static void what_costs_more_for_less_is_not_on_the_front(void **state)
{
    (void)state;
    struct tr_front_point points[] = {
        point(0, 300, 0.96), point(1, 200, 0.95), point(2, 250, 0.94), /* dearer and worse than 1 */
        point(3, 100, 0.80), point(4, 200, 0.90),                      /* costs what 1 costs */
        point(6, 300, 0.96),                                           /* the same as 0 */
    };
    struct tr_front f;
    tr_front_make(points, 6, &f);
    assert_int_equal(f.n, 3);
    assert_int_equal(f.points[0].candidate, 3);
    assert_int_equal(f.points[1].candidate, 1);
    assert_int_equal(f.points[2].candidate, 0);
    assert_int_equal(f.knee, 1);
}

static void the_knee_is_farthest_above_the_chord(void **state)
{
    (void)state;
    /* Scaled: (0, 0), (0.1, 0.3), (0.3, 0.7), (0.6, 0.9), (1, 1): 0.2, 0.4, 0.3 above. */
    struct tr_front_point points[] = {point(0, 1000, 0.5), point(1, 1100, 0.65),
                                      point(2, 1300, 0.85), point(3, 1600, 0.95),
                                      point(4, 2000, 1.0)};
    struct tr_front f;
    tr_front_make(points, 5, &f);
    assert_int_equal(f.n, 5);
    assert_int_equal(f.knee, 2);
    /* On the chord there is no knee, nor is there one of two points. */
    struct tr_front_point straight[] = {point(0, 1, 0.25), point(1, 2, 0.5), point(2, 3, 0.75)};
    tr_front_make(straight, 3, &f);
    assert_int_equal(f.knee, -1);
    tr_front_make(straight, 2, &f);
    assert_int_equal(f.knee, -1);
    /* Of two as far from it the cheaper: (0.25, 0.75) and (0.5, 1). */
    struct tr_front_point even[] = {point(0, 0, 0), point(1, 1, 0.375), point(2, 2, 0.5),
                                    point(3, 4, 0.5625)};
    even[3].inside = 0.5 + 1e-12;
    tr_front_make(even, 4, &f);
    assert_int_equal(f.knee, 1);
    tr_front_make(straight, 0, &f);
    assert_int_equal(f.n, 0);
}

#define BUSY "{rate: 12/s, duration: 150s, prompt_tokens: 1200, output_tokens: 100}"

static struct tr_plan *full_plan(const char *node)
{
    struct recipe r = {.node = node, .compare = "[whole]", .traffic = BUSY};
    return plan_with(&r, &(struct tr_plan_opts){.jobs = 2});
}

/* More nodes keep more inside; the smallest fleet that meets the objective is among the points, and
 * so are one that does not and one that is larger. */
static void the_front_of_a_plan(void **state)
{
    (void)state;
    struct tr_plan *plan = full_plan(A100);
    const struct tr_front *f = &plan->front;
    int pick = plan->candidates[plan->pick].nodes;
    bool below = false, at = false;
    assert_true(f->n >= 3);
    for (int i = 0; i < f->n; i++) {
        const struct tr_front_point *p = &f->points[i];
        assert_int_equal(p->purchase, TR_ON_DEMAND); /* Azure's reserved prices are not known */
        assert_near(p->usd_per_month, p->nodes * 3.673 * 730, 1e-6);
        assert_true(i == 0 ||
                    (p->nodes > f->points[i - 1].nodes && p->inside > f->points[i - 1].inside));
        below = below || p->nodes < pick;
        assert_true(p->nodes >= pick || p->inside < 0.95);
        if (p->nodes == pick)
            at = p->inside >= 0.95;
    }
    assert_true(below && at && f->points[f->n - 1].nodes > pick);
    assert_says(plan, "What " A100 " costs reserved is not known (cluster.price.reserved).");
    assert_false(f->has_spot); /* how often they are taken back is not known */
    assert_says(plan, "(cluster.price.interruptions), so that spot is not on the front");
    plan_free(plan);
}

/* Spot nodes that are taken back all the time lose requests, cheap as they are; what is not known
 * of them is said. */
static void spot_nodes_are_taken_back(void **state)
{
    (void)state;
    struct tr_plan *plan = full_plan(A100 ", price: {spot: 0.5, interruptions: 20/h}");
    const struct tr_front *f = &plan->front;
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    assert_true(f->has_spot && f->spot.usd_per_month > 0);
    assert_true(f->spot.inside <
                (double)c->result.outcome.inside_all / (double)c->result.outcome.offered);
    assert_says(plan, "As spot nodes, each taken back 20 times an hour");
    plan_free(plan);
}

/* The same fleet reserved costs less and serves as well: nothing is left on demand. */
static void reserved_is_on_the_front(void **state)
{
    (void)state;
    struct tr_plan *plan = full_plan(A100 ", price: {reserved: 2}");
    double pick = plan->candidates[plan->pick].usd_per_month;
    bool seen = false;
    for (int i = 0; i < plan->front.n; i++) {
        assert_int_equal(plan->front.points[i].purchase, TR_RESERVED);
        seen = seen || fabs(plan->front.points[i].usd_per_month - pick * 2 / 3.673) < 1e-6;
    }
    assert_true(seen);
    plan_free(plan);
}

static void no_price_no_front(void **state)
{
    (void)state;
    struct recipe r = {.node = "aws/p5e.48xlarge", .compare = "[whole]"};
    struct tr_plan *plan = plan_of(&r);
    assert_true(plan->pick >= 0);
    assert_int_equal(plan->front.n, 0);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bill_by_hand),
        cmocka_unit_test(what_costs_more_for_less_is_not_on_the_front),
        cmocka_unit_test(the_knee_is_farthest_above_the_chord),
        cmocka_unit_test(the_front_of_a_plan),
        cmocka_unit_test(spot_nodes_are_taken_back),
        cmocka_unit_test(reserved_is_on_the_front),
        cmocka_unit_test(no_price_no_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
