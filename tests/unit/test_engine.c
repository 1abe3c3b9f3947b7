/* Tests of the engine: what vLLM's scheduler does with a handful of requests, worked out by hand
 * (docs/engine.md). tests/property/test_engine_oracle.c has the random workloads. */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

/* ---- composition of steps -------------------------------------------------------------------- */

/* Budget 2048, three prompts of 1200: A 1200 + B 848 | A 1, B 352, C 1200 | A 1, B 1, C 1 | B, C.
 */
static void three_prompts_share_a_budget(void **state)
{
    (void)state;
    for (int async = 0; async < 2; async++) {
        struct rig rig;
        struct tr_engine_config cfg = config(async);
        rig_open(&rig, &cfg);
        for (int id = 0; id < 3; id++)
            rig_add(&rig, id, 1200, 3);
        rig_finish(&rig);
        assert_int_equal(rig.scheduled, 4);
        check_step(&rig, 1, 2, 0, 2048, 1);
        check_step(&rig, 2, 2, 1, 1 + 352 + 1200, 3);
        check_step(&rig, 3, 0, 3, 3, 3);
        check_step(&rig, 4, 0, 2, 2, 2);
        assert_int_equal(rig.log[2].context_tok, 1201);
        assert_int_equal(rig.log[3].context_tok, 1202 + 1201 + 1201);
        check_done(&rig, 0, 1, 3);
        check_done(&rig, 1, 2, 4);
        check_done(&rig, 2, 2, 4);
        assert_int_equal(tr_engine_stats(rig.engine)->partial_chunks, 1);
        assert_int_equal(tr_engine_stats(rig.engine)->prefill_tok, 3600);
        assert_int_equal(tr_engine_stats(rig.engine)->decode_tok, 6);
        rig_close(&rig);
    }
}

static void an_arrival_during_a_step_joins_the_next_but_one_when_asynchronous(void **state)
{
    (void)state;
    for (int async = 0; async < 2; async++) {
        struct rig rig;
        struct tr_engine_config cfg = config(async);
        rig_open(&rig, &cfg);
        rig_add(&rig, 0, 100, 9);
        rig_run(&rig, 3); /* step 4 runs now */
        rig_add(&rig, 1, 50, 2);
        rig_fill(&rig);
        rig_finish(&rig);
        int joins = async ? 6 : 5;
        check_step(&rig, joins - 1, 0, 1, 1, 1);
        check_step(&rig, joins, 1, 1, 51, 2);
        check_done(&rig, 1, joins, joins + 1);
        assert_int_equal(of(&rig, 1)->scheduled_ns / MS, 4);
        rig_close(&rig);
    }
}

static void from_idle_two_steps_are_dispatched_at_once(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(true);
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 100, 3);
    rig_fill(&rig);
    assert_int_equal(rig.in_flight, 2);
    check_step(&rig, 1, 1, 0, 100, 1);
    check_step(&rig, 2, 0, 1, 1, 1); /* its first token is not known yet */
    rig_add(&rig, 1, 50, 1);
    rig_finish(&rig);
    check_step(&rig, 3, 1, 1, 51, 2);
    rig_close(&rig);
}

static void an_answer_of_one_token_leaves_no_second_step_to_dispatch(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(true);
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 100, 1);
    rig_fill(&rig);
    assert_int_equal(rig.in_flight, 1);
    rig_add(&rig, 1, 50, 1);
    rig_finish(&rig);
    check_done(&rig, 0, 1, 1);
    check_done(&rig, 1, 2, 2);
    rig_close(&rig);
}

static void long_prompts_are_cut_to_the_threshold(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.max_num_batched_tokens = 100;
    cfg.long_prefill_token_threshold = 30;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 70, 2);
    rig_add(&rig, 1, 50, 4);
    rig_finish(&rig);
    check_step(&rig, 1, 2, 0, 60, 0);
    check_step(&rig, 2, 2, 0, 30 + 20, 1);
    check_step(&rig, 3, 1, 1, 10 + 1, 2);
    check_step(&rig, 4, 0, 2, 2, 2);
    check_done(&rig, 0, 3, 4);
    check_done(&rig, 1, 2, 5);
    rig_close(&rig);
}

