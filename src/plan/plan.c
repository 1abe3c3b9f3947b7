/* The plan: all candidates through all gates, on all CPUs. */
#include "plan/pools.h"

#include <stdlib.h>

/* Opens the plan's traffic and measures it. */
static int measure(struct tr_plan *plan, struct tr_source **src, struct tr_err *err)
{
    struct tr_trace_info info;
    int rc = tr_source_open(&plan->traffic, plan->opts.seed, src, &info, err);
    if (rc < 0)
        return rc;
    tr_source_keep(*src, TR_KEEP_REQUESTS);
    tr_traffic_measure(*src, &plan->stats);
    tr_spikes_find(&plan->spikes, *src);
    tr_lengths_measure(&plan->lengths, &plan->arena, *src,
                       tr_workload_model_len(&plan->scenario->workload));
    return tr_plan_traffic_decides(plan->scenario, &plan->spikes, err);
}

/* Whole runs that were given as many arrivals were given the same ones. */
static void check_same_arrivals(const struct tr_plan *plan)
{
    for (size_t i = 0; i < plan->n_candidates; i++)
        for (size_t j = 0; j < i; j++) {
            const struct tr_sim_result *a = &plan->candidates[i].result;
            const struct tr_sim_result *b = &plan->candidates[j].result;
            tr_debug_assert(a->arrivals != b->arrivals || a->arrivals_hash == b->arrivals_hash);
        }
}

static int run_pools(const struct tr_scenario *scenario, const struct tr_plan_opts *opts,
                     struct tr_plan **out, struct tr_err *err)
{
    struct tr_pools *pools = NULL;
    int rc = tr_pools_run(scenario, opts, &pools, err);
    if (pools == NULL)
        return rc;
    struct tr_plan *plan = tr_calloc(1, sizeof *plan);
    plan->scenario = scenario;
    plan->opts = *opts;
    plan->pick = plan->runner_up = -1;
    plan->pools = pools;
    plan->meets = pools->meets;
    plan->simulated_requests = pools->simulated;
    plan->interrupted = pools->interrupted;
    *out = plan;
    return rc;
}

int tr_plan_run(const struct tr_scenario *scenario, const struct tr_plan_opts *opts,
                struct tr_plan **out, struct tr_err *err)
{
    *out = NULL;
    if (scenario->n_workloads == 0)
        return tr_err_set(err, TR_EINPUT, "%s: has no workloads to plan; see 'tranche check'",
                          scenario->path);
    if (scenario->n_workloads > 1)
        return run_pools(scenario, opts, out, err);
    struct tr_plan *plan = tr_calloc(1, sizeof *plan);
    struct tr_source *src = NULL;
    _Atomic int64_t simulated = 0;
    plan->scenario = scenario;
    plan->opts = *opts;
    plan->pick = plan->runner_up = -1;
    struct tr_evaluation ev = {.scenario = scenario,
                               .opts = &plan->opts,
                               .spikes = &plan->spikes,
                               .simulated = &simulated};
    int rc =
        tr_plan_traffic(scenario, opts, &simulated, &plan->traffic, &plan->relative_capacity, err);
    if (rc == TR_OK)
        rc = measure(plan, &src, err);
    ev.source = src;
    if (rc == TR_OK)
        rc = tr_candidates_enumerate(scenario, &plan->arena, &plan->candidates, &plan->n_candidates,
                                     err);
    if (rc < 0)
        goto out;
    for (size_t i = 0; i < plan->n_candidates; i++)
        tr_candidate_bound(&plan->candidates[i], &scenario->workload, &plan->lengths);
    rc = tr_screen_run(plan, &ev, err);
    tr_rank_all(plan);
    if (rc == TR_OK)
        rc = tr_autoscale_run(plan, &ev, err);
    if (rc == TR_OK && !opts->brief)
        rc = tr_front_run(plan, &ev, err);
    if (rc == TR_OK && !opts->brief)
        rc = tr_victims_run(plan, &ev, err);
    if (rc == TR_OK)
        rc = tr_draws_run(plan, &ev, err);
    if (rc == TR_OK && opts->flips)
        rc = tr_synchrony_run(plan, &ev, err);
    if (rc == TR_OK && opts->flips)
        rc = tr_flips_run(plan, &ev, err);
    plan->simulated_requests = simulated;
    plan->interrupted = rc == TR_EINTR;
    if (rc == TR_EINTR)
        rc = tr_err_set(err, rc, "interrupted: the arrangements that were finished are shown");
    if (rc == TR_OK || rc == TR_EINTR) {
        check_same_arrivals(plan);
        tr_autoscale_rank(plan);
        tr_verdict_make(plan);
        *out = plan;
        plan = NULL;
    }
out:
    tr_source_close(src);
    tr_plan_free(plan);
    return rc;
}

void tr_plan_free(struct tr_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->n_candidates; i++)
        tr_sim_result_free(&plan->candidates[i].result);
    tr_pools_free(plan->pools);
    tr_spikes_free(&plan->spikes);
    tr_arena_free(&plan->arena);
    free(plan);
}

int tr_plan_exit(const struct tr_plan *plan)
{
    return plan->meets ? 0 : TR_EXIT_NO;
}
