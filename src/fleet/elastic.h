/* elastic: a fleet that changes its size while requests come. Private to the room; its figures are
 * in fleet.h.
 *
 *     scrape ─► HPA, KEDA ─► replicas wanted ─► pods ── no slot: pending ─► cluster autoscaler
 *                                                 │                               │ asks, removes
 *        weights, warm-up ◄── image ◄── bound ◄───┴──── free slot ◄── node ◄── VM ┘
 *               └─► ready: the router sends
 *
 * It is an ordered list of events beside the devices: what happens to nodes and pods, and who looks
 * at it when. Between two events the set of ready pods is constant, and requests are routed among
 * them as in a fleet of that size; devices are brought forward by their own requests and, at a
 * scrape, all that are ready. Nothing here looks at more than the pods and nodes there are, and an
 * arrival looks at none but its own.
 */
#ifndef TR_FLEET_ELASTIC_H
#define TR_FLEET_ELASTIC_H

#include "fleet/fleet.h"

struct tr_elastic;

struct tr_elastic *tr_elastic_new(const struct tr_fleet_config *config, tr_engine_sink *sink,
                                  void *arg);
void tr_elastic_free(struct tr_elastic *e);
void tr_elastic_trace(struct tr_elastic *e, tr_trace_sink *sink, void *arg);
void tr_elastic_send(struct tr_elastic *e, const struct tr_fleet_request *q, int64_t *events);
/* TR_TIME_NEVER: until no request is inside. */
int64_t tr_elastic_advance(struct tr_elastic *e, int64_t until_ns);
int64_t tr_elastic_waiting_since(const struct tr_elastic *e, int64_t arrival_ns, int64_t min_id);
int64_t tr_elastic_waiting(const struct tr_elastic *e);
struct tr_fleet_stats tr_elastic_stats(struct tr_elastic *e);
bool tr_elastic_rests(const struct tr_elastic *e);
const struct tr_timeline_point *tr_elastic_timeline(const struct tr_elastic *e, size_t *n);

/* Adds what an engine counted, of `pods` pods over `span_us`. */
void fleet_add_engine(struct tr_fleet_stats *s, const struct tr_engine_stats *e, double blocks,
                      double span_us, int pods);

#endif
