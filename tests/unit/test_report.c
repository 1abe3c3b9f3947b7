/* What is printed of a plan, a check and a simulation, from structs filled by hand: every figure in
 * them must be found again, in the table as in JSON. */
#include "report/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

static const char yaml[] = "name: by hand\n"
                           "cluster:\n"
                           "  node: azure/Standard_NC24ads_A100_v4\n"
                           "  nodes: {min: 1, max: 20}\n"
                           "workloads:\n"
                           "  - name: chat\n"
                           "    model: llama-3.1-8b\n"
                           "    precision: [bf16, int4]\n"
                           "    traffic: {profile: aks-chatbot}\n"
                           "    slo: {ttft_p95: 500ms}\n";

static struct tr_scenario *scenario;
static struct tr_plan plan;
static struct tr_candidate candidates[4];
static int drawn[2][20] = {{4, 5}, {19, 0}}; /* nodes per draw */
static size_t order[] = {1, 0, 2, 3};
static struct tr_victim victims[] = {
    {.candidate = 0,
     .coupled = true,
     .rate = 0.42,
     .at = {{3960, 90000000, 250000000, 1, 0},
            {3960, 95000000, 310000000, 0.9975, 0},
            {500, -1, -1, 0, 1}}},
    {.candidate = 0,
     .coupled = true,
     .rate = 0.8,
     .at = {{3960, 1, 2000000, 1, 0}, {3960, 1, 2, 1, 0}, {500, 1, 4000000, 1, 0}}},
};

static int load(void **state)
{
    struct tr_err err = {0};

    (void)state;
    if (tr_scenario_parse("hand.yaml", yaml, strlen(yaml), NULL, &scenario, &err) != 0)
        fail_msg("%s", err.text);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    tr_scenario_free(scenario);
    return 0;
}

/* 2,000 requests, of which `inside` met the objective; TTFT of all `ttft_ms`. */
static void fill_result(struct tr_candidate *c, int64_t inside, int64_t ttft_ms)
{
    struct tr_outcome *o = &c->result.outcome;

    o->offered = 2000;
    o->done = 1990;
    o->rejected = 7;
    o->timed_out = 3;
    o->spike_offered = 100;
    o->inside[0] = o->inside_all = inside;
    o->spike_inside[0] = o->spike_inside_all = 80;
    o->missed[TR_CAUSE_NEIGHBOUR] = 2000 - inside;
    tr_hist_add(&o->metric[TR_TTFT], ttft_ms * TR_NS_PER_MS, 1990);
    tr_hist_add(&o->metric[TR_TPOT], 12 * TR_NS_PER_MS, 1990);
    tr_hist_add(&o->metric[TR_E2E], 6 * TR_NS_PER_S, 1990);
    c->result.meets = inside >= 1900;
    c->result.fleet = (struct tr_fleet_stats){
        .kv_mean = 0.125, .kv_max = 0.875, .busy_fraction = 0.625, .pods = 3};
}

static void fill_candidate(struct tr_candidate *c, const char *arrangement, int precision)
{
    const struct tr_precision *none;
    struct tr_err err = {0};

    c->node = scenario->nodes[0];
    c->gpu = c->node->gpu;
    c->precision = scenario->workload.precisions[precision];
    if (tr_arrangement_parse(arrangement, c->gpu, scenario->catalog, &c->arrangement, &none, &err))
        fail_msg("%s", err.text);
    for (int p = 0; p < c->arrangement.n_parts; p++) {
        c->hw[p] = tr_share_hw_of(c->gpu, &c->arrangement.parts[p]);
        c->memory[p].kv_tok = 465312;
    }
}

