/* Model dimensions to parameters and bytes, config.json, and memory sizing. */
#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

static struct tr_catalog *cat;

static int setup(void **state)
{
    (void)state;
    return tr_catalog_load(NULL, &cat, NULL);
}

static int teardown(void **state)
{
    (void)state;
    tr_catalog_free(cat);
    return 0;
}

static const struct tr_model *model_of(const char *name)
{
    const struct tr_model *model = NULL;
    assert_int_equal(tr_catalog_model(cat, name, NULL, &model, NULL), TR_OK);
    return model;
}

static const struct tr_precision *precision_of(const char *name)
{
    const struct tr_precision *p = NULL;
    assert_int_equal(tr_catalog_precision(cat, name, NULL, &p, NULL), TR_OK);
    return p;
}

static bool near(double value, double expected, double tolerance)
{
    bool ok = value >= expected * (1 - tolerance) && value <= expected * (1 + tolerance);
    if (!ok)
        fprintf(stderr, "%.6g, expected %.6g within %g\n", value, expected, tolerance);
    return ok;
}

static void parameters_are_the_published_ones(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t params, layer, head, kv;
    } published[] = {
        {"llama-3.1-8b", 8030261248, 6979321856, 525336576, 131072},
        {"llama-3.1-70b", 70553706496, 68451041280, 1050673152, 327680},
        {"llama-3-8b", 8030261248, 6979321856, 525336576, 131072},
        {"llama-2-7b", 6738415616, 6476005376, 131072000, 524288},
        {"llama-3.2-1b", 1235814400, 973078528, 262668288, 32768},
        {"llama-3.2-3b", 3212749824, 2818572288, 394002432, 114688},
        {"qwen2.5-7b", 7615616512, 6525288448, 544997376, 57344},
        {"qwen3-8b", 8190735360, 6945767424, 622329856, 147456},
        {"qwen3-14b", 14768307200, 13212057600, 777912320, 163840},
        {"mistral-7b", 7248023552, 6979321856, 134217728, 131072},
        {"gemma-2-9b", 9241705984, 8323596288, 917504000, 344064},
    };
    assert_int_equal(cat->n_models, TR_LEN(published));
    for (size_t i = 0; i < TR_LEN(published); i++) {
        const struct tr_model *m = model_of(published[i].name);
        assert_int_equal(m->params, published[i].params);
        assert_int_equal(m->layer_params, published[i].layer);
        assert_int_equal(m->head_params, published[i].head);
        assert_int_equal(m->embed_params, m->tied ? 0 : published[i].head);
        assert_int_equal(m->layer_params + m->head_params + m->embed_params + m->other_params,
                         m->params);
        assert_int_equal(m->kv_bytes_per_tok, published[i].kv);
        assert_false(m->estimate_params);
    }
    assert_non_null(strstr(model_of("gemma-2-9b")->note, "full attention"));
}

/* As vLLM prints it when loading: bf16 14.96 to 14.99 GiB, fp8 8.46, AWQ 5.33 GiB (its 0.5195 bytes
 * per weight against 0.53 here). */
static void weights_of_llama_8b(void **state)
{
    (void)state;
    const struct tr_model *m = model_of("llama-3.1-8b");
    assert_true(near((double)tr_model_weight_bytes(m, precision_of("bf16")) / TR_GIB, 14.96, 5e-4));
    assert_true(near((double)tr_model_weight_bytes(m, precision_of("fp8")) / TR_GIB, 8.46, 1e-3));
    assert_true(near((double)tr_model_weight_bytes(m, precision_of("int8")) / TR_GIB, 8.46, 1e-3));
    assert_true(near((double)tr_model_weight_bytes(m, precision_of("int4")) / TR_GIB, 5.35, 0.015));
}

/* ---- config.json ---------------------------------------------------------------------------- */

