/* report, catalog: how one GPU can be cut by MIG. */
#include "report/catalog_print.h"

#define MAX_LAYOUTS 256

/* One maximal layout and what it leaves unused. */
struct layout {
    char text[160]; /* as an arrangement */
    int compute, slots, sms;
    bool plain;
};

/* Turns counts per profile into an arrangement, whose parser gives the canonical text. */
static void describe(const struct tr_catalog *cat, const struct tr_gpu *gpu, const int *counts,
                     struct layout *out)
{
    struct tr_str text = {0};
    *out = (struct layout){.plain = true};
    for (int i = 0; i < gpu->n_profiles; i++) {
        const struct tr_mig_profile *p = &gpu->profiles[i];
        if (counts[i] == 0)
            continue;
        tr_str_printf(&text, "%s%s*%d", text.len == 0 ? "mig:" : "+", p->name, counts[i]);
        out->compute += counts[i] * p->compute_slices;
        out->slots += counts[i] * p->mem_slots;
        out->sms += counts[i] * p->sms;
        out->plain = out->plain && p->plain;
    }
    struct tr_arrangement a;
    tr_assert(tr_arrangement_parse(text.text, gpu, cat, &a, NULL, NULL) == TR_OK);
    snprintf(out->text, sizeof out->text, "%s", a.text);
    tr_str_free(&text);
}

/* The layouts of plain profiles first, then those that need another one. Caller frees nothing: they
 * live in the arena. */
static int list_layouts(struct tr_arena *arena, const struct tr_catalog *cat,
                        const struct tr_gpu *gpu, struct layout **out)
{
    int(*counts)[TR_MAX_PROFILES] =
        tr_arena_alloc(arena, sizeof(int[TR_MAX_PROFILES]) * MAX_LAYOUTS);
    struct layout *list = TR_ARENA_NEW(arena, struct layout, 2 * MAX_LAYOUTS);
    int n = 0;
    int found = TR_MIN(tr_mig_maximal(gpu, false, counts, MAX_LAYOUTS), MAX_LAYOUTS);
    for (int i = 0; i < found; i++)
        describe(cat, gpu, counts[i], &list[n++]);
    found = TR_MIN(tr_mig_maximal(gpu, true, counts, MAX_LAYOUTS), MAX_LAYOUTS);
    for (int i = 0; i < found; i++) {
        describe(cat, gpu, counts[i], &list[n]);
        n += !list[n].plain;
    }
    *out = list;
    return n;
}

/* "{0,2,4}:2", as `nvidia-smi mig -lgipp` prints it. */
static const char *placement(char text[64], const struct tr_mig_profile *p)
{
    size_t used = 0;
    for (int i = 0; i < p->n_starts; i++)
        used += (size_t)snprintf(text + used, 64 - used, "%c%d", i == 0 ? '{' : ',', p->starts[i]);
    snprintf(text + used, 64 - used, "}:%d", p->mem_slots);
    return text;
}

static void profiles_table(const struct tr_gpu *gpu, struct tr_str *out)
{
    struct tr_table t = {.indent = 2};
    tr_table_column(&t, TR_LEFT, NULL, "profile");
    tr_table_column(&t, TR_RIGHT, NULL, "compute");
    tr_table_column(&t, TR_RIGHT, NULL, "slots");
    tr_table_column(&t, TR_LEFT, NULL, "starts:size");
    tr_table_column(&t, TR_RIGHT, NULL, "at most");
    tr_table_column(&t, TR_RIGHT, NULL, "SMs");
    tr_table_column(&t, TR_RIGHT, NULL, "GiB");
    tr_table_column(&t, TR_PROSE, NULL, "");
    for (int i = 0; i < gpu->n_profiles; i++) {
        const struct tr_mig_profile *p = &gpu->profiles[i];
        char text[64];
        bool estimate = strncmp(p->source, "estimate", 8) == 0;
        tr_table_cell(&t, "%s", p->name);
        tr_table_cell(&t, "%d/%d", p->compute_slices, gpu->compute_slices);
        tr_table_cell(&t, "%d/%d", p->mem_slots, gpu->mem_slots);
        tr_table_cell(&t, "%s", placement(text, p));
        tr_table_cell(&t, "%d", p->max_count);
        tr_table_cell(&t, "%d", p->sms);
        tr_table_cell(&t, "%.2f", (double)p->mem_bytes / TR_GIB);
        tr_table_cell(&t, "%s%s%s", p->media ? "media engines: once per GPU" : "",
                      p->media && estimate ? "; " : "", estimate ? "SMs and GiB estimated" : "");
    }
    tr_table_end(&t, out);
}