static int fill(void **state)
{
    (void)state;
    fill_candidate(&candidates[0], "timeslice:4", 1);
    fill_candidate(&candidates[1], "whole", 0);
    fill_candidate(&candidates[2], "mig:1g.10gb*7", 0);
    fill_candidate(&candidates[3], "mig:3g.40gb+4g.40gb", 0);
    candidates[0].rank = 2;
    candidates[0].nodes = 21;
    candidates[0].beyond_max = true;
    candidates[0].usd_per_month = 56259.9;
    candidates[0].capacity_rps = 0.2049;
    candidates[0].capacity_seeds = 1;
    candidates[0].capacity_requests = 5000;
    candidates[0].sampled_gpus = 3;
    candidates[0].label = TR_OVERLOADED;
    candidates[0].fail_nodes = 20;
    candidates[0].fail_missed[TR_CAUSE_NEIGHBOUR] = 321;
    fill_result(&candidates[0], 1899, 450);
    snprintf(candidates[0].cause, sizeof(candidates[0].cause), "another pod held the GPU");
    candidates[1].rank = 1;
    candidates[1].nodes = 4;
    candidates[1].usd_per_month = 10716.4;
    candidates[1].capacity_rps = 3.0412;
    candidates[1].capacity_lo = 3.01;
    candidates[1].capacity_hi = 3.08;
    candidates[1].capacity_seeds = 5;
    candidates[1].capacity_requests = 20000;
    candidates[1].confirmed = true;
    candidates[1].screened_gpus = 2;
    candidates[1].screened_inside = 0.96;
    candidates[1].ceiling = (struct tr_ceiling){.arithmetic = 12.28,
                                                .arithmetic_attained = 7.49,
                                                .bandwidth = 18.6,
                                                .kv_memory = 14.5,
                                                .lowest = 12.28,
                                                .lowest_cached = 14.5};
    candidates[1].unloaded_ttft_ns[0] = 74400000;
    candidates[1].unloaded_ttft_ns[1] = 288000000;
    fill_result(&candidates[1], 1950, 110);
    candidates[2].gate = TR_GATE_MEMORY;
    snprintf(candidates[2].why, sizeof(candidates[2].why), "weights 15.0 GiB > \"9.6\" GiB");
    candidates[3].gate = TR_GATE_BOUND;
    snprintf(candidates[3].why, sizeof(candidates[3].why), "prefill takes 0.8 s");
    plan = (struct tr_plan){
        .scenario = scenario,
        .opts = {.seed = 42, .quick = true},
        .stats = {.requests = 2000, .span_ns = 3600 * TR_NS_PER_S, .rate = 0.556},
        .spikes = {.peak_rate = 2.5},
        .lengths = {.prompt_tok = 1200, .output_tok = 500},
        .candidates = candidates,
        .n_candidates = 4,
        .order = order,
        .pick = 1,
        .runner_up = 0,
        .meets = true,
        .n_draws = 20,
        .n_finalists = 2,
        .finalists = {{1, drawn[0], 4, 5, 0, 20, 0}, {0, drawn[1], 19, 0, 3, 2, 15}},
        .n_victims = 2,
        .victims = victims,
        .flips = {[TR_FLIP_RATE] = {.looked = true, .least = 0.0625, .most = 16},
                  [TR_FLIP_PROMPT] = {.looked = true,
                                      .least = 0.25,
                                      .most = 8,
                                      .below = {true, 0.433, 0, 3, 2},
                                      .above = {true, 1.61, -1, 0, 0}},
                  [TR_FLIP_SHARED] = {.why_not = "the engines have no prefix cache"},
                  [TR_FLIP_PRICE] = {.looked = true, .most = 1, .below = {true, 0.5, 0, 4, 21}}},
        .n_rules = 1,
        .rules = {{"bursty: peak minute over mean above 3", "whole or timeslice", true, "4.50"}},
        .n_lines = 1,
        .lines = {"Pick whole bf16."},
        .n_not_modelled = 1,
        .not_modelled = {"sleep mode"},
    };
    return 0;
}

static int empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < TR_LEN(candidates); i++)
        tr_sim_result_free(&candidates[i].result);
    memset(candidates, 0, sizeof(candidates));
    return 0;
}

/* ---- printing ------------------------------------------------------------------------------- */

static char *printed(enum tr_format format, bool explain)
{
    char *text = NULL;
    size_t len = 0;
    struct tr_err err = {0};
    FILE *out = open_memstream(&text, &len);
    int rc = tr_plan_write(&plan, format, explain, out, &err);

    fclose(out);
    if (rc != 0)
        fail_msg("%s", err.text);
    return text;
}

/* The first line that contains all of these words, in order. */
static bool has_line(const char *text, const char *const *words, size_t n)
{
    while (*text) {
        const char *end = text + strcspn(text, "\n"), *at = text;
        size_t found = 0;
        while (found < n && (at = strstr(at, words[found])) && at < end)
            at += strlen(words[found++]);
        if (found == n)
            return true;
        text = end + (*end == '\n');
    }
    return false;
}
#define HAS_LINE(text, ...)                                                                        \
    do {                                                                                           \
        const char *const words[] = {__VA_ARGS__};                                                 \
        if (!has_line(text, words, TR_LEN(words)))                                                 \
            fail_msg("no line has %s ... in\n%s", words[0], text);                                 \
    } while (0)

