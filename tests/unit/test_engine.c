/* Tests of the engine: what vLLM's scheduler does with a handful of requests, worked out by hand
 * (docs/engine.md). Steps last 1 ms here, so that a time in a record is the number of the step at
 * whose end it happened. tests/property/test_engine_oracle.c has the random workloads. */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define MS TR_NS_PER_MS

static struct tr_arena arena;
static struct tr_steptime steptime;

static int setup(void **state)
{
    struct tr_share_hw hw = share_whole(&a100_pcie);
    (void)state;
    tr_steptime_init(&steptime, &arena, &hw, &tiny, &bf16, 2048, 16, true, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- an engine and a GPU whose steps all last 1 ms ------------------------------------------- */

struct rig {
    struct tr_engine *engine;
    bool async;
    struct tr_step step[2];
    int first, in_flight;
    int64_t now_ns;
    int scheduled; /* steps so far; log[k] is step k, from 1 */
    struct tr_step log[128];
    int n_records;
    struct tr_record record[32];
};

static void keep(void *arg, const struct tr_record *r)
{
    struct rig *rig = arg;
    assert_true(rig->n_records < (int)TR_LEN(rig->record));
    rig->record[rig->n_records++] = *r;
}

static struct tr_engine_config config(bool async)
{
    return (struct tr_engine_config){
        .steptime = &steptime,
        .max_num_batched_tokens = 2048,
        .max_num_seqs = 16,
        .max_model_len = 4096,
        .num_gpu_blocks = 1000,
        .async = async,
    };
}

static void rig_open(struct rig *rig, const struct tr_engine_config *cfg)
{
    memset(rig, 0, sizeof *rig);
    rig->async = cfg->async;
    rig->engine = tr_engine_new(cfg, keep, rig);
}

static void rig_close(struct rig *rig)
{
    tr_engine_free(rig->engine);
    tr_step_free(&rig->step[0]);
    tr_step_free(&rig->step[1]);
}

static void rig_add(struct rig *rig, int64_t id, int32_t prompt, int32_t output)
{
    tr_engine_add(
        rig->engine,
        &(struct tr_engine_request){
            .id = id, .arrival_ns = rig->now_ns, .prompt_tok = prompt, .output_tok = output},
        rig->now_ns);
}

static void rig_fill(struct rig *rig)
{
    while (rig->in_flight < (rig->async ? 2 : 1)) {
        struct tr_step *step = &rig->step[(rig->first + rig->in_flight) & 1];
        if (!tr_engine_schedule(rig->engine, rig->now_ns, step))
            return;
        rig->log[++rig->scheduled] = *step;
        rig->log[rig->scheduled].events = NULL;
        rig->in_flight++;
    }
}

/* The GPU finishes `n` steps (fewer when nothing is left to do). */
static void rig_run(struct rig *rig, int n)
{
    rig_fill(rig);
    for (; n > 0 && rig->in_flight > 0; n--) {
        struct tr_step *step = &rig->step[rig->first];
        rig->now_ns += MS;
        rig->first ^= 1;
        rig->in_flight--;
        tr_engine_update(rig->engine, rig->now_ns, step);
        rig_fill(rig);
    }
}

static void rig_finish(struct rig *rig)
{
    rig_run(rig, 120);
    assert_int_equal(rig->in_flight, 0);
    assert_int_equal(tr_engine_running(rig->engine), 0);
    assert_int_equal(tr_engine_waiting(rig->engine), 0);
    assert_int_equal(tr_engine_blocks_used(rig->engine), 0);
}

static const struct tr_record *of(const struct rig *rig, int64_t id)
{
    const struct tr_record *found = NULL;
    for (int i = 0; i < rig->n_records; i++)
        if (rig->record[i].id == id) {
            assert_null(found); /* one record a request */
            found = &rig->record[i];
        }
    assert_non_null(found);
    return found;
}

static void check_step(const struct rig *rig, int k, int chunks, int decodes, int tokens, int rows)
{
    assert_true(k <= rig->scheduled);
    assert_int_equal(rig->log[k].chunks, chunks);
    assert_int_equal(rig->log[k].decodes, decodes);
    assert_int_equal(rig->log[k].tokens, tokens);
    assert_int_equal(rig->log[k].rows, rows);
}

/* Done, with its first and last tokens at the ends of these steps. */
static void check_done(const struct rig *rig, int64_t id, int first, int last)
{
    const struct tr_record *r = of(rig, id);
    assert_int_equal(r->status, TR_DONE);
    assert_int_equal(r->first_token_ns / MS, first);
    assert_int_equal(r->last_token_ns / MS, last);
}

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
    assert_int_equal(tr_engine_waiting_since(rig.engine, 100 * MS, 0), 4); /* 0 has begun */
    assert_int_equal(tr_engine_waiting_since(rig.engine, 3 * MS, 0), 2);   /* came at 1 and 2 ms */
    assert_int_equal(tr_engine_waiting_since(rig.engine, 100 * MS, 3), 2);
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
