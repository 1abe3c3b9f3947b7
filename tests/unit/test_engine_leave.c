/* Tests of the engine: requests that leave without an answer, or with a late one. */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

/* ---- those who leave without an answer ------------------------------------------------------- */

static void a_client_gives_up_in_the_queue(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.max_num_seqs = 1;
    cfg.timeout_ns = 5 * MS;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 10, 5);  /* ends with step 5 */
    rig_add(&rig, 1, 10, 20); /* its first token comes at 6 ms: too late */
    rig_add(&rig, 2, 10, 1);
    rig_finish(&rig);
    check_done(&rig, 0, 1, 5);
    assert_int_equal(of(&rig, 1)->status, TR_TIMEOUT);
    assert_int_equal(of(&rig, 1)->scheduled_ns / MS, 5); /* it was in time to be begun */
    assert_int_equal(of(&rig, 1)->first_token_ns, -1);
    assert_int_equal(of(&rig, 1)->last_token_ns, -1);
    assert_int_equal(of(&rig, 1)->cause, TR_CAUSE_QUEUE);
    assert_int_equal(of(&rig, 2)->status, TR_TIMEOUT);
    assert_int_equal(of(&rig, 2)->scheduled_ns, -1);
    assert_int_equal(rig.scheduled, 6);
    rig_close(&rig);
}

static void a_first_token_at_the_timeout_is_in_time_and_ends_the_waiting(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.timeout_ns = MS;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 10, 50);
    rig_finish(&rig);
    check_done(&rig, 0, 1, 50);
    rig_close(&rig);
}

static void a_half_done_prompt_is_given_up(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(true);
    cfg.max_num_batched_tokens = 100;
    cfg.timeout_ns = 3 * MS;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 1000, 5);
    rig_add(&rig, 1, 10, 1);
    rig_finish(&rig);
    assert_int_equal(of(&rig, 0)->status, TR_TIMEOUT);
    assert_int_equal(of(&rig, 0)->scheduled_ns, 0);
    assert_int_equal(rig.scheduled, 5); /* seen at the end of step 4, with step 5 in flight */
    assert_int_equal(of(&rig, 1)->status, TR_TIMEOUT);
    rig_close(&rig);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.max_num_seqs = 1;
    cfg.queue_limit = 2;
    rig_open(&rig, &cfg);
    for (int id = 0; id < 3; id++)
        rig_add(&rig, id, 10, 2);
    assert_int_equal(of(&rig, 2)->status, TR_REJECTED);
    assert_int_equal(of(&rig, 2)->cause, TR_CAUSE_REFUSED);
    rig_run(&rig, 2); /* the first has left */
    rig_add(&rig, 3, 10, 2);
    rig_finish(&rig);
    assert_int_equal(of(&rig, 1)->status, TR_DONE);
    assert_int_equal(of(&rig, 3)->status, TR_DONE);
    rig_close(&rig);
}

/* Aborts request 1 after `steps` steps, beside a request 0 that runs on. */
static void abort_after(const struct tr_engine_config *cfg, int steps, int32_t prompt,
                        int32_t output)
{
    struct rig rig;
    rig_open(&rig, cfg);
    rig_add(&rig, 0, 16, 30);
    rig_add(&rig, 1, prompt, output);
    rig_run(&rig, steps);
    assert_true(tr_engine_abort(rig.engine, 1, rig.now_ns));
    assert_false(tr_engine_abort(rig.engine, 1, rig.now_ns));
    assert_int_equal(of(&rig, 1)->status, TR_ABORTED);
    assert_int_equal(of(&rig, 1)->last_token_ns, -1);
    rig_add(&rig, 2, 16, 3); /* takes the place in memory while steps in flight name the old one */
    rig_finish(&rig);
    check_done(&rig, 0, 1, 30);
    assert_int_equal(of(&rig, 2)->status, TR_DONE);
    assert_int_equal(rig.n_records, 3);
    rig_close(&rig);
}

