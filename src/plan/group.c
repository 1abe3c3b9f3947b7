/* Layouts of one GPU for several units, each once. */
#include "plan/group.h"

#define MOST_DIVIDED  4 /* pods of an instance */
#define UNITS_DIVIDED 5 /* more would be millions of layouts */
#define MAX_CONTENTS  128

/* Unlike pods of one instance: bits of units. */
struct walk {
    const struct tr_layouts *l;
    struct tr_layout layout;
    int pods_each;                /* of an instance */
    int n_contents[TR_MAX_PARTS]; /* what may stand on each part; alike within a profile */
    uint8_t contents[TR_MAX_PARTS][MAX_CONTENTS];
    int chosen[TR_MAX_PARTS];
};

static bool apart_enough(const struct tr_layouts *l, int a, int b, enum tr_sharing sharing)
{
    enum tr_isolation have = sharing == TR_MPS ? TR_ISOLATION_MEMORY : TR_ISOLATION_NONE;
    return l->apart[a][b] <= have && l->apart[b][a] <= have;
}

/* ---- time-slicing and MPS ------------------------------------------------------------------- */

/* The least; the next pod goes where there is most load for each pod, the first of equals. */
static bool fill_shared(const struct tr_layouts *l, const int *least, struct tr_layout *out)
{
    const struct tr_part *part = &out->arrangement.parts[0];
    int pods[TR_MAX_UNITS], n = 0, left = part->n_pods;
    for (int u = 0; u < l->n_units; u++) {
        pods[u] = least[u];
        left -= least[u];
    }
    for (; left > 0; left--) {
        int most = 0;
        for (int u = 1; u < l->n_units; u++)
            if (l->load[u] / pods[u] > l->load[most] / pods[most])
                most = u;
        pods[most]++;
    }
    for (int u = 0; u < l->n_units; u++) {
        if (!l->fits(l->arg, u, part))
            return false;
        for (int v = 0; v <= u; v++)
            if ((v < u || pods[u] > 1) && !apart_enough(l, u, v, part->sharing))
                return false;
        for (int i = 0; i < pods[u]; i++)
            out->unit[n++] = (uint8_t)u;
    }
    return true;
}

/* Where the least of all do not stand on one GPU, one each: more GPUs will have the others. */
static int least_pods(const struct tr_layouts *l, int *least)
{
    int sum = 0;
    for (int u = 0; u < l->n_units; u++) {
        least[u] = TR_MAX(l->least[u], 1);
        sum += least[u];
    }
    for (int u = 0; u < l->n_units && sum > TR_MAX_UNITS; u++)
        least[u] = 1;
    return sum > TR_MAX_UNITS ? l->n_units : sum;
}

static void each_shared(const struct tr_layouts *l, const char *word)
{
    int least[TR_MAX_UNITS], n = least_pods(l, least);
    const int counts[] = {n, 4, 8};
    for (size_t i = 0; i < TR_LEN(counts); i++) {
        struct tr_layout layout = {0};
        char text[32];
        if (counts[i] < 2 || (i > 0 && counts[i] <= n))
            continue;
        snprintf(text, sizeof text, "%s:%d", word, counts[i]);
        tr_assert(tr_arrangement_parse(text, l->gpu, NULL, &layout.arrangement, NULL, NULL) ==
                  TR_OK);
        if (fill_shared(l, least, &layout))
            l->visit(l->arg, &layout);
    }
}

/* ---- MIG ------------------------------------------------------------------------------------ */

static bool can_hold(const struct walk *w, const struct tr_part *part, unsigned content)
{
    const struct tr_layouts *l = w->l;
    for (int u = 0; u < l->n_units; u++) {
        if (!(content >> u & 1))
            continue;
        if (!l->fits(l->arg, u, part))
            return false;
        for (int v = 0; v < u; v++)
            if ((content >> v & 1) && !apart_enough(l, u, v, part->sharing))
                return false;
    }
    return true;
}

/* What can stand on part p; nothing where nobody fits. */
static void find_contents(struct walk *w, int p)
{
    const struct tr_part *part = &w->layout.arrangement.parts[p];
    int n = 0;
    tr_assert(p < TR_MAX_PARTS && w->l->n_units <= TR_MAX_UNITS); /* 70 ways to choose 4 of 8 */
    for (unsigned content = 1; content < 1u << w->l->n_units; content++)
        if (__builtin_popcount(content) == w->pods_each && can_hold(w, part, content))
            w->contents[p][n++] = (uint8_t)content;
    if (n == 0)
        w->contents[p][n++] = 0;
    w->n_contents[p] = n;
}

