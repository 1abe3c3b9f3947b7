/* simulate: one arrangement on the scenario's traffic, and the trace of its events. */
#include "plan/plan.h"

#include <stdlib.h>

/* ---- trace --------------------------------------------------------------------------------------
 */

/* Devices are brought forward one after the other, so that events arrive in order of time within a
 * device only. They are held back until everything before an arrival is known. */
struct line {
    int64_t time_ns;
    size_t seq;
    char text[120];
};

struct tracer {
    const struct tr_simulate_opts *opts;
    struct line *lines;
    size_t n, cap, seq;
};

static int in_time_order(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->seq < y->seq ? -1 : 1;
}

static void trace_flush(struct tracer *t)
{
    if (t->n == 0)
        return;
    qsort(t->lines, t->n, sizeof *t->lines, in_time_order);
    for (size_t i = 0; i < t->n; i++)
        t->opts->trace(t->opts->trace_arg, t->lines[i].text);
    t->n = 0;
}

static void on_event(void *arg, const struct tr_trace_event *e)
{
    struct tracer *t = arg;
    if (strcmp(e->what, "arrive") == 0)
        trace_flush(t);
    tr_grow(&t->lines, &t->cap, t->n + 1, sizeof *t->lines);
    struct line *l = &t->lines[t->n++];
    *l = (struct line){.time_ns = e->time_ns, .seq = t->seq++};
    int len = snprintf(l->text, sizeof l->text, "%" PRId64 ".%09" PRId64 " %-8s pod=%d",
                       e->time_ns / TR_NS_PER_S, e->time_ns % TR_NS_PER_S, e->what, e->pod);
    size_t left = sizeof l->text - (size_t)len;
    char *end = l->text + len;
    if (e->step != NULL)
        snprintf(end, left,
                 " tokens=%d decodes=%d chunks=%d context_tok=%" PRId64 " ps=%" PRId64 "\n",
                 e->step->tokens, e->step->decodes, e->step->chunks, e->step->context_tok,
                 e->step->duration_ps);
    else
        snprintf(end, left, " id=%" PRId64 "\n", e->id);
}

/* ---- the run
 * -------------------------------------------------------------------------------------- */

struct watch {
    const struct tr_progress *progress;
    int64_t expected, done;
};

static void on_record(void *arg, const struct tr_record *r)
{
    struct watch *w = arg;
    (void)r;
    if (++w->done % 65536 != 0 || w->progress->report == NULL)
        return;
    w->progress->report(w->progress->arg, "simulating",
                        (double)w->done / (double)TR_MAX(w->expected, 1));
}

static int build(struct tr_simulation *sim, struct tr_err *err)
{
    const struct tr_scenario *s = sim->scenario;
    const struct tr_precision *precision = NULL;
    struct tr_arrangement a;
    int order = 0;
    const char *text = sim->opts.arrangement != NULL ? sim->opts.arrangement : "whole";
    int rc = tr_arrangement_parse(text, s->nodes[0]->gpu, s->catalog, &a, &precision, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < s->workload.n_precisions; i++)
        if (precision == s->workload.precisions[i])
            order = (int)i;
    if (precision == NULL)
        precision = s->workload.precisions[0];
    tr_candidate_build(&sim->candidate, &sim->arena, s, s->nodes[0], &a, precision, order);
    if (sim->candidate.gate != TR_GATE_OK)
        return tr_err_set(err, TR_EINPUT, "%s %s on %s: %s", a.text, precision->name,
                          s->nodes[0]->gpu->name, sim->candidate.why);
    return TR_OK;
}

/* Nodes that come and go as the scenario says; without a target for the replicas they do not. */
static void scale(struct tr_simulation *sim, struct tr_scaling *scaling,
                  struct tr_fleet_config *fleet)
{
    const struct tr_scenario *s = sim->scenario;
    sim->scaled = s->autoscale && s->workload.hpa.target > 0 && sim->opts.nodes == 0 &&
                  tr_candidate_router(&sim->candidate, &s->workload) != TR_ROUTE_TENANT;
    if (!sim->scaled)
        return;
    sim->policy.policy = (struct tr_policy){s->nodes_min, s->nodes_max, s->workload.hpa.target,
                                            s->autoscaler.unneeded_ns};
    tr_policy_scaling(&sim->candidate, s, &sim->policy.policy, scaling);
    *fleet = tr_candidate_fleet(&sim->candidate, &s->workload, sim->candidate.node->gpus,
                                sim->opts.seed);
    fleet->scaling = scaling;
    fleet->resource = tr_candidate_resource(&sim->candidate);
}

