/* What a step does: the scheduler of vLLM V1, with O(1) work per step. The order of events inside a
 * call follows reference behaviour exactly: running before waiting, preemption from the tail,
 * head-of-line admission, no admission in a call that preempted. */
#include "engine/inner.h"
#include "engine/reuse.h"

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
    engine_detach(e, i, ending ? GIVEN_UP : AGAIN);
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
    queue_add(e, i);
}

/* Under "priority" a victim may have been given tokens in this very call: it has taken the blocks
 * for them, and published those that they fill, but will not compute them. */
static void unschedule(struct tr_engine *e, uint32_t i, int32_t q)
{
    struct request *r = &e->req[i];
    if (r->state == PREFILL) {
        r->computed += q;
        r->chunk = 0;
        preempt(e, i);
        return;
    }
    int32_t produced = TR_MIN(decode_computed(e, r) + 1 - r->prompt, r->output);
    if (r->grow_entry != NONE)
        reuse_grown(e, i);
    e->phase[phase_of(r->base)]--;
    r->base++;
    e->phase[phase_of(r->base)]++;
    e->context_tok++;
    preempt(e, i);
    r->produced = produced;
    r->known = r->prompt + produced;
}

/* Who makes room: the last admitted, under "priority" the one that would go last. */
static uint32_t victim(const struct tr_engine *e)
{
    uint32_t worst = e->running.tail;
    if (e->cfg.priority)
        for (uint32_t i = e->running.head; i != NONE; i = e->req[i].next)
            if (goes_before(&e->req[worst], &e->req[i]))
                worst = i;
    return worst;
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
    if (r->chain.n > 0 || r->own_key)
        reuse_publish(e, i, r->computed / TR_BLOCK_TOK);
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

/* All decoding requests are given a token, but for `idle` of them that have been held back, with so
 * many tokens of context. Those that thereby get their last leave the set. */
static void decode_all(struct tr_engine *e, struct tr_step *step, int32_t idle, int64_t idle_tok)
{
    int32_t n = e->n_decode - idle;
    e->epoch++;
    step->decodes = n;
    step->tokens += n;
    step->rows += n;
    e->context_tok += e->n_decode;
    step->context_tok = e->context_tok - idle_tok;
    e->stats.decode_tok += n;
}

/* A decoding request whose turn does not come in this step: the epoch goes on without it. */
static void hold_back(struct tr_engine *e, uint32_t i)
{
    struct request *r = &e->req[i];
    if (r->grow_entry != NONE)
        reuse_catch_up(e, i); /* by the epochs as they were */
    r->early_tok = decode_computed(e, r) + 1;
    r->early = e->updates + 1;
    e->phase[phase_of(r->base)]--;
    e->phase[phase_of(--r->base)]++;
    e->context_tok--;
    if (r->end_epoch != INT64_MAX)
        r->end_epoch++;
    heap_settle(e, r->heap, end_of(e, i));
}

static void decode_ends(struct tr_engine *e, struct tr_step *step)
{
    while (e->n_decode > 0 && e->heap[0].epoch <= e->epoch) {
        uint32_t i = e->heap[0].i;
        struct request *r = &e->req[i];
        step_event(e, step, i, false, true);
        if (ends_unseen(e, r)) { /* it stays until the update and wastes a row */
            r->end_epoch = INT64_MAX;
            heap_settle(e, 0, end_of(e, i));
            continue;
        }
        decode_leave(e, i);
        r->state = ENDING;
    }
}

/* Frees blocks until there are `need` for request `i`, whose turn it is in the running list; false
 * when that took the blocks of `i` itself. Adds to *budget what is taken back. */
static bool make_room(struct tr_engine *e, uint32_t i, int32_t need, int32_t *budget)
{
    while (e->free_blocks < need) {
        uint32_t v = victim(e);
        struct request *r = &e->req[v];
        if (r->seq < e->req[i].seq && r->state != ENDING) {
            int32_t q = r->state == DECODE ? 1 : r->chunk;
            *budget += q;
            unschedule(e, v, q);
        } else {
            preempt(e, v);
        }
        if (v == i)
            return false;
    }
    return true;
}

/* What the step yields, in the order of the running list. */
static void sort_events(const struct tr_engine *e, struct tr_step *step)
{
    for (int32_t k = 1; k < step->n_events; k++) {
        struct tr_step_event ev = step->events[k];
        int32_t at = k;
        for (; at > 0 && e->req[step->events[at - 1].request].seq > e->req[ev.request].seq; at--)
            step->events[at] = step->events[at - 1];
        step->events[at] = ev;
    }
}

/* Phase 1 when blocks may run out or several prefills are half done: the running list in order, as
 * the reference does it. Returns false if something was preempted. The budget reaches everyone: it
 * did in the step before, and nobody wants more than then but the last, whose chunk it cut. */
static bool running_walk(struct tr_engine *e, struct tr_step *step)
{
    int32_t budget = e->cfg.max_num_batched_tokens;
    int64_t preemptions = e->stats.preemptions, idle_tok = 0;
    int32_t idle = 0;
    uint32_t i = e->running.head;
    e->turn_epoch = e->epoch;
    for (; i != NONE; i = e->req[i].next) {
        struct request *r = &e->req[i];
        if (r->state == ENDING)
            continue;
        tr_assert(budget > 0);
        bool decode = r->state == DECODE;
        int32_t have = decode ? decode_computed(e, r) : r->computed;
        int32_t q = decode ? 1 : chunk_of(e, r, budget);
        int32_t need = blocks_of(have + q) - blocks_of(have);
        e->turn = r->seq;
        if (!make_room(e, i, need, &budget))
            break;
        blocks_take(e, need);
        budget -= q;
        r->chunk = decode ? 0 : q;
        if (!decode && (r->chain.n > 0 || r->own_key))
            reuse_publish(e, i, (r->computed + q) / TR_BLOCK_TOK);
    }
    int64_t turn = i == NONE ? TR_TIME_NEVER : e->turn; /* the last to have had one */
    for (i = e->running.head; i != NONE; i = e->req[i].next) {
        if (e->req[i].seq < turn || e->req[i].state != DECODE)
            continue;
        idle++;
        idle_tok += decode_computed(e, &e->req[i]);
        hold_back(e, i);
    }
    decode_all(e, step, idle, idle_tok);
    for (i = e->running.head; i != NONE; i = e->req[i].next) {
        int32_t q = e->req[i].chunk;
        e->req[i].chunk = 0;
        e->turn = e->req[i].seq;
        if (q > 0)
            prefill_chunk(e, step, i, q);
    }
    e->turn = TR_TIME_NEVER;
    decode_ends(e, step);
    sort_events(e, step);
    return e->stats.preemptions == preemptions;
}

/* All decoding requests get their token, and `need` blocks are there. */
static void schedule_decodes(struct tr_engine *e, struct tr_step *step, int32_t need)
{
    if (need > 0)
        blocks_take(e, need);
    decode_all(e, step, 0, 0);
    decode_ends(e, step);
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
    schedule_decodes(e, step, need);
    if (q > 0)
        prefill_chunk(e, step, tail, q);
    return true;
}

/* Of the half-done prompts whose clients gave up the one that came first. Without a threshold only
 * the tail can be half done. */
static uint32_t half_done_timed_out(const struct tr_engine *e, int64_t now_ns)
{
    uint32_t first = NONE;
    for (uint32_t i = e->running.tail; e->n_prefill > 0 && i != NONE; i = e->req[i].prev) {
        const struct request *r = &e->req[i];
        if (r->state == PREFILL && engine_timed_out(e, r, now_ns) &&
            (first == NONE || r->id < e->req[first].id))
            first = i;
        if (e->cfg.long_prefill_token_threshold == 0)
            break;
    }
    return first;
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
        if (engine_timed_out(e, &e->req[i], now_ns))
            engine_leave(e, i, TR_TIMEOUT, now_ns);
    }
    while (e->fresh.n > 0 && engine_timed_out(e, &e->req[e->fresh.head], now_ns))
        engine_leave(e, e->fresh.head, TR_TIMEOUT, now_ns);
    uint32_t i;
    while ((i = half_done_timed_out(e, now_ns)) != NONE)
        engine_leave(e, i, TR_TIMEOUT, now_ns);
}

