/* The engine against a literal transcription of the scheduler it stands for (oracle_engine.c): on
 * thousands of small random workloads every step has the same composition and duration and every
 * request the same record. Pools, budgets and places are small, so that everything that can go
 * wrong for a request does go wrong often; the test says how often, and fails when it does not. */
#include "oracle_engine.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "num/num.h"
#include "../unit/fixture.h"

#define WORKLOADS    3000
#define MAX_REQUESTS 48
#define MAX_RECORDS  (2 * MAX_REQUESTS)

static struct tr_arena arena;
static struct tr_steptime steptime;

static int setup(void **state)
{
    struct tr_share_hw hw = share_whole(&a100_pcie);
    (void)state;
    tr_steptime_init(&steptime, &arena, &hw, &tiny, &bf16, 512, 32, true, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- workloads ------------------------------------------------------------------------------- */

static bool one_in(struct draw *d, int64_t n)
{
    return between(d, 1, n) == 1;
}

struct workload {
    struct tr_engine_config cfg;
    int n;
    struct tr_engine_request request[MAX_REQUESTS];
    struct {
        int64_t at_ns, id;
    } abort[MAX_REQUESTS];
    int n_aborts;
    bool neighbour; /* now and then the GPU is held by somebody else */
};

static void make_config(struct draw *d, struct tr_engine_config *c)
{
    int32_t lens = (int32_t[]){24, 64, 200}[between(d, 0, 2)];
    *c = (struct tr_engine_config){.steptime = &steptime};
    c->max_model_len = lens;
    c->max_num_seqs = (int32_t)between(d, 1, one_in(d, 2) ? 16 : 5);
    c->max_num_batched_tokens = c->max_num_seqs + (int32_t)between(d, 0, one_in(d, 4) ? 12 : lens);
    if (one_in(d, 3))
        c->long_prefill_token_threshold = (int32_t)between(d, 1, 24);
    c->num_gpu_blocks =
        (lens + TR_BLOCK_TOK - 1) / TR_BLOCK_TOK + (int32_t)between(d, 0, one_in(d, 4) ? 64 : 3);
    c->async = one_in(d, 2);
    c->stop_token = one_in(d, 2);
    c->timeout_ns = one_in(d, 3) ? between(d, 50000, 5000000) : 0;
    c->ttft_limit_ns = one_in(d, 2) ? between(d, 50000, 5000000) : 0;
    c->queue_limit = one_in(d, 4) ? between(d, 1, 20) : 0;
}

static void make_workload(struct workload *w, uint64_t seed)
{
    struct draw d = {seed, tr_rng_stream("engine oracle", 0, 0), 0};
    int64_t now_ns = 0, gap_ns = (int64_t[]){0, 20000, 100000, 400000}[between(&d, 0, 3)];
    *w = (struct workload){.n = (int)between(&d, 1, MAX_REQUESTS), .neighbour = one_in(&d, 4)};
    make_config(&d, &w->cfg);
    int32_t len = w->cfg.max_model_len;
    bool aborts = one_in(&d, 3);
    for (int i = 0; i < w->n; i++) {
        int32_t prompt = (int32_t)between(&d, 1, one_in(&d, 4) ? len - 1 : len / 4);
        int32_t rest = len - prompt;
        int32_t output = (int32_t)between(&d, 1, one_in(&d, 3) ? rest : TR_MIN(rest, len / 3 + 1));
        if (one_in(&d, 20))
            output = rest; /* to the end of the context */
        if (one_in(&d, 40))
            output = rest + 1; /* and beyond */
        now_ns += one_in(&d, 3) ? 0 : between(&d, 0, gap_ns);
        w->request[i] = (struct tr_engine_request){.id = i,
                                                   .arrival_ns = now_ns,
                                                   .prompt_tok = prompt,
                                                   .output_tok = output,
                                                   .tenant = i % 3};
        if (aborts && one_in(&d, 3)) {
            w->abort[w->n_aborts].at_ns = now_ns + between(&d, 0, 3000000);
            w->abort[w->n_aborts++].id = one_in(&d, 4) ? between(&d, 0, i) : i;
        }
    }
}

/* ---- running both ---------------------------------------------------------------------------- */

struct records {
    struct tr_record record[MAX_RECORDS];
    int n;
};

static void keep(void *arg, const struct tr_record *r)
{
    struct records *all = arg;
    if (all->n < MAX_RECORDS)
        all->record[all->n++] = *r;
}

static int by_id(const void *a, const void *b)
{
    const struct tr_record *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

struct pair {
    const struct workload *w;
    struct tr_engine *engine;
    struct oracle *oracle;
    struct records got, want;
    struct tr_step step[2];
    struct oracle_step expected[2];
    int64_t end_ns[2];
    int first, in_flight;
    int64_t gpu_free_ns;
    struct draw noise;
    char why[256];
};

static bool differ(struct pair *p, const char *what, int64_t got, int64_t want, int64_t now_ns)
{
    if (got == want)
        return false;
    snprintf(p->why, sizeof p->why, "%s is %" PRId64 ", must be %" PRId64 " at %" PRId64 " ns",
             what, got, want, now_ns);
    return true;
}

static bool same_records(struct pair *p, int64_t now_ns)
{
    struct records *g = &p->got, *w = &p->want;
    if (differ(p, "number of records", g->n, w->n, now_ns))
        return false;
    qsort(g->record, (size_t)g->n, sizeof g->record[0], by_id);
    qsort(w->record, (size_t)w->n, sizeof w->record[0], by_id);
    for (int i = 0; i < g->n; i++) {
        const struct tr_record *a = &g->record[i], *b = &w->record[i];
        if (differ(p, "id", a->id, b->id, now_ns) ||
            differ(p, "status", a->status, b->status, now_ns) ||
            differ(p, "cause", a->cause, b->cause, now_ns) ||
            differ(p, "scheduled", a->scheduled_ns, b->scheduled_ns, now_ns) ||
            differ(p, "first token", a->first_token_ns, b->first_token_ns, now_ns) ||
            differ(p, "last token", a->last_token_ns, b->last_token_ns, now_ns) ||
            differ(p, "preemptions", a->preemptions, b->preemptions, now_ns) ||
            differ(p, "arrival", a->arrival_ns, b->arrival_ns, now_ns) ||
            differ(p, "prompt", a->prompt_tok, b->prompt_tok, now_ns) ||
            differ(p, "output", a->output_tok, b->output_tok, now_ns) ||
            differ(p, "tenant", a->tenant, b->tenant, now_ns))
            return false;
    }
    return true;
}

static bool same_state(struct pair *p, int64_t now_ns)
{
    int64_t since_ns = now_ns - 500000;
    return !differ(p, "running", tr_engine_running(p->engine), oracle_running(p->oracle), now_ns) &&
           !differ(p, "blocks", tr_engine_blocks_used(p->engine), oracle_blocks_used(p->oracle),
                   now_ns) &&
           !differ(p, "waiting since", tr_engine_waiting_since(p->engine, since_ns, 3),
                   oracle_waiting_since(p->oracle, since_ns, 3), now_ns) &&
           same_records(p, now_ns);
}

static bool same_step(struct pair *p, const struct tr_step *a, const struct oracle_step *b,
                      int64_t now_ns)
{
    int firsts = 0, lasts = 0;
    for (int i = 0; i < a->n_events; i++) {
        firsts += a->events[i].first;
        lasts += a->events[i].last;
    }
    return !differ(p, "tokens", a->tokens, b->tokens, now_ns) &&
           !differ(p, "rows", a->rows, b->rows, now_ns) &&
           !differ(p, "decodes", a->decodes, b->decodes, now_ns) &&
           !differ(p, "chunks", a->chunks, b->chunks, now_ns) &&
           !differ(p, "context", a->context_tok, b->context_tok, now_ns) &&
           !differ(p, "duration", a->duration_ps, b->duration_ps, now_ns) &&
           !differ(p, "first tokens", firsts, b->firsts, now_ns) &&
           !differ(p, "last tokens", lasts, b->lasts, now_ns);
}

/* As share/device.c does it: one step in flight, or two. */
static bool fill(struct pair *p, int64_t now_ns)
{
    while (p->in_flight < (p->w->cfg.async ? 2 : 1)) {
        int at = (p->first + p->in_flight) & 1;
        bool got = tr_engine_schedule(p->engine, now_ns, &p->step[at]);
        bool want = oracle_schedule(p->oracle, now_ns, &p->expected[at]);
        if (differ(p, "something to do", got, want, now_ns) || !same_state(p, now_ns))
            return false;
        if (!got)
            return true;
        if (!same_step(p, &p->step[at], &p->expected[at], now_ns))
            return false;
        int64_t held_ns =
            p->w->neighbour && one_in(&p->noise, 3) ? between(&p->noise, 0, 900000) : 0;
        int64_t start_ns = TR_MAX(now_ns, p->gpu_free_ns);
        p->end_ns[at] = start_ns + held_ns + p->step[at].duration_ps / TR_PS_PER_NS;
        p->gpu_free_ns = p->end_ns[at];
        tr_engine_lost(p->engine, held_ns * TR_PS_PER_NS);
        oracle_lost(p->oracle, held_ns * TR_PS_PER_NS);
        p->in_flight++;
    }
    return true;
}

static bool abort_one(struct pair *p, int64_t id, int64_t now_ns)
{
    bool got = tr_engine_abort(p->engine, id, now_ns);
    bool want = oracle_abort(p->oracle, id, now_ns);
    return !differ(p, "aborted", got, want, now_ns) && same_state(p, now_ns);
}

static bool end_step(struct pair *p)
{
    int at = p->first;
    int64_t now_ns = p->end_ns[at];
    p->first ^= 1;
    p->in_flight--;
    tr_engine_update(p->engine, now_ns, &p->step[at]);
    oracle_update(p->oracle, now_ns, &p->expected[at]);
    if (!same_state(p, now_ns) || !fill(p, now_ns))
        return false;
    /* A client may go at any moment: also between a preemption and the token still in flight. */
    return p->w->n_aborts == 0 || !one_in(&p->noise, 8) ||
           abort_one(p, between(&p->noise, 0, p->w->n - 1), now_ns);
}

static bool drive(struct pair *p)
{
    const struct workload *w = p->w;
    int next = 0, gone = 0;
    for (;;) {
        int64_t add_ns = next < w->n ? w->request[next].arrival_ns : TR_TIME_NEVER;
        int64_t abort_ns = gone < w->n_aborts ? w->abort[gone].at_ns : TR_TIME_NEVER;
        int64_t end_ns = p->in_flight > 0 ? p->end_ns[p->first] : TR_TIME_NEVER;
        int64_t now_ns = TR_MIN(TR_MIN(add_ns, abort_ns), end_ns);
        if (now_ns == TR_TIME_NEVER)
            return !differ(p, "requests left",
                           tr_engine_running(p->engine) + tr_engine_waiting(p->engine), 0, now_ns);
        if (add_ns == now_ns) {
            for (; next < w->n && w->request[next].arrival_ns == now_ns; next++) {
                tr_engine_add(p->engine, &w->request[next], now_ns);
                oracle_add(p->oracle, &w->request[next], now_ns);
            }
            if (!same_state(p, now_ns) || (p->in_flight == 0 && !fill(p, now_ns)))
                return false;
        } else if (abort_ns == now_ns) {
            if (!abort_one(p, w->abort[gone++].id, now_ns))
                return false;
        } else if (!end_step(p)) {
            return false;
        }
    }
}

/* Runs the first `n` requests of the workload; false, and why, where the two part. */
static bool agree(uint64_t seed, int n, struct oracle_seen *seen, char *why, size_t why_len)
{
    struct workload w;
    make_workload(&w, seed);
    w.n = TR_MIN(w.n, n);
    struct pair p = {.w = &w, .noise = {seed, tr_rng_stream("noise", 0, 0), 0}};
    p.engine = tr_engine_new(&w.cfg, keep, &p.got);
    p.oracle = oracle_new(&w.cfg, keep, &p.want, seen);
    bool same = drive(&p);
    const struct tr_engine_stats *s = tr_engine_stats(p.engine);
    if (same)
        same = !differ(&p, "blocks at the end", tr_engine_blocks_used(p.engine), 0, 0);
    if (same && s->steps > 0)
        same = !differ(&p, "too many blocks", s->kv_used_max > w.cfg.num_gpu_blocks, false, 0);
    snprintf(why, why_len, "%s%s: %s", w.cfg.async ? "async" : "sync",
             w.cfg.stop_token ? ", stop token" : "", p.why);
    tr_engine_free(p.engine);
    oracle_free(p.oracle);
    tr_step_free(&p.step[0]);
    tr_step_free(&p.step[1]);
    return same;
}

static void the_engine_is_the_scheduler_written_out(void **state)
{
    (void)state;
    struct oracle_seen seen = {0};
    char why[320];
    for (uint64_t seed = 1; seed <= WORKLOADS; seed++) {
        if (agree(seed, MAX_REQUESTS, &seen, why, sizeof why))
            continue;
        int n = MAX_REQUESTS;
        while (n > 1 && !agree(seed, n / 2, &(struct oracle_seen){0}, why, sizeof why))
            n /= 2;
        agree(seed, n, &(struct oracle_seen){0}, why, sizeof why);
        fail_msg("workload %" PRIu64 ", first %d requests: %s", seed, n, why);
    }
    assert_int_equal(seen.left_out, 0); /* which the engine relies on */
    struct {
        const char *what;
        int64_t seen, at_least;
    } cover[] = {
        {"steps", seen.steps, 300000},
        {"preemptions", seen.preemptions, 5000},
        {"preempted with the last token in flight", seen.ending_preempted, 60},
        {"preempted by itself", seen.self_preempted, 1500},
        {"partial chunks", seen.partial, 50000},
        {"several half-done prefills", seen.several_partial, 5000},
        {"rows wasted behind a stop token", seen.wasted_rows, 4000},
        {"skipped, the last token being in flight", seen.known_end_skipped, 5000},
        {"head of the queue without KV blocks", seen.kv_blocked, 50000},
        {"head of the queue without a place", seen.seqs_blocked, 50000},
        {"done", seen.status[TR_DONE], 20000},
        {"rejected", seen.status[TR_REJECTED], 3000},
        {"timed out", seen.status[TR_TIMEOUT], 5000},
        {"timed out half prefilled", seen.timeout_in_prefill, 300},
        {"timed out with the first token in flight", seen.timeout_in_flight, 100},
        {"timed out after a preemption", seen.timeout_resumed, 10},
        {"aborted", seen.status[TR_ABORTED], 2000},
        {"cause prefill", seen.cause[TR_CAUSE_PREFILL], 300},
        {"cause neighbour", seen.cause[TR_CAUSE_NEIGHBOUR], 1000},
        {"cause kv", seen.cause[TR_CAUSE_KV], 1000},
        {"cause queue", seen.cause[TR_CAUSE_QUEUE], 1000},
        {"cause batch", seen.cause[TR_CAUSE_BATCH], 50},
    };
    for (size_t i = 0; i < TR_LEN(cover); i++) {
        print_message("# %-44s %9" PRId64 "\n", cover[i].what, cover[i].seen);
        if (cover[i].seen < cover[i].at_least)
            fail_msg("too few: %s", cover[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_is_the_scheduler_written_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
