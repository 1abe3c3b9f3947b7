/* Tests of the horizontal pod autoscaler: each rule against a timeline worked by hand. The target
 * is 10 per pod throughout, so that a sum reads as ten times the pods it asks for. */
#include "fleet/hpa.h"

#include <setjmp.h>

#include <cmocka.h>

#include "num/num.h"

#define S TR_NS_PER_S

/* One sync: when, what the controller sees, what it must write. */
struct sync {
    int at_s;
    struct tr_hpa_view view; /* current, ready, pending, starting, sum */
    int want;
};

static struct tr_hpa_policy plain(void)
{
    struct tr_scaling s;
    tr_scaling_defaults(&s, 4, 5);
    s.hpa.target = 10;
    return s.hpa; /* 1 to 20 replicas, no behavior */
}

static void play(const struct tr_hpa_policy *policy, const struct sync *syncs, size_t n)
{
    struct tr_hpa *h = tr_hpa_new(policy);
    for (size_t i = 0; i < n; i++) {
        int got = tr_hpa_sync(h, syncs[i].at_s * S, &syncs[i].view);
        if (got != syncs[i].want)
            fail_msg("sync %zu at %d s: %d replicas, not %d", i, syncs[i].at_s, got, syncs[i].want);
    }
    tr_hpa_free(h);
}
#define PLAY(policy, syncs) play((policy), (syncs), TR_LEN(syncs))

/* What one sync asks for, without the past: a quiet sync first, stabilization of 0. */
static int wish(struct tr_hpa_policy p, struct tr_hpa_view v)
{
    p.stabilization_ns = 0;
    struct tr_hpa *h = tr_hpa_new(&p);
    struct tr_hpa_view quiet = {v.current, v.current, 0, 0, 10 * v.current};
    tr_hpa_sync(h, 0, &quiet);
    int got = tr_hpa_sync(h, 15 * S, &v);
    tr_hpa_free(h);
    return got;
}

/* A table reads best one row after the other. */
/* clang-format off */

/* ---- what the metric asks for ---------------------------------------------------------------- */

static void test_tolerance_has_both_its_edges(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    /* ratio = (sum / 10) / 10; it acts below 0.9 and above 1.1, not at them */
    assert_int_equal(wish(p, (struct tr_hpa_view){10, 10, 0, 0, 110}), 10);
    assert_int_equal(wish(p, (struct tr_hpa_view){10, 10, 0, 0, 110.01}), 12); /* ceil 11.001 */
    assert_int_equal(wish(p, (struct tr_hpa_view){10, 10, 0, 0, 90}), 10);
    assert_int_equal(wish(p, (struct tr_hpa_view){10, 10, 0, 0, 89.99}), 9); /* ceil 8.999 */
}

static void test_replicas_are_rounded_up(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    /* 41 / 3 = 13.666 in thousandths; 1.3666 x 3 = 4.0998 */
    assert_int_equal(wish(p, (struct tr_hpa_view){3, 3, 0, 0, 41}), 5);
    /* 33.002 / 3 = 11.0006, which is 11.000 in thousandths: at the edge, not above */
    assert_int_equal(wish(p, (struct tr_hpa_view){3, 3, 0, 0, 33.002}), 3);
    assert_int_equal(wish(p, (struct tr_hpa_view){3, 3, 0, 0, 33.003}), 4);
}

static void test_pods_that_start_count_as_idle_when_it_would_grow(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    /* 4 ready: 62 / 4 = 15.5, up. With 2 more at 0: 62 / 6 = 10.333, within the tolerance. */
    assert_int_equal(wish(p, (struct tr_hpa_view){6, 4, 2, 0, 62}), 6);
    assert_int_equal(wish(p, (struct tr_hpa_view){6, 4, 0, 2, 62}), 6);
    /* 80 / 6 = 13.333; 1.3333 x 6 = 7.9998 */
    assert_int_equal(wish(p, (struct tr_hpa_view){6, 4, 2, 0, 80}), 8);
    assert_int_equal(wish(p, (struct tr_hpa_view){6, 4, 1, 1, 80}), 8);
}