static int read_config(const char *text, struct tr_arena *arena, struct tr_model *out,
                       struct tr_err *err)
{
    char name[] = "/tmp/tranche-config-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int rc = tr_model_from_config(arena, name, out, err);
    unlink(name);
    return rc;
}

static void config_json_gives_the_published_count(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t params;
    } configs[] = {
        {"{\"model_type\": \"llama\", \"hidden_size\": 4096, \"num_hidden_layers\": 32,"
         "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 14336,"
         "\"vocab_size\": 128256, \"max_position_embeddings\": 131072, \"rope_scaling\": null,"
         "\"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\"}",
         8030261248},
        {"{\"model_type\": \"qwen2\", \"hidden_size\": 3584, \"num_hidden_layers\": 28,"
         "\"num_attention_heads\": 28, \"num_key_value_heads\": 4, \"intermediate_size\": 18944,"
         "\"vocab_size\": 152064, \"max_position_embeddings\": 32768, \"sliding_window\": 131072,"
         "\"use_sliding_window\": false}",
         7615616512},
        {"{\"model_type\": \"qwen3\", \"hidden_size\": 4096, \"num_hidden_layers\": 36,"
         "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"head_dim\": 128,"
         "\"intermediate_size\": 12288, \"vocab_size\": 151936,"
         "\"max_position_embeddings\": 40960, \"attention_bias\": false}",
         8190735360},
        /* tied by its family's default, four norms, head_dim not hidden / heads */
        {"{\"model_type\": \"gemma2\", \"hidden_size\": 3584, \"num_hidden_layers\": 42,"
         "\"num_attention_heads\": 16, \"num_key_value_heads\": 8, \"head_dim\": 256,"
         "\"intermediate_size\": 14336, \"vocab_size\": 256000,"
         "\"max_position_embeddings\": 8192, \"sliding_window\": 4096}",
         9241705984},
        /* Gemma 7B: 8,537,680,896 */
        {"{\"model_type\": \"gemma\", \"hidden_size\": 3072, \"num_hidden_layers\": 28,"
         "\"num_attention_heads\": 16, \"num_key_value_heads\": 16, \"head_dim\": 256,"
         "\"intermediate_size\": 24576, \"vocab_size\": 256000,"
         "\"max_position_embeddings\": 8192}",
         8537680896},
        /* Phi-3 mini, no grouped heads */
        {"{\"model_type\": \"phi3\", \"hidden_size\": 3072, \"num_hidden_layers\": 32,"
         "\"num_attention_heads\": 32, \"num_key_value_heads\": 32, \"intermediate_size\": 8192,"
         "\"vocab_size\": 32064, \"max_position_embeddings\": 4096, \"sliding_window\": 2047}",
         3821079552},
        /* Mistral 7B v0.1 */
        {"{\"model_type\": \"mistral\", \"hidden_size\": 4096, \"num_hidden_layers\": 32,"
         "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 14336,"
         "\"vocab_size\": 32000, \"max_position_embeddings\": 32768, \"sliding_window\": 4096}",
         7241732096},
        /* Llama 2 7B, kv heads absent: as many as heads */
        {"{\"model_type\": \"llama\", \"hidden_size\": 4096, \"num_hidden_layers\": 32,"
         "\"num_attention_heads\": 32, \"intermediate_size\": 11008, \"vocab_size\": 32000,"
         "\"max_position_embeddings\": 4096}",
         6738415616},
    };
    for (size_t i = 0; i < TR_LEN(configs); i++) {
        struct tr_arena arena = {0};
        struct tr_err err = {0};
        struct tr_model m;
        if (read_config(configs[i].text, &arena, &m, &err) != TR_OK)
            fail_msg("config %zu: %s", i, err.text);
        assert_int_equal(m.params, configs[i].params);
        assert_true(m.estimate_params);
        bool window = i == 3 || i == 5 || i == 6;
        assert_int_equal(m.sliding_window > 0, window);
        assert_int_equal(m.note != NULL && strstr(m.note, "full attention") != NULL, window);
        tr_arena_free(&arena);
    }
}

