/* Tests of KEDA's part: from 0 and to 0, each rule against a timeline worked by hand. */
#include "fleet/hpa.h"

#include <setjmp.h>

#include <cmocka.h>

#define S TR_NS_PER_S

/* One poll: when, the metric's sum, the replicas there are, what must be written. */
struct poll {
    int at_s;
    double sum;
    int current, want;
};

static void play(int min, double activation, const struct poll *polls, size_t n)
{
    struct tr_scaling s;
    tr_scaling_defaults(&s, 1, 1);
    struct tr_keda k = {.policy = s.keda, .min_replicas = min};
    k.policy.activation = activation;
    for (size_t i = 0; i < n; i++) {
        int got = tr_keda_poll(&k, polls[i].at_s * S, polls[i].sum, polls[i].current);
        if (got != polls[i].want)
            fail_msg("poll %zu at %d s: %d replicas, not %d", i, polls[i].at_s, got, polls[i].want);
    }
}
#define PLAY(min, activation, polls) play((min), (activation), (polls), TR_LEN(polls))

/* A table reads best one row after the other. */
/* clang-format off */

static void test_activation_is_strictly_above(void **state)
{
    (void)state;
    static const struct poll zero[] = {{0, 0, 0, 0}, {30, 0.001, 0, 1}};
    PLAY(0, 0, zero);
    static const struct poll two[] = {{0, 2, 0, 0}, {30, 2.001, 0, 1}};
    PLAY(0, 2, two);
}

static void test_it_wakes_to_the_minimum_and_leaves_the_rest_to_its_hpa(void **state)
{
    (void)state;
    static const struct poll three[] = {
        {0, 50, 0, 3},
        {30, 50, 3, 3},
        {60, 0, 0, 3}, /* found below the minimum, and idle */
        {400, 0, 7, 7},
        {9000, 0, 3, 3},
    };
    PLAY(3, 0, three);
    static const struct poll one[] = {{0, 50, 0, 1}, {30, 50, 1, 1}, {60, 50, 9, 9}};
    PLAY(0, 0, one);
}

/* The cooldown (300 s) counts from the last active poll and is for the way to 0 only. */
static void test_the_cooldown_counts_from_the_last_active_poll(void **state)
{
    (void)state;
    static const struct poll t[] = {
        {0, 3, 0, 1},
        {30, 0, 1, 1},
        {270, 1, 4, 4}, /* active again */
        {300, 0, 4, 4},
        {570, 0, 4, 4}, /* 300 s after 270 s: not over yet */
        {600, 0, 4, 0}, /* from 4 to 0, not by way of 1 */
        {630, 0, 0, 0},
        {660, 1, 0, 1}, /* awake at once: no cooldown on the way up */
    };
    PLAY(0, 0, t);
}

/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activation_is_strictly_above),
        cmocka_unit_test(test_it_wakes_to_the_minimum_and_leaves_the_rest_to_its_hpa),
        cmocka_unit_test(test_the_cooldown_counts_from_the_last_active_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
