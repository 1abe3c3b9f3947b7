/* calibrate: planted constants come back, the halves are fair, mistakes are told, and what is
 * written is what --catalog reads. */
#include "calibrate/calibrate.h"

#include "fmt/fmt.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static struct tr_arena arena;
static struct tr_calibration *c;

static int clear(void **state)
{
    (void)state;
    tr_calibrate_free(c);
    c = NULL;
    tr_arena_free(&arena);
    return 0;
}

static const char *data(const char *file)
{
    const char *root = getenv("TRANCHE_ROOT");
    return tr_arena_printf(&arena, "%s/tests/data/gpu-steps/%s", root ? root : ".", file);
}

/* An empty calibration with the compiled-in catalog. */
static void start(void)
{
    tr_calibrate_free(c);
    c = tr_calloc(1, sizeof *c);
    c->files = "here";
    assert_int_equal(tr_catalog_load(NULL, &c->cat, NULL), TR_OK);
}

static int read_text(const char *text, const char *gpu, struct tr_err *err)
{
    struct tr_calibrate_opts opts = {.gpu = gpu};
    *err = (struct tr_err){0};
    return text[0] == '{' ? tr_calibrate_read_json(c, "f", text, strlen(text), &opts, err)
                          : tr_calibrate_read_csv(c, "f", text, strlen(text), err);
}

/* What is wrong with these measurements, or "". */
static const char *complaint(const char *text)
{
    static struct tr_err err;
    start();
    if (read_text(text, NULL, &err) == TR_OK)
        tr_calibrate_select(c, NULL, &err);
    return err.text;
}

static double fitted(const char *key)
{
    for (int i = 0; i < c->n_constants; i++)
        if (strcmp(c->constants[i].key, key) == 0)
            return c->constants[i].after;
    return NAN;
}

static const struct tr_fit_phase *phase(const char *name)
{
    for (int i = 0; i < c->n_phases; i++)
        if (strcmp(c->phases[i].name, name) == 0)
            return &c->phases[i];
    fail_msg("no phase %s", name);
    return NULL;
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value / expected - 1) <= tolerance))
        fail_msg("%.6g, expected %.6g within %g", value, expected, tolerance);
}

static int run(const char *const *paths, size_t n, const char *gpu)
{
    struct tr_calibrate_opts opts = {.gpu = gpu};
    struct tr_err err = {0};
    tr_calibrate_free(c);
    c = NULL;
    int rc = tr_calibrate_run(paths, n, &opts, &c, &err);
    assert_string_equal(err.text, "");
    return rc;
}

/* ---- planted constants ----------------------------------------------------------------------- */

/* GEMMs, attention and steps of many sizes, with times of no meaning. */
static void read_shapes(void)
{
    struct tr_str gemms = {0}, attention = {0}, steps = {0};
    struct tr_err err;
    tr_str_printf(&gemms, "gpu,gemm_dtype,m,n,k,us\n");
    tr_str_printf(&attention, "gpu,batch,new_tokens,context,q_heads,kv_heads,us\n");
    tr_str_printf(&steps, "{\"gpu\": \"L4\", \"model\": \"llama-3.1-8b\", \"precision\": \"bf16\","
                          " \"steps\": [");
    for (int m = 1; m <= 4096; m *= 2)
        for (int n = 1024; n <= 16384; n *= 2) {
            tr_str_printf(&gemms, "L4,bfloat16,%d,%d,4096,1\n", m, n);
            tr_str_printf(&gemms, "L4,int4_wo,%d,%d,4096,1\n", m, n);
        }
    for (int q = 128; q <= 16384; q *= 2)
        for (int batch = 1; batch <= 64; batch *= 4) {
            tr_str_printf(&attention, "L4,%d,%d,0,32,8,1000\n", batch, q);
            tr_str_printf(&attention, "L4,%d,1,%d,32,8,1000\n", batch, q);
        }
    for (int n = 1; n <= 256; n *= 2)
        for (int ctx = 128; ctx <= 4096; ctx *= 2)
            tr_str_printf(&steps, "%s{\"decodes\": %d, \"context\": %d, \"seconds\": 1}",
                          n + ctx > 129 ? ", " : "", n, n * ctx);
    tr_str_printf(&steps, "]}");
    assert_int_equal(read_text(gemms.text, NULL, &err), TR_OK);
    assert_int_equal(read_text(attention.text, NULL, &err), TR_OK);
    assert_int_equal(read_text(steps.text, NULL, &err), TR_OK);
    assert_int_equal(tr_calibrate_select(c, NULL, &err), TR_OK);
    tr_str_free(&gemms);
    tr_str_free(&attention);
    tr_str_free(&steps);
}

