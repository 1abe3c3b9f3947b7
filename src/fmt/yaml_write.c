/* fmt, YAML out: a tree of nodes in block style. What is read back is the same tree; comments and
 * the layout of a file that was read are not kept. */
#include "fmt/fmt.h"

/* A plain scalar that no reader could take for anything else. */
static bool is_plain(const struct tr_node *node)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "_./%+-() ";
    const char *text = node->text;
    size_t len = strlen(text);
    bool starts = len > 0 && strchr("/%+-() ", text[0]) == NULL;
    return !node->quoted && !node->null && starts && text[len - 1] != ' ' &&
           strspn(text, safe) == len;
}

static void write_scalar(struct tr_str *out, const struct tr_node *node)
{
    if (node->null) {
        tr_str_printf(out, "null");
        return;
    }
    if (is_plain(node)) {
        tr_str_printf(out, "%s", node->text);
        return;
    }
    tr_str_printf(out, "\"");
    for (const char *p = node->text; *p != '\0'; p++) {
        unsigned char letter = (unsigned char)*p;
        if (letter == '"' || letter == '\\')
            tr_str_printf(out, "\\%c", letter);
        else if (letter < 0x20 || letter == 0x7f)
            tr_str_printf(out, "\\x%02x", letter);
        else
            tr_str_add(out, p, 1);
    }
    tr_str_printf(out, "\"");
}

/* The value after a key or a dash, which end without a space. */
static void write_value(struct tr_str *out, const struct tr_node *node, int indent)
{
    if (node->kind == TR_NODE_SCALAR) {
        tr_str_printf(out, " ");
        write_scalar(out, node);
    } else if (node->n == 0) {
        tr_str_printf(out, node->kind == TR_NODE_LIST ? " []" : " {}");
    }
    for (size_t i = 0; i < node->n && node->kind != TR_NODE_SCALAR; i++) {
        tr_str_printf(out, "\n%*s", indent, "");
        if (node->kind == TR_NODE_MAP) {
            write_scalar(out, node->keys[i]);
            tr_str_printf(out, ":");
        } else {
            tr_str_printf(out, "-");
        }
        write_value(out, node->items[i], indent + 2);
    }
}

void tr_yaml_write(struct tr_str *out, const struct tr_node *root)
{
    struct tr_str text = {0};
    write_value(&text, root, 0);
    if (text.len > 1) /* what stands before the first line: a space or a line break */
        tr_str_add(out, text.text + 1, text.len - 1);
    tr_str_add(out, "\n", 1);
    tr_str_free(&text);
}
