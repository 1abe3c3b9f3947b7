/* Tests of base: what a caller relies on in errors, memory, text, files and the worker pool. */
#include "base/base.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- errors ------------------------------------------------------------------------------- */

static void codes_have_the_documented_exit_status(void **state)
{
    (void)state;
    assert_int_equal(tr_exit_status(TR_OK), 0);
    assert_int_equal(tr_exit_status(TR_EINPUT), 2);
    assert_int_equal(tr_exit_status(TR_EENV), 3);
    assert_int_equal(tr_exit_status(TR_EBUG), 4);
    assert_int_equal(tr_exit_status(TR_EINTR), 130);
    assert_int_equal(tr_exit_status((enum tr_code) - 77), 4);
}

static void the_first_error_is_kept(void **state)
{
    (void)state;
    struct tr_err err = {0};
    assert_int_equal(tr_err_set(&err, TR_EINPUT, "line %d", 3), TR_EINPUT);
    assert_int_equal(tr_err_set(&err, TR_EENV, "later"), TR_EENV);
    assert_int_equal(err.code, TR_EINPUT);
    assert_string_equal(err.text, "line 3");
    assert_int_equal(tr_err_set(NULL, TR_EENV, "nobody listens"), TR_EENV);
}

static void an_error_is_one_line(void **state)
{
    (void)state;
    struct tr_err err = {0};
    tr_err_set(&err, TR_EINPUT, "%s", "key \"a\nb\x1b[2J\" is unknown\n");
    assert_string_equal(err.text, "key \"a b [2J\" is unknown");
}

/* "e" with an acute accent is two bytes; at an odd place the 1,024 bytes end within one. */
static void a_long_error_ends_with_a_whole_character(void **state)
{
    (void)state;
    for (int shift = 0; shift < 2; shift++) {
        struct tr_err err = {0};
        struct tr_str s = {0};
        tr_str_add(&s, "xx", (size_t)shift);
        for (int i = 0; i < 1000; i++)
            tr_str_add(&s, "\xc3\xa9", 2);
        tr_err_set(&err, TR_EINPUT, "%s", s.text);
        size_t len = strlen(err.text);
        assert_in_range(len, 1020, 1023);
        assert_int_equal((len - (size_t)shift) % 2, 0);
        tr_str_free(&s);
    }
}

/* ---- memory ------------------------------------------------------------------------------- */