static void fits_the_terminal(const char *text)
{
    while (*text) {
        char line[512];
        size_t len = strcspn(text, "\n");
        assert_true(len < sizeof(line));
        memcpy(line, text, len);
        line[len] = '\0';
        if (tr_text_width(line) > TR_TABLE_WIDTH)
            fail_msg("wider than %d columns: %s", TR_TABLE_WIDTH, line);
        text += len + (text[len] == '\n');
    }
}

static void the_table_has_every_answer(void **state)
{
    char *text = printed(TR_FORMAT_TABLE, false);

    (void)state;
    fits_the_terminal(text);
    HAS_LINE(text, "by hand");
    HAS_LINE(text, "2,000 requests in 60 min", "2.50/s in the busiest minute");
    HAS_LINE(text, "Objective", "TTFT p95 <= 0.5 s over all requests");
    HAS_LINE(text, "A100-PCIe-80GB", "bf16", "12.3", "7.49", "18.6", "14.5");
    HAS_LINE(text, "1  whole", "bf16", "465,312", "3.04", " 4 ", "10,716", "97.50", "80.00",
             "pick");
    HAS_LINE(text, "1  whole", "110", "12.0", "0.50", "12.5", "87.5", "62.5", "neighbour 100");
    HAS_LINE(text, "mig:1g.10gb*7", "bf16", "memory", "weights 15.0 GiB");
    HAS_LINE(text, "mig:4g.40gb+3g.40gb", "bf16", "bound", "prefill takes 0.8 s");
    HAS_LINE(text, "Pick whole bf16.");
    HAS_LINE(text, "  met", "bursty", "-> whole or timeslice", "4.50");
    HAS_LINE(text, "timeslice:4", "another pod held the GPU");
    HAS_LINE(text, "timeslice:4", "0.42", "90", "250", "100.00", "95", "310", "99.75", "-", "0.00");
    HAS_LINE(text, "two pods of timeslice:4 int4", "B is kept full", "A gets its 0.8");
    HAS_LINE(text, "--request-rate 0.800 --num-prompts 480");
    HAS_LINE(text, "  - sleep mode");
    HAS_LINE(text, "tranche simulate hand.yaml --arrangement 'whole bf16' --nodes 4");
    free(text);
}

/* A fleet that misses by one request, above nodes.max, sampled and overloaded must look like it. */
static void what_limits_a_figure_is_marked(void **state)
{
    char *text = printed(TR_FORMAT_TABLE, false);

    (void)state;
    HAS_LINE(text, "2  timeslice:4", "21", "56,260", "94.95", "3 of 21", "runner-up");
    HAS_LINE(text, "max");
    HAS_LINE(text, "2  timeslice:4", "~0.205");
    HAS_LINE(text, "overloaded");
    HAS_LINE(text, "~ one short run");
    HAS_LINE(text, "2  timeslice:4", "450*", "12.0*", "neighbour 100");
    HAS_LINE(text, "* overloaded: requests came faster than they were served");
    HAS_LINE(text, "the full runs; this was --quick");
    plan.opts.quick = false;
    plan.interrupted = true;
    char *stopped = printed(TR_FORMAT_TABLE, false);
    HAS_LINE(stopped, "INTERRUPTED");
    assert_null(strstr(stopped, "--quick"));
    free(stopped);
    free(text);
}

