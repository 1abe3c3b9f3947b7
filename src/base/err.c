/* err: the one error type, exit statuses, the version, and the end of the road for broken
 * invariants. */
#include "base/base.h"

#include <stdlib.h>

#ifndef TR_VERSION
#define TR_VERSION "0.0.0" /* meson passes the real one */
#endif

int tr_exit_status(enum tr_code code)
{
    switch (code) {
#define X(name, value, exit_status, text)                                                          \
    case name:                                                                                     \
        return exit_status;
        TR_CODES(X)
#undef X
    }
    return tr_exit_status(TR_EBUG);
}

/* Makes `text` one printable line of whole UTF-8 characters: what it quotes may come from a broken
 * file, and a message cut at the end of its buffer may end within a character. */
static void keep_one_line(char *text, bool cut)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    if (!cut)
        return;
    while (len > 0 && ((unsigned char)text[len - 1] & 0xC0) == 0x80)
        text[--len] = '\0';
    if (len > 0 && ((unsigned char)text[len - 1] & 0x80) != 0)
        text[len - 1] = '\0';
}

int tr_err_set(struct tr_err *err, enum tr_code code, const char *fmt, ...)
{
    tr_assert(code < 0);
    if (!err || err->code != TR_OK)
        return code;

    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    err->code = code;
    keep_one_line(err->text, len >= (int)sizeof(err->text));
    return code;
}

const char *tr_version(void)
{
    return TR_VERSION;
}

void tr_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "tranche: internal error: %s:%d: expected %s\n", file, line, cond);
    abort();
}
