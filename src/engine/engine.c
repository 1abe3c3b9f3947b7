/* The life of an engine and of its requests: how they come and leave, what a finished step means,
 * and stretches of steps. docs/engine.md explains the representation; schedule.c decides what a
 * step does. */
#include "engine/inner.h"
#include "engine/reuse.h"

#include <stdlib.h>

/* ---- leaving -------------------------------------------------------------------------------- */

bool engine_waits_for_kv(const struct tr_engine *e, const struct request *r)
{
    int64_t blocked = e->stats.blocked_kv - r->kv_mark;
    return blocked > 0 && 2 * blocked >= e->stats.steps - r->step_mark;
}

/* What took the time until `end_ns`, the first token or the moment it was given up. Only asked for
 * requests beyond the objective, as it costs as much as a few steps. A client that gave up before
 * the objective was missed had an objective of its own. */
static enum tr_cause cause_of(const struct tr_engine *e, const struct request *r, int64_t end_ns)
{
    int64_t limit_ns = e->cfg.ttft_limit_ns;
    if (r->first_ns < 0 && e->cfg.timeout_ns > 0 && (limit_ns == 0 || e->cfg.timeout_ns < limit_ns))
        limit_ns = e->cfg.timeout_ns;
    if (limit_ns == 0 || end_ns - r->arrival_ns <= limit_ns)
        return TR_CAUSE_NONE;
    int64_t solo_ns = tr_steptime_rest_ps(e->cfg.steptime, r->prompt, r->cached_tok,
                                          e->cfg.max_num_batched_tokens) /
                      TR_PS_PER_NS;
    if (r->reach_ns - r->arrival_ns + solo_ns > limit_ns)
        return TR_CAUSE_PREFILL;
    bool begun = r->scheduled_ns >= 0;
    int64_t extra_ns = end_ns - r->reach_ns - solo_ns;
    int64_t lost_ps = r->first_ns >= 0 ? r->lost_ps : e->lost_ps - r->lost_ps;
    int64_t queue_ns = (begun ? r->scheduled_ns : end_ns) - r->reach_ns;
    if (lost_ps / TR_PS_PER_NS > extra_ns / 2)
        return TR_CAUSE_NEIGHBOUR;
    if (queue_ns > extra_ns / 2)
        return (begun ? r->waited_kv : engine_waits_for_kv(e, r)) ? TR_CAUSE_KV : TR_CAUSE_QUEUE;
    return TR_CAUSE_BATCH;
}

static void report(struct tr_engine *e, const struct request *r, enum tr_status status,
                   enum tr_cause cause, int64_t now_ns)
{
    struct tr_record record = {
        .id = r->id,
        .arrival_ns = r->arrival_ns,
        .sent_ns = r->arrival_ns,
        .scheduled_ns = r->scheduled_ns,
        .first_token_ns = r->first_ns,
        .last_token_ns = status == TR_DONE ? now_ns : -1,
        .pod = e->cfg.pod,
        .workload = r->workload,
        .tenant = r->tenant,
        .priority = r->priority,
        .prompt_tok = r->prompt,
        .cached_tok = r->cached_tok,
        .output_tok = r->output,
        .preemptions = r->preemptions,
        .status = status,
        .cause = cause,
        .lost_ns = r->first_ns >= 0 ? (e->lost_ps - r->lost_mark_ps) / TR_PS_PER_NS : 0,
    };
    e->sink(e->sink_arg, &record);
}

/* Takes a request out of whatever list it is in; its blocks return to the pool. The block that its
 * last token's step filled is published with that token. */
void engine_detach(struct tr_engine *e, uint32_t i, enum leaving how)
{
    struct request *r = &e->req[i];
    switch (r->state) {
    case FRESH:
    case RESUMED:
        list_remove(e, r->state == FRESH ? &e->fresh : &e->resumed, i);
        queue_remove(e, i);
        return;
    case DECODE:
        decode_leave(e, i);
        break;
    case PREFILL:
        e->n_prefill--;
        break;
    case ENDING:
        break;
    default:
        return;
    }
    list_remove(e, &e->running, i);
    int32_t blocks =
        r->state == PREFILL ? r->computed / TR_BLOCK_TOK : published(e, r, r->computed);
    if (how == DONE)
        blocks = (r->prompt + r->output - 1) / TR_BLOCK_TOK;
    reuse_free(e, i, blocks, how == AGAIN);
}

