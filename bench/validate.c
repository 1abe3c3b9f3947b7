/* validate: how far the models are from what others measured, as the tables of docs/model.md.
 *
 *     validate                every table, to standard output
 *     validate PAGE           puts them into the page, between its markers (`make validate`)
 *     validate --check PAGE   exit status 1 if the page says anything else (the suite)
 *
 * A table stands between "<!-- validate: NAME -->" and "<!-- validate: end -->". To add one: a
 * function here, a line in sections[], and the two markers in the page. The rows are those of
 * tests/data/gpu-steps/ (sources and licences in its README). An error is model / measured - 1: the
 * median and the 95th percentile of its size, and the bias, the mean of the errors with signs. */
#include "calibrate/calibrate.h"
#include "engine/steptime.h"
#include "fmt/fmt.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define MAX_FILE_BYTES ((size_t)4 << 20)

struct bench {
    struct tr_catalog *cat;
    struct tr_arena arena;
    struct tr_str *out;
    struct tr_err err;
};

static const char *root(void)
{
    const char *dir = getenv("TRANCHE_ROOT");
    return dir != NULL ? dir : ".";
}

static const char *data(struct bench *b, const char *file)
{
    return tr_arena_printf(&b->arena, "%s/tests/data/gpu-steps/%s", root(), file);
}

/* ---- step times ------------------------------------------------------------------------------ */

enum by { BY_NOTHING, BY_TOKENS, BY_MODEL, BY_SHAPE };

/* The lines that a set is divided into, in their order in a table. */
static const char *const groups[][4] = {
    [BY_NOTHING] = {""},
    [BY_TOKENS] = {", 1 to 64 tokens", ", 65 to 1,023 tokens", ", 1,024 tokens and more"},
    [BY_MODEL] = {"llama-2-7b", "llama-3-8b"},
    [BY_SHAPE] = {"prefill alone", "one sequence", "16 to 64 sequences"},
};

/* Rows of one GPU in one file, and which of its constants were fitted on them (docs/model.md). */
static const struct set {
    const char *section, *gpu, *what, *file;
    const char *having; /* only lines with this text; NULL: all */
    enum by by;
    const char *fitted;
} sets[] = {
    {"runs", "A100-SXM4-40GB", "", "batch_latency.csv", NULL, BY_MODEL, "ec, ead, tl, ta"},
    {"runs", "A100-SXM4-40GB", "", "batch_latency.csv", NULL, BY_SHAPE, "ec, ead, tl, ta"},
    {"runs", "H100-SXM5-80GB", "", "batch_latency.csv", NULL, BY_MODEL, "tl, ta"},
    {"runs", "H100-SXM5-80GB", "", "batch_latency.csv", NULL, BY_SHAPE, "tl, ta"},
    {"kernels", "A100-PCIe-80GB", "GEMMs of a layer", "layer_ops.csv", NULL, BY_TOKENS, "eb"},
    {"kernels", "H100-SXM5-80GB", "GEMMs of a layer", "layer_ops.csv", NULL, BY_TOKENS, NULL},
    {"kernels", "A100-SXM4-80GB", "GEMM bf16, vLLM 0.14.0", "gemm.csv", ",vLLM 0.14.0,bfloat16,",
     BY_TOKENS, "eb, tg"},
    {"kernels", "H100-SXM5-80GB", "GEMM bf16, vLLM 0.14.0", "gemm.csv", ",vLLM 0.14.0,bfloat16,",
     BY_TOKENS, "eb, tg"},
    {"kernels", "A100-SXM4-80GB", "GEMM bf16, TensorRT-LLM 1.0.0", "gemm.csv",
     ",TensorRT-LLM 1.0.0,bfloat16,", BY_TOKENS, NULL},
    {"kernels", "A100-SXM4-80GB", "attention, prefill", "attention.csv", ",prefill,", BY_NOTHING,
     "eap, s0"},
    {"kernels", "H100-SXM5-80GB", "attention, prefill", "attention.csv", ",prefill,", BY_NOTHING,
     "eap, s0"},
    {"kernels", "A100-SXM4-80GB", "attention, decode", "attention.csv", ",decode,", BY_NOTHING,
     "ead"},
    {"kernels", "H100-SXM5-80GB", "attention, decode", "attention.csv", ",decode,", BY_NOTHING,
     "ead"},
    {"precisions", "H100-SXM5-80GB", "GEMM fp8, vLLM 0.14.0", "gemm.csv", ",fp8,", BY_TOKENS, NULL},
    {"precisions", "A100-SXM4-80GB", "GEMM int4, TensorRT-LLM 1.0.0", "gemm.csv", ",int4_wo,",
     BY_TOKENS, "tq"},
    {"precisions", "A100-SXM4-80GB", "GEMM int8, TensorRT-LLM 1.0.0", "gemm.csv", ",int8_wo,",
     BY_TOKENS, "tq"},
};

