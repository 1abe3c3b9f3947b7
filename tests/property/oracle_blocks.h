/* vLLM's KV cache manager, block by block: physical blocks with a count of users and a hash or
 * none, and the free list through all that nobody uses, cached or not. What src/engine must do with
 * runs of blocks at a time. */
#ifndef TEST_ORACLE_BLOCKS_H
#define TEST_ORACLE_BLOCKS_H

#include "base/base.h"

/* What a full block contains: two blocks with one hash hold the same tokens behind the same tokens.
 * `owner`: the request whose tokens are like nobody else's, -1 where `key` of a run says it. */
struct oracle_hash {
    uint64_t key;
    int owner, index;
};

/* Rules that a test breaks on purpose, to see that it would notice. */
enum oracle_fault {
    FAULT_NONE,
    FAULT_LAST_TOKEN,  /* all of a prompt may be taken from the cache */
    FAULT_NEWEST,      /* of several blocks with one hash the newest is hit */
    FAULT_FREE_ORDER,  /* a request's first block is freed first */
    FAULT_PARTIAL_LRU, /* blocks without a hash queue up behind those with one */
    FAULT_GATE,        /* hit blocks that nobody uses cost nothing */
    FAULT_ANSWER,      /* no block is published when a token becomes known */
    FAULT_VICTIM,      /* the victim is the last that came, whatever its priority */
    N_ORACLE_FAULTS
};

struct oracle_blocks {
    struct oracle_block {
        bool hashed;
        struct oracle_hash hash;
        int64_t published; /* in this order */
        int64_t call;      /* of schedule(), in which that was */
        int ref, prev, next;
    } * block; /* [n] is the end of the free list, both ways */
    int n, n_free;
    int64_t publications, evicted, call;
    enum oracle_fault fault;
};

void oracle_blocks_init(struct oracle_blocks *b, int n, enum oracle_fault fault);
void oracle_blocks_free(struct oracle_blocks *b);

/* The block that a lookup of `hash` returns, -1: none. */
int oracle_blocks_find(const struct oracle_blocks *b, struct oracle_hash hash);
/* How many blocks carry the hash. */
int oracle_blocks_copies(const struct oracle_blocks *b, struct oracle_hash hash);
/* One more user for a cached block. */
void oracle_blocks_touch(struct oracle_blocks *b, int i);
/* A block for new tokens, from the head of the free list; what it held is forgotten. */
int oracle_blocks_take(struct oracle_blocks *b);
void oracle_blocks_publish(struct oracle_blocks *b, int i, struct oracle_hash hash);
/* A request gives its `n` blocks back. */
void oracle_blocks_release(struct oracle_blocks *b, const int *blocks, int n);

#endif
