/* Partitions: exact over sets, greedy beyond, both asking for as few costs as they can. */
#include "plan/partition.h"

#include <stdlib.h>

/* ---- exact ---------------------------------------------------------------------------------- */

/* One of the two best partitions of a set: its first group, and which partition of the rest. */
struct way {
    int64_t cost; /* TR_NO_COST: there is none */
    int sharing;  /* things that are not alone */
    uint32_t first;
    int rest; /* 0 or 1 */
};

static bool better(const struct way *a, const struct way *b)
{
    if (a->cost != b->cost)
        return a->cost < b->cost;
    if (a->sharing != b->sharing)
        return a->sharing < b->sharing;
    return a->first != b->first ? a->first < b->first : a->rest < b->rest;
}

static void offer(struct way two[2], const struct way *w)
{
    if (better(w, &two[0])) {
        two[1] = two[0];
        two[0] = *w;
    } else if (better(w, &two[1])) {
        two[1] = *w;
    }
}

/* Every set with the lowest thing of `set` as its first group, and the best two of what is left.
 * Each partition is met once. */
static void solve(struct way (*ways)[2], const int64_t *cost, uint32_t set)
{
    uint32_t lowest = set & -set, others = set ^ lowest, more = others;
    ways[set][0] = ways[set][1] = (struct way){.cost = TR_NO_COST, .sharing = INT32_MAX};
    for (;; more = (more - 1) & others) {
        uint32_t first = lowest | more;
        const struct way *rest = ways[set ^ first];
        for (int i = 0; i < 2 && cost[first] != TR_NO_COST && rest[i].cost != TR_NO_COST; i++)
            offer(ways[set],
                  &(struct way){cost[first] + rest[i].cost,
                                rest[i].sharing + (more != 0 ? __builtin_popcount(first) : 0),
                                first, i});
        if (more == 0)
            return;
    }
}

int tr_partition_best(int n, const int64_t *cost, struct tr_partition out[2])
{
    size_t sets = (size_t)1 << n;
    struct way(*ways)[2] = tr_calloc(sets, sizeof *ways);
    int found = 0;
    ways[0][1].cost = TR_NO_COST;
    for (uint32_t set = 1; set < sets; set++)
        solve(ways, cost, set);
    for (; found < 2 && ways[sets - 1][found].cost != TR_NO_COST; found++) {
        struct tr_partition *p = &out[found];
        *p = (struct tr_partition){.cost = ways[sets - 1][found].cost};
        int rank = found;
        for (uint32_t left = (uint32_t)sets - 1; left != 0;) {
            const struct way *w = &ways[left][rank];
            p->group[p->n++] = w->first;
            left ^= w->first;
            rank = w->rest;
        }
    }
    free(ways);
    return found;
}

/* ---- costs on demand ------------------------------------------------------------------------ */

/* A set costs no less than any of its subsets. */
static void lift(struct tr_partition_search *s)
{
    for (uint32_t set = 1; set < (uint32_t)1 << s->n; set++)
        for (uint32_t bits = set; bits != 0; bits &= bits - 1) {
            uint32_t without = set ^ (bits & -bits);
            if (without != 0)
                s->bound[set] = TR_MAX(s->bound[set], s->bound[without]);
        }
}

static int ask(struct tr_partition_search *s, const uint32_t *sets, int n,
               struct tr_partition_answer *out, struct tr_err *err)
{
    int64_t cost[TR_MAX_WORKLOADS], bound[TR_MAX_WORKLOADS];
    int rc = s->price(s->arg, n, sets, cost, bound, err);
    for (int i = 0; i < n && rc == TR_OK; i++) {
        s->cost[sets[i]] = cost[i];
        s->bound[sets[i]] = TR_MAX(s->bound[sets[i]], cost[i] == TR_NO_COST ? bound[i] : cost[i]);
        s->known[sets[i]] = true;
    }
    out->priced += n;
    lift(s);
    return rc;
}

/* What a set costs, or no less than. */
static int64_t at_least(const struct tr_partition_search *s, uint32_t set)
{
    return s->known[set] ? s->cost[set] : s->bound[set];
}

static int unknown_of(const struct tr_partition_search *s, const struct tr_partition *p,
                      uint32_t *sets)
{
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (!s->known[p->group[i]])
            sets[n++] = p->group[i];
    return n;
}

/* The best two by what is known, the rest at its bounds or, with `only_known`, left out. */
static int best_two(const struct tr_partition_search *s, bool only_known, struct tr_partition *best)
{
    size_t sets = (size_t)1 << s->n;
    int64_t *cost = tr_calloc(sets, sizeof *cost);
    for (uint32_t set = 1; set < sets; set++)
        cost[set] = s->known[set] || !only_known ? at_least(s, set) : TR_NO_COST;
    int found = tr_partition_best(s->n, cost, best);
    free(cost);
    return found;
}

