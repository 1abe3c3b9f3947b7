/* What is said of several workloads: who shares, what that saves, and how far it is proven. */
#include "plan/pools.h"

#include <math.h>

static void say(struct tr_pools *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct tr_pools *p, const char *fmt, ...)
{
    struct tr_str s = {0};
    va_list ap;
    va_start(ap, fmt);
    tr_str_vprintf(&s, fmt, ap);
    va_end(ap);
    tr_assert(p->n_lines < (int)TR_LEN(p->lines));
    p->lines[p->n_lines++] = tr_arena_strdup(&p->arena, s.text);
    tr_str_free(&s);
}

const char *tr_pools_money(const struct tr_pools *p, char buf[32], int64_t cost)
{
    if (p->priced)
        return tr_verdict_money(buf, (double)cost / 1e6);
    int64_t gpus = (cost + 500000) / 1000000;
    snprintf(buf, 32, "%" PRId64 " GPU%s", gpus, gpus != 1 ? "s" : "");
    return buf;
}

const char *tr_pools_names(struct tr_pools *p, uint32_t members)
{
    struct tr_str s = {0};
    for (uint32_t bits = members; bits != 0; bits &= bits - 1)
        tr_str_printf(&s, "%s%s",
                      bits == members            ? ""
                      : (bits & (bits - 1)) == 0 ? " and "
                                                 : ", ",
                      p->member[__builtin_ctz(bits)].view.workload.name);
    const char *names = tr_arena_strdup(&p->arena, s.text);
    tr_str_free(&s);
    return names;
}

static bool lone(uint32_t members)
{
    return (members & (members - 1)) == 0;
}

/* "chat on 15 x azure/... (whole bf16); embed and rerank on 1 x azure/... (timeslice:2)" */
static void add_partition(struct tr_pools *p, struct tr_str *out, const struct tr_partition *q)
{
    for (int i = 0; i < q->n; i++) {
        uint32_t members = q->group[i];
        tr_str_printf(out, "%s%s on ", i > 0 ? "; " : "", tr_pools_names(p, members));
        if (lone(members)) {
            const struct tr_plan *alone = p->member[__builtin_ctz(members)].alone;
            const struct tr_candidate *c = &alone->candidates[alone->pick];
            const struct tr_policy_run *scaled = tr_pools_scaled(p, __builtin_ctz(members));
            if (scaled != NULL)
                tr_str_printf(out, "%d to ", scaled->policy.min_nodes);
            tr_str_printf(out, "%d x %s (%s %s)",
                          scaled != NULL ? scaled->policy.max_nodes : c->nodes, c->node->name,
                          c->arrangement.text, c->precision->name);
        } else {
            const struct tr_pool *pool = tr_pools_group(p, members);
            tr_str_printf(out, "%d x %s (%s)", pool->nodes, pool->stand.node->name,
                          pool->stand.layout.arrangement.text);
        }
    }
}

static bool shares(const struct tr_partition *q)
{
    for (int i = 0; i < q->n; i++)
        if (!lone(q->group[i]))
            return true;
    return false;
}

static void say_pick(struct tr_pools *p)
{
    const struct tr_partition *best = &p->answer.best[0];
    struct tr_str s = {0};
    char usd[32], each[32], saved[32];
    add_partition(p, &s, best);
    say(p, "%s, %d pool%s: %s.", tr_pools_money(p, usd, best->cost), best->n,
        best->n > 1 ? "s" : "", s.text);
    tr_str_free(&s);
    if (!shares(best))
        say(p,
            "Nobody shares: no group of workloads saves more than %.0f %% of what its members "
            "cost on nodes of their own.",
            100 * TR_TIE);
    else if (p->apart == TR_NO_COST)
        say(p, "On nodes of its own not every workload meets its objective.");
    else
        say(p, "Each on nodes of its own costs %s: sharing saves %s, %.1f %%.",
            tr_pools_money(p, each, p->apart), tr_pools_money(p, saved, p->apart - best->cost),
            100 * (double)(p->apart - best->cost) / (double)p->apart);
}

static void say_runner_up(struct tr_pools *p)
{
    const struct tr_partition *best = p->answer.best;
    struct tr_str s = {0};
    char usd[32];
    if (p->answer.n_best < 2)
        return;
    add_partition(p, &s, &best[1]);
    say(p, "Runner-up of what was looked at, %s, %.2f times the pick: %s.",
        tr_pools_money(p, usd, best[1].cost), (double)best[1].cost / (double)best[0].cost, s.text);
    tr_str_free(&s);
}

static void say_proof(struct tr_pools *p)
{
    const struct tr_partition_answer *a = &p->answer;
    char usd[32], gap[32];
    long sets = (1L << p->n) - 1 - p->n;
    if (a->bound >= a->best[0].cost)
        say(p,
            "No partition costs less: %d of the %ld groups were looked at; each other one needs as "
            "much by its loads, or holds one that does.",
            a->priced, sets);
    else
        say(p,
            "%d of the %ld groups were looked at; %s: no partition costs less than %s, the gap is "
            "%s, %.1f %%.",
            a->priced, sets,
            p->n > TR_PARTITION_EXACT ? "for so many workloads groups are merged one by one"
                                      : "the search was cut there",
            tr_pools_money(p, usd, a->bound), tr_pools_money(p, gap, a->best[0].cost - a->bound),
            100 * (double)(a->best[0].cost - a->bound) / (double)a->best[0].cost);
}

