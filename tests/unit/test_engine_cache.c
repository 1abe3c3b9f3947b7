/* Tests of the prefix cache and of the policy "priority": what vLLM does with a handful of
 * requests, worked out by hand, for the engine and for the oracle that the random workloads hold it
 * against (tests/property/pair.h). Every step lasts 1 ms: a time is the number of the step that
 * ends then.
 */
#include "../property/pair.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

struct bench {
    struct pair p;
    struct pair_seen seen;
    int64_t now_ns;
    int scheduled; /* log[k] is step k, from 1 */
    struct oracle_step log[96];
};

static struct bench b;

static void ok(bool same)
{
    if (!same)
        fail_msg("%s", b.p.why);
}

static void open_bench(const struct tr_engine_config *cfg)
{
    b = (struct bench){0};
    pair_open(&b.p, cfg, (struct pair_fault){0}, &b.seen);
    b.p.step_ns = MS;
}

static struct tr_engine_config cached(bool async)
{
    struct tr_engine_config cfg = config(async);
    cfg.enable_prefix_caching = true;
    return cfg;
}

static const struct tr_chain nothing;

static struct tr_chain run_to(uint64_t key, int32_t end_tok)
{
    return (struct tr_chain){.n = 1, .own = {{.key = key, .end_tok = end_tok}}};
}

static struct tr_chain then(struct tr_chain c, uint64_t key, int32_t end_tok)
{
    c.own[c.n++] = (struct tr_run){.key = key, .end_tok = end_tok};
    return c;
}

static void add(int64_t id, int32_t prompt, int32_t output, int32_t priority, struct tr_chain chain)
{
    ok(pair_add(&b.p,
                &(struct tr_engine_request){.id = id,
                                            .arrival_ns = b.now_ns,
                                            .prompt_tok = prompt,
                                            .output_tok = output,
                                            .priority = priority,
                                            .chain = chain},
                b.now_ns));
}

static void note_steps(void)
{
    while (b.scheduled < b.seen.steps) {
        int newest = b.p.in_flight - (int)(b.seen.steps - b.scheduled);
        assert_true(b.scheduled + 1 < (int)TR_LEN(b.log));
        b.log[++b.scheduled] = b.p.expected[(b.p.oracle_first + newest) & 1];
    }
}

static void run(int n)
{
    if (b.p.in_flight == 0)
        ok(pair_fill(&b.p, b.now_ns));
    note_steps();
    for (; n > 0 && b.p.in_flight > 0; n--) {
        b.now_ns = b.p.end_ns[b.p.oracle_first];
        ok(pair_end_step(&b.p));
        note_steps();
    }
}

static void finish(void)
{
    run((int)TR_LEN(b.log));
    assert_int_equal(b.p.in_flight, 0);
    ok(pair_empty(&b.p));
}

static void close_bench(void)
{
    pair_close(&b.p);
}

static const struct tr_record *record(int64_t id)
{
    for (int i = 0; i < b.p.got.n; i++)
        if (b.p.got.record[i].id == id)
            return &b.p.got.record[i];
    fail_msg("no record of request %d", (int)id);
    return NULL;
}

static void check_ends(int64_t id, int first, int last)
{
    assert_int_equal(record(id)->status, TR_DONE);
    assert_int_equal(record(id)->first_token_ns / MS, first);
    assert_int_equal(record(id)->last_token_ns / MS, last);
}

static void check_log(int k, int chunks, int decodes, int tokens)
{
    assert_true(k <= b.scheduled);
    assert_int_equal(b.log[k].chunks, chunks);
    assert_int_equal(b.log[k].decodes, decodes);
    assert_int_equal(b.log[k].tokens, tokens);
}

static int hashed_blocks(void)
{
    const struct oracle_blocks *kv = oracle_kv(b.p.oracle);
    int n = 0;
    for (int i = 0; i < kv->n; i++)
        n += kv->block[i].hashed;
    return n;
}

