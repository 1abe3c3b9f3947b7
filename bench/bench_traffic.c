/* How fast arrivals come: the chatbot's day drawn from its description, the same in sessions, and a
 * trace replayed. */
#include "traffic/traffic.h"

#include <stdlib.h>
#include <time.h>

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int measure(const char *name, const struct tr_traffic_spec *spec)
{
    struct tr_source *src;
    struct tr_arrival a;
    struct tr_err err = {0};
    int64_t n = 0, tokens = 0;

    double began_s = now_s();
    if (tr_source_open(spec, 1, &src, NULL, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return tr_exit_status(err.code);
    }
    double opened_s = now_s();
    for (; tr_source_next(src, &a); n++)
        tokens += a.prompt_tok + a.output_tok;
    double ended_s = now_s();
    printf("%s: open %.2f ms\n", name, (opened_s - began_s) * 1e3);
    printf("%s: arrival %.1f ns\n", name, (ended_s - opened_s) / (double)n * 1e9);
    printf("%s: tokens per request %.1f\n", name, (double)tokens / (double)n);
    tr_source_close(src);
    return 0;
}

int main(void)
{
    struct tr_traffic_spec spec;
    const char *root = getenv("TRANCHE_ROOT");
    char path[4096];

    tr_traffic_spec_init(&spec);
    tr_traffic_aks_chatbot(&spec);
    int rc = measure("traffic: chatbot day", &spec);
    spec.system_tok = 400;
    spec.sessions.turns = 5.0;
    spec.sessions.message = (struct tr_length){.kind = TR_LENGTH_FIXED, .fixed_tok = 100};
    spec.sessions.think_ns = 30 * TR_NS_PER_S;
    spec.sessions.think_cv = 1.0;
    rc = rc ? rc : measure("traffic: chatbot day in sessions", &spec);
    tr_traffic_spec_init(&spec);
    snprintf(path, sizeof(path), "%s/examples/data/AzureLLMInferenceTrace_conv.csv",
             root ? root : ".");
    spec.trace = path;
    return rc ? rc : measure("traffic: azure trace", &spec);
}
