/* device: the engines on one piece of GPU hardware, and the requests on their way to them.
 *
 * A device is a whole card or one MIG instance: an engine per pod, all alike or each of its own
 * kind, and what decides who runs when: a ring, under MPS an overlap, and with one pod nothing
 * (lone.h). Parts of a card that MIG separates do not couple, so they are devices of their own. The
 * device moves requests from its inbox to the engines when they reach them (API time after they
 * were sent), asks idle engines for steps, posts steps to the hardware and tells engines when they
 * end.
 *
 * It has no clock: tr_device_advance processes what happens before a moment, in the order of (time,
 * kind, sequence): arrivals, then ends of steps. Simulation and emulation drive the same object.
 */
#ifndef TR_SHARE_DEVICE_H
#define TR_SHARE_DEVICE_H

#include "engine/engine.h"
#include "share/lone.h"
#include "share/overlap.h"
#include "share/ring.h"

/* API ingestion: tokenising, HTTP and IPC in front of the engine; occupies no GPU (docs/model.md).
 */
#define TR_API_NS (5 * TR_NS_PER_MS)

/* Gaps inside a step of a synchronous engine, during which the GPU queue is dry. */
#define TR_YIELD_PS        INT64_C(1000000) /* 1 us: enough to lose the turn */
#define TR_SYNC_GAPS       2
#define TR_SYNC_GAP_MAX_PS INT64_C(100000000) /* 0.1 ms */

struct tr_device_config {
    struct tr_engine_config engine; /* of every pod, where they are alike */
    /* By pod, where they are not; must stay as long as the device. NULL: `engine` is every pod's.
     */
    const struct tr_engine_config *engines;
    int n_pods;
    int first_pod;           /* number of the first pod in the fleet, for records and traces */
    enum tr_sharing sharing; /* of the pods: MPS overlaps them, all else takes turns */
    int64_t quantum_ps, switch_ps;
    int yields;       /* gaps within a step of an asynchronous engine that shares the card */
    double sharpness; /* of MPS; 0: TR_MPS_SHARPNESS */
    bool exact;       /* step by step, slice by slice: the oracle of stretches and skipped rounds */
};

/* One line of a trace; `text` is a static word. */
struct tr_trace_event {
    int64_t time_ns;
    const char *what; /* "arrive", "reach", "step", "end", or a record's status */
    int pod;
    int64_t id; /* of the request; -1 for steps */
    const struct tr_step *step;
};
typedef void tr_trace_sink(void *arg, const struct tr_trace_event *event);

/* What pod `pod` runs. */
static inline const struct tr_engine_config *
tr_device_engine_config(const struct tr_device_config *config, int pod)
{
    return config->engines != NULL ? &config->engines[pod] : &config->engine;
}

struct tr_device;

struct tr_device *tr_device_new(const struct tr_device_config *config, tr_engine_sink *sink,
                                void *sink_arg);
void tr_device_free(struct tr_device *d);
void tr_device_trace(struct tr_device *d, tr_trace_sink *sink, void *arg);

/* A request for pod `pod` (0..n_pods-1) that will reach its engine at `reach_ns`; times of calls
 * never decrease. */
void tr_device_send(struct tr_device *d, int pod, const struct tr_engine_request *request,
                    int64_t reach_ns);

/* Whether stretches are taken as one or step by step (`exact`, or a trace), records are the same to
 * the bit. Processes everything before `until_ns` (TR_TIME_NEVER: until nothing is left). Returns
 * how many events that were. */
int64_t tr_device_advance(struct tr_device *d, int64_t until_ns);

/* The pod's process ends at `now_ns`, to which the device has been advanced, and an empty one takes
 * its place: requests on their way to it or in it leave with status aborted. */
void tr_device_restart(struct tr_device *d, int pod, int64_t now_ns);

/* Requests sent to the pod that have not left it. */
int32_t tr_device_outstanding(const struct tr_device *d, int pod);
const struct tr_engine *tr_device_engine(const struct tr_device *d, int pod);
struct tr_share_stats tr_device_stats(const struct tr_device *d);

#endif
