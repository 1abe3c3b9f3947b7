/* Stands: the ways of a group of workloads on one node type, and what the load says of them. */
#include "plan/pools.h"

#include <math.h>
#include <stdlib.h>

#define KEEP_MIG 3 /* of uniform, of mixed, of divided layouts: those with the least load */

struct finder {
    struct tr_pools *p;
    uint32_t members;
    const struct tr_node_type *node;
    int n_units;
    uint32_t unit[TR_MAX_WORKLOADS];
    struct tr_stand *out;
    int n;
};

/* ---- who with whom -------------------------------------------------------------------------- */

static bool trusts(const struct tr_workload *a, const struct tr_workload *b)
{
    return a->trust == NULL || (b->trust != NULL && strcmp(a->trust, b->trust) == 0);
}

enum tr_isolation tr_pools_apart(const struct tr_workload *a, const struct tr_workload *b)
{
    bool group = a != b && a->trust != NULL && trusts(a, b);
    return group ? TR_ISOLATION_NONE : TR_MAX(a->isolation, b->isolation);
}

static bool same_precisions(const struct tr_workload *a, const struct tr_workload *b)
{
    return a->n_precisions == b->n_precisions &&
           memcmp(a->precisions, b->precisions, a->n_precisions * sizeof a->precisions[0]) == 0;
}

static bool same_engine(const struct tr_engine_opts *a, const struct tr_engine_opts *b)
{
    return a->max_model_len == b->max_model_len && a->max_num_seqs == b->max_num_seqs &&
           a->max_num_batched_tokens == b->max_num_batched_tokens &&
           a->long_prefill_token_threshold == b->long_prefill_token_threshold &&
           a->gpu_memory_utilization == b->gpu_memory_utilization && a->kv_tok == b->kv_tok &&
           a->num_gpu_blocks == b->num_gpu_blocks &&
           a->no_async_scheduling == b->no_async_scheduling &&
           a->no_prefix_caching == b->no_prefix_caching &&
           a->cuda_graph_padding == b->cuda_graph_padding && a->queue_limit == b->queue_limit;
}

bool tr_pools_one_engine(const struct tr_workload *a, const struct tr_workload *b)
{
    return a->model == b->model && a->server == b->server && trusts(a, b) && trusts(b, a) &&
           tr_pools_apart(a, b) == TR_ISOLATION_NONE && !a->own_pods && !b->own_pods &&
           a->client_timeout_ns == b->client_timeout_ns && same_precisions(a, b) &&
           same_engine(&a->engine, &b->engine);
}

static const struct tr_workload *workload_of(const struct tr_pools *p, int i)
{
    return &p->member[i].view.workload;
}

static bool joins(const struct tr_pools *p, int i, uint32_t unit)
{
    for (uint32_t bits = unit; bits != 0; bits &= bits - 1)
        if (!tr_pools_one_engine(workload_of(p, i), workload_of(p, __builtin_ctz(bits))))
            return false;
    return true;
}

int tr_pools_units(const struct tr_pools *p, uint32_t members, bool merge,
                   uint32_t unit[TR_MAX_WORKLOADS])
{
    int n = 0;
    for (uint32_t bits = members; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits), at = 0;
        while (merge && at < n && !joins(p, i, unit[at]))
            at++;
        if (!merge || at == n) {
            at = n++;
            unit[at] = 0;
        }
        unit[at] |= (uint32_t)1 << i;
    }
    return n;
}

/* ---- load ----------------------------------------------------------------------------------- */

static double rate_of(const struct tr_pools *p, int i, bool peak)
{
    const struct tr_plan *alone = p->member[i].alone;
    return peak ? alone->spikes.peak_rate : alone->stats.rate;
}

/* What of a part's time the requests of one pod take, if each of its unit's `pods` gets as many. */
static double pod_load(const struct tr_pools *p, const struct tr_seat *seat, int pods, bool peak)
{
    double load = 0;
    for (uint32_t bits = seat->unit; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        load += rate_of(p, i, peak) / pods / seat->ceiling_rps[i];
    }
    return load;
}

static int pods_of(const struct tr_stand *s, uint32_t unit)
{
    int pods = 0;
    for (int i = 0; i < s->layout.arrangement.n_pods; i++)
        pods += s->serves[i] == unit;
    return pods;
}

/* Of the busiest part, as so many GPUs: those that take turns add up, those under MPS have a cap
 * each. */
