/* A case: the candidates under other circumstances, drawn constants or other traffic. */
#include "plan/plan.h"

/* Sizes are compared with each other on the same requests: less of a sample will do. */
static const struct tr_effort case_effort = {.sample = {60000, 6000}};

void tr_case_open(struct tr_case *k, const struct tr_plan *plan, const struct tr_evaluation *ev,
                  struct tr_source *src)
{
    *k = (struct tr_case){.ev = *ev, .opts = plan->opts};
    k->ev.source = src;
    k->ev.spikes = &k->spikes;
    k->ev.opts = &k->opts;
    k->ev.effort = case_effort;
    tr_spikes_find(&k->spikes, src);
    tr_lengths_measure(&k->lengths, &k->arena, src,
                       tr_workload_model_len(&plan->scenario->workload));
}

void tr_case_close(struct tr_case *k)
{
    tr_source_close(k->ev.source);
    tr_spikes_free(&k->spikes);
    tr_arena_free(&k->arena);
}

/* The candidate again, with the constants and the requests of this case. */
static struct tr_candidate *rebuild(struct tr_case *k, const struct tr_candidate *nominal)
{
    const struct tr_scenario *s = k->ev.scenario;
    struct tr_candidate *c = TR_ARENA_NEW(&k->arena, struct tr_candidate, 1);
    struct tr_node_type *node = TR_ARENA_NEW(&k->arena, struct tr_node_type, 1);
    struct tr_gpu *gpu = TR_ARENA_NEW(&k->arena, struct tr_gpu, 1);
    struct tr_precision *precision = TR_ARENA_NEW(&k->arena, struct tr_precision, 1);
    tr_gpu_draw(nominal->gpu, k->ev.opts->seed, k->draw, gpu);
    tr_precision_draw(nominal->precision, k->ev.opts->seed, k->draw, precision);
    *node = *nominal->node;
    node->gpu = gpu;
    tr_candidate_build(c, &k->arena, s, node, &nominal->arrangement, precision,
                       nominal->precision_order);
    tr_candidate_bound(c, &s->workload, &k->lengths);
    return c;
}

int tr_case_size(struct tr_case *k, const struct tr_candidate *nominal, int guess, int *nodes,
                 struct tr_err *err)
{
    struct tr_sizing sizing = {0};
    const struct tr_candidate *c = rebuild(k, nominal);
    int rc = TR_OK;
    *nodes = 0;
    if (c->gate == TR_GATE_OK && k->spikes.requests > 0)
        rc = tr_evaluate_size(c, &k->ev, guess, &sizing, err);
    if (rc == TR_OK) {
        *nodes = sizing.nodes;
        tr_sim_result_free(&sizing.result);
    }
    return rc;
}

double tr_case_cost(const struct tr_candidate *c, int nodes)
{
    struct tr_candidate at = *c;
    at.nodes = nodes;
    at.usd_per_month = tr_evaluate_cost(c, nodes);
    return tr_rank_cost(&at);
}

int64_t tr_case_requests(const struct tr_candidate *c, const struct tr_evaluation *ev)
{
    const int runs = 3;
    bool sampled = tr_evaluate_can_sample(c, &ev->scenario->workload);
    int64_t all = ev->spikes->requests;
    return runs * (sampled ? TR_MIN(case_effort.sample[0], all) : all);
}
