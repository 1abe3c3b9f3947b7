/* requests: what an engine holds: a pool of requests, the lists they stand in, the heap that finds
 * the next answer to end, the set that decodes, and the KV blocks. Private to engine.c, which moves
 * requests between them, and reuse.c; inline, because every step passes through here
 * (docs/engine.md). */
#ifndef TR_ENGINE_REQUESTS_H
#define TR_ENGINE_REQUESTS_H

#include "engine/engine.h"
#include "engine/prefix.h"

#define NONE PREFIX_NONE

enum state {
    FREE,
    FRESH,   /* waiting, never run */
    RESUMED, /* waiting after a preemption */
    PREFILL, /* running, its known tokens not all computed */
    DECODE,  /* running, one token a step */
    ENDING,  /* its last token is in flight: holds its place and blocks, is given no more tokens */
    ENDED,   /* was ENDING and preempted: holds nothing, its last token is still delivered */
    GONE     /* left the engine while a step in flight still names it */
};

struct request {
    int64_t id, arrival_ns, reach_ns, scheduled_ns, first_ns;
    int64_t seq;          /* running: position in the order of admission */
    int64_t base;         /* DECODE: tokens computed = base + epoch */
    int64_t end_epoch;    /* DECODE: the step of this epoch yields its last token */
    int64_t lost_ps;      /* the engine's lost time when it came; from its first token on, what the
                             engine lost between the two */
    int64_t lost_mark_ps; /* the engine's lost time at its first token */
    int64_t step_mark, kv_mark; /* steps, and steps blocked by KV, when it came */
    int32_t prompt, output, produced;
    int32_t known;    /* tokens to compute before it decodes: prompt, plus answer if resumed */
    int32_t computed; /* PREFILL, ENDING */
    int32_t chunk;    /* PREFILL: tokens given in the running_walk under way */
    int32_t preemptions, workload, tenant, priority;
    int32_t early_tok; /* DECODE: from the update numbered `early` on, its tokens up to here were
                          known a step earlier than usual */
    int64_t early;
    int32_t cached_tok; /* hit at its first admission */
    int32_t hashed;     /* its first blocks, held as `pieces` of the prefix cache */
    uint32_t pieces;
    uint32_t prev, next; /* in whichever list it is */
    uint32_t heap;       /* DECODE: its place on the heap of ends; waiting: in the queue */
    uint32_t grow_entry, grow_prev, grow_next; /* DECODE: among those that lengthen one key */
    struct tr_chain chain;
    int16_t in_flight; /* events of steps in flight that name it */
    uint8_t state;
    bool own_key;   /* was preempted: it may find again what it shares with nobody */
    bool waited_kv; /* most steps of its wait found no KV blocks for the head of the queue */
};

struct list {
    uint32_t head, tail;
    int32_t n;
};

struct end { /* request i, with what the heap is ordered by */
    int64_t epoch, seq;
    uint32_t i;
};

struct tr_engine {
    struct tr_engine_config cfg;
    tr_engine_sink *sink;
    void *sink_arg;
    struct request *req; /* pool; lists link by index */
    size_t cap;
    uint32_t free_head;
    struct list fresh, resumed, running;
    struct end *heap; /* decoding requests, the next to end first */
    int32_t n_decode;
    uint32_t *queue; /* policy "priority": waiting requests by (priority, arrival, id) */
    size_t cap_queue;
    int32_t n_queue;
    int64_t admitted;
    int64_t updates;             /* so far */
    int64_t turn, turn_epoch;    /* in a running_walk: who before this one in the running list has
                                    published one step more than turn_epoch; else NEVER */
    int64_t epoch;               /* +1 each time all decoding requests are given a token */
    int64_t context_tok;         /* sum of tokens computed over decoding requests */
    int32_t phase[TR_BLOCK_TOK]; /* decoding requests by base mod 16 */
    int32_t n_prefill;           /* running requests in PREFILL */
    int32_t free_blocks;         /* of which prefix.idle carry a hash */
    struct prefix_cache prefix;
    int64_t held; /* requests that have come and not left */
    int64_t lost_ps, last_ns;
    struct tr_engine_stats stats;
};

