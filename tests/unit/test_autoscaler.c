/* Tests of the cluster autoscaler: each rule against a timeline worked by hand.
 *
 * A pool is written as one word per node, in order of their numbers:
 *   R3/4  ready, 3 pods on 4 slots      B3/4  the same, and its removal is forbidden
 *   L3/4  leaving, 3 pods on it yet     S60   starting, asked for at 60 s
 *   U     unready                       -     no node of this number
 * and a decision as +2 (two nodes to add), -1 (node 1 to remove), x3 (node 3 given up). */
#include "fleet/autoscaler.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "num/num.h"

#define S TR_NS_PER_S

/* One loop: when, the pool, the pods pending and the creation of the oldest, what is decided. */
struct loop {
    int at_s;
    const char *pool;
    int pending, oldest_s;
    const char *want;
    int failed_s; /* afterwards a node asked for could not be had, then; 0: none */
};

/* An hour before the run, as no pod is young then. */
#define OLD (-3600)

static struct tr_autoscaler_policy defaults(int min, int max)
{
    struct tr_scaling s;
    tr_scaling_defaults(&s, 1, max);
    s.autoscaler.min_nodes = min;
    return s.autoscaler;
}

static int read_pool(const char *text, struct tr_node_view *nodes)
{
    int n = 0;
    for (const char *at = text; *at != '\0'; n++) {
        struct tr_node_view *v = &nodes[n];
        char *end = (char *)(at + 1);
        char kind = *at;
        *v = (struct tr_node_view){.state = TR_NODE_NONE};
        if (kind == 'U')
            v->state = TR_NODE_UNREADY;
        if (kind == 'S') {
            v->state = TR_NODE_STARTING;
            v->asked_ns = strtol(at + 1, &end, 10) * S;
        }
        if (kind == 'R' || kind == 'B' || kind == 'L') {
            v->state = kind == 'L' ? TR_NODE_LEAVING : TR_NODE_READY;
            v->blocked = kind == 'B';
            v->pods = (int)strtol(at + 1, &end, 10);
            v->slots = (int)strtol(end + 1, &end, 10);
        }
        at = end + (*end == ' ');
    }
    return n;
}

static void tell(struct tr_str *s, const struct tr_pool_decision *d)
{
    for (int i = 0; i < d->n_given_up; i++)
        tr_str_printf(s, " x%d", d->given_up[i]);
    if (d->add > 0)
        tr_str_printf(s, " +%d", d->add);
    for (int i = 0; i < d->n_remove; i++)
        tr_str_printf(s, " -%d", d->remove[i]);
}

static void step(struct tr_autoscaler *a, const struct loop *l, enum tr_gpu_resource resource)
{
    struct tr_node_view nodes[64];
    struct tr_pool_view view = {.n_nodes = read_pool(l->pool, nodes),
                                .nodes = nodes,
                                .pending = l->pending,
                                .oldest_pending_ns = l->oldest_s * S,
                                .resource = resource,
                                .gpus_of_vm = 1};
    struct tr_pool_decision d;
    struct tr_str got = {0};
    tr_autoscaler_loop(a, l->at_s * S, &view, &d);
    tr_str_printf(&got, "%s", "");
    tell(&got, &d);
    const char *text = got.len > 0 ? got.text + 1 : "";
    if (strcmp(text, l->want) != 0)
        fail_msg("at %d s, pool '%s', %d pending: '%s', not '%s'", l->at_s, l->pool, l->pending,
                 text, l->want);
    tr_str_free(&got);
    if (l->failed_s != 0)
        tr_autoscaler_add_failed(a, l->failed_s * S);
}

static void play(const struct tr_autoscaler_policy *p, enum tr_gpu_resource resource,
                 const struct loop *loops, size_t n)
{
    struct tr_autoscaler *a = tr_autoscaler_new(p);
    for (size_t i = 0; i < n; i++)
        step(a, &loops[i], resource);
    tr_autoscaler_free(a);
}
#define PLAY(policy, loops)       play((policy), TR_GPU_PLAIN, (loops), TR_LEN(loops))
#define PLAY_AS(policy, r, loops) play((policy), (r), (loops), TR_LEN(loops))

