/* load: the five loaders of the catalog, one per file, each in its own source. */
#ifndef TR_CATALOG_LOAD_H
#define TR_CATALOG_LOAD_H

#include "catalog/fields.h"

int tr_load_gpus(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err);
int tr_load_models(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err);
int tr_load_precisions(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err);
int tr_load_nodes(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err);
int tr_load_servers(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err);

/* Prepares reading item i of a list of named entries: it must be a map with a `name` of at most 47
 * characters without spaces, which no earlier item of the list has. */
int tr_load_entry(struct tr_arena *arena, const char *kind, const struct tr_node *list, size_t i,
                  struct tr_entry *entry, struct tr_err *err);

/* The fields of a model: the names of Hugging Face's config.json. Shared with its reader. */
extern const struct tr_field tr_model_fields[];
extern const size_t tr_n_model_fields;

/* What must hold between the fields of a model. */
int tr_model_check(const struct tr_model *model, const struct tr_node *at, struct tr_err *err);

#endif
