/* read_json: whole steps, and what timeslice_probe prints. JSON is a part of YAML and is read as
 * such: then every mistake has its line and column. docs/calibrate.md describes the format. */
#include "calibrate/calibrate.h"

#include "catalog/fields.h"

#include <stdlib.h>

#define MAX_TOK      65536 /* in a step: the model's tables reach that far */
#define MIN_TURNS    10    /* changes of owner below which a turn's length says little */
#define MPS_OVERLAP  0.05  /* share of time with two contexts at once: that is no time-slicing */
#define MAX_CONTEXTS 16
#define MAX_CACHED   (1 << 20) /* tokens of a chunk */
#define LONGEST_US   1e8       /* of a probe's step */

struct steps {
    const char *gpu, *model, *precision, *about;
    bool async;
    int layers;
};

#define STEPS(key, type, member, ...)                                                              \
    {                                                                                              \
        key, type, offsetof(struct steps, member), __VA_ARGS__                                     \
    }
static const struct tr_field steps_fields[] = {
    STEPS("gpu", TR_FIELD_TEXT, gpu, .required = false),
    STEPS("model", TR_FIELD_TEXT, model, .required = false),
    STEPS("precision", TR_FIELD_TEXT, precision, .required = false),
    STEPS("about", TR_FIELD_TEXT, about, .required = false),
    STEPS("async_scheduling", TR_FIELD_BOOL, async, .required = false),
    STEPS("layers", TR_FIELD_INT, layers, false, false, 1, 200),
    {"steps", TR_FIELD_OTHER, 0, .required = true},
};

struct step {
    int tokens, rows, decodes, contenders;
    int64_t context_tok;
    double seconds;
};
#define STEP(key, type, member, ...)                                                               \
    {                                                                                              \
        key, type, offsetof(struct step, member), __VA_ARGS__                                      \
    }
static const struct tr_field step_fields[] = {
    STEP("tokens", TR_FIELD_INT, tokens, false, false, 1, MAX_TOK),
    STEP("rows", TR_FIELD_INT, rows, false, false, 0, MAX_TOK),
    STEP("decodes", TR_FIELD_INT, decodes, false, false, 0, MAX_TOK),
    STEP("context", TR_FIELD_COUNT, context_tok, false, false, 0, 1e9),
    {"chunks", TR_FIELD_OTHER, 0, .required = false},
    STEP("seconds", TR_FIELD_NUMBER, seconds, true, false, 1e-9, 1e4),
    STEP("contenders", TR_FIELD_INT, contenders, false, false, 0, MAX_CONTEXTS - 1),
};

struct source {
    struct tr_calibration *c;
    const struct tr_calibrate_opts *opts;
    const struct tr_gpu *gpu;
    const struct tr_node *root;
    struct tr_err *err;
};

/* ---- whole steps ----------------------------------------------------------------------------- */

/* One of the two numbers of a chunk. */
static int chunk_number(const struct source *s, const struct tr_node *node, int lo, int *out)
{
    int64_t value = -1;
    if (node->kind != TR_NODE_SCALAR || tr_units_integer(node->text, &value, NULL) != TR_OK ||
        value < lo || value > MAX_CACHED)
        return tr_node_err(s->err, node,
                           "a chunk is [new tokens, cached tokens]: whole numbers, the first from "
                           "1, the second from 0");
    *out = (int)value;
    return TR_OK;
}

static int read_chunks(const struct source *s, const struct tr_node *list, int *n,
                       int (**chunks)[2])
{
    int rc = TR_OK;
    *n = 0;
    *chunks = NULL;
    if (list == NULL)
        return TR_OK;
    if (list->kind != TR_NODE_LIST || list->n > MAX_TOK)
        return tr_node_err(s->err, list, "chunks must be a list of [new tokens, cached tokens]");
    *n = (int)list->n;
    *chunks = (int(*)[2])tr_arena_alloc_n(&s->c->arena, list->n + 1, sizeof **chunks);
    for (size_t i = 0; i < list->n && rc == TR_OK; i++) {
        const struct tr_node *pair = list->items[i];
        if (pair->kind != TR_NODE_LIST || pair->n != 2)
            return tr_node_err(s->err, pair, "a chunk is [new tokens, cached tokens]");
        rc = chunk_number(s, pair->items[0], 1, &(*chunks)[i][0]);
        if (rc == TR_OK)
            rc = chunk_number(s, pair->items[1], 0, &(*chunks)[i][1]);
    }
    return rc;
}

