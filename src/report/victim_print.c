/* report, plan: what a neighbour does to a pod, as a table and as JSON. */
#include "plan/pools.h"
#include "report/report.h"

#include <math.h>

static const char *const states[TR_N_NEIGHBOURS] = {"idle", "bursts", "saturates"};

static void print_answer(struct tr_table *t, const struct tr_victim_answer *a)
{
    char text[TR_SHOW];

    if (a->p50_ns < 0) {
        tr_table_cell(t, "-");
        tr_table_cell(t, "-");
    } else {
        tr_table_cell(t, "%s", tr_show_num(text, (double)a->p50_ns / 1e6));
        tr_table_cell(t, "%s", tr_show_num(text, (double)a->p95_ns / 1e6));
    }
    tr_table_cell(t, "%s", tr_show_percent(text, a->inside));
}

static const char *suffix(const struct tr_victim *v, const struct tr_candidate *c)
{
    if (!v->one_engine)
        return "";
    if (v->priority)
        return ", priority";
    return c->arrangement.one_engine ? "" : ", one engine";
}

/* A server's answer is one token: the two are the same. */
static const char *metric_of(const struct tr_plan *plan)
{
    return tr_metric_name(plan->scenario->workload.server ? TR_E2E : TR_TTFT);
}

/* The command with which two tenants' pods show it on the user's own card: of the first arrangement
 * that couples them. */
static void print_command(struct tr_str *out, const struct tr_plan *plan)
{
    const char *path =
        strcmp(plan->scenario->path, "-") == 0 ? "SCENARIO.yaml" : plan->scenario->path;
    char name[128], idle[TR_SHOW], beside[TR_SHOW], rate[TR_SHOW];

    for (int i = 0; i < plan->n_victims; i++) {
        const struct tr_victim *v = &plan->victims[i];
        const struct tr_candidate *c = &plan->candidates[v->candidate];
        const struct tr_victim_answer *full = &v->at[TR_NEIGHBOUR_SATURATES];
        struct tr_str text = {0};
        if (v->one_engine || !v->coupled || full->p95_ns < 0)
            continue;
        tr_str_printf(&text,
                      "Ten minutes confirm it on two pods of %s: B is kept full while A gets its "
                      "%s requests/s; p95 of A's %s goes from %s ms with all others idle to at "
                      "most %s ms.",
                      tr_show_candidate(name, c), tr_show_num(rate, v->rate), metric_of(plan),
                      tr_show_num(idle, (double)v->at[TR_NEIGHBOUR_IDLE].p95_ns / 1e6),
                      tr_show_num(beside, (double)full->p95_ns / 1e6));
        tr_text_wrap(out, "  ", 2, text.text);
        tr_str_free(&text);
        tr_str_printf(out,
                      "  tranche bench --url http://POD-B:8000 %s \\\n"
                      "    --request-rate inf --max-concurrency %d &\n"
                      "  tranche bench --url http://POD-A:8000 %s \\\n"
                      "    --request-rate %s --num-prompts %.0f; kill %%1\n",
                      path, c->engine[0].max_num_seqs + 64, path, rate, ceil(600 * v->rate));
        return;
    }
}

static void answer_columns(struct tr_table *t)
{
    static const char *const groups[TR_N_NEIGHBOURS] = {"neighbours idle", "they burst",
                                                        "they saturate"};

    tr_table_column(t, TR_RIGHT, NULL, "req/s");
    for (int k = 0; k < TR_N_NEIGHBOURS; k++) {
        tr_table_column(t, TR_RIGHT, groups[k], "p50");
        tr_table_column(t, TR_RIGHT, groups[k], "p95");
        tr_table_column(t, TR_RIGHT, groups[k], "SLO, %");
    }
}

static void answer_cells(struct tr_table *t, double rate, const struct tr_victim_answer *at)
{
    char a[TR_SHOW];

    tr_table_cell(t, "%s", tr_show_num(a, rate));
    for (int k = 0; k < TR_N_NEIGHBOURS; k++)
        print_answer(t, &at[k]);
}

