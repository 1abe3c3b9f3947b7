/* scenario, checks between keys, and the defaults that depend on other keys. */
#include "scenario/keys.h"

#include <math.h>

const struct tr_node *find_node(const struct reader *r, const char *path)
{
    const struct tr_node *node = r->root;
    char word[64];

    while (node && *path) {
        size_t len = strcspn(path, ".");

        snprintf(word, sizeof(word), "%.*s", (int)len, path);
        if (strcmp(word, "workload") == 0) {
            node = tr_node_get(node, "workloads");
            node = node && node->kind == TR_NODE_LIST && node->n > r->item ? node->items[r->item]
                                                                           : NULL;
        } else {
            node = tr_node_get(node, word);
        }
        path += len + (path[len] == '.');
    }
    return node;
}

/* What only a workload gives meaning to. */
static int check_claims_only(struct reader *r)
{
    for (size_t i = 0; i < r->root->n; i++) {
        const char *name = r->root->keys[i]->text;

        if (strcmp(name, "name") != 0 && strcmp(name, "claims") != 0)
            return tr_node_err(r->err, r->root->keys[i], "'%s' says nothing without 'workloads'",
                               name);
    }
    return 0;
}

static int check_engine(struct reader *r)
{
    static const char *const sizes[] = {"kv_tokens", "num_gpu_blocks_override", "log"};
    const struct tr_workload *w = &r->s->workloads[r->item];
    const struct tr_node *map = find_node(r, "workload.engine");
    const char *first = NULL;

    if (!map)
        return 0;
    for (size_t i = 0; i < TR_LEN(sizes); i++) {
        if (!tr_node_get(map, sizes[i]))
            continue;
        if (first)
            return tr_node_err(r->err, tr_node_get(map, sizes[i]),
                               "engine.%s: the size of the KV cache is already given by %s",
                               sizes[i], first);
        first = sizes[i];
    }
    if (w->engine.max_num_seqs && w->engine.max_num_batched_tokens &&
        w->engine.max_num_seqs > w->engine.max_num_batched_tokens)
        return tr_node_err(r->err, tr_node_get(map, "max_num_seqs"),
                           "engine.max_num_seqs: %d is above max_num_batched_tokens (%d); a step "
                           "has a token for every request in it",
                           w->engine.max_num_seqs, w->engine.max_num_batched_tokens);
    if (w->engine.max_model_len > w->model->max_positions)
        return tr_node_err(r->err, tr_node_get(map, "max_model_len"),
                           "engine.max_model_len: %d is above what %s can do (%d)",
                           w->engine.max_model_len, w->model->name, w->model->max_positions);
    return 0;
}

/* Shares given in words, or not at all. */
static void fill_shares(struct reader *r, bool zipf)
{
    struct tr_workload *w = &r->s->workloads[r->item];
    double *shares = TR_ARENA_NEW(&r->s->arena, double, w->n_tenants);
    double sum = 0;

    for (int i = 0; i < w->n_tenants; i++) {
        shares[i] = zipf ? 1.0 / (i + 1) : 1.0;
        sum += shares[i];
    }
    for (int i = 0; i < w->n_tenants; i++)
        shares[i] /= sum;
    w->shares = shares;
}

static int check_synchrony(struct reader *r)
{
    struct tr_workload *w = &r->s->workloads[r->item];
    const struct tr_node *synchrony = find_node(r, "workload.tenants.synchrony");

    if (synchrony && w->traffic.trace)
        return tr_node_err(r->err, synchrony,
                           "tenants.synchrony: it does not go with 'trace': a trace's tenants are "
                           "as measured");
    if (synchrony && w->n_tenants < 2)
        return tr_node_err(r->err, synchrony,
                           "tenants.synchrony: it needs two tenants or more (tenants.count)");
    w->traffic.own_curve = 1 - w->synchrony;
    return 0;
}

