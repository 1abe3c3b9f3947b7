/* fit: least squares on ln(model / measured) by damped Gauss-Newton steps, within bounds.
 *
 * Rows that are far off count linearly (Huber's loss): published tables have some that timed a
 * cache. Every kind of measurement weighs the same, whatever its number of rows. A weak pull
 * towards the catalog's value holds a constant that the rows say little about; one that no row
 * depends on stays untouched. */
#include "calibrate/calibrate.h"

#include "num/num.h"

#include <math.h>
#include <stdlib.h>

#define PULL_ROWS  0.1  /* a constant that doubles weighs as this many rows that are off by one e */
#define OUTLIER    0.1  /* |ln(model / measured)| beyond which a row counts linearly */
#define STEP       1e-3 /* of the numerical derivative, in units of the coordinate */
#define ITERATIONS 30
#define HALVINGS   12
#define ENOUGH     1e-9 /* relative gain of an iteration below which it ends */
#define FELT       1e-6 /* a derivative of ln(model) smaller than this is none */
#define MAX_FITTED 16   /* constants of one stage */

/* Efficiencies and rates are fitted as logarithms; times, which may be 0, in units of `scale` or of
 * their value, whichever is larger. */
static const struct constant {
    const char *key;
    size_t offset; /* in struct tr_gpu, seconds or a fraction */
    double unit;   /* of the key: 1e6 for microseconds */
    double scale;  /* 0: logarithm */
    double lo, hi; /* in the unit of the struct */
    enum tr_fit_stage stage;
} constants[] = {
    {"ec", offsetof(struct tr_gpu, ec), 1, 0, 0.05, 1, TR_FIT_STAGE_16BIT},
    {"eb", offsetof(struct tr_gpu, eb), 1, 0, 0.05, 1, TR_FIT_STAGE_16BIT},
    {"tg_us", offsetof(struct tr_gpu, tg_s), 1e6, 5e-6, 0, 200e-6, TR_FIT_STAGE_16BIT},
    {"ead", offsetof(struct tr_gpu, ead), 1, 0, 0.05, 1, TR_FIT_STAGE_16BIT},
    {"ta_ns", offsetof(struct tr_gpu, ta_s), 1e9, 2e-9, 0, 1e-6, TR_FIT_STAGE_16BIT},
    {"eap", offsetof(struct tr_gpu, eap), 1, 0, 0.05, 1, TR_FIT_STAGE_16BIT},
    {"s0_tokens", offsetof(struct tr_gpu, s0), 1, 500, 0, 20000, TR_FIT_STAGE_16BIT},
    {"tl_us", offsetof(struct tr_gpu, tl_s), 1e6, 10e-6, 0, 1e-3, TR_FIT_STAGE_16BIT},
    {"host_async_us", offsetof(struct tr_gpu, host_async_s), 1e6, 500e-6, 0, 50e-3,
     TR_FIT_STAGE_16BIT},
    {"seq_async_us", offsetof(struct tr_gpu, seq_async_s), 1e6, 20e-6, 0, 1e-3, TR_FIT_STAGE_16BIT},
    {"tq_us", offsetof(struct tr_gpu, tq_s), 1e6, 10e-6, 0, 500e-6, TR_FIT_STAGE_QUANTISED},
    {"quantum_us", offsetof(struct tr_gpu, quantum_s), 1e6, 0, 1e-6, 1, TR_FIT_STAGE_TIMESLICE},
    {"switch_us", offsetof(struct tr_gpu, switch_s), 1e6, 50e-6, 0, 0.1, TR_FIT_STAGE_TIMESLICE},
};

#define CM_LO 0.05
#define CM_HI 8.0

struct param {
    const struct constant *constant; /* NULL: cm of a precision */
    const char *precision;
    double *at; /* in the trial */
    double start, x, lo, hi, scale;
    bool felt;
};

struct fit {
    struct tr_calibration *c;
    struct tr_fit_values trial;
    struct param p[MAX_FITTED];
    int n;
    double pull; /* weight of (change / scale)^2 of each constant */
    bool *use;
    double *weight; /* of each measurement: 1 / rows of its kind; 0: not fitted on */
    double *seconds, *residual, *moved;
    double *slope; /* [param][measurement]: d ln(model) / dx */
};

/* ---- coordinates ----------------------------------------------------------------------------- */

static double *cm_of(struct tr_fit_values *t, size_t precision)
{
    struct tr_precision *p = &t->precisions[precision];
    return p->fp8_native && t->gpu.fp8_tensor ? &p->cm_native : &p->cm;
}

static double value_of(const struct param *p, double x)
{
    return p->scale > 0 ? x * p->scale : tr_exp(x);
}

