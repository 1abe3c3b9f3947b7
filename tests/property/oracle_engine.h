/* The scheduler of vLLM V1, written down as literally and slowly as possible: what src/engine must
 * do, without any of the means by which it does it. Every request is an entry of an array; every
 * step walks the list of running ones; every KV block is an object that requests hold and the
 * prefix cache finds (oracle_blocks.h); a token that is computed but not yet known is a
 * placeholder, as it is in the original. */
#ifndef TEST_ORACLE_ENGINE_H
#define TEST_ORACLE_ENGINE_H

#include "engine/engine.h"
#include "oracle_blocks.h"

struct oracle_step {
    int64_t duration_ps, context_tok;
    int32_t tokens, rows, decodes, chunks;
    int32_t firsts, lasts; /* requests whose first, whose last token it yields */
    int n;
    struct oracle_part {
        int request; /* index */
        bool samples;
    } part[64];
};

/* How often the interesting things happened. */
struct oracle_seen {
    int64_t preemptions, ending_preempted, several_partial, left_out, wasted_rows, self_preempted;
    int64_t status[5], cause[TR_N_CAUSES];
    int64_t timeout_in_prefill, timeout_in_flight, timeout_resumed, known_end_skipped;
    int64_t several_lasts; /* steps that end more than one answer */
    int64_t unscheduled, middle_victims, cut_short, overtaken; /* by priority */
    int64_t hits, hits_running, hits_same_call, hits_resumed, duplicates;
    int64_t answer_published, kv_blocked_by_hits;
};

struct oracle;

struct oracle *oracle_new(const struct tr_engine_config *config, tr_engine_sink *sink, void *arg,
                          struct oracle_seen *seen, enum oracle_fault fault);
void oracle_free(struct oracle *o);
void oracle_add(struct oracle *o, const struct tr_engine_request *request, int64_t now_ns);
bool oracle_schedule(struct oracle *o, int64_t now_ns, struct oracle_step *step);
void oracle_update(struct oracle *o, int64_t now_ns, const struct oracle_step *step);
bool oracle_abort(struct oracle *o, int64_t id, int64_t now_ns);
void oracle_lost(struct oracle *o, int64_t ps);
int oracle_running(const struct oracle *o);
int oracle_waiting(const struct oracle *o);
int oracle_blocks_used(const struct oracle *o);
const struct oracle_blocks *oracle_kv(const struct oracle *o);
const struct tr_engine_stats *oracle_stats(const struct oracle *o);
int64_t oracle_waiting_since(const struct oracle *o, int64_t arrival_ns, int64_t min_id);

#endif
