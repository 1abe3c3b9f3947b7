/* mig: which MIG instances can stand on one GPU together, by search over their placements. */
#include "catalog/catalog.h"

struct search {
    const struct tr_gpu *gpu;
    const struct tr_mig_profile *const *profiles;
    int n;
    int *starts;
};

static unsigned slots_of(const struct tr_mig_profile *p, int start)
{
    return ((1u << p->mem_slots) - 1u) << start;
}

/* Places profiles i.. on the slots still free, the lowest start first. */
static bool place_from(const struct search *s, int i, unsigned taken)
{
    if (i == s->n)
        return true;
    const struct tr_mig_profile *p = s->profiles[i];
    for (int k = 0; k < p->n_starts; k++) {
        unsigned slots = slots_of(p, p->starts[k]);
        if ((taken & slots) != 0)
            continue;
        s->starts[i] = p->starts[k];
        if (place_from(s, i + 1, taken | slots))
            return true;
    }
    s->starts[i] = -1;
    return false;
}

/* What needs no search: compute slices, counts, and one media extension per GPU. */
static bool counts_legal(const struct tr_gpu *gpu, const struct tr_mig_profile *const *profiles,
                         int n)
{
    int compute = 0, media = 0, slots = 0;
    for (int i = 0; i < n; i++) {
        int same = 0;
        for (int k = 0; k < n; k++)
            same += profiles[k] == profiles[i];
        if (same > profiles[i]->max_count)
            return false;
        compute += profiles[i]->compute_slices;
        slots += profiles[i]->mem_slots;
        media += profiles[i]->media;
    }
    return compute <= gpu->compute_slices && slots <= gpu->mem_slots && media <= 1;
}

bool tr_mig_place(const struct tr_gpu *gpu, const struct tr_mig_profile *const *profiles, int n,
                  int *starts)
{
    for (int i = 0; i < n; i++)
        starts[i] = -1;
    if (!counts_legal(gpu, profiles, n))
        return false;
    struct search s = {gpu, profiles, n, starts};
    return place_from(&s, 0, 0);
}

/* ---- every maximal layout ------------------------------------------------------------------- */

struct listing {
    const struct tr_gpu *gpu;
    int order[TR_MAX_PROFILES]; /* profile indices, largest first */
    int n_order;
    int counts[TR_MAX_PROFILES];
    const struct tr_mig_profile *chosen[TR_MAX_PARTS + 1];
    int n_chosen;
    int (*out)[TR_MAX_PROFILES];
    int max, found;
};

static bool larger(const struct tr_mig_profile *a, const struct tr_mig_profile *b)
{
    if (a->compute_slices != b->compute_slices)
        return a->compute_slices > b->compute_slices;
    return a->mem_slots > b->mem_slots;
}

static bool can_add(struct listing *l, int profile)
{
    int starts[TR_MAX_PARTS + 1];
    if (l->n_chosen >= TR_MAX_PARTS)
        return false;
    l->chosen[l->n_chosen] = &l->gpu->profiles[profile];
    return tr_mig_place(l->gpu, l->chosen, l->n_chosen + 1, starts);
}

/* Decides how many of the k-th largest profile to take, most first, then of the next. Any subset of
 * a legal set is legal, so taking them one by one reaches every legal set. */
static void list_from(struct listing *l, int k)
{
    if (k == l->n_order) {
        for (int i = 0; i < l->n_order; i++)
            if (can_add(l, l->order[i]))
                return;
        if (l->n_chosen == 0)
            return;
        if (l->found < l->max)
            memcpy(l->out[l->found], l->counts, sizeof l->counts);
        l->found++;
        return;
    }
    int profile = l->order[k];
    if (can_add(l, profile)) {
        l->n_chosen++;
        l->counts[profile]++;
        list_from(l, k);
        l->counts[profile]--;
        l->n_chosen--;
    }
    list_from(l, k + 1);
}

int tr_mig_maximal(const struct tr_gpu *gpu, bool all, int (*counts)[TR_MAX_PROFILES], int max)
{
    struct listing l = {.gpu = gpu, .out = counts, .max = max};
    for (int i = 0; i < gpu->n_profiles; i++) {
        const struct tr_mig_profile *p = &gpu->profiles[i];
        if (p->media || (!all && !p->plain))
            continue;
        int at = l.n_order++;
        while (at > 0 && larger(p, &gpu->profiles[l.order[at - 1]])) {
            l.order[at] = l.order[at - 1];
            at--;
        }
        l.order[at] = i;
    }
    list_from(&l, 0);
    return l.found;
}
