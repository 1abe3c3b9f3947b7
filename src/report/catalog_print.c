/* report, catalog: what tranche knows, with the source of each number. */
#include <tranche/catalog.h>

#include "report/catalog_print.h"

#include <errno.h>
#include <math.h>

#define SCHEMA_VERSION 1

static const char *const standings[] = {"measured", "operators", "estimate"};
static const char *const standing_words[] = {"fitted to whole runs", "fitted to single operators",
                                             "estimated"};

/* One part of the catalog: how its list and one entry of it are printed. `name` finds the entry;
 * NULL means the list. */
struct topic {
    const char *what;
    int (*table)(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                 struct tr_err *err);
    int (*json)(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                struct tr_err *err);
};

/* ---- pieces --------------------------------------------------------------------------------- */

/* Lines "key value: source" as rows of a table. */
void tr_catalog_print_sources(const char *sources, struct tr_str *out)
{
    struct tr_table t = {.indent = 2};
    tr_table_column(&t, TR_LEFT, NULL, "key");
    tr_table_column(&t, TR_RIGHT, NULL, "value");
    tr_table_column(&t, TR_PROSE, NULL, "source");
    for (const char *line = sources; *line != '\0';) {
        int len = (int)strcspn(line, "\n");
        int key = (int)strcspn(line, " "), value = (int)strcspn(line + key + 1, ":");
        const char *source = line + key + 1 + value + 2;
        tr_table_cell(&t, "%.*s", key, line);
        tr_table_cell(&t, "%.*s", value, line + key + 1);
        tr_table_cell(&t, "%.*s", (int)(line + len - source), source);
        line += len + (line[len] == '\n');
    }
    tr_table_end(&t, out);
}

void tr_catalog_json_sources(const char *sources, struct tr_json *j)
{
    struct tr_arena arena = {0};
    tr_json_begin(j, "numbers", '[');
    for (const char *line = sources; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        size_t key = strcspn(line, " "), value = strcspn(line + key + 1, ":");
        size_t at = key + 1 + value + 2;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "key", tr_arena_strndup(&arena, line, key));
        tr_json_text(j, "value", tr_arena_strndup(&arena, line + key + 1, value));
        tr_json_text(j, "source", tr_arena_strndup(&arena, line + at, len - at));
        tr_json_end(j);
        line += len + (line[len] == '\n');
    }
    tr_json_end(j);
    tr_arena_free(&arena);
}

/* A table of two columns without a heading: what and its value. */
void tr_catalog_fact_columns(struct tr_table *t)
{
    t->indent = 2;
    tr_table_column(t, TR_LEFT, NULL, "");
    tr_table_column(t, TR_PROSE, NULL, "");
}

void tr_catalog_fact(struct tr_table *t, const char *what, const char *fmt, ...)
{
    struct tr_str s = {0};
    va_list ap;
    va_start(ap, fmt);
    tr_str_vprintf(&s, fmt, ap);
    va_end(ap);
    tr_table_cell(t, "%s", what);
    tr_table_cell(t, "%s", s.text != NULL ? s.text : "");
    tr_str_free(&s);
}

static double in_gib(int64_t bytes)
{
    return (double)bytes / TR_GIB;
}

/* ---- gpus ----------------------------------------------------------------------------------- */

