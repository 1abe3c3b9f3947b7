/* See oracle_blocks.h. */
#include "oracle_blocks.h"

#include <stdlib.h>

static void link_before(struct oracle_blocks *b, int at, int i)
{
    int prev = b->block[at].prev;
    b->block[i].prev = prev;
    b->block[i].next = at;
    b->block[prev].next = i;
    b->block[at].prev = i;
    b->n_free++;
}

static void append(struct oracle_blocks *b, int i)
{
    link_before(b, b->n, i);
}

static void prepend(struct oracle_blocks *b, int i)
{
    link_before(b, b->block[b->n].next, i);
}

static void unlink_block(struct oracle_blocks *b, int i)
{
    b->block[b->block[i].prev].next = b->block[i].next;
    b->block[b->block[i].next].prev = b->block[i].prev;
    b->n_free--;
}

void oracle_blocks_init(struct oracle_blocks *b, int n, enum oracle_fault fault)
{
    *b = (struct oracle_blocks){.n = n, .fault = fault};
    b->block = tr_calloc((size_t)n + 1, sizeof *b->block);
    b->block[n].prev = b->block[n].next = n;
    for (int i = 0; i < n; i++)
        append(b, i);
}

void oracle_blocks_free(struct oracle_blocks *b)
{
    free(b->block);
}

static bool carries(const struct oracle_block *k, struct oracle_hash hash)
{
    return k->hashed && k->hash.key == hash.key && k->hash.owner == hash.owner &&
           k->hash.index == hash.index;
}

int oracle_blocks_find(const struct oracle_blocks *b, struct oracle_hash hash)
{
    int found = -1;
    for (int i = 0; i < b->n; i++) {
        if (!carries(&b->block[i], hash))
            continue;
        bool newer = found >= 0 && b->block[i].published > b->block[found].published;
        if (found < 0 || newer == (b->fault == FAULT_NEWEST))
            found = i;
    }
    return found;
}

int oracle_blocks_copies(const struct oracle_blocks *b, struct oracle_hash hash)
{
    int n = 0;
    for (int i = 0; i < b->n; i++)
        n += carries(&b->block[i], hash);
    return n;
}

void oracle_blocks_touch(struct oracle_blocks *b, int i)
{
    if (b->block[i].ref++ == 0)
        unlink_block(b, i);
}

int oracle_blocks_take(struct oracle_blocks *b)
{
    int i = b->block[b->n].next;
    tr_assert(i < b->n);
    unlink_block(b, i);
    b->evicted += b->block[i].hashed;
    b->block[i].hashed = false;
    b->block[i].ref = 1;
    return i;
}

void oracle_blocks_publish(struct oracle_blocks *b, int i, struct oracle_hash hash)
{
    struct oracle_block *k = &b->block[i];
    tr_assert(k->ref > 0 && !k->hashed);
    k->hashed = true;
    k->hash = hash;
    k->published = b->publications++;
    k->call = b->call;
}

void oracle_blocks_release(struct oracle_blocks *b, const int *blocks, int n)
{
    for (int j = 0; j < n; j++) {
        int i = blocks[b->fault == FAULT_FREE_ORDER ? j : n - 1 - j];
        tr_assert(b->block[i].ref > 0);
        if (--b->block[i].ref > 0)
            continue;
        if (b->block[i].hashed || b->fault == FAULT_PARTIAL_LRU)
            append(b, i);
        else
            prepend(b, i);
    }
}
