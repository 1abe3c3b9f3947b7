/* partition: against every partition there is, on random costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "num/num.h"
#include "plan/partition.h"

#define MOST 12

/* ---- the oracle ----------------------------------------------------------------------------- */

struct oracle {
    int n;
    const int64_t *cost;
    uint32_t group[MOST];
    int64_t best[2]; /* the two lowest sums */
    int sharing[2];
    int count;
};

static void weigh(struct oracle *o, int n_groups)
{
    int64_t sum = 0;
    int sharing = 0;
    o->count++;
    for (int i = 0; i < n_groups; i++) {
        if (o->cost[o->group[i]] == TR_NO_COST)
            return;
        sum += o->cost[o->group[i]];
        int size = __builtin_popcount(o->group[i]);
        sharing += size > 1 ? size : 0;
    }
    for (int i = 0; i < 2; i++)
        if (sum < o->best[i] || (sum == o->best[i] && sharing < o->sharing[i])) {
            if (i == 0) {
                o->best[1] = o->best[0];
                o->sharing[1] = o->sharing[0];
            }
            o->best[i] = sum;
            o->sharing[i] = sharing;
            return;
        }
}

/* Thing i joins each group there is, or opens one. */
static void enumerate(struct oracle *o, int i, int n_groups)
{
    if (i == o->n) {
        weigh(o, n_groups);
        return;
    }
    for (int g = 0; g <= n_groups; g++) {
        uint32_t was = g < n_groups ? o->group[g] : 0;
        o->group[g] = was | (uint32_t)1 << i;
        enumerate(o, i + 1, n_groups + (g == n_groups));
        o->group[g] = was;
    }
}

static void assert_partitions(int n, const struct tr_partition *p)
{
    uint32_t seen = 0;
    for (int i = 0; i < p->n; i++) {
        assert_int_equal(seen & p->group[i], 0);
        seen |= p->group[i];
    }
    assert_int_equal(seen, (1u << n) - 1);
}

static int64_t cost_of(const struct tr_partition *p, const int64_t *cost)
{
    int64_t sum = 0;
    for (int i = 0; i < p->n; i++)
        sum += cost[p->group[i]];
    return sum;
}

/* ---- exact ---------------------------------------------------------------------------------- */

/* Few different values, so that there are ties; some sets cannot stand together. */
static void random_costs(int64_t *cost, int n, uint64_t seed)
{
    for (uint32_t set = 1; set < 1u << n; set++) {
        uint64_t r = tr_rng_u64(seed, 1, set);
        cost[set] = r % 7 == 0 && (set & (set - 1)) != 0 ? TR_NO_COST : 1 + (int64_t)(r >> 8) % 20;
    }
}

static void two_cheapest_are_those_of_all_partitions(void **state)
{
    static const int bell[] = {1, 1, 2, 5, 15, 52, 203, 877};
    int64_t cost[1 << 7];
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++)
        for (int n = 1; n <= 7; n++) {
            struct tr_partition best[2];
            struct oracle o = {.n = n, .cost = cost, .best = {TR_NO_COST, TR_NO_COST}};
            random_costs(cost, n, seed);
            enumerate(&o, 0, 0);
            assert_int_equal(o.count, bell[n]);
            int found = tr_partition_best(n, cost, best);
            assert_int_equal(found, (o.best[0] != TR_NO_COST) + (o.best[1] != TR_NO_COST));
            for (int i = 0; i < found; i++) {
                int sharing = 0;
                for (int g = 0; g < best[i].n; g++)
                    if ((best[i].group[g] & (best[i].group[g] - 1)) != 0)
                        sharing += __builtin_popcount(best[i].group[g]);
                assert_partitions(n, &best[i]);
                assert_true(best[i].cost == o.best[i]);
                assert_true(cost_of(&best[i], cost) == o.best[i]);
                assert_int_equal(sharing, o.sharing[i]);
            }
        }
}

static void of_equal_cost_the_one_that_shares_less(void **state)
{
    int64_t cost[8] = {0, 3, 3, 6, 3, 6, 6, 9};
    struct tr_partition best[2];
    (void)state;
    assert_int_equal(tr_partition_best(3, cost, best), 2);
    assert_int_equal(best[0].n, 3);
    assert_int_equal(best[1].n, 2); /* two share, not three */
}

/* ---- on demand ------------------------------------------------------------------------------ */

struct market {
    const int64_t *cost;
    int asked[1 << MOST];
};

static int price(void *arg, int n, const uint32_t *set, int64_t *cost, int64_t *bound,
                 struct tr_err *err)
{
    struct market *m = arg;
    (void)err;
    for (int i = 0; i < n; i++) {
        bound[i] = 0;
        m->asked[set[i]]++;
        cost[i] = m->cost[set[i]];
    }
    return TR_OK;
}

