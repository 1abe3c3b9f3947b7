/* scenario, scaling: what is read and checked about nodes and replicas that come and go. */
#include "scenario/keys.h"

int read_autoscaler(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_scenario *s = base;

    s->autoscale = node->kind != TR_NODE_SCALAR || node->null || strcmp(node->text, "none") != 0;
    return s->autoscale ? read_submap(r, base, key, node) : 0;
}

int read_unneeded(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_scenario *s = base;
    const struct tr_node *const *items;
    size_t n;
    int rc = list_items(r, key, node, TR_MAX_UNNEEDED, &items, &n);

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = key_get_duration(r, key, items[i], &s->unneeded_ns[i]);
        for (size_t k = 0; k < i && rc == 0; k++)
            if (s->unneeded_ns[k] == s->unneeded_ns[i])
                rc = key_fail(r, key, items[i], "%s is given twice", items[i]->text);
    }
    s->n_unneeded = n;
    s->autoscaler.unneeded_ns = s->unneeded_ns[0];
    return rc;
}

int read_behavior(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    ((struct tr_workload *)base)->hpa.has_behavior = true;
    return read_submap(r, base, key, node);
}

int read_policies(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_hpa_rules *rules = (struct tr_hpa_rules *)(void *)((char *)base + key->offset);
    char prefix[96];

    if (node->kind != TR_NODE_LIST || node->n == 0)
        return key_refuse(r, key, node);
    key_prefix(key, prefix);
    rules->pods_period_ns = rules->percent_period_ns = 0;
    for (size_t i = 0; i < node->n; i++) {
        const struct tr_node *item = node->items[i];
        struct policy p = {0};

        if (item->kind != TR_NODE_MAP)
            return key_refuse(r, key, item);
        if (read_map(r, &p, prefix, item) < 0)
            return TR_EINPUT;
        if (p.percent ? rules->percent_period_ns : rules->pods_period_ns)
            return key_fail(r, key, item, "a second policy of type %s; there may be one of each",
                            p.percent ? "Percent" : "Pods");
        *(p.percent ? &rules->percent : &rules->pods) = p.value;
        *(p.percent ? &rules->percent_period_ns : &rules->pods_period_ns) = p.period_ns;
    }
    return 0;
}

int read_keda(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;

    w->keda.on = true;
    w->hpa.external = true; /* KEDA's HPA asks for one sum */
    return read_submap(r, base, key, node);
}

/* ---- checks --------------------------------------------------------------------------------- */

int check_cluster_scaling(struct reader *r)
{
    struct tr_scenario *s = r->s;
    const struct tr_node *autoscaler = find_node(r, "cluster.autoscaler");

    if (s->nodes_min > s->nodes_max)
        return tr_node_err(r->err, find_node(r, "cluster.nodes"),
                           "cluster.nodes: min %d is above max %d", s->nodes_min, s->nodes_max);
    if (autoscaler && s->autoscale && s->nodes_min == s->nodes_max)
        return tr_node_err(r->err, autoscaler,
                           "cluster.autoscaler: nodes.min and nodes.max are both %d, so that no "
                           "node comes or goes; allowed is none, or a min below max",
                           s->nodes_min);
    if (s->nodes_min == 0 && !s->autoscale)
        return tr_node_err(r->err, find_node(r, "cluster.nodes.min"),
                           "cluster.nodes.min: 0 goes with an autoscaler; allowed without one is "
                           "at least 1");
    if (s->autoscaler.backoff_ns > s->autoscaler.backoff_max_ns)
        return tr_node_err(r->err, autoscaler,
                           "cluster.autoscaler: initial_node_group_backoff_duration is above "
                           "max_node_group_backoff_duration");
    s->autoscale = s->autoscale && s->nodes_min < s->nodes_max;
    s->autoscaler.min_nodes = s->nodes_min;
    s->autoscaler.max_nodes = s->nodes_max;
    return 0;
}

int check_autoscaling(struct reader *r)
{
    struct tr_workload *w = &r->s->workloads[r->item];
    struct tr_hpa_policy *hpa = &w->hpa;
    const struct tr_node *map = find_node(r, "workload.autoscaling");
    const struct tr_node *min = find_node(r, "workload.autoscaling.min_replicas");

    if (!find_node(r, "workload.autoscaling.hpa.behavior.scaleDown.stabilizationWindowSeconds"))
        hpa->down.window_ns = hpa->stabilization_ns;
    if (!min)
        hpa->min_replicas = w->keda.on ? 0 : 1;
    if (hpa->min_replicas == 0 && !w->keda.on)
        return tr_node_err(r->err, min,
                           "autoscaling.min_replicas: 0 goes with 'keda'; the HPA alone keeps at "
                           "least 1");
    if (hpa->max_replicas && hpa->min_replicas > hpa->max_replicas)
        return tr_node_err(r->err, map, "autoscaling: min_replicas %d is above max_replicas %d",
                           hpa->min_replicas, hpa->max_replicas);
    if (hpa->target > 1 && (hpa->metric == TR_SCALE_KV || hpa->metric == TR_SCALE_GPU))
        return tr_node_err(r->err, find_node(r, "workload.autoscaling.target"),
                           "autoscaling.target: %g of '%s' is not possible; allowed is a number "
                           "from 0.001 to 1",
                           hpa->target, hpa->metric == TR_SCALE_KV ? "kv" : "gpu");
    return 0;
}
