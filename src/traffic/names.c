/* names: a hash table from words to the order in which they were first seen. */
#include "traffic/names.h"

#include "num/num.h"

#include <stdlib.h>

/* The slot that holds `word`, or the free one where it belongs. */
static uint32_t *find(const struct tr_names *names, const char *word)
{
    size_t at = tr_hash(word, strlen(word), 0) & (names->n_slots - 1);

    while (names->slots[at] && strcmp(names->words[names->slots[at] - 1], word) != 0)
        at = (at + 1) & (names->n_slots - 1);
    return &names->slots[at];
}

static void widen(struct tr_names *names)
{
    free(names->slots);
    names->n_slots = names->n_slots ? names->n_slots * 2 : 64;
    names->slots = tr_calloc(names->n_slots, sizeof(*names->slots));
    for (size_t i = 0; i < names->n; i++)
        *find(names, names->words[i]) = (uint32_t)i + 1;
}

uint32_t tr_names_number(struct tr_names *names, const char *word)
{
    if (names->n * 2 >= names->n_slots)
        widen(names);
    uint32_t *slot = find(names, word);
    if (*slot == 0) {
        tr_assert(names->n < INT32_MAX);
        tr_grow(&names->words, &names->words_cap, names->n + 1, sizeof(*names->words));
        names->words[names->n++] = tr_arena_strdup(&names->arena, word);
        *slot = (uint32_t)names->n;
    }
    return *slot - 1;
}

void tr_names_free(struct tr_names *names)
{
    tr_arena_free(&names->arena);
    free(names->words);
    free(names->slots);
    *names = (struct tr_names){0};
}
