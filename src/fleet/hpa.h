/* hpa: the horizontal pod autoscaler (autoscaling/v2) and KEDA's part above it.
 *
 * Pure state machines: what goes in is what the controller sees at one sync, what comes out is the
 * number of replicas it writes. Algorithm: Kubernetes 1.36, pkg/controller/podautoscaler
 * (docs/autoscaling.md).
 */
#ifndef TR_FLEET_HPA_H
#define TR_FLEET_HPA_H

#include "catalog/scaling.h"

/* What the controller sees of the replicas at one sync. */
struct tr_hpa_view {
    int current; /* spec.replicas */
    int ready;   /* pods whose metric is known */
    int unready; /* pods that exist and have none yet: pending or starting */
    double sum;  /* of the metric over the ready ones */
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
    int min_replicas;
    int64_t active_ns; /* last seen active */
};
int tr_keda_poll(struct tr_keda *k, int64_t now_ns, double sum, int current);

#endif
