/* report, traffic: what a trace looks like, for people and for programs. */
#include <tranche/traffic.h>

#include "traffic/traffic.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

#define PROFILE        "aks-chatbot"
#define SCHEMA_VERSION 1

/* The windows of tr_traffic_stats, peak_over_mean and idc alike. */
static const char *const window_names[] = {"1 s", "10 s", "1 min", "1 h"};
static const char *const window_keys[] = {"1s", "10s", "1min", "1h"};

/* What was inspected. */
struct inspected {
    const char *path;
    uint64_t seed;
    bool is_profile;
    struct tr_trace_info info;
    struct tr_traffic_stats stats;
};

static int time_unit(const char *name, double *seconds, struct tr_err *err)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"s", 1.0}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"min", 60.0}};

    *seconds = 0.0;
    if (!name)
        return 0;
    for (size_t i = 0; i < TR_LEN(units); i++)
        if (strcmp(name, units[i].name) == 0) {
            *seconds = units[i].seconds;
            return 0;
        }
    return tr_err_set(err, TR_EINPUT, "unknown time unit \"%.40s\"; allowed: s, ms, us, ns, min",
                      name);
}

static int describe(const char *path, const struct tr_traffic_inspect_opts *opts,
                    struct tr_traffic_spec *spec, struct tr_err *err)
{
    tr_traffic_spec_init(spec);
    if (strcmp(path, PROFILE) == 0) {
        if (opts->format || opts->col_time || opts->col_prompt || opts->col_output ||
            opts->col_tenant || opts->col_session || opts->time_unit)
            return tr_err_set(err, TR_EINPUT,
                              PROFILE " is a built-in profile, not a file: no format, columns or "
                                      "time unit apply (a file of that name: ./" PROFILE ")");
        tr_traffic_aks_chatbot(spec);
        return 0;
    }
    static const char *const profiles[] = {PROFILE};
    const char *near = tr_nearest(path, profiles, TR_LEN(profiles));
    if (near && strcmp(path, "-") != 0 && access(path, F_OK) != 0)
        return tr_err_set(err, TR_EINPUT, "%s: cannot open: %s; did you mean the profile %s?", path,
                          strerror(errno), near);
    spec->trace = path;
    spec->format = opts->format;
    spec->col_time = opts->col_time;
    spec->col_prompt = opts->col_prompt;
    spec->col_output = opts->col_output;
    spec->col_tenant = opts->col_tenant;
    spec->col_session = opts->col_session;
    return time_unit(opts->time_unit, &spec->time_unit_s, err);
}

/* ---- table ---------------------------------------------------------------------------------- */

/* "7.10", or "-" where the span is too short for it. */
static const char *ratio(char buf[32], double x)
{
    if (isnan(x))
        snprintf(buf, 32, "-");
    else
        snprintf(buf, 32, x < 100.0 ? "%.2f" : "%.0f", x);
    return buf;
}

static void print_names(FILE *out, const char *label, const char *const *names, size_t n)
{
    fprintf(out, "\n%-22s", label);
    for (size_t i = 0; i < n; i++)
        fprintf(out, " %8s", names[i]);
}

static void print_ratios(FILE *out, const char *label, const double *x, size_t n,
                         const char *meaning)
{
    char buf[32];

    fprintf(out, "\n%-22s", label);
    for (size_t i = 0; i < TR_LEN(window_names); i++)
        fprintf(out, " %8s", i < n ? ratio(buf, x[i]) : "");
    fprintf(out, "   %s", meaning);
}

static void print_lengths(FILE *out, const char *label, const int32_t q[4], int64_t sum,
                          int64_t requests)
{
    int64_t mean = (int64_t)((double)sum / (double)requests + 0.5);
    char buf[32];

    fprintf(out, "\n%-22s", label);
    for (int i = 0; i < 4; i++)
        fprintf(out, " %8s", tr_units_show_count(buf, q[i]));
    fprintf(out, " %8s", tr_units_show_count(buf, mean));
    fprintf(out, " %16s", tr_units_show_count(buf, sum));
}

static void print_rows_read(FILE *out, const struct tr_trace_info *info)
{
    char a[32], b[32];

    fprintf(out, "%-22s %s = %s kept", "rows read", tr_units_show_count(a, info->rows_read),
            tr_units_show_count(b, info->rows_kept));
    fprintf(out, " + %s without prompt + %s without output tokens\n",
            tr_units_show_count(a, info->dropped_no_prompt),
            tr_units_show_count(b, info->dropped_no_output));
    if (info->unsorted)
        fprintf(out, "%-22s %s rows, earlier than one above them; sorted by time\n", "out of order",
                tr_units_show_count(a, info->unsorted));
    if (info->equal_stamps)
        fprintf(out, "%-22s %s rows have the time of the one before them\n", "equal times",
                tr_units_show_count(a, info->equal_stamps));
}

static void print_head(FILE *out, const struct inspected *in)
{
    const struct tr_traffic_stats *s = &in->stats;
    char a[32], b[32], span[24];
    size_t len = strlen(in->path), shown = 52; /* keeps the line within 100 columns */

    if (in->is_profile)
        fprintf(out, "%-22s %s, one day, seed %" PRIu64 "\n", "profile", in->path, in->seed);
    else
        fprintf(out, "%-22s %s%s (format %s)\n", "trace", len > shown ? "..." : "",
                in->path + (len > shown ? len - shown : 0), in->info.format);
    if (!in->is_profile)
        print_rows_read(out, &in->info);
    fprintf(out, "%-22s %s in %s\n", "requests", tr_units_show_count(a, s->requests),
            tr_units_show_ns(span, s->span_ns));
    fprintf(out, "%-22s %s/s on average, %s/s in the median minute\n", "rate", ratio(a, s->rate),
            ratio(b, s->median_minute_rate));
    if (s->n_tenants > 1)
        fprintf(out, "%-22s %d\n", "tenants", s->n_tenants);
}

