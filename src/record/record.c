/* Records to outcomes: counts and histograms. */
#include "record/record.h"

#include <math.h>
#include <stdlib.h>

const char *tr_metric_name(enum tr_metric m)
{
    static const char *const names[TR_N_METRICS] = {"TTFT", "TPOT", "E2E"};
    return names[m];
}

const char *tr_cause_name(enum tr_cause c)
{
    static const char *const names[TR_N_CAUSES] = {
#define X(name, text) text,
        TR_CAUSES(X)
#undef X
    };
    return names[c];
}

const char *tr_label_name(enum tr_label l)
{
    static const char *const names[] = {"stable", "backlogged", "overloaded"};
    return names[l];
}

int64_t tr_record_metric(const struct tr_record *r, enum tr_metric m)
{
    if (r->status != TR_DONE)
        return INT64_MAX;
    switch (m) {
    case TR_TTFT:
        return r->first_token_ns - r->arrival_ns;
    case TR_TPOT:
        return r->output_tok > 1 ? (r->last_token_ns - r->first_token_ns) / (r->output_tok - 1) : 0;
    default:
        return r->last_token_ns - r->arrival_ns;
    }
}

void tr_outcome_init(struct tr_outcome *o)
{
    *o = (struct tr_outcome){.first_arrival_ns = INT64_MAX, .last_arrival_ns = -1};
}

void tr_outcome_free(struct tr_outcome *o)
{
    for (int m = 0; m < TR_N_METRICS; m++)
        tr_hist_free(&o->metric[m]);
    for (int i = 0; i < o->n_tiers; i++)
        tr_hist_free(&o->tier[i].ttft);
    tr_hist_free(&o->queue);
    free(o->windows);
    tr_outcome_init(o);
}

static struct tr_window *window_at(struct tr_outcome *o, int64_t time_ns)
{
    size_t i = (size_t)(time_ns / TR_WINDOW_NS);
    if (i >= o->n_windows) {
        size_t cap = o->n_windows;
        tr_grow((void **)&o->windows, &cap, i + 1, sizeof *o->windows);
        memset(o->windows + o->n_windows, 0, (cap - o->n_windows) * sizeof *o->windows);
        o->n_windows = cap;
    }
    return &o->windows[i];
}

static void count_status(struct tr_outcome *o, const struct tr_record *r)
{
    switch (r->status) {
    case TR_DONE:
        o->done++;
        o->prompt_tok += r->prompt_tok;
        o->output_tok += r->output_tok;
        for (int m = 0; m < TR_N_METRICS; m++)
            tr_hist_add(&o->metric[m], tr_record_metric(r, (enum tr_metric)m), 1);
        break;
    case TR_REJECTED:
        o->rejected++;
        break;
    case TR_TIMEOUT:
        o->timed_out++;
        break;
    default:
        o->aborted++;
        break;
    }
}

static struct tr_tier *tier_of(struct tr_outcome *o, int32_t priority)
{
    int i = 0;
    while (i < o->n_tiers && o->tier[i].priority < priority)
        i++;
    if (i < o->n_tiers && o->tier[i].priority == priority)
        return &o->tier[i];
    if (o->n_tiers == TR_MAX_TIERS)
        return &o->tier[TR_MIN(i, TR_MAX_TIERS - 1)];
    memmove(&o->tier[i + 1], &o->tier[i], (size_t)(o->n_tiers++ - i) * sizeof o->tier[0]);
    o->tier[i] = (struct tr_tier){.priority = priority};
    return &o->tier[i];
}

static void count_tier(struct tr_outcome *o, const struct tr_record *r, bool inside)
{
    struct tr_tier *t = tier_of(o, r->priority);
    t->offered++;
    t->inside_all += inside;
    if (r->status == TR_DONE)
        tr_hist_add(&t->ttft, tr_record_metric(r, TR_TTFT), 1);
}

/* By how much a done request is beyond its objectives. */
static int64_t excess_ns(const struct tr_slo *slo, const struct tr_record *r)
{
    int64_t most = 0;
    for (int i = 0; i < slo->n; i++) {
        const struct tr_objective *obj = &slo->objective[i];
        int64_t over = tr_record_metric(r, obj->metric) - obj->limit_ns;
        most = TR_MAX(most, obj->metric == TR_TPOT ? over * (r->output_tok - 1) : over);
    }
    return most;
}

/* Why a request is outside its objectives. One that is done and whose first token came in time lost
 * its time later, or before that where no objective asks for the first token. */
static enum tr_cause cause_of(const struct tr_slo *slo, const struct tr_record *r)
{
    if (r->cause != TR_CAUSE_NONE || r->status != TR_DONE)
        return r->cause;
    int64_t half_ns = excess_ns(slo, r) / 2;
    if (r->preemptions > 0)
        return TR_CAUSE_PREEMPTION;
    if (r->lost_ns > half_ns)
        return TR_CAUSE_NEIGHBOUR;
    bool waited = r->scheduled_ns >= 0 && r->scheduled_ns - r->arrival_ns > half_ns;
    for (int i = 0; waited && i < slo->n; i++)
        waited = slo->objective[i].metric == TR_E2E;
    return waited ? TR_CAUSE_QUEUE : TR_CAUSE_DECODE;
}

