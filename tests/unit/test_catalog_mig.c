/* MIG placement, maximal layouts, and the arrangement grammar. */
#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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
    assert_int_equal(tr_catalog_gpu(cat, name, NULL, &gpu, NULL), TR_OK);
    return gpu;
}

static void seven_slice_gpus_have_12_plain_and_28_maximal_layouts(void **state)
{
    (void)state;
    int counts[64][TR_MAX_PROFILES] = {{0}};
    int n_seven = 0, n_four = 0;
    for (size_t i = 0; i < cat->n_gpus; i++) {
        const struct tr_gpu *gpu = &cat->gpus[i];
        int plain = tr_mig_maximal(gpu, false, counts, 64);
        int all = tr_mig_maximal(gpu, true, counts, 64);
        if (gpu->compute_slices == 7) {
            assert_int_equal(plain, 12);
            assert_int_equal(all, 28);
            n_seven++;
        } else if (gpu->compute_slices == 4) {
            assert_int_equal(plain, 4);
            assert_int_equal(all, 4);
            n_four++;
        } else {
            assert_int_equal(all, 0);
        }
    }
    assert_int_equal(n_seven, 8);
    assert_int_equal(n_four, 2);
}

/* A layout as text: "4g.40gb+3g.40gb". */
static void layout_text(const struct tr_gpu *gpu, const int *counts, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = gpu->n_profiles - 1; i >= 0; i--)
        if (counts[i] > 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s*%d", used > 0 ? "+" : "",
                                     gpu->profiles[i].name, counts[i]);
}

static void maximal_layouts_are_the_known_ones(void **state)
{
    (void)state;
    /* NVIDIA's table of combinations, by compute slices; largest profile first. */
    static const char *const expected[] = {
        "7g.80gb*1",
        "4g.40gb*1+3g.40gb*1",
        "4g.40gb*1+2g.20gb*1+1g.10gb*1",
        "4g.40gb*1+1g.10gb*3",
        "3g.40gb*2",
        "3g.40gb*1+2g.20gb*2",
        "3g.40gb*1+2g.20gb*1+1g.10gb*2",
        "3g.40gb*1+1g.10gb*4",
        "2g.20gb*3+1g.10gb*1",
        "2g.20gb*2+1g.10gb*3",
        "2g.20gb*1+1g.10gb*5",
        "1g.10gb*7",
    };
    const struct tr_gpu *gpu = gpu_of("A100-PCIe-80GB");
    int counts[16][TR_MAX_PROFILES] = {{0}};
    assert_int_equal(tr_mig_maximal(gpu, false, counts, 16), 12);
    for (int i = 0; i < 12; i++) {
        char text[128];
        layout_text(gpu, counts[i], text, sizeof text);
        assert_string_equal(text, expected[i]);
    }
    /* Fewer slots than layouts: the number is still right. */
    assert_int_equal(tr_mig_maximal(gpu, false, counts, 3), 12);
}

static const struct tr_mig_profile *profile_of(const struct tr_gpu *gpu, const char *name)
{
    for (int i = 0; i < gpu->n_profiles; i++)
        if (strcmp(gpu->profiles[i].name, name) == 0)
            return &gpu->profiles[i];
    fail_msg("%s has no %s", gpu->name, name);
    return NULL;
}

static void placement_backtracks(void **state)
{
    (void)state;
    const struct tr_gpu *gpu = gpu_of("A100-PCIe-80GB");
    const struct tr_mig_profile *one = profile_of(gpu, "1g.10gb"),
                                *three = profile_of(gpu, "3g.40gb");
    int starts[8];
    /* The 3g must go to slot 4 although slot 0 is free when it is placed first. */
    const struct tr_mig_profile *mixed[] = {three, one, one, one, one};
    assert_true(tr_mig_place(gpu, mixed, 5, starts));
    assert_int_equal(starts[0], 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(starts[i + 1], i);
    const struct tr_mig_profile *five[] = {three, one, one, one, one, one};
    assert_false(tr_mig_place(gpu, five, 6, starts));
    assert_int_equal(starts[0], -1);
}

/* Every set that the search accepts has disjoint slots at legal starts; every one it refuses has no
 * placement among all combinations of starts (tried one by one). */
static void placement_agrees_with_brute_force(void **state)
{
    (void)state;
    const struct tr_gpu *gpu = gpu_of("H100-SXM5-80GB");
    uint64_t n_legal = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        const struct tr_mig_profile *set[5];
        int n = 1 + (int)(tr_rng_u64(seed, 1, 0) % 5), starts[5], index[5] = {0};
        int compute = 0, media = 0;
        bool counts = true, found = false;
        for (int i = 0; i < n; i++) {
            set[i] = &gpu->profiles[tr_rng_u64(seed, 2, (uint64_t)i) % (uint64_t)gpu->n_profiles];
            compute += set[i]->compute_slices;
            media += set[i]->media;
        }
        for (int i = 0; i < n; i++) {
            int same = 0;
            for (int k = 0; k < n; k++)
                same += set[k] == set[i];
            counts = counts && same <= set[i]->max_count;
        }
        while (counts && compute <= 7 && media <= 1 && !found) {
            unsigned taken = 0;
            bool clash = false;
            for (int i = 0; i < n; i++) {
                unsigned slots = ((1u << set[i]->mem_slots) - 1) << set[i]->starts[index[i]];
                clash = clash || (taken & slots) != 0;
                taken |= slots;
            }
            found = !clash;
            int i = 0;
            while (i < n && ++index[i] == set[i]->n_starts)
                index[i++] = 0;
            if (i == n)
                break;
        }
        assert_int_equal(tr_mig_place(gpu, set, n, starts), found);
        n_legal += found;
    }
    assert_true(n_legal > 300);
}

