/* fmt: what a person can write is read with its position; what they cannot is one clear line. */
#include "fmt/fmt.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static struct tr_arena arena;

static int clear(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    memset(&arena, 0, sizeof(arena));
    return 0;
}

static struct tr_node *yaml(const char *text)
{
    struct tr_node *root;
    struct tr_err err = {0};

    if (tr_yaml_parse(&arena, "f.yaml", text, strlen(text), &root, &err) != 0)
        fail_msg("%s", err.text);
    return root;
}

static const char *problem(bool json, const char *text, size_t len)
{
    static struct tr_err err;
    struct tr_node *root;

    memset(&err, 0, sizeof(err));
    if ((json ? tr_json_parse : tr_yaml_parse)(&arena, "f", text, len, &root, &err) == 0)
        return "(read without complaint)";
    assert_null(root);
    assert_int_equal(err.code, TR_EINPUT);
    return err.text;
}

static void yaml_tree_has_positions(void **state)
{
    struct tr_node *root = yaml("\xEF\xBB\xBF# a comment\n"
                                "name: x\n"
                                "list: [1, \"2\", ~]\r\n"
                                "map:\n"
                                "  größe: 500ms\n"
                                "  empty:\n"
                                "text: |\n"
                                "  two\n"
                                "  lines\n");
    struct tr_node *list = tr_node_get(root, "list"), *map = tr_node_get(root, "map");

    (void)state;
    assert_int_equal(root->kind, TR_NODE_MAP);
    assert_int_equal(root->n, 4);
    assert_string_equal(root->keys[2]->text, "map");
    assert_string_equal(tr_node_get(root, "name")->text, "x");
    assert_int_equal(tr_node_get(root, "name")->line, 2);
    assert_int_equal(tr_node_get(root, "name")->col, 7);
    assert_int_equal(list->kind, TR_NODE_LIST);
    assert_int_equal(list->n, 3);
    assert_false(list->items[0]->quoted);
    assert_true(list->items[1]->quoted);
    assert_true(list->items[2]->null);
    assert_int_equal(list->items[1]->col, 11);
    assert_string_equal(tr_node_get(map, "größe")->text, "500ms");
    assert_int_equal(tr_node_get(map, "größe")->col, 10);
    assert_true(tr_node_get(map, "empty")->null);
    assert_string_equal(tr_node_get(root, "text")->text, "two\nlines\n");
    assert_null(tr_node_get(root, "nam"));
    assert_null(tr_node_get(list, "name"));
}

static void yaml_refusals(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "f: the file is empty"},
        {"# only a comment\n", "f: the file is empty"},
        {"~\n", "f: the file is empty"},
        {"a: 1\nb: 2\na: 3\n", "f:3:1: key 'a' is given twice, first in line 1"},
        {"a: {b: 1, c: 2, b: 3}\n", "f:1:17: key 'b' is given twice, first in line 1"},
        {"a: 1\n---\nb: 2\n", "f:2:1: a second YAML document; a file holds one"},
        {"a: &x 1\nb: *x\n", "f:1:4: anchors and aliases (&x, *x) are not read"},
        {"b: *x\n", "f:1:4: anchors and aliases (&x, *x) are not read"},
        {"a: &x {b: 1}\n", "f:1:4: anchors and aliases (&x, *x) are not read"},
        {"a: !!str 1\n", "f:1:4: tags (!name) are not read"},
        {"a: !x [1]\n", "f:1:4: tags (!name) are not read"},
        {"ä:\n\tb: 1\n", "f:2:1: a tab here: YAML is indented with spaces only"},
        {"[a, b]: 1\n", "f:1:1: a key must be a plain word, not a list or a map"},
        {"a: \"x\\0y\"\n", "f:1:4: a text with a NUL character in it"},
        {"a: b\n  c: d\n", "f:2:4: not valid YAML: mapping values are not allowed in this context"},
        {"ä: 1\nb: \xff\n",
         "f:2:4: not readable text: invalid leading UTF-8 octet; the file must be UTF-8"},
        {"a: \x01\n",
         "f:1:4: not readable text: control characters are not allowed; the file must be UTF-8"},
        {"\xff\xfe"
         "a",
         "f:1:1: not readable text: invalid leading UTF-8 octet; the file must be UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < TR_LEN(cases); i++)
        assert_string_equal(problem(false, cases[i].text, strlen(cases[i].text)), cases[i].message);
}

