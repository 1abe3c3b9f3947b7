/* Tables and figures: what fits on a terminal of 100 columns and can be trusted as it is read. */
#include "report/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int widest_line(const char *text)
{
    int widest = 0;

    while (*text) {
        char line[1024];
        size_t len = strcspn(text, "\n");
        assert_true(len < sizeof(line));
        memcpy(line, text, len);
        line[len] = '\0';
        widest = TR_MAX(widest, tr_text_width(line));
        text += len + (text[len] == '\n');
    }
    return widest;
}

static void columns_line_up(void **state)
{
    struct tr_table t = {.indent = 2};
    struct tr_str out = {0};

    (void)state;
    tr_table_column(&t, TR_LEFT, NULL, "name");
    tr_table_column(&t, TR_RIGHT, NULL, "KV\ntokens");
    tr_table_column(&t, TR_LEFT, NULL, "never filled");
    tr_table_cell(&t, "whole");
    tr_table_cell(&t, "%d", 5);
    tr_table_cell(&t, "%s", "");
    tr_table_cell(&t, "größer"); /* six columns in eight bytes */
    tr_table_cell(&t, "465,312");
    tr_table_cell(&t, "%s", "");
    tr_table_end(&t, &out);
    assert_string_equal(out.text, "  name         KV\n"
                                  "           tokens\n"
                                  "  whole         5\n"
                                  "  größer  465,312\n");
    tr_str_free(&out);
}

static void groups_stand_over_their_columns(void **state)
{
    static const char group[] = "TTFT, ms";
    struct tr_table t = {0};
    struct tr_str out = {0};

    (void)state;
    tr_table_column(&t, TR_LEFT, NULL, "x");
    tr_table_column(&t, TR_RIGHT, group, "p50");
    tr_table_column(&t, TR_RIGHT, group, "p95");
    tr_table_column(&t, TR_LEFT, NULL, "y");
    for (int i = 0; i < 4; i++)
        tr_table_cell(&t, "%d", 1000 + i);
    tr_table_end(&t, &out);
    assert_string_equal(out.text, "       TTFT, ms\n"
                                  "x      p50   p95  y\n"
                                  "1000  1001  1002  1003\n");
    tr_str_free(&out);
}

/* Whatever is in the cells. */
static void no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    for (int n = 1; n < 12; n++) {
        struct tr_table t = {.indent = 2};
        struct tr_str out = {0}, prose = {0};
        for (int i = 0; i < 40 * n; i++)
            tr_str_printf(&prose, i % 7 == 6 ? " " : "ä");
        for (int c = 0; c < n; c++)
            tr_table_column(&t,
                            c % 3 == 0   ? TR_LEFT
                            : c % 3 == 1 ? TR_PROSE
                                         : TR_RIGHT,
                            NULL, "head");
        for (int c = 0; c < n; c++)
            if (c % 3 == 2)
                tr_table_cell(&t, "123,456");
            else
                tr_table_cell(&t, "%s", c % 3 == 1 ? prose.text : "mig:3g.40gb*2/timeslice:2");
        tr_table_end(&t, &out);
        assert_in_range(widest_line(out.text), 1, TR_TABLE_WIDTH);
        tr_str_free(&out);
        tr_str_free(&prose);
    }
}

/* Wrapping loses nothing but the spaces at the ends of lines. */
static void wrapped_text_is_whole(void **state)
{
    struct tr_str text = {0}, out = {0}, back = {0};

    (void)state;
    for (int i = 0; i < 60; i++)
        tr_str_printf(&text, "%sword%d", i ? " " : "", i * i * i);
    tr_text_wrap(&out, "  lead", 12, text.text);
    assert_in_range(widest_line(out.text), 60, TR_TABLE_WIDTH);
    assert_memory_equal(out.text, "  lead      word0 ", 18);
    for (const char *line = out.text; *line; line += strcspn(line, "\n") + 1)
        tr_str_printf(&back, "%s%.*s", back.len ? " " : "", (int)strcspn(line, "\n") - 12,
                      line + 12);
    assert_string_equal(back.text, text.text);
    tr_str_free(&text);
    tr_str_free(&out);
    tr_str_free(&back);
}

static void figures_have_three_digits(void **state)
{
    static const struct {
        double x;
        const char *text;
    } cases[] = {{0, "0"},         {0.012345, "0.0123"}, {0.09996, "0.100"},  {0.9996, "1.00"},
                 {3.2149, "3.21"}, {9.996, "10.0"},      {99.96, "100"},      {1234.5, "1,235"},
                 {-6.76, "-6.76"}, {914261, "914,261"},  {0.00001, "1.0e-05"}};
    char buf[TR_SHOW];

    (void)state;
    for (size_t i = 0; i < TR_LEN(cases); i++)
        assert_string_equal(tr_show_num(buf, cases[i].x), cases[i].text);
    assert_string_equal(tr_show_num(buf, (double)NAN), "-");
    assert_string_equal(tr_show_num(buf, (double)INFINITY), "-");
}

/* 95.00 must never stand for a share that misses 95 %. */
static void shares_are_rounded_down(void **state)
{
    char buf[TR_SHOW];

    (void)state;
    assert_string_equal(tr_show_percent(buf, 0.949999), "94.99");
    assert_string_equal(tr_show_percent(buf, 0.95), "95.00");
    assert_string_equal(tr_show_percent(buf, 0.9999999), "99.99");
    assert_string_equal(tr_show_percent(buf, 1.0), "100.00");
    assert_string_equal(tr_show_percent(buf, (double)NAN), "-");
    for (int k = 0; k <= 10000; k++) {
        char want[16];
        snprintf(want, sizeof(want), "%d.%02d", k / 100, k % 100);
        assert_string_equal(tr_show_percent(buf, k / 1e4), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(groups_stand_over_their_columns),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(wrapped_text_is_whole),
        cmocka_unit_test(figures_have_three_digits),
        cmocka_unit_test(shares_are_rounded_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
