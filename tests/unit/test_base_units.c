/* Tests of base's units: what people write is read strictly, and refused with a message that helps.
 */
#include "base/base.h"

#include <setjmp.h>

#include <cmocka.h>

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"500ms", 500 * TR_NS_PER_MS},
        {"60s", 60 * TR_NS_PER_S},
        {"3m", 180 * TR_NS_PER_S},
        {"1h", 3600 * TR_NS_PER_S},
        {"1.5h", 5400 * TR_NS_PER_S},
        {"2us", 2000},
        {"1d", 86400 * TR_NS_PER_S},
        {"0.1s", 100 * TR_NS_PER_MS},
        {".5ms", 500000},
        {"1e3ns", 1000},
        {"1.5ns", 2},
        {"7ns", 7},
        {"36525d", INT64_C(3155760000) * TR_NS_PER_S},
    };
    for (size_t i = 0; i < TR_LEN(good); i++) {
        struct tr_err err = {0};
        int64_t ns = -1;
        assert_int_equal(tr_units_duration(good[i].text, &ns, &err), 0);
        assert_int_equal(ns, good[i].ns);
        assert_int_equal(err.code, TR_OK);
    }
}

static void bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        {"80GB", INT64_C(80000000000)},
        {"79.25GiB", INT64_C(85094039552)},
        {"512MiB", 536870912},
        {"1B", 1},
        {"16kB", 16000},
        {"4KiB", 4096},
        {"2TB", INT64_C(2000000000000)},
        {"0B", 0},
    };
    for (size_t i = 0; i < TR_LEN(good); i++) {
        int64_t got = -1;
        assert_int_equal(tr_units_bytes(good[i].text, &got, NULL), 0);
        assert_int_equal(got, good[i].bytes);
    }
}

static int read_fraction(const char *text, double *value, struct tr_err *err)
{
    return tr_units_fraction(text, 1.0, value, err);
}

static void rates_fractions_and_numbers_are_the_nearest_double(void **state)
{
    (void)state;
    static const struct {
        int (*read)(const char *text, double *value, struct tr_err *err);
        const char *text;
        double value;
    } good[] = {
        {tr_units_rate, "10/s", 10.0},
        {tr_units_rate, "600/min", 10.0},
        {tr_units_rate, "3.67/h", 3.67 / 3600},
        {tr_units_rate, "10", 10.0},
        {tr_units_rate, "0", 0.0},
        {read_fraction, "8%", 0.08},
        {read_fraction, "7%", 0.07},
        {read_fraction, "0.08", 0.08},
        {read_fraction, "100%", 1.0},
        {read_fraction, "0%", 0.0},
        {read_fraction, "1", 1.0},
        {tr_units_number, "1200", 1200.0},
        {tr_units_number, "1e3", 1000.0},
        {tr_units_number, "0.5", 0.5},
        {tr_units_number, "5.", 5.0},
        {tr_units_number, "1E-3", 0.001},
        {tr_units_number, "0e999", 0.0},
    };
    for (size_t i = 0; i < TR_LEN(good); i++) {
        double value = -1.0;
        assert_int_equal(good[i].read(good[i].text, &value, NULL), 0);
        assert_true(value == good[i].value);
    }
}

static void integers(void **state)
{
    (void)state;
    int64_t value = -1;
    assert_int_equal(tr_units_integer("4096", &value, NULL), 0);
    assert_int_equal(value, 4096);
    assert_int_equal(tr_units_integer("007", &value, NULL), 0);
    assert_int_equal(value, 7);
    assert_int_equal(tr_units_integer("9223372036854775807", &value, NULL), 0);
    assert_int_equal(value, INT64_MAX);
}

static int read_duration(const char *text, void *value, struct tr_err *err)
{
    return tr_units_duration(text, value, err);
}
static int read_bytes(const char *text, void *value, struct tr_err *err)
{
    return tr_units_bytes(text, value, err);
}
static int read_rate(const char *text, void *value, struct tr_err *err)
{
    return tr_units_rate(text, value, err);
}
static int read_share(const char *text, void *value, struct tr_err *err)
{
    return tr_units_fraction(text, 0.5, value, err);
}
static int read_number(const char *text, void *value, struct tr_err *err)
{
    return tr_units_number(text, value, err);
}
static int read_integer(const char *text, void *value, struct tr_err *err)
{
    return tr_units_integer(text, value, err);
}

/* Each reader, with the part of the message that tells what it allows. */
static const struct {
    int (*read)(const char *text, void *value, struct tr_err *err);
    const char *allowed;
    const char *zero;
} readers[] = {
    {read_duration, "a duration is a number and one of ns us ms s m h d", "0s"},
    {read_bytes, "one of B kB MB GB TB (decimal) KiB MiB GiB TiB (binary)", "0B"},
    {read_rate, "per second unless /s, /min or /h follows", "0"},
    {read_share, "a number such as 0.08, or a percentage such as 8%", "0"},
    {read_number, "a number of 0 or more such as 1200, 0.5 or 1e3", "0"},
    {read_integer, "digits only, such as 4096, up to 9223372036854775807", "0"},
};

