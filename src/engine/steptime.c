/* The step-time equations of docs/model.md, tabulated. All arithmetic is + - * / and roots made of
 * them, so that a table has the same bits on every machine. */
#include "engine/engine.h"
#include "num/num.h"

#define PS_PER_S 1e12

static int64_t to_ps(double seconds)
{
    return (int64_t)(seconds * PS_PER_S + 0.5);
}

/* The 3-norm of arithmetic time and memory time: between their maximum and their sum, as kernels
 * overlap the two imperfectly. p = 3 by cross-validation on measured GEMMs (docs/model.md). */
double tr_steptime_gemm_s(double flops_per_s, double bytes_per_s, double weight_bytes, double m,
                          double n, double k)
{
    double compute = 2.0 * m * n * k / flops_per_s;
    double memory = (weight_bytes * n * k + 2.0 * (m * k + m * n)) / bytes_per_s;
    return tr_cbrt(compute * compute * compute + memory * memory * memory);
}

struct rates {
    double layer_flops, head_flops; /* attained, 1/s */
    double bytes;                   /* attained, bytes/s */
    double weight_bytes;
    double gemm_s; /* fixed cost of a layer GEMM */
};

static struct rates rates_of(const struct tr_share_hw *hw, const struct tr_precision *precision)
{
    const struct tr_gpu *gpu = hw->gpu;
    double head = hw->ec * gpu->peak_flops * hw->sm_fraction;
    return (struct rates){
        .layer_flops = head * tr_precision_cm(precision, gpu),
        .head_flops = head,
        .bytes = gpu->eb * gpu->bandwidth * hw->bw_fraction,
        .weight_bytes = precision->weight_bytes,
        .gemm_s = gpu->tg_s + tr_precision_tq_s(precision, gpu),
    };
}

/* One layer's work on N tokens, without attention. */
static double layer_s(const struct tr_gpu *gpu, const struct rates *r, const struct tr_model *m,
                      double tokens)
{
    double d = m->hidden, f = m->ffn, h = m->head_dim;
    double q_width = m->heads * h, qkv_width = (m->heads + 2.0 * m->kv_heads) * h;
    double elementwise_bytes =
        2.0 * tokens * (8.0 * d + 3.0 * f + 2.0 * (m->heads + m->kv_heads) * h);
    return tr_steptime_gemm_s(r->layer_flops, r->bytes, r->weight_bytes, tokens, qkv_width, d) +
           tr_steptime_gemm_s(r->layer_flops, r->bytes, r->weight_bytes, tokens, d, q_width) +
           tr_steptime_gemm_s(r->layer_flops, r->bytes, r->weight_bytes, tokens, 2.0 * f, d) +
           tr_steptime_gemm_s(r->layer_flops, r->bytes, r->weight_bytes, tokens, d, f) +
           4.0 * r->gemm_s + elementwise_bytes / r->bytes + gpu->tl_s;
}

/* The terms of the GEMMs above, before their 3-norm, on the whole card: sums over k x n of the
 * layer's four, and over the widths k + n that a token is read and written in. */
static void demand_init(struct tr_steptime *st, const struct tr_share_hw *hw,
                        const struct rates *share, const struct tr_model *m)
{
    double d = m->hidden, f = m->ffn, h = m->head_dim, layers = m->layers;
    double q_width = m->heads * h, qkv_width = (m->heads + 2.0 * m->kv_heads) * h;
    double area = d * qkv_width + q_width * d + 2.0 * f * d + d * f;
    double widths = (d + qkv_width) + (q_width + d) + (d + 2.0 * f) + (f + d);
    double elementwise = 8.0 * d + 3.0 * f + 2.0 * (m->heads + m->kv_heads) * h;
    double head_area = (double)m->vocab * d, bytes_per_s = share->bytes / hw->bw_fraction;
    st->sm_fraction = hw->sm_fraction;
    st->bw_fraction = hw->bw_fraction;
    st->token_arithmetic_s = layers * 2.0 * area * hw->sm_fraction / share->layer_flops;
    st->row_arithmetic_s = 2.0 * head_area * hw->sm_fraction / share->head_flops;
    st->weights_memory_s = (layers * share->weight_bytes * area + 2.0 * head_area) / bytes_per_s;
    st->token_memory_s = layers * 2.0 * (widths + elementwise) / bytes_per_s;
    st->row_memory_s = 2.0 * (d + m->vocab) / bytes_per_s;
}

int tr_steptime_capture_sizes(int max_num_seqs, int *sizes, int max)
{
    int limit = TR_MIN(2 * max_num_seqs, 512), count = 0;
    for (int size = 1; size <= limit;) {
        if (count < max)
            sizes[count] = size;
        count++;
        size += size < 4 ? size : size < 8 ? 4 : size < 256 ? 8 : 16;
    }
    return count;
}

/* The smallest capture size that holds `tokens`. */
static int padded(int tokens)
{
    if (tokens <= 2)
        return tokens;
    if (tokens <= 8)
        return (tokens + 3) / 4 * 4;
    return tokens <= 256 ? (tokens + 7) / 8 * 8 : (tokens + 15) / 16 * 16;
}

