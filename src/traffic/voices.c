/* voices: the arrivals of tenants who each have a curve of their own, merged by time.
 *
 * At synchrony 1 all tenants follow one curve and each request's tenant is drawn. Below it each
 * tenant has a part of its requests on the same curve, shifted around the period by a drawn time
 * and modulated by itself: its mean rate and its share stay what they are, only when its peaks come
 * changes. */
#include "traffic/synth.h"

#include <stdlib.h>

int tr_synth_model_part(struct tr_synth_model *m, const struct tr_traffic_spec *spec, uint64_t seed,
                        struct tr_err *err)
{
    uint64_t shift_stream = tr_rng_stream("traffic tenant shift", 0, 0);
    uint64_t seed_stream = tr_rng_stream("traffic tenant curve", 0, 0);
    double own = spec->own_curve;
    struct tr_synth_model base = *m;

    if (own == 0.0 || spec->n_tenants < 2)
        return 0;
    if (!(own > 0.0 && own <= 1.0))
        return tr_err_set(err, TR_EINPUT,
                          "%g of the requests on curves of tenants' own; allowed "
                          "are 0 to 1",
                          own);
    if (spec->n_tenants > TR_MAX_VOICES || spec->duration_ns <= 0)
        return tr_err_set(err, TR_EINPUT,
                          "curves of tenants' own need a duration, and at most %d "
                          "tenants",
                          TR_MAX_VOICES);
    int64_t period_ns = m->rate.segments[m->rate.n - 1].t1_ns - m->lead_ns;
    m->voices = tr_calloc((size_t)spec->n_tenants + 1, sizeof(*m->voices));
    base.max_requests = 0;
    if (own < 1.0) {
        m->voices[m->n_voices] = (struct tr_voice_model){base, seed, -1};
        m->voices[m->n_voices++].synth.rate_scale *= 1.0 - own;
    }
    for (int i = 0; i < spec->n_tenants; i++) {
        struct tr_voice_model *v = &m->voices[m->n_voices++];
        uint64_t number = (uint64_t)i;

        *v = (struct tr_voice_model){base, tr_rng_u64(seed, seed_stream, number), i};
        v->synth.rate_scale *= own * spec->shares[i];
        v->synth.shift_ns = (int64_t)(tr_rng_unit(seed, shift_stream, number) * (double)period_ns);
    }
    return 0;
}

static bool before(const struct tr_voice *a, const struct tr_voice *b)
{
    return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->number < b->number);
}

static void sink(struct tr_synth *s, size_t at)
{
    struct tr_voice moved = s->voices[at];

    for (size_t child = 2 * at + 1; child < s->n_live; child = 2 * at + 1) {
        child += child + 1 < s->n_live && before(&s->voices[child + 1], &s->voices[child]);
        if (!before(&s->voices[child], &moved))
            break;
        s->voices[at] = s->voices[child];
        at = child;
    }
    s->voices[at] = moved;
}

void tr_voices_rewind(struct tr_synth *s)
{
    const struct tr_synth_model *m = s->model;

    if (!s->voices)
        s->voices = tr_calloc(m->n_voices, sizeof(*s->voices));
    s->n_live = 0;
    for (size_t i = 0; i < m->n_voices; i++) {
        struct tr_voice *v = &s->voices[s->n_live];

        *v = (struct tr_voice){.number = i};
        v->synth.model = &m->voices[i].synth;
        v->synth.seed = m->voices[i].seed;
        tr_synth_rewind(&v->synth);
        s->n_live += tr_synth_next(&v->synth, &v->time_ns);
    }
    for (size_t at = s->n_live / 2; at-- > 0;)
        sink(s, at);
}

bool tr_voices_next(struct tr_synth *s, int64_t *time_ns)
{
    struct tr_voice *first = &s->voices[0];

    if (s->n_live == 0)
        return false;
    *time_ns = first->time_ns;
    s->tenant = s->model->voices[first->number].tenant;
    s->index++;
    if (!tr_synth_next(&first->synth, &first->time_ns))
        *first = s->voices[--s->n_live];
    if (s->n_live)
        sink(s, 0);
    return true;
}

void tr_synth_free(struct tr_synth *s)
{
    free(s->voices);
    s->voices = NULL;
}

void tr_synth_model_free(struct tr_synth_model *m)
{
    free(m->voices);
    m->voices = NULL;
    m->n_voices = 0;
    tr_rate_free(&m->rate);
}
