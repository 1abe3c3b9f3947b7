/* Tests of fleets that change their size: timelines worked by hand, and what holds in every run. */
#include "fleet/fleet.h"
#include "fleet/route.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define MS TR_NS_PER_MS
#define S  TR_NS_PER_S

static struct tr_arena arena;
static struct tr_steptime steptime; /* every step takes 100 ms */
static struct tr_steptime fast;     /* 1 ms */

static void flat(struct tr_steptime *st, int64_t step_ps)
{
    struct tr_share_hw hw = share_whole(&a100_pcie);
    tr_steptime_init(st, &arena, &hw, &tiny, &bf16, 256, 16, true, false);
    int64_t *tok_ps = TR_ARENA_NEW(&arena, int64_t, 257);
    for (int i = 0; i <= 256; i++)
        tok_ps[i] = step_ps;
    st->tok_ps = tok_ps;
    st->row_ps = TR_ARENA_NEW(&arena, int64_t, 17);
    st->dec_ps = st->ctx_ps = 0;
    st->attn_s = 0;
}

static int setup(void **state)
{
    (void)state;
    flat(&steptime, 100 * MS * TR_PS_PER_NS);
    flat(&fast, MS * TR_PS_PER_NS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Nodes of one GPU with `pods` pods: 100 s to the VM, 20 to its GPUs, 50 for the image, 40 for the
 * weights, 10 to warm up. Two requests a replica. */
static struct tr_scaling scaling(int pods, int min_nodes, int max_nodes)
{
    struct tr_scaling s;
    tr_scaling_defaults(&s, pods, max_nodes);
    s.hpa.min_replicas = pods * min_nodes;
    s.hpa.target = 2;
    s.autoscaler.min_nodes = min_nodes;
    s.autoscaler.unneeded_ns = 100 * S;
    s.autoscaler.delay_after_add_ns = 200 * S;
    s.node = (struct tr_node_life){
        .vm_ns = 100 * S, .vm_again_ns = 30 * S, .driver_ns = 20 * S, .image_ns = 50 * S};
    s.pod = (struct tr_pod_life){.weights_ns = 40 * S, .warm_ns = 10 * S, .grace_ns = 30 * S};
    return s;
}

static struct tr_fleet_config config(const struct tr_scaling *s, int pods)
{
    struct tr_fleet_config f = {.gpus = 1,
                                .parts = 1,
                                .workload = {{.router = TR_ROUTE_RANDOM, .n_tenants = 1}},
                                .seed = 42,
                                .scaling = s};
    f.device[0] = (struct tr_device_config){.engine = {.steptime = &steptime,
                                                       .max_num_batched_tokens = 256,
                                                       .max_num_seqs = 8,
                                                       .max_model_len = 4096,
                                                       .num_gpu_blocks = 2100,
                                                       .async = true},
                                            .n_pods = pods,
                                            .quantum_ps = 1024000000,
                                            .switch_ps = 113000000};
    return f;
}

/* Sends request `id` at `at_ns`; it takes a tenth of a second per token on an idle pod. */
static void send_at(struct tr_fleet *f, int64_t id, int64_t at_ns, int32_t output_tok)
{
    int64_t events = 0;
    struct tr_fleet_request q = {
        .engine = {.id = id, .arrival_ns = at_ns, .prompt_tok = 20, .output_tok = output_tok},
        .session = -1};
    assert_true(tr_fleet_send(f, &q, &events));
}

/* The timeline at a moment. */
static struct tr_timeline_point at(const struct tr_fleet *f, int64_t time_ns)
{
    size_t n, i = 0;
    const struct tr_timeline_point *p = tr_fleet_timeline(f, &n);
    while (i + 1 < n && p[i + 1].time_ns <= time_ns)
        i++;
    return p[i];
}

static void assert_at(const struct tr_fleet *f, double seconds, int nodes, int nodes_ready,
                      int wanted, int ready)
{
    struct tr_timeline_point before = at(f, (int64_t)(seconds * 1e9) - 1);
    struct tr_timeline_point p = at(f, (int64_t)(seconds * 1e9));
    assert_true(before.time_ns < p.time_ns); /* it changes just then */
    assert_int_equal(p.nodes, nodes);
    assert_int_equal(p.nodes_ready, nodes_ready);
    assert_int_equal(p.wanted, wanted);
    assert_int_equal(p.ready, ready);
}

/* ---- a burst, by hand ------------------------------------------------------------------------ */

/* Six requests of 3,900 tokens (390 s) at 20 s, on one pod with a target of two each.
 *    22.5  the second scrape (half a period after 15) sees six
 *    30    the HPA's second sync: 6 / 1 pod / 2 = 3 times too many: 3 replicas; two pods pending
 *    60    the cluster autoscaler waits 30 s for more pods that want a GPU, then asks for 2 nodes
 *   160    VMs; 180 GPUs: the pods are bound; 230 image; 270 weights; 280 warm: ready
 *   410    the answers end: 20 s + 5 ms + 3,900 steps of 0.1 s
 *   412.5  scrape: nothing. The last wish for three is that of the sync at 405
 *   720    first sync whose last 300 s hold no wish for three (405 < 420): one replica
 *   720    the autoscaler's loop of that second comes after the sync: nodes 1, 2 are unneeded
 *   830    first loop more than 100 s later; 5 s of taint: the nodes are gone at 835 */
static void a_burst_second_by_second(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(1, 1, 3);
    struct tr_fleet_config c = config(&s, 1);
    struct kept k;
    kept_open(&k, 6);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    for (int id = 0; id < 6; id++)
        send_at(f, id, 20 * S, 3900);
    tr_fleet_advance(f, 1000 * S);
    assert_at(f, 30, 1, 1, 3, 1);
    assert_at(f, 60, 3, 1, 3, 1);
    assert_at(f, 180, 3, 3, 3, 1);
    assert_at(f, 280, 3, 3, 3, 3);
    assert_at(f, 720, 3, 3, 1, 1);
    assert_at(f, 830, 3, 1, 1, 1);
    assert_at(f, 835, 1, 1, 1, 1);
    struct tr_scale_stats t = tr_fleet_stats(f, 1000 * S).scale;
    assert_true(t.node_asked_s == 200 && t.node_starting_s == 40 && t.node_leaving_s == 10);
    assert_true(t.node_ready_s == 1000 + 2 * (830 - 180));
    assert_true(fabs(t.node_hours * 3600 - (1000 + 2 * (835 - 60))) < 1e-6);
    assert_true(t.pod_pending_s == 2 * 150 && t.pod_starting_s == 2 * 100);
    assert_true(t.pod_ready_s == 1000 + 2 * (720 - 280) && t.pod_ending_s == 0);
    assert_true(t.short_s == 250 && t.start_mean_s == 250);
    assert_true(t.scale_ups == 1 && t.scale_downs == 1 && t.asks == 2 && t.removals == 2);
    assert_true(t.wanted_max == 3 && t.ready_max == 3 && t.nodes_max == 3);
    for (int id = 0; id < 6; id++)
        assert_int_equal(k.record[id].status, TR_DONE);
    tr_fleet_free(f);
    free(k.record);
}

struct told {
    int64_t last_ns;
    int asks, ready, gone, wishes, arrivals;
};

static void on_event(void *arg, const struct tr_trace_event *ev)
{
    struct told *t = arg;
    bool fleet = strncmp(ev->what, "node-", 5) == 0 || strncmp(ev->what, "pod-", 4) == 0;
    t->asks += strcmp(ev->what, "node-ask") == 0;
    t->ready += strcmp(ev->what, "pod-ready") == 0;
    t->gone += strcmp(ev->what, "node-gone") == 0;
    t->wishes += strcmp(ev->what, "replicas") == 0;
    t->arrivals += strcmp(ev->what, "arrive") == 0;
    assert_true(!fleet || ev->time_ns >= t->last_ns);
    t->last_ns = TR_MAX(t->last_ns, ev->time_ns);
}

/* Whatever happened before something of the fleet's has been told before it. */
static void a_trace_tells_what_the_fleet_does(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(1, 1, 3);
    struct tr_fleet_config c = config(&s, 1);
    struct told told = {0};
    struct kept k;
    kept_open(&k, 6);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    tr_fleet_trace(f, on_event, &told);
    for (int id = 0; id < 6; id++)
        send_at(f, id, 20 * S, 3900);
    tr_fleet_advance(f, 1000 * S);
    assert_true(told.asks == 2 && told.ready == 2 && told.gone == 2);
    assert_true(told.wishes == 2 && told.arrivals == 6 && k.n == 6);
    tr_fleet_free(f);
    free(k.record);
}

/* The same burst again at 1,000 s, with stopped nodes: 30 s to the VM, and the image is there.
 *  1012.5  scrape; 1020 sync; 1050 the 30 s are over
 *  1080    VMs; 1100 GPUs; 1150 ready */
static void a_stopped_node_comes_back_sooner(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(1, 1, 3);
    struct tr_fleet_config c = config(&s, 1);
    struct kept k;
    s.node.deallocate = true;
    kept_open(&k, 12);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    for (int id = 0; id < 12; id++)
        send_at(f, id, (id < 6 ? 20 : 1000) * S, 3900);
    tr_fleet_advance(f, 1300 * S);
    assert_at(f, 835, 1, 1, 1, 1);
    assert_at(f, 1050, 3, 1, 3, 1);
    assert_at(f, 1100, 3, 3, 3, 1);
    assert_at(f, 1150, 3, 3, 3, 3);
    tr_fleet_free(f);
    free(k.record);
}

/* ---- the gateway ----------------------------------------------------------------------------- */

/* No replica, KEDA every 30 s. A request at 1 s is seen at the gateway by the scrape of 7.5 s; the
 * poll of 30 s wants a replica; the node stands there with its image: 50 s to be ready. */
static struct tr_fleet *from_zero(struct tr_scaling *s, int64_t timeout_ns, struct kept *k)
{
    *s = scaling(1, 1, 2);
    s->hpa.min_replicas = 0;
    s->hpa.external = true;
    s->keda.on = true;
    s->keda.activation = 0;
    struct tr_fleet_config c = config(s, 1);
    c.device[0].engine.timeout_ns = timeout_ns;
    c.device[0].engine.ttft_limit_ns = S;
    kept_open(k, 2);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, k);
    send_at(f, 0, S, 11);
    send_at(f, 1, 70 * S, 11);
    return f;
}

static void the_gateway_holds_what_nobody_can_take(void **state)
{
    (void)state;
    struct tr_scaling s;
    struct kept k;
    struct tr_fleet *f = from_zero(&s, 0, &k);
    assert_int_equal(tr_fleet_waiting(f), 2);
    assert_int_equal(tr_fleet_waiting_since(f, 0, 70 * S, 0), 1);
    tr_fleet_advance(f, 90 * S);
    assert_at(f, 30, 1, 1, 1, 0);
    assert_at(f, 80, 1, 1, 1, 1);
    for (int id = 0; id < 2; id++) {
        const struct tr_record *r = &k.record[id];
        assert_int_equal(r->status, TR_DONE);
        assert_int_equal(r->cause, TR_CAUSE_STARTUP);
        assert_int_equal(r->sent_ns, 80 * S);
        assert_int_equal(r->scheduled_ns, 80 * S + TR_API_NS);
        assert_int_equal(r->last_token_ns, 80 * S + TR_API_NS + 11 * 100 * MS);
    }
    /* From the first request's arrival to the replica. */
    assert_true(tr_fleet_stats(f, 90 * S).scale.short_s == 79);
    assert_int_equal(tr_fleet_stats(f, 90 * S).scale.held, 2);
    /* The poll of 60 s was the last to see a request; the first that is more than 300 s later
     * puts the workload to sleep. */
    tr_fleet_advance(f, 500 * S);
    assert_at(f, 390, 1, 1, 0, 0);
    tr_fleet_free(f);
    free(k.record);
}

static void a_client_gives_up_at_the_gateway(void **state)
{
    (void)state;
    struct tr_scaling s;
    struct kept k;
    struct tr_fleet *f = from_zero(&s, 25 * S, &k);
    tr_fleet_advance(f, 90 * S);
    assert_int_equal(k.record[0].status, TR_TIMEOUT);
    assert_int_equal(k.record[0].cause, TR_CAUSE_STARTUP);
    assert_int_equal(k.record[0].scheduled_ns, -1);
    assert_int_equal(k.record[1].status, TR_DONE); /* ten seconds before the replica */
    assert_int_equal(tr_fleet_stats(f, 90 * S).scale.held_timeouts, 1);
    tr_fleet_free(f);
    free(k.record);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Two pods, of which the HPA's first sync, at 15 s, wants one; a request of `tokens` tenths of a
 * second in each since 10 s. */
static struct tr_fleet *shrinking(struct tr_scaling *s, int32_t tokens, int64_t grace_ns,
                                  struct kept *k)
{
    *s = scaling(1, 1, 2);
    s->hpa.stabilization_ns = 0;
    s->hpa.target = 100;
    s->pod.grace_ns = grace_ns;
    struct tr_fleet_config c = config(s, 1);
    c.replicas = 2;
    c.workload[0].router = TR_ROUTE_ROUND_ROBIN;
    kept_open(k, 4);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, k);
    for (int id = 0; id < 2; id++)
        send_at(f, id, 10 * S, tokens);
    return f;
}

/* The stabilization of 0 s still knows the count that the first sync began with: the second sync
 * shrinks. Begun at 10.005 s, 400 tokens end at 50.005; the pod, ending since 30, is looked at
 * every second and found empty at 51. */
static void a_pod_drains_within_its_grace(void **state)
{
    (void)state;
    struct tr_scaling s;
    struct kept k;
    struct tr_fleet *f = shrinking(&s, 400, 30 * S, &k);
    send_at(f, 2, 40 * S, 1);
    send_at(f, 3, 41 * S, 1);
    tr_fleet_advance(f, 70 * S);
    struct tr_scale_stats t = tr_fleet_stats(f, 70 * S).scale;
    assert_at(f, 30, 2, 2, 1, 1);
    assert_int_equal(k.record[0].status, TR_DONE);
    assert_int_equal(k.record[1].status, TR_DONE);
    assert_int_equal(k.record[0].pod, 0);
    assert_int_equal(k.record[1].pod, 1);
    assert_int_equal(k.record[2].pod, 0); /* nothing new goes to the one that ends */
    assert_int_equal(k.record[3].pod, 0);
    assert_true(t.pod_ending_s == 21 && t.lost_to_drains == 0);
    tr_fleet_free(f);
    free(k.record);
}

static void what_outlasts_the_grace_is_lost(void **state)
{
    (void)state;
    struct tr_scaling s;
    struct kept k;
    struct tr_fleet *f = shrinking(&s, 400, 12500 * MS, &k);
    tr_fleet_advance(f, 70 * S);
    struct tr_scale_stats t = tr_fleet_stats(f, 70 * S).scale;
    assert_int_equal(k.record[0].status, TR_DONE);
    assert_int_equal(k.record[1].status, TR_ABORTED);
    assert_int_equal(k.record[1].cause, TR_CAUSE_LOST);
    assert_true(t.pod_ending_s == 12.5 && t.lost_to_drains == 1);
    tr_fleet_free(f);
    free(k.record);
}

/* Two pods know a prompt. The second ends at 30 s; at 40 s six requests come, which the sync of 60
 * s sees; the node is still there, and the new pod in the old slot is ready at 110 s. It has to
 * learn the prompt again. */
static void a_new_pod_has_a_cold_cache(void **state)
{
    (void)state;
    static const int cached[] = {0, 0, 144, 144, 144, 0};
    struct tr_scaling s = scaling(1, 1, 2);
    struct tr_fleet_config c = config(&s, 1);
    struct kept k;
    int64_t events = 0;
    s.hpa.stabilization_ns = 0;
    c.replicas = 2;
    c.workload[0].router = TR_ROUTE_ROUND_ROBIN;
    c.device[0].engine.enable_prefix_caching = true;
    kept_open(&k, 12);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    for (int i = 0; i < 12; i++) {
        bool knows = i < 4 || i >= 10;
        struct tr_fleet_request q = {.engine = {.id = i,
                                                .arrival_ns = (i < 4    ? 1 + i
                                                               : i < 10 ? 40
                                                                        : 100 + i) *
                                                              S,
                                                .prompt_tok = 160,
                                                .output_tok = knows ? 2 : 900,
                                                .chain = {.n = knows, .own = {{9, 160}}}},
                                     .session = -1};
        tr_fleet_send(f, &q, &events);
    }
    tr_fleet_advance(f, TR_TIME_NEVER);
    assert_at(f, 30, 2, 2, 1, 1);
    assert_at(f, 60, 2, 2, 2, 1);
    assert_at(f, 110, 2, 2, 2, 2);
    for (int i = 0; i < 6; i++) {
        const struct tr_record *r = &k.record[i < 4 ? i : i + 6];
        assert_int_equal(r->pod, i % 2);
        assert_int_equal(r->cached_tok, cached[i]);
    }
    tr_fleet_free(f);
    free(k.record);
}

/* Two pods on node 0, one on node 1: the crowded node gives first, of its two the higher number. */
static void the_crowded_node_gives_a_pod(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(2, 1, 2);
    struct kept k;
    s.hpa.min_replicas = 2;
    s.hpa.stabilization_ns = 0;
    s.hpa.target = 100;
    struct tr_fleet_config c = config(&s, 2);
    c.replicas = 3;
    c.workload[0].router = TR_ROUTE_ROUND_ROBIN;
    kept_open(&k, 4);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    for (int id = 0; id < 4; id++)
        send_at(f, id, (40 + id) * S, 1);
    tr_fleet_advance(f, 60 * S);
    for (int id = 0; id < 4; id++)
        assert_int_equal(k.record[id].pod, id % 2 == 0 ? 0 : 2);
    tr_fleet_free(f);
    free(k.record);
}

/* ---- what the cloud does --------------------------------------------------------------------- */

static void a_cloud_without_capacity_gives_no_node(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(1, 1, 3);
    struct tr_fleet_config c = config(&s, 1);
    struct kept k;
    s.node.stockout = 1;
    kept_open(&k, 6);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    for (int id = 0; id < 6; id++)
        send_at(f, id, 20 * S, 3900);
    tr_fleet_advance(f, 400 * S);
    struct tr_scale_stats t = tr_fleet_stats(f, 400 * S).scale;
    /* At 60 s, and again when it has backed off for 300 s. */
    assert_true(t.asks == 4 && t.failed_asks == 4);
    assert_true(t.nodes_max == 1 && t.node_asked_s == 0 && t.short_s == 370);
    tr_fleet_free(f);
    free(k.record);
}

/* 40 spot nodes for 100 hours, one interruption an hour each: as many as a Poisson count allows
 * over the time in which they could happen, and every node comes back. */
static void spot_nodes_are_interrupted_at_their_rate(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(1, 40, 40);
    struct tr_fleet_config c = config(&s, 1);
    struct kept k;
    s.node.interrupts_per_h = 1;
    kept_open(&k, 1);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    tr_fleet_advance(f, 360000 * S);
    struct tr_scale_stats t = tr_fleet_stats(f, 360000 * S).scale;
    double expected = (t.node_ready_s + t.node_starting_s) / 3600;
    assert_true(expected > 3000);
    assert_true(fabs((double)t.interruptions - expected) < 3 * sqrt(expected));
    /* Each costs its 30 s notice and the way back: 0 to 60 s to the ask, 120 s, then the pod. */
    assert_true(fabs(t.node_leaving_s - 30.0 * (double)t.interruptions) <= 30 * 40);
    assert_true(t.asks >= t.interruptions - 40 && t.asks <= t.interruptions);
    tr_fleet_free(f);
    free(k.record);
}

/* A request under way when the notice comes ends in time, or is lost half a minute later. */
static void an_interruption_takes_what_is_under_way(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(1, 1, 1);
    struct tr_fleet_config c = config(&s, 1);
    struct kept k;
    s.node.interrupts_per_h = 1;
    double life_s = tr_rng_exp(c.seed, tr_rng_stream("spot", 0, 0), 0) * 3600;
    int64_t notice_ns = (int64_t)(life_s * 1e9);
    kept_open(&k, 3);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    send_at(f, 0, notice_ns - S, 305); /* 0.005 + 30.5 s: ends half a second before the node */
    send_at(f, 1, notice_ns - S, 311);
    send_at(f, 2, notice_ns + S, 1);
    tr_fleet_advance(f, notice_ns + 29 * S);
    assert_int_equal(k.n, 0);
    tr_fleet_advance(f, notice_ns + 31 * S);
    assert_int_equal(k.record[0].status, TR_DONE);
    assert_int_equal(k.record[1].status, TR_ABORTED);
    assert_int_equal(k.record[1].cause, TR_CAUSE_LOST);
    tr_fleet_advance(f, TR_TIME_NEVER);
    assert_int_equal(k.record[2].status, TR_DONE); /* it waited for the next node */
    /* 30 s until the old one is gone, 120 to the GPUs, 50 to the image, 50 to be ready. */
    assert_int_equal(k.record[2].sent_ns, notice_ns + 250 * S);
    assert_int_equal(tr_fleet_stats(f, 0).scale.lost_to_interruptions, 1);
    tr_fleet_free(f);
    free(k.record);
}

/* A pod that ends since 30 s and has until 130 is on a node whose notice comes at 40: it has until
 * 70. */
static void an_interruption_cuts_the_grace_short(void **state)
{
    (void)state;
    struct tr_scaling s = scaling(1, 1, 2);
    struct tr_fleet_config c = config(&s, 1);
    struct kept k;
    uint64_t stream = tr_rng_stream("spot", 0, 0);
    while (tr_rng_exp(c.seed, stream, 0) < 10 * tr_rng_exp(c.seed, stream, 1))
        c.seed++; /* node 0 outlives node 1 by far */
    s.node.interrupts_per_h = tr_rng_exp(c.seed, stream, 1) * 3600 / 40;
    s.hpa.stabilization_ns = 0;
    s.hpa.target = 100;
    s.pod.grace_ns = 100 * S;
    c.replicas = 2;
    c.workload[0].router = TR_ROUTE_ROUND_ROBIN;
    kept_open(&k, 2);
    struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
    for (int id = 0; id < 2; id++)
        send_at(f, id, 10 * S, 1000);
    tr_fleet_advance(f, 120 * S);
    struct tr_scale_stats t = tr_fleet_stats(f, 0).scale;
    assert_int_equal(k.record[0].status, TR_DONE);
    assert_int_equal(k.record[1].status, TR_ABORTED);
    assert_true(t.lost_to_interruptions == 1 && t.lost_to_drains == 0);
    assert_true(fabs(t.pod_ending_s - 40) < 1e-6);
    tr_fleet_free(f);
    free(k.record);
}

/* ---- routers --------------------------------------------------------------------------------- */

/* With one pod more, sessions move to it and nowhere else, and it gets its share. */
static void sessions_move_only_to_the_new_pod(void **state)
{
    (void)state;
    struct tr_fleet_workload w = {.router = TR_ROUTE_SESSION};
    int moved = 0;
    for (int64_t session = 0; session < 10000; session++) {
        struct tr_fleet_request q = {.session = session};
        struct tr_route_choice among = {.seed = 1, .n_pods = 9, .sticky = true};
        int before = tr_route(&w, &among, &q);
        among.n_pods = 10;
        int after = tr_route(&w, &among, &q);
        assert_true(after == before || after == 9);
        moved += after != before;
    }
    assert_true(fabs(moved - 1000.0) < 4 * sqrt(900));
}

/* ---- against the fleet that keeps its size --------------------------------------------------- */

static void run_both(struct draw *d, enum tr_router router)
{
    int pods = (int)between(d, 1, 3), nodes = (int)between(d, 1, 4), gpus = (int)between(d, 1, 2);
    struct tr_scaling s = scaling(pods * 2 * gpus, nodes, nodes);
    struct tr_fleet_config c = config(&s, pods);
    struct kept k[2];
    c.parts = 2;
    c.device[1] = c.device[0];
    c.workload[0].router = router;
    c.workload[0].n_tenants = 3;
    c.gpus = gpus;
    c.device[0].engine.timeout_ns = c.device[1].engine.timeout_ns = 4 * S;
    c.device[0].engine.ttft_limit_ns = S;
    uint64_t arrivals = d->index;
    struct tr_fleet_stats stats[2];
    for (int fixed = 0; fixed < 2; fixed++) {
        int64_t now_ns = 0, events = 0;
        if (fixed) {
            c.scaling = NULL;
            c.gpus = gpus * nodes;
        }
        d->index = arrivals;
        kept_open(&k[fixed], 300);
        struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k[fixed]);
        for (int id = 0; id < 300; id++) {
            now_ns += between(d, 0, 800 * MS);
            struct tr_fleet_request q = {.engine = {.id = id,
                                                    .arrival_ns = now_ns,
                                                    .prompt_tok = (int32_t)between(d, 1, 200),
                                                    .output_tok = (int32_t)between(d, 1, 300),
                                                    .tenant = (int32_t)between(d, 0, 2)},
                                         .session = -1};
            tr_fleet_send(f, &q, &events);
        }
        tr_fleet_advance(f, TR_TIME_NEVER);
        stats[fixed] = tr_fleet_stats(f, now_ns);
        tr_fleet_free(f);
    }
    assert_int_equal(k[0].n, 300);
    assert_int_equal(kept_differ(&k[0], &k[1]), -1);
    for (int id = 0; id < 300; id++)
        assert_int_equal(k[0].record[id].pod, k[1].record[id].pod);
    assert_true(stats[0].steps == stats[1].steps && stats[0].busy_ns == stats[1].busy_ns);
    free(k[0].record);
    free(k[1].record);
}