/* ---- places and ends ------------------------------------------------------------------------- */

/* Two places, three requests. A's last token comes with step 3. An engine that waits for it gives
 * the place away in step 4; one with two steps in flight in step 5, and its step 4 still computes A
 * if nobody could know that A ends. */
static void a_place_is_free_one_step_later_when_asynchronous(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        bool async = kind & 1, stop_token = kind & 2;
        struct rig rig;
        struct tr_engine_config cfg = config(async);
        cfg.max_num_seqs = 2;
        cfg.stop_token = stop_token;
        rig_open(&rig, &cfg);
        rig_add(&rig, 0, 16, 3);
        rig_add(&rig, 1, 16, 9);
        rig_add(&rig, 2, 16, 1);
        rig_finish(&rig);
        check_done(&rig, 0, 1, 3);
        check_done(&rig, 1, 1, 9);
        check_done(&rig, 2, async ? 5 : 4, async ? 5 : 4);
        if (async)
            check_step(&rig, 4, 0, stop_token ? 2 : 1, stop_token ? 2 : 1, stop_token ? 2 : 1);
        else
            check_step(&rig, 4, 1, 1, 17, 2);
        assert_true(tr_engine_stats(rig.engine)->blocked_seqs > 0);
        rig_close(&rig);
    }
}

static void the_end_of_the_context_is_known_ahead(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(true);
    cfg.max_model_len = 64;
    cfg.stop_token = true;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 60, 10);
    assert_int_equal(of(&rig, 0)->status, TR_REJECTED);
    assert_int_equal(of(&rig, 0)->cause, TR_CAUSE_TOO_LONG);
    rig_add(&rig, 1, 60, 4);
    rig_finish(&rig);
    check_done(&rig, 1, 1, 4);
    assert_int_equal(rig.scheduled, 4); /* no fifth, wasted step */
    rig_close(&rig);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Five blocks, two prompts of 32 with answers of 40. In step 2 A takes the fifth block, and B finds
 * none and is itself the last that came. It comes back with its prompt and its one token when A has
 * ended, in step 41. */
static void the_last_that_came_is_preempted(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.max_model_len = 80;
    cfg.num_gpu_blocks = 5;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 32, 40);
    rig_add(&rig, 1, 32, 40);
    rig_fill(&rig);
    assert_int_equal(tr_engine_blocks_used(rig.engine), 4);
    rig_run(&rig, 1);
    check_step(&rig, 2, 0, 1, 1, 1);
    assert_int_equal(tr_engine_blocks_used(rig.engine), 3);
    assert_int_equal(tr_engine_waiting(rig.engine), 1);
    rig_run(&rig, 38);
    assert_int_equal(tr_engine_blocks_used(rig.engine), 5); /* 71 tokens */
    rig_finish(&rig);
    check_done(&rig, 0, 1, 40);
    check_done(&rig, 1, 1, 79);
    check_step(&rig, 41, 1, 0, 33, 1);
    assert_int_equal(of(&rig, 0)->preemptions, 0);
    assert_int_equal(of(&rig, 1)->preemptions, 1);
    assert_int_equal(of(&rig, 1)->scheduled_ns,
                     0); /* coming back does not restart the queue time */
    assert_int_equal(tr_engine_stats(rig.engine)->preemptions, 1);
    assert_int_equal(tr_engine_stats(rig.engine)->kv_used_max, 5);
    rig_close(&rig);
}

/* The head of the queue needs its whole prompt's blocks to be free, though its first chunk would
 * take fewer, and nobody behind it, however small, goes first. */
