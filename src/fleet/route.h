/* route: which of its workload's pods a request goes to, for routers that look at no load. Private
 * to the room. */
#ifndef TR_FLEET_ROUTE_H
#define TR_FLEET_ROUTE_H

#include "fleet/fleet.h"

struct tr_route_choice {
    uint64_t seed, stream;
    int64_t sent; /* requests before this one */
    int n_pods;
    bool sticky; /* a session keeps its pod when others come and go, where it can */
};

/* Draws depend on the request's id or session alone, so that the same request takes the same way in
 * every run with as many pods. */
int tr_route(const struct tr_fleet_workload *w, const struct tr_route_choice *among,
             const struct tr_fleet_request *q);

#endif