static void limits(void **state)
{
    struct tr_str s = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        tr_str_add(&s, "[", 1);
    assert_string_equal(problem(false, s.text, s.len), "f:1:65: nested more than 64 levels deep");
    assert_string_equal(problem(true, s.text, s.len),
                        "f:1:2049: not valid JSON: maximum parsing depth reached near '['");
    s.len = 100;
    for (int i = 0; i < 100; i++)
        tr_str_add(&s, "]", 1);
    assert_string_equal(problem(true, s.text, s.len), "f: nested more than 64 levels deep");

    s.len = 0;
    tr_str_add(&s, "[", 1);
    for (int i = 0; i < 1000000; i++)
        tr_str_add(&s, "0,", 2);
    tr_str_add(&s, "0]", 2);
    assert_string_equal(problem(false, s.text, s.len),
                        "f:1:2000000: more than 1,000,000 values in one file");
    assert_string_equal(problem(true, s.text, s.len), "f: more than 1,000,000 values in one file");
    tr_str_free(&s);
    assert_string_equal(problem(false, "", (size_t)65 << 20), "f: larger than 64 MiB");
    assert_string_equal(problem(true, "", (size_t)65 << 20), "f: larger than 64 MiB");
}

static void many_keys_are_checked_quickly(void **state)
{
    struct tr_str s = {0};

    (void)state;
    for (int i = 0; i < 200000; i++)
        tr_str_printf(&s, "k%d: 1\n", i);
    tr_str_printf(&s, "k7: 1\n");
    assert_string_equal(problem(false, s.text, s.len),
                        "f:200001:1: key 'k7' is given twice, first in line 8");
    tr_str_free(&s);
}

static void json_tree(void **state)
{
    const char *text = "{\"n\": 4096, \"x\": 5e5, \"s\": \"a\\u00e9\", \"l\": [true, null, {}]}";
    struct tr_node *root, *list;
    struct tr_err err = {0};

    (void)state;
    assert_int_equal(tr_json_parse(&arena, "f", text, strlen(text), &root, &err), 0);
    assert_string_equal(tr_node_get(root, "n")->text, "4096");
    assert_string_equal(tr_node_get(root, "x")->text, "500000");
    assert_string_equal(tr_node_get(root, "s")->text, "a\xc3\xa9");
    assert_true(tr_node_get(root, "s")->quoted);
    list = tr_node_get(root, "l");
    assert_string_equal(list->items[0]->text, "true");
    assert_true(list->items[1]->null);
    assert_int_equal(list->items[2]->kind, TR_NODE_MAP);
    assert_int_equal(list->items[2]->n, 0);
}

static void json_refusals(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "f: the file is empty"},
        {"{\"a\": 1", "f:1:7: not valid JSON: '}' expected near end of file"},
        {"{\"a\": 1,\n \"a\": 2}", "f:2:4: not valid JSON: duplicate object key near '\"a\"'"},
        {"{a: 1}", "f:1:2: not valid JSON: string or '}' expected near 'a'"},
        {"[NaN]", "f:1:4: not valid JSON: invalid token near 'NaN'"},
        {"[1e999]", "f:1:6: not valid JSON: real number overflow near '1e999'"},
        {"{} {}", "f:1:4: not valid JSON: end of file expected near '{'"},
        {"[\"\\u0000\"]",
         "f:1:9: not valid JSON: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
    };

    (void)state;
    for (size_t i = 0; i < TR_LEN(cases); i++)
        assert_string_equal(problem(true, cases[i].text, strlen(cases[i].text)), cases[i].message);
}

static void messages_stay_one_line(void **state)
{
    struct tr_node at = {.file = "f", .line = 3, .col = 9}, nowhere = {.file = "f"};
    struct tr_err err = {0};

    (void)state;
    assert_int_equal(tr_node_err(&err, &at, "unknown '%s'", "a\nb\x1b[31m"), TR_EINPUT);
    assert_string_equal(err.text, "f:3:9: unknown 'a b [31m'");
    memset(&err, 0, sizeof(err));
    tr_node_err(&err, &nowhere, "%s", "x");
    assert_string_equal(err.text, "f: x");
    tr_node_err(&err, &at, "%s", "the first failure is kept");
    assert_string_equal(err.text, "f: x");
}

