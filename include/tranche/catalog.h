/* catalog: what tranche knows, with the source of each number.
 *
 * GPUs with their step-time constants and MIG geometry, models, precisions, and the clouds' node
 * types with list prices. The data are compiled in; files of the same names in a folder replace
 * them (docs/catalog.md).
 */
#ifndef TRANCHE_CATALOG_H
#define TRANCHE_CATALOG_H

#include <tranche/tranche.h>

/* Prints part of the catalog as a table of at most 100 columns or as JSON; the other formats are
 * refused. `what` is "gpus", "models", "precisions", "nodes" or "mig", or NULL for an overview;
 * `name` is NULL for the list, or the entry to print in full with a source per number. "mig" needs
 * the name of a GPU and prints its profiles, placements and maximal layouts. `catalog_dir` is a
 * folder with the user's own files, or NULL. */
int tr_catalog_print(const char *what, const char *name, const char *catalog_dir,
                     enum tr_format format, FILE *out, struct tr_err *err);

#endif
