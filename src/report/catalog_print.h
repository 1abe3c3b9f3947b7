/* catalog_print: the parts of `tranche catalog`, each as a table and as JSON. */
#ifndef TR_REPORT_CATALOG_PRINT_H
#define TR_REPORT_CATALOG_PRINT_H

#include "catalog/catalog.h"
#include "report/table.h"

/* One GPU's profiles, placements and maximal layouts. The GPU has MIG. */
void tr_catalog_print_mig(const struct tr_catalog *cat, const struct tr_gpu *gpu,
                          struct tr_str *out);
void tr_catalog_json_mig(const struct tr_catalog *cat, const struct tr_gpu *gpu, struct tr_json *j);

void tr_catalog_print_spreads(const struct tr_spread *list, int n, struct tr_str *out);
void tr_catalog_json_spreads(const struct tr_spread *list, int n, struct tr_json *j);

#endif
