/* tranche plan: which arrangement suits the traffic, why, and what it costs. */
#include "cli/cli.h"

#include <tranche/plan.h>

#define N(a)  (sizeof(a) / sizeof((a)[0]))
#define DRAWS 20

static const struct cli_usage usage = {
    "plan", "SCENARIO.yaml",
    "Tries every arrangement of the scenario's GPUs on the same requests and says which one to\n"
    "use, why, what it costs, and why not the others. \"-\" reads the scenario from standard "
    "input.",
    "tranche plan examples/aks-chatbot.yaml --quick"};

int cmd_plan(int argc, char **argv, FILE *out, struct tr_err *err)
{
    enum tr_format format = TR_FORMAT_TABLE;
    bool explain = false, quick = false, quiet = false;
    int64_t seed = 0, jobs = 0, draws = -1;
    const char *catalog = NULL, *workload = NULL, *path;
    const struct cli_option options[] = {
        {0, "workload", "NAME", "this one alone, of a scenario that has several", CLI_TEXT,
         &workload, 0},
        {'o', "output", "table|json|csv", "how to print it (table)", CLI_FORMAT, &format, 0},
        {0, "explain", NULL, "add the arithmetic behind every figure", CLI_FLAG, &explain, 0},
        {0, "quick", NULL, "shorter runs, and a sample of each fleet's GPUs: seconds", CLI_FLAG,
         &quick, 0},
        {0, "draws", "N", "of constants and traffic that compare the best (20; 0 with --quick)",
         CLI_NUMBER, &draws, 1000},
        {0, "seed", "N", "of everything drawn at random (0)", CLI_NUMBER, &seed, INT64_MAX},
        {'j', "jobs", "N", "threads; changes no figure (0: one per CPU)", CLI_NUMBER, &jobs, 1024},
        {0, "catalog", "DIR", "data files here replace the compiled-in ones", CLI_TEXT, &catalog,
         0},
        {'q', "quiet", NULL, "draw no progress", CLI_FLAG, &quiet, 0},
    };
    struct tr_scenario *scenario = NULL;
    struct tr_plan *plan = NULL;
    int first, rc;

    if ((rc = cli_parse(&usage, options, N(options), argc, argv, &first, out, err)) ||
        (rc = cli_one_operand(&usage, argc, argv, first, "a scenario file", &path, err)) ||
        (rc = tr_scenario_load(path, catalog, &scenario, err)))
        return rc;
    if (workload && (rc = tr_scenario_only(scenario, workload, err))) {
        tr_scenario_free(scenario);
        return rc;
    }
    if (draws < 0)
        draws = quick ? 0 : DRAWS;
    struct tr_plan_opts opts = {.seed = (uint64_t)seed,
                                .jobs = (int)jobs,
                                .quick = quick,
                                .flips = !quick,
                                .draws = (int)draws,
                                .progress = cli_progress_start(quiet)};
    rc = tr_plan_run(scenario, &opts, &plan, err);
    cli_progress_end();
    if (plan && (rc == 0 || rc == TR_EINTR)) {
        int write_rc = tr_plan_write(plan, format, explain, out, err);
        rc = rc ? rc : write_rc ? write_rc : tr_plan_exit(plan);
    }
    tr_plan_free(plan);
    tr_scenario_free(scenario);
    return rc;
}
