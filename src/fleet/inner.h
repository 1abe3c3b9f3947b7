/* inner: what the files of an elastic fleet share. Private to the room (elastic.h has the concept).
 */
#ifndef TR_FLEET_INNER_H
#define TR_FLEET_INNER_H

#include "fleet/autoscaler.h"
#include "fleet/elastic.h"
#include "fleet/hpa.h"
#include "fleet/least.h"
#include "num/num.h"

/* In this order at the same moment: what happens comes before those who look at it. */
enum event_kind {
    NODE_JOINED,
    NODE_OFFERS, /* its GPUs */
    NODE_EVICTS, /* the taint has stood for its time */
    NODE_NOTICE, /* of a spot node */
    POD_STARTED,
    POD_LOOKED_AT, /* is it drained? */
    NODE_KILLED,
    GATEWAY_GIVES_UP,
    SCRAPE,
    KEDA_POLL,
    HPA_SYNC,
    POOL_LOOP
};

struct event {
    int64_t time_ns, seq;
    int64_t tag; /* of whom it is meant for: stale where that one is gone */
    enum event_kind kind;
    int who;
};

struct node {
    enum tr_node_state state;
    bool joined;      /* the VM is there */
    bool evicted;     /* leaving, and its pods have been told */
    bool interrupted; /* spot: it ends at a moment that is not ours to choose */
    bool stopped;     /* NONE, but its disk is kept */
    int64_t ask;      /* its number among all asks; -1: never, or no longer */
    int64_t asked_ns;
    int64_t image_ns; /* the image is there from then on; TR_TIME_NEVER: nobody has pulled it */
    int pods;         /* bound to it, those that are ending included */
    int active;       /* of these those that are not ending */
};

enum pod_state { POD_FREE, POD_PENDING, POD_STARTING, POD_READY, POD_ENDING };

struct replica {
    enum pod_state state;
    int slot; /* -1: none yet */
    int64_t seq;
    int64_t created_ns, ready_ns, deadline_ns;
    bool given;   /* it stood there when the run began */
    bool scraped; /* its metric is known: */
    double metric;
};

/* How many there are of each kind, and for how long. */
enum tally {
    NODES_ASKED,
    NODES_STARTING,
    NODES_READY,
    NODES_LEAVING,
    PODS_PENDING,
    PODS_STARTING,
    PODS_READY,
    PODS_ENDING,
    SHORT, /* 1: fewer are ready than are wanted */
    N_TALLIES
};

struct tr_elastic {
    struct tr_fleet_config cfg;
    struct tr_scaling life;
    tr_engine_sink *sink;
    void *sink_arg;
    tr_trace_sink *trace;
    void *trace_arg;
    int64_t now_ns, seq;
    struct event *heap;
    size_t n_heap, cap_heap;

    struct tr_hpa *hpa;
    struct tr_keda keda;
    struct tr_autoscaler *autoscaler;
    struct tr_node_view *views;
    size_t cap_views;
    int64_t loops; /* the tag of the loop that is due */
    int64_t scraped_ns;
    double held_metric; /* requests at the gateway at the last scrape */

    struct node *nodes; /* by number; slot i of node n is pod n x slots + i of the fleet */
    size_t cap_nodes;
    int n_nodes, slots; /* numbers in use so far; pods per node */
    int open_node;      /* no ready node before it has a free slot */
    int64_t asks;
    int pods_per_gpu, devices_per_node;
    struct place {
        int part, pod, first;
    } place[TR_MAX_PODS]; /* of a GPU's pods; `first` is its part's first pod */
    struct tr_device **device;
    int64_t *busy_ns; /* by device: at the last scrape */
    int *pod_in;      /* by slot: index of its replica, -1 */
    size_t cap_device, cap_busy, cap_slots;

    struct replica *pods;
    size_t n_pods, cap_pods, open_pod; /* none before it is free */
    int *pending;                      /* waiting for a slot, oldest first */
    int *ready;                        /* slots with a ready pod, by number */
    size_t n_pending, cap_pending, cap_ready;
    int n_ready, wanted, active;

    struct tr_fleet_request *held; /* at the gateway: no pod is ready */
    size_t n_held, first_held, cap_held;
    struct hold {
        int64_t first_id, last_id, sent_ns;
    } * holds; /* who was held, and until when */
    size_t n_holds, cap_holds;
    uint64_t route_stream;
    bool by_load;          /* least-requests: */
    struct tr_least least; /* by slot */
    int64_t sent, inside;
    int64_t *lost; /* where requests that are lost just now are counted */

    int64_t count[N_TALLIES], tallied_ns;
    tr_u128 sum_ns[N_TALLIES];
    struct shortage {
        int64_t from_ns, to_ns, before_ns; /* short time before it */
    } * shortages;
    size_t n_shortages, cap_shortages;
    struct tr_timeline_point *points;
    size_t n_points;
    int64_t grain_ns;
    struct tr_scale_stats stats;
    int64_t ready_sum_ns, ready_n;
};

/* ---- events.c ---- */
void elastic_post(struct tr_elastic *e, int64_t time_ns, enum event_kind kind, int who,
                  int64_t tag);
bool elastic_take(struct tr_elastic *e, int64_t until_ns, struct event *out);

/* ---- elastic.c ---- */
/* What nodes, pods and controllers do up to `until_ns`. Returns the events. */
int64_t elastic_control(struct tr_elastic *e, int64_t until_ns);

/* ---- nodes.c ---- */
void elastic_ask(struct tr_elastic *e);
void elastic_remove(struct tr_elastic *e, int n);
void elastic_give_up(struct tr_elastic *e, int n);
void elastic_node_given(struct tr_elastic *e); /* one more, ready at the start */
/* What an event means for the node that it is meant for. */
void elastic_node_event(struct tr_elastic *e, const struct event *ev);
/* Its last pod has gone. */
void elastic_node_empty(struct tr_elastic *e, int n);

/* ---- pods.c ---- */
void elastic_want(struct tr_elastic *e, int replicas);
void elastic_reconcile(struct tr_elastic *e);
void elastic_bind(struct tr_elastic *e);
void elastic_end_pod(struct tr_elastic *e, int pod, int64_t deadline_ns);
void elastic_pod_event(struct tr_elastic *e, const struct event *ev);
void elastic_pods_given(struct tr_elastic *e); /* those that stand at the start */
struct tr_device *elastic_device(const struct tr_elastic *e, int slot, int *ctx);

/* ---- gateway.c ---- */
/* How many requests the pod in a slot has, or that it is not ready, has changed. */
void elastic_load(struct tr_elastic *e, int slot, bool ready);
void elastic_release(struct tr_elastic *e);
void elastic_gateway_event(struct tr_elastic *e, int64_t tag);
void elastic_record(void *arg, const struct tr_record *record);

/* ---- tally.c ---- */
void elastic_count(struct tr_elastic *e, enum tally kind, int64_t by);
void elastic_catch_up(struct tr_elastic *e);
/* After anything that changes who is ready, wanted or held. */
void elastic_shortage(struct tr_elastic *e);
int64_t elastic_short_ns(const struct tr_elastic *e, int64_t from_ns, int64_t to_ns);
void elastic_point(struct tr_elastic *e);
void elastic_tell(struct tr_elastic *e, const char *what, int who, int64_t id);

#endif
