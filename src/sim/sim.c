/* The run loop. Devices are brought forward lazily, by their own arrivals; see fleet.h. */
#include "sim/sim.h"

#include <stdlib.h>

#define MINUTE_NS       (60 * TR_NS_PER_S)
#define CHECK_EVERY     1024 /* arrivals between looks at the stop flag and the answer */
#define LIVELOCK_EVENTS INT64_C(20000000)

struct run {
    const struct tr_sim_config *cfg;
    int n_workloads;
    struct tr_sim_aim lone;
    const struct tr_sim_aim *aims; /* by workload, as are: */
    struct tr_outcome *outcomes;   /* in the result */
    int64_t last_departures, events_since;
    int64_t departures;
    bool over; /* the answer is no */
    int pods_per_gpu;
    int part_of[TR_MAX_PODS]; /* of a GPU's pods */
    int64_t outside[TR_MAX_PARTS];
};

/* ---- spikes ---------------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

void tr_spikes_find(struct tr_spikes *s, struct tr_source *src)
{
    size_t cap = 0, n = 0;
    struct tr_arrival a;
    *s = (struct tr_spikes){.span_ns = tr_source_span_ns(src)};
    tr_source_rewind(src);
    while (tr_source_next(src, &a)) {
        size_t minute = (size_t)(a.time_ns / MINUTE_NS);
        if (minute >= n) {
            size_t old = n;
            n = minute + 1;
            tr_grow((void **)&s->count, &cap, n, sizeof *s->count);
            memset(s->count + old, 0, (n - old) * sizeof *s->count);
        }
        s->count[minute]++;
        s->requests++;
    }
    tr_source_rewind(src);
    if (n == 0)
        return;
    int32_t *sorted = tr_calloc(n, sizeof *sorted);
    memcpy(sorted, s->count, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_count);
    int32_t median = sorted[(n - 1) / 2];
    s->median_rate = (double)median / 60.0;
    s->peak_rate = (double)sorted[n - 1] / 60.0;
    s->n_minutes = (int64_t)n;
    s->limit = 3 * median;
    for (size_t i = 0; i < n; i++)
        s->in_spike += s->count[i] > s->limit ? s->count[i] : 0;
    free(sorted);
}

bool tr_spikes_at(const struct tr_spikes *s, int64_t time_ns)
{
    int64_t minute = time_ns / MINUTE_NS;
    return s != NULL && minute < s->n_minutes && s->count[minute] > s->limit;
}

void tr_spikes_free(struct tr_spikes *s)
{
    free(s->count);
    *s = (struct tr_spikes){0};
}

/* ---- deciding early -------------------------------------------------------------------------- */

/* Can some objective of workload `w` no longer be met, whatever comes? With a sample of the GPUs
 * `expected` is itself an estimate, and so is the answer. */