static int copies(uint64_t key, int index)
{
    return oracle_blocks_copies(oracle_kv(b.p.oracle),
                                (struct oracle_hash){.key = key, .owner = -1, .index = index});
}

static int64_t evicted(void)
{
    return tr_engine_stats(b.p.engine)->evicted_blocks;
}

/* ---- without anything in common ---------------------------------------------------------------
 */

/* A 1200 + B 848 | A 1, B 352, C 1200 | A 1, B 1, C 1 | B, C; a D that comes during step 1 is in
 * the next step, or in the next but one. */
static void three_prompts_share_a_budget(void **state)
{
    (void)state;
    for (int async = 0; async < 2; async++) {
        struct tr_engine_config cfg = cached(async);
        open_bench(&cfg);
        for (int id = 0; id < 3; id++)
            add(id, 1200, 3, 0, nothing);
        run(0);
        check_log(1, 2, 0, 2048);
        add(3, 300, 1, 0, nothing);
        finish();
        check_log(2, async ? 2 : 3, 1, 1 + 352 + 1200 + (async ? 0 : 300));
        check_log(3, async, 3, 3 + (async ? 300 : 0));
        check_log(4, 0, 2, 2);
        check_ends(0, 1, 3);
        check_ends(1, 2, 4);
        check_ends(2, 2, 4);
        check_ends(3, async ? 3 : 2, async ? 3 : 2);
        assert_int_equal(tr_engine_stats(b.p.engine)->prefix_queries_tok, 3900);
        assert_int_equal(tr_engine_stats(b.p.engine)->prefix_hits_tok, 0);
        close_bench();
    }
}

static void a_third_request_waits_for_a_place(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct tr_engine_config cfg = cached(kind & 1);
        cfg.max_num_seqs = 2;
        cfg.stop_token = kind & 2;
        open_bench(&cfg);
        add(0, 16, 3, 0, nothing);
        add(1, 16, 9, 0, nothing);
        add(2, 16, 1, 0, nothing);
        finish();
        check_ends(0, 1, 3);
        check_ends(1, 1, 9);
        check_ends(2, kind & 1 ? 5 : 4, kind & 1 ? 5 : 4);
        close_bench();
    }
}

static void the_context_ends_an_answer(void **state)
{
    (void)state;
    for (int async = 0; async < 2; async++) {
        struct tr_engine_config cfg = cached(async);
        cfg.max_model_len = 64;
        open_bench(&cfg);
        add(0, 60, 10, 0, nothing);
        add(1, 60, 4, 0, nothing);
        finish();
        assert_int_equal(record(0)->status, TR_REJECTED);
        check_ends(1, 1, 4);
        assert_int_equal(b.scheduled, 4);
        close_bench();
    }
}

/* Five blocks, two prompts of 32 with answers of 40. Step 2: A takes the fifth block, B is
 * preempted and leaves its two in the cache, where they help nobody: to hit them costs as much as
 * new ones. A takes them in steps 18 and 34. */
static void what_the_preempted_leave_is_evicted(void **state)
{
    (void)state;
    struct tr_engine_config cfg = cached(false);
    cfg.max_model_len = 80;
    cfg.num_gpu_blocks = 5;
    open_bench(&cfg);
    add(0, 32, 40, 0, nothing);
    add(1, 32, 40, 0, nothing);
    run(0);
    assert_int_equal(tr_engine_blocks_used(b.p.engine), 4);
    run(1);
    check_log(2, 0, 1, 1);
    assert_int_equal(tr_engine_blocks_used(b.p.engine), 3);
    run(15);
    assert_int_equal(b.scheduled, 17);
    assert_int_equal(evicted(), 0);
    run(1);
    assert_int_equal(evicted(), 1);
    run(15);
    assert_int_equal(b.scheduled, 33);
    assert_int_equal(evicted(), 1);
    run(1);
    assert_int_equal(evicted(), 2);
    finish();
    check_ends(0, 1, 40);
    check_ends(1, 1, 79);
    check_log(41, 1, 0, 33);
    assert_int_equal(record(1)->preemptions, 1);
    close_bench();
}

