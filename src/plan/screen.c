/* Which candidates can win: all on a sample first, then the best with all that there is. */
#include "plan/plan.h"

#include <stdlib.h>

/* A fleet's size on a sample is worth some per cent: whatever on its sample costs at most this much
 * more than the runner-up is run with all that there is, too. */
#define MARGIN 0.10

struct screen {
    struct tr_plan *plan;
    struct tr_evaluation ev;
    size_t *todo; /* candidates of this round */
};

static int screen_one(void *arg, size_t i, struct tr_err *err)
{
    struct screen *job = arg;
    struct tr_candidate *c = &job->plan->candidates[job->todo[i]];
    struct tr_err why = {0};
    int rc = tr_evaluate_capacity(c, &job->ev, &why);
    if (rc == TR_OK && c->capacity_rps <= 0) {
        c->gate = TR_GATE_FLEET;
        struct tr_str blame = {0};
        tr_parts_blame(c, &blame);
        snprintf(c->why, sizeof c->why, "misses the objective at any rate on one GPU%s",
                 blame.text != NULL ? blame.text : "");
        tr_str_free(&blame);
    } else if (rc == TR_OK) {
        rc = tr_evaluate_fleet(c, &job->ev, &why);
    }
    return rc < 0 ? tr_err_set(err, rc, "%s: %s", c->arrangement.text, why.text) : TR_OK;
}

/* The candidate as before until all of it is known: an interruption leaves what the sample says. */
static int confirm_one(void *arg, size_t i, struct tr_err *err)
{
    struct screen *job = arg;
    struct tr_candidate *c = &job->plan->candidates[job->todo[i]], was = *c;
    struct tr_evaluation sample = job->ev;
    struct tr_sim_result result;
    sample.effort = tr_effort_screen;
    tr_outcome_init(&c->result.outcome);
    int rc = screen_one(job, i, err);
    if (rc == TR_OK && c->gate == TR_GATE_OK && was.sampled_gpus > 0) {
        rc = tr_evaluate_run(c, &sample, c->nodes, &result, err);
        c->screened_gpus = result.fleet.simulated_pods / c->arrangement.n_pods;
        c->screened_inside =
            (double)result.outcome.inside_all / (double)TR_MAX(result.outcome.offered, 1);
        tr_sim_result_free(&result);
    }
    tr_sim_result_free(rc < 0 ? &c->result : &was.result);
    if (rc < 0)
        *c = was;
    else
        c->confirmed = true;
    return rc;
}

/* Those that were interrupted before anything was known of them. */
static void mark_stopped(struct tr_plan *plan)
{
    for (size_t i = 0; i < plan->n_candidates; i++) {
        struct tr_candidate *c = &plan->candidates[i];
        if (c->gate != TR_GATE_OK || c->nodes > 0)
            continue;
        c->gate = TR_GATE_STOPPED;
        snprintf(c->why, sizeof c->why, "interrupted");
    }
}

/* The unconfirmed of the first two, and of what costs little more than the second. */
static size_t can_win(struct screen *job)
{
    struct tr_plan *plan = job->plan;
    size_t n = 0;
    tr_rank_all(plan);
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        if (!tr_rank_ranked(c))
            break;
        const struct tr_candidate *second = &plan->candidates[plan->order[TR_MIN(i, 1)]];
        bool near = c->beyond_max == second->beyond_max &&
                    tr_rank_priced(c) == tr_rank_priced(second) && c->sampled_gpus > 0 &&
                    tr_rank_cost(c) <= tr_rank_cost(second) * (1 + MARGIN);
        if (!c->confirmed && (i < 2 || near))
            job->todo[n++] = plan->order[i];
    }
    return n;
}

int tr_screen_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    struct screen job = {plan, *ev, tr_calloc(plan->n_candidates, sizeof *job.todo)};
    struct tr_stage stage = {&plan->opts, "arrangements", 0, 0.2, ev->simulated, screen_one, &job};
    size_t n = 0;
    for (int turns = 1; turns >= 0; turns--) /* the dearest first, so that all CPUs end together */
        for (size_t i = 0; i < plan->n_candidates; i++)
            if (plan->candidates[i].gate == TR_GATE_OK &&
                tr_evaluate_turns(&plan->candidates[i]) == turns)
                job.todo[n++] = i;
    job.ev.effort = plan->opts.quick ? tr_effort_quick : tr_effort_screen;
    int rc = tr_stage_run(&stage, n, err);
    if (rc == TR_OK || rc == TR_EINTR)
        mark_stopped(plan);
    job.ev.effort = tr_effort_exact;
    stage = (struct tr_stage){
        &plan->opts, "pick and runner-up, exactly", 0.2, 0.4, ev->simulated, confirm_one, &job};
    while (rc == TR_OK && !plan->opts.quick && (n = can_win(&job)) > 0)
        rc = tr_stage_run(&stage, n, err);
    free(job.todo);
    return rc;
}
