/* sim: one run: traffic through a fleet to an outcome.
 *
 * The traffic may be of several workloads (tr_source_merge) with objectives of their own. The same
 * source and seed give the same bytes. A run that serves a yes-or-no question may stop as
 * soon as enough requests have missed (`decide`). A run that has processed its event budget without
 * a request leaving reports a bug instead of hanging.
 */
#ifndef TR_SIM_SIM_H
#define TR_SIM_SIM_H

#include "fleet/fleet.h"
#include "record/record.h"
#include "traffic/traffic.h"

/* Which minutes of the traffic are inside spikes: those whose request rate is above three times the
 * median minute of the run. */
struct tr_spikes {
    int64_t n_minutes, in_spike, requests, span_ns;
    int32_t *count;     /* requests per minute */
    int32_t limit;      /* a minute with more is inside a spike */
    double median_rate; /* 1/s */
    double peak_rate;   /* the busiest minute, 1/s */
};
void tr_spikes_find(struct tr_spikes *s, struct tr_source *src);
bool tr_spikes_at(const struct tr_spikes *s, int64_t time_ns);
void tr_spikes_free(struct tr_spikes *s);

/* What the requests of one of several workloads are held to, as in tr_sim_config. */
struct tr_sim_aim {
    const struct tr_slo *slo;
    const struct tr_spikes *spikes;
    int64_t expected;
};

struct tr_sim_config {
    struct tr_fleet_config fleet;
    const struct tr_slo *slo;       /* of the only workload, as the next two */
    const struct tr_spikes *spikes; /* NULL: none */
    int64_t expected;               /* requests that will count, for `decide`; 0: unknown */
    const struct tr_sim_aim *aims;  /* by workload, where the fleet has several */
    int64_t warmup;                 /* the first so many requests do not count */
    bool decide;       /* stop when it is certain that some workload's objectives are not met */
    int64_t max_queue; /* stop, not met, when more requests wait; 0: no limit */
    const atomic_int *stop;
    _Atomic int64_t *simulated; /* progress: requests simulated so far, added to; may be NULL */
    tr_engine_sink *on_record;  /* NULL, or hears every record */
    void *on_record_arg;
    tr_trace_sink *trace; /* NULL, or hears every event, in order of time per device */
    void *trace_arg;
};

struct tr_sim_result {
    struct tr_outcome outcome; /* of all requests, each by its own workload's objectives */
    int n_workloads;
    struct tr_outcome *by_workload; /* where there are several, else NULL */
    int64_t
        outside[TR_MAX_PARTS]; /* some objective, by part of the GPUs, where they have several */
    struct tr_fleet_stats fleet;
    struct tr_timeline_point *timeline; /* of an elastic fleet */
    size_t n_timeline;
    bool meets; /* every workload its own objectives */
    bool queue_overflow;
    int64_t requests; /* simulated */
    /* Of all arrivals routed, simulated or not: how many, and a hash of their times, lengths,
     * tenants and sessions in order. Whoever was given the same traffic has the same. */
    int64_t arrivals;
    uint64_t arrivals_hash;
};

/* Runs the source from its start. TR_EINTR when *stop became non-zero (the result holds what was
 * finished), TR_EBUG on a livelock. */
int tr_sim_run(const struct tr_sim_config *config, struct tr_source *src,
               struct tr_sim_result *result, struct tr_err *err);
void tr_sim_result_free(struct tr_sim_result *r);

#endif
