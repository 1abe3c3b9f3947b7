/* One stand on the traffic of all its workloads: is each inside its own objective? */
#include "plan/pools.h"

#include <math.h>
#include <stdlib.h>

/* ---- the fleet ------------------------------------------------------------------------------ */

/* Workloads of a run are numbered in the order of their bits. */
static int place_of(uint32_t members, int workload)
{
    return __builtin_popcount(members & (((uint32_t)1 << workload) - 1));
}

static uint32_t renumbered(uint32_t members, uint32_t serves)
{
    uint32_t out = 0;
    for (uint32_t bits = serves; bits != 0; bits &= bits - 1)
        out |= (uint32_t)1 << place_of(members, __builtin_ctz(bits));
    return out;
}

/* An engine of several serves all of a workload's tenants: none has a pod to be sent to. */
static enum tr_router router_of(const struct tr_stand *s, const struct tr_workload *w)
{
    return s->layout.arrangement.one_engine && w->router == TR_ROUTE_TENANT ? TR_ROUTE_RANDOM
                                                                            : w->router;
}

void tr_stand_fleet(const struct tr_pools *p, const struct tr_stand_run *run,
                    struct tr_engine_config *engines, struct tr_fleet_config *f)
{
    const struct tr_stand *s = run->stand;
    const struct tr_gpu *gpu = s->node->gpu;
    *f = (struct tr_fleet_config){.gpus = run->nodes * s->node->gpus,
                                  .n_workloads = __builtin_popcount(run->members),
                                  .seed = p->opts.seed};
    for (int part = 0, pod = 0, n = 0; part < s->layout.arrangement.n_parts; part++) {
        const struct tr_part *a = &s->layout.arrangement.parts[part];
        if (s->serves[pod] == 0) {
            pod += a->n_pods;
            continue;
        }
        f->device[f->parts++] = (struct tr_device_config){
            .engines = &engines[n],
            .n_pods = a->n_pods,
            .sharing = a->sharing,
            .quantum_ps = (int64_t)(gpu->quantum_s * 1e12),
            .switch_ps = (int64_t)(gpu->switch_s * 1e12),
            .yields = gpu->yields,
            .sharpness = gpu->mps_sharpness,
        };
        for (int i = 0; i < a->n_pods; i++, pod++, n++) {
            engines[n] = s->seat[pod]->pod.engine[0];
            f->serves[n] = renumbered(run->members, s->serves[pod]);
        }
    }
    for (uint32_t bits = run->members; bits != 0; bits &= bits - 1) {
        const struct tr_workload *w = &p->member[__builtin_ctz(bits)].view.workload;
        f->workload[place_of(run->members, __builtin_ctz(bits))] =
            (struct tr_fleet_workload){.router = router_of(s, w),
                                       .n_tenants = w->n_tenants,
                                       .priorities = w->priorities,
                                       .priority = w->priority};
    }
}

static bool takes_turns(const struct tr_stand *s)
{
    for (int i = 0; i < s->layout.arrangement.n_parts; i++)
        if (s->layout.arrangement.parts[i].sharing == TR_TIMESLICE)
            return true;
    return false;
}

/* How many GPUs stand for all, as for a lone workload (evaluate.c): so many that they see the
 * requests of the sample, and of each workload a tenth of that, or all it has. */
static int sample_of(const struct tr_pools *p, const struct tr_stand_run *run, int64_t wanted)
{
    int64_t gpus = (int64_t)run->nodes * run->stand->node->gpus, sample = 1, total = 0;
    for (uint32_t bits = run->members; bits != 0; bits &= bits - 1) {
        const struct tr_member *m = &p->member[__builtin_ctz(bits)];
        enum tr_router router = router_of(run->stand, &m->view.workload);
        int64_t requests = m->alone->spikes.requests, least = TR_MIN(wanted / 10, requests);
        if (wanted == 0 || router == TR_ROUTE_LEAST_REQUESTS || router == TR_ROUTE_TENANT ||
            m->view.workload.slo.spikes_only)
            return (int)gpus;
        sample = TR_MAX(sample, (least * gpus + requests - 1) / requests);
        total += requests;
    }
    return (int)TR_MIN(TR_MAX(sample, (wanted * gpus + total - 1) / total), gpus);
}

/* ---- judging -------------------------------------------------------------------------------- */

/* As tr_objective_carried, for one of several workloads. */
static bool carried(const struct tr_outcome *o, const struct tr_slo *slo)
{
    bool sees_queue = false;
    for (int i = 0; i < slo->n; i++)
        sees_queue =
            sees_queue || (slo->objective[i].metric != TR_TPOT &&
                           slo->objective[i].limit_ns < o->last_arrival_ns - o->first_arrival_ns);
    return sees_queue || tr_outcome_label(o) != TR_OVERLOADED;
}

/* Requests outside objective i over those that it forgives; of a run that stopped, of those seen.
 */
static double off_by(const struct tr_outcome *o, const struct tr_slo *slo, int i,
                     const struct tr_spikes *spikes)
{
    bool s = slo->spikes_only;
    int64_t expected = s ? spikes->in_spike : spikes->requests;
    int64_t offered = s ? o->spike_offered : o->offered;
    int64_t inside = s ? o->spike_inside[i] : o->inside[i];
    if (!o->stopped_early)
        expected = offered;
    double forgiven = TR_MAX(1 - slo->objective[i].fraction, 1e-6) * (double)TR_MAX(expected, 1);
    return (double)(offered - inside) / forgiven;
}