static void tell(struct walk *w, unsigned covered)
{
    int n = 0;
    if (covered != (1u << w->l->n_units) - 1)
        return;
    for (int p = 0; p < w->layout.arrangement.n_parts; p++) {
        unsigned content = w->contents[p][w->chosen[p]];
        if (content == 0)
            for (int i = 0; i < w->pods_each; i++)
                w->layout.unit[n++] = TR_UNIT_NONE;
        for (int u = 0; u < w->l->n_units; u++)
            if (content >> u & 1)
                w->layout.unit[n++] = (uint8_t)u;
    }
    w->l->visit(w->l->arg, &w->layout);
}

/* Instances of one profile are alike: what they hold never decreases along them. */
static void assign(struct walk *w, int p, unsigned covered)
{
    const struct tr_arrangement *a = &w->layout.arrangement;
    int missing = w->l->n_units - __builtin_popcount(covered);
    if (missing > (a->n_parts - p) * w->pods_each)
        return;
    if (p == a->n_parts) {
        tell(w, covered);
        return;
    }
    bool alike = p > 0 && a->parts[p].profile == a->parts[p - 1].profile;
    for (int c = alike ? w->chosen[p - 1] : 0; c < w->n_contents[p]; c++) {
        w->chosen[p] = c;
        assign(w, p + 1, covered | w->contents[p][c]);
    }
}

/* The layout with these counts of profiles, each instance divided among `pods_each`. */
static void each_assignment(const struct tr_layouts *l, const int *counts, int pods_each)
{
    struct walk w = {.l = l, .pods_each = pods_each};
    struct tr_str text = {0};
    for (int i = 0; i < l->gpu->n_profiles; i++)
        if (counts[i] > 0)
            tr_str_printf(&text, "%s%s*%d", text.len > 0 ? "+" : "mig:", l->gpu->profiles[i].name,
                          counts[i]);
    if (pods_each > 1)
        tr_str_printf(&text, "/timeslice:%d", pods_each);
    int rc = tr_arrangement_parse(text.text, l->gpu, NULL, &w.layout.arrangement, NULL, NULL);
    tr_str_free(&text);
    if (rc < 0) /* more pods than a GPU may have */
        return;
    for (int p = 0; p < w.layout.arrangement.n_parts; p++)
        find_contents(&w, p);
    assign(&w, 0, 0);
}

#define MAX_LAYOUTS 64 /* of the 12 to 19 that cards have */

static void each_mig(const struct tr_layouts *l)
{
    int counts[MAX_LAYOUTS][TR_MAX_PROFILES];
    int n = TR_MIN(tr_mig_maximal(l->gpu, false, counts, MAX_LAYOUTS), MAX_LAYOUTS);
    int most = l->n_units <= UNITS_DIVIDED ? TR_MIN(l->n_units, MOST_DIVIDED) : 1;
    for (int pods = 1; pods <= most; pods++)
        for (int i = 0; i < n; i++)
            each_assignment(l, counts[i], pods);
}

void tr_layouts_each(const struct tr_layouts *l)
{
    struct tr_layout one = {0};
    tr_assert(l->n_units <= TR_MAX_UNITS);
    if (l->merged) {
        tr_assert(tr_arrangement_parse("one-engine", l->gpu, NULL, &one.arrangement, NULL, NULL) ==
                  TR_OK);
        if (l->fits(l->arg, 0, &one.arrangement.parts[0]))
            l->visit(l->arg, &one);
    }
    each_shared(l, "timeslice");
    each_shared(l, "mps");
    if (l->gpu->n_profiles > 0)
        each_mig(l);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* vLLM's default: nobody is given more of a card that he shares. */
#define MOST_THOUSANDTHS 920

/* Rounded up: with less it might not start. */
static int64_t thousandths(int64_t bytes, int64_t mem_bytes)
{
    return (bytes * 1000 + mem_bytes - 1) / mem_bytes;
}

bool tr_memory_divide(int64_t mem_bytes, int n, const struct tr_memory_claim *claim,
                      double *utilization)
{
    int64_t left = 1000, outside_bytes = 0;
    double demand = 0;
    for (int i = 0; i < n; i++) {
        left -= thousandths(claim[i].least_bytes, mem_bytes);
        outside_bytes += claim[i].outside_bytes;
        demand += claim[i].demand;
    }
    left -= thousandths(outside_bytes, mem_bytes);
    if (left < 0)
        return false;
    for (int i = 0; i < n; i++) {
        int64_t least = thousandths(claim[i].least_bytes, mem_bytes);
        int64_t more = demand > 0 ? (int64_t)((double)left * claim[i].demand / demand) : 0;
        utilization[i] = (double)TR_MAX(least, TR_MIN(least + more, MOST_THOUSANDTHS)) / 1000;
    }
    return true;
}
