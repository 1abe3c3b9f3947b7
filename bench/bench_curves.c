/* What a simulated request costs against its answer's length and against the size of the batch: a
 * whole A100, prompts of 100 tokens. The first at a constant load of decoded tokens; the second
 * with answers of 500 tokens, at the rates that keep so many of them running; and with places
 * (max_num_seqs) for 16 of them and a queue that never empties. */
#include "bench.h"
#include "plan/plan.h"

#define REQUESTS 20000
#define PROMPT   100
#define LOAD_TOK 500 /* decoded tokens per second */
#define ANSWER   500
#define PLACES   1024 /* max_num_seqs: more than any batch needs */

static const char scenario_text[] = "cluster: {node: azure/Standard_NC24ads_A100_v4}\n"
                                    "workloads:\n"
                                    "  - model: llama-3.1-8b\n"
                                    "    engine: {max_model_len: 8192, max_num_seqs: 1024}\n"
                                    "    traffic: {profile: aks-chatbot}\n"
                                    "    slo: {ttft_p95: 500ms}\n";

struct point {
    const char *name;
    int32_t output_tok, max_num_seqs;
    double rate;
};

static int measure(const struct tr_candidate *c, const struct tr_workload *w, const struct point *p,
                   int runs, struct tr_err *err)
{
    struct tr_knot knot = {.rate = p->rate};
    struct tr_traffic_spec spec;
    struct tr_source *src = NULL;
    struct tr_trace_info info;
    struct tr_sim_result result = {0};
    struct bench b = {0};
    tr_traffic_spec_init(&spec);
    spec.n_knots = 1;
    spec.knots = &knot;
    spec.max_requests = REQUESTS;
    spec.duration_ns = (int64_t)(2 * REQUESTS / p->rate) * TR_NS_PER_S;
    spec.prompt = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = PROMPT};
    spec.output = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = p->output_tok};
    int rc = tr_source_open(&spec, 0, &src, &info, err);
    for (int i = 0; i < runs && rc == TR_OK; i++) {
        struct tr_sim_config cfg = {.fleet = tr_candidate_fleet(c, w, 1, 0), .slo = &w->slo};
        cfg.fleet.device[0].engine.max_num_seqs = p->max_num_seqs;
        tr_sim_result_free(&result);
        bench_begin(&b);
        rc = tr_sim_run(&cfg, src, &result, err);
        bench_add(&b, bench_end_s(&b) * 1e9 / REQUESTS);
    }
    if (rc == TR_OK) {
        bench_cost(&b, p->name, "ns/request");
        printf("%s: batch %.1f, %.1f steps a request\n", p->name,
               (double)result.fleet.decode_tok / (double)result.fleet.steps,
               (double)result.fleet.steps / REQUESTS);
    }
    tr_sim_result_free(&result);
    tr_source_close(src);
    return rc;
}

/* The rate at which `n` requests run at a time: what n that decode together get done, prefills in
 * between. */
static double rate_of(const struct tr_candidate *c, int32_t n)
{
    const struct tr_steptime *st = &c->steptime[0];
    int64_t context_tok = (int64_t)n * (PROMPT + ANSWER / 2);
    int64_t decode_ps = tr_steptime_ps(st, n, n, n, context_tok, 0);
    int64_t with_ps =
        tr_steptime_ps(st, n + PROMPT, n + 1, n, context_tok, tr_steptime_chunk_ps(st, PROMPT, 0));
    return n * 1e12 / ((double)ANSWER * (double)decode_ps + n * (double)(with_ps - decode_ps));
}

static int curves(const struct tr_candidate *c, const struct tr_workload *w, int runs,
                  struct tr_err *err)
{
    static const int32_t answers[] = {50, 100, 200, 500, 1000, 2000};
    static const int32_t batches[] = {1, 4, 16, 64, 256};
    int rc = TR_OK;
    char name[64];
    for (size_t i = 0; i < TR_LEN(answers) && rc == TR_OK; i++) {
        snprintf(name, sizeof name, "whole, answers of %d tokens", answers[i]);
        struct point p = {name, answers[i], PLACES, (double)LOAD_TOK / answers[i]};
        rc = measure(c, w, &p, runs, err);
    }
    for (size_t i = 0; i < TR_LEN(batches) && rc == TR_OK; i++) {
        snprintf(name, sizeof name, "whole, batches of %d", batches[i]);
        struct point p = {name, ANSWER, PLACES, rate_of(c, batches[i])};
        rc = measure(c, w, &p, runs, err);
    }
    struct point queue = {"whole, 16 places and a queue", ANSWER, 16, 2 * rate_of(c, 16)};
    return rc == TR_OK ? measure(c, w, &queue, runs, err) : rc;
}

int main(int argc, char **argv)
{
    int runs = bench_runs(argc, argv);
    struct tr_scenario *s = NULL;
    struct tr_arena arena = {0};
    struct tr_arrangement a;
    const struct tr_precision *precision;
    static struct tr_candidate c;
    struct tr_err err = {0};
    int rc = tr_scenario_parse("bench", scenario_text, sizeof scenario_text - 1, NULL, &s, &err);
    if (rc == TR_OK)
        rc = tr_arrangement_parse("whole", s->nodes[0]->gpu, s->catalog, &a, &precision, &err);
    if (rc == TR_OK) {
        tr_candidate_build(&c, &arena, s, s->nodes[0], &a, s->workload.precisions[0], 0);
        rc = curves(&c, &s->workload, runs, &err);
    }
    if (rc < 0)
        fprintf(stderr, "bench_curves: %s\n", err.text);
    tr_scenario_free(s);
    tr_arena_free(&arena);
    return rc < 0 ? 1 : 0;
}
