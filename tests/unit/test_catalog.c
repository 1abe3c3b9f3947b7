/* The catalog's data files: loading, sources, look-ups, and a user's folder in their place. */
#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static struct tr_catalog *cat;

static int setup(void **state)
{
    (void)state;
    struct tr_err err = {0};
    if (tr_catalog_load(NULL, &cat, &err) != TR_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_catalog_free(cat);
    return 0;
}

static const struct tr_gpu *gpu_of(const char *name)
{
    const struct tr_gpu *gpu = NULL;
    struct tr_err err = {0};
    if (tr_catalog_gpu(cat, name, NULL, &gpu, &err) != TR_OK)
        fail_msg("%s: %s", name, err.text);
    return gpu;
}

static void the_gpus_people_rent_are_there(void **state)
{
    (void)state;
    static const char *const names[] = {"A100-PCIe-80GB", "A100-SXM4-80GB",
                                        "A100-SXM4-40GB", "A30",
                                        "H100-SXM5-80GB", "H100-PCIe-80GB",
                                        "H100-NVL-94GB",  "H200-SXM-141GB",
                                        "B200-180GB",     "L4",
                                        "L40S",           "A10",
                                        "A10G",           "RTX-PRO-6000"};
    assert_int_equal(cat->n_gpus, TR_LEN(names));
    for (size_t i = 0; i < TR_LEN(names); i++)
        assert_string_equal(gpu_of(names[i])->name, names[i]);
    /* The card of the examples, number by number: units are converted as the header says. */
    const struct tr_gpu *g = gpu_of("a100-pcie-80gb");
    assert_true(g->peak_flops == 312e12 && g->bandwidth == 1935e9 && g->sms == 108);
    assert_true(g->ec == 0.61 && g->ec_alone == 0.77 && g->eb == 0.80 && g->ead == 0.78);
    assert_true(g->eap == 0.50 && g->s0 == 565 && g->tg_s == 6e-6 && g->tl_s == 12e-6);
    assert_true(g->ta_s == 2.5e-9 && g->tq_s == 14e-6 && g->host_async_s == 0);
    assert_true(g->quantum_s == 1024e-6 && fabs(g->switch_s - 0.11 * 1024e-6) < 1e-12);
    assert_int_equal(g->mem_bytes, (int64_t)(79.25 * TR_GIB));
    assert_int_equal(g->max_num_batched_tokens, 2048);
    assert_int_equal(g->max_num_seqs, 256);
    assert_int_equal(g->standing, TR_MEASURED);
    assert_true(g->error == 0.10 && !g->fp8_tensor);
    g = gpu_of("H100-SXM5-80GB");
    assert_true(g->host_async_s == 600e-6 && g->seq_async_s == 10e-6 && g->quantum_s == 1500e-6);
    assert_true(g->fp8_tensor && g->max_num_batched_tokens == 8192 && g->max_num_seqs == 1024);
    assert_int_equal(gpu_of("B200-180GB")->max_num_batched_tokens, 16384);
}

/* What must hold of any entry, whoever adds it. */
static void entries_are_consistent(void **state)
{
    (void)state;
    for (size_t i = 0; i < cat->n_gpus; i++) {
        const struct tr_gpu *g = &cat->gpus[i];
        assert_true(g->ec_alone >= g->ec);
        assert_true(g->error == (g->standing == TR_MEASURED    ? 0.10
                                 : g->standing == TR_OPERATORS ? 0.15
                                                               : 0.25));
        /* vLLM's rule for the defaults of a whole card. */
        bool a100 = strstr(g->name, "A100") != NULL;
        double gib = (double)g->mem_bytes / TR_GIB;
        int tokens = gib >= 160 ? 16384 : gib >= 70 && !a100 ? 8192 : 2048;
        assert_int_equal(g->max_num_batched_tokens, tokens);
        assert_int_equal(g->max_num_seqs, tokens > 2048 ? 1024 : 256);
        for (int k = 0; k < g->n_profiles; k++) {
            const struct tr_mig_profile *p = &g->profiles[k];
            assert_true(p->sms <= g->sms && p->source != NULL);
            /* Memory in proportion to slots, within what drivers hold back. */
            double share =
                (double)p->mem_bytes * g->mem_slots / p->mem_slots / (double)g->mem_bytes;
            assert_true(share > 0.90 && share < 1.02);
            assert_true(p->mem_slots == g->mem_slots || p->sms * 2 <= g->sms + p->sms);
        }
    }
    for (size_t i = 0; i < cat->n_nodes; i++) {
        const struct tr_node_type *n = &cat->nodes[i];
        assert_true(isnan(n->usd_per_h) ||
                    (n->usd_per_h / n->gpus > 0.5 && n->usd_per_h / n->gpus < 20));
        assert_true(isnan(n->usd_per_h) == (n->region == NULL));
        assert_non_null(n->source);
        /* Whatever is bought in another way costs less, and three years less than one. */
        assert_false(n->reserved_usd_per_h >= n->usd_per_h ||
                     n->reserved_3y_usd_per_h >= n->reserved_usd_per_h ||
                     n->spot_usd_per_h >= n->usd_per_h);
        assert_false(n->mig_at_creation_only && n->gpu->n_profiles == 0);
    }
    assert_string_equal(cat->prices_date, "2026-11-22");
}

static void every_number_has_a_source_line(void **state)
{
    (void)state;
    static const char *const keys[] = {"peak_tflops ", "memory ",     "ec ",    "ec_alone ",
                                       "s0_tokens ",   "quantum_us ", "tq_us ", "max_num_seqs "};
    for (size_t i = 0; i < cat->n_gpus; i++)
        for (size_t k = 0; k < TR_LEN(keys); k++)
            assert_non_null(strstr(cat->gpus[i].sources, keys[k]));
    assert_non_null(strstr(gpu_of("A100-PCIe-80GB")->sources, "ec 0.61: TensorRT-LLM"));
    for (size_t i = 0; i < cat->n_models; i++)
        assert_true(strlen(cat->models[i].source) > 10);
    for (size_t i = 0; i < cat->n_precisions; i++) {
        assert_non_null(strstr(cat->precisions[i].source, "weight_bytes "));
        for (int k = 0; k < cat->precisions[i].n_quality; k++)
            assert_true(strlen(cat->precisions[i].quality[k].source) > 3);
    }
}

static void precisions_by_gpu(void **state)
{
    (void)state;
    const struct tr_precision *fp8 = NULL, *int4 = NULL;
    assert_int_equal(tr_catalog_precision(cat, "FP8", NULL, &fp8, NULL), TR_OK);
    assert_int_equal(tr_catalog_precision(cat, "int4", NULL, &int4, NULL), TR_OK);
    const struct tr_gpu *a100 = gpu_of("A100-PCIe-80GB"), *h100 = gpu_of("H100-SXM5-80GB");
    assert_true(tr_precision_cm(fp8, h100) == 1.6 && tr_precision_tq_s(fp8, h100) == 0);
    assert_true(tr_precision_cm(fp8, a100) == 0.85 && tr_precision_tq_s(fp8, a100) == 14e-6);
    assert_true(tr_precision_cm(int4, h100) == 0.85 && tr_precision_tq_s(int4, h100) == 10e-6);
    assert_true(tr_precision_cm(&cat->precisions[0], a100) == 1);
    assert_true(tr_precision_tq_s(&cat->precisions[0], a100) == 0);
    assert_true(fabs(tr_precision_quality(int4, "arena-hard")->loss - 0.07) < 1e-12);
    assert_true(fabs(tr_precision_quality(int4, "OpenLLM-v1")->loss - 0.011) < 1e-12);
    assert_true(fabs(tr_precision_quality(int4, "openllm-v2")->loss - 0.039) < 1e-12);
    assert_true(tr_precision_quality(fp8, "arena-hard")->loss == 0);
    assert_null(tr_precision_quality(int4, "mmlu"));
}

static void gpu_names_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
    } found[] = {
        {"a100-pcie-80gb", "A100-PCIe-80GB"},
        {"a100-40gb", "A100-SXM4-40GB"},
        {"H200", "H200-SXM-141GB"},
        {"h100-sxm", "H100-SXM5-80GB"},
        {"h100-nvl", "H100-NVL-94GB"},
        {"a30-24gb", "A30"},
        {"A10", "A10"},
        {"a10g", "A10G"},
        {"b200", "B200-180GB"},
        {"a100-80gb-pcie", "A100-PCIe-80GB"},
    };
    for (size_t i = 0; i < TR_LEN(found); i++)
        assert_string_equal(gpu_of(found[i].text)->name, found[i].name);
    static const struct {
        const char *text, *message;
    } refused[] = {
        {"a100-80gb", "GPU 'a100-80gb' is ambiguous: it may be A100-PCIe-80GB, A100-SXM4-80GB"},
        {"a100", "A100-PCIe-80GB, A100-SXM4-80GB, A100-SXM4-40GB"},
        {"H100-80GB", "it may be H100-SXM5-80GB, H100-PCIe-80GB"},
        {"A100-PCI-80GB", "unknown GPU 'A100-PCI-80GB'; did you mean 'A100-PCIe-80GB'?"},
        {"L40", "did you mean 'L4"},
        {"MI300X", "unknown GPU 'MI300X'; known are A100-PCIe-80GB, "},
        {"", "unknown GPU ''"},
        {"-", "unknown GPU '-'"},
        {"80gb-a100", "unknown GPU"},
    };
    for (size_t i = 0; i < TR_LEN(refused); i++) {
        const struct tr_gpu *gpu = NULL;
        struct tr_err err = {0};
        assert_int_equal(tr_catalog_gpu(cat, refused[i].text, NULL, &gpu, &err), TR_EINPUT);
        assert_null(gpu);
        if (strstr(err.text, refused[i].message) == NULL)
            fail_msg("'%s': %s", refused[i].text, err.text);
    }
}

