/* Any bytes given to the CSV reader: rows as wide as the header, twice the same, or one line. */
#include "fmt/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Reads to the end; a hash of every field. */
static uint64_t read_all(struct tr_csv *csv, struct tr_err *err)
{
    uint64_t sum = 0;
    int rc;

    while ((rc = tr_csv_next(csv, err)) == 1)
        for (size_t i = 0; i < tr_csv_columns(csv); i++)
            for (const char *s = tr_csv_field(csv, i); *s; s++)
                sum = sum * 31 + (unsigned char)*s;
    tr_assert((rc == 0) == (err->text[0] == 0));
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tr_err err = {0}, again = {0};
    struct tr_csv *csv;

    if (tr_csv_open_text("f", (const char *)data, len, &csv, &err) == 0) {
        tr_assert(tr_csv_columns(csv) >= 1);
        uint64_t first = read_all(csv, &err);
        tr_assert(tr_csv_rewind(csv, &again) == 0);
        tr_assert(read_all(csv, &again) == first);
        tr_assert(strcmp(err.text, again.text) == 0);
        tr_csv_close(csv);
    } else {
        tr_assert(err.text[0] != 0);
    }
    tr_assert(!strpbrk(err.text, "\n\r"));
    return 0;
}
