/* The plan: all candidates through all gates, on all CPUs. */
#include "plan/plan.h"

#include <stdatomic.h>
#include <stdlib.h>

#define KEEP_REQUESTS 2000000 /* 32 MB: every fleet size replays the same requests */

struct job {
    struct tr_plan *plan;
    struct tr_evaluation ev;
    struct tr_err *errs; /* per candidate */
    _Atomic int64_t simulated;
    _Atomic int64_t finished;
};

static void evaluate(void *arg, size_t i)
{
    struct job *job = arg;
    struct tr_candidate *c = &job->plan->candidates[i];
    const atomic_int *stop = job->plan->opts.progress.stop;
    if (c->gate == TR_GATE_OK) {
        int rc = TR_OK;
        if (stop != NULL && *stop != 0)
            rc = tr_err_set(&job->errs[i], TR_EINTR, "interrupted");
        if (rc == TR_OK)
            rc = tr_evaluate_capacity(c, &job->ev, &job->errs[i]);
        if (rc == TR_OK && c->capacity_rps <= 0) {
            c->gate = TR_GATE_FLEET;
            snprintf(c->why, sizeof c->why, "misses the objective at any rate on one GPU");
        } else if (rc == TR_OK) {
            rc = tr_evaluate_fleet(c, &job->ev, &job->errs[i]);
        }
        if (rc < 0) {
            c->gate = TR_GATE_STOPPED;
            snprintf(c->why, sizeof c->why, "%.300s", job->errs[i].text);
        }
    }
    atomic_fetch_add(&job->finished, 1);
}

static void tick(void *arg)
{
    struct job *job = arg;
    const struct tr_progress *progress = &job->plan->opts.progress;
    char what[96], count[32];
    if (progress->report == NULL)
        return;
    int64_t finished = atomic_load(&job->finished);
    snprintf(what, sizeof what, "%" PRId64 " of %zu arrangements, %s requests simulated", finished,
             job->plan->n_candidates, tr_units_show_count(count, atomic_load(&job->simulated)));
    progress->report(progress->arg, what,
                     (double)finished / (double)TR_MAX(job->plan->n_candidates, 1U));
}

/* Opens the plan's traffic and measures it. */
static int measure(struct tr_plan *plan, struct tr_source **src, struct tr_err *err)
{
    struct tr_trace_info info;
    int rc = tr_source_open(&plan->traffic, plan->opts.seed, src, &info, err);
    if (rc < 0)
        return rc;
    tr_source_keep(*src, KEEP_REQUESTS);
    tr_traffic_measure(*src, &plan->stats);
    tr_spikes_find(&plan->spikes, *src);
    tr_lengths_measure(&plan->lengths, &plan->arena, *src,
                       tr_workload_model_len(&plan->scenario->workload));
    return tr_plan_traffic_decides(plan->scenario, &plan->spikes, err);
}

/* An interruption outranks nothing, any other failure is the plan's. */
static int first_error(const struct job *job, struct tr_err *err)
{
    int rc = TR_OK;
    for (size_t i = 0; i < job->plan->n_candidates; i++) {
        const struct tr_err *e = &job->errs[i];
        if (e->code == TR_OK)
            continue;
        if (e->code != TR_EINTR)
            return tr_err_set(err, e->code, "%s: %s", job->plan->candidates[i].arrangement.text,
                              e->text);
        rc = TR_EINTR;
    }
    if (rc == TR_EINTR)
        return tr_err_set(err, rc, "interrupted: the arrangements that were finished are shown");
    return rc;
}

int tr_plan_run(const struct tr_scenario *scenario, const struct tr_plan_opts *opts,
                struct tr_plan **out, struct tr_err *err)
{
    *out = NULL;
    if (scenario->n_workloads == 0)
        return tr_err_set(err, TR_EINPUT, "%s: has no workloads to plan; see 'tranche check'",
                          scenario->path);
    struct tr_plan *plan = tr_calloc(1, sizeof *plan);
    struct tr_source *src = NULL;
    struct job job = {.plan = plan};
    plan->scenario = scenario;
    plan->opts = *opts;
    plan->pick = plan->runner_up = -1;
    job.ev = (struct tr_evaluation){.scenario = scenario,
                                    .opts = &plan->opts,
                                    .spikes = &plan->spikes,
                                    .lengths = &plan->lengths,
                                    .simulated = &job.simulated};
    int rc = tr_plan_traffic(scenario, opts, &job.simulated, &plan->traffic,
                             &plan->relative_capacity, err);
    if (rc == TR_OK)
        rc = measure(plan, &src, err);
    job.ev.source = src;
    if (rc == TR_OK)
        rc = tr_candidates_enumerate(scenario, &plan->arena, &plan->candidates, &plan->n_candidates,
                                     err);
    if (rc < 0)
        goto out;
    for (size_t i = 0; i < plan->n_candidates; i++)
        tr_candidate_bound(&plan->candidates[i], &scenario->workload, &plan->lengths);
    job.errs = tr_calloc(plan->n_candidates, sizeof *job.errs);
    tr_pool_run_watched(opts->jobs, plan->n_candidates, evaluate, &job, tick, &job);
    rc = first_error(&job, err);
    plan->simulated_requests = atomic_load(&job.simulated);
    plan->interrupted = rc == TR_EINTR;
    if (rc == TR_OK || rc == TR_EINTR) {
        tr_verdict_make(plan);
        *out = plan;
        plan = NULL;
    }
out:
    tr_source_close(src);
    free(job.errs);
    tr_plan_free(plan);
    return rc;
}

void tr_plan_free(struct tr_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->n_candidates; i++)
        tr_sim_result_free(&plan->candidates[i].result);
    tr_spikes_free(&plan->spikes);
    tr_arena_free(&plan->arena);
    free(plan);
}

int tr_plan_exit(const struct tr_plan *plan)
{
    return plan->meets ? 0 : TR_EXIT_NO;
}
