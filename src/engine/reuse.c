/* Requests and the prefix cache: see reuse.h. */
#include "engine/reuse.h"

struct span {
    uint64_t key;
    int32_t from, to; /* blocks */
};

/* The blocks of run `k`: a block in which a run ends belongs to the one behind it. False behind the
 * last run. Keys of chains and of single requests are kept apart by their last bit. */
static bool span_of(const struct request *r, int32_t k, struct span *span)
{
    const struct tr_run *run = tr_chain_runs(&r->chain);
    int32_t n = r->chain.n, begin_tok = k > 0 && k <= n ? run[k - 1].end_tok : 0;
    if (k < n) {
        *span = (struct span){.key = run[k].key << 1,
                              .from = begin_tok / TR_BLOCK_TOK,
                              .to = run[k].end_tok / TR_BLOCK_TOK};
        return true;
    }
    if (k > n || !r->own_key || begin_tok == TR_CHAIN_OPEN)
        return false;
    *span = (struct span){.key = (uint64_t)r->id << 1 | 1,
                          .from = begin_tok / TR_BLOCK_TOK,
                          .to = TR_CHAIN_OPEN / TR_BLOCK_TOK};
    return true;
}

/* The next run of which blocks before `blocks` are not held yet, cut there; `k` counts runs. */
static bool next_span(const struct request *r, int32_t blocks, int32_t *k, struct span *span)
{
    while (r->hashed < blocks && span_of(r, (*k)++, span)) {
        span->to = TR_MIN(span->to, blocks);
        if (span->to > r->hashed)
            return true;
    }
    return false;
}

/* The request's blocks up to `blocks`, without a look at who else lengthens the same keys. */
static void publish(struct tr_engine *e, struct request *r, int32_t blocks)
{
    struct span s;
    for (int32_t k = 0; next_span(r, blocks, &k, &s); r->hashed = s.to) {
        uint32_t entry = prefix_find(&e->prefix, s.key, true);
        prefix_publish(&e->prefix, entry, r->hashed, s.to, &r->pieces);
    }
}

/* ---- growers --------------------------------------------------------------------------------- */

/* Steps whose blocks a grower has published by now. In the middle of a walk over the running list
 * those whose turn has come are one ahead of the others. */
static int64_t epoch_of(const struct tr_engine *e, const struct request *r)
{
    return e->turn == TR_TIME_NEVER ? e->epoch : e->turn_epoch + (r->seq < e->turn);
}

/* Of the growers of an entry, the one whose next block was published first: by the step in which
 * its tokens were known, then in the order of the running list. NONE: all have caught up. */
static uint32_t next_to_publish(const struct tr_engine *e, uint32_t entry)
{
    uint32_t best = NONE;
    int64_t best_epoch = INT64_MAX;
    for (uint32_t i = e->prefix.entry[entry].growers; i != NONE; i = e->req[i].grow_next) {
        const struct request *r = &e->req[i];
        int64_t end_tok = (int64_t)(r->hashed + 1) * TR_BLOCK_TOK;
        int64_t epoch = end_tok + (e->cfg.async && end_tok > r->early_tok) - r->base;
        if (epoch > epoch_of(e, r))
            continue;
        if (epoch < best_epoch || (epoch == best_epoch && r->seq < e->req[best].seq)) {
            best = i;
            best_epoch = epoch;
        }
    }
    return best;
}

static void catch_up(struct tr_engine *e, uint32_t entry)
{
    uint32_t i = e->prefix.entry[entry].growers;
    if (i == NONE)
        return;
    if (e->req[i].grow_next == NONE) {
        struct request *r = &e->req[i];
        publish(e, r, published(e, r, (int32_t)(r->base + epoch_of(e, r))));
        return;
    }
    while ((i = next_to_publish(e, entry)) != NONE)
        publish(e, &e->req[i], e->req[i].hashed + 1);
}

void reuse_catch_up(struct tr_engine *e, uint32_t i)
{
    catch_up(e, e->req[i].grow_entry);
}

void reuse_grow(struct tr_engine *e, uint32_t i)
{
    struct request *r = &e->req[i];
    struct span last = {0}, s;
    for (int32_t k = 0; span_of(r, k, &s); k++)
        last = s;
    if (last.to != TR_CHAIN_OPEN / TR_BLOCK_TOK)
        return;
    uint32_t entry = prefix_find(&e->prefix, last.key, true), head;
    head = e->prefix.entry[entry].growers;
    r->grow_entry = entry;
    r->grow_prev = NONE;
    r->grow_next = head;
    if (head != NONE)
        e->req[head].grow_prev = i;
    e->prefix.entry[entry].growers = i;
}

void reuse_grown(struct tr_engine *e, uint32_t i)
{
    struct request *r = &e->req[i];
    uint32_t entry = r->grow_entry;
    e->prefix.recent = entry; /* it is asked for next */
    catch_up(e, entry);
    if (r->grow_prev == NONE)
        e->prefix.entry[entry].growers = r->grow_next;
    else
        e->req[r->grow_prev].grow_next = r->grow_next;
    if (r->grow_next != NONE)
        e->req[r->grow_next].grow_prev = r->grow_prev;
    r->grow_entry = NONE;
    prefix_settle(&e->prefix, entry);
}

/* ---- what the engine asks for ---------------------------------------------------------------- */

/* At least one token must be computed, to sample from. */
int32_t reuse_find(struct tr_engine *e, uint32_t i, int32_t *idle)
{
    const struct request *r = &e->req[i];
    int32_t most = (r->known - 1) / TR_BLOCK_TOK, found = 0;
    struct span s;
    for (int32_t k = 0; found < most && span_of(r, k, &s); k++) {
        if (s.from == s.to)
            continue;
        uint32_t entry = prefix_find(&e->prefix, s.key, false);
        if (entry == NONE)
            break;
        catch_up(e, entry);
        found = prefix_reach(&e->prefix, entry, s.from, TR_MIN(s.to, most), idle);
        if (found < s.to)
            break;
    }
    return found;
}

void reuse_hold(struct tr_engine *e, uint32_t i, int32_t blocks)
{
    struct request *r = &e->req[i];
    struct span s;
    for (int32_t k = 0; next_span(r, blocks, &k, &s); r->hashed = s.to) {
        uint32_t entry = prefix_find(&e->prefix, s.key, false);
        prefix_hold(&e->prefix, entry, r->hashed, s.to, &r->pieces);
    }
}

void reuse_publish(struct tr_engine *e, uint32_t i, int32_t blocks)
{
    struct request *r = &e->req[i];
    struct span s;
    for (int32_t k = 0; next_span(r, blocks, &k, &s); r->hashed = s.to) {
        uint32_t entry = prefix_find(&e->prefix, s.key, true);
        catch_up(e, entry);
        prefix_publish(&e->prefix, entry, r->hashed, s.to, &r->pieces);
    }
}

void reuse_free(struct tr_engine *e, uint32_t i, int32_t blocks, bool again)
{
    struct request *r = &e->req[i];
    e->free_blocks += blocks_of(r->computed);
    if (!e->cfg.enable_prefix_caching)
        return;
    r->own_key = r->own_key || again;
    reuse_publish(e, i, blocks);
    int32_t held = r->hashed;
    prefix_retire(&e->prefix, blocks - held);
    e->free_blocks -= held - prefix_release(&e->prefix, &r->pieces);
    r->hashed = 0;
}
