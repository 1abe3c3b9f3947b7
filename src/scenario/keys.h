/* scenario, private: the table of keys.
 *
 * A key has a path ("workloads[].engine.max_model_len"; "[]" stands for each item of a list), a
 * type, and where its value goes: an offset in struct tr_scenario, or in the item's own struct for
 * the items of `workloads`, `spikes` and `claims`. The same row validates, is printed as JSON
 * Schema and fills a line of docs/scenario.md.
 */
#ifndef TR_SCENARIO_KEYS_H
#define TR_SCENARIO_KEYS_H

#include "scenario/scenario.h"

enum key_type {
    KEY_MAP,       /* keys of its own */
    KEY_MAPS,      /* a list of maps */
    KEY_TEXT,      /* a line of text */
    KEY_BYTES,     /* int64_t, "2GiB" */
    KEY_SERVER,    /* a name of the catalog, or a map */
    KEY_BLOCK,     /* text of any length */
    KEY_INT,       /* int, int32_t or int64_t, by the size of the member */
    KEY_NUMBER,    /* double */
    KEY_FRACTION,  /* double: 0.08 or 8% */
    KEY_RATE,      /* double, 1/s */
    KEY_DURATION,  /* int64_t, ns */
    KEY_DURATIONS, /* one, or a list of them */
    KEY_SECONDS,   /* int64_t, ns, given as a whole number of seconds, as in Kubernetes objects */
    KEY_BOOL,      /* bool */
    KEY_WORD,      /* one of `words`: its index, into an enum or a bool */
    KEY_NAME,      /* a name of the catalog */
    KEY_NAMES,     /* one such name, or a list */
    KEY_SHARES,    /* zipf, or a list of fractions */
    KEY_INTS,      /* a list of whole numbers */
    KEY_KNOTS,     /* a list of [time, rate] */
    KEY_LENGTH,    /* a number of tokens, or a map */
    KEY_CHOICES    /* auto, or a list of texts */
};

enum key_base { IN_SCENARIO, IN_WORKLOAD, IN_SERVER, IN_SPIKE, IN_CLAIM, IN_POLICY };

enum key_flag {
    KEY_REQUIRED = 1,   /* its map must have it */
    KEY_LATER = 2,      /* known, refused as not supported yet; `doc` says what there is instead */
    KEY_POSITIVE = 4,   /* 0 is refused (durations, rates, numbers) */
    KEY_PERCENTILE = 8, /* the path ends in NN, which stands for a percentile */
    KEY_NEGATED = 16,   /* the member is true when the user says false */
    KEY_OR_NONE = 32    /* a map, or the word none */
};

/* The ways to give traffic; a key of `traffic` goes with some of them (0: all). */
enum key_form { WITH_PROFILE = 1, WITH_TRACE = 2, WITH_RATE = 4, WITH_RATES = 8 };

struct reader;

struct key {
    const char *path;
    enum key_type type;
    const char *doc;
    const char *init;      /* the default, written as a user would; read like a user's value */
    const char *otherwise; /* the default in words, where it is not a constant */
    const char *example;
    double min, max; /* of numbers, and of durations in seconds; max 0: none */
    const char *const *words;
    enum key_base base;
    size_t offset, size;
    unsigned flags, forms;
    /* Reads a value that its type alone does not explain. */
    int (*read)(struct reader *r, void *base, const struct key *key, const struct tr_node *node);
};

/* The row after this one in the order of the reference page (NULL: the first); NULL at the end. */
const struct key *key_next(const struct key *key);

struct key_table {
    const struct key *rows;
    size_t n;
};
extern const struct key_table tr_keys_workload, tr_keys_scaling, tr_keys_traffic, tr_keys_objective;
extern const char *const tr_router_words[], *const tr_isolation_words[];

/* The name of a key as its map shows it: what follows the last dot. */
const char *key_name(const struct key *key);
/* Is `key` directly inside the map whose keys start with `prefix` ("", "cluster.", "claims[].")? */
bool key_is_child(const struct key *key, const char *prefix);
/* The prefix of a key's own children. */
void key_prefix(const struct key *key, char buf[96]);
/* What a value of this key may be, in words: "a whole number from 1 to 4096". */
void key_allowed(const struct key *key, char *buf, size_t len);

/* ---- reading ------------------------------------------------------------------------------ */

struct reader {
    struct tr_scenario *s;
    struct tr_node *root;
    size_t item;     /* of `workloads`, the one being read or checked */
    const char *dir; /* the folder of the file, with its slash; "" */
    struct tr_err *err;
};

/* Fails with the place of `node` and the path of `key` before the message. */
int key_fail(struct reader *r, const struct key *key, const struct tr_node *node, const char *fmt,
             ...) __attribute__((format(printf, 4, 5)));
