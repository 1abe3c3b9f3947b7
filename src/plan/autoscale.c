/* The search for the cheapest autoscaling policy. */
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

#define MOST_CANDIDATES 4
#define N_BOUNDS        3 /* smallest numbers of nodes, evenly from the least to the fixed fleet */
#define N_TARGETS       7 /* each sqrt(2) times the one before; three runs find the largest */
#define MOST_SEARCHES   (2 * (N_BOUNDS * TR_MAX_UNNEEDED + 1))
#define SQRT2           1.4142135623730951
/* Requests of one run; those of pods that take turns count ten times. */
#define TOO_LONG INT64_C(2500000)

/* For given bounds and delay: the largest target that keeps the objective. */
struct search {
    int c; /* of the job's candidates */
    struct tr_policy policy;
    int met, missed; /* indices of targets; -1 and N_TARGETS: none yet */
    int next;        /* to be tried first; -1: the middle */
    bool hopeless;   /* too dear even where it misses the objective */
};

struct job {
    struct tr_plan *plan;
    struct tr_evaluation ev;
    int n;
    struct tr_autoscaled *scaled; /* n of them */
    int n_searches;
    struct search searches[MOST_SEARCHES]; /* of two candidates */
    int n_runs;                            /* of this round */
    struct tr_policy_run runs[MOST_SEARCHES];
    const struct tr_candidate *of[MOST_SEARCHES]; /* by run */
    struct tr_scaled_run *log;                    /* all that were made */
    size_t n_log, cap_log;
};

/* ---- one run -----------------------------------------------------------------------------------
 */

static int run_one(void *arg, size_t i, struct tr_err *err)
{
    struct job *job = arg;
    struct tr_policy_run *run = &job->runs[i];
    const struct tr_candidate *c = job->of[i];
    struct tr_scaling scaling;
    struct tr_sim_result result;
    tr_policy_scaling(c, job->plan->scenario, &run->policy, &scaling);
    int rc = tr_evaluate_elastic(c, &job->ev, &scaling, &result, err);
    if (rc == TR_OK)
        tr_policy_read(run, c, job->plan->scenario, job->ev.spikes, &result);
    tr_sim_result_free(&result);
    return rc;
}

static int run_all(struct job *job, struct tr_err *err)
{
    struct tr_stage stage = {&job->plan->opts,  "autoscaling", 0.4, 0.55,
                             job->ev.simulated, run_one,       job};
    return tr_stage_run(&stage, (size_t)job->n_runs, err);
}

static void add_run(struct job *job, int c, const struct tr_policy *policy)
{
    job->of[job->n_runs] = &job->plan->candidates[job->scaled[c].candidate];
    job->runs[job->n_runs++] = (struct tr_policy_run){.policy = *policy};
}

/* ---- the targets --------------------------------------------------------------------------------
 */

/* What a replica of the fixed fleet carries in the mean, about: the second of the targets. */
static double usual_load(const struct tr_plan *plan, const struct tr_candidate *c)
{
    const struct tr_sim_result *r = &c->result;
    double pods = (double)c->nodes * c->node->gpus * c->arrangement.n_pods;
    switch (plan->scenario->workload.hpa.metric) {
    case TR_SCALE_KV:
        return TR_MAX(r->fleet.kv_mean, 0.01);
    case TR_SCALE_GPU:
        return TR_MIN(r->fleet.busy_fraction, 0.5);
    case TR_SCALE_WAITING:
        return 0.25;
    default: /* Little's law */
        return TR_MAX(plan->stats.rate * tr_hist_mean(&r->outcome.metric[TR_E2E]) / 1e9 / pods,
                      0.05);
    }
}

/* Two digits: what a person would write. */
static double rounded(double x)
{
    double unit = 1;
    while (x / unit >= 100)
        unit *= 10;
    while (x / unit < 10)
        unit /= 10;
    return floor(x / unit + 0.5) * unit;
}

static double target_of(const struct job *job, const struct search *s, int k)
{
    const struct tr_plan *plan = job->plan;
    const struct tr_hpa_policy *hpa = &plan->scenario->workload.hpa;
    double t = usual_load(plan, &plan->candidates[job->scaled[s->c].candidate]) / SQRT2;
    for (int i = 0; i < k; i++)
        t *= SQRT2;
    if (hpa->metric == TR_SCALE_KV || hpa->metric == TR_SCALE_GPU)
        t = TR_MIN(t, 1);
    return TR_MAX(rounded(t), 0.001);
}