/* The sums must agree: a row that says something else than it thinks is worse than none. */
static int check_step(const struct source *s, const struct tr_node *at, const struct step *row,
                      int n, int (*chunks)[2], int *tokens)
{
    int64_t sum = row->decodes;
    for (int i = 0; i < n; i++)
        sum += chunks[i][0];
    if (sum == 0 || sum > MAX_TOK)
        return tr_node_err(s->err, at, "a step of %" PRId64 " tokens; allowed are 1 to %d", sum,
                           MAX_TOK);
    if (row->tokens != 0 && row->tokens != sum)
        return tr_node_err(s->err, at, "tokens is %d, but decodes and chunks add up to %" PRId64,
                           row->tokens, sum);
    if (row->context_tok < row->decodes)
        return tr_node_err(s->err, at,
                           "context is %" PRId64 " for %d decodes: it is the sum over all of them",
                           row->context_tok, row->decodes);
    if (row->rows > sum)
        return tr_node_err(s->err, at, "rows is %d of %" PRId64 " tokens", row->rows, sum);
    *tokens = (int)sum;
    return TR_OK;
}

static int read_step(const struct source *s, const struct steps *of, const struct tr_model *model,
                     int precision, size_t i)
{
    const struct tr_node *at = tr_node_get(s->root, "steps")->items[i];
    char name[24];
    int n = 0, (*chunks)[2] = NULL, tokens = 0;
    struct step row = {.rows = -1};
    snprintf(name, sizeof name, "%zu", i + 1);
    struct tr_entry entry = {.arena = &s->c->arena, .kind = "step", .name = name, .map = at};
    int rc = tr_fields_read(&entry, step_fields, TR_LEN(step_fields), &row, s->err);
    if (rc == TR_OK)
        rc = read_chunks(s, tr_node_get(at, "chunks"), &n, &chunks);
    if (rc == TR_OK)
        rc = check_step(s, at, &row, n, chunks, &tokens);
    if (rc != TR_OK)
        return rc;
    int rows = row.rows >= 0 ? row.rows : row.decodes + n;
    struct tr_str list = {0};
    for (int k = 0; k < n; k++)
        tr_str_printf(&list, " %d+%d", chunks[k][0], chunks[k][1]);
    uint64_t hash = list.text != NULL ? tr_hash(list.text, list.len, 0) : 0;
    tr_str_free(&list);
    struct tr_measurement *x = tr_calibrate_add(
        s->c, row.contenders > 0 ? TR_MEASURED_SHARED : TR_MEASURED_STEP, s->gpu, row.seconds,
        "step %s layers %d %s %s rows %d decodes %d context %" PRId64 " chunks %d %016" PRIx64
        " beside %d",
        model->name, model->layers, s->c->cat->precisions[precision].name,
        of->async ? "async" : "sync", rows, row.decodes, row.context_tok, n, hash, row.contenders);
    x->precision = precision;
    x->shape =
        tr_calibrate_shape(s->c, model, precision, of->async ? TR_FIT_HOST_ASYNC : TR_FIT_HOST_SYNC,
                           tokens, TR_MAX(rows, 1));
    x->tokens = tokens;
    x->rows = rows;
    x->decodes = row.decodes;
    x->context_tok = row.context_tok;
    x->n_chunks = n;
    x->chunks = chunks;
    x->contexts = row.contenders + 1;
    return TR_OK;
}

