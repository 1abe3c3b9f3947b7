/* fmt: the file formats: YAML, JSON and CSV in; JSON out; escaping.
 *
 * Both YAML and JSON are read into the same tree of nodes, each with the line and column where it
 * stands, so that whoever gives a node its meaning can point at it. Scalars stay text: what
 * "500ms" or "1e3" means is the reader's business (base/base.h, units).
 *
 * Limits at birth: 64 levels deep, 1,000,000 nodes, a file of 64 MiB (configuration) - a trace is
 * read line by line instead, with lines of at most 1 MiB.
 */
#ifndef TR_FMT_FMT_H
#define TR_FMT_FMT_H

#include "base/base.h"

enum tr_node_kind { TR_NODE_SCALAR, TR_NODE_LIST, TR_NODE_MAP };

/* A map's entries are two nodes: `key` (scalar) and the value. Order is the file's order. */
struct tr_node {
    enum tr_node_kind kind;
    const char *file;       /* for messages */
    int line, col;          /* from 1 */
    bool quoted;            /* a scalar written in quotes */
    bool null;              /* an empty scalar, ~ or null, unquoted */
    const char *text;       /* scalar only */
    size_t n;               /* list, map: how many */
    struct tr_node **items; /* list: the items; map: the values */
    struct tr_node **keys;  /* map only */
};

/* Parses one YAML document. Duplicate keys, several documents, anchors, tags, tabs for indentation,
 * non-UTF-8 and anything over the limits are errors with file:line:column. An empty file is an
 * error. The tree lives in `arena`. */
int tr_yaml_parse(struct tr_arena *arena, const char *file, const char *text, size_t len,
                  struct tr_node **root, struct tr_err *err);
/* The same for JSON (strict; positions are those of syntax errors only: nodes carry line 0). */
int tr_json_parse(struct tr_arena *arena, const char *file, const char *text, size_t len,
                  struct tr_node **root, struct tr_err *err);

/* Adds a tree as YAML. Read again it is the same tree. Lists and maps stand in block style;
 * comments of a file that was read are not in its tree. */
void tr_yaml_write(struct tr_str *out, const struct tr_node *root);

/* The value of `key`, or NULL. */
struct tr_node *tr_node_get(const struct tr_node *map, const char *key);
/* Sets "file:line:col: message" (no position where the node has none) with TR_EINPUT; returns it.
 */
int tr_node_err(struct tr_err *err, const struct tr_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for line `line` of a file of one JSON value a line; its nodes carry that line. */
int tr_json_parse_line(struct tr_arena *arena, const char *file, int line, const char *text,
                       size_t len, struct tr_node **root, struct tr_err *err);

/* ---- lines ---------------------------------------------------------------------------------- */

/* Reads a text file ("-": standard input) line by line, without holding it: past empty lines, line
 * ends of both kinds, a byte order mark, a last line without a newline. A line over 1 MiB or a NUL
 * byte is an error with file:line. */
struct tr_lines;
int tr_lines_open(const char *path, struct tr_lines **out, struct tr_err *err);
/* 1: a line was read, 0: end of file, negative: error. The text is valid until the next call, and
 * may be written to. */
int tr_lines_next(struct tr_lines *lines, struct tr_err *err);
void tr_lines_repeat(struct tr_lines *lines); /* the next line is the one just read */
char *tr_lines_text(struct tr_lines *lines);
size_t tr_lines_len(const struct tr_lines *lines);
int64_t tr_lines_no(const struct tr_lines *lines); /* from 1 */
const char *tr_lines_path(const struct tr_lines *lines);
int tr_lines_rewind(struct tr_lines *lines, struct tr_err *err);
void tr_lines_close(struct tr_lines *lines);

/* ---- CSV ------------------------------------------------------------------------------------ */

/* Reads a delimited file with a header line, row by row, without holding the file. Handles CRLF, a
 * byte order mark, quoted fields with doubled quotes, a last line without a newline; the separator
 * (comma, semicolon, tab) is found from the header. A row with another number of fields than the
 * header, a line over 1 MiB or a NUL byte is an error with file:line. */
struct tr_csv;
int tr_csv_open(const char *path, struct tr_csv **out, struct tr_err *err);
/* Takes the lines over, also when it fails. */
int tr_csv_open_lines(struct tr_lines *lines, struct tr_csv **out, struct tr_err *err);
size_t tr_csv_columns(const struct tr_csv *csv);
const char *tr_csv_header(const struct tr_csv *csv, size_t column);
/* Index of the column with that name (exact), or -1. */
int tr_csv_find(const struct tr_csv *csv, const char *name);
/* 1: a row was read, 0: end of file, negative: error. Fields are valid until the next call. */
int tr_csv_next(struct tr_csv *csv, struct tr_err *err);
const char *tr_csv_field(const struct tr_csv *csv, size_t column);
int64_t tr_csv_line(const struct tr_csv *csv); /* of the row just read, from 1 */
const char *tr_csv_path(const struct tr_csv *csv);
int tr_csv_rewind(struct tr_csv *csv, struct tr_err *err); /* to before the first row */
void tr_csv_close(struct tr_csv *csv);

/* ---- JSON out ------------------------------------------------------------------------------- */

/* A streaming writer, indented by two spaces; starts as zeroes and `out`. Keys are NULL inside
 * lists. Numbers are printed so that they read back the same; NaN and infinity become null. A
 * newline ends the outermost value. Wrong nesting is a bug and aborts. */
struct tr_json {
    struct tr_str *out;
    int depth;
    bool first[64]; /* nothing was written yet at this depth */
    char close[64]; /* the bracket that ends it */
};
void tr_json_begin(struct tr_json *j, const char *key, char open); /* '{' or '[' */
void tr_json_end(struct tr_json *j);
void tr_json_text(struct tr_json *j, const char *key, const char *value); /* NULL: null */
void tr_json_int(struct tr_json *j, const char *key, int64_t value);
void tr_json_num(struct tr_json *j, const char *key, double value);
void tr_json_bool(struct tr_json *j, const char *key, bool value);
void tr_json_null(struct tr_json *j, const char *key);

#endif
