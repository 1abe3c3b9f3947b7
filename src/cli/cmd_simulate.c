/* tranche simulate: one arrangement in depth. */
#include "cli/cli.h"

#include <tranche/simulate.h>

#include <errno.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct cli_usage usage = {
    "simulate", "SCENARIO.yaml",
    "Runs the scenario's traffic through one arrangement on a fleet of the given size.",
    "tranche simulate examples/aks-chatbot.yaml --arrangement 'timeslice:4 int4' --nodes 20"};

/* "-" is standard output. */
static int open_trace(const char *path, FILE **trace, struct tr_err *err)
{
    if (!path)
        return 0;
    *trace = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!*trace)
        return tr_err_set(err, TR_EENV, "%.400s: cannot write: %s", path, strerror(errno));
    return 0;
}

static void write_trace(void *arg, const char *line)
{
    fputs(line, arg);
}

static int close_trace(const char *path, FILE *trace, struct tr_err *err)
{
    if (!trace)
        return 0;
    bool failed = ferror(trace) != 0;
    errno = 0;
    failed = (trace == stdout ? fflush(trace) : fclose(trace)) != 0 || failed;
    if (!failed || (trace == stdout && errno == EPIPE))
        return failed ? TR_EENV : 0;
    return tr_err_set(err, TR_EENV, "%.400s: the trace could not be written%s%s", path,
                      errno ? ": " : "", errno ? strerror(errno) : "");
}

static int simulate(const struct tr_scenario *scenario, const struct tr_simulate_opts *opts,
                    enum tr_format format, FILE *out, struct tr_err *err)
{
    struct tr_simulation *simulation = NULL;
    int rc = tr_simulate_run(scenario, opts, &simulation, err);

    cli_progress_end();
    if (simulation && (rc == 0 || rc == TR_EINTR)) {
        int write_rc = tr_simulation_write(simulation, format, out, err);
        rc = rc ? rc : write_rc ? write_rc : tr_simulation_exit(simulation);
    }
    tr_simulation_free(simulation);
    return rc;
}

int cmd_simulate(int argc, char **argv, FILE *out, struct tr_err *err)
{
    enum tr_format format = TR_FORMAT_TABLE;
    bool quiet = false;
    int64_t seed = 0, nodes = 0, prompts = 0;
    const char *arrangement = NULL, *trace_path = NULL, *catalog = NULL, *workload = NULL, *path;
    const struct cli_option options[] = {
        {'a', "arrangement", "TEXT", "\"timeslice:4 int4\", \"mig:1g.10gb*7\" (whole)", CLI_TEXT,
         &arrangement, 0},
        {'n', "nodes", "N", "so many nodes (nodes.min, or as the autoscalers want)", CLI_NUMBER,
         &nodes, 100000},
        {0, "num-prompts", "N", "the first N requests only (all)", CLI_NUMBER, &prompts, INT64_MAX},
        {0, "trace", "FILE", "write every event as a line (\"-\": standard output)", CLI_TEXT,
         &trace_path, 0},
        {0, "workload", "NAME", "this one alone, of a scenario that has several", CLI_TEXT,
         &workload, 0},
        {'o', "output", "table|json", "how to print it (table)", CLI_FORMAT, &format, 0},
        {0, "seed", "N", "of everything drawn at random (0)", CLI_NUMBER, &seed, INT64_MAX},
        {0, "catalog", "DIR", "data files here replace the compiled-in ones", CLI_TEXT, &catalog,
         0},
        {'q', "quiet", NULL, "draw no progress", CLI_FLAG, &quiet, 0},
    };
    struct tr_scenario *scenario = NULL;
    FILE *trace = NULL;
    int first, rc;

    if ((rc = cli_parse(&usage, options, N(options), argc, argv, &first, out, err)) ||
        (rc = cli_one_operand(&usage, argc, argv, first, "a scenario file", &path, err)) ||
        (rc = tr_scenario_load(path, catalog, &scenario, err)))
        return rc;
    if (workload && (rc = tr_scenario_only(scenario, workload, err))) {
        tr_scenario_free(scenario);
        return rc;
    }
    rc = open_trace(trace_path, &trace, err);
    if (rc == 0) {
        struct tr_simulate_opts opts = {.arrangement = arrangement,
                                        .nodes = (int)nodes,
                                        .seed = (uint64_t)seed,
                                        .max_requests = prompts,
                                        .trace = trace ? write_trace : NULL,
                                        .trace_arg = trace,
                                        .progress = cli_progress_start(quiet)};
        rc = simulate(scenario, &opts, format, out, err);
    }
    int trace_rc = close_trace(trace_path, trace, err);
    tr_scenario_free(scenario);
    return rc >= 0 && trace_rc ? trace_rc : rc;
}