static const char *group_of(const struct tr_calibration *c, const struct tr_measurement *m,
                            enum by by)
{
    int i = 0;
    if (by == BY_MODEL)
        return c->shapes[m->shape].model.name;
    if (by == BY_TOKENS)
        i = m->gemm.m <= 64 ? 0 : m->gemm.m < 1024 ? 1 : 2;
    if (by == BY_SHAPE)
        i = m->out == 1 ? 0 : m->batch == 1 ? 1 : 2;
    return groups[by][i];
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

/* How many rows are in the line that is printed. */
static size_t print_group(struct bench *b, const struct tr_calibration *c, const struct set *set,
                          const char *group, const double *seconds, double *error)
{
    size_t n = 0;
    double bias = 0;
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(group_of(c, &c->m[i], set->by), group) == 0)
            error[n++] = seconds[i] / c->m[i].seconds - 1;
    for (size_t i = 0; i < n; i++) {
        bias += error[i] / (double)n;
        error[i] = fabs(error[i]);
    }
    if (n == 0)
        return 0;
    qsort(error, n, sizeof *error, by_value);
    tr_str_printf(b->out, "| %s | %s%s | %zu | %s | %.1f | %.1f | %+.1f |\n", set->gpu, set->what,
                  group, n, set->fitted != NULL ? set->fitted : "held out",
                  100 * quantile(error, n, 0.5), 100 * quantile(error, n, 0.95), 100 * bias);
    return n;
}

/* The header and the lines that have the text. */
static char *lines_having(const char *text, const char *having)
{
    struct tr_str out = {0};
    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, "\n"), whole = len + (p[len] == '\n');
        const char *found = having != NULL ? strstr(p, having) : p;
        if (p == text || (found != NULL && found < p + whole))
            tr_str_add(&out, p, whole);
        p += whole;
    }
    return out.text;
}

/* The rows of a set, all of them in use. */
static int read_set(struct bench *b, const struct set *set, struct tr_calibration *c)
{
    char *text = NULL, *mine = NULL;
    size_t len = 0;
    c->cat = b->cat;
    int rc = tr_file_read(data(b, set->file), MAX_FILE_BYTES, &text, &len, &b->err);
    if (rc == TR_OK) {
        mine = lines_having(text, set->having);
        rc = tr_calibrate_read_csv(c, set->file, mine, strlen(mine), &b->err);
    }
    if (rc == TR_OK)
        rc = tr_calibrate_select(c, set->gpu, &b->err);
    free(text);
    free(mine);
    return rc;
}

static int print_set(struct bench *b, const struct set *set)
{
    struct tr_calibration *c = tr_calloc(1, sizeof *c);
    size_t shown = 0;
    int rc = read_set(b, set, c);
    double *seconds = tr_calloc(c->n + 1, sizeof *seconds);
    double *error = tr_calloc(c->n + 1, sizeof *error);
    bool *all = tr_calloc(c->n + 1, sizeof *all);
    if (rc == TR_OK) {
        memset(all, true, c->n);
        tr_calibrate_predict(c, &c->before, all, seconds);
    }
    for (size_t i = 0; rc == TR_OK && i < TR_LEN(groups[0]) && groups[set->by][i] != NULL; i++)
        shown += print_group(b, c, set, groups[set->by][i], seconds, error);
    tr_assert(rc != TR_OK || shown == c->n);
    free(seconds);
    free(error);
    free(all);
    c->cat = NULL; /* it is shared */
    tr_calibrate_free(c);
    return rc;
}

static int print_section(struct bench *b, const char *name)
{
    int rc = TR_OK;
    tr_str_printf(b->out,
                  "| GPU | measured | rows | constants fitted on them | median %% | p95 %% | "
                  "bias %% |\n|---|---|--:|---|--:|--:|--:|\n");
    for (size_t i = 0; i < TR_LEN(sets) && rc == TR_OK; i++)
        if (strcmp(sets[i].section, name) == 0)
            rc = print_set(b, &sets[i]);
    return rc;
}

static int runs(struct bench *b)
{
    return print_section(b, "runs");
}

static int kernels(struct bench *b)
{
    return print_section(b, "kernels");
}

static int precisions(struct bench *b)
{
    return print_section(b, "precisions");
}

/* ---- calibrate ------------------------------------------------------------------------------- */

