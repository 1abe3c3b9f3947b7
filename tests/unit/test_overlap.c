/* Tests of the overlap: against what is known of MPS, against a slow integration of its equation in
 * small steps, and against itself cut into pieces of time. */
#include "share/overlap.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define MS_PS    INT64_C(1000000000)
#define US_PS    INT64_C(1000000)
#define MAX_N    6
#define MAX_JOBS 24

/* Each context has its jobs in a row; `depth` of them may be posted, none before its time. */
struct load {
    int n, depth, n_jobs;
    struct job {
        int64_t from_ns;
        struct tr_work work;
    } job[MAX_N][MAX_JOBS];
};

struct ends {
    int n;
    struct {
        int ctx;
        int64_t end_ns, lost_ps;
    } end[MAX_N * MAX_JOBS];
    struct tr_share_stats stats;
};

static void random_load(struct load *l, struct draw *d)
{
    *l = (struct load){.n = (int)between(d, 1, MAX_N),
                       .depth = (int)between(d, 1, 2),
                       .n_jobs = (int)between(d, 1, MAX_JOBS)};
    int64_t gap_ns = (int64_t[]){0, 1000000, 20000000}[between(d, 0, 2)];
    bool round = between(d, 0, 3) == 0; /* alike, so that much ends at the same picosecond */
    for (int i = 0; i < l->n; i++) {
        int64_t now_ns = round ? 0 : between(d, 0, gap_ns);
        for (int j = 0; j < l->n_jobs; j++) {
            struct tr_work w = {.gpu_ps =
                                    round ? between(d, 1, 3) * MS_PS : between(d, US_PS, 6 * MS_PS),
                                .arithmetic = (int32_t)between(d, 0, TR_DEMAND_ONE),
                                .memory = (int32_t)between(d, 0, TR_DEMAND_ONE)};
            if (round)
                w.arithmetic = w.memory = TR_DEMAND_ONE / 2;
            if (between(d, 0, 2) == 0) {
                w.gaps = (int)between(d, 0, 3);
                w.gap_ps = between(d, 0, 1) * between(d, 0, 200 * US_PS);
                w.delay_ps = between(d, 0, 1) * between(d, 0, MS_PS);
            }
            now_ns += between(d, 0, 3) ? 0 : between(d, 0, gap_ns);
            l->job[i][j] = (struct job){.from_ns = now_ns, .work = w};
        }
    }
}

static void run_load(const struct load *l, struct draw *pieces, struct ends *out)
{
    struct tr_overlap o;
    int posted[MAX_N] = {0}, done[MAX_N] = {0}, ctx;
    int64_t now_ns = 0, lost_ps, end_ns;
    tr_overlap_init(&o, l->n, TR_MPS_SHARPNESS);
    out->n = 0;
    while (out->n < l->n * l->n_jobs) {
        int64_t until_ns = TR_TIME_NEVER;
        for (int i = 0; i < l->n; i++)
            for (; posted[i] < l->n_jobs && posted[i] - done[i] < l->depth; posted[i]++) {
                const struct job *job = &l->job[i][posted[i]];
                if (job->from_ns > now_ns) {
                    until_ns = TR_MIN(until_ns, job->from_ns);
                    break;
                }
                tr_overlap_post(&o, i, now_ns, &job->work);
            }
        if (pieces != NULL) {
            int64_t piece_ns = between(pieces, 1, 900000);
            until_ns = TR_MIN(until_ns, now_ns + piece_ns);
        }
        if (tr_overlap_advance(&o, until_ns, &ctx, &end_ns, &lost_ps)) {
            assert_true(end_ns >= now_ns && end_ns < until_ns && lost_ps >= 0);
            out->end[out->n].ctx = ctx;
            out->end[out->n].end_ns = now_ns = end_ns;
            out->end[out->n++].lost_ps = lost_ps;
            done[ctx]++;
        } else {
            assert_true(until_ns != TR_TIME_NEVER);
            now_ns = until_ns;
        }
    }
    out->stats = tr_overlap_stats(&o);
}

