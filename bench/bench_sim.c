/* How fast requests are simulated on one core: one A100, the chatbot's lengths, constant Poisson
 * arrivals drawn on the fly, at 70 % of what the arrangement carries. Prints requests per second of
 * processor time: smallest, median and largest of five runs, as the machine may be shared. */
#include <stdlib.h>
#include <time.h>

#include "plan/plan.h"

#define RUNS     5
#define REQUESTS 200000

static const char scenario_text[] = "cluster: {node: azure/Standard_NC24ads_A100_v4}\n"
                                    "workloads:\n"
                                    "  - model: llama-3.1-8b\n"
                                    "    engine: {max_model_len: 8192}\n"
                                    "    traffic: {profile: aks-chatbot}\n"
                                    "    slo: {ttft_p95: 500ms}\n";

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int bench(const struct tr_scenario *s, struct tr_source *src,
                 const struct tr_lengths *lengths, const char *text, struct tr_err *err)
{
    struct tr_arena arena = {0};
    struct tr_arrangement a;
    const struct tr_precision *precision;
    static struct tr_candidate c;
    struct tr_plan_opts opts = {0};
    _Atomic int64_t simulated = 0;
    struct tr_evaluation ev = {.scenario = s,
                               .opts = &opts,
                               .source = src,
                               .effort = tr_effort_quick,
                               .simulated = &simulated};
    struct tr_sim_result result = {0};
    double speed[RUNS];
    int rc = tr_arrangement_parse(text, s->nodes[0]->gpu, s->catalog, &a, &precision, err);
    if (rc == TR_OK) {
        tr_candidate_build(&c, &arena, s, s->nodes[0], &a, s->workload.precisions[0], 0);
        tr_candidate_bound(&c, &s->workload, lengths);
        rc = tr_evaluate_capacity(&c, &ev, err);
    }
    for (int i = 0; i < RUNS && rc == TR_OK; i++) {
        struct tr_source *like =
            tr_source_poisson_like(src, 0.7 * c.capacity_rps, REQUESTS, (uint64_t)i);
        struct tr_sim_config cfg = {
            .fleet = tr_candidate_fleet(&c, &s->workload, 1, (uint64_t)i),
            .slo = &s->workload.slo,
        };
        double began_s = cpu_s();
        rc = tr_sim_run(&cfg, like, &result, err);
        speed[i] = REQUESTS / (cpu_s() - began_s);
        tr_source_close(like);
        if (i < RUNS - 1)
            tr_sim_result_free(&result);
    }
    if (rc == TR_OK) {
        qsort(speed, RUNS, sizeof speed[0], by_value);
        printf("simulate %s at %.3g requests/s: %.0f to %.0f, median %.0f requests/s\n", text,
               0.7 * c.capacity_rps, speed[0], speed[RUNS - 1], speed[RUNS / 2]);
        printf("simulate %s: %.1f steps/request\n", text, (double)result.fleet.steps / REQUESTS);
        printf("simulate %s: %.1f slices/request\n", text, (double)result.fleet.slices / REQUESTS);
    }
    tr_sim_result_free(&result);
    tr_arena_free(&arena);
    return rc;
}

int main(void)
{
    static const char *const arrangements[] = {"whole", "mig:7g.80gb", "timeslice:2",
                                               "timeslice:4"};
    struct tr_scenario *s = NULL;
    struct tr_source *src = NULL;
    struct tr_trace_info info;
    struct tr_lengths lengths;
    struct tr_arena arena = {0};
    struct tr_err err = {0};
    int rc = tr_scenario_parse("bench", scenario_text, sizeof scenario_text - 1, NULL, &s, &err);
    if (rc == TR_OK)
        rc = tr_source_open(&s->workload.traffic, 0, &src, &info, &err);
    if (rc == TR_OK)
        tr_lengths_measure(&lengths, &arena, src, tr_workload_model_len(&s->workload));
    for (size_t i = 0; i < TR_LEN(arrangements) && rc == TR_OK; i++)
        rc = bench(s, src, &lengths, arrangements[i], &err);
    if (rc < 0)
        fprintf(stderr, "bench_sim: %s\n", err.text);
    tr_source_close(src);
    tr_scenario_free(s);
    tr_arena_free(&arena);
    return rc < 0 ? 1 : 0;
}
