/* trace: rows of a CSV file to requests.
 *
 * The formats differ in the names of their columns and in what stands for a time; the rest is one
 * reader. */
#include "traffic/names.h"
#include "traffic/parts.h"

#include <stdlib.h>

enum time_kind { TIME_BY_FIRST_ROW, TIME_STAMP, TIME_NUMBER };

struct trace_format {
    const char *name;
    const char *time, *prompt, *output, *tenant, *session; /* NULL: the format has none */
    enum time_kind time_kind;
};

static const struct trace_format formats[] = {
    {"azure", "TIMESTAMP", "ContextTokens", "GeneratedTokens", NULL, NULL, TIME_STAMP},
    {"vidur", "arrived_at", "num_prefill_tokens", "num_decode_tokens", NULL, NULL, TIME_NUMBER},
    {"csv", "arrived_at", "num_prefill_tokens", "num_decode_tokens", "tenant", "session",
     TIME_BY_FIRST_ROW},
};
#define CSV (&formats[2])

/* One reading of one file. */
struct reading {
    struct tr_csv *csv;
    enum time_kind time_kind;
    double unit_s;
    int time, prompt, output, tenant, session; /* columns; -1: none */
    struct tr_trace *trace;
    struct tr_rows rows;
    size_t tenants_cap, sessions_cap;
    struct tr_names tenant_names, session_names;
    struct tr_trace_info *info;
};

static bool names_columns(const struct tr_traffic_spec *spec)
{
    return spec->col_time || spec->col_prompt || spec->col_output || spec->col_tenant ||
           spec->col_session;
}

static int unknown_format(const struct tr_csv *csv, const char *name, struct tr_err *err)
{
    const char *const allowed[] = {"azure", "vidur", "csv", "mooncake"};
    const char *near = tr_nearest(name, allowed, TR_LEN(allowed));

    return tr_err_set(err, TR_EINPUT,
                      "%s: unknown trace format \"%.60s\"; allowed: azure, vidur, "
                      "csv, mooncake%s%s%s",
                      tr_csv_path(csv), name, near ? "; did you mean " : "", near ? near : "",
                      near ? "?" : "");
}

/* The first columns' names, for a message. */
static void list_columns(const struct tr_csv *csv, struct tr_str *out)
{
    size_t n = tr_csv_columns(csv);

    for (size_t i = 0; i < n && i < 8; i++)
        tr_str_printf(out, "%s%.40s", i ? ", " : "", tr_csv_header(csv, i));
    if (n > 8)
        tr_str_printf(out, ", ... (%zu in all)", n);
}

/* By name; else csv when columns are named; else by the header. */
static int find_format(const struct tr_csv *csv, const struct tr_traffic_spec *spec,
                       const struct trace_format **out, struct tr_err *err)
{
    if (spec->format) {
        for (size_t i = 0; i < TR_LEN(formats); i++)
            if (strcmp(spec->format, formats[i].name) == 0) {
                *out = &formats[i];
                return 0;
            }
        return unknown_format(csv, spec->format, err);
    }
    *out = CSV;
    if (names_columns(spec))
        return 0;
    for (size_t i = 0; i < TR_LEN(formats); i++) {
        const struct trace_format *f = &formats[i];
        if (tr_csv_find(csv, f->time) >= 0 && tr_csv_find(csv, f->prompt) >= 0 &&
            tr_csv_find(csv, f->output) >= 0) {
            bool more = tr_csv_find(csv, CSV->tenant) >= 0 || tr_csv_find(csv, CSV->session) >= 0;
            *out = f->time_kind == TIME_NUMBER && more ? CSV : f;
            return 0;
        }
    }
    struct tr_str have = {0};
    list_columns(csv, &have);
    int rc = tr_err_set(err, TR_EINPUT,
                        "%s:1: unknown columns %.400s; azure has TIMESTAMP, ContextTokens, "
                        "GeneratedTokens; vidur has arrived_at, num_prefill_tokens, "
                        "num_decode_tokens; mooncake is lines of JSON; for any other file name its "
                        "columns",
                        tr_csv_path(csv), have.text);
    tr_str_free(&have);
    return rc;
}

