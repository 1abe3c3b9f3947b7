/* ring: one piece of GPU hardware as a resource that contexts take turns on.
 *
 * A context (one pod's CUDA context) posts work: so many picoseconds of GPU time, ready from some
 * moment on, perhaps cut into segments with gaps between them in which the context has nothing on
 * the GPU. Contexts with work that is ready take turns in ring order: the owner runs until its
 * quantum is over and another is ready, or until it has nothing to run, in which case it gives up
 * its turn; handing over costs the switch time. A context may post one piece of work ahead; then
 * the end of a piece does not end its turn.
 *
 * An owner without ready neighbours keeps running at no cost, so that a ring with one busy context
 * and a card that is not shared give the same times to the picosecond. There is no clock inside:
 * tr_ring_advance moves the ring through time as far as it is told.
 *
 * Between two events the ring repeats itself: rounds in which no segment ends and nothing becomes
 * ready are skipped as one, and tr_ring_skip skips ends of work that need not be told; `exact`
 * walks slice by slice, as the oracle of that. Model, defaults and errors: docs/share.md,
 * docs/model.md ("Time-slicing").
 */
#ifndef TR_SHARE_RING_H
#define TR_SHARE_RING_H

#include "share/work.h"

struct tr_ring {
    int n;
    int64_t quantum_ps, switch_ps;
    int64_t base_ns, clock_ps; /* the ring's history is decided up to base_ns + clock_ps */
    int owner, last;           /* -1: nobody */
    int64_t left_ps;           /* of the owner's quantum */
    int64_t pay_ps;            /* of the switch to the owner */
    bool exact;
    struct tr_ring_ctx {
        int queued; /* pieces of work: 0, 1 or 2; work[0] is first */
        struct tr_work work[2];
        int64_t post_ps[2]; /* when each was posted */
        int64_t ready_ps;   /* when the current segment of work[0] is or was ready */
        int64_t left_ps;    /* of the current segment */
        int segments;       /* after the current one */
        int64_t began_ps;   /* when work[0] was first ready */
    } ctx[TR_MAX_PODS];
    int64_t busy_ps, switched_ps, slices;
    int64_t busy_ns, switched_ns;
};

/* `n` contexts; quantum and switch cost in ps (ignored with one context). */
void tr_ring_init(struct tr_ring *r, int n, int64_t quantum_ps, int64_t switch_ps);

/* Context `ctx` posts work at `now_ns` (or at the ring's clock, where that is a fraction of a
 * nanosecond further). At most two pieces at a time. */
void tr_ring_post(struct tr_ring *r, int ctx, int64_t now_ns, const struct tr_work *work);

/* Moves on to the next completion before `until_ns`. Returns 1 with the context, the time
 * (nanoseconds, fraction dropped) and in *lost_ps how long the work was ready or under way without
 * running; 0 if nothing completes before `until_ns`. */
int tr_ring_advance(struct tr_ring *r, int64_t until_ns, int *ctx, int64_t *end_ns,
                    int64_t *lost_ps);

/* Takes many completions at once, of a context alone or of several that share the card: exactly
 * what as many calls of tr_ring_advance and tr_ring_post would do, before `until_ns` and before
 * anything else happens. One stretch per context. True if any was `done`; a context with two pieces
 * posted, the second growth_ps longer than the first, is in the same state afterwards. */
bool tr_ring_skip(struct tr_ring *r, struct tr_stretch *stretch, int64_t until_ns);

struct tr_share_stats tr_ring_stats(const struct tr_ring *r);

#endif
