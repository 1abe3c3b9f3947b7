/* tranche check: what physics allows. */
#include "cli/cli.h"

#include <tranche/check.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct cli_usage usage = {
    "check", "SCENARIO.yaml",
    "Says what cannot work, whatever the software: what does not fit into memory and by how much,\n"
    "and the rate above which arithmetic, bandwidth or KV memory cannot follow. Claims in the "
    "file\n"
    "(claims:) are held against the same arithmetic. Nothing is simulated.",
    "tranche check examples/claims.yaml"};

int cmd_check(int argc, char **argv, FILE *out, struct tr_err *err)
{
    enum tr_format format = TR_FORMAT_TABLE;
    int64_t seed = 0;
    const char *catalog = NULL, *workload = NULL, *path;
    const struct cli_option options[] = {
        {0, "workload", "NAME", "this one alone, of a scenario that has several", CLI_TEXT,
         &workload, 0},
        {'o', "output", "table|json", "how to print it (table)", CLI_FORMAT, &format, 0},
        {0, "seed", "N", "of everything drawn at random (0)", CLI_NUMBER, &seed, INT64_MAX},
        {0, "catalog", "DIR", "data files here replace the compiled-in ones", CLI_TEXT, &catalog,
         0},
    };
    struct tr_scenario *scenario = NULL;
    struct tr_check *check = NULL;
    int first, rc;

    if ((rc = cli_parse(&usage, options, N(options), argc, argv, &first, out, err)) ||
        (rc = cli_one_operand(&usage, argc, argv, first, "a scenario file", &path, err)) ||
        (rc = tr_scenario_load(path, catalog, &scenario, err)))
        return rc;
    if (workload && (rc = tr_scenario_only(scenario, workload, err))) {
        tr_scenario_free(scenario);
        return rc;
    }
    rc = tr_check_run(scenario, (uint64_t)seed, &check, err);
    if (rc == 0)
        rc = tr_check_write(check, format, out, err);
    if (rc == 0)
        rc = tr_check_exit(check);
    tr_check_free(check);
    tr_scenario_free(scenario);
    return rc;
}
