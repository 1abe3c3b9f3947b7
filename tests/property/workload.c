/* Random workloads. Pools, budgets and places are small, so that everything that can go wrong for a
 * request does go wrong often; some are quiet instead, so that there are long stretches, and in
 * some a few requests that decode fight for the blocks of little more than one. */
#include "workload.h"

#include "../unit/fixture.h"

#define US_PS INT64_C(1000000)

void workload_tables_init(struct workload_tables *t, struct tr_arena *arena)
{
    struct tr_share_hw hw = share_whole(&a100_pcie);
    tr_steptime_init(&t->plain, arena, &hw, &tiny, &bf16, 512, 32, true, false);
    int64_t *tok_ps = TR_ARENA_NEW(arena, int64_t, 513), *row_ps = TR_ARENA_NEW(arena, int64_t, 33);
    for (int i = 0; i <= 512; i++)
        tok_ps[i] = (5 + i / 16) * 10 * US_PS;
    for (int i = 0; i <= 32; i++)
        row_ps[i] = i / 4 * 10 * US_PS;
    t->rounded = t->plain;
    t->rounded.tok_ps = tok_ps;
    t->rounded.row_ps = row_ps;
    t->rounded.dec_ps = t->rounded.ctx_ps = 0;
    t->rounded.attn_s = 0;
}

static bool one_in(struct draw *d, int64_t n)
{
    return between(d, 1, n) == 1;
}

enum mood { ANY, QUIET, CROWDED };

static void make_config(struct draw *d, struct tr_engine_config *c, enum mood mood)
{
    int32_t len = (int32_t[]){24, 64, 200, 320}[mood == QUIET ? 3 : between(d, 0, 2)];
    int32_t blocks = (len + TR_BLOCK_TOK - 1) / TR_BLOCK_TOK;
    c->max_model_len = len;
    c->max_num_seqs = (int32_t)between(d, 1, one_in(d, 2) ? 16 : 5);
    c->max_num_batched_tokens = c->max_num_seqs + (int32_t)between(d, 0, one_in(d, 4) ? 12 : len);
    if (one_in(d, 3))
        c->long_prefill_token_threshold = (int32_t)between(d, 1, 24);
    c->num_gpu_blocks = blocks + (int32_t)between(d, 0, one_in(d, 4) ? 64 : 3);
    if (mood == CROWDED) {
        c->max_num_seqs = 16;
        c->max_num_batched_tokens = (int32_t)between(d, 16, 2 * len);
        c->num_gpu_blocks = blocks + (int32_t)between(d, 0, 2);
    }
    if (mood == QUIET)
        c->num_gpu_blocks = blocks * (int32_t)between(d, 1, 5);
    c->async = one_in(d, 2);
    c->stop_token = one_in(d, 2);
    c->enable_prefix_caching = !one_in(d, 4);
    c->priority = one_in(d, mood == CROWDED ? 2 : 3);
    c->timeout_ns = one_in(d, 3) ? between(d, 50000, 5000000) : 0;
    c->ttft_limit_ns = one_in(d, 2) ? between(d, 50000, 5000000) : 0;
    c->queue_limit = one_in(d, 4) ? between(d, 1, 20) : 0;
}

/* What prompts have in common. */
enum sharing { NOTHING, SYSTEM_PROMPTS, SESSIONS, SAME_PROMPTS, TREES, N_SHARINGS };

struct maker {
    struct draw d;
    enum sharing sharing;
    int32_t len;
    int kinds;          /* of system prompts, sessions, prompts */
    int32_t common[4];  /* tokens of each */
    int32_t history[4]; /* SESSIONS: prompt and answer of the last turn */
    uint64_t session[4], sessions;
    int32_t grid; /* TREES: tokens between branchings */
};

static void add_run(struct workload_request *r, uint64_t key, int32_t end_tok)
{
    if (r->n_runs < MAX_RUNS)
        r->run[r->n_runs++] = (struct tr_run){.key = key, .end_tok = end_tok};
}

/* A turn's prompt is everything before it and something new. */
static void make_turn(struct maker *m, struct workload_request *r)
{
    int s = (int)between(&m->d, 0, m->kinds - 1);
    int32_t system_tok = m->common[s % 2];
    int32_t prompt = m->history[s] + (int32_t)between(&m->d, 1, m->len / 6 + 1);
    if (m->session[s] == 0 || prompt + r->q.output_tok > m->len) {
        m->session[s] = 2000 + ++m->sessions;
        prompt = system_tok + (int32_t)between(&m->d, 1, TR_MAX(1, m->len / 4 - system_tok));
    }
    r->q.prompt_tok = prompt;
    m->history[s] = prompt + r->q.output_tok;
    if (system_tok > 0)
        add_run(r, 1000 + (uint64_t)(s % 2), system_tok);
    add_run(r, m->session[s], TR_CHAIN_OPEN);
}

