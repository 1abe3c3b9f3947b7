/* See oracle_engine.h. Numbers in brackets name the steps of the original's schedule(). */
#include "oracle_engine.h"

#include <stdlib.h>

#define MAX_REQUESTS 256
#define BLOCK        16

enum where { WAITING, PREEMPTED, RUNNING, FINISHED };

struct entry {
    struct tr_engine_request q;
    int64_t reach_ns, scheduled_ns, first_ns;
    enum where where;
    int outputs;      /* known to the scheduler */
    int placeholders; /* computed or being computed, not yet known */
    int computed, blocks;
    int target; /* tokens it had when it was admitted: below it, it is prefilled */
    int preemptions;
    int64_t steps_at_add, kv_blocked_at_add, lost_at_add, lost_ps;
    bool waited_kv, preempted_in_flight;
};

struct oracle {
    struct tr_engine_config cfg;
    tr_engine_sink *sink;
    void *arg;
    struct oracle_seen *seen;
    struct entry entry[MAX_REQUESTS];
    int n;
    int waiting[MAX_REQUESTS], n_waiting; /* the queue, preempted ones at its front */
    int running[MAX_REQUESTS], n_running;
    int64_t steps, kv_blocked, lost_ps;
};

struct oracle *oracle_new(const struct tr_engine_config *config, tr_engine_sink *sink, void *arg,
                          struct oracle_seen *seen)
{
    struct oracle *o = tr_calloc(1, sizeof *o);
    o->cfg = *config;
    o->sink = sink;
    o->arg = arg;
    o->seen = seen;
    return o;
}

void oracle_free(struct oracle *o)
{
    free(o);
}

static void list_insert(int *list, int *n, int at, int value)
{
    memmove(list + at + 1, list + at, (size_t)(*n - at) * sizeof *list);
    list[at] = value;
    ++*n;
}

static void list_drop(int *list, int *n, int value)
{
    int kept = 0;
    for (int i = 0; i < *n; i++)
        if (list[i] != value)
            list[kept++] = list[i];
    *n = kept;
}

int oracle_blocks_used(const struct oracle *o)
{
    int used = 0;
    for (int i = 0; i < o->n; i++)
        used += o->entry[i].blocks;
    return used;
}

int oracle_running(const struct oracle *o)
{
    return o->n_running;
}

static int free_blocks(const struct oracle *o)
{
    return o->cfg.num_gpu_blocks - oracle_blocks_used(o);
}

static int num_tokens(const struct entry *r)
{
    return r->q.prompt_tok + r->outputs;
}

/* ---- records --------------------------------------------------------------------------------- */

static bool mostly_kv(const struct oracle *o, const struct entry *r)
{
    int64_t steps = o->steps - r->steps_at_add, blocked = o->kv_blocked - r->kv_blocked_at_add;
    return blocked > 0 && (double)blocked >= (double)steps / 2;
}

/* docs/record.md, "Causes". */
static enum tr_cause cause(const struct oracle *o, const struct entry *r, int64_t end_ns)
{
    int64_t limit_ns = o->cfg.ttft_limit_ns > 0 ? o->cfg.ttft_limit_ns : INT64_MAX;
    if (r->first_ns < 0 && o->cfg.timeout_ns > 0)
        limit_ns = TR_MIN(limit_ns, o->cfg.timeout_ns);
    bool begun = r->scheduled_ns >= 0;
    if (end_ns - r->q.arrival_ns <= limit_ns)
        return TR_CAUSE_NONE;
    int64_t alone_ns =
        tr_steptime_prefill_ps(o->cfg.steptime, r->q.prompt_tok, o->cfg.max_num_batched_tokens) /
        1000;
    if (alone_ns + (r->reach_ns - r->q.arrival_ns) > limit_ns)
        return TR_CAUSE_PREFILL;
    int64_t over_ns = end_ns - r->reach_ns - alone_ns;
    int64_t lost_ps = r->first_ns >= 0 ? r->lost_ps : o->lost_ps - r->lost_at_add;
    if (lost_ps / 1000 > over_ns / 2)
        return TR_CAUSE_NEIGHBOUR;
    if ((begun ? r->scheduled_ns : end_ns) - r->reach_ns > over_ns / 2)
        return (begun ? r->waited_kv : mostly_kv(o, r)) ? TR_CAUSE_KV : TR_CAUSE_QUEUE;
    return TR_CAUSE_BATCH;
}

static void tell(struct oracle *o, const struct entry *r, enum tr_status status, enum tr_cause why,
                 int64_t now_ns)
{
    o->seen->status[status]++;
    o->seen->cause[why]++;
    o->sink(o->arg, &(struct tr_record){
                        .id = r->q.id,
                        .arrival_ns = r->q.arrival_ns,
                        .sent_ns = r->q.arrival_ns,
                        .scheduled_ns = r->scheduled_ns,
                        .first_token_ns = r->first_ns,
                        .last_token_ns = status == TR_DONE ? now_ns : -1,
                        .tenant = r->q.tenant,
                        .prompt_tok = r->q.prompt_tok,
                        .output_tok = r->q.output_tok,
                        .preemptions = r->preemptions,
                        .status = status,
                        .cause = why,
                    });
}

