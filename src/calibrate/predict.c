/* predict: what the model says of a measurement. Every time comes from the functions that the
 * simulator itself uses. */
#include "calibrate/calibrate.h"

#include "engine/steptime.h"
#include "share/ring.h"

#include <stdlib.h>

/* Host time of vLLM V0 in 2024, per step and per sequence (docs/model.md, "Error"): no GPU's. */
#define V0_HOST_S 1.6e-3
#define V0_SEQ_S  50e-6

#define SHARED_WARM_UP 4 /* steps beside other contexts before those that are averaged */
#define SHARED_STEPS   32

enum tr_fit_stage tr_measurement_stage(const struct tr_measurement *m)
{
    if (m->what >= TR_MEASURED_TURN)
        return TR_FIT_STAGE_TIMESLICE;
    return m->precision == 0 ? TR_FIT_STAGE_16BIT : TR_FIT_STAGE_QUANTISED;
}

/* ---- GEMMs ----------------------------------------------------------------------------------- */

static double rate_of(const struct tr_measurement *m, const struct tr_fit_values *t)
{
    return t->gpu.ec * t->gpu.peak_flops * tr_precision_cm(&t->precisions[m->precision], &t->gpu);
}

static double gemm_s(const struct tr_measurement *m, const struct tr_fit_values *t)
{
    const struct tr_precision *p = &t->precisions[m->precision];
    double s = 0, fixed = t->gpu.tg_s + tr_precision_tq_s(p, &t->gpu);
    for (int i = 0; i < m->gemm.n; i++)
        s +=
            fixed + tr_steptime_gemm_s(rate_of(m, t), t->gpu.eb * t->gpu.bandwidth, p->weight_bytes,
                                       m->gemm.m, m->gemm.cols[i], m->gemm.inner[i]);
    return s;
}

/* With bandwidth without end there is arithmetic alone, and the other way round. */
bool tr_measurement_compute_bound(const struct tr_measurement *m, const struct tr_fit_values *t)
{
    double w = t->precisions[m->precision].weight_bytes, endless = 1e30;
    double compute =
        tr_steptime_gemm_s(rate_of(m, t), endless, w, m->gemm.m, m->gemm.cols[0], m->gemm.inner[0]);
    double memory = tr_steptime_gemm_s(endless, t->gpu.eb * t->gpu.bandwidth, w, m->gemm.m,
                                       m->gemm.cols[0], m->gemm.inner[0]);
    return compute > memory;
}

/* ---- runs and steps -------------------------------------------------------------------------- */

/* vLLM V0 prefilled whole prompts, as many as its token budget holds, before anything decoded. */
static double run_s(const struct tr_measurement *m, const struct tr_steptime *st)
{
    int per_step = TR_MAX(st->max_tok / m->in, 1);
    int64_t ps = 0;
    for (int done = 0; done < m->batch; done += per_step) {
        int n = TR_MIN(per_step, m->batch - done);
        ps += tr_steptime_ps(st, n * m->in, n, 0, 0, n * tr_steptime_chunk_ps(st, m->in, 0));
    }
    for (int k = 1; k < m->out; k++)
        ps += tr_steptime_ps(st, m->batch, m->batch, m->batch, (int64_t)m->batch * (m->in + k), 0);
    return (double)ps / 1e12;
}

static double step_s(const struct tr_measurement *m, const struct tr_steptime *st)
{
    int64_t chunks_ps = 0;
    for (int i = 0; i < m->n_chunks; i++)
        chunks_ps += tr_steptime_chunk_ps(st, m->chunks[i][0], m->chunks[i][1]);
    return (double)tr_steptime_ps(st, m->tokens, m->rows, m->decodes, m->context_tok, chunks_ps) /
           1e12;
}

/* ---- beside others --------------------------------------------------------------------------- */

/* Every context posts the same work again and again, `ahead` pieces at a time; how long a step of
 * the first takes on average, from one end to the next, without the pause between steps. */
