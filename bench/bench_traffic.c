/* How fast arrivals come: the chatbot's day drawn from its description, the same in sessions, and a
 * trace replayed. */
#include "bench.h"
#include "traffic/traffic.h"

static int measure(const char *name, const struct tr_traffic_spec *spec, int runs)
{
    struct tr_source *src;
    struct tr_arrival a;
    struct tr_err err = {0};
    struct bench opened = {0}, drawn = {0};
    char opening[64];

    for (int i = 0; i < runs; i++) {
        int64_t n = 0;
        bench_begin(&opened);
        if (tr_source_open(spec, 1, &src, NULL, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            return tr_exit_status(err.code);
        }
        bench_add(&opened, bench_end_s(&opened) * 1e3);
        bench_begin(&drawn);
        while (tr_source_next(src, &a))
            n++;
        bench_add(&drawn, bench_end_s(&drawn) * 1e9 / (double)n);
        tr_source_close(src);
    }
    snprintf(opening, sizeof opening, "%s, opened", name);
    bench_cost(&opened, opening, "ms");
    bench_cost(&drawn, name, "ns/arrival");
    return 0;
}

int main(int argc, char **argv)
{
    struct tr_traffic_spec spec;
    const char *root = getenv("TRANCHE_ROOT");
    char path[4096];
    int runs = bench_runs(argc, argv);

    tr_traffic_spec_init(&spec);
    tr_traffic_aks_chatbot(&spec);
    int rc = measure("traffic, chatbot day", &spec, runs);
    spec.system_tok = 400;
    spec.sessions.turns = 5.0;
    spec.sessions.message = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 100};
    spec.sessions.think_ns = 30 * TR_NS_PER_S;
    spec.sessions.think_cv = 1.0;
    rc = rc ? rc : measure("traffic, chatbot day in sessions", &spec, runs);
    tr_traffic_spec_init(&spec);
    snprintf(path, sizeof(path), "%s/examples/data/AzureLLMInferenceTrace_conv.csv",
             root ? root : ".");
    spec.trace = path;
    return rc ? rc : measure("traffic, azure trace", &spec, runs);
}
