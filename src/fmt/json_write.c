/* fmt, JSON out: a streaming writer that cannot produce unbalanced or ill-formed text. */
#include "fmt/fmt.h"

#include <math.h>
#include <stdlib.h>

/* Length of the well-formed UTF-8 sequence at `s`, or 0 (overlong forms and surrogates are not). */
static size_t utf8_len(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;

    if (s[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

static void add_quoted(struct tr_str *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    tr_str_add(out, "\"", 1);
    while (*s) {
        size_t n = utf8_len(s);

        if (*s == '"' || *s == '\\')
            tr_str_printf(out, "\\%c", *s);
        else if (*s == '\n')
            tr_str_add(out, "\\n", 2);
        else if (*s == '\t')
            tr_str_add(out, "\\t", 2);
        else if (*s < 0x20)
            tr_str_printf(out, "\\u%04x", *s);
        else if (n == 0)
            tr_str_add(out, "\\ufffd", 6);
        else
            tr_str_add(out, (const char *)s, n);
        s += n ? n : 1;
    }
    tr_str_add(out, "\"", 1);
}

static void new_line(struct tr_json *j)
{
    tr_str_printf(j->out, "\n%*s", 2 * j->depth, "");
}

/* What stands before a value: the comma, the line, the key. */
static void before_value(struct tr_json *j, const char *key)
{
    if (j->depth == 0) {
        tr_assert(!key);
        return;
    }
    tr_assert((key != NULL) == (j->close[j->depth - 1] == '}'));
    if (!j->first[j->depth - 1])
        tr_str_add(j->out, ",", 1);
    j->first[j->depth - 1] = false;
    new_line(j);
    if (key) {
        add_quoted(j->out, key);
        tr_str_add(j->out, ": ", 2);
    }
}

static void after_value(struct tr_json *j)
{
    if (j->depth == 0)
        tr_str_add(j->out, "\n", 1);
}

void tr_json_begin(struct tr_json *j, const char *key, char open)
{
    tr_assert(open == '{' || open == '[');
    tr_assert((size_t)j->depth < TR_LEN(j->first));
    before_value(j, key);
    tr_str_add(j->out, &open, 1);
    j->close[j->depth] = open == '{' ? '}' : ']';
    j->first[j->depth] = true;
    j->depth++;
}

void tr_json_end(struct tr_json *j)
{
    tr_assert(j->depth > 0);
    j->depth--;
    if (!j->first[j->depth])
        new_line(j);
    tr_str_add(j->out, &j->close[j->depth], 1);
    after_value(j);
}

void tr_json_text(struct tr_json *j, const char *key, const char *value)
{
    before_value(j, key);
    if (value)
        add_quoted(j->out, value);
    else
        tr_str_add(j->out, "null", 4);
    after_value(j);
}

void tr_json_int(struct tr_json *j, const char *key, int64_t value)
{
    before_value(j, key);
    tr_str_printf(j->out, "%" PRId64, value);
    after_value(j);
}

void tr_json_num(struct tr_json *j, const char *key, double value)
{
    char text[40] = "null";

    /* The shortest form that reads back as the same number. */
    for (int digits = 15; digits <= 17 && isfinite(value); digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    before_value(j, key);
    tr_str_add(j->out, text, strlen(text));
    after_value(j);
}

void tr_json_bool(struct tr_json *j, const char *key, bool value)
{
    before_value(j, key);
    tr_str_printf(j->out, "%s", value ? "true" : "false");
    after_value(j);
}

void tr_json_null(struct tr_json *j, const char *key)
{
    tr_json_text(j, key, NULL);
}
