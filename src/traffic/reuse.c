/* reuse: for each key, how far its blocks have been computed. */
#include "traffic/reuse.h"

#include <stdlib.h>

#define BLOCK_TOK 16

static struct tr_reuse_entry *find(const struct tr_reuse *reuse, uint64_t key)
{
    size_t at = tr_hash(&key, sizeof(key), 0) & (reuse->n_slots - 1);

    while (reuse->entries[at].blocks && reuse->entries[at].key != key)
        at = (at + 1) & (reuse->n_slots - 1);
    return &reuse->entries[at];
}

/* Room for `more` keys. */
static void widen(struct tr_reuse *reuse, size_t more)
{
    struct tr_reuse_entry *old = reuse->entries;
    size_t n_old = reuse->n_slots;

    if (2 * (reuse->n + more) <= n_old)
        return;
    reuse->n_slots = n_old ? n_old : 64;
    while (2 * (reuse->n + more) > reuse->n_slots)
        reuse->n_slots *= 2;
    reuse->entries = tr_calloc(reuse->n_slots, sizeof(*reuse->entries));
    for (size_t i = 0; i < n_old; i++)
        if (old[i].blocks)
            *find(reuse, old[i].key) = old[i];
    free(old);
}

int32_t tr_reuse_add(struct tr_reuse *reuse, const struct tr_arrival *a)
{
    const struct tr_run *runs = tr_chain_runs(&a->chain);
    int32_t most = (a->prompt_tok - 1) / BLOCK_TOK, found = 0, from = 0;
    int32_t computed = (a->prompt_tok + a->output_tok - 1) / BLOCK_TOK;
    bool hits = true;

    widen(reuse, (size_t)a->chain.n);
    for (int32_t i = 0; i < a->chain.n; i++) {
        int32_t to = TR_MIN(runs[i].end_tok / BLOCK_TOK, computed);
        if (to <= from)
            continue;
        struct tr_reuse_entry *entry = find(reuse, runs[i].key);
        if (hits)
            found = TR_MAX(found, TR_MIN(entry->blocks, TR_MIN(to, most)));
        hits = hits && entry->blocks >= TR_MIN(to, most);
        if (entry->blocks == 0) {
            entry->key = runs[i].key;
            reuse->n++;
        }
        entry->blocks = TR_MAX(entry->blocks, to);
        from = to;
    }
    return found * BLOCK_TOK;
}

void tr_reuse_free(struct tr_reuse *reuse)
{
    free(reuse->entries);
    *reuse = (struct tr_reuse){0};
}
