/* scenario, the table of keys: one row each, from which validation, schema and reference are made.
 */
#include "scenario/keys.h"

#define S(m) .offset = offsetof(struct tr_scenario, m), .size = sizeof(((struct tr_scenario *)0)->m)
#define W(m)                                                                                       \
    .base = IN_WORKLOAD, .offset = offsetof(struct tr_workload, m),                                \
    .size = sizeof(((struct tr_workload *)0)->m)
#define SPIKE(m)                                                                                   \
    .base = IN_SPIKE, .offset = offsetof(struct tr_spike, m),                                      \
    .size = sizeof(((struct tr_spike *)0)->m)
#define CLAIM(m)                                                                                   \
    .base = IN_CLAIM, .offset = offsetof(struct tr_claim, m),                                      \
    .size = sizeof(((struct tr_claim *)0)->m)

#define ENGINE  "workloads[].engine."
#define TENANTS "workloads[].tenants."
#define TRAFFIC "workloads[].traffic."
#define SLO     "workloads[].slo."

#define YEAR_S 31622400.0 /* 366 days */

static const char *const router_words[] = {"random",         "round-robin",   "least-requests",
                                           "session-affine", "tenant-pinned", NULL};
static const char *const isolation_words[] = {"none", "memory", "fault", "performance", NULL};
static const char *const pods_words[] = {"common", "own", NULL};
static const char *const window_words[] = {"day", "spikes", NULL};
static const char *const profile_words[] = {"aks-chatbot", NULL};
static const char *const variant_words[] = {"literal", "capacity-relative", NULL};
static const char *const format_words[] = {"azure", "vidur", "csv", "mooncake", NULL};
static const char *const turns_words[] = {"geometric", "fixed", NULL};
static const char *const arrival_words[] = {"poisson", "constant", "gamma", NULL};

