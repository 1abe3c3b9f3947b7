/* scenario, descriptions made from the table of keys: what is allowed, in words; and the reference
 * page, docs/scenario.md. */
#include "scenario/keys.h"

/* ", above 0" and ", at most 24h" where the key says so. */
static void add_bounds(const struct key *key, const char *unit, double max, struct tr_str *out)
{
    char count[32];

    if (key->flags & KEY_POSITIVE)
        tr_str_printf(out, ", above 0");
    if (max > 0)
        tr_str_printf(out, ", at most %s%s", tr_units_show_count(count, (int64_t)max), unit);
}

static void add_children(const struct key *parent, struct tr_str *out)
{
    char prefix[96];
    size_t n = 0;

    key_prefix(parent, prefix);
    for (const struct key *key = key_next(NULL); key; key = key_next(key))
        if (key_is_child(key, prefix) && !(key->flags & KEY_LATER))
            tr_str_printf(out, "%s%s", n++ ? ", " : "", key_name(key));
}

static void add_number(const struct key *key, const char *what, struct tr_str *out)
{
    char low[32], high[32];

    if (key->min != (double)(int64_t)key->min)
        tr_str_printf(out, "%s from %g to %g", what, key->min, key->max);
    else if (key->flags & KEY_POSITIVE)
        tr_str_printf(out, "%s above 0 and up to %g", what, key->max);
    else
        tr_str_printf(out, "%s from %s to %s", what, tr_units_show_count(low, (int64_t)key->min),
                      tr_units_show_count(high, (int64_t)key->max));
}