/* Things of different sizes in boxes of one size: a set costs the boxes that its sizes fill, and
 * now and then one more; never less than any of its subsets. */
static void boxes(int64_t *cost, int64_t *bound, int n, uint64_t seed)
{
    for (uint32_t set = 1; set < 1u << n; set++) {
        double size = 0;
        for (int i = 0; i < n; i++)
            if (set >> i & 1)
                size += tr_rng_unit(seed, 2, (uint64_t)i);
        bound[set] = 10 * (1 + (int64_t)size);
        cost[set] = bound[set];
        if ((set & (set - 1)) != 0 && tr_rng_u64(seed, 3, set) % 3 == 0)
            cost[set] += 10;
        for (uint32_t bits = set; bits != 0; bits &= bits - 1)
            if ((set ^ (bits & -bits)) != 0)
                cost[set] = TR_MAX(cost[set], cost[set ^ (bits & -bits)]);
    }
}

static void search_of(struct tr_partition_search *s, struct market *m, int n, int64_t *bound)
{
    static bool known[1 << MOST];
    static int64_t cost[1 << MOST];
    memset(known, 0, sizeof known);
    *s = (struct tr_partition_search){.n = n,
                                      .cost = cost,
                                      .bound = bound,
                                      .known = known,
                                      .most = INT32_MAX,
                                      .more = INT32_MAX,
                                      .price = price,
                                      .arg = m};
    for (int i = 0; i < n; i++) {
        known[1u << i] = true;
        cost[1u << i] = m->cost[1u << i];
    }
}

static void asks_for_few_costs_and_finds_the_same(void **state)
{
    static int64_t cost[1 << MOST], bound[1 << MOST];
    int64_t asked = 0, sets = 0, fewer = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int n = 3 + (int)(seed % 5);
        struct market m = {.cost = cost};
        struct tr_partition_search s;
        struct tr_partition_answer a;
        struct tr_partition best[2];
        struct tr_err err;
        boxes(cost, bound, n, seed);
        search_of(&s, &m, n, bound);
        assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
        assert_int_equal(tr_partition_best(n, cost, best), a.n_best);
        for (int i = 0; i < a.n_best; i++)
            assert_true(a.best[i].cost == best[i].cost);
        assert_true(a.bound == a.best[0].cost);
        for (uint32_t set = 1; set < 1u << n; set++) {
            assert_true(m.asked[set] <= 1 && (set & (set - 1) || m.asked[set] == 0));
            asked += m.asked[set];
        }
        sets += (1 << n) - 1 - n;
        /* The best alone needs fewer. */
        boxes(cost, bound, n, seed);
        search_of(&s, &m, n, bound);
        s.more = 0;
        int before = a.priced;
        assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
        assert_true(a.priced <= before && a.best[0].cost == best[0].cost &&
                    a.bound == best[0].cost);
        fewer += a.priced;
    }
    assert_true(fewer < asked && asked * 2 < sets);
}

static void a_search_that_is_cut_short_says_what_is_proven(void **state)
{
    static int64_t cost[1 << MOST], bound[1 << MOST];
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct market m = {.cost = cost};
        struct tr_partition_search s;
        struct tr_partition_answer a;
        struct tr_partition best[2];
        struct tr_err err;
        boxes(cost, bound, 7, seed);
        search_of(&s, &m, 7, bound);
        s.most = (int)(seed % 5);
        assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
        tr_partition_best(7, cost, best);
        assert_true(a.priced <= s.most && a.n_best > 0);
        assert_partitions(7, &a.best[0]);
        assert_true(a.best[0].cost == cost_of(&a.best[0], cost));
        assert_true(a.bound <= best[0].cost && best[0].cost <= a.best[0].cost);
    }
}

/* ---- greedy --------------------------------------------------------------------------------- */

/* Sixteen things of a quarter: four boxes, of which the bound knows. Not all things go together, or
 * (`arg` points to 16) nothing but all of them saves a box. */
static int quarters(void *arg, int n, const uint32_t *set, int64_t *cost, int64_t *bound,
                    struct tr_err *err)
{
    (void)bound;
    (void)err;
    for (int i = 0; i < n; i++) {
        int things = __builtin_popcount(set[i]);
        cost[i] = 10 * ((things + 3) / 4);
        if (arg != NULL && things > 1 && things < 16)
            cost[i] = 10 * things;
        if (arg == NULL && things == 16)
            cost[i] = TR_NO_COST;
    }
    return TR_OK;
}