static int read_steps(struct source *s)
{
    struct steps of = {.async = true};
    const struct tr_model *found = NULL;
    const struct tr_precision *precision = NULL;
    struct tr_node *list = NULL;
    struct tr_entry entry = {
        .arena = &s->c->arena, .kind = "file", .name = "of steps", .map = s->root};
    int rc = tr_fields_read(&entry, steps_fields, TR_LEN(steps_fields), &of, s->err);
    if (rc == TR_OK)
        rc = tr_fields_child(s->root, "steps", TR_NODE_LIST, &list, s->err);
    if (rc != TR_OK)
        return rc;
    const char *gpu = of.gpu != NULL ? of.gpu : s->opts->gpu;
    const char *model = of.model != NULL ? of.model : s->opts->model;
    const char *name = of.precision != NULL ? of.precision : s->opts->precision;
    if (gpu == NULL || model == NULL || name == NULL)
        return tr_node_err(s->err, s->root, "the file does not name its %s; add it, or give --%s",
                           gpu == NULL     ? "gpu"
                           : model == NULL ? "model"
                                           : "precision",
                           gpu == NULL     ? "gpu"
                           : model == NULL ? "model"
                                           : "precision");
    rc = tr_catalog_gpu(s->c->cat, gpu, tr_node_get(s->root, "gpu"), &s->gpu, s->err);
    if (rc == TR_OK)
        rc = tr_catalog_model(s->c->cat, model, tr_node_get(s->root, "model"), &found, s->err);
    if (rc == TR_OK)
        rc = tr_catalog_precision(s->c->cat, name, tr_node_get(s->root, "precision"), &precision,
                                  s->err);
    if (rc != TR_OK)
        return rc;
    struct tr_model m = *found;
    m.layers = of.layers > 0 ? of.layers : m.layers;
    for (size_t i = 0; i < list->n && rc == TR_OK; i++)
        rc = read_step(s, &of, &m, (int)(precision - s->c->cat->precisions), i);
    return rc;
}

/* ---- timeslice_probe ------------------------------------------------------------------------- */

/* A number inside of a phase, 0 where there is none (the probe writes -1 then). */
static double number_in(const struct tr_node *map, const char *key, const char *inner)
{
    const struct tr_node *node = map->kind == TR_NODE_MAP ? tr_node_get(map, key) : NULL;
    double value = 0;
    if (inner != NULL && node != NULL)
        node = node->kind == TR_NODE_MAP ? tr_node_get(node, inner) : NULL;
    if (node == NULL || node->kind != TR_NODE_SCALAR ||
        tr_units_number(node->text, &value, NULL) != TR_OK)
        return 0;
    return value;
}

static int read_phase(struct source *s, struct tr_fit_probe probe, const struct tr_node *phase)
{
    const struct tr_node *mode = phase->kind == TR_NODE_MAP ? tr_node_get(phase, "mode") : NULL;
    if (mode == NULL || mode->kind != TR_NODE_SCALAR)
        return tr_node_err(s->err, phase, "a phase of the probe without its mode");
    bool heavy = strcmp(mode->text, "spin_heavy") == 0;
    bool spin = heavy || strcmp(mode->text, "spin_light") == 0;
    bool prefill = strcmp(mode->text, "prefill") == 0,
         decode = strncmp(mode->text, "decode", 6) == 0;
    double turn_s = number_in(phase, "owner_turn_us", "p50") / 1e6;
    double hole_s = number_in(phase, "switch_hole_us", "p50") / 1e6;
    if (probe.n > 1 && number_in(phase, "overlap_frac", NULL) > MPS_OVERLAP) {
        tr_calibrate_leave_out(s->c, "probe: contexts at the same time, which is MPS");
        return TR_OK;
    }
    if (spin && number_in(phase, "owner_turn_us", "n") >= MIN_TURNS && turn_s > 0 && turn_s < 1)
        tr_calibrate_add(s->c, TR_MEASURED_TURN, s->gpu, turn_s, "turn %s n %d", mode->text,
                         probe.n);
    if (heavy && number_in(phase, "switch_hole_us", "n") >= MIN_TURNS && hole_s > 0 && hole_s < 1)
        tr_calibrate_add(s->c, TR_MEASURED_SWITCH, s->gpu, hole_s, "switch n %d", probe.n);
    double n0 = number_in(phase, "step_us_proc0", "n"),
           n1 = number_in(phase, "step_us_others", "n");
    double sum = n0 * number_in(phase, "step_us_proc0", "mean") +
                 n1 * number_in(phase, "step_us_others", "mean");
    if ((!prefill && !decode) || n0 + n1 <= 0 || sum <= 0 || sum / (n0 + n1) > LONGEST_US)
        return TR_OK;
    probe.mode = mode->text;
    /* The probe gives a kernel's part of the time of four, after which it waits. */
    probe.step_s = sum / (n0 + n1) / 1e6 * (prefill ? 4 : 1);
    tr_grow((void **)&s->c->probes, &s->c->cap_probes, s->c->n_probes + 1, sizeof probe);
    s->c->probes[s->c->n_probes++] = probe;
    return TR_OK;
}

