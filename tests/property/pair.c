/* See pair.h. */
#include "pair.h"

#include <stdlib.h>

static bool one_in(struct draw *d, int64_t n)
{
    return between(d, 1, n) == 1;
}

static void keep(void *arg, const struct tr_record *r)
{
    struct pair_records *all = arg;
    if (all->n < (int)TR_LEN(all->record))
        all->record[all->n++] = *r;
}

void pair_open(struct pair *p, const struct tr_engine_config *cfg, struct pair_fault fault,
               struct pair_seen *seen)
{
    *p = (struct pair){.cfg = *cfg, .fault = fault, .seen = seen};
    p->engine = tr_engine_new(cfg, keep, &p->got);
    p->oracle = oracle_new(cfg, keep, &p->want, &seen->oracle, fault.oracle);
}

void pair_close(struct pair *p)
{
    tr_engine_free(p->engine);
    oracle_free(p->oracle);
    tr_step_free(&p->step[0]);
    tr_step_free(&p->step[1]);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool differ(struct pair *p, const char *what, int64_t got, int64_t want, int64_t now_ns)
{
    if (got == want)
        return false;
    snprintf(p->why, sizeof p->why,
             "%s: the engine has %" PRId64 ", the oracle %" PRId64 ", at %" PRId64 " ns", what, got,
             want, now_ns);
    return true;
}

static int by_id(const void *a, const void *b)
{
    const struct tr_record *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Those that have come since the last call; of one moment in any order. */
static bool same_records(struct pair *p, int64_t now_ns)
{
    struct pair_records *g = &p->got, *w = &p->want;
    if (differ(p, "number of records", g->n, w->n, now_ns))
        return false;
    qsort(g->record + p->compared, (size_t)(g->n - p->compared), sizeof g->record[0], by_id);
    qsort(w->record + p->compared, (size_t)(w->n - p->compared), sizeof w->record[0], by_id);
    for (; p->compared < g->n; p->compared++) {
        const struct tr_record *a = &g->record[p->compared], *b = &w->record[p->compared];
        if (differ(p, "id", a->id, b->id, now_ns) ||
            differ(p, "status", a->status, b->status, now_ns) ||
            differ(p, "cause", a->cause, b->cause, now_ns) ||
            differ(p, "scheduled", a->scheduled_ns, b->scheduled_ns, now_ns) ||
            differ(p, "first token", a->first_token_ns, b->first_token_ns, now_ns) ||
            differ(p, "last token", a->last_token_ns, b->last_token_ns, now_ns) ||
            differ(p, "preemptions", a->preemptions, b->preemptions, now_ns) ||
            differ(p, "arrival", a->arrival_ns, b->arrival_ns, now_ns) ||
            differ(p, "prompt", a->prompt_tok, b->prompt_tok, now_ns) ||
            differ(p, "cached", a->cached_tok, b->cached_tok, now_ns) ||
            differ(p, "output", a->output_tok, b->output_tok, now_ns) ||
            differ(p, "lost", a->lost_ns, b->lost_ns, now_ns) ||
            differ(p, "tenant", a->tenant, b->tenant, now_ns))
            return false;
    }
    return true;
}

static bool same_stats(struct pair *p, int64_t now_ns)
{
    const struct tr_engine_stats *a = tr_engine_stats(p->engine), *b = oracle_stats(p->oracle);
    return !differ(p, "steps", a->steps, b->steps, now_ns) &&
           !differ(p, "prefill tokens", a->prefill_tok, b->prefill_tok, now_ns) &&
           !differ(p, "decode tokens", a->decode_tok, b->decode_tok, now_ns) &&
           !differ(p, "preemptions", a->preemptions, b->preemptions, now_ns) &&
           !differ(p, "partial chunks", a->partial_chunks, b->partial_chunks, now_ns) &&
           !differ(p, "queried", a->prefix_queries_tok, b->prefix_queries_tok, now_ns) &&
           !differ(p, "hits", a->prefix_hits_tok, b->prefix_hits_tok, now_ns) &&
           !differ(p, "evicted blocks", a->evicted_blocks, b->evicted_blocks, now_ns) &&
           !differ(p, "blocked by kv", a->blocked_kv, b->blocked_kv, now_ns) &&
           !differ(p, "blocked by seqs", a->blocked_seqs, b->blocked_seqs, now_ns) &&
           !differ(p, "most blocks", a->kv_used_max, b->kv_used_max, now_ns);
}

static bool same_state(struct pair *p, int64_t now_ns)
{
    int64_t since_ns = now_ns - 500000;
    return !differ(p, "running", tr_engine_running(p->engine), oracle_running(p->oracle), now_ns) &&
           !differ(p, "blocks", tr_engine_blocks_used(p->engine), oracle_blocks_used(p->oracle),
                   now_ns) &&
           !differ(p, "waiting since", tr_engine_waiting_since(p->engine, 0, since_ns, 3),
                   oracle_waiting_since(p->oracle, since_ns, 3), now_ns) &&
           same_stats(p, now_ns) && same_records(p, now_ns);
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

bool pair_empty(struct pair *p)
{
    return !differ(p, "running at the end", tr_engine_running(p->engine), 0, 0) &&
           !differ(p, "waiting at the end", tr_engine_waiting(p->engine), 0, 0) &&
           !differ(p, "waiting at the end", 0, oracle_waiting(p->oracle), 0) &&
           !differ(p, "blocks at the end", tr_engine_blocks_used(p->engine), 0, 0);
}

/* ---- what happens to both -------------------------------------------------------------------- */

bool pair_add(struct pair *p, const struct tr_engine_request *q, int64_t now_ns)
{
    for (int i = 0; i < p->in_flight; i++)
        p->seen->on_boundary += p->end_ns[(p->oracle_first + i) & 1] == now_ns;
    tr_engine_add(p->engine, q, now_ns);
    oracle_add(p->oracle, q, now_ns);
    return same_state(p, now_ns);
}

bool pair_abort(struct pair *p, int64_t id, int64_t now_ns)
{
    bool got = tr_engine_abort(p->engine, id, now_ns);
    bool want = oracle_abort(p->oracle, id, now_ns);
    p->seen->aborts += want;
    return !differ(p, "aborted", got, want, now_ns) && same_state(p, now_ns);
}

/* The oracle's newest step goes to the GPU, behind the others. */
static void start_step(struct pair *p, int at, int64_t now_ns, int64_t held_ns)
{
    int64_t span_ns = p->step_ns > 0 ? p->step_ns : p->expected[at].duration_ps / TR_PS_PER_NS;
    p->end_ns[at] = TR_MAX(now_ns, p->gpu_free_ns) + held_ns + span_ns;
    p->gpu_free_ns = p->end_ns[at];
    p->in_flight++;
    p->seen->steps++;
    p->seen->decode_steps += p->expected[at].decodes > 0;
}

bool pair_fill(struct pair *p, int64_t now_ns)
{
    while (p->in_flight < (p->cfg.async ? 2 : 1)) {
        int at = (p->first + p->in_flight) & 1, oracle_at = (p->oracle_first + p->in_flight) & 1;
        bool got = tr_engine_schedule(p->engine, now_ns, &p->step[at]);
        bool want = oracle_schedule(p->oracle, now_ns, &p->expected[oracle_at]);
        if (differ(p, "something to do", got, want, now_ns) || !same_state(p, now_ns))
            return false;
        if (!got && p->in_flight == 0 &&
            tr_engine_running(p->engine) + tr_engine_waiting(p->engine) > 0)
            continue; /* the call only preempted */
        if (!got)
            return true;
        if (!same_step(p, &p->step[at], &p->expected[oracle_at], now_ns))
            return false;
        int64_t held_ns = p->neighbour && one_in(&p->noise, 3) ? between(&p->noise, 0, 900000) : 0;
        start_step(p, oracle_at, now_ns, held_ns);
        tr_engine_lost(p->engine, held_ns * TR_PS_PER_NS);
        oracle_lost(p->oracle, held_ns * TR_PS_PER_NS);
    }
    return true;
}

/* The oracle's oldest step ends. */
static int64_t end_expected(struct pair *p)
{
    int at = p->oracle_first;
    p->oracle_first ^= 1;
    p->in_flight--;
    oracle_update(p->oracle, p->end_ns[at], &p->expected[at]);
    return p->end_ns[at];
}

bool pair_end_step(struct pair *p)
{
    int at = p->first;
    p->first ^= 1;
    int64_t now_ns = end_expected(p);
    tr_engine_update(p->engine, now_ns, &p->step[at]);
    return same_state(p, now_ns) && pair_fill(p, now_ns);
}

/* ---- stretches ------------------------------------------------------------------------------- */

/* As share/device.c: only where all that is in flight is one decode like the other, and nobody has
 * gone since (which there are no aborts for in a device). */
static bool may_skip(const struct pair *p)
{
    const struct tr_step *a = &p->step[p->first], *b = p->in_flight == 2 ? &p->step[!p->first] : a;
    return p->in_flight == (p->cfg.async ? 2 : 1) &&
           a->chunks + b->chunks + a->n_events + b->n_events == 0 && a->decodes == b->decodes &&
           a->decodes == tr_engine_running(p->engine) &&
           (a == b || b->context_tok == a->context_tok + a->decodes);
}

/* The oracle's step at `at`, the `n`th of a stretch behind the engine's newest. */
static bool as_foreseen(struct pair *p, int at, int64_t n, int64_t now_ns)
{
    const struct tr_step *newest = &p->step[(p->first + p->in_flight) & 1];
    struct tr_step next = *newest;
    next.context_tok += n * next.decodes;
    next.duration_ps += n * tr_engine_step_growth_ps(p->engine);
    return same_step(p, &next, &p->expected[at], now_ns);
}

bool pair_stretch(struct pair *p, int64_t bound_ns)
{
    int64_t n = 0, now_ns = 0, calm;
    if (!may_skip(p) || (calm = tr_engine_calm(p->engine)) == 0)
        return true;
    while (n < calm && p->end_ns[p->oracle_first] < bound_ns &&
           (n == 0 || !one_in(&p->noise, 99))) {
        now_ns = end_expected(p);
        int at = (p->oracle_first + p->in_flight) & 1;
        bool more = oracle_schedule(p->oracle, now_ns, &p->expected[at]);
        if (differ(p, "something to do in a stretch", true, more, now_ns) ||
            !as_foreseen(p, at, ++n, now_ns))
            return false;
        start_step(p, at, now_ns, 0);
    }
    if (n == 0)
        return true;
    p->seen->stretches++;
    p->seen->in_stretches += n;
    tr_engine_skip(p->engine, n + (n < calm ? p->fault.skip_more : 0), now_ns,
                   p->in_flight == 2 ? p->step : &p->step[p->first], p->in_flight);
    for (int i = 0; i < p->in_flight; i++)
        if (!same_step(p, &p->step[(p->first + i) & 1], &p->expected[(p->oracle_first + i) & 1],
                       now_ns))
            return false;
    return same_state(p, now_ns);
}

/* ---- whole workloads ------------------------------------------------------------------------- */

static bool send_due(struct pair *p, const struct workload *w, int *next, int64_t now_ns)
{
    for (; *next < w->n && w->request[*next].q.arrival_ns + w->api_ns == now_ns; ++*next) {
        const struct workload_request *r = &w->request[*next];
        struct tr_engine_request q = r->q;
        q.chain = workload_chain(r);
        if (!pair_add(p, &q, now_ns))
            return false;
    }
    return p->in_flight > 0 || pair_fill(p, now_ns);
}

static bool drive(struct pair *p, const struct workload *w)
{
    int next = 0, gone = 0;
    for (int64_t now_ns = 0;;) {
        int64_t add_ns = next < w->n ? w->request[next].q.arrival_ns + w->api_ns : TR_TIME_NEVER;
        int64_t abort_ns =
            gone < w->n_aborts ? TR_MAX(w->abort[gone].at_ns, now_ns) : TR_TIME_NEVER;
        int64_t other_ns = TR_MIN(add_ns, abort_ns);
        bool stretch = !w->neighbour || one_in(&p->noise, 2);
        if (stretch && !pair_stretch(p, other_ns))
            return false;
        int64_t end_ns = p->in_flight > 0 ? p->end_ns[p->oracle_first] : TR_TIME_NEVER;
        now_ns = TR_MIN(other_ns, end_ns);
        if (now_ns == TR_TIME_NEVER)
            return pair_empty(p);
        if (add_ns == now_ns) {
            if (!send_due(p, w, &next, now_ns))
                return false;
        } else if (abort_ns == now_ns) {
            if (!pair_abort(p, w->abort[gone++].id, now_ns))
                return false;
        } else if (!pair_end_step(p)) {
            return false;
        } else if (w->abort_anywhere && one_in(&p->noise, 8) &&
                   !pair_abort(p, between(&p->noise, 0, w->n - 1), now_ns)) {
            /* Also between a preemption and the token still in flight. */
            return false;
        }
    }
}

bool pair_run(const struct workload *w, struct pair_fault fault, struct pair_seen *seen, char *why,
              size_t why_len)
{
    struct pair p;
    pair_open(&p, &w->cfg, fault, seen);
    p.neighbour = w->neighbour;
    p.noise = (struct draw){w->noise, tr_rng_stream("noise", 0, 0), 0};
    bool same = drive(&p, w);
    const struct tr_engine_stats *s = oracle_stats(p.oracle);
    seen->workloads++;
    seen->preemptions += s->preemptions;
    seen->partial += s->partial_chunks;
    seen->blocked_kv += s->blocked_kv;
    seen->blocked_seqs += s->blocked_seqs;
    seen->hits_tok += s->prefix_hits_tok;
    seen->evicted += s->evicted_blocks;
    snprintf(why, why_len, "%s", p.why);
    pair_close(&p);
    return same;
}
