/* reuse: how much of the prompts an unbounded prefix cache would have, private to the room.
 *
 * A block of 16 tokens is a hit when an earlier request has computed it: all its tokens are the
 * same (a block in which a run ends belongs to the run behind it). At least one token of a prompt
 * is computed; the last token of an answer never is. Requests are taken as done before the next
 * comes, so that no cache and no timing can do better.
 */
#ifndef TR_TRAFFIC_REUSE_H
#define TR_TRAFFIC_REUSE_H

#include "traffic/traffic.h"

struct tr_reuse_entry {
    uint64_t key;
    int32_t blocks; /* computed, from the start of the prompt; 0: a free entry */
};

struct tr_reuse {                   /* starts as all zeroes */
    struct tr_reuse_entry *entries; /* open addressing by key */
    size_t n, n_slots;              /* a power of two */
};

/* The prompt tokens of `a` that are there; then all of `a` is. */
int32_t tr_reuse_add(struct tr_reuse *reuse, const struct tr_arrival *a);
void tr_reuse_free(struct tr_reuse *reuse);

#endif
