/* csv: delimited files, one row at a time.
 *
 * A line is cut into fields in place.
 * What RFC 4180 leaves open is settled towards one clear complaint: a quoted field ends on its line
 * (a forgotten quote would otherwise swallow the file), blanks around a field do not count, and
 * lines that are empty are skipped. */
#include "fmt/csv.h"

#include <stdlib.h>

#define MAX_COLUMNS 1024

struct tr_csv {
    struct tr_lines *lines;
    char sep;
    size_t n_columns;
    char **names; /* into header_text */
    char *header_text;
    char **fields; /* n_columns, into the line */
};

static bool is_blank(const struct tr_csv *csv, char c)
{
    return c == ' ' || (c == '\t' && csv->sep != '\t');
}

/* Unquotes the field at `s` (which begins with a quote) in place. Returns what follows its closing
 * quote, or NULL when there is none. */
static char *unquote(char *s, char **field)
{
    char *to = s;

    *field = to;
    for (s++;; s++) {
        if (*s == '\0')
            return NULL;
        if (*s == '"' && s[1] != '"')
            break;
        if (*s == '"')
            s++;
        *to++ = *s;
    }
    /* The quotes taken away leave room for the terminator before what follows. */
    *to = '\0';
    return s + 1;
}

/* Cuts `line` into fields; keeps the first `max` of them. Returns how many there are. */
static int split(struct tr_csv *csv, char *line, char **fields, size_t max, size_t *n,
                 struct tr_err *err)
{
    char *s = line;

    for (*n = 0;; s++) {
        char *field;

        while (is_blank(csv, *s))
            s++;
        if (*s == '"') {
            s = unquote(s, &field);
            if (!s)
                return tr_err_set(err, TR_EINPUT,
                                  "%s:%" PRId64 ": a quoted field has no closing quote on its line",
                                  tr_csv_path(csv), tr_csv_line(csv));
            while (is_blank(csv, *s))
                s++;
            if (*s && *s != csv->sep)
                return tr_err_set(err, TR_EINPUT,
                                  "%s:%" PRId64 ": text after the closing quote of field %zu; a "
                                  "quote inside a quoted field is written twice",
                                  tr_csv_path(csv), tr_csv_line(csv), *n + 1);
        } else {
            field = s;
            while (*s && *s != csv->sep)
                s++;
            for (char *end = s; end > field && is_blank(csv, end[-1]); end--)
                end[-1] = '\0';
        }
        if ((*n)++ < max)
            fields[*n - 1] = field;
        if (*s == '\0')
            return 0;
        *s = '\0';
    }
}

/* The separator is the one that the header has most of, outside quotes; a comma when it has none.
 */
static char find_separator(const char *header)
{
    static const char candidates[] = ",;\t";
    size_t count[3] = {0};
    bool quoted = false;

    for (const char *s = header; *s; s++) {
        const char *c = strchr(candidates, *s);
        if (*s == '"')
            quoted = !quoted;
        else if (c && !quoted)
            count[c - candidates]++;
    }
    size_t best = 0;
    for (size_t i = 1; i < TR_LEN(count); i++)
        if (count[i] > count[best])
            best = i;
    return candidates[best];
}

/* Reads the header line and cuts it into names. */
static int read_header(struct tr_csv *csv, struct tr_err *err)
{
    int rc = tr_lines_next(csv->lines, err);

    if (rc == 0)
        return tr_err_set(err, TR_EINPUT,
                          "%s: the file is empty; it must begin with a line of column names",
                          tr_csv_path(csv));
    if (rc < 0)
        return rc;
    size_t len = tr_lines_len(csv->lines);
    csv->header_text = tr_malloc(len + 1);
    memcpy(csv->header_text, tr_lines_text(csv->lines), len + 1);
    csv->sep = find_separator(csv->header_text);
    csv->names = tr_calloc(MAX_COLUMNS, sizeof(*csv->names));
    rc = split(csv, csv->header_text, csv->names, MAX_COLUMNS, &csv->n_columns, err);
    if (rc)
        return rc;
    if (csv->n_columns > MAX_COLUMNS)
        return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": %zu columns; at most %d are read",
                          tr_csv_path(csv), tr_csv_line(csv), csv->n_columns, MAX_COLUMNS);
    for (size_t i = 0; i < csv->n_columns; i++)
        if (csv->names[i][0] && (size_t)tr_csv_find(csv, csv->names[i]) != i)
            return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": two columns are named \"%.60s\"",
                              tr_csv_path(csv), tr_csv_line(csv), csv->names[i]);
    csv->fields = tr_calloc(csv->n_columns, sizeof(*csv->fields));
    return 0;
}

int tr_csv_open_lines(struct tr_lines *lines, struct tr_csv **out, struct tr_err *err)
{
    struct tr_csv *csv = tr_calloc(1, sizeof(*csv));

    *out = NULL;
    csv->lines = lines;
    int rc = read_header(csv, err);
    if (rc) {
        tr_csv_close(csv);
        return rc;
    }
    *out = csv;
    return 0;
}

int tr_csv_open(const char *path, struct tr_csv **out, struct tr_err *err)
{
    struct tr_lines *lines;
    int rc = tr_lines_open(path, &lines, err);

    *out = NULL;
    return rc ? rc : tr_csv_open_lines(lines, out, err);
}

int tr_csv_open_text(const char *name, const char *text, size_t len, struct tr_csv **out,
                     struct tr_err *err)
{
    struct tr_lines *lines;
    int rc = tr_lines_open_text(name, text, len, &lines, err);

    *out = NULL;
    return rc ? rc : tr_csv_open_lines(lines, out, err);
}

size_t tr_csv_columns(const struct tr_csv *csv)
{
    return csv->n_columns;
}

const char *tr_csv_header(const struct tr_csv *csv, size_t column)
{
    tr_assert(column < csv->n_columns);
    return csv->names[column];
}

int tr_csv_find(const struct tr_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->n_columns; i++)
        if (strcmp(csv->names[i], name) == 0)
            return (int)i;
    return -1;
}

int tr_csv_next(struct tr_csv *csv, struct tr_err *err)
{
    size_t n;
    int rc = tr_lines_next(csv->lines, err);

    if (rc <= 0)
        return rc;
    rc = split(csv, tr_lines_text(csv->lines), csv->fields, csv->n_columns, &n, err);
    if (rc)
        return rc;
    if (n != csv->n_columns)
        return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": %zu field%s; the header has %zu",
                          tr_csv_path(csv), tr_csv_line(csv), n, n == 1 ? "" : "s", csv->n_columns);
    return 1;
}

const char *tr_csv_field(const struct tr_csv *csv, size_t column)
{
    tr_assert(column < csv->n_columns);
    return csv->fields[column];
}

int64_t tr_csv_line(const struct tr_csv *csv)
{
    return tr_lines_no(csv->lines);
}

const char *tr_csv_path(const struct tr_csv *csv)
{
    return tr_lines_path(csv->lines);
}

int tr_csv_rewind(struct tr_csv *csv, struct tr_err *err)
{
    int rc = tr_lines_rewind(csv->lines, err);
    if (rc)
        return rc;
    rc = tr_lines_next(csv->lines, err);
    if (rc == 0)
        return tr_err_set(err, TR_EENV, "%s: has become empty while it was read", tr_csv_path(csv));
    return rc < 0 ? rc : 0;
}

void tr_csv_close(struct tr_csv *csv)
{
    if (!csv)
        return;
    tr_lines_close(csv->lines);
    free(csv->header_text);
    free(csv->names);
    free(csv->fields);
    free(csv);
}
