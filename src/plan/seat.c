/* Seats: what a unit's pod is on one part of a GPU. */
#include "plan/pools.h"

static bool same_seat(const struct tr_seat *a, const struct tr_seat *b)
{
    return a->unit == b->unit && a->node == b->node && a->profile == b->profile &&
           a->mps == b->mps && a->lone == b->lone && a->level == b->level &&
           a->thousandths == b->thousandths;
}

static struct tr_arrangement arrangement_of(const struct tr_seat *seat)
{
    struct tr_part part = {.profile = seat->profile,
                           .sharing = seat->mps > 0 ? TR_MPS : TR_SOLO,
                           .n_pods = TR_MAX(seat->mps, 1)};
    struct tr_arrangement a = {.n_parts = seat->lone ? 1 : 2,
                               .parts = {part, part},
                               .mig = seat->profile != NULL,
                               .one_engine = (seat->unit & (seat->unit - 1)) != 0};
    a.n_pods = a.n_parts * part.n_pods;
    return a;
}

/* All members of a unit have the same model, engine and precisions: the first stands for them. Its
 * engine goes by priority where they have several. */
static void build(struct tr_pools *p, struct tr_seat *seat)
{
    struct tr_arrangement a = arrangement_of(seat);
    struct tr_scenario view = p->member[__builtin_ctz(seat->unit)].view;
    struct tr_workload *w = &view.workload;
    view.isolation = TR_ISOLATION_NONE; /* that of the layout is seen to when it is made */
    if (seat->thousandths > 0)
        w->engine.gpu_memory_utilization = seat->thousandths / 1000.0;
    tr_candidate_build(&seat->pod, &p->arena, &view, seat->node, &a, w->precisions[seat->level],
                       seat->level);
    for (uint32_t bits = seat->unit; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        const struct tr_workload *member = &p->member[i].view.workload;
        tr_candidate_bound(&seat->pod, member, &p->member[i].alone->lengths);
        const struct tr_ceiling *c = &seat->pod.ceiling;
        seat->ceiling_rps[i] = seat->pod.shares ? c->lowest_cached : c->lowest;
        seat->ceiling_rps[i] /= a.n_pods;
        seat->answer_s[i] = seat->pod.solo_answer_s;
        if (member->priority != w->priority || member->priorities != NULL)
            seat->pod.engine[0].priority = true;
    }
}

const struct tr_seat *tr_seat_get(struct tr_pools *p, const struct tr_seat *key)
{
    for (size_t i = 0; i < p->n_seats; i++)
        if (same_seat(p->seats[i], key))
            return p->seats[i];
    struct tr_seat *seat = TR_ARENA_NEW(&p->arena, struct tr_seat, 1);
    *seat = *key;
    build(p, seat);
    tr_grow((void **)&p->seats, &p->cap_seats, p->n_seats + 1, sizeof *p->seats);
    p->seats[p->n_seats++] = seat;
    return seat;
}

static int levels_of(const struct tr_pools *p, uint32_t unit)
{
    return (int)p->member[__builtin_ctz(unit)].view.workload.n_precisions;
}

const struct tr_seat *tr_seat_first(struct tr_pools *p, const struct tr_seat *key)
{
    struct tr_seat at = *key;
    for (at.level = 0; at.level < levels_of(p, key->unit); at.level++) {
        const struct tr_seat *seat = tr_seat_get(p, &at);
        if (seat->pod.gate == TR_GATE_OK)
            return seat;
    }
    return NULL;
}

/* Weights, activations, CUDA graphs and the KV cache of one request of max_model_len, with vLLM's
 * null block; the demand is the KV cache of the requests that are there at a time in the busiest
 * minute, if each had the part to itself (Little's law). */
static struct tr_memory_claim claim_of(const struct tr_pools *p, const struct tr_seat *seat)
{
    const struct tr_workload *w = &p->member[__builtin_ctz(seat->unit)].view.workload;
    const struct tr_memory *m = &seat->pod.memory[0];
    int64_t blocks = (seat->pod.engine[0].max_model_len + TR_BLOCK_TOK - 1) / TR_BLOCK_TOK + 1;
    struct tr_memory_claim c = {.outside_bytes = m->context_bytes};
    if (w->server != NULL || w->engine.gpu_memory_utilization > 0) {
        c.least_bytes = m->budget_bytes;
        return c;
    }
    c.least_bytes = m->weights_bytes + m->activation_bytes + m->graphs_bytes +
                    blocks * TR_BLOCK_TOK * w->model->kv_bytes_per_tok;
    for (uint32_t bits = seat->unit; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        const struct tr_plan *alone = p->member[i].alone;
        c.demand += alone->spikes.peak_rate * seat->answer_s[i] * alone->lengths.resident_tok *
                    (double)w->model->kv_bytes_per_tok;
    }
    return c;
}

/* All at their precision number `level`, or their last. */
static bool divide_at(struct tr_pools *p, const struct tr_seat *key, int level, int n,
                      const uint32_t *units, const struct tr_seat **seats)
{
    struct tr_memory_claim claim[TR_MAX_PODS] = {0};
    double utilization[TR_MAX_PODS];
    struct tr_seat at = *key;
    for (int i = 0; i < n; i++) {
        at.unit = units[i];
        at.level = TR_MIN(level, levels_of(p, units[i]) - 1);
        seats[i] = tr_seat_get(p, &at);
        if (seats[i]->pod.gate != TR_GATE_OK)
            return false;
        claim[i] = claim_of(p, seats[i]);
    }
    if (!tr_memory_divide(seats[0]->pod.hw[0].mem_bytes, n, claim, utilization))
        return false;
    for (int i = 0; i < n; i++) {
        at = *seats[i];
        if (p->member[__builtin_ctz(units[i])].view.workload.server == NULL)
            at.thousandths = (int)(utilization[i] * 1000 + 0.5);
        seats[i] = tr_seat_get(p, &at);
        if (seats[i]->pod.gate != TR_GATE_OK)
            return false;
    }
    return true;
}

bool tr_seat_divide(struct tr_pools *p, const struct tr_seat *key, int n, const uint32_t *units,
                    const struct tr_seat **seats)
{
    int most = 0;
    for (int i = 0; i < n; i++)
        most = TR_MAX(most, levels_of(p, units[i]));
    for (int level = 0; level < most; level++)
        if (divide_at(p, key, level, n, units, seats))
            return true;
    return false;
}