static void planted_constants_come_back(void **state)
{
    (void)state;
    start();
    read_shapes();
    struct tr_fit_values truth = c->before;
    bool *all = tr_calloc(c->n, sizeof *all);
    double *seconds = tr_calloc(c->n, sizeof *seconds);
    memset(all, true, c->n);
    truth.gpu.ec = 0.43;
    truth.gpu.eb = 0.91;
    truth.gpu.ead = 0.6;
    truth.gpu.eap = 0.31;
    truth.gpu.s0 = 800;
    truth.gpu.tg_s = 4e-6;
    truth.gpu.tl_s = 10e-6;
    truth.gpu.ta_s = 4.8e-9;
    truth.gpu.tq_s = 12e-6;
    truth.gpu.host_async_s = 0.3e-3;
    truth.precisions[3].cm = 0.7;
    assert_string_equal(truth.precisions[3].name, "int4");
    tr_calibrate_predict(c, &truth, all, seconds);
    for (size_t i = 0; i < c->n; i++)
        c->m[i].seconds = seconds[i];
    tr_calibrate_solve(c);
    assert_near(fitted("ec"), 0.43, 0.01);
    assert_near(fitted("eb"), 0.91, 0.01);
    assert_near(fitted("ead"), 0.6, 0.01);
    assert_near(fitted("eap"), 0.31, 0.01);
    assert_near(fitted("s0_tokens"), 800, 0.03);
    assert_near(fitted("tg_us"), 4, 0.15);
    assert_near(fitted("ta_ns"), 4.8, 0.15);
    assert_near(fitted("tq_us"), 12, 0.1);
    assert_near(fitted("cm"), 0.7, 0.01);
    assert_true(c->better);
    for (int i = 0; i < c->n_phases; i++)
        assert_true(c->phases[i].median_after < 0.01);
    free(all);
    free(seconds);
}

/* A constant that no row depends on keeps the catalog's value to the bit. */
static void what_is_not_measured_stays(void **state)
{
    (void)state;
    const char *paths[] = {data("gemm.csv")};
    run(paths, 1, "H100-SXM5-80GB");
    assert_true(isnan(fitted("eap")) && isnan(fitted("tl_us")) && isnan(fitted("tq_us")));
    assert_true(c->after.gpu.eap == c->before.gpu.eap && c->after.gpu.tl_s == c->before.gpu.tl_s);
    assert_true(c->after.gpu.ec != c->before.gpu.ec);
}

/* ---- halves ---------------------------------------------------------------------------------- */

static void the_order_of_rows_does_not_matter(void **state)
{
    (void)state;
    const char *forth[] = {data("gemm.csv"), data("attention.csv"), data("layer_ops.csv")};
    const char *back[] = {forth[2], forth[1], forth[0]};
    struct tr_fit_constant before[TR_CALIBRATE_CONSTANTS];
    run(forth, 3, "A100-SXM4-80GB");
    int n = c->n_constants;
    memcpy(before, c->constants, sizeof before);
    run(back, 3, "A100-SXM4-80GB");
    assert_int_equal(c->n_constants, n);
    for (int i = 0; i < n; i++)
        assert_true(c->constants[i].after == before[i].after);
}

