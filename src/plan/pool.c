/* A shared pool: the cheapest way for a group of workloads, from few nodes to many. */
#include "plan/pools.h"

#include <stdlib.h>

#define BATCH             4 /* simulated at a time, whatever the number of threads: the simplest wins */
#define MOST_LEVELS       4 /* costs that are tried before the group is left; with --quick: */
#define MOST_LEVELS_QUICK 2

struct hunt {
    struct tr_pools *p;
    struct tr_stand *stands; /* simplest first */
    int n;
    struct tr_stand_run run[BATCH];
    int n_run;
};

static int run_one(void *arg, size_t i, struct tr_err *err)
{
    struct hunt *h = arg;
    return tr_stand_simulate(h->p, &h->run[i], err);
}

static int64_t cost_of(const struct hunt *h, const struct tr_stand *s, int nodes)
{
    return tr_pools_cost(h->p, s->node, nodes);
}

/* The lowest cost above `last` at which some stand has enough nodes to be tried. */
static int64_t next_cost(const struct hunt *h, int64_t last)
{
    int64_t least = TR_NO_COST;
    for (int i = 0; i < h->n; i++) {
        int64_t each = cost_of(h, &h->stands[i], 1);
        int nodes = TR_MAX(h->stands[i].least, (int)TR_MIN(last / each + 1, INT32_MAX));
        least = TR_MIN(least, nodes * each);
    }
    return least;
}

/* Remembers the one that came nearest. */
static void note(struct tr_pool *out, const struct hunt *h, double *nearest)
{
    for (int i = 0; i < h->n_run; i++) {
        const struct tr_stand_run *r = &h->run[i];
        if (r->meets || r->off >= *nearest)
            continue;
        *nearest = r->off;
        snprintf(out->why, sizeof out->why, "nearest %s on %d x %s: %s",
                 r->stand->layout.arrangement.text, r->nodes, r->stand->node->name, r->why);
    }
}

static void remember(struct tr_way *way, const struct tr_stand_run *r)
{
    way->nodes = r->nodes;
    way->meets = r->meets;
    way->breaks = r->breaks;
    memcpy(way->saturated, r->saturated, sizeof way->saturated);
    if (!r->meets)
        memcpy(way->why, r->why, sizeof way->why);
}

/* The batch at hand; the first that meets everything is taken over. */
static int run_batch(struct hunt *h, struct tr_pool *out, double *nearest, struct tr_err *err)
{
    struct tr_stage stage = {&h->p->opts, "shared pools", 0.6, 1, &h->p->simulated, run_one, h};
    int rc = tr_stage_run(&stage, (size_t)h->n_run, err);
    for (int i = 0; i < h->n_run; i++) {
        struct tr_stand_run *r = &h->run[i];
        if (rc == TR_OK)
            remember(&out->ways[r->stand - h->stands], r);
        if (rc == TR_OK && r->meets && out->stand.node == NULL) {
            out->way = (int)(r->stand - h->stands);
            out->stand = *r->stand;
            out->nodes = r->nodes;
            out->cost = cost_of(h, r->stand, r->nodes);
            out->sampled_gpus = r->sampled_gpus;
            memcpy(out->saturated, r->saturated, sizeof out->saturated);
            out->result = r->result;
        } else {
            tr_sim_result_free(&r->result);
        }
    }
    out->tried += h->n_run;
    if (rc == TR_OK)
        note(out, h, nearest);
    h->n_run = 0;
    return rc;
}

/* All that can be tried at this cost, simplest first. */
static int run_cost(struct hunt *h, int64_t cost, struct tr_pool *out, double *nearest,
                    struct tr_err *err)
{
    int rc = TR_OK;
    for (int i = 0; i < h->n && rc == TR_OK && out->stand.node == NULL; i++) {
        const struct tr_stand *s = &h->stands[i];
        int64_t each = cost_of(h, s, 1);
        if (cost % each == 0 && cost / each >= s->least && cost / each <= h->p->scenario->nodes_max)
            h->run[h->n_run++] = (struct tr_stand_run){
                .stand = s, .members = out->members, .nodes = (int)(cost / each)};
        if (h->n_run == BATCH || (i + 1 == h->n && h->n_run > 0))
            rc = run_batch(h, out, nearest, err);
    }
    return rc;
}

