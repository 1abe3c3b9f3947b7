/* An engine and a GPU whose steps all last 1 ms, so that a time in a record is the number of the
 * step at whose end it happened. */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "fixture.h"

#define MS TR_NS_PER_MS

static struct tr_arena arena;
static struct tr_steptime steptime;

static inline int setup(void **state)
{
    struct tr_share_hw hw = share_whole(&a100_pcie);
    (void)state;
    tr_steptime_init(&steptime, &arena, &hw, &tiny, &bf16, 2048, 16, true, false);
    return 0;
}

static inline int teardown(void **state)
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

static inline void keep(void *arg, const struct tr_record *r)
{
    struct rig *rig = arg;
    assert_true(rig->n_records < (int)TR_LEN(rig->record));
    rig->record[rig->n_records++] = *r;
}

static inline struct tr_engine_config config(bool async)
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

static inline void rig_open(struct rig *rig, const struct tr_engine_config *cfg)
{
    memset(rig, 0, sizeof *rig);
    rig->async = cfg->async;
    rig->engine = tr_engine_new(cfg, keep, rig);
}

static inline void rig_close(struct rig *rig)
{
    tr_engine_free(rig->engine);
    tr_step_free(&rig->step[0]);
    tr_step_free(&rig->step[1]);
}

static inline void rig_add(struct rig *rig, int64_t id, int32_t prompt, int32_t output)
{
    tr_engine_add(
        rig->engine,
        &(struct tr_engine_request){
            .id = id, .arrival_ns = rig->now_ns, .prompt_tok = prompt, .output_tok = output},
        rig->now_ns);
}

static inline void rig_fill(struct rig *rig)
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
static inline void rig_run(struct rig *rig, int n)
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

static inline void rig_finish(struct rig *rig)
{
    rig_run(rig, 120);
    assert_int_equal(rig->in_flight, 0);
    assert_int_equal(tr_engine_running(rig->engine), 0);
    assert_int_equal(tr_engine_waiting(rig->engine), 0);
    assert_int_equal(tr_engine_blocks_used(rig->engine), 0);
}

static inline const struct tr_record *of(const struct rig *rig, int64_t id)
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

static inline void check_step(const struct rig *rig, int k, int chunks, int decodes, int tokens,
                              int rows)
{
    assert_true(k <= rig->scheduled);
    assert_int_equal(rig->log[k].chunks, chunks);
    assert_int_equal(rig->log[k].decodes, decodes);
    assert_int_equal(rig->log[k].tokens, tokens);
    assert_int_equal(rig->log[k].rows, rows);
}

/* Done, with its first and last tokens at the ends of these steps. */
static inline void check_done(const struct rig *rig, int64_t id, int first, int last)
{
    const struct tr_record *r = of(rig, id);
    assert_int_equal(r->status, TR_DONE);
    assert_int_equal(r->first_token_ns / MS, first);
    assert_int_equal(r->last_token_ns / MS, last);
}

#endif
