/* pool: the same work on many threads, with results that do not depend on how many. */
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_THREADS 1024

struct pool {
    void (*fn)(void *arg, size_t i);
    void *arg;
    size_t n;
    atomic_size_t next;
};

int tr_pool_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    /* More CPUs than a cpu_set_t holds. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : (int)TR_MIN(online, MAX_THREADS);
}

static void *work(void *arg)
{
    struct pool *pool = arg;
    size_t i;
    while ((i = atomic_fetch_add(&pool->next, 1)) < pool->n)
        pool->fn(pool->arg, i);
    return NULL;
}

void tr_pool_run(int threads, size_t n, void (*fn)(void *arg, size_t i), void *arg)
{
    struct pool pool = {.fn = fn, .arg = arg, .n = n};
    size_t wanted = threads > 0 ? (size_t)threads : (size_t)tr_pool_cpus();
    wanted = TR_MIN(TR_MIN(wanted, n), (size_t)MAX_THREADS);
    if (wanted <= 1) {
        work(&pool);
        return;
    }

    /* Signals stay with the calling thread, whose handlers expect it. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_t *ids = tr_calloc(wanted - 1, sizeof(*ids));
    size_t started = 0;
    /* Fewer threads than asked for only take longer. */
    while (started < wanted - 1 && pthread_create(&ids[started], NULL, work, &pool) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    work(&pool);
    for (size_t i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    free(ids);
}