/* ---- the search ---------------------------------------------------------------------------------
 */

/* A given target is the only one. */
static bool given_target(const struct job *job)
{
    return job->plan->scenario->workload.hpa.target > 0;
}

/* Keeps what is better: what keeps the objective, the cheaper of those; else what keeps more
 * inside; of equals the first. */
static void keep(struct tr_autoscaled *x, const struct tr_policy_run *run, double fixed)
{
    const struct tr_policy_run *best = &x->best;
    bool first = best->policy.max_nodes == 0, better = run->inside > best->inside;
    if (run->meets)
        better = !best->meets || run->usd_per_month < best->usd_per_month;
    else if (best->meets)
        better = false;
    if (first || better)
        x->best = *run;
    x->found = x->best.meets && x->best.usd_per_month * (1 + TR_TIE) < fixed;
}

/* What a policy of candidate c must cost less than to matter: its best, and for those that are not
 * among the first two the best of all. */
static double known_cost(const struct job *job, int c)
{
    const struct tr_plan *plan = job->plan;
    double known = INFINITY;
    for (int i = 0; i < job->n; i++) {
        const struct tr_autoscaled *x = &job->scaled[i];
        double own =
            x->found ? x->best.usd_per_month : plan->candidates[x->candidate].usd_per_month;
        if (i == c || (c >= 2 && i < c))
            known = TR_MIN(known, own);
    }
    return known;
}

static void learn(struct job *job, struct search *s, int k, const struct tr_policy_run *run)
{
    struct tr_autoscaled *x = &job->scaled[s->c];
    keep(x, run, job->plan->candidates[x->candidate].usd_per_month);
    *(run->meets ? &s->met : &s->missed) = k;
    /* A smaller target costs more than this one, and this one too much already. */
    s->hopeless = !run->meets && run->usd_per_month >= known_cost(job, s->c);
    tr_grow(&job->log, &job->cap_log, job->n_log + 1, sizeof *job->log);
    job->log[job->n_log++] = (struct tr_scaled_run){x->candidate, *run};
}

static bool open_search(const struct search *s)
{
    return !s->hopeless && s->missed - s->met > 1;
}

/* One round: the next target of every search that is open. */
static int halve(struct job *job, bool *done, struct tr_err *err)
{
    int of[MOST_SEARCHES], at[MOST_SEARCHES];
    job->n_runs = 0;
    for (int i = 0; i < job->n_searches; i++) {
        struct search *s = &job->searches[i];
        if (!open_search(s))
            continue;
        at[job->n_runs] =
            s->next > s->met && s->next < s->missed ? s->next : (s->met + s->missed) / 2;
        of[job->n_runs] = i;
        s->next = -1;
        s->policy.target = given_target(job) ? job->plan->scenario->workload.hpa.target
                                             : target_of(job, s, at[job->n_runs]);
        add_run(job, s->c, &s->policy);
    }
    *done = job->n_runs == 0;
    int rc = *done ? TR_OK : run_all(job, err);
    for (int i = 0; i < job->n_runs && rc == TR_OK; i++)
        learn(job, &job->searches[of[i]], at[i], &job->runs[i]);
    return rc;
}

static int search_all(struct job *job, struct tr_err *err)
{
    bool done = false;
    int rc = TR_OK;
    while (!done && rc == TR_OK)
        rc = halve(job, &done, err);
    return rc;
}

static struct search *add_search(struct job *job, int c, struct tr_policy policy)
{
    struct search *s = &job->searches[job->n_searches++];
    tr_assert(job->n_searches <= MOST_SEARCHES);
    *s = (struct search){.c = c,
                         .policy = policy,
                         .met = -1,
                         .missed = given_target(job) ? 1 : N_TARGETS,
                         .next = -1};
    return s;
}

/* ---- the phases ---------------------------------------------------------------------------------
 */

static int64_t longest_delay(const struct tr_scenario *s)
{
    int64_t longest_ns = 0;
    for (size_t d = 0; d < s->n_unneeded; d++)
        longest_ns = TR_MAX(longest_ns, s->unneeded_ns[d]);
    return longest_ns;
}

