/* The run loop. Devices are brought forward lazily, by their own arrivals; see fleet.h. */
#include "sim/sim.h"

#include <stdlib.h>

#define MINUTE_NS       (60 * TR_NS_PER_S)
#define CHECK_EVERY     1024 /* arrivals between looks at the stop flag and the answer */
#define LIVELOCK_EVENTS INT64_C(20000000)

struct run {
    const struct tr_sim_config *cfg;
    struct tr_outcome outcome;
    int64_t last_departures, events_since;
    int64_t departures;
};

/* ---- spikes ---------------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void tr_spikes_find(struct tr_spikes *s, struct tr_source *src)
{
    int64_t *count = NULL;
    size_t cap = 0, n = 0;
    struct tr_arrival a;
    *s = (struct tr_spikes){.span_ns = tr_source_span_ns(src)};
    tr_source_rewind(src);
    while (tr_source_next(src, &a)) {
        size_t minute = (size_t)(a.time_ns / MINUTE_NS);
        if (minute >= n) {
            size_t old = n;
            n = minute + 1;
            tr_grow((void **)&count, &cap, n, sizeof *count);
            memset(count + old, 0, (n - old) * sizeof *count);
        }
        count[minute]++;
        s->requests++;
    }
    tr_source_rewind(src);
    if (n == 0)
        return;
    int64_t *sorted = tr_calloc(n, sizeof *sorted);
    memcpy(sorted, count, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_count);
    int64_t median = sorted[(n - 1) / 2];
    s->median_rate = (double)median / 60.0;
    s->peak_rate = (double)sorted[n - 1] / 60.0;
    s->n_minutes = (int64_t)n;
    s->minute = tr_calloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        s->minute[i] = count[i] > 3 * median;
        s->in_spike += s->minute[i] ? count[i] : 0;
    }
    free(sorted);
    free(count);
}

bool tr_spikes_at(const struct tr_spikes *s, int64_t time_ns)
{
    int64_t minute = time_ns / MINUTE_NS;
    return s != NULL && minute < s->n_minutes && s->minute[minute];
}

void tr_spikes_free(struct tr_spikes *s)
{
    free(s->minute);
    *s = (struct tr_spikes){0};
}

/* ---- deciding early -------------------------------------------------------------------------- */

/* Of `total` requests that will decide, `outside` are certain to miss objective i and `inside` are
 * certain to meet it. Returns -1: cannot be met any more, 1: met whatever comes, 0: open. */
static int decided(double fraction, int64_t total, int64_t inside, int64_t outside)
{
    if ((double)(total - outside) < fraction * (double)total)
        return -1;
    return (double)inside >= fraction * (double)total ? 1 : 0;
}