static double load_of(const struct tr_pools *p, const struct tr_stand *s, bool peak)
{
    const struct tr_arrangement *a = &s->layout.arrangement;
    double most = 0;
    for (int part = 0, pod = 0; part < a->n_parts; part++) {
        double sum = 0;
        for (int i = 0; i < a->parts[part].n_pods; i++, pod++) {
            if (s->serves[pod] == 0)
                continue;
            double load = pod_load(p, s->seat[pod], pods_of(s, s->serves[pod]), peak);
            sum = a->parts[part].sharing == TR_MPS ? TR_MAX(sum, load) : sum + load;
        }
        most = TR_MAX(most, sum);
    }
    return most;
}

/* The smallest fleet that does for this workload alone on such nodes: with others beside it there
 * will not be fewer. 1 where it cannot be alone on them. */
static int least_alone(const struct tr_plan *alone, const struct tr_node_type *node)
{
    int least = 0;
    for (size_t i = 0; i < alone->n_candidates; i++) {
        const struct tr_candidate *c = &alone->candidates[i];
        if (c->node == node && tr_rank_ranked(c) && (least == 0 || c->nodes < least))
            least = c->nodes;
    }
    return TR_MAX(least, 1);
}

double tr_stands_load(struct tr_pools *p, int workload, const struct tr_node_type *node)
{
    struct tr_seat card = {.unit = (uint32_t)1 << workload, .node = node, .lone = true};
    const struct tr_seat *seat = tr_seat_first(p, &card);
    return seat != NULL ? pod_load(p, seat, 1, false) : 0;
}

int tr_stands_least(struct tr_pools *p, uint32_t members, const struct tr_node_type *node)
{
    double load = 0;
    int least = TR_MAX(p->scenario->nodes_min, 1);
    for (uint32_t bits = members; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        load += tr_stands_load(p, i, node);
        least = TR_MAX(least, least_alone(p->member[i].alone, node));
    }
    return TR_MAX(least, (int)TR_MIN(ceil(load / node->gpus), 1e6));
}

static int least_nodes(const struct finder *f, const struct tr_stand *s)
{
    double by_load = ceil(load_of(f->p, s, false) / f->node->gpus);
    int least = tr_stands_least(f->p, f->members, f->node);
    least = TR_MAX(least, (int)TR_MIN(by_load, 1e6));
    for (uint32_t bits = f->members; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits), pods = 0;
        const struct tr_workload *w = workload_of(f->p, i);
        for (int k = 0; k < s->layout.arrangement.n_pods; k++)
            pods += (s->serves[k] >> i & 1) != 0;
        pods *= f->node->gpus;
        if (w->own_pods)
            least = TR_MAX(least, (w->n_tenants + pods - 1) / pods);
    }
    return least;
}

/* ---- seats ---------------------------------------------------------------------------------- */

static struct tr_seat key_of(const struct finder *f, const struct tr_part *part, bool lone)
{
    return (struct tr_seat){.node = f->node,
                            .profile = part->profile,
                            .mps = part->sharing == TR_MPS ? part->n_pods : 0,
                            .lone = lone};
}

static bool fits(void *arg, int unit, const struct tr_part *part)
{
    struct finder *f = arg;
    struct tr_seat key = key_of(f, part, part->profile == NULL);
    key.unit = f->unit[unit];
    return tr_seat_first(f->p, &key) != NULL;
}

/* Seats for the pods of one part, from pod `first` on. */
static bool seat_part(struct finder *f, struct tr_stand *s, int part, int first)
{
    const struct tr_arrangement *a = &s->layout.arrangement;
    struct tr_seat key = key_of(f, &a->parts[part], a->n_parts == 1);
    int n = a->parts[part].n_pods;
    if (s->serves[first] == 0)
        return true;
    if (a->parts[part].sharing == TR_TIMESLICE)
        return tr_seat_divide(f->p, &key, n, &s->serves[first], &s->seat[first]);
    for (int i = first; i < first + n; i++) {
        key.unit = s->serves[i];
        s->seat[i] = tr_seat_first(f->p, &key);
        if (s->seat[i] == NULL)
            return false;
    }
    return true;
}

/* ---- the few that are kept ------------------------------------------------------------------ */

/* Layouts of which only the least loaded are kept, as a number; 0: all of them are kept. */
static int kind_of(const struct tr_stand *s)
{
    return s->layout.arrangement.mig ? tr_arrangement_rank(&s->layout.arrangement) : 0;
}

