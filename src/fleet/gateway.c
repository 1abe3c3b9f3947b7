/* Requests of an elastic fleet: routed among the pods that are ready, held while none is, and what
 * is said of them when they leave. */
#include "fleet/inner.h"
#include "fleet/route.h"

/* A gateway that holds a request for a client without a timeout lets go of it after an hour. */
#define HOLD_MAX_NS (3600 * TR_NS_PER_S)

static int64_t hold_ns(const struct tr_elastic *e)
{
    int64_t timeout_ns = tr_device_engine_config(&e->cfg.device[0], 0)->timeout_ns;
    return timeout_ns > 0 ? timeout_ns : HOLD_MAX_NS;
}

void elastic_load(struct tr_elastic *e, int slot, bool ready)
{
    int ctx;
    if (!e->by_load)
        return;
    const struct tr_device *d = elastic_device(e, slot, &ctx);
    tr_least_set(&e->least, slot, ready ? tr_device_outstanding(d, ctx) : TR_LEAST_NEVER);
}

static void send_now(struct tr_elastic *e, const struct tr_fleet_request *q, int64_t *events)
{
    const struct tr_fleet_workload *w = &e->cfg.workload[0];
    struct tr_route_choice among = {.seed = e->cfg.seed,
                                    .stream = e->route_stream,
                                    .sent = e->sent++,
                                    .n_pods = e->n_ready,
                                    .sticky = true};
    struct tr_engine_request request = q->engine;
    int slot = e->by_load ? tr_least_pick(&e->least) : e->ready[tr_route(w, &among, q)], ctx;
    struct tr_device *d = elastic_device(e, slot, &ctx);
    if (w->priorities != NULL)
        request.priority = w->priorities[request.tenant % w->n_tenants];
    request.priority += w->priority;
    elastic_tell(e, "arrive", slot, request.id);
    *events += tr_device_advance(d, e->now_ns);
    tr_device_send(d, ctx, &request, e->now_ns + TR_API_NS);
    elastic_load(e, slot, true);
}

static void hold(struct tr_elastic *e, const struct tr_fleet_request *q)
{
    if (e->n_held == 0) {
        e->first_held = 0;
        tr_grow(&e->holds, &e->cap_holds, e->n_holds + 1, sizeof *e->holds);
        e->holds[e->n_holds++] = (struct hold){.first_id = q->engine.id, .sent_ns = -1};
        elastic_post(e, q->engine.arrival_ns + hold_ns(e), GATEWAY_GIVES_UP, 0,
                     (int64_t)e->n_holds);
    } else if (e->first_held > e->n_held) {
        memcpy(e->held, e->held + e->first_held, e->n_held * sizeof *e->held);
        e->first_held = 0;
    }
    tr_grow(&e->held, &e->cap_held, e->first_held + e->n_held + 1, sizeof *e->held);
    e->held[e->first_held + e->n_held++] = *q;
    e->holds[e->n_holds - 1].last_id = q->engine.id;
    e->stats.held++;
    elastic_shortage(e);
}

void tr_elastic_send(struct tr_elastic *e, const struct tr_fleet_request *q, int64_t *events)
{
    bool together = e->trace != NULL || e->by_load;
    *events += together ? tr_elastic_advance(e, q->engine.arrival_ns)
                        : elastic_control(e, q->engine.arrival_ns);
    e->now_ns = q->engine.arrival_ns;
    e->inside++;
    if (e->n_ready == 0)
        hold(e, q);
    else
        send_now(e, q, events);
}

/* A pod is ready: whoever was held is sent, in the order in which they came. */
void elastic_release(struct tr_elastic *e)
{
    int64_t events = 0;
    if (e->n_held == 0)
        return;
    for (size_t i = 0; i < e->n_held; i++)
        send_now(e, &e->held[e->first_held + i], &events);
    e->holds[e->n_holds - 1].sent_ns = e->now_ns;
    e->n_held = 0;
}

