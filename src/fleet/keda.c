/* keda: the part of KEDA above its HPA: from 0 replicas to the first, and from the last to 0. */
#include "fleet/hpa.h"

int tr_keda_poll(struct tr_keda *k, int64_t now_ns, double sum, int current)
{
    const int min = k->min_replicas;
    if (sum > k->policy.activation) {
        k->active_ns = now_ns;
        return current > 0 ? current : TR_MAX(min, 1);
    }
    if (min > 0)
        return TR_MAX(current, min);
    return now_ns > k->active_ns + k->policy.cooldown_ns ? 0 : current;
}
