/* The life of a node: asked for, joined, offering its GPUs, leaving, gone. */
#include "fleet/inner.h"

#include <stdlib.h>

/* Azure, AWS and Google all announce that a spot VM will be taken; Azure and Google half a minute
 * before (docs/fleet.md). */
#define NOTICE_NS (30 * TR_NS_PER_S)

/* Nobody lives longer: keeps times far from the end of int64. */
#define LIFE_MAX_NS (TR_TIME_NEVER / 8)

static enum tally tally_of(const struct node *n)
{
    switch (n->state) {
    case TR_NODE_READY:
        return NODES_READY;
    case TR_NODE_LEAVING:
        return NODES_LEAVING;
    default:
        return n->joined ? NODES_STARTING : NODES_ASKED;
    }
}

static void become(struct tr_elastic *e, int i, enum tr_node_state state, bool joined)
{
    struct node *n = &e->nodes[i];
    if (n->state != TR_NODE_NONE)
        elastic_count(e, tally_of(n), -1);
    n->state = state;
    n->joined = joined;
    if (n->state != TR_NODE_NONE)
        elastic_count(e, tally_of(n), 1);
}

/* The lowest number that is free; where none is, one more. */
static int free_number(struct tr_elastic *e)
{
    int i = 0;
    while (i < e->n_nodes && e->nodes[i].state != TR_NODE_NONE)
        i++;
    if (i < e->n_nodes)
        return i;
    size_t n = (size_t)++e->n_nodes;
    tr_grow(&e->nodes, &e->cap_nodes, n, sizeof *e->nodes);
    e->nodes[i] = (struct node){.ask = -1, .image_ns = TR_TIME_NEVER};
    tr_grow(&e->device, &e->cap_device, n * (size_t)e->devices_per_node, sizeof(*e->device));
    tr_grow(&e->busy_ns, &e->cap_busy, n * (size_t)e->devices_per_node, sizeof *e->busy_ns);
    tr_grow(&e->pod_in, &e->cap_slots, n * (size_t)e->slots, sizeof *e->pod_in);
    if (e->by_load)
        tr_least_grow(&e->least, e->n_nodes * e->slots);
    for (int s = i * e->slots; s < e->n_nodes * e->slots; s++)
        e->pod_in[s] = -1;
    return i;
}

/* The devices of a number outlive its nodes: their engines are restarted with every pod. */
static void make_devices(struct tr_elastic *e, int i)
{
    const struct tr_fleet_config *c = &e->cfg;
    int first = i * e->slots;
    for (int k = 0; k < e->devices_per_node; k++) {
        struct tr_device **d = &e->device[i * e->devices_per_node + k];
        struct tr_device_config dc = c->device[k % c->parts];
        dc.first_pod = first;
        first += dc.n_pods;
        if (*d != NULL)
            continue;
        *d = tr_device_new(&dc, elastic_record, e);
        if (e->trace != NULL)
            tr_device_trace(*d, e->trace, e->trace_arg);
    }
}

static void offer(struct tr_elastic *e, int i)
{
    become(e, i, TR_NODE_READY, true);
    make_devices(e, i);
    e->open_node = TR_MIN(e->open_node, i);
    elastic_tell(e, "node-ready", i, -1);
}

/* When the cloud takes a spot node back depends on its ask alone. */
static void plan_interruption(struct tr_elastic *e, int i)
{
    double per_h = e->life.node.interrupts_per_h;
    if (per_h <= 0)
        return;
    double life_ns =
        tr_rng_exp(e->cfg.seed, tr_rng_stream("spot", 0, 0), (uint64_t)e->nodes[i].ask) * 3600e9 /
        per_h;
    if (life_ns < (double)LIFE_MAX_NS)
        elastic_post(e, e->now_ns + (int64_t)life_ns, NODE_NOTICE, i, e->nodes[i].ask);
}

void elastic_node_given(struct tr_elastic *e)
{
    int i = free_number(e);
    struct node *n = &e->nodes[i];
    n->ask = e->asks++;
    n->image_ns = e->now_ns;
    offer(e, i);
    plan_interruption(e, i);
}

