/* stamp: the numbers and time stamps of a trace's fields.
 *
 * Read digit by digit, so that 4.314579 s is 4,314,579,000 ns and not the nearest double to it. */
#include "traffic/parts.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly `n` digits, followed by anything. */
static bool digits(const char **s, int n, int *value)
{
    *value = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (!is_digit(**s))
            return false;
        *value = *value * 10 + (**s - '0');
    }
    return true;
}

static bool literal(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

/* Days from 1970-01-01 in the Gregorian calendar. Years are taken to begin in March, so that the
 * leap day is a year's last and months have a regular length before it. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* ".6805900" -> 680590000; digits after the ninth are dropped. No dot: 0. */
static bool fraction_ns(const char **s, int64_t *ns)
{
    int n = 0;

    *ns = 0;
    if (!literal(s, '.'))
        return true;
    if (!is_digit(**s))
        return false;
    for (; is_digit(**s); (*s)++, n++)
        if (n < 9)
            *ns = *ns * 10 + (**s - '0');
    for (; n < 9; n++)
        *ns *= 10;
    return true;
}

/* "", "Z", "+00:00", "-0530": minutes east of Greenwich. */
static bool zone(const char **s, int *minutes)
{
    int hours, mins;
    int sign = **s == '-' ? -1 : 1;

    *minutes = 0;
    if (**s == '\0' || literal(s, 'Z'))
        return true;
    if (!literal(s, '+') && !literal(s, '-'))
        return false;
    if (!digits(s, 2, &hours))
        return false;
    literal(s, ':');
    if (!digits(s, 2, &mins) || hours > 14 || mins > 59)
        return false;
    *minutes = sign * (hours * 60 + mins);
    return true;
}

bool tr_trace_stamp(const char *text, int64_t *ns)
{
    const char *s = text;
    int year, month, day, hour, minute, second, east;
    int64_t fraction;

    if (!digits(&s, 4, &year) || !literal(&s, '-') || !digits(&s, 2, &month) || !literal(&s, '-') ||
        !digits(&s, 2, &day) || (!literal(&s, ' ') && !literal(&s, 'T')) || !digits(&s, 2, &hour) ||
        !literal(&s, ':') || !digits(&s, 2, &minute) || !literal(&s, ':') ||
        !digits(&s, 2, &second) || !fraction_ns(&s, &fraction) || !zone(&s, &east) || *s)
        return false;
    if (year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t minutes = days_since_1970(year, month, day) * 1440 + hour * 60 + minute - east;
    *ns = (minutes * 60 + second) * TR_NS_PER_S + fraction;
    return *ns >= 0;
}

/* value x 10^exponent, for the exponents of numbers that people and programs write. */
static double scaled(double value, int exponent)
{
    for (; exponent > 0; exponent--)
        value *= 10.0;
    for (; exponent < 0; exponent++)
        value /= 10.0;
    return value;
}

/* "e-05": false when there is no number after the e, or one beyond +-99. */
static bool exponent(const char **s, int *value)
{
    int sign, n = 0;

    *value = 0;
    if (!literal(s, 'e') && !literal(s, 'E'))
        return true;
    sign = **s == '-' ? -1 : 1;
    if (!literal(s, '-'))
        literal(s, '+');
    for (; is_digit(**s); (*s)++, n++)
        if (n < 3)
            *value = *value * 10 + (**s - '0');
    *value *= sign;
    return n > 0 && *value >= -99 && *value <= 99;
}

bool tr_trace_seconds(const char *text, double unit_s, int64_t *ns)
{
    const char *s = text;
    int64_t whole = 0;
    double fraction = 0.0, scale = 1.0, unit_ns = unit_s * 1e9;
    int n_digits = 0, power;

    for (; is_digit(*s); s++, n_digits++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *s - '0', &whole))
            return false;
    if (literal(&s, '.'))
        for (; is_digit(*s); s++, n_digits++)
            if (scale < 1e17) {
                scale *= 10.0;
                fraction = fraction * 10.0 + (*s - '0');
            }
    fraction /= scale;
    if (n_digits == 0 || !exponent(&s, &power) || *s)
        return false;
    int64_t whole_unit = unit_ns < 1e18 ? (int64_t)unit_ns : 0;
    if (power == 0 && whole_unit >= 1 && (double)whole_unit == unit_ns) {
        int64_t rest = (int64_t)(fraction * unit_ns + 0.5);
        return !__builtin_mul_overflow(whole, whole_unit, &whole) &&
               !__builtin_add_overflow(whole, rest, ns);
    }
    double value = scaled((double)whole + fraction, power) * unit_ns + 0.5;
    if (!(value < 9.2e18))
        return false;
    *ns = (int64_t)value;
    return true;
}

bool tr_trace_tokens(const char *text, int32_t *tok)
{
    const char *s = text;
    int32_t value = 0;

    if (!is_digit(*s))
        return false;
    for (; is_digit(*s); s++) {
        value = value * 10 + (*s - '0');
        if (value > TR_MAX_TOK)
            return false;
    }
    if (literal(&s, '.')) /* what a table program makes of a column of whole numbers */
        while (*s == '0')
            s++;
    *tok = value;
    return *s == '\0';
}