/* The same, saying what is allowed: "'x' is 5; allowed is ...". */
int key_refuse(struct reader *r, const struct key *key, const struct tr_node *node);

/* A text of the user's, cut to whole characters, fit for quoting. */
const char *key_show(char buf[64], const char *text);

/* The items of "one, or a list of", at most `max`: a scalar counts as a list of itself. */
int list_items(struct reader *, const struct key *, const struct tr_node *, size_t max,
               const struct tr_node *const **items, size_t *n);

/* One scalar, checked against the key's range or words. */
int key_get_text(struct reader *, const struct key *, const struct tr_node *, const char **);
int key_get_int(struct reader *, const struct key *, const struct tr_node *, int64_t *);
int key_get_number(struct reader *, const struct key *, const struct tr_node *, double *);
int key_get_duration(struct reader *, const struct key *, const struct tr_node *, int64_t *);
int key_get_word(struct reader *, const struct key *, const struct tr_node *, int *);

/* A path of the file, taken from the scenario's folder. */
const char *file_beside(struct reader *r, const char *path);

/* Are all keys of the map known and all required ones there? */
int check_keys(struct reader *r, const char *prefix, const struct tr_node *map);
/* check_keys, then reads every value; `prefix` is that of the map's keys. */
int read_map(struct reader *r, void *base, const char *prefix, const struct tr_node *map);
/* The same for the value of a key that must be a map. */
int read_submap(struct reader *r, void *base, const struct key *key, const struct tr_node *node);
/* Gives every key of this base under `prefix` that has a constant default that default. */
int read_defaults(struct reader *r, void *base, enum key_base kind, const char *prefix);

int read_node_types(struct reader *, void *, const struct key *, const struct tr_node *);
int read_model(struct reader *, void *, const struct key *, const struct tr_node *);
int read_precisions(struct reader *, void *, const struct key *, const struct tr_node *);
int read_quality(struct reader *, void *, const struct key *, const struct tr_node *);
int read_metric(struct reader *, void *, const struct key *, const struct tr_node *);
int read_gpu(struct reader *, void *, const struct key *, const struct tr_node *);
int read_precision(struct reader *, void *, const struct key *, const struct tr_node *);
int read_server(struct reader *, void *, const struct key *, const struct tr_node *);
int read_log(struct reader *, void *, const struct key *, const struct tr_node *);
int read_shares(struct reader *, void *, const struct key *, const struct tr_node *);
int read_priorities(struct reader *, void *, const struct key *, const struct tr_node *);
int read_compare(struct reader *, void *, const struct key *, const struct tr_node *);
int read_objective(struct reader *, void *, const struct key *, const struct tr_node *);
int read_claims(struct reader *, void *, const struct key *, const struct tr_node *);
int read_workloads(struct reader *, void *, const struct key *, const struct tr_node *);

int read_traffic(struct reader *, void *, const struct key *, const struct tr_node *);
int read_path(struct reader *, void *, const struct key *, const struct tr_node *);
int read_format(struct reader *, void *, const struct key *, const struct tr_node *);
int read_rate(struct reader *, void *, const struct key *, const struct tr_node *);
int read_knots(struct reader *, void *, const struct key *, const struct tr_node *);
int read_spikes(struct reader *, void *, const struct key *, const struct tr_node *);
int read_length(struct reader *, void *, const struct key *, const struct tr_node *);
int read_sessions(struct reader *, void *, const struct key *, const struct tr_node *);
int read_time_unit(struct reader *, void *, const struct key *, const struct tr_node *);

/* One item of behavior.scaleUp.policies. */
struct policy {
    bool percent; /* of Pods otherwise */
    int value;
    int64_t period_ns;
};

int read_autoscaler(struct reader *, void *, const struct key *, const struct tr_node *);
int read_unneeded(struct reader *, void *, const struct key *, const struct tr_node *);
int read_behavior(struct reader *, void *, const struct key *, const struct tr_node *);
int read_policies(struct reader *, void *, const struct key *, const struct tr_node *);
int read_keda(struct reader *, void *, const struct key *, const struct tr_node *);

/* ---- checks between keys -------------------------------------------------------------------- */

/* The node at a path of map keys ("workload." starts at the workload at hand), or NULL. */
const struct tr_node *find_node(const struct reader *r, const char *path);
/* What no single key can tell; also defaults that depend on other keys. */
int check_scenario(struct reader *r);
int check_traffic(struct reader *r);
/* The cluster autoscaler and the bounds on nodes; the autoscaling of the workload at hand. */
int check_cluster_scaling(struct reader *r);
int check_autoscaling(struct reader *r);
/* A simple GPU server: what goes with it; what it has in place of token lengths. */
int check_server(struct reader *r);

#endif
