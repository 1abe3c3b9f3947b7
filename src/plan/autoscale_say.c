/* What the verdict says of autoscaling. */
#include "plan/plan.h"

#include <math.h>

static const struct tr_autoscaled *of_pick(const struct tr_plan *plan)
{
    for (int i = 0; i < plan->n_scaled; i++)
        if (plan->scaled[i].candidate == plan->pick)
            return &plan->scaled[i];
    return NULL;
}

/* "10m", as one writes it into the flag. */
const char *tr_policy_delay(char buf[24], int64_t ns)
{
    const int64_t minute_ns = 60 * TR_NS_PER_S;
    if (ns % minute_ns != 0)
        return tr_units_show_ns(buf, ns);
    snprintf(buf, 24, "%" PRId64 "m", ns / minute_ns);
    return buf;
}

static double percent(double share)
{
    return floor(share * 1e4 + 1e-9) / 100;
}

/* "95.21 % of requests inside, 86.10 % in spikes" */
static const char *inside_words(struct tr_plan *plan, const struct tr_policy_run *r)
{
    if (isnan(r->spike_inside))
        return tr_arena_printf(&plan->arena, "%.2f %% of requests inside", percent(r->inside));
    return tr_arena_printf(&plan->arena, "%.2f %% of requests inside, %.2f %% in spikes",
                           percent(r->inside), percent(r->spike_inside));
}

static const char *policy_words(struct tr_plan *plan, const struct tr_policy *p)
{
    char delay[24];
    return tr_arena_printf(&plan->arena,
                           "%d to %d nodes, %g %s per replica, scale_down_unneeded_time %s",
                           p->min_nodes, p->max_nodes, p->target,
                           tr_scale_metric_name(plan->scenario->workload.hpa.metric),
                           tr_policy_delay(delay, p->unneeded_ns));
}

static void say_best(struct tr_plan *plan, const struct tr_autoscaled *x)
{
    const struct tr_candidate *c = &plan->candidates[x->candidate];
    const struct tr_policy_run *r = &x->best;
    char usd[32], fixed[32];
    const char *name = tr_verdict_name(plan, c);
    if (x->found)
        tr_verdict_say(
            plan,
            "Behind the cluster autoscaler %s costs %s, %.0f %% less than %d nodes all the time "
            "(%s), with %s: %s; %.1f nodes in the mean, %.0f s short of replicas.",
            name, tr_verdict_money(usd, r->usd_per_month),
            100 * (1 - r->usd_per_month / c->usd_per_month), c->nodes,
            tr_verdict_money(fixed, c->usd_per_month), inside_words(plan, r),
            policy_words(plan, &r->policy), r->nodes_mean, r->short_s);
    else if (r->meets)
        tr_verdict_say(
            plan,
            "Keep %d nodes all the time: behind the cluster autoscaler %s costs %s, %s %s (%s).",
            c->nodes, name, tr_verdict_money(usd, r->usd_per_month),
            r->usd_per_month < c->usd_per_month ? "less than 5 % below" : "no less than",
            tr_verdict_money(fixed, c->usd_per_month), policy_words(plan, &r->policy));
    else
        tr_verdict_say(
            plan,
            "Keep %d nodes all the time: no autoscaling policy that was tried keeps the objective "
            "with %s for less. The nearest has %s at %s (%s).",
            c->nodes, name, inside_words(plan, r), tr_verdict_money(usd, r->usd_per_month),
            policy_words(plan, &r->policy));
}

/* "$1,234 less a month", "$12 more a month" */
static const char *difference(struct tr_plan *plan, double usd)
{
    char digits[32];
    return tr_arena_printf(&plan->arena, "$%.20s %s a month",
                           tr_units_show_count(digits, (int64_t)(fabs(usd) + 0.5)),
                           usd <= 0 ? "less" : "more");
}

/* What a shorter delay saves, and what it costs: each against the longest. */
static void say_delays(struct tr_plan *plan, const struct tr_autoscaled *x)
{
    const struct tr_scenario *s = plan->scenario;
    const struct tr_policy_run *longest = &x->delay[0];
    char a[24], b[24];
    for (size_t d = 1; d < s->n_unneeded; d++)
        if (x->delay[d].policy.unneeded_ns > longest->policy.unneeded_ns)
            longest = &x->delay[d];
    for (size_t d = 0; d < s->n_unneeded; d++) {
        const struct tr_policy_run *r = &x->delay[d];
        if (r == longest)
            continue;
        double saved = r->usd_per_month - longest->usd_per_month;
        tr_verdict_say(plan,
                       "scale_down_unneeded_time %s in place of %s, nothing else changed: %s "
                       "(%.1f %%), with %s against %s.",
                       tr_policy_delay(a, r->policy.unneeded_ns),
                       tr_policy_delay(b, longest->policy.unneeded_ns), difference(plan, saved),
                       100 * saved / longest->usd_per_month, inside_words(plan, r),
                       inside_words(plan, longest));
    }
}

/* Can new nodes come while a spike lasts? */
static void say_reaction(struct tr_plan *plan, const struct tr_autoscaled *x)
{
    const struct tr_policy_run *r = &x->best;
    struct tr_scaling scaling;
    char start[24], spike[24], answer[24];
    if (r->spikes == 0)
        return;
    tr_policy_scaling(&plan->candidates[x->candidate], plan->scenario, &r->policy, &scaling);
    int64_t start_ns = tr_scaling_start_ns(&scaling);
    bool late = (double)start_ns > r->spike_s * 1e9;
    const char *when = "";
    if (r->answered > 0)
        when = tr_arena_printf(&plan->arena, ", after %s%s",
                               tr_units_show_ns(answer, (int64_t)(r->answer_s * 1e9)),
                               r->answered > 1 ? " in the median" : "");
    tr_verdict_say(
        plan,
        "A replica on a new node is ready %s after it is wanted, a spike lasts %s in the median: "
        "the autoscaler %s. In %d of %d spikes a further replica was ready before the end%s%s.",
        tr_units_show_ns(start, start_ns), tr_units_show_ns(spike, (int64_t)(r->spike_s * 1e9)),
        late ? "cannot answer a spike while it lasts, and what carries it must stand there before"
             : "can answer a spike while it lasts",
        r->answered, r->spikes, when,
        late && r->answered > 0 ? ": it was on its way, or its node was there" : "");
}

void tr_verdict_autoscale(struct tr_plan *plan)
{
    const struct tr_autoscaled *x = of_pick(plan);
    const char *why_not = NULL;
    if (x == NULL) {
        if (plan->scenario->autoscale)
            why_not = tr_autoscale_why_not(plan, &plan->candidates[plan->pick]);
        if (why_not != NULL)
            tr_verdict_say(plan, "Autoscaling was not looked at: %s.", why_not);
        return;
    }
    say_best(plan, x);
    say_delays(plan, x);
    say_reaction(plan, x);
}