static int check_tenants(struct reader *r)
{
    struct tr_workload *w = &r->s->workloads[r->item];
    const struct tr_node *shares = find_node(r, "workload.tenants.shares");
    const struct tr_node *router = find_node(r, "workload.router");
    const struct tr_node *pods = find_node(r, "workload.tenants.pods");
    int rc;

    if (w->shares && shares->n != (size_t)w->n_tenants)
        return tr_node_err(r->err, shares, "tenants.shares: %zu shares for %d tenant%s", shares->n,
                           w->n_tenants, w->n_tenants == 1 ? " (see tenants.count)" : "s");
    if (w->priorities && w->n_priorities != w->n_tenants)
        return tr_node_err(r->err, find_node(r, "workload.tenants.priorities"),
                           "tenants.priorities: %d priorities for %d tenant%s", w->n_priorities,
                           w->n_tenants, w->n_tenants == 1 ? " (see tenants.count)" : "s");
    if (!w->shares)
        fill_shares(r, shares != NULL);
    if (w->own_pods && w->n_tenants < 2)
        return tr_node_err(r->err, pods,
                           "tenants.pods: own pods need two tenants or more "
                           "(tenants.count)");
    if (w->own_pods && !router)
        w->router = TR_ROUTE_TENANT;
    if (w->own_pods && w->router != TR_ROUTE_TENANT)
        return tr_node_err(r->err, router,
                           "router: tenants with pods of their own need "
                           "tenant-pinned, which is then the default");
    if (w->router == TR_ROUTE_TENANT && w->n_tenants < 2)
        return tr_node_err(r->err, router,
                           "router: tenant-pinned needs two tenants or more "
                           "(tenants.count)");
    if ((rc = check_synchrony(r)) < 0)
        return rc;
    w->traffic.n_tenants = w->n_tenants;
    w->traffic.shares = w->shares;
    return 0;
}

/* Reports tell workloads apart by their names. */
static int check_name(struct reader *r)
{
    const struct tr_workload *w = r->s->workloads;

    for (size_t i = 0; i < r->item; i++)
        if (strcmp(w[i].name, w[r->item].name) == 0)
            return tr_node_err(r->err, find_node(r, "workload"),
                               "workloads[].name: two workloads are called \"%s\"; the names of "
                               "several must be given, and differ",
                               w[i].name);
    return 0;
}

static int check_workload(struct reader *r)
{
    struct tr_workload *w = &r->s->workloads[r->item];
    const struct tr_node *slo = find_node(r, "workload.slo");
    int rc;

    if ((rc = check_name(r)) < 0 || (rc = check_server(r)) < 0)
        return rc;
    if (!find_node(r, "workload.isolation"))
        w->isolation = r->s->isolation;
    if (w->n_precisions == 0) {
        w->precisions[0] = &r->s->catalog->precisions[0];
        w->n_precisions = 1;
    }
    if (w->slo.n == 0)
        return tr_node_err(r->err, slo,
                           "slo needs at least one objective, such as ttft_p95: 500ms");
    if ((rc = check_engine(r)) < 0 || (rc = check_tenants(r)) < 0 ||
        (rc = check_autoscaling(r)) < 0)
        return rc;
    return check_traffic(r);
}

/* The user's own prices go into a node type of the scenario's. */
static int check_price(struct reader *r)
{
    struct tr_scenario *s = r->s;
    const struct tr_node *price = find_node(r, "cluster.price");
    struct tr_node_type *own;

    if (!price)
        return 0;
    if (s->n_nodes > 1)
        return tr_node_err(r->err, price,
                           "cluster.price: it is the price of one node type, and the scenario has "
                           "%zu; give several with --catalog",
                           s->n_nodes);
    own = TR_ARENA_NEW(&s->arena, struct tr_node_type, 1);
    *own = *s->nodes[0];
    if (tr_node_get(price, "on_demand"))
        own->usd_per_h = s->price.on_demand;
    if (tr_node_get(price, "reserved")) {
        own->reserved_usd_per_h = s->price.reserved;
        own->reserved_3y_usd_per_h = (double)NAN;
    }
    if (tr_node_get(price, "spot"))
        own->spot_usd_per_h = s->price.spot;
    if (tr_node_get(price, "interruptions"))
        own->spot_interrupts_per_h = s->price.interruptions * 3600;
    s->nodes[0] = own;
    return 0;
}

static int check_cluster(struct reader *r)
{
    int rc;

    if (!tr_node_get(r->root, "cluster"))
        return tr_node_err(r->err, r->root,
                           "a scenario with workloads needs the key 'cluster': a "
                           "map with the key node");
    return (rc = check_cluster_scaling(r)) < 0 ? rc : check_price(r);
}

int check_scenario(struct reader *r)
{
    struct tr_scenario *s = r->s;
    int rc;

    if (s->n_workloads == 0 && s->n_claims)
        return check_claims_only(r);
    if (s->n_workloads == 0)
        return tr_node_err(r->err, r->root, "a scenario needs the key 'workloads' (or 'claims')");
    if ((rc = check_cluster(r)) < 0)
        return rc;
    for (r->item = 0; r->item < s->n_workloads; r->item++) {
        struct tr_workload *w = &s->workloads[r->item];

        if ((rc = check_workload(r)) < 0)
            return rc;
        if (s->n_workloads > 1) /* no workload's arrivals depend on which others there are */
            w->traffic.salt = tr_hash(w->name, strlen(w->name), 0) | 1;
    }
    s->workload = s->workloads[0];
    s->isolation = s->workload.isolation;
    return 0;
}
