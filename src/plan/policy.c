/* One autoscaling policy: its rules for a candidate, and what a run of it says. */
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

void tr_policy_scaling(const struct tr_candidate *c, const struct tr_scenario *s,
                       const struct tr_policy *policy, struct tr_scaling *out)
{
    const struct tr_workload *w = &s->workload;
    int slots = c->arrangement.n_pods * c->node->gpus;
    *out = (struct tr_scaling){.hpa = w->hpa,
                               .keda = w->keda,
                               .autoscaler = s->autoscaler,
                               .node = s->node_life,
                               .pod = w->pod_life};
    out->autoscaler.unneeded_ns = policy->unneeded_ns;
    out->autoscaler.min_nodes = policy->min_nodes;
    out->autoscaler.max_nodes = policy->max_nodes;
    out->hpa.target = policy->target;
    /* A node without a replica serves nobody. */
    out->hpa.min_replicas = TR_MAX(w->hpa.min_replicas, policy->min_nodes * slots);
    out->hpa.max_replicas = policy->max_nodes * slots;
    if (w->hpa.max_replicas > 0)
        out->hpa.max_replicas = TR_MIN(out->hpa.max_replicas, w->hpa.max_replicas);
    out->hpa.min_replicas = TR_MIN(out->hpa.min_replicas, out->hpa.max_replicas);
    tr_pod_life_fill(&out->pod, c->memory[0].weights_bytes);
}

int64_t tr_scaling_start_ns(const struct tr_scaling *s)
{
    return s->node.vm_ns + s->node.driver_ns + s->node.image_ns + s->pod.weights_ns +
           s->pod.warm_ns;
}

/* ---- what a run says ------------------------------------------------------------------------- */

/* Means over equal spans of a step function: point i holds until point i + 1. */
static void spans(struct tr_policy_run *out, const struct tr_timeline_point *points, size_t n,
                  int64_t span_ns)
{
    int64_t each_ns = TR_MAX(span_ns / TR_TIMELINE_SPANS, 1);
    for (size_t i = 0; i < n; i++) {
        int64_t from_ns = points[i].time_ns;
        int64_t to_ns = i + 1 < n ? points[i + 1].time_ns : span_ns;
        for (int k = 0; k < TR_TIMELINE_SPANS; k++) {
            int64_t a = TR_MAX(from_ns, k * each_ns), b = TR_MIN(to_ns, (k + 1) * each_ns);
            double part = b > a ? (double)(b - a) / (double)each_ns : 0;
            out->nodes[k] += part * points[i].nodes;
            out->ready[k] += part * points[i].ready;
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    if (n == 0)
        return (double)NAN;
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[(n - 1) / 2];
}

/* Seconds from `from_ns` on until more replicas are ready than were; NAN: not before `until_ns`. */
static double first_answer(const struct tr_timeline_point *points, size_t n, int64_t from_ns,
                           int64_t until_ns)
{
    int32_t had = INT32_MAX;
    for (size_t i = 0; i < n && points[i].time_ns < until_ns; i++)
        if (points[i].time_ns <= from_ns)
            had = points[i].ready;
        else if (points[i].ready > had)
            return (double)(points[i].time_ns - from_ns) / (double)TR_NS_PER_S;
    return (double)NAN;
}

static void answers(struct tr_policy_run *out, const struct tr_spikes *spikes,
                    const struct tr_timeline_point *points, size_t n)
{
    const int64_t minute_ns = 60 * TR_NS_PER_S;
    double *lengths = tr_calloc((size_t)spikes->n_minutes + 1, sizeof *lengths);
    double *waits = tr_calloc((size_t)spikes->n_minutes + 1, sizeof *waits);
    for (int64_t m = 0; m < spikes->n_minutes;) {
        int64_t end = m;
        while (end < spikes->n_minutes && spikes->count[end] > spikes->limit)
            end++;
        if (end > m) {
            double wait = first_answer(points, n, m * minute_ns, end * minute_ns);
            lengths[out->spikes++] = 60.0 * (double)(end - m);
            if (!isnan(wait))
                waits[out->answered++] = wait;
        }
        m = end + 1;
    }
    out->spike_s = median(lengths, out->spikes);
    out->answer_s = median(waits, out->answered);
    free(lengths);
    free(waits);
}

void tr_policy_read(struct tr_policy_run *out, const struct tr_candidate *c,
                    const struct tr_scenario *s, const struct tr_spikes *spikes,
                    const struct tr_sim_result *result)
{
    const struct tr_outcome *o = &result->outcome;
    const struct tr_scale_stats *scale = &result->fleet.scale;
    double list = c->node->usd_per_h * TR_HOURS_PER_MONTH;
    double reserved = c->node->reserved_usd_per_h * TR_HOURS_PER_MONTH;
    int64_t span_ns = TR_MAX(spikes->span_ns, 1);
    out->meets = result->meets && tr_objective_carried(result, &s->workload.slo);
    out->inside = (double)o->inside_all / (double)TR_MAX(o->offered, 1);
    out->spike_inside = (double)o->spike_inside_all / (double)o->spike_offered;
    const struct tr_hist *first = &o->metric[s->workload.slo.objective[0].metric];
    out->p50_ns = first->count > 0 ? tr_hist_quantile(first, 0.50) : 0;
    out->p95_ns = first->count > 0 ? tr_hist_quantile(first, 0.95) : 0;
    out->node_hours = scale->node_hours;
    out->nodes_mean = scale->node_hours * 3600 / scale->span_s;
    out->nodes_max = scale->nodes_max;
    out->usd_per_month = out->nodes_mean * list;
    out->reserved_base_usd_per_month =
        out->policy.min_nodes * reserved + (out->nodes_mean - out->policy.min_nodes) * list;
    out->short_s = scale->short_s;
    out->start_mean_s = scale->start_mean_s;
    spans(out, result->timeline, result->n_timeline, span_ns);
    answers(out, spikes, result->timeline, result->n_timeline);
}
