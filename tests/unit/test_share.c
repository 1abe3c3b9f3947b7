/* Tests of share: the ring against what is known of time-slicing and against slower descriptions of
 * itself; devices against the same device taken step by step. */
#include "share/device.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "num/num.h"

#define MS_PS INT64_C(1000000000)
#define US_PS INT64_C(1000000)

static struct tr_arena arena;
static struct tr_steptime table[2]; /* tiny model on an A100: synchronous, asynchronous */
static struct tr_steptime
    rounded; /* asynchronous, in whole 10 us, so that everything can coincide */

static int setup(void **state)
{
    (void)state;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    for (int async = 0; async < 2; async++)
        tr_steptime_init(&table[async], &arena, &hw, &tiny, &bf16, 256, 16, async, false);
    int64_t *tok_ps = TR_ARENA_NEW(&arena, int64_t, 257),
            *row_ps = TR_ARENA_NEW(&arena, int64_t, 17);
    for (int i = 0; i <= 256; i++)
        tok_ps[i] = (30 + i / 8) * 10 * US_PS;
    for (int i = 0; i <= 16; i++)
        row_ps[i] = i / 4 * 10 * US_PS;
    rounded = table[1];
    rounded.tok_ps = tok_ps;
    rounded.row_ps = row_ps;
    rounded.dec_ps = rounded.ctx_ps = 0;
    rounded.attn_s = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

struct draw {
    uint64_t seed, stream, index;
};

static int64_t between(struct draw *d, int64_t lo, int64_t hi) /* both included */
{
    return lo + (int64_t)(tr_rng_u64(d->seed, d->stream, d->index++) % (uint64_t)(hi - lo + 1));
}

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
    struct tr_ring_stats stats;
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

/* ---- devices --------------------------------------------------------------------------------- */

#define REQUESTS 120

struct stream {
    int n;
    struct {
        int64_t at_ns;
        int pod;
        struct tr_engine_request q;
    } send[REQUESTS];
};

static struct tr_device_config device_config(int pods, bool async)
{
    return (struct tr_device_config){
        .engine = {.steptime = &table[async],
                   .max_num_batched_tokens = 256,
                   .max_num_seqs = 16,
                   .max_model_len = 640,
                   .num_gpu_blocks = 60,
                   .async = async},
        .n_pods = pods,
        .quantum_ps = 1024 * US_PS,
        .switch_ps = 113 * US_PS,
    };
}

static void random_stream(struct stream *s, struct draw *d, int pods)
{
    int64_t now_ns = 0, gap_ns = (int64_t[]){200000, 4000000, 60000000}[between(d, 0, 2)];
    s->n = REQUESTS;
    for (int i = 0; i < s->n; i++) {
        now_ns += between(d, 0, 4) ? between(d, 0, gap_ns) : 0;
        s->send[i].at_ns = now_ns;
        s->send[i].pod = (int)between(d, 0, pods - 1);
        s->send[i].q = (struct tr_engine_request){.id = i,
                                                  .arrival_ns = now_ns,
                                                  .prompt_tok = (int32_t)between(d, 1, 300),
                                                  .output_tok = (int32_t)between(d, 1, 340)};
    }
}

/* `pieces`: times are cut besides. Only requests of `only` (-1: all) are sent. */
static void run_device(const struct tr_device_config *cfg, const struct stream *s, int only,
                       struct draw *pieces, struct kept *out)
{
    kept_open(out, REQUESTS);
    struct tr_device *d = tr_device_new(cfg, kept_sink, out);
    int64_t now_ns = 0;
    for (int i = 0; i < s->n; i++) {
        while (pieces != NULL && now_ns < s->send[i].at_ns) {
            int64_t piece_ns = between(pieces, 1, 5000000);
            now_ns = TR_MIN(now_ns + piece_ns, s->send[i].at_ns);
            tr_device_advance(d, now_ns);
        }
        if (only >= 0 && s->send[i].pod != only)
            continue;
        now_ns = s->send[i].at_ns;
        tr_device_advance(d, now_ns);
        int pod = s->send[i].pod % cfg->n_pods;
        tr_device_send(d, pod, &s->send[i].q, now_ns + TR_API_NS);
        assert_true(tr_device_outstanding(d, pod) > 0);
    }
    for (; pieces != NULL && now_ns < INT64_C(20000000000); now_ns += between(pieces, 1, 50000000))
        tr_device_advance(d, now_ns);
    tr_device_advance(d, TR_TIME_NEVER);
    for (int i = 0; i < cfg->n_pods; i++)
        assert_int_equal(tr_device_outstanding(d, i), 0);
    tr_device_free(d);
}

/* Step by step and slice by slice, or whole stretches at once, or in small pieces of time. */
static void a_device_is_the_same_however_it_is_advanced(void **state)
{
    (void)state;
    static struct stream s;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        struct draw d = {seed, tr_rng_stream("device", 0, 0), 0};
        int pods = (int)between(&d, 1, 4);
        struct tr_device_config cfg = device_config(pods, between(&d, 0, 3) > 0);
        struct kept fast, exact, cut;
        bool coincide = cfg.engine.async && between(&d, 0, 2) == 0;
        cfg.engine.stop_token = between(&d, 0, 1);
        cfg.engine.timeout_ns = between(&d, 0, 2) ? 0 : between(&d, 6, 100) * TR_NS_PER_MS;
        cfg.engine.ttft_limit_ns = 20 * TR_NS_PER_MS;
        random_stream(&s, &d, pods);
        for (int i = 0; i < s.n && coincide; i++)
            s.send[i].q.arrival_ns = s.send[i].at_ns = s.send[i].at_ns / 10000 * 10000;
        if (coincide) {
            cfg.engine.steptime = &rounded;
            cfg.quantum_ps = 1000 * US_PS;
            cfg.switch_ps = 100 * US_PS;
        }
        run_device(&cfg, &s, -1, NULL, &fast);
        run_device(&cfg, &s, -1, &d, &cut);
        cfg.exact = true;
        run_device(&cfg, &s, -1, NULL, &exact);
        assert_int_equal(fast.n, REQUESTS);
        if (kept_differ(&fast, &exact) >= 0 || kept_differ(&fast, &cut) >= 0)
            fail_msg("device %" PRIu64 ", %d pods: request %" PRId64 " / %" PRId64, seed, pods,
                     kept_differ(&fast, &exact), kept_differ(&fast, &cut));
        free(fast.record);
        free(exact.record);
        free(cut.record);
    }
}