/* The column that the user named or, if they did not, the format's own. */
static int find_column(const struct tr_csv *csv, const char *asked, const char *own, bool needed,
                       int *column, struct tr_err *err)
{
    const char *name = asked ? asked : own;

    *column = name ? tr_csv_find(csv, name) : -1;
    if (*column >= 0 || (!needed && !asked))
        return 0;
    struct tr_str have = {0};
    const char *headers[64];
    size_t n = TR_MIN(tr_csv_columns(csv), TR_LEN(headers));
    for (size_t i = 0; i < n; i++)
        headers[i] = tr_csv_header(csv, i);
    const char *near = tr_nearest(name, headers, n);
    list_columns(csv, &have);
    int rc = tr_err_set(err, TR_EINPUT, "%s:1: no column \"%.60s\"; the file has %.400s%s%.60s%s",
                        tr_csv_path(csv), name, have.text, near ? "; did you mean " : "",
                        near ? near : "", near ? "?" : "");
    tr_str_free(&have);
    return rc;
}

static int find_columns(struct reading *r, const struct tr_traffic_spec *spec, struct tr_err *err)
{
    const struct trace_format *f;
    int rc = find_format(r->csv, spec, &f, err);

    if (rc)
        return rc;
    if (f != CSV && names_columns(spec))
        return tr_err_set(err, TR_EINPUT,
                          "%s: the columns of format %s have fixed names; use format csv to name "
                          "your own",
                          tr_csv_path(r->csv), f->name);
    if (!(spec->time_unit_s >= 0.0 && spec->time_unit_s <= 86400.0) ||
        (spec->time_unit_s > 0.0 && spec->time_unit_s < 1e-9))
        return tr_err_set(err, TR_EINPUT, "%s: a time unit of %g s; allowed are 1 ns to 1 day",
                          tr_csv_path(r->csv), spec->time_unit_s);
    if (f->time_kind == TIME_STAMP && spec->time_unit_s > 0.0)
        return tr_err_set(err, TR_EINPUT,
                          "%s: format %s has dates for times, to which no time unit applies",
                          tr_csv_path(r->csv), f->name);
    r->info->format = f->name;
    r->time_kind = f->time_kind;
    r->unit_s = spec->time_unit_s > 0.0 ? spec->time_unit_s : 1.0;
    if (f == CSV && spec->time_unit_s > 0.0)
        r->time_kind = TIME_NUMBER;
    if ((rc = find_column(r->csv, spec->col_time, f->time, true, &r->time, err)) ||
        (rc = find_column(r->csv, spec->col_prompt, f->prompt, true, &r->prompt, err)) ||
        (rc = find_column(r->csv, spec->col_output, f->output, true, &r->output, err)) ||
        (rc = find_column(r->csv, spec->col_tenant, f->tenant, false, &r->tenant, err)))
        return rc;
    return find_column(r->csv, spec->col_session, f->session, false, &r->session, err);
}

/* "file:line:column: "text" is not <what>" */
static int bad_field(const struct reading *r, int column, const char *allowed, struct tr_err *err)
{
    return tr_err_set(err, TR_EINPUT, "%s:%" PRId64 ":%.60s: \"%.60s\" is not %s",
                      tr_csv_path(r->csv), tr_csv_line(r->csv),
                      tr_csv_header(r->csv, (size_t)column), tr_csv_field(r->csv, (size_t)column),
                      allowed);
}

static int read_time(struct reading *r, int64_t *ns, struct tr_err *err)
{
    const char *text = tr_csv_field(r->csv, (size_t)r->time);

    if (r->time_kind == TIME_BY_FIRST_ROW)
        r->time_kind = strchr(text, ':') ? TIME_STAMP : TIME_NUMBER;
    if (r->time_kind == TIME_STAMP)
        return tr_trace_stamp(text, ns)
                   ? 0
                   : bad_field(r, r->time, "a time such as 2023-11-16 18:15:46.6805900", err);
    return tr_trace_seconds(text, r->unit_s, ns)
               ? 0
               : bad_field(r, r->time, "a time: a number, not negative, of at most 292 years", err);
}