static bool aborts(void (*fn)(void))
{
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void allocate_more_than_size_t_counts(void)
{
    struct tr_arena arena = {0};
    TR_ARENA_NEW(&arena, int64_t, SIZE_MAX / 8 + 2); /* 2^64 + 8 bytes */
}

static void allocate_a_negative_count(void)
{
    struct tr_arena arena = {0};
    int64_t n = -1;
    TR_ARENA_NEW(&arena, int64_t, n);
}

static void grow_past_size_t(void)
{
    int64_t *items = NULL;
    size_t cap = 0;
    tr_grow(&items, &cap, SIZE_MAX / 8 + 2, sizeof(*items));
}

static void break_an_invariant(void)
{
    tr_assert(1 + 1 == 3);
}

static void impossible_sizes_and_broken_invariants_abort(void **state)
{
    (void)state;
    assert_true(aborts(allocate_more_than_size_t_counts));
    assert_true(aborts(allocate_a_negative_count));
    assert_true(aborts(grow_past_size_t));
    assert_true(aborts(break_an_invariant));
}

static void an_arena_gives_zeroed_aligned_memory_that_does_not_overlap(void **state)
{
    (void)state;
    struct tr_arena arena = {0};
    unsigned char *pieces[400];
    size_t sizes[TR_LEN(pieces)];
    for (size_t i = 0; i < TR_LEN(pieces); i++) {
        sizes[i] = i % 50 == 49 ? 3000000 : i * 37 % 5000; /* some larger than any block */
        pieces[i] = tr_arena_alloc(&arena, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t b = 0; b<sizes[i]; b += sizes[i]> 9999 ? 997 : 1)
            assert_int_equal(pieces[i][b], 0);
        memset(pieces[i], (int)(i % 251 + 1), sizes[i]);
    }
    for (size_t i = 0; i < TR_LEN(pieces); i++)
        for (size_t b = 0; b<sizes[i]; b += sizes[i]> 9999 ? 997 : 1)
            assert_int_equal(pieces[i][b], i % 251 + 1);
    assert_true(arena.used_bytes >= 8 * 3000000);
    tr_arena_free(&arena);
    assert_null(arena.head);
    assert_int_equal(arena.used_bytes, 0);
}

static void an_arena_copies_text(void **state)
{
    (void)state;
    struct tr_arena arena = {0};
    assert_string_equal(tr_arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(tr_arena_strndup(&arena, "abcdef", 2), "ab");
    assert_string_equal(tr_arena_strdup(&arena, ""), "");
    assert_string_equal(tr_arena_printf(&arena, "%s", ""), "");
    char *longer = tr_arena_printf(&arena, "%0100000d", 7);
    assert_int_equal(strlen(longer), 100000);
    tr_arena_free(&arena);
}

static void growing_keeps_the_items_and_zeroes_the_rest(void **state)
{
    (void)state;
    int *items = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        size_t before = cap;
        tr_grow(&items, &cap, (size_t)i + 1, sizeof(*items));
        for (size_t k = before; k < cap; k++)
            assert_int_equal(items[k], 0);
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    free(items);
}

/* ---- text --------------------------------------------------------------------------------- */

static void a_string_grows(void **state)
{
    (void)state;
    struct tr_str s = {0};
    tr_str_add(&s, "", 0);
    assert_string_equal(s.text, "");
    for (int i = 0; i < 1000; i++)
        tr_str_printf(&s, "%d,", i % 10);
    tr_str_add(&s, "end", 3);
    assert_int_equal(s.len, 2003);
    assert_string_equal(s.text + 1990, "5,6,7,8,9,end");
    assert_false(s.overflow);
    tr_str_free(&s);
    assert_null(s.text);
}

static void a_string_stops_at_its_maximum(void **state)
{
    (void)state;
    static const char small[] = "x";
    struct tr_str s = {0};
    tr_str_add(&s, "kept", 4);
    tr_str_add(&s, small, (size_t)1 << 30); /* refused before a byte of it is read */
    assert_true(s.overflow);
    tr_str_add(&s, "dropped", 7);
    tr_str_printf(&s, "%d", 1);
    assert_string_equal(s.text, "kept");
    tr_str_free(&s);
}

static void the_nearest_name_is_a_plausible_slip(void **state)
{
    (void)state;
    static const char *const names[] = {"name", "cluster", "workloads", "isolation", "compare"};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"workload", "workloads"},
        {"WORKLOADS", "workloads"},
        {"worklaods", "workloads"},
        {"isloation", "isolation"},
        {"cluser", "cluster"},
        {"nmae", "name"},
        {"compares", "compare"},
        {"tenants", NULL},
        {"", NULL},
        {"n", NULL},
        {"xyz", NULL},
    };
    for (size_t i = 0; i < TR_LEN(cases); i++) {
        const char *got = tr_nearest(cases[i].word, names, TR_LEN(names));
        if (cases[i].nearest)
            assert_string_equal(got, cases[i].nearest);
        else
            assert_null(got);
    }
    char huge[5000];
    memset(huge, 'w', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    assert_null(tr_nearest(huge, names, TR_LEN(names)));
    assert_null(tr_nearest("name", names, 0));
}

static void ties_go_to_the_first_name(void **state)
{
    (void)state;
    static const char *const names[] = {"a10g", "a100", "a10x"};
    assert_ptr_equal(tr_nearest("a10", names, 3), names[0]);
    assert_ptr_equal(tr_nearest("a100", names, 3), names[1]);
}

/* ---- files -------------------------------------------------------------------------------- */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/tranche-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* The path of a new file in the test's folder, of `size` bytes that start with `text`. */
static const char *new_file(char path[128], const char *text, off_t size)
{
    snprintf(path, 128, "%s/file", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
    return path;
}

static void a_file_is_read_whole(void **state)
{
    (void)state;
    static const off_t sizes[] = {0, 1, 3, 65535, 65536, 65537, 1000000};
    for (size_t i = 0; i < TR_LEN(sizes); i++) {
        char path[128], *data = NULL;
        size_t len = 99;
        struct tr_err err = {0};
        new_file(path, "abc", sizes[i]);
        assert_int_equal(tr_file_read(path, (size_t)sizes[i], &data, &len, &err), 0);
        assert_int_equal(len, sizes[i]);
        assert_int_equal(data[len], '\0');
        if (len >= 3)
            assert_memory_equal(data, "abc", 3);
        free(data);
        unlink(path);
    }
}

static void read_fails(const char *path, size_t max_bytes, const char *message)
{
    char *data = NULL;
    size_t len = 0;
    struct tr_err err = {0};
    assert_int_equal(tr_file_read(path, max_bytes, &data, &len, &err), TR_EINPUT);
    assert_null(data);
    if (!strstr(err.text, message))
        fail_msg("%s", err.text);
    assert_non_null(strstr(err.text, path)); /* the message names the file */
}

static void what_cannot_be_read_is_refused_with_the_reason(void **state)
{
    (void)state;
    char path[128];
    read_fails(folder, 1000, "is a folder; a file is expected");
    read_fails("/nonexistent/x.yaml", 1000, "no such file");
    new_file(path, "abc", 3);
    read_fails(path, 2, "too large: at most 2 bytes are read here");
    new_file(path, "", (off_t)3 << 30); /* 3 GiB of nothing: refused by its size, at once */
    read_fails(path, (size_t)64 << 20, "too large: at most 64 MiB are read here");
    unlink(path);
    read_fails("/dev/null/x", 1000, "cannot be opened: Not a directory");
    read_fails("/dev/zero", 100000, "too large"); /* has no size, and no end */
}

static void a_missing_file_is_answered_with_the_nearest_name(void **state)
{
    (void)state;
    char path[128], slip[128], message[400];
    new_file(path, "", 0);
    snprintf(slip, sizeof(slip), "%s/flie", folder);
    snprintf(message, sizeof(message), "%s: no such file; did you mean %s?", slip, path);
    read_fails(slip, 1000, message);
    snprintf(slip, sizeof(slip), "%s/quite-another", folder);
    snprintf(message, sizeof(message), "%s: no such file", slip);
    read_fails(slip, 1000, message);
    unlink(path);
    read_fails("", 1000, "no such file");
}

static void standard_input_is_read_to_its_end(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    char *data = NULL;
    size_t len = 0;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "piped", 5), 5);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    int rc = tr_file_read("-", 5, &data, &len, NULL);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(rc, 0);
    assert_int_equal(len, 5);
    assert_string_equal(data, "piped");
    free(data);
}