void elastic_ask(struct tr_elastic *e)
{
    const struct tr_node_life *life = &e->life.node;
    int i = free_number(e);
    struct node *n = &e->nodes[i];
    int64_t ask = e->asks++;
    e->stats.asks++;
    if (tr_rng_unit(e->cfg.seed, tr_rng_stream("stock-out", 0, 0), (uint64_t)ask) <
        life->stockout) {
        e->stats.failed_asks++;
        tr_autoscaler_add_failed(e->autoscaler, e->now_ns);
        elastic_tell(e, "node-none", i, ask);
        return;
    }
    n->ask = ask;
    n->asked_ns = e->now_ns;
    n->evicted = n->interrupted = false;
    become(e, i, TR_NODE_STARTING, false);
    elastic_tell(e, "node-ask", i, ask);
    elastic_post(e, e->now_ns + (n->stopped ? life->vm_again_ns : life->vm_ns), NODE_JOINED, i,
                 ask);
}

/* Its VM is deleted, or only stopped. */
static void end_node(struct tr_elastic *e, int i)
{
    struct node *n = &e->nodes[i];
    tr_debug_assert(n->pods == 0);
    n->stopped = e->life.node.deallocate && !n->interrupted && n->joined;
    if (!n->stopped)
        n->image_ns = TR_TIME_NEVER;
    n->ask = -1;
    become(e, i, TR_NODE_NONE, false);
    elastic_tell(e, "node-gone", i, -1);
}

void elastic_give_up(struct tr_elastic *e, int i)
{
    e->stats.given_up++;
    end_node(e, i);
}

void elastic_remove(struct tr_elastic *e, int i)
{
    struct node *n = &e->nodes[i];
    tr_debug_assert(n->state == TR_NODE_READY);
    e->stats.removals++;
    become(e, i, TR_NODE_LEAVING, true);
    elastic_tell(e, "node-leave", i, -1);
    elastic_post(e, e->now_ns + e->life.autoscaler.taint_ns, NODE_EVICTS, i, n->ask);
}

/* Tells every pod on the node to end by `deadline_ns`; their replicas are wanted elsewhere. */
static void evict(struct tr_elastic *e, int i, int64_t deadline_ns)
{
    e->nodes[i].evicted = true;
    for (int slot = i * e->slots; slot < (i + 1) * e->slots; slot++)
        if (e->pod_in[slot] >= 0)
            elastic_end_pod(e, e->pod_in[slot], deadline_ns);
    elastic_reconcile(e);
}

void elastic_node_empty(struct tr_elastic *e, int i)
{
    struct node *n = &e->nodes[i];
    if (n->state == TR_NODE_LEAVING && n->evicted && !n->interrupted)
        end_node(e, i);
}

static void notice(struct tr_elastic *e, int i)
{
    struct node *n = &e->nodes[i];
    e->stats.interruptions++;
    n->interrupted = true;
    become(e, i, TR_NODE_LEAVING, true);
    elastic_tell(e, "node-spot", i, -1);
    elastic_post(e, e->now_ns + NOTICE_NS, NODE_KILLED, i, n->ask);
    evict(e, i, e->now_ns + NOTICE_NS);
}

void elastic_node_event(struct tr_elastic *e, const struct event *ev)
{
    const struct tr_scaling *life = &e->life;
    int i = ev->who;
    struct node *n = &e->nodes[i];
    if (n->ask != ev->tag)
        return;
    if (ev->kind == NODE_JOINED) {
        become(e, i, TR_NODE_STARTING, true);
        elastic_post(e, e->now_ns + life->node.driver_ns, NODE_OFFERS, i, n->ask);
        plan_interruption(e, i);
    } else if (ev->kind == NODE_OFFERS && n->state == TR_NODE_STARTING) {
        offer(e, i);
        elastic_bind(e);
    } else if (ev->kind == NODE_EVICTS && !n->interrupted) {
        evict(e, i, e->now_ns + TR_MIN(life->pod.grace_ns, life->autoscaler.grace_ns));
        if (n->pods == 0 && n->ask == ev->tag)
            elastic_node_empty(e, i);
    } else if (ev->kind == NODE_NOTICE) {
        notice(e, i);
    } else if (ev->kind == NODE_KILLED) {
        end_node(e, i); /* its pods have reached their deadline just before */
    }
}