/* Lone ones may be autoscaled. */
static void say_scaled(struct tr_pools *p)
{
    const struct tr_partition *best = &p->answer.best[0];
    for (int g = 0; g < best->n; g++) {
        int i = __builtin_ctz(best->group[g]);
        const struct tr_plan *alone = p->member[i].alone;
        const struct tr_policy_run *r = lone(best->group[g]) ? tr_pools_scaled(p, i) : NULL;
        char usd[32], fixed[32];
        const struct tr_candidate *c = &alone->candidates[alone->pick];
        if (r == NULL) {
            if (lone(best->group[g]) && alone->n_scaled > 0 && c->nodes > 1)
                say(p,
                    "Keep the %d nodes of %s all the time: no autoscaling policy that was tried "
                    "keeps its objective for less.",
                    c->nodes, p->member[i].view.workload.name);
            continue;
        }
        say(p,
            "Behind the cluster autoscaler %s costs %s, %.0f %% less than %d nodes all the time "
            "(%s): %.1f nodes in the mean. --workload %s has the policies.",
            p->member[i].view.workload.name, tr_verdict_money(usd, r->usd_per_month),
            100 * (1 - r->usd_per_month / c->usd_per_month), c->nodes,
            tr_verdict_money(fixed, c->usd_per_month), r->nodes_mean,
            p->member[i].view.workload.name);
    }
}

/* Why a shared pool does not grow and shrink. */
static void say_fixed(struct tr_pools *p)
{
    if (!shares(&p->answer.best[0]))
        return;
    say(p,
        "Shared pools keep their nodes: the cluster autoscaler counts one resource, reads a node "
        "of renamed or mixed shares as idle, and sees no shares on a node that does not exist "
        "yet; and what fits on so few nodes has little to give back.");
}

/* vLLM takes for its own what others allocate while it measures (docs/plan.md, "Warnings"). */
static void say_start(struct tr_pools *p)
{
    const struct tr_partition *best = &p->answer.best[0];
    for (int g = 0; g < best->n; g++) {
        const struct tr_pool *pool = tr_pools_group(p, best->group[g]);
        bool turns = false;
        for (int i = 0; pool != NULL && i < pool->stand.layout.arrangement.n_parts; i++)
            turns = turns || pool->stand.layout.arrangement.parts[i].sharing == TR_TIMESLICE;
        if (turns)
            say(p,
                "Start the pods of %s one after another, each with its memory utilization of "
                "the table: together each may count its neighbours' weights.",
                tr_pools_names(p, best->group[g]));
    }
}

static void say_guarantees(struct tr_pools *p)
{
    const struct tr_partition *best = &p->answer.best[0];
    for (int g = 0; g < best->n; g++)
        for (uint32_t bits = best->group[g]; bits != 0 && !lone(best->group[g]); bits &= bits - 1) {
            int i = __builtin_ctz(bits);
            const struct tr_workload *w = &p->member[i].view.workload;
            if (w->guaranteed)
                say(p,
                    "%s is guaranteed: while its neighbours' queues are always full, %.2f %% of "
                    "its requests are inside.",
                    w->name,
                    floor(1e4 * tr_pools_group(p, best->group[g])->saturated[i] + 1e-9) / 100);
        }
}

/* Traffic that ends sooner leaves the others alone. */
static void say_spans(struct tr_pools *p)
{
    int longest = 0, shortest = 0;
    char a[24], b[24];
    for (int i = 1; i < p->n; i++) {
        int64_t span_ns = p->member[i].alone->stats.span_ns;
        if (span_ns > p->member[longest].alone->stats.span_ns)
            longest = i;
        if (span_ns < p->member[shortest].alone->stats.span_ns)
            shortest = i;
    }
    int64_t most = p->member[longest].alone->stats.span_ns;
    int64_t least = p->member[shortest].alone->stats.span_ns;
    if ((double)least < 0.95 * (double)most)
        say(p,
            "The traffic of %s ends after %s, that of %s after %s: from then on they do not "
            "meet.",
            p->member[shortest].view.workload.name, tr_units_show_ns(a, least),
            p->member[longest].view.workload.name, tr_units_show_ns(b, most));
}

static void say_none(struct tr_pools *p)
{
    for (int i = 0; i < p->n; i++)
        if (p->member[i].alone->pick < 0)
            say(p, "Nothing meets the objective of %s, alone or with others.",
                p->member[i].view.workload.name);
}

void tr_pools_verdict(struct tr_pools *p)
{
    if (p->interrupted) {
        say(p, "Interrupted: who shares with whom is not decided.");
        return;
    }
    if (p->answer.n_best == 0) {
        say_none(p);
        return;
    }
    say_pick(p);
    say_runner_up(p);
    say_proof(p);
    say_scaled(p);
    say_fixed(p);
    say_start(p);
    say_guarantees(p);
    for (int i = 0; i < p->n; i++)
        if (p->member[i].alone->pick >= 0 && !p->member[i].alone->meets)
            say(p, "%s alone needs more than nodes.max (%d).", p->member[i].view.workload.name,
                p->scenario->nodes_max);
    say_spans(p);
}
