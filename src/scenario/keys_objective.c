/* scenario, the table of keys: the objective, what is compared, claims. */
#include "scenario/keys.h"

#define S(m) .offset = offsetof(struct tr_scenario, m), .size = sizeof(((struct tr_scenario *)0)->m)
#define W(m)                                                                                       \
    .base = IN_WORKLOAD, .offset = offsetof(struct tr_workload, m),                                \
    .size = sizeof(((struct tr_workload *)0)->m)
#define CLAIM(m)                                                                                   \
    .base = IN_CLAIM, .offset = offsetof(struct tr_claim, m),                                      \
    .size = sizeof(((struct tr_claim *)0)->m)

#define SLO "workloads[].slo."

static const char *const window_words[] = {"day", "spikes", NULL};

/* A table reads best one row after the other. */
/* clang-format off */
static const struct key rows[] = {
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

    {.path = "isolation", .type = KEY_WORD, .words = tr_isolation_words, .init = "none", S(isolation),
     .doc = "What pods on one GPU must be protected from: nothing, each other's `memory` use, "
            "each other's `fault`s, or each other's load (`performance`). Each includes those "
            "before it. MIG gives all, MPS memory only, time-slicing none.",
     .example = "performance"},
    {.path = "compare", .type = KEY_CHOICES, .init = "auto", .read = read_compare,
     .doc = "The arrangements to compare: `auto`, or a list such as `[whole, timeslice:4, "
            "mig:1g.10gb*7 int4]`.",
     .example = "auto"},

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

const struct key_table tr_keys_objective = {rows, TR_LEN(rows)};
