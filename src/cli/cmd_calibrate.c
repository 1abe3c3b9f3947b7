/* tranche calibrate: the constants of one GPU, fitted to measurements. */
#include "cli/cli.h"

#include <tranche/calibrate.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct cli_usage usage = {
    "calibrate", "FILE...",
    "Fits the step-time constants of one GPU to half of what was measured on it, and says how far\n"
    "they and the catalog's are from the other half. Files: tables (CSV) of GEMMs, attention or\n"
    "whole runs; whole steps and the output of timeslice_probe (JSON). docs/calibrate.md has the\n"
    "formats. Exit status 1: the fit is no better, keep the catalog's constants.",
    "tranche calibrate --gpu A100-SXM4-80GB tests/data/gpu-steps/gemm.csv"};

int cmd_calibrate(int argc, char **argv, FILE *out, struct tr_err *err)
{
    enum tr_format format = TR_FORMAT_TABLE;
    struct tr_calibrate_opts opts = {0};
    const char *dir = NULL;
    const struct cli_option options[] = {
        {0, "gpu", "NAME", "whose rows (the only GPU that the files have)", CLI_TEXT, &opts.gpu, 0},
        {0, "model", "NAME", "of files of steps that name none", CLI_TEXT, &opts.model, 0},
        {0, "precision", "NAME", "of files of steps that name none", CLI_TEXT, &opts.precision, 0},
        {'o', "output", "table|json|yaml", "how to print it (table); yaml is a gpus.yaml",
         CLI_FORMAT, &format, 0},
        {0, "write", "DIR", "write the catalog files with the fitted constants, if better",
         CLI_TEXT, &dir, 0},
        {0, "catalog", "DIR", "data files here replace the compiled-in ones", CLI_TEXT,
         &opts.catalog_dir, 0},
    };
    struct tr_calibration *calibration = NULL;
    int first, rc;

    if ((rc = cli_parse(&usage, options, N(options), argc, argv, &first, out, err)))
        return rc;
    if (first >= argc)
        return tr_err_set(err, TR_EINPUT,
                          "calibrate needs a file of measurements (see tranche calibrate --help)");
    if ((rc = tr_calibrate_run((const char *const *)argv + first, (size_t)(argc - first), &opts,
                               &calibration, err)))
        return rc;
    rc = tr_calibrate_write(calibration, format, out, err);
    if (rc == 0)
        rc = tr_calibrate_exit(calibration);
    if (rc == 0 && dir)
        rc = tr_calibrate_save(calibration, dir, err);
    tr_calibrate_free(calibration);
    return rc;
}
