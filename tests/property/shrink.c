/* Workloads cut down and written out. */
#include "workload.h"

#include <stdio.h>

#define MAX_TRIES 4000

struct shrinker {
    struct workload *w;
    bool (*fails)(void *arg, const struct workload *w);
    void *arg;
    int tries;
};

/* Whatever is left of runs lies inside the prompt. */
static void tidy(struct workload_request *r)
{
    int kept = 0;
    for (int i = 0, begin = 0; i < r->n_runs && begin < r->q.prompt_tok; i++) {
        r->run[kept] = r->run[i];
        if (r->run[kept].end_tok != TR_CHAIN_OPEN)
            r->run[kept].end_tok = TR_MIN(r->run[kept].end_tok, r->q.prompt_tok);
        begin = r->run[kept++].end_tok;
    }
    r->n_runs = kept;
}

/* Keeps `smaller` if it fails too. */
static bool keep(struct shrinker *s, const struct workload *smaller)
{
    if (s->tries++ > MAX_TRIES || !s->fails(s->arg, smaller))
        return false;
    *s->w = *smaller;
    return true;
}

static bool drop_requests(struct shrinker *s)
{
    bool better = false;
    for (int many = TR_MAX(s->w->n / 2, 1); many > 0; many /= 2)
        for (int at = 0; at + many <= s->w->n && many < s->w->n;) {
            struct workload t = *s->w;
            memmove(t.request + at, t.request + at + many,
                    (size_t)(t.n - at - many) * sizeof t.request[0]);
            t.n -= many;
            if (keep(s, &t))
                better = true;
            else
                at += many;
        }
    return better;
}

static bool drop_aborts(struct shrinker *s)
{
    bool better = false;
    for (int at = 0; at < s->w->n_aborts;) {
        struct workload t = *s->w;
        memmove(t.abort + at, t.abort + at + 1, (size_t)(t.n_aborts - at - 1) * sizeof t.abort[0]);
        t.n_aborts--;
        if (keep(s, &t))
            better = true;
        else
            at++;
    }
    return better;
}

static bool calm_down(struct shrinker *s)
{
    bool better = false;
    struct workload t = *s->w;
    bool *flag[] = {&t.neighbour, &t.abort_anywhere, &t.cfg.stop_token, &t.cfg.priority};
    int64_t *number[] = {&t.api_ns, &t.cfg.timeout_ns, &t.cfg.ttft_limit_ns, &t.cfg.queue_limit};
    for (size_t i = 0; i < TR_LEN(flag); i++) {
        bool was = *flag[i];
        *flag[i] = false;
        if (was && keep(s, &t))
            better = true;
        else
            *flag[i] = was;
    }
    for (size_t i = 0; i < TR_LEN(number); i++) {
        int64_t was = *number[i];
        *number[i] = 0;
        if (was != 0 && keep(s, &t))
            better = true;
        else
            *number[i] = was;
    }
    int32_t was = t.cfg.long_prefill_token_threshold;
    t.cfg.long_prefill_token_threshold = 0;
    return (was != 0 && keep(s, &t)) || better;
}

/* The value, as near to 0 as it can be brought. */
static bool lessen(struct shrinker *s, struct workload *t, int32_t *value, int32_t least,
                   struct workload_request *r)
{
    bool better = false;
    for (int32_t by = *value - least; by > 0;) {
        struct workload before = *t;
        *value -= by;
        if (r != NULL)
            tidy(r);
        if (keep(s, t)) {
            better = true;
            by = TR_MIN(by, *value - least);
        } else {
            *t = before;
            by /= 2;
        }
    }
    return better;
}

