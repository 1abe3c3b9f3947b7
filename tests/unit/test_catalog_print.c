/* `tranche catalog`: what it prints, on paper of 100 columns and as JSON. */
#include <tranche/catalog.h>

#include "catalog/catalog.h"
#include "report/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

/* What is printed, or fails the test; the caller frees. */
static char *printed(const char *what, const char *name, enum tr_format format)
{
    char *text = NULL;
    size_t len = 0;
    struct tr_err err = {0};
    FILE *out = open_memstream(&text, &len);
    int rc = tr_catalog_print(what, name, NULL, format, out, &err);
    fclose(out);
    if (rc != TR_OK)
        fail_msg("%s %s: %s", what, name, err.text);
    return text;
}

static void has(const char *what, const char *name, const char *part)
{
    char *text = printed(what, name, TR_FORMAT_TABLE);
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
    free(text);
}

static void answers_are_there(void **state)
{
    (void)state;
    has(NULL, NULL, "14 GPUs, 4 of them measured");
    has("gpus", NULL, "A100-PCIe-80GB");
    has("gpus", "a100-pcie-80gb", "TensorRT-LLM 0.15 A100-PCIe table");
    has("models", NULL, "8,030,261,248   14.96");
    has("models", "gemma-2-9b", "counted");
    has("precisions", "int4", "7.0 %");
    has("nodes", NULL,
        "aws/g6e.xlarge                      1  L40S             1.861    1.861   1.172   0.782");
    has("nodes", "azure/Standard_ND96isr_H200_v5", "unknown");
    has("servers", NULL, "bert-base-128   sequence of 128 tokens");
    has("servers", "resnet-50", "DeepLearningExamples");
    has("mig", "A100-PCIe-80GB", "12 layouts of plain profiles");
    has("mig", "A100-PCIe-80GB", "16 more with double-memory profiles");
    has("mig", "A100-PCIe-80GB", "{0,2,4}:2");
    has("mig", "A100-PCIe-80GB",
        "mig:3g.40gb*2                      6/7    8/8  84/108  1 compute");
    has("mig", "A100-PCIe-80GB", "mig:1g.10gb*7                      7/7    7/8  98/108  1 memory");
    has("mig", "A30", "4 layouts of plain profiles");
    has("mig", "B200-180GB", "SMs and GiB estimated");
}

static void check_width(const char *what, const char *name)
{
    char *text = printed(what, name, TR_FORMAT_TABLE), *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        if (tr_text_width(line) > TR_TABLE_WIDTH)
            fail_msg("%s %s: %d columns: %s", what, name, tr_text_width(line), line);
    free(text);
}

static void everything_fits_100_columns(void **state)
{
    (void)state;
    struct tr_catalog *cat = NULL;
    assert_int_equal(tr_catalog_load(NULL, &cat, NULL), TR_OK);
    static const char *const parts[] = {NULL, "gpus", "models", "precisions", "nodes", "servers"};
    for (size_t i = 0; i < TR_LEN(parts); i++)
        check_width(parts[i], NULL);
    for (size_t i = 0; i < cat->n_servers; i++)
        check_width("servers", cat->servers[i].name);
    for (size_t i = 0; i < cat->n_gpus; i++) {
        check_width("gpus", cat->gpus[i].name);
        if (cat->gpus[i].n_profiles > 0)
            check_width("mig", cat->gpus[i].name);
    }
    for (size_t i = 0; i < cat->n_models; i++)
        check_width("models", cat->models[i].name);
    for (size_t i = 0; i < cat->n_nodes; i++)
        check_width("nodes", cat->nodes[i].name);
    for (size_t i = 0; i < cat->n_precisions; i++)
        check_width("precisions", cat->precisions[i].name);
    tr_catalog_free(cat);
}

static void json_reads_back(void **state)
{
    (void)state;
    static const struct {
        const char *what, *name, *key;
        size_t n;
    } parts[] = {
        {NULL, NULL, "counts", 5},
        {"servers", NULL, "servers", 5},
        {"gpus", NULL, "gpus", 14},
        {"gpus", "l4", "gpus", 1},
        {"models", NULL, "models", 11},
        {"nodes", NULL, "nodes", 34},
        {"precisions", NULL, "precisions", 4},
    };
    for (size_t i = 0; i < TR_LEN(parts); i++) {
        struct tr_arena arena = {0};
        struct tr_node *root = NULL;
        char *text = printed(parts[i].what, parts[i].name, TR_FORMAT_JSON);
        assert_int_equal(tr_json_parse(&arena, "out", text, strlen(text), &root, NULL), TR_OK);
        assert_string_equal(tr_node_get(root, "schema_version")->text, "1");
        assert_int_equal(tr_node_get(root, parts[i].key)->n, parts[i].n);
        free(text);
        tr_arena_free(&arena);
    }
    struct tr_arena arena = {0};
    struct tr_node *root = NULL;
    char *text = printed("mig", "A100-PCIe-80GB", TR_FORMAT_JSON);
    assert_int_equal(tr_json_parse(&arena, "out", text, strlen(text), &root, NULL), TR_OK);
    const struct tr_node *mig = tr_node_get(root, "mig");
    assert_int_equal(tr_node_get(mig, "maximal_layouts")->n, 28);
    assert_int_equal(tr_node_get(mig, "profiles")->n, 7);
    free(text);
    tr_arena_free(&arena);
}

static void refused(const char *what, const char *name, enum tr_format format, const char *message)
{
    char *text = NULL;
    size_t len = 0;
    struct tr_err err = {0};
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(tr_catalog_print(what, name, NULL, format, out, &err), TR_EINPUT);
    fclose(out);
    assert_int_equal(len, 0);
    if (strstr(err.text, message) == NULL)
        fail_msg("%s", err.text);
    free(text);
}

static void mistakes_print_nothing_and_say_why(void **state)
{
    (void)state;
    refused("gpu", NULL, TR_FORMAT_TABLE, "no part 'gpu', did you mean 'gpus'?");
    refused("gpus", "a100-80gb", TR_FORMAT_TABLE, "A100-PCIe-80GB, A100-SXM4-80GB");
    refused("gpus", "a100-80gb", TR_FORMAT_JSON, "A100-PCIe-80GB, A100-SXM4-80GB");
    refused("mig", NULL, TR_FORMAT_TABLE, "mig needs the name of a GPU");
    refused("mig", "L4", TR_FORMAT_TABLE, "L4 has no MIG; MIG is known of A100-PCIe-80GB");
    refused("mig", "L4", TR_FORMAT_JSON, "L4 has no MIG");
    refused("models", "llama", TR_FORMAT_TABLE, "unknown model");
    refused("gpus", NULL, TR_FORMAT_CSV, "table or json only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_there),
        cmocka_unit_test(everything_fits_100_columns),
        cmocka_unit_test(json_reads_back),
        cmocka_unit_test(mistakes_print_nothing_and_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
