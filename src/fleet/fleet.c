/* Routing and the bookkeeping of many devices. */
#include "fleet/fleet.h"

#include <stdlib.h>

#include "fleet/elastic.h"
#include "fleet/least.h"
#include "fleet/route.h"
#include "num/num.h"

struct tr_fleet {
    struct tr_elastic *elastic; /* then all else is unused */
    struct tr_fleet_config cfg;
    struct tr_device **device; /* gpus x parts; NULL where not simulated */
    int n_devices;
    int pods_per_gpu, n_pods, simulated_pods;
    struct place {
        int part, pod;
    } place[TR_MAX_PODS]; /* of a GPU's pods */
    int n_workloads;
    struct service {
        int per_gpu, n_pods, own[TR_MAX_PODS]; /* pods of a GPU that serve it; in all */
        uint64_t route_stream;
        int64_t sent;
        struct tr_least least; /* with least-requests: requests in each of its pods */
        int *place;            /* with least-requests: of a GPU's pods in own, -1 */
    } service[TR_MAX_WORKLOADS];
    bool stateful; /* some router looks at load */
    tr_engine_sink *sink;
    void *sink_arg;
    tr_trace_sink *trace;
    void *trace_arg;
};

/* The pods that serve a workload: pod i of its own is own[i % per_gpu] on GPU i / per_gpu. */
static void find_pods(struct tr_fleet *f, int w)
{
    struct service *s = &f->service[w];
    uint32_t any = 0;
    for (int i = 0; i < f->pods_per_gpu; i++)
        any |= f->cfg.serves[i];
    for (int i = 0; i < f->pods_per_gpu; i++)
        if (any == 0 || (f->cfg.serves[i] >> w & 1U) != 0)
            s->own[s->per_gpu++] = i;
    tr_assert(s->per_gpu > 0);
    s->n_pods = s->per_gpu * f->cfg.gpus;
    s->route_stream = tr_rng_stream("route", w, 0);
    if (f->cfg.workload[w].router != TR_ROUTE_LEAST_REQUESTS)
        return;
    f->stateful = true;
    s->place = tr_malloc((size_t)f->pods_per_gpu * sizeof *s->place);
    memset(s->place, -1, (size_t)f->pods_per_gpu * sizeof *s->place);
    for (int i = 0; i < s->per_gpu; i++)
        s->place[s->own[i]] = i;
    tr_least_grow(&s->least, s->n_pods);
    for (int i = 0; i < s->n_pods; i++)
        tr_least_set(&s->least, i, 0);
}

static struct tr_device *device_of(const struct tr_fleet *f, int pod, int *ctx)
{
    if (f->pods_per_gpu == 1) {
        *ctx = 0;
        return f->device[pod];
    }
    struct place at = f->place[pod % f->pods_per_gpu];
    *ctx = at.pod;
    return f->device[pod / f->pods_per_gpu * f->cfg.parts + at.part];
}

/* A pod has a request more or less: every workload that it serves and that looks sees it. */
static void load_changed(struct tr_fleet *f, int pod)
{
    int ctx, gpu = pod / f->pods_per_gpu;
    const struct tr_device *d = device_of(f, pod, &ctx);
    int32_t load = tr_device_outstanding(d, ctx);
    for (int w = 0; w < f->n_workloads; w++) {
        struct service *s = &f->service[w];
        int place = s->place != NULL ? s->place[pod % f->pods_per_gpu] : -1;
        if (place >= 0)
            tr_least_set(&s->least, gpu * s->per_gpu + place, load);
    }
}

static void left(void *arg, const struct tr_record *record)
{
    struct tr_fleet *f = arg;
    load_changed(f, record->pod);
    f->sink(f->sink_arg, record);
}

