/* Long work: the line on a terminal that says how far it is, and interrupts. */
#include "cli/cli.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#define MIN_INTERVAL_NS 100000000 /* ten times a second at most */

/* A signal handler can reach nothing else. */
static atomic_int interrupted;
static bool drawn;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void draw(void *arg, const char *what, double fraction)
{
    struct timespec *last = arg, now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t since_ns =
        (int64_t)(now.tv_sec - last->tv_sec) * 1000000000 + now.tv_nsec - last->tv_nsec;
    if (drawn && since_ns < MIN_INTERVAL_NS)
        return;
    *last = now;
    drawn = true;
    fprintf(stderr, "\r\033[K%3.0f %%  %.70s", 100.0 * fraction, interrupted ? "stopping" : what);
    fflush(stderr);
}

struct tr_progress cli_progress_start(bool quiet)
{
    static struct timespec last;
    /* Once only: a second interrupt ends the program at once. */
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return (struct tr_progress){.report = quiet || !isatty(STDERR_FILENO) ? NULL : draw,
                                .arg = &last,
                                .stop = &interrupted};
}

void cli_progress_end(void)
{
    if (drawn)
        fprintf(stderr, "\r\033[K");
    drawn = false;
}
