/* scenario: a file loaded, read key by key, checked as a whole. */
#include "scenario/keys.h"

#include <stdlib.h>

#define MAX_FILE_BYTES ((size_t)16 << 20)

const char *file_beside(struct reader *r, const char *path)
{
    if (path[0] == '/' || r->dir[0] == 0)
        return path;
    return tr_arena_printf(&r->s->arena, "%s%s", r->dir, path);
}

int read_workloads(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_scenario *s = base;
    struct tr_scaling scaling;
    char prefix[96];
    int rc = 0;

    if (node->kind != TR_NODE_LIST || node->n == 0)
        return key_refuse(r, key, node);
    if (node->n > TR_MAX_WORKLOADS)
        return key_fail(r, key, node->items[TR_MAX_WORKLOADS], "%zu of them; at most %d", node->n,
                        TR_MAX_WORKLOADS);
    key_prefix(key, prefix);
    tr_scaling_defaults(&scaling, 0, 0);
    s->workloads = TR_ARENA_NEW(&s->arena, struct tr_workload, node->n);
    s->n_workloads = node->n;
    for (r->item = 0; r->item < node->n && rc == 0; r->item++) {
        struct tr_workload *w = &s->workloads[r->item];

        if (node->items[r->item]->kind != TR_NODE_MAP)
            return key_refuse(r, key, node->items[r->item]);
        w->hpa = scaling.hpa;
        w->keda = scaling.keda;
        w->pod_life = scaling.pod;
        rc = read_defaults(r, w, IN_WORKLOAD, prefix);
        if (rc == 0)
            rc = read_map(r, w, prefix, node->items[r->item]);
    }
    return rc;
}

void tr_scenario_view(const struct tr_scenario *s, size_t i, struct tr_scenario *out)
{
    tr_assert(i < s->n_workloads);
    *out = *s;
    out->n_workloads = 1;
    out->workloads = &s->workloads[i];
    out->workload = s->workloads[i];
    out->isolation = out->workload.isolation;
}

int tr_scenario_only(struct tr_scenario *s, const char *workload, struct tr_err *err)
{
    const char *names[TR_MAX_WORKLOADS];
    struct tr_str all = {0};

    for (size_t i = 0; i < s->n_workloads; i++) {
        struct tr_scenario only;
        names[i] = s->workloads[i].name;
        if (strcmp(names[i], workload) != 0)
            continue;
        tr_scenario_view(s, i, &only);
        *s = only;
        return TR_OK;
    }
    for (size_t i = 0; i < s->n_workloads; i++)
        tr_str_printf(&all, "%s%s", i ? ", " : "", names[i]);
    const char *near = tr_nearest(workload, names, s->n_workloads);
    int rc = tr_err_set(err, TR_EINPUT, "%s: has no workload '%.60s'%s%s%s; known are %.600s",
                        s->path, workload, near ? "; did you mean '" : "", near ? near : "",
                        near ? "'" : "", all.len ? all.text : "none");
    tr_str_free(&all);
    return rc;
}

/* ---- claims --------------------------------------------------------------------------------- */

static int check_claim(struct reader *r, struct tr_claim *c)
{
    const struct tr_node *precision = tr_node_get(c->at, "precision");
    const struct tr_node *arrangement = tr_node_get(c->at, "arrangement");
    const struct tr_precision *named = NULL;
    bool latency = c->ttft_p50_ns || c->ttft_p95_ns;
    struct tr_err e = {0};

    if (tr_arrangement_parse(arrangement ? arrangement->text : "whole", c->gpu, r->s->catalog,
                             &c->arrangement, &named, &e) < 0)
        return tr_node_err(r->err, arrangement, "claims[].arrangement: %s", e.text);
    if (named && precision && named != c->precision)
        return tr_node_err(r->err, precision, "claims[].precision: the arrangement says %s",
                           named->name);
    if (!c->precision)
        c->precision = named ? named : &r->s->catalog->precisions[0];
    if (c->request_rate <= 0 && !latency && !c->fits)
        return tr_node_err(r->err, c->at,
                           "a claim needs one of request_rate, ttft_p50, ttft_p95, "
                           "fits: true");
    if ((c->request_rate > 0 || latency) && c->prompt_tok == 0)
        return tr_node_err(r->err, c->at,
                           "a claim of a rate or a latency needs the key "
                           "'prompt_tokens'");
    if (c->request_rate > 0 && c->output_tok == 0)
        return tr_node_err(r->err, c->at, "a claim of a rate needs the key 'output_tokens'");
    if (c->ttft_p50_ns && c->ttft_p95_ns && c->ttft_p50_ns > c->ttft_p95_ns)
        return tr_node_err(r->err, c->at, "a claim's ttft_p50 cannot be above its ttft_p95");
    return 0;
}

