/* scenario, the JSON Schema (draft 2020-12) of the file, from the table of keys. */
#include "scenario/keys.h"

#include <stdlib.h>

#define NUMBER_PATTERN "^([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"

#define DURATION_PATTERN NUMBER_PATTERN "(ns|us|ms|s|m|h|d)$"

struct schema {
    struct tr_json j;
    const struct tr_catalog *cat; /* for the names that editors may complete; NULL: none */
};

static void put_map(struct schema *s, const char *prefix);

static void put_pattern(struct schema *s, const char *pattern)
{
    tr_json_begin(&s->j, NULL, '{');
    tr_json_text(&s->j, "type", "string");
    tr_json_text(&s->j, "pattern", pattern);
    tr_json_end(&s->j);
}

static void put_range(struct schema *s, const struct key *key)
{
    tr_json_num(&s->j, key->flags & KEY_POSITIVE ? "exclusiveMinimum" : "minimum",
                key->flags & KEY_POSITIVE ? 0 : key->min);
    if (key->max > 0)
        tr_json_num(&s->j, "maximum", key->max);
}

/* A number, or a text with a unit. */
static void put_quantity(struct schema *s, const struct key *key, const char *pattern)
{
    tr_json_begin(&s->j, "anyOf", '[');
    put_pattern(s, pattern);
    if (key->type != KEY_DURATION || !(key->flags & KEY_POSITIVE)) {
        tr_json_begin(&s->j, NULL, '{');
        if (key->type == KEY_DURATION) {
            tr_json_int(&s->j, "const", 0);
        } else {
            tr_json_text(&s->j, "type", "number");
            put_range(s, key);
        }
        tr_json_end(&s->j);
    }
    tr_json_end(&s->j);
}

/* The catalog's names for this key, one by one; NULL at the end. */
static const char *catalog_name(const struct tr_catalog *cat, const struct key *key, size_t i)
{
    const char *name = key_name(key);

    if (!cat)
        return NULL;
    if (strcmp(name, "node") == 0)
        return i < cat->n_nodes ? cat->nodes[i].name : NULL;
    if (strcmp(name, "model") == 0)
        return i < cat->n_models ? cat->models[i].name : NULL;
    if (strcmp(name, "server") == 0)
        return i < cat->n_servers ? cat->servers[i].name : NULL;
    if (strcmp(name, "precision") == 0)
        return i < cat->n_precisions ? cat->precisions[i].name : NULL;
    if (strcmp(name, "gpu") == 0)
        return i < cat->n_gpus ? cat->gpus[i].name : NULL;
    return NULL;
}

/* Any text, because a catalog can be replaced and names are read in any case; the known names are
 * listed so that an editor offers them. */
static void put_name_choices(struct schema *s, const struct key *key)
{
    if (catalog_name(s->cat, key, 0)) {
        tr_json_begin(&s->j, NULL, '{');
        tr_json_begin(&s->j, "enum", '[');
        for (size_t i = 0; catalog_name(s->cat, key, i); i++)
            tr_json_text(&s->j, NULL, catalog_name(s->cat, key, i));
        tr_json_end(&s->j);
        tr_json_end(&s->j);
    }
    tr_json_begin(&s->j, NULL, '{');
    tr_json_text(&s->j, "type", "string");
    tr_json_end(&s->j);
}

static void put_names(struct schema *s, const struct key *key)
{
    tr_json_begin(&s->j, "anyOf", '[');
    put_name_choices(s, key);
    if (key->type == KEY_NAMES) {
        tr_json_begin(&s->j, NULL, '{');
        tr_json_text(&s->j, "type", "array");
        tr_json_int(&s->j, "minItems", 1);
        tr_json_bool(&s->j, "uniqueItems", true);
        tr_json_begin(&s->j, "items", '{');
        tr_json_begin(&s->j, "anyOf", '[');
        put_name_choices(s, key);
        tr_json_end(&s->j);
        tr_json_end(&s->j);
        tr_json_end(&s->j);
    }
    tr_json_end(&s->j);
}

/* One word, or a list whose items have this schema. */
static void put_integers(struct schema *s, const struct key *key)
{
    tr_json_text(&s->j, "type", "array");
    tr_json_int(&s->j, "minItems", 1);
    tr_json_begin(&s->j, "items", '{');
    tr_json_text(&s->j, "type", "integer");
    tr_json_int(&s->j, "minimum", (int64_t)key->min);
    tr_json_int(&s->j, "maximum", (int64_t)key->max);
    tr_json_end(&s->j);
}

static void put_word_or_list(struct schema *s, const char *word, const char *item_type)
{
    tr_json_begin(&s->j, "anyOf", '[');
    tr_json_begin(&s->j, NULL, '{');
    tr_json_text(&s->j, "const", word);
    tr_json_end(&s->j);
    tr_json_begin(&s->j, NULL, '{');
    tr_json_text(&s->j, "type", "array");
    tr_json_int(&s->j, "minItems", 1);
    tr_json_begin(&s->j, "items", '{');
    tr_json_begin(&s->j, "type", '[');
    tr_json_text(&s->j, NULL, "string");
    if (strcmp(item_type, "string") != 0)
        tr_json_text(&s->j, NULL, item_type);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
}

