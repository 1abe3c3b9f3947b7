/* Whole runs against queueing theory. An engine with one place whose answers have one token is a
 * single server, first come, first served, that works on a prompt for a time known beforehand: what
 * Pollaczek, Khinchine, Crommelin, Kingman and Little say of such servers must come out. Where
 * theory speaks of means, the mean of a run is held to three standard errors of that run (by batch
 * means), and the standard error itself to a few per cent, so that a wrong mean cannot hide in it;
 * where it speaks of every single customer (Lindley's recursion), every record is held to the
 * nanosecond. */
#include "sim/sim.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../unit/fixture.h"

#define MS      TR_NS_PER_MS
#define S       TR_NS_PER_S
#define PROMPT  900
#define BATCHES 50

static struct tr_arena arena;
static struct tr_steptime steptime; /* a tiny model on a card so slow that prompts take some ms */
static struct tr_steptime llama;    /* Llama 3.1 8B on an A100 */

static int setup(void **state)
{
    (void)state;
    struct tr_gpu slow = a100_pcie;
    slow.peak_flops /= 500;
    slow.bandwidth /= 500;
    struct tr_share_hw hw = share_whole(&slow), whole = share_whole(&a100_pcie);
    tr_steptime_init(&steptime, &arena, &hw, &tiny, &bf16, 2048, 16, true, false);
    tr_steptime_init(&llama, &arena, &whole, &llama_8b, &bf16, 2048, 64, true, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- servers --------------------------------------------------------------------------------- */

static const struct tr_slo no_slo = {.n = 0};

/* `gpus` cards, each shared by `pods` engines of `places` places. */
static struct tr_sim_config config(int gpus, int pods, int places, enum tr_router router)
{
    struct tr_sim_config cfg = {.fleet = {.gpus = gpus,
                                          .parts = 1,
                                          .workload = {{.router = router, .n_tenants = 1}},
                                          .seed = 7},
                                .slo = &no_slo};
    cfg.fleet.device[0] = (struct tr_device_config){
        .engine = {.steptime = &steptime,
                   .max_num_batched_tokens = 2048,
                   .max_num_seqs = places,
                   .max_model_len = 1024,
                   .num_gpu_blocks = 64 * places,
                   .async = true},
        .n_pods = pods,
        .quantum_ps = INT64_C(1024000000),
        .switch_ps = INT64_C(112640000),
    };
    return cfg;
}

static int64_t service_ps(int32_t prompt_tok)
{
    return tr_steptime_prefill_ps(&steptime, prompt_tok, 2048);
}

static double service_s(void)
{
    return (double)service_ps(PROMPT) / 1e12;
}

/* ---- streams --------------------------------------------------------------------------------- */

static struct tr_length lengths(double mean, double cv)
{
    if (cv == 0)
        return (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = (int32_t)mean};
    return (struct tr_length){
        .kind = TR_LENGTH_LOGNORMAL, .mean = mean, .cv = cv, .min_tok = 1, .max_tok = 500};
}

/* `n` requests at a constant rate; burstiness 1 is Poisson. */
static struct tr_source *stream(double rate, double burstiness, int64_t n, struct tr_length prompt,
                                struct tr_length output, uint64_t seed)
{
    struct tr_knot knots[2] = {{0, rate}, {TR_NS_PER_S, rate}};
    struct tr_traffic_spec spec;
    struct tr_source *src;
    struct tr_trace_info info;
    struct tr_err err = {0};
    tr_traffic_spec_init(&spec);
    spec.process = TR_GAMMA;
    spec.burstiness = burstiness;
    spec.knots = knots;
    spec.n_knots = 2;
    spec.max_requests = n;
    spec.prompt = prompt;
    spec.output = output;
    if (tr_source_open(&spec, seed, &src, &info, &err) < 0)
        fail_msg("%s", err.text);
    return src;
}

/* Equal prompts, answers of one token. */
static struct tr_source *equal_jobs(double rate, double burstiness, int64_t n, uint64_t seed)
{
    return stream(rate, burstiness, n, lengths(PROMPT, 0), lengths(1, 0), seed);
}

static struct tr_sim_result run(struct tr_sim_config *cfg, struct tr_source *src, struct kept *k,
                                int64_t n)
{
    struct tr_sim_result r;
    struct tr_err err = {0};
    kept_open(k, n);
    cfg->on_record = kept_sink;
    cfg->on_record_arg = k;
    if (tr_sim_run(cfg, src, &r, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(k->n, n);
    assert_int_equal(k->twice, 0);
    assert_int_equal(r.outcome.done, n);
    tr_source_close(src);
    return r;
}

/* ---- waits ----------------------------------------------------------------------------------- */

struct mean {
    double s, error_s; /* mean wait, and its standard error */
};

static int64_t wait_ns(const struct tr_record *r)
{
    return r->scheduled_ns - r->arrival_ns - TR_API_NS;
}

/* Mean wait of the requests in order of arrival; its error from the spread of BATCHES batches. */
static struct mean mean_wait(const struct kept *k)
{
    double sum = 0, squares = 0;
    int64_t size = k->cap / BATCHES;
    for (int b = 0; b < BATCHES; b++) {
        double batch = 0;
        for (int64_t i = b * size; i < (b + 1) * size; i++)
            batch += (double)wait_ns(&k->record[i]) / 1e9 / (double)size;
        sum += batch;
        squares += batch * batch;
    }
    double mean = sum / BATCHES;
    double variance = (squares - BATCHES * mean * mean) / (BATCHES - 1);
    return (struct mean){mean, sqrt(variance / BATCHES)};
}

/* The run's mean is theory's, as far as the run can tell, and it can tell 4 %. */
static void check_mean(const char *what, struct mean got, double want_s)
{
    print_message("# %s: mean wait %.4f ms, error %.4f; theory %.4f\n", what, 1e3 * got.s,
                  1e3 * got.error_s, 1e3 * want_s);
    assert_true(fabs(got.s - want_s) < 3 * got.error_s);
    assert_true(got.error_s < 0.04 * want_s);
}

/* Pollaczek and Khinchine: rate E[S^2] / (2 (1 - rho)). */
static double pollaczek_khinchine_s(double rate, double mean_s, double mean_square_s2)
{
    return rate * mean_square_s2 / (2 * (1 - rate * mean_s));
}

/* Lindley: a customer begins when it is there and the one `servers` places ahead of it is done
 * (equal services: the one that began `servers` before it ends first). Records of one pod, or of
 * all (-1). */
static void check_lindley(const struct kept *k, int pod, int servers)
{
    int64_t end_ps[8] = {0};
    int next = 0;
    for (int64_t i = 0; i < k->cap; i++) {
        const struct tr_record *r = &k->record[i];
        if (pod >= 0 && r->pod != pod)
            continue;
        int64_t begin_ps = TR_MAX((r->arrival_ns + TR_API_NS) * TR_PS_PER_NS, end_ps[next]);
        end_ps[next] = begin_ps + service_ps(r->prompt_tok);
        if (r->scheduled_ns != begin_ps / TR_PS_PER_NS ||
            r->last_token_ns != end_ps[next] / TR_PS_PER_NS)
            fail_msg("request %" PRId64 ": began %" PRId64 ", ended %" PRId64 " ns; %" PRId64
                     " and %" PRId64 " by Lindley's recursion",
                     i, r->scheduled_ns, r->last_token_ns, begin_ps / TR_PS_PER_NS,
                     end_ps[next] / TR_PS_PER_NS);
        next = (next + 1) % servers;
    }
}

/* ---- one server ------------------------------------------------------------------------------ */

/* Poisson arrivals, constant service. Utilisation law: busy time is requests times service. */
static void one_place_is_an_m_d_1_queue(void **state)
{
    (void)state;
    static const double rhos[] = {0.3, 0.6, 0.8};
    const int64_t n = 120000;
    double d = service_s();
    for (size_t i = 0; i < TR_LEN(rhos); i++) {
        double rate = rhos[i] / d;
        struct tr_sim_config cfg = config(1, 1, 1, TR_ROUTE_RANDOM);
        struct kept k;
        struct tr_sim_result r = run(&cfg, equal_jobs(rate, 1, n, 3), &k, n);
        char what[32];
        snprintf(what, sizeof what, "M/D/1, load %.1f", rhos[i]);
        check_mean(what, mean_wait(&k), pollaczek_khinchine_s(rate, d, d * d));
        check_lindley(&k, -1, 1);
        assert_int_equal(r.fleet.busy_ns, n * service_ps(PROMPT) / TR_PS_PER_NS);
        double throughput = (double)n / ((double)r.outcome.end_ns / 1e9);
        assert_true(fabs(r.fleet.busy_fraction - throughput * d) < 1e-9);
        tr_sim_result_free(&r);
        free(k.record);
    }
}

/* Short and long prompts: waits depend on the second moment of the service times. */
static void two_lengths_of_prompt_are_an_m_g_1_queue(void **state)
{
    (void)state;
    const int64_t n = 120000;
    const double long_ones = 0.1, load = 0.7;
    double s[2] = {(double)service_ps(200) / 1e12, (double)service_ps(1000) / 1e12};
    double mean_s = (1 - long_ones) * s[0] + long_ones * s[1];
    double square = (1 - long_ones) * s[0] * s[0] + long_ones * s[1] * s[1];
    struct tr_sim_config cfg = config(1, 1, 1, TR_ROUTE_RANDOM);
    uint64_t gaps = tr_rng_stream("m/g/1 gap", 0, 0), kinds = tr_rng_stream("m/g/1 kind", 0, 0);
    struct kept k;
    double now_s = 0;
    kept_open(&k, n);
    struct tr_device *d = tr_device_new(&cfg.fleet.device[0], kept_sink, &k);
    for (int64_t i = 0; i < n; i++) {
        bool is_long = tr_rng_unit(1, kinds, (uint64_t)i) < long_ones;
        now_s += tr_rng_exp(1, gaps, (uint64_t)i) * mean_s / load;
        struct tr_engine_request q = {.id = i,
                                      .arrival_ns = (int64_t)(now_s * 1e9),
                                      .prompt_tok = is_long ? 1000 : 200,
                                      .output_tok = 1};
        tr_device_advance(d, q.arrival_ns);
        tr_device_send(d, 0, &q, q.arrival_ns + TR_API_NS);
    }
    tr_device_advance(d, TR_TIME_NEVER);
    assert_int_equal(k.n, n);
    check_mean("M/G/1", mean_wait(&k), pollaczek_khinchine_s(load / mean_s, mean_s, square));
    check_lindley(&k, -1, 1);
    tr_device_free(d);
    free(k.record);
}

/* ---- many servers ---------------------------------------------------------------------------- */

/* A Poisson stream cut at random is as many Poisson streams, and no pod knows of the others. */
static void pods_behind_a_random_router_are_m_d_1_queues(void **state)
{
    (void)state;
    const int pods = 4;
    const int64_t n = 120000;
    double d = service_s(), rate = 0.7 / d;
    int64_t count[4] = {0};
    struct tr_sim_config cfg = config(pods, 1, 1, TR_ROUTE_RANDOM);
    struct kept k;
    struct tr_sim_result r = run(&cfg, equal_jobs(pods * rate, 1, n, 5), &k, n);
    check_mean("4 x M/D/1", mean_wait(&k), pollaczek_khinchine_s(rate, d, d * d));
    for (int64_t i = 0; i < n; i++)
        count[k.record[i].pod]++;
    for (int pod = 0; pod < pods; pod++) {
        double sd = sqrt((double)n * (pods - 1)) / pods;
        assert_true(fabs((double)count[pod] - (double)n / pods) < 4 * sd);
        check_lindley(&k, pod, 1);
    }
    tr_sim_result_free(&r);
    free(k.record);
}

#define STATES 400

/* Crommelin: after one service time everybody who was being served has left and a Poisson number
 * has come, so that p'(j) = P(at most n) a(j) + sum over i > n of p(i) a(j + n - i). The mean wait
 * follows from the mean queue by Little's law. */
static double m_d_n_wait_s(int n, double rho, double d)
{
    static double p[STATES], next[STATES], a[STATES];
    double queue = 0, before = -1;
    a[0] = tr_exp(-n * rho);
    for (int j = 1; j < STATES; j++)
        a[j] = a[j - 1] * n * rho / j;
    memset(p, 0, sizeof p);
    p[0] = 1;
    while (fabs(queue - before) > 1e-9) {
        double few = 0;
        before = queue;
        queue = 0;
        for (int i = 0; i <= n; i++)
            few += p[i];
        for (int j = 0; j < STATES; j++) {
            next[j] = few * a[j];
            for (int i = n + 1; i <= TR_MIN(j + n, STATES - 1); i++)
                next[j] += p[i] * a[j + n - i];
            queue += TR_MAX(j - n, 0) * next[j];
        }
        memcpy(p, next, sizeof p);
    }
    return queue * d / (n * rho);
}

/* With equal services, taking turns is one common queue: nobody overtakes. That is the least wait
 * any router can give; least-requests comes near to it, the nearer the higher the load (Foschini
 * and Salz: in heavy traffic it is the common queue), and random is the most of the three. */
static void least_requests_approaches_the_common_queue(void **state)
{
    (void)state;
    static const double rhos[] = {0.6, 0.8, 0.95};
    static const enum tr_router routers[] = {TR_ROUTE_ROUND_ROBIN, TR_ROUTE_LEAST_REQUESTS};
    const int pods = 4;
    const int64_t n = 120000;
    double d = service_s(), ratio_before = INFINITY;
    for (size_t i = 0; i < TR_LEN(rhos); i++) {
        double rate = rhos[i] / d;
        struct mean wait[2];
        for (int j = 0; j < 2; j++) {
            struct tr_sim_config cfg = config(pods, 1, 1, routers[j]);
            struct kept k;
            struct tr_sim_result r = run(&cfg, equal_jobs(pods * rate, 1, n, 6), &k, n);
            wait[j] = mean_wait(&k);
            if (routers[j] == TR_ROUTE_ROUND_ROBIN)
                check_lindley(&k, -1, pods);
            tr_sim_result_free(&r);
            free(k.record);
        }
        double ratio = wait[1].s / wait[0].s, want_s = m_d_n_wait_s(pods, rhos[i], d);
        print_message("# load %.2f: common queue %.4f ms (error %.4f, Crommelin %.4f), "
                      "least-requests %.2f times\n",
                      rhos[i], 1e3 * wait[0].s, 1e3 * wait[0].error_s, 1e3 * want_s, ratio);
        assert_true(fabs(wait[0].s - want_s) < 3 * wait[0].error_s);
        assert_true(ratio >= 1 && ratio < ratio_before);
        assert_true(wait[1].s < pollaczek_khinchine_s(rate, d, d * d));
        ratio_before = ratio;
    }
    assert_true(ratio_before < 1.2);
}

/* ---- Little's law ---------------------------------------------------------------------------- */

/* Of looks every `every_ns`, those at which what began at `from_ns` and ended at `to_ns` is seen:
 * a look sees everything before its moment. */
static int64_t seen(int64_t from_ns, int64_t to_ns, int64_t every_ns)
{
    return to_ns / every_ns - from_ns / every_ns;
}

enum { IN_SYSTEM, IN_QUEUE, IN_BATCH, N_PLACES };

struct looks {
    int64_t every_ns, next_ns;
    int64_t counted[N_PLACES];
};

static void look_until(struct looks *l, struct tr_device *d, int64_t until_ns)
{
    for (; l->next_ns <= until_ns; l->next_ns += l->every_ns) {
        tr_device_advance(d, l->next_ns);
        for (int pod = 0; pod < 2; pod++) {
            l->counted[IN_SYSTEM] += tr_device_outstanding(d, pod);
            l->counted[IN_QUEUE] += tr_engine_waiting(tr_device_engine(d, pod));
            l->counted[IN_BATCH] += tr_engine_running(tr_device_engine(d, pod));
        }
    }
}

/* Numbers in the system, in the queue and in the batch, as the engines count them, looked at every
 * 0.1 ms and added up, are the times in each, as the records tell them: exactly, as each record is
 * worth the number of looks between its beginning and its end. Then the mean number is the rate
 * times the mean time, but for the coarseness of the looks. */
static void littles_law(void **state)
{
    (void)state;
    const int64_t n = 6000;
    struct looks l = {.every_ns = MS / 10, .next_ns = MS / 10};
    struct tr_sim_config cfg = config(1, 2, 8, TR_ROUTE_RANDOM);
    struct tr_source *src = stream(110, 0.5, n, lengths(200, 0.8), lengths(20, 0.8), 5);
    int64_t told[N_PLACES] = {0}, sojourn_ns = 0;
    struct tr_arrival a;
    struct kept k;
    kept_open(&k, n);
    struct tr_device *d = tr_device_new(&cfg.fleet.device[0], kept_sink, &k);
    for (int64_t i = 0; tr_source_next(src, &a); i++) {
        struct tr_engine_request q = {.id = i,
                                      .arrival_ns = a.time_ns,
                                      .prompt_tok = a.prompt_tok,
                                      .output_tok = a.output_tok};
        look_until(&l, d, a.time_ns);
        tr_device_advance(d, a.time_ns);
        tr_device_send(d, (int)(i & 1), &q, a.time_ns + TR_API_NS);
    }
    while (k.n < n)
        look_until(&l, d, l.next_ns);
    for (int64_t i = 0; i < n; i++) {
        const struct tr_record *r = &k.record[i];
        assert_int_equal(r->preemptions, 0);
        told[IN_SYSTEM] += seen(r->arrival_ns, r->last_token_ns, l.every_ns);
        told[IN_QUEUE] += seen(r->arrival_ns + TR_API_NS, r->scheduled_ns, l.every_ns);
        told[IN_BATCH] += seen(r->scheduled_ns, r->last_token_ns, l.every_ns);
        sojourn_ns += tr_record_metric(r, TR_E2E);
    }
    for (int i = 0; i < N_PLACES; i++)
        assert_int_equal(l.counted[i], told[i]);
    double looks = (double)(l.next_ns / l.every_ns - 1), span_ns = looks * (double)l.every_ns;
    double number = (double)l.counted[IN_SYSTEM] / looks, rate = (double)n / span_ns;
    double mean_ns = (double)sojourn_ns / (double)n;
    print_message("# Little: %.4f in the system; rate x time %.4f\n", number, rate * mean_ns);
    assert_true(number > 2 && l.counted[IN_QUEUE] > 0);
    assert_true(fabs(number - rate * mean_ns) <= rate * (double)l.every_ns);
    tr_device_free(d);
    tr_source_close(src);
    free(k.record);
}

/* ---- work ------------------------------------------------------------------------------------ */

static void add_steps(void *arg, const struct tr_trace_event *ev)
{
    int64_t *sum_ps = arg;
    if (strcmp(ev->what, "step") == 0)
        *sum_ps += ev->step->duration_ps;
}

/* However a card is shared, its busy time is its steps, all of them and nothing else: switching is
 * not work, and stretches taken as one (without a trace) are the same work. */
static void busy_time_is_the_sum_of_the_steps(void **state)
{
    (void)state;
    static const struct {
        int pods;
        int64_t quantum_ps, switch_ps;
    } shares[] = {{1, 1024000000, 112640000},
                  {2, 1024000000, 112640000},
                  {4, 2048000000, 225280000},
                  {4, 300000000, 0}};
    const int64_t n = 1500;
    for (size_t i = 0; i < TR_LEN(shares); i++) {
        int64_t steps_ps = 0;
        struct tr_sim_result r[2];
        for (int traced = 0; traced < 2; traced++) {
            struct tr_sim_config cfg = config(2, shares[i].pods, 8, TR_ROUTE_RANDOM);
            cfg.fleet.device[0].quantum_ps = shares[i].quantum_ps;
            cfg.fleet.device[0].switch_ps = shares[i].switch_ps;
            cfg.trace = traced ? add_steps : NULL;
            cfg.trace_arg = &steps_ps;
            struct kept k;
            struct tr_source *src = stream(200, 0.5, n, lengths(200, 0.8), lengths(30, 0.8), 9);
            r[traced] = run(&cfg, src, &k, n);
            free(k.record);
        }
        assert_in_range(steps_ps / TR_PS_PER_NS - r[1].fleet.busy_ns, 0, 1); /* of 2 cards */
        assert_int_equal(r[0].fleet.busy_ns, r[1].fleet.busy_ns);
        assert_int_equal(r[0].fleet.steps, r[1].fleet.steps);
        assert_true(shares[i].pods > 1 && shares[i].switch_ps > 0 ? r[0].fleet.switch_ns > 0
                                                                  : r[0].fleet.switch_ns == 0);
        tr_sim_result_free(&r[0]);
        tr_sim_result_free(&r[1]);
    }
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Where switching costs nothing, who runs when does not change how much is left to do: the card is
 * busy for as long, and falls idle at the same moments, those of one queue (Lindley). */
static void without_switch_cost_the_quantum_does_not_matter(void **state)
{
    (void)state;
    static const int64_t quanta_ps[] = {100000000, 1024000000, 5000000000, 90000000000};
    const int64_t n = 4000;
    double rate = 0.7 / service_s();
    for (size_t i = 0; i < TR_LEN(quanta_ps); i++) {
        struct tr_sim_config cfg = config(1, 3, 1, TR_ROUTE_RANDOM);
        cfg.fleet.device[0].quantum_ps = quanta_ps[i];
        cfg.fleet.device[0].switch_ps = 0;
        struct kept k;
        struct tr_sim_result r = run(&cfg, equal_jobs(rate, 1, n, 2), &k, n);
        int64_t *ends_ns = tr_calloc((size_t)n, sizeof *ends_ns), end_ps = 0, idle_times = 0;
        assert_int_equal(r.fleet.busy_ns, n * service_ps(PROMPT) / TR_PS_PER_NS);
        for (int64_t j = 0; j < n; j++)
            ends_ns[j] = k.record[j].last_token_ns;
        qsort(ends_ns, (size_t)n, sizeof *ends_ns, by_time);
        for (int64_t j = 0; j < n; j++) {
            int64_t reach_ps = (k.record[j].arrival_ns + TR_API_NS) * TR_PS_PER_NS;
            if (j > 0 && reach_ps > end_ps) { /* idle: the j before it had all left by then */
                assert_in_range(ends_ns[j - 1] + 1 - end_ps / TR_PS_PER_NS, 0, 2);
                idle_times++;
            }
            end_ps = TR_MAX(reach_ps, end_ps) + service_ps(PROMPT);
        }
        assert_in_range(ends_ns[n - 1] + 1 - end_ps / TR_PS_PER_NS, 0, 2);
        assert_true(idle_times > n / 8);
        free(ends_ns);
        free(k.record);
        tr_sim_result_free(&r);
    }
}

/* ---- burstiness ------------------------------------------------------------------------------ */

/* Gamma gaps of shape k have the squared coefficient of variation 1/k. The tail of TTFT grows with
 * it, and the mean wait stays within Kingman's bound, rate (variance of gaps + of services) / (2 (1
 * - rho)), whose variance of services is 0 here. */
static void bursts_lengthen_the_tail(void **state)
{
    (void)state;
    static const double shapes[] = {4, 2, 1, 0.5, 0.25};
    const double rho = 0.7;
    const int64_t n = 60000;
    double d = service_s(), rate = rho / d, before_s = 0;
    int64_t p99_before_ns = 0;
    for (size_t i = 0; i < TR_LEN(shapes); i++) {
        struct tr_sim_config cfg = config(1, 1, 1, TR_ROUTE_RANDOM);
        struct kept k;
        struct tr_sim_result r = run(&cfg, equal_jobs(rate, shapes[i], n, 4), &k, n);
        struct mean wait = mean_wait(&k);
        int64_t p99_ns = tr_hist_quantile(&r.outcome.metric[TR_TTFT], 0.99);
        double kingman_s = 1 / (rate * shapes[i]) / (2 * (1 - rho));
        print_message("# burstiness %.2f: TTFT p99 %.1f ms; wait %.3f ms, at most %.3f (Kingman)\n",
                      shapes[i], (double)p99_ns / 1e6, 1e3 * wait.s, 1e3 * kingman_s);
        assert_true(p99_ns > p99_before_ns + p99_before_ns / 20);
        assert_true(wait.s > before_s && wait.s < kingman_s);
        assert_true(shapes[i] > 1 || wait.s > kingman_s / 3); /* the bound is near, not far above */
        p99_before_ns = p99_ns;
        before_s = wait.s;
        tr_sim_result_free(&r);
        free(k.record);
    }
}

/* ---- saturated decode ------------------------------------------------------------------------ */

static double gemm_s(double m, double n, double k)
{
    double arithmetic = 2 * m * n * k / (0.61 * 312e12);
    double memory = (2 * n * k + 2 * (m * k + m * n)) / (0.80 * 1935e9);
    return cbrt(arithmetic * arithmetic * arithmetic + memory * memory * memory);
}

/* docs/model.md's equations for Llama 3.1 8B in bf16 on an A100 80GB PCIe, typed in again. */
static double step_s(double tokens, double rows, double decodes, double context, double pairs)
{
    double layer = gemm_s(tokens, 48 * 128, 4096) + gemm_s(tokens, 4096, 4096) +
                   gemm_s(tokens, 2 * 14336, 4096) + gemm_s(tokens, 4096, 14336) + 4 * 6e-6 +
                   2 * tokens * (8 * 4096 + 3 * 14336 + 2 * 40 * 128) / (0.80 * 1935e9) + 12e-6;
    double chunk = 4 * 32 * 128 * pairs / (0.50 * 312e12);
    double decode = 2 * 8 * 128 * 2 * context / (0.78 * 1935e9) + decodes * 32 * 2.5e-9;
    return 32 * (layer + chunk + decode) + gemm_s(rows, 128256, 4096) + 6e-6;
}

/* 64 places and always more requests than that, all alike and all there at once: each 64 are
 * prefilled in one step and decode together, so that the answer tokens per second are those of the
 * steps, by hand. */
static void saturated_decode_runs_at_the_rate_of_its_steps(void **state)
{
    (void)state;
    const int places = 64, rounds = 3, prompt = 16, output = 400;
    struct tr_sim_config cfg = config(1, 1, places, TR_ROUTE_RANDOM);
    int64_t n = (int64_t)places * rounds, end_ns = 0;
    double pairs = places * (prompt * (prompt + 1) / 2.0) * (prompt + 565.0) / prompt;
    double round_s = step_s(places * prompt, places, 0, 0, pairs);
    for (int j = 1; j < output; j++)
        round_s += step_s(places, places, places, (double)places * (prompt + j), 0);
    struct kept k;
    kept_open(&k, n);
    cfg.fleet.device[0].engine.steptime = &llama;
    struct tr_device *d = tr_device_new(&cfg.fleet.device[0], kept_sink, &k);
    for (int64_t i = 0; i < n; i++)
        tr_device_send(
            d, 0, &(struct tr_engine_request){.id = i, .prompt_tok = prompt, .output_tok = output},
            TR_API_NS);
    tr_device_advance(d, TR_TIME_NEVER);
    assert_int_equal(k.n, n);
    for (int64_t i = 0; i < n; i++)
        end_ns = TR_MAX(end_ns, k.record[i].last_token_ns);
    double span_s = (double)(end_ns - TR_API_NS) / 1e9, tokens = (double)n * output;
    print_message("# saturated decode: %.2f tokens/s, by hand %.2f\n", tokens / span_s,
                  places * output / round_s);
    assert_true(fabs(span_s / (rounds * round_s) - 1) < 1e-6);
    assert_true(fabs((double)tr_device_stats(d).busy_ns / 1e9 / span_s - 1) < 1e-6);
    tr_device_free(d);
    free(k.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_place_is_an_m_d_1_queue),
        cmocka_unit_test(two_lengths_of_prompt_are_an_m_g_1_queue),
        cmocka_unit_test(pods_behind_a_random_router_are_m_d_1_queues),
        cmocka_unit_test(least_requests_approaches_the_common_queue),
        cmocka_unit_test(littles_law),
        cmocka_unit_test(busy_time_is_the_sum_of_the_steps),
        cmocka_unit_test(without_switch_cost_the_quantum_does_not_matter),
        cmocka_unit_test(bursts_lengthen_the_tail),
        cmocka_unit_test(saturated_decode_runs_at_the_rate_of_its_steps),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
