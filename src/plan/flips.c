/* What would flip the answer: from today's traffic outward by steps until another arrangement wins,
 * then back by halves to the tipping point. Prices and isolation need no simulation:
 * flips_closed.c. */
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

#define MAX_CONTESTANTS 12
#define MAX_REFUSED     3    /* of them refuted by a bound, which shorter prompts may lift */
#define HOPELESS        3    /* times the pick's cost: looked at again only at the end of a range */
#define TO              0.05 /* the tipping point is found to this */
#define TOO_LONG        INT64_C(100000000)
#define RATE_PRECISION  0.03
#define MOST_RATE       16

/* Values outward from today's, to either side. */
static const struct dimension {
    enum tr_flip_kind kind;
    bool ratio; /* halved between logarithms */
    double today;
    int n_below, n_above;
    double below[4], above[4];
} dimensions[] = {
    {TR_FLIP_RATE, true, 1, 4, 4, {1.0 / 2, 1.0 / 4, 1.0 / 8, 1.0 / 16}, {2, 4, 8, MOST_RATE}},
    {TR_FLIP_BURST, false, 1, 1, 2, {0}, {2, 3}},
    {TR_FLIP_PROMPT, true, 1, 2, 2, {1.0 / 2, 1.0 / 4}, {2, 8}},
    {TR_FLIP_SHARED, false, 0, 0, 2, {0}, {0.5, 0.95}},
};
#define N_DIMENSIONS ((int)TR_LEN(dimensions))

/* The contestants at one value. */
struct point {
    double value;
    int nodes[MAX_CONTESTANTS]; /* 0: none would do, or not looked at */
    int best;                   /* of the contestants; -1: nothing meets the objective */
};

/* From today's value to one side. */
struct walk {
    int dimension;
    bool up, flips;
    double reached;             /* the pick wins as far as this */
    int guess[MAX_CONTESTANTS]; /* sizes where they were looked at last */
    struct point in, out;       /* the pick's last win, and its first loss */
};

struct flips {
    struct tr_plan *plan;
    const struct tr_evaluation *ev;
    int n, which[MAX_CONTESTANTS];   /* candidates; the pick first */
    double carries[MAX_CONTESTANTS]; /* with a rate in closed form: the part of today's traffic
                                        that one node carries */
    bool closed_rate;
    double most_rate;
    int n_walks;
    struct walk walks[2 * N_DIMENSIONS];
};

/* ---- who takes part -------------------------------------------------------------------------- */

static int kind_of(const struct tr_candidate *c)
{
    if (c->arrangement.mig)
        return 0;
    return 1 + (int)c->arrangement.parts[0].sharing;
}

static void take(struct flips *f, size_t candidate)
{
    if (f->n < MAX_CONTESTANTS)
        f->which[f->n++] = (int)candidate;
}

/* The first few, then the best of each kind that is not among them, then MIG layouts that only a
 * bound refuses. */
static void choose(struct flips *f)
{
    const struct tr_plan *plan = f->plan;
    bool seen[4] = {false};
    int refused = 0;
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        if (!tr_rank_ranked(c) || (i >= TR_MAX_FINALISTS && seen[kind_of(c)]))
            continue;
        seen[kind_of(c)] = true;
        take(f, plan->order[i]);
    }
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        if (c->gate == TR_GATE_BOUND && c->arrangement.mig && refused < MAX_REFUSED) {
            take(f, i);
            refused++;
        }
    }
}

/* ---- one value ------------------------------------------------------------------------------- */

/* Requests of a Poisson process that are sent to pods at random are Poisson processes again: so
 * many times the traffic on so many times the nodes is the same for each of them. */
static bool rate_is_closed(const struct tr_plan *plan)
{
    const struct tr_traffic_spec *t = &plan->traffic;
    const struct tr_workload *w = &plan->scenario->workload;
    return t->trace == NULL && t->process == TR_POISSON && t->sessions.turns <= 0 &&
           w->router == TR_ROUTE_RANDOM && !w->own_pods && !w->slo.spikes_only;
}

