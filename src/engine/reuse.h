/* reuse: what the requests of an engine have of the prefix cache. Private to the engine.
 *
 * A request's blocks follow the runs of its chain (base/chain.h); what stands behind them it shares
 * with nobody, and only a preempted request may look for it again. Blocks are published when their
 * tokens are known. A decoding request fills one in 16 steps, which is not done step by step: it is
 * on a list of its key's growers, and caught up with when somebody asks. */
#ifndef TR_ENGINE_REUSE_H
#define TR_ENGINE_REUSE_H

#include "engine/requests.h"

/* How many blocks request `i`, about to be admitted, would find; adds to *idle how many of them
 * would leave the free ones. */
int32_t reuse_find(struct tr_engine *e, uint32_t i, int32_t *idle);
/* It takes them: `blocks` as found. */
void reuse_hold(struct tr_engine *e, uint32_t i, int32_t blocks);
/* It is decoding: whoever lengthens the same key has published what he has by now. */
void reuse_catch_up(struct tr_engine *e, uint32_t i);
/* Its first `blocks` blocks are published. */
void reuse_publish(struct tr_engine *e, uint32_t i, int32_t blocks);
/* It gives up everything: r->computed tokens, of which the first `blocks` blocks are published.
 * `again`: it is preempted and will look for them. */
void reuse_free(struct tr_engine *e, uint32_t i, int32_t blocks, bool again);

#endif