static void nested_and_quantised_configs_say_so(void **state)
{
    (void)state;
    struct tr_arena arena = {0};
    struct tr_model m;
    struct tr_err err = {0};
    int rc = read_config("{\"model_type\": \"gemma3\", \"_name_or_path\": \"org/x\","
                         "\"quantization_config\": {\"quant_method\": \"awq\"},"
                         "\"text_config\": {\"model_type\": \"llama\", \"hidden_size\": 64,"
                         "\"num_hidden_layers\": 2, \"num_attention_heads\": 4,"
                         "\"intermediate_size\": 128, \"vocab_size\": 100,"
                         "\"max_position_embeddings\": 32}}",
                         &arena, &m, &err);
    assert_int_equal(rc, TR_OK);
    assert_string_equal(m.hf_id, "org/x");
    assert_non_null(strstr(m.note, "only the text model"));
    assert_non_null(strstr(m.note, "quantisation is not read"));
    tr_arena_free(&arena);
}

static void other_kinds_and_broken_configs_are_refused(void **state)
{
    (void)state;
#define DIMS                                                                                       \
    "\"hidden_size\": 4096, \"num_hidden_layers\": 32, \"num_attention_heads\": 32,"               \
    "\"num_key_value_heads\": 8, \"intermediate_size\": 14336, \"vocab_size\": 32000,"             \
    "\"max_position_embeddings\": 32768"
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"model_type\": \"mixtral\", \"num_local_experts\": 8, " DIMS "}",
         "model_type 'mixtral' is a mixture of experts, which is not supported"},
        {"{\"model_type\": \"qwen3_moe\", \"num_experts\": 128, " DIMS "}",
         "is a mixture of experts"},
        {"{\"model_type\": \"minicpm3\", \"kv_lora_rank\": 256, " DIMS "}",
         "multi-head latent attention"},
        {"{\"model_type\": \"mamba2\", \"state_size\": 128, \"hidden_size\": 4096}",
         "a state-space model"},
        {"{\"model_type\": \"bert\", " DIMS "}", "is an encoder"},
        {"{\"model_type\": \"t5\", \"is_encoder_decoder\": true}", "an encoder-decoder model"},
        {"{\"model_type\": \"gpt2\", " DIMS "}",
         "'gpt2' is not supported; supported are llama, mistral"},
        {"{\"hello\": 1}", "no 'model_type'"},
        {"[1, 2]", "no config.json: a map of keys is expected"},
        {"", "tranche-config"},
        {"{\"model_type\": \"llama\"", "tranche-config"},
        {"hidden_size: 4096", "tranche-config"},
        {"{\"model_type\": \"llama\"}", "'num_hidden_layers' is missing"},
        {"{\"model_type\": \"llama\", \"num_hidden_layers\": -3, \"hidden_size\": 1}",
         "num_hidden_layers is '-3'; allowed is a whole number from 1 to 1000"},
        {"{\"model_type\": \"llama\", \"num_hidden_layers\": 1e99}", "num_hidden_layers is '9.99"},
        {"{\"model_type\": \"llama\", \"num_hidden_layers\": [32]}", "must be a single value"},
        {"{\"model_type\": \"llama\", \"head_dim\": 4000000, " DIMS "}", "head_dim is '4000000'"},
        {"{\"model_type\": \"llama\", \"hidden_size\": 100, \"num_hidden_layers\": 2,"
         "\"num_attention_heads\": 7, \"intermediate_size\": 128, \"vocab_size\": 100,"
         "\"max_position_embeddings\": 32}",
         "hidden_size 100 is no multiple of num_attention_heads 7"},
        {"{\"model_type\": \"llama\", \"hidden_size\": 4096, \"num_hidden_layers\": 32,"
         "\"num_attention_heads\": 32, \"num_key_value_heads\": 5, \"intermediate_size\": 14336,"
         "\"vocab_size\": 32000, \"max_position_embeddings\": 32768}",
         "num_attention_heads 32 is no multiple of num_key_value_heads 5"},
    };
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        struct tr_arena arena = {0};
        struct tr_err err = {0};
        struct tr_model m;
        assert_int_equal(read_config(cases[i].text, &arena, &m, &err), TR_EINPUT);
        if (strstr(err.text, cases[i].message) == NULL)
            fail_msg("case %zu should be answered with '%s' but is with: %s", i, cases[i].message,
                     err.text);
        assert_non_null(strstr(err.text, "/tmp/tranche-config-"));
        tr_arena_free(&arena);
    }
    struct tr_arena arena = {0};
    struct tr_model m;
    assert_int_equal(tr_model_from_config(&arena, "/nonexistent/config.json", &m, NULL), TR_EINPUT);
    assert_int_equal(tr_model_from_config(&arena, "/tmp", &m, NULL), TR_EINPUT);
    tr_arena_free(&arena);
}