static void canonical(const char *gpu, const char *text, const char *expected, int pods, int rank)
{
    struct tr_arrangement a;
    struct tr_err err = {0};
    const struct tr_precision *precision = NULL;
    if (tr_arrangement_parse(text, gpu_of(gpu), cat, &a, &precision, &err) != TR_OK)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(a.text, expected);
    assert_int_equal(a.n_pods, pods);
    assert_int_equal(tr_arrangement_rank(&a), rank);
    /* The canonical text reads back as itself. */
    struct tr_arrangement again;
    assert_int_equal(tr_arrangement_parse(a.text, gpu_of(gpu), cat, &again, NULL, &err), TR_OK);
    assert_string_equal(again.text, a.text);
}

static void arrangements_have_one_text_each(void **state)
{
    (void)state;
    const char *a100 = "A100-PCIe-80GB";
    canonical(a100, "whole", "whole", 1, 0);
    canonical(a100, " Whole\tint4 ", "whole", 1, 0);
    canonical(a100, "One-Engine int4", "one-engine", 1, 1);
    canonical(a100, "timeslice:4", "timeslice:4", 4, 2);
    canonical(a100, "timeslice:16", "timeslice:16", 16, 2);
    canonical("L4", "mps:3", "mps:3", 3, 3);
    canonical(a100, "mig:1g.10gb*7", "mig:1g.10gb*7", 7, 4);
    canonical(a100, "mig:3g.40gb+3g.40gb", "mig:3g.40gb*2", 2, 4);
    canonical(a100, "mig:3g.40gb+4g.40gb", "mig:4g.40gb+3g.40gb", 2, 5);
    canonical(a100, "mig:1g.10gb*4+3g.40gb", "mig:3g.40gb+1g.10gb*4", 5, 5);
    canonical(a100, "mig:1g.10gb+1g.10gb+me", "mig:1g.10gb+me+1g.10gb", 2, 5);
    canonical(a100, "MIG:1G.10GB*2+1g.20gb int4", "mig:1g.20gb+1g.10gb*2", 3, 5);
    canonical(a100, "mig:3g.40gb*2/timeslice:2", "mig:3g.40gb*2/timeslice:2", 4, 6);
    canonical("A30", "mig:2g.12gb+1g.6gb*2", "mig:2g.12gb+1g.6gb*2", 3, 5);
}

static void precision_is_returned(void **state)
{
    (void)state;
    struct tr_arrangement a;
    const struct tr_precision *precision = NULL;
    const struct tr_gpu *gpu = gpu_of("A100-PCIe-80GB");
    assert_int_equal(tr_arrangement_parse("mig:1g.10gb*7 int4", gpu, cat, &a, &precision, NULL), 0);
    assert_string_equal(precision->name, "int4");
    assert_int_equal(a.n_parts, 7);
    assert_true(a.mig);
    assert_string_equal(a.parts[6].profile->name, "1g.10gb");
    assert_int_equal(tr_arrangement_parse("mps:2", gpu, cat, &a, &precision, NULL), 0);
    assert_null(precision);
    assert_int_equal(a.parts[0].sharing, TR_MPS);
    assert_null(a.parts[0].profile);
}

static void refused(const char *gpu, const char *text, const char *message)
{
    struct tr_arrangement a;
    struct tr_err err = {0};
    const struct tr_precision *precision = NULL;
    assert_int_equal(tr_arrangement_parse(text, gpu_of(gpu), cat, &a, &precision, &err), TR_EINPUT);
    if (strstr(err.text, message) == NULL)
        fail_msg("'%s' should be answered with '%s' but is with: %s", text, message, err.text);
    assert_null(strchr(err.text, '\n'));
}

