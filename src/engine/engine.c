/* The scheduler of vLLM V1, with O(1) work per step. docs/engine.md explains the representation;
 * the order of events inside a call follows reference behaviour exactly: running before waiting,
 * preemption from the tail, head-of-line admission, no admission in a call that preempted. */
#include "engine/requests.h"

#include <stdlib.h>

/* ---- leaving -------------------------------------------------------------------------------- */

static bool waits_for_kv(const struct tr_engine *e, const struct request *r)
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
    int64_t solo_ns =
        tr_steptime_prefill_ps(e->cfg.steptime, r->prompt, e->cfg.max_num_batched_tokens) /
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
        return (begun ? r->waited_kv : waits_for_kv(e, r)) ? TR_CAUSE_KV : TR_CAUSE_QUEUE;
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
        .tenant = r->tenant,
        .prompt_tok = r->prompt,
        .output_tok = r->output,
        .preemptions = r->preemptions,
        .status = status,
        .cause = cause,
    };
    e->sink(e->sink_arg, &record);
}

/* Takes a request out of whatever list it is in; its blocks return to the pool. */
static void detach(struct tr_engine *e, uint32_t i)
{
    struct request *r = &e->req[i];
    switch (r->state) {
    case FRESH:
        list_remove(e, &e->fresh, i);
        return;
    case RESUMED:
        list_remove(e, &e->resumed, i);
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
    e->free_blocks += blocks_of(r->computed);
}

static void leave(struct tr_engine *e, uint32_t i, enum tr_status status, int64_t now_ns)
{
    struct request *r = &e->req[i];
    detach(e, i);
    e->held--;
    report(e, r, status, cause_of(e, r, r->first_ns >= 0 ? r->first_ns : now_ns), now_ns);
    if (r->in_flight > 0)
        r->state = GONE;
    else
        pool_give(e, i);
}

static bool timed_out(const struct tr_engine *e, const struct request *r, int64_t now_ns)
{
    return e->cfg.timeout_ns > 0 && r->first_ns < 0 && now_ns - r->arrival_ns > e->cfg.timeout_ns;
}

/* ---- scheduling -------------------------------------------------------------------------------
 */

static void step_event(struct tr_engine *e, struct tr_step *step, uint32_t i, bool first, bool last)
{
    if (step->n_events == step->cap_events) {
        size_t cap = (size_t)step->cap_events;
        tr_grow((void **)&step->events, &cap, cap + 1, sizeof *step->events);
        step->cap_events = (int32_t)cap;
    }
    step->events[step->n_events++] =
        (struct tr_step_event){.request = i, .first = first, .last = last};
    e->req[i].in_flight++;
}

/* Frees everything the victim holds and puts it at the front of the queue. One whose last token is
 * in flight only gives up its blocks: that token is still delivered. */
static void preempt(struct tr_engine *e, uint32_t i)
{
    struct request *r = &e->req[i];
    bool ending = r->state == ENDING;
    detach(e, i);
    r->preemptions++;
    e->stats.preemptions++;
    if (ending) {
        r->state = ENDED;
        return;
    }
    r->state = RESUMED;
    r->known = r->prompt + r->produced;
    r->computed = 0;
    list_prepend(e, &e->resumed, i);
}

/* Will the scheduler learn of r's end only from its last token? A stop token shows itself a step
 * late to an asynchronous engine; the answer's maximal length and the end of the context are known
 * ahead. */
static bool ends_unseen(const struct tr_engine *e, const struct request *r)
{
    return e->cfg.stop_token && e->cfg.async && r->prompt + r->output < e->cfg.max_model_len;
}

/* The last of r's known tokens is in this step: it yields a token. */
static void prefill_done(struct tr_engine *e, struct tr_step *step, uint32_t i)
{
    struct request *r = &e->req[i];
    bool first = r->produced == 0;
    bool last = ++r->produced == r->output;
    step->rows++;
    if (first || last)
        step_event(e, step, i, first, last);
    if (last && !ends_unseen(e, r))
        r->state = ENDING;
    else
        decode_enter(e, i);
}

/* Gives a half-done or newly admitted prefill its next `q` tokens; its blocks are already taken. */
static void prefill_chunk(struct tr_engine *e, struct tr_step *step, uint32_t i, int32_t q)
{
    struct request *r = &e->req[i];
    step->chunks_ps += tr_steptime_chunk_ps(e->cfg.steptime, q, r->computed);
    step->chunk_context_tok += r->computed;
    r->computed += q;
    step->tokens += q;
    step->chunks++;
    e->stats.prefill_tok += q;
    if (r->computed < r->known) {
        e->stats.partial_chunks++;
        return;
    }
    e->n_prefill--;
    prefill_done(e, step, i);
}

static int32_t chunk_of(const struct tr_engine *e, const struct request *r, int32_t budget)
{
    int32_t q = r->known - r->computed, limit = e->cfg.long_prefill_token_threshold;
    if (limit > 0 && q > limit)
        q = limit;
    return TR_MIN(q, budget);
}

/* All decoding requests are given a token. Those that thereby get their last leave the set. */
static void decode_all(struct tr_engine *e, struct tr_step *step)
{
    e->epoch++;
    step->decodes = e->n_decode;
    step->tokens += e->n_decode;
    step->rows += e->n_decode;
    e->context_tok += e->n_decode;
    step->context_tok = e->context_tok;
    e->stats.decode_tok += e->n_decode;
}

static void decode_ends(struct tr_engine *e, struct tr_step *step)
{
    while (e->n_decode > 0 && e->req[e->heap[0]].end_epoch <= e->epoch) {
        uint32_t i = e->heap[0];
        struct request *r = &e->req[i];
        step_event(e, step, i, false, true);
        if (ends_unseen(e, r)) { /* it stays until the update and wastes a row */
            r->end_epoch = INT64_MAX;
            heap_settle(e, 0, i);
            continue;
        }
        decode_leave(e, i);
        r->state = ENDING;
    }
}

/* Phase 1 when blocks may run out or several prefills are half done: the running list in order, as
 * the reference does it. Returns false if something was preempted. The budget reaches everyone: it
 * did in the step before, and nobody wants more than then but the last, whose chunk it cut. */
static bool running_walk(struct tr_engine *e, struct tr_step *step)
{
    int32_t budget = e->cfg.max_num_batched_tokens;
    bool preempted = false, self = false;
    uint32_t i = e->running.head;
    for (; i != NONE; i = e->req[i].next) {
        struct request *r = &e->req[i];
        if (r->state == ENDING)
            continue;
        tr_assert(budget > 0);
        bool decode = r->state == DECODE;
        int32_t have = decode ? decode_computed(e, r) : r->computed;
        int32_t q = decode ? 1 : chunk_of(e, r, budget);
        int32_t need = blocks_of(have + q) - blocks_of(have);
        while (e->free_blocks < need && !self) {
            self = e->running.tail == i;
            preempt(e, e->running.tail);
            preempted = true;
        }
        if (self)
            break;
        e->free_blocks -= need;
        budget -= q;
        r->chunk = decode ? 0 : q;
    }
    decode_all(e, step);
    decode_ends(e, step);
    for (i = e->running.head; i != NONE; i = e->req[i].next) {
        int32_t q = e->req[i].chunk;
        e->req[i].chunk = 0;
        if (q > 0)
            prefill_chunk(e, step, i, q);
    }
    return !preempted;
}

/* Phase 1: running requests. Returns false if something was preempted. */
static bool schedule_running(struct tr_engine *e, struct tr_step *step)
{
    uint32_t tail = e->running.tail;
    bool partial = e->n_prefill == 1 && e->req[tail].state == PREFILL;
    if (e->n_prefill > 0 && !partial)
        return running_walk(e, step);
    int32_t need = e->phase[phase_of(-e->epoch)];
    int32_t q = 0;
    if (partial) {
        struct request *r = &e->req[tail];
        q = chunk_of(e, r, e->cfg.max_num_batched_tokens - e->n_decode);
        need += blocks_of(r->computed + q) - blocks_of(r->computed);
    }
    if (need > e->free_blocks)
        return running_walk(e, step);
    e->free_blocks -= need;
    decode_all(e, step);
    decode_ends(e, step);
    if (q > 0)
        prefill_chunk(e, step, tail, q);
    return true;
}

/* Clients that gave up are gone before the queue is looked at; in FIFO order with one timeout only
 * the head can be due, preempted requests aside (they have had their first token, or stand ahead).
 */
static void drop_timed_out(struct tr_engine *e, int64_t now_ns)
{
    if (e->cfg.timeout_ns == 0)
        return;
    for (uint32_t i = e->resumed.head, next; i != NONE; i = next) {
        next = e->req[i].next;
        if (timed_out(e, &e->req[i], now_ns))
            leave(e, i, TR_TIMEOUT, now_ns);
    }
    while (e->fresh.n > 0 && timed_out(e, &e->req[e->fresh.head], now_ns))
        leave(e, e->fresh.head, TR_TIMEOUT, now_ns);
    for (uint32_t i = e->running.tail; e->n_prefill > 0 && i != NONE;) {
        uint32_t prev = e->req[i].prev;
        if (e->req[i].state == PREFILL && timed_out(e, &e->req[i], now_ns))
            leave(e, i, TR_TIMEOUT, now_ns);
        else if (e->cfg.long_prefill_token_threshold == 0)
            break; /* only the tail can be half done */
        i = prev;
    }
}

/* Phase 2: admission from the head of the queue, which blocks those behind it. */
static void schedule_waiting(struct tr_engine *e, struct tr_step *step, int64_t now_ns)
{
    int32_t budget = e->cfg.max_num_batched_tokens - step->tokens;
    while (budget > 0 && e->resumed.n + e->fresh.n > 0) {
        struct list *queue = e->resumed.n > 0 ? &e->resumed : &e->fresh;
        uint32_t i = queue->head;
        struct request *r = &e->req[i];
        if (e->running.n >= e->cfg.max_num_seqs) {
            e->stats.blocked_seqs++;
            return;
        }
        if (blocks_of(r->known) > e->free_blocks) {
            e->stats.blocked_kv++;
            return;
        }
        int32_t q = chunk_of(e, r, budget);
        list_remove(e, queue, i);
        list_append(e, &e->running, i);
        r->state = PREFILL;
        e->n_prefill++;
        e->free_blocks -= blocks_of(q);
        if (r->scheduled_ns < 0) {
            r->scheduled_ns = now_ns;
            r->waited_kv = waits_for_kv(e, r);
        }
        budget -= q;
        prefill_chunk(e, step, i, q);
    }
}

/* The blocks in use have been so since they last changed. */
static void count_blocks(struct tr_engine *e, int64_t now_ns)
{
    int64_t span_us = (now_ns - e->last_ns) / 1000;
    e->stats.kv_block_us += tr_engine_blocks_used(e) * span_us;
    e->last_ns += span_us * 1000;
}

bool tr_engine_schedule(struct tr_engine *e, int64_t now_ns, struct tr_step *step)
{
    count_blocks(e, now_ns);
    drop_timed_out(e, now_ns);
    step->tokens = step->rows = step->decodes = step->chunks = 0;
    step->context_tok = step->chunks_ps = step->chunk_context_tok = 0;
    step->n_events = 0;
    if (schedule_running(e, step))
        schedule_waiting(e, step, now_ns);
    step->epoch = e->epoch;
    if (step->tokens == 0)
        return false;
    e->stats.steps++;
    e->stats.kv_used_max = TR_MAX(e->stats.kv_used_max, tr_engine_blocks_used(e));
    step->duration_ps = tr_steptime_ps(e->cfg.steptime, step->tokens, step->rows, step->decodes,
                                       step->context_tok, step->chunks_ps);
    return true;
}

/* A client that has gone by now is heard of at the end of the step: aborts come before outputs. */
static void first_token(struct tr_engine *e, uint32_t i, int64_t now_ns)
{
    struct request *r = &e->req[i];
    if (timed_out(e, r, now_ns)) {
        leave(e, i, TR_TIMEOUT, now_ns);
        return;
    }
    r->lost_ps = e->lost_ps - r->lost_ps;
    r->first_ns = now_ns;
}

void tr_engine_update(struct tr_engine *e, int64_t now_ns, struct tr_step *step)
{
    count_blocks(e, now_ns);
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
            leave(e, ev.request, TR_DONE, now_ns);
    }
    step->n_events = 0;
}

