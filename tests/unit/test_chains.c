/* chains: what the prompts of a trace share, from block ids and from sessions, and how much of them
 * a prefix cache would have. */
#include "fmt/csv.h"
#include "traffic/parts.h"
#include "traffic/reuse.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define BLOCK_TOK 512

static struct tr_traffic_spec spec;
static char path[] = "/tmp/tranche-chains-XXXXXX";

static int fresh(void **state)
{
    (void)state;
    tr_traffic_spec_init(&spec);
    return 0;
}

static struct tr_source *open_source(void)
{
    struct tr_source *src;
    struct tr_err err = {0};

    if (tr_source_open(&spec, 1, &src, NULL, &err) != 0)
        fail_msg("%s", err.text);
    return src;
}

static struct tr_source *open_text(const char *text)
{
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    spec.trace = path;
    struct tr_source *src = open_source();
    unlink(path);
    return src;
}

static struct tr_source *open_excerpt(void)
{
    static char full[4096];
    const char *root = getenv("TRANCHE_ROOT");

    snprintf(full, sizeof(full), "%s/tests/data/mooncake_conversation.jsonl", root ? root : ".");
    spec.trace = full;
    return open_source();
}

/* Every arrival; the chains stay with the source. */
static size_t collect(struct tr_source *src, struct tr_arrival *out, size_t most)
{
    size_t n = 0;

    while (n < most && tr_source_next(src, &out[n]))
        n++;
    return n;
}

/* Tokens that two prompts have in common by their chains, at most those of the shorter one. */
static int32_t common(const struct tr_arrival *a, const struct tr_arrival *b)
{
    const struct tr_run *x = tr_chain_runs(&a->chain), *y = tr_chain_runs(&b->chain);
    int32_t tok = 0;

    for (int i = 0; i < a->chain.n && i < b->chain.n && x[i].key == y[i].key; i++) {
        tok = TR_MIN(x[i].end_tok, y[i].end_tok);
        if (x[i].end_tok != y[i].end_tok)
            break;
    }
    return TR_MIN(tok, TR_MIN(a->prompt_tok, b->prompt_tok));
}

/* ---- block ids ------------------------------------------------------------------------------ */

/* One line of the file as it stands. */
struct request {
    int64_t *ids;
    size_t n;
    int32_t prompt_tok, output_tok;
};

static size_t read_requests(struct request *out, size_t most, struct tr_arena *arena)
{
    struct tr_lines *lines;
    struct tr_err err = {0};
    size_t n = 0;

    assert_int_equal(tr_lines_open(spec.trace, &lines, &err), 0);
    while (n < most && tr_lines_next(lines, &err) == 1) {
        struct tr_node *line, *ids;
        int64_t tok;
        assert_int_equal(
            tr_json_parse(arena, "l", tr_lines_text(lines), tr_lines_len(lines), &line, &err), 0);
        ids = tr_node_get(line, "hash_ids");
        out[n].n = ids->n;
        out[n].ids = TR_ARENA_NEW(arena, int64_t, ids->n);
        for (size_t i = 0; i < ids->n; i++)
            tr_units_integer(ids->items[i]->text, &out[n].ids[i], NULL);
        tr_units_integer(tr_node_get(line, "input_length")->text, &tok, NULL);
        out[n].prompt_tok = (int32_t)tok;
        tr_units_integer(tr_node_get(line, "output_length")->text, &tok, NULL);
        out[n++].output_tok = (int32_t)tok;
    }
    tr_lines_close(lines);
    return n;
}