static void explain_rate(struct tr_str *out)
{
    tr_text_wrap(out, "  req/s: ", 9,
                 "the pod's mean rate, or what keeps it busy a tenth of the time if that is more");
}

void tr_report_victims(struct tr_str *out, const struct tr_plan *plan)
{
    struct tr_table t = {.indent = 2};
    char a[TR_SHOW];

    if (plan->n_victims == 0)
        return;
    tr_table_column(&t, TR_LEFT, NULL, "arrangement");
    tr_table_column(&t, TR_LEFT, NULL, "");
    tr_table_column(&t, TR_LEFT, NULL, plan->scenario->n_nodes > 1 ? "node" : "");
    answer_columns(&t);
    for (int i = 0; i < plan->n_victims; i++) {
        const struct tr_victim *v = &plan->victims[i];
        const struct tr_candidate *c = &plan->candidates[v->candidate];
        tr_table_cell(&t, "%s%s", c->arrangement.text, suffix(v, c));
        tr_table_cell(&t, "%s", c->precision->name);
        tr_table_cell(&t, "%s", tr_show_node_letter(a, plan->scenario, c->node));
        answer_cells(&t, v->rate, v->at);
    }
    tr_str_printf(out, "\nWhat a neighbour does to a pod: its %s, ms\n", metric_of(plan));
    tr_table_end(&t, out);
    explain_rate(out);
    print_command(out, plan);
}

/* What became of a way, in the table of a guaranteed workload. */
static const char *fate_of(const struct tr_pool_victim *v)
{
    if (v->first_come)
        return "";
    if (v->number >= 0)
        return "picked";
    if (v->way->meets)
        return "would do";
    return v->way->breaks >= 0 ? "breaks it" : "refused";
}

/* ", priority" where an engine serves several by it; ", first come" where it does not. */
static const char *order_of(const struct tr_pool_victim *v)
{
    for (int i = 0; i < v->way->stand.layout.arrangement.n_pods; i++)
        if ((v->way->stand.serves[i] >> v->workload & 1U) &&
            v->way->stand.seat[i]->pod.engine[0].priority)
            return v->first_come ? ", first come" : ", priority";
    return "";
}

static int pods_of(const struct tr_pool_victim *v)
{
    int pods = 0;

    for (int i = 0; i < v->way->stand.layout.arrangement.n_pods; i++)
        pods += (int)(v->way->stand.serves[i] >> v->workload & 1);
    return pods;
}

/* A guaranteed workload in every way that was tried. */
static void print_ways(struct tr_str *out, const struct tr_pools *p, int workload)
{
    const struct tr_workload *w = &p->member[workload].view.workload;
    struct tr_table t = {.indent = 2};

    tr_table_column(&t, TR_LEFT, NULL, "arrangement");
    tr_table_column(&t, TR_RIGHT, NULL, "nodes");
    tr_table_column(&t, TR_RIGHT, NULL, "pods");
    answer_columns(&t);
    tr_table_column(&t, TR_LEFT, NULL, "");
    for (size_t i = 0; i < p->n_victims; i++) {
        const struct tr_pool_victim *v = &p->victims[i];
        if (v->workload != workload)
            continue;
        tr_table_cell(&t, "%s%s", v->way->stand.layout.arrangement.text, order_of(v));
        tr_table_cell(&t, "%d", v->way->nodes);
        tr_table_cell(&t, "%d", pods_of(v));
        answer_cells(&t, v->rate, v->at);
        tr_table_cell(&t, "%s", fate_of(v));
    }
    if (t.n_cells > 0)
        tr_str_printf(out,
                      "\n%s is guaranteed: its time to the first token, ms, in each way of sharing "
                      "that was tried\n",
                      w->name);
    tr_table_end(&t, out);
    for (size_t i = 0; i < p->n_victims; i++) {
        const struct tr_pool_victim *v = &p->victims[i];
        struct tr_str text = {0};
        if (v->workload != workload || v->first_come || v->way->meets)
            continue;
        tr_str_printf(&text, "%s%s: %s.", v->way->stand.layout.arrangement.text, order_of(v),
                      v->way->why);
        tr_text_wrap(out, "  ", 4, text.text);
        tr_str_free(&text);
    }
}