static void test_pods_without_a_metric_count_as_the_target_when_it_would_shrink(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    /* 20 / 4 = 5, down. Running pods without a metric at 10: (20 + 2 x 10) / 6 = 6.666; x 6 / 10 =
     * 3.9996. Pending pods are left out: 0.5 x 4 = 2. */
    assert_int_equal(wish(p, (struct tr_hpa_view){6, 4, 0, 2, 20}), 4);
    assert_int_equal(wish(p, (struct tr_hpa_view){6, 4, 2, 0, 20}), 2);
}

static void test_counting_more_pods_never_turns_the_direction(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    /* 44.4 / 4 = 11.1, up; with 2 at 0: 7.4, which would be down to 5 */
    assert_int_equal(wish(p, (struct tr_hpa_view){6, 4, 2, 0, 44.4}), 6);
    /* 40 / 5 = 8, down; with 3 at 10: 70 / 8 = 8.75, still down, but 0.875 x 8 = 7 is more than 5
     */
    assert_int_equal(wish(p, (struct tr_hpa_view){5, 5, 0, 3, 40}), 5);
}

static void test_no_metric_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(wish(plain(), (struct tr_hpa_view){6, 0, 2, 4, 0}), 6);
}

static void test_bounds_need_no_metric(void **state)
{
    (void)state;
    struct tr_hpa_policy p = plain();
    p.min_replicas = 3;
    assert_int_equal(wish(p, (struct tr_hpa_view){25, 0, 0, 0, 0}), 20);
    assert_int_equal(wish(p, (struct tr_hpa_view){1, 0, 0, 0, 0}), 3);
    assert_int_equal(wish(p, (struct tr_hpa_view){4, 4, 0, 0, 1}), 3);      /* wish 1 */
    assert_int_equal(wish(p, (struct tr_hpa_view){18, 18, 0, 0, 900}), 20); /* wish 90 */
    assert_int_equal(wish(p, (struct tr_hpa_view){0, 0, 0, 0, 900}), 0);    /* switched off */
}

static void test_an_external_metric_is_a_sum_over_all_pods(void **state)
{
    (void)state;
    struct tr_hpa_policy p = plain();
    p.external = true;
    p.min_replicas = 0; /* KEDA's HPA: it never goes below 1 itself */
    /* 50 / (10 x 4 pods) = 1.25: ceil 50 / 10, whoever is ready */
    assert_int_equal(wish(p, (struct tr_hpa_view){4, 2, 1, 1, 50}), 5);
    assert_int_equal(wish(p, (struct tr_hpa_view){4, 2, 1, 1, 44}), 4); /* 1.1: at the edge */
    assert_int_equal(wish(p, (struct tr_hpa_view){4, 0, 4, 0, 44.4}), 5);
    assert_int_equal(wish(p, (struct tr_hpa_view){4, 4, 0, 0, 21}), 3);
    assert_int_equal(wish(p, (struct tr_hpa_view){4, 4, 0, 0, 0}), 1);
}

/* ---- what the past allows, without a behavior ------------------------------------------------ */

static void test_growth_at_most_doubles(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    static const struct sync t[] = {
        {0, {1, 1, 0, 0, 100}, 4},     /* wish 10; max(2 x 1, 4) */
        {15, {4, 4, 0, 0, 400}, 8},
        {30, {8, 8, 0, 0, 800}, 16},
        {45, {16, 16, 0, 0, 800}, 20}, /* 32, but 20 is the most */
    };
    PLAY(&p, t);
}

static void test_shrinking_waits_for_the_largest_wish_of_the_window(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    static const struct sync t[] = {
        {0, {8, 8, 0, 0, 80}, 8},   /* wish 8 */
        {15, {8, 8, 0, 0, 20}, 8},  /* wish 2 */
        {150, {8, 8, 0, 0, 45}, 8}, /* 45 / 8 = 5.625: wish ceil 4.5 = 5 */
        {300, {8, 8, 0, 0, 20}, 8}, /* wish 2; that of 0 s is 300 s old, and counts */
        {315, {8, 8, 0, 0, 20}, 5}, /* of 15, 150, 300 and 315 s: 2, 5, 2, 2 */
        {450, {5, 5, 0, 0, 10}, 5}, /* wish 1; 5 is still there */
        {465, {5, 5, 0, 0, 10}, 2}, /* of 300, 315, 450 and 465 s: 2, 2, 1, 1 */
        {480, {2, 2, 0, 0, 60}, 4}, /* up at once: wish 6, max(2 x 2, 4) */
    };
    PLAY(&p, t);
}

