/* override: the catalog's files with the fitted constants, each with its source. */
#include "calibrate/calibrate.h"

#include <errno.h>
#include <math.h>
#include <strings.h>
#include <sys/stat.h>

bool tr_calibrate_precisions(const struct tr_calibration *c)
{
    for (int i = 0; i < c->n_constants; i++)
        if (c->constants[i].precision != NULL)
            return true;
    return false;
}

/* ---- trees ----------------------------------------------------------------------------------- */

static struct tr_node *scalar(struct tr_arena *arena, const char *text)
{
    struct tr_node *node = TR_ARENA_NEW(arena, struct tr_node, 1);
    node->kind = TR_NODE_SCALAR;
    node->text = text;
    return node;
}

/* The entry of this name in a list of maps that was loaded before, so that it has names. */
static struct tr_node *entry_of(const struct tr_node *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcasecmp(tr_node_get(list->items[i], "name")->text, name) == 0)
            return list->items[i];
    return NULL;
}

/* Takes `key` out of the words of each key of `sources`; one that is left without words goes. */
static void forget_source(struct tr_arena *arena, struct tr_node *sources, const char *key)
{
    size_t kept = 0, len = strlen(key);
    for (size_t i = 0; i < sources->n; i++) {
        struct tr_str words = {0};
        for (const char *p = sources->keys[i]->text; *p != '\0'; p += strspn(p, " ")) {
            size_t n = strcspn(p, " ");
            if (n > 0 && (n != len || memcmp(p, key, n) != 0))
                tr_str_printf(&words, "%s%.*s", words.len > 0 ? " " : "", (int)n, p);
            p += n;
        }
        if (words.len > 0) {
            sources->keys[kept] = scalar(arena, tr_arena_strdup(arena, words.text));
            sources->items[kept++] = sources->items[i];
        }
        tr_str_free(&words);
    }
    sources->n = kept;
}

static void put(struct tr_arena *arena, struct tr_node *map, const char *key, const char *value)
{
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) == 0) {
            map->items[i] = scalar(arena, value);
            return;
        }
    }
    struct tr_node **keys = TR_ARENA_NEW(arena, struct tr_node *, map->n + 1);
    struct tr_node **items = TR_ARENA_NEW(arena, struct tr_node *, map->n + 1);
    memcpy(keys, map->keys, map->n * sizeof *keys);
    memcpy(items, map->items, map->n * sizeof *items);
    keys[map->n] = scalar(arena, key);
    items[map->n++] = scalar(arena, value);
    map->keys = keys;
    map->items = items;
}

/* Sets a number of an entry together with its source. */
static void set(struct tr_arena *arena, struct tr_node *entry, const char *key, double value,
                const char *source)
{
    struct tr_node *sources = tr_node_get(entry, "sources");
    put(arena, entry, key, tr_arena_printf(arena, "%.12g", value));
    forget_source(arena, sources, key);
    put(arena, sources, key, source);
}

/* ---- sources --------------------------------------------------------------------------------- */

static const char *source_of(struct tr_arena *arena, const struct tr_calibration *c,
                             const struct tr_fit_constant *k)
{
    struct tr_str text = {0};
    bool kernels = (k->kinds & (1U << TR_MEASURED_RUN | 1U << TR_MEASURED_STEP)) == 0;
    tr_str_printf(&text, "calibrated from %s, %d rows", c->files, k->rows);
    if (k->held > 0)
        tr_str_printf(&text, "; on %d others the median error is %.1f %%, was %.1f %%", k->held,
                      100 * k->median_after, 100 * k->median_before);
    if (kernels && strcmp(k->key, "ec") == 0)
        tr_str_printf(&text, "; single kernels, a serving GPU attains less");
    const char *out = tr_arena_strdup(arena, text.text);
    tr_str_free(&text);
    return out;
}

/* A slice alone attains at least what the whole card attains under load. */
static void set_ec_alone(struct tr_arena *arena, const struct tr_calibration *c,
                         struct tr_node *entry)
{
    const struct tr_gpu *before = c->gpu;
    double ec = c->after.gpu.ec;
    if (ec != before->ec && (before->ec_alone == before->ec || before->ec_alone < ec))
        set(arena, entry, "ec_alone", ec,
            tr_arena_printf(arena, "as ec, which was calibrated from %s", c->files));
}

int tr_calibrate_override(const struct tr_calibration *c, const char *file, struct tr_str *out,
                          struct tr_err *err)
{
    struct tr_arena arena = {0};
    struct tr_node *root = NULL;
    bool gpus = strcmp(file, "gpus.yaml") == 0;
    int rc = tr_catalog_file(&arena, c->catalog_dir, file, &root, err);
    if (rc != TR_OK) {
        tr_arena_free(&arena);
        return rc;
    }
    struct tr_node *list = tr_node_get(root, gpus ? "gpus" : "precisions");
    for (int i = 0; i < c->n_constants; i++) {
        const struct tr_fit_constant *k = &c->constants[i];
        if (gpus == (k->precision != NULL))
            continue;
        struct tr_node *entry = entry_of(list, gpus ? c->gpu->name : k->precision);
        const struct tr_precision *p = NULL;
        const char *key = k->key;
        if (!gpus && tr_catalog_precision(c->cat, k->precision, NULL, &p, NULL) == TR_OK)
            key = p->fp8_native && c->gpu->fp8_tensor ? "cm_native" : "cm";
        set(&arena, entry, key, k->after, source_of(&arena, c, k));
    }
    if (gpus)
        set_ec_alone(&arena, c, entry_of(list, c->gpu->name));
    tr_str_printf(out,
                  "# %s of tranche %s with constants of %s calibrated; the rest is unchanged.\n"
                  "# For --catalog DIR, where it replaces the compiled-in file.\n\n",
                  file, tr_version(), c->gpu->name);
    tr_yaml_write(out, root);
    tr_arena_free(&arena);
    return TR_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int save(const struct tr_calibration *c, const char *dir, const char *file,
                struct tr_err *err)
{
    char path[4096];
    struct tr_str text = {0};
    int rc = tr_calibrate_override(c, file, &text, err);
    if (rc != TR_OK)
        return rc;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *out = fopen(path, "w");
    bool written = out != NULL && fwrite(text.text, 1, text.len, out) == text.len;
    if (out != NULL)
        written = fclose(out) == 0 && written;
    if (!written)
        rc = tr_err_set(err, TR_EENV, "%s: cannot be written: %s", path, strerror(errno));
    tr_str_free(&text);
    return rc;
}

int tr_calibrate_save(const struct tr_calibration *c, const char *dir, struct tr_err *err)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return tr_err_set(err, TR_EENV, "%s: cannot be made: %s", dir, strerror(errno));
    int rc = save(c, dir, "gpus.yaml", err);
    if (rc == TR_OK && tr_calibrate_precisions(c))
        rc = save(c, dir, "precisions.yaml", err);
    return rc;
}
