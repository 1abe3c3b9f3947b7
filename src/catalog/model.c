/* model: what follows from a transformer's dimensions: parameters, bytes, consistency. */
#include "catalog/load.h"

int tr_model_check(const struct tr_model *model, const struct tr_node *at, struct tr_err *err)
{
    int kv = model->kv_heads != 0 ? model->kv_heads : model->heads;
    if (kv > model->heads || model->heads % kv != 0)
        return tr_catalog_err(err, at,
                              "num_attention_heads %d is no multiple of num_key_value_heads %d",
                              model->heads, kv);
    if (model->head_dim == 0 && model->hidden % model->heads != 0)
        return tr_catalog_err(err, at,
                              "hidden_size %d is no multiple of num_attention_heads %d; head_dim "
                              "must be given",
                              model->hidden, model->heads);
    return TR_OK;
}

void tr_model_derive(struct tr_model *m)
{
    if (m->kv_heads == 0)
        m->kv_heads = m->heads;
    if (m->head_dim == 0)
        m->head_dim = m->hidden / m->heads;
    int64_t d = m->hidden, f = m->ffn, layers = m->layers;
    int64_t q = (int64_t)m->heads * m->head_dim, kv = (int64_t)m->kv_heads * m->head_dim;
    int64_t attention = d * q + 2 * d * kv + q * d;
    int64_t mlp = 3 * d * f; /* gate, up, down */
    int64_t biases =
        (m->qkv_bias ? q + 2 * kv : 0) + (m->o_bias ? d : 0) + (m->mlp_bias ? 2 * f + d : 0);
    int64_t norms = (m->four_norms ? 4 : 2) * d + (m->qk_norm ? 2 * (int64_t)m->head_dim : 0);
    m->layer_params = layers * (attention + mlp);
    m->other_params = layers * (norms + biases) + d; /* and the final norm */
    m->head_params = (int64_t)m->vocab * d;
    m->embed_params = m->tied ? 0 : m->head_params;
    m->params = m->layer_params + m->other_params + m->head_params + m->embed_params;
    m->kv_bytes_per_tok = 2 * layers * kv * 2; /* keys and values, 2 bytes each */
}

/* Quantisation shrinks the linear layers only; embeddings, head and norms stay 16-bit. */
int64_t tr_model_weight_bytes(const struct tr_model *model, const struct tr_precision *precision)
{
    int64_t kept = model->head_params + model->embed_params + model->other_params;
    return (int64_t)((double)model->layer_params * precision->weight_bytes) + 2 * kept;
}
