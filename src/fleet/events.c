/* The events to come of an elastic fleet: a binary heap by (time, kind, sequence). */
#include "fleet/inner.h"

static bool goes_before(const struct event *a, const struct event *b)
{
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns;
    return a->kind != b->kind ? a->kind < b->kind : a->seq < b->seq;
}

void elastic_post(struct tr_elastic *e, int64_t time_ns, enum event_kind kind, int who, int64_t tag)
{
    struct event ev = {time_ns, e->seq++, tag, kind, who};
    size_t at = e->n_heap++;
    tr_grow(&e->heap, &e->cap_heap, e->n_heap, sizeof *e->heap);
    for (; at > 0 && goes_before(&ev, &e->heap[(at - 1) / 2]); at = (at - 1) / 2)
        e->heap[at] = e->heap[(at - 1) / 2];
    e->heap[at] = ev;
}

/* The next event, if it is not after `until_ns`. */
bool elastic_take(struct tr_elastic *e, int64_t until_ns, struct event *out)
{
    if (e->n_heap == 0 || e->heap[0].time_ns > until_ns)
        return false;
    *out = e->heap[0];
    struct event last = e->heap[--e->n_heap];
    size_t at = 0;
    for (size_t child = 1; child < e->n_heap; child = 2 * at + 1) {
        child += child + 1 < e->n_heap && goes_before(&e->heap[child + 1], &e->heap[child]);
        if (!goes_before(&e->heap[child], &last))
            break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = last;
    return true;
}