static double coordinate(const struct param *p, double value)
{
    return p->scale > 0 ? value / p->scale : tr_ln(value);
}

static void add_param(struct fit *f, const struct constant *constant, const char *precision,
                      double *at, double lo, double hi, double scale)
{
    struct param *p = &f->p[f->n++];
    tr_assert(f->n <= MAX_FITTED);
    *p = (struct param){.constant = constant,
                        .precision = precision,
                        .at = at,
                        .scale = scale > 0 ? TR_MAX(scale, *at) : 0};
    p->lo = coordinate(p, TR_MIN(lo, *at));
    p->hi = coordinate(p, TR_MAX(hi, *at));
    p->start = p->x = coordinate(p, *at);
}

static void add_params(struct fit *f, enum tr_fit_stage stage)
{
    for (size_t i = 0; i < TR_LEN(constants); i++)
        if (constants[i].stage == stage)
            add_param(f, &constants[i], NULL,
                      (double *)(void *)((char *)&f->trial.gpu + constants[i].offset),
                      constants[i].lo, constants[i].hi, constants[i].scale);
    if (stage != TR_FIT_STAGE_QUANTISED)
        return;
    for (size_t i = 1; i < f->c->cat->n_precisions; i++)
        add_param(f, NULL, f->trial.precisions[i].name, cm_of(&f->trial, i), CM_LO, CM_HI, 0);
}

/* ---- residuals ------------------------------------------------------------------------------- */

/* ln(model / measured) of every row fitted on. */
static void residuals(const struct fit *f, double *out)
{
    tr_calibrate_predict(f->c, &f->trial, f->use, f->seconds);
    for (size_t i = 0; i < f->c->n; i++)
        out[i] = f->use[i] ? tr_ln(TR_MAX(f->seconds[i], 1e-12) / f->c->m[i].seconds) : 0;
}

/* Huber's loss: square near 0, straight beyond OUTLIER. */
static double objective(const struct fit *f, const double *r)
{
    double sum = 0;
    for (size_t i = 0; i < f->c->n; i++) {
        double off = fabs(r[i]);
        sum += f->weight[i] * (off <= OUTLIER ? off * off : OUTLIER * (2 * off - OUTLIER));
    }
    for (int j = 0; j < f->n; j++)
        sum += f->pull * (f->p[j].x - f->p[j].start) * (f->p[j].x - f->p[j].start);
    return sum;
}

static void put(struct param *p, double x)
{
    p->x = TR_MIN(TR_MAX(x, p->lo), p->hi);
    *p->at = value_of(p, p->x);
}

static void slopes(struct fit *f)
{
    size_t n = f->c->n;
    for (int j = 0; j < f->n; j++) {
        struct param *p = &f->p[j];
        double x = p->x, step = x + STEP <= p->hi ? STEP : -STEP;
        double *slope = f->slope + (size_t)j * n;
        put(p, x + step);
        residuals(f, slope);
        put(p, x);
        for (size_t i = 0; i < n; i++) {
            slope[i] = (slope[i] - f->residual[i]) / step;
            p->felt |= fabs(slope[i]) > FELT;
        }
    }
}

/* ---- one iteration --------------------------------------------------------------------------- */

/* Solves a x = b for a positive definite matrix, in place, by Cholesky. */
static void solve(double a[MAX_FITTED][MAX_FITTED], double *b, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = a[i][j];
            for (int k = 0; k < j; k++)
                sum -= a[i][k] * a[j][k];
            a[i][j] = i == j ? sqrt(TR_MAX(sum, 1e-300)) : sum / a[j][j];
        }
        for (int k = 0; k < i; k++)
            b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
}

/* The step of Gauss and Newton. What is at a bound and would leave it stays where it is. */
static void direction(const struct fit *f, double *d)
{
    double a[MAX_FITTED][MAX_FITTED] = {{0}};
    size_t n = f->c->n;
    double *w = f->moved; /* of each row, less for one far off */
    for (size_t i = 0; i < n; i++)
        w[i] = f->weight[i] * TR_MIN(1, OUTLIER / TR_MAX(fabs(f->residual[i]), 1e-12));
    for (int j = 0; j < f->n; j++) {
        const double *sj = f->slope + (size_t)j * n;
        d[j] = f->pull * (f->p[j].x - f->p[j].start);
        for (int k = 0; k <= j; k++) {
            const double *sk = f->slope + (size_t)k * n;
            for (size_t i = 0; i < n; i++)
                a[j][k] += w[i] * sj[i] * sk[i];
        }
        for (size_t i = 0; i < n; i++)
            d[j] += w[i] * sj[i] * f->residual[i];
        a[j][j] += f->pull;
    }
    for (int j = 0; j < f->n; j++) {
        const struct param *p = &f->p[j];
        if ((p->x > p->lo || d[j] < 0) && (p->x < p->hi || d[j] > 0))
            continue;
        for (int k = 0; k < f->n; k++)
            a[TR_MAX(j, k)][TR_MIN(j, k)] = j == k ? 1 : 0;
        d[j] = 0;
    }
    solve(a, d, f->n);
}

