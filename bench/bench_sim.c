/* How fast requests are simulated on one core: one A100, the chatbot's lengths, constant Poisson
 * arrivals drawn on the fly, at 70 % of what the arrangement carries, with all metrics. */
#include "bench.h"
#include "plan/plan.h"

#define REQUESTS 200000

#define WORKLOAD                                                                                   \
    "cluster: {node: azure/Standard_NC24ads_A100_v4}\n"                                            \
    "workloads:\n"                                                                                 \
    "  - model: llama-3.1-8b\n"                                                                    \
    "    engine: {max_model_len: 8192}\n"                                                          \
    "    slo: {ttft_p95: 500ms}\n"

/* Nothing of a prompt is cached, yet all is hashed, and evicted in the end. */
static const char unique[] = WORKLOAD "    traffic: {profile: aks-chatbot}\n";

/* 55 % of the prompts' tokens are found in the cache, as `cached` says. */
static const char sessions[] = WORKLOAD "    traffic:\n"
                                        "      profile: aks-chatbot\n"
                                        "      sessions:\n"
                                        "        turns: 1.8\n"
                                        "        message_tokens: 100\n"
                                        "        think_time: 30s\n";

static const struct line {
    const char *name, *arrangement, *scenario;
} lines[] = {
    {"simulate whole, unique prompts", "whole", unique},
    {"simulate whole, sessions", "whole", sessions},
    {"simulate mig:7g.80gb", "mig:7g.80gb", unique},
    {"simulate timeslice:2", "timeslice:2", unique},
    {"simulate timeslice:4", "timeslice:4", unique},
};

static void print(const struct line *line, struct bench *b, double rate,
                  const struct tr_fleet_stats *f)
{
    bench_speed(b, line->name, "requests/s");
    printf("%s: %.3g requests/s offered, %.1f steps and %.1f slices a request\n", line->name, rate,
           (double)f->steps / REQUESTS, (double)f->slices / REQUESTS);
    printf("%s: %.1f %% of prompt tokens were cached, %.1f blocks evicted a request\n", line->name,
           f->prefix_queries_tok > 0
               ? 100 * (double)f->prefix_hits_tok / (double)f->prefix_queries_tok
               : 0.0,
           (double)f->evicted_blocks / REQUESTS);
}

static int bench(const struct line *line, const struct tr_scenario *s, struct tr_source *src,
                 int runs, struct tr_err *err)
{
    struct tr_arena arena = {0};
    struct tr_arrangement a;
    const struct tr_precision *precision;
    static struct tr_candidate c;
    struct tr_lengths lengths;
    struct tr_plan_opts opts = {.quick = true};
    _Atomic int64_t simulated = 0;
    struct tr_evaluation ev = {.scenario = s,
                               .opts = &opts,
                               .source = src,
                               .effort = tr_effort_quick,
                               .simulated = &simulated};
    struct tr_sim_result result = {0};
    struct bench b = {0};
    int rc =
        tr_arrangement_parse(line->arrangement, s->nodes[0]->gpu, s->catalog, &a, &precision, err);
    if (rc == TR_OK) {
        tr_lengths_measure(&lengths, &arena, src, tr_workload_model_len(&s->workload));
        tr_candidate_build(&c, &arena, s, s->nodes[0], &a, s->workload.precisions[0], 0);
        tr_candidate_bound(&c, &s->workload, &lengths);
        rc = tr_evaluate_capacity(&c, &ev, err);
    }
    double rate = 0.7 * c.capacity_rps;
    for (int i = 0; i < runs && rc == TR_OK; i++) {
        struct tr_source *like = tr_source_poisson_like(src, rate, REQUESTS, (uint64_t)i);
        struct tr_sim_config cfg = {
            .fleet = tr_candidate_fleet(&c, &s->workload, 1, (uint64_t)i),
            .slo = &s->workload.slo,
        };
        tr_sim_result_free(&result);
        bench_begin(&b);
        rc = tr_sim_run(&cfg, like, &result, err);
        bench_add(&b, REQUESTS / bench_end_s(&b));
        tr_source_close(like);
    }
    if (rc == TR_OK)
        print(line, &b, rate, &result.fleet);
    tr_sim_result_free(&result);
    tr_arena_free(&arena);
    return rc;
}

int main(int argc, char **argv)
{
    int runs = bench_runs(argc, argv), rc = TR_OK;
    struct tr_err err = {0};
    for (size_t i = 0; i < TR_LEN(lines) && rc == TR_OK; i++) {
        const char *text = lines[i].scenario;
        struct tr_scenario *s = NULL;
        struct tr_source *src = NULL;
        struct tr_trace_info info;
        rc = tr_scenario_parse("bench", text, strlen(text), NULL, &s, &err);
        if (rc == TR_OK)
            rc = tr_source_open(&s->workload.traffic, 0, &src, &info, &err);
        if (rc == TR_OK)
            rc = bench(&lines[i], s, src, runs, &err);
        tr_source_close(src);
        tr_scenario_free(s);
    }
    if (rc < 0)
        fprintf(stderr, "bench_sim: %s\n", err.text);
    return rc < 0 ? 1 : 0;
}
