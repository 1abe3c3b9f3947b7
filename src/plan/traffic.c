/* The traffic of a scenario as it is run: capacity-relative rates become rates. */
#include "plan/plan.h"

static int refuse_relative(const struct tr_scenario *s, struct tr_err *err, const char *why)
{
    return tr_err_set(err, TR_EINPUT,
                      "%s: traffic relative to the capacity of 'whole' has no meaning, as that is "
                      "none: %s",
                      s->path, why);
}

/* What `whole` at the preferred precision carries on one GPU of the first node type. */
static int capacity_of_whole(const struct tr_evaluation *ev, struct tr_arena *arena,
                             const struct tr_lengths *lengths, double *capacity, struct tr_err *err)
{
    const struct tr_scenario *s = ev->scenario;
    struct tr_arrangement whole;
    const struct tr_precision *none;
    struct tr_candidate *c = TR_ARENA_NEW(arena, struct tr_candidate, 1);
    int rc = tr_arrangement_parse("whole", s->nodes[0]->gpu, s->catalog, &whole, &none, err);
    if (rc < 0)
        return rc;
    tr_candidate_build(c, arena, s, s->nodes[0], &whole, s->workload.precisions[0], 0);
    tr_candidate_bound(c, &s->workload, lengths);
    if (c->gate != TR_GATE_OK)
        return refuse_relative(s, err, c->why);
    rc = tr_evaluate_capacity(c, ev, err);
    if (rc == TR_OK && c->capacity_rps <= 0)
        rc = refuse_relative(s, err, "it misses the objective at any rate");
    *capacity = c->capacity_rps;
    return rc;
}

int tr_plan_traffic(const struct tr_scenario *s, const struct tr_plan_opts *opts,
                    _Atomic int64_t *simulated, struct tr_traffic_spec *out, double *capacity,
                    struct tr_err *err)
{
    struct tr_evaluation ev = {.scenario = s,
                               .opts = opts,
                               .effort = opts->quick ? tr_effort_quick : tr_effort_exact,
                               .simulated = simulated};
    struct tr_arena arena = {0};
    struct tr_lengths lengths;
    struct tr_trace_info info;
    *out = s->workload.traffic;
    *capacity = 0;
    if (!out->capacity_relative)
        return TR_OK;
    int rc = tr_source_open(out, opts->seed, &ev.source, &info, err);
    if (rc < 0)
        return rc;
    tr_lengths_measure(&lengths, &arena, ev.source, tr_workload_model_len(&s->workload));
    rc = capacity_of_whole(&ev, &arena, &lengths, capacity, err);
    if (rc == TR_OK) {
        out->rate_scale *= *capacity / out->relative_to;
        out->capacity_relative = false;
    }
    tr_source_close(ev.source);
    tr_arena_free(&arena);
    return rc;
}

int tr_plan_traffic_decides(const struct tr_scenario *s, const struct tr_spikes *spikes,
                            struct tr_err *err)
{
    if (spikes->requests == 0)
        return tr_err_set(err, TR_EINPUT, "%s: the traffic holds no requests", s->path);
    if (s->workload.slo.spikes_only && spikes->in_spike == 0)
        return tr_err_set(err, TR_EINPUT,
                          "%s: slo.window: spikes leaves no request to decide: the busiest minute "
                          "(%.3g/s) is not above three times the median one (%.3g/s)",
                          s->path, spikes->peak_rate, spikes->median_rate);
    return TR_OK;
}
