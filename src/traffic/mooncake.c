/* mooncake: lines of JSON with the ids of each prompt's blocks of 512 tokens.
 *
 * An id stands for its block and all before it, so the ids of a trace are a forest: each has one
 * predecessor, and prompts share the path from the root that they have in common. A stretch of a
 * path that never branches becomes one run: most prompts then have one to three. What only one
 * prompt has is left out, as it is shared with none. */
#include "traffic/parts.h"

#include <stdlib.h>

#define BLOCK_TOK 512
#define ROOT      (-1) /* before a first block */
#define NONE      (-1)
#define SEVERAL   (-2)

struct block {
    int64_t id;
    int32_t before; /* number of the block, ROOT */
    int32_t next;   /* the one that follows it, NONE, SEVERAL */
    int32_t depth;  /* blocks up to and with it */
    int32_t users;  /* prompts that have it */
    int32_t line;   /* where it was first seen */
};

struct reading {
    struct tr_lines *lines;
    struct tr_trace *trace;
    struct tr_rows rows;
    size_t blocks_cap;
    struct block *seen; /* by number */
    size_t n_seen, seen_cap;
    uint32_t *slots;       /* number + 1; 0: free; open addressing by id */
    size_t n_slots;        /* a power of two */
    struct tr_arena arena; /* of one line */
};

/* ---- blocks --------------------------------------------------------------------------------- */

static uint32_t *find(const struct reading *r, int64_t id)
{
    size_t at = tr_hash(&id, sizeof(id), 0) & (r->n_slots - 1);

    while (r->slots[at] && r->seen[r->slots[at] - 1].id != id)
        at = (at + 1) & (r->n_slots - 1);
    return &r->slots[at];
}

static void widen(struct reading *r)
{
    free(r->slots);
    r->n_slots = r->n_slots ? r->n_slots * 2 : 1024;
    r->slots = tr_calloc(r->n_slots, sizeof(*r->slots));
    for (size_t i = 0; i < r->n_seen; i++)
        *find(r, r->seen[i].id) = (uint32_t)i + 1;
}

/* "follows 12", "is the first" */
static const char *place(const struct reading *r, int32_t before, char buf[48])
{
    if (before == ROOT)
        return "is the first";
    snprintf(buf, 48, "follows %" PRId64, r->seen[before].id);
    return buf;
}

/* The number of block `id`, which follows block `before`. */
static int add_block(struct reading *r, const struct tr_node *node, int64_t id, int32_t before,
                     int32_t *number, struct tr_err *err)
{
    if (2 * r->n_seen >= r->n_slots)
        widen(r);
    uint32_t *slot = find(r, id);
    if (*slot) {
        const struct block *b = &r->seen[*slot - 1];
        char here[48], there[48];
        *number = (int32_t)*slot - 1;
        if (b->before == before)
            return 0;
        return tr_node_err(err, node,
                           "hash id %" PRId64 " %s here, and %s in line %d; an id stands for its "
                           "block and all before it",
                           id, place(r, before, here), place(r, b->before, there), b->line);
    }
    if (r->n_seen == INT32_MAX)
        return tr_node_err(err, node, "more than %d hash ids", INT32_MAX);
    tr_grow(&r->seen, &r->seen_cap, r->n_seen + 1, sizeof(*r->seen));
    *number = (int32_t)r->n_seen++;
    *slot = (uint32_t)r->n_seen;
    r->seen[*number] = (struct block){.id = id,
                                      .before = before,
                                      .next = NONE,
                                      .depth = before == ROOT ? 1 : r->seen[before].depth + 1,
                                      .line = node->line};
    if (before != ROOT)
        r->seen[before].next = r->seen[before].next == NONE ? *number : SEVERAL;
    return 0;
}

/* Does a run begin with this block? */
static bool begins_run(const struct reading *r, int32_t number)
{
    int32_t before = r->seen[number].before;
    return before == ROOT || r->seen[before].next == SEVERAL;
}

/* The runs of row `i`, appended to the trace's. */
static void add_runs(struct reading *r, size_t i, size_t *cap, uint64_t stream)
{
    struct tr_trace *t = r->trace;
    int32_t end_tok = 0;
    size_t first = t->runs_at[i], n = 0;

    for (int32_t b = t->blocks[i]; b != ROOT; b = r->seen[b].before) {
        if (end_tok == 0)
            end_tok = TR_MIN(r->seen[b].depth * BLOCK_TOK, t->rows[i].prompt_tok);
        if (!begins_run(r, b))
            continue;
        if (r->seen[b].users > 1) {
            tr_grow(&t->runs, cap, first + n + 1, sizeof(*t->runs));
            t->runs[first + n++] =
                (struct tr_run){tr_rng_u64(0, stream, (uint64_t)r->seen[b].id), end_tok};
        }
        end_tok = 0;
    }
    for (size_t k = 0; k < n / 2; k++) { /* from the root on */
        struct tr_run run = t->runs[first + k];
        t->runs[first + k] = t->runs[first + n - 1 - k];
        t->runs[first + n - 1 - k] = run;
    }
    tr_assert(first + n <= UINT32_MAX);
    t->runs_at[i + 1] = (uint32_t)(first + n);
}

