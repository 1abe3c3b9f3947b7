/* report, check: what physics allows, and claims held against it. */
#include "report/report.h"

#include <math.h>

/* ---- table ---------------------------------------------------------------------------------- */

static void print_lengths(struct tr_str *out, const struct tr_lengths *l)
{
    struct tr_str text = {0};
    char a[TR_SHOW], b[TR_SHOW];

    tr_str_printf(&text,
                  "One average request passes %s tokens through the layers and holds %s tokens of "
                  "KV cache while it decodes.",
                  tr_show_num(a, l->computed_tok), tr_show_num(b, l->resident_tok));
    tr_str_add(out, "\n", 1);
    tr_text_wrap(out, "", 0, text.text);
    tr_str_free(&text);
}

static void name_cells(struct tr_table *t, const struct tr_check *check,
                       const struct tr_candidate *c)
{
    char letter[TR_SHOW];

    tr_table_cell(t, "%s", c->arrangement.text);
    tr_table_cell(t, "%s", c->precision->name);
    tr_table_cell(t, "%s", tr_show_node_letter(letter, check->scenario, c->node));
}

static void print_ceilings(struct tr_str *out, const struct tr_check *check)
{
    static const char peak[] = "arithmetic, peak", attained[] = "attained";
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW];

    tr_table_column(&t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(&t, TR_LEFT, NULL, "\n");
    tr_table_column(&t, TR_LEFT, NULL, "\nnode");
    tr_table_column(&t, TR_RIGHT, NULL, "KV tokens\nper GPU");
    tr_table_column(&t, TR_RIGHT, NULL, "requests\nthat fit");
    tr_table_column(&t, TR_RIGHT, peak, "no\ncache");
    tr_table_column(&t, TR_RIGHT, peak, "perfect\ncache");
    tr_table_column(&t, TR_RIGHT, attained, "no\ncache");
    tr_table_column(&t, TR_RIGHT, attained, "perfect\ncache");
    tr_table_column(&t, TR_RIGHT, NULL, "KV\nreads");
    tr_table_column(&t, TR_RIGHT, NULL, "KV\nmemory");
    tr_table_column(&t, TR_RIGHT, NULL, "\nlowest");
    for (size_t i = 0; i < check->n_candidates; i++) {
        const struct tr_candidate *c = &check->candidates[i];
        const struct tr_ceiling *l = &c->ceiling;
        int64_t kv_tok = 0;
        if (!(l->arithmetic > 0.0))
            continue;
        for (int p = 0; p < c->arrangement.n_parts; p++)
            kv_tok += c->memory[p].kv_tok * c->hw[p].n_pods;
        name_cells(&t, check, c);
        tr_table_cell(&t, "%s", tr_units_show_count(a, kv_tok));
        tr_table_cell(&t, "%s", tr_show_num(a, l->concurrent));
        tr_table_cell(&t, "%s", tr_show_num(a, l->arithmetic));
        tr_table_cell(&t, "%s", tr_show_num(a, l->arithmetic_cached));
        tr_table_cell(&t, "%s", tr_show_num(a, l->arithmetic_attained));
        tr_table_cell(&t, "%s", tr_show_num(a, l->arithmetic_cached_attained));
        tr_table_cell(&t, "%s", tr_show_num(a, l->bandwidth));
        tr_table_cell(&t, "%s", tr_show_num(a, l->kv_memory));
        tr_table_cell(&t, "%s", tr_show_num(a, l->lowest));
    }
    if (t.n_cells > 0)
        tr_str_printf(out,
                      "\nPhysical limit of one GPU in requests/s of this traffic, whatever the "
                      "software\n");
    tr_table_end(&t, out);
}

/* Do pods share a piece of hardware under this arrangement? */
static bool shares(const struct tr_candidate *c)
{
    bool any = false;

    for (int p = 0; p < c->arrangement.n_parts; p++)
        any = any || c->arrangement.parts[p].n_pods > 1;
    return any;
}