static void keep(struct finder *f, const struct tr_stand *s)
{
    int same = 0, worst = -1, kind = kind_of(s);
    for (int i = 0; i < f->n && kind != 0; i++) {
        if (kind_of(&f->out[i]) != kind)
            continue;
        same++;
        if (worst < 0 || f->out[i].peak >= f->out[worst].peak)
            worst = i;
    }
    if (same < KEEP_MIG && f->n < TR_MAX_STANDS)
        f->out[f->n++] = *s;
    else if (same == KEEP_MIG && s->peak < f->out[worst].peak) {
        memmove(&f->out[worst], &f->out[worst + 1], (size_t)(f->n - worst - 1) * sizeof f->out[0]);
        f->out[f->n - 1] = *s;
    }
}

/* Does the user compare such an arrangement? */
static bool compared(const struct finder *f, const struct tr_arrangement *a)
{
    const struct tr_scenario *s = f->p->scenario;
    struct tr_arrangement other;
    const struct tr_precision *precision;
    if (s->compare_auto || a->one_engine)
        return true;
    for (size_t i = 0; i < s->n_compare; i++)
        if (tr_arrangement_parse(s->compare[i], f->node->gpu, s->catalog, &other, &precision,
                                 NULL) == TR_OK &&
            strcmp(other.text, a->text) == 0)
            return true;
    return false;
}

static void on_layout(void *arg, const struct tr_layout *layout)
{
    struct finder *f = arg;
    const struct tr_arrangement *a = &layout->arrangement;
    struct tr_stand s = {.node = f->node, .layout = *layout};
    if (!compared(f, a))
        return;
    for (int i = 0; i < a->n_pods; i++)
        s.serves[i] = layout->unit[i] == TR_UNIT_NONE ? 0 : f->unit[layout->unit[i]];
    for (int part = 0, pod = 0; part < a->n_parts; pod += a->parts[part++].n_pods)
        if (!seat_part(f, &s, part, pod))
            return;
    s.peak = load_of(f->p, &s, true);
    s.least = least_nodes(f, &s);
    keep(f, &s);
}

static enum tr_isolation apart_of(const struct finder *f, int u, int v)
{
    enum tr_isolation most = TR_ISOLATION_NONE;
    for (uint32_t a = f->unit[u]; a != 0; a &= a - 1)
        for (uint32_t b = f->unit[v]; b != 0; b &= b - 1)
            most = TR_MAX(most, tr_pools_apart(workload_of(f->p, __builtin_ctz(a)),
                                               workload_of(f->p, __builtin_ctz(b))));
    return most;
}

static void each_layout(struct finder *f)
{
    struct tr_layouts l = {.gpu = f->node->gpu,
                           .n_units = f->n_units,
                           .merged = f->n_units == 1,
                           .fits = fits,
                           .visit = on_layout,
                           .arg = f};
    for (int u = 0; u < f->n_units; u++) {
        struct tr_seat card = {.unit = f->unit[u], .node = f->node, .lone = true};
        const struct tr_seat *seat = tr_seat_first(f->p, &card);
        const struct tr_workload *w = workload_of(f->p, __builtin_ctz(f->unit[u]));
        l.least[u] = w->own_pods ? w->n_tenants : 1;
        l.load[u] = seat != NULL ? pod_load(f->p, seat, 1, true) : 0;
        for (int v = 0; v < f->n_units; v++)
            l.apart[u][v] = apart_of(f, u, v);
    }
    tr_layouts_each(&l);
}

static int simplest(const void *a, const void *b)
{
    const struct tr_stand *x = a, *y = b;
    int rx = tr_arrangement_rank(&x->layout.arrangement);
    int ry = tr_arrangement_rank(&y->layout.arrangement);
    if (rx != ry)
        return rx < ry ? -1 : 1;
    if (x->layout.arrangement.n_pods != y->layout.arrangement.n_pods)
        return x->layout.arrangement.n_pods < y->layout.arrangement.n_pods ? -1 : 1;
    if (x->peak != y->peak)
        return x->peak < y->peak ? -1 : 1;
    int text = strcmp(x->layout.arrangement.text, y->layout.arrangement.text);
    return text != 0 ? text : memcmp(x->serves, y->serves, sizeof x->serves);
}

int tr_stands_find(struct tr_pools *p, uint32_t members, const struct tr_node_type *node,
                   struct tr_stand out[TR_MAX_STANDS])
{
    struct finder f = {.p = p, .members = members, .node = node, .out = out};
    int each = tr_pools_units(p, members, false, f.unit);
    f.n_units = tr_pools_units(p, members, true, f.unit);
    if (f.n_units < each && f.n_units <= TR_MAX_UNITS)
        each_layout(&f);
    f.n_units = tr_pools_units(p, members, false, f.unit);
    if (each <= TR_MAX_UNITS)
        each_layout(&f);
    qsort(out, (size_t)f.n, sizeof out[0], simplest);
    return f.n;
}
