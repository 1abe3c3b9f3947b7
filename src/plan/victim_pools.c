/* What neighbours do to the workloads of shared pools: each on one GPU as the pick has it. */
#include "plan/pools.h"

/* Where on a GPU the fleet's pod `pod` is: its device and its number there. */
static int device_of(const struct tr_fleet_config *f, int pod, int *ctx)
{
    int d = 0;
    for (; pod >= f->device[d].n_pods; d++)
        pod -= f->device[d].n_pods;
    *ctx = pod;
    return d;
}

/* Workload number `place` of the members. */
static int member_at(uint32_t members, int place)
{
    for (; place > 0; place--)
        members &= members - 1;
    return __builtin_ctz(members);
}

static int serving(const struct tr_fleet_config *f, int place)
{
    int n = 0;
    for (int i = 0; i < TR_MAX_PODS; i++)
        n += (int)(f->serves[i] >> place & 1U);
    return n;
}

/* A workload's part of the traffic at one of its pods. */
static struct tr_victim_source source_of(const struct tr_pools *p, uint32_t members,
                                         const struct tr_fleet_config *f, int place, int ctx)
{
    const struct tr_member *m = &p->member[member_at(members, place)];
    double part = 1.0 / (serving(f, place) * f->gpus);
    return (struct tr_victim_source){.pod = ctx,
                                     .like = m->source,
                                     .rate = part * m->alone->stats.rate,
                                     .peak_rate = part * m->alone->spikes.peak_rate,
                                     .priority = m->view.workload.priority};
}

/* The first pod that serves it, and whoever else is on that pod's device. */
static void make_setup(const struct tr_pools *p, const struct tr_pool *pool, int place,
                       struct tr_engine_config *engines, struct tr_victim_setup *out)
{
    struct tr_stand_run run = {.stand = &pool->stand, .members = pool->members};
    struct tr_fleet_config f;
    int pod = 0, ctx, first;
    run.nodes = pool->nodes;
    tr_stand_fleet(p, &run, engines, &f);
    while (!(f.serves[pod] >> place & 1U))
        pod++;
    int d = device_of(&f, pod, &ctx);
    first = pod - ctx;
    *out = (struct tr_victim_setup){
        .device = f.device[d],
        .slo = &p->member[member_at(pool->members, place)].view.workload.slo,
        .seed = p->opts.seed,
        .stop = p->opts.progress.stop};
    out->source[out->n++] = source_of(p, pool->members, &f, place, ctx);
    for (int i = 0; i < f.device[d].n_pods; i++)
        for (int w = 0; w < f.n_workloads && out->n < TR_MAX_VICTIM_SOURCES; w++)
            if ((f.serves[first + i] >> w & 1U) != 0 && (i != ctx || w != place))
                out->source[out->n++] = source_of(p, pool->members, &f, w, i);
    tr_victim_effort(out, p->opts.quick);
}

/* The idle answer time of the victim, on the first seat that serves it. */
static double answer_s(const struct tr_pool *pool, int workload)
{
    int pod = 0;
    while (!(pool->stand.serves[pod] >> workload & 1U))
        pod++;
    return pool->stand.seat[pod]->answer_s[workload];
}

/* Piece i: victim i / 3, neighbours i % 3. */
static int one_answer(void *arg, size_t i, struct tr_err *err)
{
    struct tr_pools *p = arg;
    struct tr_pool_victim *v = &p->victims[i / TR_N_NEIGHBOURS];
    const struct tr_pool *pool = tr_pools_group(p, p->answer.best[0].group[v->pool]);
    enum tr_neighbour neighbour = (enum tr_neighbour)(i % TR_N_NEIGHBOURS);
    struct tr_engine_config engines[TR_MAX_PODS];
    struct tr_victim_setup setup;
    int place = __builtin_popcount(pool->members & ((1U << v->workload) - 1));
    make_setup(p, pool, place, engines, &setup);
    setup.simulated = &p->simulated;
    setup.source[0].rate = tr_victim_rate(setup.source[0].rate, answer_s(pool, v->workload));
    if (neighbour == TR_NEIGHBOUR_IDLE) {
        v->rate = setup.source[0].rate;
        v->coupled = setup.n > 1;
    }
    return neighbour != TR_NEIGHBOUR_IDLE && setup.n == 1
               ? TR_OK
               : tr_victim_run(&setup, neighbour, &v->at[neighbour], err);
}

int tr_pools_victims(struct tr_pools *p, struct tr_err *err)
{
    const struct tr_partition *best = &p->answer.best[0];
    for (int g = 0; p->answer.n_best > 0 && g < best->n; g++)
        for (uint32_t bits = best->group[g]; (best->group[g] & (best->group[g] - 1)) && bits != 0;
             bits &= bits - 1)
            p->victims[p->n_victims++] =
                (struct tr_pool_victim){.pool = g, .workload = __builtin_ctz(bits)};
    struct tr_stage stage = {&p->opts, "neighbours", 1, 1, &p->simulated, one_answer, p};
    int rc = tr_stage_run(&stage, (size_t)p->n_victims * TR_N_NEIGHBOURS, err);
    if (rc < 0)
        p->n_victims = 0;
    for (int i = 0; i < p->n_victims; i++)
        for (int k = 1; k < TR_N_NEIGHBOURS && !p->victims[i].coupled; k++)
            p->victims[i].at[k] = p->victims[i].at[TR_NEIGHBOUR_IDLE];
    return rc;
}
