/* input: the measurements as they are collected, and which of them are fitted on. */
#include "calibrate/calibrate.h"

#include "num/num.h"

#include <stdlib.h>

#define SHORTEST_S      100e-6 /* shorter attention kernels are much launch, which tl stands for */
#define MAX_FILE_BYTES  ((size_t)64 << 20)
#define MAX_GPUS_LISTED 16

int tr_calibrate_read(struct tr_calibration *c, const char *path,
                      const struct tr_calibrate_opts *opts, struct tr_err *err)
{
    char *text = NULL;
    size_t len = 0;
    int rc = tr_file_read(path, MAX_FILE_BYTES, &text, &len, err);
    if (rc != TR_OK)
        return rc;
    size_t lead = strspn(text, " \t\r\n\xEF\xBB\xBF");
    if (text[lead] == '{')
        rc = tr_calibrate_read_json(c, path, text, len, opts, err);
    else
        rc = tr_calibrate_read_csv(c, path, text, len, err);
    free(text);
    return rc;
}

/* ---- collecting ------------------------------------------------------------------------------ */

struct tr_measurement *tr_calibrate_add(struct tr_calibration *c, enum tr_measured what,
                                        const struct tr_gpu *gpu, double seconds, const char *fmt,
                                        ...)
{
    char identity[512];
    va_list ap;
    tr_grow((void **)&c->m, &c->cap, c->n + 1, sizeof *c->m);
    struct tr_measurement *m = &c->m[c->n++];
    va_start(ap, fmt);
    vsnprintf(identity, sizeof identity, fmt, ap);
    va_end(ap);
    *m = (struct tr_measurement){.what = what, .gpu = gpu, .seconds = seconds, .shape = -1};
    m->identity = tr_arena_printf(&c->arena, "%s %s", gpu->name, identity);
    return m;
}

void tr_calibrate_leave_out(struct tr_calibration *c, const char *fmt, ...)
{
    char why[200];
    va_list ap;
    int i = 0;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    while (i < c->n_left_out && strcmp(c->left_out[i].why, why) != 0)
        i++;
    if (i == (int)TR_LEN(c->left_out)) { /* more reasons than anyone reads: all the rest together */
        c->left_out[--i].why = "other reasons";
    } else if (i == c->n_left_out) {
        c->n_left_out++;
        c->left_out[i].why = tr_arena_strdup(&c->arena, why);
        c->left_out[i].rows = 0;
    }
    c->left_out[i].rows++;
}

int tr_calibrate_shape(struct tr_calibration *c, const struct tr_model *model, int precision,
                       enum tr_fit_host host, int max_tok, int max_rows)
{
    size_t i = 0;
    for (; i < c->n_shapes; i++) {
        const struct tr_fit_shape *s = &c->shapes[i];
        const struct tr_model *m = &s->model;
        if (s->precision == precision && s->host == host && m->layers == model->layers &&
            m->hidden == model->hidden && m->heads == model->heads &&
            m->kv_heads == model->kv_heads && m->head_dim == model->head_dim &&
            m->ffn == model->ffn && m->vocab == model->vocab)
            break;
    }
    if (i == c->n_shapes) {
        tr_grow((void **)&c->shapes, &c->cap_shapes, i + 1, sizeof *c->shapes);
        c->shapes[i] = (struct tr_fit_shape){.model = *model, .precision = precision, .host = host};
        c->n_shapes++;
    }
    c->shapes[i].max_tok = TR_MAX(c->shapes[i].max_tok, max_tok);
    c->shapes[i].max_rows = TR_MAX(c->shapes[i].max_rows, max_rows);
    return (int)i;
}

/* ---- time-slicing ---------------------------------------------------------------------------- */

/* A probe's steps beside others are measurements once the same steps alone are known. */
static void shared_steps(struct tr_calibration *c)
{
    for (size_t i = 0; i < c->n_probes; i++) {
        const struct tr_fit_probe *p = &c->probes[i], *alone = NULL;
        bool pauses = strcmp(p->mode, "decode") == 0;
        for (size_t k = 0; k < c->n_probes && p->n > 1; k++)
            if (c->probes[k].n == 1 && c->probes[k].gpu == p->gpu && c->probes[k].segs == p->segs &&
                c->probes[k].gap_s == p->gap_s && strcmp(c->probes[k].mode, p->mode) == 0)
                alone = &c->probes[k];
        if (p->n > 1 && alone == NULL)
            tr_calibrate_leave_out(c, "probe: %s with %d processes, and no run with one", p->mode,
                                   p->n);
        if (alone == NULL)
            continue;
        struct tr_measurement *m =
            tr_calibrate_add(c, TR_MEASURED_SHARED, p->gpu, p->step_s, "shared %s n %d segs %d",
                             p->mode, p->n, p->segs);
        m->contexts = p->n;
        m->gaps = pauses ? p->segs - 1 : 0;
        m->gap_s = 30e-6; /* between segments, as timeslice_probe pauses */
        m->delay_s = pauses ? p->gap_s : 0;
        m->alone_s = TR_MAX(alone->step_s - m->gaps * m->gap_s, 1e-6);
    }
}

