/* Several workloads: each alone first, then who had better share. */
#include "plan/pools.h"

#include <math.h>
#include <stdlib.h>

#define MOST_GROUPS_QUICK 24
#define MOST_GROUPS       64
/* For the runner-up's sake. */
#define MORE_GROUPS_QUICK 1
#define MORE_GROUPS       4

/* ---- costs ---------------------------------------------------------------------------------- */

int64_t tr_pools_cost(const struct tr_pools *p, const struct tr_node_type *node, int nodes)
{
    double each = p->priced ? node->usd_per_h * TR_HOURS_PER_MONTH : node->gpus;
    return nodes * (int64_t)(each * 1e6 + 0.5);
}

int64_t tr_pools_alone(const struct tr_pools *p, int workload)
{
    const struct tr_plan *alone = p->member[workload].alone;
    if (alone->pick < 0)
        return TR_NO_COST;
    const struct tr_candidate *c = &alone->candidates[alone->pick];
    const struct tr_policy_run *scaled = tr_pools_scaled(p, workload);
    if (p->priced && scaled != NULL)
        return (int64_t)(scaled->usd_per_month * 1e6 + 0.5);
    return tr_pools_cost(p, c->node, c->nodes);
}

/* What the members cost on nodes of their own. */
static int64_t apart(const struct tr_pools *p, uint32_t members)
{
    int64_t sum = 0;
    for (uint32_t bits = members; bits != 0; bits &= bits - 1) {
        int64_t cost = tr_pools_alone(p, __builtin_ctz(bits));
        if (cost == TR_NO_COST)
            return TR_NO_COST;
        sum += cost;
    }
    return sum;
}

const struct tr_policy_run *tr_pools_scaled(const struct tr_pools *p, int workload)
{
    const struct tr_plan *alone = p->member[workload].alone;
    for (int i = 0; i < alone->n_scaled; i++)
        if (alone->scaled[i].candidate == alone->pick && alone->scaled[i].found)
            return &alone->scaled[i].best;
    return NULL;
}

const struct tr_pool *tr_pools_group(const struct tr_pools *p, uint32_t members)
{
    for (size_t i = 0; i < p->n_groups; i++)
        if (p->groups[i]->members == members)
            return p->groups[i];
    return NULL;
}

/* ---- alone ---------------------------------------------------------------------------------- */

/* The part of the whole that one workload's plan is. */
struct piece {
    const struct tr_progress *outer;
    const char *name;
    double from, to;
};

static void report(void *arg, const char *what, double done)
{
    const struct piece *piece = arg;
    char text[160];
    snprintf(text, sizeof text, "%s: %s", piece->name, what);
    piece->outer->report(piece->outer->arg, text, piece->from + (piece->to - piece->from) * done);
}

#define ALONE_PART 0.6 /* of the whole plan, for the progress line */

static int plan_alone(struct tr_pools *p, int i, struct tr_err *err)
{
    struct tr_member *m = &p->member[i];
    struct tr_plan_opts opts = p->opts;
    struct tr_trace_info info;
    tr_scenario_view(p->scenario, (size_t)i, &m->view);
    struct piece piece = {&p->opts.progress, m->view.workload.name, ALONE_PART * i / p->n,
                          ALONE_PART * (i + 1) / p->n};
    opts.flips = false;
    opts.draws = 0;
    opts.brief = true;
    opts.progress.report = p->opts.progress.report != NULL ? report : NULL;
    opts.progress.arg = &piece;
    int rc = tr_plan_run(&m->view, &opts, &m->alone, err);
    if (m->alone != NULL) {
        m->alone->opts.progress = p->opts.progress;
        p->simulated += m->alone->simulated_requests;
    }
    if (rc == TR_OK)
        rc = tr_source_open(&m->alone->traffic, opts.seed, &m->source, &info, err);
    if (rc == TR_OK)
        tr_source_keep(m->source, TR_KEEP_REQUESTS);
    return rc;
}

/* ---- groups --------------------------------------------------------------------------------- */

/* A group has to save more than a tie on what its members cost apart. */
static int64_t worth(const struct tr_pools *p, uint32_t members)
{
    int64_t sum = apart(p, members);
    return sum == TR_NO_COST ? TR_NO_COST : (int64_t)((double)sum / (1 + TR_TIE));
}

static int price(void *arg, int n, const uint32_t *set, int64_t *cost, int64_t *bound,
                 struct tr_err *err)
{
    struct tr_pools *p = arg;
    int rc = TR_OK;
    for (int i = 0; i < n && rc == TR_OK; i++) {
        struct tr_pool *group = TR_ARENA_NEW(&p->arena, struct tr_pool, 1);
        rc = tr_pool_find(p, set[i], worth(p, set[i]), group, err);
        if (rc < 0)
            break;
        tr_grow((void **)&p->groups, &p->cap_groups, p->n_groups + 1, sizeof *p->groups);
        p->groups[p->n_groups++] = group;
        cost[i] = group->cost;
        bound[i] = group->bound;
    }
    return rc;
}

/* No group costs less: by the loads together, and by what its members need alone. */
static int64_t bound_of(struct tr_pools *p, uint32_t members)
{
    int64_t least = TR_NO_COST;
    for (size_t i = 0; i < p->scenario->n_nodes; i++) {
        const struct tr_node_type *node = p->scenario->nodes[i];
        int nodes = tr_stands_least(p, members, node);
        least = TR_MIN(least, tr_pools_cost(p, node, nodes));
    }
    return least;
}