/* ---- memory --------------------------------------------------------------------------------- */

static struct tr_memory size_of(const char *gpu_name, const char *arrangement, const char *model,
                                const char *precision, struct tr_memory_opts opts)
{
    const struct tr_gpu *gpu = NULL;
    struct tr_arrangement a;
    struct tr_err err = {0};
    assert_int_equal(tr_catalog_gpu(cat, gpu_name, NULL, &gpu, NULL), TR_OK);
    if (tr_arrangement_parse(arrangement, gpu, cat, &a, NULL, &err) != TR_OK)
        fail_msg("%s", err.text);
    if (opts.max_num_batched_tokens == 0) {
        opts.max_num_batched_tokens = a.mig ? 2048 : gpu->max_num_batched_tokens;
        opts.max_num_seqs = a.mig ? 256 : gpu->max_num_seqs;
    }
    struct tr_share_hw hw = tr_share_hw_of(gpu, &a.parts[0]);
    struct tr_memory m;
    tr_memory_size(&hw, model_of(model), precision_of(precision), &opts, &m);
    return m;
}

static double in_gib(int64_t bytes)
{
    return (double)bytes / TR_GIB;
}

/* The arithmetic of a real pod's start-up: utilization x total - weights - 0.6 - 0.55. */
static void worked_cases_on_a100(void **state)
{
    (void)state;
    const char *gpu = "A100-PCIe-80GB", *llama = "llama-3.1-8b";
    struct tr_memory_opts none = {0};
    struct tr_memory m = size_of(gpu, "whole", llama, "bf16", none);
    assert_true(m.utilization == 0.92);
    assert_true(near(in_gib(m.kv_bytes), 56.8, 0.002));
    assert_true(near((double)m.kv_tok, 465e3, 0.002));

    struct tr_memory_opts quarter = {.gpu_memory_utilization = 0.225};
    m = size_of(gpu, "timeslice:4", llama, "bf16", quarter);
    assert_true(m.utilization == 0.225);
    assert_true(near(in_gib(m.kv_bytes), 1.72, 0.01));
    assert_true(near((double)m.kv_tok, 14.1e3, 0.01));

    m = size_of(gpu, "timeslice:4", llama, "bf16", none);
    assert_true(m.utilization == 0.243);
    assert_true(near(m.utilization_max, 0.2437, 2e-4));
    assert_true(near(in_gib(m.kv_bytes), 3.15, 0.01));
    assert_true(near((double)m.kv_tok, 25.8e3, 0.01));

    m = size_of(gpu, "timeslice:8", llama, "bf16", none);
    assert_true(m.kv_bytes < 0);
    assert_int_equal(m.kv_tok, 0);
    assert_int_equal(m.num_gpu_blocks, 0);

    m = size_of(gpu, "mig:1g.10gb*7", llama, "int4", none);
    assert_true(m.utilization == 0.92);
    /* 0.07 GiB below the case worked with AWQ's 0.5195 bytes per weight. */
    assert_true(near((double)m.kv_tok, 19.4e3, 0.035));
    m = size_of(gpu, "mig:2g.20gb*3", llama, "bf16", none);
    assert_true(near((double)m.kv_tok, 15.1e3, 0.02));
    m = size_of(gpu, "mig:3g.40gb*2", llama, "bf16", none);
    assert_true(near(in_gib(m.kv_bytes), 19.9, 0.01));
    assert_true(near((double)m.kv_tok, 163e3, 0.01));
}

