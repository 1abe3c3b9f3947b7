/* Any bytes given as a config.json: a model whose numbers are sound, or one line. */
#include "catalog/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tr_arena arena = {0};
    struct tr_err err = {0};
    struct tr_model m = {0};
    int rc = tr_model_parse_config(&arena, "config.json", (const char *)data, len, &m, &err);

    tr_assert((rc == 0) == (err.text[0] == 0));
    tr_assert(strpbrk(err.text, "\n\r") == NULL);
    if (rc == 0) {
        tr_assert(m.layer_params > 0 && m.head_params > 0 && m.kv_bytes_per_tok > 0);
        tr_assert(m.params == m.layer_params + m.head_params + m.embed_params + m.other_params);
        tr_assert(m.heads % m.kv_heads == 0);
    }
    tr_arena_free(&arena);
    return 0;
}
