/* read_csv: tables of kernels and of whole runs, each known by the columns it has. Columns beyond
 * those named here are not looked at. Sources of such tables: docs/calibrate.md. */
#include "calibrate/calibrate.h"

#include "fmt/csv.h"

#include <strings.h>

#define MAX_COLUMNS 12
#define LONGEST_S   1e5
#define MAX_COUNT   (1 << 20)
#define MAX_CONTEXT (1 << 17)
#define MAX_HEADS   1024
#define MAX_KV_TOK  (1 << 24) /* no card holds as many */
/* The most tokens of a step of vLLM V0 that the runs of batch_latency.csv were made with. */
#define V0_BUDGET_TOK 8192

struct table {
    struct tr_calibration *c;
    struct tr_csv *csv;
    int column[MAX_COLUMNS];
    struct tr_err *err;
};

/* ---- cells ----------------------------------------------------------------------------------- */

static const char *cell(const struct table *t, int i)
{
    return tr_csv_field(t->csv, (size_t)t->column[i]);
}

static int refuse(const struct table *t, int i, const char *allowed)
{
    return tr_err_set(t->err, TR_EINPUT, "%s:%" PRId64 ":%.60s: \"%.60s\" is not %s",
                      tr_csv_path(t->csv), tr_csv_line(t->csv),
                      tr_csv_header(t->csv, (size_t)t->column[i]), cell(t, i), allowed);
}

/* A time in units of `unit` seconds. */
static int time_at(const struct table *t, int i, double unit, double *seconds)
{
    double value = 0;
    if (tr_units_number(cell(t, i), &value, NULL) != TR_OK || !(value > 0) ||
        value * unit > LONGEST_S)
        return refuse(t, i, "a time above 0");
    *seconds = value * unit;
    return TR_OK;
}

static int count_at(const struct table *t, int i, int lo, int hi, int *out)
{
    int64_t value = 0;
    char allowed[64];
    snprintf(allowed, sizeof allowed, "a whole number from %d to %d", lo, hi);
    if (tr_units_integer(cell(t, i), &value, NULL) != TR_OK || value < lo || value > hi)
        return refuse(t, i, allowed);
    *out = (int)value;
    return TR_OK;
}

/* Several counts from 1 on, in columns first, first + 1, ... */
static int counts_at(const struct table *t, int first, int n, int **out)
{
    int rc = TR_OK;
    for (int i = 0; i < n && rc == TR_OK; i++)
        rc = count_at(t, first + i, 1, MAX_COUNT, out[i]);
    return rc;
}

/* NULL: no GPU that the catalog knows; the row is left out. */
static const struct tr_gpu *gpu_at(const struct table *t, int i)
{
    struct tr_err why = {0};
    const struct tr_gpu *gpu = NULL;
    if (tr_catalog_gpu(t->c->cat, cell(t, i), NULL, &gpu, &why) != TR_OK)
        tr_calibrate_leave_out(t->c, "GPU '%.40s' is no name of one in the catalog", cell(t, i));
    return gpu;
}

