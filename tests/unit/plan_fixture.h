/* Scenarios from a few texts, and their plans: the tests of plan change one input at a time. */
#ifndef TEST_PLAN_FIXTURE_H
#define TEST_PLAN_FIXTURE_H

#include "plan/plan.h"

#include <stdlib.h>

#define A100 "azure/Standard_NC24ads_A100_v4"

/* NULL: what scenario_text says. */
struct recipe {
    const char *node, *nodes, *model, *precision, *engine, *traffic, *slo;
    const char *workload; /* further lines of the workload, each indented by four */
    const char *top;      /* further top-level lines */
    const char *compare;
};

static inline const char *or_else(const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

/* 1,200 prompt and 200 output tokens at 1/s for ten minutes on A100s; TTFT p95 of 0.5 s. */
static inline char *scenario_text(const struct recipe *r)
{
    struct tr_str s = {0};
    tr_str_printf(&s, "name: test\ncluster: {node: %s, nodes: %s}\n", or_else(r->node, A100),
                  or_else(r->nodes, "{min: 1, max: 40}"));
    tr_str_printf(&s, "workloads:\n  - name: chat\n    model: %s\n    precision: %s\n",
                  or_else(r->model, "llama-3.1-8b"), or_else(r->precision, "bf16"));
    tr_str_printf(&s, "    engine: %s\n%s", or_else(r->engine, "{max_model_len: 4096}"),
                  or_else(r->workload, ""));
    tr_str_printf(
        &s, "    traffic: %s\n    slo: %s\n",
        or_else(r->traffic, "{rate: 1/s, duration: 10m, prompt_tokens: 1200, output_tokens: 200}"),
        or_else(r->slo, "{ttft_p95: 500ms}"));
    tr_str_printf(&s, "%scompare: %s\n", or_else(r->top, ""), or_else(r->compare, "auto"));
    return s.text;
}

static inline struct tr_scenario *scenario_of(const struct recipe *r)
{
    struct tr_scenario *s;
    struct tr_err err = {0};
    char *text = scenario_text(r);
    if (tr_scenario_parse("test.yaml", text, strlen(text), NULL, &s, &err) != 0)
        fail_msg("%s\n%s", err.text, text);
    free(text);
    return s;
}

/* A plan with its scenario, freed by plan_free. */
static inline struct tr_plan *plan_with(const struct recipe *r, const struct tr_plan_opts *opts)
{
    struct tr_plan *plan;
    struct tr_err err = {0};
    if (tr_plan_run(scenario_of(r), opts, &plan, &err) != 0)
        fail_msg("%s", err.text);
    return plan;
}

static inline struct tr_plan *plan_of(const struct recipe *r)
{
    return plan_with(r, &(struct tr_plan_opts){.quick = true, .jobs = 2});
}

static inline void plan_free(struct tr_plan *plan)
{
    struct tr_scenario *s = (struct tr_scenario *)plan->scenario;
    tr_plan_free(plan);
    tr_scenario_free(s);
}

/* What tr_plan_run says to a scenario that cannot be planned. */
static inline void assert_refused(const struct recipe *r, const char *message)
{
    struct tr_plan *plan;
    struct tr_err err = {0};
    struct tr_scenario *s = scenario_of(r);
    assert_int_equal(tr_plan_run(s, &(struct tr_plan_opts){.quick = true}, &plan, &err), TR_EINPUT);
    assert_null(plan);
    assert_string_equal(err.text, message);
    tr_scenario_free(s);
}

/* "timeslice:4 int4": the candidate on the first node type. */
static inline const struct tr_candidate *of(const struct tr_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_candidates; i++) {
        const struct tr_candidate *c = &plan->candidates[i];
        size_t len = strlen(c->arrangement.text);
        if (strncmp(name, c->arrangement.text, len) == 0 && name[len] == ' ' &&
            strcmp(name + len + 1, c->precision->name) == 0)
            return c;
    }
    fail_msg("there is no candidate %s", name);
    abort();
}

/* "whole bf16 on azure/..." -> the pick as text, "" if there is none; overwritten by the next. */
static inline const char *ranked_text(const struct tr_plan *plan, int index)
{
    static char text[2][200];
    static int turn;
    turn = !turn;
    *text[turn] = '\0';
    if (index >= 0) {
        const struct tr_candidate *c = &plan->candidates[index];
        snprintf(text[turn], sizeof text[turn], "%s %s", c->arrangement.text, c->precision->name);
    }
    return text[turn];
}

static inline void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static inline void assert_near(double value, double expected, double relative)
{
    if (!(value >= expected * (1 - relative) && value <= expected * (1 + relative)))
        fail_msg("%.6g is not %.6g within %.1f %%", value, expected, 100 * relative);
}

/* Some line of the verdict has this in it. */
static inline void assert_says(const struct tr_plan *plan, const char *part)
{
    for (int i = 0; i < plan->n_lines; i++)
        if (strstr(plan->lines[i], part) != NULL)
            return;
    for (int i = 0; i < plan->n_lines; i++)
        print_message("%s\n", plan->lines[i]);
    fail_msg("no line of the verdict has \"%s\"", part);
}

static inline const struct tr_rule *rule_of(const struct tr_plan *plan, const char *condition)
{
    for (int i = 0; i < plan->n_rules; i++)
        if (strstr(plan->rules[i].condition, condition) != NULL)
            return &plan->rules[i];
    fail_msg("there is no rule \"%s\"", condition);
    abort();
}

#endif
