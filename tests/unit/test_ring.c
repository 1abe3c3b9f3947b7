/* Tests of the ring: against what is known of time-slicing, and against itself taken slice by slice
 * and cut into pieces of time. */
#include "share/lone.h"
#include "share/ring.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "num/num.h"

#define MS_PS INT64_C(1000000000)
#define US_PS INT64_C(1000000)

/* ---- a ring under load ----------------------------------------------------------------------- */

#define MAX_JOBS 64

/* Each context has its jobs in a row; `depth` of them may be posted, the first not before its time.
 */
struct load {
    int n, depth, n_jobs;
    int64_t quantum_ps, switch_ps;
    struct job {
        int64_t from_ns;
        struct tr_work work;
    } job[8][MAX_JOBS];
};

struct ends {
    int n;
    struct {
        int ctx;
        int64_t end_ns, lost_ps;
    } end[8 * MAX_JOBS];
    struct tr_share_stats stats;
};

/* Posts what can be posted at `now_ns`; the earliest time at which more can be. */
static int64_t post(struct tr_ring *r, const struct load *l, int posted[8], const int done[8],
                    int64_t now_ns)
{
    int64_t next_ns = TR_TIME_NEVER;
    for (int i = 0; i < l->n; i++) {
        while (posted[i] < l->n_jobs && posted[i] - done[i] < l->depth &&
               l->job[i][posted[i]].from_ns <= now_ns) {
            tr_ring_post(r, i, now_ns, &l->job[i][posted[i]].work);
            posted[i]++;
        }
        if (posted[i] < l->n_jobs && posted[i] - done[i] < l->depth)
            next_ns = TR_MIN(next_ns, l->job[i][posted[i]].from_ns);
    }
    return next_ns;
}

