/* scenario, traffic: the three ways to say which requests come, and what goes with each. */
#include "scenario/keys.h"

#include <errno.h>
#include <unistd.h>

#define MAX_REQUESTS 1e9
#define MAX_SPIKES   10000

static const struct {
    const char *name;
    enum key_form form;
} forms[] = {
    {"profile", WITH_PROFILE}, {"trace", WITH_TRACE}, {"rate", WITH_RATE}, {"rates", WITH_RATES}};

static int find_form(struct reader *r, const struct tr_node *map, enum key_form *out)
{
    const char *first = NULL;

    for (size_t i = 0; i < map->n; i++) {
        for (size_t f = 0; f < TR_LEN(forms); f++) {
            if (strcmp(map->keys[i]->text, forms[f].name) != 0)
                continue;
            if (first)
                return tr_node_err(r->err, map->keys[i],
                                   "'%s' does not go with '%s': traffic is given by one of "
                                   "profile, trace, rate, rates",
                                   forms[f].name, first);
            first = forms[f].name;
            *out = forms[f].form;
        }
    }
    if (!first)
        return tr_node_err(r->err, map, "traffic needs one of profile, trace, rate, rates");
    return 0;
}

/* Does every key go with the form chosen? */
static int check_forms(struct reader *r, const struct tr_node *map, enum key_form form)
{
    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {
        struct tr_str list = {0};
        int rc;

        if (!key->forms || (key->forms & form) || !tr_node_get(map, key_name(key)) ||
            !key_is_child(key, "workloads[].traffic."))
            continue;
        for (size_t f = 0; f < TR_LEN(forms); f++)
            if (key->forms & forms[f].form)
                tr_str_printf(&list, "%s%s", list.len ? ", " : "", forms[f].name);
        for (size_t f = 0; f < TR_LEN(forms); f++)
            if (form == forms[f].form)
                tr_str_printf(&list, "; not with %s", forms[f].name);
        for (size_t k = 0; k < map->n; k++)
            if (strcmp(map->keys[k]->text, key_name(key)) == 0)
                map = map->keys[k];
        rc = tr_node_err(r->err, map, "'%s' goes with %s", key_name(key), list.text);
        tr_str_free(&list);
        return rc;
    }
    return 0;
}

int read_traffic(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    enum key_form form = WITH_RATE;
    char prefix[96];
    int rc;

    if (node->kind != TR_NODE_MAP)
        return key_refuse(r, key, node);
    key_prefix(key, prefix);
    if ((rc = check_keys(r, prefix, node)) < 0 || (rc = find_form(r, node, &form)) < 0 ||
        (rc = check_forms(r, node, form)) < 0)
        return rc;
    tr_traffic_spec_init(&w->traffic);
    if (form == WITH_PROFILE)
        tr_traffic_aks_chatbot(&w->traffic);
    return read_map(r, base, prefix, node);
}

int read_path(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    const char **out = (const char **)(void *)((char *)base + key->offset), *path;

    if (key_get_text(r, key, node, &path) < 0)
        return TR_EINPUT;
    *out = file_beside(r, path);
    if (access(*out, R_OK) != 0)
        return key_fail(r, key, node, "%.300s: %s", *out, strerror(errno));
    return 0;
}

int read_format(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    int word = 0, rc = key_get_word(r, key, node, &word);

    w->traffic.format = key->words[word];
    return rc;
}

int read_time_unit(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    int64_t ns = 0;
    int rc = key_get_duration(r, key, node, &ns);

    w->traffic.time_unit_s = (double)ns / (double)TR_NS_PER_S;
    return rc;
}

int read_rate(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    struct tr_knot *knot = TR_ARENA_NEW(&r->s->arena, struct tr_knot, 1);

    w->traffic.knots = knot;
    w->traffic.n_knots = 1;
    return key_get_number(r, key, node, &knot->rate);
}

static int read_knot(struct reader *r, const struct key *key, const struct tr_node *node,
                     const struct tr_knot *before, struct tr_knot *out)
{
    struct tr_err e = {0};

    if (node->kind != TR_NODE_LIST || node->n != 2 || node->items[0]->kind != TR_NODE_SCALAR ||
        node->items[1]->kind != TR_NODE_SCALAR)
        return key_fail(r, key, node, "a point is a time and a rate, such as [8h, 20/s]");
    if (tr_units_duration(node->items[0]->text, &out->time_ns, &e) < 0)
        return key_fail(r, key, node->items[0], "%s", e.text);
    if (tr_units_rate(node->items[1]->text, &out->rate, &e) < 0)
        return key_fail(r, key, node->items[1], "%s", e.text);
    if (out->rate > key->max)
        return key_fail(r, key, node->items[1], "at most 1,000,000 requests/s");
    if (!before && out->time_ns != 0)
        return key_fail(r, key, node->items[0], "the first time must be 0");
    if (before && out->time_ns < before->time_ns)
        return key_fail(r, key, node->items[0], "times must not go back");
    return 0;
}

