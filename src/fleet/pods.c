/* The life of a pod: wanted, bound to a slot, starting, ready, ending; and which of them end when
 * fewer are wanted. */
#include "fleet/inner.h"

#include <stdlib.h>

/* Whether an ending pod still works is looked at this often: what the kubelet takes to notice. */
#define LOOK_NS TR_NS_PER_S

static enum tally tally_of(enum pod_state s)
{
    static const enum tally of[] = {[POD_PENDING] = PODS_PENDING,
                                    [POD_STARTING] = PODS_STARTING,
                                    [POD_READY] = PODS_READY,
                                    [POD_ENDING] = PODS_ENDING};
    return of[s];
}

static void become(struct tr_elastic *e, int p, enum pod_state state)
{
    struct replica *r = &e->pods[p];
    if (r->state != POD_FREE)
        elastic_count(e, tally_of(r->state), -1);
    r->state = state;
    if (r->state != POD_FREE)
        elastic_count(e, tally_of(r->state), 1);
    else
        e->open_pod = TR_MIN(e->open_pod, (size_t)p);
}

struct tr_device *elastic_device(const struct tr_elastic *e, int slot, int *ctx)
{
    const struct place *at = &e->place[slot % e->pods_per_gpu];
    *ctx = at->pod;
    return e->device[slot / e->pods_per_gpu * e->cfg.parts + at->part];
}

/* ---- coming -------------------------------------------------------------------------------- */

static int new_pod(struct tr_elastic *e)
{
    size_t p = e->open_pod;
    while (p < e->n_pods && e->pods[p].state != POD_FREE)
        p++;
    if (p == e->n_pods)
        tr_grow(&e->pods, &e->cap_pods, ++e->n_pods, sizeof *e->pods);
    e->open_pod = p + 1;
    e->pods[p] = (struct replica){.slot = -1, .seq = e->seq++, .created_ns = e->now_ns};
    become(e, (int)p, POD_PENDING);
    e->active++;
    tr_grow(&e->pending, &e->cap_pending, e->n_pending + 1, sizeof *e->pending);
    e->pending[e->n_pending++] = (int)p;
    return (int)p;
}

/* The lowest free slot of a ready node, -1. */
static int free_slot(struct tr_elastic *e)
{
    for (; e->open_node < e->n_nodes; e->open_node++) {
        const struct node *n = &e->nodes[e->open_node];
        if (n->state != TR_NODE_READY || n->pods == e->slots)
            continue;
        int slot = e->open_node * e->slots;
        while (e->pod_in[slot] >= 0)
            slot++;
        return slot;
    }
    return -1;
}

/* The image is pulled once per node, when its first pod comes. */
static void put(struct tr_elastic *e, int p, int slot)
{
    struct replica *r = &e->pods[p];
    struct node *n = &e->nodes[slot / e->slots];
    r->slot = slot;
    e->pod_in[slot] = p;
    n->pods++;
    n->active++;
    if (n->image_ns == TR_TIME_NEVER)
        n->image_ns = e->now_ns + e->life.node.image_ns;
    become(e, p, POD_STARTING);
    elastic_tell(e, "pod-bind", slot, -1);
    elastic_post(e, TR_MAX(e->now_ns, n->image_ns) + e->life.pod.weights_ns + e->life.pod.warm_ns,
                 POD_STARTED, p, r->seq);
}

/* The pods `at`..at + n - 1 of the queue are no longer pending. */
static void leave_queue(struct tr_elastic *e, size_t at, size_t n)
{
    e->n_pending -= n;
    if (n > 0)
        memmove(e->pending + at, e->pending + at + n, (e->n_pending - at) * sizeof *e->pending);
}

void elastic_bind(struct tr_elastic *e)
{
    size_t n = 0;
    for (int slot; n < e->n_pending && (slot = free_slot(e)) >= 0; n++)
        put(e, e->pending[n], slot);
    leave_queue(e, 0, n);
}