/* Clients at the gateway whose time is over, the oldest first. */
void elastic_gateway_event(struct tr_elastic *e, int64_t tag)
{
    while (e->n_held > 0 && tag == (int64_t)e->n_holds) {
        const struct tr_engine_request *q = &e->held[e->first_held].engine;
        int64_t until_ns = q->arrival_ns + hold_ns(e);
        if (until_ns > e->now_ns) {
            elastic_post(e, until_ns, GATEWAY_GIVES_UP, 0, tag);
            break;
        }
        struct tr_record r = {.id = q->id,
                              .arrival_ns = q->arrival_ns,
                              .sent_ns = q->arrival_ns,
                              .scheduled_ns = -1,
                              .first_token_ns = -1,
                              .last_token_ns = -1,
                              .workload = q->workload,
                              .tenant = q->tenant,
                              .priority = q->priority,
                              .pod = -1,
                              .prompt_tok = q->prompt_tok,
                              .output_tok = q->output_tok,
                              .status = TR_TIMEOUT,
                              .cause = TR_CAUSE_STARTUP};
        e->first_held++;
        e->n_held--;
        e->inside--;
        e->stats.held_timeouts++;
        e->sink(e->sink_arg, &r);
    }
    elastic_shortage(e);
}

/* When the request was sent on, if the gateway had held it; -1. */
static int64_t held_until(const struct tr_elastic *e, int64_t id)
{
    size_t lo = 0, hi = e->n_holds; /* the first hold that begins after it */
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (e->holds[mid].first_id <= id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 && id <= e->holds[lo - 1].last_id ? e->holds[lo - 1].sent_ns : -1;
}

/* Did it wait because replicas were wanted that were not ready? The engine has found it late, and
 * knows nothing of the fleet. */
static bool for_start_up(const struct tr_elastic *e, const struct tr_record *r)
{
    if (r->cause == TR_CAUSE_NONE || r->status == TR_REJECTED)
        return false;
    if (r->sent_ns > r->arrival_ns)
        return true;
    if (r->cause != TR_CAUSE_QUEUE && r->cause != TR_CAUSE_KV && r->cause != TR_CAUSE_BATCH)
        return false;
    int64_t end_ns = r->first_token_ns >= 0 ? r->first_token_ns : r->arrival_ns + hold_ns(e);
    return 2 * elastic_short_ns(e, r->arrival_ns, end_ns) > end_ns - r->arrival_ns;
}

void elastic_record(void *arg, const struct tr_record *record)
{
    struct tr_elastic *e = arg;
    struct tr_record r = *record;
    e->inside--;
    if (e->pods[e->pod_in[r.pod]].state == POD_READY)
        elastic_load(e, r.pod, true);
    if (e->n_holds > 0)
        r.sent_ns = TR_MAX(r.sent_ns, held_until(e, r.id));
    if (r.status == TR_ABORTED) {
        tr_debug_assert(e->lost != NULL);
        ++*e->lost;
        r.cause = TR_CAUSE_LOST;
    } else if (for_start_up(e, &r)) {
        r.cause = TR_CAUSE_STARTUP;
    }
    e->sink(e->sink_arg, &r);
}

int64_t tr_elastic_waiting_since(const struct tr_elastic *e, int64_t arrival_ns, int64_t min_id)
{
    int64_t n = 0;
    for (size_t i = 0; i < e->n_held; i++) {
        const struct tr_engine_request *q = &e->held[e->first_held + i].engine;
        n += q->arrival_ns < arrival_ns && q->id >= min_id;
    }
    for (size_t p = 0; p < e->n_pods; p++) {
        const struct replica *r = &e->pods[p];
        int ctx;
        if (r->state != POD_READY && r->state != POD_ENDING)
            continue;
        struct tr_device *d = elastic_device(e, r->slot, &ctx);
        n += tr_engine_waiting_since(tr_device_engine(d, ctx), 0, arrival_ns, min_id);
    }
    return n;
}

int64_t tr_elastic_waiting(const struct tr_elastic *e)
{
    int64_t n = (int64_t)e->n_held;
    for (size_t p = 0; p < e->n_pods; p++) {
        const struct replica *r = &e->pods[p];
        int ctx;
        if (r->state != POD_READY && r->state != POD_ENDING)
            continue;
        struct tr_device *d = elastic_device(e, r->slot, &ctx);
        n += tr_engine_waiting(tr_device_engine(d, ctx));
    }
    return n;
}
