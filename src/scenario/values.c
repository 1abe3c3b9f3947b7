/* scenario, values: what a key's type alone does not explain: names of the catalog, lists, the
 * objective, a pasted start-up log. */
#include "scenario/keys.h"

#include <stdlib.h>
#include <strings.h>

int list_items(struct reader *r, const struct key *key, const struct tr_node *node, size_t max,
               const struct tr_node *const **items, size_t *n)
{
    if (node->kind == TR_NODE_SCALAR) {
        const struct tr_node **one = TR_ARENA_NEW(&r->s->arena, const struct tr_node *, 1);

        one[0] = node;
        *items = one;
        *n = 1;
    } else {
        *items = (const struct tr_node *const *)node->items;
        *n = node->n;
    }
    if (node->kind == TR_NODE_MAP || *n == 0)
        return key_refuse(r, key, node);
    if (*n > max)
        return key_fail(r, key, (*items)[max], "more than %zu entries", max);
    for (size_t i = 0; i < *n; i++)
        if ((*items)[i]->kind != TR_NODE_SCALAR || (*items)[i]->null || !(*items)[i]->text[0])
            return key_refuse(r, key, (*items)[i]);
    return 0;
}

int read_node_types(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_scenario *s = base;
    const struct tr_node *const *items;
    size_t n;
    int rc = list_items(r, key, node, TR_LEN(s->nodes), &items, &n);

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = tr_catalog_node(s->catalog, items[i]->text, items[i], &s->nodes[i], r->err);
        for (size_t k = 0; k < i && rc == 0; k++)
            if (s->nodes[k] == s->nodes[i])
                rc = key_fail(r, key, items[i], "%s is given twice", s->nodes[i]->name);
    }
    s->n_nodes = n;
    return rc;
}

int read_precisions(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    const struct tr_node *const *items;
    size_t n;
    int rc = list_items(r, key, node, TR_LEN(w->precisions), &items, &n);

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = tr_catalog_precision(r->s->catalog, items[i]->text, items[i], &w->precisions[i],
                                  r->err);
        for (size_t k = 0; k < i && rc == 0; k++)
            if (w->precisions[k] == w->precisions[i])
                rc = key_fail(r, key, items[i], "%s is given twice", w->precisions[i]->name);
    }
    w->n_precisions = n;
    return rc;
}

int read_precision(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_claim *claim = base;
    const char *name;

    if (key_get_text(r, key, node, &name) < 0)
        return TR_EINPUT;
    return tr_catalog_precision(r->s->catalog, name, node, &claim->precision, r->err);
}

int read_gpu(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    const struct tr_gpu **out = (const struct tr_gpu **)(void *)((char *)base + key->offset);
    const char *name;

    if (key_get_text(r, key, node, &name) < 0)
        return TR_EINPUT;
    return tr_catalog_gpu(r->s->catalog, name, node, out, r->err);
}

static bool is_config_path(const char *name)
{
    size_t len = strlen(name);

    return len > 5 && strcmp(name + len - 5, ".json") == 0;
}

int read_model(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    const struct tr_model **out = key->base == IN_CLAIM ? &((struct tr_claim *)base)->model
                                                        : &((struct tr_workload *)base)->model;
    struct tr_model *model;
    struct tr_err e = {0};
    const char *name;

    if (key_get_text(r, key, node, &name) < 0)
        return TR_EINPUT;
    if (!is_config_path(name))
        return tr_catalog_model(r->s->catalog, name, node, out, r->err);
    model = TR_ARENA_NEW(&r->s->arena, struct tr_model, 1);
    if (tr_model_from_config(&r->s->arena, file_beside(r, name), model, &e) < 0)
        return key_fail(r, key, node, "%s", e.text);
    *out = model;
    return 0;
}

/* ---- quality -------------------------------------------------------------------------------- */

/* The benchmarks that the catalog has losses for, each once. */
static size_t known_metrics(const struct tr_catalog *cat, const char **names, size_t max)
{
    size_t n = 0;

    for (size_t p = 0; p < cat->n_precisions; p++) {
        for (int q = 0; q < cat->precisions[p].n_quality && n < max; q++) {
            size_t i = 0;

            names[n] = cat->precisions[p].quality[q].metric;
            while (strcmp(names[i], names[n]) != 0)
                i++;
            n += i == n;
        }
    }
    return n;
}

