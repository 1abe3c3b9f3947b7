/* file: a whole file into memory, never more of it than the caller allows. */
#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NAMES 10000 /* of a folder, looked at for the nearest name */

/* Whose fault a failed call is: the path's, or the machine's. */
static enum tr_code blame(int error)
{
    bool machine = error == EIO || error == EMFILE || error == ENFILE || error == ENOMEM;
    return machine ? TR_EENV : TR_EINPUT;
}

static int fail(struct tr_err *err, const char *path, const char *what, int error)
{
    char text[128];
    return tr_err_set(err, blame(error), "%s: cannot be %s: %s", path, what,
                      strerror_r(error, text, sizeof(text)));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The name in `folder` that is nearest to `word`, or NULL. The names are sorted first, because a
 * folder's own order is not the same everywhere. */
static const char *nearest_in(struct tr_arena *arena, const char *folder, const char *word)
{
    const char **names = NULL, *nearest;
    size_t n = 0, cap = 0;
    struct dirent *entry;
    DIR *dir = opendir(folder);

    if (!dir)
        return NULL;
    while (n < MAX_NAMES && (entry = readdir(dir))) {
        tr_grow(&names, &cap, n + 1, sizeof(*names));
        names[n++] = tr_arena_strdup(arena, entry->d_name);
    }
    closedir(dir);
    if (n > 0)
        qsort(names, n, sizeof(*names), compare_names);
    nearest = tr_nearest(word, names, n);
    free(names);
    return nearest;
}

static int missing(struct tr_err *err, const char *path)
{
    struct tr_arena arena = {0};
    const char *slash = strrchr(path, '/');
    const char *word = slash ? slash + 1 : path;
    const char *prefix = tr_arena_strndup(&arena, path, (size_t)(word - path));
    const char *nearest = nearest_in(&arena, slash ? prefix : ".", word);
    int rc = nearest ? tr_err_set(err, TR_EINPUT, "%s: no such file; did you mean %s%s?", path,
                                  prefix, nearest)
                     : tr_err_set(err, TR_EINPUT, "%s: no such file", path);
    tr_arena_free(&arena);
    return rc;
}

static int too_large(struct tr_err *err, const char *path, size_t max_bytes)
{
    if (max_bytes >= (size_t)1 << 20)
        return tr_err_set(err, TR_EINPUT, "%s: too large: at most %zu MiB are read here", path,
                          max_bytes >> 20);
    return tr_err_set(err, TR_EINPUT, "%s: too large: at most %zu bytes are read here", path,
                      max_bytes);
}

/* Reads fd to its end. The size is not trusted: a pipe has none and a file may grow. */
static int read_all(int fd, const char *path, size_t max_bytes, struct tr_str *s,
                    struct tr_err *err)
{
    char chunk[1 << 16];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(err, path, "read", errno);
        if ((size_t)got > max_bytes - s->len)
            return too_large(err, path, max_bytes);
        tr_str_add(s, chunk, (size_t)got);
        if (s->overflow)
            return too_large(err, path, s->len);
        if (got == 0)
            return 0;
    }
}

int tr_file_read(const char *path, size_t max_bytes, char **data, size_t *len, struct tr_err *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    struct tr_str s = {0};
    struct stat st;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0 && errno == ENOENT)
        return missing(err, path);
    if (fd < 0)
        return fail(err, name, "opened", errno);
    if (fstat(fd, &st) < 0)
        rc = fail(err, name, "read", errno);
    else if (S_ISDIR(st.st_mode))
        rc = tr_err_set(err, TR_EINPUT, "%s: is a folder; a file is expected", name);
    else if (S_ISREG(st.st_mode) && st.st_size > 0 && (uintmax_t)st.st_size > max_bytes)
        rc = too_large(err, name, max_bytes);
    else
        rc = read_all(fd, name, max_bytes, &s, err);

    if (!standard_input)
        close(fd);
    if (rc < 0) {
        tr_str_free(&s);
        return rc;
    }
    *data = s.text;
    *len = s.len;
    return 0;
}
