/* load_models: reads models.yaml and precisions.yaml. */
#include "catalog/load.h"

#define MODEL(key, type, member, ...)                                                              \
    {                                                                                              \
        key, type, offsetof(struct tr_model, member), __VA_ARGS__                                  \
    }

/* The names are those of Hugging Face's config.json, which the same table reads: an entry can be
 * copied from there. The bounds only keep absurd numbers out of the arithmetic. */
const struct tr_field tr_model_fields[] = {
    MODEL("name", TR_FIELD_TEXT, name, .required = false),
    MODEL("hf_id", TR_FIELD_TEXT, hf_id, .required = false),
    MODEL("num_hidden_layers", TR_FIELD_INT, layers, true, false, 1, 1000),
    MODEL("hidden_size", TR_FIELD_INT, hidden, true, false, 16, 65536),
    MODEL("num_attention_heads", TR_FIELD_INT, heads, true, false, 1, 1024),
    MODEL("num_key_value_heads", TR_FIELD_INT, kv_heads, false, false, 1, 1024),
    MODEL("head_dim", TR_FIELD_INT, head_dim, false, false, 1, 1024),
    MODEL("intermediate_size", TR_FIELD_INT, ffn, true, false, 16, 1048576),
    MODEL("vocab_size", TR_FIELD_INT, vocab, true, false, 16, 4194304),
    MODEL("max_position_embeddings", TR_FIELD_INT, max_positions, true, false, 1, 100000000),
    MODEL("tie_word_embeddings", TR_FIELD_BOOL, tied, .required = false),
    MODEL("qkv_bias", TR_FIELD_BOOL, qkv_bias, .required = false),
    MODEL("mlp_bias", TR_FIELD_BOOL, mlp_bias, .required = false),
    MODEL("qk_norm", TR_FIELD_BOOL, qk_norm, .required = false),
    MODEL("four_norms", TR_FIELD_BOOL, four_norms, .required = false),
    MODEL("sliding_window", TR_FIELD_INT, sliding_window, false, false, 0, 100000000),
    MODEL("note", TR_FIELD_TEXT, note, .required = false),
    MODEL("source", TR_FIELD_TEXT, source, .required = false),
    {"published_params", TR_FIELD_OTHER, 0, .required = false},
};
const size_t tr_n_model_fields = TR_LEN(tr_model_fields);

/* The published count is a check of the entry: dimensions that do not add up to it are a slip. */
static int check_params(const struct tr_entry *entry, const struct tr_model *model,
                        struct tr_err *err)
{
    int64_t published = 0;
    const struct tr_node *node = tr_node_get(entry->map, "published_params");
    if (node == NULL)
        return TR_OK;
    if (node->kind != TR_NODE_SCALAR || tr_units_integer(node->text, &published, NULL) != TR_OK)
        return tr_catalog_err(err, node, "model %s: published_params must be a whole number",
                              entry->name);
    if (published != model->params)
        return tr_catalog_err(err, node,
                              "model %s: its dimensions give %" PRId64
                              " parameters, published are %" PRId64,
                              entry->name, model->params, published);
    return TR_OK;
}

int tr_load_models(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err)
{
    struct tr_node *list = NULL;
    int rc = tr_fields_child(root, "models", TR_NODE_LIST, &list, err);
    if (rc != TR_OK)
        return rc;
    cat->models = TR_ARENA_NEW(&cat->arena, struct tr_model, list->n);
    cat->n_models = list->n;
    for (size_t i = 0; i < list->n && rc == TR_OK; i++) {
        struct tr_model *model = &cat->models[i];
        struct tr_entry entry;
        rc = tr_load_entry(&cat->arena, "model", list, i, &entry, err);
        if (rc == TR_OK)
            rc = tr_fields_read(&entry, tr_model_fields, tr_n_model_fields, model, err);
        if (rc == TR_OK && (model->source == NULL || model->hf_id == NULL))
            rc = tr_catalog_err(err, entry.map, "model %s: 'source' and 'hf_id' are needed",
                                entry.name);
        if (rc == TR_OK)
            rc = tr_model_check(model, entry.map, err);
        if (rc != TR_OK)
            break;
        tr_model_derive(model);
        model->estimate_params = tr_node_get(entry.map, "published_params") == NULL;
        rc = check_params(&entry, model, err);
    }
    return rc;
}

