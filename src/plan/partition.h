/* partition: which things stand together, so that all of them cost least.
 *
 * A group is a set of things as bits, thing 0 the lowest. Each set has a cost, and every thing
 * belongs to exactly one group. What a group really costs is dear to find out, so the search starts
 * from lower bounds and asks for a set's cost only while a partition that contains it could be the
 * cheapest. It trusts that a set costs at least what any of its subsets costs.
 *
 * Costs are integers, so that sums do not depend on their order.
 */
#ifndef TR_PLAN_PARTITION_H
#define TR_PLAN_PARTITION_H

#include "catalog/catalog.h"

#define TR_PARTITION_EXACT 12        /* beyond so many things groups are merged greedily */
#define TR_NO_COST         INT64_MAX /* this set cannot stand together */

struct tr_partition {
    int n;
    uint32_t group[TR_MAX_WORKLOADS]; /* the one with the lowest thing first */
    int64_t cost;
};

/* The two cheapest partitions of n things (at most TR_PARTITION_EXACT), given the cost of every set
 * of them; returns how many there are. Of equal cost: the one in which fewer things share a group,
 * then the smaller first group. Dynamic programming over sets, 3^n steps. */
int tr_partition_best(int n, const int64_t *cost, struct tr_partition out[2]);

struct tr_partition_search {
    int n;
    int64_t *cost;  /* of 2^n sets, where known: what it costs, or TR_NO_COST */
    int64_t *bound; /* of 2^n sets: it costs no less, and whatever contains it neither */
    bool *known;    /* of 2^n sets; of single things, always */
    int64_t least;  /* no partition costs less: beyond TR_PARTITION_EXACT things, the bound */
    int most;       /* ask for the costs of so many sets at most, */
    int more;       /* and of so many for the runner-up's sake */
    /* Finds the costs of these sets: cost[i] of set[i]. Where that is TR_NO_COST, bound[i] says up
     * to which cost there is none. */
    int (*price)(void *arg, int n, const uint32_t *set, int64_t *cost, int64_t *bound,
                 struct tr_err *err);
    void *arg;
};

struct tr_partition_answer {
    int n_best;
    struct tr_partition best[2]; /* of known costs, the cheapest first, and the next of those */
    int64_t bound;               /* no partition costs less: best[0].cost where it is proven */
    int priced;                  /* sets asked for */
};

int tr_partition_run(struct tr_partition_search *s, struct tr_partition_answer *out,
                     struct tr_err *err);

#endif
