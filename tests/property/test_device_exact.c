/* Devices taken in stretches and skipped rounds against the same devices taken step by step and
 * slice by slice (`exact`): whole, time-sliced, under MPS, one to four pods with prefix caches and
 * queues of their own, all alike or each of another kind. Records are the same to the bit, so are
 * the counters of the hardware and of every engine. That a difference of one picosecond would show
 * is tried as well. */
#include "share/device.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../unit/fixture.h"
#include "workload.h"

#define DEVICES 3000

static struct tr_arena arena;
static struct workload_tables tables;
static struct tr_steptime synchronous;

static int setup(void **state)
{
    struct tr_share_hw hw = share_whole(&a100_pcie);
    (void)state;
    workload_tables_init(&tables, &arena);
    tr_steptime_init(&synchronous, &arena, &hw, &tiny, &bf16, 512, 32, false, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- devices --------------------------------------------------------------------------------- */

enum kind { AS_DRAWN, SYNCHRONOUS, ONE_PLACE, OTHER_STEPS, N_KINDS };

/* What is drawn for a device beside the workload; a fault makes the exact one another device. */
struct setting {
    int pods;
    bool unlike; /* pods are of these kinds */
    enum kind kind[4];
    enum tr_sharing sharing;
    int64_t quantum_ps, switch_ps;
    int64_t quantum_fault_ps, switch_fault_ps;
};

/* How often the interesting things happened. */
struct seen {
    int64_t steps, alone, together, slices, crossed, evicted, hits_tok, preemptions;
    int64_t devices[3]; /* by sharing */
    int64_t unlike[3];
};

static void make_setting(struct setting *s, uint64_t seed, bool rounded)
{
    struct draw d = {seed, tr_rng_stream("device exact", 0, 0), 0};
    s->pods = (int)between(&d, 1, 4);
    s->sharing = s->pods == 1 ? TR_SOLO : between(&d, 0, 3) > 0 ? TR_TIMESLICE : TR_MPS;
    s->unlike = s->pods > 1 && between(&d, 0, 1);
    for (int i = 0; i < 4; i++)
        s->kind[i] = (enum kind)between(&d, 0, N_KINDS - 1);
    s->quantum_ps = between(&d, 1, (int64_t[]){4, 20, 200, 2000}[between(&d, 0, 3)]) * 1000000;
    s->switch_ps = between(&d, 0, 1) * between(&d, 0, 120) * 1000000;
    if (rounded) {
        s->quantum_ps = between(&d, 1, 20) * 10000000;
        s->switch_ps = between(&d, 0, 3) * 10000000;
    } else if (between(&d, 0, 1)) {
        s->quantum_ps += between(&d, 0, 999999);
    }
}

struct result {
    struct tr_record record[MAX_REQUESTS];
    int n;
    struct tr_share_stats hardware;
    struct tr_engine_stats engine[4];
    int64_t events;
    struct seen *seen;
    int in_flight[4]; /* of the trace */
    bool decodes[4];  /* the pod's newest step does nothing else */
};

static void keep(void *arg, const struct tr_record *r)
{
    struct result *all = arg;
    tr_assert(all->n < MAX_REQUESTS);
    all->record[all->n++] = *r;
}

/* Of the exact device: ends of steps, and which of them are decodes of a pod alone on the card, or
 * of one beside others that decode too. */
static void look(void *arg, const struct tr_trace_event *ev)
{
    struct result *all = arg;
    bool alone = true, calm = true;
    for (int i = 0; i < 4; i++) {
        alone &= i == ev->pod || all->in_flight[i] == 0;
        calm &= all->in_flight[i] == 0 || all->decodes[i];
    }
    if (strcmp(ev->what, "step") == 0) {
        all->in_flight[ev->pod]++;
        all->decodes[ev->pod] = ev->step->chunks == 0;
    }
    if (strcmp(ev->what, "end") != 0)
        return;
    all->in_flight[ev->pod]--;
    all->seen->steps++;
    all->seen->alone += alone && calm;
    all->seen->together += !alone && calm;
}

static struct tr_engine_config engine_of(const struct workload *w, enum kind kind)
{
    struct tr_engine_config e = w->cfg;
    if (kind == SYNCHRONOUS)
        e.async = e.stop_token = false;
    if (kind == ONE_PLACE)
        e.max_num_seqs = 1;
    if (kind == OTHER_STEPS)
        e.steptime = e.steptime == &tables.plain ? &tables.rounded : &tables.plain;
    if (!e.async)
        e.steptime = &synchronous;
    return e;
}

static void run_device(const struct workload *w, const struct setting *s, bool exact,
                       struct result *out)
{
    struct tr_engine_config engines[4];
    for (int i = 0; i < s->pods; i++)
        engines[i] = engine_of(w, s->kind[i]);
    struct tr_device_config cfg = {.engine = engine_of(w, AS_DRAWN),
                                   .engines = s->unlike ? engines : NULL,
                                   .n_pods = s->pods,
                                   .sharing = s->sharing,
                                   .quantum_ps = s->quantum_ps,
                                   .switch_ps = s->switch_ps,
                                   .exact = exact};
    if (exact) {
        cfg.quantum_ps += s->quantum_fault_ps;
        cfg.switch_ps += s->switch_fault_ps;
    }
    struct tr_device *d = tr_device_new(&cfg, keep, out);
    if (exact)
        tr_device_trace(d, look, out);
    for (int i = 0; i < w->n; i++) {
        const struct workload_request *r = &w->request[i];
        struct tr_engine_request q = r->q;
        q.chain = workload_chain(r);
        out->events += tr_device_advance(d, q.arrival_ns);
        tr_device_send(d, (int)(q.id % 7) % s->pods, &q, q.arrival_ns + TR_API_NS);
    }
    out->events += tr_device_advance(d, TR_TIME_NEVER);
    out->hardware = tr_device_stats(d);
    for (int i = 0; i < s->pods; i++)
        out->engine[i] = *tr_engine_stats(tr_device_engine(d, i));
    tr_device_free(d);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct tr_record *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static const char *records_differ(const struct tr_record *a, const struct tr_record *b)
{
    if (a->id != b->id || a->pod != b->pod || a->tenant != b->tenant || a->status != b->status)
        return "a request";
    if (a->arrival_ns != b->arrival_ns || a->sent_ns != b->sent_ns ||
        a->scheduled_ns != b->scheduled_ns || a->first_token_ns != b->first_token_ns ||
        a->last_token_ns != b->last_token_ns || a->lost_ns != b->lost_ns)
        return "a time of a record";
    if (a->prompt_tok != b->prompt_tok || a->output_tok != b->output_tok ||
        a->cached_tok != b->cached_tok || a->preemptions != b->preemptions || a->cause != b->cause)
        return "a count of a record";
    return NULL;
}

static bool same_engine(const struct tr_engine_stats *a, const struct tr_engine_stats *b)
{
    return a->steps == b->steps && a->prefill_tok == b->prefill_tok &&
           a->decode_tok == b->decode_tok && a->preemptions == b->preemptions &&
           a->partial_chunks == b->partial_chunks &&
           a->prefix_queries_tok == b->prefix_queries_tok &&
           a->prefix_hits_tok == b->prefix_hits_tok && a->evicted_blocks == b->evicted_blocks &&
           a->blocked_kv == b->blocked_kv && a->blocked_seqs == b->blocked_seqs &&
           a->kv_used_max == b->kv_used_max;
}

/* What differs, NULL: nothing. */
static const char *compare(struct result *a, struct result *b, int pods)
{
    if (a->n != b->n)
        return "the number of records";
    qsort(a->record, (size_t)a->n, sizeof a->record[0], by_id);
    qsort(b->record, (size_t)b->n, sizeof b->record[0], by_id);
    for (int i = 0; i < a->n; i++) {
        const char *what = records_differ(&a->record[i], &b->record[i]);
        if (what != NULL)
            return what;
    }
    for (int i = 0; i < pods; i++)
        if (!same_engine(&a->engine[i], &b->engine[i]))
            return "a counter of an engine";
    if (a->hardware.busy_ns != b->hardware.busy_ns ||
        a->hardware.switch_ns != b->hardware.switch_ns ||
        a->hardware.slices != b->hardware.slices || a->events != b->events)
        return "a counter of the hardware";
    return NULL;
}

struct hunt {
    struct setting setting;
    struct seen seen;
    const char *what;
};

static bool parts(void *arg, const struct workload *w)
{
    struct hunt *h = arg;
    struct result fast = {.seen = &h->seen}, exact = {.seen = &h->seen};
    run_device(w, &h->setting, false, &fast);
    run_device(w, &h->setting, true, &exact);
    for (int i = 0; i < h->setting.pods; i++) {
        h->seen.evicted += exact.engine[i].evicted_blocks;
        h->seen.hits_tok += exact.engine[i].prefix_hits_tok;
        h->seen.preemptions += exact.engine[i].preemptions;
    }
    h->seen.devices[h->setting.sharing]++;
    h->seen.unlike[h->setting.sharing] += h->setting.unlike;
    h->seen.slices += exact.hardware.slices;
    /* An end, or a gap in a step, breaks at most two rounds: what is beyond can be skipped. */
    bool gaps = !w->cfg.async || h->setting.unlike;
    int64_t broken = exact.events * (gaps ? 1 + TR_SYNC_GAPS : 1) * 2 * h->setting.pods;
    h->seen.crossed += TR_MAX(exact.hardware.slices - broken, 0);
    h->what = exact.n < w->n ? "what is left in the device at the end"
                             : compare(&fast, &exact, h->setting.pods);
    return h->what != NULL;
}

static void make_device(struct workload *w, struct setting *s, uint64_t seed)
{
    workload_make(w, seed, &tables);
    make_setting(s, seed, w->cfg.async && w->cfg.steptime == &tables.rounded);
    if (w->cfg.timeout_ns > 0)
        w->cfg.timeout_ns += TR_API_NS;
}

static void report(struct hunt *h, struct workload *w, uint64_t seed)
{
    workload_shrink(w, parts, h);
    parts(h, w);
    workload_print(w);
    fail_msg("device %" PRIu64 " (%d pods, sharing %d, quantum %" PRId64 " ps, switch %" PRId64
             " ps), cut down to the above: %s differs",
             seed, h->setting.pods, h->setting.sharing, h->setting.quantum_ps, h->setting.switch_ps,
             h->what);
}

static void a_device_is_the_same_step_by_step_and_slice_by_slice(void **state)
{
    (void)state;
    struct hunt h = {0};
    for (uint64_t seed = 1; seed <= DEVICES; seed++) {
        struct workload w;
        make_device(&w, &h.setting, seed);
        if (parts(&h, &w))
            report(&h, &w, seed);
    }
    struct {
        const char *what;
        int64_t seen, at_least;
    } cover[] = {
        {"whole devices", h.seen.devices[TR_SOLO], DEVICES / 6},
        {"time-sliced devices", h.seen.devices[TR_TIMESLICE], DEVICES / 3},
        {"devices under MPS", h.seen.devices[TR_MPS], DEVICES / 8},
        {"time-sliced devices of unlike pods", h.seen.unlike[TR_TIMESLICE], DEVICES / 6},
        {"devices of unlike pods under MPS", h.seen.unlike[TR_MPS], DEVICES / 16},
        {"steps", h.seen.steps, 100 * DEVICES},
        {"decodes of a pod alone on the card", h.seen.alone, 30 * DEVICES},
        {"decodes of pods beside others that decode", h.seen.together, 60 * DEVICES},
        {"slices", h.seen.slices, 500 * DEVICES},
        {"of these in rounds that nothing breaks", h.seen.crossed, 100 * DEVICES},
        {"tokens hit", h.seen.hits_tok, 20000},
        {"evicted blocks", h.seen.evicted, 4000},
        {"preemptions", h.seen.preemptions, 1000},
    };
    for (size_t i = 0; i < TR_LEN(cover); i++)
        print_message("# %-46s %9" PRId64 "\n", cover[i].what, cover[i].seen);
    for (size_t i = 0; i < TR_LEN(cover); i++)
        if (cover[i].seen < cover[i].at_least)
            fail_msg("too few: %s", cover[i].what);
}

/* A quantum or a switch longer by one picosecond, on the exact side only. */
static void a_picosecond_is_noticed(void **state)
{
    (void)state;
    for (int fault = 0; fault < 2; fault++) {
        struct workload w;
        struct hunt h = {0};
        uint64_t seed = 0;
        do {
            make_device(&w, &h.setting, ++seed);
            h.setting.quantum_fault_ps = fault == 0;
            h.setting.switch_fault_ps = fault == 1;
        } while (!parts(&h, &w) && seed < 100);
        assert_true(parts(&h, &w));
        workload_shrink(&w, parts, &h);
        assert_in_range(w.n, 1, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_the_same_step_by_step_and_slice_by_slice),
        cmocka_unit_test(a_picosecond_is_noticed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
