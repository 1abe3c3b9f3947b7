/* What hardware allows, whatever the software: arithmetic, bandwidth and KV memory against one
 * request's needs. Every bound is an upper bound by itself; docs/plan.md derives them. */
#include "plan/plan.h"

#define MAX_COUNTED 1048576 /* tokens; longer prompts are counted as this long */

static void lengths_add(struct tr_lengths *l, double prompt, double output, bool refused)
{
    double all = prompt + output - 1;
    l->prompt_tok += prompt;
    l->output_tok += output;
    if (refused)
        return;
    l->computed_tok += all;
    l->decoded_tok += output;
    l->context_all += all * (all + 1) / 2;
    l->context_decode += output * prompt + output * (output - 1) / 2;
    l->resident_tok += (prompt + output / 2) * output; /* weighted by time: output steps */
}

/* Counts become cumulative counts, sums become means. */
static void lengths_finish(struct tr_lengths *l, int64_t requests)
{
    double n = (double)TR_MAX(requests, 1);
    l->requests = requests;
    l->resident_tok /= l->decoded_tok > 0 ? l->decoded_tok : 1;
    l->prompt_tok /= n;
    l->output_tok /= n;
    l->computed_tok /= n;
    l->decoded_tok /= n;
    l->context_all /= n;
    l->context_decode /= n;
    for (int32_t i = 1; i < l->n_cum; i++) {
        l->prompt_cum[i] += l->prompt_cum[i - 1];
        l->total_cum[i] += l->total_cum[i - 1];
        l->fresh_cum[i] += l->fresh_cum[i - 1];
    }
}

static void lengths_alloc(struct tr_lengths *l, struct tr_arena *arena, int64_t longest)
{
    l->n_cum = (int32_t)TR_MIN(longest, MAX_COUNTED) + 1;
    l->prompt_cum = TR_ARENA_NEW(arena, int64_t, l->n_cum);
    l->total_cum = TR_ARENA_NEW(arena, int64_t, l->n_cum);
    l->fresh_cum = TR_ARENA_NEW(arena, int64_t, l->n_cum);
}

/* The tokens of a prompt behind what others may share, and the one that is always computed. */
static int32_t fresh_tok(const struct tr_arrival *a)
{
    if (a->chain.n == 0)
        return a->prompt_tok;
    return TR_MAX(a->prompt_tok - tr_chain_runs(&a->chain)[a->chain.n - 1].end_tok, 1);
}

void tr_lengths_measure(struct tr_lengths *l, struct tr_arena *arena, struct tr_source *src,
                        int64_t max_model_len)
{
    struct tr_arrival a;
    int64_t n = 0, longest = 1;
    *l = (struct tr_lengths){0};
    tr_source_rewind(src);
    while (tr_source_next(src, &a))
        longest = TR_MAX(longest, (int64_t)a.prompt_tok + a.output_tok);
    lengths_alloc(l, arena, longest);
    tr_source_rewind(src);
    for (; tr_source_next(src, &a); n++) {
        int64_t total_tok = (int64_t)a.prompt_tok + a.output_tok;
        lengths_add(l, a.prompt_tok, a.output_tok, total_tok > max_model_len);
        l->prompt_cum[TR_MIN(a.prompt_tok, l->n_cum - 1)]++;
        l->fresh_cum[TR_MIN(fresh_tok(&a), l->n_cum - 1)]++;
        l->shares = l->shares || a.chain.n > 0;
        l->total_cum[TR_MIN(total_tok, l->n_cum - 1)]++;
    }
    tr_source_rewind(src);
    lengths_finish(l, n);
}

void tr_lengths_fixed(struct tr_lengths *l, struct tr_arena *arena, int32_t prompt_tok,
                      int32_t output_tok)
{
    *l = (struct tr_lengths){0};
    lengths_alloc(l, arena, (int64_t)prompt_tok + output_tok);
    lengths_add(l, prompt_tok, output_tok, false);
    l->prompt_cum[TR_MIN(prompt_tok, l->n_cum - 1)]++;
    l->fresh_cum[TR_MIN(prompt_tok, l->n_cum - 1)]++;
    l->total_cum[l->n_cum - 1]++;
    lengths_finish(l, 1);
}

double tr_lengths_share(const struct tr_lengths *l, const int64_t *cum, int64_t limit_tok)
{
    if (limit_tok < 0 || l->requests == 0)
        return 0;
    return (double)cum[TR_MIN(limit_tok, l->n_cum - 1)] / (double)l->requests;
}