/* With a sample of the GPUs `expected` is itself an estimate, and so is the answer. */
static int answer(const struct run *run, const struct tr_fleet *fleet, int64_t now_ns)
{
    const struct tr_sim_config *cfg = run->cfg;
    const struct tr_outcome *o = &run->outcome;
    bool spikes = cfg->slo->spikes_only;
    int64_t total = spikes ? (cfg->spikes != NULL ? cfg->spikes->in_spike : 0) : cfg->expected;
    int met = 1;
    if (!cfg->decide || total <= 0)
        return 0;
    for (int i = 0; i < cfg->slo->n; i++) {
        const struct tr_objective *obj = &cfg->slo->objective[i];
        int64_t offered = spikes ? o->spike_offered : o->offered;
        int64_t inside = spikes ? o->spike_inside[i] : o->inside[i];
        int64_t outside = offered - inside;
        if (!spikes && obj->metric != TR_TPOT)
            outside += tr_fleet_waiting_since(fleet, now_ns - obj->limit_ns, cfg->warmup);
        int d = decided(obj->fraction, total, inside, outside);
        if (d < 0)
            return -1;
        met = TR_MIN(met, d);
    }
    return met;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void on_record(void *arg, const struct tr_record *r)
{
    struct run *run = arg;
    run->departures++;
    if (run->cfg->on_record != NULL)
        run->cfg->on_record(run->cfg->on_record_arg, r);
    if (r->id >= run->cfg->warmup)
        tr_outcome_add(&run->outcome, run->cfg->slo, r,
                       tr_spikes_at(run->cfg->spikes, r->arrival_ns));
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

/* Every so many arrivals: is there a reason to stop? Sets *verdict as answer() does. */
static int look(struct run *run, const struct tr_fleet *fleet, int64_t now_ns, int *verdict,
                struct tr_sim_result *result, struct tr_err *err)
{
    const struct tr_sim_config *cfg = run->cfg;
    if (stop_asked(cfg))
        return tr_err_set(err, TR_EINTR, "interrupted after %" PRId64 " simulated requests",
                          run->departures);
    *verdict = answer(run, fleet, now_ns);
    if (*verdict == 0 && cfg->max_queue > 0 && tr_fleet_waiting(fleet) > cfg->max_queue) {
        result->queue_overflow = true;
        *verdict = -1;
    }
    return TR_OK;
}

static int feed(struct run *run, struct tr_fleet *fleet, struct tr_source *src, int *verdict,
                struct tr_sim_result *result, struct tr_err *err)
{
    struct tr_arrival a;
    int64_t id = 0, events = 0;
    for (; tr_source_next(src, &a); id++) {
        struct tr_fleet_request q = {
            .engine = {.id = id,
                       .arrival_ns = a.time_ns,
                       .prompt_tok = a.prompt_tok,
                       .output_tok = a.output_tok,
                       .tenant = a.tenant},
            .session = a.session,
        };
        result->requests += tr_fleet_send(fleet, &q, &events);
        if ((id + 1) % CHECK_EVERY != 0)
            continue;
        if (livelocked(run, events))
            return tr_err_set(err, TR_EBUG, "no request left the engines in %" PRId64 " events",
                              run->events_since);
        events = 0;
        if (run->cfg->simulated != NULL)
            *run->cfg->simulated += CHECK_EVERY;
        if (look(run, fleet, a.time_ns, verdict, result, err) < 0)
            return err == NULL ? TR_EINTR : err->code;
        if (*verdict != 0)
            return TR_OK;
    }
    if (run->cfg->simulated != NULL)
        *run->cfg->simulated += id % CHECK_EVERY;
    return TR_OK;
}

/* After the last arrival: until all is served, in spans, so that a stop is heard. */
static int drain(struct run *run, struct tr_fleet *fleet, int64_t from_ns, struct tr_err *err)
{
    for (int64_t until_ns = from_ns, span_ns = TR_NS_PER_S; until_ns < TR_TIME_NEVER / 4;) {
        until_ns += span_ns;
        span_ns += span_ns / 2;
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

int tr_sim_run(const struct tr_sim_config *config, struct tr_source *src,
               struct tr_sim_result *result, struct tr_err *err)
{
    struct run run = {.cfg = config};
    int verdict = 0;
    *result = (struct tr_sim_result){0};
    tr_outcome_init(&run.outcome);
    struct tr_fleet *fleet = tr_fleet_new(&config->fleet, on_record, &run);
    if (config->trace != NULL)
        tr_fleet_trace(fleet, config->trace, config->trace_arg);
    tr_source_rewind(src);
    int rc = feed(&run, fleet, src, &verdict, result, err);
    if (rc == TR_OK && verdict == 0)
        rc = drain(&run, fleet, TR_MAX(tr_source_span_ns(src), 0), err);
    run.outcome.stopped_early = verdict != 0 || rc < 0;
    result->outcome = run.outcome;
    result->fleet = tr_fleet_stats(fleet, TR_MAX(run.outcome.end_ns, tr_source_span_ns(src)));
    result->meets =
        verdict > 0 || (verdict == 0 && rc == TR_OK && tr_outcome_meets(&run.outcome, config->slo));
    tr_fleet_free(fleet);
    return rc;
}

void tr_sim_result_free(struct tr_sim_result *r)
{
    tr_outcome_free(&r->outcome);
}
