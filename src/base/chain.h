/* chain: what a prompt shares with other prompts.
 *
 * A prompt is cut into runs of tokens. A run has a key: two prompts with the same key at the same
 * place have the same tokens there AND the same tokens before it, so that keys form a tree whose
 * root is the start of the prompt. A shared system prompt is a run; a session, whose every prompt
 * contains the prompts and answers before it, is one run that goes on through the answer. Whatever
 * stands behind the last run (all of the prompt, where there is none) is like nothing else.
 *
 *     system prompt of 800 tokens:        {key S, end 800}
 *     third turn of a session under it:   {key S, end 800} {key C, end TR_CHAIN_OPEN}
 *
 * A KV block of 16 tokens can be reused by a prompt when all its tokens are the same: a block in
 * which a run ends belongs to the run behind it. Trace readers, synthesis and the engine's prefix
 * cache share this type and nothing else.
 */
#ifndef TR_BASE_CHAIN_H
#define TR_BASE_CHAIN_H

#include <stdint.h>

#define TR_CHAIN_OPEN INT32_MAX /* end of a run that goes on through the answer */

struct tr_run {
    uint64_t key;
    int32_t end_tok; /* the run reaches from the end of the one before it to here; growing */
};

/* Up to two runs are kept in place; more stand in `more`, which lives as long as the traffic they
 * come from. All zeroes: shares nothing. */
struct tr_chain {
    int32_t n;
    struct tr_run own[2];      /* n <= 2 */
    const struct tr_run *more; /* n > 2: all of them */
};

static inline const struct tr_run *tr_chain_runs(const struct tr_chain *c)
{
    return c->n > 2 ? c->more : c->own;
}

#endif