static void cutting_time_into_pieces_changes_nothing(void **state)
{
    (void)state;
    static struct load l;
    static struct ends whole, cut;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct draw d = {seed, tr_rng_stream("overlap load", 0, 0), 0};
        random_load(&l, &d);
        run_load(&l, NULL, &whole);
        run_load(&l, &d, &cut);
        bool same = whole.stats.busy_ns == cut.stats.busy_ns;
        for (int i = 0; i < whole.n && same; i++)
            same = whole.end[i].ctx == cut.end[i].ctx && whole.end[i].end_ns == cut.end[i].end_ns &&
                   whole.end[i].lost_ps == cut.end[i].lost_ps;
        if (!same)
            fail_msg("load %" PRIu64 " differs", seed);
    }
}

/* ---- the equation, integrated in small steps --------------------------------------------------
 */

#define STEP_NS 2000

struct slow {
    int job, segment;
    double left_ns, ready_ns;
};

static double speed(const struct load *l, const struct slow *s, const bool *runs, int i)
{
    double arithmetic = 0, memory = 0;
    for (int k = 0; k < l->n; k++)
        if (runs[k]) {
            arithmetic += l->job[k][s[k].job].work.arithmetic / (double)TR_DEMAND_ONE;
            memory += l->job[k][s[k].job].work.memory / (double)TR_DEMAND_ONE;
        }
    const struct tr_work *w = &l->job[i][s[i].job].work;
    double u = TR_MAX(w->arithmetic, w->memory) / (double)TR_DEMAND_ONE;
    double x = fmax(arithmetic, memory);
    return pow(1 + pow(x, 1.1) - pow(u, 1.1), -1 / 1.1);
}

/* Where the job's next segment begins. */
static void load_segment(const struct load *l, struct slow *s, int i, double from_ns)
{
    const struct tr_work *w = &l->job[i][s->job].work;
    s->left_ns = (double)w->gpu_ps / 1000 / (w->gaps + 1);
    s->ready_ns = s->segment > 0
                      ? from_ns + (double)w->gap_ps / 1000
                      : fmax(from_ns, (double)l->job[i][0].from_ns) + (double)w->delay_ps / 1000;
}

/* The time of each context's end of each job, with one job posted at a time and none late. */
static void integrate(const struct load *l, double end_ns[MAX_N][MAX_JOBS])
{
    struct slow s[MAX_N] = {0};
    int open = l->n;
    for (int i = 0; i < l->n; i++)
        load_segment(l, &s[i], i, 0);
    for (double now_ns = 0; open > 0; now_ns += STEP_NS) {
        bool runs[MAX_N];
        double at[MAX_N];
        for (int i = 0; i < l->n; i++)
            runs[i] = s[i].job < l->n_jobs && s[i].ready_ns <= now_ns;
        for (int i = 0; i < l->n; i++)
            at[i] = runs[i] ? speed(l, s, runs, i) : 0;
        for (int i = 0; i < l->n; i++) {
            s[i].left_ns -= at[i] * STEP_NS;
            if (!runs[i] || s[i].left_ns > 0)
                continue;
            double over_ns = -s[i].left_ns / at[i], done_ns = now_ns + STEP_NS - over_ns;
            if (s[i].segment++ == l->job[i][s[i].job].work.gaps) {
                end_ns[i][s[i].job++] = done_ns;
                s[i].segment = 0;
                open -= s[i].job == l->n_jobs;
            }
            if (s[i].job < l->n_jobs)
                load_segment(l, &s[i], i, done_ns);
        }
    }
}

/* A step of 2 us at every begin and end of a piece is what the integration can be off by. */
static void ends_are_those_of_the_integrated_equation(void **state)
{
    (void)state;
    static struct load l;
    static struct ends ends;
    static double slow[MAX_N][MAX_JOBS];
    int64_t compared = 0, met = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct draw d = {seed, tr_rng_stream("overlap load", 1, 0), 0};
        int done[MAX_N] = {0};
        random_load(&l, &d);
        l.depth = 1;
        l.n_jobs = TR_MIN(l.n_jobs, 8);
        for (int i = 0; i < l.n; i++)
            for (int j = 1; j < l.n_jobs; j++)
                l.job[i][j].from_ns = l.job[i][0].from_ns;
        run_load(&l, NULL, &ends);
        integrate(&l, slow);
        for (int i = 0; i < ends.n; i++) {
            int ctx = ends.end[i].ctx, job = done[ctx]++;
            double off_ns = (double)ends.end[i].end_ns - slow[ctx][job];
            if (fabs(off_ns) > STEP_NS * (4.0 + 2.0 * l.n * (job + 1)))
                fail_msg("load %" PRIu64 ", context %d, job %d: %" PRId64 " ns, integrated %.0f",
                         seed, ctx, job, ends.end[i].end_ns, slow[ctx][job]);
            met += ends.end[i].lost_ps > l.job[ctx][job].work.gpu_ps / 10;
            compared++;
        }
    }
    assert_true(compared > 800 && met > 400); /* and they did get in each other's way */
}

