/* pool: the same work on many threads, with results that do not depend on how many. */
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 1024

struct pool {
    void (*fn)(void *arg, size_t i);
    void *arg;
    size_t n;
    atomic_size_t next;
    atomic_int running; /* workers that have not finished */
    sem_t finished;     /* posted by the last of them */
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

static void work(struct pool *pool)
{
    size_t i;
    while ((i = atomic_fetch_add(&pool->next, 1)) < pool->n)
        pool->fn(pool->arg, i);
}

static void *worker(void *arg)
{
    struct pool *pool = arg;
    work(pool);
    if (atomic_fetch_sub(&pool->running, 1) == 1)
        sem_post(&pool->finished);
    return NULL;
}

/* Starts up to `wanted` workers and returns how many there are; fewer only take longer. Signals
 * stay with the calling thread, whose handlers expect them. */
static size_t start_workers(struct pool *pool, pthread_t *ids, size_t wanted)
{
    sigset_t all, old;
    size_t started = 0;
    sem_init(&pool->finished, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    atomic_store(&pool->running, (int)wanted);
    while (started < wanted && pthread_create(&ids[started], NULL, worker, pool) == 0)
        started++;
    atomic_fetch_sub(&pool->running, (int)(wanted - started));
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}

static void join_workers(struct pool *pool, pthread_t *ids, size_t started)
{
    for (size_t i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    sem_destroy(&pool->finished);
    free(ids);
}

static size_t wanted_threads(int threads, size_t n)
{
    size_t wanted = threads > 0 ? (size_t)threads : (size_t)tr_pool_cpus();
    return TR_MIN(TR_MIN(wanted, n), (size_t)MAX_THREADS);
}

void tr_pool_run(int threads, size_t n, void (*fn)(void *arg, size_t i), void *arg)
{
    struct pool pool = {.fn = fn, .arg = arg, .n = n};
    size_t wanted = wanted_threads(threads, n);
    if (wanted <= 1) {
        work(&pool);
        return;
    }
    pthread_t *ids = tr_calloc(wanted - 1, sizeof(*ids));
    size_t started = start_workers(&pool, ids, wanted - 1);
    work(&pool);
    join_workers(&pool, ids, started);
}

void tr_pool_run_watched(int threads, size_t n, void (*fn)(void *arg, size_t i), void *arg,
                         void (*tick)(void *arg), void *tick_arg)
{
    struct pool pool = {.fn = fn, .arg = arg, .n = n};
    size_t wanted = TR_MAX(wanted_threads(threads, n), 1U);
    pthread_t *ids = tr_calloc(wanted, sizeof(*ids));
    size_t started = start_workers(&pool, ids, wanted);
    if (started == 0)
        work(&pool);
    while (atomic_load(&pool.running) > 0) {
        struct timespec until;
        tick(tick_arg);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 100 * TR_NS_PER_MS;
        until.tv_sec += until.tv_nsec / TR_NS_PER_S;
        until.tv_nsec %= TR_NS_PER_S;
        sem_clockwait(&pool.finished, CLOCK_MONOTONIC, &until); /* a signal only ends it early */
    }
    join_workers(&pool, ids, started);
    tick(tick_arg);
}
