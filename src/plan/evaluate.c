/* The smallest fleet of a candidate on the given traffic. */
#include "plan/plan.h"

#include <math.h>

/* On a sample, sizes are told apart to this. */
#define SAMPLE_PRECISION 0.02

const struct tr_effort tr_effort_quick = {{9000, 3000}, 1, 0.04, {40000, 4000}};
const struct tr_effort tr_effort_screen = {{10000, 5000}, 1, 0.03, {120000, 12000}};
const struct tr_effort tr_effort_exact = {{20000, 20000}, TR_CAPACITY_SEEDS, 0.02, {0, 0}};

/* ---- a run --------------------------------------------------------------------------------- */

bool tr_evaluate_turns(const struct tr_candidate *c)
{
    for (int p = 0; p < c->arrangement.n_parts; p++)
        if (c->arrangement.parts[p].sharing == TR_TIMESLICE)
            return true;
    return false;
}

/* Pods that are picked without a look at their load are alike, so that a few stand for all; a
 * tenant's own pods are not. */
bool tr_evaluate_can_sample(const struct tr_candidate *c, const struct tr_workload *w)
{
    enum tr_router router = tr_candidate_router(c, w);
    return router != TR_ROUTE_LEAST_REQUESTS && router != TR_ROUTE_TENANT && !w->slo.spikes_only;
}

/* How many of a fleet's GPUs are simulated: so many that they see the requests of the effort's
 * sample. */
static int sample_of(const struct tr_candidate *c, const struct tr_evaluation *ev, int gpus)
{
    const struct tr_workload *w = &ev->scenario->workload;
    int64_t wanted = ev->effort.sample[tr_evaluate_turns(c)];
    if (wanted == 0 || !tr_evaluate_can_sample(c, w))
        return gpus;
    int64_t sample = (wanted * gpus + ev->spikes->requests - 1) / ev->spikes->requests;
    return (int)TR_MIN(TR_MAX(sample, 1), gpus);
}

static int run(const struct tr_candidate *c, const struct tr_evaluation *ev, int nodes, bool decide,
               struct tr_sim_result *result, struct tr_err *err)
{
    const struct tr_workload *w = &ev->scenario->workload;
    int gpus = nodes * c->node->gpus, sample = sample_of(c, ev, gpus);
    struct tr_source *src = tr_source_clone(ev->source);
    struct tr_sim_config cfg = {
        .fleet = tr_candidate_fleet(c, w, gpus, ev->opts->seed),
        .slo = &w->slo,
        .spikes = ev->spikes,
        .expected = ev->spikes->requests,
        /* How far a sample is off says where to look next; of a whole day, yes or no is enough. */
        .decide = decide && sample == gpus,
        .max_queue = TR_QUEUE_LIMIT,
        .stop = ev->opts->progress.stop,
        .simulated = ev->simulated,
    };
    cfg.fleet.simulated_gpus = sample;
    int rc = tr_sim_run(&cfg, src, result, err);
    tr_source_close(src);
    return rc;
}

int tr_evaluate_run(const struct tr_candidate *c, const struct tr_evaluation *ev, int nodes,
                    struct tr_sim_result *result, struct tr_err *err)
{
    return run(c, ev, nodes, true, result, err);
}

int tr_evaluate_share(const struct tr_candidate *c, const struct tr_evaluation *ev, int nodes,
                      struct tr_sim_result *result, struct tr_err *err)
{
    return run(c, ev, nodes, false, result, err);
}

/* What its pods ask for: unlike MIG instances have names of their own. */
enum tr_gpu_resource tr_candidate_resource(const struct tr_candidate *c)
{
    for (int p = 1; p < c->arrangement.n_parts; p++)
        if (c->arrangement.parts[p].profile != c->arrangement.parts[0].profile)
            return TR_GPU_RENAMED;
    return TR_GPU_PLAIN;
}

int tr_evaluate_elastic(const struct tr_candidate *c, const struct tr_evaluation *ev,
                        const struct tr_scaling *scaling, struct tr_sim_result *result,
                        struct tr_err *err)
{
    const struct tr_workload *w = &ev->scenario->workload;
    struct tr_source *src = tr_source_clone(ev->source);
    struct tr_sim_config cfg = {
        .fleet = tr_candidate_fleet(c, w, c->node->gpus, ev->opts->seed),
        .slo = &w->slo,
        .spikes = ev->spikes,
        .expected = ev->spikes->requests,
        .max_queue = TR_QUEUE_LIMIT,
        .stop = ev->opts->progress.stop,
        .simulated = ev->simulated,
    };
    cfg.fleet.scaling = scaling;
    cfg.fleet.resource = tr_candidate_resource(c);
    int rc = tr_sim_run(&cfg, src, result, err);
    tr_source_close(src);
    return rc;
}

/* ---- the search ---------------------------------------------------------------------------- */

/* The next size, given that `lo` nodes are too few and `hi` (0: none known) suffice. */
static int next_size(const struct tr_hunt *h, int least, int lo, int hi)
{
    int n = (int)TR_MIN(ceil(1 / tr_hunt_next(h, 0)), 1e9);
    n = TR_MAX(n, TR_MAX(lo + 1, least));
    return hi > 0 ? TR_MIN(n, hi - 1) : n;
}