/* What no reader takes: each must refuse, say what is allowed, and leave the value as it was. */
static void every_reader_refuses_nonsense_and_says_what_is_allowed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "Infinity",
        "-inf",
        "-5",
        "-5s",
        "-1%",
        "-0.1",
        "+5",
        "1e400",
        "1e400s",
        "1e400GB",
        "1e-400s",
        "5 lightyears",
        "5s ",
        " 5s",
        "5 s",
        "0x10",
        "0x1p3s",
        "1_000",
        "1,000",
        "1.2.3",
        "1.5.2s",
        "--5",
        "5ss",
        "5/ s",
        "10/sec",
        "10//s",
        "8%%",
        "5\n",
        "5s\n",
        "1e",
        "1e+",
        ".",
        ".e5",
        "e5",
        "\xff\xfe",
        "ten",
        "5GBB",
        "null",
        "~",
        "%",
        "/s",
        "GB",
        "s",
        "99999999999999999999999999999999e300s",
        "1e308GiB",
    };
    for (size_t r = 0; r < TR_LEN(readers); r++) {
        for (size_t i = 0; i < TR_LEN(bad); i++) {
            struct tr_err err = {0};
            unsigned char value[8], untouched[8];
            memset(value, 0xA5, sizeof(value));
            memset(untouched, 0xA5, sizeof(untouched));
            if (readers[r].read(bad[i], value, &err) != TR_EINPUT)
                fail_msg("reader %zu took \"%s\"", r, bad[i]);
            if (!strstr(err.text, readers[r].allowed))
                fail_msg("reader %zu on \"%s\": %s", r, bad[i], err.text);
            assert_memory_equal(value, untouched, sizeof(value));
            assert_null(strchr(err.text, '\n'));
        }
        union {
            int64_t i;
            double d;
        } zero = {.i = -1};
        assert_int_equal(readers[r].read(readers[r].zero, &zero, NULL), 0);
        assert_int_equal(zero.i, 0); /* the bits of 0.0 are those of 0 */
    }
}

static void messages_name_the_mistake(void **state)
{
    (void)state;
    static const struct {
        int (*read)(const char *text, void *value, struct tr_err *err);
        const char *text, *message;
    } cases[] = {
        {read_duration, "500", "\"500\" has no unit"},
        {read_duration, "5S", "\"5S\" ends in \"S\" (did you mean s?)"},
        {read_duration, "5 lightyears", "\" lightyears\", which is no unit here"},
        {read_duration, "36526d", "is more than 100 years"},
        {read_duration, "1e-9s", NULL}, /* 1 ns is fine */
        {read_duration, "0.4ns", "is too small"},
        {read_duration, "-3s", "\"-3s\" is negative"},
        {read_bytes, "80Gi", "(did you mean GiB?)"},
        {read_bytes, "80gb", "(did you mean GB?)"},
        {read_bytes, "80", "has no unit"},
        {read_bytes, "10000000TB", "is too large"},
        {read_rate, "1e400/s", "is too large"},
        {read_rate, "1e-400/s", "is too small"},
        {read_share, "51%", "\"51%\" is too large; allowed is at most 0.5 (50%)"},
        {read_integer, "9223372036854775808", "is too large"},
        {read_integer, "1e3", "is not made of digits only"},
        {read_integer, "-1", "is negative"},
    };
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        struct tr_err err = {0};
        double value;
        int rc = cases[i].read(cases[i].text, &value, &err);
        assert_int_equal(rc, cases[i].message ? TR_EINPUT : 0);
        if (cases[i].message && !strstr(err.text, cases[i].message))
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

static void a_huge_bad_value_is_quoted_in_part(void **state)
{
    (void)state;
    struct tr_err err = {0};
    struct tr_str s = {0};
    int64_t ns;
    for (int i = 0; i < 100000; i++)
        tr_str_add(&s, "\xc3\xa9", 2);
    assert_int_equal(tr_units_duration(s.text, &ns, &err), TR_EINPUT);
    assert_true(strlen(err.text) < 200);
    assert_non_null(strstr(err.text, "\xc3\xa9...\""));
    tr_str_free(&s);
}

static void times_are_shown_with_three_digits(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0 s"},
        {1, "1 ns"},
        {3100, "3.1 us"},
        {12300000, "12.3 ms"},
        {12345678, "12.3 ms"},
        {99960000, "100 ms"},
        {410 * TR_NS_PER_MS, "0.41 s"},
        {TR_NS_PER_S - 1, "1 s"},
        {TR_NS_PER_S + 234567890, "1.23 s"},
        {60 * TR_NS_PER_S, "60 s"},
        {1800 * TR_NS_PER_S, "30 min"},
        {86400 * TR_NS_PER_S, "24 h"},
        {30 * 86400 * TR_NS_PER_S, "30 d"},
        {-1500000, "-1.5 ms"},
        {INT64_MAX, "106752 d"},
        {INT64_MIN, "-106752 d"},
    };
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        char buf[24];
        assert_string_equal(tr_units_show_ns(buf, cases[i].ns), cases[i].text);
    }
}

static void counts_are_shown_in_groups(void **state)
{
    (void)state;
    char buf[32];
    assert_string_equal(tr_units_show_count(buf, 0), "0");
    assert_string_equal(tr_units_show_count(buf, 999), "999");
    assert_string_equal(tr_units_show_count(buf, 1000), "1,000");
    assert_string_equal(tr_units_show_count(buf, 914261), "914,261");
    assert_string_equal(tr_units_show_count(buf, -1234567), "-1,234,567");
    assert_string_equal(tr_units_show_count(buf, INT64_MIN), "-9,223,372,036,854,775,808");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(bytes),
        cmocka_unit_test(rates_fractions_and_numbers_are_the_nearest_double),
        cmocka_unit_test(integers),
        cmocka_unit_test(every_reader_refuses_nonsense_and_says_what_is_allowed),
        cmocka_unit_test(messages_name_the_mistake),
        cmocka_unit_test(a_huge_bad_value_is_quoted_in_part),
        cmocka_unit_test(times_are_shown_with_three_digits),
        cmocka_unit_test(counts_are_shown_in_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
