/* The bill of a fleet, and what the verdict says of money. */
#include "plan/plan.h"

#include <math.h>

const char *tr_purchase_name(enum tr_purchase p)
{
    static const char *const names[] = {"on demand", "reserved for a year", "spot",
                                        "the least nodes reserved for a year"};
    return names[p];
}

double tr_purchase_usd_per_h(const struct tr_node_type *node, enum tr_purchase p)
{
    if (p == TR_RESERVED)
        return node->reserved_usd_per_h;
    return p == TR_SPOT ? node->spot_usd_per_h : node->usd_per_h;
}

void tr_bill_make(const struct tr_plan *plan, const struct tr_candidate *c, struct tr_bill *out)
{
    const struct tr_outcome *o = &c->result.outcome;
    /* Of a sample, what an offered request brought stands for all of them. */
    double usd_per_s = c->nodes * c->node->usd_per_h / 3600;
    double usd_per_offered = usd_per_s / plan->stats.rate;
    double offered = (double)o->offered;
    for (int p = 0; p < TR_N_PURCHASES; p++)
        out->usd_per_month[p] =
            c->nodes * tr_purchase_usd_per_h(c->node, (enum tr_purchase)p) * TR_HOURS_PER_MONTH;
    out->usd_per_mtok = 1e6 * usd_per_offered * offered / (double)(o->prompt_tok + o->output_tok);
    out->usd_per_mtok_output = 1e6 * usd_per_offered * offered / (double)o->output_tok;
    out->usd_per_1000 = 1000 * usd_per_offered * offered / (double)o->done;
    out->idle_share = 1 - c->result.fleet.busy_fraction;
    out->rate_per_usd_per_h = c->capacity_rps * c->node->gpus / c->node->usd_per_h;
}

/* ---- sentences ------------------------------------------------------------------------------- */

/* "whole bf16 on 15 nodes, on demand: $40,219 a month for 95.57 % of requests inside" */
static const char *point_words(struct tr_plan *plan, const struct tr_front_point *p)
{
    char usd[32], nodes[48];
    if (p->scaled != NULL)
        snprintf(nodes, sizeof nodes, "%d to %d", p->scaled->policy.min_nodes, p->nodes);
    else
        snprintf(nodes, sizeof nodes, "%d", p->nodes);
    return tr_arena_printf(&plan->arena, "%s on %s node%s, %s: %s for %s%.2f %% of requests inside",
                           tr_verdict_name(plan, &plan->candidates[p->candidate]), nodes,
                           p->nodes > 1 ? "s" : "", tr_purchase_name(p->purchase),
                           tr_verdict_money(usd, p->usd_per_month), p->sampled ? "about " : "",
                           floor(p->inside * 1e4 + 1e-9) / 100);
}

/* Dollars a month for one more point of requests inside, from one point of the front to another. */
static const char *slope(char buf[32], const struct tr_front_point *from,
                         const struct tr_front_point *to)
{
    return tr_verdict_money(buf, (to->usd_per_month - from->usd_per_month) /
                                     (100 * (to->inside - from->inside)));
}

static void say_knee(struct tr_plan *plan)
{
    const struct tr_front *f = &plan->front;
    char below[32], above[32];
    if (f->n < 3 || f->knee < 0)
        return;
    const struct tr_front_point *knee = &f->points[f->knee], *last = &f->points[f->n - 1];
    tr_verdict_say(plan,
                   "The knee of cost against requests inside the objective is %s. Up to there a "
                   "further point of requests inside costs %s, beyond it %s.",
                   point_words(plan, knee), slope(below, &f->points[0], knee),
                   slope(above, knee, last));
}

/* "As spot nodes ...": what they cost, and what becomes of the requests if that is known. */
static void spot_words(struct tr_str *s, const struct tr_plan *plan)
{
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    const struct tr_node_type *n = c->node;
    char usd[32];
    tr_verdict_money(usd, c->nodes * n->spot_usd_per_h * TR_HOURS_PER_MONTH);
    if (isnan(n->spot_usd_per_h))
        tr_str_printf(s, "What it costs as spot is not known (cluster.price.spot).");
    else if (plan->front.has_spot)
        tr_str_printf(s,
                      "As spot nodes, each taken back %.3g times an hour, the pick's cost %s and "
                      "keep %.2f %% of requests inside.",
                      n->spot_interrupts_per_h,
                      tr_verdict_money(usd, plan->front.spot.usd_per_month),
                      floor(plan->front.spot.inside * 1e4 + 1e-9) / 100);
    else
        tr_str_printf(
            s, "As spot nodes the pick's would be %s; %s, so that spot is not on the front.", usd,
            isnan(n->spot_interrupts_per_h)
                ? "how often they are taken back is not known "
                  "(cluster.price.interruptions)"
                : "what becomes of requests when they are taken back was not simulated");
}

/* The pick bought otherwise. */
static void say_purchases(struct tr_plan *plan)
{
    const struct tr_candidate *c = &plan->candidates[plan->pick];
    struct tr_str s = {0};
    char usd[32];
    if (isnan(c->node->usd_per_h))
        return;
    if (isnan(c->node->reserved_usd_per_h))
        tr_str_printf(&s, "What %s costs reserved is not known (cluster.price.reserved). ",
                      c->node->name);
    else
        tr_str_printf(
            &s, "Reserved for a year, whether they are there or not, the pick's nodes cost %s. ",
            tr_verdict_money(usd, c->nodes * c->node->reserved_usd_per_h * TR_HOURS_PER_MONTH));
    spot_words(&s, plan);
    tr_verdict_say(plan, "%s", s.text);
    tr_str_free(&s);
}

void tr_verdict_cost(struct tr_plan *plan)
{
    say_knee(plan);
    say_purchases(plan);
}