static int gpus_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                      struct tr_err *err)
{
    const struct tr_gpu *g = NULL;
    struct tr_spread spreads[TR_MAX_SPREADS];
    if (name != NULL) {
        int rc = tr_catalog_gpu(cat, name, NULL, &g, err);
        if (rc != TR_OK)
            return rc;
        tr_str_printf(out, "%s (%s): step-time constants %s, error %.0f %%\n\n", g->name, g->arch,
                      standing_words[g->standing], g->error * 100);
        tr_catalog_print_sources(g->sources, out);
        tr_catalog_print_spreads(spreads, tr_gpu_spreads(g, spreads), out);
        tr_str_printf(out, "\n");
        if (g->n_profiles > 0)
            tr_str_printf(out, "MIG: tranche catalog mig %s\n", g->name);
        else
            tr_str_printf(out, "No MIG: this card can be time-sliced or shared by MPS only.\n");
        return TR_OK;
    }
    struct tr_table t = {0};
    static const enum tr_align align[] = {TR_LEFT,  TR_LEFT,  TR_RIGHT, TR_RIGHT, TR_RIGHT,
                                          TR_RIGHT, TR_RIGHT, TR_LEFT,  TR_RIGHT};
    static const char *const heads[] = {"GPU", "generation", "TFLOP/s",  "GB/s", "SMs",
                                        "GiB", "MIG slices", "standing", "error"};
    for (size_t i = 0; i < TR_LEN(heads); i++)
        tr_table_column(&t, align[i], NULL, heads[i]);
    for (size_t i = 0; i < cat->n_gpus; i++) {
        g = &cat->gpus[i];
        tr_table_cell(&t, "%s", g->name);
        tr_table_cell(&t, "%s", g->arch);
        tr_table_cell(&t, "%.4g", g->peak_flops / 1e12);
        tr_table_cell(&t, "%.0f", g->bandwidth / 1e9);
        tr_table_cell(&t, "%d", g->sms);
        tr_table_cell(&t, "%.2f", in_gib(g->mem_bytes));
        if (g->n_profiles > 0)
            tr_table_cell(&t, "%d", g->compute_slices);
        else
            tr_table_cell(&t, "-");
        tr_table_cell(&t, "%s", standings[g->standing]);
        tr_table_cell(&t, "%.0f %%", g->error * 100);
    }
    tr_table_end(&t, out);
    tr_text_wrap(out, "\n", 0,
                 "TFLOP/s dense bf16; GiB as CUDA reports it; error: to expect of a step time. "
                 "Sources: tranche catalog gpus NAME");
    return TR_OK;
}

static int gpus_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                     struct tr_err *err)
{
    const struct tr_gpu *only = NULL;
    struct tr_spread spreads[TR_MAX_SPREADS];
    int rc = name != NULL ? tr_catalog_gpu(cat, name, NULL, &only, err) : TR_OK;
    tr_json_begin(j, "gpus", '[');
    for (size_t i = 0; i < cat->n_gpus && rc == TR_OK; i++) {
        const struct tr_gpu *g = &cat->gpus[i];
        if (only != NULL && g != only)
            continue;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "name", g->name);
        tr_json_text(j, "generation", g->arch);
        tr_json_num(j, "peak_flops", g->peak_flops);
        tr_json_num(j, "bandwidth_bytes_per_s", g->bandwidth);
        tr_json_int(j, "sms", g->sms);
        tr_json_int(j, "mem_bytes", g->mem_bytes);
        tr_json_int(j, "mig_compute_slices", g->compute_slices);
        tr_json_text(j, "standing", standings[g->standing]);
        tr_json_num(j, "error", g->error);
        tr_catalog_json_sources(g->sources, j);
        tr_catalog_json_spreads(spreads, tr_gpu_spreads(g, spreads), j);
        tr_json_end(j);
    }
    tr_json_end(j);
    return rc;
}

/* ---- models --------------------------------------------------------------------------------- */

