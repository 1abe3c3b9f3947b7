/* csv, the room's own: a delimited file that stands in memory (fuzzing, tests). */
#ifndef TR_FMT_CSV_H
#define TR_FMT_CSV_H

#include "fmt/fmt.h"

/* As tr_csv_open, from `len` bytes that must stay until the reader is closed; `name` stands where
 * the path would in messages. */
int tr_csv_open_text(const char *name, const char *text, size_t len, struct tr_csv **out,
                     struct tr_err *err);

#endif
