/* Work on all CPUs with progress that names the stage. */
#include "plan/plan.h"

#include <stdlib.h>

struct work {
    const struct tr_stage *stage;
    size_t n;
    struct tr_err *errs; /* per piece, so that the first in order is told whatever the threads */
    _Atomic int64_t done;
};

static void piece(void *arg, size_t i)
{
    struct work *work = arg;
    const atomic_int *stop = work->stage->opts->progress.stop;
    if (stop != NULL && *stop != 0)
        (void)tr_err_set(&work->errs[i], TR_EINTR, "interrupted");
    else
        (void)work->stage->fn(work->stage->arg, i, &work->errs[i]);
    work->done++;
}

static void tick(void *arg)
{
    struct work *work = arg;
    const struct tr_stage *stage = work->stage;
    const struct tr_progress *progress = &stage->opts->progress;
    char what[96], count[32];
    if (progress->report == NULL)
        return;
    int64_t done = work->done;
    snprintf(what, sizeof what, "%s: %" PRId64 " of %zu, %s requests simulated", stage->name, done,
             work->n, tr_units_show_count(count, *stage->simulated));
    progress->report(progress->arg, what,
                     stage->from +
                         (stage->to - stage->from) * (double)done / (double)TR_MAX(work->n, 1U));
}

int tr_stage_run(const struct tr_stage *stage, size_t n, struct tr_err *err)
{
    struct work work = {.stage = stage, .n = n, .errs = tr_calloc(n, sizeof(struct tr_err))};
    int rc = TR_OK;
    tr_pool_run_watched(stage->opts->jobs, n, piece, &work, tick, &work);
    for (size_t i = 0; i < n; i++) {
        if (work.errs[i].code == TR_OK || (rc == TR_EINTR && work.errs[i].code == TR_EINTR))
            continue;
        rc = work.errs[i].code;
        *err = work.errs[i];
        if (rc != TR_EINTR)
            break;
    }
    free(work.errs);
    return rc;
}