static void model_facts(const struct tr_catalog *cat, const struct tr_model *m, struct tr_str *out)
{
    struct tr_table t = {0};
    char text[32];
    tr_str_printf(out, "%s (%s)\n\n", m->name, m->hf_id);
    tr_catalog_fact_columns(&t);
    tr_catalog_fact(&t, "num_hidden_layers", "%d", m->layers);
    tr_catalog_fact(&t, "hidden_size", "%d", m->hidden);
    tr_catalog_fact(&t, "num_attention_heads", "%d", m->heads);
    tr_catalog_fact(&t, "num_key_value_heads", "%d", m->kv_heads);
    tr_catalog_fact(&t, "head_dim", "%d", m->head_dim);
    tr_catalog_fact(&t, "intermediate_size", "%d", m->ffn);
    tr_catalog_fact(&t, "vocab_size", "%d", m->vocab);
    tr_catalog_fact(&t, "max_position_embeddings", "%d", m->max_positions);
    tr_catalog_fact(&t, "tie_word_embeddings", "%s", m->tied ? "true" : "false");
    tr_catalog_fact(&t, "parameters", "%s", tr_units_show_count(text, m->params));
    tr_catalog_fact(&t, "  in the layers", "%s", tr_units_show_count(text, m->layer_params));
    tr_catalog_fact(&t, "  output head", "%s", tr_units_show_count(text, m->head_params));
    tr_catalog_fact(&t, "  input embedding", "%s", tr_units_show_count(text, m->embed_params));
    tr_catalog_fact(&t, "  norms and biases", "%s", tr_units_show_count(text, m->other_params));
    for (size_t i = 0; i < cat->n_precisions; i++) {
        snprintf(text, sizeof text, "weights, %.20s", cat->precisions[i].name);
        tr_catalog_fact(&t, text, "%.2f GiB",
                        in_gib(tr_model_weight_bytes(m, &cat->precisions[i])));
    }
    tr_catalog_fact(&t, "KV cache", "%s bytes per token",
                    tr_units_show_count(text, m->kv_bytes_per_tok));
    if (m->note != NULL)
        tr_catalog_fact(&t, "note", "%s", m->note);
    tr_catalog_fact(&t, "source", "%s; all else follows from the dimensions", m->source);
    tr_table_end(&t, out);
}

static int models_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                        struct tr_err *err)
{
    const struct tr_model *m = NULL;
    if (name != NULL) {
        int rc = tr_catalog_model(cat, name, NULL, &m, err);
        if (rc == TR_OK)
            model_facts(cat, m, out);
        return rc;
    }
    struct tr_table t = {0};
    static const char weights[] = "weights, GiB";
    tr_table_column(&t, TR_LEFT, NULL, "model");
    tr_table_column(&t, TR_RIGHT, NULL, "parameters");
    for (size_t k = 0; k < cat->n_precisions && k < 6; k++)
        tr_table_column(&t, TR_RIGHT, weights, cat->precisions[k].name);
    tr_table_column(&t, TR_RIGHT, NULL, "KV bytes/token");
    tr_table_column(&t, TR_RIGHT, NULL, "longest");
    for (size_t i = 0; i < cat->n_models; i++) {
        m = &cat->models[i];
        char text[32];
        tr_table_cell(&t, "%s", m->name);
        tr_table_cell(&t, "%s", tr_units_show_count(text, m->params));
        for (size_t k = 0; k < cat->n_precisions && k < 6; k++)
            tr_table_cell(&t, "%.2f", in_gib(tr_model_weight_bytes(m, &cat->precisions[k])));
        tr_table_cell(&t, "%s", tr_units_show_count(text, m->kv_bytes_per_tok));
        tr_table_cell(&t, "%s", tr_units_show_count(text, m->max_positions));
    }
    tr_table_end(&t, out);
    tr_text_wrap(out, "\n", 0,
                 "Any other dense model: give the path of its config.json. Dimensions and notes: "
                 "tranche catalog models NAME");
    return TR_OK;
}

