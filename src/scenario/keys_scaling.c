/* scenario, the table of keys: what adds and removes replicas, and how long a start takes. Names
 * are those of the objects that a user would write: KEDA's ScaledObject and the HPA in camel case.
 */
#include "scenario/keys.h"

#define W(m)                                                                                       \
    .base = IN_WORKLOAD, .offset = offsetof(struct tr_workload, m),                                \
    .size = sizeof(((struct tr_workload *)0)->m)
#define POLICY(m)                                                                                  \
    .base = IN_POLICY, .offset = offsetof(struct policy, m), .size = sizeof(((struct policy *)0)->m)

#define SCALING "workloads[].autoscaling."
#define HPA     SCALING "hpa."
#define UP      HPA "behavior.scaleUp."
#define DOWN    HPA "behavior.scaleDown."
#define KEDA    SCALING "keda."
#define STARTUP "workloads[].startup."

static const char *const metric_words[] = {"requests", "waiting", "kv", "gpu", NULL};
static const char *const select_words[] = {"Max", "Min", "Disabled", NULL};
static const char *const policy_words[] = {"Pods", "Percent", NULL};

/* A table reads best one row after the other. */
/* clang-format off */
#define POLICIES(dir, what, default_policies)                                                      \
    {.path = dir "policies", .type = KEY_MAPS, .read = read_policies, W(hpa.what),                 \
     .otherwise = default_policies,                                                                \
     .doc = "How far it may go within a period; given, they take the place of the default ones "   \
            "(" default_policies "). One of each type."},                                          \
    {.path = dir "policies[].type", .type = KEY_WORD, .words = policy_words,                       \
     .flags = KEY_REQUIRED, POLICY(percent),                                                          \
     .doc = "`Pods`: a number of replicas. `Percent`: a percentage of them.",                      \
     .example = "Pods"},                                                                           \
    {.path = dir "policies[].value", .type = KEY_INT, .min = 1, .max = 10000,                      \
     .flags = KEY_REQUIRED, POLICY(value),                                                         \
     .doc = "How many, or how many percent.",                                                      \
     .example = "4"},                                                                              \
    {.path = dir "policies[].periodSeconds", .type = KEY_SECONDS, .min = 1, .max = 1800,           \
     .flags = KEY_REQUIRED, POLICY(period_ns),                                                     \
     .doc = "Within this time.",                                                                   \
     .example = "15"}

