/* The course of an elastic fleet: its events in order, and those who look at it: the scrape, the
 * pod autoscalers and the cluster autoscaler. */
#include "fleet/inner.h"

#include <stdlib.h>

/* ---- looking ------------------------------------------------------------------------------- */

static double busy_since_scrape(struct tr_elastic *e, int slot, const struct tr_device *d)
{
    int64_t *mark =
        &e->busy_ns[slot / e->pods_per_gpu * e->cfg.parts + e->place[slot % e->pods_per_gpu].part];
    int64_t span_ns = e->now_ns - e->scraped_ns;
    double busy = (double)(tr_device_stats(d).busy_ns - *mark) / (double)TR_MAX(span_ns, 1);
    return TR_MIN(busy, 1.0);
}

static double metric_of(struct tr_elastic *e, int slot)
{
    int ctx;
    struct tr_device *d = elastic_device(e, slot, &ctx);
    const struct tr_engine *engine = tr_device_engine(d, ctx);
    const struct tr_device_config *dc = &e->cfg.device[e->place[slot % e->pods_per_gpu].part];
    switch (e->life.hpa.metric) {
    case TR_SCALE_WAITING:
        return tr_engine_waiting(engine);
    case TR_SCALE_KV:
        return (double)tr_engine_blocks_used(engine) /
               tr_device_engine_config(dc, ctx)->num_gpu_blocks;
    case TR_SCALE_GPU:
        return busy_since_scrape(e, slot, d);
    default:
        return tr_engine_running(engine) + tr_engine_waiting(engine);
    }
}

/* Every pod that is ready tells its metric. */
static int64_t scrape(struct tr_elastic *e)
{
    int64_t events = 0;
    int ctx;
    for (int i = 0; i < e->n_ready; i++)
        events += tr_device_advance(elastic_device(e, e->ready[i], &ctx), e->now_ns);
    for (int i = 0; i < e->n_ready; i++) {
        struct replica *r = &e->pods[e->pod_in[e->ready[i]]];
        r->metric = metric_of(e, e->ready[i]);
        r->scraped = true;
    }
    for (int i = 0; i < e->n_nodes * e->devices_per_node; i++)
        if (e->device[i] != NULL && e->life.hpa.metric == TR_SCALE_GPU)
            e->busy_ns[i] = tr_device_stats(e->device[i]).busy_ns;
    enum tr_scale_metric m = e->life.hpa.metric;
    bool counts = m == TR_SCALE_REQUESTS || m == TR_SCALE_WAITING;
    e->held_metric = counts ? (double)e->n_held : 0;
    e->scraped_ns = e->now_ns;
    return events;
}

/* What the controllers see: the last scrape. */
static struct tr_hpa_view look(const struct tr_elastic *e)
{
    struct tr_hpa_view v = {.current = e->wanted};
    for (size_t p = 0; p < e->n_pods; p++) {
        const struct replica *r = &e->pods[p];
        bool pulling = r->slot < 0 || e->nodes[r->slot / e->slots].image_ns > e->now_ns;
        if (r->state == POD_READY && r->scraped) {
            v.ready++;
            v.sum += r->metric;
        } else if (r->state == POD_READY || (r->state == POD_STARTING && !pulling)) {
            v.starting++;
        } else if (r->state == POD_STARTING || r->state == POD_PENDING) {
            v.pending++;
        }
    }
    return v;
}

static void poll_keda(struct tr_elastic *e)
{
    double sum = look(e).sum + e->held_metric;
    elastic_want(e, tr_keda_poll(&e->keda, e->now_ns, sum, e->wanted));
}

static void sync_hpa(struct tr_elastic *e)
{
    struct tr_hpa_view v = look(e);
    if (e->life.hpa.external)
        v.sum += e->held_metric;
    elastic_want(e, tr_hpa_sync(e->hpa, e->now_ns, &v));
}

/* ---- the cluster autoscaler ---------------------------------------------------------------- */

