/* fmt, YAML: libyaml's events made into a tree of nodes, with what configuration does not need
 * (anchors, tags, several documents) refused. */
#include "fmt/node.h"

#include <stdlib.h>
#include <yaml.h>

/* The nodes read so far that have no parent array yet lie on one stack; a container remembers where
 * its own begin. A map's are key, value, key, value. */
struct frame {
    struct tr_node *node;
    size_t first;
};

struct reader {
    struct tr_arena *arena;
    const char *file, *text;
    size_t len;
    yaml_parser_t parser;
    struct frame frames[TR_FMT_MAX_DEPTH];
    int depth;
    struct tr_node **stack;
    size_t n_stack, cap_stack;
    size_t n_nodes;
    struct tr_node *root;
    struct tr_err *err;
};

static int fail_at(struct reader *r, yaml_mark_t mark, const char *what)
{
    struct tr_node at = {.file = r->file, .line = (int)mark.line + 1, .col = (int)mark.column + 1};

    return tr_node_err(r->err, &at, "%s", what);
}

/* A mark counts characters, the text has bytes. */
static char char_at(const struct reader *r, size_t index)
{
    for (size_t i = 0; i < r->len; i++)
        if (((unsigned char)r->text[i] & 0xC0) != 0x80 && index-- == 0)
            return r->text[i];
    return 0;
}

/* libyaml reports a byte it cannot read by its offset only. */
static yaml_mark_t mark_of_offset(const struct reader *r, size_t offset)
{
    yaml_mark_t mark = {0};

    for (size_t i = 0; i < offset && i < r->len; i++) {
        if (r->text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)r->text[i] & 0xC0) != 0x80) {
            mark.column++; /* continuation bytes of UTF-8 do not start a character */
        }
    }
    return mark;
}

static int fail_parse(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    char what[256];

    if (p->error == YAML_MEMORY_ERROR)
        return tr_err_set(r->err, TR_EENV, "%s: out of memory", r->file);
    if (p->error == YAML_READER_ERROR) {
        snprintf(what, sizeof(what), "not readable text: %s; the file must be UTF-8", p->problem);
        return fail_at(r, mark_of_offset(r, p->problem_offset), what);
    }
    if (char_at(r, p->problem_mark.index) == '\t')
        return fail_at(r, p->problem_mark, "a tab here: YAML is indented with spaces only");
    if (p->context)
        snprintf(what, sizeof(what), "not valid YAML: %s %s", p->problem, p->context);
    else
        snprintf(what, sizeof(what), "not valid YAML: %s", p->problem);
    return fail_at(r, p->problem_mark, what);
}

static int by_text_then_place(const void *a, const void *b)
{
    const struct tr_node *x = *(struct tr_node *const *)a, *y = *(struct tr_node *const *)b;
    int order = strcmp(x->text, y->text);

    if (order)
        return order;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
                              : (x->col > y->col) - (x->col < y->col);
}

int tr_fmt_check_duplicates(const struct tr_node *map, struct tr_err *err)
{
    const struct tr_node *found = NULL, *earlier = NULL;
    struct tr_node **sorted;

    if (map->n < 2)
        return 0;
    sorted = tr_malloc(map->n * sizeof(sorted[0]));
    memcpy(sorted, map->keys, map->n * sizeof(sorted[0]));
    qsort(sorted, map->n, sizeof(sorted[0]), by_text_then_place);
    for (size_t i = 1; i < map->n; i++) {
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) != 0)
            continue;
        if (!found || sorted[i]->line < found->line) {
            found = sorted[i];
            earlier = sorted[i - 1];
        }
    }
    free(sorted);
    if (!found)
        return 0;
    return tr_node_err(err, found, "key '%.60s' is given twice, first in line %d", found->text,
                       earlier->line);
}

static bool at_key(const struct reader *r)
{
    const struct frame *top = r->depth ? &r->frames[r->depth - 1] : NULL;

    return top && top->node->kind == TR_NODE_MAP && (r->n_stack - top->first) % 2 == 0;
}

static struct tr_node *push_node(struct reader *r, enum tr_node_kind kind, yaml_mark_t mark)
{
    struct tr_node *node;

    if (++r->n_nodes > TR_FMT_MAX_NODES) {
        fail_at(r, mark, "more than 1,000,000 values in one file");
        return NULL;
    }
    if (kind != TR_NODE_SCALAR && at_key(r)) {
        fail_at(r, mark, "a key must be a plain word, not a list or a map");
        return NULL;
    }
    node = TR_ARENA_NEW(r->arena, struct tr_node, 1);
    node->kind = kind;
    node->file = r->file;
    node->line = (int)mark.line + 1;
    node->col = (int)mark.column + 1;
    if (r->depth == 0)
        r->root = node;
    tr_grow((void **)&r->stack, &r->cap_stack, r->n_stack + 1, sizeof(r->stack[0]));
    r->stack[r->n_stack++] = node;
    return node;
}

