/* model_config: a model from its Hugging Face config.json.
 *
 * Only what the formulas of model.c describe is accepted: dense decoder-only transformers with a
 * gated MLP, of the families named below. Everything else is refused by name rather than counted
 * wrongly.
 */
#include "catalog/load.h"

#include <stdlib.h>

#define MAX_CONFIG_BYTES ((size_t)4 << 20)

/* The families whose parameter count the formulas give. */
static const struct family {
    const char *type;
    bool qkv_bias, qk_norm, four_norms, tied;
    bool window_by_flag; /* sliding_window counts only with use_sliding_window */
} families[] = {
    {"llama"},
    {"mistral"},
    {"qwen2", .qkv_bias = true, .window_by_flag = true},
    {"qwen3", .qk_norm = true, .window_by_flag = true},
    {"gemma", .tied = true},
    {"gemma2", .four_norms = true, .tied = true},
    {"gemma3_text", .qk_norm = true, .four_norms = true, .tied = true},
    {"phi3"},
};

/* Kinds refused by what their config says, whatever the family calls itself. */
static const struct {
    const char *key, *kind;
} other_kinds[] = {
    {"num_local_experts", "a mixture of experts"},
    {"num_experts", "a mixture of experts"},
    {"n_routed_experts", "a mixture of experts"},
    {"moe_intermediate_size", "a mixture of experts"},
    {"kv_lora_rank", "a model with multi-head latent attention (MLA)"},
    {"ssm_cfg", "a state-space model"},
    {"ssm_state_size", "a state-space model"},
    {"state_size", "a state-space model"},
    {"mamba_d_state", "a state-space hybrid"},
    {"linear_num_value_heads", "a linear-attention hybrid"},
};

/* Kinds known by the family's name alone. */
static const struct {
    const char *type, *kind;
} other_types[] = {
    {"mixtral", "a mixture of experts"},
    {"gpt_oss", "a mixture of experts"},
    {"deepseek", "a mixture of experts"},
    {"dbrx", "a mixture of experts"},
    {"phimoe", "a mixture of experts"},
    {"llama4", "a mixture of experts"},
    {"mamba", "a state-space model"},
    {"falcon_mamba", "a state-space model"},
    {"jamba", "a state-space hybrid"},
    {"rwkv", "a recurrent model"},
    {"bert", "an encoder"},
    {"roberta", "an encoder"},
    {"xlm-roberta", "an encoder"},
    {"distilbert", "an encoder"},
    {"modernbert", "an encoder"},
    {"nomic_bert", "an encoder"},
    {"t5", "an encoder-decoder model"},
    {"bart", "an encoder-decoder model"},
    {"whisper", "an encoder-decoder model"},
    {"mllama", "a model with cross-attention"},
};

static const char *text_of(const struct tr_node *map, const char *key)
{
    const struct tr_node *node = tr_node_get(map, key);
    return node != NULL && node->kind == TR_NODE_SCALAR && !node->null ? node->text : NULL;
}

static bool is_true(const struct tr_node *map, const char *key)
{
    const char *text = text_of(map, key);
    return text != NULL && strcmp(text, "true") == 0;
}

