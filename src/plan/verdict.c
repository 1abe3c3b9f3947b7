/* The verdict: ranks, one cause per loser, the article's rules, and the sentences. Every figure is
 * taken from the plan's own counters. */
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

const char *tr_verdict_money(char buf[32], double usd)
{
    char digits[32];
    if (isnan(usd))
        return "price unknown";
    snprintf(buf, 32, "$%.20s a month", tr_units_show_count(digits, (int64_t)(usd + 0.5)));
    return buf;
}

static const char *nodes_of(char buf[32], int nodes)
{
    snprintf(buf, 32, "%d node%s", nodes, nodes > 1 ? "s" : "");
    return buf;
}

const char *tr_verdict_name(struct tr_plan *plan, const struct tr_candidate *c)
{
    if (plan->scenario->n_nodes == 1)
        return tr_arena_printf(&plan->arena, "%s %s", c->arrangement.text, c->precision->name);
    return tr_arena_printf(&plan->arena, "%s %s on %s", c->arrangement.text, c->precision->name,
                           c->node->name);
}

/* ---- causes
 * ----------------------------------------------------------------------------------------- */

static const char *cause_words(enum tr_cause cause)
{
    static const char *const words[TR_N_CAUSES] = {
        [TR_CAUSE_NONE] = "unknown",
        [TR_CAUSE_PREFILL] = "the prompt alone takes too long on this share",
        [TR_CAUSE_NEIGHBOUR] = "another pod held the GPU",
        [TR_CAUSE_KV] = "no KV cache was free",
        [TR_CAUSE_QUEUE] = "queued for a place in the batch",
        [TR_CAUSE_BATCH] = "shared their steps with other prompts",
        [TR_CAUSE_PREEMPTION] = "their KV cache was taken and computed again",
        [TR_CAUSE_DECODE] = "tokens came too slowly",
        [TR_CAUSE_STARTUP] = "replicas were wanted that were not ready",
        [TR_CAUSE_LOST] = "their pod went away",
        [TR_CAUSE_TOO_LONG] = "longer than max_model_len",
        [TR_CAUSE_REFUSED] = "refused at the queue limit",
    };
    return words[cause];
}

int tr_top_causes(const int64_t *missed, enum tr_cause top[2])
{
    int64_t total = 0;
    int n = 0;
    for (int i = 0; i < TR_N_CAUSES; i++)
        total += missed[i];
    for (; n < 2; n++) {
        int best = -1;
        for (int i = 0; i < TR_N_CAUSES; i++)
            if (missed[i] * 10 >= total && missed[i] > 0 && (n == 0 || (int)top[0] != i) &&
                (best < 0 || missed[i] > missed[best]))
                best = i;
        if (best < 0)
            break;
        top[n] = (enum tr_cause)best;
    }
    return n;
}

/* "another pod held the GPU (63 %), queued for a place in the batch (30 %)" */
static void causes_show(struct tr_str *out, const int64_t *missed)
{
    int64_t total = 0;
    enum tr_cause top[2];
    int n = tr_top_causes(missed, top);
    for (int i = 0; i < TR_N_CAUSES; i++)
        total += missed[i];
    for (int i = 0; i < n; i++)
        tr_str_printf(out, "%s%s (%.0f %%)", i > 0 ? ", " : "", cause_words(top[i]),
                      100.0 * (double)missed[top[i]] / (double)total);
}

/* Why, of two that cost the same, `c` is not the better: "is not as simple as whole". */
static const char *tie_words(struct tr_plan *plan, const struct tr_candidate *c,
                             const struct tr_candidate *pick)
{
    if (c->arrangement.one_engine && plan->scenario->workload.own_pods)
        return "gives no tenant a pod of its own";
    if (tr_arrangement_rank(&c->arrangement) != tr_arrangement_rank(&pick->arrangement) ||
        c->arrangement.n_pods != pick->arrangement.n_pods)
        return tr_arena_printf(&plan->arena, "is not as simple as %s", pick->arrangement.text);
    if (c->precision != pick->precision)
        return tr_arena_printf(&plan->arena, "%s is preferred to %s", pick->precision->name,
                               c->precision->name);
    return c->usd_per_month > pick->usd_per_month ? "is the dearer by a little"
                                                  : "carries less on a GPU";
}