static void make_runs(struct reading *r)
{
    struct tr_trace *t = r->trace;
    uint64_t stream = tr_rng_stream("traffic block key", 0, 0);
    size_t cap = 0;

    t->runs_at = tr_calloc(t->n + 1, sizeof(*t->runs_at));
    for (size_t i = 0; i < t->n; i++)
        add_runs(r, i, &cap, stream);
    if (t->runs)
        t->runs = tr_realloc(t->runs, (t->runs_at[t->n] + 1) * sizeof(*t->runs));
    free(t->blocks);
    t->blocks = NULL;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* The value of a key that every line must have; NULL with the error set. */
static const struct tr_node *get(const struct tr_node *line, const char *key,
                                 enum tr_node_kind kind, struct tr_err *err)
{
    const struct tr_node *node = tr_node_get(line, key);

    if (node && node->kind == kind && !node->quoted)
        return node;
    if (!node)
        tr_node_err(err, line,
                    "no \"%s\"; a line has timestamp, input_length, output_length, hash_ids", key);
    else
        tr_node_err(err, node, "\"%s\" is not %s", key,
                    kind == TR_NODE_LIST ? "a list" : "a number");
    return NULL;
}

static int read_tokens(const struct tr_node *line, const char *key, int32_t *tok,
                       struct tr_err *err)
{
    const struct tr_node *node = get(line, key, TR_NODE_SCALAR, err);

    if (!node)
        return TR_EINPUT;
    if (!tr_trace_tokens(node->text, tok))
        return tr_node_err(err, node,
                           "\"%s\" of %.60s is not a whole number of tokens from 0 to 10,000,000",
                           key, node->text);
    return 0;
}

static int read_row(const struct tr_node *line, struct tr_trace_row *row,
                    const struct tr_node **ids, struct tr_err *err)
{
    const struct tr_node *time;

    if (line->kind != TR_NODE_MAP)
        return tr_node_err(err, line, "a line must be a JSON object, {\"timestamp\": ...}");
    time = get(line, "timestamp", TR_NODE_SCALAR, err);
    if (!time || read_tokens(line, "input_length", &row->prompt_tok, err) ||
        read_tokens(line, "output_length", &row->output_tok, err))
        return TR_EINPUT;
    *ids = get(line, "hash_ids", TR_NODE_LIST, err);
    if (!*ids)
        return TR_EINPUT;
    if (!tr_trace_seconds(time->text, 1e-3, &row->time_ns))
        return tr_node_err(err, time,
                           "timestamp %.60s is not a time: a number of ms, not negative, of at "
                           "most 292 years",
                           time->text);
    size_t most = ((size_t)row->prompt_tok + BLOCK_TOK - 1) / BLOCK_TOK;
    if ((*ids)->n > most)
        return tr_node_err(err, *ids,
                           "%zu hash ids for %d tokens; blocks of %d tokens need at most %zu",
                           (*ids)->n, row->prompt_tok, BLOCK_TOK, most);
    return 0;
}

/* Numbers the ids of a request that was kept. */
static int read_ids(struct reading *r, const struct tr_node *ids, struct tr_err *err)
{
    struct tr_trace *t = r->trace;
    int32_t last = ROOT;

    for (size_t i = 0; i < ids->n; i++) {
        const struct tr_node *node = ids->items[i];
        int64_t id;
        if (node->kind != TR_NODE_SCALAR || node->quoted ||
            tr_units_integer(node->text, &id, NULL) < 0)
            return tr_node_err(err, node, "hash id %zu is not a whole number from 0 on", i + 1);
        int rc = add_block(r, node, id, last, &last, err);
        if (rc)
            return rc;
        r->seen[last].users++;
    }
    tr_grow(&t->blocks, &r->blocks_cap, t->n, sizeof(*t->blocks));
    t->blocks[t->n - 1] = last;
    return 0;
}

static int read_line(struct reading *r, struct tr_err *err)
{
    const char *path = tr_lines_path(r->lines);
    struct tr_trace_row row;
    struct tr_node *line;
    const struct tr_node *ids = NULL;
    bool kept = false;
    int rc;

    if (tr_lines_no(r->lines) > INT32_MAX)
        return tr_err_set(err, TR_EINPUT, "%s: more than %d lines", path, INT32_MAX);
    if ((rc = tr_json_parse_line(&r->arena, path, (int)tr_lines_no(r->lines),
                                 tr_lines_text(r->lines), tr_lines_len(r->lines), &line, err)) ||
        (rc = read_row(line, &row, &ids, err)) ||
        (rc = tr_rows_add(&r->rows, path, &row, &kept, err)))
        return rc;
    return kept ? read_ids(r, ids, err) : 0;
}

static int read_lines(struct reading *r, int64_t max_requests, struct tr_err *err)
{
    int rc;

    while ((max_requests == 0 || (int64_t)r->trace->n < max_requests) &&
           (rc = tr_lines_next(r->lines, err)) != 0) {
        if (rc == 1)
            rc = read_line(r, err);
        tr_arena_free(&r->arena);
        if (rc)
            return rc;
    }
    return 0;
}

int tr_mooncake_read(struct tr_lines *lines, const struct tr_traffic_spec *spec,
                     struct tr_trace *out, struct tr_trace_info *info, struct tr_err *err)
{
    struct reading r = {.lines = lines, .trace = out, .rows = {.trace = out, .info = info}};
    int rc;

    *out = (struct tr_trace){0};
    *info = (struct tr_trace_info){.format = "mooncake"};
    if (spec->col_time || spec->col_prompt || spec->col_output || spec->col_tenant ||
        spec->col_session || spec->time_unit_s > 0.0)
        return tr_err_set(err, TR_EINPUT,
                          "%s: format mooncake has fixed names and times in ms; columns and time "
                          "units are of csv",
                          tr_lines_path(lines));
    rc = read_lines(&r, spec->max_requests, err);
    if (rc == 0)
        rc = tr_rows_finish(&r.rows, tr_lines_path(lines), err);
    if (rc == 0)
        make_runs(&r);
    else
        tr_trace_free(out);
    free(r.seen);
    free(r.slots);
    return rc;
}
