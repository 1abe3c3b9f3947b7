/* memory: what one pod of a part can use, and what of it is left for the KV cache.
 *
 * vLLM takes gpu_memory_utilization x the memory it sees, holds the weights, the peak of a dummy
 * step and the CUDA graphs inside that, and gives the rest to the KV cache. The CUDA context is
 * outside. docs/catalog.md, "Memory", has the rule, its sources and its error.
 */
#include "catalog/catalog.h"

/* GiB. Activations and other non-weight memory at 2,048 tokens per step (start-up logs of A100:
 * 0.3 to 1.4) and at 8,192 (H100 logs: 4.76 + 0.13); linear in the token budget between and beyond.
 */
#define ACTIVATION_2048 0.6
#define ACTIVATION_8192 4.9
#define GRAPHS          0.55 /* logs: 0.5 to 0.65; inside the budget since vLLM 0.21 */
#define CONTEXT         0.5  /* per process; 0.3 to 0.8 */

/* Below this share of the SMs a kernel cannot keep the memory busy: an estimate (docs/model.md,
 * "MPS"). */
#define SMS_FOR_BANDWIDTH 0.6

#define DEFAULT_UTILIZATION 0.92 /* vLLM since 2026-04 */

/* The Kubernetes device plugin gives every MPS client the same share of the SMs, in whole per cent;
 * the driver rounds to whole SMs. The cap holds whether or not the neighbours are busy. */
static void cap_mps(struct tr_share_hw *hw)
{
    int percent = 100 / hw->n_pods;
    hw->sms = hw->sms * percent / 100;
    hw->sm_fraction = (double)hw->sms / hw->gpu->sms;
    hw->bw_fraction = TR_MIN(1.0, hw->sm_fraction / SMS_FOR_BANDWIDTH);
}

struct tr_share_hw tr_share_hw_of(const struct tr_gpu *gpu, const struct tr_part *part)
{
    struct tr_share_hw hw = {
        .gpu = gpu,
        .ec = gpu->ec,
        .sm_fraction = 1,
        .bw_fraction = 1,
        .sms = gpu->sms,
        .mem_bytes = gpu->mem_bytes,
        .n_pods = part->n_pods,
        .sharing = part->sharing,
    };
    if (part->profile != NULL) {
        hw.mig = true;
        hw.sms = part->profile->sms;
        hw.mem_bytes = part->profile->mem_bytes;
        hw.sm_fraction = (double)part->profile->sms / gpu->sms;
        hw.bw_fraction = (double)part->profile->mem_slots / gpu->mem_slots;
    }
    if (part->sharing == TR_MPS)
        cap_mps(&hw);
    return hw;
}

static int64_t gib(double n)
{
    return (int64_t)(n * TR_GIB);
}

static int64_t activation_bytes(int max_num_batched_tokens)
{
    double beyond = TR_MAX(max_num_batched_tokens - 2048, 0) / (8192.0 - 2048.0);
    return gib(ACTIVATION_2048 + beyond * (ACTIVATION_8192 - ACTIVATION_2048));
}

/* Cut to three decimals, as a person writes it in a manifest: rounding up might not start. */
static double default_utilization(double max)
{
    double u = TR_MIN(max, DEFAULT_UTILIZATION);
    return u <= 0 ? 0 : (double)(int64_t)(u * 1000 + 1e-9) / 1000;
}

static void size_blocks(struct tr_memory *m, int64_t kv_tok)
{
    int64_t blocks = TR_MAX(kv_tok, 0) / TR_BLOCK_TOK;
    blocks = TR_MIN(blocks, INT32_MAX);
    m->kv_tok = blocks * TR_BLOCK_TOK;
    m->num_gpu_blocks = (int32_t)TR_MAX(blocks - 1, 0);
}

void tr_memory_size(const struct tr_share_hw *hw, const struct tr_model *model,
                    const struct tr_precision *precision, const struct tr_memory_opts *opts,
                    struct tr_memory *out)
{
    *out = (struct tr_memory){0};
    /* Every pod sees all of the part's memory and takes its fraction of that. Under MPS it can
     * allocate 1/N of it, in whole MiB, elsewhere what the others have left. */
    int64_t mem = hw->mem_bytes, pods = hw->n_pods;
    int64_t usable = hw->sharing == TR_MPS ? (mem / pods >> 20 << 20) * pods : mem;
    out->context_bytes = gib(CONTEXT);
    out->utilization_max =
        (double)(usable - pods * out->context_bytes) / ((double)pods * (double)mem);
    out->utilization = opts->gpu_memory_utilization > 0 ? opts->gpu_memory_utilization
                                                        : default_utilization(out->utilization_max);
    out->budget_bytes = (int64_t)((double)mem * out->utilization);
    out->weights_bytes = tr_model_weight_bytes(model, precision);
    out->activation_bytes = activation_bytes(opts->max_num_batched_tokens);
    out->graphs_bytes = gib(GRAPHS);
    out->kv_bytes =
        out->budget_bytes - out->weights_bytes - out->activation_bytes - out->graphs_bytes;
    if (opts->num_gpu_blocks > 0 || opts->kv_tok > 0) {
        int64_t tok = opts->num_gpu_blocks > 0
                          ? TR_MIN(opts->num_gpu_blocks, INT32_MAX) * TR_BLOCK_TOK
                          : opts->kv_tok;
        size_blocks(out, tok);
        out->kv_bytes = out->kv_tok * model->kv_bytes_per_tok;
        return;
    }
    size_blocks(out, out->kv_bytes / model->kv_bytes_per_tok);
}

int64_t tr_memory_together_bytes(const struct tr_memory *m, int pods)
{
    return m->kv_bytes - (pods - 1) * m->weights_bytes;
}
