/* rate: requests per second over time, from knots and spikes, as straight segments.
 *
 * A spike adds (peak - base at its start) * y to the base rate; y rises from 0 to 1 over the ramp,
 * stays 1 for the hold, then falls as exp(-x/tau) and is cut at x = 5 tau. */
#include "traffic/parts.h"

#include <stdlib.h>

#define PIECES_PER_TAU 64
#define DECAY_TAUS     5
#define MAX_PHASE_NS   (INT64_C(90) * 86400 * TR_NS_PER_S)

struct times {
    int64_t *ns;
    size_t n, cap;
    int64_t end_ns;
};

static void add_time(struct times *t, int64_t ns)
{
    if (ns <= 0 || ns >= t->end_ns)
        return;
    tr_grow(&t->ns, &t->cap, t->n + 1, sizeof(*t->ns));
    t->ns[t->n++] = ns;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t decay_start(const struct tr_spike *s)
{
    return s->start_ns + s->ramp_ns + s->hold_ns;
}

static int64_t spike_end(const struct tr_spike *s)
{
    return decay_start(s) + DECAY_TAUS * s->decay_tau_ns;
}

/* Every time at which the rate may bend or step: sorted, each once, from 0 to the end. */
static void collect_times(const struct tr_traffic_spec *spec, int64_t end_ns, struct times *t)
{
    *t = (struct times){.end_ns = end_ns};
    for (size_t i = 0; i < spec->n_knots; i++)
        add_time(t, spec->knots[i].time_ns);
    for (size_t i = 0; i < spec->n_spikes; i++) {
        const struct tr_spike *s = &spec->spikes[i];
        add_time(t, s->start_ns);
        add_time(t, s->start_ns + s->ramp_ns);
        for (int k = 0; k <= DECAY_TAUS * PIECES_PER_TAU; k++)
            add_time(t, decay_start(s) + s->decay_tau_ns * k / PIECES_PER_TAU);
    }
    if (t->n)
        qsort(t->ns, t->n, sizeof(*t->ns), by_time);
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++)
        if (kept == 0 || t->ns[i] != t->ns[kept - 1])
            t->ns[kept++] = t->ns[i];
    t->n = kept;
    t->end_ns = INT64_MAX;
    add_time(t, end_ns);
}

/* Base rate at `t`, on the line that leaves knot `i` (-1: before the first). */
static double base_at(const struct tr_traffic_spec *spec, ptrdiff_t i, int64_t t)
{
    const struct tr_knot *k = spec->knots;

    if (i < 0)
        return k[0].rate;
    if ((size_t)i + 1 == spec->n_knots)
        return k[i].rate;
    double part = (double)(t - k[i].time_ns) / (double)(k[i + 1].time_ns - k[i].time_ns);
    return k[i].rate + (k[i + 1].rate - k[i].rate) * part;
}

/* The last knot at or before `t`, searched from `i` on. */
static ptrdiff_t knot_before(const struct tr_traffic_spec *spec, ptrdiff_t i, int64_t t)
{
    while ((size_t)(i + 1) < spec->n_knots && spec->knots[i + 1].time_ns <= t)
        i++;
    return i;
}

/* The spike's y at `t`, by the phase that holds just after `from` (from <= t). */
static double spike_y(const struct tr_spike *s, int64_t from, int64_t t)
{
    if (from - s->start_ns < s->ramp_ns)
        return (double)(t - s->start_ns) / (double)s->ramp_ns;
    if (from < decay_start(s))
        return 1.0;
    return tr_exp(-(double)(t - decay_start(s)) / (double)s->decay_tau_ns);
}

/* A spike with the height that it adds, ordered by start. */
struct rise {
    const struct tr_spike *spike;
    double height;
};

static int by_start(const void *a, const void *b)
{
    const struct rise *x = a, *y = b;
    if (x->spike->start_ns != y->spike->start_ns)
        return x->spike->start_ns < y->spike->start_ns ? -1 : 1;
    return (x->spike > y->spike) - (x->spike < y->spike);
}

static struct rise *make_rises(const struct tr_traffic_spec *spec)
{
    struct rise *rises = tr_calloc(spec->n_spikes + 1, sizeof(*rises));

    for (size_t i = 0; i < spec->n_spikes; i++) {
        const struct tr_spike *s = &spec->spikes[i];
        ptrdiff_t knot = knot_before(spec, -1, s->start_ns);
        rises[i].spike = s;
        rises[i].height = s->peak_rate - base_at(spec, knot, s->start_ns);
    }
    if (spec->n_spikes)
        qsort(rises, spec->n_spikes, sizeof(*rises), by_start);
    return rises;
}

/* One pass over the times; `rises` is eaten from its front as spikes begin, and those in progress
 * stand in `active`. */
