/* inner: what the files of the engine share beside its data (requests.h). Private to the engine. */
#ifndef TR_ENGINE_INNER_H
#define TR_ENGINE_INNER_H

#include "engine/requests.h"

enum leaving { AGAIN, DONE, GIVEN_UP };

/* Takes a request out of whatever list it is in; its blocks return to the pool. The block that its
 * last token's step filled is published with that token. */
void engine_detach(struct tr_engine *e, uint32_t i, enum leaving how);
/* It leaves for good: its record goes to the sink. */
void engine_leave(struct tr_engine *e, uint32_t i, enum tr_status status, int64_t now_ns);

bool engine_timed_out(const struct tr_engine *e, const struct request *r, int64_t now_ns);
/* Did most steps since it came find no KV blocks for the head of the queue? */
bool engine_waits_for_kv(const struct tr_engine *e, const struct request *r);

/* The blocks in use have been so since they last changed. */
static inline void engine_count_blocks(struct tr_engine *e, int64_t now_ns)
{
    int64_t span_ns = now_ns - e->last_ns;
    if (span_ns < 1000)
        return;
    int64_t span_us = span_ns / 1000;
    e->stats.kv_block_us += (int64_t)(e->cfg.num_gpu_blocks - e->free_blocks) * span_us;
    e->last_ns += span_us * 1000;
}

#endif
