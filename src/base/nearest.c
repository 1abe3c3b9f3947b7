/* nearest: which valid name a misspelt one was meant to be. */
#include "base/base.h"

#define MAX_LETTERS 63 /* longer words are not names: no suggestion */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][MAX_LETTERS + 1];
    size_t *before = rows[0], *prev = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *oldest = before;
        before = prev;
        prev = row;
        row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            size_t best = prev[j - 1] + (x != y);
            best = TR_MIN(best, prev[j] + 1);
            best = TR_MIN(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
                best = TR_MIN(best, before[j - 2] + 1);
            row[j] = best;
        }
    }
    return row[b_len];
}

const char *tr_nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    size_t len = strlen(word);

    if (len == 0 || len > MAX_LETTERS)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strnlen(candidates[i], MAX_LETTERS + 1);
        if (other > MAX_LETTERS)
            continue;
        size_t distance = edit_distance(word, len, candidates[i], other);
        if (distance * 3 <= TR_MAX(len, other) && distance < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}

const char *tr_suggest(const char *word, const char *const *candidates, size_t n)
{
    return tr_nearest(word, candidates, n);
}