static void without_room_to_change_it_is_the_fixed_fleet(void **state)
{
    (void)state;
    static const enum tr_router routers[] = {TR_ROUTE_RANDOM, TR_ROUTE_ROUND_ROBIN,
                                             TR_ROUTE_LEAST_REQUESTS, TR_ROUTE_SESSION,
                                             TR_ROUTE_TENANT};
    struct draw d = {.seed = 5};
    for (int i = 0; i < 25; i++)
        run_both(&d, routers[i % TR_LEN(routers)]);
}

/* ---- whatever happens ------------------------------------------------------------------------ */

static struct tr_scaling random_scaling(struct draw *d, int pods)
{
    int min = (int)between(d, 0, 2);
    struct tr_scaling s = scaling(pods, min, min + (int)between(d, 1, 6));
    s.hpa.metric = (enum tr_scale_metric)between(d, 0, min == 0 ? 1 : 3);
    s.hpa.target = s.hpa.metric >= TR_SCALE_KV ? 0.3 : (double)between(d, 1, 4);
    s.keda.on = s.hpa.external = min == 0 || between(d, 0, 1) != 0;
    s.hpa.min_replicas = (int)between(d, min, pods * min);
    s.hpa.has_behavior = between(d, 0, 1) != 0;
    s.hpa.stabilization_ns = between(d, 0, 100) * S;
    s.hpa.down.window_ns = between(d, 0, 100) * S;
    s.hpa.sync_ns = between(d, 1, 20) * S;
    s.hpa.scrape_ns = between(d, 1, 20) * S;
    s.keda.cooldown_ns = between(d, 0, 60) * S;
    s.autoscaler.unneeded_ns = between(d, 0, 60) * S;
    s.autoscaler.delay_after_add_ns = between(d, 0, 60) * S;
    s.autoscaler.frequent_loops = between(d, 0, 1) != 0;
    s.autoscaler.provision_max_ns = between(d, 20, 200) * S;
    s.node.vm_ns = between(d, 0, 40) * S;
    s.node.driver_ns = between(d, 0, 20) * S;
    s.node.image_ns = between(d, 0, 20) * S;
    s.node.deallocate = between(d, 0, 1) != 0;
    s.node.stockout = (double)between(d, 0, 2) / 4;
    s.node.interrupts_per_h = (double)between(d, 0, 2) * 20;
    s.pod.weights_ns = between(d, 0, 10) * S;
    s.pod.warm_ns = between(d, 0, 2) * S;
    s.pod.grace_ns = between(d, 0, 60) * S;
    return s;
}

