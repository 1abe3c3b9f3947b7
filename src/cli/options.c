/* Options: one table gives what is parsed and what --help says. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 32
#define LONG_VALUE  1000 /* getopt's value of option i is LONG_VALUE + i */

const char *cli_did_you_mean(char buf[128], const char *word, const char *const *names, size_t n)
{
    const char *near = tr_suggest(word, names, n);

    buf[0] = '\0';
    if (near)
        snprintf(buf, 128, "; did you mean %.80s?", near);
    return buf;
}

/* ---- help ----------------------------------------------------------------------------------- */

/* "-o, --output FORMAT"; returns its width. */
static int option_left(char buf[64], const struct cli_option *o)
{
    char letter[5] = "    ";

    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    return snprintf(buf, 64, "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
                    o->arg ? o->arg : "");
}

static void print_help(const struct cli_usage *u, const struct cli_option *options, size_t n,
                       FILE *out)
{
    static const struct cli_option help = {'h', "help", NULL, "print this", CLI_FLAG, NULL, 0};
    char left[64];
    int widest = option_left(left, &help);

    fprintf(out, "Usage: tranche %s%s%s%s\n\n%s\n\nOptions:\n", u->name, n > 0 ? " [OPTIONS]" : "",
            *u->operands ? " " : "", u->operands, u->about);
    for (size_t i = 0; i < n; i++) {
        int width = option_left(left, &options[i]);
        widest = width > widest ? width : widest;
    }
    for (size_t i = 0; i <= n; i++) {
        const struct cli_option *o = i < n ? &options[i] : &help;
        option_left(left, o);
        fprintf(out, "  %-*s  %s\n", widest, left, o->help);
    }
    fprintf(out,
            "\nExample:\n  %s\n\n"
            "Exit status: 0 done; 1 done, and the answer is no; 2 usage or input; 3 environment;\n"
            "4 a bug; 130 interrupted, after printing what there was.\n",
            u->example);
}

/* ---- values --------------------------------------------------------------------------------- */

static int read_number(const struct cli_option *o, const char *text, struct tr_err *err)
{
    char *end;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value > o->max)
        return tr_err_set(err, TR_EINPUT, "--%s \"%.40s\" is not a whole number from 0 to %lld",
                          o->name, text, (long long)o->max);
    *(int64_t *)o->value = value;
    return 0;
}

/* One of the formats that `arg` lists ("table|json"), so that a long run is not spent on a form
 * that cannot be printed. */
static int read_format(const struct cli_option *o, const char *text, struct tr_err *err)
{
    static const char *const names[] = {"table", "json", "csv", "yaml"};
    const char *allowed[4];
    size_t n = 0;
    char near[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strstr(o->arg, names[i]))
            continue;
        allowed[n++] = names[i];
        if (strcmp(text, names[i]) == 0) {
            *(enum tr_format *)o->value = (enum tr_format)i;
            return 0;
        }
    }
    return tr_err_set(err, TR_EINPUT, "no output as \"%.40s\"; allowed: %s%s", text, o->arg,
                      cli_did_you_mean(near, text, allowed, n));
}

static int read_value(const struct cli_option *o, const char *text, struct tr_err *err)
{
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->value = true;
        return 0;
    case CLI_TEXT:
        *(const char **)o->value = text;
        return 0;
    case CLI_NUMBER:
        return read_number(o, text, err);
    case CLI_FORMAT:
        return read_format(o, text, err);
    }
    return 0;
}

/* ---- parsing -------------------------------------------------------------------------------- */

/* What getopt stumbled over, said in one line. */
static int refuse(const struct cli_usage *u, const struct cli_option *options, size_t n,
                  const char *word, bool missing, struct tr_err *err)
{
    char names[MAX_OPTIONS][40], near[128], letter[3] = {'-', (char)optopt, '\0'};
    const char *list[MAX_OPTIONS + 1];
    size_t len = strcspn(word, "="), same = 0;

    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "--%s", options[i].name);
        list[i] = names[i];
        same += len > 2 && strncmp(names[i], word, len) == 0;
    }
    list[n] = "--help";
    if (missing)
        return tr_err_set(err, TR_EINPUT, "option %s needs a value (see tranche %s --help)",
                          optopt >= LONG_VALUE ? list[optopt - LONG_VALUE] : letter, u->name);
    if (strncmp(word, "--", 2) != 0)
        return tr_err_set(err, TR_EINPUT, "unknown option %s (see tranche %s --help)", letter,
                          u->name);
    if (optopt >= LONG_VALUE || (optopt == 'h' && len > 2))
        return tr_err_set(err, TR_EINPUT, "option %.*s takes no value", (int)len, word);
    if (same > 1)
        return tr_err_set(err, TR_EINPUT, "option %.40s could be several (see tranche %s --help)",
                          word, u->name);
    char plain[40];
    snprintf(plain, sizeof(plain), "%.*s", (int)(len < 39 ? len : 39), word);
    return tr_err_set(err, TR_EINPUT, "unknown option %s%s (see tranche %s --help)", plain,
                      cli_did_you_mean(near, plain, list, n + 1), u->name);
}

static const struct cli_option *by_value(const struct cli_option *options, size_t n, int value)
{
    for (size_t i = 0; i < n; i++)
        if (value == LONG_VALUE + (int)i || (options[i].letter && value == options[i].letter))
            return &options[i];
    return NULL;
}

int cli_parse(const struct cli_usage *usage, const struct cli_option *options, size_t n, int argc,
              char **argv, int *first, FILE *out, struct tr_err *err)
{
    struct option longs[MAX_OPTIONS + 2] = {{"help", no_argument, NULL, 'h'}};
    char letters[2 * MAX_OPTIONS + 4] = ":h";
    size_t len = 2;
    int value;

    for (size_t i = 0; i < n && i < MAX_OPTIONS; i++) {
        longs[i + 1] =
            (struct option){options[i].name, options[i].arg ? required_argument : no_argument, NULL,
                            LONG_VALUE + (int)i};
        if (options[i].letter) {
            letters[len++] = options[i].letter;
            if (options[i].arg)
                letters[len++] = ':';
        }
    }
    opterr = 0;
    optind = 0; /* 0: start afresh, for a vector that is not main's */
    for (;;) {
        int before = optind > 0 ? optind : 1;
        value = getopt_long(argc, argv, letters, longs, NULL);
        if (value == -1)
            break;
        if (value == 'h') {
            print_help(usage, options, n, out);
            return CLI_HELP_SHOWN;
        }
        if (value == '?' || value == ':')
            return refuse(usage, options, n, argv[optind > before ? optind - 1 : before],
                          value == ':', err);
        int rc = read_value(by_value(options, n, value), optarg, err);
        if (rc)
            return rc;
    }
    *first = optind;
    return 0;
}

int cli_one_operand(const struct cli_usage *usage, int argc, char **argv, int first,
                    const char *what, const char **out, struct tr_err *err)
{
    if (first >= argc)
        return tr_err_set(err, TR_EINPUT, "%s needs %s (see tranche %s --help)", usage->name, what,
                          usage->name);
    if (first + 1 < argc)
        return tr_err_set(err, TR_EINPUT, "%s takes %s, and no second one: \"%.200s\"", usage->name,
                          what, argv[first + 1]);
    *out = argv[first];
    return 0;
}