/* A table reads best one row after the other. */
/* clang-format off */

/* ---- growing --------------------------------------------------------------------------------- */

static void test_it_adds_nodes_for_pods_that_fit_nowhere(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R2/4", 9, OLD, "+2"},             /* 2 fit; ceil(7 / 4) */
        {10, "R4/4 S0 S0", 7, OLD, ""},        /* 8 fit on what comes */
        {20, "R4/4 S0 S0", 12, OLD, "+1"},     /* 4 more do not */
        {30, "R4/4 S0 S0 S20", 12, OLD, ""},
        {40, "R4/4 R0/4 S0 S20", 12, OLD, ""}, /* 4 on a ready node not bound to yet, 8 on others */
        {50, "R4/4 R4/4 L3/4", 0, 50, "+1"},   /* the pods of a node being drained need a place */
        {60, "R4/4 L0/4 -", 1, 60, ""},        /* young */
        {90, "R4/4 L0/4 -", 1, 60, "+1"},      /* no pod goes to a node that leaves */
    };
    PLAY(&p, t);
}

static void test_it_never_adds_beyond_the_maximum(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 3);
    static const struct loop t[] = {
        {0, "R1/1 R1/1", 5, OLD, "+1"},
        {10, "R1/1 R1/1 S0", 5, OLD, ""},
        {20, "R1/1 R1/1 L0/1", 5, OLD, ""}, /* a VM until it is gone */
        {30, "R1/1 R1/1 U", 5, OLD, ""},
        {40, "R1/1 R1/1 -", 5, OLD, "+1"},
    };
    PLAY(&p, t);
}

static void test_gpu_pods_wait_half_a_minute_for_more_of_them(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop plain[] = {
        {100, "R1/1", 1, 100, ""},
        {110, "R1/1", 2, 100, ""},
        {129, "R1/1", 3, 100, ""},
        {130, "R1/1", 3, 100, "+3"}, /* 30 s after the oldest: the younger ones come along */
    };
    PLAY(&p, plain);
    static const struct loop renamed[] = {
        /* it does not know that they ask for a GPU: 2 s */
        {100, "R1/1", 1, 100, ""},
        {101, "R1/1", 1, 100, ""},
        {102, "R1/1", 1, 100, "+1"},
    };
    PLAY_AS(&p, TR_GPU_RENAMED, renamed);
}

static void test_stock_outs_back_off_5_minutes_doubling_to_30(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R1/1", 1, OLD, "+1", 60},           /* until 60 + 300 */
        {359, "R1/1", 1, OLD, ""},
        {360, "R1/1", 1, OLD, "+1", 420},        /* 420 + 600 */
        {1019, "R1/1", 1, OLD, ""},
        {1020, "R1/1", 1, OLD, "+1", 1080},      /* 1080 + 1200 */
        {2279, "R1/1", 1, OLD, ""},
        {2280, "R1/1", 1, OLD, "+1", 2340},      /* 2340 + 1800 */
        {4139, "R1/1", 1, OLD, ""},
        {4140, "R1/1", 1, OLD, "+1", 4200},      /* 4200 + 1800, not 3600 */
        {5999, "R1/1", 1, OLD, ""},
        {6000, "R1/1", 1, OLD, "+1", 0},
        {6010, "R1/1 S6000", 1, OLD, ""},
        {6300, "R1/1 R0/1", 2, OLD, "+1", 6360}, /* had: so 6360 + 300 */
        {6659, "R1/1 R1/1", 1, OLD, ""},
        {6660, "R1/1 R1/1", 1, OLD, "+1"},
    };
    PLAY(&p, t);
}

static void test_a_backoff_is_not_doubled_by_failures_within_it(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R1/1", 2, OLD, "+2", 60},
        {60, "R1/1 S0", 2, OLD, "", 70},  /* the second of the two: until 70 + 300 */
        {369, "R1/1", 1, OLD, ""},
        {370, "R1/1", 1, OLD, "+1", 400}, /* 400 + 600 */
        {999, "R1/1", 1, OLD, ""},
        {1000, "R1/1", 1, OLD, "+1"},
    };
    PLAY(&p, t);
}