static void the_head_of_the_queue_holds_up_the_rest(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.max_num_batched_tokens = 64;
    cfg.max_model_len = 160;
    cfg.num_gpu_blocks = 10;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 60, 3);
    rig_add(&rig, 1, 120, 1);
    rig_add(&rig, 2, 5, 1);
    rig_finish(&rig);
    check_done(&rig, 0, 1, 3);
    check_done(&rig, 1, 5, 5); /* 64 + 56 in steps 4 and 5 */
    check_done(&rig, 2, 5, 5);
    assert_int_equal(tr_engine_stats(rig.engine)->blocked_kv, 3);
    assert_int_equal(of(&rig, 2)->scheduled_ns / MS, 4);
    rig_close(&rig);
}

/* Three blocks, asynchronous. A: prompt 15 (1 block), B: prompt 20 (2 blocks) and two tokens. Both
 * of B's are in flight when step 3 is made, in which A needs a block: B gives its two, and its last
 * token is delivered all the same. */
static void open_with_an_ending_victim(struct rig *rig, int64_t queue_limit)
{
    struct tr_engine_config cfg = config(true);
    cfg.max_model_len = 48;
    cfg.num_gpu_blocks = 3;
    cfg.queue_limit = queue_limit;
    rig_open(rig, &cfg);
    rig_add(rig, 0, 15, 20);
    rig_add(rig, 1, 20, 2);
    rig_run(rig, 1);
    assert_int_equal(tr_engine_stats(rig->engine)->preemptions, 1);
    assert_int_equal(tr_engine_blocks_used(rig->engine), 2);
    assert_int_equal(tr_engine_running(rig->engine), 1);
}

static void the_last_token_of_a_victim_is_delivered(void **state)
{
    (void)state;
    struct rig rig;
    open_with_an_ending_victim(&rig, 0);
    check_step(&rig, 3, 0, 1, 1, 1);
    rig_finish(&rig);
    check_done(&rig, 1, 1, 2);
    assert_int_equal(of(&rig, 1)->preemptions, 1);
    check_done(&rig, 0, 1, 20);
    rig_close(&rig);
}

static void such_a_victim_still_counts_and_can_be_aborted(void **state)
{
    (void)state;
    struct rig rig;
    open_with_an_ending_victim(&rig, 2);
    rig_add(&rig, 2, 1, 1);
    assert_int_equal(of(&rig, 2)->cause, TR_CAUSE_REFUSED);
    assert_true(tr_engine_abort(rig.engine, 1, rig.now_ns));
    assert_false(tr_engine_abort(rig.engine, 1, rig.now_ns));
    rig_add(&rig, 3, 1, 1);
    rig_finish(&rig);
    assert_int_equal(of(&rig, 1)->status, TR_ABORTED);
    assert_int_equal(of(&rig, 3)->status, TR_DONE);
    rig_close(&rig);
}

static void blocks_are_counted_while_they_are_used(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    rig_open(&rig, &cfg);
    for (int id = 0; id < 3; id++) {
        rig.now_ns += 10000 * MS; /* nothing to do for 10 s */
        rig_add(&rig, id, 160, 1);
        rig_finish(&rig);
    }
    assert_int_equal(tr_engine_stats(rig.engine)->kv_block_us, 3 * 10 * 1000);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_prompts_share_a_budget),
        cmocka_unit_test(an_arrival_during_a_step_joins_the_next_but_one_when_asynchronous),
        cmocka_unit_test(from_idle_two_steps_are_dispatched_at_once),
        cmocka_unit_test(an_answer_of_one_token_leaves_no_second_step_to_dispatch),
        cmocka_unit_test(long_prompts_are_cut_to_the_threshold),
        cmocka_unit_test(a_place_is_free_one_step_later_when_asynchronous),
        cmocka_unit_test(the_end_of_the_context_is_known_ahead),
        cmocka_unit_test(the_last_that_came_is_preempted),
        cmocka_unit_test(the_head_of_the_queue_holds_up_the_rest),
        cmocka_unit_test(the_last_token_of_a_victim_is_delivered),
        cmocka_unit_test(such_a_victim_still_counts_and_can_be_aborted),
        cmocka_unit_test(blocks_are_counted_while_they_are_used),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
