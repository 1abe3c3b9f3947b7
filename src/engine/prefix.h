/* prefix: vLLM's prefix cache, by runs of blocks. Private to the engine (docs/engine.md).
 *
 * A KV block that is full has a hash that stands for its tokens and all before them; a later prompt
 * that begins with the same tokens takes the block over instead of computing it. Free blocks keep
 * their hash until they are needed: the one freed longest ago goes first, and of one request's the
 * last block first, so that what is left of a prompt is always its beginning.
 *
 * Blocks that stand together go together, so they are kept as segments:
 *
 *     entry     all that is cached of one key of a chain (base/chain.h)
 *     line      one copy of it. vLLM does not merge equal blocks: two requests that computed the
 *               same block both keep theirs. A look-up takes the copy that was published first, and
 *               lines stand in that order.
 *     segment   blocks from..to of a line with as many holders, or free together
 *     piece     what one request holds of one line; its pieces form a list, the last one first
 *
 *     entry 17 ── line ─ [0,74) 3 holders ─ [74,90) free     ◄── in the queue of free segments
 *          └───── line ─ [74,75) 1 holder
 *
 * The work is O(1) for each run, whatever its length, but where copies overlap. A block by block
 * cache is its oracle (tests/property). Numbers of blocks are the caller's business but for `idle`:
 * how many of the free blocks still carry a hash.
 */
#ifndef TR_ENGINE_PREFIX_H
#define TR_ENGINE_PREFIX_H

#include "base/base.h"

#define PREFIX_NONE UINT32_MAX

struct prefix_entry {
    uint64_t key;
    uint32_t next;        /* in its bucket, or among the unused */
    uint32_t first, last; /* lines, in the order of publication */
    uint32_t growers;     /* for the engine: requests that are lengthening it */
};

struct prefix_line {
    uint32_t entry;
    uint32_t prev, next;  /* lines of the entry */
    uint32_t first, last; /* segments, by block */
};

struct prefix_segment {
    int32_t from, to;      /* blocks from..to - 1 */
    int32_t holders;       /* 0: free, in the queue */
    uint32_t line;         /* NONE: nobody will ask for it again */
    uint32_t prev, next;   /* of its line */
    uint32_t older, newer; /* in the queue */
};

struct prefix_piece {
    int32_t from, to;
    uint32_t line;
    uint32_t next; /* the piece before it in the prompt */
};

struct prefix_cache {
    uint32_t *bucket; /* entries by hash of the key */
    size_t n_buckets, n_entries;
    uint32_t recent; /* the entry that was found last, NONE: it is gone */
    struct prefix_entry *entry;
    struct prefix_line *line;
    struct prefix_segment *segment;
    struct prefix_piece *piece;
    size_t cap_entry, cap_line, cap_segment, cap_piece;
    uint32_t free_entry, free_line, free_segment, free_piece;
    uint32_t oldest, newest; /* the queue of free segments */
    int64_t idle;            /* blocks in it */
};

void prefix_init(struct prefix_cache *c);
void prefix_free(struct prefix_cache *c);

/* The entry of a key, made where there is none and `make` says so; otherwise NONE. */
uint32_t prefix_find(struct prefix_cache *c, uint64_t key, bool make);
/* Forgets an entry that holds nothing and that nobody lengthens. */
void prefix_settle(struct prefix_cache *c, uint32_t entry);

/* How far the entry's blocks reach without a gap from block `from` on, at most to `limit`. Adds to
 * *idle how many of the copies that a look-up takes are free. */
int32_t prefix_reach(const struct prefix_cache *c, uint32_t entry, int32_t from, int32_t limit,
                     int32_t *idle);
/* A request takes over blocks from..to, which prefix_reach has found. */
void prefix_hold(struct prefix_cache *c, uint32_t entry, int32_t from, int32_t to,
                 uint32_t *pieces);
/* Blocks from..to of a request, computed by itself and not held so far, get their hashes. */
void prefix_publish(struct prefix_cache *c, uint32_t entry, int32_t from, int32_t to,
                    uint32_t *pieces);
/* The request gives up all its pieces. Returns how many blocks nobody else holds: they are free. */
int32_t prefix_release(struct prefix_cache *c, uint32_t *pieces);
/* `n` hashed blocks become free that no other prompt can begin with. */
void prefix_retire(struct prefix_cache *c, int32_t n);
/* The `n` blocks that have been free for longest lose their hashes; n <= idle. */
void prefix_evict(struct prefix_cache *c, int64_t n);

#endif
