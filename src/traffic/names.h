/* names: numbers 0, 1, 2, ... for the words of a column, in the order of their first appearance. */
#ifndef TR_TRAFFIC_NAMES_H
#define TR_TRAFFIC_NAMES_H

#include "base/base.h"

struct tr_names { /* starts as all zeroes */
    struct tr_arena arena;
    const char **words; /* by number */
    size_t n, words_cap;
    uint32_t *slots; /* number + 1; 0: free; open addressing */
    size_t n_slots;  /* a power of two */
};

uint32_t tr_names_number(struct tr_names *names, const char *word);
void tr_names_free(struct tr_names *names);

#endif
