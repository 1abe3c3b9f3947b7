/* The catalog's constants as distributions: how far each may be off, and draws of all of them. */
#include "catalog/catalog.h"

#include <math.h>

/* 90 % of a normal distribution lie within so many standard deviations. */
#define WITHIN_90 1.645
/* MIG slices are checked against no measurement; docs/model.md expects up to this of them. */
#define SLICE_ERROR 0.25
/* Least and most of cm where it is not the native rate, and of fp8's where it is. */
#define CM_LEAST        0.60
#define CM_MOST         0.95
#define CM_NATIVE_LEAST 1.3
#define CM_NATIVE_MOST  2.0

static const char by_error[] = "so that 90 % lie within the stated error of a step time";

int tr_gpu_spreads(const struct tr_gpu *gpu, struct tr_spread out[TR_MAX_SPREADS])
{
    double sd = gpu->error / WITHIN_90;
    const struct tr_spread all[] = {
        {"ec", TR_LOGNORMAL, sd, 0, by_error},
        {"ec_alone", TR_LOGNORMAL, TR_MAX(gpu->error, SLICE_ERROR) / WITHIN_90, 0,
         "slices are not checked: docs/model.md expects 10 to 25 %; never below ec"},
        {"eb", TR_LOGNORMAL, sd, 0, by_error},
        {"ead", TR_LOGNORMAL, sd, 0, by_error},
        {"eap", TR_LOGNORMAL, sd, 0, by_error},
        {"overhead", TR_LOGNORMAL, 0.15, 0,
         "tg, tq, tl and ta together: kernel times of the A100 give 6 to 7 us for tg, 10 to 14 us "
         "for tq"},
        {"host", TR_LOGNORMAL, 0.25, 0,
         "host time per step and per sequence: 1.0 to 1.6 ms between releases of vLLM"},
        {"quantum_ms", TR_UNIFORM, 1.0, 2.1, "published waits and drivers: docs/model.md"},
        {"switch_of_quantum", TR_UNIFORM, 0.06, 0.15,
         "A100 and RTX 5090 give 0.11, GPreempt less: docs/model.md"},
        {"yields", TR_UNIFORM, 0, 2, "not identified by published data: docs/model.md"},
        {"mps_p", TR_UNIFORM, 1.0, 1.5, "1.1 fits one series of totals: docs/model.md"},
    };
    memcpy(out, all, sizeof all);
    return (int)TR_LEN(all);
}

int tr_precision_spreads(const struct tr_precision *p, struct tr_spread out[TR_MAX_SPREADS])
{
    int n = 0;
    if (p->weight_bytes >= 2)
        return 0;
    out[n++] = (struct tr_spread){"cm", TR_UNIFORM, CM_LEAST, CM_MOST,
                                  "0.61 with Marlin of January 2024 (vllm pull 2497), 0.93 with "
                                  "TensorRT-LLM's kernels"};
    if (p->fp8_native)
        out[n++] =
            (struct tr_spread){"cm_native", TR_UNIFORM, CM_NATIVE_LEAST, CM_NATIVE_MOST,
                               "GEMMs of vLLM 0.24 on H100 from 256 tokens on give 1.3, whole runs "
                               "of TensorRT-LLM 2.0"};
    return n;
}

/* One number of a spread: a factor near 1, or a value of the range. The stream is named by constant
 * and entry, so that a new constant shifts no other's draws. */
static double drawn(const struct tr_spread *spread, const char *entry, uint64_t seed, uint64_t draw)
{
    uint64_t stream = tr_rng_stream(spread->name, tr_hash(entry, strlen(entry), 0), 0);
    if (spread->law == TR_UNIFORM)
        return spread->a + (spread->b - spread->a) * tr_rng_unit(seed, stream, draw);
    return tr_exp(spread->a * tr_rng_normal(seed, stream, draw));
}

static const struct tr_spread *named(const struct tr_spread *list, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

void tr_gpu_draw(const struct tr_gpu *gpu, uint64_t seed, uint64_t draw, struct tr_gpu *out)
{
    struct tr_spread list[TR_MAX_SPREADS];
    int n = tr_gpu_spreads(gpu, list);
    *out = *gpu;
    if (draw == 0)
        return;
#define DRAWN(constant) drawn(named(list, n, constant), gpu->name, seed, draw)
    out->ec = TR_MIN(gpu->ec * DRAWN("ec"), 1);
    out->ec_alone = TR_MIN(TR_MAX(gpu->ec_alone * DRAWN("ec_alone"), out->ec), 1);
    out->eb = TR_MIN(gpu->eb * DRAWN("eb"), 1);
    out->ead = TR_MIN(gpu->ead * DRAWN("ead"), 1);
    out->eap = TR_MIN(gpu->eap * DRAWN("eap"), 1);
    double overhead = DRAWN("overhead"), host = DRAWN("host");
    out->tg_s *= overhead;
    out->tq_s *= overhead;
    out->tl_s *= overhead;
    out->ta_s *= overhead;
    out->host_async_s *= host;
    out->seq_async_s *= host;
    out->quantum_s = DRAWN("quantum_ms") / 1e3;
    out->switch_s = out->quantum_s * DRAWN("switch_of_quantum");
    out->yields = (int)(DRAWN("yields") + 0.5);
    out->mps_sharpness = DRAWN("mps_p");
#undef DRAWN
}

void tr_precision_draw(const struct tr_precision *precision, uint64_t seed, uint64_t draw,
                       struct tr_precision *out)
{
    struct tr_spread list[TR_MAX_SPREADS];
    int n = tr_precision_spreads(precision, list);
    const struct tr_spread *cm = named(list, n, "cm"), *native = named(list, n, "cm_native");
    *out = *precision;
    if (draw == 0 || cm == NULL)
        return;
    out->cm = drawn(cm, "weights", seed, draw);
    out->cm_native = native != NULL ? drawn(native, "weights", seed, draw) : out->cm;
}
