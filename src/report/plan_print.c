/* report, plan: the tables of a plan and its verdict. */
#include "report/report.h"

#include <math.h>

/* Candidate in place i of the ranking. */
static const struct tr_candidate *at(const struct tr_plan *plan, size_t i)
{
    return &plan->candidates[plan->order[i]];
}

static void print_rank(struct tr_table *t, const struct tr_candidate *c)
{
    if (c->rank > 0)
        tr_table_cell(t, "%d", c->rank);
    else
        tr_table_cell(t, "-");
}

static void print_name(struct tr_table *t, const struct tr_plan *plan, const struct tr_candidate *c)
{
    char letter[TR_SHOW];

    tr_table_cell(t, "%s", c->arrangement.text);
    tr_table_cell(t, "%s", c->precision->name);
    tr_table_cell(t, "%s", tr_show_node_letter(letter, plan->scenario, c->node));
}

/* Arrangement, precision and, where there are several node types, the node's letter. */
static void name_columns(struct tr_table *t, const char *arrangement, const char *node)
{
    tr_table_column(t, TR_LEFT, NULL, arrangement);
    tr_table_column(t, TR_LEFT, NULL, "");
    tr_table_column(t, TR_LEFT, NULL, node);
}

/* ---- what hardware allows ------------------------------------------------------------------- */

/* The first candidate with this node's GPU and precision whose ceilings are known: whole, where it
 * is compared. */
static const struct tr_candidate *ceiling_of(const struct tr_plan *plan, const struct tr_gpu *gpu,
                                             const struct tr_precision *precision)
{
    const struct tr_candidate *best = NULL;

    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        if (c->gpu != gpu || c->precision != precision || !(c->ceiling.arithmetic > 0.0))
            continue;
        if (!best || (c->arrangement.n_pods == 1 && best->arrangement.n_pods > 1))
            best = c;
    }
    return best;
}

static void print_physics(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};
    const struct tr_scenario *s = plan->scenario;
    char a[TR_SHOW];

    tr_table_column(&t, TR_LEFT, NULL, "\nGPU");
    tr_table_column(&t, TR_LEFT, NULL, "\nprecision");
    tr_table_column(&t, TR_RIGHT, NULL, "arithmetic\nat peak");
    tr_table_column(&t, TR_RIGHT, NULL, "arithmetic\nattained");
    tr_table_column(&t, TR_RIGHT, NULL, "KV reads,\nbandwidth");
    tr_table_column(&t, TR_RIGHT, NULL, "KV\nmemory");
    tr_table_column(&t, TR_RIGHT, NULL, "\nlowest");
    tr_table_column(&t, TR_RIGHT, NULL, "lowest, perfect\nprefix cache");
    for (size_t n = 0; n < s->n_nodes; n++) {
        bool seen = false;
        for (size_t k = 0; k < n; k++)
            seen = seen || s->nodes[k]->gpu == s->nodes[n]->gpu;
        for (size_t p = 0; !seen && p < s->workload.n_precisions; p++) {
            const struct tr_candidate *c =
                ceiling_of(plan, s->nodes[n]->gpu, s->workload.precisions[p]);
            if (!c)
                continue;
            tr_table_cell(&t, "%s", c->gpu->name);
            tr_table_cell(&t, "%s", c->precision->name);
            tr_table_cell(&t, "%s", tr_show_num(a, c->ceiling.arithmetic));
            tr_table_cell(&t, "%s", tr_show_num(a, c->ceiling.arithmetic_attained));
            tr_table_cell(&t, "%s", tr_show_num(a, c->ceiling.bandwidth));
            tr_table_cell(&t, "%s", tr_show_num(a, c->ceiling.kv_memory));
            tr_table_cell(&t, "%s", tr_show_num(a, c->ceiling.lowest));
            tr_table_cell(&t, "%s", tr_show_num(a, c->ceiling.lowest_cached));
        }
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nPhysical limit: requests/s of this traffic that one whole GPU cannot "
                           "exceed\n");
    tr_table_end(&t, out);
}

/* ---- the arrangements ----------------------------------------------------------------------- */

static void print_kv(struct tr_table *t, const struct tr_candidate *c)
{
    int64_t least = INT64_MAX, most = 0;
    char a[32], b[32];

    for (int i = 0; i < c->arrangement.n_parts; i++) {
        least = TR_MIN(least, c->memory[i].kv_tok);
        most = TR_MAX(most, c->memory[i].kv_tok);
    }
    if (least < most)
        tr_table_cell(t, "%s to %s", tr_units_show_count(a, least), tr_units_show_count(b, most));
    else
        tr_table_cell(t, "%s", tr_units_show_count(a, most));
}

