/* report, explain: the arithmetic behind every figure of a plan, one paragraph a candidate. */
#include "report/report.h"

#define LEAD 14

static void explain_capacity(struct tr_str *out, const struct tr_candidate *c)
{
    struct tr_str text = {0};
    char a[TR_SHOW], b[TR_SHOW], d[TR_SHOW], count[32];

    if (c->capacity_seeds == 0)
        return;
    tr_str_printf(&text, "%s requests/s of constant Poisson traffic on one GPU",
                  tr_show_num(a, c->capacity_rps));
    if (c->capacity_seeds > 1)
        tr_str_printf(&text, ": the median of %d seeds, %s to %s", c->capacity_seeds,
                      tr_show_num(b, c->capacity_lo), tr_show_num(d, c->capacity_hi));
    else
        tr_str_printf(&text, ": one seed, runs of %s requests",
                      tr_units_show_count(count, c->capacity_requests));
    tr_text_wrap(out, "  capacity", LEAD, text.text);
    tr_str_free(&text);
}

/* What kept the largest fleet that is too small from meeting the objective. */
static void explain_smaller(struct tr_str *text, const struct tr_candidate *c)
{
    char num[32];
    const char *separator = " (misses by cause: ";

    if (c->fail_nodes == 0)
        return;
    tr_str_printf(text, "%s%d %s not enough", text->len ? "; " : "", c->fail_nodes,
                  c->fail_nodes == 1 ? "is" : "are");
    for (int i = 0; i < TR_N_CAUSES; i++)
        if (c->fail_missed[i] > 0) {
            tr_str_printf(text, "%s%s %s", separator, tr_cause_name((enum tr_cause)i),
                          tr_units_show_count(num, c->fail_missed[i]));
            separator = ", ";
        }
    if (*separator == ',')
        tr_str_add(text, ")", 1);
}

static void explain_fleet(struct tr_str *out, const struct tr_candidate *c)
{
    struct tr_str text = {0};
    char num[TR_SHOW], sample[TR_SHOW];

    if (c->nodes > 0) {
        tr_str_printf(&text, "%d %s, %d GPUs, %s USD a month", c->nodes,
                      c->nodes == 1 ? "node" : "nodes", c->nodes * c->node->gpus,
                      tr_show_num(num, c->usd_per_month));
        if (*tr_show_sample(sample, c))
            tr_str_printf(&text, "; %s GPUs simulated", sample);
    }
    explain_smaller(&text, c);
    if (text.len > 0)
        tr_text_wrap(out, "  fleet", LEAD, text.text);
    tr_str_free(&text);
}

static void explain_inside(struct tr_str *out, const struct tr_outcome *o, const struct tr_slo *slo)
{
    struct tr_str text = {0};
    char a[64], share[TR_SHOW];

    for (int i = 0; i < slo->n; i++) {
        tr_str_printf(&text, "%s%s: %s %%", i ? "; " : "", tr_show_objective(a, &slo->objective[i]),
                      tr_show_percent(share, tr_outcome_inside(o, i, false)));
        if (o->spike_offered > 0)
            tr_str_printf(&text, ", %s %% inside spikes",
                          tr_show_percent(share, tr_outcome_inside(o, i, true)));
    }
    tr_text_wrap(out, "  inside", LEAD, text.text ? text.text : "no objective");
    tr_str_free(&text);
}

static void explain_gate(struct tr_str *out, const struct tr_candidate *c)
{
    struct tr_str text = {0};

    tr_str_printf(&text, "%s: %s", tr_gate_name(c->gate), c->why);
    tr_text_wrap(out, "  refuted", LEAD, text.text);
    tr_str_free(&text);
}

void tr_report_explain(struct tr_str *out, const struct tr_plan *plan)
{
    tr_str_printf(out, "\nExplained, one by one\n");
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[plan->order[i]];
        char name[128];

        tr_str_printf(out, "\n%s on %s\n", tr_show_candidate(name, c), c->node->name);
        if (c->gate != TR_GATE_OK)
            explain_gate(out, c);
        tr_report_memory(out, c);
        tr_report_ceiling(out, c);
        tr_report_idle(out, c, &plan->scenario->workload.slo);
        explain_capacity(out, c);
        explain_fleet(out, c);
        if (tr_candidate_ran(c)) {
            explain_inside(out, &c->result.outcome, &plan->scenario->workload.slo);
            tr_report_run(out, &c->result);
        }
    }
}
