/* traces: files as they are found become the requests they stand for, and what cannot be read is
 * named with file, line and column. */
#include "fmt/csv.h"
#include "traffic/parts.h"

#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define AZURE "TIMESTAMP,ContextTokens,GeneratedTokens\n"
#define VIDUR "arrived_at,num_prefill_tokens,num_decode_tokens\n"

static struct tr_traffic_spec spec;
static struct tr_trace trace;
static struct tr_trace_info info;

static int fresh(void **state)
{
    (void)state;
    tr_traffic_spec_init(&spec);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    tr_trace_free(&trace);
    return 0;
}

/* Reads `text` by `spec` into `trace` and `info`; the message, or NULL. */
static const char *problem(const char *text)
{
    static struct tr_err err;
    struct tr_csv *csv;

    memset(&err, 0, sizeof(err));
    tr_trace_free(&trace);
    int rc = tr_csv_open_text("f.csv", text, strlen(text), &csv, &err);
    if (rc == 0) {
        rc = tr_trace_read(csv, &spec, &trace, &info, &err);
        tr_csv_close(csv);
    }
    assert_int_equal(rc, err.code);
    return rc ? err.text : NULL;
}

static void must_read(const char *text)
{
    const char *message = problem(text);

    if (message)
        fail_msg("%s", message);
}

static void row_is(size_t i, int64_t time_ns, int32_t prompt_tok, int32_t output_tok)
{
    assert_true(i < trace.n);
    assert_int_equal(trace.rows[i].time_ns, time_ns);
    assert_int_equal(trace.rows[i].prompt_tok, prompt_tok);
    assert_int_equal(trace.rows[i].output_tok, output_tok);
}

static void azure_2023_and_2024_stamps(void **state)
{
    (void)state;
    must_read("TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
              "2023-11-16 18:15:46.6805900,374,44\r\n"
              "2023-11-16 18:15:50.9951690,396,109");
    assert_string_equal(info.format, "azure");
    row_is(0, 0, 374, 44);
    row_is(1, 4314579000, 396, 109);

    must_read("TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n"
              "2024-02-28 23:59:59.500000+00:00,0,1,2\n"
              "2024-02-29 00:00:00+00:00,1,3,4\n"
              "2024-03-01T01:00:00.25+01:00,0,5,6\n"
              "2024-03-01T00:00:01Z,0,7,8\n");
    row_is(1, 500000000, 3, 4);
    row_is(2, 86400 * TR_NS_PER_S + 750000000, 5, 6);
    row_is(3, 86401 * TR_NS_PER_S + 500000000, 7, 8);
}

static void stamps_count_from_1970(void **state)
{
    int64_t ns;

    (void)state;
    assert_true(tr_trace_stamp("1970-01-01 00:00:00", &ns));
    assert_int_equal(ns, 0);
    assert_true(tr_trace_stamp("2000-02-29 12:00:00", &ns)); /* date -u -d ... +%s */
    assert_int_equal(ns, 951825600 * TR_NS_PER_S);
    assert_true(tr_trace_stamp("2100-03-01 00:00:00", &ns));
    assert_int_equal(ns, 4107542400 * TR_NS_PER_S);
    const char *const wrong[] = {"",
                                 "2023-02-29 00:00:00",
                                 "2100-02-29 00:00:00",
                                 "2023-13-01 00:00:00",
                                 "2023-00-01 00:00:00",
                                 "2023-04-31 00:00:00",
                                 "2023-01-01 24:00:00",
                                 "2023-01-01 00:60:00",
                                 "2023-01-01 00:00:60",
                                 "2023-01-01 00:00:00.",
                                 "2023-01-01 00:00:00 x",
                                 "2023-01-01 00:00:00+99:00",
                                 "2023-01-01",
                                 "1969-12-31 23:59:59",
                                 "1970-01-01 00:00:00+01:00",
                                 "nan"};
    for (size_t i = 0; i < TR_LEN(wrong); i++)
        if (tr_trace_stamp(wrong[i], &ns))
            fail_msg("%s was read", wrong[i]);
}

static void numbers_are_read_exactly(void **state)
{
    static const struct {
        const char *text;
        double unit_s;
        int64_t ns;
    } right[] = {
        {"0", 1.0, 0},
        {"4.314579", 1.0, 4314579000},
        {"1700000000.123456789", 1.0, 1700000000123456789},
        {"27482", 1e-3, 27482000000},
        {"0.5", 1e-9, 1},
        {"1700000000123456", 1e-6, 1700000000123456000},
        {"1.5", 60.0, 90 * TR_NS_PER_S},
        {"1e-05", 1.0, 10000},
        {"2.5E+1", 1.0, 25 * TR_NS_PER_S},
        {".25", 1.0, 250000000},
        {"0.000000000499999999999999999999", 1.0, 0},
    };
    const char *const wrong[] = {"",   ".",     "-1",          "nan",         "inf",
                                 "1e", "1e400", "0x10",        "1 2",         "1,5",
                                 "+1", "1e99",  "99999999999", "9223372036.9"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < TR_LEN(right); i++) {
        assert_true(tr_trace_seconds(right[i].text, right[i].unit_s, &ns));
        assert_int_equal(ns, right[i].ns);
    }
    for (size_t i = 0; i < TR_LEN(wrong); i++)
        if (tr_trace_seconds(wrong[i], 1.0, &ns))
            fail_msg("%s was read as %" PRId64, wrong[i], ns);
}

