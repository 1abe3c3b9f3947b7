/* lookup: finding entries by name, and saying what is near when there is none. */
#include "catalog/fields.h"

#include <stdlib.h>
#include <strings.h>

/* All the names of a list, one after the other, for the message; the caller frees. */
static const char **names_of(const void *items, size_t n, size_t size, size_t offset)
{
    const char **names = tr_malloc((n + 1) * sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = *(const char *const *)(const void *)((const char *)items + i * size + offset);
    return names;
}

/* "unknown KIND 'NAME'; did you mean 'X'? known are A, B, C", or `instead` where the list would be
 * too long for a line. */
static int unknown(struct tr_err *err, const struct tr_node *at, const char *kind, const char *name,
                   const char **names, size_t n, const char *instead)
{
    const char *near = tr_nearest(name, names, n);
    struct tr_str known = {0};
    if (instead != NULL)
        tr_str_printf(&known, "%s", instead);
    for (size_t i = 0; i < n && instead == NULL; i++)
        tr_str_printf(&known, "%s%s", i == 0 ? "known are " : ", ", names[i]);
    int rc = tr_catalog_err(err, at, "unknown %s '%.60s'%s%s%s%s", kind, name,
                            near != NULL ? "; did you mean '" : "; ", near != NULL ? near : "",
                            near != NULL ? "'? " : "", known.text != NULL ? known.text : "");
    tr_str_free(&known);
    free(names);
    return rc;
}

/* Is `name` one of the words of `list`? */
static bool is_alias(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = list; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n == len && strncasecmp(p, name, len) == 0)
            return true;
        p += n;
        p += strspn(p, " ");
    }
    return false;
}

/* Do the dash-separated words of `name` occur in this order among those of `full`? "sxm" stands for
 * "SXM4" and "SXM5" too: a word without its generation number. */
static bool words_match(const char *name, const char *full)
{
    while (*name != '\0') {
        size_t n = strcspn(name, "-");
        for (;;) {
            size_t m = strcspn(full, "-");
            if (m == 0)
                return false;
            bool same = m == n || (m == n + 1 && n >= 3 && full[n] >= '0' && full[n] <= '9' &&
                                   (name[n - 1] < '0' || name[n - 1] > '9'));
            bool found = same && strncasecmp(name, full, n) == 0;
            full += m;
            full += *full == '-';
            if (found)
                break;
        }
        name += n;
        name += *name == '-';
    }
    return true;
}

int tr_catalog_gpu(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                   const struct tr_gpu **out, struct tr_err *err)
{
    for (size_t i = 0; i < cat->n_gpus; i++) {
        if (strcasecmp(cat->gpus[i].name, name) == 0 || is_alias(cat->gpus[i].aliases, name)) {
            *out = &cat->gpus[i];
            return TR_OK;
        }
    }
    /* Part of a name will do where it fits one GPU only: "h200", "a100-40gb". */
    char candidates[400] = "";
    size_t used = 0, n = 0;
    for (size_t i = 0; i < cat->n_gpus && name[0] != '\0'; i++) {
        if (!words_match(name, cat->gpus[i].name))
            continue;
        *out = &cat->gpus[i];
        if (used < sizeof candidates)
            used += (size_t)snprintf(candidates + used, sizeof candidates - used, "%s%s",
                                     n == 0 ? "" : ", ", cat->gpus[i].name);
        n++;
    }
    if (n == 1)
        return TR_OK;
    *out = NULL;
    if (n > 1)
        return tr_catalog_err(err, at, "GPU '%.60s' is ambiguous: it may be %s", name, candidates);
    return unknown(
        err, at, "GPU", name,
        names_of(cat->gpus, cat->n_gpus, sizeof *cat->gpus, offsetof(struct tr_gpu, name)),
        cat->n_gpus, NULL);
}

int tr_catalog_model(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                     const struct tr_model **out, struct tr_err *err)
{
    for (size_t i = 0; i < cat->n_models; i++) {
        const struct tr_model *m = &cat->models[i];
        if (strcasecmp(m->name, name) == 0 || strcasecmp(m->hf_id, name) == 0) {
            *out = m;
            return TR_OK;
        }
    }
    return unknown(
        err, at, "model (and no path to a config.json)", name,
        names_of(cat->models, cat->n_models, sizeof *cat->models, offsetof(struct tr_model, name)),
        cat->n_models, NULL);
}

int tr_catalog_precision(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                         const struct tr_precision **out, struct tr_err *err)
{
    for (size_t i = 0; i < cat->n_precisions; i++) {
        if (strcasecmp(cat->precisions[i].name, name) == 0) {
            *out = &cat->precisions[i];
            return TR_OK;
        }
    }
    return unknown(err, at, "precision", name,
                   names_of(cat->precisions, cat->n_precisions, sizeof *cat->precisions,
                            offsetof(struct tr_precision, name)),
                   cat->n_precisions, NULL);
}

int tr_catalog_node(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                    const struct tr_node_type **out, struct tr_err *err)
{
    for (size_t i = 0; i < cat->n_nodes; i++) {
        if (strcasecmp(cat->nodes[i].name, name) == 0) {
            *out = &cat->nodes[i];
            return TR_OK;
        }
    }
    return unknown(
        err, at, "node type", name,
        names_of(cat->nodes, cat->n_nodes, sizeof *cat->nodes, offsetof(struct tr_node_type, name)),
        cat->n_nodes, "`tranche catalog nodes` lists those known");
}

int tr_catalog_server(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                      const struct tr_server **out, struct tr_err *err)
{
    for (size_t i = 0; i < cat->n_servers; i++) {
        if (strcasecmp(cat->servers[i].name, name) == 0) {
            *out = &cat->servers[i];
            return TR_OK;
        }
    }
    return unknown(err, at, "server", name,
                   names_of(cat->servers, cat->n_servers, sizeof *cat->servers,
                            offsetof(struct tr_server, name)),
                   cat->n_servers, NULL);
}

double tr_precision_cm(const struct tr_precision *precision, const struct tr_gpu *gpu)
{
    return precision->fp8_native && gpu->fp8_tensor ? precision->cm_native : precision->cm;
}

double tr_precision_tq_s(const struct tr_precision *precision, const struct tr_gpu *gpu)
{
    bool native = precision->fp8_native && gpu->fp8_tensor;
    return precision->needs_tq && !native ? gpu->tq_s : 0.0;
}

const struct tr_quality *tr_precision_quality(const struct tr_precision *precision,
                                              const char *metric)
{
    for (int i = 0; i < precision->n_quality; i++)
        if (strcasecmp(precision->quality[i].metric, metric) == 0)
            return &precision->quality[i];
    return NULL;
}