static void add_words(const char *const *words, struct tr_str *out)
{
    for (size_t i = 0; words[i]; i++)
        tr_str_printf(out, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
}

static void describe(const struct key *key, struct tr_str *out)
{
    switch (key->type) {
    case KEY_MAP:
    case KEY_MAPS:
        tr_str_printf(out, "%s with the keys ",
                      key->type == KEY_MAPS      ? "a list of maps"
                      : key->flags & KEY_OR_NONE ? "none, or a map"
                                                 : "a map");
        add_children(key, out);
        break;
    case KEY_TEXT:
        tr_str_printf(out, "a text of at most 200 bytes");
        break;
    case KEY_BLOCK:
        tr_str_printf(out, "a block of text");
        break;
    case KEY_INT:
        add_number(key, "a whole number", out);
        break;
    case KEY_NUMBER:
        add_number(key, "a number", out);
        break;
    case KEY_FRACTION:
        tr_str_printf(out, "a fraction such as 0.08 or 8%%");
        add_bounds(key, "", key->max, out);
        break;
    case KEY_RATE:
        tr_str_printf(out, "a rate such as 10/s, 600/min or 3.67/h");
        add_bounds(key, "/s", key->max, out);
        break;
    case KEY_DURATION:
        tr_str_printf(out, "a duration such as %s", key->example);
        if (key->max < 3600)
            add_bounds(key, "s", key->max, out);
        else
            add_bounds(key, key->max > 86400 ? "d" : "h",
                       key->max / (key->max > 86400 ? 86400 : 3600), out);
        break;
    case KEY_DURATIONS:
        tr_str_printf(out, "a duration, or a list of them, such as %s", key->example);
        add_bounds(key, "h", key->max / 3600, out);
        break;
    case KEY_SECONDS:
        add_number(key, "a whole number of seconds", out);
        break;
    case KEY_BYTES:
        tr_str_printf(out, "a size such as %s", key->example);
        break;
    case KEY_SERVER:
        tr_str_printf(out, "a name such as %s, or a map with the keys ", key->example);
        add_children(key, out);
        break;
    case KEY_BOOL:
        tr_str_printf(out, "true or false");
        break;
    case KEY_WORD:
        add_words(key->words, out);
        break;
    case KEY_NAME:
        tr_str_printf(out, "a name such as %s", key->example);
        break;
    case KEY_NAMES:
        tr_str_printf(out, "a name, or a list of them without repetition, such as %s",
                      key->example);
        break;
    case KEY_SHARES:
        tr_str_printf(out, "zipf, or a list of fractions that sum to 1");
        break;
    case KEY_INTS:
        tr_str_printf(out, "a list of whole numbers from %g to %g, such as %s", key->min, key->max,
                      key->example);
        break;
    case KEY_KNOTS:
        tr_str_printf(out, "a list of times and rates such as %s", key->example);
        break;
    case KEY_LENGTH:
        add_number(key, "a whole number", out);
        tr_str_printf(out, ", or {mean, cv, min, max}");
        break;
    case KEY_CHOICES:
        tr_str_printf(out, "auto, or a list of arrangements such as [whole, timeslice:4]");
        break;
    }
}

void key_allowed(const struct key *key, char *buf, size_t len)
{
    struct tr_str s = {0};

    describe(key, &s);
    snprintf(buf, len, "%s", s.text);
    tr_str_free(&s);
}

/* ---- the reference page --------------------------------------------------------------------- */

static const char intro[] =
    "# The scenario file\n"
    "\n"
    "<!-- Made from the table in src/scenario/keys*.c by tr_scenario_reference; do not edit. -->\n"
    "\n"
    "A scenario says in YAML what is to be served and on what: nodes, a model, its traffic, its\n"
    "objective. The files in `examples/` are complete ones. Every key is checked when the file is\n"
    "read; a mistake is answered with its place, what is allowed and the nearest name. There are "
    "no\n"
    "anchors, tags or several documents in one file, and no key may be given twice.\n"
    "\n"
    "Quantities carry their units: durations `500ms`, `60s`, `3m`, `1.5h`, `1d`; rates `10/s`,\n"
    "`600/min`, `3.67/h` (a bare number is per second); fractions `0.08` or `8%`. Lengths are in\n"
    "tokens. Paths are relative to the scenario's folder.\n"
    "\n"
    "`tranche schema` prints the JSON Schema of this file, made from the same table, so that "
    "editors\n"
    "complete keys and mark mistakes as you type.\n";

static void add_key_line(const struct key *key, struct tr_str *out)
{
    char allowed[512];

    key_allowed(key, allowed, sizeof(allowed));
    tr_str_printf(out, "- **`%s`**", key_name(key));
    if (key->flags & KEY_REQUIRED)
        tr_str_printf(out, " (needed)");
    tr_str_printf(out, ": %s\n", key->doc);
    if (key->type == KEY_MAP || key->type == KEY_MAPS) {
        tr_str_printf(out, "  %s: see below.\n",
                      key->type == KEY_MAPS      ? "A list of maps"
                      : key->flags & KEY_OR_NONE ? "`none`, or a map"
                                                 : "A map");
        return;
    }
    tr_str_printf(out, "  Allowed: %s.\n", allowed);
    if (key->init)
        tr_str_printf(out, "  Default: `%s`.\n", key->init);
    else if (key->otherwise)
        tr_str_printf(out, "  Default: %s.\n", key->otherwise);
}

static void add_section(const char *title, const char *doc, const char *prefix, struct tr_str *out)
{
    size_t n = 0;

    tr_str_printf(out, "\n## %s\n\n", title);
    if (doc)
        tr_str_printf(out, "%s\n\n", doc);
    for (const struct key *key = key_next(NULL); key; key = key_next(key))
        if (key_is_child(key, prefix) && !(key->flags & KEY_LATER))
            add_key_line(key, out);
    for (const struct key *key = key_next(NULL); key; key = key_next(key))
        if (key_is_child(key, prefix) && (key->flags & KEY_LATER))
            tr_str_printf(out, "%s`%s`", n++ ? ", " : "\nNot supported yet: ", key_name(key));
    if (n)
        tr_str_printf(out, ".\n");
}

void tr_scenario_reference(struct tr_str *out)
{
    tr_str_printf(out, "%s", intro);
    add_section("The whole file", NULL, "", out);
    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {
        char prefix[96], title[100];

        if ((key->flags & KEY_LATER) || (key->type != KEY_MAP && key->type != KEY_MAPS &&
                                         key->type != KEY_LENGTH && key->type != KEY_SERVER))
            continue;
        key_prefix(key, prefix);
        snprintf(title, sizeof(title), "`%.*s`", (int)strlen(prefix) - 1, prefix);
        add_section(title, key->doc, prefix, out);
    }
}

void tr_scenario_reference_print(FILE *out)
{
    struct tr_str s = {0};

    tr_scenario_reference(&s);
    fwrite(s.text, 1, s.len, out);
    tr_str_free(&s);
}
