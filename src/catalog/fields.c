/* fields: reading a map of scalars into a struct by a table. */
#include "catalog/fields.h"

#include <strings.h>

int tr_catalog_err(struct tr_err *err, const struct tr_node *at, const char *fmt, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (at != NULL)
        return tr_node_err(err, at, "%s", text);
    return tr_err_set(err, TR_EINPUT, "%s", text);
}

int tr_fields_child(const struct tr_node *map, const char *key, enum tr_node_kind kind,
                    struct tr_node **out, struct tr_err *err)
{
    const char *what = kind == TR_NODE_LIST ? "a list" : "a map";
    struct tr_node *node = map->kind == TR_NODE_MAP ? tr_node_get(map, key) : NULL;
    if (node == NULL)
        return tr_catalog_err(err, map, "'%s' is missing: %s with at least one entry", key, what);
    if (node->kind != kind || node->n == 0)
        return tr_catalog_err(err, node, "'%s' must be %s with at least one entry", key, what);
    *out = node;
    return TR_OK;
}

static const struct tr_field *find(const struct tr_field *fields, size_t n, const char *key,
                                   size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(fields[i].key) == len && memcmp(fields[i].key, key, len) == 0)
            return &fields[i];
    return NULL;
}

static int unknown_key(const struct tr_entry *entry, const struct tr_field *fields, size_t n,
                       const struct tr_node *at, const char *key, struct tr_err *err)
{
    const char *keys[64];
    tr_assert(n <= TR_LEN(keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = fields[i].key;
    const char *near = tr_nearest(key, keys, n);
    return tr_catalog_err(err, at, "%s %s: unknown key '%.60s'%s%s%s", entry->kind, entry->name,
                          key, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                          near != NULL ? "'?" : "");
}

/* A number with its range; `value` is in the unit of the file. */
static int read_number(const struct tr_entry *entry, const struct tr_field *f,
                       const struct tr_node *node, double *value, struct tr_err *err)
{
    struct tr_err inner = {0};
    bool whole = f->type == TR_FIELD_INT || f->type == TR_FIELD_COUNT;
    int64_t n = 0;
    int rc = whole ? tr_units_integer(node->text, &n, &inner)
                   : tr_units_number(node->text, value, &inner);
    if (whole)
        *value = (double)n;
    if (rc != TR_OK || *value < f->lo || *value > f->hi)
        return tr_catalog_err(
            err, node, "%s %s: %s is '%.60s'; allowed is a %s from %.12g to %.12g", entry->kind,
            entry->name, f->key, node->text, whole ? "whole number" : "number", f->lo, f->hi);
    return TR_OK;
}

static int read_bool(const struct tr_entry *entry, const struct tr_field *f,
                     const struct tr_node *node, bool *value, struct tr_err *err)
{
    *value = strcmp(node->text, "true") == 0;
    if (!*value && strcmp(node->text, "false") != 0)
        return tr_catalog_err(err, node, "%s %s: %s is '%.60s'; allowed are true and false",
                              entry->kind, entry->name, f->key, node->text);
    return TR_OK;
}

static int read_scalar(const struct tr_entry *entry, const struct tr_field *f,
                       const struct tr_node *node, void *out, struct tr_err *err)
{
    char *at = (char *)out + f->offset;
    struct tr_err inner = {0};
    double number = 0;
    int rc = TR_OK;
    switch (f->type) {
    case TR_FIELD_TEXT:
        *(const char **)(void *)at = tr_arena_strdup(entry->arena, node->text);
        break;
    case TR_FIELD_INT:
    case TR_FIELD_COUNT:
    case TR_FIELD_NUMBER:
        rc = read_number(entry, f, node, &number, err);
        if (rc != TR_OK)
            return rc;
        if (f->type == TR_FIELD_INT)
            *(int *)(void *)at = (int)number;
        else if (f->type == TR_FIELD_COUNT)
            *(int64_t *)(void *)at = (int64_t)number;
        else
            *(double *)(void *)at =
                number * (f->mul != 0 ? f->mul : 1.0) / (f->div != 0 ? f->div : 1.0);
        break;
    case TR_FIELD_FRACTION:
        rc = tr_units_fraction(node->text, 1.0, (double *)(void *)at, &inner);
        break;
    case TR_FIELD_BYTES:
        rc = tr_units_bytes(node->text, (int64_t *)(void *)at, &inner);
        break;
    case TR_FIELD_DURATION:
        rc = tr_units_duration(node->text, (int64_t *)(void *)at, &inner);
        break;
    case TR_FIELD_BOOL:
        return read_bool(entry, f, node, (bool *)at, err);
    case TR_FIELD_OTHER:
        break;
    }
    if (rc != TR_OK)
        return tr_catalog_err(err, node, "%s %s: %s: %s", entry->kind, entry->name, f->key,
                              inner.text);
    return TR_OK;
}

int tr_fields_read(const struct tr_entry *entry, const struct tr_field *fields, size_t n, void *out,
                   struct tr_err *err)
{
    const struct tr_node *map = entry->map;
    if (map->kind != TR_NODE_MAP)
        return tr_catalog_err(err, map, "%s %s: must be a map of keys", entry->kind, entry->name);
    for (size_t i = 0; i < map->n && !entry->ignore_unknown; i++) {
        const char *key = map->keys[i]->text;
        if (find(fields, n, key, strlen(key)) == NULL)
            return unknown_key(entry, fields, n, map->keys[i], key, err);
    }
    for (size_t i = 0; i < n; i++) {
        const struct tr_field *f = &fields[i];
        const struct tr_node *node = tr_node_get(map, f->key);
        bool absent = node == NULL || node->null;
        if (absent && f->required)
            return tr_catalog_err(err, map, "%s %s: '%s' is missing", entry->kind, entry->name,
                                  f->key);
        if (absent || f->type == TR_FIELD_OTHER)
            continue;
        if (node->kind != TR_NODE_SCALAR)
            return tr_catalog_err(err, node, "%s %s: %s must be a single value", entry->kind,
                                  entry->name, f->key);
        int rc = read_scalar(entry, f, node, out, err);
        if (rc != TR_OK)
            return rc;
    }
    return TR_OK;
}

/* Does the list of words in `keys` hold `word`? */
static bool has_word(const char *keys, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = keys; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n == len && memcmp(p, word, len) == 0)
            return true;
        p += n;
        p += strspn(p, " ");
    }
    return false;
}

