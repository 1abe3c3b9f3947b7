/* base: the floor under everything: memory, text, units, files, the worker pool.
 *
 * Memory has the name of its lifetime: an arena belongs to one run, one scenario, one report, and
 * is freed as a whole. Allocation failure aborts with a message (a simulation cannot go on without
 * memory, and no caller could do better); buffers that are filled from outside carry a maximum
 * instead and return an error.
 */
#ifndef TR_BASE_BASE_H
#define TR_BASE_BASE_H

#include <tranche/tranche.h>

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define TR_NS_PER_S   INT64_C(1000000000)
#define TR_NS_PER_MS  INT64_C(1000000)
#define TR_PS_PER_NS  INT64_C(1000)
#define TR_GIB        (1024.0 * 1024.0 * 1024.0)
#define TR_TIME_NEVER INT64_MAX

#define TR_LEN(a)    (sizeof(a) / sizeof((a)[0]))
#define TR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TR_MAX(a, b) ((a) > (b) ? (a) : (b))

/* A broken invariant is a bug: says where, and aborts (exit status 4 is for bugs that the program
 * notices in its results; this one cannot go on). Kept in release builds. */
#define tr_assert(cond)                                                                            \
    do {                                                                                           \
        if (!(cond))                                                                               \
            tr_assert_failed(#cond, __FILE__, __LINE__);                                           \
    } while (0)
_Noreturn void tr_assert_failed(const char *cond, const char *file, int line);

/* The same for what is always true unless tranche itself is wrong, and for what costs something to
 * ask: checked in every build but those of -Dbuildtype=release, which do not evaluate it. */
#ifdef NDEBUG
#define tr_debug_assert(cond) ((void)sizeof((cond) ? 1 : 0))
#else
#define tr_debug_assert(cond) tr_assert(cond)
#endif

/* ---- arena ------------------------------------------------------------------------------- */

struct tr_arena {
    struct tr_arena_block *head;
    size_t used_bytes; /* bytes handed out, for the memory report */
};

/* An arena starts as all zeroes. Returns zeroed memory, 16-byte aligned, valid until the arena is
 * freed. */
void *tr_arena_alloc(struct tr_arena *arena, size_t bytes);
char *tr_arena_strdup(struct tr_arena *arena, const char *text);
char *tr_arena_strndup(struct tr_arena *arena, const char *text, size_t len);
char *tr_arena_printf(struct tr_arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void tr_arena_free(struct tr_arena *arena);
void *tr_arena_alloc_n(struct tr_arena *arena, size_t n, size_t size);
#define TR_ARENA_NEW(arena, type, n) ((type *)tr_arena_alloc_n((arena), (size_t)(n), sizeof(type)))

/* malloc family that aborts when there is no memory. */
void *tr_malloc(size_t bytes);
void *tr_calloc(size_t n, size_t bytes);
void *tr_realloc(void *ptr, size_t bytes);

/* Grows an array of `size`-byte elements so that it holds at least `need`: `ptr` is the address of
 * the pointer to it, *cap is updated, what is new is zeroed. */
void tr_grow(void *ptr, size_t *cap, size_t need, size_t size);

/* ---- text -------------------------------------------------------------------------------- */

/* A string that grows; starts as all zeroes; text is always terminated once something was added.
 * A maximum of 1 GiB: past it the addition is dropped and `overflow` set. */
struct tr_str {
    char *text;
    size_t len, cap;
    bool overflow;
};
void tr_str_add(struct tr_str *s, const char *text, size_t len);
void tr_str_printf(struct tr_str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tr_str_vprintf(struct tr_str *s, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void tr_str_free(struct tr_str *s);

/* The candidate nearest to `word` (edit distance, case ignored), or NULL when none is near enough
 * to be a plausible slip (more than a third of the longer word's letters wrong). Ties: the first.
 */
const char *tr_nearest(const char *word, const char *const *candidates, size_t n);

/* ---- units ------------------------------------------------------------------------------- */

/* Strict readers of what a person writes: the whole string must be consumed, no NaN, no infinity,
 * no negative value. Return 0 or TR_EINPUT with `err` saying what is allowed.
 *   duration  "500ms" "60s" "3m" "1h" "1.5h" "2us" "1d", or "0"    -> ns, at most 100 years
 *   bytes     "80GB" (decimal) "79.25GiB" (binary) "512MiB"        -> bytes
 *   rate      "10/s" "600/min" "3.67/h" "10" (per second)          -> 1/s
 *   fraction  "8%" or "0.08"                                        -> 0..1 (up to `max`)
 *   number    "1200" "1e3" "0.5"                                    -> as it stands
 *   integer   "4096" "1_000" is refused */
int tr_units_duration(const char *text, int64_t *ns, struct tr_err *err);
int tr_units_bytes(const char *text, int64_t *bytes, struct tr_err *err);
int tr_units_rate(const char *text, double *per_s, struct tr_err *err);
int tr_units_fraction(const char *text, double max, double *value, struct tr_err *err);
int tr_units_number(const char *text, double *value, struct tr_err *err);
int tr_units_integer(const char *text, int64_t *value, struct tr_err *err);

/* "0.41 s", "12.3 ms", "3.1 us", "24 h": three significant digits without closing zeroes, fit for a
 * table cell. */
const char *tr_units_show_ns(char buf[24], int64_t ns);
/* "914,261": groups of three. */
const char *tr_units_show_count(char buf[32], int64_t n);

/* ---- files ------------------------------------------------------------------------------- */

/* Reads a whole file of at most `max_bytes` into a malloc'd, NUL-terminated buffer. "-" is standard
 * input. TR_EINPUT when it is missing (with the nearest name there is), a folder or too large. */
int tr_file_read(const char *path, size_t max_bytes, char **data, size_t *len, struct tr_err *err);

/* ---- worker pool ------------------------------------------------------------------------- */

/* Calls fn(arg, i) for i in 0..n-1 on `threads` threads (0: one per CPU), of which the calling one
 * is one, and returns when all are done. Which thread runs which i is not determined: fn must write
 * its result to slot i only, and the caller reads the slots in order, which keeps results the same
 * for any thread count. Stopping early and progress are fn's business (it sees both through `arg`).
 */
void tr_pool_run(int threads, size_t n, void (*fn)(void *arg, size_t i), void *arg);
/* The same, with the calling thread free of work: it calls tick(tick_arg) about ten times a second
 * until all is done, and once at the end. */
void tr_pool_run_watched(int threads, size_t n, void (*fn)(void *arg, size_t i), void *arg,
                         void (*tick)(void *arg), void *tick_arg);
int tr_pool_cpus(void);

#endif