/* Goes as far along the direction as the objective falls; the new objective. */
static double descend(struct fit *f, double now)
{
    double d[MAX_FITTED], from[MAX_FITTED], share = 1;
    direction(f, d);
    for (int j = 0; j < f->n; j++)
        from[j] = f->p[j].x;
    for (int k = 0; k < HALVINGS; k++, share /= 2) {
        for (int j = 0; j < f->n; j++)
            put(&f->p[j], from[j] - share * d[j]);
        residuals(f, f->moved);
        double then = objective(f, f->moved);
        if (then >= now)
            continue;
        memcpy(f->residual, f->moved, f->c->n * sizeof *f->residual);
        return then;
    }
    for (int j = 0; j < f->n; j++)
        put(&f->p[j], from[j]);
    return now;
}

/* ---- outcome --------------------------------------------------------------------------------- */

/* Constants are written with four digits, and what is written is what is judged. */
static double rounded(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.4g", value);
    return strtod(text, NULL);
}

static void report(struct fit *f, enum tr_fit_stage stage, const struct tr_fit_values *before)
{
    for (int j = 0; j < f->n; j++) {
        struct param *p = &f->p[j];
        const double *slope = f->slope + (size_t)j * f->c->n;
        double unit = p->constant != NULL ? p->constant->unit : 1;
        struct tr_fit_constant *out = &f->c->constants[f->c->n_constants];
        if (!p->felt) {
            put(p, p->start);
            continue;
        }
        tr_assert(++f->c->n_constants <= TR_CALIBRATE_CONSTANTS);
        *out = (struct tr_fit_constant){.key = p->constant != NULL ? p->constant->key : "cm",
                                        .precision = p->precision,
                                        .stage = stage,
                                        .at_bound = p->x <= p->lo || p->x >= p->hi};
        out->before = *(const double *)(const void *)((const char *)before +
                                                      ((char *)p->at - (char *)&f->trial)) *
                      unit;
        out->after = rounded(*p->at * unit);
        *p->at = out->after / unit;
        for (size_t i = 0; i < f->c->n; i++) {
            if (!f->use[i] || fabs(slope[i]) <= FELT)
                continue;
            out->rows++;
            out->kinds |= 1U << f->c->m[i].what;
        }
    }
}

static size_t choose_rows(struct fit *f, enum tr_fit_stage stage)
{
    size_t rows = 0, of_kind[TR_MEASURED_SHARED + 1] = {0};
    for (size_t i = 0; i < f->c->n; i++) {
        const struct tr_measurement *m = &f->c->m[i];
        f->use[i] = tr_measurement_stage(m) == stage && !m->held;
        of_kind[m->what] += f->use[i];
        rows += f->use[i];
    }
    for (size_t i = 0; i < f->c->n; i++)
        f->weight[i] = f->use[i] ? 1.0 / (double)of_kind[f->c->m[i].what] : 0;
    return rows;
}

void tr_calibrate_fit(struct tr_calibration *c, enum tr_fit_stage stage,
                      struct tr_fit_values *trial)
{
    struct fit *f = tr_calloc(1, sizeof *f);
    size_t n = c->n;
    *f = (struct fit){.c = c,
                      .trial = *trial,
                      .use = tr_calloc(n + 1, sizeof *f->use),
                      .weight = tr_calloc(n + 1, sizeof(double)),
                      .seconds = tr_calloc(n + 1, sizeof(double)),
                      .residual = tr_calloc(n + 1, sizeof(double)),
                      .moved = tr_calloc(n + 1, sizeof(double)),
                      .slope = tr_calloc((n + 1) * MAX_FITTED, sizeof(double))};
    add_params(f, stage);
    size_t rows = choose_rows(f, stage);
    f->pull = PULL_ROWS / TR_MAX((double)rows, 1);
    if (rows > 0) {
        residuals(f, f->residual);
        double now = objective(f, f->residual), before = INFINITY;
        for (int k = 0; k < ITERATIONS && now < before * (1 - ENOUGH); k++) {
            slopes(f);
            before = now;
            now = descend(f, now);
        }
        report(f, stage, trial);
        *trial = f->trial;
    }
    free(f->use);
    free(f->weight);
    free(f->seconds);
    free(f->residual);
    free(f->moved);
    free(f->slope);
    free(f);
}
