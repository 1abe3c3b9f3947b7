/* How sure a verdict is: errors, the sample, and the draws. */
#include "plan/plan.h"

#include <math.h>

static bool under_mps(const struct tr_candidate *c)
{
    return c->arrangement.parts[0].sharing == TR_MPS;
}

/* How far a sample of a fleet's GPUs is from the whole, where both were run; else that it was one.
 */
static void say_sample(struct tr_plan *plan)
{
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    struct tr_str s = {0};
    for (int i = 0; i < 2; i++) {
        int index = i == 0 ? plan->pick : plan->runner_up;
        const struct tr_candidate *c = index >= 0 ? &plan->candidates[index] : NULL;
        if (c == NULL || c->screened_gpus == 0)
            continue;
        double whole = (double)c->result.outcome.inside_all / (double)c->result.outcome.offered;
        tr_str_printf(&s, "%s a sample of %d of %d GPUs of %s is off by %.2f points",
                      s.len > 0 ? "," : "", c->screened_gpus, c->nodes * c->node->gpus,
                      tr_verdict_name(plan, c), 100 * fabs(c->screened_inside - whole));
    }
    if (s.len > 0)
        tr_verdict_say(
            plan,
            "Pick and runner-up were run on all of their GPUs over the whole of the traffic, what "
            "cannot win on a sample of them. Of the share of requests inside the objective%s.",
            s.text);
    else if (pick->sampled_gpus > 0)
        tr_verdict_say(plan,
                       "%d of %d GPUs of the pick's fleet were simulated, a sample without bias%s.",
                       pick->sampled_gpus, pick->nodes * pick->node->gpus,
                       plan->opts.quick ? " (--quick); the full plan simulates all" : "");
    tr_str_free(&s);
}

static void say_errors(struct tr_plan *plan)
{
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    char spread[96];
    if (c->capacity_seeds > 1)
        snprintf(spread, sizeof spread, "capacity per GPU is %.3g to %.3g requests/s over %d seeds",
                 c->capacity_lo, c->capacity_hi, c->capacity_seeds);
    else
        snprintf(spread, sizeof spread, "one seed and shorter runs (--quick)");
    tr_verdict_say(
        plan,
        "How sure: %s; step times on %s are %s, to within %.0f %%: fleets whose sizes differ by "
        "less than that are not told apart. Near saturation TTFT is less certain than that: there, "
        "1 %% of capacity moves it by tens of per cent.",
        spread, c->gpu->name,
        c->gpu->standing == TR_ESTIMATE ? "estimates" : "fitted to measurements",
        100 * c->gpu->error);
    const struct tr_candidate *next = plan->runner_up < 0 ? c : &plan->candidates[plan->runner_up];
    if (under_mps(c) || under_mps(next))
        tr_verdict_say(
            plan, "Under MPS figures are less sure: to within 15 %%, tails within 40 %%; how pods "
                  "slow each other down is fitted to one published case.");
}

/* "whole bf16 costs less than mig:7g.80gb bf16 in 95 % of draws (19 of 20; the same in 1)" */
static void say_draws(struct tr_plan *plan)
{
    struct tr_str s = {0};
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    for (int f = 1; f < plan->n_finalists; f++) {
        const struct tr_finalist *x = &plan->finalists[f];
        tr_str_printf(&s, "%s than %s in %.0f %% of draws (%d of %d", f > 1 ? "," : "",
                      tr_verdict_name(plan, &plan->candidates[x->candidate]),
                      100.0 * x->dearer / plan->n_draws, x->dearer, plan->n_draws);
        if (x->ties > 0)
            tr_str_printf(&s, "; the same within %.0f %% in %d", 100 * TR_TIE, x->ties);
        tr_str_add(&s, ")", 1);
    }
    if (s.len > 0)
        tr_verdict_say(plan,
                       "Drawing the constants within their spreads, and the traffic with other "
                       "seeds, the same for all: %s costs less%s.",
                       tr_verdict_name(plan, pick), s.text);
    tr_str_free(&s);
}

/* Which measurement would decide: at a rate that one of the two should hold on a GPU and the other
 * should not. */
static void say_too_close(struct tr_plan *plan)
{
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    const char *path =
        strcmp(plan->scenario->path, "-") == 0 ? "SCENARIO.yaml" : plan->scenario->path;
    for (int f = 1; f < plan->n_finalists; f++) {
        const struct tr_finalist *x = &plan->finalists[f];
        const struct tr_candidate *c = &plan->candidates[x->candidate];
        if (!tr_draws_too_close(plan, x))
            continue;
        tr_verdict_say(
            plan,
            "Too close to call: %s is the cheaper in %d of %d draws. Measure both on one "
            "GPU, at %.3g requests/s: by the catalog's constants %s holds the objective "
            "up to %.3g, %s up to %.3g.",
            tr_verdict_name(plan, c), x->cheaper, plan->n_draws,
            (pick->capacity_rps + c->capacity_rps) / 2, tr_verdict_name(plan, pick),
            pick->capacity_rps, tr_verdict_name(plan, c), c->capacity_rps);
        tr_verdict_say(plan, "tranche bench --url http://POD:8000 %s --request-rate %.3g", path,
                       (pick->capacity_rps + c->capacity_rps) / 2);
    }
}

void tr_verdict_sureness(struct tr_plan *plan)
{
    say_errors(plan);
    say_sample(plan);
    say_draws(plan);
    say_too_close(plan);
    if (plan->interrupted && plan->opts.draws > 0 && plan->n_draws == 0)
        tr_verdict_say(plan, "Interrupted: draws and what would flip the answer were left out.");
    else if (plan->interrupted && plan->opts.flips)
        tr_verdict_say(plan, "Interrupted: what would flip the answer was left out.");
}
