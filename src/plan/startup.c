/* What can go wrong before the first request: pods that start together on one memory. While an
 * engine measures what is left for its KV cache it takes for its own whatever was allocated since
 * it began, so that a neighbour which loads its weights meanwhile makes its cache smaller. */
#include "plan/plan.h"

static int64_t together_bytes(const struct tr_candidate *c, int p)
{
    return tr_memory_together_bytes(&c->memory[p], c->arrangement.parts[p].n_pods);
}

/* The part whose pods would be left with the least; -1: nowhere do pods share a memory. */
static int worst_part(const struct tr_candidate *c)
{
    int worst = -1;
    for (int p = 0; p < c->arrangement.n_parts; p++)
        if (c->arrangement.parts[p].n_pods > 1 &&
            (worst < 0 || together_bytes(c, p) < together_bytes(c, worst)))
            worst = p;
    return worst;
}

void tr_candidate_warn(struct tr_candidate *c, const struct tr_workload *w)
{
    int p = worst_part(c);
    if (p < 0 || w->server != NULL ||
        w->engine.num_gpu_blocks > 0) /* a given number of blocks is not measured */
        return;
    const struct tr_memory *m = &c->memory[p];
    int64_t bytes = together_bytes(c, p);
    bool starts = bytes / w->model->kv_bytes_per_tok >= c->engine[p].max_model_len;
    double max = (double)(int64_t)(m->utilization_max * 1000) / 1000;
    char found[64], kv[16];
    snprintf(kv, sizeof kv, "%.1f", (double)m->kv_bytes / TR_GIB);
    if (starts)
        snprintf(found, sizeof found, "find %.1f GiB of KV cache instead of %s",
                 (double)bytes / TR_GIB, kv);
    else
        snprintf(found, sizeof found, "not start, instead of having %s GiB of KV cache", kv);
    snprintf(c->warning, sizeof c->warning,
             "start its pods one after another: together each may count its neighbours' weights "
             "and %s; all start at gpu_memory_utilization up to %.3f",
             found, max);
}
