/* report, pools: several workloads as JSON and as CSV. */
#include "plan/pools.h"
#include "report/report.h"

#include <math.h>

static double usd(const struct tr_pools *p, int64_t cost)
{
    return p->priced && cost != TR_NO_COST ? (double)cost / 1e6 : (double)NAN;
}

static void add_names(struct tr_json *j, const struct tr_pools *p, uint32_t members)
{
    tr_json_begin(j, "workloads", '[');
    for (uint32_t bits = members; bits != 0; bits &= bits - 1)
        tr_json_text(j, NULL, p->member[__builtin_ctz(bits)].view.workload.name);
    tr_json_end(j);
}

/* ---- workloads ------------------------------------------------------------------------------ */

static void add_alone(struct tr_json *j, const struct tr_pools *p, int i)
{
    const struct tr_plan *alone = p->member[i].alone;
    const struct tr_policy_run *scaled = tr_pools_scaled(p, i);
    if (alone->pick < 0) {
        tr_json_null(j, "alone");
        return;
    }
    const struct tr_candidate *c = &alone->candidates[alone->pick];
    const struct tr_slo *slo = &alone->scenario->workload.slo;
    tr_json_begin(j, "alone", '{');
    tr_report_json_candidate(j, c, slo);
    tr_json_int(j, "nodes", c->nodes);
    tr_json_bool(j, "beyond_max", c->beyond_max);
    tr_json_num(j, "usd_per_month", c->usd_per_month);
    tr_json_num(j, "capacity_per_s", c->capacity_rps);
    if (scaled) {
        tr_json_begin(j, "autoscaled", '{');
        tr_json_int(j, "min_nodes", scaled->policy.min_nodes);
        tr_json_int(j, "max_nodes", scaled->policy.max_nodes);
        tr_json_num(j, "target", scaled->policy.target);
        tr_json_num(j, "nodes_mean", scaled->nodes_mean);
        tr_json_num(j, "inside_all_share", scaled->inside);
        tr_json_num(j, "p50_s", (double)scaled->p50_ns / 1e9);
        tr_json_num(j, "p95_s", (double)scaled->p95_ns / 1e9);
        tr_json_num(j, "usd_per_month", scaled->usd_per_month);
        tr_json_end(j);
    } else {
        tr_json_null(j, "autoscaled");
    }
    tr_report_json_result(j, &c->result, c->label, slo);
    tr_json_end(j);
}

static void add_workloads(struct tr_json *j, const struct tr_pools *p)
{
    tr_json_begin(j, "workloads", '[');
    for (int i = 0; i < p->n; i++) {
        const struct tr_workload *w = &p->member[i].view.workload;
        const struct tr_plan *alone = p->member[i].alone;
        if (!alone)
            continue;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "name", w->name);
        tr_json_text(j, "model", w->model ? w->model->name : NULL);
        tr_json_text(j, "server", w->server ? w->server->name : NULL);
        tr_json_text(j, "isolation", tr_isolation_name(w->isolation));
        tr_json_text(j, "trust", w->trust);
        tr_json_bool(j, "guaranteed", w->guaranteed);
        tr_json_int(j, "priority", w->priority);
        tr_report_json_traffic(j, &alone->stats);
        tr_json_num(j, "peak_minute_per_s", alone->spikes.peak_rate);
        tr_report_json_objectives(j, &w->slo);
        add_alone(j, p, i);
        tr_json_end(j);
    }
    tr_json_end(j);
}

/* ---- pools ---------------------------------------------------------------------------------- */