/* The head of the queue begins to run, with `hit` blocks from the prefix cache, `idle` of them so
 * far free. */
static void admit(struct tr_engine *e, uint32_t i, int32_t hit, int32_t idle, int64_t now_ns)
{
    struct request *r = &e->req[i];
    list_remove(e, r->state == FRESH ? &e->fresh : &e->resumed, i);
    queue_remove(e, i);
    list_append(e, &e->running, i);
    r->state = PREFILL;
    r->seq = e->admitted++;
    e->n_prefill++;
    if (hit > 0)
        reuse_hold(e, i, hit);
    e->free_blocks -= idle;
    r->computed = hit * TR_BLOCK_TOK;
    if (r->scheduled_ns >= 0)
        return;
    r->scheduled_ns = now_ns;
    r->waited_kv = engine_waits_for_kv(e, r);
    r->cached_tok = r->computed;
    e->stats.prefix_queries_tok += e->cfg.enable_prefix_caching ? r->known : 0;
    e->stats.prefix_hits_tok += r->computed;
}

/* Phase 2: admission from the head of the queue, which blocks those behind it. */
static void schedule_waiting(struct tr_engine *e, struct tr_step *step, int64_t now_ns)
{
    int32_t budget = e->cfg.max_num_batched_tokens - step->tokens;
    while (budget > 0 && e->resumed.n + e->fresh.n > 0) {
        uint32_t i = queue_head(e);
        struct request *r = &e->req[i];
        int32_t hit = 0, idle = 0;
        if (e->running.n >= e->cfg.max_num_seqs) {
            e->stats.blocked_seqs++;
            return;
        }
        if (r->chain.n > 0 || r->own_key)
            hit = reuse_find(e, i, &idle);
        if (blocks_of(r->known) - hit + idle > e->free_blocks) {
            e->stats.blocked_kv++;
            return;
        }
        admit(e, i, hit, idle, now_ns);
        int32_t q = chunk_of(e, r, budget);
        blocks_take(e, blocks_of(r->computed + q) - hit);
        budget -= q;
        prefill_chunk(e, step, i, q);
    }
}

