/* report, pools: several workloads, and who of them shares nodes with whom, as tables. */
#include "plan/pools.h"
#include "report/report.h"

#include <math.h>

static const struct tr_workload *workload_of(const struct tr_pools *p, int i)
{
    return &p->member[i].view.workload;
}

static bool lone(uint32_t members)
{
    return (members & (members - 1)) == 0;
}

/* ---- what was asked ------------------------------------------------------------------------- */

static void add_objectives(struct tr_table *t, const struct tr_slo *slo)
{
    struct tr_str s = {0};
    char buf[64];

    for (int i = 0; i < slo->n; i++)
        tr_str_printf(&s, "%s%s", i ? ", " : "", tr_show_objective(buf, &slo->objective[i]));
    if (slo->spikes_only)
        tr_str_printf(&s, " inside spikes");
    tr_table_cell(t, "%s", s.text);
    tr_str_free(&s);
}

static void add_terms(struct tr_table *t, const struct tr_workload *w)
{
    struct tr_str s = {0};

    if (w->isolation != TR_ISOLATION_NONE)
        tr_str_printf(&s, ", isolation %s", tr_isolation_name(w->isolation));
    if (w->trust)
        tr_str_printf(&s, ", trust %s", w->trust);
    if (w->guaranteed)
        tr_str_printf(&s, ", guaranteed");
    if (w->priority != 0)
        tr_str_printf(&s, ", priority %d", w->priority);
    tr_table_cell(t, "%s", s.len ? s.text + 2 : "");
    tr_str_free(&s);
}

static void print_workloads(struct tr_str *out, const struct tr_pools *p)
{
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW];

    tr_table_column(&t, TR_LEFT, NULL, "\nworkload");
    tr_table_column(&t, TR_LEFT, NULL, "\nmodel or server");
    tr_table_column(&t, TR_RIGHT, NULL, "\nrequests");
    tr_table_column(&t, TR_RIGHT, "requests/s", "\nmean");
    tr_table_column(&t, TR_RIGHT, "requests/s", "busiest\nminute");
    tr_table_column(&t, TR_PROSE, NULL, "\nobjective");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (int i = 0; i < p->n; i++) {
        const struct tr_workload *w = workload_of(p, i);
        const struct tr_plan *alone = p->member[i].alone;
        if (!alone)
            continue;
        tr_table_cell(&t, "%s", w->name);
        tr_table_cell(&t, "%s", w->server ? w->server->name : w->model->name);
        tr_table_cell(&t, "%s", tr_units_show_count(a, alone->stats.requests));
        tr_table_cell(&t, "%s", tr_show_num(a, alone->stats.rate));
        tr_table_cell(&t, "%s", tr_show_num(a, alone->spikes.peak_rate));
        add_objectives(&t, &w->slo);
        add_terms(&t, w);
    }
    tr_table_end(&t, out);
}

/* ---- pools ---------------------------------------------------------------------------------- */

/* The share of requests inside each objective, the worst of them. */
static double worst_inside(const struct tr_outcome *o, const struct tr_slo *slo)
{
    double worst = 1;

    for (int i = 0; i < slo->n; i++)
        worst = TR_MIN(worst, tr_outcome_inside(o, i, slo->spikes_only));
    return worst;
}

static void add_latencies(struct tr_table *t, const struct tr_outcome *o, const struct tr_slo *slo)
{
    const struct tr_hist *h = &o->metric[slo->objective[0].metric];
    char a[TR_SHOW];

    tr_table_cell(t, "%s", tr_show_percent(a, worst_inside(o, slo)));
    for (int i = 0; i < 2; i++)
        if (h->count > 0)
            tr_table_cell(t, "%s",
                          tr_show_num(a, (double)tr_hist_quantile(h, i ? 0.95 : 0.50) / 1e6));
        else
            tr_table_cell(t, "-");
}

