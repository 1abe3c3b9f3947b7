/* scaling: the defaults of everything that makes a fleet grow and shrink; docs/autoscaling.md has
 * the source of each. */
#include "catalog/scaling.h"

#define S   TR_NS_PER_S
#define MIN (60 * TR_NS_PER_S)

static const char *const metric_names[] = {
    [TR_SCALE_REQUESTS] = "requests",
    [TR_SCALE_WAITING] = "waiting",
    [TR_SCALE_KV] = "kv",
    [TR_SCALE_GPU] = "gpu",
};

const char *tr_scale_metric_name(enum tr_scale_metric m)
{
    return metric_names[m];
}

/* What a `behavior` that is given, and says nothing more, means. */
static const struct tr_hpa_rules up_rules = {.window_ns = 0,
                                             .select = TR_HPA_MAX,
                                             .pods = 4,
                                             .pods_period_ns = 15 * S,
                                             .percent = 100,
                                             .percent_period_ns = 15 * S};
static const struct tr_hpa_rules down_rules = {
    .window_ns = 300 * S, .select = TR_HPA_MAX, .percent = 100, .percent_period_ns = 15 * S};

void tr_scaling_defaults(struct tr_scaling *s, int pods_per_node, int max_nodes)
{
    *s = (struct tr_scaling){
        .hpa = {.metric = TR_SCALE_REQUESTS,
                .min_replicas = 1,
                .max_replicas = pods_per_node * max_nodes,
                .sync_ns = 15 * S,
                .scrape_ns = 15 * S,
                .tolerance = 0.1,
                .stabilization_ns = 300 * S,
                .up = up_rules,
                .down = down_rules},
        .keda = {.polling_ns = 30 * S, .cooldown_ns = 300 * S},
        .autoscaler = {.scan_ns = 10 * S,
                       .frequent_loops = true,
                       .unneeded_ns = 10 * MIN,
                       .delay_after_add_ns = 10 * MIN,
                       .delay_after_failure_ns = 3 * MIN,
                       .gpu_utilization = 0.5,
                       .provision_max_ns = 15 * MIN,
                       .backoff_ns = 5 * MIN,
                       .backoff_max_ns = 30 * MIN,
                       .grace_ns = 600 * S,
                       .taint_ns = 5 * S,
                       .max_bulk = 10,
                       .min_nodes = 1,
                       .max_nodes = max_nodes},
        .node = {.vm_ns = 300 * S,
                 .driver_ns = 60 * S,
                 .image_ns = 120 * S,
                 .vm_again_ns = 300 * S},
        .pod = {.weights_ns = -1, .warm_ns = -1, .grace_ns = 30 * S},
    };
}

/* Reported starts: 3.4 GiB of weights, 34 s from the process to a ready engine; an 8B model with
 * 15.0 GiB 91 s, and 90 to 150 s with its weights read from a disk that is not warm. */
#define WARM_S         17.3 /* (34 * 15.0 - 91 * 3.4) / (15.0 - 3.4) */
#define WARM_S_PER_GIB 4.91 /* (91 - 34) / (15.0 - 3.4) */
#define GIB_PER_S      0.52 /* 15.0 GiB in what 91 s leave of 120 s */

void tr_pod_life_fill(struct tr_pod_life *life, int64_t weights_bytes)
{
    double gib = (double)weights_bytes / TR_GIB;
    if (life->weights_ns < 0)
        life->weights_ns = (int64_t)(gib / GIB_PER_S * (double)S);
    if (life->warm_ns < 0)
        life->warm_ns = (int64_t)((WARM_S + WARM_S_PER_GIB * gib) * (double)S);
}