static void test_the_first_sync_takes_what_it_finds_for_a_wish(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    static const struct sync t[] = {
        {0, {8, 8, 0, 0, 20}, 8}, /* wish 2; the 8 that it found was a wish of now */
        {300, {8, 8, 0, 0, 20}, 8},
        {301, {8, 8, 0, 0, 20}, 2},
    };
    PLAY(&p, t);
}

/* ---- with a behavior ------------------------------------------------------------------------- */

static struct tr_hpa_policy with_rules(struct tr_hpa_rules up, struct tr_hpa_rules down)
{
    struct tr_hpa_policy p = plain();
    p.has_behavior = true;
    p.max_replicas = 100;
    p.up = up;
    p.down = down;
    return p;
}
static const struct tr_hpa_rules none = {.select = TR_HPA_DISABLED};

static void test_up_window_takes_the_least_wish(void **state)
{
    (void)state;
    struct tr_scaling d;
    tr_scaling_defaults(&d, 1, 1);
    struct tr_hpa_policy p = with_rules(d.hpa.up, none);
    p.up.window_ns = 60 * S;
    static const struct sync t[] = {
        {0, {2, 2, 0, 0, 20}, 2},  /* wish 2 */
        {15, {2, 2, 0, 0, 60}, 2}, /* 6 */
        {30, {2, 2, 0, 0, 80}, 2}, /* 8 */
        {59, {2, 2, 0, 0, 80}, 2},
        {60, {2, 2, 0, 0, 80}, 6}, /* that of 0 s is 60 s old, and does not count */
    };
    PLAY(&p, t);
}

static void test_down_window_takes_the_largest_wish(void **state)
{
    (void)state;
    struct tr_scaling d;
    tr_scaling_defaults(&d, 1, 1);
    struct tr_hpa_policy p = with_rules(d.hpa.up, d.hpa.down);
    static const struct sync t[] = {
        {0, {8, 8, 0, 0, 80}, 8},
        {15, {8, 8, 0, 0, 20}, 8},
        {299, {8, 8, 0, 0, 20}, 8},
        {300, {8, 8, 0, 0, 20}, 2}, /* one sync before the path without a behavior */
    };
    PLAY(&p, t);
}

static void test_up_policies_and_which_of_them_counts(void **state)
{
    (void)state;
    struct tr_hpa_rules up = {.pods = 2,
                              .pods_period_ns = 60 * S,
                              .percent = 50,
                              .percent_period_ns = 60 * S,
                              .select = TR_HPA_MAX};
    struct tr_hpa_policy p = with_rules(up, none);
    static const struct sync most[] = {
        {0, {10, 10, 0, 0, 900}, 15},  /* 12 or 15 */
        {15, {15, 15, 0, 0, 900}, 15}, /* the period began with 15 - 5 = 10 */
        {59, {15, 15, 0, 0, 900}, 15},
        {60, {15, 15, 0, 0, 900}, 23}, /* and now with 15: ceil 22.5 */
    };
    PLAY(&p, most);
    p.up.select = TR_HPA_MIN;
    static const struct sync least[] = {
        {0, {10, 10, 0, 0, 900}, 12},
        {30, {12, 12, 0, 0, 900}, 12},
        {60, {12, 12, 0, 0, 900}, 14},
    };
    PLAY(&p, least);
    p.up.select = TR_HPA_DISABLED;
    static const struct sync off[] = {{0, {10, 10, 0, 0, 900}, 10}};
    PLAY(&p, off);
}

