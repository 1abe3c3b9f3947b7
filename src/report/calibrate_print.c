/* report, calibrate: the constants before and after, and how far each is from what was measured and
 * not fitted on. */
#include "calibrate/calibrate.h"

#include "report/report.h"

#include <math.h>

/* Does single kernels' speed alone decide ec? */
static bool kernels_decide_ec(const struct tr_calibration *c)
{
    unsigned whole = 1U << TR_MEASURED_RUN | 1U << TR_MEASURED_STEP;
    for (int i = 0; i < c->n_constants; i++)
        if (strcmp(c->constants[i].key, "ec") == 0)
            return (c->constants[i].kinds & whole) == 0;
    return false;
}

/* ---- table ----------------------------------------------------------------------------------- */

static void constants_table(struct tr_str *out, const struct tr_calibration *c)
{
    struct tr_table t = {.indent = 2};
    tr_table_column(&t, TR_LEFT, NULL, "constant");
    tr_table_column(&t, TR_RIGHT, NULL, "catalog");
    tr_table_column(&t, TR_RIGHT, NULL, "fitted");
    tr_table_column(&t, TR_RIGHT, NULL, "change %");
    tr_table_column(&t, TR_RIGHT, NULL, "rows");
    tr_table_column(&t, TR_LEFT, NULL, "");
    for (int i = 0; i < c->n_constants; i++) {
        const struct tr_fit_constant *k = &c->constants[i];
        tr_table_cell(&t, "%s%s%s", k->key, k->precision ? " " : "",
                      k->precision ? k->precision : "");
        tr_table_cell(&t, "%.4g", k->before);
        tr_table_cell(&t, "%.4g", k->after);
        if (k->before > 0)
            tr_table_cell(&t, "%+.1f", 100 * (k->after / k->before - 1));
        else
            tr_table_cell(&t, "-");
        tr_table_cell(&t, "%d", k->rows);
        tr_table_cell(&t, "%s", k->at_bound ? "at its bound" : "");
    }
    tr_table_end(&t, out);
}

static void error_cell(struct tr_table *t, double error)
{
    if (isnan(error))
        tr_table_cell(t, "-");
    else
        tr_table_cell(t, "%.1f", 100 * error);
}

static void phases_table(struct tr_str *out, const struct tr_calibration *c)
{
    static const char median[] = "median %", p95[] = "p95 %";
    struct tr_table t = {.indent = 2};
    tr_table_column(&t, TR_LEFT, NULL, "measured");
    tr_table_column(&t, TR_RIGHT, NULL, "fitted on");
    tr_table_column(&t, TR_RIGHT, NULL, "held out");
    tr_table_column(&t, TR_RIGHT, median, "catalog");
    tr_table_column(&t, TR_RIGHT, median, "fitted");
    tr_table_column(&t, TR_RIGHT, p95, "catalog");
    tr_table_column(&t, TR_RIGHT, p95, "fitted");
    tr_table_column(&t, TR_LEFT, NULL, "");
    for (int i = 0; i < c->n_phases; i++) {
        const struct tr_fit_phase *p = &c->phases[i];
        tr_table_cell(&t, "%s", p->name);
        tr_table_cell(&t, "%d", p->fitted);
        tr_table_cell(&t, "%d", p->held);
        error_cell(&t, p->median_before);
        error_cell(&t, p->median_after);
        error_cell(&t, p->p95_before);
        error_cell(&t, p->p95_after);
        tr_table_cell(&t, "%s", p->median_after > p->median_before ? "worse" : "");
    }
    tr_table_end(&t, out);
}

static void verdict(struct tr_str *out, const struct tr_calibration *c)
{
    char text[400];
    if (c->n_constants == 0)
        snprintf(text, sizeof text,
                 "Nothing could be fitted: no row of the half to fit on depends "
                 "on a constant. Keep the catalog's constants.");
    else if (isnan(c->after_score))
        snprintf(text, sizeof text,
                 "Nothing was held out: too few rows to say whether the fit is "
                 "any good. Keep the catalog's constants.");
    else
        snprintf(text, sizeof text,
                 "On what was held out the median error, averaged over these lines, is %.1f %% "
                 "with the fitted constants and %.1f %% with the catalog's. %s",
                 100 * c->after_score, 100 * c->before_score,
                 c->better ? "The fit holds." : "The fit is worse: keep the catalog's constants.");
    tr_text_wrap(out, "", 0, text);
    if (kernels_decide_ec(c)) {
        snprintf(text, sizeof text,
                 "ec is from single kernels, which run cooler than a serving GPU and flatter it. "
                 "With whole steps among the files they would count too; without, the catalog's "
                 "%.4g may be the better one.",
                 c->gpu->ec);
        tr_text_wrap(out, "", 0, text);
    }
}

