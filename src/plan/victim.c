/* The victim and its neighbours on one device, and the table of them for a plan with tenants. */
#include "plan/plan.h"

#include <stdlib.h>

#define FULL_REQUESTS  20000
#define QUICK_REQUESTS 4000
#define FULL_MOST      200000 /* of victim and neighbours */
#define QUICK_MOST     60000
#define LEAST_BUSY     0.1 /* of the time a victim is, at the least, on its idle share */
#define WARM_UP        100 /* this part of the victim's requests comes before it counts */
#define LEAST_WAITING  64
#define MOST_WAITING   16384       /* a queue limit may refuse all of them */
#define LOOK_NS        TR_NS_PER_S /* between looks at the neighbours' queues */

struct run {
    const struct tr_victim_setup *setup;
    enum tr_neighbour neighbour;
    struct tr_device *device;
    struct tr_source *src;                            /* of the victim and of bursts, by workload */
    struct tr_source *endless[TR_MAX_VICTIM_SOURCES]; /* of neighbours that saturate */
    int64_t waiting[TR_MAX_PODS];                     /* that are kept so, by pod */
    int next[TR_MAX_PODS];                            /* whose turn it is to fill a pod's queue */
    int64_t sent, victims, inside_device;             /* all; the victim's; of these not yet left */
    int64_t look_ns;
    int64_t done, inside, within[TR_MAX_OBJECTIVES];
    struct tr_hist ttft;
};

static void on_record(void *arg, const struct tr_record *r)
{
    struct run *run = arg;
    const struct tr_slo *slo = run->setup->slo;
    if (r->workload != 0)
        return;
    run->inside_device--;
    if (r->id < run->setup->requests / WARM_UP)
        return;
    bool inside = true;
    for (int i = 0; i < slo->n; i++) {
        const struct tr_objective *x = &slo->objective[i];
        bool within = tr_record_metric(r, x->metric) <= x->limit_ns;
        run->within[i] += within;
        inside = inside && within;
    }
    run->inside += inside;
    if (r->status != TR_DONE)
        return;
    run->done++;
    tr_hist_add(&run->ttft, tr_record_metric(r, TR_TTFT), 1);
}

/* An arrival of source `i`, at a time of the run. Only the victim's are numbered. */
static void deliver(struct run *run, int i, const struct tr_arrival *a, int64_t now_ns)
{
    struct tr_engine_request q = {.id = i == 0 ? run->victims : -1,
                                  .arrival_ns = now_ns,
                                  .prompt_tok = a->prompt_tok,
                                  .output_tok = a->output_tok,
                                  .workload = i,
                                  .tenant = i,
                                  .priority = run->setup->source[i].priority,
                                  .chain = a->chain};
    tr_device_send(run->device, run->setup->source[i].pod, &q, now_ns + TR_API_NS);
    run->sent++;
    run->victims += i == 0;
    run->inside_device += i == 0;
}

/* The neighbour whose request is next in the queue of a pod, in turns; 0: it has none. */
static int next_of(struct run *run, int pod)
{
    const struct tr_victim_setup *s = run->setup;
    for (int k = 0; k < s->n; k++) {
        run->next[pod] = run->next[pod] + 1 < s->n ? run->next[pod] + 1 : 1;
        if (s->n > 1 && s->source[run->next[pod]].pod == pod)
            return run->next[pod];
    }
    return 0;
}

/* Fills the neighbours' queues up to what is kept waiting: twice the least, and more where that
 * many were served between two looks. */
static void fill_queues(struct run *run)
{
    for (int pod = 0; pod < run->setup->device.n_pods; pod++) {
        const struct tr_engine *e = tr_device_engine(run->device, pod);
        int64_t waiting = tr_device_outstanding(run->device, pod) - tr_engine_running(e);
        if (next_of(run, pod) == 0)
            continue;
        if (run->waiting[pod] == 0)
            run->waiting[pod] = 2 * LEAST_WAITING;
        else if (waiting < LEAST_WAITING)
            run->waiting[pod] = TR_MIN(2 * run->waiting[pod], MOST_WAITING);
        for (; waiting < run->waiting[pod]; waiting++) {
            struct tr_arrival a;
            int i = next_of(run, pod);
            if (tr_source_next(run->endless[i], &a))
                deliver(run, i, &a, run->look_ns);
        }
    }
}

/* Brings the device to a moment, filling queues on the way where neighbours saturate. */
static void go_to(struct run *run, int64_t now_ns)
{
    for (; run->neighbour == TR_NEIGHBOUR_SATURATES && run->look_ns <= now_ns;
         run->look_ns += LOOK_NS) {
        tr_device_advance(run->device, run->look_ns);
        fill_queues(run);
    }
    tr_device_advance(run->device, now_ns);
}