static void explain_shows_the_arithmetic(void **state)
{
    char *text = printed(TR_FORMAT_TABLE, true);

    (void)state;
    fits_the_terminal(text);
    HAS_LINE(text, "whole bf16 on azure/Standard_NC24ads_A100_v4");
    HAS_LINE(text, "capacity", "3.04 requests/s", "the median of 5 seeds");
    assert_non_null(strstr(text, "3.01 to"));
    HAS_LINE(text, "capacity", "0.205 requests/s", "one seed, runs of");
    assert_non_null(strstr(text, "5,000"));
    HAS_LINE(text, "fleet", "21 nodes", "3 of 21 GPUs simulated", "20 are not enough");
    HAS_LINE(text, "misses", "neighbour 50");
    HAS_LINE(text, "requests", "2,000 requests offered, 1,990 answered, 7 refused, 3 timed out");
    HAS_LINE(text, "refuted", "memory: weights");
    free(text);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static double number(const struct tr_node *map, const char *key)
{
    const struct tr_node *n = tr_node_get(map, key);

    if (!n || n->kind != TR_NODE_SCALAR)
        fail_msg("no %s", key);
    return strtod(n->text, NULL);
}

static void is_text(const struct tr_node *map, const char *key, const char *text)
{
    const struct tr_node *n = tr_node_get(map, key);

    if (!n)
        fail_msg("no %s", key);
    assert_string_equal(n->text, text);
}

static void json_has_the_figures_in_base_units(void **state)
{
    char *text = printed(TR_FORMAT_JSON, false), hash[24];
    struct tr_arena arena = {0};
    struct tr_node *root;
    struct tr_err err = {0};

    (void)state;
    if (tr_json_parse(&arena, "plan", text, strlen(text), &root, &err) != 0)
        fail_msg("%s", err.text);
    is_text(root, "schema", "tranche.plan/1");
    is_text(root, "tranche_version", tr_version());
    snprintf(hash, sizeof(hash), "%016" PRIx64, scenario->hash);
    is_text(tr_node_get(root, "scenario"), "hash", hash);
    is_text(root, "quick", "true");
    assert_true(number(root, "seed") == 42);
    assert_true(number(root, "pick") == 1 && number(root, "runner_up") == 0);
    const struct tr_node *list = tr_node_get(root, "candidates");
    assert_int_equal(list->n, 4);
    const struct tr_node *pick = list->items[1], *result = tr_node_get(pick, "result");
    is_text(pick, "arrangement", "whole");
    assert_true(number(tr_node_get(pick, "capacity"), "median_per_s") == 3.0412);
    assert_true(number(tr_node_get(pick, "fleet"), "usd_per_month") == 10716.4);
    assert_true(number(tr_node_get(pick, "capacity"), "requests") == 20000);
    is_text(tr_node_get(pick, "fleet"), "confirmed", "true");
    assert_true(number(tr_node_get(tr_node_get(pick, "fleet"), "sample"), "gpus") == 2);
    assert_true(tr_node_get(tr_node_get(list->items[0], "fleet"), "sample")->null);
    assert_true(number(result, "ttft_p95_s") == 0.11);
    assert_true(number(result, "inside_all_share") == 0.975);
    assert_true(number(tr_node_get(result, "missed"), "neighbour") == 50);
    is_text(tr_node_get(result, "inside")->items[0], "met", "true");
    is_text(tr_node_get(list->items[0], "result"), "label", "overloaded");
    is_text(tr_node_get(tr_node_get(list->items[0], "result"), "inside")->items[0], "met", "false");
    const struct tr_node *finalists = tr_node_get(tr_node_get(root, "draws"), "finalists");
    assert_int_equal(finalists->n, 2);
    assert_true(number(finalists->items[1], "dearer_than_pick") == 15);
    assert_true(number(finalists->items[0], "nodes_p90") == 5);
    assert_true(tr_node_get(finalists->items[1], "nodes_p90")->null);
    is_text(finalists->items[1], "too_close", "false");
    const struct tr_node *row = tr_node_get(root, "neighbours")->items[0];
    assert_true(number(row, "candidate") == 0 && number(row, "victim_rate_per_s") == 0.42);
    is_text(row, "neighbours_are", "pods");
    assert_true(number(tr_node_get(row, "idle"), "ttft_p95_s") == 0.25);
    assert_true(number(tr_node_get(row, "saturates"), "lost_share") == 1);
    assert_true(tr_node_get(tr_node_get(row, "saturates"), "ttft_p50_s")->null);
    const struct tr_node *flips = tr_node_get(root, "flips");
    assert_int_equal(flips->n, 4); /* what was neither looked at nor left out is not there */
    is_text(flips->items[0], "input", "rate");
    assert_true(tr_node_get(flips->items[0], "above")->null);
    assert_true(number(flips->items[0], "most") == 16);
    const struct tr_node *below = tr_node_get(flips->items[1], "below");
    assert_true(number(below, "at") == 0.433 && number(below, "to") == 0);
    assert_true(number(below, "nodes") == 2 && number(below, "pick_nodes") == 3);
    assert_true(tr_node_get(tr_node_get(flips->items[1], "above"), "to")->null);
    is_text(flips->items[2], "not_looked_at", "the engines have no prefix cache");
    is_text(list->items[2], "gate", "memory");
    is_text(list->items[2], "reason", "weights 15.0 GiB > \"9.6\" GiB");
    assert_true(tr_node_get(list->items[2], "result")->null);
    /* Seven equal instances are one entry, unlike ones are two. */
    assert_int_equal(tr_node_get(list->items[2], "parts")->n, 1);
    assert_true(number(tr_node_get(list->items[2], "parts")->items[0], "count") == 7);
    assert_int_equal(tr_node_get(list->items[3], "parts")->n, 2);
    tr_arena_free(&arena);
    free(text);
}

static void csv_has_a_row_per_candidate(void **state)
{
    char *text = printed(TR_FORMAT_CSV, false);
    size_t rows = 0, header = 0;

    (void)state;
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        size_t commas = 0;
        for (const char *s = line; *s != '\n'; s++)
            commas += *s == ',';
        header = header ? header : commas;
        assert_int_equal(commas, header);
        rows++;
    }
    assert_int_equal(rows, 5);
    HAS_LINE(text, "1,whole,bf16,azure/Standard_NC24ads_A100_v4,evaluated,3.0412,4,10716.4,0.975");
    HAS_LINE(text, "0,mig:1g.10gb*7,bf16,", "memory,", "\"weights 15.0 GiB > \"\"9.6\"\" GiB\"");
    free(text);
}

