/* See oracle_engine.h. Numbers in brackets name the steps of the original's schedule(). */
#include "oracle_engine.h"

#include <stdlib.h>

#define MAX_REQUESTS 64
#define BLOCK        16
#define MAX_BLOCKS   256 /* of a request */

enum where { WAITING, PREEMPTED, RUNNING, FINISHED };

struct entry {
    struct tr_engine_request q;
    int64_t reach_ns, scheduled_ns, first_ns;
    enum where where;
    int outputs;      /* known to the scheduler */
    int placeholders; /* computed or being computed, not yet known */
    int computed;
    int *block, n_blocks, n_published; /* the first ones have their hash */
    int cached;                        /* tokens found in the cache when it was first admitted */
    int target; /* tokens it had when it was admitted: below it, it is prefilled */
    int preemptions;
    int64_t steps_at_add, kv_blocked_at_add, lost_at_add, lost_ps, lost_at_first;
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
    struct oracle_blocks kv;
    struct tr_engine_stats stats;
    int64_t lost_ps;
};

struct oracle *oracle_new(const struct tr_engine_config *config, tr_engine_sink *sink, void *arg,
                          struct oracle_seen *seen, enum oracle_fault fault)
{
    struct oracle *o = tr_calloc(1, sizeof *o);
    o->cfg = *config;
    o->sink = sink;
    o->arg = arg;
    o->seen = seen;
    oracle_blocks_init(&o->kv, config->num_gpu_blocks, fault);
    return o;
}

void oracle_free(struct oracle *o)
{
    for (int i = 0; i < o->n; i++)
        free(o->entry[i].block);
    oracle_blocks_free(&o->kv);
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
    return o->kv.n - o->kv.n_free;
}

const struct oracle_blocks *oracle_kv(const struct oracle *o)
{
    return &o->kv;
}

const struct tr_engine_stats *oracle_stats(const struct oracle *o)
{
    return &o->stats;
}

int oracle_running(const struct oracle *o)
{
    return o->n_running;
}

int oracle_waiting(const struct oracle *o)
{
    return o->n_waiting;
}

static int list_find(const int *list, int value)
{
    int i = 0;
    while (list[i] != value)
        i++;
    return i;
}

static int num_tokens(const struct entry *r)
{
    return r->q.prompt_tok + r->outputs;
}

/* ---- records --------------------------------------------------------------------------------- */

static bool mostly_kv(const struct oracle *o, const struct entry *r)
{
    int64_t steps = o->stats.steps - r->steps_at_add,
            blocked = o->stats.blocked_kv - r->kv_blocked_at_add;
    return blocked > 0 && (double)blocked >= (double)steps / 2;
}

/* From an idle engine to the first token, what is cached left out. */
static int64_t alone_ns(const struct oracle *o, const struct entry *r)
{
    int64_t ps = 0;
    for (int n, at = r->cached; at < r->q.prompt_tok; at += n) {
        n = TR_MIN(r->q.prompt_tok - at, o->cfg.max_num_batched_tokens);
        ps += tr_steptime_ps(o->cfg.steptime, n, at + n == r->q.prompt_tok, 0, 0,
                             tr_steptime_chunk_ps(o->cfg.steptime, n, at));
    }
    return ps / TR_PS_PER_NS;
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
    int64_t solo_ns = alone_ns(o, r);
    if (solo_ns + (r->reach_ns - r->q.arrival_ns) > limit_ns)
        return TR_CAUSE_PREFILL;
    int64_t over_ns = end_ns - r->reach_ns - solo_ns;
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
                        .cached_tok = r->cached,
                        .output_tok = r->q.output_tok,
                        .preemptions = r->preemptions,
                        .status = status,
                        .cause = why,
                        .lost_ns = r->first_ns >= 0 ? (o->lost_ps - r->lost_at_first) / 1000 : 0,
                    });
}

static void give_back(struct oracle *o, struct entry *r)
{
    oracle_blocks_release(&o->kv, r->block, r->n_blocks);
    r->n_blocks = r->n_published = 0;
}

static void finish(struct oracle *o, int i, enum tr_status status, int64_t now_ns)
{
    struct entry *r = &o->entry[i];
    tell(o, r, status, cause(o, r, r->first_ns >= 0 ? r->first_ns : now_ns), now_ns);
    list_drop(o->waiting, &o->n_waiting, i);
    list_drop(o->running, &o->n_running, i);
    give_back(o, r);
    r->where = FINISHED;
}

/* ---- requests in and out --------------------------------------------------------------------- */