static int models_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                       struct tr_err *err)
{
    const struct tr_model *only = NULL;
    int rc = name != NULL ? tr_catalog_model(cat, name, NULL, &only, err) : TR_OK;
    tr_json_begin(j, "models", '[');
    for (size_t i = 0; i < cat->n_models && rc == TR_OK; i++) {
        const struct tr_model *m = &cat->models[i];
        if (only != NULL && m != only)
            continue;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "name", m->name);
        tr_json_text(j, "hf_id", m->hf_id);
        tr_json_int(j, "num_hidden_layers", m->layers);
        tr_json_int(j, "hidden_size", m->hidden);
        tr_json_int(j, "num_attention_heads", m->heads);
        tr_json_int(j, "num_key_value_heads", m->kv_heads);
        tr_json_int(j, "head_dim", m->head_dim);
        tr_json_int(j, "intermediate_size", m->ffn);
        tr_json_int(j, "vocab_size", m->vocab);
        tr_json_int(j, "max_position_embeddings", m->max_positions);
        tr_json_bool(j, "tie_word_embeddings", m->tied);
        tr_json_int(j, "params", m->params);
        tr_json_int(j, "layer_params", m->layer_params);
        tr_json_int(j, "kv_bytes_per_token", m->kv_bytes_per_tok);
        tr_json_begin(j, "weight_bytes", '{');
        for (size_t k = 0; k < cat->n_precisions; k++)
            tr_json_int(j, cat->precisions[k].name, tr_model_weight_bytes(m, &cat->precisions[k]));
        tr_json_end(j);
        tr_json_text(j, "note", m->note);
        tr_json_text(j, "source", m->source);
        tr_json_end(j);
    }
    tr_json_end(j);
    return rc;
}

/* ---- precisions ----------------------------------------------------------------------------- */

static void precision_entry(const struct tr_precision *p, struct tr_str *out)
{
    tr_str_printf(out, "%s\n\n", p->name);
    struct tr_spread spreads[TR_MAX_SPREADS];
    tr_catalog_print_sources(p->source, out);
    tr_catalog_print_spreads(spreads, tr_precision_spreads(p, spreads), out);
    if (p->n_quality == 0)
        return;
    struct tr_table t = {.indent = 2};
    tr_str_printf(out, "\n");
    tr_table_column(&t, TR_LEFT, NULL, "metric");
    tr_table_column(&t, TR_RIGHT, NULL, "loss");
    tr_table_column(&t, TR_PROSE, NULL, "source");
    for (int i = 0; i < p->n_quality; i++) {
        tr_table_cell(&t, "%s", p->quality[i].metric);
        tr_table_cell(&t, "%.1f %%", p->quality[i].loss * 100);
        tr_table_cell(&t, "%s", p->quality[i].source);
    }
    tr_table_end(&t, out);
}

static int precisions_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                            struct tr_err *err)
{
    const struct tr_precision *p = NULL;
    if (name != NULL) {
        int rc = tr_catalog_precision(cat, name, NULL, &p, err);
        if (rc == TR_OK)
            precision_entry(p, out);
        return rc;
    }
    struct tr_table t = {0};
    tr_table_column(&t, TR_LEFT, NULL, "precision");
    tr_table_column(&t, TR_RIGHT, NULL, "bytes/weight");
    tr_table_column(&t, TR_RIGHT, NULL, "GEMM rate");
    tr_table_column(&t, TR_RIGHT, NULL, "on fp8 cores");
    tr_table_column(&t, TR_LEFT, NULL, "quality loss");
    for (size_t i = 0; i < cat->n_precisions; i++) {
        p = &cat->precisions[i];
        struct tr_str quality = {0};
        for (int k = 0; k < p->n_quality; k++)
            tr_str_printf(&quality, "%s%s %.1f %%", k == 0 ? "" : ", ", p->quality[k].metric,
                          p->quality[k].loss * 100);
        tr_table_cell(&t, "%s", p->name);
        tr_table_cell(&t, "%.2f", p->weight_bytes);
        tr_table_cell(&t, "%.2f", p->cm);
        tr_table_cell(&t, "%.2f", p->cm_native);
        tr_table_cell(&t, "%s", quality.text != NULL ? quality.text : "");
        tr_str_free(&quality);
    }
    tr_table_end(&t, out);
    tr_text_wrap(out, "\n", 0,
                 "GEMM rate: of compute-bound layer GEMMs, bf16 is 1. Sources: "
                 "tranche catalog precisions NAME");
    return TR_OK;
}