static int largest_captured(int max_num_seqs, int max_tok)
{
    int size = TR_MIN(TR_MIN(2 * max_num_seqs, 512), max_tok);
    while (size > 0 && padded(size) != size)
        size--;
    return size;
}

void tr_steptime_init(struct tr_steptime *st, struct tr_arena *arena, const struct tr_share_hw *hw,
                      const struct tr_model *model, const struct tr_precision *precision,
                      int max_num_batched_tokens, int max_num_seqs, bool async, bool pad)
{
    const struct tr_gpu *gpu = hw->gpu;
    struct rates r = rates_of(hw, precision);
    int max_tok = TR_MAX(max_num_batched_tokens, max_num_seqs);
    int64_t *tok_ps = TR_ARENA_NEW(arena, int64_t, max_tok + 1);
    int64_t *row_ps = TR_ARENA_NEW(arena, int64_t, max_num_seqs + 1);
    int capture_max = pad ? largest_captured(max_num_seqs, max_tok) : 0;
    double layers = model->layers, kv_width = 2.0 * model->kv_heads * model->head_dim * 2.0;
    double seq_s = async ? gpu->seq_async_s : TR_SEQ_SYNC_S;

    for (int n = 0; n <= max_tok; n++) {
        int tokens = n <= capture_max ? padded(n) : n;
        tok_ps[n] = to_ps(layers * layer_s(gpu, &r, model, tokens));
    }
    for (int n = 0; n <= max_num_seqs; n++)
        row_ps[n] =
            to_ps(tr_steptime_gemm_s(r.head_flops, r.bytes, 2.0, n, model->vocab, model->hidden) +
                  gpu->tg_s + seq_s * n);
    *st = (struct tr_steptime){
        .max_tok = max_tok,
        .max_rows = max_num_seqs,
        .tok_ps = tok_ps,
        .row_ps = row_ps,
        .ctx_ps = to_ps(layers * kv_width / (gpu->ead * gpu->bandwidth * hw->bw_fraction)),
        .dec_ps = to_ps(layers * model->heads * gpu->ta_s / hw->sm_fraction),
        .host_ps = to_ps(async ? gpu->host_async_s : TR_HOST_SYNC_S),
        .seq_ps = to_ps(seq_s),
        .attn_s = layers * 4.0 * model->heads * model->head_dim /
                  (gpu->eap * gpu->peak_flops * hw->sm_fraction),
        .s0_tok = gpu->s0,
        .async = async,
        .capture_max = capture_max,
    };
    demand_init(st, hw, &r, model);
}

int64_t tr_steptime_chunk_ps(const struct tr_steptime *st, int32_t q, int32_t c)
{
    double pairs = (double)q * c + 0.5 * (double)q * ((double)q + 1.0);
    double keys = (double)q + c;
    return to_ps(st->attn_s * pairs * (keys + st->s0_tok) / keys) + st->ctx_ps * c;
}

int64_t tr_steptime_ps(const struct tr_steptime *st, int32_t tokens, int32_t rows, int32_t decodes,
                       int64_t context_tok, int64_t chunks_ps)
{
    tr_assert(tokens <= st->max_tok && rows <= st->max_rows);
    return st->tok_ps[tokens] + st->row_ps[rows] + st->host_ps + st->dec_ps * decodes +
           st->ctx_ps * context_tok + chunks_ps;
}

struct tr_demand tr_steptime_demand(const struct tr_steptime *st, const struct tr_step *step)
{
    int tokens = step->tokens <= st->capture_max ? padded(step->tokens) : step->tokens;
    int64_t attention_ps = step->chunks_ps - st->ctx_ps * step->chunk_context_tok;
    double gemms_s =
        st->step_arithmetic_s + st->token_arithmetic_s * tokens + st->row_arithmetic_s * step->rows;
    double traffic_s =
        st->weights_memory_s + st->token_memory_s * tokens + st->row_memory_s * step->rows;
    double on_sms_ps = (double)(attention_ps + st->dec_ps * step->decodes);
    double kv_ps = (double)(st->ctx_ps * (step->context_tok + step->chunk_context_tok));
    return (struct tr_demand){
        .arithmetic_ps = (int64_t)(gemms_s * PS_PER_S + on_sms_ps * st->sm_fraction),
        .memory_ps = (int64_t)(traffic_s * PS_PER_S + kv_ps * st->bw_fraction),
    };
}

int64_t tr_steptime_rest_ps(const struct tr_steptime *st, int32_t prompt_tok, int32_t cached_tok,
                            int32_t budget)
{
    int64_t sum = 0;
    for (int32_t done = cached_tok; done < prompt_tok;) {
        int32_t q = TR_MIN(budget, prompt_tok - done);
        int32_t rows = done + q == prompt_tok;
        sum += tr_steptime_ps(st, q, rows, 0, 0, tr_steptime_chunk_ps(st, q, done));
        done += q;
    }
    return sum;
}

int64_t tr_steptime_prefill_ps(const struct tr_steptime *st, int32_t prompt_tok, int32_t budget)
{
    return tr_steptime_rest_ps(st, prompt_tok, 0, budget);
}
