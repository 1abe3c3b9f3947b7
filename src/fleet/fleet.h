/* fleet: identical GPUs under one arrangement, and the router in front of them.
 *
 * Every pod of a GPU serves one workload or several, the same on every GPU; a request goes to one
 * of its workload's pods. Pods are numbered GPU by GPU, part by part. With a router that does not
 * look at load, a pod's requests depend on nothing but the stream, so each GPU is brought forward
 * only when something happens to it, and a sample of the GPUs stands for all of them without bias:
 * `simulated_gpus` leaves the others out (their requests are routed to them and not simulated).
 * least-requests needs all of them, up to date, at every arrival.
 *
 * A fleet of one workload may be elastic (`scaling`): pods come and go as their autoscalers want,
 * and nodes as the pods need them. Pods then have the numbers of their slots, node by node, and the
 * router knows those that are ready; while none is, requests wait at the gateway, at most as long
 * as their clients do. All of it is simulated. docs/fleet.md has the rules.
 */
#ifndef TR_FLEET_FLEET_H
#define TR_FLEET_FLEET_H

#include "catalog/router.h"
#include "catalog/scaling.h"
#include "fleet/autoscaler.h"
#include "share/device.h"

struct tr_fleet_workload {
    enum tr_router router;
    int n_tenants;
    const int32_t *priorities; /* by tenant; NULL: as they arrive */
    int32_t priority;          /* added to each: who goes first in an engine of several workloads */
};

struct tr_fleet_config {
    int gpus;           /* of an elastic fleet: of one node */
    int simulated_gpus; /* 0 or >= gpus: all */
    int parts;          /* devices per GPU */
    struct tr_device_config device[TR_MAX_PARTS];
    int n_workloads;              /* 0: one */
    uint32_t serves[TR_MAX_PODS]; /* by pod of a GPU, a bit per workload; all 0: every pod all */
    struct tr_fleet_workload workload[TR_MAX_WORKLOADS];
    uint64_t seed;
    const struct tr_scaling *scaling; /* NULL: the fleet keeps its size. All durations are given */
    int replicas;                     /* elastic: ready at the start; 0: its least */
    enum tr_gpu_resource resource;    /* elastic: what its pods ask for */
};

/* What the router needs of a request, beside what the engine does. */
struct tr_fleet_request {
    struct tr_engine_request engine;
    int64_t session; /* -1: none */
};

/* What an elastic fleet did. Times are sums over nodes, over pods. */
struct tr_scale_stats {
    double span_s; /* of the run, from its start until nobody was inside */
    double node_asked_s, node_starting_s, node_ready_s, node_leaving_s; /* no VM yet; no GPUs yet */
    double node_hours; /* from the ask to the deletion: what is paid for */
    double pod_pending_s, pod_starting_s, pod_ready_s, pod_ending_s;
    double short_s;      /* fewer replicas ready than wanted, or requests held at the gateway */
    double start_mean_s; /* from the wish for a replica to its being ready */
    int64_t scale_ups, scale_downs; /* changes of the replicas wanted */
    int64_t asks, failed_asks;      /* nodes; those that could not be had */
    int64_t given_up;               /* nodes that took longer than provision_max_ns */
    int64_t removals, interruptions;
    int64_t held, held_timeouts; /* requests at the gateway; those whose client gave up there */
    int64_t lost_to_drains, lost_to_interruptions; /* requests under way when their pod went */
    int32_t nodes_max, ready_max, wanted_max;
};

/* From `time_ns` on; at most some thousand points: changes that follow each other closely are one.
 */
struct tr_timeline_point {
    int64_t time_ns;
    int32_t nodes, nodes_ready; /* VMs from the ask to the deletion; of these those that offer GPUs
                                   and are not leaving */
    int32_t wanted, ready;      /* replicas */
};

struct tr_fleet_stats {
    int64_t steps, preemptions, prefill_tok, decode_tok;
    int64_t prefix_queries_tok, prefix_hits_tok, evicted_blocks;
    int64_t busy_ns, switch_ns, slices; /* summed over devices; see busy_fraction */
    double busy_fraction;   /* of device time until `end_ns`; elastic: while its nodes were ready */
    double kv_mean, kv_max; /* share of the pods' KV blocks: mean over time, peak */
    int pods, simulated_pods;
    int64_t inside;              /* requests sent to simulated pods, or held, that have not left */
    struct tr_scale_stats scale; /* of an elastic fleet */
};

struct tr_fleet;

struct tr_fleet *tr_fleet_new(const struct tr_fleet_config *config, tr_engine_sink *sink,
                              void *arg);
void tr_fleet_free(struct tr_fleet *f);
/* Traces every event; from now on all GPUs keep up with the arrivals, each of which is an event
 * ("arrive") before which everything earlier has been told. An elastic fleet also tells "node-ask",
 * "node-none" (it cannot be had), "node-ready", "node-spot" (its notice), "node-leave" and
 * "node-gone" with the node's number, "pod-bind", "pod-ready", "pod-end" and "pod-gone" with the
 * pod's, and "replicas" with how many are wanted, each as `pod`. */
void tr_fleet_trace(struct tr_fleet *f, tr_trace_sink *sink, void *arg);

/* Routes and sends a request at its planned arrival; arrivals never decrease. Returns false when it
 * went to a GPU that is not simulated. Adds the events processed to *events. */
bool tr_fleet_send(struct tr_fleet *f, const struct tr_fleet_request *request, int64_t *events);
/* Brings all GPUs to `until_ns` (TR_TIME_NEVER: to the end). Returns the events processed. */
int64_t tr_fleet_advance(struct tr_fleet *f, int64_t until_ns);
/* Waiting requests that are certain to miss: see tr_engine_waiting_since. */
int64_t tr_fleet_waiting_since(const struct tr_fleet *f, int32_t workload, int64_t arrival_ns,
                               int64_t min_id);
int64_t tr_fleet_waiting(const struct tr_fleet *f);
/* An elastic fleet that no request is inside of: all that would still happen is its own. */
bool tr_fleet_rests(const struct tr_fleet *f);
/* The timeline of an elastic fleet, valid until it goes on. */
const struct tr_timeline_point *tr_fleet_timeline(const struct tr_fleet *f, size_t *n);
struct tr_fleet_stats tr_fleet_stats(const struct tr_fleet *f, int64_t end_ns);

#endif