static void a_client_may_go_at_any_moment(void **state)
{
    (void)state;
    for (int async = 0; async < 2; async++) {
        struct tr_engine_config cfg = config(async);
        cfg.max_model_len = 128;
        cfg.max_num_batched_tokens = 32;
        for (int steps = 0; steps < 9; steps++) {
            abort_after(&cfg, steps, 16, 30); /* decoding, its first token in flight or known */
            abort_after(&cfg, steps, 90, 30); /* prefilling */
            if (steps < 4)
                abort_after(&cfg, steps, 16, 5); /* last token in flight */
        }
        cfg.max_num_seqs = 1;
        abort_after(&cfg, 5, 16, 5); /* waiting */
        cfg.max_num_seqs = 4;
        cfg.max_model_len = 48;
        cfg.num_gpu_blocks = 3;
        for (int steps = 0; steps < 9; steps++)
            abort_after(&cfg, steps, 16, 30); /* preempted in step 2 or 3 */
    }
    struct rig rig;
    struct tr_engine_config cfg = config(true);
    rig_open(&rig, &cfg);
    assert_false(tr_engine_abort(rig.engine, 7, 0));
    rig_close(&rig);
}

/* ---- causes ---------------------------------------------------------------------------------- */

static void each_cause_is_named(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.ttft_limit_ns = 4 * MS;
    cfg.max_num_seqs = 2;
    cfg.max_model_len = 2048;
    cfg.num_gpu_blocks = 130;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 100, 10);
    rig_add(&rig, 1, 100, 3);
    rig_add(&rig, 2, 100, 20); /* in step 4 */
    rig_add(&rig, 3, 100, 1);  /* no place before step 11 */
    rig_finish(&rig);
    assert_int_equal(of(&rig, 2)->cause, TR_CAUSE_NONE);
    assert_int_equal(of(&rig, 3)->cause, TR_CAUSE_QUEUE);
    rig_add(&rig, 4, 2000, 20);
    rig_add(&rig, 5, 160, 1); /* 126 of 130 blocks are taken */
    rig_finish(&rig);
    assert_int_equal(of(&rig, 5)->cause, TR_CAUSE_KV);
    rig_add(&rig, 6, 100, 1);
    rig_fill(&rig);
    rig.now_ns += 9 * MS; /* nine of its ten milliseconds the GPU was somebody else's */
    tr_engine_lost(rig.engine, 9 * MS * TR_PS_PER_NS);
    rig_finish(&rig);
    assert_int_equal(of(&rig, 6)->cause, TR_CAUSE_NEIGHBOUR);
    rig_add(&rig, 7, 100, 1);
    rig_fill(&rig);
    rig.now_ns += 9 * MS; /* the same, but its own engine's work */
    rig_finish(&rig);
    assert_int_equal(of(&rig, 7)->cause, TR_CAUSE_BATCH);
    rig_close(&rig);
    cfg.ttft_limit_ns = tr_steptime_prefill_ps(&steptime, 1000, 2048) / TR_PS_PER_NS - 1;
    rig_open(&rig, &cfg);
    rig_add(&rig, 0, 1000, 1);
    rig_finish(&rig);
    assert_int_equal(of(&rig, 0)->cause, TR_CAUSE_PREFILL);
    rig_close(&rig);
}

static void those_certain_to_be_late_are_counted(void **state)
{
    (void)state;
    struct rig rig;
    struct tr_engine_config cfg = config(false);
    cfg.max_num_seqs = 1;
    rig_open(&rig, &cfg);
    for (int id = 0; id < 5; id++) {
        rig_add(&rig, id, 10, 9);
        rig_run(&rig, 1);
    }
    assert_int_equal(tr_engine_waiting_since(rig.engine, 0, 100 * MS, 0), 4); /* 0 has begun */
    assert_int_equal(tr_engine_waiting_since(rig.engine, 0, 3 * MS, 0), 2); /* came at 1 and 2 ms */
    assert_int_equal(tr_engine_waiting_since(rig.engine, 0, 100 * MS, 3), 2);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_gives_up_in_the_queue),
        cmocka_unit_test(a_first_token_at_the_timeout_is_in_time_and_ends_the_waiting),
        cmocka_unit_test(a_half_done_prompt_is_given_up),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_client_may_go_at_any_moment),
        cmocka_unit_test(each_cause_is_named),
        cmocka_unit_test(those_certain_to_be_late_are_counted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
