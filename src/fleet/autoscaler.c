/* autoscaler: one loop of the cluster autoscaler over one pool: give up, grow, or shrink. Written
 * after kubernetes/autoscaler (static_autoscaler, clusterstate, scaledown); pods are alike and take
 * one slot each, so its bin-packing is counting. */
#include "fleet/autoscaler.h"

#include <stdlib.h>

#define S TR_NS_PER_S

/* Fixed in its source, or flags that nobody is told to touch. */
#define PENDING_GPU_NS   (30 * S)    /* unschedulablePodWithGpuTimeBuffer */
#define PENDING_NS       (2 * S)     /* unschedulablePodTimeBuffer */
#define RECHECK_NS       (300 * S)   /* unremovable-node-recheck-timeout */
#define BACKOFF_RESET_NS (10800 * S) /* node-group-backoff-reset-timeout */
#define MAX_DRAIN        1           /* max-drain-parallelism */
#define OK_UNREADY       3           /* ok-total-unready-count */
#define MAX_UNREADY      45          /* max-total-unready-percentage */

/* What it remembers of one node. */
struct memory {
    int64_t unneeded_ns; /* since when; -1: it is needed */
    int64_t recheck_ns;  /* not looked at before */
    bool draining;
};

struct tr_autoscaler {
    struct tr_autoscaler_policy policy;
    int64_t last_add_ns, last_delete_ns, last_failure_ns; /* of a removal */
    int64_t next_ns;
    int requested; /* nodes asked for since it last had all of them */
    int64_t expected_ns;
    int64_t backoff_ns, backoff_until_ns, backoff_failed_ns; /* 0: none */
    int slots_seen; /* of a ready node of the pool; 0: it has never seen one */
    int cap;
    struct memory *memory;
    int *lists; /* removals, then those given up: cap each */
};

/* What one loop counts before it decides. */
struct sums {
    int size; /* of the pool: every VM that is paid */
    int starting, leaving, draining, unready;
    int ready_free; /* slots */
    int homeless;   /* pods pending, or on nodes that are being drained */
    int moving;     /* of these the latter */
};

struct tr_autoscaler *tr_autoscaler_new(const struct tr_autoscaler_policy *policy)
{
    struct tr_autoscaler *a = tr_calloc(1, sizeof(*a));
    a->policy = *policy;
    /* A fresh autoscaler takes its last acts to be an hour old. */
    a->last_add_ns = a->last_delete_ns = a->last_failure_ns = -3600 * S;
    return a;
}

void tr_autoscaler_free(struct tr_autoscaler *a)
{
    if (!a)
        return;
    free(a->memory);
    free(a->lists);
    free(a);
}

int64_t tr_autoscaler_next_ns(const struct tr_autoscaler *a)
{
    return a->next_ns;
}

/* Failures while it backs off belong to the same trouble: they do not double the time. */
static void back_off(struct tr_autoscaler *a, int64_t now_ns)
{
    if (a->backoff_ns == 0)
        a->backoff_ns = a->policy.backoff_ns;
    else if (a->backoff_until_ns < now_ns)
        a->backoff_ns = TR_MIN(2 * a->backoff_ns, a->policy.backoff_max_ns);
    a->backoff_until_ns = now_ns + a->backoff_ns;
    a->backoff_failed_ns = now_ns;
}

void tr_autoscaler_add_failed(struct tr_autoscaler *a, int64_t now_ns)
{
    back_off(a, now_ns);
    a->requested = TR_MAX(a->requested - 1, 0);
}

void tr_autoscaler_remove_failed(struct tr_autoscaler *a, int64_t now_ns)
{
    a->last_failure_ns = now_ns;
}

static void grow(struct tr_autoscaler *a, int n)
{
    if (n <= a->cap)
        return;
    int cap = TR_MAX(n, 2 * a->cap);
    a->memory = tr_realloc(a->memory, (size_t)cap * sizeof(*a->memory));
    a->lists = tr_realloc(a->lists, 2 * (size_t)cap * sizeof(*a->lists));
    for (int i = a->cap; i < cap; i++)
        a->memory[i] = (struct memory){.unneeded_ns = -1};
    a->cap = cap;
}

