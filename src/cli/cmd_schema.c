/* tranche schema: what a scenario file may contain. */
#include "cli/cli.h"

#include <tranche/scenario.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct cli_usage usage = {
    "schema", "",
    "Prints the JSON Schema of the scenario file, from which editors check and complete, or its\n"
    "reference page in Markdown.",
    "tranche schema >tranche.schema.json"};

int cmd_schema(int argc, char **argv, FILE *out, struct tr_err *err)
{
    bool reference = false;
    const struct cli_option options[] = {
        {0, "reference", NULL, "the reference page (docs/scenario.md)", CLI_FLAG, &reference, 0},
    };
    int first, rc;

    if ((rc = cli_parse(&usage, options, N(options), argc, argv, &first, out, err)))
        return rc;
    if (first < argc)
        return tr_err_set(err, TR_EINPUT, "schema takes no operand: \"%.200s\"", argv[first]);
    if (reference)
        tr_scenario_reference_print(out);
    else
        tr_scenario_schema_print(out);
    return 0;
}
