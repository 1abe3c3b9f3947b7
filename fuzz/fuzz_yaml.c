/* Any bytes given to the YAML reader: a tree, or one line. */
#include "fmt/fmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tr_arena arena = {0};
    struct tr_err err = {0};
    struct tr_node *root;
    int rc = tr_yaml_parse(&arena, "f", (const char *)data, len, &root, &err);

    tr_assert((rc == 0) == (root != NULL));
    tr_assert((rc == 0) == (err.text[0] == 0));
    tr_assert(!strpbrk(err.text, "\n\r"));
    tr_arena_free(&arena);
    return 0;
}