void engine_leave(struct tr_engine *e, uint32_t i, enum tr_status status, int64_t now_ns)
{
    struct request *r = &e->req[i];
    engine_detach(e, i, status == TR_DONE ? DONE : GIVEN_UP);
    e->held--;
    report(e, r, status, cause_of(e, r, r->first_ns >= 0 ? r->first_ns : now_ns), now_ns);
    if (r->in_flight > 0)
        r->state = GONE;
    else
        pool_give(e, i);
}

bool engine_timed_out(const struct tr_engine *e, const struct request *r, int64_t now_ns)
{
    return e->cfg.timeout_ns > 0 && r->first_ns < 0 && now_ns - r->arrival_ns > e->cfg.timeout_ns;
}

/* A client that has gone by now is heard of at the end of the step: aborts come before outputs. */
static void first_token(struct tr_engine *e, uint32_t i, int64_t now_ns)
{
    struct request *r = &e->req[i];
    if (engine_timed_out(e, r, now_ns)) {
        engine_leave(e, i, TR_TIMEOUT, now_ns);
        return;
    }
    r->lost_ps = e->lost_ps - r->lost_ps;
    r->lost_mark_ps = e->lost_ps;
    r->first_ns = now_ns;
}

void tr_engine_update(struct tr_engine *e, int64_t now_ns, struct tr_step *step)
{
    engine_count_blocks(e, now_ns);
    e->updates++;
    for (int32_t k = 0; k < step->n_events; k++) {
        struct tr_step_event ev = step->events[k];
        struct request *r = &e->req[ev.request];
        r->in_flight--;
        if (r->state == GONE) {
            if (r->in_flight == 0)
                pool_give(e, ev.request);
            continue;
        }
        if (ev.first)
            first_token(e, ev.request, now_ns);
        if (ev.last && r->first_ns >= 0)
            engine_leave(e, ev.request, TR_DONE, now_ns);
    }
    step->n_events = 0;
}

/* ---- stretches ------------------------------------------------------------------------------- */

int64_t tr_engine_calm(const struct tr_engine *e)
{
    if (e->n_decode == 0 || e->running.n != e->n_decode || e->fresh.n + e->resumed.n > 0)
        return 0;
    int64_t until_end = e->heap[0].epoch - 1 - e->epoch;
    /* Each request takes a block in 16 steps: whole rounds that are certain to find theirs. */
    int64_t until_full = (int64_t)(e->free_blocks / e->n_decode - 1) * TR_BLOCK_TOK;
    return TR_MAX(TR_MIN(until_end, until_full), 0);
}

int64_t tr_engine_step_growth_ps(const struct tr_engine *e)
{
    return e->cfg.steptime->ctx_ps * e->n_decode;
}

void tr_engine_skip(struct tr_engine *e, int64_t n, int64_t now_ns, struct tr_step *in_flight,
                    int n_in_flight)
{
    int32_t blocks = (int32_t)(n / TR_BLOCK_TOK) * e->n_decode;
    int next = phase_of(-e->epoch), rest = (int)(n % TR_BLOCK_TOK);
    for (int i = 0; i < TR_BLOCK_TOK; i++) /* who needs one in the `rest` steps from `next` down */
        blocks += ((next - i) & (TR_BLOCK_TOK - 1)) < rest ? e->phase[i] : 0;
    e->stats.kv_block_us +=
        (2 * tr_engine_blocks_used(e) + blocks) * ((now_ns - e->last_ns) / 1000) / 2;
    e->last_ns = now_ns;
    blocks_take(e, blocks);
    e->stats.kv_used_max = TR_MAX(e->stats.kv_used_max, tr_engine_blocks_used(e));
    e->epoch += n;
    e->context_tok += n * e->n_decode;
    e->stats.decode_tok += n * e->n_decode;
    e->stats.steps += n;
    for (int i = 0; i < n_in_flight; i++) {
        in_flight[i].context_tok += n * e->n_decode;
        in_flight[i].duration_ps += n * tr_engine_step_growth_ps(e);
    }
}

void tr_step_free(struct tr_step *step)
{
    free(step->events);
    *step = (struct tr_step){0};
}

/* ---- the rest of the interface ------------------------------------------------------------- */

