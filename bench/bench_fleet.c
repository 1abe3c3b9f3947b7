/* What fleets cost to simulate. A day of the AKS chatbot case with autoscaling, against a fixed
 * fleet of the most nodes that it came to; and requests against the size of the fleet: 5, 50 and
 * 500 nodes of ten pods, as many requests a node, fixed and elastic between half of them and all.
 */
#include "bench.h"
#include "plan/plan.h"

#define RATE      6 /* requests/s a node */
#define SECONDS   200
#define DAY_NODES 40

#define SCENARIO(max_model_len)                                                                    \
    "cluster: {node: azure/Standard_NC24ads_A100_v4}\n"                                            \
    "workloads:\n"                                                                                 \
    "  - model: llama-3.1-8b\n"                                                                    \
    "    precision: [bf16, int4]\n"                                                                \
    "    engine: {max_model_len: " max_model_len "}\n"                                             \
    "    client: {timeout: 60s}\n"                                                                 \
    "    traffic: {profile: aks-chatbot}\n"                                                        \
    "    slo: {ttft_p95: 500ms}\n"

struct bench_case {
    struct tr_scenario *s;
    struct tr_candidate c;
    struct tr_arena arena;
};

static int build(struct bench_case *b, const char *scenario, const char *text, struct tr_err *err)
{
    struct tr_scenario *s = NULL;
    const struct tr_precision *precision = NULL;
    struct tr_arrangement a;
    int rc = tr_scenario_parse("bench", scenario, strlen(scenario), NULL, &s, err);
    b->s = s;
    if (rc == TR_OK)
        rc = tr_arrangement_parse(text, s->nodes[0]->gpu, s->catalog, &a, &precision, err);
    if (rc < 0)
        return rc;
    precision = precision != NULL ? precision : s->workload.precisions[0];
    tr_candidate_build(&b->c, &b->arena, s, s->nodes[0], &a, precision, 0);
    return b->c.gate == TR_GATE_OK ? TR_OK : tr_err_set(err, TR_EINPUT, "%s", b->c.why);
}

static void close_case(struct bench_case *b)
{
    tr_scenario_free(b->s);
    tr_arena_free(&b->arena);
    b->s = NULL;
}

static struct tr_scaling scaling(int pods, int min_nodes, int max_nodes, double target)
{
    struct tr_scaling s;
    tr_scaling_defaults(&s, pods, max_nodes);
    s.autoscaler.min_nodes = min_nodes;
    s.hpa.min_replicas = pods * min_nodes;
    s.hpa.target = target;
    s.pod.weights_ns = 60 * TR_NS_PER_S;
    s.pod.warm_ns = 30 * TR_NS_PER_S;
    return s;
}

/* `scaling` NULL: `nodes` nodes, always. */
static int measure(const struct bench_case *b, struct tr_source *src, const char *name, int nodes,
                   const struct tr_scaling *scaling, int runs, struct tr_sim_result *result,
                   struct tr_err *err)
{
    const struct tr_workload *w = &b->s->workload;
    struct tr_sim_config cfg = {
        .fleet = tr_candidate_fleet(&b->c, w, scaling != NULL ? 1 : nodes, 0), .slo = &w->slo};
    struct bench bench = {0};
    int rc = TR_OK;
    cfg.fleet.scaling = scaling;
    for (int i = 0; i < runs && rc == TR_OK; i++) {
        tr_sim_result_free(result);
        bench_begin(&bench);
        rc = tr_sim_run(&cfg, src, result, err);
        bench_add(&bench, bench_end_s(&bench) * 1e9 / (double)result->requests);
    }
    if (rc == TR_OK)
        bench_cost(&bench, name, "ns/request");
    return rc;
}

/* ---- a day ----------------------------------------------------------------------------------- */