static void pool_columns(struct tr_table *t)
{
    static const char slo[] = "inside SLO, and ms";

    tr_table_column(t, TR_RIGHT, NULL, "\n#");
    tr_table_column(t, TR_RIGHT, NULL, "\nnodes");
    tr_table_column(t, TR_LEFT, NULL, "\nnode");
    tr_table_column(t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(t, TR_RIGHT, NULL, "USD per\nmonth");
    tr_table_column(t, TR_LEFT, NULL, "\nworkload");
    tr_table_column(t, TR_RIGHT, NULL, "pods/\nGPU");
    tr_table_column(t, TR_LEFT, NULL, "\non");
    tr_table_column(t, TR_LEFT, NULL, "");
    tr_table_column(t, TR_RIGHT, NULL, "memory\nutil.");
    tr_table_column(t, TR_RIGHT, NULL, "KV\ntokens");
    tr_table_column(t, TR_RIGHT, slo, "\n%");
    tr_table_column(t, TR_RIGHT, slo, "\np50");
    tr_table_column(t, TR_RIGHT, slo, "\np95");
}

/* "16", or "2 to 16" where they come and go. */
static const char *nodes_of(char buf[TR_SHOW], const struct tr_pools *p, int i)
{
    const struct tr_plan *alone = p->member[i].alone;
    const struct tr_policy_run *scaled = tr_pools_scaled(p, i);

    if (scaled)
        snprintf(buf, TR_SHOW, "%d to %d", scaled->policy.min_nodes, scaled->policy.max_nodes);
    else
        snprintf(buf, TR_SHOW, "%d", alone->candidates[alone->pick].nodes);
    return buf;
}

/* A pool's own cells, in its first row. */
static void pool_cells(struct tr_table *t, const struct tr_pools *p, int number, const char *nodes,
                       const struct tr_node_type *node, const char *arrangement, double usd)
{
    char a[TR_SHOW], letter[TR_SHOW];

    tr_table_cell(t, "%d", number);
    tr_table_cell(t, "%s", nodes);
    tr_table_cell(t, "%s", tr_show_node_letter(letter, p->scenario, node));
    tr_table_cell(t, "%s", arrangement);
    tr_table_cell(t, "%s", tr_show_num(a, usd));
}

static void pod_cells(struct tr_table *t, const struct tr_workload *w, int pods,
                      const struct tr_candidate *c, int part)
{
    const struct tr_memory *m = &c->memory[part];
    char a[TR_SHOW];

    tr_table_cell(t, "%d", pods);
    tr_table_cell(t, "%s",
                  c->arrangement.parts[part].profile ? c->arrangement.parts[part].profile->name
                                                     : "");
    tr_table_cell(t, "%s", w->server ? "" : c->precision->name);
    if (w->server) {
        tr_table_cell(t, "-");
        tr_table_cell(t, "-");
        return;
    }
    tr_table_cell(t, "%.3f", m->utilization);
    tr_table_cell(t, "%s", tr_units_show_count(a, m->kv_tok));
}

static void print_lone(struct tr_table *t, const struct tr_pools *p, int number, int i)
{
    const struct tr_plan *alone = p->member[i].alone;
    const struct tr_workload *w = workload_of(p, i);
    const struct tr_candidate *c = &alone->candidates[alone->pick];

    const struct tr_policy_run *scaled = tr_pools_scaled(p, i);
    char a[TR_SHOW];

    pool_cells(t, p, number, nodes_of(a, p, i), c->node, c->arrangement.text,
               scaled ? scaled->usd_per_month : c->usd_per_month);
    tr_table_cell(t, "%s", w->name);
    pod_cells(t, w, c->arrangement.n_pods, c, 0);
    if (!scaled) {
        add_latencies(t, &c->result.outcome, &w->slo);
        return;
    }
    tr_table_cell(t, "%s", tr_show_percent(a, scaled->inside));
    tr_table_cell(t, "%s", tr_show_num(a, (double)scaled->p50_ns / 1e6));
    tr_table_cell(t, "%s", tr_show_num(a, (double)scaled->p95_ns / 1e6));
}

/* Of one workload in a shared pool: its pods by kind, the first row with what became of it. */
static void print_member(struct tr_table *t, const struct tr_pools *p, const struct tr_pool *pool,
                         int number, int i, bool *first)
{
    const struct tr_workload *w = workload_of(p, i);
    int place = __builtin_popcount(pool->members & ((1u << i) - 1));
    bool mine = true;

    for (int pod = 0; pod < pool->stand.layout.arrangement.n_pods; pod++) {
        const struct tr_seat *seat = pool->stand.seat[pod];
        int alike = 0;
        if (!(pool->stand.serves[pod] >> i & 1))
            continue;
        bool met = false;
        for (int k = 0; k < pool->stand.layout.arrangement.n_pods; k++)
            if (pool->stand.seat[k] == seat && (pool->stand.serves[k] >> i & 1)) {
                met = met || k < pod;
                alike++;
            }
        if (met)
            continue;
        char nodes[TR_SHOW];
        snprintf(nodes, sizeof nodes, "%d", pool->nodes);
        if (*first)
            pool_cells(t, p, number, nodes, pool->stand.node, pool->stand.layout.arrangement.text,
                       pool->nodes * pool->stand.node->usd_per_h * TR_HOURS_PER_MONTH);
        else
            for (int k = 0; k < 5; k++)
                tr_table_cell(t, "%s", "");
        *first = false;
        tr_table_cell(t, "%s", mine ? w->name : "");
        pod_cells(t, w, alike, &seat->pod, 0);
        if (mine)
            add_latencies(t, &pool->result.by_workload[place], &w->slo);
        else
            for (int k = 0; k < 3; k++)
                tr_table_cell(t, "%s", "");
        mine = false;
    }
}

/* Pods that several workloads are served by stand in the row of each: here it is said that they are
 * the same. */
static void print_engines(struct tr_str *out, struct tr_pools *p, int number,
                          const struct tr_pool *pool)
{
    const struct tr_stand *stand = &pool->stand;
    char text[512];

    for (int pod = 0; pod < stand->layout.arrangement.n_pods; pod++) {
        bool met = lone(stand->serves[pod]);
        for (int k = 0; k < pod; k++)
            met = met || stand->serves[k] == stand->serves[pod];
        if (met)
            continue;
        snprintf(text, sizeof text, "In pool %d the same pods serve %s.", number,
                 tr_pools_names(p, stand->serves[pod]));
        tr_text_wrap(out, "  ", 2, text);
    }
}

static void print_pools(struct tr_str *out, struct tr_pools *p)
{
    const struct tr_partition *best = &p->answer.best[0];
    struct tr_table t = {.indent = 2};
    bool sampled = false;

    if (p->answer.n_best == 0)
        return;
    tr_str_printf(out, "\nPools: who stands where\n");
    pool_columns(&t);
    for (int g = 0; g < best->n; g++) {
        bool first = true;
        if (lone(best->group[g])) {
            print_lone(&t, p, g + 1, __builtin_ctz(best->group[g]));
            continue;
        }
        const struct tr_pool *pool = tr_pools_group(p, best->group[g]);
        sampled = sampled || pool->sampled_gpus > 0;
        for (uint32_t bits = best->group[g]; bits != 0; bits &= bits - 1)
            print_member(&t, p, pool, g + 1, __builtin_ctz(bits), &first);
    }
    tr_table_end(&t, out);
    tr_text_wrap(out, "  ", 2,
                 "% of the requests are inside the worst objective; p50 and p95 are those of the "
                 "first one's metric.");
    for (int g = 0; g < best->n; g++)
        if (!lone(best->group[g]))
            print_engines(out, p, g + 1, tr_pools_group(p, best->group[g]));
    if (sampled)
        tr_text_wrap(out, "  ", 2, "Some of a pool's GPUs stand for all of them.");
}

/* ---- alone, and the groups ------------------------------------------------------------------- */

static void print_alone(struct tr_str *out, const struct tr_pools *p)
{
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW], letter[TR_SHOW];

    tr_table_column(&t, TR_LEFT, NULL, "\nworkload");
    tr_table_column(&t, TR_RIGHT, NULL, "\nnodes");
    tr_table_column(&t, TR_LEFT, NULL, "\nnode");
    tr_table_column(&t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_RIGHT, NULL, "req/s\nper GPU");
    tr_table_column(&t, TR_RIGHT, NULL, "USD per\nmonth");
    tr_table_column(&t, TR_RIGHT, NULL, "inside\nSLO, %");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (int i = 0; i < p->n; i++) {
        const struct tr_plan *alone = p->member[i].alone;
        if (!alone)
            continue;
        tr_table_cell(&t, "%s", workload_of(p, i)->name);
        if (alone->pick < 0) {
            for (int k = 0; k < 7; k++)
                tr_table_cell(&t, k == 0 ? "-" : "");
            tr_table_cell(&t, "nothing meets its objective");
            continue;
        }
        const struct tr_candidate *c = &alone->candidates[alone->pick];
        const struct tr_policy_run *scaled = tr_pools_scaled(p, i);
        tr_table_cell(&t, "%s", nodes_of(a, p, i));
        tr_table_cell(&t, "%s", tr_show_node_letter(letter, p->scenario, c->node));
        tr_table_cell(&t, "%s", c->arrangement.text);
        tr_table_cell(&t, "%s", workload_of(p, i)->server ? "" : c->precision->name);
        tr_table_cell(&t, "%s", tr_show_num(a, c->capacity_rps));
        tr_table_cell(&t, "%s", tr_show_num(a, scaled ? scaled->usd_per_month : c->usd_per_month));
        double inside =
            scaled ? scaled->inside : worst_inside(&c->result.outcome, &workload_of(p, i)->slo);
        tr_table_cell(&t, "%s", tr_show_percent(a, inside));
        tr_table_cell(&t, "%s", c->beyond_max ? "above max" : "");
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nEach on nodes of its own\n");
    tr_table_end(&t, out);
}

static void print_groups(struct tr_str *out, struct tr_pools *p)
{
    struct tr_table t = {.indent = 2};

    tr_table_column(&t, TR_PROSE, NULL, "\nworkloads");
    tr_table_column(&t, TR_RIGHT, NULL, "ways\ntried");
    tr_table_column(&t, TR_RIGHT, NULL, "\nnodes");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (size_t i = 0; i < p->n_groups; i++) {
        const struct tr_pool *g = p->groups[i];
        tr_table_cell(&t, "%s", tr_pools_names(p, g->members));
        tr_table_cell(&t, "%d", g->tried);
        if (g->stand.node) {
            tr_table_cell(&t, "%d", g->nodes);
            tr_table_cell(&t, "%s", g->stand.layout.arrangement.text);
        } else {
            tr_table_cell(&t, "-");
            tr_table_cell(&t, "better apart: %s", g->why);
        }
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nGroups that were looked at\n");
    tr_table_end(&t, out);
}

static void print_next(struct tr_str *out, const struct tr_pools *p)
{
    const char *path = strcmp(p->scenario->path, "-") == 0 ? "SCENARIO.yaml" : p->scenario->path;

    tr_str_printf(out, "\nNext\n");
    if (p->opts.quick)
        tr_str_printf(out, "  tranche plan %s  # the full runs; this was --quick\n", path);
    tr_str_printf(out, "  tranche plan %s --workload %s  # one alone, in depth\n", path,
                  workload_of(p, 0)->name);
    tr_str_printf(out, "  tranche check %s --workload %s  # what physics allows it\n", path,
                  workload_of(p, 0)->name);
}

void tr_report_pools_table(struct tr_str *out, struct tr_pools *p)
{
    const struct tr_scenario *s = p->scenario;

    if (p->interrupted)
        tr_str_printf(out, "INTERRUPTED: what was finished until then\n\n");
    tr_text_wrap(out, "", 0, s->name ? s->name : s->path);
    tr_report_nodes(out, s);
    print_workloads(out, p);
    print_alone(out, p);
    print_groups(out, p);
    print_pools(out, p);
    tr_report_pool_victims(out, p);
    tr_str_printf(out, "\nVerdict%s\n", p->interrupted ? " of what was finished" : "");
    for (int i = 0; i < p->n_lines; i++)
        tr_text_wrap(out, "  ", 2, p->lines[i]);
    print_next(out, p);
}