int32_t tr_lengths_prompt_quantile(const struct tr_lengths *l, double q)
{
    int32_t lo = 0, hi = l->n_cum - 1;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if ((double)l->prompt_cum[mid] >= q * (double)l->requests)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Pods under MPS use the card at once, each what its cap lets it have; those of a ring take turns
 * on all of their part. */
static double together(const struct tr_candidate *c, int p, double fraction)
{
    const struct tr_part *part = &c->arrangement.parts[p];
    return part->sharing == TR_MPS ? TR_MIN(1.0, fraction * part->n_pods) : fraction;
}

double tr_ceiling_bandwidth(const struct tr_candidate *c)
{
    double bw = 0;
    for (int p = 0; p < c->arrangement.n_parts; p++)
        bw += together(c, p, c->hw[p].bw_fraction);
    return c->gpu->bandwidth * bw;
}

/* Little's law with the KV cache full, whatever max_num_seqs is set to: n requests in a pod, each
 * step reading the weights and n contexts, each request staying for its output steps. Pods that
 * share bandwidth, by turns or at once, together do what one would with all of it to itself. */
static double kv_bound(const struct tr_candidate *c, const struct tr_model *model,
                       const struct tr_lengths *l, double weight_read_bytes, double *concurrent)
{
    double rate = 0, context = l->context_decode / l->decoded_tok;
    *concurrent = 0;
    for (int p = 0; p < c->arrangement.n_parts; p++) {
        double n = (double)c->memory[p].kv_tok / l->resident_tok;
        double step_bytes = weight_read_bytes + n * context * (double)model->kv_bytes_per_tok;
        double step_s = step_bytes / (c->gpu->bandwidth * together(c, p, c->hw[p].bw_fraction));
        rate += n / (l->decoded_tok * step_s);
        *concurrent += n * c->arrangement.parts[p].n_pods;
    }
    return rate;
}

double tr_ceiling_peak_flops(const struct tr_candidate *c, double sm_fraction)
{
    bool native = c->gpu->fp8_tensor && c->precision->fp8_native;
    return c->gpu->peak_flops * sm_fraction * (native ? 2.0 : 1.0);
}

void tr_ceiling_compute(struct tr_ceiling *out, const struct tr_candidate *cand,
                        const struct tr_model *model, const struct tr_lengths *l)
{
    const struct tr_precision *pr = cand->precision;
    const struct tr_gpu *gpu = cand->gpu;
    double sm = 0, attained = 0;
    *out = (struct tr_ceiling){0};
    if (l->decoded_tok <= 0)
        return;
    for (int p = 0; p < cand->arrangement.n_parts; p++) {
        double part_sm = together(cand, p, cand->hw[p].sm_fraction);
        sm += part_sm;
        attained += gpu->peak_flops * part_sm * cand->hw[p].ec;
    }
    double layer = 2.0 * (double)model->layer_params, head = 2.0 * (double)model->head_params;
    double attention = 4.0 * model->heads * model->head_dim * model->layers;
    struct tr_ceiling c = {
        .peak_flops = tr_ceiling_peak_flops(cand, sm),
        .flops_per_request =
            layer * l->computed_tok + head * l->decoded_tok + attention * l->context_all,
        .flops_cached =
            layer * l->decoded_tok + head * l->decoded_tok + attention * l->context_decode,
        .kv_read_bytes = l->context_decode * (double)model->kv_bytes_per_tok,
        .weight_read_bytes = (double)model->layer_params * pr->weight_bytes +
                             2.0 * (double)(model->head_params + model->other_params),
    };
    c.arithmetic = c.peak_flops / c.flops_per_request;
    c.arithmetic_cached = c.peak_flops / c.flops_cached;
    attained *= tr_precision_cm(pr, gpu);
    c.arithmetic_attained = attained / c.flops_per_request;
    c.arithmetic_cached_attained = attained / c.flops_cached;
    c.bandwidth = tr_ceiling_bandwidth(cand) / c.kv_read_bytes;
    c.kv_memory = kv_bound(cand, model, l, c.weight_read_bytes, &c.concurrent);
    double memory = TR_MIN(c.bandwidth, c.kv_memory);
    c.lowest = TR_MIN(c.arithmetic, memory);
    c.lowest_cached = TR_MIN(c.arithmetic_cached, memory);
    *out = c;
}