static void bad_arrangements_are_answered(void **state)
{
    (void)state;
    const char *a100 = "A100-PCIe-80GB";
    refused(a100, "mig:4g.40gb+4g.40gb", "only start 0 exists");
    refused(a100, "mig:3g.40gb*3", "3 x 3g.40gb, but A100-PCIe-80GB takes at most 2");
    refused(a100, "mig:3g.40gb*2+1g.10gb", "needs 9 memory slots, A100-PCIe-80GB has 8");
    refused(a100, "mig:7g.80gb+1g.10gb", "needs 8 compute slices, A100-PCIe-80GB has 7");
    refused(a100, "mig:1g.10gb*8", "takes at most 7");
    refused(a100, "mig:1g.10gb*9", "from 1 to 7");
    refused(a100, "mig:2g.20gb*2+1g.20gb*2+1g.10gb", "needs 9 memory slots");
    refused(a100, "mig:1g.5gb*7", "did you mean '1g.10gb'?; it has 1g.10gb, 1g.10gb+me, 1g.20gb");
    refused("H200-SXM-141GB", "mig:1g.10gb*7", "H200-SXM-141GB has no MIG profile '1g.10gb'");
    refused("L4", "mig:1g.10gb*7",
            "L4 has no MIG; it can be whole, one-engine, timeslice:N or mps:N");
    refused(a100, "mig:", "a MIG profile is expected here");
    refused(a100, "mig:1g.10gb*", "count after '1g.10gb*' must be a number from 1 to 7");
    refused(a100, "mig:1g.10gb*0", "must be a number from 1 to 7");
    refused(a100, "mig:1g.10gb*-1", "must be a number from 1 to 7");
    refused(a100, "mig:1g.10gb+", "a MIG profile is expected here");
    refused(a100, "mig:1g.10gb*7/mps:2", "MPS inside MIG instances is not supported");
    refused(a100, "mig:1g.10gb*7/timeslice:4", "28 pods on one GPU; at most 16");
    refused(a100, "mig:1g.10gb/", "'/' is not understood");
    refused(a100, "timeslice:0", "a number of pods from 2 to 16");
    refused(a100, "timeslice:1", "shares with nobody");
    refused(a100, "timeslice:17", "a number of pods from 2 to 16");
    refused(a100, "timeslice:99999999999999999999", "a number of pods from 2 to 16");
    refused(a100, "timeslice:4x", "a number of pods from 2 to 16");
    refused(a100, "timeslice", "not understood; it must be whole, one-engine");
    refused(a100, "timeslise:4", "did you mean 'timeslice'?");
    refused(a100, "", "it must be whole, one-engine, timeslice:N, mps:N");
    refused(a100, "wholes", "not understood");
    refused(a100, "whole int5", "unknown precision 'int5'; did you mean 'int");
    refused(a100, "mig:3g.40gb + 4g.40gb", "no spaces inside");
    refused(a100, "whole bf16 int4", "no spaces inside");
}

static void shares_of_parts(void **state)
{
    (void)state;
    const struct tr_gpu *gpu = gpu_of("A100-PCIe-80GB");
    struct tr_arrangement a;
    assert_int_equal(tr_arrangement_parse("mig:3g.40gb*2/timeslice:2", gpu, cat, &a, NULL, NULL),
                     0);
    struct tr_share_hw hw = tr_share_hw_of(gpu, &a.parts[1]);
    assert_true(hw.mig);
    assert_int_equal(hw.n_pods, 2);
    assert_int_equal(hw.sharing, TR_TIMESLICE);
    assert_int_equal(hw.sms, 42);
    assert_true(hw.sm_fraction == 42.0 / 108);
    assert_true(hw.bw_fraction == 0.5);
    assert_int_equal(hw.mem_bytes, INT64_C(40192) << 20);
    assert_int_equal(tr_arrangement_parse("timeslice:4", gpu, cat, &a, NULL, NULL), 0);
    hw = tr_share_hw_of(gpu, &a.parts[0]);
    assert_true(!hw.mig && hw.sm_fraction == 1 && hw.bw_fraction == 1);
    assert_int_equal(hw.mem_bytes, gpu->mem_bytes);
    assert_int_equal(hw.n_pods, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seven_slice_gpus_have_12_plain_and_28_maximal_layouts),
        cmocka_unit_test(maximal_layouts_are_the_known_ones),
        cmocka_unit_test(placement_backtracks),
        cmocka_unit_test(placement_agrees_with_brute_force),
        cmocka_unit_test(arrangements_have_one_text_each),
        cmocka_unit_test(precision_is_returned),
        cmocka_unit_test(bad_arrangements_are_answered),
        cmocka_unit_test(shares_of_parts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
