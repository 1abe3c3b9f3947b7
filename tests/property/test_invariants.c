/* What must balance whatever the load, the share and the scheduler's settings: requests, tokens, KV
 * blocks and GPU time of random devices, looked at while they run; MIG layouts against their card;
 * the arrivals that different arrangements see. Debug builds assert the cheap ones in every run
 * (docs/sim.md); here loads are drawn so that queues, preemptions, refusals, timeouts and cache
 * hits do happen, and the test fails when they do not. */
#include "sim/sim.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../unit/fixture.h"

#define DEVICES  400
#define REQUESTS 150
#define PODS     4

static struct tr_arena arena;
static struct tr_steptime table[2]; /* synchronous, asynchronous */

static int setup(void **state)
{
    (void)state;
    struct tr_share_hw hw = share_whole(&a100_pcie);
    for (int async = 0; async < 2; async++)
        tr_steptime_init(&table[async], &arena, &hw, &tiny, &bf16, 256, 16, async, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- random devices -------------------------------------------------------------------------- */

static struct tr_device_config random_device(struct draw *d)
{
    bool async = between(d, 0, 3) > 0;
    struct tr_device_config cfg = {
        .engine = {.steptime = &table[async],
                   .max_num_batched_tokens = 256,
                   .max_num_seqs = (int32_t)between(d, 1, 16),
                   .max_model_len = 480,
                   .num_gpu_blocks = (int32_t)between(d, 30, 120),
                   .async = async,
                   .stop_token = between(d, 0, 1),
                   .enable_prefix_caching = between(d, 0, 1),
                   .priority = between(d, 0, 2) == 0},
        .n_pods = (int)between(d, 1, PODS),
        .sharing = between(d, 0, 3) ? TR_TIMESLICE : TR_MPS,
        .quantum_ps = between(d, 1, 4) * INT64_C(512000000),
        .switch_ps = between(d, 0, 3) * INT64_C(56320000),
        .exact = between(d, 0, 3) == 0,
    };
    cfg.engine.timeout_ns = between(d, 0, 2) ? 0 : between(d, 6, 60) * TR_NS_PER_MS;
    cfg.engine.queue_limit = between(d, 0, 2) ? 0 : between(d, 5, 30);
    return cfg;
}

/* Half of the prompts begin with one of four system prompts. */
static struct tr_engine_request random_request(struct draw *d, int64_t id, int64_t now_ns)
{
    struct tr_engine_request q = {.id = id,
                                  .arrival_ns = now_ns,
                                  .prompt_tok = (int32_t)between(d, 1, 250),
                                  .output_tok = (int32_t)between(d, 1, 250),
                                  .priority = (int32_t)between(d, 0, 2)};
    int32_t key = (int32_t)between(d, 1, 8);
    if (key <= 4 && q.prompt_tok >= 24 * key) {
        q.chain.n = 1;
        q.chain.own[0] = (struct tr_run){.key = (uint64_t)key, .end_tok = 24 * key};
    }
    return q;
}

struct load {
    struct tr_device_config cfg;
    struct tr_device *device;
    struct kept kept;
    int64_t sent, now_ns;
    int64_t prompt_tok, decode_tok, steps, gpu_ps; /* of the steps traced */
};

static void on_step(void *arg, const struct tr_trace_event *ev)
{
    struct load *l = arg;
    if (strcmp(ev->what, "step") != 0)
        return;
    const struct tr_steptime *st = l->cfg.engine.steptime;
    l->steps++;
    l->decode_tok += ev->step->decodes;
    l->prompt_tok += ev->step->tokens - ev->step->decodes;
    l->gpu_ps += ev->step->duration_ps;
    if (!st->async) /* its host time is not on the card */
        l->gpu_ps -= st->host_ps + st->seq_ps * ev->step->rows;
}

/* At any moment: everybody sent is inside or has left; nobody has what is not there; the card has
 * not worked for longer than it has existed. */
static void check_now(const struct load *l)
{
    struct tr_share_stats ring = tr_device_stats(l->device);
    int64_t inside = 0;
    for (int pod = 0; pod < l->cfg.n_pods; pod++) {
        const struct tr_engine *e = tr_device_engine(l->device, pod);
        int32_t held = tr_engine_waiting(e) + tr_engine_running(e);
        int32_t used = tr_engine_blocks_used(e);
        assert_in_range(held, 0, tr_device_outstanding(l->device, pod));
        assert_in_range(tr_engine_running(e), 0, l->cfg.engine.max_num_seqs);
        assert_in_range(used, tr_engine_running(e), l->cfg.engine.num_gpu_blocks);
        inside += tr_device_outstanding(l->device, pod);
    }
    assert_int_equal(l->sent, l->kept.n + inside);
    assert_true(ring.busy_ns + ring.switch_ns <= l->now_ns);
}

static void drive(struct load *l, struct draw *d)
{
    int64_t gap_ns = (int64_t[]){100000, 2000000, 30000000}[between(d, 0, 2)], left = REQUESTS;
    while (left > 0) {
        for (int64_t burst = between(d, 1, 4); burst > 0 && left > 0; burst--, left--) {
            struct tr_engine_request q = random_request(d, l->sent++, l->now_ns);
            tr_device_send(l->device, (int)between(d, 0, l->cfg.n_pods - 1), &q,
                           l->now_ns + TR_API_NS);
        }
        l->now_ns += between(d, 1, gap_ns);
        tr_device_advance(l->device, l->now_ns);
        check_now(l);
    }
    while (l->kept.n < l->sent) {
        l->now_ns += between(d, 1, 50000000);
        tr_device_advance(l->device, l->now_ns);
        check_now(l);
    }
    tr_device_advance(l->device, TR_TIME_NEVER);
}

/* ---- at the end ------------------------------------------------------------------------------ */

struct seen {
    int64_t done, rejected, timed_out, preemptions, hit_tok, exact_tokens;
};

/* What the done requests needed computed, and how much more may have been: a preempted request is
 * computed again as far as it had come, one that timed out for nothing, and an unseen stop token
 * wastes a token of an asynchronous engine. */
static void check_tokens(const struct load *l, const struct tr_engine_stats *sum, struct seen *seen)
{
    int64_t need_prompt = 0, need_decode = 0, again = 0, done = 0, preemptions = 0, wasted = 0;
    for (int64_t i = 0; i < l->sent; i++) {
        const struct tr_record *r = &l->kept.record[i];
        preemptions += r->preemptions;
        again += (int64_t)r->preemptions * (r->prompt_tok + r->output_tok);
        seen->rejected += r->status == TR_REJECTED;
        seen->timed_out += r->status == TR_TIMEOUT;
        again += r->status == TR_TIMEOUT ? r->prompt_tok + 1 : 0;
        if (r->status != TR_DONE)
            continue;
        done++;
        need_prompt += r->prompt_tok - r->cached_tok;
        need_decode += r->output_tok - 1;
    }
    if (l->cfg.engine.stop_token && l->cfg.engine.async)
        wasted = done + preemptions;
    int64_t prompt_more = sum->prefill_tok - need_prompt;
    int64_t all_more = sum->prefill_tok + sum->decode_tok - need_prompt - need_decode;
    assert_in_range(all_more, 0, again + wasted);
    assert_in_range(prompt_more, 0, again + wasted);
    assert_int_equal(preemptions, sum->preemptions);
    seen->exact_tokens += again + wasted == 0 && done > 0;
    seen->done += done;
    seen->preemptions += preemptions;
    seen->hit_tok += sum->prefix_hits_tok;
}

static void check_end(const struct load *l, bool traced, struct seen *seen)
{
    struct tr_engine_stats sum = {0};
    for (int pod = 0; pod < l->cfg.n_pods; pod++) {
        const struct tr_engine *e = tr_device_engine(l->device, pod);
        const struct tr_engine_stats *s = tr_engine_stats(e);
        assert_int_equal(tr_engine_blocks_used(e), 0);
        assert_int_equal(tr_engine_waiting(e) + tr_engine_running(e), 0);
        assert_in_range(s->kv_used_max, 0, l->cfg.engine.num_gpu_blocks);
        sum.steps += s->steps;
        sum.prefill_tok += s->prefill_tok;
        sum.decode_tok += s->decode_tok;
        sum.preemptions += s->preemptions;
        sum.prefix_hits_tok += s->prefix_hits_tok;
    }
    assert_int_equal(l->kept.n, l->sent);
    assert_int_equal(l->kept.twice, 0);
    check_tokens(l, &sum, seen);
    if (!traced)
        return;
    assert_int_equal(l->steps, sum.steps);
    assert_int_equal(l->prompt_tok, sum.prefill_tok);
    assert_int_equal(l->decode_tok, sum.decode_tok);
    if (l->cfg.sharing != TR_MPS) /* pods that overlap stretch each other's steps */
        assert_int_equal(tr_device_stats(l->device).busy_ns, l->gpu_ps / TR_PS_PER_NS);
}

static void devices_lose_nothing_and_invent_nothing(void **state)
{
    (void)state;
    struct seen seen = {0};
    for (uint64_t seed = 1; seed <= DEVICES; seed++) {
        struct draw d = {seed, tr_rng_stream("invariants", 0, 0), 0};
        struct load l = {.cfg = random_device(&d)};
        bool traced = between(&d, 0, 1);
        kept_open(&l.kept, REQUESTS);
        l.device = tr_device_new(&l.cfg, kept_sink, &l.kept);
        if (traced)
            tr_device_trace(l.device, on_step, &l);
        drive(&l, &d);
        check_end(&l, traced, &seen);
        tr_device_free(l.device);
        free(l.kept.record);
    }
    print_message("# %d devices: %" PRId64 " done, %" PRId64 " rejected, %" PRId64
                  " timed out, %" PRId64 " preemptions, %" PRId64 " cached tokens, %" PRId64
                  " with every token needed\n",
                  DEVICES, seen.done, seen.rejected, seen.timed_out, seen.preemptions, seen.hit_tok,
                  seen.exact_tokens);
    assert_true(seen.rejected > 500 && seen.timed_out > 500 && seen.preemptions > 500);
    assert_true(seen.hit_tok > 10000 && seen.exact_tokens > 20);
}

/* ---- MIG ------------------------------------------------------------------------------------- */

/* Adds parts up as far as the card lets them; returns how many layouts were looked at. Memory: an
 * H100's 7g.80gb is listed with 79.25 GiB, its whole card reports 79.18 GiB to CUDA. */
static int check_layouts(const struct tr_gpu *gpu, struct tr_mig_profile const **chosen, int n,
                         int from)
{
    int starts[TR_MAX_PARTS + 1], looked = 1;
    int sms = 0;
    int64_t mem_bytes = 0;
    double bandwidth = 0;
    for (int i = 0; i < n; i++) {
        struct tr_share_hw hw = tr_share_hw_of(
            gpu, &(struct tr_part){.profile = chosen[i], .sharing = TR_SOLO, .n_pods = 1});
        sms += hw.sms;
        mem_bytes += hw.mem_bytes;
        bandwidth += hw.bw_fraction;
    }
    assert_true(sms <= gpu->sms);
    assert_true((double)mem_bytes <= 1.001 * (double)gpu->mem_bytes);
    assert_true(bandwidth <= 1 + 1e-12);
    for (int i = from; i < gpu->n_profiles && n < TR_MAX_PARTS; i++) {
        chosen[n] = &gpu->profiles[i];
        if (tr_mig_place(gpu, chosen, n + 1, starts))
            looked += check_layouts(gpu, chosen, n + 1, i);
    }
    return looked;
}

static void parts_of_a_card_are_at_most_the_card(void **state)
{
    (void)state;
    struct tr_catalog *cat;
    struct tr_err err = {0};
    int layouts = 0, cards = 0;
    assert_int_equal(tr_catalog_load(NULL, &cat, &err), 0);
    for (size_t i = 0; i < cat->n_gpus; i++) {
        const struct tr_mig_profile *chosen[TR_MAX_PARTS + 1];
        if (cat->gpus[i].n_profiles == 0)
            continue;
        layouts += check_layouts(&cat->gpus[i], chosen, 0, 0);
        cards++;
    }
    print_message("# %d layouts on %d cards\n", layouts, cards);
    assert_true(cards >= 5 && layouts > 100);
    tr_catalog_free(cat);
}

/* ---- arrivals -------------------------------------------------------------------------------- */

static uint64_t arrivals_of(int gpus, int parts, int pods, enum tr_router router, uint64_t seed,
                            double output_mean, int64_t *n)
{
    struct tr_knot knot = {0, 300};
    struct tr_slo slo = {.n = 0};
    struct tr_traffic_spec spec;
    struct tr_source *src;
    struct tr_trace_info info;
    struct tr_sim_result r;
    struct tr_err err = {0};
    tr_traffic_spec_init(&spec);
    spec.process = TR_GAMMA;
    spec.burstiness = 0.5;
    spec.knots = &knot;
    spec.n_knots = 1;
    spec.max_requests = 2000;
    spec.n_tenants = 3;
    spec.shares = (double[]){0.5, 0.3, 0.2};
    spec.prompt = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, 80, 0.8, 1, 200};
    spec.output = (struct tr_length){TR_LENGTH_LOGNORMAL, 0, output_mean, 0.8, 1, 200};
    assert_int_equal(tr_source_open(&spec, seed, &src, &info, &err), 0);
    struct tr_sim_config cfg = {.fleet = {.gpus = gpus,
                                          .parts = parts,
                                          .simulated_gpus = gpus > 4 ? 2 : 0,
                                          .workload = {{.router = router, .n_tenants = 3}},
                                          .seed = 5},
                                .slo = &slo};
    for (int i = 0; i < parts; i++)
        cfg.fleet.device[i] = (struct tr_device_config){.engine = {.steptime = &table[1],
                                                                   .max_num_batched_tokens = 256,
                                                                   .max_num_seqs = 8,
                                                                   .max_model_len = 400,
                                                                   .num_gpu_blocks = 60,
                                                                   .async = true},
                                                        .n_pods = pods,
                                                        .quantum_ps = 1024000000,
                                                        .switch_ps = 112640000};
    assert_int_equal(tr_sim_run(&cfg, src, &r, &err), 0);
    uint64_t hash = r.arrivals_hash;
    *n = r.arrivals;
    assert_int_equal(r.fleet.inside, 0);
    assert_true(r.requests == r.arrivals || (gpus > 4 && r.requests < r.arrivals));
    tr_sim_result_free(&r);
    tr_source_close(src);
    return hash;
}

/* Arrivals do not depend on who serves them; another seed or other lengths are other arrivals. */
static void every_fleet_is_sent_the_same_arrivals(void **state)
{
    (void)state;
    int64_t n, all;
    uint64_t hash = arrivals_of(1, 1, 1, TR_ROUTE_RANDOM, 1, 60, &all);
    for (int i = 0; i < 12; i++) {
        static const enum tr_router routers[] = {TR_ROUTE_RANDOM, TR_ROUTE_ROUND_ROBIN,
                                                 TR_ROUTE_LEAST_REQUESTS, TR_ROUTE_TENANT};
        int gpus = 1 + i % 7, parts = 1 + i % 2, pods = 1 + i % 3;
        assert_true(arrivals_of(gpus, parts, pods, routers[i % 4], 1, 60, &n) == hash);
        assert_int_equal(n, all);
    }
    assert_int_equal(all, 2000);
    assert_true(arrivals_of(1, 1, 1, TR_ROUTE_RANDOM, 2, 60, &n) != hash);
    assert_true(arrivals_of(1, 1, 1, TR_ROUTE_RANDOM, 1, 61, &n) != hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_lose_nothing_and_invent_nothing),
        cmocka_unit_test(parts_of_a_card_are_at_most_the_card),
        cmocka_unit_test(every_fleet_is_sent_the_same_arrivals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