static void fill(const struct tr_traffic_spec *spec, const struct times *t,
                 const struct rise *rises, struct tr_rate *out)
{
    struct rise *active = tr_calloc(spec->n_spikes + 1, sizeof(*active));
    size_t n_active = 0, next = 0;
    ptrdiff_t knot = -1;
    int64_t from = 0;

    out->segments = tr_calloc(t->n, sizeof(*out->segments));
    out->n = t->n;
    for (size_t i = 0; i < t->n; i++) {
        int64_t to = t->ns[i];
        struct tr_rate_segment *seg = &out->segments[i];

        knot = knot_before(spec, knot, from);
        *seg =
            (struct tr_rate_segment){from, to, base_at(spec, knot, from), base_at(spec, knot, to)};
        while (next < spec->n_spikes && rises[next].spike->start_ns <= from)
            active[n_active++] = rises[next++];
        size_t kept = 0;
        for (size_t k = 0; k < n_active; k++) {
            const struct tr_spike *s = active[k].spike;
            if (spike_end(s) <= from)
                continue;
            seg->r0 += active[k].height * spike_y(s, from, from);
            seg->r1 += active[k].height * spike_y(s, from, to);
            active[kept++] = active[k];
        }
        n_active = kept;
        from = to;
    }
    free(active);
}

static bool phase_ok(int64_t ns)
{
    return ns >= 0 && ns <= MAX_PHASE_NS;
}

static int check(const struct tr_traffic_spec *spec, struct tr_err *err)
{
    if (spec->n_knots == 0)
        return tr_err_set(err, TR_EINPUT, "traffic has no rate: give at least one");
    for (size_t i = 0; i < spec->n_knots; i++) {
        const struct tr_knot *k = &spec->knots[i];
        if (!(k->rate >= 0.0 && k->rate <= TR_MAX_RATE))
            return tr_err_set(err, TR_EINPUT,
                              "rate %zu of the traffic is %g requests/s; allowed are 0 to %g",
                              i + 1, k->rate, TR_MAX_RATE);
        if (k->time_ns < (i ? spec->knots[i - 1].time_ns : 0) || k->time_ns > TR_MAX_SPAN_NS)
            return tr_err_set(err, TR_EINPUT,
                              "rate %zu of the traffic is at %g s; times must not be negative and "
                              "not go back",
                              i + 1, (double)k->time_ns / 1e9);
    }
    if (spec->n_spikes > TR_MAX_SPIKES)
        return tr_err_set(err, TR_EINPUT, "the traffic has %zu spikes; at most %d are allowed",
                          spec->n_spikes, TR_MAX_SPIKES);
    for (size_t i = 0; i < spec->n_spikes; i++) {
        const struct tr_spike *s = &spec->spikes[i];
        if (s->start_ns < 0 || s->start_ns > TR_MAX_SPAN_NS || !phase_ok(s->ramp_ns) ||
            !phase_ok(s->hold_ns) || !phase_ok(s->decay_tau_ns))
            return tr_err_set(err, TR_EINPUT,
                              "spike %zu: start must be 0 to 100 years; ramp, hold and decay 0 to "
                              "90 days",
                              i + 1);
        double base = base_at(spec, knot_before(spec, -1, s->start_ns), s->start_ns);
        if (!(s->peak_rate >= base && s->peak_rate <= TR_MAX_RATE))
            return tr_err_set(err, TR_EINPUT,
                              "spike %zu peaks at %g requests/s; allowed are %g (the rate at its "
                              "start) to %g",
                              i + 1, s->peak_rate, base, TR_MAX_RATE);
    }
    return 0;
}

int tr_rate_build(const struct tr_traffic_spec *spec, int64_t end_ns, struct tr_rate *out,
                  struct tr_err *err)
{
    struct times t;
    int rc = check(spec, err);

    if (rc)
        return rc;
    collect_times(spec, end_ns, &t);
    struct rise *rises = make_rises(spec);
    fill(spec, &t, rises, out);
    free(rises);
    free(t.ns);
    return 0;
}

void tr_rate_lead(struct tr_rate *rate, int64_t lead_ns)
{
    struct tr_rate_segment *segments = tr_calloc(rate->n + 1, sizeof(*segments));
    double r0 = rate->segments[0].r0;

    segments[0] = (struct tr_rate_segment){0, lead_ns, r0, r0};
    for (size_t i = 0; i < rate->n; i++) {
        segments[i + 1] = rate->segments[i];
        segments[i + 1].t0_ns += lead_ns;
        segments[i + 1].t1_ns += lead_ns;
    }
    free(rate->segments);
    rate->segments = segments;
    rate->n++;
}

void tr_rate_free(struct tr_rate *rate)
{
    free(rate->segments);
    *rate = (struct tr_rate){0};
}
