/* What an elastic fleet counts: how many nodes and pods in each state for how long, when it was
 * short of replicas, and its timeline. */
#include "fleet/inner.h"

#include <stdlib.h>

#define MAX_POINTS 4096 /* of the timeline */

void elastic_catch_up(struct tr_elastic *e)
{
    int64_t span_ns = e->now_ns - e->tallied_ns;
    tr_debug_assert(span_ns >= 0);
    for (int i = 0; span_ns > 0 && i < N_TALLIES; i++)
        e->sum_ns[i] += (tr_u128)e->count[i] * (tr_u128)span_ns;
    e->tallied_ns = e->now_ns;
}

void elastic_count(struct tr_elastic *e, enum tally kind, int64_t by)
{
    elastic_catch_up(e);
    e->count[kind] += by;
    tr_debug_assert(e->count[kind] >= 0);
}

/* ---- shortage -------------------------------------------------------------------------------- */

void elastic_shortage(struct tr_elastic *e)
{
    bool now = e->n_ready < e->wanted || e->n_held > 0;
    if (now == (e->count[SHORT] > 0))
        return;
    elastic_count(e, SHORT, now ? 1 : -1);
    if (!now) {
        e->shortages[e->n_shortages - 1].to_ns = e->now_ns;
        return;
    }
    struct shortage *last = e->n_shortages > 0 ? &e->shortages[e->n_shortages - 1] : NULL;
    int64_t before_ns = last != NULL ? last->before_ns + last->to_ns - last->from_ns : 0;
    tr_grow(&e->shortages, &e->cap_shortages, e->n_shortages + 1, sizeof *e->shortages);
    e->shortages[e->n_shortages++] = (struct shortage){e->now_ns, TR_TIME_NEVER, before_ns};
}

