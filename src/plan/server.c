/* Simple GPU servers as candidates: what a share of a GPU is to an embedder or a small model. Their
 * requests are items and one answer, their memory is what the server says, and they keep no KV
 * cache (docs/engine.md, "Simple GPU servers"). */
#include "plan/plan.h"

#include <math.h>

static int64_t smallest_limit_ns(const struct tr_slo *slo)
{
    int64_t limit_ns = 0;
    for (int i = 0; i < slo->n; i++)
        limit_ns = limit_ns == 0 ? slo->objective[i].limit_ns
                                 : TR_MIN(limit_ns, slo->objective[i].limit_ns);
    return limit_ns;
}

void tr_server_part(struct tr_candidate *c, int p, struct tr_arena *arena,
                    const struct tr_workload *w)
{
    c->hw[p] = tr_share_hw_of(c->gpu, &c->arrangement.parts[p]);
    tr_steptime_server(&c->steptime[p], arena, &c->hw[p], w->server);
    c->engine[p] = tr_engine_server(&c->steptime[p]);
    c->engine[p].timeout_ns = w->client_timeout_ns;
    c->engine[p].queue_limit = w->engine.queue_limit;
    c->engine[p].ttft_limit_ns = smallest_limit_ns(&w->slo);
    c->memory[p] = (struct tr_memory){.budget_bytes = w->server->mem_bytes,
                                      .weights_bytes = w->server->mem_bytes};
}

/* Full batches only: an item costs its own time and its part of the batch's. */
void tr_server_ceiling(struct tr_candidate *c, const struct tr_lengths *l)
{
    double rate = 0;
    for (int p = 0; p < c->arrangement.n_parts; p++) {
        const struct tr_steptime *st = &c->steptime[p];
        const struct tr_part *part = &c->arrangement.parts[p];
        double item_s = (double)st->tok_ps[st->max_tok] / st->max_tok / 1e12;
        double pods = part->sharing == TR_MPS ? part->n_pods : 1;
        rate += pods / (item_s * l->prompt_tok);
    }
    c->ceiling = (struct tr_ceiling){.arithmetic = rate,
                                     .arithmetic_cached = rate,
                                     .arithmetic_attained = rate,
                                     .arithmetic_cached_attained = rate,
                                     .bandwidth = (double)NAN,
                                     .kv_memory = (double)NAN,
                                     .lowest = rate,
                                     .lowest_cached = rate};
}