static int play(struct run *run, struct tr_err *err)
{
    const struct tr_victim_setup *s = run->setup;
    struct tr_arrival a;
    int64_t now_ns = 0, told = 0;
    int rc = TR_OK;
    while (rc == TR_OK && run->victims < s->requests && run->sent < s->most &&
           tr_source_next(run->src, &a)) {
        now_ns = a.time_ns;
        go_to(run, now_ns);
        deliver(run, a.workload, &a, now_ns);
        if (run->victims % 256 == 0 && s->stop != NULL && *s->stop != 0)
            rc = tr_err_set(err, TR_EINTR, "interrupted");
        if (s->simulated != NULL)
            *s->simulated += run->sent - told;
        told = run->sent;
    }
    /* Behind neighbours that go first, and always have more, some are never done. */
    int64_t end_ns = 2 * now_ns;
    while (rc == TR_OK && run->inside_device > 0 && now_ns < end_ns) {
        now_ns += LOOK_NS;
        go_to(run, now_ns);
    }
    return rc;
}

static struct tr_source *source_of(const struct tr_victim_setup *s, int i, double rate, int64_t n)
{
    uint64_t seed = tr_rng_u64(s->seed, tr_rng_stream("victim", 0, 0), (uint64_t)i);
    return tr_source_poisson_like(s->source[i].like, rate, n, seed);
}

/* The victim's requests and, where they burst, the neighbours' for as long as these last. */
static void open_sources(struct run *run)
{
    const struct tr_victim_setup *s = run->setup;
    struct tr_source *parts[TR_MAX_VICTIM_SOURCES] = {
        source_of(s, 0, s->source[0].rate, s->requests)};
    int n = 1;
    for (; run->neighbour == TR_NEIGHBOUR_BURSTS && n < s->n; n++) {
        double rate = s->source[n].peak_rate;
        double as_many = 1.2 * rate * (double)s->requests / s->source[0].rate;
        parts[n] = source_of(s, n, rate, (int64_t)TR_MIN(as_many, 1e9) + 100);
    }
    for (int i = 1; run->neighbour == TR_NEIGHBOUR_SATURATES && i < s->n; i++)
        run->endless[i] = source_of(s, i, 1.0, INT64_C(1000000000));
    run->src = tr_source_merge(parts, n);
}

int tr_victim_run(const struct tr_victim_setup *setup, enum tr_neighbour neighbour,
                  struct tr_victim_answer *out, struct tr_err *err)
{
    struct run run = {.setup = setup, .neighbour = neighbour};
    open_sources(&run);
    run.device = tr_device_new(&setup->device, on_record, &run);
    int rc = play(&run, err);
    int64_t counted = TR_MAX(run.victims - setup->requests / WARM_UP, 0);
    *out = (struct tr_victim_answer){
        .requests = counted,
        .p50_ns = tr_hist_quantile(&run.ttft, 0.50),
        .p95_ns = tr_hist_quantile(&run.ttft, 0.95),
        .inside = (double)run.inside / (double)TR_MAX(counted, 1),
        .lost = (double)(counted - run.done) / (double)TR_MAX(counted, 1),
    };
    for (int i = 0; i < setup->slo->n; i++)
        out->within[i] = (double)run.within[i] / (double)TR_MAX(counted, 1);
    tr_device_free(run.device);
    tr_source_close(run.src);
    for (int i = 0; i < setup->n; i++)
        tr_source_close(run.endless[i]);
    tr_hist_free(&run.ttft);
    return rc;
}

void tr_victim_effort(struct tr_victim_setup *setup, bool quick)
{
    setup->requests = quick ? QUICK_REQUESTS : FULL_REQUESTS;
    setup->most = quick ? QUICK_MOST : FULL_MOST;
}

double tr_victim_rate(double mean, double answer_s)
{
    return TR_MAX(mean, LEAST_BUSY / answer_s);
}

/* ---- the table --------------------------------------------------------------------------------
 */

struct table {
    struct tr_plan *plan;
    const struct tr_evaluation *ev;
};

static double share_of(const struct tr_workload *w, int tenant)
{
    return w->shares != NULL ? w->shares[tenant] : 1.0 / w->n_tenants;
}

