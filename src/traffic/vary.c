/* vary: the same requests, changed in one respect each.
 *
 * Burst moves times along the piecewise linear map between two cumulative counts of minutes: that
 * of the traffic as it is, and that in which each minute has its rate to the power `burst`. */
#include "traffic/source.h"

#include <stdlib.h>

#define MINUTE_NS (60 * TR_NS_PER_S)

static bool is_identity(const struct tr_variation *v)
{
    return v->burst == 1.0 && v->prompt == 1.0 && v->shared < 0.0;
}

struct tr_varied *tr_varied_new(const struct tr_variation *v)
{
    if (is_identity(v))
        return NULL;
    struct tr_varied *varied = tr_calloc(1, sizeof(*varied));

    atomic_store(&varied->users, 1);
    varied->v = *v;
    varied->shared_key = tr_rng_stream("traffic shared prompt", 0, 0);
    return varied;
}

void tr_varied_release(struct tr_varied *varied)
{
    if (!varied || atomic_fetch_sub(&varied->users, 1) > 1)
        return;
    free(varied->as_is);
    free(varied->wanted);
    free(varied);
}

/* ---- burst ---------------------------------------------------------------------------------- */

static double minute_s(const struct tr_varied *varied, size_t i)
{
    int64_t start_ns = (int64_t)i * MINUTE_NS;
    return (double)TR_MIN(varied->span_ns - start_ns, MINUTE_NS) * 1e-9;
}

static double count_of(const struct tr_varied *varied)
{
    double count = 0.0;

    for (size_t i = 0; i < varied->n_minutes; i++)
        count += varied->as_is[i + 1];
    return count;
}

/* From the counts of the minutes to both cumulative counts. */
static void accumulate(struct tr_varied *varied)
{
    double burst = varied->v.burst, count = count_of(varied), weight = 0.0;
    double *as_is = varied->as_is, *wanted = varied->wanted;

    double mean_rate = count / ((double)varied->span_ns * 1e-9);
    for (size_t i = 0; i < varied->n_minutes; i++) {
        double length_s = minute_s(varied, i);
        double rate = as_is[i + 1] / length_s / mean_rate;
        double part = burst == 0.0 ? 1.0 : rate > 0.0 ? tr_exp(burst * tr_ln(rate)) : 0.0;
        weight += part * length_s;
        wanted[i + 1] = weight;
        as_is[i + 1] += as_is[i];
    }
    for (size_t i = 1; i <= varied->n_minutes; i++)
        wanted[i] *= count / weight;
}

/* Counts the requests of each minute of `src`, which is not varied yet. */
static void measure(struct tr_varied *varied, struct tr_source *src)
{
    struct tr_arrival a;

    varied->span_ns = tr_source_span_ns(src);
    varied->n_minutes = (size_t)((varied->span_ns + MINUTE_NS - 1) / MINUTE_NS);
    if (varied->n_minutes == 0)
        return;
    varied->as_is = tr_calloc(varied->n_minutes + 1, sizeof(*varied->as_is));
    varied->wanted = tr_calloc(varied->n_minutes + 1, sizeof(*varied->wanted));
    tr_source_rewind(src);
    while (tr_source_next(src, &a)) {
        size_t i = (size_t)(a.time_ns / MINUTE_NS);
        varied->as_is[TR_MIN(i, varied->n_minutes - 1) + 1] += 1.0;
    }
    tr_source_rewind(src);
    if (count_of(varied) > 0.0)
        accumulate(varied);
    else
        varied->n_minutes = 0;
}

static int64_t move(struct tr_source *src, int64_t time_ns)
{
    const struct tr_varied *varied = src->varied;
    size_t from = TR_MIN((size_t)(time_ns / MINUTE_NS), varied->n_minutes - 1);
    size_t to = src->moved_to;
    double at_s = (double)(time_ns - (int64_t)from * MINUTE_NS) * 1e-9;
    double count = varied->as_is[from] +
                   (varied->as_is[from + 1] - varied->as_is[from]) * at_s / minute_s(varied, from);

    while (to + 1 < varied->n_minutes && varied->wanted[to + 1] <= count)
        to++;
    src->moved_to = to;
    double in_minute = varied->wanted[to + 1] - varied->wanted[to];
    double part = in_minute > 0.0 ? (count - varied->wanted[to]) / in_minute : 0.0;
    part = TR_MAX(0.0, TR_MIN(part, 1.0));
    int64_t moved_ns = (int64_t)to * MINUTE_NS + (int64_t)(part * minute_s(varied, to) * 1e9);
    /* Rounding must not change the order. */
    src->moved_ns = TR_MAX(src->moved_ns, TR_MIN(moved_ns, varied->span_ns));
    return src->moved_ns;
}

/* ---- prompts -------------------------------------------------------------------------------- */

int32_t tr_vary_tok(const struct tr_varied *varied, int32_t tok)
{
    double scaled = tok * varied->v.prompt + 0.5;
    return TR_MAX(1, (int32_t)TR_MIN(scaled, (double)TR_MAX_TOK));
}

static void vary_prompt(const struct tr_varied *varied, struct tr_arrival *a)
{
    struct tr_chain *chain = &a->chain;

    a->prompt_tok = tr_vary_tok(varied, a->prompt_tok);
    for (int i = 0; chain->n <= 2 && i < chain->n; i++) /* more than two are scaled already */
        if (chain->own[i].end_tok != TR_CHAIN_OPEN)
            chain->own[i].end_tok = tr_vary_tok(varied, chain->own[i].end_tok);
    /* The last run may be of a few tokens only, and vanish when they are rounded. */
    const struct tr_run *runs = tr_chain_runs(chain);
    if (chain->n > 1 && runs[chain->n - 1].end_tok <= runs[chain->n - 2].end_tok)
        chain->n--;
    if (chain->n == 2 && runs == chain->more)
        memcpy(chain->own, runs, sizeof(chain->own));
}

void tr_vary_arrival(struct tr_source *src, struct tr_arrival *a)
{
    const struct tr_varied *varied = src->varied;

    if (varied->n_minutes)
        a->time_ns = move(src, a->time_ns);
    if (varied->v.prompt != 1.0)
        vary_prompt(varied, a);
    if (varied->v.shared >= 0.0) {
        int32_t end_tok = (int32_t)(varied->v.shared * a->prompt_tok);
        a->chain = (struct tr_chain){0};
        if (end_tok > 0) {
            a->chain.n = 1;
            a->chain.own[0] = (struct tr_run){varied->shared_key, end_tok};
        }
    }
}

struct tr_source *tr_source_vary(const struct tr_source *src, const struct tr_variation *v)
{
    tr_assert(v->burst >= 0.0 && v->burst <= 100.0 && v->prompt >= 0.05 && v->prompt <= 20.0 &&
              v->shared <= 1.0 && src->kind != TR_FROM_MERGED);
    struct tr_source *copy = tr_source_clone(src);
    tr_varied_release(copy->varied);
    copy->varied = NULL;
    struct tr_varied *varied = tr_varied_new(v);
    if (v->burst != 1.0)
        measure(varied, copy);
    copy->varied = varied;
    return copy;
}
