/* csv: what spreadsheets, exporters and production logs write is read; what is broken is one line
 * that says where. */
#include "fmt/csv.h"

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static struct tr_csv *open_text(const char *text)
{
    struct tr_csv *csv;
    struct tr_err err = {0};

    if (tr_csv_open_text("f.csv", text, strlen(text), &csv, &err) != 0)
        fail_msg("%s", err.text);
    return csv;
}

/* The message of the first failure, on opening or on any row. */
static const char *problem(const char *text, size_t len)
{
    static struct tr_err err;
    struct tr_csv *csv;
    int rc;

    memset(&err, 0, sizeof(err));
    if (tr_csv_open_text("f.csv", text, len, &csv, &err) == 0) {
        while ((rc = tr_csv_next(csv, &err)) == 1)
            ;
        tr_csv_close(csv);
        if (rc == 0)
            return "(read without complaint)";
    }
    return err.text;
}

static void next_is(struct tr_csv *csv, int64_t line, const char *a, const char *b)
{
    struct tr_err err = {0};

    if (tr_csv_next(csv, &err) != 1)
        fail_msg("no row at line %d: %s", (int)line, err.text);
    assert_int_equal(tr_csv_line(csv), line);
    assert_string_equal(tr_csv_field(csv, 0), a);
    assert_string_equal(tr_csv_field(csv, 1), b);
}

static void reads_what_exporters_write(void **state)
{
    struct tr_csv *csv = open_text("\xEF\xBB\xBF"
                                   "time, \"tok,ens\" \r\n"
                                   "1,2\r\n"
                                   "\r\n"
                                   " 3 ,\"4 \"\r\n"
                                   "\"say \"\"so\"\"\", \n"
                                   "5,6");
    struct tr_err err = {0};

    (void)state;
    assert_int_equal(tr_csv_columns(csv), 2);
    assert_string_equal(tr_csv_header(csv, 0), "time");
    assert_string_equal(tr_csv_header(csv, 1), "tok,ens");
    assert_int_equal(tr_csv_find(csv, "tok,ens"), 1);
    assert_int_equal(tr_csv_find(csv, "Time"), -1);
    for (int pass = 0; pass < 2; pass++) {
        next_is(csv, 2, "1", "2");
        next_is(csv, 4, "3", "4 ");
        next_is(csv, 5, "say \"so\"", "");
        next_is(csv, 6, "5", "6");
        assert_int_equal(tr_csv_next(csv, &err), 0);
        assert_int_equal(tr_csv_next(csv, &err), 0);
        assert_int_equal(tr_csv_rewind(csv, &err), 0);
    }
    tr_csv_close(csv);
}

static void finds_the_separator(void **state)
{
    struct tr_csv *semicolon = open_text("a;\"b,c,d\"\n1,5;2\n");
    struct tr_csv *tab = open_text("a b\tc\n1 x\t\n");

    (void)state;
    next_is(semicolon, 2, "1,5", "2");
    next_is(tab, 2, "1 x", "");
    tr_csv_close(semicolon);
    tr_csv_close(tab);
}

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
#define PROBLEM(text, message) assert_string_equal(problem(text, sizeof(text) - 1), message)
    PROBLEM("", "f.csv: the file is empty; it must begin with a line of column names");
    PROBLEM("\r\n\n", "f.csv: the file is empty; it must begin with a line of column names");
    PROBLEM("a,b\n1,2\n3\n", "f.csv:3: 1 field; the header has 2");
    PROBLEM("a,b\n1,2,3\n", "f.csv:2: 3 fields; the header has 2");
    PROBLEM("a,b\n1,\"2\n3,4\n", "f.csv:2: a quoted field has no closing quote on its line");
    PROBLEM("a,b\n\"1\"x,2\n", "f.csv:2: text after the closing quote of field 1; a quote inside a "
                               "quoted field is written twice");
    PROBLEM("a,b,a\n", "f.csv:1: two columns are named \"a\"");
    PROBLEM("a,b\n1,\0002\n", "f.csv:2: a NUL byte; the file must be plain text (UTF-8)");
#undef PROBLEM
}

/* Every way to cut a file off is read or answered with one line. */
static void every_truncation_ends_well(void **state)
{
    static const char text[] = "a,\"b\"\"c\",d\r\n1,\"2\",3\r\n4,5,\"\"\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof(text); len++) {
        const char *message = problem(text, len);
        assert_true(message[0] != '\0');
        assert_null(strchr(message, '\n'));
    }
}

/* 2 GB without a line end: refused at the first MiB, without holding it. */
static void an_endless_line_is_refused(void **state)
{
    struct tr_err err = {0};
    struct tr_csv *csv;
    char path[] = "/tmp/tranche-csv-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a,b\n1,2\n3", 9), 9);
    assert_int_equal(ftruncate(fd, INT64_C(2) << 30), 0); /* a hole: takes no disk */
    close(fd);
    assert_int_equal(tr_csv_open(path, &csv, &err), 0);
    assert_int_equal(tr_csv_next(csv, &err), 1);
    assert_int_equal(tr_csv_next(csv, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, ":3: the line is longer than 1 MiB"));
    tr_csv_close(csv);
    unlink(path);
}

static void a_missing_file_and_a_folder_are_named(void **state)
{
    struct tr_err err = {0};
    struct tr_csv *csv;

    (void)state;
    assert_int_equal(tr_csv_open("/no/such/file.csv", &csv, &err), TR_EINPUT);
    assert_string_equal(err.text, "/no/such/file.csv: cannot open: No such file or directory");
    memset(&err, 0, sizeof(err));
    assert_int_equal(tr_csv_open("/", &csv, &err), TR_EINPUT);
    assert_string_equal(err.text, "/: is a folder, not a file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_exporters_write),
        cmocka_unit_test(finds_the_separator),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(every_truncation_ends_well),
        cmocka_unit_test(an_endless_line_is_refused),
        cmocka_unit_test(a_missing_file_and_a_folder_are_named),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
