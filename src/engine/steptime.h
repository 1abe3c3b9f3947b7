/* steptime: how long one engine step takes.
 *
 * A step runs prefill chunks (q new tokens on c cached ones) and n decodes whose contexts add up to
 * C tokens. Its duration is affine in C for a fixed batch: a(batch) + b x C with integers a and b
 * in picoseconds, so that the sum over a stretch of steps is exact. The equations and their
 * measured errors are in docs/model.md ("Step time"); in short, per layer: four GEMMs over all N
 * tokens, each the 3-norm of its arithmetic time and its memory time; elementwise kernels;
 * attention of prefill and decode added up; then the output projection over the R rows that are
 * sampled, and the host.
 *
 * A model is made once per (GPU share, model, precision) and is read-only afterwards: threads share
 * it. Everything that costs a division or a root is tabulated by token count.
 */
#ifndef TR_ENGINE_STEPTIME_H
#define TR_ENGINE_STEPTIME_H

#include "base/base.h"
#include "catalog/catalog.h"

struct tr_steptime {
    int max_tok;           /* tables reach this many tokens in a step */
    int max_rows;          /* and this many sampled rows */
    const int64_t *tok_ps; /* [N]: layer GEMMs, elementwise and launches for N tokens, all layers */
    const int64_t *row_ps; /* [R]: output projection, plus host time per sequence x R */
    int64_t ctx_ps;        /* b: one token of KV read, all layers */
    int64_t dec_ps;        /* per decoding sequence, all layers */
    int64_t host_ps;       /* host time per step */
    int64_t seq_ps;        /* host time per sequence: contained in row_ps */
    double attn_s;         /* prefill attention: seconds per (query, key) pair, all layers */
    double s0_tok;         /* its start-up, in tokens */
    /* What a step asks of the whole card, seconds: of its arithmetic whatever it holds (servers),
     * per token and per sampled row; of its memory for the weights, per token and per row. */
    double step_arithmetic_s, token_arithmetic_s, row_arithmetic_s;
    double weights_memory_s, token_memory_s, row_memory_s;
    double sm_fraction, bw_fraction; /* of the share */
    bool async;      /* asynchronous scheduling: host time is part of the step's GPU segment */
    int capture_max; /* CUDA-graph padding up to this many tokens; 0: not padded */
};

/* Host time of the engine when it does not schedule asynchronously: vLLM V1 up to 0.13
 * (docs/model.md). Seconds per step and per sequence. */
#define TR_HOST_SYNC_S 1.0e-3
#define TR_SEQ_SYNC_S  40.0e-6

/* Builds the tables in `arena`. `pad`: round token counts up to CUDA-graph capture sizes. */
void tr_steptime_init(struct tr_steptime *st, struct tr_arena *arena, const struct tr_share_hw *hw,
                      const struct tr_model *model, const struct tr_precision *precision,
                      int max_num_batched_tokens, int max_num_seqs, bool async, bool pad);

/* A simple GPU server: a step of n items takes (batch_ns + n x item_ns) / sm_fraction, times the
 * attained FLOP/s of the GPU that it was measured on over those of this one. All of it counts as
 * arithmetic. */
void tr_steptime_server(struct tr_steptime *st, struct tr_arena *arena,
                        const struct tr_share_hw *hw, const struct tr_server *server);

/* Prefill attention of one chunk: `q` new tokens after `c` cached ones, including reading the
 * cached KV. Independent of the rest of the batch. */
int64_t tr_steptime_chunk_ps(const struct tr_steptime *st, int32_t q, int32_t c);

/* A whole step: `tokens` in all, `rows` sampled, `decodes` of them decoding with contexts that add
 * up to `context_tok`, and `chunks_ps` the sum of tr_steptime_chunk_ps over the prefill chunks. */
int64_t tr_steptime_ps(const struct tr_steptime *st, int32_t tokens, int32_t rows, int32_t decodes,
                       int64_t context_tok, int64_t chunks_ps);

/* What a step asks of the card that it has a share of: for how long its arithmetic would keep all
 * SMs busy, and its traffic the memory, at the rates that are attained. Arithmetic is what gets
 * slower with fewer SMs, memory what gets slower with less bandwidth; launches and host time are
 * neither. Both are at most the step's duration, and at most the share's fraction of it. */
struct tr_demand {
    int64_t arithmetic_ps, memory_ps;
};
struct tr_step;
struct tr_demand tr_steptime_demand(const struct tr_steptime *st, const struct tr_step *step);

/* The time from an idle engine to the first token of a prompt, chunked by `budget`; without API
 * time. The second: where its first `cached_tok` tokens are in the prefix cache. */
int64_t tr_steptime_prefill_ps(const struct tr_steptime *st, int32_t prompt_tok, int32_t budget);
int64_t tr_steptime_rest_ps(const struct tr_steptime *st, int32_t prompt_tok, int32_t cached_tok,
                            int32_t budget);

/* One GEMM of m x k by k x n in seconds: exposed for the tests against measured operators. */
double tr_steptime_gemm_s(double flops_per_s, double bytes_per_s, double weight_bytes, double m,
                          double n, double k);

/* vLLM's CUDA-graph capture sizes for `max_num_seqs`: 1, 2, 4, 8 to 248 by 8, 256 to the maximum by
 * 16. Returns how many; writes at most `max`. */
int tr_steptime_capture_sizes(int max_num_seqs, int *sizes, int max);

#endif
