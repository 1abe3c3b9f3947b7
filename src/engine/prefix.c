/* Segments of cached KV blocks: see prefix.h. */
#include "engine/prefix.h"

#include <stdlib.h>

#define NONE PREFIX_NONE

/* ---- pools ----------------------------------------------------------------------------------- */

/* Takes an element of a pool whose unused ones are linked through `link`. */
#define POOL_TAKE(c, what, link, out)                                                              \
    do {                                                                                           \
        if ((c)->free_##what == NONE) {                                                            \
            size_t old_ = (c)->cap_##what;                                                         \
            tr_grow(&(c)->what, &(c)->cap_##what, old_ + 1, sizeof *(c)->what);                    \
            for (size_t i_ = (c)->cap_##what; i_-- > old_;) {                                      \
                (c)->what[i_].link = (c)->free_##what;                                             \
                (c)->free_##what = (uint32_t)i_;                                                   \
            }                                                                                      \
        }                                                                                          \
        (out) = (c)->free_##what;                                                                  \
        (c)->free_##what = (c)->what[out].link;                                                    \
    } while (0)

#define POOL_GIVE(c, what, link, i)                                                                \
    do {                                                                                           \
        (c)->what[i].link = (c)->free_##what;                                                      \
        (c)->free_##what = (i);                                                                    \
    } while (0)

void prefix_init(struct prefix_cache *c)
{
    *c = (struct prefix_cache){.recent = NONE,
                               .free_entry = NONE,
                               .free_line = NONE,
                               .free_segment = NONE,
                               .free_piece = NONE,
                               .oldest = NONE,
                               .newest = NONE};
}

void prefix_free(struct prefix_cache *c)
{
    free(c->bucket);
    free(c->entry);
    free(c->line);
    free(c->segment);
    free(c->piece);
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Keys are hashes or numbers: this spreads both (the finaliser of MurmurHash3). */
static size_t bucket_of(const struct prefix_cache *c, uint64_t key)
{
    key ^= key >> 33;
    key *= UINT64_C(0xff51afd7ed558ccd);
    key ^= key >> 33;
    return (size_t)key & (c->n_buckets - 1);
}

static void more_buckets(struct prefix_cache *c)
{
    size_t old = c->n_buckets;
    uint32_t *bucket = c->bucket;
    c->n_buckets = TR_MAX((size_t)64, 2 * old);
    c->bucket = tr_malloc(c->n_buckets * sizeof *c->bucket);
    for (size_t b = 0; b < c->n_buckets; b++)
        c->bucket[b] = NONE;
    for (size_t b = 0; b < old; b++)
        for (uint32_t i = bucket[b], next; i != NONE; i = next) {
            size_t at = bucket_of(c, c->entry[i].key);
            next = c->entry[i].next;
            c->entry[i].next = c->bucket[at];
            c->bucket[at] = i;
        }
    free(bucket);
}

uint32_t prefix_find(struct prefix_cache *c, uint64_t key, bool make)
{
    uint32_t i = c->recent; /* a request asks for the same key several times in a row */
    if (i != NONE && c->entry[i].key == key)
        return i;
    if (c->n_entries > 0)
        for (i = c->bucket[bucket_of(c, key)]; i != NONE; i = c->entry[i].next)
            if (c->entry[i].key == key)
                return c->recent = i;
    if (!make)
        return NONE;
    if (2 * c->n_entries >= c->n_buckets)
        more_buckets(c);
    POOL_TAKE(c, entry, next, i);
    size_t at = bucket_of(c, key);
    c->entry[i] = (struct prefix_entry){
        .key = key, .next = c->bucket[at], .first = NONE, .last = NONE, .growers = NONE};
    c->bucket[at] = i;
    c->n_entries++;
    return c->recent = i;
}

void prefix_settle(struct prefix_cache *c, uint32_t entry)
{
    const struct prefix_entry *e = &c->entry[entry];
    if (e->first != NONE || e->growers != NONE)
        return;
    uint32_t *at = &c->bucket[bucket_of(c, e->key)];
    while (*at != entry)
        at = &c->entry[*at].next;
    *at = e->next;
    if (c->recent == entry)
        c->recent = NONE;
    POOL_GIVE(c, entry, next, entry);
    c->n_entries--;
}

/* ---- lines and segments ---------------------------------------------------------------------- */

static uint32_t line_new(struct prefix_cache *c, uint32_t entry)
{
    uint32_t i;
    POOL_TAKE(c, line, next, i);
    struct prefix_entry *e = &c->entry[entry];
    c->line[i] = (struct prefix_line){
        .entry = entry, .prev = e->last, .next = NONE, .first = NONE, .last = NONE};
    if (e->last == NONE)
        e->first = i;
    else
        c->line[e->last].next = i;
    e->last = i;
    return i;
}

static void line_drop(struct prefix_cache *c, uint32_t line)
{
    struct prefix_line *l = &c->line[line];
    uint32_t entry = l->entry;
    if (l->prev == NONE)
        c->entry[entry].first = l->next;
    else
        c->line[l->prev].next = l->next;
    if (l->next == NONE)
        c->entry[entry].last = l->prev;
    else
        c->line[l->next].prev = l->prev;
    POOL_GIVE(c, line, next, line);
    prefix_settle(c, entry);
}

/* A segment of `line` behind segment `prev` (NONE: the first). */
static uint32_t segment_new(struct prefix_cache *c, uint32_t line, uint32_t prev, int32_t from,
                            int32_t to)
{
    uint32_t i;
    POOL_TAKE(c, segment, next, i);
    struct prefix_segment *s = &c->segment[i];
    *s = (struct prefix_segment){.from = from,
                                 .to = to,
                                 .line = line,
                                 .prev = prev,
                                 .next = NONE,
                                 .older = NONE,
                                 .newer = NONE};
    if (line == NONE)
        return i;
    struct prefix_line *l = &c->line[line];
    s->next = prev == NONE ? l->first : c->segment[prev].next;
    if (prev == NONE)
        l->first = i;
    else
        c->segment[prev].next = i;
    if (s->next == NONE)
        l->last = i;
    else
        c->segment[s->next].prev = i;
    return i;
}

/* Takes a segment out of its line, and the line out of its entry when it was the last. */
static void segment_drop(struct prefix_cache *c, uint32_t i)
{
    struct prefix_segment *s = &c->segment[i];
    if (s->line != NONE) {
        struct prefix_line *l = &c->line[s->line];
        if (s->prev == NONE)
            l->first = s->next;
        else
            c->segment[s->prev].next = s->next;
        if (s->next == NONE)
            l->last = s->prev;
        else
            c->segment[s->next].prev = s->prev;
        if (l->first == NONE)
            line_drop(c, s->line);
    }
    POOL_GIVE(c, segment, next, i);
}

/* The segment of the line that has block `b`; NONE if it has none. */
static uint32_t segment_at(const struct prefix_cache *c, const struct prefix_line *l, int32_t b)
{
    for (uint32_t i = l->first; i != NONE && c->segment[i].from <= b; i = c->segment[i].next)
        if (b < c->segment[i].to)
            return i;
    return NONE;
}

/* ---- the queue of free segments -------------------------------------------------------------- */

static void queue_append(struct prefix_cache *c, uint32_t i)
{
    struct prefix_segment *s = &c->segment[i];
    s->older = c->newest;
    s->newer = NONE;
    if (c->newest == NONE)
        c->oldest = i;
    else
        c->segment[c->newest].newer = i;
    c->newest = i;
    c->idle += s->to - s->from;
}

static void queue_remove(struct prefix_cache *c, uint32_t i)
{
    struct prefix_segment *s = &c->segment[i];
    if (s->older == NONE)
        c->oldest = s->newer;
    else
        c->segment[s->older].newer = s->newer;
    if (s->newer == NONE)
        c->newest = s->older;
    else
        c->segment[s->newer].older = s->older;
    c->idle -= s->to - s->from;
}

/* Splits a segment at block `b` inside it; what is behind `b` becomes a segment of its own, which
 * stands before the rest in the queue, as the last block of a segment goes first. */
static uint32_t segment_split(struct prefix_cache *c, uint32_t i, int32_t b)
{
    int32_t to = c->segment[i].to;
    uint32_t rest = segment_new(c, c->segment[i].line, i, b, to);
    struct prefix_segment *s = &c->segment[i], *r = &c->segment[rest];
    s->to = b;
    r->holders = s->holders;
    if (s->holders == 0) {
        r->older = s->older;
        r->newer = i;
        if (s->older == NONE)
            c->oldest = rest;
        else
            c->segment[s->older].newer = rest;
        s->older = rest;
    }
    return rest;
}

/* Joins a held segment to the one before it in its line, where both have the same holders. */
static void segment_join(struct prefix_cache *c, uint32_t i)
{
    struct prefix_segment *s = &c->segment[i];
    if (s->prev == NONE)
        return;
    struct prefix_segment *p = &c->segment[s->prev];
    if (p->to != s->from || p->holders != s->holders || s->holders == 0)
        return;
    p->to = s->to;
    segment_drop(c, i);
}

void prefix_evict(struct prefix_cache *c, int64_t n)
{
    while (n > 0) {
        uint32_t i = c->oldest;
        struct prefix_segment *s = &c->segment[i];
        int32_t blocks = s->to - s->from;
        if (blocks > n) {
            s->to -= (int32_t)n;
            c->idle -= n;
            return;
        }
        n -= blocks;
        queue_remove(c, i);
        segment_drop(c, i);
    }
}

void prefix_retire(struct prefix_cache *c, int32_t n)
{
    if (n > 0)
        queue_append(c, segment_new(c, NONE, NONE, 0, n));
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* The copy of block `b` that was published first, and how far to go on with it: up to where its
 * segment ends or an older line has a copy. NONE: there is no copy. */
static uint32_t oldest_copy(const struct prefix_cache *c, uint32_t entry, int32_t b, int32_t *end)
{
    int32_t before = INT32_MAX; /* where an older line goes on */
    for (uint32_t l = c->entry[entry].first; l != NONE; l = c->line[l].next) {
        uint32_t i = c->line[l].first;
        while (i != NONE && c->segment[i].to <= b)
            i = c->segment[i].next;
        if (i == NONE)
            continue;
        if (c->segment[i].from <= b) {
            *end = TR_MIN(c->segment[i].to, before);
            return i;
        }
        before = TR_MIN(before, c->segment[i].from);
    }
    return NONE;
}

int32_t prefix_reach(const struct prefix_cache *c, uint32_t entry, int32_t from, int32_t limit,
                     int32_t *idle)
{
    while (from < limit) {
        int32_t end;
        uint32_t i = oldest_copy(c, entry, from, &end);
        if (i == NONE)
            break;
        end = TR_MIN(end, limit);
        *idle += c->segment[i].holders == 0 ? end - from : 0;
        from = end;
    }
    return from;
}

static void piece_add(struct prefix_cache *c, uint32_t line, int32_t from, int32_t to,
                      uint32_t *pieces)
{
    uint32_t i = *pieces;
    if (i != NONE && c->piece[i].line == line && c->piece[i].to == from) {
        c->piece[i].to = to;
        return;
    }
    POOL_TAKE(c, piece, next, i);
    c->piece[i] = (struct prefix_piece){.from = from, .to = to, .line = line, .next = *pieces};
    *pieces = i;
}

void prefix_hold(struct prefix_cache *c, uint32_t entry, int32_t from, int32_t to, uint32_t *pieces)
{
    while (from < to) {
        int32_t end;
        uint32_t i = oldest_copy(c, entry, from, &end);
        end = TR_MIN(end, to);
        if (c->segment[i].from < from)
            i = segment_split(c, i, from);
        if (end < c->segment[i].to)
            segment_split(c, i, end);
        if (c->segment[i].holders++ == 0)
            queue_remove(c, i);
        piece_add(c, c->segment[i].line, from, end, pieces);
        segment_join(c, i);
        from = end;
    }
}

/* May blocks from `from` on be put behind what the line has? Not where a younger line has copies of
 * them: those were published before and would be taken for the younger ones. */
static bool may_extend(const struct prefix_cache *c, uint32_t line, int32_t from)
{
    if (c->segment[c->line[line].last].to != from)
        return false;
    for (uint32_t l = c->line[line].next; l != NONE; l = c->line[l].next)
        if (c->segment[c->line[l].last].to > from)
            return false;
    return true;
}

void prefix_publish(struct prefix_cache *c, uint32_t entry, int32_t from, int32_t to,
                    uint32_t *pieces)
{
    uint32_t line = NONE;
    if (*pieces != NONE)
        line = c->piece[*pieces].line;
    if (line == NONE || c->line[line].entry != entry || !may_extend(c, line, from))
        line = line_new(c, entry);
    uint32_t last = c->line[line].last;
    if (last != NONE && c->segment[last].holders == 1) {
        c->segment[last].to = to;
    } else {
        uint32_t i = segment_new(c, line, last, from, to);
        c->segment[i].holders = 1;
    }
    piece_add(c, line, from, to, pieces);
}

/* ---- giving up ------------------------------------------------------------------------------- */

/* One holder less of blocks from..to of a line, the last ones first. */
static int32_t release_piece(struct prefix_cache *c, const struct prefix_piece *p)
{
    int32_t freed = 0, to = p->to;
    while (to > p->from) {
        uint32_t i = segment_at(c, &c->line[p->line], to - 1);
        if (c->segment[i].to > to)
            segment_split(c, i, to);
        if (c->segment[i].from < p->from)
            i = segment_split(c, i, p->from);
        struct prefix_segment *s = &c->segment[i];
        to = s->from;
        if (--s->holders > 0)
            continue;
        freed += s->to - s->from;
        struct prefix_segment *n = c->newest == NONE ? NULL : &c->segment[c->newest];
        if (n != NULL && n->line == s->line && n->from == s->to) {
            c->idle += s->to - s->from; /* it goes right after its continuation: one segment */
            n->from = s->from;
            segment_drop(c, i);
        } else {
            queue_append(c, i);
        }
    }
    return freed;
}

int32_t prefix_release(struct prefix_cache *c, uint32_t *pieces)
{
    int32_t freed = 0;
    while (*pieces != NONE) {
        uint32_t i = *pieces;
        struct prefix_piece p = c->piece[i];
        POOL_GIVE(c, piece, next, i);
        *pieces = p.next;
        freed += release_piece(c, &p);
    }
    return freed;
}
