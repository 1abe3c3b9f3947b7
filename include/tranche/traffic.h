/* traffic: what a file of requests looks like.
 *
 * A trace is a file with one request a line: when it was sent, how many tokens its prompt had and
 * how many its answer. Its format is found from its first line (azure, vidur, mooncake), or its
 * columns are named (csv); docs/traffic.md describes the formats and every figure that is printed.
 */
#ifndef TRANCHE_TRAFFIC_H
#define TRANCHE_TRAFFIC_H

#include <tranche/tranche.h>

/* All may be NULL or 0. */
struct tr_traffic_inspect_opts {
    const char *format; /* "azure", "vidur", "csv" or "mooncake"; NULL: by the first line */
    const char *col_time, *col_prompt, *col_output, *col_tenant, *col_session; /* for csv */
    const char
        *time_unit; /* of numeric times: "s", "ms", "us", "ns", "min"; NULL: the format's own */
    uint64_t seed;  /* of a profile's draws */
};

/* Prints span, rate, burstiness by time scale and lengths of the trace in file `path` ("-" is
 * standard input), or of one day of the built-in profile "aks-chatbot", as a table of at most 100
 * columns or as JSON; the other formats are refused. */
int tr_traffic_inspect(const char *path, const struct tr_traffic_inspect_opts *opts,
                       enum tr_format format, FILE *out, struct tr_err *err);

#endif
