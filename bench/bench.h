/* bench: what the benchmarks have in common: a clock, several runs, one form of line.
 *
 *   NAME: speed 1234567 requests/s (1200000 to 1250000 of 5)     more is better
 *   NAME: cost 51.2 ns/arrival (50.9 to 53.0 of 5)               less is better
 *
 * The figure is the median of the runs, in processor time, as the machine may be shared.
 * tools/bench-compare reads these lines; what is printed in another form is for people. A program
 * takes the number of runs as its only argument. TRANCHE_BENCH_BURN=20 makes every measured run
 * take 20 % longer than it did: a planted slow-down for the self-test of tools/bench-compare.
 */
#ifndef TR_BENCH_BENCH_H
#define TR_BENCH_BENCH_H

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_RUNS 25 /* at most */

struct bench {
    int runs, n;
    double value[BENCH_RUNS];
    double began_s;
};

static inline int bench_runs(int argc, char **argv)
{
    int64_t runs = 5;
    struct tr_err err = {0};
    if (argc > 2 || (argc == 2 && tr_units_integer(argv[1], &runs, &err) != TR_OK) || runs < 1 ||
        runs > BENCH_RUNS) {
        fprintf(stderr, "usage: %s [RUNS]: 1 to %d, 5 if not given\n", argv[0], BENCH_RUNS);
        exit(2);
    }
    return (int)runs;
}

static inline double bench_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void bench_begin(struct bench *b)
{
    b->began_s = bench_cpu_s();
}

/* The processor time since bench_begin. */
static inline double bench_end_s(const struct bench *b)
{
    const char *burn = getenv("TRANCHE_BENCH_BURN");
    double took_s = bench_cpu_s() - b->began_s;
    if (burn == NULL || *burn == '\0')
        return took_s;
    double until_s = took_s * (1 + strtod(burn, NULL) / 100);
    while (took_s < until_s)
        took_s = bench_cpu_s() - b->began_s;
    return took_s;
}

static inline void bench_add(struct bench *b, double value)
{
    tr_assert(b->n < BENCH_RUNS);
    b->value[b->n++] = value;
}

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double bench_median(struct bench *b)
{
    qsort(b->value, (size_t)b->n, sizeof b->value[0], bench_by_value);
    return b->value[b->n / 2];
}

/* `work` per second, of a run that does so much. */
static inline void bench_speed(struct bench *b, const char *name, const char *unit)
{
    double median = bench_median(b);
    printf("%s: speed %.0f %s (%.0f to %.0f of %d)\n", name, median, unit, b->value[0],
           b->value[b->n - 1], b->n);
}

static inline void bench_cost(struct bench *b, const char *name, const char *unit)
{
    double median = bench_median(b);
    printf("%s: cost %.4g %s (%.4g to %.4g of %d)\n", name, median, unit, b->value[0],
           b->value[b->n - 1], b->n);
}

#endif
