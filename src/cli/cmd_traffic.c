/* tranche traffic inspect: what a file of requests looks like. */
#include "cli/cli.h"

#include <tranche/traffic.h>

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct cli_usage usage = {
    "traffic", "inspect FILE",
    "Span, rate, burstiness by time scale, lengths and prefix reuse of a trace (CSV, Mooncake's\n"
    "JSON), or of a built-in profile (aks-chatbot). The format is found from the first line, or "
    "the\n"
    "columns are named.",
    "tranche traffic inspect examples/data/AzureLLMInferenceTrace_conv.csv"};

int cmd_traffic(int argc, char **argv, FILE *out, struct tr_err *err)
{
    static const char *const verbs[] = {"inspect"};
    enum tr_format format = TR_FORMAT_TABLE;
    struct tr_traffic_inspect_opts opts = {0};
    int64_t seed = 0;
    const char *path;
    const struct cli_option options[] = {
        {0, "format", "NAME", "azure, vidur, csv or mooncake (by the first line)", CLI_TEXT,
         &opts.format, 0},
        {0, "time-column", "NAME", "of csv: when a request is sent", CLI_TEXT, &opts.col_time, 0},
        {0, "time-unit", "UNIT", "of csv: s, ms, us, ns or min", CLI_TEXT, &opts.time_unit, 0},
        {0, "prompt-column", "NAME", "of csv: tokens in the prompt", CLI_TEXT, &opts.col_prompt, 0},
        {0, "output-column", "NAME", "of csv: tokens in the answer", CLI_TEXT, &opts.col_output, 0},
        {0, "tenant-column", "NAME", "of csv: whose request it is", CLI_TEXT, &opts.col_tenant, 0},
        {0, "session-column", "NAME", "of csv: which conversation it belongs to", CLI_TEXT,
         &opts.col_session, 0},
        {0, "seed", "N", "of a profile's draws (0)", CLI_NUMBER, &seed, INT64_MAX},
        {'o', "output", "table|json", "how to print it (table)", CLI_FORMAT, &format, 0},
    };
    char near[128];
    int first, rc;

    if ((rc = cli_parse(&usage, options, N(options), argc, argv, &first, out, err)))
        return rc;
    if (first >= argc)
        return tr_err_set(err, TR_EINPUT,
                          "traffic needs a verb: inspect (see tranche traffic --help)");
    if (strcmp(argv[first], verbs[0]) != 0)
        return tr_err_set(err, TR_EINPUT, "unknown verb \"%.60s\" of traffic; allowed: inspect%s",
                          argv[first], cli_did_you_mean(near, argv[first], verbs, N(verbs)));
    if ((rc = cli_one_operand(&usage, argc, argv, first + 1, "a trace file", &path, err)))
        return rc;
    opts.seed = (uint64_t)seed;
    return tr_traffic_inspect(path, &opts, format, out, err);
}
