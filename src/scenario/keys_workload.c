/* scenario, the table of keys: workloads and what does not concern their traffic. */
#include "scenario/keys.h"

#define W(m)                                                                                       \
    .base = IN_WORKLOAD, .offset = offsetof(struct tr_workload, m),                                \
    .size = sizeof(((struct tr_workload *)0)->m)
#define SERVER(m)                                                                                  \
    .base = IN_SERVER, .offset = offsetof(struct tr_server, m),                                    \
    .size = sizeof(((struct tr_server *)0)->m)

#define ENGINE  "workloads[].engine."
#define TENANTS "workloads[].tenants."

static const char *const pods_words[] = {"common", "own", NULL};

/* A table reads best one row after the other. */
/* clang-format off */
static const struct key rows[] = {
    {.path = "workloads", .type = KEY_MAPS, .read = read_workloads,
     .doc = "What runs on the GPUs: 1 to 16 of them, with names that differ."},
    {.path = "workloads[].name", .type = KEY_TEXT, .init = "workload", W(name),
     .doc = "What the reports call this workload.",
     .example = "chat"},
    {.path = "workloads[].model", .type = KEY_NAME, .read = read_model, .otherwise = "none",
     .doc = "A model of the catalog (`tranche catalog models`), or the path to a Hugging Face "
            "config.json of a dense model, ending in `.json`.",
     .example = "llama-3.1-8b"},
    {.path = "workloads[].server", .type = KEY_SERVER, .read = read_server, .otherwise = "none",
     .doc = "In place of `model`: a simple GPU server, such as an embedder or a classifier, of the "
            "catalog (`tranche catalog servers`) or described. A batch of n items takes batch + "
            "n x item on the whole GPU that it was measured on.",
     .example = "bert-base-128"},
    {.path = "workloads[].server.batch", .type = KEY_DURATION, .flags = KEY_REQUIRED, .max = 3600,
     SERVER(batch_ns),
     .doc = "Time of a batch, whatever it holds.",
     .example = "2ms"},
    {.path = "workloads[].server.item", .type = KEY_DURATION, .flags = KEY_REQUIRED, .max = 3600,
     SERVER(item_ns),
     .doc = "Time that each item adds.",
     .example = "0.3ms"},
    {.path = "workloads[].server.max_batch", .type = KEY_INT, .min = 1, .max = 65536,
     .flags = KEY_REQUIRED, SERVER(max_batch),
     .doc = "Most items in a batch.",
     .example = "64"},
    {.path = "workloads[].server.memory", .type = KEY_BYTES, .flags = KEY_REQUIRED | KEY_POSITIVE,
     SERVER(mem_bytes),
     .doc = "GPU memory of one server, all of it.",
     .example = "2GiB"},
    {.path = "workloads[].server.gpu", .type = KEY_NAME, .flags = KEY_REQUIRED, .read = read_gpu,
     SERVER(gpu),
     .doc = "The GPU on which this was measured.",
     .example = "A100-PCIe-80GB"},
    {.path = "workloads[].precision", .type = KEY_NAMES, .otherwise = "bf16",
     .read = read_precisions,
     .doc = "The precision of the weights, or a list of those allowed, preferred first.",
     .example = "[bf16, int4]"},
    {.path = "workloads[].max_quality_loss", .type = KEY_MAP, .read = read_quality,
     .doc = "How much worse than bf16 the answers may be. A loss means something only together "
            "with the benchmark that it was measured with."},
    {.path = "workloads[].max_quality_loss.metric", .type = KEY_NAME, .flags = KEY_REQUIRED,
     .read = read_metric,
     .doc = "The benchmark, by the name that the catalog gives it.",
     .example = "arena-hard"},
    {.path = "workloads[].max_quality_loss.at_most", .type = KEY_FRACTION, .flags = KEY_REQUIRED,
     .max = 1, W(quality.at_most),
     .doc = "The largest relative loss accepted on that benchmark.",
     .example = "8%"},

    {.path = "workloads[].engine", .type = KEY_MAP,
     .doc = "Options of the inference server, with vLLM's names and meanings. What is left out "
            "is what vLLM would choose on that GPU and share."},
    {.path = ENGINE "max_model_len", .type = KEY_INT, .min = 1, .max = 10e6,
     .otherwise = "the model's own", W(engine.max_model_len),
     .doc = "Longest request, prompt and answer together, in tokens. Longer ones are rejected; a "
            "share whose KV cache cannot hold one does not start.",
     .example = "8192"},
    {.path = ENGINE "max_num_seqs", .type = KEY_INT, .min = 1, .max = 65536,
     .otherwise = "vLLM's for the GPU", W(engine.max_num_seqs),
     .doc = "Most requests in one batch.",
     .example = "256"},
    {.path = ENGINE "max_num_batched_tokens", .type = KEY_INT, .min = 1, .max = 10e6,
     .otherwise = "vLLM's for the GPU", W(engine.max_num_batched_tokens),
     .doc = "Most tokens in one step; at least max_num_seqs.",
     .example = "2048"},
    {.path = ENGINE "long_prefill_token_threshold", .type = KEY_INT, .min = 0, .max = 10e6,
     .init = "0", W(engine.long_prefill_token_threshold),
     .doc = "Most prompt tokens of one request in one step; 0 is no limit.",
     .example = "1024"},
    {.path = ENGINE "gpu_memory_utilization", .type = KEY_FRACTION, .flags = KEY_POSITIVE,
     .max = 1, .otherwise = "0.92, divided among the pods that share the memory",
     W(engine.gpu_memory_utilization),
     .doc = "Part of the GPU's (or MIG instance's) memory that one pod may use.",
     .example = "0.9"},
    {.path = ENGINE "kv_tokens", .type = KEY_INT, .min = 16, .max = 1e12,
     .otherwise = "from the memory model", W(engine.kv_tok),
     .doc = "KV cache of one pod in tokens, as its start-up log says; overrides the memory model.",
     .example = "456384"},
    {.path = ENGINE "num_gpu_blocks_override", .type = KEY_INT, .min = 1, .max = 1e11,
     .otherwise = "from the memory model", W(engine.num_gpu_blocks),
     .doc = "KV cache of one pod in blocks of 16 tokens; overrides the memory model.",
     .example = "28524"},
    {.path = ENGINE "log", .type = KEY_BLOCK, .otherwise = "none", .read = read_log,
     .doc = "A pasted vLLM start-up log, from which `GPU KV cache size: N tokens` (or `# GPU "
            "blocks: N`) is read; the last such line counts.",
     .example = "|"},
    {.path = ENGINE "async_scheduling", .type = KEY_BOOL, .flags = KEY_NEGATED, .init = "true",
     W(engine.no_async_scheduling),
     .doc = "Prepare the next step while the GPU works on this one.",
     .example = "false"},
    {.path = ENGINE "enable_prefix_caching", .type = KEY_BOOL, .flags = KEY_NEGATED, .init = "true",
     W(engine.no_prefix_caching),
     .doc = "Keep the KV blocks of finished requests for prompts that begin alike.",
     .example = "false"},
    {.path = ENGINE "cuda_graph_padding", .type = KEY_BOOL, .init = "false",
     W(engine.cuda_graph_padding),
     .doc = "Pad decode batches up to the next captured CUDA graph size.",
     .example = "true"},
    {.path = ENGINE "max_num_queued_reqs", .type = KEY_INT, .min = 0, .max = 1e9, .init = "0",
     W(engine.queue_limit),
     .doc = "Requests waiting in one pod beyond which it refuses more; 0 is no limit.",
     .example = "64"},
    {.path = ENGINE "enable_chunked_prefill", .type = KEY_BOOL, .flags = KEY_LATER,
     .doc = "chunked prefill is always on, as in vLLM V1"},
    {.path = ENGINE "tensor_parallel_size", .type = KEY_INT, .flags = KEY_LATER,
     .doc = "this version runs one GPU or a part of one for each engine"},
    {.path = ENGINE "kv_cache_dtype", .type = KEY_TEXT, .flags = KEY_LATER,
     .doc = "this version keeps the KV cache in bf16"},
    {.path = ENGINE "block_size", .type = KEY_INT, .flags = KEY_LATER,
     .doc = "blocks have 16 tokens"},
    {.path = ENGINE "speculative_config", .type = KEY_MAP, .flags = KEY_LATER,
     .doc = "this version decodes one token a step"},

    {.path = "workloads[].tenants", .type = KEY_MAP,
     .doc = "Who sends the requests."},
    {.path = TENANTS "count", .type = KEY_INT, .min = 1, .max = 1024, .init = "1",
     W(n_tenants),
     .doc = "Number of tenants.",
     .example = "7"},
    {.path = TENANTS "shares", .type = KEY_SHARES, .otherwise = "equal", .read = read_shares,
     .doc = "Their parts of the requests: `zipf` (the n-th gets 1/n of the first), or a list "
            "that sums to 1. A trace with a tenant column brings its own.",
     .example = "zipf"},
    {.path = TENANTS "priorities", .type = KEY_INTS, .min = 0, .max = 1000, .otherwise = "all alike",
     .read = read_priorities,
     .doc = "One for each tenant, lower goes first: what `one-engine` schedules by (vLLM's "
            "`--scheduling-policy priority`).",
     .example = "[0, 1, 1]"},
    {.path = TENANTS "synchrony", .type = KEY_NUMBER, .max = 1, .init = "1", W(synchrony),
     .doc = "How far their peaks coincide. 1: all follow the traffic's rate at the same time. 0: "
            "each follows it at a time of its own, shifted around the period, with spikes and "
            "modulation. Between: this part of each tenant's requests together, the rest apart. "
            "The mean rate and the shares stay. Real tenants are near 0 (docs/traffic.md), pods "
            "behind one load balancer at 1; a trace is as it was measured.",
     .example = "0.5"},
    {.path = TENANTS "pods", .type = KEY_WORD, .words = pods_words, .init = "common",
     W(own_pods),
     .doc = "`common`: every pod serves everyone. `own`: every tenant has at least one pod of "
            "its own, which on `whole` is a GPU each and on shares a share each.",
     .example = "own"},
    {.path = "workloads[].router", .type = KEY_WORD, .words = tr_router_words,
     .otherwise = "random, as a ClusterIP does; tenant-pinned with `tenants.pods: own`",
     W(router),
     .doc = "How a request finds its pod; the same for every arrangement.",
     .example = "least-requests"},
    {.path = "workloads[].client", .type = KEY_MAP,
     .doc = "How the clients behave."},
    {.path = "workloads[].client.timeout", .type = KEY_DURATION, .flags = KEY_POSITIVE,
     .max = 86400, .otherwise = "none", W(client_timeout_ns),
     .doc = "A client gives up this long after sending; its request is then outside the objective.",
     .example = "60s"},
    {.path = "workloads[].isolation", .type = KEY_WORD, .words = tr_isolation_words,
     .otherwise = "the scenario's", W(isolation),
     .doc = "The same for this workload alone.",
     .example = "performance"},
    {.path = "workloads[].trust", .type = KEY_TEXT, .otherwise = "none", W(trust),
     .doc = "A name: workloads with the same one trust each other. `isolation` is against all "
            "others.",
     .example = "office"},
    {.path = "workloads[].priority", .type = KEY_INT, .min = 0, .max = 1000, .init = "0",
     W(priority),
     .doc = "Between workloads that share an engine: lower goes first (vLLM's "
            "`--scheduling-policy priority`).",
     .example = "0"},
    {.path = "workloads[].guaranteed", .type = KEY_BOOL, .init = "false", W(guaranteed),
     .doc = "Its objective must hold whatever its neighbours on a GPU do.",
     .example = "true"},
};
/* clang-format on */

const struct key_table tr_keys_workload = {rows, TR_LEN(rows)};
