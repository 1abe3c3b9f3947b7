/* Any bytes given to the trace reader: sorted requests of at least a token each, every row
 * accounted for, or one line. */
#include "fmt/csv.h"
#include "traffic/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct tr_trace *t, const struct tr_trace_info *info)
{
    tr_assert(info->format && t->n > 0 && (int64_t)t->n == info->rows_kept);
    tr_assert(info->rows_read ==
              info->rows_kept + info->dropped_no_prompt + info->dropped_no_output);
    tr_assert(t->rows[0].time_ns == 0);
    for (size_t i = 0; i < t->n; i++) {
        tr_assert(t->rows[i].prompt_tok >= 1 && t->rows[i].output_tok >= 1);
        tr_assert(i == 0 || t->rows[i].time_ns >= t->rows[i - 1].time_ns);
        tr_assert(!t->tenants || (t->tenants[i] >= 0 && t->tenants[i] < t->n_tenants));
        tr_assert(!t->histories || t->histories[i] <= (int32_t)i);
        tr_assert(!t->sessions || t->sessions[i] >= -1);
    }
}

/* The formats found by themselves, and a file whose columns are named. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tr_traffic_spec spec;

    tr_traffic_spec_init(&spec);
    for (int named = 0; named < 2; named++) {
        struct tr_err err = {0};
        struct tr_trace trace = {0};
        struct tr_trace_info info;
        struct tr_csv *csv;

        if (named) {
            spec.col_time = "t";
            spec.col_prompt = "p";
            spec.col_output = "o";
        }
        if (tr_csv_open_text("f", (const char *)data, len, &csv, &err) == 0) {
            if (tr_trace_read(csv, &spec, &trace, &info, &err) == 0)
                check(&trace, &info);
            tr_trace_free(&trace);
            tr_csv_close(csv);
        }
        tr_assert((err.code == TR_OK) == (err.text[0] == 0));
        tr_assert(!strpbrk(err.text, "\n\r"));
    }
    return 0;
}