static void put_knots(struct schema *s)
{
    tr_json_text(&s->j, "type", "array");
    tr_json_int(&s->j, "minItems", 1);
    tr_json_begin(&s->j, "items", '{');
    tr_json_text(&s->j, "type", "array");
    tr_json_int(&s->j, "minItems", 2);
    tr_json_int(&s->j, "maxItems", 2);
    tr_json_begin(&s->j, "items", '{');
    tr_json_begin(&s->j, "type", '[');
    tr_json_text(&s->j, NULL, "string");
    tr_json_text(&s->j, NULL, "number");
    tr_json_end(&s->j);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
}

/* One duration, or a list of them. */
static void put_durations(struct schema *s)
{
    tr_json_begin(&s->j, "anyOf", '[');
    put_pattern(s, DURATION_PATTERN);
    tr_json_begin(&s->j, NULL, '{');
    tr_json_text(&s->j, "type", "array");
    tr_json_int(&s->j, "minItems", 1);
    tr_json_begin(&s->j, "items", '{');
    tr_json_text(&s->j, "type", "string");
    tr_json_text(&s->j, "pattern", DURATION_PATTERN);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
}

static void put_map_or_none(struct schema *s, const char *prefix)
{
    tr_json_begin(&s->j, "anyOf", '[');
    tr_json_begin(&s->j, NULL, '{');
    tr_json_text(&s->j, "const", "none");
    tr_json_end(&s->j);
    tr_json_begin(&s->j, NULL, '{');
    put_map(s, prefix);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
}

static void put_length(struct schema *s, const struct key *key, const char *prefix)
{
    tr_json_begin(&s->j, "anyOf", '[');
    tr_json_begin(&s->j, NULL, '{');
    tr_json_text(&s->j, "type", "integer");
    put_range(s, key);
    tr_json_end(&s->j);
    tr_json_begin(&s->j, NULL, '{');
    put_map(s, prefix);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
}

static void put_server(struct schema *s, const struct key *key, const char *prefix)
{
    tr_json_begin(&s->j, "anyOf", '[');
    put_name_choices(s, key);
    tr_json_begin(&s->j, NULL, '{');
    put_map(s, prefix);
    tr_json_end(&s->j);
    tr_json_end(&s->j);
}

static void put_maps(struct schema *s, const struct key *key, const char *prefix)
{
    tr_json_text(&s->j, "type", "array");
    tr_json_int(&s->j, "minItems", 1);
    if (strcmp(key->path, "workloads") == 0)
        tr_json_int(&s->j, "maxItems", TR_MAX_WORKLOADS);
    tr_json_begin(&s->j, "items", '{');
    put_map(s, prefix);
    tr_json_end(&s->j);
}

static void put_words(struct schema *s, const char *const *words)
{
    tr_json_begin(&s->j, "enum", '[');
    for (; *words; words++)
        tr_json_text(&s->j, NULL, *words);
    tr_json_end(&s->j);
}

static void put_type(struct schema *s, const struct key *key)
{
    char prefix[96];

    key_prefix(key, prefix);
    switch (key->type) {
    case KEY_MAP:
        if (key->flags & KEY_OR_NONE)
            put_map_or_none(s, prefix);
        else
            put_map(s, prefix);
        break;
    case KEY_MAPS:
        put_maps(s, key, prefix);
        break;
    case KEY_TEXT:
        /* Unquoted, a text such as 2024 is a number for an editor. */
        tr_json_begin(&s->j, "type", '[');
        tr_json_text(&s->j, NULL, "string");
        tr_json_text(&s->j, NULL, "number");
        tr_json_end(&s->j);
        tr_json_int(&s->j, "maxLength", 200);
        break;
    case KEY_BLOCK:
        tr_json_text(&s->j, "type", "string");
        break;
    case KEY_INT:
    case KEY_SECONDS:
    case KEY_NUMBER:
        tr_json_text(&s->j, "type", key->type == KEY_NUMBER ? "number" : "integer");
        put_range(s, key);
        break;
    case KEY_FRACTION:
        put_quantity(s, key, NUMBER_PATTERN "%$");
        break;
    case KEY_RATE:
        put_quantity(s, key, NUMBER_PATTERN "(/s|/min|/h)$");
        break;
    case KEY_DURATION:
        put_quantity(s, key, DURATION_PATTERN);
        break;
    case KEY_DURATIONS:
        put_durations(s);
        break;
    case KEY_BOOL:
        tr_json_text(&s->j, "type", "boolean");
        break;
    case KEY_WORD:
        put_words(s, key->words);
        break;
    case KEY_NAME:
    case KEY_NAMES:
        put_names(s, key);
        break;
    case KEY_SHARES:
        put_word_or_list(s, "zipf", "number");
        break;
    case KEY_INTS:
        put_integers(s, key);
        break;
    case KEY_CHOICES:
        put_word_or_list(s, "auto", "string");
        break;
    case KEY_KNOTS:
        put_knots(s);
        break;
    case KEY_BYTES:
        put_quantity(s, key, NUMBER_PATTERN "(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$");
        break;
    case KEY_SERVER:
        put_server(s, key, prefix);
        break;
    case KEY_LENGTH:
        put_length(s, key, prefix);
        break;
    }
}