/* ---- what is known of MPS ---------------------------------------------------------------------
 */

/* Work done by `n` clients that always have another piece, over that of one alone. */
static double total(int n, double arithmetic, double memory)
{
    struct tr_overlap o;
    struct tr_work w = {.gpu_ps = 3 * MS_PS,
                        .arithmetic = (int32_t)(arithmetic * TR_DEMAND_ONE),
                        .memory = (int32_t)(memory * TR_DEMAND_ONE)};
    int64_t end_ns = 0, lost_ps;
    int ctx;
    tr_overlap_init(&o, n, TR_MPS_SHARPNESS);
    for (int i = 0; i < 2 * n; i++)
        tr_overlap_post(&o, i / 2, 0, &w);
    for (int i = 0; i < 100 * n; i++) {
        assert_int_equal(tr_overlap_advance(&o, TR_TIME_NEVER, &ctx, &end_ns, &lost_ps), 1);
        assert_int_equal(ctx, i % n); /* equal clients end together, the first one first */
        tr_overlap_post(&o, ctx, end_ns, &w);
    }
    assert_int_equal(tr_overlap_stats(&o).busy_ns, end_ns);
    return 100.0 * n * 3e6 / (double)end_ns;
}

/* YOLOS on an A100: 3, 5 and 7 processes under MPS do 1.61, 1.83 and 1.93 of one's work. */
static void published_totals_are_reproduced(void **state)
{
    (void)state;
    static const double formula[] = {1.615, 1.828, 1.933}, measured[] = {1.61, 1.83, 1.93};
    for (int i = 0; i < 3; i++) {
        double at = total(3 + 2 * i, 0.45, 0.2);
        assert_true(fabs(at - formula[i]) < 0.001);
        assert_true(fabs(at / measured[i] - 1) < 0.005);
    }
    assert_true(fabs(total(2, 0.3, 0.75) - 1.15) < 0.005);
}

static void the_limits_are_those_of_the_card(void **state)
{
    (void)state;
    for (int n = 2; n <= 8; n++) {
        assert_true(fabs(total(n, 1, 1) - 1) < 1e-8); /* saturated: no gain, no loss */
        assert_true(fabs(total(n, 0.2, 1) - 1) < 1e-8);
        assert_true(fabs(total(n, 0, 0) - n) < 1e-9); /* nothing in common */
        /* Never more than the card, nor than all of them alone. */
        for (double u = 0.05; u < 1; u += 0.05) {
            assert_true(total(n, u, u / 3) <= TR_MIN((double)n, 1 / u) + 1e-9);
            assert_true(total(n, u, u / 3) >= 1 - 1e-9);
        }
    }
}

/* One asks for arithmetic, the other for bandwidth: better than two that want the same. */
static void unlike_demands_overlap_better(void **state)
{
    (void)state;
    struct tr_overlap o;
    struct tr_work one = {.gpu_ps = 4 * MS_PS, .arithmetic = TR_DEMAND_ONE * 9 / 10},
                   two = {.gpu_ps = 4 * MS_PS, .memory = TR_DEMAND_ONE * 9 / 10};
    int64_t apart_ns, same_ns, lost_ps;
    int ctx;
    tr_overlap_init(&o, 2, TR_MPS_SHARPNESS);
    tr_overlap_post(&o, 0, 0, &one);
    tr_overlap_post(&o, 1, 0, &two);
    assert_int_equal(tr_overlap_advance(&o, TR_TIME_NEVER, &ctx, &apart_ns, &lost_ps), 1);
    assert_int_equal(lost_ps, 0);
    tr_overlap_init(&o, 2, TR_MPS_SHARPNESS);
    tr_overlap_post(&o, 0, 0, &one);
    tr_overlap_post(&o, 1, 0, &one);
    assert_int_equal(tr_overlap_advance(&o, TR_TIME_NEVER, &ctx, &same_ns, &lost_ps), 1);
    assert_int_equal(apart_ns, 4000000);
    assert_true(same_ns > 7000000 && lost_ps / 1000 == same_ns - 4000000);
}