static int open_container(struct reader *r, enum tr_node_kind kind, const yaml_event_t *ev)
{
    struct tr_node *node = push_node(r, kind, ev->start_mark);

    if (!node)
        return TR_EINPUT;
    if (r->depth == TR_FMT_MAX_DEPTH)
        return fail_at(r, ev->start_mark, "nested more than 64 levels deep");
    r->frames[r->depth].node = node;
    r->frames[r->depth].first = r->n_stack;
    r->depth++;
    return 0;
}

static int close_container(struct reader *r)
{
    const struct frame *top = &r->frames[--r->depth];
    struct tr_node *node = top->node, **own = r->stack + top->first;
    size_t n = r->n_stack - top->first;

    r->n_stack = top->first;
    if (node->kind == TR_NODE_LIST) {
        node->n = n;
        node->items = TR_ARENA_NEW(r->arena, struct tr_node *, n + 1);
        if (n)
            memcpy(node->items, own, n * sizeof(own[0]));
        return 0;
    }
    node->n = n / 2;
    node->items = TR_ARENA_NEW(r->arena, struct tr_node *, n / 2 + 1);
    node->keys = TR_ARENA_NEW(r->arena, struct tr_node *, n / 2 + 1);
    for (size_t i = 0; i < n / 2; i++) {
        node->keys[i] = own[2 * i];
        node->items[i] = own[2 * i + 1];
    }
    return tr_fmt_check_duplicates(node, r->err);
}

static bool is_null_word(const char *text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    for (size_t i = 0; i < TR_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static int add_scalar(struct reader *r, const yaml_event_t *ev)
{
    const char *value = (const char *)ev->data.scalar.value;
    struct tr_node *node;

    if (memchr(value, 0, ev->data.scalar.length))
        return fail_at(r, ev->start_mark, "a text with a NUL character in it");
    node = push_node(r, TR_NODE_SCALAR, ev->start_mark);
    if (!node)
        return TR_EINPUT;
    node->text = tr_arena_strndup(r->arena, value, ev->data.scalar.length);
    node->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->null = !node->quoted && is_null_word(node->text);
    return 0;
}

static int take_event(struct reader *r, const yaml_event_t *ev, int *documents)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++*documents > 1)
            return fail_at(r, ev->start_mark, "a second YAML document; a file holds one");
        return 0;
    case YAML_ALIAS_EVENT:
        return fail_at(r, ev->start_mark, "anchors and aliases (&x, *x) are not read");
    case YAML_SCALAR_EVENT:
        if (ev->data.scalar.anchor)
            return fail_at(r, ev->start_mark, "anchors and aliases (&x, *x) are not read");
        if (ev->data.scalar.tag)
            return fail_at(r, ev->start_mark, "tags (!name) are not read");
        return add_scalar(r, ev);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
        bool list = ev->type == YAML_SEQUENCE_START_EVENT;

        if (list ? ev->data.sequence_start.anchor : ev->data.mapping_start.anchor)
            return fail_at(r, ev->start_mark, "anchors and aliases (&x, *x) are not read");
        if (list ? ev->data.sequence_start.tag : ev->data.mapping_start.tag)
            return fail_at(r, ev->start_mark, "tags (!name) are not read");
        return open_container(r, list ? TR_NODE_LIST : TR_NODE_MAP, ev);
    }
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_container(r);
    default:
        return 0;
    }
}

static int read_events(struct reader *r)
{
    int documents = 0;

    for (;;) {
        yaml_event_t ev;
        int rc;
        bool end;

        if (!yaml_parser_parse(&r->parser, &ev))
            return fail_parse(r);
        rc = take_event(r, &ev, &documents);
        end = ev.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&ev);
        if (rc < 0 || end)
            return rc;
    }
}

int tr_yaml_parse(struct tr_arena *arena, const char *file, const char *text, size_t len,
                  struct tr_node **root, struct tr_err *err)
{
    struct reader r = {.arena = arena, .err = err};
    int rc;

    *root = NULL;
    r.file = tr_arena_strdup(arena, file);
    if (len > TR_FMT_MAX_BYTES)
        return tr_err_set(err, TR_EINPUT, "%s: larger than 64 MiB", file);
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark says nothing */
        text += 3;
        len -= 3;
    }
    r.text = text;
    r.len = len;
    if (!yaml_parser_initialize(&r.parser))
        return tr_err_set(err, TR_EENV, "%s: out of memory", file);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    rc = read_events(&r);
    yaml_parser_delete(&r.parser);
    free(r.stack);
    if (rc < 0)
        return rc;
    if (!r.root || r.root->null)
        return tr_err_set(err, TR_EINPUT, "%s: the file is empty", file);
    *root = r.root;
    return 0;
}