/* Where slot `slot` stands among the ready ones, or would stand. */
static int rank_of(const struct tr_elastic *e, int slot)
{
    int lo = 0, hi = e->n_ready;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (e->ready[mid] < slot)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void started(struct tr_elastic *e, int p)
{
    struct replica *r = &e->pods[p];
    int at = rank_of(e, r->slot);
    become(e, p, POD_READY);
    r->ready_ns = e->now_ns;
    tr_grow(&e->ready, &e->cap_ready, (size_t)e->n_ready + 1, sizeof *e->ready);
    memmove(e->ready + at + 1, e->ready + at, (size_t)(e->n_ready++ - at) * sizeof *e->ready);
    e->ready[at] = r->slot;
    elastic_load(e, r->slot, true);
    if (!r->given) {
        e->ready_n++;
        e->ready_sum_ns += e->now_ns - r->created_ns;
    }
    elastic_tell(e, "pod-ready", r->slot, -1);
    elastic_release(e);
    elastic_shortage(e);
}

void elastic_pods_given(struct tr_elastic *e)
{
    for (int i = 0; i < e->wanted; i++) {
        int p = new_pod(e);
        e->pods[p].given = true;
    }
    size_t n = 0;
    for (int slot; n < e->n_pending && (slot = free_slot(e)) >= 0; n++) {
        struct replica *r = &e->pods[e->pending[n]];
        r->slot = slot;
        e->pod_in[slot] = e->pending[n];
        e->nodes[slot / e->slots].pods++;
        e->nodes[slot / e->slots].active++;
        started(e, e->pending[n]);
    }
    leave_queue(e, 0, n);
}

/* ---- going --------------------------------------------------------------------------------- */

/* Its slot is free, and an empty engine stands in it. */
static void gone(struct tr_elastic *e, int p)
{
    struct replica *r = &e->pods[p];
    int slot = r->slot, n = slot / e->slots, ctx;
    struct tr_device *d = elastic_device(e, slot, &ctx);
    tr_device_advance(d, e->now_ns);
    tr_device_restart(d, ctx, e->now_ns);
    become(e, p, POD_FREE);
    elastic_tell(e, "pod-gone", slot, -1);
    e->pod_in[slot] = -1;
    e->nodes[n].pods--;
    if (e->nodes[n].state == TR_NODE_READY)
        e->open_node = TR_MIN(e->open_node, n);
    if (e->nodes[n].pods == 0)
        elastic_node_empty(e, n);
}

static bool drained(const struct tr_elastic *e, const struct replica *r)
{
    int ctx;
    struct tr_device *d = elastic_device(e, r->slot, &ctx);
    tr_device_advance(d, e->now_ns);
    return tr_device_outstanding(d, ctx) == 0;
}

/* What it still holds is lost, and counted there. */
static void lose(struct tr_elastic *e, int p, int64_t *lost)
{
    e->lost = lost;
    gone(e, p);
    e->lost = NULL;
}

static void look_at(struct tr_elastic *e, int p)
{
    struct replica *r = &e->pods[p];
    bool spot = e->nodes[r->slot / e->slots].interrupted;
    if (drained(e, r))
        gone(e, p);
    else if (e->now_ns >= r->deadline_ns)
        lose(e, p, spot ? &e->stats.lost_to_interruptions : &e->stats.lost_to_drains);
    else
        elastic_post(e, TR_MIN(e->now_ns + LOOK_NS, r->deadline_ns), POD_LOOKED_AT, p, r->seq);
}

static void stop_routing(struct tr_elastic *e, int slot)
{
    int at = rank_of(e, slot);
    tr_debug_assert(at < e->n_ready && e->ready[at] == slot);
    memmove(e->ready + at, e->ready + at + 1, (size_t)(--e->n_ready - at) * sizeof *e->ready);
    elastic_load(e, slot, false);
}

/* A pod that waits or starts has nothing to lose and goes at once. One that ends already ends no
 * later than it would have. */
void elastic_end_pod(struct tr_elastic *e, int p, int64_t deadline_ns)
{
    struct replica *r = &e->pods[p];
    if (r->state == POD_ENDING) {
        r->deadline_ns = TR_MIN(r->deadline_ns, deadline_ns);
        return;
    }
    e->active--;
    if (r->state == POD_PENDING) {
        size_t i = e->n_pending - 1; /* the newest end first */
        while (e->pending[i] != p)
            i--;
        leave_queue(e, i, 1);
        become(e, p, POD_FREE);
        return;
    }
    e->nodes[r->slot / e->slots].active--;
    if (r->state == POD_STARTING) {
        gone(e, p);
        return;
    }
    stop_routing(e, r->slot);
    r->deadline_ns = deadline_ns;
    become(e, p, POD_ENDING);
    elastic_tell(e, "pod-end", r->slot, -1);
    elastic_shortage(e);
    look_at(e, p);
}

void elastic_pod_event(struct tr_elastic *e, const struct event *ev)
{
    const struct replica *r = &e->pods[ev->who];
    if (r->seq != ev->tag || r->state == POD_FREE)
        return;
    if (ev->kind == POD_STARTED && r->state == POD_STARTING)
        started(e, ev->who);
    else if (ev->kind == POD_LOOKED_AT && r->state == POD_ENDING)
        look_at(e, ev->who);
    elastic_bind(e);
}

/* ---- how many ------------------------------------------------------------------------------ */

/* A pod as the ReplicaSet controller ranks it for deletion (ActivePodsWithRanks, Kubernetes 1.36):
 * without a node first, then not ready, then from the node with more of its kind, then the newest.
 */
struct ranked {
    int pod, state, crowd;
    int64_t since_ns, seq;
};

static int ends_first(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    if (a->state != b->state)
        return a->state < b->state ? -1 : 1;
    if (a->crowd != b->crowd)
        return a->crowd > b->crowd ? -1 : 1;
    if (a->since_ns != b->since_ns)
        return a->since_ns > b->since_ns ? -1 : 1;
    return a->seq > b->seq ? -1 : 1;
}

static void end_some(struct tr_elastic *e, int n)
{
    struct ranked *all = tr_calloc((size_t)e->active, sizeof *all);
    size_t k = 0;
    for (size_t p = 0; p < e->n_pods; p++) {
        const struct replica *r = &e->pods[p];
        if (r->state == POD_FREE || r->state == POD_ENDING)
            continue;
        bool ready = r->state == POD_READY;
        all[k++] = (struct ranked){.pod = (int)p,
                                   .state = (int)r->state,
                                   .crowd = r->slot < 0 ? 0 : e->nodes[r->slot / e->slots].active,
                                   .since_ns = ready ? r->ready_ns : r->created_ns,
                                   .seq = r->slot < 0 ? r->seq : r->slot};
    }
    tr_debug_assert((int)k == e->active);
    qsort(all, k, sizeof *all, ends_first);
    for (int i = 0; i < n; i++)
        elastic_end_pod(e, all[i].pod, e->now_ns + e->life.pod.grace_ns);
    free(all);
}

/* As many pods as are wanted, those that are ending not counted. */
void elastic_reconcile(struct tr_elastic *e)
{
    bool more = e->active < e->wanted;
    while (e->active < e->wanted)
        new_pod(e);
    if (e->active > e->wanted)
        end_some(e, e->active - e->wanted);
    elastic_bind(e);
    elastic_shortage(e);
    if (more && e->n_pending > 0 && e->life.autoscaler.frequent_loops)
        elastic_post(e, e->now_ns, POOL_LOOP, 0, ++e->loops);
}

void elastic_want(struct tr_elastic *e, int replicas)
{
    if (replicas == e->wanted)
        return;
    e->stats.scale_ups += replicas > e->wanted;
    e->stats.scale_downs += replicas < e->wanted;
    e->wanted = replicas;
    elastic_tell(e, "replicas", replicas, -1);
    elastic_reconcile(e);
}