/* Runs the load; `pieces`: advances in spans of random length besides. */
static void run_load(const struct load *l, bool exact, struct draw *pieces, struct ends *out)
{
    struct tr_ring r;
    int posted[8] = {0}, done[8] = {0}, ctx;
    int64_t now_ns = 0, lost_ps, end_ns;
    tr_ring_init(&r, l->n, l->quantum_ps, l->switch_ps);
    r.exact = exact;
    out->n = 0;
    while (out->n < l->n * l->n_jobs) {
        int64_t next_ns = post(&r, l, posted, done, now_ns), until_ns = next_ns;
        if (pieces != NULL) {
            int64_t piece_ns = between(pieces, 1, 3000000);
            until_ns = TR_MIN(until_ns, now_ns + piece_ns);
        }
        if (tr_ring_advance(&r, until_ns, &ctx, &end_ns, &lost_ps)) {
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
    out->stats = tr_ring_stats(&r);
}

static void random_load(struct load *l, struct draw *d)
{
    *l = (struct load){.n = (int)between(d, 1, 6),
                       .depth = (int)between(d, 1, 2),
                       .n_jobs = (int)between(d, 1, 24),
                       .quantum_ps = between(d, 1, 4) * 512 * US_PS,
                       .switch_ps = between(d, 0, 3) * 75 * US_PS};
    int64_t longest_ps = (int64_t[]){US_PS, 3 * MS_PS, 40 * MS_PS}[between(d, 0, 2)];
    int64_t gap_ns = (int64_t[]){0, 1000000, 60000000}[between(d, 0, 2)];
    bool round = between(d, 0, 3) == 0; /* multiples of the quantum: everything ends at once */
    for (int i = 0; i < l->n; i++) {
        int64_t now_ns = between(d, 0, gap_ns);
        for (int j = 0; j < l->n_jobs; j++) {
            struct tr_work w = {.gpu_ps = between(d, 100, longest_ps)};
            if (round)
                w.gpu_ps = between(d, 1, 9) * l->quantum_ps;
            if (between(d, 0, 1)) {
                w.gaps = (int)between(d, 0, 3);
                w.gap_ps = between(d, 0, 1) * between(d, 0, 200 * US_PS);
                w.delay_ps = between(d, 0, 1) * between(d, 0, MS_PS);
            }
            now_ns += between(d, 0, 3) ? 0 : between(d, 0, gap_ns);
            l->job[i][j] = (struct job){.from_ns = now_ns, .work = w};
        }
    }
}

static void check_same(const struct ends *a, const struct ends *b, uint64_t seed, const char *what)
{
    bool same = a->n == b->n && a->stats.busy_ns == b->stats.busy_ns &&
                a->stats.switch_ns == b->stats.switch_ns && a->stats.slices == b->stats.slices;
    for (int i = 0; i < a->n && same; i++)
        same = a->end[i].ctx == b->end[i].ctx && a->end[i].end_ns == b->end[i].end_ns &&
               a->end[i].lost_ps == b->end[i].lost_ps;
    if (!same)
        fail_msg("load %" PRIu64 ": %s differs", seed, what);
}

/* Whole rounds skipped at once, every slice walked, time cut into small pieces: the same. */
static void the_ring_is_the_same_however_it_is_advanced(void **state)
{
    (void)state;
    static struct load l;
    static struct ends fast, exact, cut, exact_cut;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        struct draw d = {seed, tr_rng_stream("ring load", 0, 0), 0};
        random_load(&l, &d);
        run_load(&l, false, NULL, &fast);
        run_load(&l, true, NULL, &exact);
        check_same(&fast, &exact, seed, "skipping rounds");
        run_load(&l, false, &d, &cut);
        check_same(&fast, &cut, seed, "cutting time into pieces");
        run_load(&l, true, &d, &exact_cut);
        check_same(&fast, &exact_cut, seed, "cutting slices into pieces");
    }
}

/* Pieces without gaps and delays, looked at in the middle of them. */
static void a_lone_context_is_a_ring_of_one(void **state)
{
    (void)state;
    static struct load l;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        struct draw d = {seed, tr_rng_stream("lone load", 0, 0), 0};
        struct tr_ring r;
        struct tr_lone lone = {0};
        random_load(&l, &d);
        tr_ring_init(&r, 1, l.quantum_ps, l.switch_ps);
        int posted = 0, done = 0;
        for (int64_t now_ns = 0; done < l.n_jobs;) {
            int64_t until_ns = now_ns + between(&d, 1, 3000000), ring_ns = 0, lone_ns = 0, lost_ps;
            int ctx;
            for (; posted < l.n_jobs && posted - done < l.depth; posted++) {
                const struct job *job = &l.job[0][posted];
                if (job->from_ns > now_ns) {
                    until_ns = TR_MIN(until_ns, job->from_ns);
                    break;
                }
                struct tr_work w = {.gpu_ps = job->work.gpu_ps};
                tr_ring_post(&r, 0, now_ns, &w);
                tr_lone_post(&lone, now_ns, w.gpu_ps);
            }
            bool ended = tr_ring_advance(&r, until_ns, &ctx, &ring_ns, &lost_ps);
            assert_int_equal(tr_lone_advance(&lone, until_ns, &lone_ns), ended);
            assert_int_equal(lone_ns, ring_ns);
            now_ns = ended ? ring_ns : until_ns;
            done += ended;
            struct tr_share_stats a = tr_ring_stats(&r), b = tr_lone_stats(&lone);
            if (!ended && (a.busy_ns != b.busy_ns || a.slices != b.slices))
                fail_msg("load %" PRIu64 ": a counter differs", seed);
        }
    }
}

/* Contexts that always have two pieces posted, each longer than the one before by a constant; those
 * from `n_busy` on have a single piece, posted at random times. */
struct decode {
    int n, n_busy;
    int64_t first_ps[8], growth_ps[8], posted[8];
    int64_t done[8], lost_ps[8], end_ns[8]; /* as told */
    struct tr_share_stats stats;
};

static void post_next(struct tr_ring *r, struct decode *x, int ctx, int64_t now_ns)
{
    struct tr_work w = {.gpu_ps = x->first_ps[ctx] + x->posted[ctx]++ * x->growth_ps[ctx]};
    tr_ring_post(r, ctx, now_ns, &w);
}

static void decode_until(struct tr_ring *r, struct decode *x, struct draw *most, int64_t until_ns)
{
    int64_t end_ns, lost_ps;
    int ctx;
    for (;;) {
        struct tr_stretch s[TR_MAX_PODS] = {0};
        for (int i = 0; i < x->n_busy && most != NULL; i++)
            s[i] = (struct tr_stretch){.growth_ps = x->growth_ps[i],
                                       .most = between(most, 0, 3) * between(most, 0, 60)};
        if (most != NULL && tr_ring_skip(r, s, until_ns))
            for (int i = 0; i < x->n; i++) {
                x->posted[i] += s[i].done;
                x->done[i] += s[i].done;
                x->lost_ps[i] += s[i].done > 0 ? s[i].lost_ps : 0;
                x->end_ns[i] = s[i].done > 0 ? s[i].end_ns : x->end_ns[i];
            }
        if (!tr_ring_advance(r, until_ns, &ctx, &end_ns, &lost_ps))
            return;
        x->done[ctx]++;
        x->lost_ps[ctx] += lost_ps;
        x->end_ns[ctx] = end_ns;
        if (ctx < x->n_busy)
            post_next(r, x, ctx, end_ns);
    }
}

