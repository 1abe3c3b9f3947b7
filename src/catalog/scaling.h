/* scaling: what makes a fleet grow and shrink, as numbers.
 *
 * Two loops, one above the other. The pod autoscaler (HPA, alone or driven by KEDA) watches a
 * metric of the pods and sets how many replicas there should be. Pods that fit on no node stay
 * pending; the cluster autoscaler buys nodes for them, and gives back nodes whose pods fit
 * elsewhere. Between the wish and the first token lie the node's and the pod's own start. Names,
 * units and defaults are Kubernetes', KEDA's, the cluster autoscaler's and AKS's
 * (docs/autoscaling.md has the source of each); the rooms scenario, fleet and plan share these
 * structs.
 */
#ifndef TR_CATALOG_SCALING_H
#define TR_CATALOG_SCALING_H

#include "base/base.h"

/* What the pod autoscaler looks at; the target is per replica, as with `AverageValue`. */
enum tr_scale_metric {
    TR_SCALE_REQUESTS, /* vllm:num_requests_running + vllm:num_requests_waiting */
    TR_SCALE_WAITING,  /* vllm:num_requests_waiting */
    TR_SCALE_KV,       /* vllm:kv_cache_usage_perc, 0 to 1 */
    TR_SCALE_GPU       /* DCGM_FI_DEV_GPU_UTIL of the pod's GPU, 0 to 1: time with a kernel on it */
};

/* One direction of `behavior`: how far and how fast. A policy that is not set has period 0. */
enum tr_hpa_select { TR_HPA_MAX, TR_HPA_MIN, TR_HPA_DISABLED };
struct tr_hpa_rules {
    int64_t window_ns; /* stabilizationWindowSeconds */
    enum tr_hpa_select select;
    int pods;    /* type: Pods; value */
    int percent; /* type: Percent; value */
    int64_t pods_period_ns, percent_period_ns;
};

struct tr_hpa_policy {
    enum tr_scale_metric metric;
    double target; /* counted in thousandths, as Kubernetes does: 0.001 at least */
    bool external; /* the sum of one query over the target, as KEDA's HPA does (External,
                      AverageValue); else the mean over the pods (Pods, AverageValue) */
    int min_replicas, max_replicas;
    int64_t sync_ns;   /* --horizontal-pod-autoscaler-sync-period */
    int64_t scrape_ns; /* of the metric: a sync sees the last scrape */
    double tolerance;
    int64_t stabilization_ns; /* --horizontal-pod-autoscaler-downscale-stabilization, and the down
                                 window without a `behavior` */
    bool has_behavior;        /* else: the largest wish of stabilization_ns, at most doubling */
    struct tr_hpa_rules up, down;
};

/* KEDA takes a workload from 0 to 1 and back; between 1 and N its HPA does. */
struct tr_keda_policy {
    bool on;
    int64_t polling_ns, cooldown_ns;
    double activation; /* active while the metric's sum is above */
};

/* One node pool under the cluster autoscaler. */
struct tr_autoscaler_policy {
    int64_t scan_ns;
    bool frequent_loops; /* a pending pod starts a loop at once */
    int64_t unneeded_ns, delay_after_add_ns, delay_after_delete_ns, delay_after_failure_ns;
    double gpu_utilization; /* at or below: a node may be unneeded */
    int64_t provision_max_ns, backoff_ns, backoff_max_ns;
    int64_t grace_ns; /* max-graceful-termination-sec */
    int64_t taint_ns; /* node-delete-delay-after-taint */
    int max_bulk;     /* nodes being removed at once; of those with pods, one */
    int min_nodes, max_nodes;
};

/* From a decision to a node on which pods can start, and back. */
struct tr_node_life {
    int64_t vm_ns;       /* until the VM has joined as a node */
    int64_t driver_ns;   /* until it offers its GPUs */
    int64_t image_ns;    /* the image is pulled once per node, unless the node was only stopped */
    bool deallocate;     /* AKS scale-down-mode Deallocate: stopped, image and disk kept */
    int64_t vm_again_ns; /* vm_ns of a stopped node */
    double stockout;     /* chance that a node asked for cannot be had */
    double interrupts_per_h; /* of a spot node */
};

/* From a pod on a node with its image to one that is ready. */
struct tr_pod_life {
    int64_t weights_ns; /* read and loaded; -1: by the model's size */
    int64_t warm_ns;    /* profiling, compilation, CUDA graph capture; -1: by the model's size */
    int64_t grace_ns;   /* terminationGracePeriodSeconds: what still runs then is lost */
};

struct tr_scaling {
    struct tr_hpa_policy hpa;
    struct tr_keda_policy keda;
    struct tr_autoscaler_policy autoscaler;
    struct tr_node_life node;
    struct tr_pod_life pod;
};

/* Every default, for 1 to max_nodes nodes with pods_per_node replicas each. */
void tr_scaling_defaults(struct tr_scaling *s, int pods_per_node, int max_nodes);
/* What of a pod's life is not given follows from the bytes of its weights. */
void tr_pod_life_fill(struct tr_pod_life *life, int64_t weights_bytes);
const char *tr_scale_metric_name(enum tr_scale_metric m); /* "requests" */

#endif