static void join(struct tr_str *out, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tr_str_printf(out, "%s%s", i ? ", " : "", words[i]);
}

int read_metric(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    const char *names[32], *name, *near;
    size_t n = known_metrics(r->s->catalog, names, TR_LEN(names) - 1);
    struct tr_str list = {0};
    char shown[64];
    int rc;

    if (key_get_text(r, key, node, &name) < 0)
        return TR_EINPUT;
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i], name) == 0) {
            w->quality.metric = names[i];
            return 0;
        }
    }
    near = tr_nearest(name, names, n);
    join(&list, names, n);
    rc = key_fail(r, key, node, "no loss is known on \"%s\"%s%s%s; known are %s",
                  key_show(shown, name), near ? " (did you mean " : "", near ? near : "",
                  near ? "?)" : "", list.text ? list.text : "none");
    tr_str_free(&list);
    return rc;
}

int read_quality(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    const char *names[32];
    struct tr_str list = {0};
    char shown[64];
    int rc;

    w->has_quality_limit = true;
    if (node->kind != TR_NODE_SCALAR || node->null)
        return read_submap(r, base, key, node);
    join(&list, names, known_metrics(r->s->catalog, names, TR_LEN(names) - 1));
    rc = key_fail(r, key, node,
                  "\"%s\" of what? The same quantised model loses little on one benchmark and much "
                  "on another; write {metric: NAME, at_most: %s}, where NAME is one of %s",
                  key_show(shown, node->text), shown, list.text ? list.text : "none");
    tr_str_free(&list);
    return rc;
}

/* ---- engine --------------------------------------------------------------------------------- */

/* The whole number after the last `label` in the text, "456,384" and "456384" alike; -1: none. */
static int64_t number_after(const char *text, const char *label)
{
    int64_t found = -1;

    for (const char *at = strstr(text, label); at; at = strstr(at + 1, label)) {
        const char *c = at + strlen(label);
        int64_t value = -1;

        while (*c == ' ')
            c++;
        for (; (*c >= '0' && *c <= '9') || (*c == ',' && value >= 0 && c[1] >= '0' && c[1] <= '9');
             c++)
            if (*c != ',' && value < INT64_C(1000000000000))
                value = (value < 0 ? 0 : value * 10) + (*c - '0');
        if (value >= 0)
            found = value;
    }
    return found;
}

int read_log(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_engine_opts *engine = &((struct tr_workload *)base)->engine;
    const char *text;
    int64_t tokens, blocks;

    if (key_get_text(r, key, node, &text) < 0)
        return TR_EINPUT;
    tokens = number_after(text, "GPU KV cache size:");
    blocks = number_after(text, "# GPU blocks:");
    if (tokens < 0 && blocks < 0)
        return key_fail(r, key, node,
                        "no line with 'GPU KV cache size: N tokens' or '# GPU blocks: N' in this "
                        "text");
    if ((tokens >= 0 ? tokens : blocks) < 16 || tokens > INT64_C(1000000000000) ||
        blocks > INT64_C(100000000000))
        return key_fail(r, key, node, "a KV cache of %" PRId64 " %s is not possible",
                        tokens >= 0 ? tokens : blocks, tokens >= 0 ? "tokens" : "blocks");
    if (tokens >= 0)
        engine->kv_tok = tokens;
    else
        engine->num_gpu_blocks = blocks;
    return 0;
}

/* ---- tenants and arrangements --------------------------------------------------------------- */

int read_shares(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    double *shares, sum = 0;

    if (node->kind == TR_NODE_SCALAR)
        return strcmp(node->text, "zipf") == 0 ? 0 : key_refuse(r, key, node);
    if (node->kind != TR_NODE_LIST || node->n == 0)
        return key_refuse(r, key, node);
    shares = TR_ARENA_NEW(&r->s->arena, double, node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct tr_node *item = node->items[i];
        struct tr_err e = {0};

        if (item->kind != TR_NODE_SCALAR)
            return key_refuse(r, key, item);
        if (tr_units_fraction(item->text, 1.0, &shares[i], &e) < 0)
            return key_fail(r, key, item, "%s", e.text);
        if (shares[i] <= 0)
            return key_fail(r, key, item, "a share must be above 0");
        sum += shares[i];
    }
    if (sum < 0.999 || sum > 1.001) /* four decimals of a published table do not sum exactly */
        return key_fail(r, key, node, "these shares sum to %.4g; they must sum to 1", sum);
    for (size_t i = 0; i < node->n; i++)
        shares[i] /= sum;
    w->shares = shares;
    return 0;
}