/* "$45,582 a month", ", autoscaled $33,120" after it where that is known. */
static const char *month_of(struct tr_plan *plan, const struct tr_candidate *c)
{
    char fixed[32], scaled[32];
    if (c->scaled_usd_per_month <= 0)
        return tr_arena_strdup(&plan->arena, tr_verdict_money(fixed, c->usd_per_month));
    return tr_arena_printf(&plan->arena, "%s (autoscaled %s)",
                           tr_verdict_money(fixed, c->usd_per_month),
                           tr_verdict_money(scaled, c->scaled_usd_per_month));
}

/* Why a ranked candidate is not the pick. */
static void cause_ranked(struct tr_plan *plan, struct tr_candidate *c)
{
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    struct tr_str s = {0};
    char nodes[32];
    double ratio = tr_rank_cost(c) / tr_rank_cost(pick);
    if (c->beyond_max && !pick->beyond_max)
        tr_str_printf(&s, "needs %s, more than nodes.max %d", nodes_of(nodes, c->nodes),
                      plan->scenario->nodes_max);
    else if (tr_rank_priced(c) != tr_rank_priced(pick))
        tr_str_printf(&s, "needs %s of unknown price", nodes_of(nodes, c->nodes));
    else if (ratio <= 1 + TR_TIE)
        tr_str_printf(&s, "costs the same within %.0f %% and %s", 100 * TR_TIE,
                      tie_words(plan, c, pick));
    else
        tr_str_printf(&s, "needs %s, %s: %.2f times the pick", nodes_of(nodes, c->nodes),
                      month_of(plan, c), ratio);
    if (c->fail_nodes > 0) {
        tr_str_printf(&s, "; on %d, requests outside the objective: ", c->fail_nodes);
        causes_show(&s, c->fail_missed);
        tr_parts_blame(c, &s);
    } else if (plan->scenario->workload.own_pods && c->nodes > 1 && !c->arrangement.one_engine) {
        tr_str_printf(&s, "; %d tenants with a pod each, %d pod%s to a GPU",
                      plan->scenario->workload.n_tenants, c->arrangement.n_pods,
                      c->arrangement.n_pods > 1 ? "s" : "");
    }
    snprintf(c->cause, sizeof c->cause, "%s", s.text);
    tr_str_free(&s);
}

static void causes_make(struct tr_plan *plan)
{
    for (size_t i = 0; i < plan->n_candidates; i++) {
        struct tr_candidate *c = &plan->candidates[i];
        if (c->rank == 0)
            snprintf(c->cause, sizeof c->cause, "%s", c->why);
        else if ((int)i != plan->pick)
            cause_ranked(plan, c);
    }
}

/* ---- rules
 * ---------------------------------------------------------------------------------------- */

/* `whole` as `like` has it: on the same node type, at the same precision; NULL: the first. */
static const struct tr_candidate *find_whole(const struct tr_plan *plan,
                                             const struct tr_candidate *like)
{
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        if (strcmp(c->arrangement.text, "whole") == 0 &&
            (like == NULL || (c->node == like->node && c->precision == like->precision)))
            return c;
    }
    return NULL;
}

static struct tr_rule *rule(struct tr_plan *plan, const char *condition, const char *advice,
                            bool met)
{
    struct tr_rule *r = &plan->rules[plan->n_rules++];
    r->condition = condition;
    r->advice = advice;
    r->met = met;
    return r;
}