static void test_percent_rounds_as_kubernetes_does(void **state)
{
    (void)state;
    struct tr_hpa_rules r = {.percent = 10, .percent_period_ns = 60 * S};
    struct tr_hpa_policy p = with_rules(r, r);
    /* 50 x (1 + 10 / 100) is 55.00000000000001 in binary, whose ceil is 56 */
    static const struct sync up[] = {{0, {50, 50, 0, 0, 900}, 56}};
    PLAY(&p, up);
    static const struct sync down[] = {{0, {19, 19, 0, 0, 19}, 17}}; /* trunc 17.1 */
    PLAY(&p, down);
}

static void test_down_policies_and_which_of_them_counts(void **state)
{
    (void)state;
    struct tr_hpa_rules down = {.pods = 1,
                                .pods_period_ns = 60 * S,
                                .percent = 10,
                                .percent_period_ns = 60 * S,
                                .select = TR_HPA_MAX};
    struct tr_hpa_policy p = with_rules(none, down);
    static const struct sync most[] = {
        {0, {20, 20, 0, 0, 50}, 18},  /* wish 5; 19 or 18 */
        {15, {18, 18, 0, 0, 50}, 18}, /* the period began with 20 */
        {60, {18, 18, 0, 0, 50}, 16}, /* trunc 16.2 */
    };
    PLAY(&p, most);
    p.down.select = TR_HPA_MIN;
    static const struct sync least[] = {
        {0, {20, 20, 0, 0, 50}, 19},
        {60, {19, 19, 0, 0, 50}, 18},
    };
    PLAY(&p, least);
    p.down.select = TR_HPA_DISABLED;
    static const struct sync off[] = {{0, {20, 20, 0, 0, 50}, 20}};
    PLAY(&p, off);
}

static void test_each_policy_has_its_own_period(void **state)
{
    (void)state;
    struct tr_hpa_rules up = {
        .pods = 4, .pods_period_ns = 30 * S, .percent = 100, .percent_period_ns = 120 * S};
    struct tr_hpa_policy p = with_rules(up, none);
    static const struct sync t[] = {
        {0, {2, 2, 0, 0, 900}, 6},      /* 2 + 4, or 4 */
        {15, {6, 6, 0, 0, 900}, 6},     /* pods: from 2 to 6; percent: from 2 to 4 */
        {30, {6, 6, 0, 0, 900}, 10},    /* pods: from 6; percent: from 2 */
        {119, {10, 10, 0, 0, 900}, 14},
        {120, {14, 14, 0, 0, 900}, 14}, /* pods: from 10 to 14; percent: from 14 - 8 = 6 to 12 */
        {150, {14, 14, 0, 0, 900}, 20}, /* percent: 4 of 119 s are left: from 10 to 20 */
    };
    PLAY(&p, t);
}

static void test_what_was_removed_may_be_added_again(void **state)
{
    (void)state;
    struct tr_hpa_rules two = {.pods = 2, .pods_period_ns = 60 * S};
    struct tr_hpa_policy p = with_rules(two, two);
    static const struct sync t[] = {
        {0, {20, 20, 0, 0, 50}, 18},
        {15, {18, 18, 0, 0, 400}, 22}, /* the period began with 18 + 2: up to 22 */
        {30, {22, 22, 0, 0, 50}, 18},  /* 22 - 4 + 2 = 20: down to 18 */
    };
    PLAY(&p, t);
}

static void test_what_the_bounds_added_uses_up_the_rate(void **state)
{
    (void)state;
    struct tr_hpa_rules one = {.pods = 1, .pods_period_ns = 60 * S};
    struct tr_hpa_policy p = with_rules(one, none);
    p.min_replicas = 5;
    static const struct sync t[] = {
        {0, {1, 1, 0, 0, 900}, 5},
        {15, {5, 5, 0, 0, 900}, 5}, /* the period began with 1: up to 2, which is no way down */
        {60, {5, 5, 0, 0, 900}, 6},
    };
    PLAY(&p, t);
}

/* clang-format on */

/* ---- properties ------------------------------------------------------------------------------ */