static void make_branches(struct maker *m, struct workload_request *r)
{
    uint64_t key = 1;
    for (int i = 0; i < MAX_RUNS && i * m->grid < r->q.prompt_tok && !one_in(&m->d, 6); i++) {
        key = 2 * key + (uint64_t)between(&m->d, 0, 1);
        add_run(r, key, TR_MIN((i + 1) * m->grid, r->q.prompt_tok));
    }
    if (r->n_runs > 0 && one_in(&m->d, 4))
        r->run[r->n_runs - 1].end_tok = TR_CHAIN_OPEN;
}

static void share_prompt(struct maker *m, struct workload_request *r)
{
    int k = (int)between(&m->d, 0, m->kinds - 1);
    switch (m->sharing) {
    case SYSTEM_PROMPTS:
        if (r->q.prompt_tok > 1 && m->common[k] > 0)
            add_run(r, 1000 + (uint64_t)k, TR_MIN(m->common[k], r->q.prompt_tok - 1));
        break;
    case SAME_PROMPTS:
        r->q.prompt_tok = 1 + m->common[k];
        add_run(r, 3000 + (uint64_t)k, one_in(&m->d, 2) ? TR_CHAIN_OPEN : r->q.prompt_tok);
        break;
    case SESSIONS:
        make_turn(m, r);
        break;
    case TREES:
        make_branches(m, r);
        break;
    default:
        break;
    }
}

static void make_request(struct maker *m, struct workload_request *r, enum mood mood)
{
    struct draw *d = &m->d;
    int32_t len = m->len, rest;
    r->q.prompt_tok = (int32_t)between(d, 1, one_in(d, 4) ? len - 1 : len / 4);
    r->q.output_tok = (int32_t)between(d, 1, one_in(d, 3) ? len / 2 : len / 4);
    if (mood == CROWDED)
        r->q.prompt_tok = (int32_t)between(d, 1, len / 4);
    if (mood != ANY)
        r->q.output_tok = (int32_t)between(d, len / 4, len / 2);
    share_prompt(m, r);
    rest = len - r->q.prompt_tok;
    if (one_in(d, 20))
        r->q.output_tok = rest; /* to the end of the context */
    if (one_in(d, 40))
        r->q.output_tok = rest + 1; /* and beyond */
    else
        r->q.output_tok = TR_MIN(r->q.output_tok, rest);
    r->q.priority = (int32_t)between(d, 0, 2);
}

struct tr_chain workload_chain(const struct workload_request *r)
{
    struct tr_chain chain = {.n = r->n_runs, .more = r->run};
    for (int i = 0; i < r->n_runs && r->n_runs <= 2; i++)
        chain.own[i] = r->run[i];
    return chain;
}

void workload_make(struct workload *w, uint64_t seed, const struct workload_tables *tables)
{
    struct maker m = {.d = {seed, tr_rng_stream("engine oracle", 0, 0), 0}};
    struct draw *d = &m.d;
    enum mood mood = (enum mood[]){ANY, ANY, ANY, QUIET, QUIET, QUIET, CROWDED}[between(d, 0, 6)];
    bool coincide = one_in(d, 3), aborts = one_in(d, 4);
    int64_t now_ns = 0, gap_ns = (int64_t[]){0, 20000, 100000, 400000, 4000000}[between(d, 0, 4)];
    int64_t most = mood == QUIET ? 5 : mood == CROWDED ? 9 : one_in(d, 4) ? MAX_REQUESTS : 12;
    *w = (struct workload){.n = (int)between(d, 1, most)};
    if (mood == CROWDED)
        gap_ns = TR_MIN(gap_ns, 100000);
    w->neighbour = one_in(d, 5);
    w->abort_anywhere = aborts && mood != QUIET;
    w->noise = seed;
    w->api_ns = one_in(d, 4) ? 50000 : 0;
    make_config(d, &w->cfg, mood);
    w->cfg.steptime = coincide ? &tables->rounded : &tables->plain;
    m.len = w->cfg.max_model_len;
    m.sharing = (enum sharing)between(d, 0, N_SHARINGS - 1);
    m.kinds = (int)between(d, 1, 4);
    m.grid = (int32_t[]){5, 16, 20, 32}[between(d, 0, 3)];
    for (int k = 0; k < 4; k++)
        m.common[k] = (int32_t)between(d, 0, one_in(d, 3) ? m.len / 2 : m.len / 6);
    for (int i = 0; i < w->n; i++) {
        struct workload_request *r = &w->request[i];
        now_ns += one_in(d, 3) ? 0 : between(d, 0, gap_ns);
        if (coincide)
            now_ns = now_ns / 10000 * 10000;
        r->q = (struct tr_engine_request){.id = i, .arrival_ns = now_ns, .tenant = i % 3};
        make_request(&m, r, mood);
        if (aborts && one_in(d, 2)) {
            int64_t at_ns = now_ns + w->api_ns + between(d, 0, 3000000);
            w->abort[w->n_aborts].at_ns = coincide ? at_ns / 10000 * 10000 : at_ns;
            w->abort[w->n_aborts++].id = one_in(d, 4) ? between(d, 0, i) : i;
        }
    }
}