static int precisions_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                           struct tr_err *err)
{
    const struct tr_precision *only = NULL;
    int rc = name != NULL ? tr_catalog_precision(cat, name, NULL, &only, err) : TR_OK;
    tr_json_begin(j, "precisions", '[');
    for (size_t i = 0; i < cat->n_precisions && rc == TR_OK; i++) {
        const struct tr_precision *p = &cat->precisions[i];
        if (only != NULL && p != only)
            continue;
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "name", p->name);
        struct tr_spread spreads[TR_MAX_SPREADS];
        tr_catalog_json_sources(p->source, j);
        tr_catalog_json_spreads(spreads, tr_precision_spreads(p, spreads), j);
        tr_json_begin(j, "quality", '[');
        for (int k = 0; k < p->n_quality; k++) {
            tr_json_begin(j, NULL, '{');
            tr_json_text(j, "metric", p->quality[k].metric);
            tr_json_num(j, "loss", p->quality[k].loss);
            tr_json_text(j, "source", p->quality[k].source);
            tr_json_end(j);
        }
        tr_json_end(j);
        tr_json_end(j);
    }
    tr_json_end(j);
    return rc;
}

/* ---- mig ------------------------------------------------------------------------------------ */

/* The GPU whose geometry is asked for; the answer to none names those that have one. */
static int mig_gpu(const struct tr_catalog *cat, const char *name, const struct tr_gpu **out,
                   struct tr_err *err)
{
    int rc = name != NULL ? tr_catalog_gpu(cat, name, NULL, out, err) : TR_OK;
    if (rc != TR_OK || (*out != NULL && (*out)->n_profiles > 0))
        return rc;
    struct tr_str with = {0};
    for (size_t i = 0; i < cat->n_gpus; i++)
        if (cat->gpus[i].n_profiles > 0)
            tr_str_printf(&with, "%s%s", with.len > 0 ? ", " : "", cat->gpus[i].name);
    rc = tr_err_set(err, TR_EINPUT, "%s%s; MIG is known of %s",
                    name != NULL ? (*out)->name : "mig needs the name of a GPU",
                    name != NULL ? " has no MIG" : "", with.text != NULL ? with.text : "no GPU");
    tr_str_free(&with);
    return rc;
}

static int mig_table(const struct tr_catalog *cat, const char *name, struct tr_str *out,
                     struct tr_err *err)
{
    const struct tr_gpu *gpu = NULL;
    int rc = mig_gpu(cat, name, &gpu, err);
    if (rc == TR_OK)
        tr_catalog_print_mig(cat, gpu, out);
    return rc;
}

static int mig_json(const struct tr_catalog *cat, const char *name, struct tr_json *j,
                    struct tr_err *err)
{
    const struct tr_gpu *gpu = NULL;
    int rc = mig_gpu(cat, name, &gpu, err);
    if (rc == TR_OK)
        tr_catalog_json_mig(cat, gpu, j);
    return rc;
}

/* ---- all ------------------------------------------------------------------------------------ */

static const struct topic topics[] = {
    {"gpus", gpus_table, gpus_json},
    {"models", models_table, models_json},
    {"precisions", precisions_table, precisions_json},
    {"nodes", tr_catalog_nodes_table, tr_catalog_nodes_json},
    {"servers", tr_catalog_servers_table, tr_catalog_servers_json},
    {"mig", mig_table, mig_json},
};

