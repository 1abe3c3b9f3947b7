/* units: quantities as people write them, read strictly; and shown fit for a table cell. */
#include "base/base.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#define MAX_DURATION_NS 3155760000e9 /* 100 years of 365.25 days */
#define MAX_BYTES       9.2e18       /* fits an int64_t with room for rounding */

struct unit {
    const char *name;
    double factor;
    double divisor; /* 0 for none: 7 / 100.0 is 0.07, 7 * 0.01 is not */
};

/* One kind of quantity: its units ("" when a bare number is fine) and how to say what is allowed.
 */
struct quantity {
    const char *what;    /* "a duration" */
    const char *allowed; /* "a number and one of ..., such as ..." */
    const struct unit *units;
    size_t n_units;
};

static const struct unit duration_units[] = {
    {"ns", 1.0},   {"us", 1e3},     {"ms", 1e6},      {"s", 1e9},
    {"m", 60.0e9}, {"h", 3600.0e9}, {"d", 86400.0e9},
};
static const struct quantity duration = {
    "a duration", "a number and one of ns us ms s m h d without a space, such as 500ms or 1.5h",
    duration_units, TR_LEN(duration_units)};

static const struct unit byte_units[] = {
    {"B", 1.0},         {"kB", 1e3},     {"MB", 1e6},
    {"GB", 1e9},        {"TB", 1e12},    {"KiB", 1024.0},
    {"MiB", 1048576.0}, {"GiB", TR_GIB}, {"TiB", 1024.0 * TR_GIB},
};
static const struct quantity bytes_quantity = {
    "an amount of memory",
    "a number and one of B kB MB GB TB (decimal) KiB MiB GiB TiB (binary) without a space, such as "
    "80GB or 79.25GiB",
    byte_units, TR_LEN(byte_units)};

static const struct unit rate_units[] = {
    {"", 1.0}, {"/s", 1.0}, {"/min", 1.0, 60.0}, {"/h", 1.0, 3600.0}};
static const struct quantity rate = {
    "a rate", "a number, per second unless /s, /min or /h follows, such as 10, 10/s or 3.67/h",
    rate_units, TR_LEN(rate_units)};

static const struct unit fraction_units[] = {{"", 1.0}, {"%", 1.0, 100.0}};
static const struct quantity fraction = {"a fraction",
                                         "a number such as 0.08, or a percentage such as 8%",
                                         fraction_units, TR_LEN(fraction_units)};

static const struct unit number_units[] = {{"", 1.0}};
static const struct quantity number = {"a number", "a number of 0 or more such as 1200, 0.5 or 1e3",
                                       number_units, TR_LEN(number_units)};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *p)
{
    while (is_digit(*p))
        p++;
    return p;
}

/* The end of the decimal number at the start of `text` (digits, fraction, exponent; no sign), or
 * NULL when there is none. Decided here because strtod also takes "nan", "0x1p3" and " 5". */
static const char *number_end(const char *text)
{
    const char *p = skip_digits(text);
    size_t digits = (size_t)(p - text);
    if (*p == '.') {
        const char *decimals = p + 1;
        p = skip_digits(decimals);
        digits += (size_t)(p - decimals);
    }
    if (digits == 0)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        const char *exponent = p + 1 + (p[1] == '+' || p[1] == '-');
        if (is_digit(*exponent))
            p = skip_digits(exponent);
    }
    return p;
}

/* `text` in quotes, shortened to whole UTF-8 characters, for a message. */
static const char *quote(char buf[64], const char *text)
{
    size_t len = strnlen(text, 49);
    bool cut = len > 48;
    if (cut)
        for (len = 48; len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80;)
            len--;
    snprintf(buf, 64, "\"%.*s%s\"", (int)len, text, cut ? "..." : "");
    return buf;
}

/* `problem` completes a sentence that starts with the text: "is negative". */
static int refuse(struct tr_err *err, const struct quantity *q, const char *text,
                  const char *problem)
{
    char quoted[64];
    return tr_err_set(err, TR_EINPUT, "%s %s; %s is %s", quote(quoted, text), problem, q->what,
                      q->allowed);
}

/* Says which unit was probably meant, when the text after the number is nearly one. */
static int refuse_unit(struct tr_err *err, const struct quantity *q, const char *text,
                       const char *suffix)
{
    const char *names[16];
    char quoted[64], problem[128];

    if (*suffix == '\0')
        return refuse(err, q, text, "has no unit");
    tr_assert(q->n_units <= TR_LEN(names));
    for (size_t i = 0; i < q->n_units; i++)
        names[i] = q->units[i].name;
    const char *meant = tr_nearest(suffix, names, q->n_units);
    snprintf(problem, sizeof(problem), "ends in %s%s%s%s", quote(quoted, suffix),
             meant ? " (did you mean " : ", which is no unit here", meant ? meant : "",
             meant ? "?)" : "");
    return refuse(err, q, text, problem);
}

/* Reads a number and a unit. `value` is in the base unit; a number too large or too small for a
 * double is refused, so that what is written is what is used. */
static int read_quantity(const char *text, const struct quantity *q, double *value,
                         struct tr_err *err)
{
    if (*text == '-' && number_end(text + 1))
        return refuse(err, q, text, "is negative");
    const char *suffix = number_end(text);
    if (!suffix)
        return refuse(err, q, text, "does not start with a digit");