static void print_calibration(struct bench *b, const struct tr_calibration *c)
{
    for (int i = 0; i < c->n_phases; i++) {
        const struct tr_fit_phase *p = &c->phases[i];
        if (p->held > 0)
            tr_str_printf(b->out, "| %s | %s | %d | %d | %.1f | %.1f | %.1f | %.1f |\n",
                          c->gpu->name, p->name, p->fitted, p->held, 100 * p->median_before,
                          100 * p->median_after, 100 * p->p95_before, 100 * p->p95_after);
    }
    tr_str_printf(b->out, "| %s | **mean of these, %s** | | | **%.1f** | **%.1f** | | |\n",
                  c->gpu->name, c->better ? "better" : "worse: the catalog's stay",
                  100 * c->before_score, 100 * c->after_score);
}

static int calibrations(struct bench *b)
{
    static const char *const gpus[] = {"A100-PCIe-80GB", "A100-SXM4-40GB", "A100-SXM4-80GB",
                                       "H100-SXM5-80GB"};
    const char *files[] = {data(b, "gemm.csv"), data(b, "layer_ops.csv"), data(b, "attention.csv"),
                           data(b, "batch_latency.csv")};
    int rc = TR_OK;
    tr_str_printf(b->out, "| GPU | measured | fitted on | held out | median %%, catalog | fitted | "
                          "p95 %%, catalog | fitted |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < TR_LEN(gpus) && rc == TR_OK; i++) {
        struct tr_calibrate_opts opts = {.gpu = gpus[i]};
        struct tr_calibration *c = NULL;
        rc = tr_calibrate_run(files, TR_LEN(files), &opts, &c, &b->err);
        if (rc == TR_OK)
            print_calibration(b, c);
        tr_calibrate_free(c);
    }
    return rc;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static const char *text_at(const struct tr_csv *csv, const char *column)
{
    int i = tr_csv_find(csv, column);
    tr_assert(i >= 0);
    return tr_csv_field(csv, (size_t)i);
}

static double number_at(const struct tr_csv *csv, const char *column)
{
    return strtod(text_at(csv, column), NULL); /* empty: 0 */
}

static void memory_at(struct bench *b, const struct tr_csv *csv, int tokens_per_step, bool told)
{
    /* The memory is the log's; which 80 GB card it was plays no part. */
    const struct tr_gpu *gpu = NULL;
    const struct tr_model *model = NULL;
    const char *name = text_at(csv, "model");
    tr_assert(tr_catalog_gpu(b->cat, "A100-SXM4-80GB", NULL, &gpu, NULL) == TR_OK);
    if (strcmp(name, "qwen2-7b") == 0) /* the same dimensions */
        name = "qwen2.5-7b";
    tr_assert(tr_catalog_model(b->cat, name, NULL, &model, NULL) == TR_OK);
    struct tr_share_hw hw = tr_share_hw_of(gpu, &(struct tr_part){.n_pods = 1});
    struct tr_memory_opts opts = {.gpu_memory_utilization = number_at(csv, "util"),
                                  .max_num_batched_tokens = tokens_per_step,
                                  .max_num_seqs = 256};
    struct tr_memory m;
    hw.mem_bytes = (int64_t)(number_at(csv, "total_gib") * TR_GIB);
    tr_memory_size(&hw, model, &b->cat->precisions[0], &opts, &m);
    /* All of these releases captured CUDA graphs outside the budget. */
    double gib = (double)(m.kv_bytes + m.graphs_bytes) / TR_GIB;
    double logged = number_at(csv, "kv_gib");
    tr_str_printf(b->out, "| %s | %s | %s | %s | %d%s | %.2f | %.2f | %+.1f |\n",
                  text_at(csv, "gpu"), text_at(csv, "model"), text_at(csv, "vllm"),
                  text_at(csv, "util"), tokens_per_step, told ? "" : " assumed", gib, logged,
                  100 * (gib / logged - 1));
}

static int memory(struct bench *b)
{
    struct tr_csv *csv = NULL;
    int rc = tr_csv_open(data(b, "kv_cache_logs.csv"), &csv, &b->err);
    if (rc != TR_OK)
        return rc;
    tr_str_printf(b->out,
                  "| GPU, as the log calls it | model | vLLM | utilization | tokens a step | KV "
                  "cache, GiB | logged | error %% |\n|---|---|---|--:|--:|--:|--:|--:|\n");
    while ((rc = tr_csv_next(csv, &b->err)) > 0) {
        int told = (int)number_at(csv, "max_batched_tokens");
        memory_at(b, csv, told > 0 ? told : 2048, told > 0);
        if (told == 0)
            memory_at(b, csv, 8192, false);
    }
    tr_csv_close(csv);
    return rc;
}

/* ---- the page -------------------------------------------------------------------------------- */

static const struct section {
    const char *name;
    int (*print)(struct bench *b);
} sections[] = {
    {"runs", runs},
    {"kernels", kernels},
    {"calibrate", calibrations},
    {"precisions", precisions},
    {"memory", memory},
};

static const struct section *section_named(const char *name, size_t len)
{
    for (size_t i = 0; i < TR_LEN(sections); i++)
        if (strlen(sections[i].name) == len && memcmp(sections[i].name, name, len) == 0)
            return &sections[i];
    return NULL;
}

/* The page with every table made anew. Each section must be in it, once. */
static int renew(struct bench *b, const char *path, const char *page)
{
    static const char begin[] = "<!-- validate: ", end[] = "<!-- validate: end -->";
    bool seen[TR_LEN(sections)] = {false};
    for (;;) {
        const char *mark = strstr(page, begin);
        if (mark == NULL)
            break;
        const char *name = mark + strlen(begin);
        size_t len = strcspn(name, " \n");
        const struct section *s = section_named(name, len);
        const char *table = name + strcspn(name, "\n"), *stop = strstr(table, end);
        if (s == NULL || stop == NULL || seen[s - sections])
            return tr_err_set(&b->err, TR_EINPUT,
                              "%s: the marker \"%.*s\" is unknown, there twice, or has no end",
                              path, (int)len, name);
        seen[s - sections] = true;
        tr_str_add(b->out, page, (size_t)(table - page));
        tr_str_printf(b->out, "\n\n");
        int rc = s->print(b);
        if (rc != TR_OK)
            return rc;
        tr_str_printf(b->out, "\n%s", end);
        page = stop + strlen(end);
    }
    tr_str_add(b->out, page, strlen(page));
    for (size_t i = 0; i < TR_LEN(sections); i++)
        if (!seen[i])
            return tr_err_set(&b->err, TR_EINPUT, "%s: no marker \"%s%s -->\"", path, begin,
                              sections[i].name);
    return TR_OK;
}

static int replace(struct bench *b, const char *path)
{
    FILE *out = fopen(path, "w");
    bool written = out != NULL && fwrite(b->out->text, 1, b->out->len, out) == b->out->len;
    if (out != NULL)
        written = fclose(out) == 0 && written;
    return written
               ? TR_OK
               : tr_err_set(&b->err, TR_EENV, "%s: cannot be written: %s", path, strerror(errno));
}

/* Where the page first differs from what it should be. */
static int compare(struct bench *b, const char *path, const char *page)
{
    const char *want = b->out->text, *begin = want;
    int line = 1;
    if (strcmp(page, want) == 0)
        return TR_OK;
    for (; *page == *want; page++, want++) {
        line += *want == '\n';
        begin = *want == '\n' ? want + 1 : begin;
    }
    return tr_err_set(&b->err, TR_EINPUT,
                      "%s:%d: does not say what is computed, \"%.*s\"; run make validate", path,
                      line, (int)TR_MIN(strcspn(begin, "\n"), 200U), begin);
}

int main(int argc, char **argv)
{
    struct tr_str out = {0};
    struct bench b = {.out = &out};
    bool check = argc > 1 && strcmp(argv[1], "--check") == 0;
    const char *path = argc > 1 + check ? argv[1 + check] : NULL;
    char *page = NULL;
    size_t len = 0;
    int rc = tr_catalog_load(NULL, &b.cat, &b.err);
    if (rc == TR_OK && path != NULL)
        rc = tr_file_read(path, MAX_FILE_BYTES, &page, &len, &b.err);
    if (rc == TR_OK && path != NULL)
        rc = renew(&b, path, page);
    for (size_t i = 0; rc == TR_OK && path == NULL && i < TR_LEN(sections); i++) {
        tr_str_printf(&out, "%s\n", sections[i].name);
        rc = sections[i].print(&b);
    }
    if (rc == TR_OK && path == NULL)
        printf("%s", out.text);
    else if (rc == TR_OK)
        rc = check ? compare(&b, path, page) : strcmp(page, out.text) ? replace(&b, path) : TR_OK;
    if (rc != TR_OK)
        fprintf(stderr, "validate: %s\n", b.err.text);
    free(page);
    tr_str_free(&out);
    tr_catalog_free(b.cat);
    tr_arena_free(&b.arena);
    return rc == TR_OK ? 0 : check ? 1 : tr_exit_status((enum tr_code)rc);
}