static const struct key rows[] = {
    {.path = "workloads[].autoscaling", .type = KEY_MAP,
     .doc = "How many replicas of it there are, where nodes come and go (`cluster.autoscaler`): "
            "the HPA's rules, and KEDA's."},
    {.path = SCALING "metric", .type = KEY_WORD, .words = metric_words, .init = "requests",
     W(hpa.metric),
     .doc = "What is watched: `requests` (vllm:num_requests_running and _waiting together), "
            "`waiting` (vllm:num_requests_waiting), `kv` (vllm:kv_cache_usage_perc), `gpu` "
            "(DCGM_FI_DEV_GPU_UTIL).",
     .example = "waiting"},
    {.path = SCALING "target", .type = KEY_NUMBER, .min = 0.001, .max = 1e6, W(hpa.target),
     .otherwise = "plan looks for the cheapest that keeps the objective",
     .doc = "What there should be of it for each replica; of `kv` and `gpu` a fraction.",
     .example = "5"},
    {.path = SCALING "min_replicas", .type = KEY_INT, .min = 0, .max = 100000,
     .otherwise = "1; 0 with `keda`", W(hpa.min_replicas),
     .doc = "Never fewer. 0 needs `keda`.",
     .example = "1"},
    {.path = SCALING "max_replicas", .type = KEY_INT, .min = 1, .max = 100000,
     .otherwise = "as many as the nodes hold", W(hpa.max_replicas),
     .doc = "Never more.",
     .example = "8"},
    {.path = SCALING "hpa", .type = KEY_MAP,
     .doc = "The horizontal pod autoscaler (autoscaling/v2)."},
    {.path = HPA "sync_period", .type = KEY_DURATION, .flags = KEY_POSITIVE, .max = 3600,
     .init = "15s", W(hpa.sync_ns),
     .doc = "Time between two looks (--horizontal-pod-autoscaler-sync-period).",
     .example = "15s"},
    {.path = HPA "scrape_interval", .type = KEY_DURATION, .flags = KEY_POSITIVE, .max = 3600,
     .init = "15s", W(hpa.scrape_ns),
     .doc = "Time between two scrapes of the metric: a look sees the last one.",
     .example = "15s"},
    {.path = HPA "tolerance", .type = KEY_NUMBER, .max = 1, .init = "0.1", W(hpa.tolerance),
     .doc = "Nothing changes while the metric is within this part of the target.",
     .example = "0.1"},
    {.path = HPA "downscale_stabilization", .type = KEY_DURATION, .max = 3600, .init = "5m",
     W(hpa.stabilization_ns),
     .doc = "It goes down to the largest wish of this time "
            "(--horizontal-pod-autoscaler-downscale-stabilization).",
     .example = "5m"},
    {.path = HPA "behavior", .type = KEY_MAP, .read = read_behavior,
     .doc = "Limits of each direction, as in the object's `behavior`. Without it, it at most "
            "doubles (4 replicas are always possible) and goes down at once after "
            "`downscale_stabilization`; KEDA leaves it out too unless told."},
    {.path = HPA "behavior.scaleUp", .type = KEY_MAP,
     .doc = "Limits on the way up."},
    {.path = UP "stabilizationWindowSeconds", .type = KEY_SECONDS, .max = 3600, .init = "0",
     W(hpa.up.window_ns),
     .doc = "It goes up to the smallest wish of this time.",
     .example = "60"},
    {.path = UP "selectPolicy", .type = KEY_WORD, .words = select_words, .init = "Max",
     W(hpa.up.select),
     .doc = "Of several policies the one that allows most, or least; `Disabled`: never up.",
     .example = "Max"},
    POLICIES(UP, up, "4 Pods in 15 s, 100 Percent in 15 s"),
    {.path = HPA "behavior.scaleDown", .type = KEY_MAP,
     .doc = "Limits on the way down."},
    {.path = DOWN "stabilizationWindowSeconds", .type = KEY_SECONDS, .max = 3600,
     .otherwise = "downscale_stabilization", W(hpa.down.window_ns),
     .doc = "It goes down to the largest wish of this time.",
     .example = "300"},
    {.path = DOWN "selectPolicy", .type = KEY_WORD, .words = select_words, .init = "Max",
     W(hpa.down.select),
     .doc = "Of several policies the one that allows most, or least; `Disabled`: never down.",
     .example = "Disabled"},
    POLICIES(DOWN, down, "100 Percent in 15 s"),
    {.path = SCALING "keda", .type = KEY_MAP, .read = read_keda,
     .doc = "KEDA in front of the HPA, with a Prometheus trigger: it takes the workload from 0 to "
            "1 replica and back. `{}` is KEDA as it comes."},
    {.path = KEDA "pollingInterval", .type = KEY_SECONDS, .min = 1, .max = 3600, .init = "30",
     W(keda.polling_ns),
     .doc = "Seconds between two looks.",
     .example = "30"},
    {.path = KEDA "cooldownPeriod", .type = KEY_SECONDS, .max = 86400, .init = "300",
     W(keda.cooldown_ns),
     .doc = "Seconds of inactivity after which it goes to 0.",
     .example = "300"},
    {.path = KEDA "activationThreshold", .type = KEY_NUMBER, .max = 1e6, .init = "0",
     W(keda.activation),
     .doc = "It is active while the metric, summed over the replicas, is above this.",
     .example = "0"},

    {.path = "workloads[].startup", .type = KEY_MAP,
     .doc = "How long a replica takes from a node that has its image to the first request, and "
            "how long it may take to end."},
    {.path = STARTUP "weights", .type = KEY_DURATION, .max = 86400, W(pod_life.weights_ns),
     .otherwise = "by the bytes of the weights (docs/catalog.md, \"Start-up\")",
     .doc = "To read and load the weights.",
     .example = "20s"},
    {.path = STARTUP "warm", .type = KEY_DURATION, .max = 86400, W(pod_life.warm_ns),
     .otherwise = "by the bytes of the weights",
     .doc = "The server's own start: process, profiling, compilation, CUDA graphs.",
     .example = "100s"},
    {.path = STARTUP "grace", .type = KEY_DURATION, .max = 86400, .init = "30s",
     W(pod_life.grace_ns),
     .doc = "terminationGracePeriodSeconds: a replica that is to end finishes its requests; what "
            "still runs after this is lost.",
     .example = "130s"},
};
/* clang-format on */

const struct key_table tr_keys_scaling = {rows, TR_LEN(rows)};