static void finish(struct oracle *o, int i, enum tr_status status, int64_t now_ns)
{
    struct entry *r = &o->entry[i];
    tell(o, r, status, cause(o, r, r->first_ns >= 0 ? r->first_ns : now_ns), now_ns);
    list_drop(o->waiting, &o->n_waiting, i);
    list_drop(o->running, &o->n_running, i);
    r->blocks = 0;
    r->where = FINISHED;
}

/* ---- requests in and out --------------------------------------------------------------------- */

void oracle_add(struct oracle *o, const struct tr_engine_request *request, int64_t now_ns)
{
    struct entry r = {.q = *request,
                      .reach_ns = now_ns,
                      .scheduled_ns = -1,
                      .first_ns = -1,
                      .steps_at_add = o->steps,
                      .kv_blocked_at_add = o->kv_blocked,
                      .lost_at_add = o->lost_ps};
    tr_assert(o->n < MAX_REQUESTS);
    if (request->prompt_tok + request->output_tok > o->cfg.max_model_len) {
        tell(o, &r, TR_REJECTED, TR_CAUSE_TOO_LONG, now_ns);
        return;
    }
    if (o->cfg.queue_limit > 0 && o->n_waiting + o->n_running + 1 > o->cfg.queue_limit) {
        tell(o, &r, TR_REJECTED, TR_CAUSE_REFUSED, now_ns);
        return;
    }
    o->entry[o->n] = r;
    o->waiting[o->n_waiting++] = o->n++;
}

bool oracle_abort(struct oracle *o, int64_t id, int64_t now_ns)
{
    for (int i = 0; i < o->n; i++)
        if (o->entry[i].q.id == id && o->entry[i].where != FINISHED) {
            finish(o, i, TR_ABORTED, now_ns);
            return true;
        }
    return false;
}

void oracle_lost(struct oracle *o, int64_t ps)
{
    o->lost_ps += ps;
}

int64_t oracle_waiting_since(const struct oracle *o, int64_t arrival_ns, int64_t min_id)
{
    int64_t n = 0;
    for (int i = 0; i < o->n; i++) {
        const struct entry *r = &o->entry[i];
        n += r->where == WAITING && r->q.id >= min_id && r->q.arrival_ns < arrival_ns;
    }
    return n;
}

static bool gives_up(const struct oracle *o, const struct entry *r, int64_t now_ns)
{
    return o->cfg.timeout_ns > 0 && r->first_ns < 0 && now_ns - r->q.arrival_ns > o->cfg.timeout_ns;
}

/* Clients that have given up. One whose first token is in flight is heard of at that step's end. */
static void drop_timed_out(struct oracle *o, int64_t now_ns)
{
    for (int i = 0; i < o->n; i++) {
        struct entry *r = &o->entry[i];
        if (r->where == FINISHED || !gives_up(o, r, now_ns))
            continue;
        if (r->placeholders > 0) {
            o->seen->timeout_in_flight++;
            continue;
        }
        o->seen->timeout_in_prefill += r->where == RUNNING;
        o->seen->timeout_resumed += r->where == PREEMPTED;
        finish(o, i, TR_TIMEOUT, now_ns);
    }
}

/* ---- schedule() ------------------------------------------------------------------------------ */

/* What the scheduler may know of the end: `length` is known ahead, a stop token is not, but the
 * longest possible answer is. */
static int most_outputs(const struct oracle *o, const struct entry *r)
{
    return o->cfg.stop_token ? o->cfg.max_model_len - r->q.prompt_tok : r->q.output_tok;
}

static bool allocate(struct oracle *o, struct entry *r, int n, bool full_sequence_must_fit)
{
    int need = (r->computed + n + BLOCK - 1) / BLOCK - r->blocks;
    int full = (num_tokens(r) + BLOCK - 1) / BLOCK - r->blocks;
    if (full_sequence_must_fit && full > free_blocks(o))
        return false;
    if (need > free_blocks(o))
        return false;
    r->blocks += need;
    return true;
}

static void preempt(struct oracle *o, int i)
{
    struct entry *r = &o->entry[i];
    list_drop(o->running, &o->n_running, i);
    o->seen->preemptions++;
    o->seen->ending_preempted +=
        r->placeholders > 0 && r->outputs + r->placeholders >= r->q.output_tok;
    r->where = PREEMPTED;
    r->computed = 0;
    r->blocks = 0;
    r->preemptions++;
    list_insert(o->waiting, &o->n_waiting, 0, i);
}