/* Every word of the keys of `sources:` must be a key of the table. */
static int check_source_keys(const struct tr_entry *entry, const struct tr_field *fields, size_t n,
                             const struct tr_node *sources, struct tr_err *err)
{
    for (size_t i = 0; i < sources->n; i++) {
        if (sources->items[i]->kind != TR_NODE_SCALAR || sources->items[i]->null)
            return tr_catalog_err(err, sources->keys[i], "%s %s: a source is one line of text",
                                  entry->kind, entry->name);
        for (const char *p = sources->keys[i]->text; *p != '\0';) {
            size_t len = strcspn(p, " ");
            if (len > 0 && find(fields, n, p, len) == NULL) {
                char word[64];
                snprintf(word, sizeof word, "%.*s", (int)TR_MIN(len, sizeof word - 1), p);
                return unknown_key(entry, fields, n, sources->keys[i], word, err);
            }
            p += len;
            p += strspn(p, " ");
        }
    }
    return TR_OK;
}

int tr_fields_sources(const struct tr_entry *entry, const struct tr_field *fields, size_t n,
                      const char **text, struct tr_err *err)
{
    struct tr_node *sources = NULL;
    int rc = tr_fields_child(entry->map, "sources", TR_NODE_MAP, &sources, err);
    if (rc == TR_OK)
        rc = check_source_keys(entry, fields, n, sources, err);
    if (rc != TR_OK)
        return rc;
    struct tr_str lines = {0};
    tr_str_add(&lines, "", 0);
    for (size_t i = 0; i < n; i++) {
        if (!fields[i].sourced || tr_node_get(entry->map, fields[i].key) == NULL)
            continue;
        size_t k = 0;
        while (k < sources->n && !has_word(sources->keys[k]->text, fields[i].key))
            k++;
        if (k == sources->n) {
            tr_str_free(&lines);
            return tr_catalog_err(err, sources, "%s %s: '%s' has no source; add a line for it",
                                  entry->kind, entry->name, fields[i].key);
        }
        tr_str_printf(&lines, "%s %s: %s\n", fields[i].key,
                      tr_node_get(entry->map, fields[i].key)->text, sources->items[k]->text);
    }
    *text = tr_arena_strdup(entry->arena, lines.text);
    tr_str_free(&lines);
    return TR_OK;
}
