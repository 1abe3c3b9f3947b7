/* stats: what a stream of arrivals looks like, in one pass and bounded memory.
 *
 * Windows are laid end to end from time 0; only those that end within the span count, so that a
 * last partial one cannot pass for a lull. Quantiles and the median are exact: values are small
 * integers and are counted one by one. */
#include "traffic/reuse.h"

#include <math.h>
#include <stdlib.h>

static const int64_t peak_windows_ns[] = {TR_NS_PER_S, 10 * TR_NS_PER_S, 60 * TR_NS_PER_S,
                                          3600 * TR_NS_PER_S};
enum { MINUTE = 2 }; /* in peak_windows_ns */

/* How often each of the values 0, 1, 2, ... occurred. */
struct tally {
    int64_t *times;
    size_t cap;
    int64_t count;
};

static void tally_add(struct tally *t, int64_t value, int64_t times)
{
    tr_grow(&t->times, &t->cap, (size_t)value + 1, sizeof(*t->times));
    t->times[value] += times;
    t->count += times;
}

/* The smallest value with at least q * count values at or below it. */
static int64_t tally_quantile(const struct tally *t, double q)
{
    int64_t below = 0;

    for (size_t i = 0; i < t->cap; i++) {
        below += t->times[i];
        if (below > 0 && (double)below >= q * (double)t->count)
            return (int64_t)i;
    }
    return 0;
}

/* Counts of arrivals in windows of one width. */
struct windows {
    int64_t width_ns, n_whole; /* windows that end within the span */
    int64_t current, count;    /* the window that is being filled */
    int64_t max;
    double sum, sum_squares;
    struct tally *tally; /* also keep the counts themselves */
};

static void close_window(struct windows *w)
{
    w->max = TR_MAX(w->max, w->count);
    w->sum += (double)w->count;
    w->sum_squares += (double)w->count * (double)w->count;
    if (w->tally)
        tally_add(w->tally, w->count, 1);
}

/* Closes every window before `window`; those without arrivals add nothing but their number. */
static void windows_reach(struct windows *w, int64_t window)
{
    window = TR_MIN(window, w->n_whole);
    if (window <= w->current)
        return;
    close_window(w);
    if (w->tally && window - w->current > 1)
        tally_add(w->tally, 0, window - w->current - 1);
    w->current = window;
    w->count = 0;
}

static void windows_add(struct windows *w, int64_t time_ns)
{
    windows_reach(w, time_ns / w->width_ns);
    w->count++;
}

static double peak_over_mean(const struct windows *w)
{
    return w->n_whole >= 2 && w->sum > 0.0 ? (double)w->max * (double)w->n_whole / w->sum : NAN;
}

/* Variance (of a sample) over mean. The sums are exact in a double: counts are integers. */
static double index_of_dispersion(const struct windows *w)
{
    double n = (double)w->n_whole;

    if (w->n_whole < 2 || !(w->sum > 0.0))
        return NAN;
    double mean = w->sum / n;
    return (w->sum_squares - w->sum * mean) / (n - 1.0) / mean;
}

/* Mean and variance of the gaps, by Welford's recurrence (no cancellation). */
struct gaps {
    int64_t n, last_ns;
    double mean, squares;
};

static void gaps_add(struct gaps *g, int64_t time_ns, bool first)
{
    if (!first) {
        double gap = (double)(time_ns - g->last_ns);
        double off = gap - g->mean;
        g->n++;
        g->mean += off / (double)g->n;
        g->squares += off * (gap - g->mean);
    }
    g->last_ns = time_ns;
}

/* Which sessions have been seen, one bit each. */
struct sessions {
    uint8_t *seen;
    size_t cap;
    int64_t n, turns;
};

static void sessions_add(struct sessions *s, int64_t session)
{
    if (session < 0)
        return;
    size_t byte = (size_t)session / 8;
    uint8_t bit = (uint8_t)(1 << (session % 8));
    tr_grow(&s->seen, &s->cap, byte + 1, 1);
    s->n += !(s->seen[byte] & bit);
    s->seen[byte] |= bit;
    s->turns++;
}

static void quantiles(const struct tally *t, int32_t out[4])
{
    static const double at[4] = {0.50, 0.90, 0.95, 0.99};

    for (int i = 0; i < 4; i++)
        out[i] = (int32_t)tally_quantile(t, at[i]);
}

void tr_traffic_measure(struct tr_source *src, struct tr_traffic_stats *out)
{
    struct windows windows[TR_LEN(peak_windows_ns)] = {0};
    struct tally prompts = {0}, outputs = {0}, minutes = {0};
    struct gaps gaps = {0};
    struct sessions sessions = {0};
    struct tr_reuse reuse = {0};
    int64_t reused_tok = 0;
    struct tr_arrival a;

    *out = (struct tr_traffic_stats){.span_ns = tr_source_span_ns(src),
                                     .n_tenants = tr_source_tenants(src)};
    for (size_t i = 0; i < TR_LEN(windows); i++) {
        windows[i].width_ns = peak_windows_ns[i];
        windows[i].n_whole = out->span_ns / peak_windows_ns[i];
    }
    windows[MINUTE].tally = &minutes;
    tr_source_rewind(src);
    while (tr_source_next(src, &a)) {
        gaps_add(&gaps, a.time_ns, out->requests == 0);
        for (size_t i = 0; i < TR_LEN(windows); i++)
            windows_add(&windows[i], a.time_ns);
        tally_add(&prompts, a.prompt_tok, 1);
        tally_add(&outputs, a.output_tok, 1);
        out->prompt_tok += a.prompt_tok;
        out->output_tok += a.output_tok;
        out->requests++;
        sessions_add(&sessions, a.session);
        if (a.chain.n)
            reused_tok += tr_reuse_add(&reuse, &a);
    }
    tr_source_rewind(src);
    out->rate = out->span_ns ? (double)out->requests / ((double)out->span_ns * 1e-9) : NAN;
    for (size_t i = 0; i < TR_LEN(windows); i++) {
        windows_reach(&windows[i], windows[i].n_whole);
        out->peak_over_mean[i] = peak_over_mean(&windows[i]);
        if (i < TR_LEN(out->idc))
            out->idc[i] = index_of_dispersion(&windows[i]);
    }
    out->prefix_reuse = out->prompt_tok ? (double)reused_tok / (double)out->prompt_tok : 0.0;
    out->sessions = sessions.n;
    out->mean_turns = sessions.n ? (double)sessions.turns / (double)sessions.n : NAN;
    out->iat_cv = gaps.n >= 2 && gaps.mean > 0.0
                      ? sqrt(gaps.squares / (double)(gaps.n - 1)) / gaps.mean
                      : NAN;
    out->median_minute_rate =
        minutes.count ? (double)tally_quantile(&minutes, 0.5) / 60.0 : out->rate;
    quantiles(&prompts, out->prompt_q);
    quantiles(&outputs, out->output_q);
    free(prompts.times);
    free(outputs.times);
    free(minutes.times);
    free(sessions.seen);
    tr_reuse_free(&reuse);
}