/* Under the longest delay, from few nodes at least to nearly the fixed fleet. */
static void begin(struct job *job, int c)
{
    const struct tr_scenario *s = job->plan->scenario;
    int fixed = job->plan->candidates[job->scaled[c].candidate].nodes, last = -1;
    int least = TR_MAX(s->nodes_min, s->workload.keda.on ? 0 : 1);
    for (int b = 0; b < N_BOUNDS; b++) {
        int nodes = least + (fixed - least) * b / N_BOUNDS;
        if (nodes == last)
            continue;
        last = nodes;
        add_search(job, c, (struct tr_policy){nodes, fixed, 0, longest_delay(s)});
    }
}

/* The same under the shorter delays, which keep no more inside: from the target that the longest
 * allows downward. */
static void shorten(struct job *job, int n)
{
    const struct tr_scenario *s = job->plan->scenario;
    for (int i = 0; i < n; i++)
        for (size_t d = 0; d < s->n_unneeded; d++) {
            struct search was = job->searches[i];
            if (s->unneeded_ns[d] == was.policy.unneeded_ns || was.met < 0)
                continue;
            was.policy.unneeded_ns = s->unneeded_ns[d];
            struct search *next = add_search(job, was.c, was.policy);
            next->missed = was.met + 1;
            next->next = was.met;
        }
}

/* The best so far with as many nodes at most as there may be: perhaps its replicas may then carry
 * more. */
static void widen(struct job *job, int from, int to)
{
    for (int c = from; c < to; c++) {
        struct tr_policy policy = job->scaled[c].best.policy;
        int most = job->plan->scenario->nodes_max;
        if (!job->scaled[c].best.meets || most <= policy.max_nodes)
            continue;
        policy.max_nodes = most;
        struct search *s = add_search(job, c, policy);
        for (int i = 0; i < job->n_searches - 1; i++) {
            const struct search *was = &job->searches[i];
            if (was->c == c && was->policy.min_nodes == policy.min_nodes &&
                was->policy.unneeded_ns == policy.unneeded_ns)
                s->met = was->met;
        }
    }
}

/* All phases of some of the candidates. */
static int search_some(struct job *job, int from, int to, struct tr_err *err)
{
    job->n_searches = 0;
    for (int c = from; c < to; c++)
        begin(job, c);
    int n = job->n_searches, rc = search_all(job, err);
    if (rc == TR_OK) {
        shorten(job, n);
        rc = search_all(job, err);
    }
    if (rc == TR_OK) {
        widen(job, from, to);
        rc = search_all(job, err);
    }
    return rc;
}

static bool same_policy(const struct tr_policy *a, const struct tr_policy *b)
{
    return a->min_nodes == b->min_nodes && a->max_nodes == b->max_nodes && a->target == b->target &&
           a->unneeded_ns == b->unneeded_ns;
}

/* The best policy under each delay, nothing else changed; what was not run yet is. */
static int compare_delays(struct job *job, struct tr_err *err)
{
    const struct tr_scenario *s = job->plan->scenario;
    struct tr_policy_run *to[MOST_CANDIDATES * TR_MAX_UNNEEDED];
    job->n_runs = 0;
    for (int c = 0; c < job->n; c++)
        for (size_t d = 0; d < s->n_unneeded; d++) {
            struct tr_autoscaled *x = &job->scaled[c];
            struct tr_policy policy = x->best.policy;
            policy.unneeded_ns = s->unneeded_ns[d];
            bool known = false;
            for (size_t i = 0; i < job->n_log && !known; i++) {
                known = job->log[i].candidate == x->candidate &&
                        same_policy(&job->log[i].run.policy, &policy);
                if (known)
                    x->delay[d] = job->log[i].run;
            }
            if (known)
                continue;
            to[job->n_runs] = &x->delay[d];
            add_run(job, c, &policy);
        }
    int rc = run_all(job, err);
    for (int i = 0; i < job->n_runs && rc == TR_OK; i++)
        *to[i] = job->runs[i];
    return rc;
}

/* ---- who is searched ----------------------------------------------------------------------------
 */