static void test_three_hours_without_a_failure_forget_the_backoff(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R1/1", 1, OLD, "+1", 60},
        {400, "R1/1", 1, OLD, "+1", 500}, /* 500 + 600 */
        {11301, "R1/1", 1, OLD, "+1", 11400},
        {11699, "R1/1", 1, OLD, ""},
        {11700, "R1/1", 1, OLD, "+1"},    /* 11400 + 300 */
    };
    PLAY(&p, t);
}

static void test_a_node_that_does_not_come_is_given_up(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R1/1", 1, OLD, "+1"},
        {900, "R1/1 S0", 1, OLD, ""},
        {901, "R1/1 S0", 1, OLD, "x1"}, /* and the pool backs off until 901 + 300 */
        {911, "R1/1", 1, OLD, ""},
        {1200, "R1/1", 1, OLD, ""},
        {1201, "R1/1", 1, OLD, "+1"},
    };
    PLAY(&p, t);
    static const struct loop low[] = {{901, "S0", 1, OLD, ""}}; /* not below the minimum */
    PLAY(&p, low);
}

/* ---- shrinking ------------------------------------------------------------------------------- */

static void test_a_node_goes_when_it_was_unneeded_for_longer_than_the_limit(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R1/1 R0/1", 0, 0, ""},
        {600, "R1/1 R0/1", 0, 0, ""}, /* not longer yet */
        {601, "R1/1 R0/1", 0, 0, "-1"},
    };
    PLAY(&p, t);
    static const struct loop again[] = {
        /* any loop in which it is needed starts the time anew */
        {0, "R1/1 R0/1", 0, 0, ""},
        {300, "R1/1 R1/1", 0, 0, ""},
        {310, "R1/1 R0/1", 0, 0, ""},
        {910, "R1/1 R0/1", 0, 0, ""},
        {911, "R1/1 R0/1", 0, 0, "-1"},
    };
    PLAY(&p, again);
}

static void test_utilization_up_to_the_threshold_is_low(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop half[] = {
        /* 2 of 4 is 0.5, and its 2 pods fit on the other */
        {0, "R2/4 R2/4", 0, 0, ""},
        {601, "R2/4 R2/4", 0, 0, "-0"},
    };
    PLAY(&p, half);
    static const struct loop more[] = {
        {0, "R3/4 R3/5", 0, 0, ""}, /* 0.75 and 0.6 */
        {601, "R3/4 R3/5", 0, 0, ""},
    };
    PLAY(&p, more);
    static const struct loop whole[] = {
        /* one pod per GPU: 1.0, however idle the pod is */
        {0, "R1/1 R1/1", 0, 0, ""},
        {9000, "R1/1 R1/1", 0, 0, ""},
    };
    PLAY(&p, whole);
}

/* A slot must not be promised to the pods of two nodes, nor be that of a node that goes. */
static void test_a_free_slot_is_counted_once(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(0, 10);
    static const struct loop drains[] = {
        {0, "R1/4 R1/4 B3/4", 0, 0, ""}, /* one slot on 2: for the pod of 0 or that of 1 */
        {601, "R1/4 R1/4 B3/4", 0, 0, "-0"},
        {611, "- R1/4 B3/4", 0, 0, ""},  /* the pod of 0 has ended: 1 was not unneeded until now */
    };
    PLAY(&p, drains);
    static const struct loop empty[] = {
        {0, "R0/4 R2/4 B3/4", 0, 0, ""}, /* 0 goes; 2 pods find one slot */
        {601, "R0/4 R2/4 B3/4", 0, 0, "-0"},
    };
    PLAY(&p, empty);
    static const struct loop pending[] = {
        /* nor to one that a pending pod will take */
        {0, "B1/1 R0/1", 1, OLD, ""},
        {601, "B1/1 R0/1", 1, OLD, ""},
        {611, "R1/4 B3/4", 1, OLD, ""},
        {1212, "R1/4 B3/4", 1, OLD, ""}, /* the pending pod and that of 0 would need 2 slots on 1 */
    };
    PLAY(&p, pending);
}