/* ---- worker pool -------------------------------------------------------------------------- */

struct job {
    atomic_int calls[5000];
    uint64_t result[5000];
};

static void square(void *arg, size_t i)
{
    struct job *job = arg;
    atomic_fetch_add(&job->calls[i], 1);
    job->result[i] = i * i;
}

static void every_index_is_run_once_whatever_the_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 16, 0, 100000};
    for (size_t t = 0; t < TR_LEN(threads); t++) {
        struct job *job = tr_calloc(1, sizeof(*job));
        tr_pool_run(threads[t], TR_LEN(job->result), square, job);
        for (size_t i = 0; i < TR_LEN(job->result); i++) {
            assert_int_equal(job->calls[i], 1);
            assert_int_equal(job->result[i], i * i);
        }
        free(job);
    }
    tr_pool_run(4, 0, square, NULL); /* nothing to do: fn is not called */
    assert_true(tr_pool_cpus() >= 1);
}

static void nested(void *arg, size_t i)
{
    struct job *jobs = arg;
    tr_pool_run(2, 100, square, &jobs[i]);
}

static void a_pool_may_run_within_a_pool(void **state)
{
    (void)state;
    struct job *jobs = tr_calloc(4, sizeof(*jobs));
    tr_pool_run(4, 4, nested, jobs);
    for (size_t j = 0; j < 4; j++)
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(jobs[j].calls[i], 1);
    free(jobs);
}

struct watch {
    struct job *job;
    pthread_t caller;
    int ticks;
    size_t seen; /* results that the last tick found */
};