static void rows_are_dropped_and_sorted_in_the_open(void **state)
{
    (void)state;
    must_read(VIDUR "10,1,1\n"
                    "12,0,5\n"
                    "11,2,0\n"
                    "11,0,0\n"
                    "9,3,3\n"
                    "10,4,4\n"
                    "9,5,5\n"
                    "30,6,6\n");
    assert_string_equal(info.format, "vidur");
    assert_int_equal(info.rows_read, 8);
    assert_int_equal(info.rows_kept, 5);
    assert_int_equal(info.dropped_no_prompt, 2);
    assert_int_equal(info.dropped_no_output, 1);
    assert_int_equal(info.unsorted, 2);
    assert_int_equal(info.equal_stamps, 2);
    row_is(0, 0, 3, 3);
    row_is(1, 0, 5, 5);
    row_is(2, TR_NS_PER_S, 1, 1);
    row_is(3, TR_NS_PER_S, 4, 4);
    row_is(4, 21 * TR_NS_PER_S, 6, 6);
    assert_null(trace.tenants);
    assert_null(trace.sessions);
}

static void columns_of_any_name(void **state)
{
    static const char text[] = "id;when (ms);in;out;team;chat\n"
                               "1;2000;10;1;red;a\n"
                               "2;1000;20;2;blue;\n"
                               "3;3000;30.0;3;red;b\n"
                               "4;3000;40;4;green;a\n";

    (void)state;
    spec.col_time = "when (ms)";
    spec.col_prompt = "in";
    spec.col_output = "out";
    spec.col_tenant = "team";
    spec.col_session = "chat";
    spec.time_unit_s = 1e-3;
    must_read(text);
    assert_string_equal(info.format, "csv");
    assert_int_equal(info.unsorted, 1);
    row_is(0, 0, 20, 2);
    row_is(1, TR_NS_PER_S, 10, 1);
    row_is(2, 2 * TR_NS_PER_S, 30, 3);
    assert_int_equal(trace.n_tenants, 3);
    const int32_t tenants[] = {1, 0, 0, 2}, sessions[] = {-1, 0, 1, 0};
    assert_memory_equal(trace.tenants, tenants, sizeof(tenants));
    assert_memory_equal(trace.sessions, sessions, sizeof(sessions));

    spec.max_requests = 2; /* of the rows as they stand in the file */
    must_read(text);
    assert_int_equal(trace.n, 2);
    row_is(1, TR_NS_PER_S, 10, 1);
}

/* Dates need no unit; a column called tenant is found without being named. */
static void a_plain_csv_may_have_dates_and_tenants(void **state)
{
    (void)state;
    must_read("tenant,arrived_at,num_prefill_tokens,num_decode_tokens\n"
              "a,2024-05-14T09:00:00Z,1,2\n"
              "b,2024-05-14T09:00:01Z,3,4\n");
    assert_string_equal(info.format, "csv");
    row_is(1, TR_NS_PER_S, 3, 4);
    assert_int_equal(trace.n_tenants, 2);
}

static void is_said(const char *text, const char *message)
{
    const char *said = problem(text);

    if (!said || strcmp(said, message) != 0)
        fail_msg("\n said    %s\n not     %s", said ? said : "(nothing)", message);
}

static void what_is_wrong_is_one_line(void **state)
{
    (void)state;
    is_said(AZURE "2023-11-16 18:15:46,1,1\n2023-11-16 25:00:00,1,1\n",
            "f.csv:3:TIMESTAMP: \"2023-11-16 25:00:00\" is not a time such as 2023-11-16 "
            "18:15:46.6805900");
    is_said(VIDUR "nan,1,1\n", "f.csv:2:arrived_at: \"nan\" is not a time: a number, not negative, "
                               "of at most 292 years");
    is_said(VIDUR "-1,1,1\n", "f.csv:2:arrived_at: \"-1\" is not a time: a number, not negative, "
                              "of at most 292 years");
    const char *const tokens[] = {"nan", "-3", "1e9", "10000001", "99999999999999999999",
                                  "1.5", "",   "x",   "0x10"};
    for (size_t i = 0; i < TR_LEN(tokens); i++) {
        char text[200], message[200];
        snprintf(text, sizeof(text), VIDUR "0,1,1\n1,%s,1\n", tokens[i]);
        snprintf(message, sizeof(message),
                 "f.csv:3:num_prefill_tokens: \"%s\" is not a whole number of tokens from 0 to "
                 "10,000,000",
                 tokens[i]);
        is_said(text, message);
    }
    is_said(VIDUR "0,1\n", "f.csv:2: 2 fields; the header has 3");
    is_said(VIDUR, "f.csv: no requests (0 rows, 0 without prompt and 0 without output tokens)");
    is_said(VIDUR "0,0,1\n1,1,0\n",
            "f.csv: no requests (2 rows, 1 without prompt and 1 without output tokens)");
    is_said(VIDUR "0,1,1\n9000000000,1,1\n", "f.csv: spans 285 years; is the time unit right?");
    is_said("a,b\n1,2\n",
            "f.csv:1: unknown columns a, b; azure has TIMESTAMP, ContextTokens, "
            "GeneratedTokens; vidur has arrived_at, num_prefill_tokens, "
            "num_decode_tokens; mooncake is lines of JSON; for any other file name its columns");
}