static void print_notes(struct tr_table *t, const struct tr_plan *plan,
                        const struct tr_candidate *c)
{
    ptrdiff_t i = c - plan->candidates;
    struct tr_str s = {0};

    if (i == plan->pick)
        tr_str_printf(&s, "; %s", plan->meets ? "pick" : "nearest");
    if (i == plan->runner_up)
        tr_str_printf(&s, "; runner-up");
    if (c->beyond_max)
        tr_str_printf(&s, "; above max");
    if (c->label != TR_STABLE)
        tr_str_printf(&s, "; %s", tr_label_name(c->label));
    if (c->result.outcome.stopped_early)
        tr_str_printf(&s, "; run stopped early");
    tr_table_cell(t, "%s", s.len ? s.text + 2 : "");
    tr_str_free(&s);
}

/* Up to so many objectives have a column each: they are judged one by one. */
#define MAX_OBJECTIVE_COLUMNS 3

static bool column_each(const struct tr_slo *slo)
{
    return slo->n > 1 && slo->n <= MAX_OBJECTIVE_COLUMNS;
}

static void inside_columns(struct tr_table *t, const struct tr_slo *slo)
{
    static const char group[] = "inside SLO, %";

    if (column_each(slo))
        for (int i = 0; i < slo->n; i++)
            tr_table_column(t, TR_RIGHT, group,
                            tr_arena_printf(&t->arena, "%s\np%g",
                                            tr_metric_name(slo->objective[i].metric),
                                            100.0 * slo->objective[i].fraction));
    else
        tr_table_column(t, TR_RIGHT, group, "\nall");
    tr_table_column(t, TR_RIGHT, group, "\nspikes");
}

static void inside_cells(struct tr_table *t, const struct tr_slo *slo, const struct tr_outcome *o)
{
    char a[TR_SHOW];

    if (column_each(slo))
        for (int i = 0; i < slo->n; i++)
            tr_table_cell(t, "%s", tr_show_percent(a, tr_outcome_inside(o, i, slo->spikes_only)));
    else
        tr_table_cell(t, "%s", tr_show_percent(a, (double)o->inside_all / (double)o->offered));
    if (o->spike_offered > 0)
        tr_table_cell(t, "%s",
                      tr_show_percent(a, (double)o->spike_inside_all / (double)o->spike_offered));
    else
        tr_table_cell(t, "%s", ""); /* traffic without spikes: no column */
}

static void print_arrangements(struct tr_str *out, const struct tr_plan *plan)
{
    const struct tr_slo *slo = &plan->scenario->workload.slo;
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW], sample[TR_SHOW];
    bool rough = false;

    tr_table_column(&t, TR_RIGHT, NULL, "\n#");
    name_columns(&t, "\narrangement", "\nnode");
    tr_table_column(&t, TR_RIGHT, NULL, "KV tokens\nper pod");
    tr_table_column(&t, TR_RIGHT, NULL, "req/s\nper GPU");
    tr_table_column(&t, TR_RIGHT, NULL, "\nnodes");
    tr_table_column(&t, TR_RIGHT, NULL, "USD per\nmonth");
    inside_columns(&t, slo);
    tr_table_column(&t, TR_RIGHT, NULL, "GPUs\nsimulated");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = at(plan, i);
        if (!tr_candidate_ran(c))
            continue;
        rough = rough || c->capacity_seeds < TR_CAPACITY_SEEDS;
        print_rank(&t, c);
        print_name(&t, plan, c);
        print_kv(&t, c);
        tr_table_cell(&t, "%s%s", c->capacity_seeds < TR_CAPACITY_SEEDS ? "~" : "",
                      c->capacity_rps > 0.0 ? tr_show_num(a, c->capacity_rps) : "0");
        tr_table_cell(&t, "%s", c->nodes > 0 ? tr_units_show_count(a, c->nodes) : "-");
        tr_table_cell(&t, "%s", c->nodes > 0 ? tr_show_num(a, c->usd_per_month) : "-");
        inside_cells(&t, slo, &c->result.outcome);
        tr_table_cell(&t, "%s", tr_show_sample(sample, c));
        print_notes(&t, plan, c);
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nArrangements: what one GPU can take, and the smallest fleet for this "
                           "traffic\n");
    tr_table_end(&t, out);
    if (rough)
        tr_text_wrap(out, "  ~ ", 4,
                     "one short run; others are the median of five of 20,000 requests");
}