int read_knots(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    struct tr_knot *knots;
    int rc = 0;

    if (node->kind != TR_NODE_LIST || node->n == 0)
        return key_refuse(r, key, node);
    knots = TR_ARENA_NEW(&r->s->arena, struct tr_knot, node->n);
    for (size_t i = 0; i < node->n && rc == 0; i++)
        rc = read_knot(r, key, node->items[i], i ? &knots[i - 1] : NULL, &knots[i]);
    w->traffic.knots = knots;
    w->traffic.n_knots = node->n;
    return rc;
}

int read_spikes(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_workload *w = base;
    struct tr_spike *spikes;
    char prefix[96];
    int rc = 0;

    if (node->kind != TR_NODE_LIST || node->n == 0)
        return key_refuse(r, key, node);
    if (node->n > MAX_SPIKES)
        return key_fail(r, key, node, "%zu spikes; at most %d", node->n, MAX_SPIKES);
    key_prefix(key, prefix);
    spikes = TR_ARENA_NEW(&r->s->arena, struct tr_spike, node->n);
    for (size_t i = 0; i < node->n && rc == 0; i++) {
        if (node->items[i]->kind != TR_NODE_MAP)
            return key_refuse(r, key, node->items[i]);
        rc = read_defaults(r, &spikes[i], IN_SPIKE, prefix);
        if (rc == 0)
            rc = read_map(r, &spikes[i], prefix, node->items[i]);
        if (rc == 0 && i > 0 && spikes[i].start_ns < spikes[i - 1].start_ns)
            rc = key_fail(r, key, node->items[i], "spikes must be in the order of their starts");
    }
    w->traffic.spikes = spikes;
    w->traffic.n_spikes = node->n;
    return rc;
}

int read_length(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    struct tr_length *len = (struct tr_length *)(void *)((char *)base + key->offset);
    struct tr_lognormal solved;
    struct tr_err e = {0};
    char prefix[96];
    int64_t fixed = 0;

    *len = (struct tr_length){.kind = TR_LENGTH_FIXED};
    if (node->kind != TR_NODE_MAP) {
        int rc = key_get_int(r, key, node, &fixed);

        len->fixed_tok = (int32_t)fixed;
        return rc;
    }
    len->kind = TR_LENGTH_LOGNORMAL;
    key_prefix(key, prefix);
    if (read_defaults(r, base, key->base, prefix) < 0 || read_map(r, base, prefix, node) < 0)
        return TR_EINPUT;
    if (len->min_tok > len->max_tok)
        return key_fail(r, key, node, "min %d is above max %d", len->min_tok, len->max_tok);
    if (tr_lognormal_solve(&solved, len->mean, len->cv, len->min_tok, len->max_tok, &e) < 0)
        return key_fail(r, key, node, "%s", e.text);
    return 0;
}

int read_sessions(struct reader *r, void *base, const struct key *key, const struct tr_node *node)
{
    char prefix[96];

    if (node->kind != TR_NODE_MAP)
        return key_refuse(r, key, node);
    key_prefix(key, prefix);
    if (read_defaults(r, base, IN_WORKLOAD, prefix) < 0)
        return TR_EINPUT;
    return read_map(r, base, prefix, node);
}

/* ---- checks --------------------------------------------------------------------------------- */

/* Requests that the description asks for, in the mean; a spike is counted with its whole peak. */
static double expected_requests(const struct tr_traffic_spec *t)
{
    double sum = 0;

    for (size_t i = 0; i < t->n_knots; i++) {
        bool last = i + 1 == t->n_knots;
        int64_t end = last ? TR_MAX(t->duration_ns, t->knots[i].time_ns) : t->knots[i + 1].time_ns;
        double rate = last ? t->knots[i].rate : (t->knots[i].rate + t->knots[i + 1].rate) / 2;

        sum += rate * (double)(end - t->knots[i].time_ns) / (double)TR_NS_PER_S;
    }
    for (size_t i = 0; i < t->n_spikes; i++) {
        const struct tr_spike *s = &t->spikes[i];

        sum += s->peak_rate * (double)(s->ramp_ns / 2 + s->hold_ns + s->decay_tau_ns) /
               (double)TR_NS_PER_S;
    }
    return sum * t->rate_scale;
}