/* The families' names and the known other kinds decide; what is left is refused as unknown. */
static int find_family(const struct tr_node *map, const struct family **out, struct tr_err *err)
{
    const char *type = text_of(map, "model_type");
    if (type == NULL)
        return tr_catalog_err(err, map,
                              "no 'model_type': this is no config.json of a language "
                              "model");
    const char *kind = NULL;
    if (is_true(map, "is_encoder_decoder"))
        kind = "an encoder-decoder model";
    for (size_t i = 0; i < TR_LEN(other_kinds) && kind == NULL; i++) {
        const char *text = text_of(map, other_kinds[i].key);
        if (text != NULL && strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
            kind = other_kinds[i].kind;
    }
    for (size_t i = 0; i < TR_LEN(other_types) && kind == NULL; i++)
        if (strcmp(type, other_types[i].type) == 0)
            kind = other_types[i].kind;
    if (kind != NULL)
        return tr_catalog_err(err, map,
                              "model_type '%.40s' is %s, which is not supported: only dense "
                              "decoder-only transformers are",
                              type, kind);
    for (size_t i = 0; i < TR_LEN(families); i++) {
        if (strcmp(families[i].type, type) == 0) {
            *out = &families[i];
            return TR_OK;
        }
    }
    return tr_catalog_err(err, map,
                          "model_type '%.40s' is not supported; supported are llama, mistral, "
                          "qwen2, qwen3, gemma, gemma2, gemma3_text and phi3",
                          type);
}

/* Remarks on what the count leaves out. */
static const char *note_of(struct tr_arena *arena, const struct tr_node *root,
                           const struct tr_node *map, const struct tr_model *model)
{
    struct tr_str note = {0};
    if (model->sliding_window > 0)
        tr_str_printf(&note, "sliding window counted as full attention");
    if (root != map)
        tr_str_printf(&note, "%sonly the text model is counted, no vision or audio tower",
                      note.len > 0 ? "; " : "");
    if (tr_node_get(root, "quantization_config") != NULL)
        tr_str_printf(&note,
                      "%sthe config's own quantisation is not read: name the precision instead",
                      note.len > 0 ? "; " : "");
    const char *text = note.len > 0 ? tr_arena_strdup(arena, note.text) : NULL;
    tr_str_free(&note);
    return text;
}

static int fill(struct tr_arena *arena, const char *path, const struct tr_node *root,
                struct tr_model *out, struct tr_err *err)
{
    if (root->kind != TR_NODE_MAP)
        return tr_catalog_err(err, root, "this is no config.json: a map of keys is expected");
    const struct tr_node *map = tr_node_get(root, "text_config");
    if (map == NULL || map->kind != TR_NODE_MAP)
        map = root;
    const struct family *family = NULL;
    int rc = find_family(map, &family, err);
    if (rc != TR_OK)
        return rc;
    *out = (struct tr_model){.tied = family->tied};
    struct tr_entry entry = {arena, "model", family->type, map, true};
    rc = tr_fields_read(&entry, tr_model_fields, tr_n_model_fields, out, err);
    if (rc == TR_OK)
        rc = tr_model_check(out, map, err);
    if (rc != TR_OK)
        return rc;
    if (family->window_by_flag && !is_true(map, "use_sliding_window"))
        out->sliding_window = 0;
    out->qkv_bias = family->qkv_bias || is_true(map, "attention_bias");
    out->o_bias = is_true(map, "attention_bias");
    out->qk_norm = family->qk_norm;
    out->four_norms = family->four_norms;
    out->name = tr_arena_strdup(arena, path);
    const char *id = text_of(root, "_name_or_path");
    out->hf_id = id != NULL && id[0] != '\0' ? tr_arena_strdup(arena, id) : out->name;
    out->source = tr_arena_printf(arena, "dimensions from %s; parameters computed from them", path);
    out->note = note_of(arena, root, map, out);
    out->estimate_params = true;
    tr_model_derive(out);
    return TR_OK;
}

int tr_model_parse_config(struct tr_arena *arena, const char *path, const char *text, size_t len,
                          struct tr_model *out, struct tr_err *err)
{
    struct tr_node *root = NULL;
    const char *label = tr_arena_strdup(arena, path);
    int rc = tr_json_parse(arena, label, text, len, &root, err);
    return rc == TR_OK ? fill(arena, label, root, out, err) : rc;
}

int tr_model_from_config(struct tr_arena *arena, const char *path, struct tr_model *out,
                         struct tr_err *err)
{
    char *text = NULL;
    size_t len = 0;
    int rc = tr_file_read(path, MAX_CONFIG_BYTES, &text, &len, err);
    if (rc == TR_OK)
        rc = tr_model_parse_config(arena, path, text, len, out, err);
    free(text);
    return rc;
}