static int free_slots(const struct tr_node_view *n)
{
    return n->state == TR_NODE_READY ? TR_MAX(n->slots - n->pods, 0) : 0;
}

/* Reads the view: counts, forgets nodes that are gone, learns what a node of the pool holds. */
static struct sums look(struct tr_autoscaler *a, const struct tr_pool_view *v)
{
    struct sums s = {.homeless = v->pending};
    bool seen = false;
    for (int i = 0; i < v->n_nodes; i++) {
        const struct tr_node_view *n = &v->nodes[i];
        struct memory *m = &a->memory[i];
        const bool ready = n->state == TR_NODE_READY;
        if (!ready)
            *m = (struct memory){.unneeded_ns = -1,
                                 .draining = m->draining && n->state == TR_NODE_LEAVING};
        if (ready && !seen)
            a->slots_seen = n->slots;
        seen |= ready;
        s.size += n->state != TR_NODE_NONE;
        s.starting += n->state == TR_NODE_STARTING;
        s.unready += n->state == TR_NODE_UNREADY;
        s.leaving += n->state == TR_NODE_LEAVING;
        s.draining += m->draining;
        s.moving += n->state == TR_NODE_LEAVING ? n->pods : 0;
        s.ready_free += free_slots(n);
    }
    s.homeless += s.moving;
    return s;
}

/* Pods that it believes a node holds of which it sees nothing but the order. */
static int slots_of_new(const struct tr_autoscaler *a, const struct tr_pool_view *v)
{
    if (a->slots_seen > 0)
        return a->slots_seen;
    return v->resource == TR_GPU_PLAIN ? v->gpus_of_vm : 0;
}

/* The order is fulfilled, or overdue; nodes that start for too long are given up, but never below
 * the minimum. */
static void follow_up(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *v,
                      struct sums *s, struct tr_pool_decision *out)
{
    if (a->backoff_ns > 0 && a->backoff_failed_ns + BACKOFF_RESET_NS < now_ns)
        a->backoff_ns = 0;
    if (a->requested > 0 && s->starting == 0) {
        a->requested = 0;
        a->backoff_ns = 0;
    } else if (a->requested > 0 && a->expected_ns < now_ns) {
        a->requested = 0;
        back_off(a, now_ns);
    }
    int *given_up = a->lists + a->cap;
    for (int i = 0; i < v->n_nodes; i++) {
        const struct tr_node_view *n = &v->nodes[i];
        if (n->state != TR_NODE_STARTING || n->asked_ns + a->policy.provision_max_ns >= now_ns ||
            s->size - s->leaving <= a->policy.min_nodes)
            continue;
        given_up[out->n_given_up++] = i;
        s->starting--;
        s->size--;
    }
    out->given_up = given_up;
}

/* Asks for nodes for the pods that no node holds, present or on its way. */
static void scale_up(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *v,
                     const struct sums *s, struct tr_pool_decision *out)
{
    const int slots = slots_of_new(a, v);
    const int64_t wait_ns = v->resource == TR_GPU_PLAIN ? PENDING_GPU_NS : PENDING_NS;
    int help = s->homeless - s->ready_free - s->starting * slots;
    bool young = s->moving == 0 && v->oldest_pending_ns + wait_ns > now_ns;
    bool backed_off = a->backoff_ns > 0 && a->backoff_until_ns > now_ns;
    if (help <= 0 || young || backed_off || slots == 0)
        return;
    out->add = TR_MIN((help + slots - 1) / slots, TR_MAX(a->policy.max_nodes - s->size, 0));
    if (out->add == 0)
        return;
    a->last_add_ns = now_ns;
    a->requested += out->add;
    a->expected_ns = now_ns + a->policy.provision_max_ns;
}

/* Low use, and nothing forbids its removal. */
static bool is_candidate(const struct tr_autoscaler *a, int64_t now_ns,
                         const struct tr_pool_view *v, int i)
{
    const struct tr_node_view *n = &v->nodes[i];
    if (n->state != TR_NODE_READY || n->blocked || now_ns < a->memory[i].recheck_ns)
        return false;
    /* nvidia.com/gpu is 0 on a node with renamed resources, so its use reads as 0. */
    double used = 0;
    if (v->resource == TR_GPU_PLAIN && n->slots > 0)
        used = (double)n->pods / n->slots;
    return used <= a->policy.gpu_utilization;
}