static int open_at(const struct flips *f, enum tr_flip_kind kind, double value,
                   struct tr_source **out, struct tr_err *err)
{
    struct tr_variation v = {.burst = 1, .prompt = 1, .shared = -1};
    struct tr_traffic_spec spec = f->plan->traffic;
    struct tr_trace_info info;
    if (kind == TR_FLIP_RATE) {
        spec.rate_scale *= value;
        int rc = tr_source_open(&spec, f->plan->opts.seed, out, &info, err);
        if (rc == TR_OK)
            tr_source_keep(*out, TR_KEEP_REQUESTS);
        return rc;
    }
    if (kind == TR_FLIP_BURST)
        v.burst = value;
    else if (kind == TR_FLIP_PROMPT)
        v.prompt = value;
    else if (value > 0)
        v.shared = value;
    *out = tr_source_vary(f->ev->source, &v);
    return TR_OK;
}

static int nodes_for_rate(const struct flips *f, int i, double rate)
{
    const struct tr_candidate *c = &f->plan->candidates[f->which[i]];
    if (f->carries[i] <= 0)
        return 0;
    return TR_MAX((int)TR_MIN(ceil(rate / f->carries[i]), 1e8),
                  tr_evaluate_least(c, f->plan->scenario));
}

static unsigned all(const struct flips *f)
{
    return (1U << f->n) - 1;
}

/* Those of which it is worth to look at the next value, too. */
static unsigned hopeful(const struct flips *f, const struct walk *w)
{
    unsigned set = 1;
    double pick = tr_case_cost(&f->plan->candidates[f->which[0]], w->guess[0]);
    for (int i = 1; i < f->n; i++) {
        const struct tr_candidate *c = &f->plan->candidates[f->which[i]];
        if (w->guess[i] > 0 && tr_case_cost(c, w->guess[i]) <= HOPELESS * pick)
            set |= 1U << i;
    }
    return set;
}