/* Any two prompts share by their runs what they share by their ids, id by id. */
static void runs_say_what_ids_say(void **state)
{
    enum { MOST = 300 };
    static struct tr_arrival a[MOST];
    static struct request r[MOST];
    struct tr_arena arena = {0};
    size_t shared = 0, few = 0;

    (void)state;
    struct tr_source *src = open_excerpt();
    size_t n = collect(src, a, MOST);
    assert_int_equal(n, 240);
    assert_int_equal(read_requests(r, MOST, &arena), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].prompt_tok, r[i].prompt_tok);
        assert_int_equal(a[i].output_tok, r[i].output_tok);
        few += a[i].chain.n <= 3;
        for (size_t k = 0; k < i; k++) {
            size_t ids = 0;
            while (ids < r[i].n && ids < r[k].n && r[i].ids[ids] == r[k].ids[ids])
                ids++;
            int32_t tok =
                TR_MIN((int32_t)ids * BLOCK_TOK, TR_MIN(r[i].prompt_tok, r[k].prompt_tok));
            assert_int_equal(common(&a[i], &a[k]), tok);
            shared += tok > BLOCK_TOK;
        }
    }
    assert_true(shared > 10 && few > n / 2);
    assert_int_equal(a[239].time_ns, 84 * TR_NS_PER_S);
    tr_arena_free(&arena);
    tr_source_close(src);
}

#define LINE(t, in, out, ids)                                                                      \
    "{\"timestamp\": " #t ", \"input_length\": " #in ", \"output_length\": " #out                  \
    ", \"hash_ids\": [" ids "]}\n"

/* An unbranched path is one run, a part of it the same one; what nobody shares is none. */
static void a_path_that_does_not_branch_is_one_run(void **state)
{
    struct tr_arrival a[8];

    (void)state;
    struct tr_source *src =
        open_text(LINE(3000, 2000, 9, "1, 2, 3, 4") LINE(0, 1024, 9, "1, 2")
                      LINE(3000, 2560, 9, "1, 2, 5, 6, 7") LINE(3000, 2500, 9, "1, 2, 5, 6, 8")
                          LINE(4000, 300, 9, "9") LINE(4000, 0, 1, "") LINE(4000, 300, 1, ""));
    assert_int_equal(collect(src, a, 8), 6);
    /* By time: [1 2] begins. 3 4 is of one prompt only, as are 7, 8 and 9. */
    assert_int_equal(a[0].chain.n, 1);
    assert_int_equal(a[0].chain.own[0].end_tok, 1024);
    assert_int_equal(a[1].chain.n, 1);
    assert_int_equal(a[1].chain.own[0].end_tok, 1024);
    for (int i = 2; i < 4; i++) {
        assert_int_equal(a[i].chain.n, 2);
        assert_int_equal(a[i].chain.own[1].end_tok, 2048);
        assert_true(a[i].chain.own[0].key == a[0].chain.own[0].key);
        assert_true(a[i].chain.own[1].key == a[2].chain.own[1].key);
    }
    assert_true(a[2].chain.own[1].key != a[0].chain.own[0].key);
    assert_int_equal(a[4].chain.n, 0);
    assert_int_equal(a[5].chain.n, 0);
    tr_source_close(src);
}

static void is_said(const char *text, const char *message)
{
    struct tr_lines *lines;
    struct tr_trace trace;
    struct tr_trace_info info;
    struct tr_err err = {0};

    assert_int_equal(tr_lines_open_text("f", text, strlen(text), &lines, &err), 0);
    assert_int_equal(tr_mooncake_read(lines, &spec, &trace, &info, &err), TR_EINPUT);
    assert_string_equal(err.text, message);
    tr_lines_close(lines);
}