static void test_who_was_unneeded_before_is_looked_at_first(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R3/4 R1/4 B3/4", 0, 0, ""},   /* 1 could go */
        {300, "R1/4 R1/4 B4/4", 0, 0, ""}, /* 0 or 1 could go, on the other: 1 keeps its time */
        {601, "R1/4 R1/4 B4/4", 0, 0, "-1"},
    };
    PLAY(&p, t);
}

static void test_the_minimum_stays(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(2, 10);
    static const struct loop t[] = {
        {0, "R0/1 R0/1 R0/1 R0/1", 0, 0, ""},
        {601, "R0/1 R0/1 R0/1 R0/1", 0, 0, "-0 -1"},
        {602, "L0/1 L0/1 R0/1 R0/1", 0, 0, ""}, /* those that leave do not count */
        {9000, "- - R0/1 R0/1", 0, 0, ""},
    };
    PLAY(&p, t);
}

static void test_no_removal_in_the_cooldown_after_an_addition(void **state)
{
    (void)state;
    struct tr_autoscaler_policy p = defaults(1, 10);
    p.unneeded_ns = 60 * S;
    static const struct loop t[] = {
        {0, "R1/1", 1, OLD, "+1"},
        {300, "R1/1 R1/1", 0, 0, ""},
        {310, "R1/1 R0/1", 0, 0, ""}, /* the time runs */
        {599, "R1/1 R0/1", 0, 0, ""}, /* longer than 60 s, but 0 + 600 is to come */
        {600, "R1/1 R0/1", 0, 0, "-1"},
    };
    PLAY(&p, t);
}

static void test_a_fresh_autoscaler_last_acted_an_hour_ago(void **state)
{
    (void)state;
    struct tr_autoscaler_policy p = defaults(1, 10);
    p.unneeded_ns = 60 * S;
    p.delay_after_add_ns = 4000 * S;
    static const struct loop t[] = {
        {0, "R1/1 R0/1", 0, 0, ""},
        {399, "R1/1 R0/1", 0, 0, ""},
        {400, "R1/1 R0/1", 0, 0, "-1"}, /* -3600 + 4000 */
    };
    PLAY(&p, t);
}

static void test_the_cooldowns_after_a_removal_and_after_a_failed_one(void **state)
{
    (void)state;
    struct tr_autoscaler_policy p = defaults(1, 10);
    p.delay_after_delete_ns = 10 * S; /* AKS: the scan interval */
    p.max_bulk = 1;
    static const struct loop t[] = {
        {0, "R1/1 R0/1 R0/1", 0, 0, ""},
        {601, "R1/1 R0/1 R0/1", 0, 0, "-1"},
        {610, "R1/1 - R0/1", 0, 0, ""},
        {611, "R1/1 - R0/1", 0, 0, "-2"},
    };
    PLAY(&p, t);
    struct tr_autoscaler *a = tr_autoscaler_new(&p);
    static const struct loop failed[] = {
        {0, "R1/1 R0/1", 0, 0, ""},
        {779, "R1/1 R0/1", 0, 0, ""},
        {780, "R1/1 R0/1", 0, 0, "-1"},
    };
    step(a, &failed[0], TR_GPU_PLAIN);
    tr_autoscaler_remove_failed(a, 600 * S); /* nothing for 3 min */
    step(a, &failed[1], TR_GPU_PLAIN);
    step(a, &failed[2], TR_GPU_PLAIN);
    tr_autoscaler_free(a);
}

static void test_empty_nodes_go_ten_at_a_time(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 20);
    static const struct loop t[] = {
        {0, "R1/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1", 0, 0, ""},
        {601, "R1/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1 R0/1", 0, 0,
         "-1 -2 -3 -4 -5 -6 -7 -8 -9 -10"},
        {602, "R1/1 L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 R0/1 R0/1", 0, 0, ""},
        {611, "R1/1 - - L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 L0/1 R0/1 R0/1", 0, 0, "-11 -12"},
    };
    PLAY(&p, t);
}