static void other_names(void **state)
{
    (void)state;
    struct tr_err err = {0};
    const struct tr_model *model = NULL;
    assert_int_equal(tr_catalog_model(cat, "Qwen/Qwen3-8B", NULL, &model, NULL), TR_OK);
    assert_string_equal(model->name, "qwen3-8b");
    struct tr_node at = {.file = "my.yaml", .line = 7, .col = 12};
    assert_int_equal(tr_catalog_model(cat, "lama-3.1-8b", &at, &model, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "my.yaml:7:12: "));
    assert_non_null(strstr(err.text, "did you mean 'llama-3.1-8b'?"));
    const struct tr_node_type *node = NULL;
    assert_int_equal(tr_catalog_node(cat, "AZURE/standard_nc24ads_a100_v4", NULL, &node, NULL), 0);
    assert_true(node->usd_per_h == 3.673 && node->gpus == 1 && node->mig_at_creation_only);
    assert_string_equal(node->gpu->name, "A100-PCIe-80GB");
    assert_int_equal(tr_catalog_node(cat, "azure/Standard_ND96isr_H200_v5", NULL, &node, NULL), 0);
    assert_true(isnan(node->usd_per_h));
    err = (struct tr_err){0};
    assert_int_equal(tr_catalog_node(cat, "Standard_NC24ads_A100_v4", NULL, &node, &err),
                     TR_EINPUT);
    assert_non_null(strstr(err.text, "did you mean 'azure/Standard_NC24ads_A100_v4'?"));
}