static bool missed(const struct run *run, const struct tr_fleet *fleet, int w, int64_t now_ns)
{
    const struct tr_sim_aim *aim = &run->aims[w];
    const struct tr_outcome *o = &run->outcomes[w];
    bool spikes = aim->slo->spikes_only;
    int64_t total = spikes ? (aim->spikes != NULL ? aim->spikes->in_spike : 0) : aim->expected;
    if (!run->cfg->decide || total <= 0)
        return false;
    for (int i = 0; i < aim->slo->n; i++) {
        const struct tr_objective *obj = &aim->slo->objective[i];
        int64_t outside =
            spikes ? o->spike_offered - o->spike_inside[i] : o->offered - o->inside[i];
        if (!spikes && obj->metric != TR_TPOT)
            outside += tr_fleet_waiting_since(fleet, w, now_ns - obj->limit_ns, run->cfg->warmup);
        if ((double)(total - outside) < obj->fraction * (double)total)
            return true;
    }
    return false;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void on_record(void *arg, const struct tr_record *r)
{
    struct run *run = arg;
    struct tr_outcome *o = &run->outcomes[r->workload];
    const struct tr_sim_aim *aim = &run->aims[r->workload];
    int64_t inside = o->inside_all;
    run->departures++;
    if (run->cfg->on_record != NULL)
        run->cfg->on_record(run->cfg->on_record_arg, r);
    if (r->id < run->cfg->warmup)
        return;
    tr_outcome_add(o, aim->slo, r, tr_spikes_at(aim->spikes, r->arrival_ns));
    if (run->cfg->fleet.parts > 1 && r->pod >= 0)
        run->outside[run->part_of[r->pod % run->pods_per_gpu]] += o->inside_all == inside;
}

static void find_parts(struct run *run, const struct tr_fleet_config *fleet)
{
    for (int p = 0; p < fleet->parts; p++)
        for (int i = 0; i < fleet->device[p].n_pods; i++)
            run->part_of[run->pods_per_gpu++] = p;
}

static bool livelocked(struct run *run, int64_t events)
{
    run->events_since += events;
    if (run->departures != run->last_departures) {
        run->last_departures = run->departures;
        run->events_since = 0;
    }
    return run->events_since > LIVELOCK_EVENTS;
}

static bool stop_asked(const struct tr_sim_config *cfg)
{
    return cfg->stop != NULL && *cfg->stop != 0;
}

/* Every so many arrivals: is there a reason to stop? Sets run->over when the answer is no. All GPUs
 * are brought up to date first: what waited when one was last heard of may long have been served.
 */
static int look(struct run *run, struct tr_fleet *fleet, int64_t now_ns,
                struct tr_sim_result *result, struct tr_err *err)
{
    const struct tr_sim_config *cfg = run->cfg;
    if (cfg->decide || cfg->max_queue > 0)
        run->events_since += tr_fleet_advance(fleet, now_ns);
    if (stop_asked(cfg))
        return tr_err_set(err, TR_EINTR, "interrupted after %" PRId64 " simulated requests",
                          run->departures);
    result->queue_overflow = cfg->max_queue > 0 && tr_fleet_waiting(fleet) > cfg->max_queue;
    run->over = result->queue_overflow;
    for (int w = 0; w < run->n_workloads && !run->over; w++)
        run->over = missed(run, fleet, w, now_ns);
    return TR_OK;
}

/* Progress: requests simulated since it was last told. */
static void tell(const struct tr_sim_config *cfg, const struct tr_sim_result *result, int64_t *told)
{
    if (cfg->simulated != NULL)
        *cfg->simulated += result->requests - *told;
    *told = result->requests;
}

/* Two multiplications an arrival: this runs once per simulated request. The constants are those of
 * SplitMix64's mixer (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t fold(uint64_t hash, const struct tr_arrival *a)
{
    uint64_t lengths = (uint64_t)a->prompt_tok << 32 | (uint32_t)a->output_tok;
    uint64_t who = (uint64_t)a->session << 20 ^ (uint64_t)a->tenant ^ (uint64_t)a->workload << 52;
    hash = (hash ^ (uint64_t)a->time_ns) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 29 ^ lengths ^ who << 7) * UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 32;
}

static int feed(struct run *run, struct tr_fleet *fleet, struct tr_source *src,
                struct tr_sim_result *result, struct tr_err *err)
{
    struct tr_arrival a;
    int64_t id = 0, events = 0, told = 0;
    for (; tr_source_next(src, &a); id++) {
        struct tr_fleet_request q = {
            .engine = {.id = id,
                       .arrival_ns = a.time_ns,
                       .prompt_tok = a.prompt_tok,
                       .output_tok = a.output_tok,
                       .workload = a.workload,
                       .tenant = a.tenant,
                       .priority = a.priority,
                       .chain = a.chain},
            .session = a.session,
        };
        result->requests += tr_fleet_send(fleet, &q, &events);
        result->arrivals++;
        result->arrivals_hash = fold(result->arrivals_hash, &a);
        if ((id + 1) % CHECK_EVERY != 0)
            continue;
        if (livelocked(run, events))
            return tr_err_set(err, TR_EBUG, "no request left the engines in %" PRId64 " events",
                              run->events_since);
        events = 0;
        tell(run->cfg, result, &told);
        int rc = look(run, fleet, a.time_ns, result, err);
        if (rc < 0 || run->over)
            return rc;
    }
    tell(run->cfg, result, &told);
    return TR_OK;
}

/* After the last arrival: until all is served, in spans, so that a stop is heard. An elastic fleet
 * is paid for until then and no longer. */
static int drain(struct run *run, struct tr_fleet *fleet, int64_t from_ns, struct tr_err *err)
{
    const bool elastic = run->cfg->fleet.scaling != NULL;
    if (elastic)
        run->events_since += tr_fleet_advance(fleet, from_ns);
    for (int64_t until_ns = from_ns, span_ns = TR_NS_PER_S; until_ns < TR_TIME_NEVER / 4;) {
        if (tr_fleet_rests(fleet))
            break;
        until_ns += span_ns;
        span_ns += elastic ? 0 : span_ns / 2;
        if (stop_asked(run->cfg))
            return tr_err_set(err, TR_EINTR, "interrupted after %" PRId64 " simulated requests",
                              run->departures);
        int64_t events = tr_fleet_advance(fleet, until_ns);
        if (livelocked(run, events))
            return tr_err_set(err, TR_EBUG, "no request left the engines in %" PRId64 " events",
                              run->events_since);
    }
    return TR_OK;
}

/* Nobody is lost and nobody is counted twice, however the run ended. */
static void check_balance(const struct run *run, const struct tr_sim_result *result)
{
    const struct tr_outcome *o = &result->outcome;
    int64_t at_most = TR_MIN(run->departures, result->requests);
    tr_debug_assert(run->departures + result->fleet.inside == result->requests);
    tr_debug_assert(o->done + o->rejected + o->timed_out + o->aborted == o->offered);
    int64_t outside = 0;
    for (int p = 0; p < run->cfg->fleet.parts; p++)
        outside += run->outside[p];
    tr_debug_assert(run->cfg->fleet.parts == 1 || o->timed_out > 0 ||
                    outside == o->offered - o->inside_all);
    tr_debug_assert(o->offered <= at_most && (run->cfg->warmup > 0 || o->offered == at_most));
}

static void begin(struct run *run, struct tr_sim_result *result)
{
    const struct tr_sim_config *cfg = run->cfg;
    *result = (struct tr_sim_result){0};
    run->n_workloads = TR_MAX(cfg->fleet.n_workloads, 1);
    run->lone = (struct tr_sim_aim){cfg->slo, cfg->spikes, cfg->expected};
    run->aims = run->n_workloads > 1 ? cfg->aims : &run->lone;
    result->n_workloads = run->n_workloads;
    run->outcomes = &result->outcome;
    if (run->n_workloads > 1)
        run->outcomes = result->by_workload =
            tr_calloc((size_t)run->n_workloads, sizeof *result->by_workload);
    tr_outcome_init(&result->outcome);
    for (int w = 0; w < run->n_workloads; w++) {
        tr_outcome_init(&run->outcomes[w]);
        run->outcomes[w].by_priority = cfg->fleet.workload[w].priorities != NULL;
    }
    find_parts(run, &cfg->fleet);
}

/* What became of all, from what became of each workload's. */
static void end(struct run *run, bool broken, struct tr_sim_result *result)
{
    for (int w = 0; w < run->n_workloads; w++) {
        run->outcomes[w].stopped_early = run->over || broken;
        if (result->by_workload != NULL)
            tr_outcome_merge(&result->outcome, &result->by_workload[w]);
    }
    memcpy(result->outside, run->outside, sizeof result->outside);
    result->meets = !run->over && !broken;
    for (int w = 0; w < run->n_workloads && result->meets; w++)
        result->meets = tr_outcome_meets(&run->outcomes[w], run->aims[w].slo);
}

static void keep_timeline(const struct tr_fleet *fleet, struct tr_sim_result *result)
{
    const struct tr_timeline_point *points = tr_fleet_timeline(fleet, &result->n_timeline);
    if (result->n_timeline == 0)
        return;
    result->timeline = tr_malloc(result->n_timeline * sizeof *points);
    memcpy(result->timeline, points, result->n_timeline * sizeof *points);
}

int tr_sim_run(const struct tr_sim_config *config, struct tr_source *src,
               struct tr_sim_result *result, struct tr_err *err)
{
    struct run run = {.cfg = config};
    begin(&run, result);
    struct tr_fleet *fleet = tr_fleet_new(&config->fleet, on_record, &run);
    if (config->trace != NULL)
        tr_fleet_trace(fleet, config->trace, config->trace_arg);
    tr_source_rewind(src);
    int rc = feed(&run, fleet, src, result, err);
    if (rc == TR_OK && !run.over)
        rc = drain(&run, fleet, TR_MAX(tr_source_span_ns(src), 0), err);
    end(&run, rc < 0, result);
    result->fleet = tr_fleet_stats(fleet, TR_MAX(result->outcome.end_ns, tr_source_span_ns(src)));
    keep_timeline(fleet, result);
    check_balance(&run, result);
    tr_fleet_free(fleet);
    return rc;
}

void tr_sim_result_free(struct tr_sim_result *r)
{
    int n = r->by_workload != NULL ? r->n_workloads : 0;
    for (int w = 0; w < n; w++)
        tr_outcome_free(&r->by_workload[w]);
    free(r->by_workload);
    free(r->timeline);
    r->by_workload = NULL;
    r->timeline = NULL;
    tr_outcome_free(&r->outcome);
}