static void test_nodes_with_pods_go_one_at_a_time(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        /* 0's pod fits on 1, both of 1 then on 2, all three of 2 then on 3, which stays */
        {0, "R1/4 R1/4 R1/4 R1/4 R0/4", 0, 0, ""},
        {601, "R1/4 R1/4 R1/4 R1/4 R0/4", 0, 0, "-4 -0"}, /* an empty one beside it */
        {602, "L1/4 R1/4 R1/4 R1/4 L0/4", 0, 0, ""},
        {620, "L0/4 R2/4 R1/4 R1/4 -", 0, 0, ""},         /* moved, but not gone yet */
        {630, "- R2/4 R1/4 R1/4 -", 0, 0, "-1"},
    };
    PLAY(&p, t);
}

static void test_what_is_blocked_stays(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(0, 10);
    static const struct loop t[] = {
        {0, "B0/1 R0/1", 0, 0, ""},
        {601, "B0/1 R0/1", 0, 0, "-1"},
        {9000, "B0/1 -", 0, 0, ""},
    };
    PLAY(&p, t);
}

static void test_a_node_whose_pods_fit_nowhere_is_looked_at_again_after_5_minutes(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop t[] = {
        {0, "R1/2 B2/2", 0, 0, ""},   /* no place */
        {10, "R1/2 B1/2", 0, 0, ""},  /* there would be one: it does not look */
        {299, "R1/2 B1/2", 0, 0, ""},
        {300, "R1/2 B1/2", 0, 0, ""}, /* unneeded from now */
        {900, "R1/2 B1/2", 0, 0, ""},
        {901, "R1/2 B1/2", 0, 0, "-0"},
    };
    PLAY(&p, t);
    static const struct loop again[] = {
        {0, "R1/2 B1/2", 0, 0, ""},
        {300, "R1/2 B2/2", 0, 0, ""}, /* none any more, until 600: the time starts anew */
        {601, "R1/2 B1/2", 0, 0, ""},
        {1201, "R1/2 B1/2", 0, 0, ""},
        {1202, "R1/2 B1/2", 0, 0, "-0"},
    };
    PLAY(&p, again);
}

/* ---- a pool in trouble ----------------------------------------------------------------------- */

static void test_too_many_broken_nodes_stop_it(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 20);
    static const struct loop t[] = {
        {0, "R0/1 R1/1 U U U R1/1 R1/1 R1/1", 0, 0, ""},
        {601, "R0/1 R1/1 U U U U R1/1 R1/1", 0, 0, ""},          /* 4 of 8 are more than 45 % */
        {610, "R1/1 R1/1 U U U U R1/1 R1/1", 9, OLD, ""},
        {620, "R1/1 R1/1 U U U U R1/1 R1/1 R1/1", 1, OLD, "+1"}, /* 4 of 9 are not */
    };
    PLAY(&p, t);
    static const struct loop few[] = {
        {0, "R1/1 U U U", 1, OLD, "+1"}, /* 3 are all right, whatever their share */
    };
    PLAY(&p, few);
    static const struct loop forgets[] = {
        {0, "R0/1 R1/1 R1/1 R1/1 R1/1 R1/1", 0, 0, ""},
        {300, "R0/1 R1/1 U U U U", 0, 0, ""},
        {310, "R0/1 R1/1 R1/1 R1/1 R1/1 R1/1", 0, 0, ""},
        {601, "R0/1 R1/1 R1/1 R1/1 R1/1 R1/1", 0, 0, ""},
        {911, "R0/1 R1/1 R1/1 R1/1 R1/1 R1/1", 0, 0, "-0"}, /* since 310 */
    };
    PLAY(&p, forgets);
}

static void test_the_next_loop_is_due_at_once_after_one_that_acted(void **state)
{
    (void)state;
    struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop quiet = {5, "R1/1", 0, 0, ""}, busy = {15, "R1/1", 1, OLD, "+1"};
    for (int frequent = 0; frequent < 2; frequent++) {
        p.frequent_loops = frequent;
        struct tr_autoscaler *a = tr_autoscaler_new(&p);
        step(a, &quiet, TR_GPU_PLAIN);
        assert_int_equal(tr_autoscaler_next_ns(a), 15 * S);
        step(a, &busy, TR_GPU_PLAIN);
        assert_int_equal(tr_autoscaler_next_ns(a), frequent ? 15 * S : 25 * S);
        tr_autoscaler_free(a);
    }
}

