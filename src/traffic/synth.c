/* synth: arrivals from a description.
 *
 * Arrivals are the points at which the cumulative rate reaches a sum of gaps of mean 1: exponential
 * gaps make a Poisson process, gamma gaps a burstier or calmer one, gaps of exactly 1 an even one.
 * The cumulative rate is integrated exactly, cell by cell: in a cell the rate is a straight line
 * times a constant, so that its inverse is the root of a quadratic. A cell ends where the rate's
 * segment ends and, under modulation, with the second. */
#include "traffic/synth.h"

#include <math.h>

void tr_synth_rewind(struct tr_synth *s)
{
    s->index = 0;
    s->segment = 0;
    s->at_ns = 0;
    s->cell = (struct tr_synth_cell){0};
    s->second = -1;
    s->multiplier = 1.0;
    s->tenant = -1;
    if (s->model->n_voices)
        tr_voices_rewind(s);
}

/* Moves the modulation to second `second`. Its logarithm is a first-order autoregression:
 * stationary from the first second, of mean -variance/2, so that the multiplier's mean is 1. */
static void modulate(struct tr_synth *s, int64_t second)
{
    const struct tr_synth_model *m = s->model;

    while (s->second < second) {
        s->second++;
        double z = tr_rng_normal(s->seed, m->modulation_stream, (uint64_t)s->second);
        s->ln_deviation =
            s->second == 0 ? m->ln_sd * z : m->rho * s->ln_deviation + m->innovation_sd * z;
    }
    s->multiplier = tr_exp(s->ln_deviation - 0.5 * m->ln_sd * m->ln_sd);
}

/* A stretch from at_ns on in which the rate is a straight line. */
struct stretch {
    int64_t end_ns;
    double rate, slope; /* at at_ns, 1/s; 1/s^2 */
};

/* By segments alone: the curve is not shifted. */
static bool next_stretch(struct tr_synth *s, int64_t curve_ns, int64_t ahead_ns,
                         struct stretch *out)
{
    const struct tr_rate *rate = &s->model->rate;

    while (s->segment < rate->n && rate->segments[s->segment].t1_ns <= curve_ns)
        s->segment++;
    if (s->segment == rate->n)
        return false;
    const struct tr_rate_segment *seg = &rate->segments[s->segment];
    out->slope = (seg->r1 - seg->r0) / ((double)(seg->t1_ns - seg->t0_ns) * 1e-9);
    out->rate = seg->r0 + out->slope * ((double)(curve_ns - seg->t0_ns) * 1e-9);
    out->end_ns = seg->t1_ns - ahead_ns;
    return true;
}

/* Of a shifted curve: what is passed at its end goes on at its start. */
static bool next_shifted(struct tr_synth *s, struct stretch *out)
{
    const struct tr_synth_model *m = s->model;
    int64_t period_end_ns = m->rate.segments[m->rate.n - 1].t1_ns;
    bool leads = s->at_ns < m->lead_ns;
    int64_t at_ns = TR_MAX(s->at_ns, m->lead_ns), ahead_ns = m->shift_ns;

    if (at_ns >= period_end_ns)
        return false;
    if (at_ns >= period_end_ns - ahead_ns)
        ahead_ns -= period_end_ns - m->lead_ns;
    if (m->rate.segments[s->segment].t0_ns > at_ns + ahead_ns)
        s->segment = 0;
    bool more = next_stretch(s, at_ns + ahead_ns, ahead_ns, out);
    tr_assert(more);
    out->end_ns = TR_MIN(out->end_ns, period_end_ns);
    if (leads) {
        out->end_ns = m->lead_ns;
        out->slope = 0.0;
    }
    return true;
}

/* Opens the cell that begins at at_ns; false at the end of the period. */
static bool next_cell(struct tr_synth *s)
{
    const struct tr_synth_model *m = s->model;
    struct stretch stretch;

    if (m->shift_ns ? !next_shifted(s, &stretch) : !next_stretch(s, s->at_ns, 0, &stretch))
        return false;
    int64_t end_ns = stretch.end_ns;
    if (m->ln_sd > 0.0) {
        int64_t second = s->at_ns / TR_NS_PER_S;
        end_ns = TR_MIN(end_ns, (second + 1) * TR_NS_PER_S);
        modulate(s, second);
    }
    double factor = s->multiplier * m->rate_scale;
    double length_s = (double)(end_ns - s->at_ns) * 1e-9;

    s->cell.t0_ns = s->at_ns;
    s->cell.length_s = length_s;
    s->cell.x_s = 0.0;
    s->cell.rate = stretch.rate * factor;
    s->cell.slope = stretch.slope * factor;
    s->cell.left = TR_MAX(0.0, (s->cell.rate + 0.5 * s->cell.slope * length_s) * length_s);
    s->at_ns = end_ns;
    return true;
}