/* In words; a run that stopped says no more than that the objective is missed, and may have been
 * stopped for what still waited. */
static void say_off(struct tr_stand_run *run, const struct tr_workload *w,
                    const struct tr_outcome *o, int k)
{
    const struct tr_objective *x = &w->slo.objective[k];
    char limit[24];
    tr_units_show_ns(limit, x->limit_ns);
    if (o->stopped_early)
        snprintf(run->why, sizeof run->why, "%s has fewer than %g %% of its requests within %s %s",
                 w->name, 100 * x->fraction, tr_metric_name(x->metric), limit);
    else
        snprintf(run->why, sizeof run->why, "%s has %.2f %% of its requests within %s %s", w->name,
                 floor(1e4 * tr_outcome_inside(o, k, w->slo.spikes_only)) / 100,
                 tr_metric_name(x->metric), limit);
}

/* The worst objective of all: how far it is off. */
static void judge(const struct tr_pools *p, struct tr_stand_run *run,
                  const struct tr_outcome *outcomes)
{
    run->off = -1;
    for (uint32_t bits = run->members; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        const struct tr_workload *w = &p->member[i].view.workload;
        const struct tr_outcome *o = &outcomes[place_of(run->members, i)];
        run->meets = run->meets && carried(o, &w->slo);
        for (int k = 0; k < w->slo.n; k++) {
            double off = off_by(o, &w->slo, k, &p->member[i].alone->spikes);
            if (off <= run->off)
                continue;
            run->off = off;
            say_off(run, w, o, k);
        }
    }
}

/* ---- guarantees ----------------------------------------------------------------------------- */

/* Does each guaranteed member hold whatever the others do? */
static int check_guarantees(struct tr_pools *p, struct tr_stand_run *run, struct tr_err *err)
{
    int rc = TR_OK;
    for (uint32_t bits = run->members; bits != 0 && rc == TR_OK && run->meets; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        const struct tr_workload *w = &p->member[i].view.workload;
        double within[TR_MAX_OBJECTIVES];
        if (!w->guaranteed)
            continue;
        rc = tr_stand_saturate(p, run, i, within, err);
        for (int k = 0; k < w->slo.n && rc == TR_OK && run->meets; k++) {
            const struct tr_objective *x = &w->slo.objective[k];
            char limit[24];
            run->saturated[i] = k == 0 ? within[k] : TR_MIN(run->saturated[i], within[k]);
            if (within[k] >= x->fraction)
                continue;
            run->meets = false;
            run->breaks = i;
            run->off = (1 - within[k]) / TR_MAX(1 - x->fraction, 1e-6);
            snprintf(run->why, sizeof run->why,
                     "%s is guaranteed, and has %.2f %% of its requests within %s %s while its "
                     "neighbours saturate",
                     w->name, floor(1e4 * within[k] + 1e-9) / 100, tr_metric_name(x->metric),
                     tr_units_show_ns(limit, x->limit_ns));
        }
    }
    return rc;
}

/* ---- the run -------------------------------------------------------------------------------- */

static int simulate(const struct tr_pools *p, struct tr_stand_run *run, int64_t wanted,
                    struct tr_err *err)
{
    struct tr_engine_config engines[TR_MAX_PODS];
    struct tr_source *sources[TR_MAX_WORKLOADS];
    struct tr_sim_aim aims[TR_MAX_WORKLOADS];
    struct tr_sim_config cfg = {.aims = aims,
                                .max_queue = TR_QUEUE_LIMIT,
                                .stop = p->opts.progress.stop,
                                .simulated = (_Atomic int64_t *)&p->simulated};
    int n = 0;
    tr_stand_fleet(p, run, engines, &cfg.fleet);
    cfg.fleet.simulated_gpus = sample_of(p, run, wanted);
    cfg.decide = cfg.fleet.simulated_gpus == cfg.fleet.gpus;
    run->sampled_gpus = cfg.decide ? 0 : cfg.fleet.simulated_gpus;
    for (uint32_t bits = run->members; bits != 0; bits &= bits - 1, n++) {
        const struct tr_member *m = &p->member[__builtin_ctz(bits)];
        sources[n] = tr_source_clone(m->source);
        aims[n] = (struct tr_sim_aim){.slo = &m->view.workload.slo,
                                      .spikes = &m->alone->spikes,
                                      .expected = m->alone->spikes.requests};
    }
    struct tr_source *src = tr_source_merge(sources, n);
    int rc = tr_sim_run(&cfg, src, &run->result, err);
    tr_source_close(src);
    run->meets = run->result.meets;
    if (rc == TR_OK)
        judge(p, run, run->result.by_workload);
    return rc;
}

int tr_stand_simulate(struct tr_pools *p, struct tr_stand_run *run, struct tr_err *err)
{
    const struct tr_effort *effort = p->opts.quick ? &tr_effort_quick : &tr_effort_screen;
    run->breaks = -1;
    int rc = simulate(p, run, effort->sample[takes_turns(run->stand)], err);
    if (rc == TR_OK && run->meets && run->sampled_gpus > 0 && !p->opts.quick) {
        tr_sim_result_free(&run->result);
        rc = simulate(p, run, 0, err);
    }
    if (rc == TR_OK && run->meets)
        rc = check_guarantees(p, run, err);
    return rc;
}