/* No partition costs less: the loads of all as parts of GPUs, each where that is cheapest; whole
 * nodes where all are of one type and none comes and goes. Nor less than a pool for any one of
 * them. */
static int64_t fractions(struct tr_pools *p)
{
    double sum = 0;
    for (int i = 0; i < p->n; i++) {
        double least = INFINITY;
        for (size_t k = 0; k < p->scenario->n_nodes; k++) {
            const struct tr_node_type *node = p->scenario->nodes[k];
            double load = tr_stands_load(p, i, node) / node->gpus;
            least = TR_MIN(least, load * (double)tr_pools_cost(p, node, 1));
        }
        sum += least;
    }
    bool whole = p->scenario->n_nodes == 1;
    for (int i = 0; i < p->n; i++)
        whole = whole && tr_pools_scaled(p, i) == NULL;
    int64_t node = tr_pools_cost(p, p->scenario->nodes[0], 1);
    int64_t bound = whole ? ((int64_t)sum / node + 1) * node : (int64_t)sum;
    for (int i = 0; i < p->n; i++) {
        int64_t own = TR_MIN(tr_pools_alone(p, i), bound_of(p, 1u << i));
        if (own != TR_NO_COST)
            bound = TR_MAX(bound, own);
    }
    return bound;
}

static int share(struct tr_pools *p, struct tr_err *err)
{
    size_t sets = (size_t)1 << p->n;
    struct tr_partition_search s = {
        .n = p->n,
        .cost = tr_calloc(sets, sizeof *s.cost),
        .bound = tr_calloc(sets, sizeof *s.bound),
        .known = tr_calloc(sets, sizeof *s.known),
        .least = fractions(p),
        .most = p->opts.quick ? MOST_GROUPS_QUICK : MOST_GROUPS,
        .more = p->opts.quick ? MORE_GROUPS_QUICK : MORE_GROUPS,
        .price = price,
        .arg = p,
    };
    for (uint32_t set = 1; set < sets; set++)
        s.bound[set] = bound_of(p, set);
    for (int i = 0; i < p->n; i++) {
        s.known[1u << i] = true;
        s.cost[1u << i] = tr_pools_alone(p, i);
    }
    int rc = tr_partition_run(&s, &p->answer, err);
    free(s.cost);
    free(s.bound);
    free(s.known);
    return rc;
}

/* The pools of the pick in which someone is guaranteed: what else could be done there is shown. */
static int complete(struct tr_pools *p, struct tr_err *err)
{
    int rc = TR_OK;
    for (int i = 0; i < p->n; i++) {
        uint32_t members = 0;
        for (int g = 0; p->answer.n_best > 0 && g < p->answer.best[0].n; g++)
            if (p->answer.best[0].group[g] >> i & 1U)
                members = p->answer.best[0].group[g];
        for (size_t k = 0; k < p->n_groups && rc == TR_OK; k++)
            if (p->member[i].view.workload.guaranteed && p->groups[k]->members == members)
                rc = tr_pool_complete(p, p->groups[k], err);
    }
    return rc;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool all_priced(const struct tr_scenario *s)
{
    for (size_t i = 0; i < s->n_nodes; i++)
        if (isnan(s->nodes[i]->usd_per_h))
            return false;
    return true;
}

/* Shared pools are within nodes.max, lone ones as their own plans say. */
static bool all_meet(const struct tr_pools *p)
{
    if (p->answer.n_best == 0)
        return false;
    for (int i = 0; i < p->answer.best[0].n; i++) {
        uint32_t members = p->answer.best[0].group[i];
        if ((members & (members - 1)) == 0 && !p->member[__builtin_ctz(members)].alone->meets)
            return false;
    }
    return true;
}

int tr_pools_run(const struct tr_scenario *s, const struct tr_plan_opts *opts,
                 struct tr_pools **out, struct tr_err *err)
{
    struct tr_pools *p = tr_calloc(1, sizeof *p);
    int rc = TR_OK;
    p->scenario = s;
    p->opts = *opts;
    p->n = (int)s->n_workloads;
    p->priced = all_priced(s);
    for (int i = 0; i < p->n && rc == TR_OK; i++)
        rc = plan_alone(p, i, err);
    if (rc == TR_OK) {
        p->apart = apart(p, (uint32_t)((1ULL << p->n) - 1));
        rc = share(p, err);
    }
    if (rc == TR_OK)
        rc = complete(p, err);
    if (rc == TR_OK)
        rc = tr_pools_victims(p, err);
    p->interrupted = rc == TR_EINTR;
    if (rc == TR_OK || rc == TR_EINTR) {
        p->meets = all_meet(p);
        tr_pools_verdict(p);
        *out = p;
    } else {
        tr_pools_free(p);
    }
    return rc;
}

void tr_pools_free(struct tr_pools *p)
{
    if (p == NULL)
        return;
    for (int i = 0; i < p->n; i++) {
        tr_source_close(p->member[i].source);
        tr_plan_free(p->member[i].alone);
    }
    for (size_t i = 0; i < p->n_groups; i++)
        tr_sim_result_free(&p->groups[i]->result);
    free(p->groups);
    free(p->victims);
    free(p->seats);
    tr_arena_free(&p->arena);
    free(p);
}