static void what_is_wrong_is_one_line(void **state)
{
    (void)state;
    is_said(LINE(0, 2000, 1, "1, 2") LINE(0, 2000, 1, "1, 3, 2"),
            "f:2: hash id 2 follows 3 here, and follows 1 in line 1; an id stands for its block "
            "and all before it");
    is_said(LINE(0, 2000, 1, "1, 2") LINE(0, 2000, 1, "2"),
            "f:2: hash id 2 is the first here, and follows 1 in line 1; an id stands for its block "
            "and all before it");
    is_said(LINE(0, 1000, 1, "1, 2, 3"),
            "f:1: 3 hash ids for 1000 tokens; blocks of 512 tokens need at most 2");
    is_said(LINE(0, 1000, 1, "-1"), "f:1: hash id 1 is not a whole number from 0 on");
    is_said("\n" LINE(-5, 10, 1, ""),
            "f:2: timestamp -5 is not a time: a number of ms, not negative, of at most 292 years");
    is_said(LINE(0, 1.5, 1, ""),
            "f:1: \"input_length\" of 1.5 is not a whole number of tokens from 0 to 10,000,000");
    is_said(LINE(0, "9", 1, ""), "f:1: \"input_length\" is not a number");
    is_said("{\"timestamp\": 0}", "f:1: no \"input_length\"; a line has timestamp, input_length, "
                                  "output_length, hash_ids");
    is_said("[]", "f:1: a line must be a JSON object, {\"timestamp\": ...}");
    is_said(LINE(0, 9, 1, "") "{\"timestamp\": 0,}",
            "f:2:17: not valid JSON: string or '}' expected near '}'");
    is_said("", "f: no requests (0 rows, 0 without prompt and 0 without output tokens)");
    spec.time_unit_s = 1.0;
    is_said(LINE(0, 9, 1, ""), "f: format mooncake has fixed names and times in ms; columns and "
                               "time units are of csv");
}

/* ---- sessions of a trace -------------------------------------------------------------------- */

#define HEAD "arrived_at,num_prefill_tokens,num_decode_tokens,session\n"

/* A turn shares what went before where its prompt has room for it; then a new history begins. */
static void later_turns_share_their_history(void **state)
{
    struct tr_arrival a[8];

    (void)state;
    struct tr_source *src = open_text(HEAD "0,100,50,x\n"
                                           "2,150,10,x\n"  /* exactly prompt and answer */
                                           "1,500,10,y\n"  /* a single turn */
                                           "3,159,10,x\n"  /* one token too few */
                                           "4,400,10,x\n"  /* goes on from there */
                                           "5,900,10,\n"); /* no session */
    assert_int_equal(collect(src, a, 8), 6);
    for (int i = 0; i < 6; i++) {
        bool shares = i != 1 && i != 5;
        assert_int_equal(a[i].chain.n, shares);
        assert_true(!shares || a[i].chain.own[0].end_tok == TR_CHAIN_OPEN);
    }
    assert_true(a[0].chain.own[0].key == a[2].chain.own[0].key);
    assert_true(a[3].chain.own[0].key == a[4].chain.own[0].key);
    assert_true(a[0].chain.own[0].key != a[3].chain.own[0].key);
    tr_source_close(src);
}

/* ---- capacity runs -------------------------------------------------------------------------- */

/* Rows in their order from a drawn one on; a lap shares nothing with the lap before, and within it
 * what the trace shares. */
static void a_capacity_run_goes_round(void **state)
{
    enum { N = 240, LAPS = 3 };
    static struct tr_arrival rows[N], a[N * LAPS], b[N * LAPS];
    size_t start = 0;

    (void)state;
    struct tr_source *src = open_excerpt();
    assert_int_equal(collect(src, rows, N), N);
    struct tr_source *like = tr_source_poisson_like(src, 5.0, N * LAPS, 6);
    struct tr_source *copy = tr_source_clone(like);
    assert_int_equal(collect(like, a, N * LAPS), N * LAPS);
    assert_int_equal(collect(copy, b, N * LAPS), N * LAPS);
    double rate = N * LAPS / ((double)a[N * LAPS - 1].time_ns / 1e9);
    assert_true(fabs(rate - 5.0) < 4.0 * 5.0 / sqrt(N * LAPS));
    while (rows[start].prompt_tok != a[0].prompt_tok || rows[start].output_tok != a[0].output_tok)
        assert_true(++start < N);
    for (size_t i = 0; i < N * LAPS; i++) {
        const struct tr_arrival *row = &rows[(start + i) % N];
        assert_int_equal(a[i].prompt_tok, row->prompt_tok);
        assert_int_equal(a[i].output_tok, row->output_tok);
        assert_int_equal(a[i].chain.n, row->chain.n);
        assert_int_equal(common(&a[i], &b[i]), common(row, row));
        for (size_t k = i - TR_MIN(i, 30); k < i; k++) {
            bool same_lap = (start + i) / N == (start + k) / N;
            assert_int_equal(common(&a[i], &a[k]),
                             same_lap ? common(row, &rows[(start + k) % N]) : 0);
        }
    }
    tr_source_close(src);
    tr_source_close(like);
    tr_source_close(copy);

    src = open_text(HEAD "0,100,50,x\n2,150,10,x\n");
    like = tr_source_poisson_like(src, 5.0, 40, 6);
    assert_int_equal(collect(like, a, N), 40);
    for (size_t i = 0; i < 40; i++) /* a pair each lap, in its own session, sharing 150 tokens */
        for (size_t k = 0; k < i; k++) {
            bool pair = a[i].session == a[k].session;
            assert_true(!pair || i == k + 1);
            assert_int_equal(common(&a[i], &a[k]) > 0, pair);
        }
    assert_int_equal(a[39].session - a[0].session, a[0].prompt_tok == 100 ? 19 : 20);
    tr_source_close(src);
    tr_source_close(like);
}

