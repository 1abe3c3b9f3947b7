/* tranche: how to divide GPUs between inference pods. This file finds the command. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv, FILE *out, struct tr_err *err);
} commands[] = {
    {"plan", "which arrangement suits this traffic, why, and what it costs", cmd_plan},
    {"check", "what physics allows; claims held against it", cmd_check},
    {"simulate", "one arrangement in depth, on a given number of nodes", cmd_simulate},
    {"traffic", "what a file of requests looks like: rate, burstiness, lengths", cmd_traffic},
    {"calibrate", "step-time constants of a GPU fitted to measurements, with their error",
     cmd_calibrate},
    {"catalog", "what tranche knows about GPUs, models and nodes, with sources", cmd_catalog},
    {"schema", "the JSON Schema or the reference page of the scenario file", cmd_schema},
    {"version", "the version", cmd_version},
    {"help", "this, or the help of a command", cmd_help},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name, struct tr_err *err)
{
    const char *names[N_COMMANDS];
    char near[128];

    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(name, names[i]) == 0)
            return &commands[i];
    }
    tr_err_set(err, TR_EINPUT, "unknown %s \"%.60s\"%s (see tranche --help)",
               name[0] == '-' ? "option" : "command", name,
               cli_did_you_mean(near, name, names, N_COMMANDS));
    return NULL;
}

int cmd_help(int argc, char **argv, FILE *out, struct tr_err *err)
{
    char flag[] = "--help", *help[] = {NULL, flag, NULL};

    if (argc > 1 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "help") != 0) {
        const struct command *c = find(argv[1], err);
        help[0] = argv[1];
        return c ? c->run(2, help, out, err) : TR_EINPUT;
    }
    fprintf(out, "tranche says how to divide NVIDIA GPUs between LLM inference pods on "
                 "Kubernetes,\nfor the traffic they really have.\n\n"
                 "Usage: tranche COMMAND [OPTIONS] [FILE]\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nStart with: tranche plan examples/aks-chatbot.yaml\n"
                 "tranche COMMAND --help lists a command's options.\n");
    return 0;
}

int cmd_version(int argc, char **argv, FILE *out, struct tr_err *err)
{
    static const struct cli_usage usage = {"version", "", "Prints the version.", "tranche version"};
    int first, rc = cli_parse(&usage, NULL, 0, argc, argv, &first, out, err);

    if (rc)
        return rc;
    if (first < argc)
        return tr_err_set(err, TR_EINPUT, "version takes no operand: \"%.200s\"", argv[first]);
    fprintf(out, "tranche %s\n", tr_version());
    return 0;
}

static int run(int argc, char **argv, FILE *out, struct tr_err *err)
{
    if (argc < 2)
        return tr_err_set(err, TR_EINPUT, "no command given (see tranche --help)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cmd_help(1, argv + 1, out, err);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return cmd_version(1, argv + 1, out, err);
    const struct command *c = find(argv[1], err);
    int rc = c ? c->run(argc - 1, argv + 1, out, err) : TR_EINPUT;
    return rc == CLI_HELP_SHOWN ? 0 : rc;
}

/* Everything to standard output, or TR_EENV. Whoever closed the pipe needs no message. */
static int write_out(const char *text, size_t len, struct tr_err *err)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            return TR_EENV;
        if (n < 0)
            return tr_err_set(err, TR_EENV, "cannot write to standard output: %s", strerror(errno));
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct tr_err err = {0}, write_err = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    signal(SIGPIPE, SIG_IGN);
    int rc = out ? run(argc, argv, out, &err) : TR_EENV;
    if (!out || fclose(out) != 0)
        rc = tr_err_set(&err, TR_EENV, "out of memory");
    int write_rc = write_out(text, len, &write_err);
    if (err.text[0])
        fprintf(stderr, "tranche: %s\n", err.text);
    else if (write_err.text[0])
        fprintf(stderr, "tranche: %s\n", write_err.text);
    free(text);
    if (rc >= 0 && write_rc < 0)
        rc = write_rc;
    return rc < 0 ? tr_exit_status((enum tr_code)rc) : rc;
}