static int run(struct tr_simulation *sim, struct tr_source *src, struct tr_err *err)
{
    const struct tr_scenario *s = sim->scenario;
    struct tr_spikes spikes;
    struct tr_lengths lengths;
    struct tracer tracer = {.opts = &sim->opts};
    tr_traffic_measure(src, &sim->stats);
    tr_spikes_find(&spikes, src);
    tr_lengths_measure(&lengths, &sim->arena, src, tr_workload_model_len(&s->workload));
    tr_candidate_bound(&sim->candidate, &s->workload, &lengths);
    int rc = tr_plan_traffic_decides(s, &spikes, err);
    if (rc < 0) {
        tr_spikes_free(&spikes);
        return rc;
    }
    struct watch watch = {.progress = &sim->opts.progress, .expected = spikes.requests};
    struct tr_sim_config cfg = {
        .fleet = tr_candidate_fleet(&sim->candidate, &s->workload,
                                    sim->nodes * sim->candidate.node->gpus, sim->opts.seed),
        .slo = &s->workload.slo,
        .spikes = &spikes,
        .expected = spikes.requests,
        .stop = sim->opts.progress.stop,
        .on_record = on_record,
        .on_record_arg = &watch,
        .trace = sim->opts.trace != NULL ? on_event : NULL,
        .trace_arg = &tracer,
    };
    struct tr_scaling scaling;
    scale(sim, &scaling, &cfg.fleet);
    rc = tr_sim_run(&cfg, src, &sim->result, err);
    if (sim->scaled) {
        tr_policy_read(&sim->policy, &sim->candidate, s, &spikes, &sim->result);
        sim->nodes = sim->policy.nodes_max;
    }
    trace_flush(&tracer);
    free(tracer.lines);
    sim->label = tr_outcome_label(&sim->result.outcome);
    tr_spikes_free(&spikes);
    return rc;
}

int tr_simulate_run(const struct tr_scenario *scenario, const struct tr_simulate_opts *opts,
                    struct tr_simulation **out, struct tr_err *err)
{
    *out = NULL;
    if (scenario->n_workloads == 0)
        return tr_err_set(err, TR_EINPUT, "%s: has no workloads to simulate", scenario->path);
    if (scenario->n_workloads > 1)
        return tr_err_set(err, TR_EINPUT, "%s: has %zu workloads; name one with --workload",
                          scenario->path, scenario->n_workloads);
    struct tr_simulation *sim = tr_calloc(1, sizeof *sim);
    struct tr_source *src = NULL;
    struct tr_trace_info info;
    struct tr_plan_opts plan = {.seed = opts->seed, .progress = opts->progress};
    struct tr_traffic_spec traffic;
    double capacity;
    sim->scenario = scenario;
    sim->opts = *opts;
    sim->nodes = opts->nodes > 0 ? opts->nodes : TR_MAX(scenario->nodes_min, 1);
    int rc = build(sim, err);
    if (rc == TR_OK)
        rc = tr_plan_traffic(scenario, &plan, NULL, &traffic, &capacity, err);
    if (opts->max_requests > 0)
        traffic.max_requests = opts->max_requests;
    if (rc == TR_OK)
        rc = tr_source_open(&traffic, opts->seed, &src, &info, err);
    if (rc == TR_OK)
        rc = run(sim, src, err);
    tr_source_close(src);
    if (rc == TR_OK || rc == TR_EINTR)
        *out = sim;
    else
        tr_simulation_free(sim);
    return rc;
}

void tr_simulation_free(struct tr_simulation *s)
{
    if (s == NULL)
        return;
    tr_sim_result_free(&s->result);
    tr_arena_free(&s->arena);
    free(s);
}

int tr_simulation_exit(const struct tr_simulation *s)
{
    return s->result.meets ? 0 : TR_EXIT_NO;
}