/* Does the model fit the smallest MIG instance, at any precision whose quality will do? */
static void rule_fits(struct tr_plan *plan)
{
    const struct tr_candidate *small = NULL;
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        if (!c->arrangement.mig || c->gate == TR_GATE_QUALITY)
            continue;
        if (small == NULL || c->hw[0].mem_bytes < small->hw[0].mem_bytes ||
            (c->hw[0].mem_bytes == small->hw[0].mem_bytes && small->gate == TR_GATE_MEMORY &&
             c->gate != TR_GATE_MEMORY))
            small = c;
    }
    const struct tr_workload *w = &plan->scenario->workload;
    bool met = small != NULL && small->gate != TR_GATE_MEMORY;
    struct tr_rule *r = rule(plan, "every workload fits a MIG instance", "MIG", met);
    if (small == NULL)
        snprintf(r->figure, sizeof r->figure, "no MIG arrangement was compared");
    else if (met && w->server != NULL)
        snprintf(r->figure, sizeof r->figure, "%s holds %s (%.1f GiB)",
                 small->arrangement.parts[0].profile->name, w->server->name,
                 (double)w->server->mem_bytes / TR_GIB);
    else if (met)
        snprintf(r->figure, sizeof r->figure, "%s holds %s %s and %" PRId64 " tokens of KV cache",
                 small->arrangement.parts[0].profile->name, w->model->name, small->precision->name,
                 small->memory[0].kv_tok);
    else
        snprintf(r->figure, sizeof r->figure, "%s: %.120s",
                 small->arrangement.parts[0].profile->name, small->why);
}

static void rules_make(struct tr_plan *plan)
{
    const struct tr_scenario *s = plan->scenario;
    const struct tr_workload *w = &s->workload;
    double peak = plan->spikes.peak_rate / plan->stats.rate;
    const struct tr_candidate *whole = find_whole(plan, NULL);
    double capacity = whole != NULL ? whole->capacity_rps : 0;
    double share = capacity > 0 ? plan->spikes.peak_rate / capacity : 0;
    bool trust = s->isolation == TR_ISOLATION_NONE;

    struct tr_rule *r =
        rule(plan, "bursty: peak minute over mean above 3", "whole or timeslice", peak > 3);
    snprintf(r->figure, sizeof r->figure, "%.2f: %.3g against %.3g requests/s", peak,
             plan->spikes.peak_rate, plan->stats.rate);
    r = rule(plan, "tenants trust each other", "one engine or timeslice", trust);
    snprintf(r->figure, sizeof r->figure, "isolation: %s, %d tenant%s",
             tr_isolation_name(s->isolation), w->n_tenants, w->n_tenants > 1 ? "s" : "");
    r = rule(plan, "isolation needed", "MIG", !trust);
    snprintf(r->figure, sizeof r->figure, "isolation: %s", tr_isolation_name(s->isolation));
    rule_fits(plan);
    r = rule(plan, "one workload over 60 % of a GPU at peak", "whole", share > 0.6);
    if (capacity > 0)
        snprintf(r->figure, sizeof r->figure,
                 "%.0f %% of a GPU: the peak minute has %.3g requests/s, whole %s carries %.3g",
                 100 * share, plan->spikes.peak_rate, whole->precision->name, capacity);
    else
        snprintf(r->figure, sizeof r->figure, "unknown: whole was not evaluated");
    r = rule(plan, "can scale out", "whole behind an autoscaler", s->nodes_max > 1);
    if (capacity > 0)
        snprintf(r->figure, sizeof r->figure,
                 "nodes.max is %d; the mean rate keeps %.1f GPUs busy, the peak minute %.1f",
                 s->nodes_max, plan->stats.rate / capacity, share);
    else
        snprintf(r->figure, sizeof r->figure, "nodes.max is %d", s->nodes_max);
}

/* ---- sentences
 * ---------------------------------------------------------------------------------------- */

void tr_verdict_say(struct tr_plan *plan, const char *fmt, ...)
{
    struct tr_str s = {0};
    va_list ap;
    va_start(ap, fmt);
    tr_str_vprintf(&s, fmt, ap);
    va_end(ap);
    tr_assert(plan->n_lines < (int)TR_LEN(plan->lines));
    plan->lines[plan->n_lines++] = tr_arena_strdup(&plan->arena, s.text);
    tr_str_free(&s);
}

/* The sharing arrangement with several pods on a card that came closest: what copies cost. */
static const struct tr_candidate *best_copies(const struct tr_plan *plan)
{
    const struct tr_candidate *best = NULL;
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        bool fours = c->arrangement.n_pods == 4, best_fours = best && best->arrangement.n_pods == 4;
        if (!tr_rank_ranked(c) || c->arrangement.mig || c->arrangement.n_pods < 2)
            continue;
        if (best == NULL || fours > best_fours || (fours == best_fours && c->rank < best->rank))
            best = c;
    }
    return best;
}

