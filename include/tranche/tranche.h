/* tranche: what every public header shares: errors, exit codes, progress, output formats.
 *
 * libtranche never prints and never exits. A function that can fail returns 0 or one of the
 * negative codes below and describes the failure in the struct tr_err that its caller passes as
 * the last argument; the text is one line, already complete (file:line:column, what is wrong,
 * what is allowed, the nearest valid name). Handles (struct tr_scenario, struct tr_plan, ...) are
 * created by a function ending in _load, _run or _open and released by the matching _free, which
 * accepts NULL. Nothing is global: two plans may run in two threads.
 */
#ifndef TRANCHE_TRANCHE_H
#define TRANCHE_TRANCHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Failure codes, and the exit status that the command line gives each of them. */
#define TR_CODES(X)                                                                                \
    X(TR_OK, 0, 0, "done")                                                                         \
    X(TR_EINPUT, -1, 2, "usage or input")                                                          \
    X(TR_EENV, -2, 3, "environment")                                                               \
    X(TR_EBUG, -3, 4, "internal error")                                                            \
    X(TR_EINTR, -4, 130, "interrupted")

enum tr_code {
#define X(name, value, exit_status, text) name = value,
    TR_CODES(X)
#undef X
};

/* Exit status when the work is done and the answer is no (nothing meets the objective, a claim is
 * refuted). */
#define TR_EXIT_NO 1

/* One failure: a code and one line of text without a trailing newline. */
struct tr_err {
    enum tr_code code;
    char text[1024];
};

/* The exit status for a failure code. */
int tr_exit_status(enum tr_code code);

/* Fills `err` (which may be NULL) and returns `code`. An error that is already set is kept: the
 * first failure is the cause, what follows is a consequence. */
int tr_err_set(struct tr_err *err, enum tr_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* How far a long piece of work is. `done` and `total` are in units of the caller's choice (plan:
 * simulated requests); `what` names the part in progress and is valid during the call only. Called
 * from the thread that started the work, at most some ten times a second. */
struct tr_progress {
    void (*report)(void *arg, const char *what, double fraction_done);
    void *arg;
    const atomic_int *stop; /* non-zero: finish what can be finished and return; a signal handler or
                               any thread may set it */
};

enum tr_format { TR_FORMAT_TABLE, TR_FORMAT_JSON, TR_FORMAT_CSV, TR_FORMAT_YAML };

/* "0.1.0": the version that every result carries. */
const char *tr_version(void);

/* Which of the `n` candidates a misspelt `word` was probably meant to be; NULL: none is near. */
const char *tr_suggest(const char *word, const char *const *candidates, size_t n);

#endif