static void many_things_are_merged_and_the_gap_is_known(void **state)
{
    int n = 16;
    int64_t *bound = tr_calloc((size_t)1 << n, sizeof *bound);
    int64_t *cost = tr_calloc((size_t)1 << n, sizeof *cost);
    bool *known = tr_calloc((size_t)1 << n, sizeof *known);
    struct tr_partition_search s = {.n = n,
                                    .cost = cost,
                                    .bound = bound,
                                    .known = known,
                                    .least = 40,
                                    .most = INT32_MAX,
                                    .price = quarters};
    struct tr_partition_answer a;
    struct tr_err err;
    (void)state;
    for (uint32_t set = 1; set < 1u << n; set++) {
        bound[set] = 10 * ((__builtin_popcount(set) + 3) / 4);
        known[set] = (set & (set - 1)) == 0;
        cost[set] = bound[set];
    }
    assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
    assert_partitions(n, &a.best[0]);
    assert_int_equal(a.best[0].cost, 40);
    assert_int_equal(a.bound, 40);
    s.most = 3;
    for (uint32_t set = 1; set < 1u << n; set++)
        known[set] = (set & (set - 1)) == 0;
    assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
    assert_partitions(n, &a.best[0]);
    assert_int_equal(a.priced, 3);
    assert_int_equal(a.best[0].cost, 140); /* all, in vain; two merges save two boxes */
    s.arg = &n;
    for (uint32_t set = 1; set < 1u << n; set++)
        known[set] = (set & (set - 1)) == 0;
    assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
    assert_int_equal(a.best[0].n, 1); /* no pair saves anything */
    assert_int_equal(a.best[0].cost, 40);
    free(bound);
    free(cost);
    free(known);
}

/* One that cannot stand alone has to stand with another; two that do not pay together may pay with
 * a third. */
static int only_in_company(void *arg, int n, const uint32_t *set, int64_t *cost, int64_t *bound,
                           struct tr_err *err)
{
    (void)arg;
    (void)err;
    for (int i = 0; i < n; i++) {
        cost[i] = set[i] == 7 ? 2 : TR_NO_COST;
        bound[i] = 2;
    }
    return TR_OK;
}

static void what_does_not_pay_for_two_may_pay_for_three(void **state)
{
    int64_t cost[8] = {0, 1, 1, 0, 1}, bound[8] = {0, 1, 1, 1, 1, 1, 1, 1};
    bool known[8] = {false, true, true, false, true};
    struct tr_partition_search s = {.n = 3,
                                    .cost = cost,
                                    .bound = bound,
                                    .known = known,
                                    .most = 9,
                                    .more = 9,
                                    .price = only_in_company};
    struct tr_partition_answer a;
    struct tr_err err;
    (void)state;
    assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
    assert_int_equal(a.n_best, 2);
    assert_int_equal(a.best[0].cost, 2);
    assert_int_equal(a.best[0].n, 1);
    assert_int_equal(a.best[1].cost, 3);
}

static void what_fits_nowhere_leaves_no_partition(void **state)
{
    int64_t cost[8] = {0, 1, TR_NO_COST, 0, 1}, bound[8] = {0, 1, 0, 1, 1, 1, 1, 1};
    bool known[8] = {false, true, true, false, true};
    int64_t never[8] = {0, 1, TR_NO_COST, TR_NO_COST, 1, 1, TR_NO_COST, TR_NO_COST};
    struct market m = {.cost = never};
    struct tr_partition_search s = {.n = 3,
                                    .cost = cost,
                                    .bound = bound,
                                    .known = known,
                                    .most = 9,
                                    .more = 9,
                                    .price = price,
                                    .arg = &m};
    struct tr_partition_answer a;
    struct tr_err err;
    (void)state;
    assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
    assert_int_equal(a.n_best, 0);
    m.asked[3] = m.asked[6] = m.asked[7] = 0;
    never[6] = 4; /* beside the third it can stand */
    memset(known, 0, sizeof known);
    known[1] = known[2] = known[4] = true;
    assert_int_equal(tr_partition_run(&s, &a, &err), TR_OK);
    assert_int_equal(a.n_best, 1);
    assert_int_equal(a.best[0].cost, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cheapest_are_those_of_all_partitions),
        cmocka_unit_test(of_equal_cost_the_one_that_shares_less),
        cmocka_unit_test(asks_for_few_costs_and_finds_the_same),
        cmocka_unit_test(a_search_that_is_cut_short_says_what_is_proven),
        cmocka_unit_test(many_things_are_merged_and_the_gap_is_known),
        cmocka_unit_test(what_does_not_pay_for_two_may_pay_for_three),
        cmocka_unit_test(what_fits_nowhere_leaves_no_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