struct tr_fleet *tr_fleet_new(const struct tr_fleet_config *config, tr_engine_sink *sink, void *arg)
{
    struct tr_fleet *f = tr_calloc(1, sizeof *f);
    f->cfg = *config;
    if (config->scaling != NULL) {
        f->elastic = tr_elastic_new(config, sink, arg);
        return f;
    }
    f->sink = sink;
    f->sink_arg = arg;
    f->n_workloads = TR_MAX(config->n_workloads, 1);
    for (int p = 0; p < config->parts; p++)
        for (int i = 0; i < config->device[p].n_pods; i++)
            f->place[f->pods_per_gpu++] = (struct place){p, i};
    for (int w = 0; w < f->n_workloads; w++)
        find_pods(f, w);
    if (f->cfg.simulated_gpus <= 0 || f->cfg.simulated_gpus > config->gpus || f->stateful)
        f->cfg.simulated_gpus = config->gpus;
    f->n_pods = f->pods_per_gpu * config->gpus;
    f->simulated_pods = f->pods_per_gpu * f->cfg.simulated_gpus;
    f->n_devices = config->parts * f->cfg.simulated_gpus;
    f->device = tr_calloc((size_t)f->n_devices, sizeof *f->device);
    for (int i = 0, first = 0; i < f->n_devices; i++) {
        struct tr_device_config dc = config->device[i % config->parts];
        dc.first_pod = first;
        first += dc.n_pods;
        f->device[i] = f->stateful ? tr_device_new(&dc, left, f) : tr_device_new(&dc, sink, arg);
    }
    return f;
}

void tr_fleet_free(struct tr_fleet *f)
{
    if (f == NULL)
        return;
    tr_elastic_free(f->elastic);
    for (int i = 0; i < f->n_devices; i++)
        tr_device_free(f->device[i]);
    for (int w = 0; w < f->n_workloads; w++) {
        free(f->service[w].least.min);
        free(f->service[w].place);
    }
    free(f->device);
    free(f);
}

void tr_fleet_trace(struct tr_fleet *f, tr_trace_sink *sink, void *arg)
{
    if (f->elastic != NULL)
        tr_elastic_trace(f->elastic, sink, arg);
    f->trace = sink;
    f->trace_arg = arg;
    for (int i = 0; i < f->n_devices; i++)
        tr_device_trace(f->device[i], sink, arg);
}

/* Once a request, and divisions are dear: most GPUs have one pod, or pods for everybody. */
/* The fleet's number of a workload's pod. */
static int pod_of(const struct tr_fleet *f, const struct service *s, int i)
{
    if (s->per_gpu == f->pods_per_gpu)
        return i;
    return i / s->per_gpu * f->pods_per_gpu + s->own[i % s->per_gpu];
}

static int choose(const struct tr_fleet *f, const struct service *s,
                  const struct tr_fleet_workload *w, const struct tr_fleet_request *q)
{
    struct tr_route_choice among = {f->cfg.seed, s->route_stream, s->sent, s->n_pods, false};
    return w->router == TR_ROUTE_LEAST_REQUESTS ? tr_least_pick(&s->least) : tr_route(w, &among, q);
}

bool tr_fleet_send(struct tr_fleet *f, const struct tr_fleet_request *q, int64_t *events)
{
    if (f->elastic != NULL) {
        tr_elastic_send(f->elastic, q, events);
        return true;
    }
    bool together = f->stateful || f->trace != NULL;
    if (together)
        *events += tr_fleet_advance(f, q->engine.arrival_ns);
    const struct tr_fleet_workload *w = &f->cfg.workload[q->engine.workload];
    struct service *s = &f->service[q->engine.workload];
    int pod = pod_of(f, s, choose(f, s, w, q)), ctx;
    s->sent++;
    if (f->trace != NULL)
        f->trace(f->trace_arg, &(struct tr_trace_event){.time_ns = q->engine.arrival_ns,
                                                        .what = "arrive",
                                                        .pod = pod,
                                                        .id = q->engine.id});
    if (pod >= f->simulated_pods)
        return false;
    struct tr_device *d = device_of(f, pod, &ctx);
    if (!together)
        *events += tr_device_advance(d, q->engine.arrival_ns);
    struct tr_engine_request request = q->engine;
    if (w->priorities != NULL)
        request.priority = w->priorities[request.tenant % w->n_tenants];
    request.priority += w->priority;
    tr_device_send(d, ctx, &request, request.arrival_ns + TR_API_NS);
    if (f->stateful)
        load_changed(f, pod);
    return true;
}