/* The best that gives every tenant a pod of its own. */
static const struct tr_candidate *best_own(const struct tr_plan *plan)
{
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        if (tr_rank_ranked(c) && !c->arrangement.one_engine)
            return c;
    }
    return NULL;
}

/* Tenants that would each have a pod: what one engine for all of them costs instead. */
static void say_one_engine_for_all(struct tr_plan *plan)
{
    const struct tr_candidate *one = NULL, *own = best_own(plan);
    const char *apart = "";
    char usd[32], nodes[32], usd_own[32], nodes_own[32];
    for (size_t i = plan->n_candidates; i-- > 0;)
        if (plan->candidates[plan->order[i]].arrangement.one_engine)
            one = &plan->candidates[plan->order[i]];
    if (one == NULL || !tr_rank_ranked(one))
        return;
    if (own != NULL)
        apart = tr_arena_printf(
            &plan->arena, ", a pod for each needs %s (%s) with %s", nodes_of(nodes_own, own->nodes),
            tr_verdict_money(usd_own, own->usd_per_month), tr_verdict_name(plan, own));
    tr_verdict_say(
        plan,
        "Share the engine, not the card, if you can: the %d tenants trust each other and use one "
        "model, so that one engine can batch all of them. %s needs %s (%s)%s.",
        plan->scenario->workload.n_tenants, tr_verdict_name(plan, one), nodes_of(nodes, one->nodes),
        tr_verdict_money(usd, one->usd_per_month), apart);
}

/* "Share the engine, not the card": where all tenants trust each other and use one model. */
static void say_one_engine(struct tr_plan *plan)
{
    const struct tr_workload *w = &plan->scenario->workload;
    const struct tr_candidate *copies = best_copies(plan), *whole = NULL;
    char usd[32], usd_whole[32], nodes[32], nodes_whole[32];
    if (plan->scenario->isolation != TR_ISOLATION_NONE || w->server != NULL)
        return;
    if (w->own_pods) {
        say_one_engine_for_all(plan);
        return;
    }
    if (copies != NULL)
        whole = find_whole(plan, copies);
    if (whole == NULL || !tr_rank_ranked(whole)) {
        tr_verdict_say(plan,
                       "Share the engine, not the card: one engine batches the requests of all who "
                       "use %s; copies of it on one card are a fallback%s.",
                       w->model->name,
                       copies == NULL ? ", and none of those compared meets the objective" : "");
        return;
    }
    tr_verdict_say(
        plan,
        "Share the engine, not the card: one engine batches all requests for %s. %d copies on a "
        "card (%s) are a fallback: they carry %.3g requests/s per GPU where one engine carries "
        "%.3g, hold the weights %d times (%.1f GiB), and need %s (%s) where it needs %s (%s).",
        w->model->name, copies->arrangement.n_pods, tr_verdict_name(plan, copies),
        copies->capacity_rps, whole->capacity_rps, copies->arrangement.n_pods,
        (double)copies->memory[0].weights_bytes * copies->arrangement.n_pods / TR_GIB,
        nodes_of(nodes, copies->nodes), tr_verdict_money(usd, copies->usd_per_month),
        nodes_of(nodes_whole, whole->nodes), tr_verdict_money(usd_whole, whole->usd_per_month));
}

/* Rounded down, as the tables do: 94.996 % does not meet 95 %. */
static double percent_down(double share)
{
    return floor(share * 1e4 + 1e-9) / 100.0;
}