    const struct unit *unit = NULL;
    for (size_t i = 0; i < q->n_units && !unit; i++)
        if (strcmp(suffix, q->units[i].name) == 0)
            unit = &q->units[i];
    if (!unit)
        return refuse_unit(err, q, text, suffix);

    /* In the C locale: elsewhere the decimal point may be a comma. */
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    tr_assert(c_locale != (locale_t)0);
    errno = 0;
    double parsed = strtod_l(text, NULL, c_locale);
    bool out_of_range = errno == ERANGE;
    freelocale(c_locale);
    parsed *= unit->factor;
    if (unit->divisor > 0.0)
        parsed /= unit->divisor;
    if (out_of_range || !isfinite(parsed))
        return refuse(err, q, text, parsed < 1.0 ? "is too small" : "is too large");
    *value = parsed;
    return 0;
}

/* The same, rounded to a whole number of base units. */
static int read_whole(const char *text, const struct quantity *q, double max, const char *too_large,
                      int64_t *value, struct tr_err *err)
{
    double parsed = 0.0;
    int rc = read_quantity(text, q, &parsed, err);
    if (rc < 0)
        return rc;
    if (parsed > max)
        return refuse(err, q, text, too_large);
    *value = (int64_t)(parsed + 0.5);
    if (*value == 0 && parsed > 0.0)
        return refuse(err, q, text, "is too small");
    return 0;
}

int tr_units_duration(const char *text, int64_t *ns, struct tr_err *err)
{
    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return 0;
    }
    return read_whole(text, &duration, MAX_DURATION_NS, "is more than 100 years", ns, err);
}

int tr_units_bytes(const char *text, int64_t *bytes, struct tr_err *err)
{
    return read_whole(text, &bytes_quantity, MAX_BYTES, "is too large", bytes, err);
}

int tr_units_rate(const char *text, double *per_s, struct tr_err *err)
{
    return read_quantity(text, &rate, per_s, err);
}

int tr_units_fraction(const char *text, double max, double *value, struct tr_err *err)
{
    double parsed = 0.0;
    int rc = read_quantity(text, &fraction, &parsed, err);
    if (rc < 0)
        return rc;
    if (parsed > max) {
        char quoted[64];
        return tr_err_set(err, TR_EINPUT, "%s is too large; allowed is at most %.10g (%.10g%%)",
                          quote(quoted, text), max, max * 100.0);
    }
    *value = parsed;
    return 0;
}

int tr_units_number(const char *text, double *value, struct tr_err *err)
{
    return read_quantity(text, &number, value, err);
}

int tr_units_integer(const char *text, int64_t *value, struct tr_err *err)
{
    static const struct quantity integer = {
        "a whole number", "digits only, such as 4096, up to 9223372036854775807", NULL, 0};

    if (*text == '-' && is_digit(text[1]))
        return refuse(err, &integer, text, "is negative");
    if (!is_digit(*text) || *skip_digits(text) != '\0')
        return refuse(err, &integer, text, "is not made of digits only");
    int64_t sum = 0;
    for (const char *p = text; *p; p++)
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, *p - '0', &sum))
            return refuse(err, &integer, text, "is too large");
    *value = sum;
    return 0;
}

/* In whole numbers throughout: no decimal comma, no last digit that depends on the C library. */
const char *tr_units_show_ns(char buf[24], int64_t ns)
{
    static const struct {
        const char *name;
        uint64_t ns, from_ns;
    } units[] = {
        {"d", UINT64_C(86400000000000), UINT64_C(259200000000000)},
        {"h", UINT64_C(3600000000000), UINT64_C(6000000000000)},
        {"min", UINT64_C(60000000000), UINT64_C(600000000000)},
        {"s", UINT64_C(1000000000), UINT64_C(100000000)},
        {"ms", UINT64_C(1000000), UINT64_C(100000)},
        {"us", UINT64_C(1000), UINT64_C(100)},
        {"ns", UINT64_C(1), UINT64_C(1)},
    };
    uint64_t abs_ns = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    size_t u = 0;

    if (ns == 0) {
        snprintf(buf, 24, "0 s");
        return buf;
    }
    while (abs_ns < units[u].from_ns)
        u++;
    uint64_t scale = 1;
    int decimals = 0;
    while (units[u].ns > 1 && decimals < 3 && abs_ns / units[u].ns * scale < 100) {
        scale *= 10;
        decimals++;
    }
    uint64_t step = units[u].ns / scale;
    uint64_t scaled = (abs_ns + step / 2) / step;
    for (; decimals > 0 && scaled % 10 == 0; decimals--) {
        scaled /= 10;
        scale /= 10;
    }
    int len = snprintf(buf, 24, "%s%" PRIu64, ns < 0 ? "-" : "", scaled / scale);
    if (decimals > 0)
        len += snprintf(buf + len, 24 - (size_t)len, ".%0*" PRIu64, decimals, scaled % scale);
    snprintf(buf + len, 24 - (size_t)len, " %s", units[u].name);
    return buf;
}

const char *tr_units_show_count(char buf[32], int64_t n)
{
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    char *p = buf + 31;
    int digits = 0;

    *p = '\0';
    do {
        if (digits > 0 && digits % 3 == 0)
            *--p = ',';
        *--p = (char)('0' + rest % 10);
        rest /= 10;
        digits++;
    } while (rest > 0);
    if (n < 0)
        *--p = '-';
    memmove(buf, p, (size_t)(buf + 32 - p));
    return buf;
}
