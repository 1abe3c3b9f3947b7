/* rows: the requests of a trace, whatever format they were read from.
 *
 * Rows without a prompt or an answer are requests that failed: dropped and counted. The others are
 * sorted by time, which begins with the first. */
#include "traffic/parts.h"

#include <stdlib.h>

int tr_rows_add(struct tr_rows *r, const char *path, const struct tr_trace_row *row, bool *kept,
                struct tr_err *err)
{
    struct tr_trace *t = r->trace;

    *kept = row->prompt_tok > 0 && row->output_tok > 0;
    if (++r->info->rows_read > INT32_MAX)
        return tr_err_set(err, TR_EINPUT, "%s: more than %d rows", path, INT32_MAX);
    if (row->prompt_tok == 0)
        r->info->dropped_no_prompt++;
    else if (row->output_tok == 0)
        r->info->dropped_no_output++;
    if (!*kept)
        return 0;
    tr_grow(&t->rows, &r->rows_cap, t->n + 1, sizeof(*t->rows));
    t->rows[t->n] = *row;
    if (t->n && row->time_ns < r->latest_ns)
        r->info->unsorted++;
    r->latest_ns = t->n ? TR_MAX(r->latest_ns, row->time_ns) : row->time_ns;
    t->n++;
    return 0;
}

static int by_time_then_place(const void *a, const void *b, void *arg)
{
    const struct tr_trace_row *rows = arg;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

    if (rows[i].time_ns != rows[j].time_ns)
        return rows[i].time_ns < rows[j].time_ns ? -1 : 1;
    return (i > j) - (i < j);
}

/* Sorts by time; rows of one time keep the file's order. */
static void sort_rows(struct tr_trace *t)
{
    uint32_t *order = tr_calloc(t->n, sizeof(*order));
    struct tr_trace_row *rows = tr_calloc(t->n, sizeof(*rows));
    int32_t *one = tr_calloc(t->n, sizeof(*one));

    for (size_t i = 0; i < t->n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, t->n, sizeof(*order), by_time_then_place, t->rows);
    for (size_t i = 0; i < t->n; i++)
        rows[i] = t->rows[order[i]];
    memcpy(t->rows, rows, t->n * sizeof(*rows));
    int32_t *columns[] = {t->tenants, t->sessions, t->blocks};
    for (size_t c = 0; c < TR_LEN(columns); c++) {
        for (size_t i = 0; columns[c] && i < t->n; i++)
            one[i] = columns[c][order[i]];
        if (columns[c])
            memcpy(columns[c], one, t->n * sizeof(*one));
    }
    free(one);
    free(rows);
    free(order);
}

/* Gives spare memory back. */
static void trim(struct tr_trace *t)
{
    int32_t **columns[] = {&t->tenants, &t->sessions, &t->blocks};

    t->rows = tr_realloc(t->rows, t->n * sizeof(*t->rows));
    for (size_t c = 0; c < TR_LEN(columns); c++)
        if (*columns[c])
            *columns[c] = tr_realloc(*columns[c], t->n * sizeof(**columns[c]));
}

/* Turns of a session share its history as long as each prompt has room for the one before it and
 * its answer; where one has not, another history begins. Those of a single turn are none. */
static void find_histories(struct tr_trace *t)
{
    int32_t *last = tr_calloc((size_t)t->n_sessions + 1, sizeof(*last)); /* row + 1 */
    bool *goes_on = tr_calloc(t->n, sizeof(*goes_on)); /* by the first row of a history */

    t->histories = tr_calloc(t->n, sizeof(*t->histories));
    for (size_t i = 0; i < t->n; i++) {
        int32_t session = t->sessions[i];
        t->histories[i] = (int32_t)i;
        if (session < 0)
            continue;
        int32_t before = last[session] - 1;
        last[session] = (int32_t)i + 1;
        if (before < 0 ||
            t->rows[i].prompt_tok < t->rows[before].prompt_tok + t->rows[before].output_tok)
            continue;
        t->histories[i] = t->histories[before];
        goes_on[t->histories[i]] = true;
    }
    for (size_t i = 0; i < t->n; i++)
        if (!goes_on[t->histories[i]])
            t->histories[i] = -1;
    free(last);
    free(goes_on);
}

int tr_rows_finish(struct tr_rows *r, const char *path, struct tr_err *err)
{
    struct tr_trace *t = r->trace;

    r->info->rows_kept = (int64_t)t->n;
    if (t->n == 0)
        return tr_err_set(err, TR_EINPUT,
                          "%s: no requests (%" PRId64 " rows, %" PRId64
                          " without prompt and %" PRId64 " without output tokens)",
                          path, r->info->rows_read, r->info->dropped_no_prompt,
                          r->info->dropped_no_output);
    if (r->info->unsorted)
        sort_rows(t);
    int64_t start_ns = t->rows[0].time_ns;
    for (size_t i = 0; i < t->n; i++) {
        t->rows[i].time_ns -= start_ns;
        if (i && t->rows[i].time_ns == t->rows[i - 1].time_ns)
            r->info->equal_stamps++;
    }
    if (t->rows[t->n - 1].time_ns > TR_MAX_SPAN_NS)
        return tr_err_set(err, TR_EINPUT, "%s: spans %.0f years; is the time unit right?", path,
                          (double)t->rows[t->n - 1].time_ns / 3.15576e16);
    trim(t);
    if (t->sessions)
        find_histories(t);
    return 0;
}

void tr_trace_free(struct tr_trace *trace)
{
    free(trace->rows);
    free(trace->tenants);
    free(trace->sessions);
    free(trace->system_tok);
    free(trace->histories);
    free(trace->blocks);
    free(trace->runs);
    free(trace->runs_at);
    *trace = (struct tr_trace){0};
}
