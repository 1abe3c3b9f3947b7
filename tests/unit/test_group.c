/* group: every layout of a card for several units, each once: against all that can be written down.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "num/num.h"
#include "plan/group.h"

/* ---- what is found, as sorted texts --------------------------------------------------------- */

#define MAX_FOUND 20000
struct found {
    struct tr_layouts l;
    uint64_t seed; /* of what fits where; 0: everything everywhere */
    int n;
    char *text[MAX_FOUND];
};

static bool fits(void *arg, int unit, const struct tr_part *part)
{
    const struct found *f = arg;
    uint64_t what = part->profile == NULL ? 99 : (uint64_t)part->profile->mem_slots;
    return f->seed == 0 || tr_rng_u64(f->seed, (uint64_t)unit, what) % 3 != 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void keep(struct found *f, const char *text)
{
    assert_true(f->n < MAX_FOUND);
    f->text[f->n++] = strdup(text);
}

/* "mig:4g.40gb+3g.40gb: ab b-": the pods of each part, in the order found. */
static void on_layout(void *arg, const struct tr_layout *layout)
{
    char text[400];
    int used = snprintf(text, sizeof text, "%s:", layout->arrangement.text), pod = 0;
    for (int p = 0; p < layout->arrangement.n_parts; p++) {
        text[used++] = ' ';
        for (int i = 0; i < layout->arrangement.parts[p].n_pods; i++) {
            uint8_t u = layout->unit[pod++];
            text[used++] = (char)(u == TR_UNIT_NONE ? '-' : 'a' + u);
        }
    }
    text[used] = '\0';
    keep(arg, text);
}

static void find(struct found *f)
{
    f->l.fits = fits;
    f->l.visit = on_layout;
    f->l.arg = f;
    tr_layouts_each(&f->l);
    qsort(f->text, (size_t)f->n, sizeof f->text[0], by_text);
}

static void drop(struct found *f)
{
    for (int i = 0; i < f->n; i++)
        free(f->text[i]);
    free(f);
}

static bool has(const struct found *f, const char *text)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->text[i], text) == 0)
            return true;
    return false;
}

static struct found *open_on(const struct tr_catalog *cat, const char *name, int n_units)
{
    struct found *f = tr_calloc(1, sizeof *f);
    for (size_t i = 0; i < cat->n_gpus; i++)
        if (strcmp(cat->gpus[i].name, name) == 0)
            f->l.gpu = &cat->gpus[i];
    assert_non_null(f->l.gpu);
    f->l.n_units = n_units;
    for (int u = 0; u < n_units; u++)
        f->l.load[u] = 1;
    return f;
}

static struct tr_catalog *catalog(void)
{
    static struct tr_catalog *cat;
    struct tr_err err;
    if (cat == NULL && tr_catalog_load(NULL, &cat, &err) != TR_OK)
        fail_msg("%s", err.text);
    return cat;
}

/* ---- the oracle: every assignment of contents to instances, whatever it looks like --------------
 */

struct oracle {
    struct found *out;
    const struct tr_arrangement *a;
    int n_units, pods;
    unsigned content[TR_MAX_PARTS];
};

static void weigh(struct oracle *o)
{
    char part[TR_MAX_PARTS][16], text[400];
    unsigned covered = 0;
    for (int p = 0; p < o->a->n_parts; p++) {
        int n = 0;
        for (int u = 0; u < o->n_units; u++)
            if (o->content[p] >> u & 1)
                part[p][n++] = (char)('a' + u);
        for (; n < o->pods; n++)
            part[p][n] = '-';
        part[p][n] = '\0';
        covered |= o->content[p];
    }
    if (covered != (1u << o->n_units) - 1)
        return;
    /* The order of instances of one profile means nothing: by bits, as numbers. */
    for (int i = 1; i < o->a->n_parts; i++)
        for (int j = i; j > 0 && o->a->parts[j].profile == o->a->parts[j - 1].profile &&
                        o->content[j] < o->content[j - 1];
             j--)
            return; /* another order of the same will be, or was, met */
    int used = snprintf(text, sizeof text, "%s:", o->a->text);
    for (int p = 0; p < o->a->n_parts; p++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %s", part[p]);
    keep(o->out, text);
}

static void all(struct oracle *o, int p)
{
    if (p == o->a->n_parts) {
        weigh(o);
        return;
    }
    bool any = false;
    for (unsigned c = 1; c < 1u << o->n_units; c++) {
        bool good = __builtin_popcount(c) == o->pods;
        for (int u = 0; u < o->n_units; u++)
            if (c >> u & 1)
                good = good && fits(o->out, u, &o->a->parts[p]);
        if (!good)
            continue;
        any = true;
        o->content[p] = c;
        all(o, p + 1);
    }
    o->content[p] = 0;
    if (!any)
        all(o, p + 1);
}

static void mig_layouts_are_all_there_are(void **state)
{
    static const char *const cards[] = {"A30", "A100-PCIe-80GB"};
    int most = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++)
        for (int units = 1; units <= 4; units++) {
            struct found *f = open_on(catalog(), cards[seed % 2], units), *o;
            int counts[64][TR_MAX_PROFILES], n;
            f->seed = seed;
            o = open_on(catalog(), cards[seed % 2], units);
            o->seed = seed;
            find(f);
            n = tr_mig_maximal(f->l.gpu, false, counts, 64);
            for (int i = 0; i < n * units; i++) {
                struct tr_arrangement a;
                struct tr_str text = {0};
                for (int p = 0; p < f->l.gpu->n_profiles; p++)
                    for (int k = 0; k < counts[i % n][p]; k++)
                        tr_str_printf(&text, "%s%s",
                                      text.len > 0 ? "+" : "mig:", f->l.gpu->profiles[p].name);
                if (i >= n)
                    tr_str_printf(&text, "/timeslice:%d", i / n + 1);
                if (tr_arrangement_parse(text.text, f->l.gpu, NULL, &a, NULL, NULL) == TR_OK)
                    all(&(struct oracle){o, &a, units, i / n + 1, {0}}, 0);
                tr_str_free(&text);
            }
            qsort(o->text, (size_t)o->n, sizeof o->text[0], by_text);
            int last = f->n;
            while (last > 0 && strncmp(f->text[last - 1], "mig:", 4) != 0)
                last--;
            assert_int_equal(last, o->n);
            for (int i = 0; i < o->n; i++)
                assert_string_equal(f->text[i], o->text[i]);
            most = TR_MAX(most, o->n);
            drop(f);
            drop(o);
        }
    assert_true(most > 200);
}

