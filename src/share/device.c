/* Engines on their hardware: a ring, an overlap, or alone. */
#include "share/device.h"

#include <stdlib.h>

struct letter {
    struct tr_engine_request request;
    int64_t reach_ns;
    int pod;
};

struct pod {
    struct tr_engine *engine;
    const struct tr_steptime *steptime;
    bool async;
    struct tr_step step[2]; /* in flight, step[first] is the older */
    int first, in_flight;
    int32_t outstanding;
    struct tr_device *device;
    int number;
};

struct tr_device {
    struct tr_device_config cfg;
    enum { LONE, RING, OVERLAP } kind;
    union {
        struct tr_lone lone;
        struct tr_ring ring;
        struct tr_overlap overlap;
    };
    struct pod pod[TR_MAX_PODS];
    struct tr_stretch stretch[TR_MAX_PODS]; /* of each pod */
    int n_calm;                             /* pods in one */
    struct letter *inbox;                   /* ring buffer, by reach_ns */
    size_t inbox_cap, inbox_head, inbox_n;
    tr_engine_sink *sink;
    void *sink_arg;
    tr_trace_sink *trace;
    void *trace_arg;
    int64_t now_ns;
    int32_t live; /* requests on their way or in engines, and steps in flight */
};

static void trace(struct tr_device *d, const char *what, int pod, int64_t id,
                  const struct tr_step *step)
{
    if (d->trace != NULL)
        d->trace(d->trace_arg, &(struct tr_trace_event){.time_ns = d->now_ns,
                                                        .what = what,
                                                        .pod = d->cfg.first_pod + pod,
                                                        .id = id,
                                                        .step = step});
}

static const char *status_word(enum tr_status status)
{
    static const char *const words[] = {"done", "rejected", "timeout", "aborted", "error"};
    return words[status];
}

static void pod_sink(void *arg, const struct tr_record *record)
{
    struct pod *p = arg;
    p->outstanding--;
    p->device->live--;
    trace(p->device, status_word(record->status), p->number, record->id, NULL);
    p->device->sink(p->device->sink_arg, record);
}

/* An asynchronous engine alone takes no turns; on the ring it is the oracle of that. */
static void hw_init(struct tr_device *d)
{
    const struct tr_device_config *cfg = &d->cfg;
    if (cfg->sharing == TR_MPS) {
        d->kind = OVERLAP;
        tr_overlap_init(&d->overlap, cfg->n_pods,
                        cfg->sharpness > 0 ? cfg->sharpness : TR_MPS_SHARPNESS);
    } else if (cfg->n_pods == 1 && d->pod[0].async && !cfg->exact) {
        d->kind = LONE;
    } else {
        d->kind = RING;
        tr_ring_init(&d->ring, cfg->n_pods, cfg->quantum_ps, cfg->switch_ps);
        d->ring.exact = cfg->exact;
    }
}

struct tr_device *tr_device_new(const struct tr_device_config *config, tr_engine_sink *sink,
                                void *sink_arg)
{
    struct tr_device *d = tr_calloc(1, sizeof *d);
    d->cfg = *config;
    d->sink = sink;
    d->sink_arg = sink_arg;
    for (int i = 0; i < config->n_pods; i++) {
        struct tr_engine_config e = *tr_device_engine_config(config, i);
        e.pod = config->first_pod + i;
        d->pod[i] = (struct pod){.device = d, .number = i, .async = e.async};
        d->pod[i].steptime = e.steptime;
        d->pod[i].engine = tr_engine_new(&e, pod_sink, &d->pod[i]);
    }
    hw_init(d);
    return d;
}

void tr_device_free(struct tr_device *d)
{
    if (d == NULL)
        return;
    for (int i = 0; i < d->cfg.n_pods; i++) {
        tr_engine_free(d->pod[i].engine);
        tr_step_free(&d->pod[i].step[0]);
        tr_step_free(&d->pod[i].step[1]);
    }
    free(d->inbox);
    free(d);
}

