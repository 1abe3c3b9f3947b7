/* fields: reading a map of scalars into a struct by a table.
 *
 * Each kind of catalog entry has one table that says, per key: its type, where it goes, its unit
 * and its range. The table reads the entry, refuses unknown keys with the nearest known one, and
 * checks that every number it marks has a line in the entry's `sources:` map:
 *
 *     sources:
 *       ec eb ead: fitted to ...        one line for several keys
 *       peak_tflops: datasheet
 */
#ifndef TR_CATALOG_FIELDS_H
#define TR_CATALOG_FIELDS_H

#include "catalog/catalog.h"

enum tr_field_type {
    TR_FIELD_TEXT,     /* const char * */
    TR_FIELD_INT,      /* int */
    TR_FIELD_COUNT,    /* int64_t */
    TR_FIELD_NUMBER,   /* double, after * mul / div */
    TR_FIELD_FRACTION, /* double; "8%" or 0.08 */
    TR_FIELD_BYTES,    /* int64_t; "79.25GiB" */
    TR_FIELD_DURATION, /* int64_t, ns; "0.55ms" */
    TR_FIELD_BOOL,     /* bool: true, false */
    TR_FIELD_OTHER,    /* known, read by the loader itself */
};

struct tr_field {
    const char *key;
    enum tr_field_type type;
    size_t offset;
    bool required;
    bool sourced;    /* a number that needs a source */
    double lo, hi;   /* of INT, COUNT and NUMBER, as written in the file */
    double mul, div; /* of NUMBER: to the struct's unit; 0 means 1 */
};

/* The file and entry that messages name: "GPU A100-PCIe-80GB". */
struct tr_entry {
    struct tr_arena *arena;
    const char *kind, *name;
    const struct tr_node *map;
    bool ignore_unknown; /* config.json: keys outside the table are no business of ours */
};

/* Reads `entry->map` into `out`. */
int tr_fields_read(const struct tr_entry *entry, const struct tr_field *fields, size_t n, void *out,
                   struct tr_err *err);
/* Checks that the entry's `sources:` covers every sourced key that is present, names no unknown
 * key, and returns it as text, "key value: source" per line in the
 * table's order, the value as the file has it. */
int tr_fields_sources(const struct tr_entry *entry, const struct tr_field *fields, size_t n,
                      const char **text, struct tr_err *err);
/* "file:line:col: message", also where there is no node (`at` NULL). Returns TR_EINPUT. */
int tr_catalog_err(struct tr_err *err, const struct tr_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The node of a required key that must be a list (or a map) with at least one entry. */
int tr_fields_child(const struct tr_node *map, const char *key, enum tr_node_kind kind,
                    struct tr_node **out, struct tr_err *err);

#endif