/* The areas under the timeline are the sums. */
static void check_timeline(const struct tr_fleet *f, const struct tr_scale_stats *t)
{
    size_t n;
    const struct tr_timeline_point *p = tr_fleet_timeline(f, &n);
    double nodes_s = 0, ready_s = 0, pods_s = 0, short_s = 0;
    for (size_t i = 0; i < n; i++) {
        double end_s = i + 1 < n ? (double)p[i + 1].time_ns / 1e9 : t->span_s;
        double span_s = end_s - (double)p[i].time_ns / 1e9;
        nodes_s += p[i].nodes * span_s;
        ready_s += p[i].nodes_ready * span_s;
        pods_s += p[i].ready * span_s;
        short_s += p[i].ready < p[i].wanted ? span_s : 0;
    }
    assert_true(fabs(nodes_s / 3600 - t->node_hours) < 1e-6);
    assert_true(fabs(ready_s - t->node_ready_s) < 1e-3);
    assert_true(fabs(pods_s - t->pod_ready_s) < 1e-3);
    assert_true(t->short_s >= short_s - 1e-3 && t->short_s <= t->span_s);
}

static void every_request_has_one_end(void **state)
{
    (void)state;
    struct draw d = {.seed = 11};
    struct tr_scale_stats sum = {0};
    for (int i = 0; i < 150; i++) {
        int pods = (int)between(&d, 1, 3);
        struct tr_scaling s = random_scaling(&d, pods);
        struct tr_fleet_config c = config(&s, pods);
        int64_t now_ns = 0, gap_ns = 0, events = 0;
        struct kept k;
        c.seed = (uint64_t)i;
        c.device[0].engine.timeout_ns = between(&d, 0, 1) * 30 * S;
        c.workload[0].router = (enum tr_router)between(&d, 0, 4);
        c.resource = (enum tr_gpu_resource)between(&d, 0, 1);
        kept_open(&k, 400);
        struct tr_fleet *f = tr_fleet_new(&c, kept_sink, &k);
        for (int id = 0; id < 400; id++) {
            if (id % 50 == 0)
                gap_ns = between(&d, 1, 10) * between(&d, 1, 10) * 100 * MS;
            now_ns += between(&d, 0, gap_ns);
            struct tr_fleet_request q = {.engine = {.id = id,
                                                    .arrival_ns = now_ns,
                                                    .prompt_tok = (int32_t)between(&d, 1, 200),
                                                    .output_tok = (int32_t)between(&d, 1, 450)},
                                         .session = id % 7};
            tr_fleet_send(f, &q, &events);
        }
        tr_fleet_advance(f, TR_TIME_NEVER);
        struct tr_fleet_stats t = tr_fleet_stats(f, now_ns);
        assert_true(k.n == 400 && k.twice == 0 && t.inside == 0);
        assert_true(t.busy_fraction <= 1 && t.kv_mean <= t.kv_max);
        check_timeline(f, &t.scale);
        int64_t lost = t.scale.lost_to_drains + t.scale.lost_to_interruptions;
        for (int id = 0; id < 400; id++)
            lost -= k.record[id].status == TR_ABORTED;
        assert_int_equal(lost, 0);
        sum.lost_to_drains += t.scale.lost_to_drains;
        sum.lost_to_interruptions += t.scale.lost_to_interruptions;
        sum.given_up += t.scale.given_up;
        sum.removals += t.scale.removals;
        sum.held_timeouts += t.scale.held_timeouts;
        sum.failed_asks += t.scale.failed_asks;
        tr_fleet_free(f);
        free(k.record);
    }
    /* All of it has happened. */
    assert_true(sum.lost_to_drains > 50 && sum.lost_to_interruptions > 50);
    assert_true(sum.removals > 50 && sum.held_timeouts > 50 && sum.failed_asks > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_second_by_second),
        cmocka_unit_test(a_trace_tells_what_the_fleet_does),
        cmocka_unit_test(a_stopped_node_comes_back_sooner),
        cmocka_unit_test(the_gateway_holds_what_nobody_can_take),
        cmocka_unit_test(a_client_gives_up_at_the_gateway),
        cmocka_unit_test(a_pod_drains_within_its_grace),
        cmocka_unit_test(what_outlasts_the_grace_is_lost),
        cmocka_unit_test(a_new_pod_has_a_cold_cache),
        cmocka_unit_test(the_crowded_node_gives_a_pod),
        cmocka_unit_test(a_cloud_without_capacity_gives_no_node),
        cmocka_unit_test(spot_nodes_are_interrupted_at_their_rate),
        cmocka_unit_test(an_interruption_takes_what_is_under_way),
        cmocka_unit_test(an_interruption_cuts_the_grace_short),
        cmocka_unit_test(sessions_move_only_to_the_new_pod),
        cmocka_unit_test(without_room_to_change_it_is_the_fixed_fleet),
        cmocka_unit_test(every_request_has_one_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