static int read_probe(struct source *s)
{
    const struct tr_node *gpu = tr_node_get(s->root, "gpu");
    struct tr_node *phases = NULL;
    struct tr_fit_probe probe = {.n = (int)TR_MIN(number_in(s->root, "n", NULL), 1e6),
                                 .segs = (int)TR_MIN(number_in(s->root, "segs", NULL), 1e6),
                                 .gap_s = number_in(s->root, "gap_us", NULL) / 1e6};
    if (gpu == NULL || gpu->kind != TR_NODE_SCALAR || probe.n < 1 || probe.n > MAX_CONTEXTS ||
        probe.segs < 1 || probe.segs > 16 || probe.gap_s > 1)
        return tr_node_err(s->err, s->root,
                           "timeslice_probe's output has gpu, n from 1 to %d, segs from 1 to 16 "
                           "and gap_us up to 1e6",
                           MAX_CONTEXTS);
    if (number_in(s->root, "failed", NULL) > 0)
        return tr_node_err(s->err, tr_node_get(s->root, "failed"), "the probe itself failed");
    /* It has the name that CUDA gives the card, which is rarely the catalog's. */
    if (tr_catalog_gpu(s->c->cat, gpu->text, gpu, &s->gpu, &(struct tr_err){0}) != TR_OK) {
        if (s->opts->gpu == NULL)
            return tr_node_err(s->err, gpu,
                               "\"%.60s\" is CUDA's name of a GPU; say with --gpu "
                               "which of the catalog's it is",
                               gpu->text);
        int rc = tr_catalog_gpu(s->c->cat, s->opts->gpu, NULL, &s->gpu, s->err);
        if (rc != TR_OK)
            return rc;
    }
    probe.gpu = s->gpu;
    int rc = tr_fields_child(s->root, "phases", TR_NODE_LIST, &phases, s->err);
    for (size_t i = 0; rc == TR_OK && i < phases->n; i++)
        rc = read_phase(s, probe, phases->items[i]);
    return rc;
}

int tr_calibrate_read_json(struct tr_calibration *c, const char *path, const char *text, size_t len,
                           const struct tr_calibrate_opts *opts, struct tr_err *err)
{
    struct tr_node *root = NULL;
    struct source s = {.c = c, .opts = opts, .err = err};
    int rc = tr_yaml_parse(&c->arena, path, text, len, &root, err);
    if (rc != TR_OK)
        return rc;
    s.root = root;
    if (root->kind == TR_NODE_MAP && tr_node_get(root, "probe") != NULL)
        return read_probe(&s);
    if (root->kind == TR_NODE_MAP && tr_node_get(root, "steps") != NULL)
        return read_steps(&s);
    return tr_node_err(err, root,
                       "no measurements that are known: whole steps have \"steps\", the "
                       "output of timeslice_probe has \"probe\"");
}
