/* csv, the room's own: files that stand in memory (fuzzing, tests). */
#ifndef TR_FMT_CSV_H
#define TR_FMT_CSV_H

#include "fmt/fmt.h"

/* As tr_lines_open and tr_csv_open, from `len` bytes that must stay until the reader is closed;
 * `name` stands where the path would in messages. */
int tr_lines_open_text(const char *name, const char *text, size_t len, struct tr_lines **out,
                       struct tr_err *err);
int tr_csv_open_text(const char *name, const char *text, size_t len, struct tr_csv **out,
                     struct tr_err *err);

#endif