static int read_tokens(struct reading *r, int column, int32_t *tok, struct tr_err *err)
{
    return tr_trace_tokens(tr_csv_field(r->csv, (size_t)column), tok)
               ? 0
               : bad_field(r, column, "a whole number of tokens from 0 to 10,000,000", err);
}

/* What else than the row there is of a request that was kept. */
static void keep_names(struct reading *r)
{
    struct tr_trace *t = r->trace;

    if (r->tenant >= 0) {
        tr_grow(&t->tenants, &r->tenants_cap, t->n, sizeof(*t->tenants));
        t->tenants[t->n - 1] =
            (int32_t)tr_names_number(&r->tenant_names, tr_csv_field(r->csv, (size_t)r->tenant));
    }
    if (r->session >= 0) {
        const char *name = tr_csv_field(r->csv, (size_t)r->session);
        tr_grow(&t->sessions, &r->sessions_cap, t->n, sizeof(*t->sessions));
        t->sessions[t->n - 1] = *name ? (int32_t)tr_names_number(&r->session_names, name) : -1;
    }
}

static int read_rows(struct reading *r, int64_t max_requests, struct tr_err *err)
{
    bool kept = false;
    int rc;

    while ((max_requests == 0 || (int64_t)r->trace->n < max_requests) &&
           (rc = tr_csv_next(r->csv, err)) != 0) {
        struct tr_trace_row row;
        if (rc < 0 || (rc = read_time(r, &row.time_ns, err)) ||
            (rc = read_tokens(r, r->prompt, &row.prompt_tok, err)) ||
            (rc = read_tokens(r, r->output, &row.output_tok, err)) ||
            (rc = tr_rows_add(&r->rows, tr_csv_path(r->csv), &row, &kept, err)))
            return rc;
        if (kept)
            keep_names(r);
    }
    return 0;
}

static int finish(struct reading *r, struct tr_err *err)
{
    struct tr_trace *t = r->trace;

    if (r->tenant_names.n > TR_MAX_TENANTS)
        return tr_err_set(err, TR_EINPUT, "%s: %zu tenants in column %.60s; at most %d are allowed",
                          tr_csv_path(r->csv), r->tenant_names.n,
                          tr_csv_header(r->csv, (size_t)r->tenant), TR_MAX_TENANTS);
    t->n_tenants = (int)r->tenant_names.n;
    t->n_sessions = (int64_t)r->session_names.n;
    return tr_rows_finish(&r->rows, tr_csv_path(r->csv), err);
}

int tr_trace_read(struct tr_csv *csv, const struct tr_traffic_spec *spec, struct tr_trace *out,
                  struct tr_trace_info *info, struct tr_err *err)
{
    struct reading r = {
        .csv = csv, .trace = out, .rows = {.trace = out, .info = info}, .info = info};
    int rc;

    *out = (struct tr_trace){0};
    *info = (struct tr_trace_info){0};
    if ((rc = find_columns(&r, spec, err)) || (rc = read_rows(&r, spec->max_requests, err)) ||
        (rc = finish(&r, err)))
        tr_trace_free(out);
    tr_names_free(&r.tenant_names);
    tr_names_free(&r.session_names);
    return rc;
}

int tr_trace_open(struct tr_lines *lines, const struct tr_traffic_spec *spec, struct tr_trace *out,
                  struct tr_trace_info *info, struct tr_err *err)
{
    struct tr_csv *csv;
    bool mooncake = spec->format && strcmp(spec->format, "mooncake") == 0;
    int rc = tr_lines_next(lines, err);

    *out = (struct tr_trace){0};
    if (rc > 0) {
        mooncake |= !spec->format && tr_lines_text(lines)[0] == '{';
        tr_lines_repeat(lines);
    }
    if (rc >= 0 && mooncake) {
        rc = tr_mooncake_read(lines, spec, out, info, err);
        tr_lines_close(lines);
        return rc;
    }
    if (rc < 0) {
        tr_lines_close(lines);
        return rc;
    }
    if ((rc = tr_csv_open_lines(lines, &csv, err)))
        return rc;
    rc = tr_trace_read(csv, spec, out, info, err);
    tr_csv_close(csv);
    return rc;
}