/* What vLLM printed at start-up, releases before CUDA graphs came inside the budget. */
static void start_up_logs(void **state)
{
    (void)state;
    static const struct {
        const char *gpu, *model;
        double utilization;
        int tokens, seqs;
        double kv_gib;
        double tolerance;
    } logs[] = {
        {"H100-SXM5-80GB", "llama-3.1-8b", 0.9, 8192, 1024, 51.38, 0.01}, /* 0.11.0 */
        {"A100-SXM4-80GB", "qwen2.5-7b", 0.25, 2048, 256, 5.01, 0.015},   /* 0.10.1.1 */
        {"A100-SXM4-80GB", "qwen2.5-7b", 0.5, 2048, 256, 24.83, 0.005},   /* 0.10.1.1 */
        {"H100-SXM5-80GB", "qwen2.5-7b", 0.9, 2048, 256, 56.25, 0.01},    /* 0.11.0 */
    };
    for (size_t i = 0; i < TR_LEN(logs); i++) {
        struct tr_memory_opts opts = {.gpu_memory_utilization = logs[i].utilization,
                                      .max_num_batched_tokens = logs[i].tokens,
                                      .max_num_seqs = logs[i].seqs};
        struct tr_memory m = size_of(logs[i].gpu, "whole", logs[i].model, "bf16", opts);
        assert_true(near(in_gib(m.kv_bytes + m.graphs_bytes), logs[i].kv_gib, logs[i].tolerance));
    }
}

/* N pods start one after another iff N utilizations and N contexts fit. */
static void the_largest_utilization_starts_all_pods(void **state)
{
    (void)state;
    static const char *const texts[] = {"whole",       "timeslice:2",  "timeslice:3",
                                        "timeslice:8", "mig:1g.5gb*7", "mig:3g.20gb*2/timeslice:2"};
    for (size_t i = 0; i < TR_LEN(texts); i++) {
        struct tr_memory m =
            size_of("A100-SXM4-40GB", texts[i], "llama-3.2-1b", "bf16", (struct tr_memory_opts){0});
        const struct tr_gpu *gpu = NULL;
        struct tr_arrangement a;
        assert_int_equal(tr_catalog_gpu(cat, "A100-SXM4-40GB", NULL, &gpu, NULL), 0);
        assert_int_equal(tr_arrangement_parse(texts[i], gpu, cat, &a, NULL, NULL), 0);
        struct tr_share_hw hw = tr_share_hw_of(gpu, &a.parts[0]);
        int64_t total = hw.n_pods * (m.budget_bytes + m.context_bytes);
        assert_true(total <= hw.mem_bytes);
        assert_true(m.utilization <= 0.92);
        /* One thousandth more for every pod is too much, or above vLLM's default. */
        assert_true(m.utilization + 0.001 > m.utilization_max || m.utilization == 0.92);
    }
}

/* Each of N pods may allocate 1/N in whole MiB, its CUDA context included, and takes its
 * utilization of the whole card, which is what it sees. */
