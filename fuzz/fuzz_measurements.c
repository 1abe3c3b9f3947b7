/* Any bytes given as measurements, as a table and as JSON: rows of positive times with halves and
 * phases, or one line. */
#include "calibrate/calibrate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(struct tr_calibration *c)
{
    tr_assert(c->n > 0 && c->gpu != NULL);
    for (size_t i = 0; i < c->n; i++) {
        const struct tr_measurement *m = &c->m[i];
        tr_assert(m->seconds > 0 && m->gpu == c->gpu);
        tr_assert(m->phase >= 0 && m->phase < c->n_phases);
        tr_assert(m->shape < (int)c->n_shapes);
        tr_assert(m->shape < 0 || c->shapes[m->shape].max_tok >= m->tokens);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct tr_catalog *cat; /* loaded once: it is as long as all else together */
    if (cat == NULL)
        tr_assert(tr_catalog_load(NULL, &cat, NULL) == TR_OK);
    for (int json = 0; json < 2; json++) {
        struct tr_calibration *c = tr_calloc(1, sizeof *c);
        struct tr_calibrate_opts opts = {.gpu = "A100-PCIe-80GB"};
        struct tr_err err = {0};
        const char *text = (const char *)data;
        c->cat = cat;
        int rc = json ? tr_calibrate_read_json(c, "f", text, len, &opts, &err)
                      : tr_calibrate_read_csv(c, "f", text, len, &err);
        if (rc == TR_OK)
            rc = tr_calibrate_select(c, NULL, &err);
        if (rc == TR_OK)
            check(c);
        tr_assert((rc == 0) == (err.text[0] == 0));
        tr_assert(strpbrk(err.text, "\n\r") == NULL);
        c->cat = NULL;
        tr_calibrate_free(c);
    }
    return 0;
}
