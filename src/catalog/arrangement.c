/* arrangement: the grammar of how one GPU is divided.
 *
 *     arrangement = division [spaces precision]
 *     division    = "whole" | "one-engine" | "timeslice:" N | "mps:" N | "mig:" layout
 * ["/timeslice:" N] layout      = item {"+" item} item        = profile ["*" count]
 *
 * A profile's own name may hold a plus ("1g.10gb+me"); names are matched longest first.
 */
#include "catalog/fields.h"

#include <strings.h>

struct parser {
    const char *text; /* of the whole arrangement, for messages */
    const struct tr_gpu *gpu;
    const char *p, *end; /* what is left of the division */
    struct tr_err *err;
};

static int fail(const struct parser *ps, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int fail(const struct parser *ps, const char *fmt, ...)
{
    char text[800];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return tr_err_set(ps->err, TR_EINPUT, "arrangement '%.80s': %s", ps->text, text);
}

static bool take(struct parser *ps, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(ps->end - ps->p) < len || strncasecmp(ps->p, word, len) != 0)
        return false;
    ps->p += len;
    return true;
}

/* A whole number of at most three digits without a sign; -1 when there is none. */
static int take_number(struct parser *ps)
{
    int n = 0, digits = 0;
    while (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9' && digits < 4) {
        n = n * 10 + (*ps->p++ - '0');
        digits++;
    }
    return digits >= 1 && digits <= 3 ? n : -1;
}

/* The N of timeslice:N and mps:N, which ends the division. */
static int parse_pods(struct parser *ps, const char *what, int *pods)
{
    *pods = take_number(ps);
    if (*pods == 1 && ps->p == ps->end)
        return fail(ps, "%s:1 shares with nobody; leave it out (a card with one pod is 'whole')",
                    what);
    if (*pods < 2 || *pods > TR_MAX_PODS || ps->p != ps->end)
        return fail(ps, "%s takes a number of pods from 2 to %d, like %s:4", what, TR_MAX_PODS,
                    what);
    return TR_OK;
}

static int unknown_profile(struct parser *ps)
{
    char name[48], known[400] = "";
    size_t len = strcspn(ps->p, "+*/ \t\n"), used = 0;
    snprintf(name, sizeof name, "%.*s", (int)TR_MIN(len, sizeof name - 1), ps->p);
    const char *names[TR_MAX_PROFILES];
    for (int i = 0; i < ps->gpu->n_profiles; i++) {
        names[i] = ps->gpu->profiles[i].name;
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ",
                                     names[i]);
    }
    if (name[0] == '\0')
        return fail(ps, "a MIG profile is expected here; %s has %s", ps->gpu->name, known);
    const char *near = tr_nearest(name, names, (size_t)ps->gpu->n_profiles);
    return fail(ps, "%s has no MIG profile '%s'%s%s%s; it has %s", ps->gpu->name, name,
                near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                near != NULL ? "'?" : "", known);
}

static int take_profile(struct parser *ps, const struct tr_mig_profile **out)
{
    size_t longest = 0;
    for (int i = 0; i < ps->gpu->n_profiles; i++) {
        const struct tr_mig_profile *p = &ps->gpu->profiles[i];
        size_t len = strlen(p->name);
        if (len <= longest || (size_t)(ps->end - ps->p) < len ||
            strncasecmp(ps->p, p->name, len) != 0)
            continue;
        if (ps->p + len == ps->end || strchr("+*/", ps->p[len]) != NULL) {
            longest = len;
            *out = p;
        }
    }
    if (longest == 0)
        return unknown_profile(ps);
    ps->p += longest;
    return TR_OK;
}

static int take_item(struct parser *ps, struct tr_arrangement *out)
{
    const struct tr_mig_profile *profile = NULL;
    int rc = take_profile(ps, &profile);
    if (rc != TR_OK)
        return rc;
    int count = 1;
    if (take(ps, "*")) {
        count = take_number(ps);
        if (count < 1 || count > TR_MAX_PARTS)
            return fail(ps, "the count after '%s*' must be a number from 1 to %d", profile->name,
                        profile->max_count);
    }
    if (out->n_parts + count > TR_MAX_PARTS)
        return fail(ps, "more than %d MIG instances; %s has %d compute slices", TR_MAX_PARTS,
                    ps->gpu->name, ps->gpu->compute_slices);
    for (int i = 0; i < count; i++)
        out->parts[out->n_parts++] =
            (struct tr_part){.profile = profile, .sharing = TR_SOLO, .n_pods = 1};
    return TR_OK;
}