int read_claims(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_scenario *s = base;
    char prefix[96];
    int rc = 0;

    if (node->kind != TR_NODE_LIST || node->n == 0)
        return key_refuse(r, key, node);
    key_prefix(key, prefix);
    s->claims = TR_ARENA_NEW(&s->arena, struct tr_claim, node->n);
    for (size_t i = 0; i < node->n && rc == 0; i++) {
        struct tr_claim *claim = &s->claims[i];

        if (node->items[i]->kind != TR_NODE_MAP)
            return key_refuse(r, key, node->items[i]);
        claim->at = node->items[i];
        rc = read_map(r, claim, prefix, node->items[i]);
        if (rc == 0)
            rc = check_claim(r, claim);
    }
    s->n_claims = node->n;
    return rc;
}

/* ---- loading -------------------------------------------------------------------------------- */

static int parse(struct reader *r, const char *text, size_t len, const char *catalog_dir)
{
    struct tr_scenario *s = r->s;
    struct tr_scaling scaling;
    int rc;

    if ((rc = tr_yaml_parse(&s->arena, s->path, text, len, &r->root, r->err)) < 0)
        return rc;
    if (r->root->kind != TR_NODE_MAP)
        return tr_node_err(r->err, r->root, "a scenario is a map of keys, such as 'workloads:'");
    tr_scaling_defaults(&scaling, 0, 0);
    s->autoscale = true;
    s->autoscaler = scaling.autoscaler;
    s->node_life = scaling.node;
    if ((rc = tr_catalog_load(catalog_dir, &s->catalog, r->err)) < 0 ||
        (rc = read_defaults(r, s, IN_SCENARIO, "")) < 0 || (rc = read_map(r, s, "", r->root)) < 0)
        return rc;
    return check_scenario(r);
}

int tr_scenario_parse(const char *path, const char *text, size_t len, const char *catalog_dir,
                      struct tr_scenario **out, struct tr_err *err)
{
    struct tr_scenario *s = tr_calloc(1, sizeof(*s));
    struct reader r = {.s = s, .err = err};
    const char *slash = strrchr(path, '/');
    int rc;

    *out = NULL;
    s->path = tr_arena_strdup(&s->arena, path);
    s->name = slash ? s->path + (slash - path) + 1 : s->path;
    s->hash = tr_hash(text, len, 0);
    r.dir = tr_arena_strndup(&s->arena, path, slash ? (size_t)(slash - path) + 1 : 0);
    rc = parse(&r, text, len, catalog_dir);
    if (rc < 0)
        tr_scenario_free(s);
    else
        *out = s;
    return rc;
}

int tr_scenario_load(const char *path, const char *catalog_dir, struct tr_scenario **out,
                     struct tr_err *err)
{
    char *text;
    size_t len;
    int rc = tr_file_read(path, MAX_FILE_BYTES, &text, &len, err);

    *out = NULL;
    if (rc < 0)
        return rc;
    rc = tr_scenario_parse(path, text, len, catalog_dir, out, err);
    free(text);
    return rc;
}

void tr_scenario_free(struct tr_scenario *s)
{
    if (!s)
        return;
    tr_catalog_free(s->catalog);
    tr_arena_free(&s->arena);
    free(s);
}