static void say_objectives(struct tr_str *out, const struct tr_plan *plan,
                           const struct tr_outcome *o)
{
    const struct tr_slo *slo = &plan->scenario->workload.slo;
    for (int i = 0; i < slo->n; i++) {
        char limit[24];
        tr_str_printf(out, "%s%.2f %% of requests within %s %s (p%g asked)", i > 0 ? ", " : "",
                      percent_down(tr_outcome_inside(o, i, slo->spikes_only)),
                      tr_metric_name(slo->objective[i].metric),
                      tr_units_show_ns(limit, slo->objective[i].limit_ns),
                      100 * slo->objective[i].fraction);
        if (o->spike_offered > 0 && !slo->spikes_only)
            tr_str_printf(out, ", %.1f %% inside spikes", 100 * tr_outcome_inside(o, i, true));
    }
}

static void say_pick(struct tr_plan *plan)
{
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    struct tr_str inside = {0};
    char usd[32], nodes[32];
    say_objectives(&inside, plan, &c->result.outcome);
    const char *name = tr_verdict_name(plan, c);
    if (plan->meets)
        tr_verdict_say(plan, "Pick %s: %d x %s, %s, %s.", name, c->nodes, c->node->name,
                       tr_verdict_money(usd, c->usd_per_month), inside.text);
    else
        tr_verdict_say(
            plan,
            "Nothing meets the objective within %s. The nearest is %s: it needs %d x %s (%s), and "
            "there has %s.",
            nodes_of(nodes, plan->scenario->nodes_max), name, c->nodes, c->node->name,
            tr_verdict_money(usd, c->usd_per_month), inside.text);
    tr_str_free(&inside);
}

/* The runner-up; what would make it win stands in the table of flips. */
static void say_runner_up(struct tr_plan *plan)
{
    const struct tr_candidate *pick = &plan->candidates[plan->pick];
    if (plan->runner_up < 0) {
        tr_verdict_say(plan,
                       "There is no runner-up: every other arrangement was refuted, see above.");
        return;
    }
    const struct tr_candidate *next = &plan->candidates[plan->runner_up];
    char nodes[32];
    double ratio = tr_rank_cost(next) / tr_rank_cost(pick);
    const char *name = tr_verdict_name(plan, next);
    nodes_of(nodes, next->nodes);
    if (next->beyond_max && !pick->beyond_max)
        tr_verdict_say(plan, "Runner-up %s: it needs %s, nodes.max is %d.", name, nodes,
                       plan->scenario->nodes_max);
    else if (tr_rank_priced(next) != tr_rank_priced(pick))
        tr_verdict_say(plan, "Runner-up %s: it needs %s of unknown price.", name, nodes);
    else if (ratio <= 1 + TR_TIE)
        tr_verdict_say(
            plan,
            "Runner-up %s costs the same within %.0f %% (%s, %s), but %s. %.3g requests/s per GPU "
            "against the pick's %.3g decide once the traffic outgrows the fleet.",
            name, 100 * TR_TIE, nodes, month_of(plan, next), tie_words(plan, next, pick),
            next->capacity_rps, pick->capacity_rps);
    else
        tr_verdict_say(plan, "Runner-up %s: %s, %s, %.2f times the pick.", name, nodes,
                       month_of(plan, next), ratio);
}

static void say_none(struct tr_plan *plan)
{
    tr_verdict_say(
        plan, plan->interrupted
                  ? "Interrupted before any arrangement was evaluated: there is no verdict."
                  : "No arrangement is possible, whatever the fleet: the reason stands with each "
                    "above.");
}

static void not_modelled(struct tr_plan *plan)
{
    static const char *const names[] = {
        "elastic KV (kvcached)",
        "model swapping",
        "sleep mode",
        "memory-capped fractions (HAMi, Run:ai)",
        "tensor parallelism",
    };
    for (size_t i = 0; i < TR_LEN(names); i++)
        plan->not_modelled[plan->n_not_modelled++] = names[i];
}

void tr_verdict_make(struct tr_plan *plan)
{
    tr_rank_all(plan);
    causes_make(plan);
    rules_make(plan);
    not_modelled(plan);
    if (plan->pick < 0) {
        say_none(plan);
        return;
    }
    tr_flips_closed(plan);
    say_one_engine(plan);
    say_pick(plan);
    tr_verdict_autoscale(plan);
    say_runner_up(plan);
    tr_verdict_synchrony(plan);
    tr_verdict_cost(plan);
    tr_verdict_sureness(plan);
}