static void print_unloaded(struct tr_str *out, const struct tr_check *check)
{
    static const char ttft[] = "TTFT, s", busy[] = "another pod is busy";
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW];

    tr_table_column(&t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(&t, TR_LEFT, NULL, "\n");
    tr_table_column(&t, TR_LEFT, NULL, "\nnode");
    tr_table_column(&t, TR_RIGHT, ttft, "\np50");
    tr_table_column(&t, TR_RIGHT, ttft, "\np95");
    tr_table_column(&t, TR_RIGHT, NULL, "one an-\nswer, s");
    tr_table_column(&t, TR_RIGHT, busy, "with all traffic\non one GPU, %");
    tr_table_column(&t, TR_RIGHT, busy, "half of the time\nat req/s per pod");
    for (size_t i = 0; i < check->n_candidates; i++) {
        const struct tr_candidate *c = &check->candidates[i];
        bool shared = shares(c);
        if (c->unloaded_ttft_ns[0] <= 0)
            continue;
        name_cells(&t, check, c);
        tr_table_cell(&t, "%s", tr_show_num(a, (double)c->unloaded_ttft_ns[0] / 1e9));
        tr_table_cell(&t, "%s", tr_show_num(a, (double)c->unloaded_ttft_ns[1] / 1e9));
        tr_table_cell(&t, "%s", tr_show_num(a, c->solo_answer_s));
        tr_table_cell(&t, "%s", shared ? tr_show_percent(a, check->busy_other[i]) : "");
        tr_table_cell(&t, "%s", shared ? tr_show_num(a, check->rate_half_busy[i]) : "");
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nAn idle GPU, and how often pods that share it meet: another one is "
                           "busy when a request comes\n");
    tr_table_end(&t, out);
}

/* A line of prose for each candidate: why it is ruled out, or what to mind if it is not. */
static void print_lines(struct tr_str *out, const struct tr_check *check, bool refuted)
{
    struct tr_table t = {.indent = 2};

    for (int i = 0; i < (refuted ? 4 : 3); i++)
        tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (size_t i = 0; i < check->n_candidates; i++) {
        const struct tr_candidate *c = &check->candidates[i];
        const char *line = refuted ? c->why : c->warning;
        if (refuted != (c->gate != TR_GATE_OK) || !*line)
            continue;
        name_cells(&t, check, c);
        if (refuted)
            tr_table_cell(&t, "%s", tr_gate_name(c->gate));
        tr_table_cell(&t, "%s", line);
    }
    if (t.n_cells > 0)
        tr_str_printf(out, refuted ? "\nRuled out\n" : "\nWarnings\n");
    tr_table_end(&t, out);
}

static void memory_row(struct tr_table *t, const struct tr_check *check,
                       const struct tr_candidate *c, int part)
{
    const struct tr_memory *m = &c->memory[part];
    char a[TR_SHOW];

    name_cells(t, check, c);
    tr_table_cell(t, "%s", tr_show_gib(a, c->hw[part].mem_bytes));
    tr_table_cell(t, "%d", c->hw[part].n_pods);
    tr_table_cell(t, "%.3f", m->utilization);
    tr_table_cell(t, "%s", tr_show_gib(a, m->budget_bytes));
    tr_table_cell(t, "%s", tr_show_gib(a, m->weights_bytes));
    tr_table_cell(t, "%s", tr_show_gib(a, m->activation_bytes));
    tr_table_cell(t, "%s", tr_show_gib(a, m->graphs_bytes));
    tr_table_cell(t, "%s", tr_show_gib(a, m->kv_bytes));
    tr_table_cell(t, "%s", m->kv_tok > 0 ? tr_units_show_count(a, m->kv_tok) : "-");
}

static void print_memory(struct tr_str *out, const struct tr_check *check)
{
    static const char pod[] = "one pod, GiB";
    struct tr_table t = {.indent = 2};
    int count;

    tr_table_column(&t, TR_LEFT, NULL, "\narrangement");
    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_LEFT, NULL, "\nnode");
    tr_table_column(&t, TR_RIGHT, NULL, "share,\nGiB");
    tr_table_column(&t, TR_RIGHT, NULL, "\npods");
    tr_table_column(&t, TR_RIGHT, NULL, "utili-\nzation");
    tr_table_column(&t, TR_RIGHT, pod, "\nbudget");
    tr_table_column(&t, TR_RIGHT, pod, "-\nweights");
    tr_table_column(&t, TR_RIGHT, pod, "- acti-\nvations");
    tr_table_column(&t, TR_RIGHT, pod, "-\ngraphs");
    tr_table_column(&t, TR_RIGHT, pod, "=\nKV");
    tr_table_column(&t, TR_RIGHT, NULL, "KV\ntokens");
    for (size_t i = 0; i < check->n_candidates; i++) {
        const struct tr_candidate *c = &check->candidates[i];
        if (c->gate == TR_GATE_OK || c->gate == TR_GATE_BOUND || c->gate == TR_GATE_MEMORY)
            for (int p = 0; p < c->arrangement.n_parts; p = tr_part_run(&c->arrangement, p, &count))
                memory_row(&t, check, c, p);
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nMemory of one pod; what is missing is negative\n");
    tr_table_end(&t, out);
}