/* The line through two published batches gives them back, and every number has a source. */
static void servers(void **state)
{
    (void)state;
    /* TensorRT's table for BERT Base, FP16, A100: batches of 1, 8, 32 and 64 in ms. */
    static const struct {
        int n;
        double ms;
    } published[] = {{1, 0.67}, {8, 1.38}, {32, 4.10}, {64, 8.05}};
    const struct tr_server *s = NULL;
    struct tr_err err = {0};
    assert_int_equal(tr_catalog_server(cat, "BERT-base-128", NULL, &s, NULL), TR_OK);
    for (size_t i = 0; i < TR_LEN(published); i++) {
        double ms = (double)(s->batch_ns + published[i].n * s->item_ns) * 1e-6;
        double off = fabs(ms / published[i].ms - 1);
        assert_true(off < (published[i].n == 1 || published[i].n == 64 ? 0.001 : 0.12));
    }
    assert_string_equal(s->gpu->name, "A100-SXM4-40GB");
    assert_true(cat->n_servers >= 3);
    for (size_t i = 0; i < cat->n_servers; i++) {
        s = &cat->servers[i];
        assert_true(s->item_ns > 0 && s->batch_ns > 0 && s->max_batch > 1 && s->mem_bytes > 0);
        assert_non_null(strstr(s->source, "batch "));
        assert_non_null(strstr(s->source, "memory "));
    }
    assert_int_equal(tr_catalog_server(cat, "bert-bse-128", NULL, &s, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "did you mean 'bert-base-128'?"));
}

