/* group: how several workloads can stand on one GPU.
 *
 * A *unit* is what one engine serves: a workload, or several of one model that trust each other. A
 * *layout* divides the card and says which unit each pod serves. Pods that can change places
 * without anyone noticing (instances of one MIG profile, pods of one time-sliced part) make one
 * layout, not many.
 */
#ifndef TR_PLAN_GROUP_H
#define TR_PLAN_GROUP_H

#include "scenario/scenario.h"

#define TR_MAX_UNITS 8 /* that share one GPU */
#define TR_UNIT_NONE 0xff

struct tr_layout {
    struct tr_arrangement arrangement;
    uint8_t unit[TR_MAX_PODS]; /* of each pod, part by part; TR_UNIT_NONE: it stays empty */
};

struct tr_layouts {
    const struct tr_gpu *gpu;
    int n_units;
    bool merged;               /* unit 0 is alone, and more than one workload */
    int least[TR_MAX_UNITS];   /* pods under time-slicing and MPS: one, or one for each tenant, */
    double load[TR_MAX_UNITS]; /* and further ones where there is most load per pod */
    /* What pods of two units need between them, or two pods of one. */
    enum tr_isolation apart[TR_MAX_UNITS][TR_MAX_UNITS];
    /* Can a pod of this unit stand on such a part? */
    bool (*fits)(void *arg, int unit, const struct tr_part *part);
    void (*visit)(void *arg, const struct tr_layout *layout);
    void *arg;
};

/* Every layout in which each unit has a pod: one engine; time-slicing and MPS with the least pods,
 * and with four and eight; every maximal MIG layout, undivided and, for up to five units, with two
 * to four unlike pods on each instance. An instance stays empty only where nobody fits on it. */
void tr_layouts_each(const struct tr_layouts *l);

/* What a pod of a memory that several share has to have, and what it would like. */
struct tr_memory_claim {
    int64_t least_bytes;   /* with this it starts; what is outside vLLM's budget not counted */
    int64_t outside_bytes; /* CUDA context */
    double demand;         /* the rest is divided by this; 0: none of it */
};
/* gpu_memory_utilization of each, in thousandths, so that all start one after another; false where
 * they do not fit. */
bool tr_memory_divide(int64_t mem_bytes, int n, const struct tr_memory_claim *claim,
                      double *utilization);

#endif