static inline int32_t blocks_of(int32_t tokens)
{
    return (tokens + TR_BLOCK_TOK - 1) / TR_BLOCK_TOK;
}

/* Blocks without a hash are taken first, then those that have been free for longest. */
static inline void blocks_take(struct tr_engine *e, int32_t n)
{
    e->free_blocks -= n;
    int64_t evicted = e->prefix.idle - e->free_blocks;
    if (evicted > 0) {
        e->stats.evicted_blocks += evicted;
        prefix_evict(&e->prefix, evicted);
    }
}

/* ---- pool and lists ----------------------------------------------------------------------- */

static inline uint32_t pool_take(struct tr_engine *e)
{
    if (e->free_head == NONE) {
        size_t old = e->cap;
        tr_grow((void **)&e->req, &e->cap, old + 1, sizeof *e->req);
        for (size_t i = e->cap; i-- > old;) {
            e->req[i].state = FREE;
            e->req[i].next = e->free_head;
            e->free_head = (uint32_t)i;
        }
    }
    uint32_t i = e->free_head;
    e->free_head = e->req[i].next;
    return i;
}

static inline void pool_give(struct tr_engine *e, uint32_t i)
{
    e->req[i].state = FREE;
    e->req[i].next = e->free_head;
    e->free_head = i;
}

static inline void list_append(struct tr_engine *e, struct list *l, uint32_t i)
{
    e->req[i].prev = l->tail;
    e->req[i].next = NONE;
    if (l->tail == NONE)
        l->head = i;
    else
        e->req[l->tail].next = i;
    l->tail = i;
    l->n++;
}

static inline void list_prepend(struct tr_engine *e, struct list *l, uint32_t i)
{
    e->req[i].next = l->head;
    e->req[i].prev = NONE;
    if (l->head == NONE)
        l->tail = i;
    else
        e->req[l->head].prev = i;
    l->head = i;
    l->n++;
}

static inline void list_remove(struct tr_engine *e, struct list *l, uint32_t i)
{
    struct request *r = &e->req[i];
    if (r->prev == NONE)
        l->head = r->next;
    else
        e->req[r->prev].next = r->next;
    if (r->next == NONE)
        l->tail = r->prev;
    else
        e->req[r->next].prev = r->prev;
    l->n--;
}

/* ---- the heap of ends ------------------------------------------------------------------------ */

/* Without branches: which of two ends is nearer is not to be predicted. */
static inline bool ends_before(const struct end *a, const struct end *b)
{
    return (a->epoch < b->epoch) | ((a->epoch == b->epoch) & (a->seq < b->seq));
}

static inline void heap_set(struct tr_engine *e, uint32_t at, struct end end)
{
    e->heap[at] = end;
    e->req[end.i].heap = at;
}

/* Puts an end in its place, which is `at` or above or below it. */
static inline void heap_settle(struct tr_engine *e, uint32_t at, struct end end)
{
    uint32_t n = (uint32_t)e->n_decode;
    while (at > 0 && ends_before(&end, &e->heap[(at - 1) / 2])) {
        heap_set(e, at, e->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n)
            child += ends_before(&e->heap[child + 1], &e->heap[child]);
        if (!ends_before(&e->heap[child], &end))
            break;
        heap_set(e, at, e->heap[child]);
    }
    heap_set(e, at, end);
}

static inline struct end end_of(const struct tr_engine *e, uint32_t i)
{
    return (struct end){.epoch = e->req[i].end_epoch, .seq = e->req[i].seq, .i = i};
}

/* ---- the queue of the policy "priority" ------------------------------------------------------ */

static inline bool goes_before(const struct request *a, const struct request *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    return a->arrival_ns < b->arrival_ns || (a->arrival_ns == b->arrival_ns && a->id < b->id);
}

static inline void queue_set(struct tr_engine *e, uint32_t at, uint32_t i)
{
    e->queue[at] = i;
    e->req[i].heap = at;
}