static void table(struct tr_str *out, const struct tr_calibration *c)
{
    int fitted = 0, held = 0;
    for (int i = 0; i < c->n_phases; i++) {
        fitted += c->phases[i].fitted;
        held += c->phases[i].held;
    }
    tr_str_printf(out,
                  "%s, %d measurements: %d fitted on, %d held out (a hash of what was measured "
                  "decides)\n",
                  c->gpu->name, fitted + held, fitted, held);
    if (c->n_constants > 0)
        tr_str_printf(out, "\nConstants\n");
    constants_table(out, c);
    tr_str_printf(out, "\nError on what was held out\n");
    phases_table(out, c);
    tr_str_printf(out, "\n");
    verdict(out, c);
    for (int i = 0; i < c->n_left_out; i++) {
        char text[300];
        snprintf(text, sizeof text, "%s%" PRId64 ": %s", i == 0 ? "Left out: " : "          ",
                 c->left_out[i].rows, c->left_out[i].why);
        tr_str_printf(out, "%s%s\n", i == 0 ? "\n" : "", text);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json(struct tr_str *out, const struct tr_calibration *c)
{
    struct tr_json j = {.out = out};
    tr_json_begin(&j, NULL, '{');
    tr_json_text(&j, "schema", "tranche.calibrate/1");
    tr_json_text(&j, "tranche_version", tr_version());
    tr_json_text(&j, "gpu", c->gpu->name);
    tr_json_text(&j, "files", c->files);
    tr_json_bool(&j, "better", c->better);
    tr_json_num(&j, "catalog_median_error", c->before_score);
    tr_json_num(&j, "fitted_median_error", c->after_score);
    tr_json_begin(&j, "constants", '[');
    for (int i = 0; i < c->n_constants; i++) {
        const struct tr_fit_constant *k = &c->constants[i];
        tr_json_begin(&j, NULL, '{');
        tr_json_text(&j, "name", k->key);
        tr_json_text(&j, "precision", k->precision);
        tr_json_num(&j, "catalog", k->before);
        tr_json_num(&j, "fitted", k->after);
        tr_json_int(&j, "rows", k->rows);
        tr_json_bool(&j, "at_bound", k->at_bound);
        tr_json_end(&j);
    }
    tr_json_end(&j);
    tr_json_begin(&j, "measured", '[');
    for (int i = 0; i < c->n_phases; i++) {
        const struct tr_fit_phase *p = &c->phases[i];
        tr_json_begin(&j, NULL, '{');
        tr_json_text(&j, "name", p->name);
        tr_json_int(&j, "fitted_rows", p->fitted);
        tr_json_int(&j, "held_rows", p->held);
        tr_json_num(&j, "catalog_median_error", p->median_before);
        tr_json_num(&j, "fitted_median_error", p->median_after);
        tr_json_num(&j, "catalog_p95_error", p->p95_before);
        tr_json_num(&j, "fitted_p95_error", p->p95_after);
        tr_json_end(&j);
    }
    tr_json_end(&j);
    tr_json_begin(&j, "left_out", '[');
    for (int i = 0; i < c->n_left_out; i++) {
        tr_json_begin(&j, NULL, '{');
        tr_json_text(&j, "why", c->left_out[i].why);
        tr_json_int(&j, "rows", c->left_out[i].rows);
        tr_json_end(&j);
    }
    tr_json_end(&j);
    tr_json_end(&j);
}

int tr_calibrate_write(const struct tr_calibration *c, enum tr_format format, FILE *out,
                       struct tr_err *err)
{
    struct tr_str text = {0};
    int rc = 0;
    if (format == TR_FORMAT_TABLE)
        table(&text, c);
    else if (format == TR_FORMAT_JSON)
        json(&text, c);
    else if (format == TR_FORMAT_YAML)
        rc = tr_calibrate_override(c, "gpus.yaml", &text, err);
    else
        rc = tr_report_refuse(format, "table, json, yaml", err);
    if (rc != 0) {
        tr_str_free(&text);
        return rc;
    }
    return tr_report_flush(&text, out, err);
}
