/* catalog_print: the parts of `tranche catalog`, each as a table and as JSON. */
#ifndef TR_REPORT_CATALOG_PRINT_H
#define TR_REPORT_CATALOG_PRINT_H

#include "catalog/catalog.h"
#include "report/table.h"

/* A table of two columns without a heading: what and its value. */
void tr_catalog_fact_columns(struct tr_table *t);
void tr_catalog_fact(struct tr_table *t, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines "key value: source". */
void tr_catalog_print_sources(const char *sources, struct tr_str *out);
void tr_catalog_json_sources(const char *sources, struct tr_json *j);

/* All node types, or one by its name. */
int tr_catalog_nodes_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                           struct tr_err *err);
int tr_catalog_nodes_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                          struct tr_err *err);

int tr_catalog_servers_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                             struct tr_err *err);
int tr_catalog_servers_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                            struct tr_err *err);

/* One GPU's profiles, placements and maximal layouts. The GPU has MIG. */
void tr_catalog_print_mig(const struct tr_catalog *cat, const struct tr_gpu *gpu,
                          struct tr_str *out);
void tr_catalog_json_mig(const struct tr_catalog *cat, const struct tr_gpu *gpu, struct tr_json *j);

void tr_catalog_print_spreads(const struct tr_spread *list, int n, struct tr_str *out);
void tr_catalog_json_spreads(const struct tr_spread *list, int n, struct tr_json *j);

#endif