/* Goes on by `need` expected arrivals inside the cell, which has more than that left. */
static int64_t advance(struct tr_synth_cell *c, double need)
{
    double root = sqrt(TR_MAX(0.0, c->rate * c->rate + 2.0 * c->slope * need));
    double step = c->rate + root > 0.0 ? 2.0 * need / (c->rate + root) : 0.0;

    c->x_s = TR_MIN(c->x_s + step, c->length_s);
    c->rate = root;
    c->left -= need;
    return c->t0_ns + (int64_t)(c->x_s * 1e9);
}

static double gap(struct tr_synth *s)
{
    const struct tr_synth_model *m = s->model;

    switch (m->process) {
    case TR_POISSON:
        return tr_rng_exps_at(&s->exps, s->seed, m->gap_stream, s->index);
    case TR_GAMMA:
        return tr_rng_gamma(s->seed, m->gap_stream, s->index, m->burstiness);
    case TR_CONSTANT:
        break;
    }
    /* The first stands half a gap after the start: rounding can then not add or lose the last. */
    return s->index == 0 ? 0.5 : 1.0;
}

bool tr_synth_next(struct tr_synth *s, int64_t *time_ns)
{
    if (s->model->max_requests && (int64_t)s->index >= s->model->max_requests)
        return false;
    if (s->voices)
        return tr_voices_next(s, time_ns);
    double need = gap(s);
    while (!(need < s->cell.left)) {
        need -= s->cell.left;
        s->cell.left = 0.0;
        if (!next_cell(s))
            return false;
    }
    *time_ns = advance(&s->cell, need);
    s->index++;
    return true;
}

int tr_synth_model_init(struct tr_synth_model *m, const struct tr_traffic_spec *spec,
                        struct tr_err *err)
{
    int64_t duration_ns = spec->duration_ns;

    *m = (struct tr_synth_model){.process = spec->process,
                                 .burstiness = spec->burstiness,
                                 .rate_scale = spec->rate_scale,
                                 .max_requests = spec->max_requests,
                                 .gap_stream = tr_rng_stream("traffic gap", 0, 0),
                                 .modulation_stream = tr_rng_stream("traffic modulation", 0, 0)};
    if (m->process == TR_GAMMA && m->burstiness == 1.0)
        m->process = TR_POISSON;
    if (m->process == TR_GAMMA && !(m->burstiness >= 0.1 && m->burstiness <= 1e6))
        return tr_err_set(err, TR_EINPUT, "burstiness %g; allowed are 0.1 to 1e6 (1 is Poisson)",
                          m->burstiness);
    if (duration_ns < 0 || duration_ns > TR_MAX_SPAN_NS || (duration_ns == 0 && !m->max_requests))
        return tr_err_set(err, TR_EINPUT,
                          "traffic without an end: give a duration, up to 100 years, or a number "
                          "of requests");
    if (duration_ns == 0) {
        if (spec->n_knots && !(spec->knots[spec->n_knots - 1].rate > 0.0))
            return tr_err_set(err, TR_EINPUT,
                              "traffic whose last rate is 0 needs a duration, not only a number "
                              "of requests");
        duration_ns = TR_MAX_SPAN_NS;
    }
    if (!(spec->modulation_variance >= 0.0 && spec->modulation_variance <= 100.0))
        return tr_err_set(err, TR_EINPUT, "modulation variance %g; allowed are 0 to 100",
                          spec->modulation_variance);
    if (spec->modulation_variance > 0.0) {
        if (spec->modulation_time_ns <= 0)
            return tr_err_set(err, TR_EINPUT, "the modulation's correlation time must be above 0");
        double time_s = (double)spec->modulation_time_ns * 1e-9;
        m->rho = tr_exp(-TR_MIN(1.0 / time_s, 700.0));
        m->ln_sd = sqrt(tr_ln(1.0 + spec->modulation_variance));
        m->innovation_sd = m->ln_sd * sqrt(1.0 - m->rho * m->rho);
    }
    return tr_rate_build(spec, duration_ns, &m->rate, err);
}

int64_t tr_synth_span_ns(const struct tr_synth_model *m, uint64_t seed)
{
    int64_t end_ns = m->rate.segments[m->rate.n - 1].t1_ns, time_ns = 0;
    struct tr_synth s = {.model = m, .seed = seed};

    if (!m->max_requests)
        return end_ns;
    tr_synth_rewind(&s);
    while (tr_synth_next(&s, &time_ns))
        ;
    tr_synth_free(&s);
    return (int64_t)s.index == m->max_requests ? time_ns : end_ns;
}