static void repeats_stand_on_one_side(void **state)
{
    (void)state;
    struct tr_str text = {0};
    struct tr_err err;
    int held = 0, fit = 0;
    tr_str_printf(&text, "gpu,gemm_dtype,m,n,k,us\n");
    for (int m = 1; m <= 200; m++)
        tr_str_printf(&text, "L4,bfloat16,%d,1024,1024,%d\nL4,bfloat16,%d,1024,1024,%d\n", m, m, m,
                      m + 1);
    start();
    assert_int_equal(read_text(text.text, NULL, &err), TR_OK);
    assert_int_equal(tr_calibrate_select(c, NULL, &err), TR_OK);
    assert_int_equal(c->n, 400);
    for (size_t i = 0; i < c->n; i += 2) {
        assert_string_equal(c->m[i].identity, c->m[i + 1].identity);
        assert_int_equal(c->m[i].held, c->m[i + 1].held);
        held += c->m[i].held;
        fit += !c->m[i].held;
    }
    assert_in_range(held, 75, 125);
    assert_int_equal(held + fit, 200);
    tr_str_free(&text);
}

/* What is held out is not looked at: other times there, and the same constants come out. */
static void rows_held_out_do_not_move_the_fit(void **state)
{
    (void)state;
    double ec[2], tg[2];
    for (int doubled = 0; doubled < 2; doubled++) {
        struct tr_err err = {0};
        struct tr_calibrate_opts opts = {.gpu = NULL};
        start();
        assert_int_equal(tr_calibrate_read(c, data("gemm.csv"), &opts, &err), TR_OK);
        assert_int_equal(tr_calibrate_select(c, "H100-SXM5-80GB", &err), TR_OK);
        for (size_t i = 0; i < c->n; i++)
            c->m[i].seconds *= doubled && c->m[i].held ? 2 : 1;
        tr_calibrate_solve(c);
        ec[doubled] = fitted("ec");
        tg[doubled] = fitted("tg_us");
    }
    assert_true(ec[0] == ec[1] && tg[0] == tg[1]);
    assert_true(phase("GEMM 16-bit, memory-bound")->median_after > 0.4);
}

/* ---- real measurements ----------------------------------------------------------------------- */

static void kernels_of_an_a100(void **state)
{
    (void)state;
    const char *paths[] = {data("gemm.csv"), data("attention.csv")};
    run(paths, 2, "a100-sxm4-80gb");
    assert_int_equal(tr_calibrate_exit(c), 0);
    const struct tr_fit_phase *gemm = phase("GEMM 16-bit, compute-bound");
    assert_true(gemm->median_after < 0.06 && gemm->median_before > 0.10);
    assert_true(phase("GEMM int8, compute-bound")->median_after < 0.05);
    assert_true(c->after_score < 0.8 * c->before_score);
    assert_in_range(fitted("ec") * 100, 80, 90);
}

/* Seventeen runs, none of them prefill alone, cannot tell ec: the held-out half says so. */
static void too_little_to_fit_is_refused(void **state)
{
    (void)state;
    const char *paths[] = {data("batch_latency.csv")};
    run(paths, 1, "A100-SXM4-40GB");
    assert_int_equal(phase("whole runs 16-bit, prefill alone")->fitted, 0);
    assert_false(c->better);
    assert_int_equal(tr_calibrate_exit(c), TR_EXIT_NO);
}

static void the_override_is_a_catalog(void **state)
{
    (void)state;
    const char *paths[] = {data("gemm.csv"), data("attention.csv")};
    char dir[] = "/tmp/tranche-calibrate-XXXXXX";
    struct tr_catalog *own = NULL;
    struct tr_err err = {0};
    const struct tr_gpu *gpu = NULL;
    assert_non_null(mkdtemp(dir));
    run(paths, 2, "A100-SXM4-80GB");
    assert_int_equal(tr_calibrate_save(c, dir, &err), TR_OK);
    int rc = tr_catalog_load(dir, &own, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, TR_OK);
    assert_int_equal(own->n_gpus, c->cat->n_gpus);
    for (size_t i = 0; i < own->n_gpus; i++) {
        const struct tr_gpu *was = &c->cat->gpus[i], *is = &own->gpus[i];
        bool same = was != c->gpu;
        assert_int_equal(is->ec == was->ec, same);
        assert_true(is->host_async_s == was->host_async_s && is->n_profiles == was->n_profiles);
        assert_int_equal(strcmp(is->sources, was->sources) == 0, same);
    }
    assert_int_equal(tr_catalog_gpu(own, "A100-SXM4-80GB", NULL, &gpu, NULL), TR_OK);
    assert_near(gpu->ec, c->after.gpu.ec, 1e-9);
    assert_near(gpu->ec_alone, c->after.gpu.ec, 1e-9);
    assert_near(gpu->tq_s, c->after.gpu.tq_s, 1e-9);
    assert_near(own->precisions[3].cm, c->after.precisions[3].cm, 1e-9);
    assert_non_null(strstr(gpu->sources, "calibrated from gemm.csv, attention.csv, "));
    assert_non_null(strstr(gpu->sources, "single kernels, a serving GPU attains less"));
    tr_catalog_free(own);
    unlink(tr_arena_printf(&arena, "%s/gpus.yaml", dir));
    unlink(tr_arena_printf(&arena, "%s/precisions.yaml", dir));
    assert_int_equal(rmdir(dir), 0);
}

