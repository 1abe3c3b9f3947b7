/* calibrate: the constants of one GPU, fitted to what was measured on it.
 *
 * Half of the measurements are fitted on. On the other half the error of the fitted constants
 * stands beside the error of the catalog's: only that half says whether the fit is worth anything.
 * docs/calibrate.md has the formats of the files, the method, and what it cannot tell.
 */
#ifndef TRANCHE_CALIBRATE_H
#define TRANCHE_CALIBRATE_H

#include <tranche/tranche.h>

struct tr_calibration;

/* All may be NULL. */
struct tr_calibrate_opts {
    const char *gpu;         /* whose rows; NULL: of the only GPU that the files have */
    const char *model;       /* of files of steps that name none */
    const char *precision;   /* the same */
    const char *catalog_dir; /* where the constants start from */
};

int tr_calibrate_run(const char *const *paths, size_t n, const struct tr_calibrate_opts *opts,
                     struct tr_calibration **out, struct tr_err *err);
void tr_calibrate_free(struct tr_calibration *calibration);
/* As a table, as JSON, or as a gpus.yaml with the fitted constants in place of the catalog's. */
int tr_calibrate_write(const struct tr_calibration *calibration, enum tr_format format, FILE *out,
                       struct tr_err *err);
/* Writes that gpus.yaml (and precisions.yaml, where rates of precisions were fitted) into a folder,
 * made if need be, that --catalog takes. */
int tr_calibrate_save(const struct tr_calibration *calibration, const char *dir,
                      struct tr_err *err);
/* 0: better on what was held out; TR_EXIT_NO: not better, keep the catalog's. */
int tr_calibrate_exit(const struct tr_calibration *calibration);

#endif
