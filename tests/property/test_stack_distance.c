/* The prefix cache against an exact computation of LRU stack distances (Mattson and others, 1970),
 * for requests that are served one at a time. One pass over the requests says what every size of
 * cache hits.
 *
 * The stack holds every full block that was ever filled, the most recently freed on top. A request
 * frees its blocks from the last to the first, so that its first block ends on top:
 *
 *     before:  a b c d e f        a request for b, d and a new block g:      b d g a c e f
 *
 * A request holds its blocks until it has ended: what it hits is never evicted for what it needs.
 * Besides F full blocks it may hold one that is not full (p = 1). While it holds F + p, a cache of
 * N blocks keeps what lies directly under them, N - F - p blocks. So a block that lies at depth d
 * (the top is 1) after a request that did not use it has survived that request where d + p <= N,
 * and is hit where this held of every request since it was last used: the largest d + p since then
 * is the smallest cache that hits it. The block that was not full stands first in the free list and
 * is taken first, which is why it costs nobody its place later.
 *
 * That holds while each content exists once. vLLM computes the last token of a prompt anew, and
 * with it, where the prompt is a multiple of 16, a copy of its last block: such prompts are left to
 * the other tests. A block is only ever used together with those before it, so that no chain has a
 * gap. */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../unit/fixture.h"

#define REQUESTS 1500
#define MAX_LEN  640
#define BLOCKS   (MAX_LEN / TR_BLOCK_TOK)
#define KEYS     (REQUESTS + 600)

static const int32_t sizes[] = {40, 64, 100, 160, 250, 400, 640, 1000, 1600};

static struct tr_arena arena;
static struct tr_steptime steptime;