/* ---- choosing -------------------------------------------------------------------------------- */

static int by_identity(const void *a, const void *b)
{
    const struct tr_measurement *x = a, *y = b;
    int order = strcmp(x->identity, y->identity);
    return order != 0 ? order : (x->seconds > y->seconds) - (x->seconds < y->seconds);
}

/* Sets `gpu` to the only one of the rows; an error lists them where there are several. */
static int only_gpu(const struct tr_calibration *c, const struct tr_gpu **gpu, struct tr_err *err)
{
    struct tr_str names = {0};
    int n = 0;
    *gpu = c->m[0].gpu;
    for (size_t i = 0; i < c->cat->n_gpus && n < MAX_GPUS_LISTED; i++) {
        size_t k = 0;
        while (k < c->n && c->m[k].gpu != &c->cat->gpus[i])
            k++;
        if (k < c->n)
            tr_str_printf(&names, "%s%s", n++ > 0 ? ", " : "", c->cat->gpus[i].name);
    }
    int rc = n == 1 ? TR_OK
                    : tr_err_set(err, TR_EINPUT, "rows of several GPUs: %s; choose one with --gpu",
                                 names.text);
    tr_str_free(&names);
    return rc;
}

static int phase_of(struct tr_calibration *c, const struct tr_measurement *m)
{
    static const char *const names[] = {
        "GEMM",  "attention, prefill",  "attention, decode",  "whole runs",
        "steps", "time-slice, quantum", "time-slice, switch", "steps beside"};
    char name[80];
    int i = 0;
    const char *precision = m->precision > 0 ? c->cat->precisions[m->precision].name : "16-bit";
    if (m->what == TR_MEASURED_GEMM)
        snprintf(name, sizeof name, "GEMM %s, %s", precision,
                 tr_measurement_compute_bound(m, &c->before) ? "compute-bound" : "memory-bound");
    else if (m->what == TR_MEASURED_RUN || m->what == TR_MEASURED_STEP)
        snprintf(name, sizeof name, "%s %s, %s", names[m->what], precision,
                 m->what == TR_MEASURED_RUN ? (m->out == 1 ? "prefill alone" : "with decode")
                 : m->n_chunks == 0         ? "decode alone"
                                            : "with prefill");
    else if (m->what == TR_MEASURED_SHARED)
        snprintf(name, sizeof name, "%s %d other%s", names[m->what], m->contexts - 1,
                 m->contexts > 2 ? "s" : "");
    else
        snprintf(name, sizeof name, "%s", names[m->what]);
    while (i < c->n_phases && strcmp(c->phases[i].name, name) != 0)
        i++;
    if (i == c->n_phases) {
        tr_assert(c->n_phases < TR_CALIBRATE_PHASES);
        c->phases[c->n_phases++].name = tr_arena_strdup(&c->arena, name);
    }
    return i;
}

/* Keeps the rows of c->gpu that can be used, in the order of their identities. */
static void keep_rows(struct tr_calibration *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct tr_measurement *m = &c->m[i];
        bool attention = m->what == TR_MEASURED_PREFILL || m->what == TR_MEASURED_DECODE;
        if (m->gpu != c->gpu)
            tr_calibrate_leave_out(c, "rows of %s", m->gpu->name);
        else if (attention && m->seconds < SHORTEST_S)
            tr_calibrate_leave_out(c, "attention shorter than 100 us, which is mostly launch");
        else
            c->m[kept++] = *m;
    }
    c->n = kept;
    if (c->n > 0)
        qsort(c->m, c->n, sizeof *c->m, by_identity);
}

int tr_calibrate_select(struct tr_calibration *c, const char *name, struct tr_err *err)
{
    int rc = TR_OK;
    shared_steps(c);
    if (c->n == 0)
        return tr_err_set(err, TR_EINPUT, "no row of these files can be used: %s",
                          c->n_left_out > 0 ? c->left_out[0].why : "they have none");
    if (name != NULL)
        rc = tr_catalog_gpu(c->cat, name, NULL, &c->gpu, err);
    else
        rc = only_gpu(c, &c->gpu, err);
    if (rc != TR_OK)
        return rc;
    const char *have = c->m[0].gpu->name;
    c->before.gpu = *c->gpu;
    for (size_t i = 0; i < c->cat->n_precisions; i++)
        c->before.precisions[i] = c->cat->precisions[i];
    keep_rows(c);
    if (c->n == 0)
        return tr_err_set(err, TR_EINPUT, "no usable row is of the GPU %s; the first is of %s",
                          c->gpu->name, have);
    for (size_t i = 0; i < c->n; i++) {
        struct tr_measurement *m = &c->m[i];
        uint64_t hash = tr_hash(m->identity, strlen(m->identity), 0);
        m->phase = phase_of(c, m);
        m->held = m->what == TR_MEASURED_SHARED || (tr_rng_u64(hash, 0, 0) & 1) != 0;
    }
    return TR_OK;
}