static bool before(const struct tr_mig_profile *a, const struct tr_mig_profile *b)
{
    if (a->compute_slices != b->compute_slices)
        return a->compute_slices > b->compute_slices;
    if (a->mem_slots != b->mem_slots)
        return a->mem_slots > b->mem_slots;
    if (a->media != b->media)
        return a->media;
    return strcmp(a->name, b->name) < 0;
}

/* Large first: the order that the driver's greedy placement wants, and one text per layout. */
static void sort_parts(struct tr_arrangement *a)
{
    for (int i = 1; i < a->n_parts; i++) {
        struct tr_part part = a->parts[i];
        int at = i;
        for (; at > 0 && before(part.profile, a->parts[at - 1].profile); at--)
            a->parts[at] = a->parts[at - 1];
        a->parts[at] = part;
    }
}

static void add_text(struct tr_arrangement *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void add_text(struct tr_arrangement *a, const char *fmt, ...)
{
    size_t used = strlen(a->text);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(a->text + used, sizeof a->text - used, fmt, ap);
    va_end(ap);
    /* Eight names of at most 15 letters and what joins them are 144. */
    tr_assert(n >= 0 && (size_t)n < sizeof a->text - used);
}

static void write_text(struct tr_arrangement *a)
{
    int pods = a->parts[0].n_pods;
    if (!a->mig && a->parts[0].sharing == TR_SOLO)
        add_text(a, a->one_engine ? "one-engine" : "whole");
    else if (!a->mig)
        add_text(a, "%s:%d", a->parts[0].sharing == TR_MPS ? "mps" : "timeslice", pods);
    if (!a->mig)
        return;
    add_text(a, "mig:");
    for (int i = 0, same; i < a->n_parts; i += same) {
        for (same = 1; i + same < a->n_parts && a->parts[i + same].profile == a->parts[i].profile;)
            same++;
        add_text(a, "%s%s", i == 0 ? "" : "+", a->parts[i].profile->name);
        if (same > 1)
            add_text(a, "*%d", same);
    }
    if (a->parts[0].sharing != TR_SOLO)
        add_text(a, "/timeslice:%d", pods);
}

/* Says why a layout cannot stand, in the order in which a person would notice. */
static int refuse_layout(const struct parser *ps, const struct tr_arrangement *a)
{
    const struct tr_gpu *gpu = ps->gpu;
    int compute = 0, slots = 0, media = 0;
    for (int i = 0; i < a->n_parts; i++) {
        const struct tr_mig_profile *p = a->parts[i].profile;
        int same = 0;
        for (int k = 0; k < a->n_parts; k++)
            same += a->parts[k].profile == p;
        if (same > p->max_count && p->n_starts == 1)
            return fail(ps, "%s fits once on %s: only start %d exists", p->name, gpu->name,
                        p->starts[0]);
        if (same > p->max_count)
            return fail(ps, "%d x %s, but %s takes at most %d", same, p->name, gpu->name,
                        p->max_count);
        compute += p->compute_slices;
        slots += p->mem_slots;
        media += p->media;
    }
    if (media > 1)
        return fail(ps, "two profiles with '+me': the media engines can be given once per GPU");
    if (compute > gpu->compute_slices)
        return fail(ps, "needs %d compute slices, %s has %d", compute, gpu->name,
                    gpu->compute_slices);
    if (slots > gpu->mem_slots)
        return fail(ps, "needs %d memory slots, %s has %d", slots, gpu->name, gpu->mem_slots);
    return fail(ps,
                "no placement on %s: the profiles' starts leave no room for all of them; see "
                "`tranche catalog mig %s` for the layouts that exist",
                gpu->name, gpu->name);
}

static int parse_mig(struct parser *ps, struct tr_arrangement *out)
{
    if (ps->gpu->n_profiles == 0)
        return fail(ps, "%s has no MIG; it can be whole, one-engine, timeslice:N or mps:N",
                    ps->gpu->name);
    out->mig = true;
    int rc;
    do {
        rc = take_item(ps, out);
    } while (rc == TR_OK && take(ps, "+"));
    if (rc != TR_OK)
        return rc;
    int pods = 1;
    if (take(ps, "/mps"))
        return fail(ps, "MPS inside MIG instances is not supported by the Kubernetes device "
                        "plugin; use /timeslice:N");
    if (take(ps, "/timeslice:")) {
        rc = parse_pods(ps, "timeslice", &pods);
        if (rc != TR_OK)
            return rc;
    }
    if (ps->p != ps->end)
        return fail(ps,
                    "'%.*s' is not understood; a layout is like mig:3g.40gb*2 or "
                    "mig:3g.40gb+2g.20gb/timeslice:2",
                    (int)TR_MIN(ps->end - ps->p, 40), ps->p);
    sort_parts(out);
    const struct tr_mig_profile *profiles[TR_MAX_PARTS];
    int starts[TR_MAX_PARTS];
    for (int i = 0; i < out->n_parts; i++) {
        profiles[i] = out->parts[i].profile;
        out->parts[i].n_pods = pods;
        out->parts[i].sharing = pods > 1 ? TR_TIMESLICE : TR_SOLO;
    }
    if (!tr_mig_place(ps->gpu, profiles, out->n_parts, starts))
        return refuse_layout(ps, out);
    return TR_OK;
}

static int parse_division(struct parser *ps, struct tr_arrangement *out)
{
    int rc = TR_OK, pods = 1;
    enum tr_sharing sharing = TR_SOLO;
    if (take(ps, "mig:"))
        return parse_mig(ps, out);
    out->one_engine = take(ps, "one-engine");
    if (out->one_engine && ps->p == ps->end) {
        out->n_parts = 1;
        out->parts[0] = (struct tr_part){.sharing = TR_SOLO, .n_pods = 1};
        return TR_OK;
    }
    if (take(ps, "timeslice:")) {
        sharing = TR_TIMESLICE;
        rc = parse_pods(ps, "timeslice", &pods);
    } else if (take(ps, "mps:")) {
        sharing = TR_MPS;
        rc = parse_pods(ps, "mps", &pods);
    } else if (!take(ps, "whole") || ps->p != ps->end) {
        static const char *const words[] = {"whole", "one-engine", "timeslice", "mps", "mig"};
        char word[32];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(ps->text, ": \t\n"), ps->text);
        const char *near = tr_nearest(word, words, TR_LEN(words));
        if (near != NULL && strcasecmp(near, word) == 0)
            near = NULL; /* the word is right, what follows is not */
        return fail(ps,
                    "not understood%s%s%s; it must be whole, one-engine, timeslice:N, mps:N, "
                    "mig:PROFILE*COUNT+PROFILE or mig:.../timeslice:N",
                    near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                    near != NULL ? "'?" : "");
    }
    if (rc == TR_OK) {
        out->n_parts = 1;
        out->parts[0] = (struct tr_part){.sharing = sharing, .n_pods = pods};
    }
    return rc;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

int tr_arrangement_parse(const char *text, const struct tr_gpu *gpu, const struct tr_catalog *cat,
                         struct tr_arrangement *out, const struct tr_precision **precision,
                         struct tr_err *err)
{
    *out = (struct tr_arrangement){0};
    struct parser ps = {.text = text, .gpu = gpu, .p = text, .err = err};
    while (is_space(*ps.p))
        ps.p++;
    ps.text = ps.p;
    ps.end = ps.p + strcspn(ps.p, " \t");
    const char *word = ps.end;
    while (is_space(*word))
        word++;
    size_t len = strcspn(word, " \t");
    const char *rest = word + len;
    while (is_space(*rest))
        rest++;
    if (*rest != '\0' || (len > 0 && strchr("+*/:", *word) != NULL))
        return fail(&ps, "no spaces inside an arrangement; only the precision stands apart, like "
                         "'mig:1g.10gb*7 int4'");
    int rc = parse_division(&ps, out);
    if (rc != TR_OK)
        return rc;
    for (int i = 0; i < out->n_parts; i++)
        out->n_pods += out->parts[i].n_pods;
    if (out->n_pods > TR_MAX_PODS)
        return fail(&ps, "%d pods on one GPU; at most %d are supported", out->n_pods, TR_MAX_PODS);
    write_text(out);
    if (precision != NULL)
        *precision = NULL;
    if (rc == TR_OK && len > 0) {
        char name[64];
        const struct tr_precision *found = NULL;
        snprintf(name, sizeof name, "%.*s", (int)TR_MIN(len, sizeof name - 1), word);
        struct tr_err inner = {0};
        rc = tr_catalog_precision(cat, name, NULL, &found, &inner);
        if (rc != TR_OK)
            return fail(&ps, "%s", inner.text);
        if (precision == NULL)
            return fail(&ps, "no precision is expected here");
        *precision = found;
    }
    return rc;
}

int tr_arrangement_rank(const struct tr_arrangement *a)
{
    enum { WHOLE, ONE_ENGINE, TIMESLICE, MPS, UNIFORM, MIXED, DIVIDED };
    if (a->one_engine)
        return ONE_ENGINE;
    if (!a->mig)
        return a->parts[0].sharing == TR_SOLO  ? WHOLE
               : a->parts[0].sharing == TR_MPS ? MPS
                                               : TIMESLICE;
    if (a->parts[0].sharing != TR_SOLO)
        return DIVIDED;
    for (int i = 1; i < a->n_parts; i++)
        if (a->parts[i].profile != a->parts[0].profile)
            return MIXED;
    return UNIFORM;
}
