/* Draws of the catalog's constants: how wide, how alike, and what they leave alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/catalog.h"

static struct tr_catalog *cat;

static int load(void **state)
{
    struct tr_err err = {0};
    (void)state;
    return tr_catalog_load(NULL, &cat, &err);
}

static int unload(void **state)
{
    (void)state;
    tr_catalog_free(cat);
    return 0;
}

static const struct tr_gpu *gpu(const char *name)
{
    const struct tr_gpu *g = NULL;
    struct tr_err err = {0};
    if (tr_catalog_gpu(cat, name, NULL, &g, &err) != 0)
        fail_msg("%s", err.text);
    return g;
}

static const struct tr_precision *precision(const char *name)
{
    const struct tr_precision *p = NULL;
    struct tr_err err = {0};
    if (tr_catalog_precision(cat, name, NULL, &p, &err) != 0)
        fail_msg("%s", err.text);
    return p;
}

static void draw_zero_is_the_catalog(void **state)
{
    struct tr_precision p;
    struct tr_gpu g;
    (void)state;
    for (size_t i = 0; i < cat->n_gpus; i++) {
        tr_gpu_draw(&cat->gpus[i], 7, 0, &g);
        assert_memory_equal(&g, &cat->gpus[i], sizeof g);
    }
    tr_precision_draw(precision("int4"), 7, 0, &p);
    assert_memory_equal(&p, precision("int4"), sizeof p);
}

/* 90 % of the draws of an efficiency lie within the error that the catalog states. */
static void efficiencies_spread_as_the_error_says(void **state)
{
    static const char *const names[] = {"A100-SXM4-40GB", "L40S", "A10"};
    (void)state;
    for (size_t i = 0; i < TR_LEN(names); i++) {
        const struct tr_gpu *g = gpu(names[i]);
        int within = 0, above = 0;
        for (uint64_t d = 1; d <= 2000; d++) {
            struct tr_gpu out;
            tr_gpu_draw(g, 1, d, &out);
            double off = tr_ln(out.eap / g->eap);
            within += fabs(off) <= g->error;
            above += off > 0;
            assert_true(out.ec <= out.ec_alone && out.ec_alone <= 1);
        }
        assert_true(within > 1740 && within < 1860);
        assert_true(above > 900 && above < 1100);
    }
}

static void ranges_are_kept(void **state)
{
    const struct tr_gpu *g = gpu("H100-SXM5-80GB");
    double least = 9, most = 0;
    (void)state;
    for (uint64_t d = 1; d <= 500; d++) {
        struct tr_gpu out;
        struct tr_precision p;
        tr_gpu_draw(g, 3, d, &out);
        assert_true(out.quantum_s >= 1e-3 && out.quantum_s <= 2.1e-3);
        assert_true(out.switch_s >= 0.06 * out.quantum_s && out.switch_s <= 0.15 * out.quantum_s);
        tr_precision_draw(precision("int4"), 3, d, &p);
        assert_true(p.cm >= 0.60 && p.cm <= 0.95);
        least = TR_MIN(least, p.cm);
        most = TR_MAX(most, p.cm);
        tr_precision_draw(precision("fp8"), 3, d, &p);
        assert_true(p.cm_native >= 1.3 && p.cm_native <= 2.0);
        tr_precision_draw(precision("bf16"), 3, d, &p);
        assert_true(p.cm == 1);
    }
    assert_true(least < 0.61 && most > 0.94);
}

/* One constant's draws say nothing of another's, nor one GPU's of another GPU's; what hardware is
 * (peaks, memory, MIG) is not drawn. */
static void constants_are_drawn_apart(void **state)
{
    const struct tr_gpu *a = gpu("A100-SXM4-80GB"), *b = gpu("A100-PCIe-80GB");
    double between = 0, across = 0, n = 2000;
    (void)state;
    for (uint64_t d = 1; d <= 2000; d++) {
        struct tr_gpu x, y;
        tr_gpu_draw(a, 1, d, &x);
        tr_gpu_draw(b, 1, d, &y);
        double ec = tr_ln(x.ec / a->ec) / 0.061, eb = tr_ln(x.eb / a->eb) / 0.061;
        between += ec * eb / n;
        across += eb * tr_ln(y.eb / b->eb) / 0.061 / n;
        assert_true(x.peak_flops == a->peak_flops && x.bandwidth == a->bandwidth);
        assert_true(x.mem_bytes == a->mem_bytes && x.n_profiles == a->n_profiles);
    }
    assert_true(fabs(between) < 0.1);
    assert_true(fabs(across) < 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draw_zero_is_the_catalog),
        cmocka_unit_test(efficiencies_spread_as_the_error_says),
        cmocka_unit_test(ranges_are_kept),
        cmocka_unit_test(constants_are_drawn_apart),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
