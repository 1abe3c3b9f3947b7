/* How far the step-time and memory models are from what others measured: prints the error by GPU
 * and model on the rows of tests/data/gpu-steps/ (sources and licences in its README). No test: the
 * figures stand in docs/model.md, which says which of these rows the constants were fitted on.
 *
 * An error is model / measured - 1. Of each group: the median and the 95th percentile of its size,
 * and the bias, the mean of the errors with their signs. */
#include "engine/steptime.h"
#include "fmt/fmt.h"

#include <math.h>
#include <stdlib.h>

/* Host time of the engine in batch_latency.csv, vLLM V0 of 2024: fitted on runs of that engine. */
#define V0_HOST_S 1.6e-3
#define V0_SEQ_S  50e-6

#define SHORTEST_US 100 /* shorter attention kernels are much launch, which tl stands for */

struct group {
    char name[112];
    double *error;
    size_t n, cap;
};

struct bench {
    struct tr_catalog *cat;
    struct tr_arena arena;
    struct tr_csv *csv; /* the file being read */
    struct group group[64];
    size_t n_groups;
    struct tr_err err;
};

/* ---- errors by group ------------------------------------------------------------------------- */

static void add(struct bench *b, const char *name, double model, double measured)
{
    size_t i = 0;
    while (i < b->n_groups && strcmp(b->group[i].name, name) != 0)
        i++;
    struct group *g = &b->group[i];
    if (i == b->n_groups) {
        tr_assert(b->n_groups < TR_LEN(b->group));
        *g = (struct group){0};
        snprintf(g->name, sizeof g->name, "%s", name);
        b->n_groups++;
    }
    tr_grow((void **)&g->error, &g->cap, g->n + 1, sizeof *g->error);
    g->error[g->n++] = model / measured - 1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value with at least a share q of the sorted ones at or below it. */
static double quantile(const double *sorted, size_t n, double q)
{
    size_t rank = (size_t)ceil(q * (double)n);
    return sorted[TR_MAX(rank, 1U) - 1];
}

static void print_groups(struct bench *b)
{
    for (size_t i = 0; i < b->n_groups; i++) {
        struct group *g = &b->group[i];
        double bias = 0;
        for (size_t k = 0; k < g->n; k++) {
            bias += g->error[k] / (double)g->n;
            g->error[k] = fabs(g->error[k]);
        }
        qsort(g->error, g->n, sizeof *g->error, by_value);
        printf("%s: rows %zu, median %.1f %%, p95 %.1f %%, bias %+.1f %%\n", g->name, g->n,
               100 * quantile(g->error, g->n, 0.5), 100 * quantile(g->error, g->n, 0.95),
               100 * bias);
        free(g->error);
    }
    b->n_groups = 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const char *text(const struct bench *b, const char *column)
{
    int i = tr_csv_find(b->csv, column);
    tr_assert(i >= 0);
    return tr_csv_field(b->csv, (size_t)i);
}

static double number(const struct bench *b, const char *column)
{
    return strtod(text(b, column), NULL); /* empty: 0 */
}

static int integer(const struct bench *b, const char *column)
{
    return (int)number(b, column);
}

/* Vidur names its Hopper card only "H100"; the logs of start-ups name cards by their memory. */
static const struct tr_gpu *gpu_named(const struct bench *b, const char *name)
{
    const struct tr_gpu *gpu = NULL;
    bool hopper = strncmp(name, "H100", 4) == 0, other = strncmp(name, "80GB", 4) == 0;
    if (tr_catalog_gpu(b->cat, name, NULL, &gpu, NULL) != TR_OK)
        tr_catalog_gpu(b->cat,
                       hopper  ? "H100-SXM5-80GB"
                       : other ? "A100-SXM4-80GB"
                               : name,
                       NULL, &gpu, NULL);
    if (gpu == NULL) /* "A100-80GB": memory is the log's, so the two cards are alike */
        tr_catalog_gpu(b->cat, "A100-SXM4-80GB", NULL, &gpu, NULL);
    return gpu;
}

static const struct tr_model *model_named(struct bench *b, const char *name)
{
    static const char *const alike[][2] = {
        {"llama-3-8b", "llama-3.1-8b"},
        {"qwen2-7b", "qwen2.5-7b"},
    };
    const struct tr_model *found = NULL;
    if (strcmp(name, "llama-2-7b") == 0) {
        struct tr_model *m = TR_ARENA_NEW(&b->arena, struct tr_model, 1);
        *m = (struct tr_model){.name = "llama-2-7b",
                               .layers = 32,
                               .hidden = 4096,
                               .heads = 32,
                               .ffn = 11008,
                               .vocab = 32000,
                               .max_positions = 4096};
        tr_model_derive(m);
        return m;
    }
    for (size_t i = 0; i < TR_LEN(alike); i++)
        if (strcmp(name, alike[i][0]) == 0)
            name = alike[i][1];
    tr_assert(tr_catalog_model(b->cat, name, NULL, &found, NULL) == TR_OK);
    return found;
}

static const struct tr_precision *precision_named(const struct bench *b, const char *name)
{
    const struct tr_precision *precision = NULL;
    tr_assert(tr_catalog_precision(b->cat, name, NULL, &precision, NULL) == TR_OK);
    return precision;
}

static struct tr_share_hw whole(const struct tr_gpu *gpu)
{
    return tr_share_hw_of(gpu, &(struct tr_part){.n_pods = 1});
}

/* ---- whole runs ------------------------------------------------------------------------------ */

/* vLLM V0 prefilled whole prompts, as many as its token budget holds, before anything decoded. */
static double run_s(const struct tr_steptime *st, int batch, int in, int out)
{
    int per_step = TR_MAX(st->max_tok / in, 1);
    int64_t ps = 0;
    for (int done = 0; done < batch; done += per_step) {
        int n = TR_MIN(per_step, batch - done);
        ps += tr_steptime_ps(st, n * in, n, 0, 0, n * tr_steptime_chunk_ps(st, in, 0));
    }
    for (int k = 1; k < out; k++)
        ps += tr_steptime_ps(st, batch, batch, batch, (int64_t)batch * (in + k), 0);
    return (double)ps / 1e12;
}

/* The model's asynchronous engine has its host time in the GPU's constants: V0's goes there. */
static void whole_run(struct bench *b)
{
    struct tr_gpu gpu = *gpu_named(b, text(b, "gpu"));
    const struct tr_model *m = model_named(b, text(b, "model"));
    int batch = integer(b, "batch"), in = integer(b, "input_tokens");
    int out = integer(b, "output_tokens");
    char name[112];
    if (integer(b, "fits_kv") == 0)
        return;
    gpu.host_async_s = V0_HOST_S;
    gpu.seq_async_s = V0_SEQ_S;
    struct tr_share_hw hw = whole(&gpu);
    struct tr_arena arena = {0};
    struct tr_steptime st;
    int budget = strcmp(m->name, "llama-2-7b") == 0 ? 4096 : 8192; /* V0: the context length */
    tr_steptime_init(&st, &arena, &hw, m, &b->cat->precisions[0], budget, 64, true, false);
    double model_s = run_s(&st, batch, in, out), s = number(b, "latency_s");
    tr_arena_free(&arena);
    snprintf(name, sizeof name, "whole runs, %s, %s", gpu.name, text(b, "model"));
    add(b, name, model_s, s);
    snprintf(name, sizeof name, "whole runs by shape, %s, %s",
             out == 1     ? "prefill alone"
             : batch == 1 ? "one sequence"
                          : "16 to 64 sequences",
             gpu.name);
    add(b, name, model_s, s);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static const char *range_of(int tokens)
{
    return tokens <= 64 ? "1 to 64 tokens" : tokens < 1024 ? "65 to 1023" : "1024 and more";
}

static double gemm_us(const struct tr_gpu *gpu, const struct tr_precision *p, double m, double n,
                      double k)
{
    double flops = gpu->ec * gpu->peak_flops * tr_precision_cm(p, gpu);
    double s = tr_steptime_gemm_s(flops, gpu->eb * gpu->bandwidth, p->weight_bytes, m, n, k);
    return 1e6 * (s + gpu->tg_s + tr_precision_tq_s(p, gpu));
}

/* The four GEMMs of a layer, each divided by the tensor-parallel degree. */
static void layer(struct bench *b)
{
    const struct tr_gpu *gpu = gpu_named(b, text(b, "gpu"));
    const struct tr_precision *p = &b->cat->precisions[0];
    double tp = number(b, "tp"), d = number(b, "hidden"), f = number(b, "ffn");
    double q = d, kv = d * number(b, "kv_heads") / number(b, "heads"), m = number(b, "tokens");
    double us =
        number(b, "qkv_us") + number(b, "o_us") + number(b, "gate_up_us") + number(b, "down_us");
    double model_us = gemm_us(gpu, p, m, (q + 2 * kv) / tp, d) + gemm_us(gpu, p, m, d, q / tp) +
                      gemm_us(gpu, p, m, 2 * f / tp, d) + gemm_us(gpu, p, m, d, f / tp);
    char name[112];
    snprintf(name, sizeof name, "GEMMs of a layer, %s, %s", gpu->name, range_of((int)m));
    add(b, name, model_us, us);
}

static void gemm(struct bench *b)
{
    const struct tr_gpu *gpu = gpu_named(b, text(b, "gpu"));
    const char *type = text(b, "gemm_dtype");
    const char *precision = strcmp(type, "bfloat16") == 0  ? "bf16"
                            : strcmp(type, "int4_wo") == 0 ? "int4"
                            : strcmp(type, "int8_wo") == 0 ? "int8"
                                                           : type;
    int m = integer(b, "m");
    char name[112];
    snprintf(name, sizeof name, "GEMM %s, %s, %s, %s", precision, gpu->name, text(b, "engine"),
             range_of(m));
    add(b, name, gemm_us(gpu, precision_named(b, precision), m, number(b, "n"), number(b, "k")),
        number(b, "us"));
}

/* One layer: heads of 128 as those of Llama 3.1 8B, whose sums over its layers are divided. */
static void attention(struct bench *b)
{
    const struct tr_gpu *gpu = gpu_named(b, text(b, "gpu"));
    struct tr_model m = *model_named(b, "llama-3.1-8b");
    struct tr_share_hw hw = whole(gpu);
    struct tr_arena arena = {0};
    struct tr_steptime st;
    int batch = integer(b, "batch"), q = integer(b, "new_tokens"), c = integer(b, "context");
    bool prefill = strcmp(text(b, "phase"), "prefill") == 0;
    char name[112];
    if (number(b, "us") < SHORTEST_US)
        return;
    m.heads = integer(b, "q_heads");
    m.kv_heads = integer(b, "kv_heads");
    tr_steptime_init(&st, &arena, &hw, &m, &b->cat->precisions[0], 64, 64, true, false);
    double ps = prefill ? (double)(batch * tr_steptime_chunk_ps(&st, q, c))
                        : (double)(st.ctx_ps * batch * c + st.dec_ps * batch);
    tr_arena_free(&arena);
    snprintf(name, sizeof name, "attention, %s, %s", prefill ? "prefill" : "decode", gpu->name);
    add(b, name, ps / 1e6 / m.layers, number(b, "us"));
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void memory_at(struct bench *b, int tokens_per_step, bool told)
{
    struct tr_gpu gpu = *gpu_named(b, text(b, "gpu"));
    struct tr_share_hw hw = whole(&gpu);
    struct tr_memory_opts opts = {.gpu_memory_utilization = number(b, "util"),
                                  .max_num_batched_tokens = tokens_per_step,
                                  .max_num_seqs = 256};
    struct tr_memory m;
    hw.mem_bytes = (int64_t)(number(b, "total_gib") * TR_GIB);
    tr_memory_size(&hw, model_named(b, text(b, "model")), &b->cat->precisions[0], &opts, &m);
    /* All of these releases captured CUDA graphs outside the budget. */
    double gib = (double)(m.kv_bytes + m.graphs_bytes) / TR_GIB, logged = number(b, "kv_gib");
    printf("KV cache, %s, %s, vLLM %s, utilization %s, %d tokens a step%s: %.2f GiB, logged %.2f: "
           "%+.1f %%\n",
           text(b, "gpu"), text(b, "model"), text(b, "vllm"), text(b, "util"), tokens_per_step,
           told ? "" : " assumed", gib, logged, 100 * (gib / logged - 1));
}

static void memory(struct bench *b)
{
    int tokens_per_step = integer(b, "max_batched_tokens");
    if (tokens_per_step > 0) {
        memory_at(b, tokens_per_step, true);
        return;
    }
    memory_at(b, 2048, false);
    memory_at(b, 8192, false);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int each_row(struct bench *b, const char *file, void (*row)(struct bench *b))
{
    const char *root = getenv("TRANCHE_ROOT");
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/data/gpu-steps/%s", root ? root : ".", file);
    int rc = tr_csv_open(path, &b->csv, &b->err);
    if (rc < 0)
        return rc;
    while ((rc = tr_csv_next(b->csv, &b->err)) > 0)
        row(b);
    tr_csv_close(b->csv);
    print_groups(b);
    return rc;
}

int main(void)
{
    struct bench b = {0};
    int rc = tr_catalog_load(NULL, &b.cat, &b.err);
    if (rc == TR_OK)
        rc = each_row(&b, "batch_latency.csv", whole_run);
    if (rc == TR_OK)
        rc = each_row(&b, "layer_ops.csv", layer);
    if (rc == TR_OK)
        rc = each_row(&b, "gemm.csv", gemm);
    if (rc == TR_OK)
        rc = each_row(&b, "attention.csv", attention);
    if (rc == TR_OK)
        rc = each_row(&b, "kv_cache_logs.csv", memory);
    if (rc != TR_OK)
        fprintf(stderr, "%s\n", b.err.text);
    tr_catalog_free(b.cat);
    tr_arena_free(&b.arena);
    return tr_exit_status(rc);
}
