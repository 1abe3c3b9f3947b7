/* Tests of devices: against the same device taken step by step, alone, and in company. */
#include "share/device.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

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

/* What a device has counted, but for the integral of KV blocks, which a stretch takes as a straight
 * line. */
struct counted {
    struct tr_share_stats hw;
    int64_t steps, decode_tok, prefill_tok, evicted_blocks, preemptions, kv_used_max;
};

static struct counted counted(const struct tr_device *d, int pods)
{
    struct counted c = {.hw = tr_device_stats(d)};
    for (int i = 0; i < pods; i++) {
        const struct tr_engine_stats *e = tr_engine_stats(tr_device_engine(d, i));
        c.steps += e->steps;
        c.decode_tok += e->decode_tok;
        c.prefill_tok += e->prefill_tok;
        c.evicted_blocks += e->evicted_blocks;
        c.preemptions += e->preemptions;
        c.kv_used_max += e->kv_used_max;
    }
    return c;
}

/* `pieces`: times are cut besides. Only requests of `only` (-1: all) are sent. */
static struct counted run_device(const struct tr_device_config *cfg, const struct stream *s,
                                 int only, struct draw *pieces, struct kept *out)
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
    struct counted c = counted(d, cfg->n_pods);
    tr_device_free(d);
    return c;
}

/* Step by step and slice by slice, or whole stretches at once, or in small pieces of time. */
static void a_device_is_the_same_however_it_is_advanced(void **state)
{
    (void)state;
    static struct stream s;
    for (uint64_t seed = 1; seed <= 180; seed++) {
        struct draw d = {seed, tr_rng_stream("device", 0, 0), 0};
        int pods = (int)between(&d, 1, 4);
        struct tr_device_config cfg = device_config(pods, between(&d, 0, 3) > 0);
        cfg.sharing = seed > 120 ? TR_MPS : TR_TIMESLICE;
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
        struct counted of_fast = run_device(&cfg, &s, -1, NULL, &fast);
        struct counted of_cut = run_device(&cfg, &s, -1, &d, &cut);
        cfg.exact = true;
        struct counted of_exact = run_device(&cfg, &s, -1, NULL, &exact);
        assert_int_equal(fast.n, REQUESTS);
        if (kept_differ(&fast, &exact) >= 0 || kept_differ(&fast, &cut) >= 0)
            fail_msg("device %" PRIu64 ", %d pods%s: request %" PRId64 " / %" PRId64, seed, pods,
                     cfg.sharing == TR_MPS ? ", MPS" : "", kept_differ(&fast, &exact),
                     kept_differ(&fast, &cut));
        assert_memory_equal(&of_fast, &of_exact, sizeof of_exact);
        assert_memory_equal(&of_cut, &of_exact, sizeof of_exact);
        free(fast.record);
        free(exact.record);
        free(cut.record);
    }
}

/* Neighbours that have nothing to do cost nothing: the same times to the nanosecond, whatever
 * engine they run. */
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
        shared.sharing = between(&d, 0, 1) ? TR_MPS : TR_TIMESLICE;
        struct tr_engine_config engines[8];
        for (int i = 0; i < pods; i++)
            engines[i] = device_config(1, i == busy ? async : !async).engine;
        shared.engine = engines[(busy + 1) % pods]; /* not the busy pod's */
        shared.engines = engines;
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

/* Under MPS two pods that decode beside each other read the weights twice, at the same time: each
 * is slowed, less than by taking turns, and as the formula says. */
