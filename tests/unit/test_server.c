/* Tests of simple GPU servers as engines: times worked out by hand, the queue M/D/1, shares. */
#include "sim/sim.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "num/num.h"

#define MS TR_NS_PER_MS

static struct tr_arena arena;

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* A batch of n items takes 2 + n/2 ms on the whole card. */
static struct tr_server embedder(int max_batch)
{
    return (struct tr_server){.name = "embedder",
                              .gpu = &a100_pcie,
                              .batch_ns = 2 * MS,
                              .item_ns = MS / 2,
                              .max_batch = max_batch};
}

static void make_server(struct tr_steptime *st, const struct tr_share_hw *hw, int max_batch)
{
    struct tr_server server = embedder(max_batch);
    tr_steptime_server(st, &arena, hw, &server);
}

struct job {
    int64_t at_us; /* when it reaches the server */
    int pod;
    int32_t items;
    int64_t end_us;
};

static void run_jobs(const struct tr_device_config *cfg, const struct job *job, int n)
{
    struct kept k;
    kept_open(&k, n);
    struct tr_device *d = tr_device_new(cfg, kept_sink, &k);
    for (int i = 0; i < n; i++) {
        struct tr_engine_request q = {.id = i, .prompt_tok = job[i].items, .output_tok = 1};
        q.arrival_ns = job[i].at_us * 1000;
        tr_device_advance(d, q.arrival_ns);
        tr_device_send(d, job[i].pod, &q, q.arrival_ns);
    }
    tr_device_advance(d, TR_TIME_NEVER);
    assert_int_equal(k.n, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(k.record[i].status, TR_DONE);
        assert_int_equal(k.record[i].last_token_ns, k.record[i].first_token_ns);
        assert_int_equal(k.record[i].last_token_ns / 1000, job[i].end_us);
    }
    tr_device_free(d);
    free(k.record);
}

/* What has come while a batch runs is the next one; what is beyond eight items goes on in the one
 * after; a batch with one item takes its 2.5 ms. */
static void what_waits_is_one_batch(void **state)
{
    (void)state;
    static const struct job job[] = {
        {0, 0, 4, 4000},      {1000, 0, 3, 10000},  {1000, 0, 6, 12500},
        {20000, 0, 1, 22500}, {20100, 0, 1, 25500}, {22400, 0, 1, 25500},
    };
    struct tr_steptime st;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    make_server(&st, &hw, 8);
    struct tr_device_config cfg = {.engine = tr_engine_server(&st), .n_pods = 1};
    run_jobs(&cfg, job, TR_LEN(job));
}

/* A quarter of the SMs takes four times as long, half the FLOP/s twice as long. */
static void a_smaller_share_takes_longer(void **state)
{
    (void)state;
    static const struct job quarter[] = {{0, 0, 4, 16000}, {100, 0, 8, 40000}};
    static const struct job half[] = {{0, 0, 4, 8000}, {100, 0, 8, 20000}};
    struct tr_gpu slow = a100_pcie;
    slow.peak_flops /= 2;
    struct tr_share_hw part = share_whole(&a100_pcie), card = share_whole(&slow);
    struct tr_steptime st;
    part.sm_fraction = 0.25;
    make_server(&st, &part, 8);
    struct tr_device_config cfg = {.engine = tr_engine_server(&st), .n_pods = 1};
    run_jobs(&cfg, quarter, TR_LEN(quarter));
    make_server(&st, &card, 8);
    cfg.engine = tr_engine_server(&st);
    run_jobs(&cfg, half, TR_LEN(half));
}

/* Under MPS two batches that each want the whole card take twice their time while both run. */
static void servers_overlap_under_mps(void **state)
{
    (void)state;
    static const struct job job[] = {{0, 0, 4, 8000}, {0, 1, 8, 10000}};
    struct tr_steptime st;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    make_server(&st, &hw, 8);
    struct tr_device_config cfg = {.engine = tr_engine_server(&st), .n_pods = 2, .sharing = TR_MPS};
    run_jobs(&cfg, job, TR_LEN(job));
}

/* Taking turns of 1 ms at no cost: 4 and 6 ms of work, interleaved. */
static void servers_take_turns(void **state)
{
    (void)state;
    static const struct job job[] = {{0, 0, 4, 7000}, {0, 1, 8, 10000}};
    struct tr_steptime st;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    make_server(&st, &hw, 8);
    struct tr_device_config cfg = {.engine = tr_engine_server(&st),
                                   .n_pods = 2,
                                   .sharing = TR_TIMESLICE,
                                   .quantum_ps = INT64_C(1000000000)};
    run_jobs(&cfg, job, TR_LEN(job));
}

/* One item at a time under Poisson arrivals: waits are those of Pollaczek and Khinchine. The error
 * of the mean is taken from 50 batches of the run. */
static void one_item_at_a_time_is_an_m_d_1_queue(void **state)
{
    (void)state;
    enum { N = 60000, BATCHES = 50 };
    static const struct tr_slo none = {.n = 0};
    const double d_s = 2.5e-3, rate = 0.6 / d_s;
    struct tr_knot knots[2] = {{0, rate}, {TR_NS_PER_S, rate}};
    struct tr_traffic_spec spec;
    struct tr_source *src;
    struct tr_err err = {0};
    struct tr_steptime st;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    struct kept k;
    make_server(&st, &hw, 1);
    tr_traffic_spec_init(&spec);
    spec.process = TR_POISSON;
    spec.knots = knots;
    spec.n_knots = 2;
    spec.max_requests = N;
    spec.prompt = spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 1};
    assert_int_equal(tr_source_open(&spec, 5, &src, NULL, &err), 0);
    kept_open(&k, N);
    struct tr_sim_config cfg = {.fleet = {.gpus = 1, .parts = 1},
                                .slo = &none,
                                .on_record = kept_sink,
                                .on_record_arg = &k};
    cfg.fleet.device[0] = (struct tr_device_config){.engine = tr_engine_server(&st), .n_pods = 1};
    struct tr_sim_result r;
    assert_int_equal(tr_sim_run(&cfg, src, &r, &err), 0);
    double sum = 0, squares = 0;
    for (int b = 0; b < BATCHES; b++) {
        double batch = 0;
        for (int i = b * (N / BATCHES); i < (b + 1) * (N / BATCHES); i++)
            batch += (double)(tr_record_metric(&k.record[i], TR_E2E) - TR_API_NS) / 1e9 - d_s;
        batch /= (double)N / BATCHES;
        sum += batch;
        squares += batch * batch;
    }
    double mean = sum / BATCHES;
    double error = sqrt((squares - BATCHES * mean * mean) / (BATCHES - 1) / BATCHES);
    double theory = rate * d_s * d_s / (2 * (1 - rate * d_s));
    print_message("# mean wait %.4f ms, error %.4f; theory %.4f\n", 1e3 * mean, 1e3 * error,
                  1e3 * theory);
    assert_true(fabs(mean - theory) < 3 * error && error < 0.04 * theory);
    assert_int_equal(r.fleet.busy_ns, (int64_t)(N * d_s * 1e9 + 0.5));
    tr_sim_result_free(&r);
    tr_source_close(src);
    free(k.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_is_one_batch),
        cmocka_unit_test(a_smaller_share_takes_longer),
        cmocka_unit_test(servers_overlap_under_mps),
        cmocka_unit_test(servers_take_turns),
        cmocka_unit_test(one_item_at_a_time_is_an_m_d_1_queue),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
