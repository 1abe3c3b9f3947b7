/* Any text as an arrangement, on every GPU: one canonical text that reads back as itself, or one
 * line. */
#include "catalog/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_gpu(const struct tr_catalog *cat, const struct tr_gpu *gpu, const char *text)
{
    struct tr_arrangement a, again;
    struct tr_err err = {0};
    const struct tr_precision *precision = NULL;
    int rc = tr_arrangement_parse(text, gpu, cat, &a, &precision, &err);
    tr_assert((rc == 0) == (err.text[0] == 0));
    if (rc != 0)
        return;
    tr_assert(a.n_pods >= 1 && a.n_pods <= TR_MAX_PODS && a.n_parts <= TR_MAX_PARTS);
    tr_assert(tr_arrangement_parse(a.text, gpu, cat, &again, NULL, &err) == 0);
    tr_assert(strcmp(a.text, again.text) == 0);
    tr_assert(tr_arrangement_rank(&a) == tr_arrangement_rank(&again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct tr_catalog *cat; /* loaded once, kept for the life of the fuzzer */
    char text[512];
    if (cat == NULL)
        tr_assert(tr_catalog_load(NULL, &cat, NULL) == 0);
    if (len >= sizeof text)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    for (size_t i = 0; i < cat->n_gpus; i++)
        try_gpu(cat, &cat->gpus[i], text);
    return 0;
}