/* Why no layout of any GPU holds them. */
static void explain_none(struct tr_pools *p, struct tr_pool *out)
{
    uint32_t unit[TR_MAX_WORKLOADS];
    if (tr_pools_units(p, out->members, true, unit) > TR_MAX_UNITS) {
        snprintf(out->why, sizeof out->why, "more than %d on one GPU are not looked at",
                 TR_MAX_UNITS);
        return;
    }
    for (uint32_t a = out->members; a != 0; a &= a - 1)
        for (uint32_t b = a & (a - 1); b != 0; b &= b - 1) {
            const struct tr_workload *x = &p->member[__builtin_ctz(a)].view.workload;
            const struct tr_workload *y = &p->member[__builtin_ctz(b)].view.workload;
            enum tr_isolation apart = tr_pools_apart(x, y);
            if (apart == TR_ISOLATION_NONE)
                continue;
            snprintf(out->why, sizeof out->why,
                     "no layout of a GPU holds all of them; %s and %s need isolation of %s",
                     x->name, y->name, tr_isolation_name(apart));
            return;
        }
    snprintf(out->why, sizeof out->why,
             "no layout of a GPU holds all of them: memory, or a part too slow for one of them");
}

int tr_pool_find(struct tr_pools *p, uint32_t members, int64_t below, struct tr_pool *out,
                 struct tr_err *err)
{
    const struct tr_scenario *s = p->scenario;
    struct hunt h = {.p = p};
    int levels = p->opts.quick ? MOST_LEVELS_QUICK : MOST_LEVELS;
    double nearest = 1e300;
    int64_t cost = 0;
    int rc = TR_OK;
    *out = (struct tr_pool){.members = members, .cost = TR_NO_COST, .way = -1};
    h.stands = tr_calloc(s->n_nodes * TR_MAX_STANDS, sizeof *h.stands);
    for (size_t i = 0; i < s->n_nodes; i++)
        h.n += tr_stands_find(p, members, s->nodes[i], &h.stands[h.n]);
    out->n_ways = h.n;
    out->ways = TR_ARENA_NEW(&p->arena, struct tr_way, (size_t)h.n);
    for (int i = 0; i < h.n; i++)
        out->ways[i] = (struct tr_way){.stand = h.stands[i], .breaks = -1};
    if (h.n == 0)
        explain_none(p, out);
    else if (next_cost(&h, 0) >= below)
        snprintf(out->why, sizeof out->why, "by their load they need at least as much together");
    for (int level = 0; level < levels && rc == TR_OK && out->stand.node == NULL; level++) {
        cost = next_cost(&h, cost);
        out->bound = TR_MIN(cost, below);
        if (cost >= below)
            break;
        rc = run_cost(&h, cost, out, &nearest, err);
    }
    free(h.stands);
    return rc;
}

/* The simplest way of its kind, on the pool's nodes, where none of the kind was run on as many. */
static bool stands_for_its_kind(const struct tr_pool *pool, int k)
{
    const struct tr_stand *s = &pool->ways[k].stand;
    if (s->node != pool->stand.node || s->least > pool->nodes)
        return false;
    for (int i = 0; i < pool->n_ways; i++) {
        const struct tr_way *other = &pool->ways[i];
        bool alike =
            other->stand.node == s->node && tr_arrangement_rank(&other->stand.layout.arrangement) ==
                                                tr_arrangement_rank(&s->layout.arrangement);
        if (alike && (other->nodes == pool->nodes || (i < k && other->stand.least <= pool->nodes)))
            return false;
    }
    return true;
}

struct completion {
    struct tr_pools *p;
    struct tr_stand_run *run;
};

static int complete_one(void *arg, size_t i, struct tr_err *err)
{
    struct completion *c = arg;
    return tr_stand_simulate(c->p, &c->run[i], err);
}

int tr_pool_complete(struct tr_pools *p, struct tr_pool *pool, struct tr_err *err)
{
    struct completion c = {p, tr_calloc((size_t)pool->n_ways, sizeof *c.run)};
    struct tr_stage stage = {&p->opts, "other ways", 1, 1, &p->simulated, complete_one, &c};
    size_t n = 0;
    for (int k = 0; k < pool->n_ways; k++)
        if (stands_for_its_kind(pool, k))
            c.run[n++] = (struct tr_stand_run){
                .stand = &pool->ways[k].stand, .members = pool->members, .nodes = pool->nodes};
    int rc = tr_stage_run(&stage, n, err);
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < pool->n_ways && rc == TR_OK; k++)
            if (&pool->ways[k].stand == c.run[i].stand)
                remember(&pool->ways[k], &c.run[i]);
        tr_sim_result_free(&c.run[i].result);
    }
    pool->tried += rc == TR_OK ? (int)n : 0;
    free(c.run);
    return rc;
}