/* Neighbours that have nothing to do cost nothing: the same times to the nanosecond. */
static void one_busy_pod_has_the_card_to_itself(void **state)
{
    (void)state;
    static struct stream s;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct draw d = {seed, tr_rng_stream("device", 1, 0), 0};
        bool async = between(&d, 0, 1);
        int pods = (int)between(&d, 2, 8), busy = (int)between(&d, 0, pods - 1);
        struct tr_device_config shared = device_config(pods, async),
                                whole = device_config(1, async);
        struct kept a, b;
        shared.exact = between(&d, 0, 1);
        random_stream(&s, &d, pods);
        run_device(&shared, &s, busy, NULL, &a);
        run_device(&whole, &s, busy, NULL, &b);
        assert_true(a.n > 0);
        assert_int_equal(kept_differ(&a, &b), -1);
        free(a.record);
        free(b.record);
    }
}

/* A request alone is served in the time its steps say, whatever gaps a synchronous engine leaves on
 * the card: host time is counted once. */
static void gaps_never_lengthen_a_step_that_runs_alone(void **state)
{
    (void)state;
    for (int async = 0; async < 2; async++)
        for (int32_t output = 1; output < 40; output += 19) {
            struct tr_device_config cfg = device_config(4, async);
            struct stream s = {.n = 1};
            struct kept k;
            s.send[0].q = (struct tr_engine_request){.prompt_tok = 600, .output_tok = output};
            run_device(&cfg, &s, -1, NULL, &k);
            const struct tr_steptime *st = &table[async];
            int64_t ps = tr_steptime_prefill_ps(st, 600, 256);
            assert_int_equal(k.record[0].first_token_ns, TR_API_NS + ps / 1000);
            for (int j = 1; j < output; j++)
                ps += tr_steptime_ps(st, 1, 1, 1, 600 + j, 0);
            int64_t error_ns = k.record[0].last_token_ns - (TR_API_NS + ps / 1000);
            assert_in_range(error_ns + 1, 0, 2);
            free(k.record);
        }
}

