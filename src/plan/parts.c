/* Unlike parts of one card: which of them the requests outside were on. A router that does not look
 * at load sends every pod as much, and the smallest instance is the first that cannot keep up. */
#include "plan/plan.h"

struct group {
    int64_t outside;
    int pods;
};

/* The parts that are like part p. */
static struct group group_of(const struct tr_candidate *c, int p)
{
    struct group g = {0};
    for (int i = 0; i < c->arrangement.n_parts; i++)
        if (c->arrangement.parts[i].profile == c->arrangement.parts[p].profile) {
            g.outside += c->fail_outside[i];
            g.pods += c->arrangement.parts[i].n_pods;
        }
    return g;
}

void tr_parts_blame(const struct tr_candidate *c, struct tr_str *out)
{
    struct group worst = group_of(c, 0);
    const char *name = NULL;
    int64_t outside = 0;
    for (int p = 0; p < c->arrangement.n_parts; p++) {
        struct group g = group_of(c, p);
        outside += c->fail_outside[p];
        if (name == NULL || g.outside * worst.pods > worst.outside * g.pods) {
            worst = g;
            name = c->arrangement.parts[p].profile != NULL ? c->arrangement.parts[p].profile->name
                                                           : c->arrangement.text;
        }
    }
    if (outside > 0 && worst.pods < c->arrangement.n_pods)
        tr_str_printf(out, "; of requests outside, %.0f %% are on %s, %d of the %d pods",
                      100.0 * (double)worst.outside / (double)outside, name, worst.pods,
                      c->arrangement.n_pods);
}
