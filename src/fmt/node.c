/* fmt, nodes: look-up and messages that point into the file. */
#include "fmt/fmt.h"

struct tr_node *tr_node_get(const struct tr_node *map, const char *key)
{
    if (!map || map->kind != TR_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

int tr_node_err(struct tr_err *err, const struct tr_node *node, const char *fmt, ...)
{
    char text[sizeof(err->text)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!node)
        return tr_err_set(err, TR_EINPUT, "%s", text);
    if (node->line <= 0)
        return tr_err_set(err, TR_EINPUT, "%s: %s", node->file, text);
    if (node->col <= 0)
        return tr_err_set(err, TR_EINPUT, "%s:%d: %s", node->file, node->line, text);
    return tr_err_set(err, TR_EINPUT, "%s:%d:%d: %s", node->file, node->line, node->col, text);
}