static void print_answers(struct tr_str *out, const struct tr_check *check)
{
    size_t refuted = 0;

    for (size_t i = 0; i < check->n_answers; i++) {
        const struct tr_claim_answer *a = &check->answers[i];
        struct tr_str says = {0};

        refuted += a->refuted;
        tr_str_printf(&says, "\"%s\"", a->claim->says);
        if (a->claim->source)
            tr_str_printf(&says, " (%s)", a->claim->source);
        tr_str_add(out, "\n", 1);
        tr_text_wrap(out, a->refuted ? "refuted" : "possible", 10, says.text);
        tr_str_free(&says);
        for (int k = 0; k < a->n_lines; k++)
            tr_text_wrap(out, "", 10, a->lines[k]);
    }
    if (check->n_answers > 0)
        tr_str_printf(out, "\n%zu of %zu claims refuted\n", refuted, check->n_answers);
}

static void print_table(struct tr_str *out, const struct tr_check *check)
{
    const struct tr_scenario *s = check->scenario;

    if (s->n_workloads > 0) {
        tr_report_head(out, s, &check->stats, &check->lengths,
                       check->stats.peak_over_mean[2] * check->stats.rate);
        if (!s->workload.server)
            print_lengths(out, &check->lengths);
        print_memory(out, check);
        print_lines(out, check, true);
        print_ceilings(out, check);
        print_unloaded(out, check);
        print_lines(out, check, false);
    } else {
        tr_text_wrap(out, "", 0, s->name ? s->name : s->path);
    }
    print_answers(out, check);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_answers(struct tr_json *j, const struct tr_check *check)
{
    static const struct tr_slo no_slo = {0};

    tr_json_begin(j, "claims", '[');
    for (size_t i = 0; i < check->n_answers; i++) {
        const struct tr_claim_answer *a = &check->answers[i];
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "says", a->claim->says);
        tr_json_text(j, "source", a->claim->source);
        tr_json_text(j, "answer", a->refuted ? "refuted" : "possible");
        tr_json_num(j, "possible_rate_per_s",
                    a->possible_rate >= 0.0 ? a->possible_rate : (double)NAN);
        tr_report_json_lines(j, "arithmetic", a->lines, a->n_lines);
        tr_report_json_lengths(j, &a->lengths);
        tr_json_begin(j, "candidate", '{');
        tr_report_json_candidate(j, &a->candidate, &no_slo);
        tr_json_end(j);
        tr_json_end(j);
    }
    tr_json_end(j);
}

static void add_candidates(struct tr_json *j, const struct tr_check *check)
{
    tr_json_begin(j, "candidates", '[');
    for (size_t i = 0; i < check->n_candidates; i++) {
        const struct tr_candidate *c = &check->candidates[i];
        bool shared = shares(c);
        tr_json_begin(j, NULL, '{');
        tr_report_json_candidate(j, c, &check->scenario->workload.slo);
        tr_json_num(j, "other_busy_fraction", shared ? check->busy_other[i] : (double)NAN);
        tr_json_num(j, "other_half_busy_per_s", shared ? check->rate_half_busy[i] : (double)NAN);
        tr_json_end(j);
    }
    tr_json_end(j);
}

static void print_json(struct tr_str *out, const struct tr_check *check)
{
    const struct tr_scenario *s = check->scenario;
    struct tr_json j = {.out = out};

    tr_json_begin(&j, NULL, '{');
    tr_report_json_head(&j, "tranche.check/1", s);
    if (s->n_workloads > 0) {
        tr_report_json_traffic(&j, &check->stats);
        tr_report_json_lengths(&j, &check->lengths);
        tr_report_json_objectives(&j, &s->workload.slo);
        add_candidates(&j, check);
    }
    add_answers(&j, check);
    tr_json_end(&j);
}

int tr_check_write(const struct tr_check *check, enum tr_format format, FILE *out,
                   struct tr_err *err)
{
    struct tr_str text = {0};

    if (format == TR_FORMAT_TABLE)
        print_table(&text, check);
    else if (format == TR_FORMAT_JSON)
        print_json(&text, check);
    else
        return tr_report_refuse(format, "table, json", err);
    return tr_report_flush(&text, out, err);
}
