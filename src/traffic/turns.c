/* turns: how many turns a session has in the mean, when it ends before its prompt grows too long.
 *
 * With f(x) the turns yet to come of a session that sends a prompt of x tokens now, q the chance of
 * one more turn and a(d) the distribution of what the next prompt adds,
 *     f(x) = 1 + q sum over d of a(d) f(x + d),   f = 0 above the maximum.
 * Lengths stand on a grid; one between two points is divided among them so that its mean stays. */
#include "traffic/sessions.h"

#include <stdlib.h>

#define GRID  512  /* cells from 0 to max_tok */
#define DRAWS 1024 /* quantiles that stand for a distribution */

/* The distribution of a length on the grid; what lies above it is left out. */
static void spread(const struct tr_tokens *t, double cell_tok, double out[GRID + 1])
{
    memset(out, 0, (GRID + 1) * sizeof(*out));
    for (int i = 0; i < DRAWS; i++) {
        int32_t tok = t->fixed_tok ? t->fixed_tok : tr_tokens_at(t, (i + 0.5) / DRAWS);
        double at = tok / cell_tok;
        if (at > GRID)
            continue;
        int cell = TR_MIN((int)at, GRID - 1);
        out[cell] += (1.0 - (at - cell)) / DRAWS;
        out[cell + 1] += (at - cell) / DRAWS;
    }
}

/* The right-hand side at point i, without what stays at i. */
static double turns_at(const double *a, const double *f, int i, double q)
{
    double sum = 0.0;

    for (int j = 1; i + j <= GRID; j++)
        sum += a[j] * f[i + j];
    return 1.0 + q * sum;
}

double tr_sessions_mean_turns(const struct tr_sessions_model *m)
{
    double cell_tok = (double)m->max_tok / GRID, mean = 0.0;
    double message[GRID + 1], output[GRID + 1], prompt[GRID + 1], f[GRID + 1];
    double a[GRID + 1] = {0}; /* answer and message together */

    spread(&m->message, cell_tok, message);
    spread(m->output, cell_tok, output);
    spread(m->prompt, cell_tok, prompt);
    for (int i = 0; i <= GRID; i++)
        for (int j = 0; i + j <= GRID; j++)
            a[i + j] += message[i] * output[j];
    for (int i = 0; i <= GRID; i++)
        f[i] = 1.0;
    if (m->fixed) {
        for (int turn = 1; turn < (int)m->turns; turn++)
            for (int i = 0; i <= GRID; i++)
                f[i] = turns_at(a, f, i, 1.0) + a[0] * f[i];
    } else {
        double q = 1.0 - 1.0 / m->turns;
        for (int i = GRID; i >= 0; i--)
            f[i] = turns_at(a, f, i, q) / (1.0 - q * a[0]);
    }
    for (int i = 0; i <= GRID; i++)
        mean += prompt[i] * f[i];
    return mean;
}
