/* The engine against a literal transcription of the scheduler and the KV cache it stands for
 * (oracle_engine.c, oracle_blocks.c): on thousands of small random workloads every step has the
 * same composition and duration, every request the same record, and the pool the same blocks in
 * use, although the engine takes whole stretches at once. The test says how often what went wrong
 * for a request, and fails when something was too rare. A difference is cut down to the few
 * requests it needs and written out; that this works is tried on rules broken on purpose. */
#include "pair.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORKLOADS 20000

static struct tr_arena arena;
static struct workload_tables tables;

static int setup(void **state)
{
    (void)state;
    workload_tables_init(&tables, &arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

struct hunt {
    struct pair_fault fault;
    char why[200];
};

static bool parts(void *arg, const struct workload *w)
{
    struct hunt *h = arg;
    struct pair_seen seen = {0};
    return !pair_run(w, h->fault, &seen, h->why, sizeof h->why);
}

static void check_coverage(const struct pair_seen *s)
{
    const struct oracle_seen *o = &s->oracle;
    struct {
        const char *what;
        int64_t seen, at_least;
    } cover[] = {
        {"workloads", s->workloads, WORKLOADS},
        {"steps", s->steps, 500000},
        {"steps with a decode", s->decode_steps, 1000},
        {"of these inside stretches", s->in_stretches, s->decode_steps / 2},
        {"stretches", s->stretches, 10000},
        {"arrivals on a step's end", s->on_boundary, 1000},
        {"steps that end several answers", o->several_lasts, 1000},
        {"preemptions", s->preemptions, 5000},
        {"preempted with the last token in flight", o->ending_preempted, 60},
        {"preempted by itself", o->self_preempted, 1500},
        {"preempted by itself ahead of others", o->cut_short, 100},
        {"preempted from the middle of the batch", o->middle_victims, 80},
        {"preempted after it was given tokens", o->unscheduled, 80},
        {"admitted before an earlier one, by priority", o->overtaken, 1000},
        {"partial chunks", s->partial, 10000},
        {"several half-done prefills", o->several_partial, 5000},
        {"rows wasted behind a stop token", o->wasted_rows, 4000},
        {"skipped, the last token being in flight", o->known_end_skipped, 5000},
        {"head of the queue without KV blocks", s->blocked_kv, 10000},
        {"of these for cached blocks nobody uses", o->kv_blocked_by_hits, 100},
        {"head of the queue without a place", s->blocked_seqs, 10000},
        {"prompts with cached blocks", o->hits, 5000},
        {"cached blocks hit while in use", o->hits_running, 1000},
        {"cached blocks hit in the call that made them", o->hits_same_call, 1000},
        {"resumed requests with cached blocks", o->hits_resumed, 1000},
        {"blocks published that existed already", o->duplicates, 1000},
        {"blocks published when a token became known", o->answer_published, 300},
        {"evicted blocks", s->evicted, 10000},
        {"done", o->status[TR_DONE], 20000},
        {"rejected", o->status[TR_REJECTED], 3000},
        {"timed out", o->status[TR_TIMEOUT], 5000},
        {"timed out half prefilled", o->timeout_in_prefill, 300},
        {"timed out with the first token in flight", o->timeout_in_flight, 100},
        {"timed out after a preemption", o->timeout_resumed, 10},
        {"aborted", o->status[TR_ABORTED], 2000},
        {"cause prefill", o->cause[TR_CAUSE_PREFILL], 300},
        {"cause neighbour", o->cause[TR_CAUSE_NEIGHBOUR], 1000},
        {"cause kv", o->cause[TR_CAUSE_KV], 1000},
        {"cause queue", o->cause[TR_CAUSE_QUEUE], 1000},
        {"cause batch", o->cause[TR_CAUSE_BATCH], 50},
    };
    for (size_t i = 0; i < TR_LEN(cover); i++)
        print_message("# %-46s %9" PRId64 "\n", cover[i].what, cover[i].seen);
    for (size_t i = 0; i < TR_LEN(cover); i++)
        if (cover[i].seen < cover[i].at_least)
            fail_msg("too few: %s", cover[i].what);
    assert_int_equal(o->left_out, 0); /* which the engine relies on */
}

static void the_engine_is_the_scheduler_written_out(void **state)
{
    (void)state;
    struct pair_seen seen = {0};
    for (uint64_t seed = 1; seed <= WORKLOADS; seed++) {
        struct workload w;
        struct hunt h = {0};
        workload_make(&w, seed, &tables);
        if (pair_run(&w, h.fault, &seen, h.why, sizeof h.why))
            continue;
        workload_shrink(&w, parts, &h);
        parts(&h, &w);
        workload_print(&w);
        fail_msg("workload %" PRIu64 ", cut down to the above: %s", seed, h.why);
    }
    check_coverage(&seen);
}

/* Each rule that is broken on purpose is noticed, and shown on at most three requests. */
static void a_broken_rule_is_found_and_cut_down(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct pair_fault fault;
    } broken[] = {
        {"a stretch one step too long", {.skip_more = 1}},
        {"all of a prompt from the cache", {.oracle = FAULT_LAST_TOKEN}},
        {"the newest of several blocks", {.oracle = FAULT_NEWEST}},
        {"first block freed first", {.oracle = FAULT_FREE_ORDER}},
        {"blocks without a hash last", {.oracle = FAULT_PARTIAL_LRU}},
        {"unused cached blocks for free", {.oracle = FAULT_GATE}},
        {"no hash when a token is known", {.oracle = FAULT_ANSWER}},
        {"the last that came is the victim", {.oracle = FAULT_VICTIM}},
    };
    for (size_t i = 0; i < TR_LEN(broken); i++) {
        struct workload w;
        struct hunt h = {.fault = broken[i].fault};
        uint64_t seed = 1;
        for (workload_make(&w, seed, &tables); !parts(&h, &w) && seed < 400; seed++)
            workload_make(&w, seed + 1, &tables);
        if (!parts(&h, &w))
            fail_msg("not noticed: %s", broken[i].what);
        workload_shrink(&w, parts, &h);
        assert_true(parts(&h, &w));
        print_message("# %-34s workload %3" PRIu64 ", %d requests: %s\n", broken[i].what, seed, w.n,
                      h.why);
        assert_in_range(w.n, 1, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_is_the_scheduler_written_out),
        cmocka_unit_test(a_broken_rule_is_found_and_cut_down),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