static int setup(void **state)
{
    struct tr_share_hw hw = share_whole(&a100_pcie);
    (void)state;
    tr_steptime_init(&steptime, &arena, &hw, &tiny, &bf16, 256, 16, true, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tr_arena_free(&arena);
    return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Keys: 1 and 2 are system prompts, then prompts that come again, then sessions; what is behind the
 * last run has the key of its request. */
#define PROMPT_KEY  3
#define SESSION_KEY 20
#define OWN_KEY     600

struct load {
    struct tr_engine_request q[REQUESTS];
};

static void make_load(struct load *l, uint64_t seed)
{
    static const int32_t system_tok[2] = {100, 208};
    struct draw d = {seed, tr_rng_stream("stack distance", 0, 0), 0};
    int32_t history[12] = {0}, repeated[12];
    uint64_t session[12], sessions = SESSION_KEY;
    for (int i = 0; i < 12; i++) {
        session[i] = sessions++;
        repeated[i] = (int32_t)between(&d, 17, 400);
        repeated[i] += repeated[i] % TR_BLOCK_TOK == 0;
    }
    for (int i = 0; i < REQUESTS; i++) {
        struct tr_engine_request *q = &l->q[i];
        int s = (int)between(&d, 0, 11);
        *q = (struct tr_engine_request){.id = i, .output_tok = (int32_t)between(&d, 1, 60)};
        if (between(&d, 0, 3) == 0) { /* a prompt that came before, and its own answer */
            q->prompt_tok = repeated[s];
            q->chain = (struct tr_chain){1, {{PROMPT_KEY + (uint64_t)s, q->prompt_tok}}, NULL};
            continue;
        }
        int32_t begin = history[s] > 0 ? history[s] : system_tok[s % 2];
        q->prompt_tok = begin + (int32_t)between(&d, 1, 90);
        q->prompt_tok += q->prompt_tok % TR_BLOCK_TOK == 0;
        if (q->prompt_tok + q->output_tok > MAX_LEN) {
            session[s] = sessions++;
            q->prompt_tok = system_tok[s % 2] + 9;
        }
        tr_assert(sessions < OWN_KEY);
        history[s] = q->prompt_tok + q->output_tok;
        q->chain = (struct tr_chain){
            2, {{1 + (uint64_t)(s % 2), system_tok[s % 2]}, {session[s], TR_CHAIN_OPEN}}, NULL};
    }
}

/* A number for what block `index` of a request holds. */
static int content(const struct tr_engine_request *q, int index)
{
    int64_t key = OWN_KEY + q->id;
    for (int i = q->chain.n - 1; i >= 0; i--)
        if (q->chain.own[i].end_tok > index * TR_BLOCK_TOK + TR_BLOCK_TOK - 1)
            key = (int64_t)q->chain.own[i].key;
    return (int)key * BLOCKS + index;
}

/* ---- the stack ------------------------------------------------------------------------------- */

struct stack {
    int n, content[KEYS * BLOCKS];
    int need[KEYS * BLOCKS]; /* the smallest cache that hits it, by content; 0: never used */
    int scratch[KEYS * BLOCKS];
};

/* For every size, the tokens that each request hits, and all evictions. */
struct foreseen {
    int32_t hit_tok[TR_LEN(sizes)][REQUESTS];
    int64_t evicted[TR_LEN(sizes)], partial_hits;
};

static void use(struct stack *s, const struct tr_engine_request *q, int full, int partial)
{
    int n = 0;
    for (int i = 0; i < full; i++) {
        s->scratch[n++] = content(q, i);
        s->need[content(q, i)] = -1; /* its own */
    }
    for (int i = 0; i < s->n; i++)
        if (s->need[s->content[i]] != -1) {
            s->scratch[n++] = s->content[i];
            s->need[s->content[i]] = TR_MAX(s->need[s->content[i]], n + partial);
        }
    for (int i = 0; i < full; i++)
        s->need[content(q, i)] = full + partial;
    memcpy(s->content, s->scratch, (size_t)n * sizeof s->content[0]);
    s->n = n;
}

static void foresee(const struct load *l, const struct tr_engine_config *cfg, struct foreseen *f)
{
    struct stack *s = tr_calloc(1, sizeof *s);
    int64_t unhashed[TR_LEN(sizes)];
    for (size_t k = 0; k < TR_LEN(sizes); k++)
        unhashed[k] = sizes[k];
    for (int i = 0; i < REQUESTS; i++) {
        const struct tr_engine_request *q = &l->q[i];
        int32_t tokens = q->prompt_tok + q->output_tok - 1, most = (q->prompt_tok - 1) / 16;
        int full = tokens / TR_BLOCK_TOK;
        /* One more token is computed for nothing where the end is seen late. */
        tokens += cfg->async && cfg->stop_token && tokens + 1 < cfg->max_model_len;
        int held = (tokens + TR_BLOCK_TOK - 1) / TR_BLOCK_TOK;
        for (size_t k = 0; k < TR_LEN(sizes); k++) {
            int hit = 0;
            while (hit < most && s->need[content(q, hit)] > 0 &&
                   s->need[content(q, hit)] <= sizes[k])
                hit++;
            f->hit_tok[k][i] = hit * TR_BLOCK_TOK;
            f->partial_hits += hit > 0 && hit < most && s->need[content(q, hit)] > 0;
            int64_t evict = TR_MAX(held - hit - unhashed[k], 0);
            f->evicted[k] += evict;
            unhashed[k] += evict - (held - hit) + (held - full);
        }
        use(s, q, full, held - full);
    }
    free(s);
}

/* ---- the engine ------------------------------------------------------------------------------ */

static void keep_hit(void *arg, const struct tr_record *r)
{
    int32_t *hit_tok = arg;
    assert_int_equal(r->status, TR_DONE);
    hit_tok[r->id] = r->cached_tok;
}

/* Each request is served to its end, down to the last step in flight, before the next comes. */
static void serve(const struct tr_engine_config *cfg, const struct load *l, int32_t *hit_tok,
                  struct tr_engine_stats *stats)
{
    struct tr_engine *e = tr_engine_new(cfg, keep_hit, hit_tok);
    struct tr_step step[2] = {{0}};
    int64_t now_ns = 0;
    for (int i = 0; i < REQUESTS; i++) {
        int first = 0, in_flight = 0;
        tr_engine_add(e, &l->q[i], now_ns);
        do {
            while (in_flight < (cfg->async ? 2 : 1) &&
                   tr_engine_schedule(e, now_ns, &step[(first + in_flight) & 1]))
                in_flight++;
            now_ns += TR_NS_PER_MS;
            tr_engine_update(e, now_ns, &step[first]);
            first ^= 1;
            in_flight--;
        } while (in_flight > 0 || tr_engine_running(e) > 0);
    }
    *stats = *tr_engine_stats(e);
    tr_engine_free(e);
    tr_step_free(&step[0]);
    tr_step_free(&step[1]);
}

static void every_size_of_cache_hits_what_the_stack_says(void **state)
{
    (void)state;
    static struct load load;
    static struct foreseen f;
    static int32_t hit_tok[REQUESTS];
    int64_t partial = 0;
    for (int mode = 0; mode < 4; mode++) {
        struct tr_engine_config cfg = {.steptime = &steptime,
                                       .max_num_batched_tokens = 256,
                                       .max_num_seqs = 16,
                                       .max_model_len = MAX_LEN,
                                       .enable_prefix_caching = true,
                                       .async = mode & 1,
                                       .stop_token = mode & 2};
        int64_t before_tok = 0;
        f = (struct foreseen){0};
        make_load(&load, 1 + (uint64_t)mode);
        foresee(&load, &cfg, &f);
        partial += f.partial_hits;
        for (size_t k = 0; k < TR_LEN(sizes); k++) {
            struct tr_engine_stats stats;
            int64_t sum_tok = 0;
            cfg.num_gpu_blocks = sizes[k];
            serve(&cfg, &load, hit_tok, &stats);
            for (int i = 0; i < REQUESTS; i++) {
                if (hit_tok[i] != f.hit_tok[k][i])
                    fail_msg("mode %d, %d blocks, request %d: %d tokens hit, not %d", mode,
                             sizes[k], i, hit_tok[i], f.hit_tok[k][i]);
                sum_tok += hit_tok[i];
            }
            assert_int_equal(stats.prefix_hits_tok, sum_tok);
            assert_int_equal(stats.evicted_blocks, f.evicted[k]);
            if (mode == 0)
                print_message("# %4d blocks: %6.2f %% of prompt tokens hit, %" PRId64
                              " blocks evicted\n",
                              sizes[k], 100.0 * (double)sum_tok / (double)stats.prefix_queries_tok,
                              stats.evicted_blocks);
            assert_true(sum_tok > before_tok); /* each size says something of its own */
            before_tok = sum_tok;
        }
    }
    assert_true(partial > 1000); /* chains of which the end was evicted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_of_cache_hits_what_the_stack_says),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
