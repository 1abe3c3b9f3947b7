/* autoscaler: the cluster autoscaler for one node pool.
 *
 * A pure state machine: its owner tells it, at each loop, what pods are pending and what stands on
 * the nodes, and carries out what it decides. It holds only the autoscaler's memory: since when
 * each node is unneeded, the cooldowns, the backoff. Algorithm: kubernetes/autoscaler,
 * static_autoscaler and scaledown (docs/autoscaling.md).
 *
 * The owner tells the truth; the autoscaler misreads it in two ways, which the figures show.
 * Utilization is that of one resource, `nvidia.com/gpu`: with mixed MIG or renamed `.shared`
 * resources a busy node reads as 0. And until it has seen a node of the pool, it believes that one
 * has the GPUs of its VM size, not its shares (kubernetes/autoscaler issue 8095, Azure/AKS issue
 * 3427).
 */
#ifndef TR_FLEET_AUTOSCALER_H
#define TR_FLEET_AUTOSCALER_H

#include "catalog/scaling.h"

enum tr_node_state {
    TR_NODE_NONE,     /* this number is free */
    TR_NODE_STARTING, /* asked for: no VM yet, or no GPUs yet */
    TR_NODE_READY,
    TR_NODE_LEAVING, /* chosen for removal */
    TR_NODE_UNREADY  /* was ready and broke */
};

/* One node, as it is. */
struct tr_node_view {
    enum tr_node_state state;
    int64_t asked_ns; /* of one that is starting */
    int pods;     /* on it or bound to it; of one that is leaving, those still to find a place */
    int slots;    /* pods that fit on it */
    bool blocked; /* an annotation or a pod forbids its removal */
};

/* What the pods ask for. Shares that keep the name (time-slicing, MPS, uniform MIG under the
 * `single` strategy) are plain. */
enum tr_gpu_resource {
    TR_GPU_PLAIN,  /* nvidia.com/gpu */
    TR_GPU_RENAMED /* nvidia.com/gpu.shared, nvidia.com/mig-*: the autoscaler does not know it */
};

struct tr_pool_view {
    int n_nodes;
    const struct tr_node_view *nodes; /* by node number */
    int pending;                      /* unschedulable pods */
    int64_t oldest_pending_ns;        /* creation of the oldest of them */
    enum tr_gpu_resource resource;
    int gpus_of_vm; /* per node */
};

struct tr_pool_decision {
    int add;             /* nodes to ask for */
    int n_remove;        /* the empty ones first, then at most one to drain */
    const int *remove;   /* node numbers; both lists are the autoscaler's, until its next loop */
    int n_given_up;      /* starting for longer than provision_max_ns: the VM is deleted */
    const int *given_up; /* node numbers */
};

struct tr_autoscaler;

struct tr_autoscaler *tr_autoscaler_new(const struct tr_autoscaler_policy *policy);
void tr_autoscaler_free(struct tr_autoscaler *a);
/* One loop; times never decrease. What it decides has been carried out in the next view: nodes
 * added are starting, removed ones are leaving, given-up ones are gone. */
void tr_autoscaler_loop(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *view,
                        struct tr_pool_decision *out);
/* When the next loop is due: `scan_ns` after this one. With frequent loops it is due at once after
 * one that added or removed, and its owner also calls it whenever a pod becomes unschedulable. */
int64_t tr_autoscaler_next_ns(const struct tr_autoscaler *a);
/* What it hears of its cloud: a node asked for cannot be had; a removal could not be carried out.
 */
void tr_autoscaler_add_failed(struct tr_autoscaler *a, int64_t now_ns);
void tr_autoscaler_remove_failed(struct tr_autoscaler *a, int64_t now_ns);

#endif
