/* merge: several sources as one, by time. */
#include "traffic/source.h"

#include <stdlib.h>

static void pull(struct tr_merged_part *p)
{
    p->live = tr_source_next(p->src, &p->next);
}

void tr_merged_rewind(struct tr_source *src)
{
    for (int i = 0; i < src->n_parts; i++) {
        tr_source_rewind(src->parts[i].src);
        pull(&src->parts[i]);
    }
}

struct tr_source *tr_source_merge(struct tr_source *const *sources, int n)
{
    struct tr_source *src = tr_calloc(1, sizeof(*src));

    tr_assert(n > 0);
    src->kind = TR_FROM_MERGED;
    src->n_parts = n;
    src->parts = tr_calloc((size_t)n, sizeof(*src->parts));
    for (int i = 0; i < n; i++) {
        tr_assert(sources[i]->kind != TR_FROM_MERGED);
        src->parts[i].src = sources[i];
        sources[i]->workload = i;
        src->span_ns = TR_MAX(src->span_ns, sources[i]->span_ns);
    }
    tr_merged_rewind(src);
    return src;
}

/* Of several at the same time the first in order. */
bool tr_merged_next(struct tr_source *src, struct tr_arrival *out)
{
    struct tr_merged_part *first = NULL;

    for (int i = 0; i < src->n_parts; i++) {
        struct tr_merged_part *p = &src->parts[i];
        if (p->live && (!first || p->next.time_ns < first->next.time_ns))
            first = p;
    }
    if (!first)
        return false;
    *out = first->next;
    pull(first);
    return true;
}

struct tr_source *tr_merged_clone(const struct tr_source *src)
{
    struct tr_source **copies = tr_calloc((size_t)src->n_parts, sizeof(struct tr_source *));

    for (int i = 0; i < src->n_parts; i++)
        copies[i] = tr_source_clone(src->parts[i].src);
    struct tr_source *copy = tr_source_merge(copies, src->n_parts);
    free(copies);
    return copy;
}

/* Each part at most `most`. */
void tr_merged_keep(struct tr_source *src, int64_t most)
{
    for (int i = 0; i < src->n_parts; i++)
        tr_source_keep(src->parts[i].src, most);
    tr_merged_rewind(src);
}

int tr_merged_tenants(const struct tr_source *src)
{
    int most = 1;

    for (int i = 0; i < src->n_parts; i++)
        most = TR_MAX(most, tr_source_tenants(src->parts[i].src));
    return most;
}

void tr_merged_close(struct tr_source *src)
{
    for (int i = 0; i < src->n_parts; i++)
        tr_source_close(src->parts[i].src);
    free(src->parts);
    free(src);
}
