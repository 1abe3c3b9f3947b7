/* fmt, JSON in: jansson's values made into the same tree of nodes as YAML's. */
#include "fmt/node.h"

#include <jansson.h>

struct reader {
    struct tr_arena *arena;
    const char *file;
    int line; /* of a file of one value a line; 0: not known */
    size_t n_nodes;
    struct tr_err *err;
};

static struct tr_node *new_node(struct reader *r, enum tr_node_kind kind)
{
    struct tr_node *node = TR_ARENA_NEW(r->arena, struct tr_node, 1);

    node->kind = kind;
    node->file = r->file;
    node->line = r->line;
    return node;
}

static struct tr_node *key_node(struct reader *r, const char *text)
{
    struct tr_node *node = new_node(r, TR_NODE_SCALAR);

    node->quoted = true;
    node->text = tr_arena_strdup(r->arena, text);
    return node;
}

static void fill_scalar(struct reader *r, const json_t *value, struct tr_node *node)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        node->quoted = true;
        node->text = tr_arena_strdup(r->arena, json_string_value(value));
        break;
    case JSON_INTEGER:
        node->text = tr_arena_printf(r->arena, "%" PRId64, (int64_t)json_integer_value(value));
        break;
    case JSON_REAL:
        node->text = tr_arena_printf(r->arena, "%.17g", json_real_value(value));
        break;
    case JSON_TRUE:
        node->text = "true";
        break;
    case JSON_FALSE:
        node->text = "false";
        break;
    default:
        node->null = true;
        node->text = "null";
    }
}

/* NULL: a limit was passed and the error is set. */
static struct tr_node *convert(struct reader *r, json_t *value, int depth)
{
    bool container = json_is_array(value) || json_is_object(value);
    struct tr_node *node;

    if (container && depth == TR_FMT_MAX_DEPTH) {
        tr_err_set(r->err, TR_EINPUT, "%s: nested more than 64 levels deep", r->file);
        return NULL;
    }
    if (++r->n_nodes > TR_FMT_MAX_NODES) {
        tr_err_set(r->err, TR_EINPUT, "%s: more than 1,000,000 values in one file", r->file);
        return NULL;
    }
    node = new_node(r, TR_NODE_SCALAR);
    if (!container) {
        fill_scalar(r, value, node);
        return node;
    }
    node->kind = json_is_array(value) ? TR_NODE_LIST : TR_NODE_MAP;
    if (node->kind == TR_NODE_LIST) {
        node->items = TR_ARENA_NEW(r->arena, struct tr_node *, json_array_size(value) + 1);
        for (; node->n < json_array_size(value); node->n++)
            if (!(node->items[node->n] = convert(r, json_array_get(value, node->n), depth + 1)))
                return NULL;
    } else {
        const char *key;
        json_t *item;

        node->items = TR_ARENA_NEW(r->arena, struct tr_node *, json_object_size(value) + 1);
        node->keys = TR_ARENA_NEW(r->arena, struct tr_node *, json_object_size(value) + 1);
        json_object_foreach(value, key, item)
        {
            node->keys[node->n] = key_node(r, key);
            if (!(node->items[node->n] = convert(r, item, depth + 1)))
                return NULL;
            node->n++;
        }
    }
    return node;
}

static int parse(struct reader *r, const char *text, size_t len, struct tr_node **root)
{
    json_error_t problem;

    *root = NULL;
    if (len > TR_FMT_MAX_BYTES)
        return tr_err_set(r->err, TR_EINPUT, "%s: larger than 64 MiB", r->file);
    if (len == 0)
        return tr_err_set(r->err, TR_EINPUT, "%s: the file is empty", r->file);
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (!value) {
        struct tr_node at = {
            .file = r->file, .line = r->line ? r->line : problem.line, .col = problem.column};

        return tr_node_err(r->err, &at, "not valid JSON: %s", problem.text);
    }
    *root = convert(r, value, 0);
    json_decref(value);
    return *root ? 0 : TR_EINPUT;
}

int tr_json_parse(struct tr_arena *arena, const char *file, const char *text, size_t len,
                  struct tr_node **root, struct tr_err *err)
{
    struct reader r = {.arena = arena, .file = tr_arena_strdup(arena, file), .err = err};

    return parse(&r, text, len, root);
}

int tr_json_parse_line(struct tr_arena *arena, const char *file, int line, const char *text,
                       size_t len, struct tr_node **root, struct tr_err *err)
{
    struct reader r = {
        .arena = arena, .file = tr_arena_strdup(arena, file), .line = line, .err = err};

    return parse(&r, text, len, root);
}
