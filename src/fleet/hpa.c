/* hpa: one sync of the horizontal pod autoscaler: what the metric asks for, what the past allows,
 * how fast it may go. Written after Kubernetes 1.36, pkg/controller/podautoscaler. */
#include "fleet/hpa.h"

#include <math.h>
#include <stdlib.h>

/* A wish (replicas) or a change (replicas added or removed) and when. */
struct past {
    int64_t time_ns;
    int value;
};
struct history {
    struct past *items; /* oldest first */
    size_t n, cap;
};

struct tr_hpa {
    struct tr_hpa_policy policy;
    bool started;
    struct history wishes;     /* before stabilization */
    struct history ups, downs; /* changes written; only with a `behavior` */
    int64_t longest_window_ns; /* of stabilization */
    int64_t longest_period_ns; /* of a policy */
    int64_t target_milli;      /* Kubernetes computes in thousandths */
};

struct tr_hpa *tr_hpa_new(const struct tr_hpa_policy *policy)
{
    struct tr_hpa *h = tr_calloc(1, sizeof(*h));
    const struct tr_hpa_rules *up = &policy->up, *down = &policy->down;
    h->policy = *policy;
    h->longest_window_ns =
        policy->has_behavior ? TR_MAX(up->window_ns, down->window_ns) : policy->stabilization_ns;
    h->longest_period_ns = TR_MAX(TR_MAX(up->pods_period_ns, up->percent_period_ns),
                                  TR_MAX(down->pods_period_ns, down->percent_period_ns));
    h->target_milli = (int64_t)floor(policy->target * 1000 + 0.5);
    tr_assert(h->target_milli > 0 && policy->max_replicas > 0);
    return h;
}

void tr_hpa_free(struct tr_hpa *h)
{
    if (!h)
        return;
    free(h->wishes.items);
    free(h->ups.items);
    free(h->downs.items);
    free(h);
}

/* Adds, and forgets what is older than `keep_ns`. */
static void history_add(struct history *h, int64_t now_ns, int value, int64_t keep_ns)
{
    size_t old = 0;
    while (old < h->n && h->items[old].time_ns < now_ns - keep_ns)
        old++;
    if (old > 0) {
        h->n -= old;
        memmove(h->items, h->items + old, h->n * sizeof(h->items[0]));
    }
    tr_grow(&h->items, &h->cap, h->n + 1, sizeof(h->items[0]));
    h->items[h->n++] = (struct past){now_ns, value};
}

static bool within(double ratio, double tolerance)
{
    return 1.0 - tolerance <= ratio && ratio <= 1.0 + tolerance;
}

/* The mean of `n` pods over the target. The mean is cut to thousandths, as Kubernetes does. */
static double mean_ratio(const struct tr_hpa *h, int64_t sum_milli, int n)
{
    return (double)(sum_milli / n) / (double)h->target_milli;
}

/* What the metric asks for: type Pods. -1: no pod has told its metric, so nothing is known. */
static int pods_wish(const struct tr_hpa *h, const struct tr_hpa_view *v)
{
    const double tolerance = h->policy.tolerance;
    int64_t sum_milli = (int64_t)(v->sum * 1000);
    int n = v->ready;
    if (n == 0)
        return -1;
    double ratio = mean_ratio(h, sum_milli, n);
    /* Pending pods matter only when it would grow: they stand at 0 then. */
    bool with_pending = v->pending > 0 && ratio > 1.0;
    if (!with_pending && v->starting == 0)
        return within(ratio, tolerance) ? v->current : (int)ceil(ratio * n);

    /* Pods without a metric stand at the target when it would shrink, else at 0. */
    if (ratio < 1.0)
        sum_milli += h->target_milli * v->starting;
    n += v->starting + (with_pending ? v->pending : 0);
    double again = mean_ratio(h, sum_milli, n);
    if (within(again, tolerance) || (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0))
        return v->current;
    int wish = (int)ceil(again * n);
    if ((again < 1.0 && wish > v->current) || (again > 1.0 && wish < v->current))
        return v->current;
    return wish;
}

/* The same: type External with AverageValue. Pods count whether they are ready or not. */
static int external_wish(const struct tr_hpa *h, const struct tr_hpa_view *v)
{
    const int pods = v->ready + v->pending + v->starting;
    const double sum_milli = (double)(int64_t)(v->sum * 1000);
    const double target_milli = (double)h->target_milli;
    if (pods > 0 && within(sum_milli / (target_milli * pods), h->policy.tolerance))
        return pods;
    return (int)ceil(sum_milli / target_milli);
}