static void mps_divides_memory_hard(void **state)
{
    (void)state;
    for (int n = 2; n <= 5; n++) {
        char text[16];
        snprintf(text, sizeof text, "mps:%d", n);
        struct tr_memory m =
            size_of("A100-PCIe-80GB", text, "llama-3.2-1b", "bf16", (struct tr_memory_opts){0});
        int64_t limit = (int64_t)(79.25 * TR_GIB / n) >> 20 << 20;
        assert_true(m.budget_bytes + m.context_bytes <= limit);
        assert_true(
            near(m.utilization_max, (double)(limit - m.context_bytes) / (79.25 * TR_GIB), 1e-9));
        assert_true(m.utilization + 0.001 > m.utilization_max);
    }
}

/* The device plugin's cap: floor(100/N) per cent of the SMs in whole SMs, neighbours or not. Few
 * SMs cannot draw all of the bandwidth. */
static void mps_caps_the_sms(void **state)
{
    static const struct {
        const char *gpu;
        int n, sms;
        double bandwidth;
    } cases[] = {{"A100-PCIe-80GB", 2, 54, 0.5 / 0.6},  /* 50 % of 108 */
                 {"A100-PCIe-80GB", 3, 35, 0.5401},     /* 33 %: 35.64 */
                 {"A100-PCIe-80GB", 4, 27, 0.25 / 0.6}, /* 25 % */
                 {"H100-SXM5-80GB", 7, 18, 0.2273},     /* 14 % of 132: 18.48 */
                 {"L4", 16, 3, 0.0862}};                /* 6 % of 58: 3.48 */
    (void)state;
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        const struct tr_gpu *gpu = NULL;
        assert_int_equal(tr_catalog_gpu(cat, cases[i].gpu, NULL, &gpu, NULL), 0);
        struct tr_part part = {.sharing = TR_MPS, .n_pods = cases[i].n};
        struct tr_share_hw hw = tr_share_hw_of(gpu, &part);
        assert_int_equal(hw.sms, cases[i].sms);
        assert_true(near(hw.sm_fraction, (double)cases[i].sms / gpu->sms, 1e-9));
        assert_true(near(hw.bw_fraction, cases[i].bandwidth, 1e-3));
        assert_int_equal(hw.mem_bytes, gpu->mem_bytes);
        part.sharing = TR_TIMESLICE;
        hw = tr_share_hw_of(gpu, &part);
        assert_true(hw.sms == gpu->sms && hw.bw_fraction == 1);
    }
}

static void values_from_a_log_win(void **state)
{
    (void)state;
    struct tr_memory m = size_of("A100-PCIe-80GB", "whole", "llama-3.1-8b", "bf16",
                                 (struct tr_memory_opts){.kv_tok = 456390});
    assert_int_equal(m.kv_tok, 456384);
    assert_int_equal(m.num_gpu_blocks, 456384 / 16 - 1);
    assert_int_equal(m.kv_bytes, INT64_C(456384) * 131072);
    m = size_of("A100-PCIe-80GB", "whole", "llama-3.1-8b", "bf16",
                (struct tr_memory_opts){.num_gpu_blocks = 1000});
    assert_int_equal(m.kv_tok, 16000);
    assert_int_equal(m.num_gpu_blocks, 999);
    m = size_of("A100-PCIe-80GB", "whole", "llama-3.1-8b", "bf16",
                (struct tr_memory_opts){.num_gpu_blocks = INT64_MAX});
    assert_int_equal(m.num_gpu_blocks, INT32_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_the_published_ones),
        cmocka_unit_test(weights_of_llama_8b),
        cmocka_unit_test(config_json_gives_the_published_count),
        cmocka_unit_test(nested_and_quantised_configs_say_so),
        cmocka_unit_test(other_kinds_and_broken_configs_are_refused),
        cmocka_unit_test(worked_cases_on_a100),
        cmocka_unit_test(start_up_logs),
        cmocka_unit_test(the_largest_utilization_starts_all_pods),
        cmocka_unit_test(mps_divides_memory_hard),
        cmocka_unit_test(mps_caps_the_sms),
        cmocka_unit_test(values_from_a_log_win),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