static void two_busy_pods_overlap_under_mps(void **state)
{
    (void)state;
    struct tr_device_config cfg = device_config(2, true);
    struct stream s = {.n = 2};
    struct kept alone, both;
    cfg.sharing = TR_MPS;
    for (int i = 0; i < 2; i++) {
        s.send[i].pod = i;
        s.send[i].q = (struct tr_engine_request){.id = i, .prompt_tok = 10, .output_tok = 600};
    }
    run_device(&cfg, &s, 0, NULL, &alone);
    run_device(&cfg, &s, -1, NULL, &both);
    const struct tr_steptime *st = &table[1];
    struct tr_step middle = {.tokens = 1, .rows = 1, .decodes = 1, .context_tok = 310};
    double a = (double)tr_steptime_demand(st, &middle).arithmetic_ps;
    double b = (double)tr_steptime_demand(st, &middle).memory_ps;
    double u = TR_MAX(a, b) / (double)tr_steptime_ps(st, 1, 1, 1, 310, 0);
    double rate = pow(1 + pow(2 * u, 1.1) - pow(u, 1.1), -1 / 1.1);
    assert_true(u > 0.01 && u < 0.5); /* a tiny model is mostly launches */
    for (int i = 0; i < 2; i++) {
        double slower = (double)tr_record_metric(&both.record[i], TR_TPOT) /
                        (double)tr_record_metric(&alone.record[0], TR_TPOT);
        assert_true(fabs(slower * rate - 1) < 0.002);
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

/* ---- restarts -------------------------------------------------------------------------------- */

/* Sends a request whose 160 tokens of prompt all share key 9. */
static void send_shared(struct tr_device *d, int pod, int64_t id, int64_t at_ns, int32_t output)
{
    struct tr_engine_request q = {.id = id,
                                  .arrival_ns = at_ns,
                                  .prompt_tok = 160,
                                  .output_tok = output,
                                  .chain = {.n = 1, .own = {{9, 160}}}};
    tr_device_advance(d, at_ns);
    tr_device_send(d, pod, &q, at_ns + TR_API_NS);
}

/* Whatever is in flight when pod 0 restarts, on its way or in it: it leaves then and there, pod 1
 * loses nothing, and the next request computes again what was cached. */
static void a_restarted_pod_loses_what_it_holds_and_remembers_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        struct tr_device_config cfg = device_config(2, kind & 1);
        int64_t at_ns = INT64_C(3000000000) + (kind >> 1) * INT64_C(7777777);
        struct kept k;
        cfg.engine.enable_prefix_caching = true;
        cfg.sharing = kind & 2 ? TR_MPS : TR_TIMESLICE;
        kept_open(&k, 7);
        struct tr_device *d = tr_device_new(&cfg, kept_sink, &k);
        send_shared(d, 0, 0, 0, 2);
        send_shared(d, 0, 1, 1000000000, 2);
        send_shared(d, 1, 2, 2990000000, 400);
        send_shared(d, 0, 3, 2990000000, 400);
        send_shared(d, 0, 4, 2990000001, 400);
        send_shared(d, 0, 5, at_ns - 1, 400); /* still on its way */
        tr_device_advance(d, at_ns);
        tr_device_restart(d, 0, at_ns);
        assert_int_equal(k.n, 5);
        assert_int_equal(tr_device_outstanding(d, 0), 0);
        assert_int_equal(tr_device_outstanding(d, 1), 1);
        send_shared(d, 0, 6, at_ns, 2);
        tr_device_advance(d, TR_TIME_NEVER);
        for (int id = 0; id < 7; id++) {
            bool lost = id >= 3 && id <= 5;
            assert_int_equal(k.record[id].status, lost ? TR_ABORTED : TR_DONE);
            assert_int_equal(k.record[id].cached_tok, id == 1 || id == 3 || id == 4 ? 144 : 0);
        }
        assert_int_equal(k.twice, 0);
        tr_device_free(d);
        free(k.record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_the_same_however_it_is_advanced),
        cmocka_unit_test(one_busy_pod_has_the_card_to_itself),
        cmocka_unit_test(gaps_never_lengthen_a_step_that_runs_alone),
        cmocka_unit_test(two_busy_pods_slow_each_other_down),
        cmocka_unit_test(two_busy_pods_overlap_under_mps),
        cmocka_unit_test(a_trace_tells_everything_in_order),
        cmocka_unit_test(a_restarted_pod_loses_what_it_holds_and_remembers_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
