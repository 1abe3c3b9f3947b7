/* Any bytes given to the reader of block ids: every row's runs lie in its prompt, one behind the
 * other, and a key has one place, or one line says what is wrong. */
#include "fmt/csv.h"
#include "traffic/parts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct place {
    uint64_t key, before;
    int32_t begin_tok;
};

static int by_key(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void check(const struct tr_trace *t, const struct tr_trace_info *info)
{
    struct place *places = tr_calloc(t->runs_at[t->n] + 1, sizeof(*places));
    size_t n = 0;

    tr_assert(t->n > 0 && (int64_t)t->n == info->rows_kept && t->runs_at[0] == 0);
    for (size_t i = 0; i < t->n; i++) {
        int32_t end_tok = 0;
        uint64_t before = 0;
        tr_assert(t->rows[i].prompt_tok >= 1 && t->rows[i].output_tok >= 1);
        for (uint32_t k = t->runs_at[i]; k < t->runs_at[i + 1]; k++) {
            places[n++] = (struct place){t->runs[k].key, before, end_tok};
            tr_assert(t->runs[k].end_tok > end_tok);
            end_tok = t->runs[k].end_tok;
            before = t->runs[k].key;
        }
        tr_assert(end_tok <= t->rows[i].prompt_tok);
    }
    tr_assert(n == t->runs_at[t->n]);
    qsort(places, n, sizeof(*places), by_key);
    for (size_t i = 1; i < n; i++)
        tr_assert(places[i].key != places[i - 1].key ||
                  (places[i].before == places[i - 1].before &&
                   places[i].begin_tok == places[i - 1].begin_tok));
    free(places);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tr_traffic_spec spec;
    struct tr_err err = {0};
    struct tr_trace trace = {0};
    struct tr_trace_info info;
    struct tr_lines *lines;

    tr_traffic_spec_init(&spec);
    tr_assert(tr_lines_open_text("f", (const char *)data, len, &lines, &err) == 0);
    if (tr_mooncake_read(lines, &spec, &trace, &info, &err) == 0)
        check(&trace, &info);
    tr_trace_free(&trace);
    tr_lines_close(lines);
    tr_assert((err.code == TR_OK) == (err.text[0] == 0));
    tr_assert(!strpbrk(err.text, "\n\r"));
    return 0;
}
