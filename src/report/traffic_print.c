/* report, traffic: what a trace looks like, for people and for programs. */
#include <tranche/traffic.h>

#include "report/report.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

#define PROFILE "aks-chatbot"

/* The windows of tr_traffic_stats; the index of dispersion has the first three. */
static const char *const window_names[] = {"1 s", "10 s", "1 min", "1 h"};

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

static void print_names(struct tr_str *out, const char *label, const char *const *names, size_t n)
{
    tr_str_printf(out, "\n%-22s", label);
    for (size_t i = 0; i < n; i++)
        tr_str_printf(out, " %8s", names[i]);
}

static void print_ratios(struct tr_str *out, const char *label, const double *x, size_t n,
                         const char *meaning)
{
    char buf[TR_SHOW];

    tr_str_printf(out, "\n%-22s", label);
    for (size_t i = 0; i < TR_LEN(window_names); i++)
        tr_str_printf(out, " %8s", i < n ? tr_show_num(buf, x[i]) : "");
    tr_str_printf(out, "   %s", meaning);
}

static void print_lengths(struct tr_str *out, const char *label, const int32_t q[4], int64_t sum,
                          int64_t requests)
{
    int64_t mean = (int64_t)((double)sum / (double)requests + 0.5);
    char buf[TR_SHOW];

    tr_str_printf(out, "\n%-22s", label);
    for (int i = 0; i < 4; i++)
        tr_str_printf(out, " %8s", tr_units_show_count(buf, q[i]));
    tr_str_printf(out, " %8s", tr_units_show_count(buf, mean));
    tr_str_printf(out, " %16s", tr_units_show_count(buf, sum));
}

static void print_rows_read(struct tr_str *out, const struct tr_trace_info *info)
{
    char a[TR_SHOW], b[TR_SHOW];

    tr_str_printf(out, "%-22s %s = %s kept", "rows read", tr_units_show_count(a, info->rows_read),
                  tr_units_show_count(b, info->rows_kept));
    tr_str_printf(out, " + %s without prompt + %s without output tokens\n",
                  tr_units_show_count(a, info->dropped_no_prompt),
                  tr_units_show_count(b, info->dropped_no_output));
    if (info->unsorted)
        tr_str_printf(out, "%-22s %s rows, earlier than one above them; sorted by time\n",
                      "out of order", tr_units_show_count(a, info->unsorted));
    if (info->equal_stamps)
        tr_str_printf(out, "%-22s %s rows have the time of the one before them\n", "equal times",
                      tr_units_show_count(a, info->equal_stamps));
}

static void print_head(struct tr_str *out, const struct inspected *in)
{
    const struct tr_traffic_stats *s = &in->stats;
    char a[TR_SHOW], b[TR_SHOW], span[24];
    size_t len = strlen(in->path), shown = 52; /* keeps the line within 100 columns */

    if (in->is_profile)
        tr_str_printf(out, "%-22s %s, one day, seed %" PRIu64 "\n", "profile", in->path, in->seed);
    else
        tr_str_printf(out, "%-22s %s%s (format %s)\n", "trace", len > shown ? "..." : "",
                      in->path + (len > shown ? len - shown : 0), in->info.format);
    if (!in->is_profile)
        print_rows_read(out, &in->info);
    tr_str_printf(out, "%-22s %s in %s\n", "requests", tr_units_show_count(a, s->requests),
                  tr_units_show_ns(span, s->span_ns));
    tr_str_printf(out, "%-22s %s/s on average, %s/s in the median minute\n", "rate",
                  tr_show_num(a, s->rate), tr_show_num(b, s->median_minute_rate));
    if (s->n_tenants > 1)
        tr_str_printf(out, "%-22s %d\n", "tenants", s->n_tenants);
    if (s->sessions)
        tr_str_printf(out, "%-22s %s of %s turns in the mean\n", "sessions",
                      tr_units_show_count(a, s->sessions), tr_show_num(b, s->mean_turns));
    if (s->prefix_reuse > 0.0)
        tr_str_printf(out, "%-22s at most %.1f %% of the prompt tokens\n", "prefix reuse",
                      100.0 * s->prefix_reuse);
}

static void print_table(struct tr_str *out, const struct inspected *in)
{
    static const char *const length_names[] = {"p50", "p90", "p95", "p99", "mean"};
    const struct tr_traffic_stats *s = &in->stats;

    print_head(out, in);
    print_names(out, "in windows of", window_names, TR_LEN(window_names));
    print_ratios(out, "peak / mean", s->peak_over_mean, TR_LEN(s->peak_over_mean),
                 "fullest window over the average one");
    print_ratios(out, "index of dispersion", s->idc, TR_LEN(s->idc),
                 "variance / mean of counts; 1 = Poisson,");
    tr_str_printf(out, "\n%61s%s", "", "above: bursts, or a rate that drifts");
    print_ratios(out, "CV of the gaps", &s->iat_cv, 1, "sd / mean between arrivals; 1 = Poisson");
    tr_str_printf(out, "\n");
    print_names(out, "tokens", length_names, TR_LEN(length_names));
    tr_str_printf(out, " %16s", "sum");
    print_lengths(out, "prompt", s->prompt_q, s->prompt_tok, s->requests);
    print_lengths(out, "output", s->output_q, s->output_tok, s->requests);
    tr_str_printf(out, "\n");
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

static void print_json(struct tr_str *out, const struct inspected *in)
{
    const struct tr_traffic_stats *s = &in->stats;
    struct tr_json j = {.out = out};

    tr_json_begin(&j, NULL, '{');
    tr_json_text(&j, "schema", "tranche.traffic/1");
    tr_json_text(&j, "tranche_version", tr_version());
    json_source(&j, in);
    tr_report_json_traffic(&j, s);
    tr_json_int(&j, "tenants", s->n_tenants);
    json_lengths(&j, "prompt_tok", s->prompt_q, s->prompt_tok, s->requests);
    json_lengths(&j, "output_tok", s->output_q, s->output_tok, s->requests);
    tr_json_end(&j);
}

int tr_traffic_inspect(const char *path, const struct tr_traffic_inspect_opts *opts,
                       enum tr_format format, FILE *out, struct tr_err *err)
{
    struct inspected in = {.path = path, .seed = opts->seed};
    struct tr_traffic_spec spec;
    struct tr_source *src = NULL;
    struct tr_str text = {0};
    int rc;

    if (format != TR_FORMAT_TABLE && format != TR_FORMAT_JSON)
        return tr_report_refuse(format, "table, json", err);
    rc = describe(path, opts, &spec, err);
    if (rc == 0)
        rc = tr_source_open(&spec, opts->seed, &src, &in.info, err);
    if (rc)
        return rc;
    in.is_profile = spec.trace == NULL;
    tr_traffic_measure(src, &in.stats);
    tr_source_close(src);
    if (format == TR_FORMAT_JSON)
        print_json(&text, &in);
    else
        print_table(&text, &in);
    return tr_report_flush(&text, out, err);
}