/* ---- a folder of one's own ------------------------------------------------------------------- */

/* Loads with a folder that holds one file of this text. */
static int load_with(const char *name, const char *text, struct tr_catalog **out,
                     struct tr_err *err)
{
    char dir[] = "/tmp/tranche-catalog-XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    *err = (struct tr_err){0};
    int rc = tr_catalog_load(dir, out, err);
    unlink(path);
    rmdir(dir);
    return rc;
}

static void a_file_of_ones_own_replaces_that_file_only(void **state)
{
    (void)state;
    struct tr_catalog *own = NULL;
    struct tr_err err = {0};
    int rc = load_with("nodes.yaml",
                       "prices_date: 2027-01-01\n"
                       "sources: {me: our contract}\n"
                       "nodes:\n"
                       "  - {name: own/box, gpu: l40s, gpus: 2, usd_per_h: 0.9,\n"
                       "     spot_interrupted: 10%, source: me}\n",
                       &own, &err);
    if (rc != TR_OK)
        fail_msg("%s", err.text);
    assert_int_equal(own->n_nodes, 1);
    assert_string_equal(own->nodes[0].gpu->name, "L40S");
    assert_string_equal(own->nodes[0].source, "our contract");
    assert_true(own->nodes[0].usd_per_h == 0.9 && isnan(own->nodes[0].spot_usd_per_h));
    /* 10 % of spot nodes are lost in a month: 0.000144 an hour, by hand. */
    assert_true(fabs(own->nodes[0].spot_interrupts_per_h - 1.4433e-4) < 1e-8);
    assert_int_equal(own->n_gpus, cat->n_gpus);
    tr_catalog_free(own);
}

