/* report, table: columns of text for a terminal. */
#include "report/table.h"

#include <stdlib.h>

#define MIN_PROSE 9 /* columns wrap to no less */
#define MIN_NAME  8

/* Bytes of the code point at `s` (a stray continuation byte counts as one column of its own). */
static size_t point_len(const char *s)
{
    size_t n = 1;

    while (((unsigned char)s[n] & 0xC0) == 0x80)
        n++;
    return n;
}

static int width_n(const char *text, size_t len)
{
    int width = 0;

    for (size_t i = 0; i < len; i += point_len(text + i))
        width++;
    return width;
}

int tr_text_width(const char *text)
{
    return width_n(text, strlen(text));
}

/* Bytes of the first line of `text` that fit into `width` columns: up to a newline, else up to the
 * last space, else as many code points as fit. *next is where the following line starts. */
static size_t line_len(const char *text, int width, const char **next)
{
    size_t len = 0, space = 0;

    for (int w = 0; text[len] && text[len] != '\n'; w++) {
        if (w == width)
            break;
        if (text[len] == ' ')
            space = len;
        len += point_len(text + len);
    }
    if (text[len] == '\n' || !text[len]) {
        *next = text + len + (text[len] == '\n');
        return len;
    }
    if (text[len] != ' ' && space > 0)
        len = space;
    *next = text + len;
    while (**next == ' ')
        (*next)++;
    while (len > 0 && text[len - 1] == ' ')
        len--;
    return len;
}

static void add_spaces(struct tr_str *out, int n)
{
    if (n > 0)
        tr_str_printf(out, "%*s", n, "");
}

void tr_text_wrap(struct tr_str *out, const char *lead, int indent, const char *text)
{
    tr_str_printf(out, "%s", lead);
    add_spaces(out, indent - tr_text_width(lead));
    for (;;) {
        const char *next;
        size_t len = line_len(text, TR_TABLE_WIDTH - indent, &next);
        tr_str_add(out, text, len);
        tr_str_add(out, "\n", 1);
        if (!*next)
            return;
        text = next;
        add_spaces(out, indent);
    }
}

/* ---- tables --------------------------------------------------------------------------------- */

void tr_table_column(struct tr_table *t, enum tr_align align, const char *group, const char *head)
{
    tr_assert(t->n_columns < TR_TABLE_COLUMNS && t->n_cells == 0);
    t->column[t->n_columns].align = align;
    t->column[t->n_columns].group = group;
    t->column[t->n_columns].head = head;
    t->n_columns++;
}

void tr_table_cell(struct tr_table *t, const char *fmt, ...)
{
    struct tr_str s = {0};
    va_list ap;

    va_start(ap, fmt);
    tr_str_vprintf(&s, fmt, ap);
    va_end(ap);
    tr_grow(&t->cells, &t->cap_cells, t->n_cells + 1, sizeof(*t->cells));
    t->cells[t->n_cells] = tr_arena_strdup(&t->arena, s.text ? s.text : "");
    if (s.text && *s.text)
        t->column[t->n_cells % t->n_columns].used = true;
    t->n_cells++;
    tr_str_free(&s);
}

/* The widest line of a cell. */
static int cell_width(const char *text)
{
    int widest = 0;

    while (*text) {
        size_t len = strcspn(text, "\n");
        widest = TR_MAX(widest, width_n(text, len));
        text += len + (text[len] == '\n');
    }
    return widest;
}

static int total_width(const struct tr_table *t, int gap)
{
    int total = t->indent - gap;

    for (size_t c = 0; c < t->n_columns; c++)
        if (t->column[c].used)
            total += t->column[c].width + gap;
    return total;
}

/* The end of the group that starts at column c: one past its last column. */
static size_t group_end(const struct tr_table *t, size_t c)
{
    size_t end = c + 1;

    while (end < t->n_columns && t->column[end].group == t->column[c].group)
        end++;
    return end;
}

static int span_width(const struct tr_table *t, size_t from, size_t to, int gap)
{
    int width = -gap;

    for (size_t c = from; c < to; c++)
        if (t->column[c].used)
            width += t->column[c].width + gap;
    return width;
}

static void natural_widths(struct tr_table *t)
{
    for (size_t c = 0; c < t->n_columns; c++)
        t->column[c].width = cell_width(t->column[c].head);
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t c = i % t->n_columns;
        t->column[c].width = TR_MAX(t->column[c].width, cell_width(t->cells[i]));
    }
    for (size_t c = 0; c < t->n_columns; c = group_end(t, c)) {
        size_t last = group_end(t, c) - 1;
        int missing = t->column[c].group
                          ? tr_text_width(t->column[c].group) - span_width(t, c, last + 1, 1)
                          : 0;
        if (missing > 0 && t->column[last].used)
            t->column[last].width += missing;
    }
}