/* Each of two pods that decode without end is slowed by the other and by the switches. */
static void two_busy_pods_slow_each_other_down(void **state)
{
    (void)state;
    struct tr_device_config cfg = device_config(2, true);
    struct stream s = {.n = 2};
    struct kept alone, both;
    for (int i = 0; i < 2; i++) {
        s.send[i].pod = i;
        s.send[i].q = (struct tr_engine_request){.id = i, .prompt_tok = 10, .output_tok = 600};
    }
    run_device(&cfg, &s, 0, NULL, &alone);
    run_device(&cfg, &s, -1, NULL, &both);
    for (int i = 0; i < 2; i++) {
        double slower = (double)tr_record_metric(&both.record[i], TR_TPOT) /
                        (double)tr_record_metric(&alone.record[0], TR_TPOT);
        assert_true(fabs(slower / (2 * 1.137 / 1.024) - 1) < 0.03);
    }
    free(alone.record);
    free(both.record);
}

/* ---- traces ---------------------------------------------------------------------------------- */

struct seen {
    int64_t last_ns;
    int reach, step, end, done, other;
};

static void on_event(void *arg, const struct tr_trace_event *ev)
{
    struct seen *s = arg;
    assert_true(ev->time_ns >= s->last_ns);
    s->last_ns = ev->time_ns;
    s->reach += strcmp(ev->what, "reach") == 0;
    s->step += strcmp(ev->what, "step") == 0 && ev->step->tokens > 0;
    s->end += strcmp(ev->what, "end") == 0;
    s->done += strcmp(ev->what, "done") == 0;
    s->other += ev->pod < 6 || ev->pod > 7;
}

static void a_trace_tells_everything_in_order(void **state)
{
    (void)state;
    struct tr_device_config cfg = device_config(2, true);
    struct kept k;
    struct seen seen = {0};
    cfg.first_pod = 6;
    kept_open(&k, 4);
    struct tr_device *d = tr_device_new(&cfg, kept_sink, &k);
    tr_device_trace(d, on_event, &seen);
    for (int i = 0; i < 4; i++)
        tr_device_send(d, i % 2,
                       &(struct tr_engine_request){.id = i, .prompt_tok = 20, .output_tok = 5},
                       TR_API_NS);
    tr_device_advance(d, TR_TIME_NEVER);
    assert_int_equal(seen.reach, 4);
    assert_int_equal(seen.done, 4);
    assert_int_equal(seen.step, 10); /* two pods, five steps of two requests each */
    assert_int_equal(seen.end, 10);
    assert_int_equal(seen.other, 0);
    assert_int_equal(k.record[3].pod, 7);
    tr_device_free(d);
    free(k.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ring_is_the_same_however_it_is_advanced),
        cmocka_unit_test(work_is_conserved),
        cmocka_unit_test(saturated_contexts_share_what_switching_leaves),
        cmocka_unit_test(published_measurements_are_reproduced),
        cmocka_unit_test(a_newcomer_waits_for_a_switch_and_at_most_a_quantum_of_each),
        cmocka_unit_test(equal_engines_at_low_load_share_the_processor),
        cmocka_unit_test(a_device_is_the_same_however_it_is_advanced),
        cmocka_unit_test(one_busy_pod_has_the_card_to_itself),
        cmocka_unit_test(gaps_never_lengthen_a_step_that_runs_alone),
        cmocka_unit_test(two_busy_pods_slow_each_other_down),
        cmocka_unit_test(a_trace_tells_everything_in_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