/* ---- latencies ------------------------------------------------------------------------------ */

static void print_quantiles(struct tr_table *t, const struct tr_hist *h, bool grows)
{
    static const double q[] = {0.50, 0.95, 0.99};
    char a[TR_SHOW];

    for (size_t i = 0; i < TR_LEN(q); i++)
        if (h->count == 0)
            tr_table_cell(t, "-");
        else
            tr_table_cell(t, "%s%s", tr_show_num(a, (double)tr_hist_quantile(h, q[i]) / 1e6),
                          grows ? "*" : "");
}

static bool any_prefix_hits(const struct tr_plan *plan)
{
    for (size_t i = 0; i < plan->n_candidates; i++)
        if (plan->candidates[i].result.fleet.prefix_hits_tok > 0)
            return true;
    return false;
}

static void latency_columns(struct tr_table *t, bool hits)
{
    static const char ttft[] = "TTFT, ms", tpot[] = "TPOT, ms", kv[] = "KV";

    tr_table_column(t, TR_RIGHT, NULL, "\n#");
    name_columns(t, "\narrangement", "\nnode");
    tr_table_column(t, TR_RIGHT, ttft, "\np50");
    tr_table_column(t, TR_RIGHT, ttft, "\np95");
    tr_table_column(t, TR_RIGHT, ttft, "\np99");
    tr_table_column(t, TR_RIGHT, tpot, "\np50");
    tr_table_column(t, TR_RIGHT, tpot, "\np95");
    tr_table_column(t, TR_RIGHT, tpot, "\np99");
    tr_table_column(t, TR_RIGHT, NULL, "\nlost");
    tr_table_column(t, TR_RIGHT, kv, "\nmean");
    tr_table_column(t, TR_RIGHT, kv, "\npeak");
    if (hits)
        tr_table_column(t, TR_RIGHT, NULL, "prefix\nhits");
    tr_table_column(t, TR_RIGHT, NULL, "GPU\nbusy");
    tr_table_column(t, TR_LEFT, NULL, "outside, %\nmost by");
}

/* "batch 55": what most, in per cent, of the requests outside have in common; --explain and JSON
 * have all. */
static void print_misses(struct tr_table *t, const struct tr_outcome *o)
{
    enum tr_cause top[2];

    if (tr_top_causes(o->missed, top) == 0)
        tr_table_cell(t, "%s", "");
    else
        tr_table_cell(t, "%s %.0f", tr_cause_name(top[0]),
                      100.0 * (double)o->missed[top[0]] / (double)(o->offered - o->inside_all));
}

static void print_latencies(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};
    bool any_grows = false, hits = any_prefix_hits(plan);

    latency_columns(&t, hits);
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = at(plan, i);
        const struct tr_outcome *o = &c->result.outcome;
        bool grows = c->label == TR_OVERLOADED;
        if (!tr_candidate_ran(c))
            continue;
        any_grows = any_grows || grows;
        print_rank(&t, c);
        print_name(&t, plan, c);
        print_quantiles(&t, &o->metric[TR_TTFT], grows);
        print_quantiles(&t, &o->metric[TR_TPOT], grows);
        tr_table_cell(&t, "%.2f",
                      100.0 * (double)(o->rejected + o->timed_out) / (double)o->offered);
        tr_table_cell(&t, "%.1f", 100.0 * c->result.fleet.kv_mean);
        tr_table_cell(&t, "%.1f", 100.0 * c->result.fleet.kv_max);
        const struct tr_fleet_stats *f = &c->result.fleet;
        if (hits)
            tr_table_cell(&t, "%.1f",
                          100.0 * (double)f->prefix_hits_tok /
                              (double)TR_MAX(f->prefix_queries_tok, 1));
        tr_table_cell(&t, "%.1f", 100.0 * f->busy_fraction);
        print_misses(&t, o);
    }
    if (t.n_cells > 0)
        tr_str_printf(out,
                      "\nThose fleets: latencies from the planned arrival on; lost (refused, "
                      "timed out), KV, %sGPU: %%\n",
                      hits ? "prefix hits, " : "");
    tr_table_end(&t, out);
    if (any_grows)
        tr_text_wrap(out, "  * ", 4,
                     "overloaded: requests came faster than they were served over the whole run, "
                     "so this figure grows with the length of the run");
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void print_refuted(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};

    name_columns(&t, "", "");
    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = at(plan, i);
        if (tr_candidate_ran(c))
            continue;
        print_name(&t, plan, c);
        tr_table_cell(&t, "%s", tr_gate_name(c->gate));
        tr_table_cell(&t, "%s", *c->why ? c->why : c->cause);
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nNot simulated, or no fleet found, and why\n");
    tr_table_end(&t, out);
}