/* No policy costs less: as many GPUs as carry the mean rate, and the scenario's least. */
static double least_cost(const struct tr_plan *plan, const struct tr_candidate *c)
{
    double gpus = plan->stats.rate / c->capacity_rps;
    return TR_MAX(gpus / c->node->gpus, plan->scenario->nodes_min) * c->node->usd_per_h *
           TR_HOURS_PER_MONTH;
}

/* The fleet is as small as it may be: nothing could go. */
static bool is_least(const struct tr_plan *plan, const struct tr_candidate *c)
{
    return c->nodes <= TR_MAX(plan->scenario->nodes_min, plan->scenario->workload.keda.on ? 0 : 1);
}

const char *tr_autoscale_why_not(const struct tr_plan *plan, const struct tr_candidate *c)
{
    int64_t each = plan->spikes.requests * (tr_evaluate_turns(c) ? 10 : 1);
    if (is_least(plan, c))
        return NULL;
    if (tr_candidate_router(c, &plan->scenario->workload) == TR_ROUTE_TENANT)
        return "the pods of each tenant would be a deployment that scales by itself";
    if (!tr_rank_priced(c))
        return "the price of its nodes is not known";
    if (each > TOO_LONG)
        return "to try policies on so many requests takes too long";
    return plan->opts.quick ? "the full plan does; this was --quick" : NULL;
}

static bool can_scale(const struct tr_plan *plan, const struct tr_candidate *c)
{
    return tr_rank_ranked(c) && !c->beyond_max && !is_least(plan, c) &&
           tr_autoscale_why_not(plan, c) == NULL &&
           least_cost(plan, c) < plan->candidates[plan->pick].usd_per_month;
}

/* Pick, runner-up, the first `whole`, and what else can be cheaper than the pick's fixed fleet. */
static void choose(struct job *job)
{
    struct tr_plan *plan = job->plan;
    for (int pass = 0; pass < 2; pass++) {
        bool whole = false;
        for (size_t i = 0; i < plan->n_candidates && job->n < MOST_CANDIDATES; i++) {
            const struct tr_candidate *c = &plan->candidates[plan->order[i]];
            bool is_whole = strcmp(c->arrangement.text, "whole") == 0;
            bool early = i < 2 || (is_whole && !whole);
            whole = whole || is_whole;
            if (early == (pass == 0) && can_scale(plan, c))
                job->scaled[job->n++] = (struct tr_autoscaled){.candidate = (int)plan->order[i]};
        }
    }
}

int tr_autoscale_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    if (!plan->scenario->autoscale || plan->opts.quick || plan->pick < 0)
        return TR_OK;
    struct job *job = tr_calloc(1, sizeof *job);
    job->plan = plan;
    job->ev = *ev;
    job->scaled = TR_ARENA_NEW(&plan->arena, struct tr_autoscaled, MOST_CANDIDATES);
    choose(job);
    int first = TR_MIN(job->n, 2), rc = search_some(job, 0, first, err);
    if (rc == TR_OK)
        rc = search_some(job, first, job->n, err);
    if (rc == TR_OK)
        rc = compare_delays(job, err);
    if (rc == TR_OK) {
        plan->n_scaled = job->n;
        plan->scaled = job->scaled;
        plan->n_scaled_runs = job->n_log;
        plan->scaled_runs = TR_ARENA_NEW(&plan->arena, struct tr_scaled_run, job->n_log);
        if (job->n_log > 0)
            memcpy(plan->scaled_runs, job->log, job->n_log * sizeof *job->log);
    }
    free(job->log);
    free(job);
    return rc;
}

void tr_autoscale_rank(struct tr_plan *plan)
{
    int was = plan->pick;
    for (int i = 0; i < plan->n_scaled; i++) {
        const struct tr_autoscaled *x = &plan->scaled[i];
        if (x->found)
            plan->candidates[x->candidate].scaled_usd_per_month = x->best.usd_per_month;
    }
    tr_rank_all(plan);
    if (plan->pick == was)
        return;
    plan->n_draws = plan->n_finalists = 0;
    for (int i = 0; i < TR_N_FLIPS; i++) {
        plan->flips[i] = (struct tr_flip){.looked = false};
        snprintf(plan->flips[i].why_not, sizeof plan->flips[i].why_not,
                 "fleets of fixed size say little of a pick that is not their cheapest");
    }
}