void oracle_add(struct oracle *o, const struct tr_engine_request *request, int64_t now_ns)
{
    struct entry r = {.q = *request,
                      .reach_ns = now_ns,
                      .scheduled_ns = -1,
                      .first_ns = -1,
                      .steps_at_add = o->stats.steps,
                      .kv_blocked_at_add = o->stats.blocked_kv,
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
    r.block = tr_calloc((size_t)o->cfg.max_model_len / BLOCK + 1, sizeof *r.block);
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

/* ---- the policies ------------------------------------------------------------------------------
 */

/* Who goes first, or keeps its place longest, under the policy "priority". */
static bool precedes(const struct entry *a, const struct entry *b)
{
    if (a->q.priority != b->q.priority)
        return a->q.priority < b->q.priority;
    if (a->q.arrival_ns != b->q.arrival_ns)
        return a->q.arrival_ns < b->q.arrival_ns;
    return a->q.id < b->q.id;
}

static int next_waiting(const struct oracle *o)
{
    int best = o->waiting[0];
    for (int i = 1; i < o->n_waiting && o->cfg.priority; i++)
        if (precedes(&o->entry[o->waiting[i]], &o->entry[best]))
            best = o->waiting[i];
    return best;
}

static int next_victim(const struct oracle *o)
{
    int worst = o->running[o->n_running - 1];
    for (int i = 0; i < o->n_running && o->cfg.priority && o->kv.fault != FAULT_VICTIM; i++)
        if (precedes(&o->entry[worst], &o->entry[o->running[i]]))
            worst = o->running[i];
    return worst;
}

static void preempt(struct oracle *o, int i)
{
    struct entry *r = &o->entry[i];
    list_drop(o->running, &o->n_running, i);
    o->stats.preemptions++;
    o->seen->preemptions++;
    o->seen->ending_preempted +=
        r->placeholders > 0 && r->outputs + r->placeholders >= r->q.output_tok;
    r->where = PREEMPTED;
    r->computed = 0;
    give_back(o, r);
    r->preemptions++;
    list_insert(o->waiting, &o->n_waiting, 0, i);
}

/* ---- the prefix cache ------------------------------------------------------------------------ */

/* Block `index` belongs to the run that its last token is in. */
static struct oracle_hash hash_of(const struct oracle *o, const struct entry *r, int index)
{
    const struct tr_run *run = tr_chain_runs(&r->q.chain);
    for (int i = 0; i < r->q.chain.n; i++)
        if (run[i].end_tok > index * BLOCK + BLOCK - 1)
            return (struct oracle_hash){.key = run[i].key, .owner = -1, .index = index};
    return (struct oracle_hash){.owner = (int)(r - o->entry), .index = index};
}

/* The request's blocks that are full with these tokens get their hashes. */
static int publish(struct oracle *o, struct entry *r, int tokens)
{
    int before = r->n_published;
    if (!o->cfg.enable_prefix_caching)
        return 0;
    for (; r->n_published < tokens / BLOCK; r->n_published++) {
        struct oracle_hash hash = hash_of(o, r, r->n_published);
        o->seen->duplicates += oracle_blocks_copies(&o->kv, hash) > 0;
        oracle_blocks_publish(&o->kv, r->block[r->n_published], hash);
    }
    return r->n_published - before;
}

/* The longest unbroken chain from the first block on; at least one token is left to compute. */
static int lookup(const struct oracle *o, const struct entry *r, int *hit)
{
    int most = (num_tokens(r) - (o->kv.fault == FAULT_LAST_TOKEN ? 0 : 1)) / BLOCK, n = 0;
    if (!o->cfg.enable_prefix_caching)
        return 0;
    for (; n < most; n++)
        if ((hit[n] = oracle_blocks_find(&o->kv, hash_of(o, r, n))) < 0)
            break;
    return n;
}

/* `n` more tokens, behind `n_hit` cached blocks. */
static bool allocate(struct oracle *o, struct entry *r, int n, const int *hit, int n_hit,
                     bool full_sequence_must_fit)
{
    struct oracle_blocks *kv = &o->kv;
    int leaving = 0; /* hit blocks that nobody uses: they leave the free list too */
    for (int i = 0; i < n_hit; i++)
        leaving += kv->block[hit[i]].ref == 0;
    int tokens = n_hit * BLOCK + r->computed + n;
    int need = (tokens + BLOCK - 1) / BLOCK - r->n_blocks - n_hit;
    int full = (num_tokens(r) + BLOCK - 1) / BLOCK - r->n_blocks - n_hit;
    int gate = kv->fault == FAULT_GATE ? 0 : leaving;
    if (full_sequence_must_fit && full + gate > kv->n_free) {
        o->seen->kv_blocked_by_hits += full <= kv->n_free;
        return false;
    }
    if (need + leaving > kv->n_free)
        return false;
    for (int i = 0; i < n_hit; i++) {
        o->seen->hits_running += kv->block[hit[i]].ref > 0;
        o->seen->hits_same_call += kv->block[hit[i]].call == kv->call;
        oracle_blocks_touch(kv, hit[i]);
        r->block[r->n_blocks++] = hit[i];
    }
    r->n_published += n_hit;
    for (int i = 0; i < need; i++)
        r->block[r->n_blocks++] = oracle_blocks_take(kv);
    publish(o, r, TR_MIN(tokens, num_tokens(r)));
    return true;
}

/* ---- schedule() ------------------------------------------------------------------------------ */

/* What the scheduler may know of the end: `length` is known ahead, a stop token is not, but the
 * longest possible answer is. */
static int most_outputs(const struct oracle *o, const struct entry *r)
{
    return o->cfg.stop_token ? o->cfg.max_model_len - r->q.prompt_tok : r->q.output_tok;
}

static void put(struct oracle *o, struct oracle_step *step, int i, int n, int64_t *chunks_ps)
{
    struct entry *r = &o->entry[i];
    struct oracle_part *part = &step->part[step->n++];
    bool prefill = r->computed < r->target;
    if (prefill) {
        *chunks_ps += tr_steptime_chunk_ps(o->cfg.steptime, n, r->computed);
        step->chunks++;
        o->stats.prefill_tok += n;
    } else {
        tr_assert(n == 1);
        step->decodes++;
        o->stats.decode_tok++;
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
        o->stats.partial_chunks++;
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
    while (*budget > 0 && i < o->n_running) {
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
        while (!(ok = allocate(o, r, n, NULL, 0, false))) {
            int victim = next_victim(o);
            if (list_find(o->running, victim) < i) {
                i--;
                o->seen->middle_victims++;
                o->seen->unscheduled += given[victim] > 0;
                *budget += given[victim];
                given[victim] = 0;
            }
            preempt(o, victim);
            preempted = true;
            if (victim == at)
                break;
        }
        if (!ok) {
            o->seen->self_preempted++;
            o->seen->cut_short += i < o->n_running;
            break; /* nobody left to evict */
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
        int at = next_waiting(o), hit[MAX_BLOCKS];
        struct entry *r = &o->entry[at];
        if (o->n_running >= o->cfg.max_num_seqs) {
            o->stats.blocked_seqs++;
            return;
        }
        tr_assert(r->placeholders == 0); /* a preempted one's token has been delivered by now */
        int n_hit = lookup(o, r, hit);
        int n = limit_of(o, num_tokens(r) - n_hit * BLOCK, *budget);
        if (!allocate(o, r, n, hit, n_hit, true)) {
            o->stats.blocked_kv++;
            return;
        }
        o->seen->overtaken += at != o->waiting[0];
        r->computed = n_hit * BLOCK;
        list_drop(o->waiting, &o->n_waiting, at);
        o->running[o->n_running++] = at;
        if (r->scheduled_ns < 0) {
            r->scheduled_ns = now_ns;
            r->waited_kv = mostly_kv(o, r);
            r->cached = r->computed;
            o->stats.prefix_queries_tok += o->cfg.enable_prefix_caching ? num_tokens(r) : 0;
            o->stats.prefix_hits_tok += r->computed;
            o->seen->hits += n_hit > 0;
        } else {
            o->seen->hits_resumed += n_hit > 0;
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
    o->kv.call++;
    drop_timed_out(o, now_ns);
    if (phase_running(o, &budget, given))
        phase_waiting(o, &budget, given, now_ns);
    for (int i = 0; i < o->n_running; i++)
        if (given[o->running[i]] > 0)
            put(o, step, o->running[i], given[o->running[i]], &chunks_ps);
    for (int i = 0; i < o->n_running; i++)
        half_done += o->entry[o->running[i]].computed < o->entry[o->running[i]].target;
    o->seen->several_partial += half_done > 1;
    o->seen->several_lasts += step->lasts > 1;
    o->stats.evicted_blocks = o->kv.evicted;
    if (step->n == 0)
        return false;
    o->stats.steps++;
    o->stats.kv_used_max = TR_MAX(o->stats.kv_used_max, oracle_blocks_used(o));
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
            r->lost_at_first = o->lost_ps;
        }
        if (o->cfg.async && r->where == RUNNING && o->kv.fault != FAULT_ANSWER)
            o->seen->answer_published += publish(o, r, r->computed - r->placeholders);
        if (r->outputs == r->q.output_tok)
            finish(o, step->part[k].request, TR_DONE, now_ns);
    }
}
