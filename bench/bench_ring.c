/* How fast the time-slice ring runs: contexts that are always busy, each with steps of 12.9 ms (a
 * decode step of Llama-3.1-8B at batch 1 on an A100) and one posted ahead, as an asynchronous
 * engine keeps them. Every slice walked (`exact`), and rounds skipped where nothing happens. */
#include "bench.h"
#include "share/ring.h"

#define STEP_PS    INT64_C(12900000000)
#define QUANTUM_PS INT64_C(1024000000)
#define SWITCH_PS  INT64_C(113000000)
#define SLICES     INT64_C(4000000)

/* Runs the ring for at least so many slices. */
static int64_t run(struct tr_ring *r, int64_t slices)
{
    const struct tr_work step = {.gpu_ps = STEP_PS};
    int64_t end_ns, lost_ps;
    int ctx;
    for (int i = 0; i < r->n; i++)
        for (int k = 0; k < 2; k++)
            tr_ring_post(r, i, 0, &step);
    while (r->slices < slices) {
        tr_assert(tr_ring_advance(r, TR_TIME_NEVER, &ctx, &end_ns, &lost_ps));
        tr_ring_post(r, ctx, end_ns, &step);
    }
    return r->slices;
}

int main(int argc, char **argv)
{
    static const int contexts[] = {2, 4, 8};
    int runs = bench_runs(argc, argv);
    for (size_t i = 0; i < 2 * TR_LEN(contexts); i++) {
        struct bench b = {0};
        bool exact = i < TR_LEN(contexts);
        int n = contexts[i % TR_LEN(contexts)];
        char name[64];
        for (int k = 0; k < runs; k++) {
            struct tr_ring r;
            tr_ring_init(&r, n, QUANTUM_PS, SWITCH_PS);
            r.exact = exact;
            bench_begin(&b);
            double slices = (double)run(&r, SLICES);
            bench_add(&b, slices / bench_end_s(&b));
        }
        snprintf(name, sizeof name, "ring of %d, %s", n,
                 exact ? "every slice walked" : "rounds skipped");
        bench_speed(&b, name, "slices/s");
    }
    return 0;
}