static void overview(const struct tr_catalog *cat, struct tr_str *out)
{
    struct tr_table t = {0};
    size_t measured = 0, mig = 0, priced = 0;
    for (size_t i = 0; i < cat->n_gpus; i++) {
        measured += cat->gpus[i].standing == TR_MEASURED;
        mig += cat->gpus[i].n_profiles > 0;
    }
    for (size_t i = 0; i < cat->n_nodes; i++)
        priced += !isnan(cat->nodes[i].usd_per_h);
    tr_catalog_fact_columns(&t);
    tr_catalog_fact(&t, "gpus", "%zu GPUs, %zu of them measured", cat->n_gpus, measured);
    tr_catalog_fact(&t, "mig GPU", "MIG profiles and layouts of %zu of them", mig);
    tr_catalog_fact(&t, "models", "%zu models; any dense config.json besides", cat->n_models);
    tr_catalog_fact(&t, "precisions", "%zu precisions, with speed and quality loss",
                    cat->n_precisions);
    tr_catalog_fact(&t, "nodes", "%zu node types, %zu with a list price of %s", cat->n_nodes,
                    priced, cat->prices_date);
    tr_catalog_fact(&t, "servers", "%zu simple GPU servers: embedders, classifiers",
                    cat->n_servers);
    tr_table_end(&t, out);
    tr_str_printf(out, "\ntranche catalog PART lists one of them, tranche catalog PART NAME prints "
                       "an entry with its sources.\n");
}

static void overview_json(const struct tr_catalog *cat, struct tr_json *j)
{
    tr_json_begin(j, "counts", '{');
    tr_json_int(j, "gpus", (int64_t)cat->n_gpus);
    tr_json_int(j, "models", (int64_t)cat->n_models);
    tr_json_int(j, "precisions", (int64_t)cat->n_precisions);
    tr_json_int(j, "nodes", (int64_t)cat->n_nodes);
    tr_json_int(j, "servers", (int64_t)cat->n_servers);
    tr_json_end(j);
    tr_json_text(j, "prices_date", cat->prices_date);
}

static int find_topic(const char *what, const struct topic **out, struct tr_err *err)
{
    const char *names[TR_LEN(topics)];
    *out = NULL;
    for (size_t i = 0; i < TR_LEN(topics); i++) {
        names[i] = topics[i].what;
        if (what != NULL && strcmp(what, topics[i].what) == 0)
            *out = &topics[i];
    }
    if (what == NULL || *out != NULL)
        return TR_OK;
    const char *near = tr_nearest(what, names, TR_LEN(names));
    return tr_err_set(err, TR_EINPUT,
                      "the catalog has no part '%.40s'%s%s%s; it has gpus, models, precisions, "
                      "nodes, servers and mig",
                      what, near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                      near != NULL ? "'?" : "");
}

static int print_json(const struct tr_catalog *cat, const struct topic *topic, const char *name,
                      struct tr_str *text, struct tr_err *err)
{
    struct tr_json j = {.out = text};
    tr_json_begin(&j, NULL, '{');
    tr_json_int(&j, "schema_version", SCHEMA_VERSION);
    tr_json_text(&j, "tranche_version", tr_version());
    int rc = TR_OK;
    if (topic == NULL)
        overview_json(cat, &j);
    else
        rc = topic->json(cat, name, &j, err);
    if (rc == TR_OK)
        tr_json_end(&j);
    return rc;
}

int tr_catalog_print(const char *what, const char *name, const char *catalog_dir,
                     enum tr_format format, FILE *out, struct tr_err *err)
{
    struct tr_catalog *cat = NULL;
    const struct topic *topic = NULL;
    struct tr_str text = {0};
    int rc = find_topic(what, &topic, err);
    if (rc == TR_OK && format != TR_FORMAT_TABLE && format != TR_FORMAT_JSON)
        rc = tr_err_set(err, TR_EINPUT, "the catalog is printed as table or json only");
    if (rc == TR_OK)
        rc = tr_catalog_load(catalog_dir, &cat, err);
    if (rc != TR_OK)
        goto out;
    if (format == TR_FORMAT_JSON)
        rc = print_json(cat, topic, name, &text, err);
    else if (topic == NULL)
        overview(cat, &text);
    else
        rc = topic->table(cat, name, &text, err);
    if (rc != TR_OK)
        goto out;
    if (fwrite(text.text, 1, text.len, out) != text.len || fflush(out) != 0)
        rc = tr_err_set(err, TR_EENV, "cannot write: %s", strerror(errno));
out:
    tr_str_free(&text);
    tr_catalog_free(cat);
    return rc;
}
