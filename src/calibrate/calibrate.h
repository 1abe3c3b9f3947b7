/* calibrate: from measurements to constants.
 *
 * A *measurement* is one row of a file: a GEMM, a layer's attention, a whole run, a step, or what a
 * probe saw of time-slicing, with the seconds it took. Its *identity* is what was measured, without
 * the seconds. A hash of the identity puts it into one of two halves: one is fitted on, the other
 * is held out. So the split does not depend on the order of rows, and repeats of one measurement
 * never stand on both sides.
 *
 * What the model says of a measurement comes from the functions that the simulator uses
 * (engine/steptime.h, share/ring.h). Three *stages* are fitted one after the other: the constants
 * of 16-bit work, then those of quantised work, then those of time-slicing. Method and limits:
 * docs/calibrate.md.
 */
#ifndef TR_CALIBRATE_CALIBRATE_H
#define TR_CALIBRATE_CALIBRATE_H

#include <tranche/calibrate.h>

#include "base/base.h"
#include "catalog/catalog.h"

#define TR_CALIBRATE_PRECISIONS 8
#define TR_CALIBRATE_CONSTANTS  24
#define TR_CALIBRATE_PHASES     48

/* Attention is measured in one layer and modelled in many, so that rounding to picoseconds is
 * nothing beside it. */
#define TR_ATTENTION_LAYERS 1024

enum tr_fit_stage {
    TR_FIT_STAGE_16BIT,
    TR_FIT_STAGE_QUANTISED,
    TR_FIT_STAGE_TIMESLICE,
    TR_FIT_STAGES
};

enum tr_measured {
    TR_MEASURED_GEMM,
    TR_MEASURED_PREFILL, /* attention of one layer */
    TR_MEASURED_DECODE,  /* attention of one layer */
    TR_MEASURED_RUN,     /* a whole offline run of vLLM V0 */
    TR_MEASURED_STEP,
    TR_MEASURED_TURN,   /* how long a context kept the GPU while others waited */
    TR_MEASURED_SWITCH, /* from one context's end to the next one's start */
    TR_MEASURED_SHARED, /* a step beside other contexts: never fitted on */
};

/* Whose host time a row contains: vLLM V0 of 2024, an asynchronous or a synchronous engine. */
enum tr_fit_host { TR_FIT_HOST_V0, TR_FIT_HOST_ASYNC, TR_FIT_HOST_SYNC };

/* One step-time model is made of each shape. */
struct tr_fit_shape {
    struct tr_model model;
    int precision; /* index in the catalog */
    enum tr_fit_host host;
    int max_tok, max_rows;
};

struct tr_measurement {
    enum tr_measured what;
    const struct tr_gpu *gpu;
    int precision;        /* index in the catalog */
    int shape;            /* -1: none */
    int phase;            /* row of the table of errors */
    bool held;            /* held out */
    const char *identity; /* all that was measured, without the time */
    double seconds;
    struct { /* GEMM: the sum of n products of m x inner by inner x cols */
        int n;
        double m, cols[4], inner[4];
    } gemm;
    int batch, in, out;             /* run; attention: batch, new tokens, context */
    int tokens, rows, decodes;      /* step */
    int64_t context_tok;            /* step: of all decodes */
    int n_chunks, (*chunks)[2];     /* step: new and cached tokens of each */
    int contexts;                   /* shared: how many there are, this one included */
    double alone_s, delay_s, gap_s; /* shared, from a probe: GPU time, pauses between steps */
    int gaps;                       /* and inside them */
};

/* One mode of one run of timeslice_probe. */
struct tr_fit_probe {
    const struct tr_gpu *gpu;
    int n, segs;
    double gap_s;
    const char *mode;
    double step_s; /* mean over all processes */
};

struct tr_fit_constant {
    const char *key;       /* "tg_us" */
    const char *precision; /* of cm: "int4" */
    double before, after;  /* in the unit of the key */
    int rows;              /* fitted on, that depend on it */
    unsigned kinds;        /* bit per enum tr_measured */
    enum tr_fit_stage stage;
    bool at_bound;
    double median_before, median_after; /* error on the held-out rows of these kinds; NAN: none */
    int held;
};

