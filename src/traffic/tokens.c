/* tokens: drawing the length of a prompt or an answer.
 *
 * A length is the distribution's quantile at a uniform number, rounded to whole tokens. It is a
 * step function of that number, and most of 2^15 equal cells of (0, 1) lie within one step: a table
 * of the values at the cells' edges answers there, and the formula elsewhere, with the same result
 * (the formula alone would take half the time of an arrival). */
#include "traffic/parts.h"

#include <stdlib.h>

#define N_CELLS ((size_t)1 << 15)

int tr_tokens_init(struct tr_tokens *t, const struct tr_length *length, const char *what,
                   struct tr_err *err)
{
    *t = (struct tr_tokens){0};
    if (length->kind == TR_LENGTH_FIXED) {
        if (length->fixed_tok < 1 || length->fixed_tok > TR_MAX_TOK)
            return tr_err_set(err, TR_EINPUT, "%s of %d tokens; allowed are 1 to %d", what,
                              length->fixed_tok, TR_MAX_TOK);
        t->fixed_tok = length->fixed_tok;
        return 0;
    }
    if (length->min_tok < 1 || length->max_tok < length->min_tok || length->max_tok > TR_MAX_TOK)
        return tr_err_set(err, TR_EINPUT,
                          "%s from %d to %d tokens; allowed are 1 to %d, the smaller first", what,
                          length->min_tok, length->max_tok, TR_MAX_TOK);
    t->min_tok = length->min_tok;
    t->max_tok = length->max_tok;
    struct tr_err why = {0};
    int rc = tr_lognormal_solve(&t->dist, length->mean, length->cv, length->min_tok,
                                length->max_tok, &why);
    if (rc)
        return tr_err_set(err, why.code, "%s: %.900s", what, why.text);
    t->edges = tr_calloc(N_CELLS + 1, sizeof(*t->edges));
    t->edges[0] = t->min_tok;
    for (size_t i = 1; i < N_CELLS; i++)
        t->edges[i] = tr_tokens_at(t, (double)i / (double)N_CELLS);
    t->edges[N_CELLS] = t->max_tok;
    return 0;
}

int32_t tr_tokens_at(const struct tr_tokens *t, double p)
{
    int32_t tok = (int32_t)(tr_lognormal_quantile(&t->dist, p) + 0.5); /* half up */
    return TR_MAX(t->min_tok, TR_MIN(tok, t->max_tok));
}

int32_t tr_tokens_draw(const struct tr_tokens *t, uint64_t seed, uint64_t stream, uint64_t index)
{
    if (t->fixed_tok)
        return t->fixed_tok;
    double p = tr_rng_unit(seed, stream, index);
    size_t cell = (size_t)(p * (double)N_CELLS);
    return t->edges[cell] == t->edges[cell + 1] ? t->edges[cell] : tr_tokens_at(t, p);
}

void tr_tokens_free(struct tr_tokens *t)
{
    free(t->edges);
    *t = (struct tr_tokens){0};
}