static void put(struct oracle *o, struct oracle_step *step, int i, int n, int64_t *chunks_ps)
{
    struct entry *r = &o->entry[i];
    struct oracle_part *part = &step->part[step->n++];
    bool prefill = r->computed < r->target;
    if (prefill) {
        *chunks_ps += tr_steptime_chunk_ps(o->cfg.steptime, n, r->computed);
        step->chunks++;
    } else {
        tr_assert(n == 1);
        step->decodes++;
        step->context_tok += r->computed + 1;
    }
    r->computed += n;
    step->tokens += n;
    *part = (struct oracle_part){.request = i};
    if (r->computed == num_tokens(r) + r->placeholders) {
        int token = r->outputs + ++r->placeholders;
        part->samples = true;
        step->rows++;
        step->firsts += token == 1;
        step->lasts += token == r->q.output_tok;
        o->seen->wasted_rows += token > r->q.output_tok;
    } else {
        o->seen->partial++;
    }
}

static int limit_of(const struct oracle *o, int n, int budget)
{
    if (o->cfg.long_prefill_token_threshold > 0)
        n = TR_MIN(n, o->cfg.long_prefill_token_threshold);
    return TR_MIN(n, budget);
}

/* [1] Running requests. Returns false when something was preempted. */
static bool phase_running(struct oracle *o, int *budget, int *given)
{
    bool preempted = false;
    int i = 0;
    for (; i<o->n_running && * budget> 0;) {
        int at = o->running[i];
        struct entry *r = &o->entry[at];
        if (r->placeholders > 0 && r->outputs + r->placeholders >= most_outputs(o, r)) {
            o->seen->known_end_skipped++;
            i++;
            continue;
        }
        int n = limit_of(o, num_tokens(r) + r->placeholders - r->computed, *budget);
        n = TR_MIN(n, o->cfg.max_model_len - 1 - r->computed);
        if (n == 0) {
            i++;
            continue;
        }
        bool ok;
        while (!(ok = allocate(o, r, n, false))) {
            int victim = o->running[o->n_running - 1];
            preempt(o, victim);
            preempted = true;
            if (victim == at)
                break;
        }
        if (!ok) {
            o->seen->self_preempted++;
            break;
        }
        given[at] = n;
        *budget -= n;
        i++;
    }
    for (; *budget == 0 && i < o->n_running; i++) {
        const struct entry *r = &o->entry[o->running[i]];
        o->seen->left_out += r->computed >= r->target;
    }
    return !preempted;
}

/* [2] Waiting requests. */
static void phase_waiting(struct oracle *o, int *budget, int *given, int64_t now_ns)
{
    while (o->n_waiting > 0 && *budget > 0) {
        int at = o->waiting[0];
        struct entry *r = &o->entry[at];
        if (o->n_running >= o->cfg.max_num_seqs) {
            o->seen->seqs_blocked++;
            return;
        }
        tr_assert(r->placeholders == 0); /* a preempted one's token has been delivered by now */
        int n = limit_of(o, num_tokens(r), *budget);
        if (!allocate(o, r, n, true)) {
            o->seen->kv_blocked++;
            o->kv_blocked++;
            return;
        }
        list_drop(o->waiting, &o->n_waiting, at);
        o->running[o->n_running++] = at;
        if (r->scheduled_ns < 0) {
            r->scheduled_ns = now_ns;
            r->waited_kv = mostly_kv(o, r);
        }
        r->where = RUNNING;
        r->target = num_tokens(r);
        given[at] = n;
        *budget -= n;
    }
}

bool oracle_schedule(struct oracle *o, int64_t now_ns, struct oracle_step *step)
{
    int given[MAX_REQUESTS] = {0}, budget = o->cfg.max_num_batched_tokens, half_done = 0;
    int64_t chunks_ps = 0;
    *step = (struct oracle_step){0};
    drop_timed_out(o, now_ns);
    if (phase_running(o, &budget, given))
        phase_waiting(o, &budget, given, now_ns);
    for (int i = 0; i < o->n_running; i++)
        if (given[o->running[i]] > 0)
            put(o, step, o->running[i], given[o->running[i]], &chunks_ps);
    for (int i = 0; i < o->n_running; i++)
        half_done += o->entry[o->running[i]].computed < o->entry[o->running[i]].target;
    o->seen->several_partial += half_done > 1;
    if (step->n == 0)
        return false;
    o->steps++;
    o->seen->steps++;
    step->duration_ps = tr_steptime_ps(o->cfg.steptime, step->tokens, step->rows, step->decodes,
                                       step->context_tok, chunks_ps);
    return true;
}

/* ---- update_from_output() -------------------------------------------------------------------- */

void oracle_update(struct oracle *o, int64_t now_ns, const struct oracle_step *step)
{
    for (int k = 0; k < step->n; k++) {
        struct entry *r = &o->entry[step->part[k].request];
        if (r->where == FINISHED || !step->part[k].samples)
            continue;
        r->placeholders--;
        if (++r->outputs == 1) {
            if (gives_up(o, r, now_ns)) {
                finish(o, step->part[k].request, TR_TIMEOUT, now_ns);
                continue;
            }
            r->first_ns = now_ns;
            r->lost_ps = o->lost_ps - r->lost_at_add;
        }
        if (r->outputs == r->q.output_tok)
            finish(o, step->part[k].request, TR_DONE, now_ns);
    }
}