void tr_device_trace(struct tr_device *d, tr_trace_sink *sink, void *arg)
{
    d->trace = sink;
    d->trace_arg = arg;
}

/* ---- the hardware ----------------------------------------------------------------------------
 */

static bool hw_advance(struct tr_device *d, int64_t until_ns, int *ctx, int64_t *end_ns,
                       int64_t *lost_ps)
{
    *ctx = 0;
    *lost_ps = 0;
    if (d->kind == LONE)
        return tr_lone_advance(&d->lone, until_ns, end_ns);
    if (d->kind == RING)
        return tr_ring_advance(&d->ring, until_ns, ctx, end_ns, lost_ps);
    return tr_overlap_advance(&d->overlap, until_ns, ctx, end_ns, lost_ps);
}

/* Contexts that overlap are in a stretch only one at a time, alone. */
static bool hw_skip(struct tr_device *d, int64_t until_ns)
{
    bool any = false;
    if (d->kind == LONE)
        return tr_lone_skip(&d->lone, &d->stretch[0], until_ns);
    if (d->kind == RING)
        return tr_ring_skip(&d->ring, d->stretch, until_ns);
    for (int i = 0; i < d->cfg.n_pods; i++) {
        struct tr_stretch *s = &d->stretch[i];
        s->done = s->most > 0
                      ? tr_overlap_skip(&d->overlap, i, s->growth_ps, s->most, until_ns, &s->end_ns)
                      : 0;
        any = any || s->done > 0;
    }
    return any;
}

static void set_stretch(struct tr_device *d, int pod, int64_t most)
{
    struct tr_stretch *s = &d->stretch[pod];
    d->n_calm += (most > 0) - (s->most > 0);
    s->most = most;
}

static int32_t demand_of(int64_t asked_ps, int64_t gpu_ps)
{
    double share = (double)asked_ps / (double)gpu_ps;
    return (int32_t)(TR_MIN(share, 1.0) * TR_DEMAND_ONE + 0.5);
}

/* ---- steps ------------------------------------------------------------------------------------
 */

/* An asynchronous engine has prepared the next step before the GPU needs it: what host time its fit
 * leaves is part of the segment. A synchronous one shows its host time as gaps. */
static struct tr_work work_of(const struct tr_device *d, const struct pod *p,
                              const struct tr_step *step)
{
    const struct tr_steptime *st = p->steptime;
    struct tr_work w = {.gpu_ps = step->duration_ps};
    if (st->async && d->cfg.n_pods > 1) {
        w.gaps = d->cfg.yields;
        w.gap_ps = w.gaps > 0 ? TR_YIELD_PS : 0;
    }
    if (!st->async) {
        int64_t host_ps = st->host_ps + st->seq_ps * step->rows;
        w.gpu_ps -= host_ps;
        w.gaps = TR_SYNC_GAPS;
        w.gap_ps = TR_MIN(TR_SYNC_GAP_MAX_PS, host_ps / (TR_SYNC_GAPS + 1));
        w.delay_ps = host_ps - w.gaps * w.gap_ps;
    }
    if (d->kind == OVERLAP) {
        struct tr_demand demand = tr_steptime_demand(st, step);
        w.arithmetic = demand_of(demand.arithmetic_ps, w.gpu_ps);
        w.memory = demand_of(demand.memory_ps, w.gpu_ps);
    }
    return w;
}

static void hw_post(struct tr_device *d, const struct pod *p, const struct tr_step *step)
{
    if (d->kind == LONE) {
        tr_lone_post(&d->lone, d->now_ns, step->duration_ps);
        return;
    }
    struct tr_work w = work_of(d, p, step);
    if (d->kind == RING)
        tr_ring_post(&d->ring, p->number, d->now_ns, &w);
    else
        tr_overlap_post(&d->overlap, p->number, d->now_ns, &w);
}

/* For how many of its steps a pod that decodes need not be asked: they are all alike but for their
 * contexts, which shows in the two in flight. */
