/* autoscaler: the cluster autoscaler for one node pool.
 *
 * A pure state machine: its owner tells it, at each loop, what pods are pending and what stands on
 * the nodes, and carries out what it decides. It holds only the autoscaler's memory: since when
 * each node is unneeded, the cooldowns, the backoff. Algorithm: kubernetes/autoscaler,
 * static_autoscaler and scaledown (docs/autoscaling.md).
 *
 * It is blind in two ways that the figures show. Utilization is that of one resource
 * (`nvidia.com/gpu`): with mixed MIG or renamed `.shared` resources a busy node reads as 0. And a
 * node that does not exist yet has the GPUs of its VM size, not its shares
 * (kubernetes/autoscaler issue 8095, Azure/AKS issue 3427).
 */
#ifndef TR_FLEET_AUTOSCALER_H
#define TR_FLEET_AUTOSCALER_H

#include "catalog/scaling.h"

enum tr_node_state {
    TR_NODE_NONE,     /* this number is free */
    TR_NODE_STARTING, /* asked for: no VM yet, or no GPUs yet */
    TR_NODE_READY,
    TR_NODE_LEAVING /* chosen for removal */
};

/* One node as the autoscaler sees it. */
struct tr_node_view {
    enum tr_node_state state;
    int64_t asked_ns;   /* of one that is starting */
    int pods;           /* on it or bound to it */
    int slots;          /* pods that fit on it */
    double utilization; /* of the resource it looks at: requested over allocatable */
    bool blocked;       /* some pod or annotation forbids its removal */
};

struct tr_pool_view {
    int n_nodes;
    const struct tr_node_view *nodes; /* by node number */
    int pending;                      /* unschedulable pods */
    int slots_of_new;                 /* pods that it believes fit on a node it would add */
};

#define TR_MAX_REMOVALS 16
struct tr_pool_decision {
    int add;                                   /* nodes to ask for */
    int n_remove, remove[TR_MAX_REMOVALS];     /* node numbers */
    int n_given_up, given_up[TR_MAX_REMOVALS]; /* starting for longer than provision_max_ns */
};

struct tr_autoscaler;

struct tr_autoscaler *tr_autoscaler_new(const struct tr_autoscaler_policy *policy);
void tr_autoscaler_free(struct tr_autoscaler *a);
/* One loop; times never decrease. */
void tr_autoscaler_loop(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *view,
                        struct tr_pool_decision *out);
/* When the next loop is due, if no pod becomes pending before; see frequent_loops. */
int64_t tr_autoscaler_next_ns(const struct tr_autoscaler *a);
/* What it hears of its cloud: a node could not be had; a removal was carried out. */
void tr_autoscaler_failed(struct tr_autoscaler *a, int64_t now_ns);
void tr_autoscaler_deleted(struct tr_autoscaler *a, int64_t now_ns);

#endif
