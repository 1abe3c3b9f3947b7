/* csv: delimited files, one row at a time.
 *
 * A line is collected in one buffer that never grows past 1 MiB, then cut into fields in place.
 * What RFC 4180 leaves open is settled towards one clear complaint: a quoted field ends on its line
 * (a forgotten quote would otherwise swallow the file), blanks around a field do not count, and
 * lines that are empty are skipped. */
#include "fmt/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINE_BYTES ((size_t)1 << 20)
#define MAX_COLUMNS    1024
#define CHUNK_BYTES    65536

struct tr_csv {
    FILE *file;
    char *path;
    char sep;
    size_t n_columns;
    char **names; /* into header_text */
    char *header_text;
    char **fields; /* n_columns, into line */
    char *line;
    size_t line_len, line_cap;
    int64_t line_no;
    size_t chunk_pos, chunk_len;
    char chunk[CHUNK_BYTES];
};

/* 1: the next line is in `line`, terminated and without its end; 0: end of file. */
static int read_line(struct tr_csv *csv, struct tr_err *err)
{
    bool any = false;

    csv->line_len = 0;
    for (;;) {
        if (csv->chunk_pos == csv->chunk_len) {
            csv->chunk_pos = 0;
            csv->chunk_len = fread(csv->chunk, 1, CHUNK_BYTES, csv->file);
            if (csv->chunk_len == 0 && ferror(csv->file))
                return tr_err_set(err, TR_EENV, "%s: cannot read: %s", csv->path, strerror(errno));
            if (csv->chunk_len == 0)
                break;
        }
        any = true;
        const char *from = csv->chunk + csv->chunk_pos;
        size_t take = csv->chunk_len - csv->chunk_pos;
        const char *end = memchr(from, '\n', take);
        if (end)
            take = (size_t)(end - from);
        if (take > MAX_LINE_BYTES - csv->line_len)
            return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": the line is longer than 1 MiB",
                              csv->path, csv->line_no + 1);
        tr_grow(&csv->line, &csv->line_cap, csv->line_len + take + 1, 1);
        memcpy(csv->line + csv->line_len, from, take);
        csv->line_len += take;
        csv->chunk_pos += take + (end ? 1 : 0);
        if (end)
            break;
    }
    if (!any)
        return 0;
    csv->line_no++;
    if (csv->line_len && csv->line[csv->line_len - 1] == '\r')
        csv->line_len--;
    csv->line[csv->line_len] = '\0';
    if (memchr(csv->line, '\0', csv->line_len))
        return tr_err_set(err, TR_EINPUT,
                          "%s:%" PRId64 ": a NUL byte; the file must be plain text (UTF-8)",
                          csv->path, csv->line_no);
    return 1;
}

/* As read_line, past lines that are empty. */
static int read_full_line(struct tr_csv *csv, struct tr_err *err)
{
    int rc;

    do
        rc = read_line(csv, err);
    while (rc == 1 && csv->line_len == 0);
    return rc;
}

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
                                  csv->path, csv->line_no);
            while (is_blank(csv, *s))
                s++;
            if (*s && *s != csv->sep)
                return tr_err_set(err, TR_EINPUT,
                                  "%s:%" PRId64 ": text after the closing quote of field %zu; a "
                                  "quote inside a quoted field is written twice",
                                  csv->path, csv->line_no, *n + 1);
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
    int rc = read_full_line(csv, err);

    if (rc == 0)
        return tr_err_set(err, TR_EINPUT,
                          "%s: the file is empty; it must begin with a line of column names",
                          csv->path);
    if (rc < 0)
        return rc;
    size_t skip = strncmp(csv->line, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    size_t len = csv->line_len - skip;
    csv->header_text = tr_malloc(len + 1);
    memcpy(csv->header_text, csv->line + skip, len + 1);
    csv->sep = find_separator(csv->header_text);
    csv->names = tr_calloc(MAX_COLUMNS, sizeof(*csv->names));
    rc = split(csv, csv->header_text, csv->names, MAX_COLUMNS, &csv->n_columns, err);
    if (rc)
        return rc;
    if (csv->n_columns > MAX_COLUMNS)
        return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": %zu columns; at most %d are read",
                          csv->path, csv->line_no, csv->n_columns, MAX_COLUMNS);
    for (size_t i = 0; i < csv->n_columns; i++)
        if (csv->names[i][0] && (size_t)tr_csv_find(csv, csv->names[i]) != i)
            return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": two columns are named \"%.60s\"",
                              csv->path, csv->line_no, csv->names[i]);
    csv->fields = tr_calloc(csv->n_columns, sizeof(*csv->fields));
    return 0;
}

/* Takes the file over, also when it fails. */
static int open_file(FILE *file, const char *path, struct tr_csv **out, struct tr_err *err)
{
    struct tr_csv *csv = tr_calloc(1, sizeof(*csv));
    size_t len = strlen(path) + 1;

    csv->file = file;
    csv->path = tr_malloc(len);
    memcpy(csv->path, path, len);
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
    struct stat st;
    FILE *file;

    *out = NULL;
    if (strcmp(path, "-") == 0)
        file = fdopen(dup(STDIN_FILENO), "rb");
    else
        file = fopen(path, "rbe");
    if (!file)
        return tr_err_set(err, TR_EINPUT, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
        fclose(file);
        return tr_err_set(err, TR_EINPUT, "%s: is a folder, not a file", path);
    }
    return open_file(file, path, out, err);
}

int tr_csv_open_text(const char *name, const char *text, size_t len, struct tr_csv **out,
                     struct tr_err *err)
{
    /* A stream without bytes cannot be opened; a blank line has as little in it. */
    FILE *file = len ? fmemopen((void *)(uintptr_t)text, len, "rb")
                     : fmemopen((void *)(uintptr_t) "\n", 1, "rb");

    *out = NULL;
    if (!file)
        return tr_err_set(err, TR_EENV, "%s: cannot open: %s", name, strerror(errno));
    return open_file(file, name, out, err);
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
    int rc = read_full_line(csv, err);

    if (rc <= 0)
        return rc;
    rc = split(csv, csv->line, csv->fields, csv->n_columns, &n, err);
    if (rc)
        return rc;
    if (n != csv->n_columns)
        return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": %zu field%s; the header has %zu",
                          csv->path, csv->line_no, n, n == 1 ? "" : "s", csv->n_columns);
    return 1;
}

const char *tr_csv_field(const struct tr_csv *csv, size_t column)
{
    tr_assert(column < csv->n_columns);
    return csv->fields[column];
}

int64_t tr_csv_line(const struct tr_csv *csv)
{
    return csv->line_no;
}

const char *tr_csv_path(const struct tr_csv *csv)
{
    return csv->path;
}

int tr_csv_rewind(struct tr_csv *csv, struct tr_err *err)
{
    if (fseek(csv->file, 0, SEEK_SET) != 0)
        return tr_err_set(err, TR_EINPUT, "%s: cannot be read twice (%s); save it to a file first",
                          csv->path, strerror(errno));
    csv->chunk_pos = csv->chunk_len = 0;
    csv->line_no = 0;
    int rc = read_full_line(csv, err);
    if (rc == 0)
        return tr_err_set(err, TR_EENV, "%s: has become empty while it was read", csv->path);
    return rc < 0 ? rc : 0;
}

void tr_csv_close(struct tr_csv *csv)
{
    if (!csv)
        return;
    fclose(csv->file);
    free(csv->path);
    free(csv->header_text);
    free(csv->names);
    free(csv->fields);
    free(csv->line);
    free(csv);
}