static void schedule_done(struct tr_engine *e, struct tr_step *step)
{
    e->stats.steps++;
    e->stats.kv_used_max = TR_MAX(e->stats.kv_used_max, tr_engine_blocks_used(e));
    step->duration_ps = tr_steptime_ps(e->cfg.steptime, step->tokens, step->rows, step->decodes,
                                       step->context_tok, step->chunks_ps);
}

bool tr_engine_schedule(struct tr_engine *e, int64_t now_ns, struct tr_step *step)
{
    engine_count_blocks(e, now_ns);
    step->tokens = step->rows = step->decodes = step->chunks = 0;
    step->context_tok = step->chunks_ps = step->chunk_context_tok = 0;
    step->n_events = 0;
    int32_t need = e->phase[phase_of(-e->epoch)];
    if (e->fresh.n + e->resumed.n + e->n_prefill == 0 && need <= e->free_blocks) {
        schedule_decodes(e, step, need); /* most steps: nobody comes, and nobody gives up */
    } else {
        drop_timed_out(e, now_ns);
        if (schedule_running(e, step))
            schedule_waiting(e, step, now_ns);
    }
    if (step->tokens == 0)
        return false;
    schedule_done(e, step);
    return true;
}

bool tr_engine_tick(struct tr_engine *e, int64_t now_ns, struct tr_step *step)
{
    int32_t n = e->n_decode, need = e->phase[phase_of(-e->epoch)];
    if (step->n_events > 0 || n == 0 || e->fresh.n + e->resumed.n + e->n_prefill > 0 ||
        need > e->free_blocks || e->heap[0].epoch <= e->epoch + 1)
        return false;
    engine_count_blocks(e, now_ns);
    e->updates++;
    step->tokens = step->rows = step->chunks = 0;
    step->chunks_ps = step->chunk_context_tok = 0;
    if (need > 0)
        blocks_take(e, need);
    decode_all(e, step, 0, 0);
    schedule_done(e, step);
    return true;
}
