/* tokens: drawing the length of a prompt or an answer.
 *
 * A length is the distribution's quantile at a uniform number, rounded to whole tokens. In each of
 * 512 equal cells of (0, 1) a parabola stands for the quantile, to within a slack that is known.
 * Where a whole number of tokens is certain in spite of the slack it is taken; elsewhere, for about
 * one draw in fifty, the formula is asked. The result is always that of the formula. */
#include "traffic/parts.h"

#include <math.h>
#include <stdlib.h>

#define N_CELLS 512
#define N_TAIL  2 /* cells at either end in which no parabola is near enough */

/* A part f of the way through a cell, the quantile is at + f (rise + (1 - f) bend). */
struct tr_tokens_cell {
    double at;
    float rise, bend;
    float slack; /* at most so much above or below */
};

static double parabola(const struct tr_tokens_cell *c, double f)
{
    return c->at + f * ((double)c->rise + (1.0 - f) * (double)c->bend);
}

static double error_at(const struct tr_tokens *t, size_t cell, double f)
{
    double p = ((double)cell + f) / N_CELLS;
    return fabs(tr_lognormal_quantile(&t->dist, p) - parabola(&t->cells[cell], f));
}

/* Through the ends and the middle; what the third derivative leaves is largest near the quarters,
 * where it is measured, and the fourth is covered by the factor. A cell with a bound of the
 * distribution inside has a corner. */
static void fit_cell(struct tr_tokens *t, size_t cell)
{
    struct tr_tokens_cell *c = &t->cells[cell];
    double begin = tr_lognormal_quantile(&t->dist, (double)cell / N_CELLS);
    double end = tr_lognormal_quantile(&t->dist, (double)(cell + 1) / N_CELLS);
    double middle = tr_lognormal_quantile(&t->dist, ((double)cell + 0.5) / N_CELLS);
    bool corner = begin < end && (begin <= t->dist.lo || end >= t->dist.hi);
    *c = (struct tr_tokens_cell){.at = begin,
                                 .rise = (float)(end - begin),
                                 .bend = (float)(4.0 * middle - 2.0 * (begin + end))};
    double slack = 2.0 * (error_at(t, cell, 0.25) + error_at(t, cell, 0.75)) + 1e-9 * end;
    c->slack = corner ? 1.0F : (float)TR_MIN(slack, 1.0);
}

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
    t->cells = tr_calloc(N_CELLS, sizeof(*t->cells));
    for (size_t i = 0; i < N_CELLS; i++)
        if (i < N_TAIL || i >= N_CELLS - N_TAIL)
            t->cells[i] = (struct tr_tokens_cell){.at = t->min_tok, .slack = 1.0F};
        else
            fit_cell(t, i);
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
    size_t cell = (size_t)(p * N_CELLS);
    const struct tr_tokens_cell *c = &t->cells[cell];
    double tok = parabola(c, p * N_CELLS - (double)cell) + 0.5; /* half up */
    int32_t least = (int32_t)(tok - (double)c->slack), most = (int32_t)(tok + (double)c->slack);
    return least == most ? least : tr_tokens_at(t, p);
}

void tr_tokens_free(struct tr_tokens *t)
{
    free(t->cells);
    *t = (struct tr_tokens){0};
}