/* The sets to ask for next: of the cheapest partition; once that is known, of the runner-up. */
static int wanted(const struct tr_partition_search *s, const struct tr_partition_answer *out,
                  int *more, uint32_t *sets)
{
    int n = out->n_best > 0 ? unknown_of(s, &out->best[0], sets) : 0;
    if (n > 0)
        return TR_MIN(n, s->most - out->priced);
    n = out->n_best > 1 ? unknown_of(s, &out->best[1], sets) : 0;
    n = TR_MIN(TR_MIN(n, *more), s->most - out->priced);
    *more -= n;
    return n;
}

static int run_exact(struct tr_partition_search *s, struct tr_partition_answer *out,
                     struct tr_err *err)
{
    uint32_t sets[TR_MAX_WORKLOADS];
    int rc = TR_OK, more = s->more;
    lift(s);
    while (rc == TR_OK) {
        out->n_best = best_two(s, false, out->best);
        out->bound = out->n_best > 0 ? out->best[0].cost : TR_NO_COST;
        int n = wanted(s, out, &more, sets);
        if (n <= 0)
            break;
        rc = ask(s, sets, n, out, err);
    }
    out->n_best = best_two(s, true, out->best);
    return rc;
}

/* ---- greedy --------------------------------------------------------------------------------- */

static int64_t saving(const struct tr_partition_search *s, uint32_t a, uint32_t b)
{
    int64_t together = at_least(s, a | b);
    if (together == TR_NO_COST)
        return 0;
    if (at_least(s, a) == TR_NO_COST || at_least(s, b) == TR_NO_COST)
        return TR_NO_COST;
    return at_least(s, a) + at_least(s, b) - together;
}

/* The two groups whose union saves most, or might; false: none saves anything. */
static bool best_pair(const struct tr_partition_search *s, const struct tr_partition *p,
                      int pair[2])
{
    int64_t most = 0;
    for (int i = 0; i < p->n; i++)
        for (int j = i + 1; j < p->n; j++) {
            int64_t saved = saving(s, p->group[i], p->group[j]);
            if (saved <= most)
                continue;
            most = saved;
            pair[0] = i;
            pair[1] = j;
        }
    return most > 0;
}

static int64_t sum(const struct tr_partition_search *s, const struct tr_partition *p)
{
    int64_t cost = 0;
    for (int i = 0; i < p->n; i++) {
        if (s->cost[p->group[i]] == TR_NO_COST)
            return TR_NO_COST;
        cost += s->cost[p->group[i]];
    }
    return cost;
}

/* Merges the pair that saves most until none does. A pair whose saving is only a bound is asked for
 * first, and looked at again. All in one group is asked for before: what saves nothing pair by pair
 * may save much together. */
static int run_greedy(struct tr_partition_search *s, struct tr_partition_answer *out,
                      struct tr_err *err)
{
    struct tr_partition *p = &out->best[0];
    int pair[2] = {0, 0}, rc = TR_OK;
    for (; p->n < s->n; p->n++)
        p->group[p->n] = (uint32_t)1 << p->n;
    lift(s);
    uint32_t all = (uint32_t)((1ULL << s->n) - 1);
    if (!s->known[all] && s->most > 0)
        rc = ask(s, &all, 1, out, err);
    while (rc == TR_OK && best_pair(s, p, pair)) {
        uint32_t both = p->group[pair[0]] | p->group[pair[1]];
        if (!s->known[both]) {
            if (out->priced >= s->most)
                break;
            rc = ask(s, &both, 1, out, err);
            continue;
        }
        p->group[pair[0]] = both;
        p->n--;
        memmove(&p->group[pair[1]], &p->group[pair[1] + 1],
                (size_t)(p->n - pair[1]) * sizeof p->group[0]);
    }
    p->cost = sum(s, p);
    if (s->known[all] && s->cost[all] < p->cost)
        *p = (struct tr_partition){.n = 1, .group = {all}, .cost = s->cost[all]};
    out->n_best = p->cost != TR_NO_COST;
    out->bound = s->least;
    return rc;
}

int tr_partition_run(struct tr_partition_search *s, struct tr_partition_answer *out,
                     struct tr_err *err)
{
    *out = (struct tr_partition_answer){0};
    return s->n <= TR_PARTITION_EXACT ? run_exact(s, out, err) : run_greedy(s, out, err);
}
