/* scenario: what a user asked for, read from YAML, checked, and resolved against the catalog.
 *
 * One table (keys.c) describes every key: its path, type, unit, range, default, and the words that
 * explain it. Validation, `tranche schema` (JSON Schema) and docs/scenario.md are made from it, so
 * they cannot disagree. Errors are one line: file:line:col, what is wrong, what is allowed, the
 * nearest valid name. Keys of later versions are refused as not supported yet.
 */
#ifndef TR_SCENARIO_SCENARIO_H
#define TR_SCENARIO_SCENARIO_H

#include <tranche/scenario.h>

#include "catalog/catalog.h"
#include "catalog/router.h"
#include "catalog/scaling.h"
#include "traffic/traffic.h"
#include "record/record.h"

enum tr_isolation {
    TR_ISOLATION_NONE,
    TR_ISOLATION_MEMORY,
    TR_ISOLATION_FAULT,
    TR_ISOLATION_PERFORMANCE
};

/* vLLM's names and meanings. 0: the default of a real pod on that GPU and share. */
struct tr_engine_opts {
    int max_model_len;
    int max_num_seqs, max_num_batched_tokens;
    int long_prefill_token_threshold;
    double gpu_memory_utilization;
    int64_t kv_tok, num_gpu_blocks; /* from a real start-up log */
    bool no_async_scheduling;
    bool no_prefix_caching;
    bool cuda_graph_padding;
    int64_t queue_limit; /* vLLM 0.29 --max-num-queued-reqs; 0: none */
};

struct tr_quality_limit {
    const char *metric;
    double at_most; /* relative loss, 0.08 */
};

struct tr_workload {
    const char *name;
    const struct tr_model *model;
    size_t n_precisions;
    const struct tr_precision *precisions[8]; /* allowed, preferred first */
    bool has_quality_limit;
    struct tr_quality_limit quality;
    struct tr_engine_opts engine;
    int n_tenants;
    const double *shares;      /* n_tenants, sum 1 */
    const int32_t *priorities; /* n_tenants, lower goes first in one-engine; NULL: all alike */
    int n_priorities;
    bool own_pods;    /* tenants.pods: own */
    double synchrony; /* of the tenants' rates: 1 one curve, 0 each its own */
    enum tr_router router;
    int64_t client_timeout_ns; /* 0: none */
    struct tr_traffic_spec traffic;
    struct tr_slo slo;
    enum tr_isolation isolation; /* from what runs beside it on a GPU */
    const char *trust;           /* trusts whom has the same name here; NULL: everyone */
    int32_t priority;            /* between workloads: lower goes first */
    bool guaranteed;             /* its objective must hold whatever its neighbours do */
    /* Its replicas: a target of 0 and a max_replicas of 0 are for plan to find. */
    struct tr_hpa_policy hpa;
    struct tr_keda_policy keda;
    struct tr_pod_life pod_life;    /* weights_ns, warm_ns -1: not given, depend on the model */
    const struct tr_server *server; /* a simple GPU server in place of a model, else NULL */
};

/* A published figure to hold against arithmetic (`claims:` in the file). Unset numbers are 0. */
struct tr_claim {
    const char *says, *source;
    const struct tr_gpu *gpu;
    const struct tr_model *model;
    const struct tr_precision *precision;
    struct tr_arrangement arrangement;
    double request_rate; /* of the whole GPU, 1/s */
    int32_t prompt_tok, output_tok;
    int64_t ttft_p50_ns, ttft_p95_ns;
    bool fits; /* claims only that the arrangement runs */
    const struct tr_node *at;
};

#define TR_MAX_UNNEEDED 8

/* Prices of the user's own, USD per hour and node; 0: the catalog's. */
struct tr_own_price {
    double on_demand, reserved, spot;
    double interruptions; /* of a spot node, 1/s */
};

struct tr_scenario {
    struct tr_arena arena;
    struct tr_catalog *catalog;
    const char *path, *name;
    uint64_t hash; /* of the file's bytes */
    size_t n_nodes;
    const struct tr_node_type *nodes[16];
    struct tr_own_price price; /* already in `nodes` */
    int nodes_min, nodes_max;
    bool autoscale; /* nodes come and go: cluster.autoscaler is not none, min is below max */
    struct tr_autoscaler_policy autoscaler; /* with the first of unneeded_ns */
    size_t n_unneeded;                      /* scale_down_unneeded_time, to be compared */
    int64_t unneeded_ns[TR_MAX_UNNEEDED];
    struct tr_node_life node_life;
    size_t n_workloads; /* 0 in a file of claims */
    struct tr_workload *workloads;
    struct tr_workload workload; /* the one at hand: the first, or that of a view */
    enum tr_isolation isolation; /* of the workload at hand */
    bool compare_auto;
    size_t n_compare;
    const char *compare[64]; /* texts; parsed per GPU by plan */
    const struct tr_node *compare_at[64];
    size_t n_claims;
    struct tr_claim *claims;
};

/* tr_scenario_load from memory (fuzzing, tests); `path` is used in messages and for relative paths.
 */
int tr_scenario_parse(const char *path, const char *text, size_t len, const char *catalog_dir,
                      struct tr_scenario **out, struct tr_err *err);

/* The scenario as if it had this workload alone. Shares everything with `s`; is not freed. */
void tr_scenario_view(const struct tr_scenario *s, size_t i, struct tr_scenario *out);

/* The JSON Schema, and the reference page docs/scenario.md, from the same table. */
void tr_scenario_json_schema(struct tr_str *out);
void tr_scenario_reference(struct tr_str *out);

const char *tr_router_name(enum tr_router r);
const char *tr_isolation_name(enum tr_isolation i);

#endif