static void layouts_table(const struct tr_gpu *gpu, const struct layout *layouts, int n, bool plain,
                          struct tr_str *out)
{
    struct tr_table t = {.indent = 2};
    tr_table_column(&t, TR_LEFT, NULL, "layout");
    tr_table_column(&t, TR_RIGHT, NULL, "compute");
    tr_table_column(&t, TR_RIGHT, NULL, "slots");
    tr_table_column(&t, TR_RIGHT, NULL, "SMs");
    tr_table_column(&t, TR_LEFT, NULL, "stranded");
    for (int i = 0; i < n; i++) {
        const struct layout *l = &layouts[i];
        if (l->plain != plain)
            continue;
        int compute = gpu->compute_slices - l->compute, slots = gpu->mem_slots - l->slots;
        tr_table_cell(&t, "%s", l->text);
        tr_table_cell(&t, "%d/%d", l->compute, gpu->compute_slices);
        tr_table_cell(&t, "%d/%d", l->slots, gpu->mem_slots);
        tr_table_cell(&t, "%d/%d", l->sms, gpu->sms);
        char left[2][40] = {"", ""};
        if (compute > 0)
            snprintf(left[0], sizeof left[0], "%d compute", compute);
        if (slots > 0)
            snprintf(left[1], sizeof left[1], "%d memory", slots);
        tr_table_cell(&t, "%s%s%s", left[0], compute > 0 && slots > 0 ? ", " : "", left[1]);
    }
    tr_table_end(&t, out);
}

void tr_catalog_print_mig(const struct tr_catalog *cat, const struct tr_gpu *gpu,
                          struct tr_str *out)
{
    struct tr_arena arena = {0};
    struct layout *layouts = NULL;
    int n = list_layouts(&arena, cat, gpu, &layouts), n_plain = 0;
    for (int i = 0; i < n; i++)
        n_plain += layouts[i].plain;
    tr_str_printf(out, "%s: %d compute slices, %d memory slots, %d SMs, %.2f GiB\n\n", gpu->name,
                  gpu->compute_slices, gpu->mem_slots, gpu->sms, (double)gpu->mem_bytes / TR_GIB);
    profiles_table(gpu, out);
    tr_text_wrap(out, "  source: ", 10, gpu->profiles[0].source);
    for (int i = 0; i < gpu->n_profiles; i++)
        if (strncmp(gpu->profiles[i].source, "estimate", 8) == 0) {
            tr_str_printf(out, "  %s: ", gpu->profiles[i].name);
            tr_text_wrap(out, "", 0, gpu->profiles[i].source);
        }
    tr_str_printf(out, "\n%d layouts of plain profiles that nothing can be added to\n", n_plain);
    layouts_table(gpu, layouts, n, true, out);
    if (n > n_plain) {
        tr_str_printf(out, "\n%d more with double-memory profiles\n", n - n_plain);
        layouts_table(gpu, layouts, n, false, out);
    }
    tr_text_wrap(out, "\n", 0,
                 "A stranded slice is paid for and used by nobody; a stranded memory slot is its "
                 "share of the bandwidth too.");
    tr_arena_free(&arena);
}

static void profile_json(const struct tr_mig_profile *p, struct tr_json *j)
{
    tr_json_begin(j, NULL, '{');
    tr_json_text(j, "name", p->name);
    tr_json_int(j, "compute_slices", p->compute_slices);
    tr_json_int(j, "mem_slots", p->mem_slots);
    tr_json_begin(j, "starts", '[');
    for (int i = 0; i < p->n_starts; i++)
        tr_json_int(j, NULL, p->starts[i]);
    tr_json_end(j);
    tr_json_int(j, "max_count", p->max_count);
    tr_json_int(j, "sms", p->sms);
    tr_json_int(j, "mem_bytes", p->mem_bytes);
    tr_json_bool(j, "media", p->media);
    tr_json_bool(j, "plain", p->plain);
    tr_json_text(j, "source", p->source);
    tr_json_end(j);
}

void tr_catalog_json_mig(const struct tr_catalog *cat, const struct tr_gpu *gpu, struct tr_json *j)
{
    struct tr_arena arena = {0};
    struct layout *layouts = NULL;
    int n = list_layouts(&arena, cat, gpu, &layouts);
    tr_json_begin(j, "mig", '{');
    tr_json_text(j, "gpu", gpu->name);
    tr_json_int(j, "compute_slices", gpu->compute_slices);
    tr_json_int(j, "mem_slots", gpu->mem_slots);
    tr_json_int(j, "sms", gpu->sms);
    tr_json_begin(j, "profiles", '[');
    for (int i = 0; i < gpu->n_profiles; i++)
        profile_json(&gpu->profiles[i], j);
    tr_json_end(j);
    tr_json_begin(j, "maximal_layouts", '[');
    for (int i = 0; i < n; i++) {
        tr_json_begin(j, NULL, '{');
        tr_json_text(j, "arrangement", layouts[i].text);
        tr_json_bool(j, "plain", layouts[i].plain);
        tr_json_int(j, "compute_slices", layouts[i].compute);
        tr_json_int(j, "mem_slots", layouts[i].slots);
        tr_json_int(j, "sms", layouts[i].sms);
        tr_json_end(j);
    }
    tr_json_end(j);
    tr_json_end(j);
    tr_arena_free(&arena);
}