static struct tr_pool_view view_of(struct tr_elastic *e)
{
    tr_grow(&e->views, &e->cap_views, (size_t)e->n_nodes, sizeof *e->views);
    for (int i = 0; i < e->n_nodes; i++) {
        const struct node *n = &e->nodes[i];
        bool leaving = n->state == TR_NODE_LEAVING;
        e->views[i] = (struct tr_node_view){.state = n->state,
                                            .asked_ns = n->asked_ns,
                                            .pods = leaving ? n->active : n->pods,
                                            .slots = e->slots};
    }
    return (struct tr_pool_view){
        .n_nodes = e->n_nodes,
        .nodes = e->views,
        .pending = (int)e->n_pending,
        .oldest_pending_ns = e->n_pending > 0 ? e->pods[e->pending[0]].created_ns : 0,
        .resource = e->cfg.resource,
        .gpus_of_vm = e->cfg.gpus,
    };
}

static void loop(struct tr_elastic *e, int64_t tag)
{
    struct tr_pool_view view = view_of(e);
    struct tr_pool_decision d;
    if (tag != e->loops) /* another was called in between */
        return;
    tr_autoscaler_loop(e->autoscaler, e->now_ns, &view, &d);
    for (int i = 0; i < d.n_given_up; i++)
        elastic_give_up(e, d.given_up[i]);
    for (int i = 0; i < d.n_remove; i++)
        elastic_remove(e, d.remove[i]);
    for (int i = 0; i < d.add; i++)
        elastic_ask(e);
    elastic_post(e, TR_MAX(tr_autoscaler_next_ns(e->autoscaler), e->now_ns), POOL_LOOP, 0,
                 ++e->loops);
}

/* ---- the course ---------------------------------------------------------------------------- */

static int64_t advance_devices(struct tr_elastic *e, int64_t until_ns)
{
    int64_t events = 0;
    for (int i = 0; i < e->n_nodes * e->devices_per_node; i++)
        if (e->device[i] != NULL)
            events += tr_device_advance(e->device[i], until_ns);
    return events;
}

static int64_t happen(struct tr_elastic *e, const struct event *ev)
{
    const struct tr_scaling *l = &e->life;
    int64_t events = 1;
    e->now_ns = ev->time_ns;
    if (e->trace != NULL) /* what was before is told before */
        events += advance_devices(e, e->now_ns);
    switch (ev->kind) {
    case POD_STARTED:
    case POD_LOOKED_AT:
        elastic_pod_event(e, ev);
        break;
    case GATEWAY_GIVES_UP:
        elastic_gateway_event(e, ev->tag);
        break;
    case SCRAPE:
        events += scrape(e);
        elastic_post(e, e->now_ns + l->hpa.scrape_ns, SCRAPE, 0, 0);
        break;
    case KEDA_POLL:
        poll_keda(e);
        elastic_post(e, e->now_ns + l->keda.polling_ns, KEDA_POLL, 0, 0);
        break;
    case HPA_SYNC:
        sync_hpa(e);
        elastic_post(e, e->now_ns + l->hpa.sync_ns, HPA_SYNC, 0, 0);
        break;
    case POOL_LOOP:
        loop(e, ev->tag);
        break;
    default:
        elastic_node_event(e, ev);
        break;
    }
    elastic_point(e);
    return events;
}

int64_t elastic_control(struct tr_elastic *e, int64_t until_ns)
{
    struct event ev;
    int64_t events = 0;
    while (elastic_take(e, until_ns, &ev))
        events += happen(e, &ev);
    return events;
}

int64_t tr_elastic_advance(struct tr_elastic *e, int64_t until_ns)
{
    int64_t events = 0;
    for (struct event ev; until_ns == TR_TIME_NEVER && e->inside > 0;) {
        elastic_take(e, TR_TIME_NEVER, &ev);
        events += advance_devices(e, ev.time_ns);
        events += happen(e, &ev);
    }
    if (until_ns == TR_TIME_NEVER)
        return events + advance_devices(e, until_ns);
    events += elastic_control(e, until_ns);
    e->now_ns = TR_MAX(e->now_ns, until_ns);
    return events + advance_devices(e, until_ns);
}