/* ---- stretches ------------------------------------------------------------------------------- */

int64_t tr_engine_calm(const struct tr_engine *e)
{
    if (e->n_decode == 0 || e->running.n != e->n_decode || e->fresh.n + e->resumed.n > 0)
        return 0;
    int64_t until_end = e->req[e->heap[0]].end_epoch - 1 - e->epoch;
    /* Each request takes a block in 16 steps: whole rounds that are certain to find theirs. */
    int64_t until_full = ((int64_t)e->free_blocks / e->n_decode - 1) * TR_BLOCK_TOK;
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
    for (int64_t j = 0; j < n % TR_BLOCK_TOK; j++)
        blocks += e->phase[phase_of(-(e->epoch + j))];
    e->stats.kv_block_us +=
        (2 * tr_engine_blocks_used(e) + blocks) * ((now_ns - e->last_ns) / 1000) / 2;
    e->last_ns = now_ns;
    e->free_blocks -= blocks;
    e->stats.kv_used_max = TR_MAX(e->stats.kv_used_max, tr_engine_blocks_used(e));
    e->epoch += n;
    e->context_tok += n * e->n_decode;
    e->stats.decode_tok += n * e->n_decode;
    e->stats.steps += n;
    for (int i = 0; i < n_in_flight; i++) {
        in_flight[i].epoch += n;
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
    return e;
}

void tr_engine_free(struct tr_engine *e)
{
    if (e == NULL)
        return;
    free(e->req);
    free(e->heap);
    free(e);
}

static void refuse(struct tr_engine *e, const struct request *r, enum tr_cause cause,
                   int64_t now_ns)
{
    report(e, r, TR_REJECTED, cause, now_ns);
}

void tr_engine_add(struct tr_engine *e, const struct tr_engine_request *q, int64_t now_ns)
{
    struct request request = {
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
        .tenant = q->tenant,
        .state = FRESH,
    };
    if ((int64_t)q->prompt_tok + q->output_tok > e->cfg.max_model_len) {
        refuse(e, &request, TR_CAUSE_TOO_LONG, now_ns);
        return;
    }
    if (e->cfg.queue_limit > 0 && e->held + 1 > e->cfg.queue_limit) {
        refuse(e, &request, TR_CAUSE_REFUSED, now_ns);
        return;
    }
    uint32_t i = pool_take(e);
    e->req[i] = request;
    e->held++;
    list_append(e, &e->fresh, i);
}

bool tr_engine_abort(struct tr_engine *e, int64_t id, int64_t now_ns)
{
    count_blocks(e, now_ns);
    for (size_t i = 0; i < e->cap; i++) {
        struct request *r = &e->req[i];
        if (r->id != id || r->state == FREE || r->state == GONE)
            continue;
        leave(e, (uint32_t)i, TR_ABORTED, now_ns);
        return true;
    }
    return false;
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

int64_t tr_engine_waiting_since(const struct tr_engine *e, int64_t arrival_ns, int64_t min_id)
{
    int64_t n = 0;
    for (uint32_t i = e->fresh.head; i != NONE && e->req[i].arrival_ns < arrival_ns;
         i = e->req[i].next)
        n += e->req[i].id >= min_id;
    return n;
}

const struct tr_engine_stats *tr_engine_stats(const struct tr_engine *e)
{
    return &e->stats;
}