/* ---- what it is blind to --------------------------------------------------------------------- */

/* Three nodes of 7 shares, 5, 5 and 4 in use. Under its own name the resource is used at 5/7, and
 * nothing moves. Renamed, all three read as 0: the autoscaler drains a node in full use. */
static void test_renamed_shares_read_as_idle(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(1, 10);
    static const struct loop plain[] = {
        {0, "R5/7 R5/7 R4/7", 0, 0, ""},
        {601, "R5/7 R5/7 R4/7", 0, 0, ""},
    };
    PLAY(&p, plain);
    static const struct loop renamed[] = {
        {0, "R5/7 R5/7 R4/7", 0, 0, ""},
        {601, "R5/7 R5/7 R4/7", 0, 0, "-0"},
    };
    PLAY_AS(&p, TR_GPU_RENAMED, renamed);
}

/* 8 pods, 4 to a GPU: two nodes would do. A pool that it has never seen a node of has 1 GPU per
 * node for it, so it buys eight; or, renamed, none that it knows of, so it buys nothing. */
static void test_it_does_not_know_the_shares_of_a_node_it_has_not_seen(void **state)
{
    (void)state;
    const struct tr_autoscaler_policy p = defaults(0, 10);
    static const struct loop plain[] = {
        {0, "", 8, OLD, "+8"},
        {10, "S0 S0 S0 S0 S0 S0 S0 S0", 8, OLD, ""},
        {600, "R4/4 R4/4", 8, OLD, "+2"},
        {700, "", 8, OLD, "+2"}, /* it remembers the node that it saw */
    };
    PLAY(&p, plain);
    static const struct loop renamed[] = {
        {0, "", 8, OLD, ""},
        {9000, "", 8, OLD, ""},
        {9010, "R4/4", 4, OLD, "+1"},
    };
    PLAY_AS(&p, TR_GPU_RENAMED, renamed);
}

/* clang-format on */

/* ---- properties ------------------------------------------------------------------------------ */

#define MAX_POOL 24
#define TICK_S   10

/* A pool under a constant number of pods: the scheduler binds to the lowest node with a free slot,
 * nodes come after a while, drained pods are pending again. */
struct pool {
    struct tr_node_view nodes[MAX_POOL];
    int pending, due_s[MAX_POOL];
    int64_t oldest_ns;
};

static int size_of(const struct pool *q)
{
    int size = 0;
    for (int i = 0; i < MAX_POOL; i++)
        size += q->nodes[i].state != TR_NODE_NONE;
    return size;
}

static void live(struct pool *q, int now_s, int slots)
{
    int before = q->pending;
    for (int i = 0; i < MAX_POOL; i++) {
        struct tr_node_view *n = &q->nodes[i];
        if (n->state == TR_NODE_LEAVING) {
            q->pending += n->pods;
            *n = (struct tr_node_view){.state = TR_NODE_NONE};
        }
        if (n->state == TR_NODE_STARTING && now_s >= q->due_s[i]) {
            n->state = TR_NODE_READY;
            n->slots = slots;
        }
        int k = n->state == TR_NODE_READY ? TR_MIN(n->slots - n->pods, q->pending) : 0;
        n->pods += k;
        q->pending -= k;
    }
    if (q->pending > before || before == 0)
        q->oldest_ns = now_s * S;
}

static void carry_out(struct pool *q, const struct tr_pool_decision *d, int now_s, int start_s)
{
    for (int i = 0; i < d->n_remove; i++) {
        struct tr_node_view *n = &q->nodes[d->remove[i]];
        assert_int_equal(n->state, TR_NODE_READY);
        assert_false(n->blocked);
        n->state = TR_NODE_LEAVING;
    }
    for (int i = 0, add = d->add; add > 0; i++) {
        assert_in_range(i, 0, MAX_POOL - 1);
        if (q->nodes[i].state != TR_NODE_NONE)
            continue;
        q->nodes[i] = (struct tr_node_view){.state = TR_NODE_STARTING, .asked_ns = now_s * S};
        q->due_s[i] = now_s + start_s;
        add--;
    }
}

