/* Hardware and models written out by hand, so that the tests of engine, share, fleet and sim need
 * no catalog. The constants are those of docs/model.md. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include "catalog/catalog.h"
#include "engine/engine.h"
#include "num/num.h"
#include "record/record.h"

#include <stdlib.h>

static const struct tr_gpu a100_pcie = {
    .name = "A100-PCIe-80GB",
    .peak_flops = 312e12,
    .bandwidth = 1935e9,
    .sms = 108,
    .ec = 0.61,
    .eb = 0.80,
    .ead = 0.78,
    .eap = 0.50,
    .s0 = 565,
    .tg_s = 6e-6,
    .tl_s = 12e-6,
    .ta_s = 2.5e-9,
    .tq_s = 14e-6,
};

static inline struct tr_gpu gpu_a100_sxm(double bandwidth, double ead)
{
    struct tr_gpu gpu = a100_pcie;
    gpu.name = "A100-SXM4";
    gpu.bandwidth = bandwidth;
    gpu.ec = 0.77;
    gpu.ead = ead;
    gpu.eap = 0.585;
    return gpu;
}

static inline struct tr_gpu gpu_h100(void)
{
    return (struct tr_gpu){
        .name = "H100-SXM5-80GB",
        .peak_flops = 989.5e12,
        .bandwidth = 3350e9,
        .sms = 132,
        .fp8_tensor = true,
        .ec = 0.71,
        .eb = 0.89,
        .ead = 0.82,
        .eap = 0.63,
        .s0 = 1300,
        .tg_s = 4e-6,
        .tl_s = 10e-6,
        .ta_s = 2.0e-9,
        .tq_s = 10e-6,
        .host_async_s = 0.6e-3,
        .seq_async_s = 10e-6,
    };
}

static const struct tr_model llama_8b = {
    .name = "llama-3.1-8b",
    .layers = 32,
    .hidden = 4096,
    .heads = 32,
    .kv_heads = 8,
    .head_dim = 128,
    .ffn = 14336,
    .vocab = 128256,
};

/* Small enough that its tables are made in a moment and its steps take some 0.1 ms. */
static const struct tr_model tiny = {
    .name = "tiny",
    .layers = 2,
    .hidden = 256,
    .heads = 4,
    .kv_heads = 2,
    .head_dim = 64,
    .ffn = 512,
    .vocab = 1024,
};

static const struct tr_precision bf16 = {
    .name = "bf16", .weight_bytes = 2, .cm = 1, .cm_native = 1};
static const struct tr_precision int4 = {
    .name = "int4", .weight_bytes = 0.53, .cm = 0.85, .cm_native = 0.85, .needs_tq = true};
static const struct tr_precision fp8 = {.name = "fp8",
                                        .weight_bytes = 1,
                                        .cm = 0.85,
                                        .cm_native = 1.6,
                                        .needs_tq = true,
                                        .fp8_native = true};

static inline struct tr_share_hw share_whole(const struct tr_gpu *gpu)
{
    return (struct tr_share_hw){.gpu = gpu,
                                .ec = gpu->ec,
                                .sm_fraction = 1,
                                .bw_fraction = 1,
                                .sms = gpu->sms,
                                .n_pods = 1};
}

/* ---- draws of random loads ---- */

struct draw {
    uint64_t seed, stream, index;
};

static inline int64_t between(struct draw *d, int64_t lo, int64_t hi) /* both included */
{
    return lo + (int64_t)(tr_rng_u64(d->seed, d->stream, d->index++) % (uint64_t)(hi - lo + 1));
}

/* ---- records, kept by id ---- */

struct kept {
    struct tr_record *record; /* [id] */
    int64_t cap, n, twice;
};

static inline void kept_open(struct kept *k, int64_t cap)
{
    *k = (struct kept){.record = tr_calloc((size_t)cap, sizeof *k->record), .cap = cap};
    for (int64_t i = 0; i < cap; i++)
        k->record[i].id = -1;
}

static inline void kept_sink(void *arg, const struct tr_record *r)
{
    struct kept *k = arg;
    tr_assert(r->id >= 0 && r->id < k->cap);
    k->twice += k->record[r->id].id >= 0;
    k->record[r->id] = *r;
    k->n++;
}

/* The first id whose records differ (but for the pod's number), -1 if none does. */
static inline int64_t kept_differ(const struct kept *x, const struct kept *y)
{
    for (int64_t i = 0; i < x->cap; i++) {
        const struct tr_record *a = &x->record[i], *b = &y->record[i];
        if (a->id != b->id || a->arrival_ns != b->arrival_ns || a->sent_ns != b->sent_ns ||
            a->scheduled_ns != b->scheduled_ns || a->first_token_ns != b->first_token_ns ||
            a->last_token_ns != b->last_token_ns || a->tenant != b->tenant ||
            a->prompt_tok != b->prompt_tok || a->output_tok != b->output_tok ||
            a->preemptions != b->preemptions || a->status != b->status || a->cause != b->cause)
            return i;
    }
    return x->twice + y->twice > 0 ? 0 : -1;
}

#endif
