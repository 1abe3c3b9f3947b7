/* tranche traffic inspect: what a person reads and a program parses is the same, and right. */
#include <tranche/traffic.h>

#include "fmt/fmt.h"

#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static struct tr_arena arena;
static struct tr_traffic_inspect_opts opts;
static char *text;
static size_t text_len;

static int clear(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    memset(&opts, 0, sizeof(opts));
    free(text);
    text = NULL;
    return 0;
}

/* What is printed about `path` stands in `text` afterwards; the message, or NULL. */
static const char *inspect(const char *path, enum tr_format format)
{
    static struct tr_err err;

    memset(&err, 0, sizeof(err));
    free(text);
    FILE *out = open_memstream(&text, &text_len);
    int rc = tr_traffic_inspect(path, &opts, format, out, &err);
    fclose(out);
    assert_int_equal(rc, err.code);
    if (rc)
        assert_int_equal(text_len, 0);
    return rc ? err.text : NULL;
}

static const char *azure(void)
{
    const char *root = getenv("TRANCHE_ROOT");
    return tr_arena_printf(&arena, "%s/examples/data/AzureLLMInferenceTrace_conv.csv",
                           root ? root : ".");
}

static void table_fits_the_terminal(void **state)
{
    (void)state;
    assert_null(inspect(azure(), TR_FORMAT_TABLE));
    assert_non_null(strstr(text, "rows read              19,366 = 19,366 kept + 0 without prompt"));
    assert_non_null(strstr(text, "19,366 in 58.4 min"));
    assert_non_null(strstr(text, "5.53/s on average"));
    assert_non_null(strstr(text, "22,361,870"));
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        assert_in_range(len, 0, 100);
        line += len + (line[len] == '\n');
    }
}

static const char *at(const struct tr_node *node, const char *key, const char *below)
{
    node = tr_node_get(node, key);
    if (node && below)
        node = tr_node_get(node, below);
    assert_non_null(node);
    return node->null ? "null" : node->text;
}

/* Figures counted by a script over the published file. */
static void json_has_the_figures(void **state)
{
    struct tr_node *root;
    struct tr_err err = {0};

    (void)state;
    assert_null(inspect(azure(), TR_FORMAT_JSON));
    assert_int_equal(tr_json_parse(&arena, "out", text, text_len, &root, &err), 0);
    assert_string_equal(at(root, "schema", NULL), "tranche.traffic/1");
    assert_string_equal(at(root, "trace_format", NULL), "azure");
    assert_string_equal(at(root, "rows", "read"), "19366");
    assert_string_equal(at(root, "traffic", "requests"), "19366");
    assert_true(strtod(at(root, "traffic", "span_s"), NULL) == 3501.721937);
    assert_string_equal(at(root, "prompt_tok", "p50"), "1020");
    assert_string_equal(at(root, "prompt_tok", "p99"), "4142");
    assert_string_equal(at(root, "output_tok", "sum"), "4088665");
    assert_string_equal(at(root, "traffic", "peak_over_mean_1h"), "null");
    assert_true(strncmp(at(root, "traffic", "peak_over_mean_1min"), "1.52134", 7) == 0);
    assert_true(strncmp(at(root, "traffic", "dispersion_10s"), "3.86804", 7) == 0);
}

/* Mooncake's block ids say what prompts share; counted id by id by a script. */
static void what_prompts_share_is_said(void **state)
{
    static char path[4096];
    const char *root = getenv("TRANCHE_ROOT");
    struct tr_node *json;
    struct tr_err err = {0};

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/data/mooncake_conversation.jsonl", root ? root : ".");
    assert_null(inspect(path, TR_FORMAT_TABLE));
    assert_non_null(strstr(text, "(format mooncake)"));
    assert_non_null(strstr(text, "prefix reuse           at most 6.4 % of the prompt tokens\n"));
    assert_null(strstr(text, "sessions"));
    assert_null(inspect(path, TR_FORMAT_JSON));
    assert_int_equal(tr_json_parse(&arena, "out", text, text_len, &json, &err), 0);
    assert_true(strtod(at(json, "traffic", "prefix_reuse_at_most"), NULL) == 215552.0 / 3366760.0);
    assert_string_equal(at(json, "traffic", "sessions"), "0");
    assert_string_equal(at(json, "traffic", "mean_turns"), "null");
}

static void a_profile_needs_no_file(void **state)
{
    (void)state;
    opts.seed = 7;
    assert_null(inspect("aks-chatbot", TR_FORMAT_TABLE));
    assert_non_null(strstr(text, "aks-chatbot, one day, seed 7"));
    assert_non_null(strstr(text, "in 24 h"));
    assert_null(strstr(text, "rows read"));
}

static void columns_and_units_are_passed_on(void **state)
{
    (void)state;
    opts.col_time = "TIMESTAMP";
    opts.col_prompt = "ContextTokens";
    opts.col_output = "GeneratedTokens";
    assert_null(inspect(azure(), TR_FORMAT_TABLE));
    assert_non_null(strstr(text, "(format csv)"));
    assert_non_null(strstr(text, "22,361,870"));
    opts.time_unit = "ms";
    assert_non_null(strstr(inspect(azure(), TR_FORMAT_TABLE), ":2:TIMESTAMP: \"2023-11-16"));
    opts.time_unit = "hours";
    assert_string_equal(inspect(azure(), TR_FORMAT_TABLE),
                        "unknown time unit \"hours\"; allowed: s, ms, us, ns, min");
}

static void what_cannot_be_is_one_line(void **state)
{
    (void)state;
    assert_string_equal(inspect(azure(), TR_FORMAT_CSV),
                        "no csv output here; allowed: table, json");
    assert_string_equal(inspect(azure(), TR_FORMAT_YAML),
                        "no yaml output here; allowed: table, json");
    assert_string_equal(inspect("aks-chatbott", TR_FORMAT_TABLE),
                        "aks-chatbott: cannot open: No such file or directory; did you mean the "
                        "profile aks-chatbot?");
    opts.time_unit = "s";
    assert_non_null(strstr(inspect("aks-chatbot", TR_FORMAT_TABLE), "is a built-in profile"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clear)
    const struct CMUnitTest tests[] = {
        TEST(table_fits_the_terminal),    TEST(json_has_the_figures),
        TEST(what_prompts_share_is_said), TEST(columns_and_units_are_passed_on),
        TEST(a_profile_needs_no_file),    TEST(what_cannot_be_is_one_line),
    };
    return cmocka_run_group_tests_name("traffic_print", tests, NULL, NULL);
}