static void put_default(struct schema *s, const struct key *key)
{
    if (!key->init)
        return;
    if (key->type == KEY_BOOL)
        tr_json_bool(&s->j, "default", strcmp(key->init, "true") == 0);
    else if (key->type == KEY_INT || key->type == KEY_NUMBER || key->type == KEY_SECONDS)
        tr_json_num(&s->j, "default", strtod(key->init, NULL));
    else
        tr_json_text(&s->j, "default", key->init);
}

static void put_key(struct schema *s, const struct key *key)
{
    char name[64];

    if (key->flags & KEY_PERCENTILE)
        snprintf(name, sizeof(name), "^%.*s[0-9]{1,2}(\\.[0-9]{1,2})?$",
                 (int)strlen(key_name(key)) - 2, key_name(key));
    else
        snprintf(name, sizeof(name), "%s", key_name(key));
    tr_json_begin(&s->j, name, '{');
    tr_json_text(&s->j, "description", key->doc);
    put_default(s, key);
    put_type(s, key);
    tr_json_end(&s->j);
}

/* The keys of a map that are, or are not, patterns of names. */
static void put_keys(struct schema *s, const char *prefix, const char *where, bool patterns)
{
    bool open = false;

    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {

        if (!key_is_child(key, prefix) || (key->flags & KEY_LATER) ||
            ((key->flags & KEY_PERCENTILE) != 0) != patterns)
            continue;
        if (!open)
            tr_json_begin(&s->j, where, '{');
        open = true;
        put_key(s, key);
    }
    if (open)
        tr_json_end(&s->j);
}

/* "one of these keys must be there". */
static void put_one_of(struct schema *s, const char *how, const char *const *names)
{
    tr_json_begin(&s->j, how, '[');
    for (; *names; names++) {
        tr_json_begin(&s->j, NULL, '{');
        tr_json_begin(&s->j, "required", '[');
        tr_json_text(&s->j, NULL, *names);
        tr_json_end(&s->j);
        tr_json_end(&s->j);
    }
    tr_json_end(&s->j);
}

/* What a map holds; the caller has opened the object. */
static void put_map(struct schema *s, const char *prefix)
{
    static const char *const roots[] = {"workloads", "claims", NULL};
    static const char *const kinds[] = {"model", "server", NULL};
    static const char *const forms[] = {"profile", "trace", "rate", "rates", NULL};
    bool open = false;

    tr_json_text(&s->j, "type", "object");
    tr_json_bool(&s->j, "additionalProperties", false);
    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {

        if (!(key->flags & KEY_REQUIRED) || !key_is_child(key, prefix))
            continue;
        if (!open)
            tr_json_begin(&s->j, "required", '[');
        open = true;
        tr_json_text(&s->j, NULL, key_name(key));
    }
    if (open)
        tr_json_end(&s->j);
    if (prefix[0] == 0)
        put_one_of(s, "anyOf", roots);
    if (strcmp(prefix, "workloads[].") == 0)
        put_one_of(s, "oneOf", kinds);
    if (strcmp(prefix, "workloads[].traffic.") == 0)
        put_one_of(s, "oneOf", forms);
    put_keys(s, prefix, "properties", false);
    put_keys(s, prefix, "patternProperties", true);
}

void tr_scenario_json_schema(struct tr_str *out)
{
    struct schema s = {.j = {.out = out}};
    struct tr_catalog *cat = NULL;
    struct tr_err err = {0};

    if (tr_catalog_load(NULL, &cat, &err) == 0)
        s.cat = cat;
    tr_json_begin(&s.j, NULL, '{');
    tr_json_text(&s.j, "$schema", "https://json-schema.org/draft/2020-12/schema");
    tr_json_text(&s.j, "title", "tranche scenario");
    tr_json_text(&s.j, "description",
                 "What is to be served and on what: nodes, a model, its traffic, its objective.");
    put_map(&s, "");
    tr_json_end(&s.j);
    tr_catalog_free(cat);
}

void tr_scenario_schema_print(FILE *out)
{
    struct tr_str s = {0};

    tr_scenario_json_schema(&s);
    fwrite(s.text, 1, s.len, out);
    tr_str_free(&s);
}
