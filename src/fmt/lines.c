/* lines: a text file, line by line, in one buffer that never grows past 1 MiB. */
#include "fmt/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINE_BYTES ((size_t)1 << 20)
#define CHUNK_BYTES    65536

struct tr_lines {
    FILE *file;
    char *path;
    char *line;
    size_t line_len, line_cap;
    int64_t line_no;
    bool again; /* the next line is the one in `line` */
    size_t chunk_pos, chunk_len;
    char chunk[CHUNK_BYTES];
};

/* 1: the next line is in `line`, terminated and without its end; 0: end of file. */
static int read_line(struct tr_lines *l, struct tr_err *err)
{
    bool any = false;

    l->line_len = 0;
    for (;;) {
        if (l->chunk_pos == l->chunk_len) {
            l->chunk_pos = 0;
            l->chunk_len = fread(l->chunk, 1, CHUNK_BYTES, l->file);
            if (l->chunk_len == 0 && ferror(l->file))
                return tr_err_set(err, TR_EENV, "%s: cannot read: %s", l->path, strerror(errno));
            if (l->chunk_len == 0)
                break;
        }
        any = true;
        const char *from = l->chunk + l->chunk_pos;
        size_t take = l->chunk_len - l->chunk_pos;
        const char *end = memchr(from, '\n', take);
        if (end)
            take = (size_t)(end - from);
        if (take > MAX_LINE_BYTES - l->line_len)
            return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ": the line is longer than 1 MiB",
                              l->path, l->line_no + 1);
        tr_grow(&l->line, &l->line_cap, l->line_len + take + 1, 1);
        memcpy(l->line + l->line_len, from, take);
        l->line_len += take;
        l->chunk_pos += take + (end ? 1 : 0);
        if (end)
            break;
    }
    if (!any)
        return 0;
    l->line_no++;
    if (l->line_len && l->line[l->line_len - 1] == '\r')
        l->line_len--;
    l->line[l->line_len] = '\0';
    if (memchr(l->line, '\0', l->line_len))
        return tr_err_set(err, TR_EINPUT,
                          "%s:%" PRId64 ": a NUL byte; the file must be plain text (UTF-8)",
                          l->path, l->line_no);
    return 1;
}

int tr_lines_next(struct tr_lines *l, struct tr_err *err)
{
    int rc = 1;

    if (l->again) {
        l->again = false;
        return 1;
    }
    do
        rc = read_line(l, err);
    while (rc == 1 && l->line_len == 0);
    /* A byte order mark before the first line is none of it. */
    if (rc == 1 && l->line_no == 1 && strncmp(l->line, "\xEF\xBB\xBF", 3) == 0) {
        l->line_len -= 3;
        memmove(l->line, l->line + 3, l->line_len + 1);
    }
    return rc;
}

void tr_lines_repeat(struct tr_lines *l)
{
    l->again = true;
}

char *tr_lines_text(struct tr_lines *l)
{
    return l->line;
}

size_t tr_lines_len(const struct tr_lines *l)
{
    return l->line_len;
}

int64_t tr_lines_no(const struct tr_lines *l)
{
    return l->line_no;
}

const char *tr_lines_path(const struct tr_lines *l)
{
    return l->path;
}

static void open_file(FILE *file, const char *path, struct tr_lines **out)
{
    struct tr_lines *l = tr_calloc(1, sizeof(*l));
    size_t len = strlen(path) + 1;

    l->file = file;
    l->path = tr_malloc(len);
    memcpy(l->path, path, len);
    *out = l;
}

int tr_lines_open(const char *path, struct tr_lines **out, struct tr_err *err)
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
    open_file(file, path, out);
    return 0;
}

int tr_lines_open_text(const char *name, const char *text, size_t len, struct tr_lines **out,
                       struct tr_err *err)
{
    /* A stream without bytes cannot be opened; a blank line has as little in it. */
    FILE *file = len ? fmemopen((void *)(uintptr_t)text, len, "rb")
                     : fmemopen((void *)(uintptr_t) "\n", 1, "rb");

    *out = NULL;
    if (!file)
        return tr_err_set(err, TR_EENV, "%s: cannot open: %s", name, strerror(errno));
    open_file(file, name, out);
    return 0;
}

int tr_lines_rewind(struct tr_lines *l, struct tr_err *err)
{
    if (fseek(l->file, 0, SEEK_SET) != 0)
        return tr_err_set(err, TR_EINPUT, "%s: cannot be read twice (%s); save it to a file first",
                          l->path, strerror(errno));
    l->chunk_pos = l->chunk_len = 0;
    l->line_no = 0;
    l->again = false;
    return 0;
}

void tr_lines_close(struct tr_lines *l)
{
    if (!l)
        return;
    fclose(l->file);
    free(l->path);
    free(l->line);
    free(l);
}
