/* scenario, the table of keys: one row each, from which validation, schema and reference are made.
 * It stands in five files, in the order of the reference page. This one has the cluster, and what
 * finds rows. */
#include "scenario/keys.h"

#define S(m) .offset = offsetof(struct tr_scenario, m), .size = sizeof(((struct tr_scenario *)0)->m)

#define SCALER "cluster.autoscaler."
#define LIFE   "cluster.node_life."

static const char *const mode_words[] = {"Delete", "Deallocate", NULL};
const char *const tr_router_words[] = {"random",         "round-robin",   "least-requests",
                                       "session-affine", "tenant-pinned", NULL};
const char *const tr_isolation_words[] = {"none", "memory", "fault", "performance", NULL};

/* A table reads best one row after the other. */
/* clang-format off */
static const struct key rows[] = {
    {.path = "name", .type = KEY_TEXT, .otherwise = "the file's name", S(name),
     .doc = "What the reports call this scenario.",
     .example = "AKS internal chatbot"},

    {.path = "cluster", .type = KEY_MAP,
     .doc = "The nodes that can be had."},
    {.path = "cluster.node", .type = KEY_NAMES, .flags = KEY_REQUIRED, .read = read_node_types,
     .doc = "A node type of the catalog (`tranche catalog nodes`), or a list of them to be "
            "ranked together by cost.",
     .example = "azure/Standard_NC24ads_A100_v4"},
    {.path = "cluster.nodes", .type = KEY_MAP,
     .doc = "How many nodes there may be. If more are needed, the number is printed and marked."},
    {.path = "cluster.nodes.min", .type = KEY_INT, .min = 0, .max = 10000, .init = "1",
     S(nodes_min),
     .doc = "The smallest fleet that is considered. 0 goes with an autoscaler.",
     .example = "1"},
    {.path = "cluster.nodes.max", .type = KEY_INT, .min = 1, .max = 10000, .init = "40",
     S(nodes_max),
     .doc = "The largest fleet that may be proposed.",
     .example = "40"},
    {.path = "cluster.price", .type = KEY_MAP,
     .doc = "What a node of this type costs you, in USD per hour, in place of the catalog's prices. "
            "What is left out stays the catalog's."},
    {.path = "cluster.price.on_demand", .type = KEY_NUMBER, .flags = KEY_POSITIVE, .max = 1e5,
     .otherwise = "the catalog's", S(price.on_demand),
     .doc = "As long as a node is there.",
     .example = "3.67"},
    {.path = "cluster.price.reserved", .type = KEY_NUMBER, .flags = KEY_POSITIVE, .max = 1e5,
     .otherwise = "the catalog's", S(price.reserved),
     .doc = "Committed to for a year, whether the node is there or not.",
     .example = "2.35"},
    {.path = "cluster.price.spot", .type = KEY_NUMBER, .flags = KEY_POSITIVE, .max = 1e5,
     .otherwise = "the catalog's", S(price.spot),
     .doc = "Of spare capacity, which the provider may take back.",
     .example = "0.9"},
    {.path = "cluster.price.interruptions", .type = KEY_RATE, .max = 1,
     .otherwise = "the catalog's", S(price.interruptions),
     .doc = "How often the provider takes a spot node back.",
     .example = "0.05/h"},
    {.path = "cluster.autoscaler", .type = KEY_MAP, .flags = KEY_OR_NONE, .read = read_autoscaler,
     .doc = "The cluster autoscaler, which adds and removes nodes between `nodes.min` and "
            "`nodes.max`, with the names of its flags. Where the key is left out it is on, as it "
            "comes. `none`: the number of nodes is fixed."},
    {.path = SCALER "scan_interval", .type = KEY_DURATION, .flags = KEY_POSITIVE, .max = 3600,
     .init = "10s", S(autoscaler.scan_ns),
     .doc = "Time between two looks at the cluster.",
     .example = "10s"},
    {.path = SCALER "scale_down_unneeded_time", .type = KEY_DURATIONS, .flags = KEY_POSITIVE,
     .max = 86400, .init = "[10m, 3m]", .read = read_unneeded,
     .doc = "How long a node is unneeded before it is removed. Of several, plan compares each; "
            "`simulate` takes the first.",
     .example = "[10m, 3m]"},
    {.path = SCALER "scale_down_delay_after_add", .type = KEY_DURATION, .max = 86400,
     .init = "10m", S(autoscaler.delay_after_add_ns),
     .doc = "No node is removed this long after one was added.",
     .example = "10m"},
    {.path = SCALER "scale_down_delay_after_delete", .type = KEY_DURATION, .max = 86400,
     .init = "0s", S(autoscaler.delay_after_delete_ns),
     .doc = "No node is removed this long after one was removed; on AKS its scan interval.",
     .example = "10s"},
    {.path = SCALER "scale_down_delay_after_failure", .type = KEY_DURATION, .max = 86400,
     .init = "3m", S(autoscaler.delay_after_failure_ns),
     .doc = "No node is removed this long after a removal failed.",
     .example = "3m"},
    {.path = SCALER "scale_down_gpu_utilization_threshold", .type = KEY_FRACTION, .max = 1,
     .init = "0.5", S(autoscaler.gpu_utilization),
     .doc = "A node may be unneeded while requested over allocatable `nvidia.com/gpu` is at or "
            "below this.",
     .example = "0.5"},
    {.path = SCALER "max_node_provision_time", .type = KEY_DURATION, .flags = KEY_POSITIVE,
     .max = 86400, .init = "15m", S(autoscaler.provision_max_ns),
     .doc = "A node that is not there after this is given up.",
     .example = "15m"},
    {.path = SCALER "initial_node_group_backoff_duration", .type = KEY_DURATION,
     .flags = KEY_POSITIVE, .max = 86400, .init = "5m", S(autoscaler.backoff_ns),
     .doc = "After a node that could not be had, none is asked for this long; it doubles with "
            "each failure.",
     .example = "5m"},
    {.path = SCALER "max_node_group_backoff_duration", .type = KEY_DURATION,
     .flags = KEY_POSITIVE, .max = 86400, .init = "30m", S(autoscaler.backoff_max_ns),
     .doc = "Never longer than this.",
     .example = "30m"},
    {.path = SCALER "max_graceful_termination_sec", .type = KEY_SECONDS, .max = 86400,
     .init = "600", S(autoscaler.grace_ns),
     .doc = "A pod on a node that is removed has at most this long to end.",
     .example = "600"},

    {.path = "cluster.node_life", .type = KEY_MAP,
     .doc = "From a node asked for to GPUs that pods can use, and back."},
    {.path = LIFE "vm", .type = KEY_DURATION, .max = 86400, .init = "5m", S(node_life.vm_ns),
     .doc = "Until the VM has joined the cluster.",
     .example = "5m"},
    {.path = LIFE "driver", .type = KEY_DURATION, .max = 86400, .init = "1m",
     S(node_life.driver_ns),
     .doc = "From there until it offers its GPUs; 3 to 5 minutes where the operator installs the "
            "driver.",
     .example = "1m"},
    {.path = LIFE "image_pull", .type = KEY_DURATION, .max = 86400, .init = "2m",
     S(node_life.image_ns),
     .doc = "To pull the inference server's image, once on each new node.",
     .example = "2m"},
    {.path = LIFE "scale_down_mode", .type = KEY_WORD, .words = mode_words, .init = "Delete",
     S(node_life.deallocate),
     .doc = "AKS: `Delete` the VM, or `Deallocate` it, which keeps its disk and the image.",
     .example = "Deallocate"},
    {.path = LIFE "vm_again", .type = KEY_DURATION, .max = 86400, .init = "5m",
     S(node_life.vm_again_ns),
     .doc = "`vm` of a node that was deallocated.",
     .example = "2m"},
    {.path = LIFE "stockout", .type = KEY_FRACTION, .max = 1, .init = "0", S(node_life.stockout),
     .doc = "The chance that a node asked for cannot be had.",
     .example = "5%"},
};
/* clang-format on */

