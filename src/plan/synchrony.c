/* What it is worth that tenants' peaks do not coincide: the pick's and the runner-up's fleets with
 * all peaks at one time, each at its own, and as the scenario has them. */
#include "plan/plan.h"

#include <stdlib.h>

#define TOO_LONG INT64_C(100000000) /* requests, where fleets cannot be sampled */

struct looks {
    struct tr_plan *plan;
    const struct tr_evaluation *ev;
};

/* Piece i: value i / 2, of the pick or the runner-up. */
static int size_piece(void *arg, size_t i, struct tr_err *err)
{
    const struct looks *l = arg;
    struct tr_plan *plan = l->plan;
    struct tr_synchrony *s = &plan->synchrony;
    const struct tr_candidate *c =
        s->candidate[i % 2] < 0 ? NULL : &plan->candidates[s->candidate[i % 2]];
    struct tr_traffic_spec spec = plan->traffic;
    struct tr_trace_info info;
    struct tr_source *src;
    struct tr_case k;
    if (c == NULL)
        return TR_OK;
    spec.own_curve = 1 - s->value[i / 2];
    int rc = tr_source_open(&spec, plan->opts.seed, &src, &info, err);
    if (rc < 0)
        return rc;
    tr_source_keep(src, TR_KEEP_REQUESTS);
    tr_case_open(&k, plan, l->ev, src);
    rc = tr_case_size(&k, c, TR_MAX(c->nodes, 1), &s->nodes[i / 2][i % 2], err);
    tr_case_close(&k);
    return rc;
}

static bool too_long(const struct tr_plan *plan, const struct tr_evaluation *ev)
{
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    return !tr_evaluate_can_sample(c, &plan->scenario->workload) &&
           2 * TR_N_SYNCHRONY * tr_case_requests(c, ev) > TOO_LONG;
}

int tr_synchrony_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    struct tr_synchrony *s = &plan->synchrony;
    struct looks l = {plan, ev};
    struct tr_stage stage = {&plan->opts,   "tenants' peaks", 0.7, 0.7,
                             ev->simulated, size_piece,       &l};
    if (plan->pick < 0 || plan->scenario->workload.n_tenants < 2 || plan->traffic.trace != NULL ||
        too_long(plan, ev))
        return TR_OK;
    *s = (struct tr_synchrony){.value = {0, 1 - plan->traffic.own_curve, 1},
                               .candidate = {plan->pick, plan->runner_up}};
    int rc = tr_stage_run(&stage, 2 * TR_N_SYNCHRONY, err);
    s->looked = rc == TR_OK;
    return rc;
}

/* "at 0 it needs 3 nodes, $8,044 a month; at 1 ..." */
static void add_sizes(const struct tr_plan *plan, int which, struct tr_str *out)
{
    const struct tr_synchrony *s = &plan->synchrony;
    const struct tr_candidate *c = &plan->candidates[s->candidate[which]];
    for (int i = 0; i < TR_N_SYNCHRONY; i++) {
        int nodes = s->nodes[i][which];
        char usd[32];
        if (i == 1 && (s->value[1] == s->value[0] || s->value[1] == s->value[2]))
            continue;
        tr_str_printf(out, "%sat %g: ", i > 0 ? ", " : "", s->value[i]);
        if (nodes == 0)
            tr_str_printf(out, "none would do");
        else if (tr_rank_priced(c))
            tr_str_printf(out, "%d node%s, %s", nodes, nodes > 1 ? "s" : "",
                          tr_verdict_money(usd, tr_evaluate_cost(c, nodes)));
        else
            tr_str_printf(out, "%d node%s", nodes, nodes > 1 ? "s" : "");
    }
}

void tr_verdict_synchrony(struct tr_plan *plan)
{
    const struct tr_synchrony *s = &plan->synchrony;
    struct tr_str sizes[2] = {{0}, {0}};
    if (!s->looked)
        return;
    for (int which = 0; which < 2 && s->candidate[which] >= 0; which++)
        add_sizes(plan, which, &sizes[which]);
    tr_verdict_say(
        plan,
        "How far tenants' peaks coincide (synchrony, here %g): %s needs %s%s%s%s%s. Real "
        "tenants' rates are nearly uncorrelated (0.01 measured, docs/traffic.md), which is "
        "0; pods behind one load balancer share their stream: 1.",
        s->value[1], tr_verdict_name(plan, &plan->candidates[s->candidate[0]]), sizes[0].text,
        s->candidate[1] >= 0 ? "; " : "",
        s->candidate[1] >= 0 ? tr_verdict_name(plan, &plan->candidates[s->candidate[1]]) : "",
        s->candidate[1] >= 0 ? " " : "", s->candidate[1] >= 0 ? sizes[1].text : "");
    tr_str_free(&sizes[0]);
    tr_str_free(&sizes[1]);
}