/* Short time from the start of the run to `time_ns`. */
static int64_t short_until(const struct tr_elastic *e, int64_t time_ns)
{
    size_t lo = 0, hi = e->n_shortages; /* the first that begins after time_ns */
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (e->shortages[mid].from_ns <= time_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return 0;
    const struct shortage *s = &e->shortages[lo - 1];
    return s->before_ns + TR_MIN(time_ns, s->to_ns) - s->from_ns;
}

int64_t elastic_short_ns(const struct tr_elastic *e, int64_t from_ns, int64_t to_ns)
{
    return short_until(e, to_ns) - short_until(e, from_ns);
}

/* ---- timeline -------------------------------------------------------------------------------- */

static bool same_counts(const struct tr_timeline_point *a, const struct tr_timeline_point *b)
{
    return a->nodes == b->nodes && a->nodes_ready == b->nodes_ready && a->wanted == b->wanted &&
           a->ready == b->ready;
}

/* Changes closer together than the grain are one: the last of them counts. */
static void add_point(struct tr_elastic *e, const struct tr_timeline_point *p)
{
    struct tr_timeline_point *last = e->n_points > 0 ? &e->points[e->n_points - 1] : NULL;
    if (last != NULL && same_counts(last, p))
        return;
    if (last != NULL && p->time_ns - last->time_ns < TR_MAX(e->grain_ns, 1)) {
        int64_t time_ns = last->time_ns;
        *last = *p;
        last->time_ns = time_ns;
    } else {
        e->points[e->n_points++] = *p;
    }
}

void elastic_point(struct tr_elastic *e)
{
    const int64_t *n = e->count;
    struct tr_timeline_point p = {
        .time_ns = e->now_ns,
        .nodes = (int32_t)(n[NODES_ASKED] + n[NODES_STARTING] + n[NODES_READY] + n[NODES_LEAVING]),
        .nodes_ready = (int32_t)n[NODES_READY],
        .wanted = e->wanted,
        .ready = e->n_ready,
    };
    e->stats.nodes_max = TR_MAX(e->stats.nodes_max, p.nodes);
    e->stats.ready_max = TR_MAX(e->stats.ready_max, p.ready);
    e->stats.wanted_max = TR_MAX(e->stats.wanted_max, p.wanted);
    if (e->points == NULL)
        e->points = tr_calloc(MAX_POINTS, sizeof *e->points);
    while (e->n_points == MAX_POINTS) {
        size_t old = e->n_points;
        e->grain_ns = TR_MAX(2 * e->grain_ns, TR_NS_PER_S);
        e->n_points = 0;
        for (size_t i = 0; i < old; i++) {
            struct tr_timeline_point q = e->points[i];
            add_point(e, &q);
        }
    }
    add_point(e, &p);
}

const struct tr_timeline_point *tr_elastic_timeline(const struct tr_elastic *e, size_t *n)
{
    *n = e->n_points;
    return e->points;
}

void elastic_tell(struct tr_elastic *e, const char *what, int who, int64_t id)
{
    if (e->trace != NULL)
        e->trace(e->trace_arg, &(struct tr_trace_event){
                                   .time_ns = e->now_ns, .what = what, .pod = who, .id = id});
}

/* ---- the sums -------------------------------------------------------------------------------- */

static double seconds(tr_u128 ns)
{
    return (double)ns / 1e9;
}

static void add_times(const struct tr_elastic *e, struct tr_scale_stats *s)
{
    const tr_u128 *ns = e->sum_ns;
    s->node_asked_s = seconds(ns[NODES_ASKED]);
    s->node_starting_s = seconds(ns[NODES_STARTING]);
    s->node_ready_s = seconds(ns[NODES_READY]);
    s->node_leaving_s = seconds(ns[NODES_LEAVING]);
    s->node_hours =
        seconds(ns[NODES_ASKED] + ns[NODES_STARTING] + ns[NODES_READY] + ns[NODES_LEAVING]) / 3600;
    s->pod_pending_s = seconds(ns[PODS_PENDING]);
    s->pod_starting_s = seconds(ns[PODS_STARTING]);
    s->pod_ready_s = seconds(ns[PODS_READY]);
    s->pod_ending_s = seconds(ns[PODS_ENDING]);
    s->short_s = seconds(ns[SHORT]);
    s->span_s = (double)e->now_ns / 1e9;
    if (e->ready_n > 0)
        s->start_mean_s = (double)e->ready_sum_ns / 1e9 / (double)e->ready_n;
}

struct tr_fleet_stats tr_elastic_stats(struct tr_elastic *e)
{
    elastic_catch_up(e);
    struct tr_fleet_stats s = {.pods = e->n_nodes * e->slots,
                               .simulated_pods = e->n_nodes * e->slots,
                               .inside = e->inside,
                               .scale = e->stats};
    add_times(e, &s.scale);
    double device_s = (s.scale.node_ready_s + s.scale.node_leaving_s) * e->devices_per_node;
    double pod_us = (s.scale.pod_ready_s + s.scale.pod_ending_s) * 1e6;
    for (int i = 0; i < e->n_nodes * e->devices_per_node; i++)
        if (e->device[i] != NULL) {
            struct tr_share_stats share = tr_device_stats(e->device[i]);
            s.busy_ns += share.busy_ns;
            s.switch_ns += share.switch_ns;
            s.slices += share.slices;
        }
    /* Steps in flight when their pod ended may end after the node that they were on. */
    s.busy_fraction = device_s > 0 ? TR_MIN((double)s.busy_ns / 1e9 / device_s, 1.0) : 0;
    for (int slot = 0; slot < e->n_nodes * e->slots; slot++) {
        int ctx;
        struct tr_device *d = elastic_device(e, slot, &ctx);
        if (d == NULL)
            continue;
        const struct tr_device_config *dc = &e->cfg.device[e->place[slot % e->pods_per_gpu].part];
        fleet_add_engine(&s, tr_engine_stats(tr_device_engine(d, ctx)),
                         tr_device_engine_config(dc, ctx)->num_gpu_blocks, TR_MAX(pod_us, 1), 1);
    }
    tr_debug_assert(s.kv_max <= 1);
    return s;
}
