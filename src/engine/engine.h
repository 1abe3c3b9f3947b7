/* engine: one inference server process, as vLLM V1 schedules it (docs/engine.md).
 *
 * An engine holds requests: fresh ones in arrival order, preempted ones ahead of them, and the
 * running list in order of admission. It has no clock and does no work: whoever drives it asks for
 * the next step (tr_engine_schedule), lets the GPU do it, and reports its end (tr_engine_update).
 *
 *     add ──► waiting ──schedule──► running ──last token's update──► record
 *                ▲                     │
 *                └──── preemption ─────┘   (KV blocks freed, prefilled again later)
 *
 * A step gives every running request that decodes one token and continues at most one half-done
 * prefill, then admits waiting requests while token budget, places and KV blocks last. With
 * asynchronous scheduling the driver keeps two steps in flight: step k+1 is scheduled before the
 * tokens of step k are known, so an arrival during step k joins step k+2.
 *
 * The cost of a step does not depend on the size of the batch. Decoding requests advance together:
 * one epoch counter stands for all of them, KV blocks are demanded by counters of context mod 16,
 * ends are found on a heap of epochs. Only a step that runs out of KV blocks walks the running list
 * (and a long_prefill_token_threshold, which allows several half-done prefills). tests/property
 * holds a literal transcription of the scheduler against it.
 */
#ifndef TR_ENGINE_ENGINE_H
#define TR_ENGINE_ENGINE_H

#include "base/base.h"
#include "base/chain.h"
#include "engine/steptime.h"
#include "record/record.h"

struct tr_engine_config {
    const struct tr_steptime *steptime;
    int32_t max_num_batched_tokens, max_num_seqs;
    int32_t max_model_len;
    int32_t long_prefill_token_threshold; /* 0: off */
    int32_t num_gpu_blocks;               /* usable */
    bool async;
    bool enable_prefix_caching;
    bool priority;   /* vLLM's scheduling policy "priority" instead of "fcfs" */
    bool stop_token; /* answers end by a stop token, which an asynchronous engine sees a step late;
                        otherwise by length, which it knows ahead */
    int64_t timeout_ns;    /* a request without a first token this long after its planned arrival is
                              given up by its client; 0: never */
    int64_t ttft_limit_ns; /* TTFT objective: the cause of later first tokens is named; 0: never */
    int64_t queue_limit;   /* requests in the engine at most; 0: no limit */
    int32_t pod;           /* its number, for records */
};

/* What the driver hands in. */
struct tr_engine_request {
    int64_t id;
    int64_t arrival_ns; /* planned: latencies and timeouts count from here */
    int32_t prompt_tok, output_tok;
    int32_t workload, tenant;
    int32_t priority; /* lower goes first, under the policy "priority" */
    struct tr_chain chain;
};

/* A scheduled step: what the GPU has to do, and the requests whose first or last token it yields.
 */
struct tr_step {
    int64_t duration_ps;
    int32_t tokens, rows, decodes, chunks;
    int64_t context_tok;
    int64_t chunks_ps;         /* prefill attention: sum of tr_steptime_chunk_ps over the chunks */
    int64_t chunk_context_tok; /* cached tokens that the chunks read */
    int32_t n_events, cap_events;
    struct tr_step_event {
        uint32_t request;
        bool first, last;
    } * events;
};

/* Counters over the engine's life. */
struct tr_engine_stats {
    int64_t steps, prefill_tok, decode_tok;
    int64_t preemptions, partial_chunks;
    int64_t prefix_queries_tok, prefix_hits_tok; /* at first admissions, as vLLM counts them */
    int64_t evicted_blocks;           /* cached KV blocks that were taken for something else */
    int64_t blocked_kv, blocked_seqs; /* steps that left the head of the queue waiting, by reason */
    int64_t kv_block_us;              /* integral of used blocks over time */
    int32_t kv_used_max;
};

/* A simple GPU server (tr_steptime_server) as an engine: requests have as many prompt tokens as
 * items, and one of output. What waits is taken as one batch; a request beyond the batch goes on in
 * the next. Synchronous, without KV cache. Timeout, queue limit and objective are the caller's. */
struct tr_engine_config tr_engine_server(const struct tr_steptime *st);

struct tr_engine;

/* Called for every request that leaves the engine. */
typedef void tr_engine_sink(void *arg, const struct tr_record *record);

struct tr_engine *tr_engine_new(const struct tr_engine_config *config, tr_engine_sink *sink,
                                void *sink_arg);
void tr_engine_free(struct tr_engine *e);

/* Takes a request at `now`, or refuses it (too long, queue limit), which the sink hears at once. */
void tr_engine_add(struct tr_engine *e, const struct tr_engine_request *request, int64_t now_ns);

/* Freezes the next step; false when there is nothing to do, or when making room was all that the
 * call did: with no step in flight and requests left it is then to be called again. `step` (zeroed
 * before its first use, released by tr_step_free) must stay untouched until its update. */
bool tr_engine_schedule(struct tr_engine *e, int64_t now_ns, struct tr_step *step);
/* The step has ended: tokens out, finished requests to the sink, their blocks freed. */
void tr_engine_update(struct tr_engine *e, int64_t now_ns, struct tr_step *step);
/* Both at once, at a fraction of the cost, where that is easy: `step` has ended without yielding
 * anything, and becomes the next one, in which all decode and none ends, while nothing waits.
 * False, with nothing done: it is not easy. */
bool tr_engine_tick(struct tr_engine *e, int64_t now_ns, struct tr_step *step);
void tr_step_free(struct tr_step *step);

/* A stretch: while nothing waits, nothing is being prefilled and no answer ends, every step is a
 * decode of the same requests, and many of them can be taken as one. How many further schedules are
 * certain to be so; 0: the next one may differ. */
int64_t tr_engine_calm(const struct tr_engine *e);
/* As if the oldest `n` steps in flight and to come had been updated, the last of them at `now_ns`,
 * and as many scheduled after the `in_flight` ones, which move on by n. n <= tr_engine_calm, and
 * those in flight are decodes of the same requests too. */
void tr_engine_skip(struct tr_engine *e, int64_t n, int64_t now_ns, struct tr_step *in_flight,
                    int n_in_flight);
/* By how much each step of a stretch is longer than the one before. */
int64_t tr_engine_step_growth_ps(const struct tr_engine *e);

/* The client of request `id` has gone: it leaves the engine at once with status aborted. False if
 * the engine does not hold it. Linear in the requests held. */
bool tr_engine_abort(struct tr_engine *e, int64_t id, int64_t now_ns);

/* The process ends and a new one takes its place: what it holds leaves with status aborted, its
 * prefix cache is empty. Steps in flight still end on the GPU; counters go on. */
void tr_engine_restart(struct tr_engine *e, int64_t now_ns);

/* Time that this engine's steps waited for the GPU while others held it, so far: told by the
 * driver, used to name the cause of a late first token. */
void tr_engine_lost(struct tr_engine *e, int64_t ps);

int32_t tr_engine_waiting(const struct tr_engine *e);
int32_t tr_engine_running(const struct tr_engine *e);
int32_t tr_engine_blocks_used(const struct tr_engine *e);
/* Waiting requests of a workload that never ran, numbered `min_id` or more, whose planned arrival
 * is before `arrival_ns`: they are certain to take at least now - arrival. */
int64_t tr_engine_waiting_since(const struct tr_engine *e, int32_t workload, int64_t arrival_ns,
                                int64_t min_id);
const struct tr_engine_stats *tr_engine_stats(const struct tr_engine *e);

#endif