static void find_stretch(struct tr_device *d, const struct pod *p)
{
    const struct tr_step *a = &p->step[p->first], *b = &p->step[p->first ^ 1];
    int64_t most = 0;
    if (a->n_events + b->n_events + a->chunks + b->chunks == 0 && a->decodes == b->decodes &&
        b->context_tok == a->context_tok + a->decodes && p->in_flight == 2 && !d->cfg.exact &&
        d->trace == NULL && (d->cfg.yields == 0 || d->cfg.n_pods == 1)) {
        most = tr_engine_calm(p->engine);
        d->stretch[p->number].growth_ps = tr_engine_step_growth_ps(p->engine);
    }
    set_stretch(d, p->number, most);
}

/* Fills the pod's pipeline: one step for a synchronous engine, two for an asynchronous one. */
static void pod_fill(struct tr_device *d, struct pod *p)
{
    int depth = p->async ? 2 : 1;
    while (p->in_flight < depth) {
        struct tr_step *step = &p->step[(p->first + p->in_flight) & 1];
        if (!tr_engine_schedule(p->engine, d->now_ns, step)) {
            if (p->in_flight == 0 &&
                tr_engine_running(p->engine) + tr_engine_waiting(p->engine) > 0)
                continue; /* the call only made room */
            break;
        }
        hw_post(d, p, step);
        p->in_flight++;
        d->live++;
        trace(d, "step", p->number, -1, step);
    }
    find_stretch(d, p);
}

/* The commonest of the steps that no stretch takes: on a card of its own, one that yields nothing
 * ends, and the next is a decode in which nothing happens. What step_done does, in short. */
static bool step_done_plain(struct tr_device *d, struct pod *p, int64_t end_ns)
{
    struct tr_step *step = &p->step[p->first];
    if (d->kind != LONE || d->trace != NULL || p->in_flight < 2 ||
        !tr_engine_tick(p->engine, end_ns, step))
        return false;
    d->now_ns = end_ns;
    tr_lone_post(&d->lone, end_ns, step->duration_ps);
    p->first ^= 1;
    find_stretch(d, p);
    return true;
}

static void step_done(struct tr_device *d, int ctx, int64_t end_ns, int64_t lost_ps)
{
    struct pod *p = &d->pod[ctx];
    struct tr_step *step = &p->step[p->first];
    if (step_done_plain(d, p, end_ns))
        return;
    d->now_ns = end_ns;
    trace(d, "end", ctx, -1, step);
    p->first ^= 1;
    p->in_flight--;
    d->live--;
    if (lost_ps != 0)
        tr_engine_lost(p->engine, lost_ps);
    tr_engine_update(p->engine, end_ns, step);
    pod_fill(d, p);
}

/* After a stretch its steps in flight read more context and so ask for more bandwidth. */
static void new_demands(struct tr_device *d, const struct pod *p)
{
    for (int k = 0; d->kind == OVERLAP && k < 2; k++) {
        struct tr_work w = work_of(d, p, &p->step[(p->first + k) & 1]);
        tr_overlap_demand(&d->overlap, p->number, k, &w);
    }
}

/* Takes the stretches of all pods that work as far as none of them has to be asked. */
static int64_t skip_stretches(struct tr_device *d, int64_t until_ns)
{
    int64_t steps = 0;
    if (d->n_calm == 0 || !hw_skip(d, until_ns))
        return 0;
    for (int i = 0; i < d->cfg.n_pods; i++) {
        struct tr_stretch *s = &d->stretch[i];
        if (s->done == 0)
            continue;
        tr_engine_lost(d->pod[i].engine, s->lost_ps);
        tr_engine_skip(d->pod[i].engine, s->done, s->end_ns, d->pod[i].step, 2);
        new_demands(d, &d->pod[i]);
        steps += s->done;
        set_stretch(d, i, s->most - s->done);
    }
    return steps;
}