#define PRECISION(key, type, member, ...)                                                          \
    {                                                                                              \
        key, type, offsetof(struct tr_precision, member), __VA_ARGS__                              \
    }

static const struct tr_field precision_fields[] = {
    PRECISION("name", TR_FIELD_TEXT, name, .required = true),
    PRECISION("weight_bytes", TR_FIELD_NUMBER, weight_bytes, true, true, 0.1, 4),
    PRECISION("cm", TR_FIELD_NUMBER, cm, true, true, 0.1, 8),
    PRECISION("cm_native", TR_FIELD_NUMBER, cm_native, true, true, 0.1, 8),
    PRECISION("needs_tq", TR_FIELD_BOOL, needs_tq, true, true),
    PRECISION("fp8_native", TR_FIELD_BOOL, fp8_native, true, true),
    {"quality", TR_FIELD_OTHER, 0, .required = false},
    {"sources", TR_FIELD_OTHER, 0, .required = true},
};

static const struct tr_field quality_fields[] = {
    {"metric", TR_FIELD_TEXT, offsetof(struct tr_quality, metric), .required = true},
    {"loss", TR_FIELD_FRACTION, offsetof(struct tr_quality, loss), .required = true},
    {"source", TR_FIELD_TEXT, offsetof(struct tr_quality, source), .required = true},
};

static int read_quality(const struct tr_entry *entry, struct tr_precision *precision,
                        struct tr_err *err)
{
    struct tr_node *list = NULL;
    if (tr_node_get(entry->map, "quality") == NULL)
        return TR_OK;
    int rc = tr_fields_child(entry->map, "quality", TR_NODE_LIST, &list, err);
    if (rc != TR_OK)
        return rc;
    if (list->n > TR_LEN(precision->quality))
        return tr_catalog_err(err, list, "precision %s: at most %zu quality figures", entry->name,
                              TR_LEN(precision->quality));
    for (size_t i = 0; i < list->n && rc == TR_OK; i++) {
        struct tr_entry item = {entry->arena, "quality of", entry->name, list->items[i], false};
        rc = tr_fields_read(&item, quality_fields, TR_LEN(quality_fields), &precision->quality[i],
                            err);
    }
    precision->n_quality = (int)list->n;
    return rc;
}

int tr_load_precisions(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err)
{
    struct tr_node *list = NULL;
    int rc = tr_fields_child(root, "precisions", TR_NODE_LIST, &list, err);
    if (rc != TR_OK)
        return rc;
    cat->precisions = TR_ARENA_NEW(&cat->arena, struct tr_precision, list->n);
    cat->n_precisions = list->n;
    for (size_t i = 0; i < list->n && rc == TR_OK; i++) {
        struct tr_precision *p = &cat->precisions[i];
        struct tr_entry entry;
        rc = tr_load_entry(&cat->arena, "precision", list, i, &entry, err);
        if (rc == TR_OK)
            rc = tr_fields_read(&entry, precision_fields, TR_LEN(precision_fields), p, err);
        if (rc == TR_OK)
            rc = tr_fields_sources(&entry, precision_fields, TR_LEN(precision_fields), &p->source,
                                   err);
        if (rc == TR_OK)
            rc = read_quality(&entry, p, err);
    }
    if (rc == TR_OK && strcmp(cat->precisions[0].name, "bf16") != 0)
        rc = tr_catalog_err(err, list,
                            "the first precision must be bf16: the others are measured "
                            "against it");
    return rc;
}