/* A smaller pool overflows with fewer requests. */
static bool tighten(struct shrinker *s)
{
    struct workload t = *s->w;
    int32_t tokens = t.cfg.max_model_len, *blocks = &t.cfg.num_gpu_blocks;
    bool better = lessen(s, &t, blocks, (tokens + TR_BLOCK_TOK - 1) / TR_BLOCK_TOK, NULL);
    while (tokens > TR_BLOCK_TOK) {
        t = *s->w;
        tokens -= TR_BLOCK_TOK;
        t.cfg.max_model_len = tokens;
        *blocks = TR_MAX(*blocks - 1, (tokens + TR_BLOCK_TOK - 1) / TR_BLOCK_TOK);
        better |= keep(s, &t);
    }
    return better;
}

static bool shorten(struct shrinker *s)
{
    bool better = false;
    for (int i = 0; i < s->w->n; i++) {
        struct workload t = *s->w;
        struct workload_request *r = &t.request[i];
        better |= lessen(s, &t, &r->q.prompt_tok, 1, r);
        better |= lessen(s, &t, &r->q.output_tok, 1, r);
        better |= lessen(s, &t, &r->q.priority, 0, r);
        while (r->n_runs > 0) {
            r->n_runs--;
            if (!keep(s, &t))
                break;
            better = true;
        }
        t = *s->w;
        r->q.arrival_ns = i > 0 ? t.request[i - 1].q.arrival_ns : 0;
        if (r->q.arrival_ns != s->w->request[i].q.arrival_ns)
            better |= keep(s, &t);
    }
    return better;
}

void workload_shrink(struct workload *w, bool (*fails)(void *arg, const struct workload *w),
                     void *arg)
{
    struct shrinker s = {.w = w, .fails = fails, .arg = arg};
    bool better = true;
    while (better && s.tries < MAX_TRIES) {
        better = drop_requests(&s);
        better |= drop_aborts(&s);
        better |= calm_down(&s);
        better |= tighten(&s);
        better |= shorten(&s);
    }
}

void workload_print(const struct workload *w)
{
    const struct tr_engine_config *c = &w->cfg;
    printf("# config = {.max_num_batched_tokens = %d, .max_num_seqs = %d, .max_model_len = %d,\n"
           "#           .long_prefill_token_threshold = %d, .num_gpu_blocks = %d,\n"
           "#           .async = %d, .enable_prefix_caching = %d, .priority = %d, .stop_token = %d,"
           "\n#           .timeout_ns = %" PRId64 ", .ttft_limit_ns = %" PRId64
           ", .queue_limit = %" PRId64 "};\n",
           c->max_num_batched_tokens, c->max_num_seqs, c->max_model_len,
           c->long_prefill_token_threshold, c->num_gpu_blocks, c->async, c->enable_prefix_caching,
           c->priority, c->stop_token, c->timeout_ns, c->ttft_limit_ns, c->queue_limit);
    printf("# steps in whole 10 us: %d; api_ns = %" PRId64 "; neighbour = %d;"
           " abort_anywhere = %d; noise = %" PRIu64 "\n",
           c->steptime->ctx_ps == 0, w->api_ns, w->neighbour, w->abort_anywhere, w->noise);
    for (int i = 0; i < w->n; i++) {
        const struct workload_request *r = &w->request[i];
        printf("# request[%d] = {.id = %" PRId64 ", .arrival_ns = %" PRId64
               ", .prompt_tok = %d, .output_tok = %d, .priority = %d,\n#               .chain = {",
               i, r->q.id, r->q.arrival_ns, r->q.prompt_tok, r->q.output_tok, r->q.priority);
        for (int j = 0; j < r->n_runs; j++) {
            printf("%s{%" PRIu64 ", ", j > 0 ? ", " : "", r->run[j].key);
            if (r->run[j].end_tok == TR_CHAIN_OPEN)
                printf("TR_CHAIN_OPEN}");
            else
                printf("%d}", r->run[j].end_tok);
        }
        printf("}};\n");
    }
    for (int i = 0; i < w->n_aborts; i++)
        printf("# abort[%d] = {.at_ns = %" PRId64 ", .id = %" PRId64 "};\n", i, w->abort[i].at_ns,
               w->abort[i].id);
}