void tr_device_send(struct tr_device *d, int pod, const struct tr_engine_request *request,
                    int64_t reach_ns)
{
    if (d->inbox_n == d->inbox_cap) {
        size_t cap = TR_MAX((size_t)16, 2 * d->inbox_cap);
        struct letter *grown = tr_malloc(cap * sizeof *grown);
        for (size_t i = 0; i < d->inbox_n; i++)
            grown[i] = d->inbox[(d->inbox_head + i) & (d->inbox_cap - 1)];
        free(d->inbox);
        d->inbox = grown;
        d->inbox_cap = cap;
        d->inbox_head = 0;
    }
    d->pod[pod].outstanding++;
    d->live++;
    d->inbox[(d->inbox_head + d->inbox_n++) & (d->inbox_cap - 1)] =
        (struct letter){.request = *request, .reach_ns = reach_ns, .pod = pod};
}

/* All requests that reach their engines at this moment, before any of them is scheduled. */
static int64_t deliver(struct tr_device *d, int64_t reach_ns)
{
    uint32_t start = 0;
    int64_t n = 0;
    d->now_ns = reach_ns;
    while (d->inbox_n > 0 && d->inbox[d->inbox_head].reach_ns == reach_ns) {
        struct letter *l = &d->inbox[d->inbox_head];
        trace(d, "reach", l->pod, l->request.id, NULL);
        tr_engine_add(d->pod[l->pod].engine, &l->request, reach_ns);
        set_stretch(d, l->pod, 0);
        start |= 1U << l->pod;
        d->inbox_head = (d->inbox_head + 1) & (d->inbox_cap - 1);
        d->inbox_n--;
        n++;
    }
    for (int i = 0; i < d->cfg.n_pods; i++)
        if ((start >> i & 1U) != 0 && d->pod[i].in_flight == 0)
            pod_fill(d, &d->pod[i]);
    return n;
}

int64_t tr_device_advance(struct tr_device *d, int64_t until_ns)
{
    int64_t events = 0;
    if (d->live == 0) /* most of a large fleet, at most arrivals */
        return 0;
    for (;;) {
        int64_t reach_ns = d->inbox_n > 0 ? d->inbox[d->inbox_head].reach_ns : TR_TIME_NEVER;
        int64_t bound_ns = TR_MIN(until_ns, reach_ns), end_ns, lost_ps;
        int ctx;
        events += skip_stretches(d, bound_ns);
        while (hw_advance(d, bound_ns, &ctx, &end_ns, &lost_ps)) {
            step_done(d, ctx, end_ns, lost_ps);
            events += 1 + skip_stretches(d, bound_ns);
        }
        if (reach_ns >= until_ns)
            return events;
        events += deliver(d, reach_ns);
    }
}

void tr_device_restart(struct tr_device *d, int pod, int64_t now_ns)
{
    size_t kept = 0, mask = d->inbox_cap - 1;
    d->now_ns = now_ns;
    for (size_t i = 0; i < d->inbox_n; i++) {
        struct letter *l = &d->inbox[(d->inbox_head + i) & mask];
        if (l->pod == pod)
            tr_engine_add(d->pod[pod].engine, &l->request, now_ns);
        else
            d->inbox[(d->inbox_head + kept++) & mask] = *l;
    }
    d->inbox_n = kept;
    tr_engine_restart(d->pod[pod].engine, now_ns);
    d->stretch[pod].most = 0;
    tr_debug_assert(d->pod[pod].outstanding == 0);
}

int32_t tr_device_outstanding(const struct tr_device *d, int pod)
{
    return d->pod[pod].outstanding;
}

const struct tr_engine *tr_device_engine(const struct tr_device *d, int pod)
{
    return d->pod[pod].engine;
}

struct tr_share_stats tr_device_stats(const struct tr_device *d)
{
    if (d->kind == LONE)
        return tr_lone_stats(&d->lone);
    return d->kind == RING ? tr_ring_stats(&d->ring) : tr_overlap_stats(&d->overlap);
}