/* ---- time-slicing ---------------------------------------------------------------------------- */

#define PROBE(n, rest)                                                                             \
    "{\"probe\":\"timeslice\",\"version\":1,\"n\":" #n ",\"secs\":2,\"gap_us\":300,\"segs\":3,"    \
    "\"failed\":0,\"gpu\":\"NVIDIA H100 80GB HBM3\",\"phases\":[" rest "]}"
#define SPIN(mode, turn, hole)                                                                     \
    "{\"mode\":\"" mode "\",\"overlap_frac\":0,\"owner_turn_us\":{\"n\":500,\"p50\":" turn "},"    \
    "\"switch_hole_us\":{\"n\":500,\"p50\":" hole "},\"step_us_proc0\":{\"n\":0,\"mean\":-1}}"
#define STEPS(mode, us)                                                                            \
    "{\"mode\":\"" mode "\",\"overlap_frac\":0,\"step_us_proc0\":{\"n\":100,\"mean\":" us "},"     \
    "\"step_us_others\":{\"n\":0,\"mean\":-1.000}}"

/* What was read of a probe of 1, 2, 4 and 8 processes in which a turn takes 2 ms and a switch
 * 0.2 ms. Steps of 10 ms, five turns, take n (10 + 5 x 0.2) ms beside n - 1 others. */
static void a_probe_gives_quantum_and_switch(void **state)
{
    (void)state;
    static const char *const files[] = {
        PROBE(1, STEPS("decode_sat", "10000")),
        PROBE(2, SPIN("spin_light", "2000", "1") "," SPIN("spin_heavy", "2000",
                                                          "200") "," STEPS("decode_sat", "22000")),
        PROBE(4, SPIN("spin_light", "2000", "1") "," SPIN("spin_heavy", "2000",
                                                          "200") "," STEPS("decode_sat", "44000")),
        PROBE(8, SPIN("spin_light", "2000", "1") "," SPIN("spin_heavy", "2000", "200")),
        PROBE(16, SPIN("spin_light", "2000", "1") "," SPIN("spin_heavy", "2000", "200")),
    };
    struct tr_err err;
    start();
    for (size_t i = 0; i < TR_LEN(files); i++) {
        read_text(files[i], "H100-SXM5-80GB", &err);
        assert_string_equal(err.text, "");
    }
    assert_int_equal(tr_calibrate_select(c, NULL, &err), TR_OK);
    tr_calibrate_solve(c);
    assert_near(fitted("quantum_us"), 2000, 0.02);
    assert_near(fitted("switch_us"), 200, 0.02);
    assert_int_equal(phase("steps beside 1 other")->fitted, 0);
    assert_true(phase("steps beside 1 other")->median_after < 0.02);
    assert_true(phase("steps beside 3 others")->median_after < 0.02);
}

static void a_probe_needs_the_name_of_the_gpu(void **state)
{
    (void)state;
    const char *why = complaint(PROBE(2, SPIN("spin_light", "2000", "1")));
    assert_non_null(strstr(why, "NVIDIA H100 80GB HBM3"));
    assert_non_null(strstr(why, "--gpu"));
}

/* ---- mistakes -------------------------------------------------------------------------------- */

