/* table: columns of text for a terminal.
 *
 * A table is filled cell by cell, row by row, and printed at the width its contents need, at most
 * TR_TABLE_WIDTH columns. Width counts code points of UTF-8. In a table that is too wide, columns
 * of prose wrap first; then the gap between columns shrinks from two spaces to one; then names wrap
 * too, within a word if need be. Numbers (right-aligned) are never cut.
 */
#ifndef TR_REPORT_TABLE_H
#define TR_REPORT_TABLE_H

#include "base/base.h"

#define TR_TABLE_WIDTH   100
#define TR_TABLE_COLUMNS 20

enum tr_align { TR_RIGHT, TR_LEFT, TR_PROSE }; /* numbers, names, sentences */

/* A table starts as zeroes. Everything in it lives in `arena`. */
struct tr_table {
    struct tr_arena arena;
    int indent; /* spaces before each line */
    size_t n_columns;
    struct {
        const char *group, *head;
        enum tr_align align;
        int width;
        bool used; /* some cell is not empty; other columns are left out */
    } column[TR_TABLE_COLUMNS];
    size_t n_cells, cap_cells; /* row by row */
    const char **cells;
};

/* Columns come before the first cell. Adjacent columns of the same `group` (one pointer; NULL:
 * none) stand under one heading; a table whose heads are all "" has no heading lines. */
void tr_table_column(struct tr_table *t, enum tr_align align, const char *group, const char *head);
/* The next cell. */
void tr_table_cell(struct tr_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints the table (nothing if it has no rows) and frees it. */
void tr_table_end(struct tr_table *t, struct tr_str *out);

/* How many columns UTF-8 text takes: its code points. */
int tr_text_width(const char *text);
/* Prints text wrapped to TR_TABLE_WIDTH: `lead` stands before the first line (`indent` columns
 * wide, padded), following lines start with `indent` spaces. Ends with a newline. */
void tr_text_wrap(struct tr_str *out, const char *lead, int indent, const char *text);

#endif