/* Sizes of the contestants whose bit is set, the pick first: where it goes the others follow. */
static int measure(struct flips *f, struct walk *w, struct point *p, unsigned set,
                   struct tr_err *err)
{
    enum tr_flip_kind kind = dimensions[w->dimension].kind;
    bool closed = kind == TR_FLIP_RATE && f->closed_rate;
    double moved = 1;
    struct tr_source *src;
    struct tr_case k;
    int rc = closed ? TR_OK : open_at(f, kind, p->value, &src, err);
    if (rc < 0)
        return rc;
    if (!closed)
        tr_case_open(&k, f->plan, f->ev, src);
    for (int i = 0; i < f->n && rc == TR_OK; i++) {
        double from = w->guess[i] > 0 ? w->guess[i] * moved : w->guess[0];
        p->nodes[i] = 0;
        if (!(set >> i & 1))
            continue;
        if (closed)
            p->nodes[i] = nodes_for_rate(f, i, p->value);
        else
            rc = tr_case_size(&k, &f->plan->candidates[f->which[i]],
                              TR_MAX((int)TR_MIN(from, 1e6), 1), &p->nodes[i], err);
        if (i == 0 && p->nodes[0] > 0)
            moved = (double)p->nodes[0] / w->guess[0];
        if (p->nodes[i] > 0)
            w->guess[i] = p->nodes[i];
    }
    p->best = rc == TR_OK ? tr_rank_among(f->plan, f->which, p->nodes, f->n) : -1;
    if (!closed)
        tr_case_close(&k);
    return rc;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* The part of today's traffic that one node of contestant i carries. */
static int carries_piece(void *arg, size_t i, struct tr_err *err)
{
    struct flips *f = arg;
    const struct tr_candidate *c = &f->plan->candidates[f->which[i]];
    struct tr_hunt h = {.slope = tr_hunt_growth(c)};
    double load = c->nodes > 0 ? TR_MIN(1.0 / c->nodes, f->most_rate) : 0;
    while (load > 0 && (h.met == 0 || h.over == 0 || h.over > h.met * (1 + RATE_PRECISION)) &&
           !(h.met >= f->most_rate)) {
        struct tr_sim_result result;
        struct tr_source *src;
        struct tr_case k;
        int rc = open_at(f, TR_FLIP_RATE, load, &src, err);
        if (rc < 0)
            return rc;
        tr_case_open(&k, f->plan, f->ev, src);
        k.ev.effort = tr_effort_exact; /* the node is the sample */
        rc = k.spikes.requests > 0 ? tr_evaluate_run(c, &k.ev, 1, &result, err) : TR_EINPUT;
        if (rc == TR_OK) {
            tr_hunt_learn(
                &h, load,
                tr_hunt_excess(c, &result, &f->plan->scenario->workload.slo, k.spikes.requests));
            tr_sim_result_free(&result);
        }
        tr_case_close(&k);
        if (rc == TR_EINPUT) /* so little traffic that there is none */
            break;
        if (rc < 0)
            return rc;
        load = TR_MIN(tr_hunt_next(&h, RATE_PRECISION), f->most_rate);
    }
    f->carries[i] = h.met;
    return TR_OK;
}

static double between(const struct dimension *d, double a, double b)
{
    return d->ratio ? sqrt(a * b) : (a + b) / 2;
}

static bool apart(const struct dimension *d, double a, double b)
{
    double lo = TR_MIN(a, b), hi = TR_MAX(a, b);
    return d->ratio ? hi > lo * (1 + TO) : hi - lo > TO + 1e-9;
}

/* Halves the way between the pick's last win and its first loss; only these two are sized. */
static int halve(struct flips *f, struct walk *w, struct tr_err *err)
{
    const struct dimension *d = &dimensions[w->dimension];
    int to = w->out.best;
    unsigned set = 1U | (to >= 0 ? 1U << to : 0);
    while (apart(d, w->in.value, w->out.value)) {
        struct point mid = {.value = between(d, w->in.value, w->out.value)};
        int rc = measure(f, w, &mid, set, err);
        if (rc < 0)
            return rc;
        if (mid.best == 0)
            w->in = mid;
        else
            w->out = mid;
    }
    return TR_OK;
}

static int walk_piece(void *arg, size_t i, struct tr_err *err)
{
    struct flips *f = arg;
    struct walk *w = &f->walks[i];
    const struct dimension *d = &dimensions[w->dimension];
    int n = w->up ? d->n_above : d->n_below;
    for (int k = 0; k < n && !w->flips; k++) {
        struct point p = {.value = w->up ? d->above[k] : d->below[k]};
        if (d->kind == TR_FLIP_RATE && p.value > f->most_rate)
            break;
        int rc = measure(f, w, &p, k == n - 1 ? all(f) : hopeful(f, w), err);
        if (rc < 0)
            return rc;
        w->flips = p.best != 0;
        *(w->flips ? &w->out : &w->in) = p;
        w->reached = p.value;
    }
    return w->flips ? halve(f, w, err) : TR_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Why a dimension cannot be looked at; NULL: it can. */
static const char *obstacle(const struct flips *f, enum tr_flip_kind kind)
{
    if (kind == TR_FLIP_SHARED && f->plan->lengths.shares)
        return "the prompts share their beginnings already";
    if (kind == TR_FLIP_SHARED && f->plan->scenario->workload.engine.no_prefix_caching)
        return "the engines have no prefix cache";
    return NULL;
}

static void begin_walks(struct flips *f)
{
    for (int d = 0; d < N_DIMENSIONS; d++) {
        struct tr_flip *flip = &f->plan->flips[dimensions[d].kind];
        const char *why = obstacle(f, dimensions[d].kind);
        flip->looked = why == NULL;
        snprintf(flip->why_not, sizeof flip->why_not, "%s", why != NULL ? why : "");
        for (int up = 0; up < 2 && why == NULL; up++) {
            struct walk *w = &f->walks[f->n_walks++];
            w->dimension = d;
            w->up = up;
            w->reached = w->in.value = dimensions[d].today;
            for (int i = 0; i < f->n; i++)
                w->guess[i] = f->plan->candidates[f->which[i]].nodes;
        }
    }
}

static void keep_walks(struct flips *f)
{
    for (int i = 0; i < f->n_walks; i++) {
        const struct walk *w = &f->walks[i];
        struct tr_flip *flip = &f->plan->flips[dimensions[w->dimension].kind];
        struct tr_flip_side *side = w->up ? &flip->above : &flip->below;
        *(w->up ? &flip->most : &flip->least) = w->reached;
        if (!w->flips)
            continue;
        int to = w->out.best;
        *side = (struct tr_flip_side){
            .flips = true,
            .at = w->out.value,
            .to = to >= 0 ? f->which[to] : -1,
            .pick_nodes = w->out.nodes[0],
            .to_nodes = to >= 0 ? w->out.nodes[to] : 0,
        };
    }
}

/* Too many requests for a scenario whose fleets cannot be sampled? */
static bool too_long(const struct flips *f)
{
    int64_t each = 0;
    bool sampled = true;
    for (int i = 0; i < f->n; i++) {
        const struct tr_candidate *c = &f->plan->candidates[f->which[i]];
        each += tr_case_requests(c, f->ev);
        sampled = sampled && tr_evaluate_can_sample(c, &f->plan->scenario->workload);
    }
    return !sampled && each * 4 * f->n_walks > TOO_LONG;
}

static void leave_out(struct tr_plan *plan, const char *why)
{
    for (int d = 0; d < N_DIMENSIONS; d++) {
        struct tr_flip *flip = &plan->flips[dimensions[d].kind];
        *flip = (struct tr_flip){0};
        snprintf(flip->why_not, sizeof flip->why_not, "%s", why);
    }
}

/* With rates in closed form, what one node carries of each; most_rate becomes the highest rate that
 * is known of all. */
static int measure_rates(struct flips *f, struct tr_err *err)
{
    const struct tr_plan *plan = f->plan;
    struct tr_stage stage = {
        &plan->opts, "what would flip it: rate", 0.7, 0.75, f->ev->simulated, carries_piece, f};
    double requests = (double)TR_MAX(plan->spikes.requests, 1);
    bool open = false;
    f->closed_rate = rate_is_closed(plan);
    f->most_rate = MOST_RATE;
    if (plan->traffic.trace == NULL) /* a trace only runs faster */
        f->most_rate = TR_MAX(TR_MIN(f->most_rate, (double)TR_KEEP_REQUESTS / requests), 1);
    if (!f->closed_rate)
        return TR_OK;
    int rc = tr_stage_run(&stage, (size_t)f->n, err);
    for (int i = 0; i < f->n; i++)
        open = open || f->carries[i] >= f->most_rate;
    if (!open)
        f->most_rate = MOST_RATE;
    return rc;
}

int tr_flips_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    if (plan->pick < 0)
        return TR_OK;
    struct flips *f = tr_calloc(1, sizeof *f);
    struct tr_stage stage = {&plan->opts,   "what would flip it", 0.75, 1,
                             ev->simulated, walk_piece,           f};
    f->plan = plan;
    f->ev = ev;
    choose(f);
    begin_walks(f);
    bool long_run = too_long(f);
    int rc = long_run ? TR_OK : measure_rates(f, err);
    if (rc == TR_OK && !long_run)
        rc = tr_stage_run(&stage, (size_t)f->n_walks, err);
    if (long_run)
        leave_out(plan, "all GPUs would have to be simulated, which takes too long");
    else if (rc < 0)
        leave_out(plan, "interrupted");
    else
        keep_walks(f);
    free(f);
    return rc;
}