/* A table reads best one row after the other. */
/* clang-format off */
const struct key tr_scenario_keys[] = {
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
    {.path = "cluster.nodes.min", .type = KEY_INT, .min = 1, .max = 10000, .init = "1",
     S(nodes_min),
     .doc = "The smallest fleet that is considered.",
     .example = "1"},
    {.path = "cluster.nodes.max", .type = KEY_INT, .min = 1, .max = 10000, .init = "40",
     S(nodes_max),
     .doc = "The largest fleet that may be proposed.",
     .example = "40"},
    {.path = "cluster.autoscaler", .type = KEY_MAP, .flags = KEY_LATER,
     .doc = "this version sizes a fixed number of nodes"},

    {.path = "workloads", .type = KEY_MAPS, .read = read_workloads,
     .doc = "What runs on the GPUs: 1 to 16 of them, with names that differ."},
    {.path = "workloads[].name", .type = KEY_TEXT, .init = "workload", W(name),
     .doc = "What the reports call this workload.",
     .example = "chat"},
    {.path = "workloads[].model", .type = KEY_NAME, .flags = KEY_REQUIRED, .read = read_model,
     .doc = "A model of the catalog (`tranche catalog models`), or the path to a Hugging Face "
            "config.json of a dense model, ending in `.json`.",
     .example = "llama-3.1-8b"},
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
    {.path = TENANTS "pods", .type = KEY_WORD, .words = pods_words, .init = "common",
     W(own_pods),
     .doc = "`common`: every pod serves everyone. `own`: every tenant has at least one pod of "
            "its own, which on `whole` is a GPU each and on shares a share each.",
     .example = "own"},
    {.path = "workloads[].router", .type = KEY_WORD, .words = router_words,
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
    {.path = "workloads[].autoscaler", .type = KEY_MAP, .flags = KEY_LATER,
     .doc = "this version sizes a fixed number of pods"},
    {.path = "workloads[].isolation", .type = KEY_WORD, .words = isolation_words,
     .otherwise = "the scenario's", W(isolation),
     .doc = "The same for this workload alone."},

    {.path = "workloads[].traffic", .type = KEY_MAP, .flags = KEY_REQUIRED, .read = read_traffic,
     .doc = "The requests: a `profile`, a `trace`, or a description that starts with `rate` or "
            "`rates`."},
    {.path = TRAFFIC "profile", .type = KEY_WORD, .words = profile_words, .forms = WITH_PROFILE,
     .otherwise = "none",
     .doc = "Traffic that comes with tranche. `aks-chatbot`: a day of an office's chatbot, 5 to "
            "14 requests/s with twelve spikes to 60 and more, prompts of 1,200 and answers of "
            "500 tokens in the mean.",
     .example = "aks-chatbot"},
    {.path = TRAFFIC "variant", .type = KEY_WORD, .words = variant_words, .forms = WITH_PROFILE,
     .init = "literal", W(traffic.capacity_relative),
     .doc = "`literal`: the rates as they stand. `capacity-relative`: multiplied by C/45, where "
            "C is the capacity in requests/s of one whole GPU at the preferred precision.",
     .example = "capacity-relative"},
    {.path = TRAFFIC "trace", .type = KEY_TEXT, .forms = WITH_TRACE, .read = read_path,
     .otherwise = "none", W(traffic.trace),
     .doc = "A file of requests, relative to the scenario's folder.",
     .example = "data/AzureLLMInferenceTrace_conv.csv"},
    {.path = TRAFFIC "format", .type = KEY_WORD, .words = format_words, .forms = WITH_TRACE,
     .read = read_format, .otherwise = "by the file's first line",
     .doc = "The trace's format: Azure's 2023 LLM trace, vidur's, any CSV with a header, or "
            "Mooncake's lines of JSON, which say what prompts share.",
     .example = "azure"},
    {.path = TRAFFIC "columns", .type = KEY_MAP, .forms = WITH_TRACE,
     .doc = "The names of a CSV's columns; with `format: csv`."},
    {.path = TRAFFIC "columns.time", .type = KEY_TEXT, .otherwise = "arrived_at",
     W(traffic.col_time),
     .doc = "When a request is sent.",
     .example = "timestamp"},
    {.path = TRAFFIC "columns.prompt_tokens", .type = KEY_TEXT, .otherwise = "num_prefill_tokens",
     W(traffic.col_prompt),
     .doc = "Tokens of the prompt.",
     .example = "input"},
    {.path = TRAFFIC "columns.output_tokens", .type = KEY_TEXT, .otherwise = "num_decode_tokens",
     W(traffic.col_output),
     .doc = "Tokens of the answer.",
     .example = "output"},
    {.path = TRAFFIC "columns.tenant", .type = KEY_TEXT, .otherwise = "none",
     W(traffic.col_tenant),
     .doc = "Who sent it.",
     .example = "customer"},
    {.path = TRAFFIC "columns.session", .type = KEY_TEXT, .otherwise = "none",
     W(traffic.col_session),
     .doc = "Which conversation it belongs to.",
     .example = "chat_id"},
    {.path = TRAFFIC "time_unit", .type = KEY_DURATION, .flags = KEY_POSITIVE, .max = 86400,
     .forms = WITH_TRACE, .otherwise = "the format's", .read = read_time_unit,
     .doc = "What 1 in the time column is worth.",
     .example = "1ms"},
    {.path = TRAFFIC "max_requests", .type = KEY_INT, .min = 1, .max = 1e9, .forms = WITH_TRACE,
     .otherwise = "all", W(traffic.max_requests),
     .doc = "Read no more than this many requests of the trace.",
     .example = "10000"},
    {.path = TRAFFIC "rate", .type = KEY_RATE, .flags = KEY_POSITIVE, .max = 1e6,
     .forms = WITH_RATE, .otherwise = "none", .read = read_rate,
     .doc = "A constant mean rate of requests.",
     .example = "2/s"},
    {.path = TRAFFIC "rates", .type = KEY_KNOTS, .forms = WITH_RATES, .max = 1e6,
     .otherwise = "none", .read = read_knots,
     .doc = "The mean rate over time, linear between the points given; two points of one time "
            "make a step. The first time is 0.",
     .example = "[[0, 5/s], [8h, 20/s], [24h, 5/s]]"},
    {.path = TRAFFIC "duration", .type = KEY_DURATION, .flags = KEY_POSITIVE, .max = YEAR_S,
     .forms = WITH_RATE | WITH_RATES, .otherwise = "the last time of `rates`; needed with `rate`",
     W(traffic.duration_ns),
     .doc = "How long the traffic lasts.",
     .example = "1h"},
    {.path = TRAFFIC "arrivals", .type = KEY_WORD, .words = arrival_words,
     .forms = WITH_RATE | WITH_RATES, .otherwise = "poisson; gamma with `burstiness`",
     W(traffic.process),
     .doc = "How requests fall around the mean rate.",
     .example = "poisson"},
    {.path = TRAFFIC "burstiness", .type = KEY_NUMBER, .min = 0.1, .max = 1000,
     .forms = WITH_RATE | WITH_RATES, .otherwise = "1", W(traffic.burstiness),
     .doc = "Shape of the gamma distribution of the gaps, as in `vllm bench serve`: 1 is "
            "Poisson, less is burstier.",
     .example = "0.5"},
    {.path = TRAFFIC "spikes", .type = KEY_MAPS, .forms = WITH_RATE | WITH_RATES,
     .otherwise = "none", .read = read_spikes,
     .doc = "Short rises of the rate: linear up, level, then an exponential fall."},
    {.path = TRAFFIC "spikes[].start", .type = KEY_DURATION, .max = YEAR_S, .flags = KEY_REQUIRED,
     SPIKE(start_ns),
     .doc = "When it begins.",
     .example = "9h"},
    {.path = TRAFFIC "spikes[].peak", .type = KEY_RATE, .max = 1e6,
     .flags = KEY_REQUIRED | KEY_POSITIVE, SPIKE(peak_rate),
     .doc = "The rate at its top.",
     .example = "60/s"},
    {.path = TRAFFIC "spikes[].ramp", .type = KEY_DURATION, .max = 86400, .init = "30s",
     SPIKE(ramp_ns),
     .doc = "From the base rate to the top.",
     .example = "30s"},
    {.path = TRAFFIC "spikes[].hold", .type = KEY_DURATION, .max = 86400, .flags = KEY_REQUIRED,
     SPIKE(hold_ns),
     .doc = "How long it stays there.",
     .example = "150s"},
    {.path = TRAFFIC "spikes[].decay", .type = KEY_DURATION, .max = 86400, .init = "60s",
     SPIKE(decay_tau_ns),
     .doc = "Time constant of its fall, which is cut after five of them.",
     .example = "60s"},
    {.path = TRAFFIC "modulation", .type = KEY_MAP, .forms = WITH_RATE | WITH_RATES,
     .doc = "A slow random factor on the rate, of mean 1."},
    {.path = TRAFFIC "modulation.variance", .type = KEY_NUMBER, .max = 10, .flags = KEY_REQUIRED,
     W(traffic.modulation_variance),
     .doc = "Variance of the factor.",
     .example = "0.02"},
    {.path = TRAFFIC "modulation.correlation_time", .type = KEY_DURATION, .max = 86400,
     .flags = KEY_POSITIVE, .init = "5s", W(traffic.modulation_time_ns),
     .doc = "How long the factor remembers.",
     .example = "5s"},
    {.path = TRAFFIC "prompt_tokens", .type = KEY_LENGTH, .min = 1, .max = 10e6,
     .forms = WITH_PROFILE | WITH_RATE | WITH_RATES, .read = read_length,
     W(traffic.prompt), .otherwise = "the profile's; needed with `rate` and `rates`",
     .doc = "Length of the prompts: a number, or a lognormal distribution.",
     .example = "1200"},
    {.path = TRAFFIC "prompt_tokens.mean", .type = KEY_NUMBER, .min = 1, .max = 10e6,
     .flags = KEY_REQUIRED, W(traffic.prompt.mean),
     .doc = "Mean of the lengths, bounds included.",
     .example = "1200"},
    {.path = TRAFFIC "prompt_tokens.cv", .type = KEY_NUMBER, .max = 100,
     .flags = KEY_REQUIRED | KEY_POSITIVE, W(traffic.prompt.cv),
     .doc = "Standard deviation over mean, before lengths are set to the bounds.",
     .example = "1.0"},
    {.path = TRAFFIC "prompt_tokens.min", .type = KEY_INT, .min = 1, .max = 10e6, .init = "1",
     W(traffic.prompt.min_tok),
     .doc = "Shorter ones are set to this.",
     .example = "16"},
    {.path = TRAFFIC "prompt_tokens.max", .type = KEY_INT, .min = 1, .max = 10e6, .init = "32768",
     W(traffic.prompt.max_tok),
     .doc = "Longer ones are set to this.",
     .example = "16384"},
    {.path = TRAFFIC "output_tokens", .type = KEY_LENGTH, .min = 1, .max = 10e6,
     .forms = WITH_PROFILE | WITH_RATE | WITH_RATES, .read = read_length,
     W(traffic.output), .otherwise = "the profile's; needed with `rate` and `rates`",
     .doc = "Length of the answers: a number, or a lognormal distribution.",
     .example = "500"},
    {.path = TRAFFIC "output_tokens.mean", .type = KEY_NUMBER, .min = 1, .max = 10e6,
     .flags = KEY_REQUIRED, W(traffic.output.mean),
     .doc = "Mean of the lengths, bounds included.",
     .example = "500"},
    {.path = TRAFFIC "output_tokens.cv", .type = KEY_NUMBER, .max = 100,
     .flags = KEY_REQUIRED | KEY_POSITIVE, W(traffic.output.cv),
     .doc = "Standard deviation over mean, before lengths are set to the bounds.",
     .example = "0.8"},
    {.path = TRAFFIC "output_tokens.min", .type = KEY_INT, .min = 1, .max = 10e6, .init = "1",
     W(traffic.output.min_tok),
     .doc = "Shorter ones are set to this.",
     .example = "1"},
    {.path = TRAFFIC "output_tokens.max", .type = KEY_INT, .min = 1, .max = 10e6, .init = "32768",
     W(traffic.output.max_tok),
     .doc = "Longer ones are set to this.",
     .example = "2048"},
    {.path = TRAFFIC "system_prompt", .type = KEY_MAP,
     .forms = WITH_PROFILE | WITH_RATE | WITH_RATES,
     .doc = "What every prompt begins with, part of its `prompt_tokens`; a prefix cache computes "
            "it once."},
    {.path = TRAFFIC "system_prompt.tokens", .type = KEY_INT, .min = 1, .max = 10e6,
     .flags = KEY_REQUIRED, W(traffic.system_tok),
     .doc = "Its length. A shorter prompt is the beginning of it.",
     .example = "800"},
    {.path = TRAFFIC "system_prompt.variants", .type = KEY_INT, .min = 1, .max = 1e6, .init = "1",
     W(traffic.system_variants),
     .doc = "How many different ones there are; each session (request, where there are no "
            "sessions) draws one of them.",
     .example = "3"},
    {.path = TRAFFIC "sessions", .type = KEY_MAP, .read = read_sessions,
     .forms = WITH_PROFILE | WITH_RATE | WITH_RATES,
     .doc = "The requests are turns of conversations: each prompt after the first is the prompt "
            "before it, the answer to that and a new message. `prompt_tokens` is the first "
            "prompt; a session ends before one would be longer than `prompt_tokens.max` (32,768 "
            "where that is a number). Rates are still those of requests."},
    {.path = TRAFFIC "sessions.turns", .type = KEY_NUMBER, .min = 1, .max = 1000,
     .flags = KEY_REQUIRED, W(traffic.sessions.turns),
     .doc = "Turns of a session in the mean, were none cut short.",
     .example = "5"},
    {.path = TRAFFIC "sessions.turns_distribution", .type = KEY_WORD, .words = turns_words,
     .init = "geometric", W(traffic.sessions.fixed_turns),
     .doc = "`geometric`: after each turn the chance of one more is the same. `fixed`: always so "
            "many.",
     .example = "fixed"},
    {.path = TRAFFIC "sessions.message_tokens", .type = KEY_LENGTH, .min = 1, .max = 10e6,
     .flags = KEY_REQUIRED, .read = read_length, W(traffic.sessions.message),
     .doc = "What a later turn adds to the conversation: a number, or a lognormal distribution.",
     .example = "120"},
    {.path = TRAFFIC "sessions.message_tokens.mean", .type = KEY_NUMBER, .min = 1, .max = 10e6,
     .flags = KEY_REQUIRED, W(traffic.sessions.message.mean),
     .doc = "Mean of the lengths, bounds included.",
     .example = "120"},
    {.path = TRAFFIC "sessions.message_tokens.cv", .type = KEY_NUMBER, .max = 100,
     .flags = KEY_REQUIRED | KEY_POSITIVE, W(traffic.sessions.message.cv),
     .doc = "Standard deviation over mean, before lengths are set to the bounds.",
     .example = "1.0"},
    {.path = TRAFFIC "sessions.message_tokens.min", .type = KEY_INT, .min = 1, .max = 10e6,
     .init = "1", W(traffic.sessions.message.min_tok),
     .doc = "Shorter ones are set to this.",
     .example = "1"},
    {.path = TRAFFIC "sessions.message_tokens.max", .type = KEY_INT, .min = 1, .max = 10e6,
     .init = "32768", W(traffic.sessions.message.max_tok),
     .doc = "Longer ones are set to this.",
     .example = "4096"},
    {.path = TRAFFIC "sessions.think_time", .type = KEY_DURATION, .max = 86400,
     .flags = KEY_REQUIRED, W(traffic.sessions.think_ns),
     .doc = "From the end of an answer to the next turn, in the mean (lognormal).",
     .example = "30s"},
    {.path = TRAFFIC "sessions.think_cv", .type = KEY_NUMBER, .max = 5, .init = "1",
     W(traffic.sessions.think_cv),
     .doc = "Its standard deviation over its mean; 0 is always the same.",
     .example = "1"},
    {.path = TRAFFIC "sessions.nominal_tpot", .type = KEY_DURATION, .max = 10, .init = "25ms",
     W(traffic.sessions.tpot_ns),
     .doc = "Time for each token of an answer, by which the next turn is timed; no system is "
            "asked, so that every arrangement gets the same requests.",
     .example = "25ms"},
    {.path = TRAFFIC "rate_scale", .type = KEY_NUMBER, .min = 0.001, .max = 1000, .init = "1",
     W(traffic.rate_scale),
     .doc = "Multiplies every rate; a trace's gaps are divided by it.",
     .example = "1.5"},

    {.path = "workloads[].slo", .type = KEY_MAP, .flags = KEY_REQUIRED,
     .doc = "The objective: one or more latencies, each to be kept for the part of all requests "
            "that its percentile says. Failed and rejected requests count as outside."},
    {.path = SLO "ttft_pNN", .type = KEY_DURATION, .flags = KEY_POSITIVE | KEY_PERCENTILE,
     .max = 86400, .otherwise = "none", .read = read_objective,
     .doc = "Time to first token, from the planned arrival.",
     .example = "500ms"},
    {.path = SLO "tpot_pNN", .type = KEY_DURATION, .flags = KEY_POSITIVE | KEY_PERCENTILE,
     .max = 86400, .otherwise = "none", .read = read_objective,
     .doc = "Time per output token after the first.",
     .example = "50ms"},
    {.path = SLO "e2e_pNN", .type = KEY_DURATION, .flags = KEY_POSITIVE | KEY_PERCENTILE,
     .max = 86400, .otherwise = "none", .read = read_objective,
     .doc = "Time to the last token, from the planned arrival.",
     .example = "30s"},
    {.path = SLO "window", .type = KEY_WORD, .words = window_words, .init = "day",
     W(slo.spikes_only),
     .doc = "Which requests decide: all of them, or only those that arrive inside spikes (above "
            "three times the day's median rate).",
     .example = "spikes"},

    {.path = "isolation", .type = KEY_WORD, .words = isolation_words, .init = "none", S(isolation),
     .doc = "What pods on one GPU must be protected from: nothing, each other's `memory` use, "
            "each other's `fault`s, or each other's load (`performance`). Each includes those "
            "before it. MIG gives all, MPS memory only, time-slicing none.",
     .example = "performance"},
    {.path = "compare", .type = KEY_CHOICES, .init = "auto", .read = read_compare,
     .doc = "The arrangements to compare: `auto`, or a list such as `[whole, timeslice:4, "
            "mig:1g.10gb*7 int4]`.",
     .example = "auto"},
    {.path = "autoscaler", .type = KEY_MAP, .flags = KEY_LATER,
     .doc = "this version sizes a fixed number of nodes"},

    {.path = "claims", .type = KEY_MAPS, .otherwise = "none", .read = read_claims,
     .doc = "Published figures, which `tranche check` holds against arithmetic."},
    {.path = "claims[].says", .type = KEY_TEXT, .flags = KEY_REQUIRED, CLAIM(says),
     .doc = "The claim in a few words.",
     .example = "one pod serves 45 requests/s"},
    {.path = "claims[].source", .type = KEY_TEXT, .otherwise = "none", CLAIM(source),
     .doc = "Who says it.",
     .example = "a blog post"},
    {.path = "claims[].gpu", .type = KEY_NAME, .flags = KEY_REQUIRED, .read = read_gpu, CLAIM(gpu),
     .doc = "The GPU (`tranche catalog gpus`).",
     .example = "A100-PCIe-80GB"},
    {.path = "claims[].model", .type = KEY_NAME, .flags = KEY_REQUIRED, .read = read_model,
     CLAIM(model),
     .doc = "The model, as in a workload.",
     .example = "llama-3.1-8b"},
    {.path = "claims[].precision", .type = KEY_NAME, .read = read_precision,
     .otherwise = "the arrangement's, or bf16", CLAIM(precision),
     .doc = "The precision of the weights.",
     .example = "int4"},
    {.path = "claims[].arrangement", .type = KEY_TEXT, .otherwise = "whole",
     .doc = "How the GPU is divided.",
     .example = "timeslice:4"},
    {.path = "claims[].request_rate", .type = KEY_RATE, .flags = KEY_POSITIVE, .max = 1e6,
     .otherwise = "not claimed", CLAIM(request_rate),
     .doc = "Requests per second of the whole GPU.",
     .example = "45/s"},
    {.path = "claims[].prompt_tokens", .type = KEY_INT, .min = 1, .max = 10e6,
     .otherwise = "needed with a rate or a latency", CLAIM(prompt_tok),
     .doc = "Tokens of each prompt.",
     .example = "1200"},
    {.path = "claims[].output_tokens", .type = KEY_INT, .min = 1, .max = 10e6,
     .otherwise = "needed with a rate", CLAIM(output_tok),
     .doc = "Tokens of each answer.",
     .example = "500"},
    {.path = "claims[].ttft_p50", .type = KEY_DURATION, .flags = KEY_POSITIVE, .max = 86400,
     .otherwise = "not claimed", CLAIM(ttft_p50_ns),
     .doc = "Median time to first token.",
     .example = "220ms"},
    {.path = "claims[].ttft_p95", .type = KEY_DURATION, .flags = KEY_POSITIVE, .max = 86400,
     .otherwise = "not claimed", CLAIM(ttft_p95_ns),
     .doc = "95th percentile of the time to first token.",
     .example = "410ms"},
    {.path = "claims[].fits", .type = KEY_BOOL, .otherwise = "not claimed", CLAIM(fits),
     .doc = "The claim is that this arrangement runs at all.",
     .example = "true"},
};
/* clang-format on */

const size_t tr_scenario_n_keys = TR_LEN(tr_scenario_keys);

const char *tr_router_name(enum tr_router r)
{
    return router_words[r];
}

const char *tr_isolation_name(enum tr_isolation i)
{
    return isolation_words[i];
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
