/* What neighbours do to the workloads of shared pools: each on one GPU as the pick has it. */
#include "plan/pools.h"

/* Requests of victim and neighbours where a refusal hangs on them. */
#define MOST_GUARANTEED_QUICK 200000
#define MOST_GUARANTEED       600000

/* Where on a GPU the fleet's pod `pod` is: its device and its number there. */
static int device_of(const struct tr_fleet_config *f, int pod, int *ctx)
{
    int d = 0;
    for (; pod >= f->device[d].n_pods; d++)
        pod -= f->device[d].n_pods;
    *ctx = pod;
    return d;
}

/* Number of the GPU's pod `pod` in its fleet, which leaves out parts on which nobody fits. */
static int fleet_pod(const struct tr_arrangement *a, const uint32_t *serves, int pod)
{
    int left_out = 0;
    for (int part = 0, first = 0; first < pod && part < a->n_parts;
         first += a->parts[part++].n_pods)
        left_out += serves[first] == 0 ? a->parts[part].n_pods : 0;
    return pod - left_out;
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

/* The workload's pod `pod` of a GPU, and whoever else is on that pod's device. */
static void make_setup(const struct tr_pools *p, const struct tr_stand_run *run, int workload,
                       int pod, bool first_come, struct tr_engine_config *engines,
                       struct tr_victim_setup *out)
{
    uint32_t members = run->members;
    struct tr_fleet_config f;
    int place = __builtin_popcount(members & ((1U << workload) - 1)), ctx, first;
    tr_stand_fleet(p, run, engines, &f);
    pod = fleet_pod(&run->stand->layout.arrangement, run->stand->serves, pod);
    int d = device_of(&f, pod, &ctx);
    first = pod - ctx;
    engines[pod].priority = engines[pod].priority && !first_come;
    *out = (struct tr_victim_setup){.device = f.device[d],
                                    .slo = &p->member[workload].view.workload.slo,
                                    .seed = p->opts.seed,
                                    .stop = p->opts.progress.stop};
    out->source[out->n++] = source_of(p, members, &f, place, ctx);
    for (int i = 0; i < f.device[d].n_pods; i++)
        for (int w = 0; w < f.n_workloads && out->n < TR_MAX_VICTIM_SOURCES; w++)
            if ((f.serves[first + i] >> w & 1U) != 0 && (i != ctx || w != place))
                out->source[out->n++] = source_of(p, members, &f, w, i);
    tr_victim_effort(out, p->opts.quick);
    if (p->member[workload].view.workload.guaranteed)
        out->most = p->opts.quick ? MOST_GUARANTEED_QUICK : MOST_GUARANTEED;
}

/* One answer of its pod `pod`. */
static int answer(struct tr_pools *p, const struct tr_stand_run *run, int workload, int pod,
                  bool first_come, enum tr_neighbour neighbour, struct tr_pool_victim *v,
                  struct tr_err *err)
{
    struct tr_engine_config engines[TR_MAX_PODS];
    struct tr_victim_setup setup;
    make_setup(p, run, workload, pod, first_come, engines, &setup);
    setup.simulated = &p->simulated;
    if (!p->member[workload].view.workload.guaranteed)
        setup.source[0].rate =
            tr_victim_rate(setup.source[0].rate, run->stand->seat[pod]->answer_s[workload]);
    if (neighbour == TR_NEIGHBOUR_IDLE) {
        v->rate = setup.source[0].rate;
        v->coupled = setup.n > 1;
    }
    return neighbour != TR_NEIGHBOUR_IDLE && setup.n == 1
               ? TR_OK
               : tr_victim_run(&setup, neighbour, &v->at[neighbour], err);
}

static int first_pod(const struct tr_stand *s, int workload)
{
    int pod = 0;
    while (!(s->serves[pod] >> workload & 1U))
        pod++;
    return pod;
}

/* Piece i: victim i / 3, neighbours i % 3. */
static int one_answer(void *arg, size_t i, struct tr_err *err)
{
    struct tr_pools *p = arg;
    struct tr_pool_victim *v = &p->victims[i / TR_N_NEIGHBOURS];
    struct tr_stand_run run = {
        .stand = &v->way->stand, .members = v->pool->members, .nodes = v->way->nodes};
    return answer(p, &run, v->workload, first_pod(run.stand, v->workload), v->first_come,
                  (enum tr_neighbour)(i % TR_N_NEIGHBOURS), v, err);
}

int tr_stand_saturate(struct tr_pools *p, const struct tr_stand_run *run, int workload,
                      double within[TR_MAX_OBJECTIVES], struct tr_err *err)
{
    const struct tr_stand *s = run->stand;
    int n_slo = p->member[workload].view.workload.slo.n, pods = 0, rc = TR_OK;
    memset(within, 0, TR_MAX_OBJECTIVES * sizeof within[0]);
    for (int pod = 0; pod < s->layout.arrangement.n_pods && rc == TR_OK; pod++) {
        struct tr_pool_victim v = {.workload = workload};
        if (!(s->serves[pod] >> workload & 1U))
            continue;
        rc = answer(p, run, workload, pod, false, TR_NEIGHBOUR_IDLE, &v, err);
        enum tr_neighbour worst = v.coupled ? TR_NEIGHBOUR_SATURATES : TR_NEIGHBOUR_IDLE;
        if (rc == TR_OK && v.coupled)
            rc = answer(p, run, workload, pod, false, worst, &v, err);
        for (int k = 0; k < n_slo; k++)
            within[k] += v.at[worst].within[k];
        pods++;
    }
    for (int k = 0; k < n_slo; k++)
        within[k] /= pods;
    return rc;
}

static void add(struct tr_pools *p, const struct tr_pool_victim *v)
{
    tr_grow((void **)&p->victims, &p->cap_victims, p->n_victims + 1, sizeof *p->victims);
    p->victims[p->n_victims++] = *v;
}

/* In every way that was tried; in one engine that goes by priority also as if it did not. */
static void add_ways(struct tr_pools *p, const struct tr_pool *pool, int number, int workload)
{
    for (int k = 0; k < pool->n_ways; k++) {
        const struct tr_way *way = &pool->ways[k];
        bool picked = k == pool->way;
        struct tr_pool_victim v = {
            .pool = pool, .way = way, .number = picked ? number : -1, .workload = workload};
        if (way->nodes == 0)
            continue;
        add(p, &v);
        v.number = -1;
        v.first_come = true;
        if (way->stand.layout.arrangement.one_engine && way->stand.seat[0]->pod.engine[0].priority)
            add(p, &v);
    }
}

const struct tr_pool *tr_pools_shown(const struct tr_pools *p, int workload)
{
    const struct tr_partition *best = &p->answer.best[0];
    const struct tr_pool *least = NULL;
    for (int g = 0; p->answer.n_best > 0 && g < best->n; g++)
        if ((best->group[g] >> workload & 1U) && tr_pools_group(p, best->group[g]) != NULL)
            return tr_pools_group(p, best->group[g]);
    for (size_t i = 0; i < p->n_groups; i++) {
        const struct tr_pool *g = p->groups[i];
        if ((g->members >> workload & 1U) && g->tried > 0 &&
            (least == NULL || __builtin_popcount(g->members) < __builtin_popcount(least->members)))
            least = g;
    }
    return least;
}

/* All members of the pick's shared pools, then who is guaranteed in other groups. */
static void add_all(struct tr_pools *p)
{
    const struct tr_partition *best = &p->answer.best[0];
    uint32_t seen = 0;
    for (int g = 0; p->answer.n_best > 0 && g < best->n; g++) {
        const struct tr_pool *pool = tr_pools_group(p, best->group[g]);
        for (uint32_t bits = pool != NULL ? pool->members : 0; bits != 0; bits &= bits - 1) {
            int i = __builtin_ctz(bits);
            seen |= 1U << i;
            if (p->member[i].view.workload.guaranteed)
                add_ways(p, pool, g, i);
            else
                add(p,
                    &(struct tr_pool_victim){
                        .pool = pool, .way = &pool->ways[pool->way], .number = g, .workload = i});
        }
    }
    for (int i = 0; i < p->n; i++) {
        const struct tr_pool *pool = tr_pools_shown(p, i);
        if (!(seen >> i & 1U) && pool != NULL && p->member[i].view.workload.guaranteed)
            add_ways(p, pool, -1, i);
    }
}

int tr_pools_victims(struct tr_pools *p, struct tr_err *err)
{
    struct tr_stage stage = {&p->opts, "neighbours", 1, 1, &p->simulated, one_answer, p};
    add_all(p);
    int rc = tr_stage_run(&stage, p->n_victims * TR_N_NEIGHBOURS, err);
    if (rc < 0)
        p->n_victims = 0;
    for (size_t i = 0; i < p->n_victims; i++)
        for (int k = 1; k < TR_N_NEIGHBOURS && !p->victims[i].coupled; k++)
            p->victims[i].at[k] = p->victims[i].at[TR_NEIGHBOUR_IDLE];
    return rc;
}
