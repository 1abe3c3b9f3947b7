/* embedded: the data files compiled into the program (made by tools/embed.c). */
#ifndef TR_CATALOG_EMBEDDED_H
#define TR_CATALOG_EMBEDDED_H

#include <stddef.h>

struct tr_embedded {
    const char *name; /* "gpus.yaml" */
    const char *data; /* terminated by a NUL that is not counted */
    size_t len;
};

extern const struct tr_embedded tr_embedded_files[];
extern const size_t tr_n_embedded_files;

#endif
