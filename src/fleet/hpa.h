/* hpa: the horizontal pod autoscaler (autoscaling/v2) and KEDA's part above it.
 *
 * Pure state machines: what goes in is what the controller sees at one sync, what comes out is the
 * number of replicas it writes. Algorithm: Kubernetes 1.36, pkg/controller/podautoscaler
 * (docs/autoscaling.md).
 */
#ifndef TR_FLEET_HPA_H
#define TR_FLEET_HPA_H

#include "catalog/scaling.h"

/* What the controller sees of the replicas at one sync. A pod that starts has no metric for two
 * reasons that the algorithm tells apart: it is not on a running container yet (phase Pending: no
 * node, or the image is being pulled), or its container runs and says nothing yet (weights are
 * being loaded). */
struct tr_hpa_view {
    int current;  /* spec.replicas */
    int ready;    /* pods whose metric is known */
    int pending;  /* pods of phase Pending */
    int starting; /* running pods without a metric */
    double sum;   /* of the metric over the ready ones; with `external`, what the query returns */
};

struct tr_hpa;

struct tr_hpa *tr_hpa_new(const struct tr_hpa_policy *policy);
void tr_hpa_free(struct tr_hpa *h);
/* One sync; times never decrease. Returns the replicas wanted from now on. */
int tr_hpa_sync(struct tr_hpa *h, int64_t now_ns, const struct tr_hpa_view *view);

/* KEDA between 0 and 1: what it writes at one poll, given the metric's sum (requests held in front
 * of the pods included). `current` where it does not change it. */
struct tr_keda {
    struct tr_keda_policy policy;
    int min_replicas;  /* minReplicaCount */
    int64_t active_ns; /* last seen active; a run that starts with replicas says its start */
};
int tr_keda_poll(struct tr_keda *k, int64_t now_ns, double sum, int current);

#endif