/* ---- what prompts have in common --------------------------------------------------------------
 */

/* 75 full blocks, of which the last is computed again, as one token has to be: it exists twice. */
static void the_last_token_is_always_computed(void **state)
{
    (void)state;
    for (int async = 0; async < 2; async++) {
        struct tr_engine_config cfg = cached(async);
        open_bench(&cfg);
        add(0, 1200, 1, 0, run_to(7, 1200));
        finish();
        assert_int_equal(hashed_blocks(), 75);
        add(1, 1200, 1, 0, run_to(7, 1200));
        finish();
        check_log(2, 1, 0, 16);
        assert_int_equal(record(0)->cached_tok, 0);
        assert_int_equal(record(1)->cached_tok, 1184);
        assert_int_equal(hashed_blocks(), 76);
        assert_int_equal(copies(7, 74), 2);
        assert_int_equal(tr_engine_blocks_used(b.p.engine), 0);
        assert_int_equal(tr_engine_stats(b.p.engine)->prefix_queries_tok, 2400);
        assert_int_equal(tr_engine_stats(b.p.engine)->prefix_hits_tok, 1184);
        add(2, 1201, 1, 0, run_to(7, 1200));
        finish();
        assert_int_equal(record(2)->cached_tok, 1200);
        close_bench();
    }
}

/* A prompt finds what one before it in the same call will compute. */
static void prompts_of_one_step_share(void **state)
{
    (void)state;
    struct tr_engine_config cfg = cached(false);
    open_bench(&cfg);
    add(0, 500, 1, 0, run_to(7, 400));
    add(1, 500, 1, 0, run_to(7, 400));
    add(2, 450, 1, 0, run_to(7, 410)); /* 25 blocks of it, and in the 26th the run ends */
    finish();
    assert_int_equal(b.scheduled, 1);
    check_log(1, 3, 0, 500 + 100 + 50);
    assert_int_equal(record(1)->cached_tok, 400);
    assert_int_equal(record(2)->cached_tok, 400);
    close_bench();
}

/* A block in which a system prompt ends is part of what follows: 50 blocks of 810 tokens. */
static void a_system_prompt_is_shared_by_whole_blocks(void **state)
{
    (void)state;
    struct tr_engine_config cfg = cached(true);
    open_bench(&cfg);
    add(0, 900, 2, 0, then(run_to(7, 810), 8, TR_CHAIN_OPEN));
    finish();
    add(1, 1000, 2, 0, then(run_to(7, 810), 9, TR_CHAIN_OPEN));
    finish();
    add(2, 1000, 2, 0, run_to(7, 810));
    finish();
    assert_int_equal(record(1)->cached_tok, 800);
    assert_int_equal(record(2)->cached_tok, 800);
    close_bench();
}

/* Prompt 100, answer 61: 160 tokens have their KV computed, ten blocks, of which the asynchronous
 * engine learns the last tokens only at the end. The next turn finds them all. */
static void the_next_turn_finds_the_answer(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct tr_engine_config cfg = cached(kind & 1);
        cfg.stop_token = kind & 2;
        open_bench(&cfg);
        add(0, 100, 61, 0, run_to(7, TR_CHAIN_OPEN));
        finish();
        assert_int_equal(hashed_blocks(), 10);
        add(1, 200, 3, 0, run_to(7, TR_CHAIN_OPEN));
        run(1);
        assert_int_equal(tr_engine_blocks_used(b.p.engine), 13);
        finish();
        assert_int_equal(record(1)->cached_tok, 160);
        close_bench();
    }
}

/* Ten blocks. A leaves five in the cache, the last of them first in the free list; B takes the five
 * that nobody ever used, and A's last. */
