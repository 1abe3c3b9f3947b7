/* least: the pod with the fewest requests, and of several the lowest number: a tree of minima over
 * the pods' loads, so that neither a change nor a pick looks at all of them. Private to the room.
 */
#ifndef TR_FLEET_LEAST_H
#define TR_FLEET_LEAST_H

#include "base/base.h"

#include <stdlib.h>

#define TR_LEAST_NEVER INT32_MAX /* the load of a pod that is not to be picked */

struct tr_least {
    int leaves;   /* a power of two */
    int32_t *min; /* [1] of all; [i] of [2i] and [2i + 1]; the pods' own from [leaves] on */
};

static inline void tr_least_set(struct tr_least *l, int pod, int32_t load)
{
    int i = l->leaves + pod;
    l->min[i] = load;
    for (i /= 2; i > 0; i /= 2) {
        int32_t min = TR_MIN(l->min[2 * i], l->min[2 * i + 1]);
        if (l->min[i] == min)
            break;
        l->min[i] = min;
    }
}

/* Room for `n` pods; new ones are not to be picked. */
static inline void tr_least_grow(struct tr_least *l, int n)
{
    struct tr_least old = *l;
    if (n <= old.leaves)
        return;
    l->leaves = TR_MAX(old.leaves, 16);
    while (l->leaves < n)
        l->leaves *= 2;
    l->min = tr_malloc(2 * (size_t)l->leaves * sizeof *l->min);
    for (int i = 0; i < 2 * l->leaves; i++)
        l->min[i] = TR_LEAST_NEVER;
    for (int i = 0; i < old.leaves; i++)
        tr_least_set(l, i, old.min[old.leaves + i]);
    free(old.min);
}

static inline int tr_least_pick(const struct tr_least *l)
{
    int i = 1;
    while (i < l->leaves)
        i = l->min[2 * i] <= l->min[2 * i + 1] ? 2 * i : 2 * i + 1;
    return i - l->leaves;
}

#endif
