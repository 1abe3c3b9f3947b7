/* cli: the command line, one file per command.
 *
 * A command is a table of options and a function. The table drives parsing and --help alike, so
 * that what is accepted is what is documented. Commands print into `out`, which main writes to
 * standard output at the end: a full disk is then one error, whatever the command. They return an
 * exit status (0, or TR_EXIT_NO), or a failure code with `err` filled.
 */
#ifndef TR_CLI_CLI_H
#define TR_CLI_CLI_H

#include <tranche/tranche.h>

/* ---- options --------------------------------------------------------------------------------- */

enum cli_kind {
    CLI_FLAG,   /* bool: becomes true */
    CLI_TEXT,   /* const char * */
    CLI_NUMBER, /* int64_t, a whole number from 0 to `max` */
    CLI_FORMAT, /* enum tr_format */
};

struct cli_option {
    char letter; /* 0: none */
    const char *name;
    const char *arg; /* how --help names its value; NULL for a flag */
    const char *help;
    enum cli_kind kind;
    void *value; /* where it is put; keeps its content when the option is not given */
    int64_t max;
};

struct cli_usage {
    const char *name, *operands, *about, *example;
};

#define CLI_HELP_SHOWN 1000 /* cli_parse printed the help: the command is done */

/* Reads the options and leaves the operands at argv[*first .. argc - 1]. Returns 0, CLI_HELP_SHOWN
 * or a failure code. argv[0] is the command's name. */
int cli_parse(const struct cli_usage *usage, const struct cli_option *options, size_t n, int argc,
              char **argv, int *first, FILE *out, struct tr_err *err);
/* The only operand, which the command calls `what` ("a scenario file"). */
int cli_one_operand(const struct cli_usage *usage, int argc, char **argv, int first,
                    const char *what, const char **out, struct tr_err *err);
/* "; did you mean --explain?" or "". */
const char *cli_did_you_mean(char buf[128], const char *word, const char *const *names, size_t n);

/* ---- long work ------------------------------------------------------------------------------- */

/* The first interrupt asks the work to stop and say what it has; the second ends the program.
 * Progress is drawn on standard error when that is a terminal and not `quiet`. */
struct tr_progress cli_progress_start(bool quiet);
void cli_progress_end(void);

/* ---- commands -------------------------------------------------------------------------------- */

int cmd_plan(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_check(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_simulate(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_traffic(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_calibrate(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_catalog(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_schema(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_version(int argc, char **argv, FILE *out, struct tr_err *err);
int cmd_help(int argc, char **argv, FILE *out, struct tr_err *err);

#endif