/* Takes columns away from the widest column that is `least` or softer, until the table fits or none
 * is wider than `floor`. */
static void squeeze(struct tr_table *t, enum tr_align least, int floor, int gap)
{
    while (total_width(t, gap) > TR_TABLE_WIDTH) {
        size_t widest = t->n_columns;
        for (size_t c = 0; c < t->n_columns; c++)
            if (t->column[c].used && t->column[c].align >= least && t->column[c].width > floor &&
                (widest == t->n_columns || t->column[c].width > t->column[widest].width))
                widest = c;
        if (widest == t->n_columns)
            return;
        t->column[widest].width--;
    }
}

/* Chooses the width of every column; returns the gap between them. */
static int fit(struct tr_table *t)
{
    int gap = 2;

    natural_widths(t);
    squeeze(t, TR_PROSE, MIN_PROSE, gap);
    if (total_width(t, gap) > TR_TABLE_WIDTH)
        gap = 1;
    squeeze(t, TR_LEFT, MIN_NAME, gap);
    return gap;
}

static void end_line(struct tr_str *out)
{
    while (out->len > 0 && out->text[out->len - 1] == ' ')
        out->text[--out->len] = '\0';
    tr_str_add(out, "\n", 1);
}

/* One row of cells; what does not fit goes on in further lines. */
static void print_row(const struct tr_table *t, const char *const *cells, int gap,
                      struct tr_str *out)
{
    const char *rest[TR_TABLE_COLUMNS];
    bool more = true;

    for (size_t c = 0; c < t->n_columns; c++)
        rest[c] = cells[c];
    while (more) {
        more = false;
        add_spaces(out, t->indent);
        for (size_t c = 0; c < t->n_columns; c++) {
            if (!t->column[c].used)
                continue;
            const char *line = rest[c];
            size_t len = line_len(line, t->column[c].width, &rest[c]);
            int space = t->column[c].width - width_n(line, len);
            if (t->column[c].align == TR_RIGHT)
                add_spaces(out, space);
            tr_str_add(out, line, len);
            add_spaces(out, gap + (t->column[c].align == TR_RIGHT ? 0 : space));
            more = more || *rest[c];
        }
        end_line(out);
    }
}

/* The line of group headings: "--- TTFT, s ----" over the columns it belongs to. */
static void print_groups(const struct tr_table *t, int gap, struct tr_str *out)
{
    bool any = false;

    for (size_t c = 0; c < t->n_columns; c++)
        any = any || (t->column[c].group && t->column[c].used);
    if (!any)
        return;
    add_spaces(out, t->indent);
    for (size_t c = 0, end; c < t->n_columns; c = end) {
        end = group_end(t, c);
        int width = span_width(t, c, end, gap);
        if (width < 0)
            continue;
        if (t->column[c].group) {
            int dashes = width - tr_text_width(t->column[c].group) - 2;
            for (int i = 0; i < dashes / 2; i++)
                tr_str_add(out, "-", 1);
            tr_str_printf(out, "%s%s%s", dashes >= 0 ? " " : "", t->column[c].group,
                          dashes >= 0 ? " " : "");
            for (int i = 0; i < dashes - dashes / 2; i++)
                tr_str_add(out, "-", 1);
            add_spaces(out, gap + (dashes == -1));
        } else {
            add_spaces(out, width + gap);
        }
    }
    end_line(out);
}

void tr_table_end(struct tr_table *t, struct tr_str *out)
{
    tr_assert(t->n_cells == 0 || t->n_cells % t->n_columns == 0);
    if (t->n_cells > 0) {
        const char *heads[TR_TABLE_COLUMNS];
        bool headed = false;
        int gap = fit(t);

        for (size_t c = 0; c < t->n_columns; c++) {
            heads[c] = t->column[c].head;
            headed = headed || *heads[c];
        }
        print_groups(t, gap, out);
        if (headed)
            print_row(t, heads, gap, out);
        for (size_t i = 0; i < t->n_cells; i += t->n_columns)
            print_row(t, t->cells + i, gap, out);
    }
    free(t->cells);
    tr_arena_free(&t->arena);
    *t = (struct tr_table){0};
}