/* Prompts and what they share are scaled alike, however many runs there are. */
static void longer_prompts_share_more(void **state)
{
    enum { N = 240 };
    static const double factors[] = {0.05, 0.3, 1.0, 3.0};
    static struct tr_arrival rows[N], a[N];

    (void)state;
    struct tr_source *src = open_excerpt();
    assert_int_equal(collect(src, rows, N), N);
    for (size_t f = 0; f < TR_LEN(factors); f++) {
        struct tr_variation v = {1.0, factors[f], -1.0};
        struct tr_source *varied = tr_source_vary(src, &v);
        assert_int_equal(collect(varied, a, N), N);
        for (size_t i = 0; i < N; i++) {
            int32_t end_tok = 0;
            for (int k = 0; k < a[i].chain.n; k++) {
                int32_t end = tr_chain_runs(&a[i].chain)[k].end_tok;
                assert_true(end > end_tok && end <= a[i].prompt_tok);
                end_tok = end;
            }
            for (size_t k = 0; k < i; k++) {
                int32_t tok = common(&rows[i], &rows[k]);
                assert_int_equal(common(&a[i], &a[k]), (int32_t)(tok * factors[f] + 0.5));
            }
        }
        tr_source_close(varied);
    }
    tr_source_close(src);
    /* A last run of a single token vanishes: none is empty. */
    struct tr_variation shortest = {1.0, 0.05, -1.0};
    src = open_text(LINE(0, 1025, 1, "1, 2, 3") LINE(0, 1025, 1, "1, 2, 3")
                        LINE(0, 1025, 1, "1, 2, 4"));
    struct tr_source *varied = tr_source_vary(src, &shortest);
    assert_int_equal(collect(src, rows, N), 3);
    assert_int_equal(collect(varied, a, N), 3);
    assert_int_equal(rows[0].chain.n, 2);
    assert_int_equal(a[0].chain.n, 1);
    assert_int_equal(a[0].chain.own[0].end_tok, 51);
    tr_source_close(varied);
    tr_source_close(src);
}

/* ---- reuse ---------------------------------------------------------------------------------- */