/* Many completions taken at once: as many as one by one, as late, with as much time lost, at every
 * one of a row of moments. */
static void completions_taken_at_once_are_those_told_one_by_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct draw d = {seed, tr_rng_stream("ring decode", 0, 0), 0}, most = d;
        struct decode x[2] = {{.n = (int)between(&d, 1, 6)}};
        struct tr_ring r[2];
        most.stream++;
        x[0].n_busy = (int)between(&d, 1, x[0].n);
        bool round = between(&d, 0, 2) == 0; /* multiples of the quantum */
        for (int i = 0; i < x[0].n; i++) {
            x[0].first_ps[i] = round ? between(&d, 1, 9) * 512 * US_PS : between(&d, 1, 20 * MS_PS);
            x[0].growth_ps[i] = between(&d, 0, 2) * (round ? 512 * US_PS : between(&d, 0, US_PS));
        }
        x[1] = x[0];
        int64_t switch_ps = between(&d, 0, 2) * 113 * US_PS, now_ns = 0;
        for (int k = 0; k < 2; k++) {
            tr_ring_init(&r[k], x[k].n, 512 * US_PS, switch_ps);
            r[k].exact = k == 0;
            for (int i = 0; i < 2 * x[k].n_busy; i++)
                post_next(&r[k], &x[k], i / 2, 0);
        }
        for (int step = 0; step < 12; step++) {
            now_ns += between(&d, 1, step % 2 ? 3000000 : 600000000);
            int late = (int)between(&d, 0, x[0].n - 1);
            for (int k = 0; k < 2; k++) {
                decode_until(&r[k], &x[k], k == 0 ? NULL : &most, now_ns);
                x[k].stats = tr_ring_stats(&r[k]);
                if (late >= x[k].n_busy && r[k].ctx[late].queued == 0)
                    post_next(&r[k], &x[k], late, now_ns);
            }
            assert_memory_equal(&x[0], &x[1], sizeof x[0]);
        }
    }
}

/* What was posted has run, for as long as it takes, and nothing else has. */
static void work_is_conserved(void **state)
{
    (void)state;
    static struct load l;
    static struct ends ends;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct draw d = {seed, tr_rng_stream("ring load", 1, 0), 0};
        int64_t work_ps = 0, first_ns = TR_TIME_NEVER;
        random_load(&l, &d);
        run_load(&l, false, NULL, &ends);
        for (int i = 0; i < l.n; i++) {
            first_ns = TR_MIN(first_ns, l.job[i][0].from_ns);
            for (int j = 0; j < l.n_jobs; j++)
                work_ps += l.job[i][j].work.gpu_ps;
        }
        assert_int_equal(ends.stats.busy_ns, work_ps / 1000);
        assert_true(ends.end[ends.n - 1].end_ns + 1 - first_ns >=
                    ends.stats.busy_ns + ends.stats.switch_ns);
    }
}

/* ---- what is known of time-slicing ----------------------------------------------------------- */

/* `n` contexts that always have another piece of `work_ms` to run, `depth` posted at a time: the
 * mean time from one end to the next. */
static double saturated_ms(int n, int depth, double quantum_ms, double switch_ms, double work_ms,
                           int pieces, int64_t *first_busy_ns)
{
    struct tr_ring r;
    struct tr_work w = {.gpu_ps = (int64_t)(work_ms * 1e9)};
    int ctx, done[8] = {0};
    int64_t end_ns = 0, lost_ps;
    tr_ring_init(&r, n, (int64_t)(quantum_ms * 1e9), (int64_t)(switch_ms * 1e9));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < depth; k++)
            tr_ring_post(&r, i, 0, &w);
    while (done[0] < pieces) {
        assert_int_equal(tr_ring_advance(&r, TR_TIME_NEVER, &ctx, &end_ns, &lost_ps), 1);
        done[ctx]++;
        tr_ring_post(&r, ctx, end_ns, &w);
    }
    for (int i = 1; i < n; i++)
        assert_in_range(done[i], pieces - 1, pieces + 1); /* to each its share */
    if (first_busy_ns != NULL)
        *first_busy_ns = tr_ring_stats(&r).busy_ns;
    return (double)end_ns / 1e6 / pieces;
}