/* ---- by hand -------------------------------------------------------------------------------- */

static void three_for_one_and_two_twos_for_another(void **state)
{
    struct found *f = open_on(catalog(), "A100-PCIe-80GB", 2);
    (void)state;
    find(f);
    assert_true(has(f, "mig:3g.40gb+2g.20gb*2: a b b"));
    assert_true(has(f, "mig:3g.40gb+2g.20gb*2: b a b"));
    assert_false(has(f, "mig:3g.40gb+2g.20gb*2: b b a"));
    assert_true(has(f, "timeslice:2: ab"));
    assert_true(has(f, "mps:2: ab"));
    assert_false(has(f, "one-engine: a"));
    for (int i = 1; i < f->n; i++)
        assert_string_not_equal(f->text[i], f->text[i - 1]);
    drop(f);
}

static void further_pods_go_where_the_load_is(void **state)
{
    struct found *f = open_on(catalog(), "A100-PCIe-80GB", 3);
    (void)state;
    f->l.load[1] = 2.5;
    find(f);
    assert_true(has(f, "timeslice:3: abc"));
    assert_true(has(f, "timeslice:4: abbc"));
    assert_true(has(f, "mps:8: aabbbbcc"));
    drop(f);
    f = open_on(catalog(), "A100-PCIe-80GB", 2);
    f->l.least[0] = 3; /* tenants, each with a pod of its own */
    f->l.load[1] = 9;
    find(f);
    assert_true(has(f, "timeslice:4: aaab"));
    assert_true(has(f, "timeslice:8: aaabbbbb"));
    assert_false(has(f, "timeslice:2: ab"));
    drop(f);
}

static void isolation_decides_who_shares_a_part(void **state)
{
    struct found *f = open_on(catalog(), "A100-PCIe-80GB", 2);
    (void)state;
    f->l.apart[0][1] = TR_ISOLATION_MEMORY; /* asked by one of the two */
    find(f);
    assert_false(has(f, "timeslice:2: ab"));
    assert_true(has(f, "mps:2: ab"));
    assert_true(has(f, "mig:4g.40gb+3g.40gb: a b"));
    assert_false(has(f, "mig:3g.40gb*2/timeslice:2: ab ab"));
    drop(f);
    f = open_on(catalog(), "A100-PCIe-80GB", 2);
    f->l.apart[1][1] = TR_ISOLATION_PERFORMANCE; /* its own pods keep apart, too */
    f->l.load[1] = 5;
    find(f);
    assert_true(has(f, "timeslice:2: ab"));
    assert_false(has(f, "timeslice:4: abbb"));
    assert_true(has(f, "mig:3g.40gb+2g.20gb*2: a b b"));
    drop(f);
}

static void one_engine_is_for_those_that_share_it(void **state)
{
    struct found *f = open_on(catalog(), "A100-PCIe-80GB", 1);
    (void)state;
    f->l.merged = true;
    find(f);
    assert_true(has(f, "one-engine: a"));
    assert_true(has(f, "mig:3g.40gb*2: a a"));
    drop(f);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void each_pod_starts_and_what_is_left_goes_by_demand(void **state)
{
    int64_t gib = (int64_t)TR_GIB;
    struct tr_memory_claim c[3] = {
        {20 * gib, gib / 2, 3.0}, {4 * gib, gib / 2, 1.0}, {2 * gib, 0, 0}};
    double u[3];
    (void)state;
    assert_true(tr_memory_divide(80 * gib, 3, c, u));
    /* 80 - 26 - 1 = 53 GiB are left: 39.75 and 13.25, within the rounding to 80 MiB. */
    assert_true(u[0] * 80 > 59.5 && u[0] * 80 < 59.85);
    assert_true(u[1] * 80 > 17.1 && u[1] * 80 < 17.35);
    assert_true(u[2] * 80 >= 2 && u[2] * 80 < 2.1);
    assert_true((u[0] + u[1] + u[2]) * 80 + 1 <= 80);
    assert_true(tr_memory_divide(28 * gib, 3, c, u));
    assert_false(tr_memory_divide(27 * gib, 3, c, u)); /* to the byte, but not in thousandths */
    /* Alone it gets vLLM's default, and no more. */
    assert_true(tr_memory_divide(80 * gib, 1, c, u));
    assert_true(u[0] == 0.92);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mig_layouts_are_all_there_are),
        cmocka_unit_test(three_for_one_and_two_twos_for_another),
        cmocka_unit_test(further_pods_go_where_the_load_is),
        cmocka_unit_test(isolation_decides_who_shares_a_part),
        cmocka_unit_test(one_engine_is_for_those_that_share_it),
        cmocka_unit_test(each_pod_starts_and_what_is_left_goes_by_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
