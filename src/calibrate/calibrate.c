/* calibrate: reads, fits stage by stage, and holds the outcome against what was held out. */
#include "calibrate/calibrate.h"

#include <math.h>
#include <stdlib.h>

/* ---- errors on the rows held out ------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value with at least a share q of the sorted ones at or below it; NAN of none. */
static double quantile(const double *sorted, size_t n, double q)
{
    size_t rank = (size_t)ceil(q * (double)n);
    return n > 0 ? sorted[TR_MAX(rank, 1U) - 1] : NAN;
}

/* The errors of the rows held out that are of a phase (or, with -1, of a stage and its kinds),
 * sorted into `out`; how many. */
static size_t errors_of(const struct tr_calibration *c, const double *seconds, int phase,
                        enum tr_fit_stage stage, unsigned kinds, double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct tr_measurement *m = &c->m[i];
        bool counts = phase >= 0 ? m->phase == phase
                                 : tr_measurement_stage(m) == stage && (kinds >> m->what & 1) != 0;
        if (counts && m->held)
            out[n++] = fabs(seconds[i] / m->seconds - 1);
    }
    if (n > 0)
        qsort(out, n, sizeof *out, by_value);
    return n;
}

static void judge_phases(struct tr_calibration *c, const double *before, const double *after,
                         double *room)
{
    int counted = 0;
    double sum_before = 0, sum_after = 0;
    for (int p = 0; p < c->n_phases; p++) {
        struct tr_fit_phase *phase = &c->phases[p];
        for (size_t i = 0; i < c->n; i++)
            phase->fitted += c->m[i].phase == p && !c->m[i].held;
        size_t n = errors_of(c, before, p, 0, 0, room);
        phase->held = (int)n;
        phase->median_before = quantile(room, n, 0.5);
        phase->p95_before = quantile(room, n, 0.95);
        n = errors_of(c, after, p, 0, 0, room);
        phase->median_after = quantile(room, n, 0.5);
        phase->p95_after = quantile(room, n, 0.95);
        if (n == 0)
            continue;
        sum_before += phase->median_before;
        sum_after += phase->median_after;
        counted++;
    }
    c->before_score = counted > 0 ? sum_before / counted : NAN;
    c->after_score = counted > 0 ? sum_after / counted : NAN;
    c->better = c->n_constants > 0 && c->after_score <= c->before_score;
}

static void judge_constants(struct tr_calibration *c, const double *before, const double *after,
                            double *room)
{
    for (int i = 0; i < c->n_constants; i++) {
        struct tr_fit_constant *k = &c->constants[i];
        size_t n = errors_of(c, before, -1, k->stage, k->kinds, room);
        k->median_before = quantile(room, n, 0.5);
        n = errors_of(c, after, -1, k->stage, k->kinds, room);
        k->median_after = quantile(room, n, 0.5);
        k->held = (int)n;
    }
}

void tr_calibrate_solve(struct tr_calibration *c)
{
    double *before = tr_calloc(c->n + 1, sizeof *before);
    double *after = tr_calloc(c->n + 1, sizeof *after);
    double *room = tr_calloc(c->n + 1, sizeof *room);
    bool *all = tr_calloc(c->n + 1, sizeof *all);
    c->after = c->before;
    for (int stage = 0; stage < TR_FIT_STAGES; stage++)
        tr_calibrate_fit(c, (enum tr_fit_stage)stage, &c->after);
    memset(all, true, c->n);
    tr_calibrate_predict(c, &c->before, all, before);
    tr_calibrate_predict(c, &c->after, all, after);
    judge_phases(c, before, after, room);
    judge_constants(c, before, after, room);
    free(before);
    free(after);
    free(room);
    free(all);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int load(struct tr_calibration *c, const char *const *paths, size_t n,
                const struct tr_calibrate_opts *opts, struct tr_err *err)
{
    struct tr_str files = {0};
    const struct tr_gpu *gpu = NULL;
    int rc = tr_catalog_load(opts->catalog_dir, &c->cat, err);
    if (rc == TR_OK && c->cat->n_precisions > TR_CALIBRATE_PRECISIONS)
        rc = tr_err_set(err, TR_EINPUT, "the catalog has %zu precisions; calibrate takes %d",
                        c->cat->n_precisions, TR_CALIBRATE_PRECISIONS);
    if (rc == TR_OK && opts->gpu != NULL) /* a mistake in it comes before those in the files */
        rc = tr_catalog_gpu(c->cat, opts->gpu, NULL, &gpu, err);
    for (size_t i = 0; i < n && rc == TR_OK; i++) {
        rc = tr_calibrate_read(c, paths[i], opts, err);
        tr_str_printf(&files, "%s%s", i > 0 ? ", " : "", base_name(paths[i]));
    }
    if (rc == TR_OK)
        rc = tr_calibrate_select(c, opts->gpu, err);
    if (rc == TR_OK)
        c->files = tr_arena_strdup(&c->arena, files.text);
    tr_str_free(&files);
    return rc;
}

int tr_calibrate_run(const char *const *paths, size_t n, const struct tr_calibrate_opts *opts,
                     struct tr_calibration **out, struct tr_err *err)
{
    struct tr_calibration *c = tr_calloc(1, sizeof *c);
    if (opts->catalog_dir != NULL)
        c->catalog_dir = tr_arena_strdup(&c->arena, opts->catalog_dir);
    int rc = load(c, paths, n, opts, err);
    if (rc != TR_OK) {
        tr_calibrate_free(c);
        return rc;
    }
    tr_calibrate_solve(c);
    *out = c;
    return TR_OK;
}

void tr_calibrate_free(struct tr_calibration *c)
{
    if (c == NULL)
        return;
    tr_catalog_free(c->cat);
    tr_arena_free(&c->arena);
    free(c->m);
    free(c->shapes);
    free(c->probes);
    free(c);
}

int tr_calibrate_exit(const struct tr_calibration *c)
{
    return c->better ? 0 : TR_EXIT_NO;
}