static void print_table(FILE *out, const struct inspected *in)
{
    static const char *const length_names[] = {"p50", "p90", "p95", "p99", "mean"};
    const struct tr_traffic_stats *s = &in->stats;

    print_head(out, in);
    print_names(out, "in windows of", window_names, TR_LEN(window_names));
    print_ratios(out, "peak / mean", s->peak_over_mean, TR_LEN(s->peak_over_mean),
                 "fullest window over the average one");
    print_ratios(out, "index of dispersion", s->idc, TR_LEN(s->idc),
                 "variance / mean of counts; 1 = Poisson,");
    fprintf(out, "\n%61s%s", "", "above: bursts, or a rate that drifts");
    print_ratios(out, "CV of the gaps", &s->iat_cv, 1, "sd / mean between arrivals; 1 = Poisson");
    fprintf(out, "\n");
    print_names(out, "tokens", length_names, TR_LEN(length_names));
    fprintf(out, " %16s", "sum");
    print_lengths(out, "prompt", s->prompt_q, s->prompt_tok, s->requests);
    print_lengths(out, "output", s->output_q, s->output_tok, s->requests);
    fprintf(out, "\n");
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void json_lengths(struct tr_json *j, const char *key, const int32_t q[4], int64_t sum,
                         int64_t requests)
{
    static const char *const keys[] = {"p50", "p90", "p95", "p99"};

    tr_json_begin(j, key, '{');
    for (size_t i = 0; i < TR_LEN(keys); i++)
        tr_json_int(j, keys[i], q[i]);
    tr_json_num(j, "mean", (double)sum / (double)requests);
    tr_json_int(j, "sum", sum);
    tr_json_end(j);
}

static void json_by_window(struct tr_json *j, const char *key, const double *x, size_t n)
{
    tr_json_begin(j, key, '{');
    for (size_t i = 0; i < n; i++)
        tr_json_num(j, window_keys[i], x[i]);
    tr_json_end(j);
}

static void json_source(struct tr_json *j, const struct inspected *in)
{
    if (in->is_profile) {
        tr_json_text(j, "profile", in->path);
        tr_json_int(j, "seed", (int64_t)in->seed);
        return;
    }
    tr_json_text(j, "trace", in->path);
    tr_json_text(j, "trace_format", in->info.format);
    tr_json_begin(j, "rows", '{');
    tr_json_int(j, "read", in->info.rows_read);
    tr_json_int(j, "kept", in->info.rows_kept);
    tr_json_int(j, "dropped_no_prompt", in->info.dropped_no_prompt);
    tr_json_int(j, "dropped_no_output", in->info.dropped_no_output);
    tr_json_int(j, "out_of_order", in->info.unsorted);
    tr_json_int(j, "equal_times", in->info.equal_stamps);
    tr_json_end(j);
}

static void print_json(FILE *out, const struct inspected *in)
{
    const struct tr_traffic_stats *s = &in->stats;
    struct tr_str text = {0};
    struct tr_json j = {.out = &text};

    tr_json_begin(&j, NULL, '{');
    tr_json_text(&j, "schema", "tranche-traffic");
    tr_json_int(&j, "schema_version", SCHEMA_VERSION);
    tr_json_text(&j, "tranche_version", tr_version());
    json_source(&j, in);
    tr_json_int(&j, "requests", s->requests);
    tr_json_num(&j, "span_s", (double)s->span_ns / 1e9);
    tr_json_num(&j, "rate_per_s", s->rate);
    tr_json_num(&j, "median_minute_rate_per_s", s->median_minute_rate);
    tr_json_int(&j, "tenants", s->n_tenants);
    json_by_window(&j, "peak_over_mean", s->peak_over_mean, TR_LEN(s->peak_over_mean));
    json_by_window(&j, "index_of_dispersion", s->idc, TR_LEN(s->idc));
    tr_json_num(&j, "gap_cv", s->iat_cv);
    json_lengths(&j, "prompt_tok", s->prompt_q, s->prompt_tok, s->requests);
    json_lengths(&j, "output_tok", s->output_q, s->output_tok, s->requests);
    tr_json_end(&j);
    fwrite(text.text, 1, text.len, out);
    tr_str_free(&text);
}

int tr_traffic_inspect(const char *path, const struct tr_traffic_inspect_opts *opts,
                       enum tr_format format, FILE *out, struct tr_err *err)
{
    struct inspected in = {.path = path, .seed = opts->seed};
    struct tr_traffic_spec spec;
    struct tr_source *src = NULL;
    int rc;

    if (format != TR_FORMAT_TABLE && format != TR_FORMAT_JSON)
        return tr_err_set(err, TR_EINPUT,
                          "this output format is not supported here; allowed: table, json");
    rc = describe(path, opts, &spec, err);
    if (rc == 0)
        rc = tr_source_open(&spec, opts->seed, &src, &in.info, err);
    if (rc)
        return rc;
    in.is_profile = spec.trace == NULL;
    tr_traffic_measure(src, &in.stats);
    tr_source_close(src);
    if (format == TR_FORMAT_JSON)
        print_json(out, &in);
    else
        print_table(out, &in);
    return 0;
}