/* -1: no precision that the catalog knows; the row is left out. */
static int precision_at(const struct table *t, int i)
{
    static const char *const names[][2] = {{"bfloat16", "bf16"},
                                           {"float16", "bf16"},
                                           {"fp16", "bf16"},
                                           {"int4_wo", "int4"},
                                           {"int8_wo", "int8"}};
    const char *name = cell(t, i);
    for (size_t k = 0; k < TR_LEN(names); k++)
        if (strcasecmp(cell(t, i), names[k][0]) == 0)
            name = names[k][1];
    for (size_t k = 0; k < t->c->cat->n_precisions; k++)
        if (strcasecmp(t->c->cat->precisions[k].name, name) == 0)
            return (int)k;
    tr_calibrate_leave_out(t->c, "'%.40s' is no precision of the catalog", name);
    return -1;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int gemm(struct table *t)
{
    int m = 0, n = 0, k = 0, *dims[] = {&m, &n, &k};
    double seconds = 0;
    int rc = counts_at(t, 2, 3, dims);
    if (rc == TR_OK)
        rc = time_at(t, 5, 1e-6, &seconds);
    const struct tr_gpu *gpu = rc == TR_OK ? gpu_at(t, 0) : NULL;
    int precision = gpu != NULL ? precision_at(t, 1) : -1;
    if (precision < 0)
        return rc;
    struct tr_measurement *x =
        tr_calibrate_add(t->c, TR_MEASURED_GEMM, gpu, seconds, "gemm %s m %d n %d k %d",
                         t->c->cat->precisions[precision].name, m, n, k);
    x->precision = precision;
    x->gemm.n = 1;
    x->gemm.m = m;
    x->gemm.cols[0] = n;
    x->gemm.inner[0] = k;
    return TR_OK;
}

/* The four GEMMs of a layer, each divided by the tensor-parallel degree. */
static int layer(struct table *t)
{
    int tp = 0, m = 0, heads = 0, kv = 0, d = 0, f = 0, *dims[] = {&tp, &m, &heads, &kv, &d, &f};
    double seconds = 0, part = 0;
    int rc = counts_at(t, 1, 6, dims);
    for (int i = 0; i < 4 && rc == TR_OK; i++) {
        rc = time_at(t, 7 + i, 1e-6, &part);
        seconds += part;
    }
    const struct tr_gpu *gpu = rc == TR_OK ? gpu_at(t, 0) : NULL;
    if (gpu == NULL)
        return rc;
    double share = 1.0 / tp, kv_width = (double)d * kv / heads;
    struct tr_measurement *x = tr_calibrate_add(
        t->c, TR_MEASURED_GEMM, gpu, seconds,
        "gemms of a layer m %d tp %d heads %d %d hidden %d ffn %d", m, tp, heads, kv, d, f);
    x->gemm.n = 4;
    x->gemm.m = m;
    memcpy(x->gemm.cols, (double[]){(d + 2 * kv_width) * share, d, 2 * f * share, d},
           sizeof x->gemm.cols);
    memcpy(x->gemm.inner, (double[]){d, d * share, d, f * share}, sizeof x->gemm.inner);
    return TR_OK;
}

/* Heads of 128, as in the tables that are read. What has no context yet is prefill, as is what
 * has several new tokens. */
static int attention(struct table *t)
{
    int batch = 0, q = 0, c = 0, heads = 0, kv = 0;
    double seconds = 0;
    int rc = count_at(t, 1, 1, MAX_COUNT, &batch);
    if (rc == TR_OK)
        rc = count_at(t, 2, 1, MAX_CONTEXT, &q);
    if (rc == TR_OK)
        rc = count_at(t, 3, 0, MAX_CONTEXT, &c);
    for (int i = 0; i < 2 && rc == TR_OK; i++)
        rc = count_at(t, 4 + i, 1, MAX_HEADS, i == 0 ? &heads : &kv);
    if (rc == TR_OK)
        rc = time_at(t, 6, 1e-6, &seconds);
    const struct tr_gpu *gpu = rc == TR_OK ? gpu_at(t, 0) : NULL;
    if (gpu == NULL)
        return rc;
    bool decode = q == 1 && c > 0;
    struct tr_model one = {.layers = TR_ATTENTION_LAYERS,
                           .hidden = 128 * heads,
                           .heads = heads,
                           .kv_heads = kv,
                           .head_dim = 128,
                           .ffn = 1,
                           .vocab = 1};
    int shape = tr_calibrate_shape(t->c, &one, 0, TR_FIT_HOST_ASYNC, 1, 1);
    struct tr_measurement *x =
        tr_calibrate_add(t->c, decode ? TR_MEASURED_DECODE : TR_MEASURED_PREFILL, gpu, seconds,
                         "attention %s batch %d new %d context %d heads %d %d",
                         decode ? "decode" : "prefill", batch, q, c, heads, kv);
    x->shape = shape;
    x->batch = batch;
    x->in = q;
    x->out = c;
    return TR_OK;
}

static int run(struct table *t)
{
    int batch = 0, in = 0, out = 0, fits = 0;
    double seconds = 0;
    const struct tr_model *model = NULL;
    int rc = counts_at(t, 3, 3, (int *[]){&in, &out, &batch});
    if (rc == TR_OK)
        rc = count_at(t, 7, 0, 1, &fits);
    if (rc == TR_OK)
        rc = time_at(t, 6, 1, &seconds);
    const struct tr_gpu *gpu = rc == TR_OK ? gpu_at(t, 0) : NULL;
    int precision = gpu != NULL ? precision_at(t, 2) : -1;
    if (precision < 0)
        return rc;
    if (tr_catalog_model(t->c->cat, cell(t, 1), NULL, &model, &(struct tr_err){0}) != TR_OK) {
        tr_calibrate_leave_out(t->c, "model '%.40s' is not in the catalog", cell(t, 1));
        return TR_OK;
    }
    int budget = TR_MIN(model->max_positions, V0_BUDGET_TOK);
    if (fits == 0 || in > budget || (int64_t)batch * (in + out) > MAX_KV_TOK) {
        tr_calibrate_leave_out(t->c, "the run did not fit into the KV cache, or one step");
        return TR_OK;
    }
    int shape = tr_calibrate_shape(t->c, model, precision, TR_FIT_HOST_V0, budget, batch);
    struct tr_measurement *x =
        tr_calibrate_add(t->c, TR_MEASURED_RUN, gpu, seconds, "run %s %s batch %d in %d out %d",
                         model->name, t->c->cat->precisions[precision].name, batch, in, out);
    x->shape = shape;
    x->precision = precision;
    x->batch = batch;
    x->in = in;
    x->out = out;
    return TR_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static const struct format {
    const char *name;
    const char *columns[MAX_COLUMNS]; /* in the order in which the row functions count */
    int (*row)(struct table *t);
} formats[] = {
    {"single GEMMs", {"gpu", "gemm_dtype", "m", "n", "k", "us"}, gemm},
    {"GEMMs of a layer",
     {"gpu", "tp", "tokens", "heads", "kv_heads", "hidden", "ffn", "qkv_us", "o_us", "gate_up_us",
      "down_us"},
     layer},
    {"attention",
     {"gpu", "batch", "new_tokens", "context", "q_heads", "kv_heads", "us"},
     attention},
    {"whole runs",
     {"gpu", "model", "dtype", "input_tokens", "output_tokens", "batch", "latency_s", "fits_kv"},
     run},
};

static bool has_columns(struct table *t, const struct format *f)
{
    for (int i = 0; i < MAX_COLUMNS && f->columns[i] != NULL; i++) {
        t->column[i] = tr_csv_find(t->csv, f->columns[i]);
        if (t->column[i] < 0)
            return false;
    }
    return true;
}

static int unknown_header(const struct table *t)
{
    struct tr_str allowed = {0};
    for (size_t i = 0; i < TR_LEN(formats); i++) {
        tr_str_printf(&allowed, "%s %s have", i > 0 ? ";" : "", formats[i].name);
        for (int k = 0; k < MAX_COLUMNS && formats[i].columns[k] != NULL; k++)
            tr_str_printf(&allowed, " %s", formats[i].columns[k]);
    }
    int rc = tr_err_set(t->err, TR_EINPUT, "%s:1:1: no table of measurements that is known;%s",
                        tr_csv_path(t->csv), allowed.text);
    tr_str_free(&allowed);
    return rc;
}

int tr_calibrate_read_csv(struct tr_calibration *c, const char *path, const char *text, size_t len,
                          struct tr_err *err)
{
    struct table t = {.c = c, .err = err};
    const struct format *format = NULL;
    int rc = tr_csv_open_text(path, text, len, &t.csv, err);
    if (rc != TR_OK)
        return rc;
    for (size_t i = 0; i < TR_LEN(formats) && format == NULL; i++)
        if (has_columns(&t, &formats[i]))
            format = &formats[i];
    if (format == NULL)
        rc = unknown_header(&t);
    while (rc == TR_OK && (rc = tr_csv_next(t.csv, err)) > 0)
        rc = format->row(&t);
    tr_csv_close(t.csv);
    return rc;
}
