/* Routers that look at no load. */
#include "fleet/route.h"

#include "num/num.h"

static int at_random(const struct tr_route_choice *among, uint64_t index, int n)
{
    int pick = (int)(tr_rng_unit(among->seed, among->stream, index) * n);
    return TR_MIN(pick, n - 1);
}

/* Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014): with one pod more,
 * 1/(n+1) of the sessions move, all of them to it. */
static int jump(uint64_t key, int n)
{
    int64_t pick = -1;
    for (int64_t next = 0; next < n;) {
        pick = next;
        key = key * UINT64_C(2862933555777941757) + 1;
        next = (int64_t)((double)(pick + 1) *
                         ((double)(INT64_C(1) << 31) / (double)((key >> 33) + 1)));
    }
    return (int)pick;
}

int tr_route(const struct tr_fleet_workload *w, const struct tr_route_choice *among,
             const struct tr_fleet_request *q)
{
    uint64_t id = (uint64_t)q->engine.id;
    int n = among->n_pods;
    if (n == 1)
        return 0;
    int tenants = TR_MAX(w->n_tenants, 1), tenant = q->engine.tenant % tenants;
    switch (w->router) {
    case TR_ROUTE_ROUND_ROBIN:
        return (int)(among->sent % n);
    case TR_ROUTE_SESSION: {
        if (q->session < 0)
            return at_random(among, id, n);
        uint64_t key = tr_hash(&q->session, sizeof q->session, 0);
        return among->sticky ? jump(key, n) : at_random(among, key, n);
    }
    case TR_ROUTE_TENANT: {
        if (n < tenants)
            return tenant % n;
        int own = (n - tenant + tenants - 1) / tenants;
        return tenant + at_random(among, id, own) * tenants;
    }
    default:
        return at_random(among, id, n);
    }
}
