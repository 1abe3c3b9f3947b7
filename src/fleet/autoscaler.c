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

/* One node in the simulated placement of one loop. */
struct place {
    int pods, free;
    bool open;      /* takes pods: ready, and not itself to be removed */
    bool candidate; /* low use, and nothing forbids its removal */
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
    struct place *places;
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
    free(a->places);
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
    a->places = tr_realloc(a->places, (size_t)cap * sizeof(*a->places));
    a->lists = tr_realloc(a->lists, 2 * (size_t)cap * sizeof(*a->lists));
    for (int i = a->cap; i < cap; i++)
        a->memory[i] = (struct memory){.unneeded_ns = -1};
    a->cap = cap;
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
        a->places[i] = (struct place){
            .pods = n->pods, .free = ready ? TR_MAX(n->slots - n->pods, 0) : 0, .open = ready};
        s.size += n->state != TR_NODE_NONE;
        s.starting += n->state == TR_NODE_STARTING;
        s.unready += n->state == TR_NODE_UNREADY;
        s.leaving += n->state == TR_NODE_LEAVING;
        s.draining += m->draining;
        s.moving += n->state == TR_NODE_LEAVING ? n->pods : 0;
        s.ready_free += a->places[i].free;
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

/* Asks for nodes for the pods that no node holds, present or on its way. Returns whether pods too
 * young to act on forbid shrinking in this loop. */
static bool scale_up(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *v,
                     const struct sums *s, struct tr_pool_decision *out)
{
    const int slots = slots_of_new(a, v);
    const int64_t wait_ns = v->resource == TR_GPU_PLAIN ? PENDING_GPU_NS : PENDING_NS;
    int help = s->homeless - s->ready_free - s->starting * slots;
    if (help <= 0)
        return false;
    if (s->moving == 0 && v->oldest_pending_ns + wait_ns > now_ns)
        return true;
    bool backed_off = a->backoff_ns > 0 && a->backoff_until_ns > now_ns;
    if (slots == 0 || backed_off)
        return false;
    int add = TR_MIN((help + slots - 1) / slots, a->policy.max_nodes - s->size);
    if (add <= 0)
        return false;
    out->add = add;
    a->last_add_ns = now_ns;
    a->requested += add;
    a->expected_ns = now_ns + a->policy.provision_max_ns;
    return false;
}

/* Puts `pods` on open nodes, the lowest numbers first. *first only grows: free slots only shrink.
 */
static void put(struct tr_autoscaler *a, int n, int *first, int pods)
{
    while (pods > 0 && *first < n) {
        struct place *p = &a->places[*first];
        if (!p->open || p->free == 0) {
            ++*first;
            continue;
        }
        int k = TR_MIN(pods, p->free);
        p->free -= k;
        p->pods += k;
        pods -= k;
    }
}

static bool is_candidate(const struct tr_autoscaler *a, int64_t now_ns,
                         const struct tr_pool_view *v, int i)
{
    const struct tr_node_view *n = &v->nodes[i];
    if (n->state != TR_NODE_READY || n->blocked || now_ns < a->memory[i].recheck_ns)
        return false;
    /* nvidia.com/gpu is 0 on a node with renamed resources, so its use reads as 0. */
    double used = 0;
    if (v->resource == TR_GPU_PLAIN && n->slots > 0)
        used = (double)a->places[i].pods / n->slots;
    return used <= a->policy.gpu_utilization;
}

/* A node that could go now: its pods fit on those that stay, beside the pods of nodes found before
 * it. *free counts the slots of open nodes. */
static void consider(struct tr_autoscaler *a, int64_t now_ns, int n, int i, int *first, int *free)
{
    struct memory *m = &a->memory[i];
    struct place *p = &a->places[i];
    if (!p->candidate) {
        m->unneeded_ns = -1;
    } else if (*free - p->free < p->pods) {
        p->candidate = false;
        m->unneeded_ns = -1;
        m->recheck_ns = now_ns + RECHECK_NS;
    } else {
        p->open = false;
        *free -= p->free + p->pods;
        put(a, n, first, p->pods);
        m->unneeded_ns = m->unneeded_ns >= 0 ? m->unneeded_ns : now_ns;
    }
}

/* Finds the nodes that could go together. Empty nodes are looked at first, then those that were
 * unneeded before, then the rest, each by number. Pods without a node are placed before. */
static void find_unneeded(struct tr_autoscaler *a, int64_t now_ns, const struct tr_pool_view *v,
                          const struct sums *s)
{
    int first = 0, free = TR_MAX(s->ready_free - s->homeless, 0);
    put(a, v->n_nodes, &first, TR_MIN(s->homeless, s->ready_free));
    for (int i = 0; i < v->n_nodes; i++)
        a->places[i].candidate = is_candidate(a, now_ns, v, i);
    for (int pass = 0; pass < 3; pass++)
        for (int i = 0; i < v->n_nodes; i++) {
            const struct place *p = &a->places[i];
            int rank = p->pods == 0 ? 0 : a->memory[i].unneeded_ns >= 0 ? 1 : 2;
            if (p->open && rank == pass)
                consider(a, now_ns, v->n_nodes, i, &first, &free);
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
                (a->places[i].pods > 0) != drain || (drain && drains-- <= 0))
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
    grow(a, view->n_nodes);
    struct sums s = look(a, view);
    follow_up(a, now_ns, view, &s, out);
    a->next_ns = now_ns + a->policy.scan_ns;
    /* Many nodes broke: it trusts nothing that it sees, and waits. */
    if (s.unready > OK_UNREADY && 100 * s.unready > MAX_UNREADY * (s.size - s.starting)) {
        for (int i = 0; i < view->n_nodes; i++)
            a->memory[i].unneeded_ns = -1;
        return;
    }
    bool young = scale_up(a, now_ns, view, &s, out);
    if (out->add == 0) {
        find_unneeded(a, now_ns, view, &s);
        if (!young && !cooling(a, now_ns))
            remove_unneeded(a, now_ns, view, &s, out);
    }
    if (a->policy.frequent_loops && (out->add > 0 || out->n_remove > 0))
        a->next_ns = now_ns;
}