/* Could the node go, beside those found before it? *free counts the slots that are left for pods
 * that must move: those of the nodes that stay, less the pods that moved already. Pods are alike,
 * so which of these nodes takes which pod does not matter. */
static void consider(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *v, int i,
                     int *free)
{
    struct memory *m = &a->memory[i];
    const struct tr_node_view *n = &v->nodes[i];
    if (!is_candidate(a, now_ns, v, i)) {
        m->unneeded_ns = -1;
    } else if (*free - free_slots(n) < n->pods) {
        m->unneeded_ns = -1;
        m->recheck_ns = now_ns + RECHECK_NS;
    } else {
        *free -= free_slots(n) + n->pods;
        m->unneeded_ns = m->unneeded_ns >= 0 ? m->unneeded_ns : now_ns;
    }
}

/* Finds the nodes that could go together. Empty nodes are looked at first, then those that were
 * unneeded before, then the rest, each by number. What the second pass finds needed is found so
 * once more in the third. */
static void find_unneeded(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *v,
                          const struct sums *s)
{
    int free = TR_MAX(s->ready_free - s->homeless, 0);
    for (int pass = 0; pass < 3; pass++)
        for (int i = 0; i < v->n_nodes; i++) {
            int rank = v->nodes[i].pods == 0 ? 0 : a->memory[i].unneeded_ns >= 0 ? 1 : 2;
            if (rank == pass)
                consider(a, now_ns, v, i, &free);
        }
}

/* Of the unneeded, those whose time has come: empty ones together, one to drain at a time. */
static void remove_unneeded(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *v,
                            const struct sums *s, struct tr_pool_decision *out)
{
    const struct tr_autoscaler_policy *p = &a->policy;
    int spare = s->size - s->leaving - p->min_nodes;
    int budget = TR_MIN(p->max_bulk - s->leaving, spare);
    int drains = MAX_DRAIN - s->draining;
    for (int drain = 0; drain < 2; drain++) {
        for (int i = 0; i < v->n_nodes && out->n_remove < budget; i++) {
            struct memory *m = &a->memory[i];
            if (m->unneeded_ns < 0 || m->unneeded_ns + p->unneeded_ns >= now_ns ||
                (v->nodes[i].pods > 0) != drain || (drain && drains-- <= 0))
                continue;
            a->lists[out->n_remove++] = i;
            *m = (struct memory){.unneeded_ns = -1, .draining = drain};
        }
    }
    if (out->n_remove > 0)
        a->last_delete_ns = now_ns;
    out->remove = a->lists;
}

static bool cooling(const struct tr_autoscaler *a, int64_t now_ns)
{
    const struct tr_autoscaler_policy *p = &a->policy;
    return a->last_add_ns + p->delay_after_add_ns > now_ns ||
           a->last_failure_ns + p->delay_after_failure_ns > now_ns ||
           a->last_delete_ns + p->delay_after_delete_ns > now_ns;
}

void tr_autoscaler_loop(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *view,
                        struct tr_pool_decision *out)
{
    *out = (struct tr_pool_decision){0};
    grow(a, TR_MAX(view->n_nodes, 1));
    struct sums s = look(a, view);
    follow_up(a, now_ns, view, &s, out);
    a->next_ns = now_ns + a->policy.scan_ns;
    /* Many nodes broke: it trusts nothing that it sees, and waits. */
    if (s.unready > OK_UNREADY && 100 * s.unready > MAX_UNREADY * (s.size - s.starting)) {
        for (int i = 0; i < view->n_nodes; i++)
            a->memory[i].unneeded_ns = -1;
        return;
    }
    scale_up(a, now_ns, view, &s, out);
    if (out->add == 0) {
        find_unneeded(a, now_ns, view, &s);
        if (!cooling(a, now_ns))
            remove_unneeded(a, now_ns, view, &s, out);
    }
    if (a->policy.frequent_loops && (out->add > 0 || out->n_remove > 0))
        a->next_ns = now_ns;
}