static double shared_s(const struct tr_fit_values *t, const struct tr_work *work, int contexts,
                       int ahead)
{
    struct tr_ring ring;
    int64_t end_ns, lost_ps, begin_ns = 0;
    int ctx, done = 0;
    tr_ring_init(&ring, contexts, (int64_t)(t->gpu.quantum_s * 1e12 + 0.5),
                 (int64_t)(t->gpu.switch_s * 1e12 + 0.5));
    for (int i = 0; i < contexts * ahead; i++)
        tr_ring_post(&ring, i % contexts, 0, work);
    while (done < SHARED_WARM_UP + SHARED_STEPS) {
        tr_assert(tr_ring_advance(&ring, INT64_MAX / 4, &ctx, &end_ns, &lost_ps));
        tr_ring_post(&ring, ctx, end_ns, work);
        if (ctx == 0 && ++done == SHARED_WARM_UP)
            begin_ns = end_ns;
    }
    return (double)(end_ns - begin_ns) / 1e9 / SHARED_STEPS - (double)work->delay_ps / 1e12;
}

static double beside_s(const struct tr_measurement *m, const struct tr_fit_values *t,
                       const struct tr_steptime *st)
{
    bool async = st != NULL && st->async;
    double alone_s = st != NULL ? step_s(m, st) : m->alone_s;
    struct tr_work work = {.gpu_ps = (int64_t)(alone_s * 1e12 + 0.5),
                           .delay_ps = (int64_t)(m->delay_s * 1e12 + 0.5),
                           .gaps = m->gaps,
                           .gap_ps = (int64_t)(m->gap_s * 1e12 + 0.5)};
    return shared_s(t, &work, m->contexts, async ? 2 : 1);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void make_steptime(const struct tr_fit_shape *shape, const struct tr_fit_values *t,
                          struct tr_arena *arena, struct tr_steptime *st)
{
    struct tr_gpu gpu = t->gpu;
    struct tr_share_hw hw = tr_share_hw_of(&gpu, &(struct tr_part){.n_pods = 1});
    if (shape->host == TR_FIT_HOST_V0) {
        gpu.host_async_s = V0_HOST_S;
        gpu.seq_async_s = V0_SEQ_S;
    }
    tr_steptime_init(st, arena, &hw, &shape->model, &t->precisions[shape->precision],
                     shape->max_tok, shape->max_rows, shape->host != TR_FIT_HOST_SYNC, false);
}

static double predict(const struct tr_measurement *m, const struct tr_fit_values *t,
                      const struct tr_steptime *st)
{
    switch (m->what) {
    case TR_MEASURED_GEMM:
        return gemm_s(m, t);
    case TR_MEASURED_PREFILL:
        return m->batch * (double)tr_steptime_chunk_ps(st, m->in, m->out) / 1e12 /
               TR_ATTENTION_LAYERS;
    case TR_MEASURED_DECODE:
        return m->batch * (double)(st->ctx_ps * m->out + st->dec_ps) / 1e12 / TR_ATTENTION_LAYERS;
    case TR_MEASURED_RUN:
        return run_s(m, st);
    case TR_MEASURED_STEP:
        return step_s(m, st);
    case TR_MEASURED_TURN:
        return t->gpu.quantum_s;
    case TR_MEASURED_SWITCH:
        return t->gpu.switch_s;
    case TR_MEASURED_SHARED:
        return beside_s(m, t, st);
    }
    return 0;
}

void tr_calibrate_predict(const struct tr_calibration *c, const struct tr_fit_values *trial,
                          const bool *use, double *seconds)
{
    struct tr_arena arena = {0};
    struct tr_steptime *st = TR_ARENA_NEW(&arena, struct tr_steptime, c->n_shapes + 1);
    for (size_t i = 0; i < c->n; i++) {
        const struct tr_measurement *m = &c->m[i];
        struct tr_steptime *mine = m->shape >= 0 ? &st[m->shape] : NULL;
        if (!use[i])
            continue;
        if (mine != NULL && mine->tok_ps == NULL)
            make_steptime(&c->shapes[m->shape], trial, &arena, mine);
        seconds[i] = predict(m, trial, mine);
    }
    tr_arena_free(&arena);
}
