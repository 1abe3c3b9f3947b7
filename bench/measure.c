/* Runs a command, its output thrown away, and prints how long it took and how much memory it had at
 * its peak. Small itself, because the kernel counts the memory that a process had before it became
 * the command. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static _Noreturn void become(char **command)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDOUT_FILENO);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s NAME COMMAND...\n", argv[0]);
        return 2;
    }
    double began_s = now_s();
    pid_t pid = fork();
    if (pid == 0)
        become(argv + 2);
    int status;
    struct rusage used;
    if (pid < 0 || wait4(pid, &status, 0, &used) < 0) {
        perror(argv[0]);
        return 3;
    }
    double processor_s = (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec * 1e-6 +
                         (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec * 1e-6;
    printf("%s: cost %.2f s of processor time, %.2f s elapsed, peak memory %.1f MiB\n", argv[1],
           processor_s, now_s() - began_s, (double)used.ru_maxrss / 1024.0);
    /* 1 is an answer of the command: nothing meets the objective. */
    return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : 1;
}