static void a_prompt_is_forgotten_from_its_end(void **state)
{
    (void)state;
    struct tr_engine_config cfg = cached(false);
    cfg.max_model_len = 160;
    cfg.num_gpu_blocks = 10;
    open_bench(&cfg);
    add(0, 80, 1, 0, run_to(7, 80));
    finish();
    add(1, 96, 1, 0, run_to(8, 96));
    finish();
    assert_int_equal(evicted(), 1);
    add(2, 90, 1, 0, run_to(7, 80));
    finish();
    assert_int_equal(record(2)->cached_tok, 64);
    close_bench();
}

/* Four blocks. A leaves three with a hash and one without, which B takes first. */
static void a_block_without_a_hash_goes_first(void **state)
{
    (void)state;
    struct tr_engine_config cfg = cached(false);
    cfg.max_model_len = 64;
    cfg.num_gpu_blocks = 4;
    open_bench(&cfg);
    add(0, 50, 1, 0, run_to(7, 50));
    finish();
    add(1, 16, 1, 0, run_to(8, 16));
    finish();
    assert_int_equal(evicted(), 0);
    add(2, 50, 1, 0, run_to(7, 50)); /* three of its own, and the place of B's */
    finish();
    assert_int_equal(record(2)->cached_tok, 48);
    assert_int_equal(evicted(), 1);
    close_bench();
}

/* ---- the policy "priority" --------------------------------------------------------------------
 */

static void the_queue_is_in_order_of_priority_and_arrival(void **state)
{
    (void)state;
    struct tr_engine_config cfg = config(false);
    cfg.priority = true;
    cfg.max_num_seqs = 1;
    open_bench(&cfg);
    add(0, 16, 2, 5, nothing);
    run(1);
    add(1, 16, 1, 3, nothing);
    add(2, 16, 1, 3, nothing);
    add(3, 16, 1, 1, nothing);
    add(4, 16, 1, 9, nothing);
    finish();
    check_ends(0, 1, 2);
    check_ends(3, 3, 3);
    check_ends(1, 4, 4);
    check_ends(2, 5, 5);
    check_ends(4, 6, 6);
    close_bench();
}

/* Five blocks, two prompts of 32 with answers of 20. A, less important, came first and stands first
 * in the list. In step 3 it has been given its token when B, behind it, finds no third block: A is
 * the victim, its token is taken back, and it begins again when B has ended. */
static void the_victim_may_have_been_given_its_token(void **state)
{
    (void)state;
    struct tr_engine_config cfg = config(false);
    cfg.priority = true;
    cfg.max_model_len = 80;
    cfg.num_gpu_blocks = 5;
    open_bench(&cfg);
    add(0, 32, 20, 1, nothing);
    run(0);
    add(1, 32, 20, 0, nothing);
    run(1);
    check_log(2, 1, 1, 33); /* A takes its third block, B its two */
    run(1);
    check_log(3, 0, 1, 1); /* B needs a third, and A, already given a token, makes room */
    assert_int_equal(tr_engine_running(b.p.engine), 1);
    assert_int_equal(tr_engine_blocks_used(b.p.engine), 3);
    finish();
    check_ends(1, 2, 21);
    assert_int_equal(record(0)->preemptions, 1);
    check_ends(0, 1, 39); /* two tokens before, eighteen from step 22 on */
    close_bench();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_prompts_share_a_budget),
        cmocka_unit_test(a_third_request_waits_for_a_place),
        cmocka_unit_test(the_context_ends_an_answer),
        cmocka_unit_test(what_the_preempted_leave_is_evicted),
        cmocka_unit_test(the_last_token_is_always_computed),
        cmocka_unit_test(prompts_of_one_step_share),
        cmocka_unit_test(a_system_prompt_is_shared_by_whole_blocks),
        cmocka_unit_test(the_next_turn_finds_the_answer),
        cmocka_unit_test(a_prompt_is_forgotten_from_its_end),
        cmocka_unit_test(a_block_without_a_hash_goes_first),
        cmocka_unit_test(the_queue_is_in_order_of_priority_and_arrival),
        cmocka_unit_test(the_victim_may_have_been_given_its_token),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