int read_priorities(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    int32_t *list;

    if (node->kind != TR_NODE_LIST || node->n == 0)
        return key_refuse(r, key, node);
    list = TR_ARENA_NEW(&r->s->arena, int32_t, node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct tr_node *item = node->items[i];
        int64_t value;

        if (item->kind != TR_NODE_SCALAR || tr_units_integer(item->text, &value, NULL) < 0 ||
            (double)value < key->min || (double)value > key->max)
            return key_refuse(r, key, item);
        list[i] = (int32_t)value;
    }
    w->priorities = list;
    w->n_priorities = (int)node->n;
    return 0;
}

int read_compare(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_scenario *s = base;
    const struct tr_node *const *items;
    size_t n;

    s->compare_auto = node->kind == TR_NODE_SCALAR && strcmp(node->text, "auto") == 0;
    s->n_compare = 0;
    if (s->compare_auto)
        return 0;
    if (node->kind != TR_NODE_LIST)
        return key_refuse(r, key, node);
    if (list_items(r, key, node, TR_LEN(s->compare), &items, &n) < 0)
        return TR_EINPUT;
    for (size_t i = 0; i < n; i++) {
        char shown[64];

        if (strlen(items[i]->text) > 95)
            return key_fail(r, key, items[i], "\"%s\" is longer than an arrangement can be",
                            key_show(shown, items[i]->text));
        for (size_t k = 0; k < i; k++)
            if (strcmp(items[k]->text, items[i]->text) == 0)
                return key_fail(r, key, items[i], "\"%s\" is given twice", items[i]->text);
        s->compare[i] = items[i]->text;
        s->compare_at[i] = items[i];
    }
    s->n_compare = n;
    return 0;
}

/* ---- the objective -------------------------------------------------------------------------- */

/* Reads the percentile of "ttft_p99.9" in hundredths of a percent; 0: it is none. */
static int percentile(const char *digits)
{
    int whole = 0, parts = 0, scale = 100;

    if (strlen(digits) > 5)
        return 0;
    for (; *digits >= '0' && *digits <= '9'; digits++)
        whole = whole * 10 + (*digits - '0');
    if (*digits == '.' && digits[1] != 0) {
        for (digits++; *digits >= '0' && *digits <= '9' && scale > 1; digits++) {
            scale /= 10;
            parts += (*digits - '0') * scale;
        }
    }
    whole = whole * 100 + parts;
    return *digits == 0 && whole >= 100 && whole <= 9999 ? whole : 0;
}

/* `name` is the node of the key ("ttft_p95"), because the percentile is part of it. */
int read_objective(struct reader *r, void *base, const struct key *key, const struct tr_node *name)
{
    static const char stems[TR_N_METRICS][6] = {"ttft", "tpot", "e2e"};
    struct tr_slo *slo = &((struct tr_workload *)base)->slo;
    const struct tr_node *value = tr_node_get(find_node(r, "workload.slo"), name->text);
    const char *p = strstr(name->text, "_p");
    int hundredths = percentile(p + 2);
    struct key named = *key; /* with the percentile, for messages */
    struct tr_objective *o;
    char shown[64];

    if (!hundredths)
        return tr_node_err(r->err, name,
                           "'%s': the percentile must be from p1 to p99.99, such as ttft_p95",
                           key_show(shown, name->text));
    if ((size_t)slo->n == TR_LEN(slo->objective))
        return tr_node_err(r->err, name, "more than %zu objectives", TR_LEN(slo->objective));
    o = &slo->objective[slo->n];
    o->fraction = hundredths / 10000.0;
    for (int m = 0; m < TR_N_METRICS; m++)
        if (strncmp(stems[m], name->text, (size_t)(p - name->text)) == 0)
            o->metric = (enum tr_metric)m;
    for (int i = 0; i < slo->n; i++)
        if (slo->objective[i].metric == o->metric && slo->objective[i].fraction == o->fraction)
            return tr_node_err(r->err, name, "'%s' is given twice", name->text);
    slo->n++;
    named.path = tr_arena_printf(&r->s->arena, "workloads[].slo.%s", name->text);
    return key_get_duration(r, &named, value, &o->limit_ns);
}