int64_t tr_fleet_advance(struct tr_fleet *f, int64_t until_ns)
{
    int64_t events = 0;
    if (f->elastic != NULL)
        return tr_elastic_advance(f->elastic, until_ns);
    for (int i = 0; i < f->n_devices; i++)
        events += tr_device_advance(f->device[i], until_ns);
    return events;
}

int64_t tr_fleet_waiting_since(const struct tr_fleet *f, int32_t workload, int64_t arrival_ns,
                               int64_t min_id)
{
    const struct service *s = &f->service[workload];
    int64_t n = 0;
    if (f->elastic != NULL)
        return tr_elastic_waiting_since(f->elastic, arrival_ns, min_id);
    for (int i = 0; i < s->per_gpu * f->cfg.simulated_gpus; i++) {
        int ctx;
        struct tr_device *d = device_of(f, pod_of(f, s, i), &ctx);
        n += tr_engine_waiting_since(tr_device_engine(d, ctx), workload, arrival_ns, min_id);
    }
    return n;
}

int64_t tr_fleet_waiting(const struct tr_fleet *f)
{
    int64_t n = 0;
    if (f->elastic != NULL)
        return tr_elastic_waiting(f->elastic);
    for (int pod = 0; pod < f->simulated_pods; pod++) {
        int ctx;
        struct tr_device *d = device_of(f, pod, &ctx);
        n += tr_engine_waiting(tr_device_engine(d, ctx));
    }
    return n;
}

bool tr_fleet_rests(const struct tr_fleet *f)
{
    return f->elastic != NULL && tr_elastic_rests(f->elastic);
}

const struct tr_timeline_point *tr_fleet_timeline(const struct tr_fleet *f, size_t *n)
{
    *n = 0;
    return f->elastic != NULL ? tr_elastic_timeline(f->elastic, n) : NULL;
}

void fleet_add_engine(struct tr_fleet_stats *s, const struct tr_engine_stats *e, double blocks,
                      double span_us, int pods)
{
    s->steps += e->steps;
    s->preemptions += e->preemptions;
    s->prefill_tok += e->prefill_tok;
    s->decode_tok += e->decode_tok;
    s->prefix_queries_tok += e->prefix_queries_tok;
    s->prefix_hits_tok += e->prefix_hits_tok;
    s->evicted_blocks += e->evicted_blocks;
    s->kv_mean += (double)e->kv_block_us / span_us / blocks / pods;
    s->kv_max = TR_MAX(s->kv_max, e->kv_used_max / blocks);
    tr_debug_assert(e->prefix_hits_tok <= e->prefix_queries_tok);
}

struct tr_fleet_stats tr_fleet_stats(const struct tr_fleet *f, int64_t end_ns)
{
    if (f->elastic != NULL)
        return tr_elastic_stats(f->elastic);
    struct tr_fleet_stats s = {.pods = f->n_pods, .simulated_pods = f->simulated_pods};
    double span_us = (double)TR_MAX(end_ns, 1) / 1000.0;
    for (int i = 0; i < f->n_devices; i++) {
        struct tr_share_stats share = tr_device_stats(f->device[i]);
        s.busy_ns += share.busy_ns;
        s.switch_ns += share.switch_ns;
        s.slices += share.slices;
    }
    s.busy_fraction = (double)s.busy_ns / 1000.0 / (span_us * f->n_devices);
    for (int pod = 0; pod < f->simulated_pods; pod++) {
        int ctx;
        struct tr_device *d = device_of(f, pod, &ctx);
        const struct tr_engine_stats *e = tr_engine_stats(tr_device_engine(d, ctx));
        const struct tr_device_config *dc = &f->cfg.device[f->place[pod % f->pods_per_gpu].part];
        s.inside += tr_device_outstanding(d, ctx);
        fleet_add_engine(&s, e, tr_device_engine_config(dc, ctx)->num_gpu_blocks, span_us,
                         f->simulated_pods);
        tr_debug_assert(tr_engine_waiting(tr_device_engine(d, ctx)) +
                            tr_engine_running(tr_device_engine(d, ctx)) <=
                        tr_device_outstanding(d, ctx));
    }
    tr_debug_assert(s.kv_max <= 1);
    return s;
}
