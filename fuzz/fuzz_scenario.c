/* Any bytes given as a scenario: one that can be planned, or one line. */
#include "scenario/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tr_scenario *s = NULL;
    struct tr_err err = {0};
    int rc = tr_scenario_parse("fuzz.yaml", (const char *)data, len, NULL, &s, &err);

    tr_assert((rc == 0) == (s != NULL));
    tr_assert((rc == 0) == (err.text[0] == 0));
    tr_assert(!strpbrk(err.text, "\n\r"));
    if (s && s->n_workloads) {
        for (size_t i = 0; i < s->n_workloads; i++) {
            const struct tr_workload *w = &s->workloads[i];

            tr_assert(w->name && !w->model != !w->server && w->n_precisions && w->slo.n);
            tr_assert(w->traffic.trace || w->traffic.duration_ns > 0);
        }
        tr_assert(s->n_nodes);
        tr_assert(s->nodes_min >= !s->autoscale && s->nodes_min <= s->nodes_max);
    }
    tr_scenario_free(s);
    return 0;
}