/* Block by block: which of an id's blocks of 16 tokens have been computed. */
static void reuse_is_what_a_set_of_blocks_says(void **state)
{
    enum { MOST = 300, IDS = 8192, PER_ID = BLOCK_TOK / 16 };
    static struct request r[MOST];
    static bool there[IDS][PER_ID];
    struct tr_arena arena = {0};
    struct tr_traffic_stats stats;
    int64_t hits = 0, prompts = 0;

    (void)state;
    struct tr_source *src = open_excerpt();
    size_t n = read_requests(r, MOST, &arena);
    for (size_t i = 0; i < n; i++) {
        int32_t found = 0, last = (r[i].prompt_tok - 1) / 16;
        int32_t named = TR_MIN((int32_t)r[i].n * BLOCK_TOK, r[i].prompt_tok) / 16;
        for (int32_t b = 0; b < named; b++) {
            assert_true(r[i].ids[b / PER_ID] < IDS);
            found += found == b && b < last && there[r[i].ids[b / PER_ID]][b % PER_ID];
        }
        for (int32_t b = 0; b < named; b++)
            there[r[i].ids[b / PER_ID]][b % PER_ID] = true;
        hits += 16 * found;
        prompts += r[i].prompt_tok;
    }
    tr_traffic_measure(src, &stats);
    assert_true(hits > 0 && stats.prefix_reuse == (double)hits / (double)prompts);
    assert_int_equal(stats.sessions, 0);
    assert_true(isnan(stats.mean_turns));
    tr_arena_free(&arena);
    tr_source_close(src);
}

/* Full blocks only, one token computed at least, the answer's last token never; by hand. */
static void reuse_of_a_session_by_hand(void **state)
{
    struct tr_traffic_stats stats;

    (void)state;
    /* 149 tokens computed, so 9 blocks; all 144 are found. Then 150 + 11 - 1 = 160, 10 blocks, of a
     * prompt of 161 tokens that needs its last one: 160 are found. */
    struct tr_source *src = open_text(HEAD "0,100,50,x\n1,150,11,x\n2,161,1,x\n3,999,9,y\n");
    tr_traffic_measure(src, &stats);
    assert_true(stats.prefix_reuse == (144.0 + 160.0) / (100 + 150 + 161 + 999));
    assert_int_equal(stats.sessions, 2);
    assert_true(stats.mean_turns == 2.0);
    tr_source_close(src);
    /* The token that would fill the tenth block is sampled and never computed. */
    src = open_text(HEAD "0,100,60,x\n1,161,1,x\n");
    tr_traffic_measure(src, &stats);
    assert_true(stats.prefix_reuse == 144.0 / (100 + 161));
    tr_source_close(src);
}

/* A system prompt that ends within a block belongs to the run behind it from there on. */
static void reuse_of_runs_by_hand(void **state)
{
    struct tr_reuse reuse = {0};
    struct tr_arrival a = {.prompt_tok = 100, .output_tok = 10};

    (void)state;
    a.chain = (struct tr_chain){.n = 2, .own = {{1, 40}, {2, TR_CHAIN_OPEN}}};
    assert_int_equal(tr_reuse_add(&reuse, &a), 0);
    a.chain.own[1].key = 3; /* another session under it: two blocks of the system prompt */
    assert_int_equal(tr_reuse_add(&reuse, &a), 32);
    assert_int_equal(tr_reuse_add(&reuse, &a), 96); /* 99 tokens at most */
    a.prompt_tok = 96;
    assert_int_equal(tr_reuse_add(&reuse, &a), 80);
    a.prompt_tok = 200; /* 109 tokens had been computed */
    assert_int_equal(tr_reuse_add(&reuse, &a), 96);
    a.chain = (struct tr_chain){.n = 1, .own = {{1, 40}}};
    assert_int_equal(tr_reuse_add(&reuse, &a), 32);
    a.chain = (struct tr_chain){.n = 1, .own = {{4, 15}}}; /* not a block */
    assert_int_equal(tr_reuse_add(&reuse, &a), 0);
    assert_int_equal(tr_reuse_add(&reuse, &a), 0);
    tr_reuse_free(&reuse);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_say_what_ids_say),
        TEST(a_path_that_does_not_branch_is_one_run),
        TEST(what_is_wrong_is_one_line),
        TEST(later_turns_share_their_history),
        TEST(a_capacity_run_goes_round),
        TEST(longer_prompts_share_more),
        TEST(reuse_is_what_a_set_of_blocks_says),
        TEST(reuse_of_a_session_by_hand),
        TEST(reuse_of_runs_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