static void what_is_asked_for_must_be_there(void **state)
{
    (void)state;
    spec.format = "azur";
    is_said(VIDUR "0,1,1\n", "f.csv: unknown trace format \"azur\"; allowed: azure, vidur, csv, "
                             "mooncake; did you mean azure?");
    spec.format = "azure";
    is_said(VIDUR "0,1,1\n", "f.csv:1: no column \"TIMESTAMP\"; the file has arrived_at, "
                             "num_prefill_tokens, num_decode_tokens");
    spec.time_unit_s = 1.0;
    is_said(AZURE "2023-11-16 18:15:46,1,1\n",
            "f.csv: format azure has dates for times, to which no time unit applies");
    spec.time_unit_s = 0.0;
    spec.col_time = "TIMESTAMP";
    is_said(AZURE "2023-11-16 18:15:46,1,1\n",
            "f.csv: the columns of format azure have fixed names; use format csv to name your own");
    spec.format = NULL;
    spec.col_time = "arived_at";
    is_said(VIDUR "0,1,1\n", "f.csv:1: no column \"arived_at\"; the file has arrived_at, "
                             "num_prefill_tokens, num_decode_tokens; did you mean arrived_at?");
    spec.col_time = NULL;
    spec.col_tenant = "team";
    is_said(VIDUR "0,1,1\n", "f.csv:1: no column \"team\"; the file has arrived_at, "
                             "num_prefill_tokens, num_decode_tokens");
}

static void read_file(const char *path, struct tr_trace *out)
{
    char full[4096];
    const char *root = getenv("TRANCHE_ROOT");
    struct tr_err err = {0};
    struct tr_csv *csv;

    snprintf(full, sizeof(full), "%s/%s", root ? root : ".", path);
    if (tr_csv_open(full, &csv, &err) != 0 || tr_trace_read(csv, &spec, out, &info, &err) != 0)
        fail_msg("%s", err.text);
    tr_csv_close(csv);
}

/* The hour of production chat that two projects published in their own formats. */
static void one_hour_in_two_formats_is_one_workload(void **state)
{
    struct tr_trace vidur;

    (void)state;
    read_file("examples/data/AzureLLMInferenceTrace_conv.csv", &trace);
    assert_string_equal(info.format, "azure");
    assert_int_equal(info.rows_read, 19366);
    assert_int_equal(info.rows_kept, 19366);
    read_file("tests/data/vidur_splitwise_conv.csv", &vidur);
    assert_string_equal(info.format, "vidur");
    assert_int_equal(vidur.n, trace.n);
    int64_t prompt_tok = 0, output_tok = 0;
    for (size_t i = 0; i < trace.n; i++) {
        const struct tr_trace_row *a = &trace.rows[i], *b = &vidur.rows[i];
        assert_in_range(a->time_ns - b->time_ns + 1000, 0, 2000); /* vidur's floats: 1 us */
        assert_int_equal(a->prompt_tok, b->prompt_tok);
        assert_int_equal(a->output_tok, b->output_tok);
        prompt_tok += a->prompt_tok;
        output_tok += a->output_tok;
    }
    assert_int_equal(prompt_tok, 22361870); /* summed by awk over the published file */
    assert_int_equal(output_tok, 4088665);
    assert_int_equal(trace.rows[trace.n - 1].time_ns, 3501721937000);
    tr_trace_free(&vidur);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, clear)
    const struct CMUnitTest tests[] = {
        TEST(azure_2023_and_2024_stamps),
        TEST(stamps_count_from_1970),
        TEST(numbers_are_read_exactly),
        TEST(rows_are_dropped_and_sorted_in_the_open),
        TEST(columns_of_any_name),
        TEST(a_plain_csv_may_have_dates_and_tenants),
        TEST(what_is_wrong_is_one_line),
        TEST(what_is_asked_for_must_be_there),
        TEST(one_hour_in_two_formats_is_one_workload),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