static int day(struct bench_case *b, const char *text, int runs, struct tr_err *err)
{
    struct tr_source *src = NULL;
    struct tr_trace_info info;
    struct tr_sim_result r = {0};
    char name[96];
    int rc = build(b, SCENARIO("8192"), text, err);
    if (rc == TR_OK)
        rc = tr_source_open(&b->s->workload.traffic, 0, &src, &info, err);
    struct tr_scaling sc = scaling(b->c.arrangement.n_pods, 2, DAY_NODES, 16);
    snprintf(name, sizeof name, "a day with autoscaling, %s", text);
    if (rc == TR_OK)
        rc = measure(b, src, name, 0, &sc, runs, &r, err);
    int most = r.fleet.scale.nodes_max;
    printf("%s: %" PRId64 " requests, 2 to %d nodes, %.0f node hours, %.1f %% inside, %" PRId64
           " scale-ups\n",
           name, r.requests, most, r.fleet.scale.node_hours,
           100 * (double)r.outcome.inside_all / (double)TR_MAX(r.outcome.offered, 1),
           r.fleet.scale.scale_ups);
    snprintf(name, sizeof name, "a day of a fixed fleet, %s", text);
    if (rc == TR_OK)
        rc = measure(b, src, name, most, NULL, runs, &r, err);
    tr_sim_result_free(&r);
    tr_source_close(src);
    close_case(b);
    return rc;
}

/* ---- the curve ------------------------------------------------------------------------------- */

static int curve(struct bench_case *b, const char *text, enum tr_router router, int nodes, int runs,
                 struct tr_err *err)
{
    struct tr_traffic_spec spec;
    struct tr_knot knot;
    struct tr_source *src = NULL;
    struct tr_trace_info info;
    struct tr_sim_result r = {0};
    char name[96];
    int rc = build(b, SCENARIO("4096"), text, err), pods = b->c.arrangement.n_pods;
    const char *least = router == TR_ROUTE_LEAST_REQUESTS ? ", least-requests" : "";
    tr_traffic_spec_init(&spec);
    knot = (struct tr_knot){.rate = RATE * nodes};
    spec.n_knots = 1;
    spec.knots = &knot;
    spec.duration_ns = SECONDS * TR_NS_PER_S;
    spec.prompt = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 300};
    spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 100};
    if (rc == TR_OK)
        b->s->workload.router = router;
    if (rc == TR_OK)
        rc = tr_source_open(&spec, 0, &src, &info, err);
    struct tr_scaling sc = scaling(pods, (nodes + 1) / 2, nodes, 0.5);
    sc.node.vm_ns = sc.node.driver_ns = sc.node.image_ns = 10 * TR_NS_PER_S; /* all in 200 s */
    sc.pod.weights_ns = sc.pod.warm_ns = 10 * TR_NS_PER_S;
    for (int elastic = 0; elastic < 2 && rc == TR_OK; elastic++) {
        snprintf(name, sizeof name, "%s%s, %d nodes of %d pods%s", text, least, nodes, pods,
                 elastic ? ", elastic" : "");
        rc = measure(b, src, name, nodes, elastic ? &sc : NULL, runs, &r, err);
    }
    printf("%s%s, %d nodes, elastic: %" PRId64 " requests, %.0f nodes in the mean, %d at most\n",
           text, least, nodes, r.requests, r.fleet.scale.node_hours * 3600 / r.fleet.scale.span_s,
           r.fleet.scale.nodes_max);
    tr_sim_result_free(&r);
    tr_source_close(src);
    close_case(b);
    return rc;
}

int main(int argc, char **argv)
{
    static const int sizes[] = {5, 50, 500};
    static const char *const days[] = {"whole", "mig:3g.40gb*2", "timeslice:2"};
    int runs = bench_runs(argc, argv), rc = TR_OK;
    static struct bench_case b;
    struct tr_err err = {0};
    for (size_t i = 0; i < TR_LEN(days) && rc == TR_OK; i++)
        rc = day(&b, days[i], runs, &err);
    for (size_t i = 0; i < TR_LEN(sizes) && rc == TR_OK; i++)
        rc = curve(&b, "timeslice:10 int4", TR_ROUTE_RANDOM, sizes[i], runs, &err);
    for (size_t i = 0; i < TR_LEN(sizes) && rc == TR_OK; i++)
        rc = curve(&b, "whole", TR_ROUTE_LEAST_REQUESTS, sizes[i], runs, &err);
    if (rc < 0)
        fprintf(stderr, "bench_fleet: %s\n", err.text);
    return rc < 0 ? 1 : 0;
}
