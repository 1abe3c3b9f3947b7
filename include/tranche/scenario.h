/* scenario: what a user asks, in one YAML file: nodes, a model, its traffic, its objective.
 *
 * docs/scenario.md describes every key. The file is checked as a whole when it is loaded: a
 * scenario that was loaded is one that can be planned. The JSON Schema and the reference page come
 * from the table that does the checking, so an editor that completes from the schema knows what
 * tranche knows.
 */
#ifndef TRANCHE_SCENARIO_H
#define TRANCHE_SCENARIO_H

#include <tranche/tranche.h>

struct tr_scenario;

/* Loads and validates the file at `path` ("-": standard input). Relative paths inside it (trace,
 * config.json) are taken from its folder. Files of `catalog_dir` (NULL: none) replace those of the
 * compiled-in catalog. Every error is one line with its place in the file. */
int tr_scenario_load(const char *path, const char *catalog_dir, struct tr_scenario **out,
                     struct tr_err *err);
void tr_scenario_free(struct tr_scenario *s);
/* Forgets all workloads but this one. TR_EINPUT: there is none of that name. */
int tr_scenario_only(struct tr_scenario *s, const char *workload, struct tr_err *err);

/* The JSON Schema (draft 2020-12) of the file, and its reference page in Markdown. */
void tr_scenario_schema_print(FILE *out);
void tr_scenario_reference_print(FILE *out);

#endif