static void what_cannot_be_written_is_one_error(void **state)
{
    struct tr_err err = {0};
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    assert_int_equal(tr_plan_write(&plan, TR_FORMAT_YAML, false, stderr, &err), TR_EINPUT);
    assert_string_equal(err.text, "no yaml output here; allowed: table, json, csv");
    err = (struct tr_err){0};
    assert_non_null(full);
    assert_int_equal(tr_plan_write(&plan, TR_FORMAT_TABLE, false, full, &err), TR_EENV);
    assert_string_equal(err.text, "cannot write the report: No space left on device");
    fclose(full);
}

/* ---- check and simulate ---------------------------------------------------------------------- */

static void a_check_answers_its_claims(void **state)
{
    struct tr_claim claims[] = {{.says = "45 requests/s"}, {.says = "2 requests/s"}};
    struct tr_claim_answer answers[] = {
        {.claim = &claims[0], .refuted = true, .n_lines = 1, .lines = {"1125 of 312 TFLOP/s"}},
        {.claim = &claims[1], .n_lines = 1, .lines = {"50 of 312 TFLOP/s"}}};
    double busy[] = {0.5, 0, 0, 0}, half[] = {0.0412, 0, 0, 0};
    struct tr_check check = {.scenario = scenario,
                             .candidates = candidates,
                             .n_candidates = 4,
                             .busy_other = busy,
                             .rate_half_busy = half,
                             .answers = answers,
                             .n_answers = 2};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    candidates[0].unloaded_ttft_ns[0] = candidates[0].unloaded_ttft_ns[1] = 74400000;
    answers[0].candidate = answers[1].candidate = candidates[1];
    assert_int_equal(tr_check_write(&check, TR_FORMAT_TABLE, out, NULL), 0);
    assert_int_equal(tr_check_write(&check, TR_FORMAT_JSON, out, NULL), 0);
    fclose(out);
    HAS_LINE(text, "refuted", "\"45 requests/s\"");
    HAS_LINE(text, "1125 of 312 TFLOP/s");
    HAS_LINE(text, "possible", "\"2 requests/s\"");
    HAS_LINE(text, "1 of 2 claims refuted");
    HAS_LINE(text, "timeslice:4", "int4", "0.0744", "50.00", "0.0412");
    HAS_LINE(text, "\"schema\": \"tranche.check/1\"");
    HAS_LINE(text, "\"answer\": \"refuted\"");
    free(text);
}

static void a_simulation_says_what_was_met(void **state)
{
    struct tr_simulation s = {.scenario = scenario,
                              .candidate = candidates[0],
                              .nodes = 3,
                              .label = TR_OVERLOADED,
                              .result = candidates[0].result,
                              .stats = plan.stats};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_int_equal(tr_simulation_write(&s, TR_FORMAT_TABLE, out, NULL), 0);
    fclose(out);
    fits_the_terminal(text);
    HAS_LINE(text, "timeslice:4 int4 on 3 x azure/Standard_NC24ads_A100_v4: 3 GPUs");
    HAS_LINE(text, "TTFT p95 <= 0.5 s", "94.95", "80.00", "not met");
    HAS_LINE(text, "The run is overloaded");
    free(text);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fill, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_table_has_every_answer),   CASE(what_limits_a_figure_is_marked),
        CASE(explain_shows_the_arithmetic), CASE(json_has_the_figures_in_base_units),
        CASE(csv_has_a_row_per_candidate),  CASE(what_cannot_be_written_is_one_error),
        CASE(a_check_answers_its_claims),   CASE(a_simulation_says_what_was_met),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
