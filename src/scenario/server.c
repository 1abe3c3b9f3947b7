/* scenario, server: a simple GPU server in place of a model. */
#include "scenario/keys.h"

int read_server(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    struct tr_server *own;
    const char *name;
    int rc;

    if (node->kind == TR_NODE_SCALAR) {
        if (key_get_text(r, key, node, &name) < 0)
            return TR_EINPUT;
        return tr_catalog_server(r->s->catalog, name, node, &w->server, r->err);
    }
    own = TR_ARENA_NEW(&r->s->arena, struct tr_server, 1);
    own->name = "of the scenario";
    own->item = "item";
    own->source = "the scenario\n";
    w->server = own;
    if ((rc = read_submap(r, own, key, node)) < 0)
        return rc;
    return tr_server_check(own, node, r->err);
}

/* What has a meaning for language models only. */
static int check_other_keys(struct reader *r)
{
    static const char *const keys[] = {"precision",
                                       "max_quality_loss",
                                       "engine",
                                       "traffic.prompt_tokens",
                                       "traffic.output_tokens",
                                       "traffic.system_prompt",
                                       "traffic.sessions",
                                       "traffic.trace",
                                       "traffic.variant"};
    char path[96];

    for (size_t i = 0; i < TR_LEN(keys); i++) {
        snprintf(path, sizeof(path), "workload.%s", keys[i]);
        if (find_node(r, path))
            return tr_node_err(r->err, find_node(r, path),
                               "%s: it does not go with 'server'; what a request to a server asks "
                               "for is traffic.items",
                               keys[i]);
    }
    return 0;
}

int check_server(struct reader *r)
{
    struct tr_workload *w = &r->s->workloads[r->item];
    const struct tr_node *items = find_node(r, "workload.traffic.items");
    int rc;

    if (!w->server && !w->model)
        return tr_node_err(r->err, find_node(r, "workload"),
                           "a workload needs the key 'model' or 'server': a name such as "
                           "llama-3.1-8b or bert-base-128");
    if (!w->server && items)
        return tr_node_err(r->err, items,
                           "traffic.items: it goes with 'server'; a model has prompt_tokens and "
                           "output_tokens");
    if (!w->server)
        return 0;
    if (w->model)
        return tr_node_err(r->err, find_node(r, "workload.server"),
                           "server: a workload has a 'model' or a 'server', not both");
    if ((rc = check_other_keys(r)) < 0)
        return rc;
    for (int i = 0; i < w->slo.n; i++)
        if (w->slo.objective[i].metric != TR_E2E)
            return tr_node_err(r->err, find_node(r, "workload.slo"),
                               "slo: a server answers all at once; allowed with 'server' is e2e, "
                               "such as e2e_p95: 50ms");
    if (w->hpa.metric == TR_SCALE_KV)
        return tr_node_err(r->err, find_node(r, "workload.autoscaling.metric"),
                           "autoscaling.metric: a server has no KV cache; allowed with 'server' "
                           "are requests, waiting and gpu");
    if (!items)
        w->traffic.prompt = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 1};
    w->traffic.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 1};
    return 0;
}