/* Of the workloads in shared pools. */
void tr_report_pool_victims(struct tr_str *out, const struct tr_pools *p)
{
    struct tr_table t = {.indent = 2};
    bool shared = false;

    for (int i = 0; i < p->n; i++)
        if (p->member[i].view.workload.guaranteed)
            print_ways(out, p, i);
    for (size_t i = 0; i < p->n_victims; i++)
        shared = shared || p->victims[i].number >= 0;
    if (!shared)
        return;
    tr_table_column(&t, TR_RIGHT, NULL, "#");
    tr_table_column(&t, TR_LEFT, NULL, "workload");
    answer_columns(&t);
    for (size_t i = 0; i < p->n_victims; i++) {
        const struct tr_pool_victim *v = &p->victims[i];
        if (v->number < 0)
            continue;
        tr_table_cell(&t, "%d", v->number + 1);
        tr_table_cell(&t, "%s", p->member[v->workload].view.workload.name);
        answer_cells(&t, v->rate, v->at);
    }
    tr_str_printf(out, "\nWhat its neighbours do to a pod of a shared pool: its time to the first "
                       "token, ms\n");
    tr_table_end(&t, out);
    explain_rate(out);
}

static void json_answers(struct tr_json *j, const struct tr_victim_answer *at)
{
    for (int k = 0; k < TR_N_NEIGHBOURS; k++) {
        const struct tr_victim_answer *a = &at[k];
        tr_json_begin(j, states[k], '{');
        tr_json_int(j, "requests", a->requests);
        tr_json_num(j, "ttft_p50_s", a->p50_ns < 0 ? (double)NAN : (double)a->p50_ns / 1e9);
        tr_json_num(j, "ttft_p95_s", a->p95_ns < 0 ? (double)NAN : (double)a->p95_ns / 1e9);
        tr_json_num(j, "inside_all_share", a->inside);
        tr_json_num(j, "lost_share", a->lost);
        tr_json_end(j);
    }
}

void tr_report_json_pool_victims(struct tr_json *j, const struct tr_pools *p)
{
    tr_json_begin(j, "neighbours", '[');
    for (size_t i = 0; i < p->n_victims; i++) {
        const struct tr_pool_victim *v = &p->victims[i];
        tr_json_begin(j, NULL, '{');
        if (v->number < 0)
            tr_json_null(j, "pool");
        else
            tr_json_int(j, "pool", v->number);
        tr_json_text(j, "arrangement", v->way->stand.layout.arrangement.text);
        tr_json_int(j, "nodes", v->way->nodes);
        tr_json_bool(j, "first_come_first_served", v->first_come);
        tr_json_bool(j, "meets", v->way->meets && !v->first_come);
        tr_json_text(j, "why_not", v->way->meets || v->first_come ? NULL : v->way->why);
        tr_json_text(j, "workload", p->member[v->workload].view.workload.name);
        tr_json_bool(j, "coupled", v->coupled);
        tr_json_num(j, "victim_rate_per_s", v->rate);
        json_answers(j, v->at);
        tr_json_end(j);
    }
    tr_json_end(j);
}

void tr_report_json_victims(struct tr_json *j, const struct tr_plan *plan)
{
    tr_json_begin(j, "neighbours", '[');
    for (int i = 0; i < plan->n_victims; i++) {
        const struct tr_victim *v = &plan->victims[i];
        tr_json_begin(j, NULL, '{');
        tr_json_int(j, "candidate", v->candidate);
        tr_json_text(j, "neighbours_are", v->one_engine ? "tenants" : v->coupled ? "pods" : "none");
        tr_json_bool(j, "victim_first", v->priority);
        tr_json_num(j, "victim_rate_per_s", v->rate);
        json_answers(j, v->at);
        tr_json_end(j);
    }
    tr_json_end(j);
}
