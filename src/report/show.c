/* report, show: figures and names as they stand in tables. */
#include "report/report.h"

#include <errno.h>
#include <math.h>

const char *tr_show_num(char buf[TR_SHOW], double x)
{
    double a = fabs(x);

    if (!isfinite(x) || a >= 1e15)
        snprintf(buf, TR_SHOW, "-");
    else if (a >= 99.95)
        tr_units_show_count(buf, (int64_t)(x < 0 ? x - 0.5 : x + 0.5));
    else if (a >= 9.995)
        snprintf(buf, TR_SHOW, "%.1f", x);
    else if (a >= 0.9995)
        snprintf(buf, TR_SHOW, "%.2f", x);
    else if (a >= 0.09995)
        snprintf(buf, TR_SHOW, "%.3f", x);
    else if (a >= 0.00005)
        snprintf(buf, TR_SHOW, "%.4f", x);
    else if (a == 0.0)
        snprintf(buf, TR_SHOW, "0");
    else
        snprintf(buf, TR_SHOW, "%.1e", x);
    return buf;
}

const char *tr_show_percent(char buf[TR_SHOW], double share)
{
    if (!isfinite(share))
        snprintf(buf, TR_SHOW, "-");
    else
        /* 1e-9: 0.95 x 100 must not become 94.99. */
        snprintf(buf, TR_SHOW, "%.2f", floor(share * 1e4 + 1e-9) / 100.0);
    return buf;
}

const char *tr_show_gib(char buf[TR_SHOW], int64_t bytes)
{
    return tr_show_num(buf, (double)bytes / TR_GIB);
}

const char *tr_show_candidate(char buf[128], const struct tr_candidate *c)
{
    snprintf(buf, 128, "%.95s %.30s", c->arrangement.text, c->precision->name);
    return buf;
}

const char *tr_show_objective(char buf[64], const struct tr_objective *o)
{
    char limit[24];

    snprintf(buf, 64, "%s p%g <= %s", tr_metric_name(o->metric), o->fraction * 100.0,
             tr_units_show_ns(limit, o->limit_ns));
    return buf;
}

const char *tr_gate_name(enum tr_gate gate)
{
    static const char *const names[] = {
        [TR_GATE_OK] = "evaluated",        [TR_GATE_QUALITY] = "quality",
        [TR_GATE_ISOLATION] = "isolation", [TR_GATE_GEOMETRY] = "geometry",
        [TR_GATE_ENGINE] = "engine",       [TR_GATE_MEMORY] = "memory",
        [TR_GATE_BOUND] = "bound",         [TR_GATE_FLEET] = "no-fleet",
        [TR_GATE_STOPPED] = "stopped",
    };
    tr_assert((size_t)gate < TR_LEN(names));
    return names[gate];
}

const char *tr_show_node_letter(char buf[TR_SHOW], const struct tr_scenario *s,
                                const struct tr_node_type *node)
{
    buf[0] = '\0';
    for (size_t i = 0; s->n_nodes > 1 && i < s->n_nodes; i++)
        if (s->nodes[i] == node) {
            buf[0] = (char)('A' + i);
            buf[1] = '\0';
        }
    return buf;
}

bool tr_candidate_ran(const struct tr_candidate *c)
{
    return c->gate == TR_GATE_OK && c->result.outcome.offered > 0;
}

const char *tr_show_sample(char buf[TR_SHOW], const struct tr_candidate *c)
{
    int gpus = c->nodes * c->node->gpus;

    buf[0] = '\0';
    if (c->sampled_gpus > 0 && c->sampled_gpus < gpus)
        snprintf(buf, TR_SHOW, "%d of %d", c->sampled_gpus, gpus);
    return buf;
}

int tr_part_run(const struct tr_arrangement *a, int i, int *count)
{
    int end = i + 1;

    while (end < a->n_parts && a->parts[end].profile == a->parts[i].profile &&
           a->parts[end].sharing == a->parts[i].sharing &&
           a->parts[end].n_pods == a->parts[i].n_pods)
        end++;
    *count = end - i;
    return end;
}

int tr_report_flush(struct tr_str *text, FILE *out, struct tr_err *err)
{
    int rc = 0;

    errno = 0;
    if (text->overflow)
        rc = tr_err_set(err, TR_EENV, "the report is larger than 1 GiB");
    else if (fwrite(text->text, 1, text->len, out) != text->len || fflush(out) != 0)
        rc = tr_err_set(err, TR_EENV, "cannot write the report: %s", strerror(errno));
    tr_str_free(text);
    return rc;
}

int tr_report_refuse(enum tr_format format, const char *allowed, struct tr_err *err)
{
    static const char *const names[] = {"table", "json", "csv", "yaml"};

    return tr_err_set(err, TR_EINPUT, "no %s output here; allowed: %s", names[format], allowed);
}
