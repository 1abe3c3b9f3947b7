/* victim: what a neighbour does to a pod.
 *
 * One pod is the victim: it gets its own mean rate, always the same requests. Its neighbours, the
 * other pods of the same piece of hardware or, in one engine, the other tenants, first do nothing,
 * then come at the rate of their busiest minute all the time, then without end, so that at least 64
 * of their requests wait in each queue. What the victim's first tokens take shows what an
 * arrangement keeps apart, which the fleet's own figures do not: there neighbours are as idle as
 * the traffic is.
 */
#ifndef TR_PLAN_VICTIM_H
#define TR_PLAN_VICTIM_H

#include "share/device.h"
#include "traffic/traffic.h"

enum tr_neighbour {
    TR_NEIGHBOUR_IDLE,
    TR_NEIGHBOUR_BURSTS,
    TR_NEIGHBOUR_SATURATES,
    TR_N_NEIGHBOURS
};

#define TR_MAX_VICTIM_SOURCES 32

struct tr_victim_setup {
    struct tr_device_config device;
    int n; /* sources: the victim's, then its neighbours' */
    struct tr_victim_source {
        int pod;                      /* of the device; neighbours may be in the victim's engine */
        const struct tr_source *like; /* lengths, and what prompts share */
        double rate, peak_rate;       /* mean, and busiest minute; 1/s */
        int32_t priority;
    } source[TR_MAX_VICTIM_SOURCES];
    const struct tr_slo *slo; /* the victim's */
    int64_t requests;         /* of the victim, */
    int64_t most;             /* or fewer: no more than these of all together */
    uint64_t seed;
    const atomic_int *stop;
    _Atomic int64_t *simulated;
};

struct tr_victim_answer {
    int64_t requests;                 /* of the victim, counted */
    int64_t p50_ns, p95_ns;           /* TTFT of those done; -1: none was */
    double inside, lost;              /* shares: within every objective; not done */
    double within[TR_MAX_OBJECTIVES]; /* within each */
};

/* TR_EINTR when *stop became non-zero. */
int tr_victim_run(const struct tr_victim_setup *setup, enum tr_neighbour neighbour,
                  struct tr_victim_answer *out, struct tr_err *err);

/* Sets `requests` and `most`. */
void tr_victim_effort(struct tr_victim_setup *setup, bool quick);
/* A victim's rate: its mean, at the least that which keeps an idle share busy for a tenth of the
 * time, where a mean answer takes `answer_s`. */
double tr_victim_rate(double mean, double answer_s);

/* One arrangement's row of the table. */
struct tr_victim {
    int candidate;
    bool one_engine, priority; /* priority: the victim goes first in it */
    bool coupled;              /* else it has no neighbour on its hardware: all answers are alike */
    double rate;               /* of the victim, 1/s */
    struct tr_victim_answer at[TR_N_NEIGHBOURS];
};

#endif