static void keep(struct tr_sizing *s, int n, bool met, struct tr_sim_result *result, int sampled)
{
    if (met) {
        tr_sim_result_free(&s->result);
        s->result = *result;
        s->nodes = n;
        s->sampled_gpus = sampled;
        return;
    }
    if (n > s->fail_nodes) {
        s->fail_nodes = n;
        memcpy(s->fail_missed, result->outcome.missed, sizeof s->fail_missed);
        memcpy(s->fail_outside, result->outside, sizeof s->fail_outside);
    }
    tr_sim_result_free(result);
}

/* How many of the GPUs a result is of; 0: all. */
static int sampled_of(const struct tr_candidate *c, const struct tr_fleet_stats *f)
{
    return f->simulated_pods < f->pods ? f->simulated_pods / c->arrangement.n_pods : 0;
}

int tr_evaluate_size(const struct tr_candidate *c, const struct tr_evaluation *ev, int guess,
                     struct tr_sizing *out, struct tr_err *err)
{
    const struct tr_scenario *s = ev->scenario;
    int least = tr_evaluate_least(c, s), n = TR_MAX(least, guess), limit = 8 * n + 64;
    int lo = least - 1, apart = 1;
    struct tr_hunt h = {.slope = tr_hunt_growth(c)};
    *out = (struct tr_sizing){0};
    for (; (out->nodes == 0 || out->nodes - lo > apart) && n <= limit;
         n = next_size(&h, least, lo, out->nodes)) {
        struct tr_sim_result result;
        int rc = tr_evaluate_run(c, ev, n, &result, err);
        if (rc < 0) {
            tr_sim_result_free(&result);
            tr_sim_result_free(&out->result);
            return rc;
        }
        double excess = tr_hunt_excess(c, &result, &s->workload.slo, ev->spikes->requests);
        int sampled = sampled_of(c, &result.fleet);
        keep(out, n, excess <= 0, &result, sampled);
        tr_hunt_learn(&h, 1.0 / n, excess);
        lo = excess > 0 ? n : lo;
        apart = sampled > 0 ? TR_MAX((int)(n * SAMPLE_PRECISION), 1) : 1;
    }
    return TR_OK;
}

int tr_evaluate_least(const struct tr_candidate *c, const struct tr_scenario *s)
{
    const struct tr_workload *w = &s->workload;
    int least = TR_MAX(s->nodes_min, 1), pods = c->arrangement.n_pods * c->node->gpus;
    if (w->own_pods && !c->arrangement.one_engine)
        least = TR_MAX(least, (w->n_tenants + pods - 1) / pods);
    return least;
}

static double outside_at(const struct tr_candidate *c, double idle, double forgiven, double load)
{
    double growth = tr_hunt_growth(c) > 1 ? load * load * load : load;
    return TR_MIN(idle + (forgiven - idle) * growth, 1);
}

/* Would n nodes leave no more requests outside objective i than it forgives, minute by minute? */
static bool would_do(const struct tr_candidate *c, const struct tr_evaluation *ev, int i, int n)
{
    const struct tr_spikes *s = ev->spikes;
    double forgiven = 1 - ev->scenario->workload.slo.objective[i].fraction, sum = 0;
    double idle = TR_MIN(1 - c->unloaded_inside[i], forgiven);
    double a_minute = 60.0 * c->capacity_rps * c->node->gpus * n;
    for (int64_t m = 0; m < s->n_minutes; m++)
        sum += s->count[m] * outside_at(c, idle, forgiven, s->count[m] / a_minute);
    return sum <= forgiven * (double)s->requests;
}

int tr_evaluate_guess(const struct tr_candidate *c, const struct tr_evaluation *ev)
{
    const struct tr_slo *slo = &ev->scenario->workload.slo;
    double per_node = c->capacity_rps * c->node->gpus;
    int lo = 1, hi = 1 + (int)TR_MIN(ev->spikes->peak_rate / per_node, 1e6);
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        bool all = true;
        for (int i = 0; i < slo->n && all; i++)
            all = would_do(c, ev, i, mid);
        if (all)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

double tr_evaluate_cost(const struct tr_candidate *c, int nodes)
{
    return nodes * c->node->usd_per_h * TR_HOURS_PER_MONTH;
}

int tr_evaluate_fleet(struct tr_candidate *c, const struct tr_evaluation *ev, struct tr_err *err)
{
    struct tr_sizing sizing;
    int guess = c->nodes > 0 ? c->nodes : tr_evaluate_guess(c, ev);
    int rc = tr_evaluate_size(c, ev, guess, &sizing, err);
    if (rc < 0)
        return rc;
    tr_sim_result_free(&c->result);
    c->result = sizing.result;
    c->nodes = sizing.nodes;
    c->sampled_gpus = sizing.sampled_gpus;
    c->fail_nodes = sizing.fail_nodes;
    memcpy(c->fail_missed, sizing.fail_missed, sizeof c->fail_missed);
    memcpy(c->fail_outside, sizing.fail_outside, sizeof c->fail_outside);
    c->beyond_max = c->nodes > ev->scenario->nodes_max;
    c->usd_per_month = tr_evaluate_cost(c, c->nodes);
    c->label = tr_outcome_label(&c->result.outcome);
    if (c->nodes == 0) {
        c->gate = TR_GATE_FLEET;
        struct tr_str blame = {0};
        tr_parts_blame(c, &blame);
        snprintf(c->why, sizeof c->why, "no fleet of up to %d nodes meets the objective%s",
                 c->fail_nodes, blame.text != NULL ? blame.text : "");
        tr_str_free(&blame);
    }
    return TR_OK;
}