/* Without a `behavior`: the largest wish of the window, at most doubling. */
static int normalize(struct tr_hpa *h, int64_t now_ns, int current, int wish, int min)
{
    const int64_t window_ns = h->policy.stabilization_ns;
    int largest = wish;
    for (size_t i = 0; i < h->wishes.n; i++)
        if (h->wishes.items[i].time_ns >= now_ns - window_ns)
            largest = TR_MAX(largest, h->wishes.items[i].value);
    history_add(&h->wishes, now_ns, wish, h->longest_window_ns);
    int most = TR_MIN(h->policy.max_replicas, TR_MAX(2 * current, 4));
    return TR_MAX(TR_MIN(largest, most), min);
}

/* Sum of the changes within the last `period_ns`. */
static int changed(const struct history *events, int64_t now_ns, int64_t period_ns)
{
    int sum = 0;
    for (size_t i = 0; i < events->n; i++)
        if (events->items[i].time_ns > now_ns - period_ns)
            sum += events->items[i].value;
    return sum;
}

/* How far one direction may go now: from where each policy's period began, and at least (at most,
 * going down) where it stands. */
static int reach(const struct tr_hpa *h, int64_t now_ns, int current, bool up)
{
    const struct tr_hpa_rules *r = up ? &h->policy.up : &h->policy.down;
    const int sign = up ? 1 : -1;
    if (r->select == TR_HPA_DISABLED)
        return current;
    bool any = false;
    int best = current;
    for (int percent = 0; percent < 2; percent++) {
        int64_t period_ns = percent ? r->percent_period_ns : r->pods_period_ns;
        if (period_ns == 0)
            continue;
        int start =
            current - changed(&h->ups, now_ns, period_ns) + changed(&h->downs, now_ns, period_ns);
        int to = start + sign * r->pods;
        if (percent && up)
            to = (int)ceil(start * (1 + r->percent / 100.0));
        else if (percent)
            to = (int)(start * (1 - r->percent / 100.0));
        bool further = sign * to > sign * best;
        if (!any || further == (r->select == TR_HPA_MAX))
            best = to;
        any = true;
    }
    return up ? TR_MAX(best, current) : TR_MIN(best, current);
}

/* With a `behavior`: up no further than the least wish of its window, down no further than the
 * largest of its own; then the policies' rates. */
static int normalize_with_rules(struct tr_hpa *h, int64_t now_ns, int current, int wish, int min)
{
    const struct tr_hpa_policy *p = &h->policy;
    int least = wish, largest = wish;
    for (size_t i = 0; i < h->wishes.n; i++) {
        const struct past *w = &h->wishes.items[i];
        if (w->time_ns > now_ns - p->up.window_ns)
            least = TR_MIN(least, w->value);
        if (w->time_ns > now_ns - p->down.window_ns)
            largest = TR_MAX(largest, w->value);
    }
    history_add(&h->wishes, now_ns, wish, h->longest_window_ns);
    int to = TR_MIN(TR_MAX(current, least), largest);
    if (to > current)
        return TR_MIN(to, TR_MIN(p->max_replicas, reach(h, now_ns, current, true)));
    if (to < current)
        return TR_MAX(to, TR_MAX(min, reach(h, now_ns, current, false)));
    return to;
}

int tr_hpa_sync(struct tr_hpa *h, int64_t now_ns, const struct tr_hpa_view *view)
{
    const struct tr_hpa_policy *p = &h->policy;
    const int current = view->current, min = TR_MAX(p->min_replicas, 1);
    int to;
    if (!h->started)
        history_add(&h->wishes, now_ns, current, h->longest_window_ns);
    h->started = true;
    if (current == 0) /* switched off: only KEDA, or a person, can wake it */
        return 0;
    if (current > p->max_replicas) {
        to = p->max_replicas;
    } else if (current < min) {
        to = min;
    } else {
        int wish = p->external ? external_wish(h, view) : pods_wish(h, view);
        if (wish < 0)
            return current;
        to = p->has_behavior ? normalize_with_rules(h, now_ns, current, wish, min)
                             : normalize(h, now_ns, current, wish, min);
    }
    if (p->has_behavior && to > current)
        history_add(&h->ups, now_ns, to - current, h->longest_period_ns);
    if (p->has_behavior && to < current)
        history_add(&h->downs, now_ns, current - to, h->longest_period_ns);
    return to;
}