static int check_arrivals(struct reader *r, struct tr_traffic_spec *t)
{
    const struct tr_node *arrivals = find_node(r, "workload.traffic.arrivals");
    const struct tr_node *burstiness = find_node(r, "workload.traffic.burstiness");

    if (burstiness && !arrivals)
        t->process = TR_GAMMA;
    if (burstiness && arrivals && t->process != TR_GAMMA)
        return tr_node_err(r->err, burstiness,
                           "'burstiness' goes with arrivals: gamma; not with %s", arrivals->text);
    if (!burstiness && t->process == TR_GAMMA)
        return tr_node_err(r->err, arrivals, "arrivals: gamma needs the key 'burstiness'");
    return 0;
}

/* The base rate at a time: linear between knots; of two at one time, the later. */
static double base_rate(const struct tr_traffic_spec *t, int64_t ns)
{
    const struct tr_knot *k = t->knots;
    size_t i = 0;

    while (i + 1 < t->n_knots && k[i + 1].time_ns <= ns)
        i++;
    if (i + 1 == t->n_knots)
        return k[i].rate;
    return k[i].rate + (k[i + 1].rate - k[i].rate) * (double)(ns - k[i].time_ns) /
                           (double)(k[i + 1].time_ns - k[i].time_ns);
}

static int check_spikes(struct reader *r, const struct tr_traffic_spec *t)
{
    const struct tr_node *spikes = find_node(r, "workload.traffic.spikes");

    for (size_t i = 0; spikes && i < t->n_spikes; i++) {
        double base = base_rate(t, t->spikes[i].start_ns);

        if (t->spikes[i].start_ns >= t->duration_ns)
            return tr_node_err(r->err, spikes->items[i],
                               "traffic.spikes: this spike starts after the end of the traffic");
        if (t->spikes[i].peak_rate < base)
            return tr_node_err(r->err, spikes->items[i],
                               "traffic.spikes: this peak of %g/s is below the rate at its start, "
                               "%g/s",
                               t->spikes[i].peak_rate, base);
    }
    return 0;
}

static int check_times(struct reader *r, struct tr_traffic_spec *t)
{
    const struct tr_node *map = find_node(r, "workload.traffic");
    const struct tr_node *rates = tr_node_get(map, "rates");
    int64_t last = t->knots[t->n_knots - 1].time_ns;

    if (!tr_node_get(map, "duration")) {
        if (!rates)
            return tr_node_err(r->err, map, "traffic with 'rate' needs the key 'duration'");
        if (last == 0)
            return tr_node_err(r->err, map,
                               "these rates end at 0; traffic needs a last time above "
                               "0, or the key 'duration'");
        t->duration_ns = last;
    }
    if (rates && last > t->duration_ns)
        return tr_node_err(r->err, rates->items[t->n_knots - 1],
                           "traffic.rates: this time is after the end of the duration");
    if ((double)t->duration_ns > 366.0 * 86400 * (double)TR_NS_PER_S)
        return tr_node_err(r->err, map, "traffic longer than 366 days");
    return check_spikes(r, t);
}

static int check_sessions(struct reader *r, const struct tr_traffic_spec *t)
{
    const struct tr_node *sessions = find_node(r, "workload.traffic.sessions");
    struct tr_err e = {0};

    if (sessions && tr_sessions_check(t, &e) < 0)
        return tr_node_err(r->err, sessions, "traffic.sessions: %s", e.text);
    return 0;
}

int check_traffic(struct reader *r)
{
    struct tr_traffic_spec *t = &r->s->workloads[r->item].traffic;
    const struct tr_node *map = find_node(r, "workload.traffic");
    static const char *const csv_keys[] = {"columns", "time_unit"};
    static const char *const lengths[] = {"prompt_tokens", "output_tokens"};
    double n;
    int rc;

    for (size_t i = 0; i < TR_LEN(csv_keys); i++)
        if (tr_node_get(map, csv_keys[i]) && (!t->format || strcmp(t->format, "csv") != 0))
            return tr_node_err(r->err, tr_node_get(map, csv_keys[i]),
                               "traffic.%s goes with format: csv", csv_keys[i]);
    if (t->trace)
        return 0;
    if (!tr_node_get(map, "profile")) {
        if ((rc = check_times(r, t)) < 0 || (rc = check_arrivals(r, t)) < 0)
            return rc;
        for (size_t i = 0; i < TR_LEN(lengths) && !r->s->workloads[r->item].server; i++)
            if (!tr_node_get(map, lengths[i]))
                return tr_node_err(r->err, map,
                                   "traffic needs the key '%s': a number of tokens, "
                                   "or {mean, cv, min, max}",
                                   lengths[i]);
    }
    if ((rc = check_sessions(r, t)) < 0)
        return rc;
    n = expected_requests(t);
    if (n < 1)
        return tr_node_err(r->err, map,
                           "traffic: this asks for %.2g requests; at least one is "
                           "needed",
                           n);
    if (n > MAX_REQUESTS)
        return tr_node_err(r->err, map, "traffic: this asks for %.2g requests; at most 1e9", n);
    return 0;
}