static void count_results(void *arg)
{
    struct watch *w = arg;
    assert_true(pthread_equal(pthread_self(), w->caller));
    w->ticks++;
    w->seen = 0;
    for (size_t i = 0; i < TR_LEN(w->job->calls); i++)
        w->seen += (size_t)atomic_load(&w->job->calls[i]);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void a_watched_pool_ticks_on_the_caller_and_ends_at_once(void **state)
{
    (void)state;
    double start = seconds();
    for (int run = 0; run < 40; run++) {
        struct job *job = tr_calloc(1, sizeof(*job));
        struct watch w = {.job = job, .caller = pthread_self()};
        tr_pool_run_watched(run % 8, TR_LEN(job->calls), square, job, count_results, &w);
        assert_true(w.ticks >= 1);
        assert_int_equal(w.seen, TR_LEN(job->calls)); /* the last tick comes after all the work */
        for (size_t i = 0; i < TR_LEN(job->calls); i++)
            assert_int_equal(job->calls[i], 1);
        free(job);
    }
    assert_true(seconds() - start < 3.9); /* 40 runs that waited for the next tick take 4 s */

    struct job *nothing = tr_calloc(1, sizeof(*nothing));
    struct watch w = {.job = nothing, .caller = pthread_self()};
    tr_pool_run_watched(4, 0, square, nothing, count_results, &w);
    assert_int_equal(w.seen, 0);
    free(nothing);
}

static void nap(void *arg, size_t i)
{
    (void)arg;
    (void)i;
    nanosleep(&(struct timespec){.tv_nsec = 350 * TR_NS_PER_MS}, NULL);
}

static void a_watched_pool_ticks_while_it_works(void **state)
{
    (void)state;
    struct job *job = tr_calloc(1, sizeof(*job));
    struct watch w = {.job = job, .caller = pthread_self()};
    tr_pool_run_watched(2, 2, nap, NULL, count_results, &w);
    assert_in_range(w.ticks, 3, 50); /* 5 on an idle machine */
    free(job);
}

struct meeting {
    pthread_barrier_t both;
    pthread_t caller;
    bool blocked[2], is_caller[2];
};

static void look_at_own_signal_mask(void *arg, size_t i)
{
    struct meeting *m = arg;
    sigset_t mask;
    pthread_barrier_wait(&m->both); /* each of the two threads has one index */
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    m->blocked[i] = sigismember(&mask, SIGINT) == 1;
    m->is_caller[i] = pthread_equal(pthread_self(), m->caller) != 0;
}

static void signals_are_left_to_the_calling_thread(void **state)
{
    (void)state;
    struct meeting m = {.caller = pthread_self()};
    pthread_barrier_init(&m.both, NULL, 2);
    tr_pool_run(2, 2, look_at_own_signal_mask, &m);
    pthread_barrier_destroy(&m.both);
    assert_true(m.is_caller[0] != m.is_caller[1]);
    for (int i = 0; i < 2; i++)
        assert_true(m.blocked[i] == !m.is_caller[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_the_documented_exit_status),
        cmocka_unit_test(the_first_error_is_kept),
        cmocka_unit_test(an_error_is_one_line),
        cmocka_unit_test(a_long_error_ends_with_a_whole_character),
        cmocka_unit_test(impossible_sizes_and_broken_invariants_abort),
        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory_that_does_not_overlap),
        cmocka_unit_test(an_arena_copies_text),
        cmocka_unit_test(growing_keeps_the_items_and_zeroes_the_rest),
        cmocka_unit_test(a_string_grows),
        cmocka_unit_test(a_string_stops_at_its_maximum),
        cmocka_unit_test(the_nearest_name_is_a_plausible_slip),
        cmocka_unit_test(ties_go_to_the_first_name),
        cmocka_unit_test_setup_teardown(a_file_is_read_whole, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_refused_with_the_reason, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_missing_file_is_answered_with_the_nearest_name,
                                        make_folder, remove_folder),
        cmocka_unit_test(standard_input_is_read_to_its_end),
        cmocka_unit_test(every_index_is_run_once_whatever_the_threads),
        cmocka_unit_test(a_pool_may_run_within_a_pool),
        cmocka_unit_test(a_watched_pool_ticks_on_the_caller_and_ends_at_once),
        cmocka_unit_test(a_watched_pool_ticks_while_it_works),
        cmocka_unit_test(signals_are_left_to_the_calling_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