struct tr_engine *tr_engine_new(const struct tr_engine_config *config, tr_engine_sink *sink,
                                void *sink_arg)
{
    struct tr_engine *e = tr_calloc(1, sizeof *e);
    tr_assert(config->max_num_seqs <= config->max_num_batched_tokens);
    tr_assert(config->num_gpu_blocks >= blocks_of(config->max_model_len));
    e->cfg = *config;
    e->sink = sink;
    e->sink_arg = sink_arg;
    e->free_head = NONE;
    e->fresh = e->resumed = e->running = (struct list){NONE, NONE, 0};
    e->heap = tr_calloc((size_t)config->max_num_seqs, sizeof *e->heap);
    e->free_blocks = config->num_gpu_blocks;
    e->turn = TR_TIME_NEVER;
    prefix_init(&e->prefix);
    return e;
}

void tr_engine_free(struct tr_engine *e)
{
    if (e == NULL)
        return;
    prefix_free(&e->prefix);
    free(e->req);
    free(e->heap);
    free(e->queue);
    free(e);
}

static void request_init(struct request *r, const struct tr_engine *e,
                         const struct tr_engine_request *q, int64_t now_ns)
{
    *r = (struct request){
        .id = q->id,
        .arrival_ns = q->arrival_ns,
        .reach_ns = now_ns,
        .scheduled_ns = -1,
        .first_ns = -1,
        .lost_ps = e->lost_ps,
        .step_mark = e->stats.steps,
        .kv_mark = e->stats.blocked_kv,
        .prompt = q->prompt_tok,
        .output = q->output_tok,
        .known = q->prompt_tok,
        .workload = q->workload,
        .tenant = q->tenant,
        .priority = q->priority,
        .pieces = NONE,
        .grow_entry = NONE,
        .state = FRESH,
    };
    if (e->cfg.enable_prefix_caching)
        r->chain = q->chain;
}

void tr_engine_add(struct tr_engine *e, const struct tr_engine_request *q, int64_t now_ns)
{
    bool too_long = (int64_t)q->prompt_tok + q->output_tok > e->cfg.max_model_len;
    if (too_long || (e->cfg.queue_limit > 0 && e->held + 1 > e->cfg.queue_limit)) {
        struct request r;
        request_init(&r, e, q, now_ns);
        report(e, &r, TR_REJECTED, too_long ? TR_CAUSE_TOO_LONG : TR_CAUSE_REFUSED, now_ns);
        return;
    }
    uint32_t i = pool_take(e);
    request_init(&e->req[i], e, q, now_ns);
    e->held++;
    list_append(e, &e->fresh, i);
    queue_add(e, i);
}

bool tr_engine_abort(struct tr_engine *e, int64_t id, int64_t now_ns)
{
    engine_count_blocks(e, now_ns);
    for (size_t i = 0; i < e->cap; i++) {
        struct request *r = &e->req[i];
        if (r->id != id || r->state == FREE || r->state == GONE)
            continue;
        engine_leave(e, (uint32_t)i, TR_ABORTED, now_ns);
        return true;
    }
    return false;
}

void tr_engine_restart(struct tr_engine *e, int64_t now_ns)
{
    engine_count_blocks(e, now_ns);
    for (size_t i = 0; i < e->cap; i++)
        if (e->req[i].state != FREE && e->req[i].state != GONE)
            engine_leave(e, (uint32_t)i, TR_ABORTED, now_ns);
    tr_debug_assert(e->held == 0 && e->free_blocks == e->cfg.num_gpu_blocks);
    prefix_free(&e->prefix);
    prefix_init(&e->prefix);
}

void tr_engine_lost(struct tr_engine *e, int64_t ps)
{
    e->lost_ps += ps;
}

int32_t tr_engine_waiting(const struct tr_engine *e)
{
    return e->fresh.n + e->resumed.n;
}

int32_t tr_engine_running(const struct tr_engine *e)
{
    return e->running.n;
}

int32_t tr_engine_blocks_used(const struct tr_engine *e)
{
    return e->cfg.num_gpu_blocks - e->free_blocks;
}

int64_t tr_engine_waiting_since(const struct tr_engine *e, int32_t workload, int64_t arrival_ns,
                                int64_t min_id)
{
    int64_t n = 0;
    for (uint32_t i = e->fresh.head; i != NONE && e->req[i].arrival_ns < arrival_ns;
         i = e->req[i].next)
        n += e->req[i].id >= min_id && e->req[i].workload == workload;
    return n;
}

const struct tr_engine_stats *tr_engine_stats(const struct tr_engine *e)
{
    return &e->stats;
}