static void json_out(void **state)
{
    struct tr_str s = {0};
    struct tr_json j = {.out = &s};
    struct tr_node *root;
    struct tr_err err = {0};

    (void)state;
    tr_json_begin(&j, NULL, '{');
    tr_json_text(&j, "text", "a\"b\\c\nd\te\x01\xff\xc3\xa9");
    tr_json_text(&j, "none", NULL);
    tr_json_begin(&j, "list", '[');
    tr_json_int(&j, NULL, INT64_MIN);
    tr_json_num(&j, NULL, 0.1);
    tr_json_num(&j, NULL, 1.0 / 3.0);
    tr_json_num(&j, NULL, (double)NAN);
    tr_json_num(&j, NULL, (double)-INFINITY);
    tr_json_bool(&j, NULL, true);
    tr_json_begin(&j, NULL, '{');
    tr_json_end(&j);
    tr_json_end(&j);
    tr_json_begin(&j, "empty", '[');
    tr_json_end(&j);
    tr_json_null(&j, "null");
    tr_json_end(&j);
    assert_string_equal(s.text, "{\n"
                                "  \"text\": \"a\\\"b\\\\c\\nd\\te\\u0001\\ufffd\xc3\xa9\",\n"
                                "  \"none\": null,\n"
                                "  \"list\": [\n"
                                "    -9223372036854775808,\n"
                                "    0.1,\n"
                                "    0.3333333333333333,\n"
                                "    null,\n"
                                "    null,\n"
                                "    true,\n"
                                "    {}\n"
                                "  ],\n"
                                "  \"empty\": [],\n"
                                "  \"null\": null\n"
                                "}\n");
    assert_int_equal(tr_json_parse(&arena, "out", s.text, s.len, &root, &err), 0);
    assert_string_equal(tr_node_get(root, "list")->items[0]->text, "-9223372036854775808");
    tr_str_free(&s);
}

static void assert_same(const struct tr_node *a, const struct tr_node *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->null, b->null);
    assert_int_equal(a->n, b->n);
    if (a->kind == TR_NODE_SCALAR && !a->null)
        assert_string_equal(a->text, b->text);
    for (size_t i = 0; i < a->n && a->kind != TR_NODE_SCALAR; i++) {
        assert_same(a->items[i], b->items[i]);
        if (a->kind == TR_NODE_MAP)
            assert_string_equal(a->keys[i]->text, b->keys[i]->text);
    }
}

static void yaml_out_reads_back(void **state)
{
    static const char *const texts[] = {
        "a: 1\nb: {c: [1, 2, {d: ~}], e: [], f: {}}\n",
        "- plain words\n- 'it''s: \"quoted\" # not a comment'\n- \"\\ttab\\nline \\\\\"\n- \"\"\n",
        "- [x, 'null', null, '~', \"- y\", '5', -5]\n- \xC3\xA9t\xC3\xA9 \xC2\xB5s\n- ' lead'\n",
        "k: >-\n  folded\n  text: of lines\nlast: 0.5\n",
        "word",
    };
    (void)state;
    for (size_t i = 0; i < TR_LEN(texts); i++) {
        struct tr_str s = {0};
        struct tr_node *root = yaml(texts[i]);
        tr_yaml_write(&s, root);
        assert_same(root, yaml(s.text));
        tr_str_free(&s);
    }
}

static void json_numbers_read_back(void **state)
{
    static const double values[] = {
        0.0,   1e-300,   123456789.123456789, 5e-324, 1.7976931348623157e308, 1e15, 2.5,
        -0.07, 0.1 + 0.2};

    (void)state;
    for (size_t i = 0; i < TR_LEN(values); i++) {
        struct tr_str s = {0};
        struct tr_json j = {.out = &s};

        tr_json_num(&j, NULL, values[i]);
        assert_true(strtod(s.text, NULL) == values[i]);
        tr_str_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(yaml_tree_has_positions, clear),
        cmocka_unit_test_teardown(yaml_refusals, clear),
        cmocka_unit_test_teardown(limits, clear),
        cmocka_unit_test_teardown(many_keys_are_checked_quickly, clear),
        cmocka_unit_test_teardown(json_tree, clear),
        cmocka_unit_test_teardown(json_refusals, clear),
        cmocka_unit_test_teardown(messages_stay_one_line, clear),
        cmocka_unit_test_teardown(json_out, clear),
        cmocka_unit_test_teardown(json_numbers_read_back, clear),
        cmocka_unit_test_teardown(yaml_out_reads_back, clear),
    };

    return cmocka_run_group_tests_name("fmt", tests, NULL, NULL);
}
