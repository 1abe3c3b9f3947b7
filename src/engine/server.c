/* A simple GPU server as an engine: its items are the tokens of a prompt, its batch the token
 * budget, and the answer is the one token that the prompt's last step yields. */
#include "engine/engine.h"

/* No request has more items: the longest prompt that traffic can have. */
#define MAX_ITEMS 10000000

static double attained_flops(const struct tr_gpu *gpu)
{
    return gpu->ec * gpu->peak_flops;
}

void tr_steptime_server(struct tr_steptime *st, struct tr_arena *arena,
                        const struct tr_share_hw *hw, const struct tr_server *server)
{
    int max = server->max_batch;
    int64_t *step_ps = TR_ARENA_NEW(arena, int64_t, max + 1);
    double card = attained_flops(server->gpu) / attained_flops(hw->gpu); /* slower than measured */
    double batch_ps = (double)server->batch_ns * TR_PS_PER_NS * card;
    double item_ps = (double)server->item_ns * TR_PS_PER_NS * card;
    for (int n = 0; n <= max; n++)
        step_ps[n] = (int64_t)((batch_ps + n * item_ps) / hw->sm_fraction + 0.5);
    *st = (struct tr_steptime){
        .max_tok = max,
        .max_rows = max,
        .tok_ps = step_ps,
        .row_ps = TR_ARENA_NEW(arena, int64_t, max + 1),
        .sm_fraction = hw->sm_fraction,
        .bw_fraction = hw->bw_fraction,
        .step_arithmetic_s = batch_ps / 1e12,
        .token_arithmetic_s = item_ps / 1e12,
    };
}

struct tr_engine_config tr_engine_server(const struct tr_steptime *st)
{
    const int32_t blocks = MAX_ITEMS / TR_BLOCK_TOK + 1;
    return (struct tr_engine_config){
        .steptime = st,
        .max_num_batched_tokens = st->max_tok,
        .max_num_seqs = st->max_tok,
        .max_model_len = MAX_ITEMS + 1,
        /* It keeps nothing: room for the longest request under way, the next and a batch. */
        .num_gpu_blocks = 2 * blocks + st->max_tok,
    };
}