static void broken_files_are_answered(void **state)
{
    (void)state;
#define MODEL_HEAD "models:\n  - name: x\n    hf_id: a/x\n    source: s\n"
#define MODEL_DIMS                                                                                 \
    "    num_hidden_layers: 2\n    hidden_size: 64\n    num_attention_heads: 4\n"                  \
    "    intermediate_size: 128\n    vocab_size: 100\n    max_position_embeddings: 32\n"
#define NODE_HEAD "prices_date: d\nsources: {me: s}\nnodes:\n"
#define SERVER_HEAD                                                                                \
    "servers:\n  - {name: x, unit: page, gpu: L4, memory: 1GiB, max_batch: 8, "                    \
    "sources: {batch item max_batch memory: me}, "
    static const struct {
        const char *file, *text, *message;
    } cases[] = {
        {"servers.yaml", SERVER_HEAD "batch: 1ms}\n", "'item' is missing"},
        {"servers.yaml", SERVER_HEAD "batch: 1, item: 1ms}\n", "batch: \"1\" has no unit"},
        {"servers.yaml", SERVER_HEAD "batch: 0s, item: 0s}\n", "a batch must take some time"},
        {"servers.yaml",
         "servers:\n  - {name: x, unit: page, gpu: L4, memory: 90GiB, max_batch: 8, batch: 1ms,\n"
         "     item: 1ms, sources: {batch item max_batch memory: me}}\n",
         "a memory of 90.00 GiB is more than L4 has (21.96)"},
        {"servers.yaml",
         "servers:\n  - {name: x, unit: page, gpu: L4, memory: 1GiB, max_batch: 8, batch: 1ms,\n"
         "     item: 1ms, sources: {batch item max_batch: me}}\n",
         "memory"},
        {"nodes.yaml", "", "nodes.yaml"},
        {"nodes.yaml", "nodes: 3\n", "'nodes' must be a list"},
        {"nodes.yaml", "hello\n", "'nodes' is missing"},
        {"nodes.yaml", NODE_HEAD "  - {gpu: L4}\n", "node type 1 of the list: needs a 'name'"},
        {"nodes.yaml", NODE_HEAD "  - {name: a, gpu: L4, gpus: 0, source: me}\n",
         "nodes.yaml:4:30: node type a: gpus is '0'; allowed is a whole number from 1 to 64"},
        {"nodes.yaml", NODE_HEAD "  - {name: a, gpu: L41S, gpus: 1, source: me}\n",
         "unknown GPU 'L41S'; did you mean 'L40S'?"},
        {"nodes.yaml", NODE_HEAD "  - {name: a, gpu: L4, gpus: 1, source: you}\n",
         "source must be a key of the file's 'sources'"},
        {"nodes.yaml", NODE_HEAD "  - {name: a, gpu: L4, gpus: 1, source: me, prise: 3}\n",
         "unknown key 'prise'"},
        {"nodes.yaml", NODE_HEAD "  - {name: a, gpu: L4, gpus: 1, usd_per_h: nan, source: me}\n",
         "usd_per_h is 'nan'"},
        {"nodes.yaml",
         NODE_HEAD "  - {name: a, gpu: L4, gpus: 1, spot_interrupted: 100%, source: me}\n",
         "spot_interrupted must be below 100%"},
        {"nodes.yaml",
         NODE_HEAD "  - {name: a, gpu: L4, gpus: 1, source: me}\n"
                   "  - {name: A, gpu: L4, gpus: 1, source: me}\n",
         "there is another one of this name"},
        {"models.yaml", MODEL_HEAD MODEL_DIMS "    published_params: 7\n",
         "its dimensions give 95040 parameters, published are 7"},
        {"models.yaml", MODEL_HEAD "    hidden_size: 64\n", "'num_hidden_layers' is missing"},
        {"models.yaml", MODEL_HEAD MODEL_DIMS "    tie_word_embeddings: yes\n",
         "allowed are true and false"},
        {"precisions.yaml",
         "precisions:\n  - {name: bf16, weight_bytes: 2, cm: 1, cm_native: 1, needs_tq: false,\n"
         "     fp8_native: false, sources: {weight_bytes cm: x}}\n",
         "'cm_native' has no source; add a line for it"},
        {"precisions.yaml",
         "precisions:\n  - {name: bf16, weight_bytes: 2, cm: 1, cm_native: 1, needs_tq: false,\n"
         "     fp8_native: false, sources: {weight_byte: x}}\n",
         "unknown key 'weight_byte'; did you mean 'weight_bytes'?"},
        {"precisions.yaml",
         "precisions:\n  - {name: fp8, weight_bytes: 2, cm: 1, cm_native: 1, needs_tq: false,\n"
         "     fp8_native: false, sources: {weight_bytes cm cm_native needs_tq fp8_native: x}}\n",
         "the first precision must be bf16"},
        {"gpus.yaml", "gpus:\n  - {name: x}\n", "GPU x: 'arch' is missing"},
        {"gpus.yaml", "gpus: [x]\n", "needs a 'name'"},
    };
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        struct tr_catalog *own = NULL;
        struct tr_err err = {0};
        assert_int_equal(load_with(cases[i].file, cases[i].text, &own, &err), TR_EINPUT);
        assert_null(own);
        if (strstr(err.text, cases[i].message) == NULL)
            fail_msg("case %zu should be answered with '%s' but is with: %s", i, cases[i].message,
                     err.text);
    }
    struct tr_catalog *own = NULL;
    struct tr_err err = {0};
    assert_int_equal(tr_catalog_load("/nonexistent", &own, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "/nonexistent"));
    err = (struct tr_err){0};
    assert_int_equal(tr_catalog_load("/dev/null", &own, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "no folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gpus_people_rent_are_there),
        cmocka_unit_test(servers),
        cmocka_unit_test(entries_are_consistent),
        cmocka_unit_test(every_number_has_a_source_line),
        cmocka_unit_test(precisions_by_gpu),
        cmocka_unit_test(gpu_names_as_people_write_them),
        cmocka_unit_test(other_names),
        cmocka_unit_test(a_file_of_ones_own_replaces_that_file_only),
        cmocka_unit_test(broken_files_are_answered),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