static inline void queue_place(struct tr_engine *e, uint32_t at, uint32_t i)
{
    const struct request *r = e->req;
    while (at > 0 && goes_before(&r[i], &r[e->queue[(at - 1) / 2]])) {
        queue_set(e, at, e->queue[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= (uint32_t)e->n_queue)
            break;
        if (child + 1 < (uint32_t)e->n_queue &&
            goes_before(&r[e->queue[child + 1]], &r[e->queue[child]]))
            child++;
        if (!goes_before(&r[e->queue[child]], &r[i]))
            break;
        queue_set(e, at, e->queue[child]);
        at = child;
    }
    queue_set(e, at, i);
}

/* Requests wait in two lists, and under "priority" in this queue as well. */
static inline void queue_add(struct tr_engine *e, uint32_t i)
{
    if (!e->cfg.priority)
        return;
    tr_grow(&e->queue, &e->cap_queue, (size_t)e->n_queue + 1, sizeof *e->queue);
    queue_place(e, (uint32_t)e->n_queue++, i);
}

static inline void queue_remove(struct tr_engine *e, uint32_t i)
{
    if (!e->cfg.priority)
        return;
    uint32_t last = e->queue[--e->n_queue];
    if (last != i)
        queue_place(e, e->req[i].heap, last);
}

/* The head of the queue; there is one. */
static inline uint32_t queue_head(const struct tr_engine *e)
{
    if (e->cfg.priority)
        return e->queue[0];
    return e->resumed.n > 0 ? e->resumed.head : e->fresh.head;
}

/* ---- the set of decoding requests --------------------------------------------------------------
 */

static inline int32_t decode_computed(const struct tr_engine *e, const struct request *r)
{
    return (int32_t)(r->base + e->epoch);
}

static inline int phase_of(int64_t base)
{
    return (int)(base & (TR_BLOCK_TOK - 1)); /* two's complement: also right for negative bases */
}

/* How many of a request's first blocks have been published so far: those whose tokens were known
 * when it was last scheduled. An asynchronous engine does not yet know the token it is computing,
 * unless the request had to sit out the step before. */
static inline int32_t published(const struct tr_engine *e, const struct request *r,
                                int32_t computed)
{
    int32_t early_tok = e->updates >= r->early ? TR_MIN(computed, r->early_tok) : 0;
    return TR_MAX(r->known, TR_MAX(computed - e->cfg.async, early_tok)) / TR_BLOCK_TOK;
}

void reuse_grow(struct tr_engine *e, uint32_t i);
void reuse_grown(struct tr_engine *e, uint32_t i);

/* All `known` tokens are computed and one token was sampled: from now on one token a step. */
static inline void decode_enter(struct tr_engine *e, uint32_t i)
{
    struct request *r = &e->req[i];
    r->state = DECODE;
    r->early_tok = 0;
    r->base = r->known - e->epoch;
    /* All tokens produced and yet here: its stop token is in flight, and nobody knows. */
    r->end_epoch = r->produced < r->output ? e->epoch + (r->output - r->produced) : INT64_MAX;
    e->phase[phase_of(r->base)]++;
    e->context_tok += r->known;
    e->n_decode++;
    heap_settle(e, (uint32_t)e->n_decode - 1, end_of(e, i));
    if (r->chain.n > 0 || r->own_key)
        reuse_grow(e, i);
}

/* Leaves the set; `computed` and `produced` become plain numbers again. A token is sampled for
 * every step the request was given, so it has produced one more than it has answer tokens computed.
 */
static inline void decode_leave(struct tr_engine *e, uint32_t i)
{
    struct request *r = &e->req[i];
    if (r->grow_entry != NONE)
        reuse_grown(e, i);
    r->computed = decode_computed(e, r);
    r->produced = TR_MIN(r->computed + 1 - r->prompt, r->output);
    e->phase[phase_of(r->base)]--;
    e->context_tok -= r->computed;
    struct end last = e->heap[--e->n_decode];
    if (last.i != i)
        heap_settle(e, r->heap, last);
}

#endif