#define HEAD "gpu,gemm_dtype,m,n,k,us\n"
#define FILE_OF(steps)                                                                             \
    "{\"gpu\": \"L4\", \"model\": \"llama-3.1-8b\", \"precision\": \"bf16\",\n\"steps\": [" steps  \
    "]}"

static void mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a,b\n1,2\n", "f:1:1: no table of measurements"},
        {HEAD "L4,bf16,1,2,x,3\n", "f:2:k: \"x\" is not a whole number from 1"},
        {HEAD "L4,bf16,1,2,3,4\nL4,bf16,1,2,3,0\n", "f:3:us: \"0\" is not a time above 0"},
        {HEAD "L4,bf16,1,2,3,4\nA10,bf16,1,2,3,4\n", "several GPUs: L4, A10; choose"},
        {HEAD "L4,bf17,1,2,3,4\n", "no row of these files can be used: 'bf17' is no precision"},
        {HEAD "L5,bf16,1,2,3,4\n", "GPU 'L5' is no name"},
        {"{\"runs\": []}", "f:1:1: no measurements that are known"},
        {"{\"steps\": [{}]}", "does not name its gpu"},
        {FILE_OF("{\"decodes\": 1, \"context\": 5}"), "f:2:11: step 1: 'seconds' is missing"},
        {FILE_OF("{\"decodes\": 1, \"context\": 5, \"second\": 1}"),
         "f:2:40: step 1: unknown key 'second'; did you mean 'seconds'?"},
        {FILE_OF("{\"tokens\": 3, \"decodes\": 2, \"context\": 5, \"seconds\": 1}"),
         "f:2:11: tokens is 3, but decodes and chunks add up to 2"},
        {FILE_OF("{\"decodes\": 8, \"context\": 5, \"seconds\": 1}"), "the sum over all of them"},
        {FILE_OF("{\"chunks\": [[5]], \"seconds\": 1}"), "f:2:23: a chunk is [new tokens"},
        {FILE_OF("{\"seconds\": 1}"), "a step of 0 tokens"},
        {"{\"gpu\": \"L4\", \"model\": \"lama-3.1-8b\", \"precision\": \"bf16\", \"steps\": [1]}",
         "f:1:24: unknown model"},
        {"{\"steps\": [", "f:"},
    };
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        const char *said = complaint(cases[i][0]);
        if (strstr(said, cases[i][1]) == NULL)
            fail_msg("\"%s\": said \"%s\", expected \"%s\"", cases[i][0], said, cases[i][1]);
    }
}

static void files_have_one_gpu_or_it_is_named(void **state)
{
    (void)state;
    const char *path = data("gemm.csv");
    struct tr_calibrate_opts opts = {.gpu = NULL};
    struct tr_err err = {0};
    assert_int_equal(tr_calibrate_run(&path, 1, &opts, &c, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "A100-SXM4-80GB, H100-SXM5-80GB; choose one with --gpu"));
    opts.gpu = "L4";
    err = (struct tr_err){0};
    assert_int_equal(tr_calibrate_run(&path, 1, &opts, &c, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, "no usable row is of the GPU L4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(planted_constants_come_back, clear),
        cmocka_unit_test_teardown(what_is_not_measured_stays, clear),
        cmocka_unit_test_teardown(the_order_of_rows_does_not_matter, clear),
        cmocka_unit_test_teardown(repeats_stand_on_one_side, clear),
        cmocka_unit_test_teardown(rows_held_out_do_not_move_the_fit, clear),
        cmocka_unit_test_teardown(kernels_of_an_a100, clear),
        cmocka_unit_test_teardown(too_little_to_fit_is_refused, clear),
        cmocka_unit_test_teardown(the_override_is_a_catalog, clear),
        cmocka_unit_test_teardown(a_probe_gives_quantum_and_switch, clear),
        cmocka_unit_test_teardown(a_probe_needs_the_name_of_the_gpu, clear),
        cmocka_unit_test_teardown(mistakes_are_told_with_their_place, clear),
        cmocka_unit_test_teardown(files_have_one_gpu_or_it_is_named, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