static void add_pods(struct tr_json *j, const struct tr_pools *p, const struct tr_pool *pool)
{
    tr_json_begin(j, "pods_of_a_gpu", '[');
    for (int i = 0; i < pool->stand.layout.arrangement.n_pods; i++) {
        const struct tr_seat *seat = pool->stand.seat[i];
        tr_json_begin(j, NULL, '{');
        add_names(j, p, pool->stand.serves[i]);
        if (pool->stand.serves[i] == 0) {
            tr_json_end(j);
            continue;
        }
        const struct tr_memory *m = &seat->pod.memory[0];
        tr_json_text(j, "profile", seat->profile ? seat->profile->name : NULL);
        tr_json_text(j, "precision", seat->pod.precision->name);
        tr_json_num(j, "gpu_memory_utilization", m->utilization > 0 ? m->utilization : (double)NAN);
        tr_json_int(j, "weights_bytes", m->weights_bytes);
        tr_json_int(j, "kv_bytes", m->kv_bytes);
        tr_json_int(j, "kv_tok", m->kv_tok);
        tr_json_end(j);
    }
    tr_json_end(j);
}

static void add_group(struct tr_json *j, const struct tr_pools *p, const struct tr_pool *pool)
{
    int place = 0;

    tr_json_begin(j, NULL, '{');
    add_names(j, p, pool->members);
    tr_json_int(j, "tried", pool->tried);
    tr_json_text(j, "better_apart", pool->stand.node ? NULL : pool->why);
    if (pool->stand.node) {
        tr_json_text(j, "node", pool->stand.node->name);
        tr_json_int(j, "nodes", pool->nodes);
        tr_json_text(j, "arrangement", pool->stand.layout.arrangement.text);
        tr_json_num(j, "usd_per_month", usd(p, pool->cost));
        tr_json_int(j, "simulated_gpus",
                    pool->sampled_gpus > 0 ? pool->sampled_gpus
                                           : pool->nodes * pool->stand.node->gpus);
        add_pods(j, p, pool);
        tr_json_begin(j, "results", '[');
        for (uint32_t bits = pool->members; bits != 0; bits &= bits - 1, place++) {
            struct tr_sim_result one = pool->result;
            const struct tr_slo *slo = &p->member[__builtin_ctz(bits)].view.workload.slo;
            one.outcome = pool->result.by_workload[place];
            one.meets = tr_outcome_meets(&one.outcome, slo);
            tr_json_begin(j, NULL, '{');
            const struct tr_workload *w = &p->member[__builtin_ctz(bits)].view.workload;
            tr_json_text(j, "workload", w->name);
            tr_json_num(j, "saturated_inside_share",
                        w->guaranteed ? pool->saturated[__builtin_ctz(bits)] : (double)NAN);
            tr_report_json_result(j, &one, tr_outcome_label(&one.outcome), slo);
            tr_json_end(j);
        }
        tr_json_end(j);
    }
    tr_json_end(j);
}

/* A partition as lists of names, each with what it costs. */
static void add_partition(struct tr_json *j, const char *key, const struct tr_pools *p, int rank)
{
    if (rank >= p->answer.n_best) {
        tr_json_null(j, key);
        return;
    }
    const struct tr_partition *q = &p->answer.best[rank];
    tr_json_begin(j, key, '{');
    tr_json_num(j, "usd_per_month", usd(p, q->cost));
    tr_json_begin(j, "pools", '[');
    for (int g = 0; g < q->n; g++) {
        const struct tr_pool *pool = tr_pools_group(p, q->group[g]);
        tr_json_begin(j, NULL, '{');
        add_names(j, p, q->group[g]);
        tr_json_num(j, "usd_per_month",
                    usd(p, pool ? pool->cost : tr_pools_alone(p, __builtin_ctz(q->group[g]))));
        tr_json_end(j);
    }
    tr_json_end(j);
    tr_json_end(j);
}

void tr_report_pools_json(struct tr_str *out, const struct tr_pools *p)
{
    struct tr_json j = {.out = out};

    tr_json_begin(&j, NULL, '{');
    tr_report_json_head(&j, "tranche.pools/1", p->scenario);
    tr_json_int(&j, "seed", (int64_t)p->opts.seed);
    tr_json_bool(&j, "quick", p->opts.quick);
    tr_json_bool(&j, "interrupted", p->interrupted);
    tr_json_int(&j, "simulated_requests", p->simulated);
    tr_json_bool(&j, "meets", p->meets);
    add_workloads(&j, p);
    tr_json_begin(&j, "groups", '[');
    for (size_t i = 0; i < p->n_groups; i++)
        add_group(&j, p, p->groups[i]);
    tr_json_end(&j);
    add_partition(&j, "pick", p, 0);
    add_partition(&j, "runner_up", p, 1);
    tr_json_num(&j, "apart_usd_per_month", usd(p, p->apart));
    tr_json_num(&j, "bound_usd_per_month",
                p->answer.n_best > 0 ? usd(p, p->answer.bound) : (double)NAN);
    tr_report_json_pool_victims(&j, p);
    tr_report_json_lines(&j, "verdict", p->lines, p->n_lines);
    tr_json_end(&j);
}