struct tr_fit_phase {
    const char *name; /* "GEMM int4, memory-bound" */
    int fitted, held;
    double median_before, median_after, p95_before, p95_after; /* on those held out; NAN: none */
};

/* The constants while they are being fitted. */
struct tr_fit_values {
    struct tr_gpu gpu;
    struct tr_precision precisions[TR_CALIBRATE_PRECISIONS];
};

struct tr_calibration {
    struct tr_arena arena;
    struct tr_catalog *cat;
    const char *catalog_dir; /* or NULL */
    const char *files;       /* "gemm.csv, attention.csv" */
    const struct tr_gpu *gpu;
    struct tr_fit_values before, after;
    struct tr_measurement *m;
    size_t n, cap;
    struct tr_fit_shape *shapes;
    size_t n_shapes, cap_shapes;
    struct tr_fit_probe *probes;
    size_t n_probes, cap_probes;
    struct tr_left_out {
        const char *why;
        int64_t rows;
    } left_out[32];
    int n_left_out;
    struct tr_fit_constant constants[TR_CALIBRATE_CONSTANTS];
    int n_constants;
    struct tr_fit_phase phases[TR_CALIBRATE_PHASES];
    int n_phases;
    double before_score, after_score; /* medians, averaged over the phases; NAN: nothing held out */
    bool better;
};

/* ---- input (input.c, read_csv.c, read_json.c) ------------------------------------------------ */

/* Reads one file, of whichever format its header or first keys say. */
int tr_calibrate_read(struct tr_calibration *c, const char *path,
                      const struct tr_calibrate_opts *opts, struct tr_err *err);
/* The same from memory: a CSV file, or one in JSON. */
int tr_calibrate_read_csv(struct tr_calibration *c, const char *path, const char *text, size_t len,
                          struct tr_err *err);
int tr_calibrate_read_json(struct tr_calibration *c, const char *path, const char *text, size_t len,
                           const struct tr_calibrate_opts *opts, struct tr_err *err);

/* A new measurement, all zeroes but for what is given; the identity follows as in printf. */
struct tr_measurement *tr_calibrate_add(struct tr_calibration *c, enum tr_measured what,
                                        const struct tr_gpu *gpu, double seconds, const char *fmt,
                                        ...) __attribute__((format(printf, 5, 6)));
/* A row that is not used, and why. */
void tr_calibrate_leave_out(struct tr_calibration *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The shape with these properties, made if there is none; its tables reach as far as asked. */
int tr_calibrate_shape(struct tr_calibration *c, const struct tr_model *model, int precision,
                       enum tr_fit_host host, int max_tok, int max_rows);
/* Puts an input's rows in an order that is not that of the files, keeps those of one GPU (`name`;
 * NULL: there must be one only), and says which half and phase each belongs to. */
int tr_calibrate_select(struct tr_calibration *c, const char *name, struct tr_err *err);

/* ---- model (predict.c) ----------------------------------------------------------------------- */

enum tr_fit_stage tr_measurement_stage(const struct tr_measurement *m);
/* Is arithmetic the longer part of this GEMM? */
bool tr_measurement_compute_bound(const struct tr_measurement *m,
                                  const struct tr_fit_values *trial);
/* Seconds that the model gives each measurement i with use[i]; others are left as they are. */
void tr_calibrate_predict(const struct tr_calibration *c, const struct tr_fit_values *trial,
                          const bool *use, double *seconds);

/* ---- fit (fit.c), outcome (calibrate.c, override.c) ------------------------------------------ */

/* Fits one stage; `trial` is where it starts and where the result is put. */
void tr_calibrate_fit(struct tr_calibration *c, enum tr_fit_stage stage,
                      struct tr_fit_values *trial);
/* From measurements that were read to constants and errors. */
void tr_calibrate_solve(struct tr_calibration *c);
/* The text of gpus.yaml (or precisions.yaml) with the fitted constants. */
int tr_calibrate_override(const struct tr_calibration *c, const char *file, struct tr_str *out,
                          struct tr_err *err);
/* Was a rate of a precision fitted? Then precisions.yaml changes too. */
bool tr_calibrate_precisions(const struct tr_calibration *c);

#endif