/* ---- alone ------------------------------------------------------------------------------------
 */

/* Pieces of a stretch, one by one or taken together, with a neighbour that comes in the middle. */
static void a_stretch_alone_is_taken_as_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct draw d = {seed, tr_rng_stream("overlap stretch", 0, 0), 0};
        int64_t gpu_ps = between(&d, 1000, 3 * MS_PS), growth_ps = between(&d, 0, 90000);
        int64_t until_ns = between(&d, 1, 400) * gpu_ps / 2000 + 1, end_ns[2] = {0}, at_ns, lost_ps;
        struct tr_work w = {.gpu_ps = gpu_ps, .memory = TR_DEMAND_ONE / 2};
        struct tr_overlap o[2];
        int ctx, most = (int)between(&d, 1, 300), pieces[2] = {0};
        for (int skip = 0; skip < 2; skip++) {
            tr_overlap_init(&o[skip], 3, TR_MPS_SHARPNESS);
            for (int k = 0; k < 2; k++) {
                w.gpu_ps = gpu_ps + k * growth_ps;
                tr_overlap_post(&o[skip], 1, 7, &w);
            }
            if (skip) {
                int64_t n = tr_overlap_skip(&o[1], 1, growth_ps, most, until_ns, &end_ns[1]);
                w.gpu_ps += n * growth_ps;
                pieces[1] = (int)n;
            }
            while (pieces[skip] < most &&
                   tr_overlap_advance(&o[skip], until_ns, &ctx, &end_ns[skip], &lost_ps)) {
                assert_int_equal(lost_ps, 0);
                w.gpu_ps += growth_ps;
                tr_overlap_post(&o[skip], 1, end_ns[skip], &w);
                pieces[skip]++;
            }
        }
        assert_int_equal(pieces[0], pieces[1]);
        assert_int_equal(end_ns[0], end_ns[1]);
        struct tr_work other = {.gpu_ps = gpu_ps / 2 + 1, .memory = TR_DEMAND_ONE};
        int64_t after[2] = {0};
        for (int skip = 0; skip < 2; skip++) {
            tr_overlap_advance(&o[skip], end_ns[skip] + 1, &ctx, &at_ns, &lost_ps);
            tr_overlap_post(&o[skip], 2, end_ns[skip] + 1, &other);
            for (int k = 0;
                 k < 3 && tr_overlap_advance(&o[skip], TR_TIME_NEVER, &ctx, &at_ns, &lost_ps); k++)
                after[skip] = after[skip] * 31 + at_ns * 3 + ctx + lost_ps;
            after[skip] += tr_overlap_stats(&o[skip]).busy_ns;
        }
        assert_int_equal(after[0], after[1]);
    }
}

/* Whatever runs beside whatever: the card is busy whenever anybody is ready, nobody takes less time
 * than alone, and the sum of speeds is never above what the demands allow (asserted inside). */
static void work_is_conserved(void **state)
{
    (void)state;
    static struct load l;
    static struct ends ends;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct draw d = {seed, tr_rng_stream("overlap load", 2, 0), 0};
        int64_t longest_ps = 0, sum_ps = 0;
        random_load(&l, &d);
        for (int i = 0; i < l.n; i++) {
            int64_t own_ps = 0;
            for (int j = 0; j < l.n_jobs; j++) {
                l.job[i][j].from_ns = 0;
                l.job[i][j].work.gaps = 0;
                l.job[i][j].work.delay_ps = 0;
                own_ps += l.job[i][j].work.gpu_ps;
            }
            longest_ps = TR_MAX(longest_ps, own_ps);
            sum_ps += own_ps;
        }
        run_load(&l, NULL, &ends);
        int64_t end_ns = ends.end[ends.n - 1].end_ns;
        assert_int_equal(ends.stats.busy_ns, end_ns);
        assert_true(end_ns >= longest_ps / 1000);
        assert_true(end_ns <= sum_ps / 1000 + ends.n); /* sharing is never worse than queueing */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting_time_into_pieces_changes_nothing),
        cmocka_unit_test(ends_are_those_of_the_integrated_equation),
        cmocka_unit_test(published_totals_are_reproduced),
        cmocka_unit_test(the_limits_are_those_of_the_card),
        cmocka_unit_test(unlike_demands_overlap_better),
        cmocka_unit_test(a_stretch_alone_is_taken_as_one),
        cmocka_unit_test(work_is_conserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
