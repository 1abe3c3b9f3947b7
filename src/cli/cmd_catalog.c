/* tranche catalog: what tranche knows, with the source of each number. */
#include "cli/cli.h"

#include <tranche/catalog.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct cli_usage usage = {
    "catalog", "[gpus|models|precisions|nodes|servers|mig [NAME]]",
    "A list of what tranche knows, or with NAME one entry with a source per number. mig GPU lists\n"
    "the MIG profiles of a GPU, their placements and every maximal layout.",
    "tranche catalog mig A100-PCIe-80GB"};

int cmd_catalog(int argc, char **argv, FILE *out, struct tr_err *err)
{
    enum tr_format format = TR_FORMAT_TABLE;
    const char *catalog = NULL;
    const struct cli_option options[] = {
        {'o', "output", "table|json", "how to print it (table)", CLI_FORMAT, &format, 0},
        {0, "catalog", "DIR", "data files here replace the compiled-in ones", CLI_TEXT, &catalog,
         0},
    };
    int first, rc;

    if ((rc = cli_parse(&usage, options, N(options), argc, argv, &first, out, err)))
        return rc;
    if (argc - first > 2)
        return tr_err_set(err, TR_EINPUT,
                          "catalog takes a list and a name, and no third: \"%.200s\"",
                          argv[first + 2]);
    return tr_catalog_print(first < argc ? argv[first] : NULL,
                            first + 1 < argc ? argv[first + 1] : NULL, catalog, format, out, err);
}
