/* str: a string that grows, up to 1 GiB. */
#include "base/base.h"

#include <stdlib.h>

#define MAX_BYTES ((size_t)1 << 30)

/* Makes room for `more` bytes and the terminator; false when that is past the maximum. */
static bool reserve(struct tr_str *s, size_t more)
{
    if (s->overflow || more > MAX_BYTES - s->len) {
        s->overflow = true;
        return false;
    }
    tr_grow(&s->text, &s->cap, s->len + more + 1, 1);
    return true;
}

void tr_str_add(struct tr_str *s, const char *text, size_t len)
{
    if (!reserve(s, len))
        return;
    if (len)
        memcpy(s->text + s->len, text, len);
    s->len += len;
    s->text[s->len] = '\0';
}

void tr_str_vprintf(struct tr_str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    tr_assert(len >= 0);
    if (reserve(s, (size_t)len)) {
        vsnprintf(s->text + s->len, (size_t)len + 1, fmt, again);
        s->len += (size_t)len;
    }
    va_end(again);
}

void tr_str_printf(struct tr_str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tr_str_vprintf(s, fmt, ap);
    va_end(ap);
}

void tr_str_free(struct tr_str *s)
{
    free(s->text);
    *s = (struct tr_str){0};
}