static void print_causes(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};

    name_columns(&t, "", "");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = at(plan, i);
        if (!tr_candidate_ran(c) || !*c->cause)
            continue;
        print_name(&t, plan, c);
        tr_table_cell(&t, "%s", c->cause);
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nWhy not the others\n");
    tr_table_end(&t, out);
}

static void print_warnings(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};

    name_columns(&t, "", "");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = at(plan, i);
        if (!tr_candidate_ran(c) || !*c->warning)
            continue;
        print_name(&t, plan, c);
        tr_table_cell(&t, "%s", c->warning);
    }
    if (t.n_cells > 0)
        tr_str_printf(out, "\nWarnings\n");
    tr_table_end(&t, out);
}

static void print_rules(struct tr_str *out, const struct tr_plan *plan)
{
    if (plan->n_rules > 0)
        tr_str_printf(out, "\nRules of thumb, and the figure that decides each\n");
    for (int i = 0; i < plan->n_rules; i++) {
        const struct tr_rule *r = &plan->rules[i];
        struct tr_str text = {0};
        tr_str_printf(&text, "%s -> %s (%s)", r->condition, r->advice, r->figure);
        tr_text_wrap(out, r->met ? "  met" : "  not met", 11, text.text);
        tr_str_free(&text);
    }
}

static void print_next(struct tr_str *out, const struct tr_plan *plan, bool explain)
{
    const char *path =
        strcmp(plan->scenario->path, "-") == 0 ? "SCENARIO.yaml" : plan->scenario->path;
    char name[128];

    tr_str_printf(out, "\nNext\n");
    if (plan->opts.quick)
        tr_str_printf(out, "  tranche plan %s  # the full runs; this was --quick\n", path);
    if (!explain)
        tr_str_printf(out, "  tranche plan %s --explain  # the arithmetic behind each figure\n",
                      path);
    if (plan->pick >= 0 && plan->candidates[plan->pick].nodes > 0) {
        const struct tr_candidate *c = &plan->candidates[plan->pick];
        tr_str_printf(out, "  tranche simulate %s --arrangement '%s' --nodes %d\n", path,
                      tr_show_candidate(name, c), c->nodes);
    }
    tr_str_printf(out, "  tranche check %s  # what physics allows\n", path);
}

static void print_verdict(struct tr_str *out, const struct tr_plan *plan, bool explain)
{
    tr_str_printf(out, "\nVerdict%s\n", plan->interrupted ? " of what was finished" : "");
    for (int i = 0; i < plan->n_lines; i++)
        tr_text_wrap(out, "  ", 2, plan->lines[i]);
    tr_report_flips(out, plan);
    print_rules(out, plan);
    print_causes(out, plan);
    print_warnings(out, plan);
    if (plan->n_not_modelled > 0)
        tr_str_printf(out, "\nNot modelled\n");
    for (int i = 0; i < plan->n_not_modelled; i++)
        tr_text_wrap(out, "  - ", 4, plan->not_modelled[i]);
    print_next(out, plan, explain);
}

void tr_report_plan_table(struct tr_str *out, const struct tr_plan *plan, bool explain)
{
    if (plan->interrupted)
        tr_str_printf(out, "INTERRUPTED: what was finished until then\n\n");
    tr_report_head(out, plan->scenario, &plan->stats, &plan->lengths, plan->spikes.peak_rate);
    print_physics(out, plan);
    print_arrangements(out, plan);
    print_latencies(out, plan);
    tr_report_bills(out, plan);
    tr_report_autoscale(out, plan);
    tr_report_front(out, plan);
    print_refuted(out, plan);
    tr_report_victims(out, plan);
    tr_report_draws(out, plan);
    if (explain)
        tr_report_explain(out, plan);
    print_verdict(out, plan, explain);
}