static void saturated_contexts_share_what_switching_leaves(void **state)
{
    (void)state;
    for (int n = 2; n <= 7; n++) {
        int64_t busy_ns;
        double ms = saturated_ms(n, 2, 1.024, 0.113, 5, 2000, &busy_ns);
        double eta = 1.024 / (1.024 + 0.113);
        assert_true(fabs(5 / ms / (eta / n) - 1) < 0.002);
        assert_true(fabs((double)busy_ns / (ms * 2000 * 1e6) - eta) < 0.002);
    }
    assert_true(fabs(saturated_ms(1, 2, 1.024, 0.113, 5, 2000, NULL) - 5) < 1e-9);
}

/* An RTX 5090 with six processes that each wait for a kernel of 12.957 ms before they start the
 * next: it takes 86.36 ms. An A100 with 3, 5 and 7 processes running a step of 88.0 ms of work:
 * 293.1, 489.0 and 684.9 ms. Such a piece ends its turn: n (w + ceil(w/q) c). */
static void published_measurements_are_reproduced(void **state)
{
    (void)state;
    double eun1 = saturated_ms(6, 1, 2.048, 0.21, 12.957, 200, NULL);
    assert_true(fabs(eun1 / 86.36 - 1) < 0.01);
    assert_true(fabs(eun1 / (6 * (12.957 + 7 * 0.21)) - 1) < 0.002);
    static const double nos1[3] = {293.1, 489.0, 684.9};
    for (int i = 0; i < 3; i++) {
        int n = 3 + 2 * i;
        assert_true(fabs(saturated_ms(n, 1, 1.024, 0.113, 88.0, 200, NULL) / nos1[i] - 1) < 0.01);
        assert_true(fabs(saturated_ms(n, 1, 2.048, 0.21, 88.0, 200, NULL) / nos1[i] - 1) < 0.01);
    }
}

/* `neighbours` are always busy; context 0 asks for 10 us now and then. The least and the most it
 * waited. */
static void newcomer(int neighbours, int64_t q, int64_t c, int64_t *least, int64_t *most)
{
    struct draw d = {1, tr_rng_stream("newcomer", 0, 0), 0};
    struct tr_work busy = {.gpu_ps = 7 * MS_PS}, small = {.gpu_ps = 10 * US_PS};
    int64_t now_ns = 0, end_ns, lost_ps;
    struct tr_ring r;
    int ctx;
    tr_ring_init(&r, neighbours + 1, q, c);
    for (int i = 1; i <= neighbours; i++)
        for (int k = 0; k < 2; k++)
            tr_ring_post(&r, i, 0, &busy);
    *least = INT64_MAX;
    *most = 0;
    for (int i = 0; i < 3000; i++) {
        int64_t from_ns = now_ns + between(&d, 2000000, 9000000);
        while (tr_ring_advance(&r, from_ns, &ctx, &end_ns, &lost_ps))
            tr_ring_post(&r, ctx, end_ns, &busy);
        tr_ring_post(&r, 0, from_ns, &small);
        for (;;) {
            assert_int_equal(tr_ring_advance(&r, TR_TIME_NEVER, &ctx, &end_ns, &lost_ps), 1);
            if (ctx == 0)
                break;
            tr_ring_post(&r, ctx, end_ns, &busy);
        }
        *least = TR_MIN(*least, lost_ps);
        *most = TR_MAX(*most, lost_ps);
        now_ns = end_ns;
    }
}

static void a_newcomer_waits_for_a_switch_and_at_most_a_quantum_of_each(void **state)
{
    (void)state;
    const int64_t q = 1024 * US_PS, c = 113 * US_PS;
    for (int n = 1; n <= 4; n++) {
        int64_t least, most;
        newcomer(n, q, c, &least, &most);
        assert_true(least >= c && least < c + n * q / 50);
        int64_t under_way = n > 1 ? c : 0; /* it may come while neighbours hand over */
        assert_true(most <= n * (q + c) + under_way && most > n * (q + c) - n * q / 50);
    }
}

/* ---- processor sharing, the oracle for equal engines at low load ----------------------------- */

#define PS_JOBS 6000

struct ps_job {
    double arrival_s, work_s;
    int ctx;
};

/* Contexts with work share the card, each serving its jobs in turn; switching costs 1 - eta as soon
 * as there are two. Mean time from arrival to end. */