static struct tr_hpa_policy random_policy(uint64_t i)
{
    struct tr_hpa_policy p = plain();
#define DRAW(k, n) ((int)(tr_rng_u64(7, (k), i) % (uint64_t)(n)))
    p.min_replicas = 1 + DRAW(0, 4);
    p.max_replicas = p.min_replicas + DRAW(1, 30);
    p.external = DRAW(2, 2);
    p.has_behavior = DRAW(3, 2);
    p.up.window_ns = DRAW(4, 3) * 60 * S;
    p.up.select = (enum tr_hpa_select)DRAW(5, 2);
    p.up.pods = 1 + DRAW(6, 4);
    p.down.window_ns = DRAW(7, 4) * 100 * S;
    p.down.pods_period_ns = DRAW(8, 2) * 60 * S;
    p.down.pods = 1 + DRAW(9, 3);
    return p;
}

/* Under a constant load it moves one way only, stops, and stops where the load asks it to: within
 * the tolerance, at a bound, or at the number that holds the load. */
static void test_a_constant_load_is_met_without_oscillation(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 400; i++) {
        const struct tr_hpa_policy p = random_policy(i);
        struct tr_hpa *h = tr_hpa_new(&p);
        const double load = DRAW(10, 4000) / 10.0;
        int n = p.min_replicas + DRAW(11, p.max_replicas - p.min_replicas + 1);
        int ups = 0, downs = 0, last = 0;
        for (int k = 0; k < 400; k++) {
            struct tr_hpa_view v = {n, n, 0, 0, load};
            int to = tr_hpa_sync(h, k * p.sync_ns, &v);
            assert_in_range(to, p.min_replicas, p.max_replicas);
            ups += to > n;
            downs += to < n;
            last = to != n ? k : last;
            n = to;
        }
        assert_true(ups == 0 || downs == 0);
        assert_in_range(last, 0, 300);
        double ratio = load / (10 * n);
        bool met = ratio <= 1.1 && (ratio >= 0.9 || (n - 1) * 10 < load || n == p.min_replicas);
        assert_true(met || n == p.max_replicas);
        tr_hpa_free(h);
    }
}

/* A metric that does not fall as pods are added (a GPU that is always busy) grows it to its bound
 * and holds it there. */
static void test_a_saturated_metric_runs_to_the_bound(void **state)
{
    (void)state;
    const struct tr_hpa_policy p = plain();
    struct tr_hpa *h = tr_hpa_new(&p);
    int n = 1;
    for (int k = 0; k < 40; k++) {
        struct tr_hpa_view v = {n, n, 0, 0, 12.0 * n};
        int to = tr_hpa_sync(h, k * p.sync_ns, &v);
        assert_true(to > n || n == p.max_replicas);
        n = to;
    }
    assert_int_equal(n, 20);
    tr_hpa_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tolerance_has_both_its_edges),
        cmocka_unit_test(test_replicas_are_rounded_up),
        cmocka_unit_test(test_pods_that_start_count_as_idle_when_it_would_grow),
        cmocka_unit_test(test_pods_without_a_metric_count_as_the_target_when_it_would_shrink),
        cmocka_unit_test(test_counting_more_pods_never_turns_the_direction),
        cmocka_unit_test(test_no_metric_changes_nothing),
        cmocka_unit_test(test_bounds_need_no_metric),
        cmocka_unit_test(test_an_external_metric_is_a_sum_over_all_pods),
        cmocka_unit_test(test_growth_at_most_doubles),
        cmocka_unit_test(test_shrinking_waits_for_the_largest_wish_of_the_window),
        cmocka_unit_test(test_the_first_sync_takes_what_it_finds_for_a_wish),
        cmocka_unit_test(test_up_window_takes_the_least_wish),
        cmocka_unit_test(test_down_window_takes_the_largest_wish),
        cmocka_unit_test(test_up_policies_and_which_of_them_counts),
        cmocka_unit_test(test_percent_rounds_as_kubernetes_does),
        cmocka_unit_test(test_down_policies_and_which_of_them_counts),
        cmocka_unit_test(test_each_policy_has_its_own_period),
        cmocka_unit_test(test_what_was_removed_may_be_added_again),
        cmocka_unit_test(test_what_the_bounds_added_uses_up_the_rate),
        cmocka_unit_test(test_a_constant_load_is_met_without_oscillation),
        cmocka_unit_test(test_a_saturated_metric_runs_to_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