void tr_outcome_add(struct tr_outcome *o, const struct tr_slo *slo, const struct tr_record *r,
                    bool in_spike)
{
    bool all = true;
    o->offered++;
    o->spike_offered += in_spike;
    o->preemptions += r->preemptions;
    for (int i = 0; i < slo->n; i++) {
        const struct tr_objective *obj = &slo->objective[i];
        bool inside = r->status == TR_DONE && tr_record_metric(r, obj->metric) <= obj->limit_ns;
        o->inside[i] += inside;
        o->spike_inside[i] += inside && in_spike;
        all = all && inside;
    }
    o->inside_all += all;
    o->spike_inside_all += all && in_spike;
    if (!all)
        o->missed[cause_of(slo, r)]++;
    count_status(o, r);
    if (o->by_priority)
        count_tier(o, r, all);
    o->first_arrival_ns = TR_MIN(o->first_arrival_ns, r->arrival_ns);
    o->last_arrival_ns = TR_MAX(o->last_arrival_ns, r->arrival_ns);
    o->end_ns = TR_MAX(o->end_ns, TR_MAX(r->arrival_ns, r->last_token_ns));
    window_at(o, r->arrival_ns)->arrived++;
    if (r->scheduled_ns >= 0) {
        tr_hist_add(&o->queue, r->scheduled_ns - r->arrival_ns, 1);
        window_at(o, r->scheduled_ns)->admitted++;
    } else if (r->status == TR_REJECTED && r->cause == TR_CAUSE_TOO_LONG) {
        window_at(o, r->arrival_ns)->admitted++; /* no load: it never was work */
    }
}

void tr_outcome_merge(struct tr_outcome *into, const struct tr_outcome *from)
{
    into->offered += from->offered;
    into->done += from->done;
    into->rejected += from->rejected;
    into->timed_out += from->timed_out;
    into->aborted += from->aborted;
    into->spike_offered += from->spike_offered;
    for (int i = 0; i < 8; i++) {
        into->inside[i] += from->inside[i];
        into->spike_inside[i] += from->spike_inside[i];
    }
    into->inside_all += from->inside_all;
    into->spike_inside_all += from->spike_inside_all;
    for (int i = 0; i < TR_N_CAUSES; i++)
        into->missed[i] += from->missed[i];
    into->prompt_tok += from->prompt_tok;
    into->output_tok += from->output_tok;
    into->preemptions += from->preemptions;
    for (int m = 0; m < TR_N_METRICS; m++)
        tr_hist_merge(&into->metric[m], &from->metric[m]);
    tr_hist_merge(&into->queue, &from->queue);
    into->first_arrival_ns = TR_MIN(into->first_arrival_ns, from->first_arrival_ns);
    into->last_arrival_ns = TR_MAX(into->last_arrival_ns, from->last_arrival_ns);
    into->end_ns = TR_MAX(into->end_ns, from->end_ns);
    into->by_priority = into->by_priority || from->by_priority;
    for (int i = 0; i < from->n_tiers; i++) {
        struct tr_tier *t = tier_of(into, from->tier[i].priority);
        t->offered += from->tier[i].offered;
        t->inside_all += from->tier[i].inside_all;
        tr_hist_merge(&t->ttft, &from->tier[i].ttft);
    }
    into->stopped_early = into->stopped_early || from->stopped_early;
    for (size_t i = 0; i < from->n_windows; i++) {
        struct tr_window *w = window_at(into, (int64_t)i * TR_WINDOW_NS);
        w->arrived += from->windows[i].arrived;
        w->admitted += from->windows[i].admitted;
    }
}

double tr_outcome_inside(const struct tr_outcome *o, int i, bool spikes)
{
    int64_t of = spikes ? o->spike_offered : o->offered;
    int64_t in = spikes ? o->spike_inside[i] : o->inside[i];
    return of > 0 ? (double)in / (double)of : (double)NAN;
}

bool tr_outcome_meets(const struct tr_outcome *o, const struct tr_slo *slo)
{
    if (o->offered == 0)
        return false;
    for (int i = 0; i < slo->n; i++) {
        double inside = tr_outcome_inside(o, i, slo->spikes_only);
        if (inside < slo->objective[i].fraction) /* no spikes: NAN, met */
            return false;
    }
    return true;
}

/* The backlog at a moment is what has arrived less what has been admitted by then. Over some time
 * it grows when the growth exceeds chance and start-up: 5 % of what arrived in that time, and 20.
 */
static bool grew(struct tr_window over)
{
    int64_t growth = over.arrived - over.admitted;
    return growth > 20 && growth * 20 > over.arrived;
}

static void window_add(struct tr_window *sum, const struct tr_window *w, int sign)
{
    sum->arrived += sign * w->arrived;
    sum->admitted += sign * w->admitted;
}

/* Looks at the windows that were over when the last request came: what is admitted later is no
 * merit of a run that had fallen behind. */
enum tr_label tr_outcome_label(const struct tr_outcome *o)
{
    struct tr_window whole = {0}, last = {0}; /* the run; the last `span` windows of it */
    size_t busy = 0, grown = 0;               /* of the run cut into spans */
    bool ever = false;
    if (o->last_arrival_ns < 0)
        return TR_STABLE;
    size_t n = TR_MIN((size_t)(o->last_arrival_ns / TR_WINDOW_NS), o->n_windows);
    size_t span = TR_MIN((size_t)(TR_BACKLOG_NS / TR_WINDOW_NS), n);
    for (size_t i = 0; i < n; i++) {
        window_add(&whole, &o->windows[i], 1);
        window_add(&last, &o->windows[i], 1);
        if (i >= span)
            window_add(&last, &o->windows[i - span], -1);
        bool now = i + 1 >= span && grew(last);
        ever = ever || now;
        if ((i + 1) % span == 0) {
            busy += last.arrived > 0;
            grown += now;
        }
    }
    if (grew(whole) && 2 * grown >= busy)
        return TR_OVERLOADED;
    return ever ? TR_BACKLOGGED : TR_STABLE;
}