/* ---- CSV ------------------------------------------------------------------------------------ */

/* What a row says of how the workload fares. */
struct fares {
    double nodes; /* the mean, where they come and go */
    double usd_per_month, inside;
    int64_t p50_ns, p95_ns; /* of its first objective's metric; 0: no request was answered */
};

static struct fares fares_of(double nodes, double usd_per_month, const struct tr_outcome *o,
                             const struct tr_slo *slo)
{
    const struct tr_hist *h = &o->metric[slo->objective[0].metric];
    struct fares f = {.nodes = nodes,
                      .usd_per_month = usd_per_month,
                      .inside = (double)o->inside_all / (double)TR_MAX(o->offered, 1)};
    if (h->count > 0) {
        f.p50_ns = tr_hist_quantile(h, 0.50);
        f.p95_ns = tr_hist_quantile(h, 0.95);
    }
    return f;
}

static struct fares fares_alone(const struct tr_pools *p, int i)
{
    const struct tr_plan *alone = p->member[i].alone;
    const struct tr_candidate *c = &alone->candidates[alone->pick];
    const struct tr_policy_run *r = tr_pools_scaled(p, i);
    if (r != NULL)
        return (struct fares){r->nodes_mean, r->usd_per_month, r->inside, r->p50_ns, r->p95_ns};
    return fares_of(c->nodes, c->usd_per_month, &c->result.outcome, &alone->scenario->workload.slo);
}

static void csv_row(struct tr_str *out, int pool, const char *workload,
                    const struct tr_node_type *node, const char *arrangement, const struct fares *f)
{
    const int64_t ns[2] = {f->p50_ns, f->p95_ns};

    tr_str_printf(out, "%d,%s,%s,%.9g,%s,%.9g,%.9g", pool, workload, node->name, f->nodes,
                  arrangement, f->usd_per_month, f->inside);
    for (int i = 0; i < 2; i++)
        if (ns[i] > 0)
            tr_str_printf(out, ",%.9g", (double)ns[i] / 1e9);
        else
            tr_str_add(out, ",", 1);
    tr_str_add(out, "\n", 1);
}

/* A row for each workload of the pick. */
void tr_report_pools_csv(struct tr_str *out, const struct tr_pools *p)
{
    const struct tr_partition *best = &p->answer.best[0];

    tr_str_printf(out, "pool,workload,node,nodes,arrangement,pool_usd_per_month,inside_all_share,"
                       "p50_s,p95_s\n");
    for (int g = 0; g < best->n && p->answer.n_best > 0; g++) {
        const struct tr_pool *pool = tr_pools_group(p, best->group[g]);
        int place = 0;
        for (uint32_t bits = best->group[g]; bits != 0; bits &= bits - 1, place++) {
            int w = __builtin_ctz(bits);
            const struct tr_member *m = &p->member[w];
            struct fares f;
            if (pool) {
                f = fares_of(pool->nodes, usd(p, pool->cost), &pool->result.by_workload[place],
                             &m->view.workload.slo);
                csv_row(out, g + 1, m->view.workload.name, pool->stand.node,
                        pool->stand.layout.arrangement.text, &f);
                continue;
            }
            const struct tr_candidate *c = &m->alone->candidates[m->alone->pick];
            f = fares_alone(p, w);
            csv_row(out, g + 1, m->view.workload.name, c->node, c->arrangement.text, &f);
        }
    }
}