static double ps_mean_s(const struct ps_job *job, int n_jobs, int n, double eta)
{
    int queue[4][PS_JOBS], head[4] = {0}, tail[4] = {0};
    double left[4] = {0}, now = 0, sum = 0;
    for (int next = 0, done = 0; done < n_jobs;) {
        int active = 0, first = -1;
        for (int i = 0; i < n; i++)
            if (head[i] < tail[i]) {
                active++;
                first = first < 0 || left[i] < left[first] ? i : first;
            }
        double rate = active > 1 ? eta / active : 1;
        double end = first < 0 ? INFINITY : now + left[first] / rate;
        double until = next < n_jobs && job[next].arrival_s < end ? job[next].arrival_s : end;
        for (int i = 0; i < n; i++)
            if (head[i] < tail[i])
                left[i] -= (until - now) * rate;
        now = until;
        if (until < end || first < 0) {
            int ctx = job[next].ctx;
            if (head[ctx] == tail[ctx])
                left[ctx] = job[next].work_s;
            queue[ctx][tail[ctx]++] = next++;
        } else {
            sum += now - job[queue[first][head[first]++]].arrival_s;
            done++;
            if (head[first] < tail[first])
                left[first] = job[queue[first][head[first]]].work_s;
        }
    }
    return sum / n_jobs;
}

static double ring_mean_s(const struct ps_job *job, int n_jobs, int n)
{
    int queue[4][PS_JOBS], posted[4] = {0}, done[4] = {0}, tail[4] = {0}, ctx, ended = 0;
    int64_t end_ns, lost_ps;
    double sum = 0;
    struct tr_ring r;
    tr_ring_init(&r, n, 1024 * US_PS, 113 * US_PS);
    for (int next = 0; ended < n_jobs;) {
        int64_t from_ns = next < n_jobs ? (int64_t)(job[next].arrival_s * 1e9) : TR_TIME_NEVER;
        int64_t now_ns = from_ns;
        if (tr_ring_advance(&r, from_ns, &ctx, &end_ns, &lost_ps)) {
            sum += (double)end_ns / 1e9 - job[queue[ctx][done[ctx]++]].arrival_s;
            ended++;
            now_ns = end_ns;
        } else {
            ctx = job[next].ctx;
            queue[ctx][tail[ctx]++] = next++;
        }
        for (; posted[ctx] < tail[ctx] && posted[ctx] - done[ctx] < 2; posted[ctx]++)
            tr_ring_post(
                &r, ctx, now_ns,
                &(struct tr_work){.gpu_ps = (int64_t)(job[queue[ctx][posted[ctx]]].work_s * 1e12)});
    }
    return sum / n_jobs;
}

static void equal_engines_at_low_load_share_the_processor(void **state)
{
    (void)state;
    static struct ps_job job[PS_JOBS];
    for (int n = 2; n <= 4; n++)
        for (int load = 1; load <= 5; load += 2) { /* tenths */
            uint64_t stream = tr_rng_stream("ps", (uint64_t)n, (uint64_t)load);
            double now = 0, work_s = 0.040;
            for (uint64_t i = 0; i < PS_JOBS; i++) {
                now += tr_rng_exp(1, stream, 3 * i) * work_s / (load / 10.0);
                job[i].arrival_s = now;
                job[i].work_s = work_s * (0.5 + tr_rng_unit(1, stream, 3 * i + 1));
                job[i].ctx = (int)(tr_rng_unit(1, stream, 3 * i + 2) * n);
            }
            double ps = ps_mean_s(job, PS_JOBS, n, 1.024 / 1.137);
            double ring = ring_mean_s(job, PS_JOBS, n);
            if (fabs(ring / ps - 1) > 0.05)
                fail_msg("%d engines, load 0.%d: ring %.4f s, shared %.4f s", n, load, ring, ps);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ring_is_the_same_however_it_is_advanced),
        cmocka_unit_test(a_lone_context_is_a_ring_of_one),
        cmocka_unit_test(completions_taken_at_once_are_those_told_one_by_one),
        cmocka_unit_test(work_is_conserved),
        cmocka_unit_test(saturated_contexts_share_what_switching_leaves),
        cmocka_unit_test(published_measurements_are_reproduced),
        cmocka_unit_test(a_newcomer_waits_for_a_switch_and_at_most_a_quantum_of_each),
        cmocka_unit_test(equal_engines_at_low_load_share_the_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
