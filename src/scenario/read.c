/* scenario, reading: maps walked and scalars checked as the table of keys says. */
#include "scenario/keys.h"

const char *key_show(char buf[64], const char *text)
{
    size_t len = strnlen(text, 49);
    bool cut = len > 48;

    if (cut)
        for (len = 48; len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80;)
            len--;
    snprintf(buf, 64, "%.*s%s", (int)len, text, cut ? "..." : "");
    return buf;
}

/* The path as a user thinks of it: there is one workload. */
static const char *shown_path(const struct key *key)
{
    static const char workload[] = "workloads[].";
    bool inside = strncmp(key->path, workload, sizeof(workload) - 1) == 0;

    return inside ? key->path + sizeof(workload) - 1 : key->path;
}

int key_fail(struct reader *r, const struct key *key, const struct tr_node *node, const char *fmt,
             ...)
{
    char text[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return tr_node_err(r->err, node, "%s: %s", shown_path(key), text);
}

int key_refuse(struct reader *r, const struct key *key, const struct tr_node *node)
{
    static const char *const kinds[] = {"a single value", "a list", "a map"};
    char allowed[512], buf[64];

    key_allowed(key, allowed, sizeof(allowed));
    if (node->kind != TR_NODE_SCALAR)
        return key_fail(r, key, node, "%s stands here; allowed is %s",
                        node->n ? kinds[node->kind] : "an empty list or map", allowed);
    if (node->null || node->text[0] == 0)
        return key_fail(r, key, node, "there is no value; allowed is %s", allowed);
    return key_fail(r, key, node, "\"%s\" is not possible; allowed is %s",
                    key_show(buf, node->text), allowed);
}

static bool has_scalar(const struct tr_node *node)
{
    return node->kind == TR_NODE_SCALAR && !node->null && node->text[0] != 0;
}

int key_get_text(struct reader *r, const struct key *key, const struct tr_node *node,
                 const char **out)
{
    if (!has_scalar(node) || (key->type != KEY_BLOCK && strlen(node->text) > 200))
        return key_refuse(r, key, node);
    *out = node->text;
    return 0;
}

int key_get_int(struct reader *r, const struct key *key, const struct tr_node *node, int64_t *out)
{
    if (!has_scalar(node) || tr_units_integer(node->text, out, NULL) < 0 ||
        (double)*out < key->min || (double)*out > key->max)
        return key_refuse(r, key, node);
    return 0;
}

int key_get_number(struct reader *r, const struct key *key, const struct tr_node *node, double *out)
{
    struct tr_err e = {0};
    int rc = 0;

    if (!has_scalar(node))
        return key_refuse(r, key, node);
    if (key->type == KEY_FRACTION)
        rc = tr_units_fraction(node->text, key->max, out, &e);
    else if (key->type == KEY_RATE)
        rc = tr_units_rate(node->text, out, &e);
    else if (tr_units_number(node->text, out, NULL) < 0)
        return key_refuse(r, key, node); /* the key's own range says more than the reader could */
    if (rc < 0)
        return key_fail(r, key, node, "%s", e.text);
    if (*out < key->min || *out > key->max || ((key->flags & KEY_POSITIVE) && *out <= 0))
        return key_refuse(r, key, node);
    return 0;
}

int key_get_duration(struct reader *r, const struct key *key, const struct tr_node *node,
                     int64_t *out)
{
    struct tr_err e = {0};

    if (!has_scalar(node))
        return key_refuse(r, key, node);
    if (tr_units_duration(node->text, out, &e) < 0)
        return key_fail(r, key, node, "%s", e.text);
    if (((key->flags & KEY_POSITIVE) && *out == 0) || (double)*out > key->max * (double)TR_NS_PER_S)
        return key_refuse(r, key, node);
    return 0;
}

int key_get_word(struct reader *r, const struct key *key, const struct tr_node *node, int *out)
{
    char allowed[512], buf[64];
    const char *near;
    int n = 0;

    if (!has_scalar(node))
        return key_refuse(r, key, node);
    for (n = 0; key->words[n]; n++) {
        if (strcmp(key->words[n], node->text) == 0) {
            *out = n;
            return 0;
        }
    }
    near = tr_nearest(node->text, key->words, (size_t)n);
    if (!near)
        return key_refuse(r, key, node);
    key_allowed(key, allowed, sizeof(allowed));
    return key_fail(r, key, node, "\"%s\" is not known (did you mean %s?); allowed is %s",
                    key_show(buf, node->text), near, allowed);
}

static int get_bytes(struct reader *r, const struct key *key, const struct tr_node *node,
                     int64_t *out)
{
    struct tr_err e = {0};

    if (!has_scalar(node))
        return key_refuse(r, key, node);
    if (tr_units_bytes(node->text, out, &e) < 0)
        return key_fail(r, key, node, "%s", e.text);
    return (key->flags & KEY_POSITIVE) && *out == 0 ? key_refuse(r, key, node) : 0;
}

static int get_bool(struct reader *r, const struct key *key, const struct tr_node *node, bool *out)
{
    if (!has_scalar(node))
        return key_refuse(r, key, node);
    *out = strcmp(node->text, "true") == 0;
    if (!*out && strcmp(node->text, "false") != 0)
        return key_refuse(r, key, node);
    *out ^= (key->flags & KEY_NEGATED) != 0;
    return 0;
}

static void store_int(void *at, size_t size, int64_t value)
{
    if (size == sizeof(bool)) {
        *(bool *)at = value != 0;
    } else if (size == sizeof(int32_t)) {
        *(int32_t *)at = (int32_t)value;
    } else if (size == sizeof(int64_t)) {
        *(int64_t *)at = value;
    } else {
        tr_assert(size == 0); /* the word is looked up again by whoever needs it */
    }
}

static int read_value(struct reader *r, void *base, const struct key *key,
                      const struct tr_node *node)
{
    void *at = (char *)base + key->offset;
    const char *text;
    int64_t i = 0;
    int word = 0, rc;

    if (key->read)
        return key->read(r, base, key, node);
    switch (key->type) {
    case KEY_MAP:
        return read_submap(r, base, key, node);
    case KEY_TEXT:
        return key_get_text(r, key, node, key->size ? at : &text);
    case KEY_INT:
        rc = key_get_int(r, key, node, &i);
        store_int(at, key->size, i);
        return rc;
    case KEY_SECONDS:
        rc = key_get_int(r, key, node, &i);
        store_int(at, key->size, i * TR_NS_PER_S);
        return rc;
    case KEY_NUMBER:
    case KEY_FRACTION:
    case KEY_RATE:
        return key_get_number(r, key, node, at);
    case KEY_BYTES:
        return get_bytes(r, key, node, at);
    case KEY_DURATION:
        return key_get_duration(r, key, node, at);
    case KEY_BOOL:
        return get_bool(r, key, node, at);
    case KEY_WORD:
        rc = key_get_word(r, key, node, &word);
        store_int(at, key->size, word);
        return rc;
    default:
        tr_assert(key->read != NULL); /* the other types have a reader of their own */
        return TR_EBUG;
    }
}

/* ---- maps ----------------------------------------------------------------------------------- */

/* Is `name` this key's name? "ttft_pNN" stands for "ttft_p95", "ttft_p99.9", ... */
static bool name_matches(const struct key *key, const char *name)
{
    const char *own = key_name(key);
    size_t stem = strlen(own) - 2;

    if (!(key->flags & KEY_PERCENTILE))
        return strcmp(own, name) == 0;
    return strncmp(own, name, stem) == 0 && name[stem] >= '0' && name[stem] <= '9';
}

static const struct key *find_key(const char *prefix, const char *name)
{
    for (const struct key *key = key_next(NULL); key; key = key_next(key))
        if (key_is_child(key, prefix) && name_matches(key, name))
            return key;
    return NULL;
}

/* What holds the keys of this prefix: "a workload", "engine". */
static const char *map_name(const char *prefix, char buf[96])
{
    static const char *const items[][2] = {{"", "a scenario"},
                                           {"workloads[].", "a workload"},
                                           {"claims[].", "a claim"},
                                           {"workloads[].traffic.spikes[].", "a spike"}};
    size_t end = strlen(prefix), start;

    for (size_t i = 0; i < TR_LEN(items); i++)
        if (strcmp(prefix, items[i][0]) == 0)
            return items[i][1];
    end--; /* the last dot */
    for (start = end; start > 0 && prefix[start - 1] != '.'; start--)
        continue;
    snprintf(buf, 96, "%.*s", (int)(end - start), prefix + start);
    return buf;
}

/* The map of another place that has this key: a key is often right but indented wrongly. */
static const char *belongs_to(const char *name, char buf[96])
{
    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {
        char prefix[96];

        if ((key->flags & KEY_LATER) || !name_matches(key, name))
            continue;
        snprintf(prefix, sizeof(prefix), "%.*s", (int)(key_name(key) - key->path), key->path);
        return map_name(prefix, buf);
    }
    return NULL;
}

static int unknown_key(struct reader *r, const char *prefix, const struct tr_node *name)
{
    const char *names[64] = {NULL}, *near, *place = NULL;
    char hint[160] = "", buf[96], shown[64], meant[4][24];
    size_t n_meant = 0;
    struct tr_str list = {0};
    size_t n = 0;
    int rc;

    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {

        if (!key_is_child(key, prefix) || (key->flags & KEY_LATER))
            continue;
        tr_assert(n < TR_LEN(names));
        tr_str_printf(&list, "%s%s", n ? ", " : "", key_name(key));
        names[n] = key_name(key);
        if (key->flags & KEY_PERCENTILE) { /* what a user would have meant is p95, not pNN */
            tr_assert(n_meant < TR_LEN(meant));
            snprintf(meant[n_meant], sizeof(meant[0]), "%.*s95", (int)strlen(names[n]) - 2,
                     names[n]);
            names[n] = meant[n_meant++];
        }
        n++;
    }
    near = tr_nearest(name->text, names, n);
    if (!near)
        place = belongs_to(name->text, buf);
    if (near)
        snprintf(hint, sizeof(hint), " (did you mean %s?)", near);
    else if (place)
        snprintf(hint, sizeof(hint), " (it belongs in %s)", place);
    rc = tr_node_err(r->err, name, "unknown key '%s' in %s%s; allowed are %s",
                     key_show(shown, name->text), map_name(prefix, (char[96]){0}), hint, list.text);
    tr_str_free(&list);
    return rc;
}

int check_keys(struct reader *r, const char *prefix, const struct tr_node *map)
{
    char buf[96], allowed[512];

    for (size_t i = 0; i < map->n; i++) {
        const struct key *key = find_key(prefix, map->keys[i]->text);

        if (!key)
            return unknown_key(r, prefix, map->keys[i]);
        if (key->flags & KEY_LATER)
            return tr_node_err(r->err, map->keys[i], "'%s' is not supported yet: %s", key_name(key),
                               key->doc);
    }
    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {

        if (!(key->flags & KEY_REQUIRED) || !key_is_child(key, prefix) ||
            tr_node_get(map, key_name(key)))
            continue;
        key_allowed(key, allowed, sizeof(allowed));
        return tr_node_err(r->err, map, "%s needs the key '%s': %s", map_name(prefix, buf),
                           key_name(key), allowed);
    }
    return 0;
}

int read_map(struct reader *r, void *base, const char *prefix, const struct tr_node *map)
{
    int rc = check_keys(r, prefix, map);

    for (size_t i = 0; i < map->n && rc == 0; i++) {
        const struct tr_node *node = map->items[i];
        const struct key *key = find_key(prefix, map->keys[i]->text);

        if (key->flags & KEY_PERCENTILE)
            node = map->keys[i]; /* its reader needs the name too, and looks the value up */
        rc = read_value(r, base, key, node);
    }
    return rc;
}

int read_submap(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    char prefix[96];

    if (node->kind != TR_NODE_MAP)
        return key_refuse(r, key, node);
    key_prefix(key, prefix);
    return read_map(r, base, prefix, node);
}

int read_defaults(struct reader *r, void *base, enum key_base kind, const char *prefix)
{
    int rc = 0;

    for (const struct key *key = key_next(NULL); key && rc == 0; key = key_next(key)) {
        struct tr_node scalar = {.kind = TR_NODE_SCALAR, .file = "default", .text = key->init};
        struct tr_node *node = &scalar;

        if (!key->init || key->base != kind || strncmp(key->path, prefix, strlen(prefix)) != 0)
            continue;
        if (key->init[0] == '[')
            rc =
                tr_yaml_parse(&r->s->arena, "default", key->init, strlen(key->init), &node, r->err);
        if (rc == 0)
            rc = read_value(r, base, key, node);
    }
    return rc;
}