static const struct key_table cluster = {rows, TR_LEN(rows)};
static const struct key_table *const tables[] = {&cluster, &tr_keys_workload, &tr_keys_scaling,
                                                 &tr_keys_traffic, &tr_keys_objective};

const struct key *key_next(const struct key *key)
{
    size_t t = 0;

    if (!key)
        return tables[0]->rows;
    while ((uintptr_t)key < (uintptr_t)tables[t]->rows ||
           (uintptr_t)key >= (uintptr_t)(tables[t]->rows + tables[t]->n))
        t++;
    if (key + 1 < tables[t]->rows + tables[t]->n)
        return key + 1;
    return t + 1 < TR_LEN(tables) ? tables[t + 1]->rows : NULL;
}

const char *tr_router_name(enum tr_router r)
{
    return tr_router_words[r];
}

const char *tr_isolation_name(enum tr_isolation i)
{
    return tr_isolation_words[i];
}

const char *key_name(const struct key *key)
{
    const char *dot = strrchr(key->path, '.');

    return dot ? dot + 1 : key->path;
}

bool key_is_child(const struct key *key, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(key->path, prefix, len) == 0 && !strchr(key->path + len, '.');
}

void key_prefix(const struct key *key, char buf[96])
{
    snprintf(buf, 96, "%s%s.", key->path, key->type == KEY_MAPS ? "[]" : "");
}