/* What part of the traffic pod `pod` of `pods` gets, as the router sends it. */
static double part_of(const struct tr_workload *w, int pod, int pods)
{
    double part = 0;
    if (w->router != TR_ROUTE_TENANT)
        return 1.0 / pods;
    for (int t = 0; t < w->n_tenants; t++)
        if (pods < w->n_tenants ? t % pods == pod : pod % w->n_tenants == t)
            part +=
                share_of(w, t) / (double)TR_MAX((pods - t + w->n_tenants - 1) / w->n_tenants, 1);
    return part;
}

static void make_setup(const struct table *t, const struct tr_victim *v,
                       struct tr_victim_setup *out)
{
    const struct tr_plan *plan = t->plan;
    const struct tr_candidate *c = &plan->candidates[v->candidate];
    const struct tr_workload *w = &plan->scenario->workload;
    int gpus = c->nodes * c->node->gpus, pods = gpus * c->arrangement.n_pods;
    double mean = plan->stats.rate, peak = plan->spikes.peak_rate;
    *out = (struct tr_victim_setup){
        .device = tr_candidate_fleet(c, w, 1, 0).device[0],
        .slo = &w->slo,
        .seed = plan->opts.seed,
        .stop = plan->opts.progress.stop,
        .simulated = t->ev->simulated,
    };
    out->device.engine.priority = v->priority;
    out->device.engine.ttft_limit_ns = 0; /* nobody asks for causes */
    out->n = v->one_engine ? 2 : out->device.n_pods;
    for (int i = 0; i < out->n; i++) {
        double part = part_of(w, i, pods);
        if (v->one_engine)
            part = (i == 0 ? share_of(w, 0) : 1 - share_of(w, 0)) / gpus;
        out->source[i] = (struct tr_victim_source){.pod = v->one_engine ? 0 : i,
                                                   .like = t->ev->source,
                                                   .rate = part * mean,
                                                   .peak_rate = part * peak,
                                                   .priority = i > 0};
    }
    tr_victim_effort(out, plan->opts.quick);
    out->source[0].rate = tr_victim_rate(out->source[0].rate, c->solo_answer_s);
}

/* Piece i: row i / 3, neighbours i % 3. */
static int one_answer(void *arg, size_t i, struct tr_err *err)
{
    const struct table *t = arg;
    struct tr_victim *v = &t->plan->victims[i / TR_N_NEIGHBOURS];
    enum tr_neighbour neighbour = (enum tr_neighbour)(i % TR_N_NEIGHBOURS);
    struct tr_victim_setup setup;
    if (neighbour != TR_NEIGHBOUR_IDLE && !v->coupled)
        return TR_OK;
    make_setup(t, v, &setup);
    if (neighbour == TR_NEIGHBOUR_IDLE)
        v->rate = setup.source[0].rate;
    return tr_victim_run(&setup, neighbour, &v->at[neighbour], err);
}

/* The rows of a candidate. One engine stands there twice: as vLLM does by default, and by priority.
 */
static void add_rows(struct tr_plan *plan, int candidate)
{
    const struct tr_candidate *c = &plan->candidates[candidate];
    const struct tr_workload *w = &plan->scenario->workload;
    bool whole = c->arrangement.n_pods == 1 && c->arrangement.parts[0].profile == NULL;
    bool one_engine = c->arrangement.one_engine || (whole && !w->own_pods);
    struct tr_victim v = {.candidate = candidate,
                          .one_engine = one_engine,
                          .coupled = one_engine || c->arrangement.parts[0].n_pods > 1};
    plan->victims[plan->n_victims++] = v;
    v.priority = true;
    if (one_engine)
        plan->victims[plan->n_victims++] = v;
}

int tr_victims_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err)
{
    struct table t = {plan, ev};
    if (plan->scenario->workload.n_tenants < 2)
        return TR_OK;
    plan->victims = TR_ARENA_NEW(&plan->arena, struct tr_victim, 2 * plan->n_candidates);
    for (size_t i = 0; i < plan->n_candidates; i++)
        if (tr_rank_ranked(&plan->candidates[plan->order[i]]))
            add_rows(plan, (int)plan->order[i]);
    struct tr_stage stage = {&plan->opts, "neighbours", 0.45, 0.45, ev->simulated, one_answer, &t};
    int rc = tr_stage_run(&stage, (size_t)plan->n_victims * TR_N_NEIGHBOURS, err);
    if (rc < 0)
        plan->n_victims = 0;
    for (int i = 0; i < plan->n_victims; i++)
        for (int k = 1; k < TR_N_NEIGHBOURS && !plan->victims[i].coupled; k++)
            plan->victims[i].at[k] = plan->victims[i].at[TR_NEIGHBOUR_IDLE];
    return rc;
}