static void test_a_pool_stays_in_bounds_and_comes_to_rest(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 60; i++) {
#define DRAW(k, n) ((int)(tr_rng_u64(11, (k), i) % (uint64_t)(n)))
        struct tr_autoscaler_policy p = defaults(1 + DRAW(0, 3), 4 + DRAW(1, 17));
        const enum tr_gpu_resource resource = DRAW(2, 2) ? TR_GPU_RENAMED : TR_GPU_PLAIN;
        const int slots = 1 + DRAW(3, 7), start_s = 60 + DRAW(4, 600);
        p.unneeded_ns = (1 + DRAW(5, 10)) * 60 * S;
        p.max_bulk = 1 + DRAW(6, 10);
        const int pods = 1 + DRAW(7, p.max_nodes * slots);
        struct pool q = {.pending = pods};
        int first = p.min_nodes + DRAW(8, p.max_nodes - p.min_nodes + 1);
        for (int n = 0; n < first; n++)
            q.nodes[n] = (struct tr_node_view){.state = TR_NODE_READY, .slots = slots};
        q.nodes[0].blocked = DRAW(9, 2);
        struct tr_autoscaler *a = tr_autoscaler_new(&p);
        int last_s = 0, placed = 0;
        for (int now_s = 0; now_s < 8 * 3600; now_s += TICK_S) {
            live(&q, now_s, slots);
            struct tr_pool_view v = {MAX_POOL, q.nodes, q.pending, q.oldest_ns, resource, 1};
            struct tr_pool_decision d;
            tr_autoscaler_loop(a, now_s * S, &v, &d);
            carry_out(&q, &d, now_s, start_s);
            assert_in_range(size_of(&q), p.min_nodes, p.max_nodes);
            last_s = d.add + d.n_remove + d.n_given_up > 0 ? now_s : last_s;
        }
        for (int n = 0; n < MAX_POOL; n++)
            placed += q.nodes[n].pods;
        assert_int_equal(placed, pods);
        assert_in_range(last_s, 0, 7 * 3600);
        tr_autoscaler_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_adds_nodes_for_pods_that_fit_nowhere),
        cmocka_unit_test(test_it_never_adds_beyond_the_maximum),
        cmocka_unit_test(test_gpu_pods_wait_half_a_minute_for_more_of_them),
        cmocka_unit_test(test_stock_outs_back_off_5_minutes_doubling_to_30),
        cmocka_unit_test(test_a_backoff_is_not_doubled_by_failures_within_it),
        cmocka_unit_test(test_three_hours_without_a_failure_forget_the_backoff),
        cmocka_unit_test(test_a_node_that_does_not_come_is_given_up),
        cmocka_unit_test(test_a_node_goes_when_it_was_unneeded_for_longer_than_the_limit),
        cmocka_unit_test(test_utilization_up_to_the_threshold_is_low),
        cmocka_unit_test(test_a_free_slot_is_counted_once),
        cmocka_unit_test(test_who_was_unneeded_before_is_looked_at_first),
        cmocka_unit_test(test_the_minimum_stays),
        cmocka_unit_test(test_no_removal_in_the_cooldown_after_an_addition),
        cmocka_unit_test(test_a_fresh_autoscaler_last_acted_an_hour_ago),
        cmocka_unit_test(test_the_cooldowns_after_a_removal_and_after_a_failed_one),
        cmocka_unit_test(test_empty_nodes_go_ten_at_a_time),
        cmocka_unit_test(test_nodes_with_pods_go_one_at_a_time),
        cmocka_unit_test(test_what_is_blocked_stays),
        cmocka_unit_test(test_a_node_whose_pods_fit_nowhere_is_looked_at_again_after_5_minutes),
        cmocka_unit_test(test_too_many_broken_nodes_stop_it),
        cmocka_unit_test(test_the_next_loop_is_due_at_once_after_one_that_acted),
        cmocka_unit_test(test_renamed_shares_read_as_idle),
        cmocka_unit_test(test_it_does_not_know_the_shares_of_a_node_it_has_not_seen),
        cmocka_unit_test(test_a_pool_stays_in_bounds_and_comes_to_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