bool tr_elastic_rests(const struct tr_elastic *e)
{
    return e->inside == 0;
}

void tr_elastic_trace(struct tr_elastic *e, tr_trace_sink *sink, void *arg)
{
    e->trace = sink;
    e->trace_arg = arg;
    for (int i = 0; i < e->n_nodes * e->devices_per_node; i++)
        if (e->device[i] != NULL)
            tr_device_trace(e->device[i], sink, arg);
}

/* ---- begin and end ------------------------------------------------------------------------- */

static void find_places(struct tr_elastic *e)
{
    const struct tr_fleet_config *c = &e->cfg;
    for (int p = 0; p < c->parts; p++)
        for (int i = 0; i < c->device[p].n_pods; i++)
            e->place[e->pods_per_gpu++] = (struct place){p, i};
    e->slots = e->pods_per_gpu * c->gpus;
    e->devices_per_node = c->parts * c->gpus;
}

/* Scrapes come half a period after the syncs: the mean age of a metric that is scraped without
 * regard to them. */
static void start_clocks(struct tr_elastic *e)
{
    const struct tr_scaling *l = &e->life;
    elastic_post(e, l->hpa.scrape_ns / 2, SCRAPE, 0, 0);
    elastic_post(e, l->hpa.sync_ns, HPA_SYNC, 0, 0);
    if (l->keda.on)
        elastic_post(e, l->keda.polling_ns, KEDA_POLL, 0, 0);
    elastic_post(e, l->autoscaler.scan_ns, POOL_LOOP, 0, e->loops);
}

struct tr_elastic *tr_elastic_new(const struct tr_fleet_config *config, tr_engine_sink *sink,
                                  void *arg)
{
    struct tr_elastic *e = tr_calloc(1, sizeof *e);
    const struct tr_scaling *l = &e->life;
    e->cfg = *config;
    e->life = *config->scaling;
    tr_assert(config->n_workloads <= 1 && l->pod.weights_ns >= 0 && l->pod.warm_ns >= 0);
    tr_assert(l->hpa.sync_ns > 0 && l->hpa.scrape_ns > 0 && l->autoscaler.scan_ns > 0);
    e->sink = sink;
    e->sink_arg = arg;
    e->hpa = tr_hpa_new(&l->hpa);
    e->keda = (struct tr_keda){.policy = l->keda, .min_replicas = l->hpa.min_replicas};
    e->autoscaler = tr_autoscaler_new(&l->autoscaler);
    e->by_load = config->workload[0].router == TR_ROUTE_LEAST_REQUESTS;
    e->route_stream = tr_rng_stream("route", 0, 0);
    find_places(e);
    e->wanted = config->replicas > 0 ? config->replicas : l->hpa.min_replicas;
    int full = (e->wanted + e->slots - 1) / e->slots;
    for (int i = 0; i < TR_MAX(full, l->autoscaler.min_nodes); i++)
        elastic_node_given(e);
    elastic_pods_given(e);
    start_clocks(e);
    elastic_point(e);
    return e;
}

void tr_elastic_free(struct tr_elastic *e)
{
    if (e == NULL)
        return;
    for (int i = 0; i < e->n_nodes * e->devices_per_node; i++)
        tr_device_free(e->device[i]);
    tr_hpa_free(e->hpa);
    tr_autoscaler_free(e->autoscaler);
    free(e->heap);
    free(e->views);
    free(e->nodes);
    free(e->device);
    free(e->busy_ns);
    free(e->pod_in);
    free(e->pods);
    free(e->pending);
    free(e->ready);
    free(e->held);
    free(e->least.min);
    free(e->holds);
    free(e->shortages);
    free(e->points);
    free(e);
}
