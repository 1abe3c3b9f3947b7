/* router: how a service spreads requests over the pods of a fleet.
 *
 *   random          what a ClusterIP does: any pod, independent of its load
 *   round-robin     each pod in turn
 *   least-requests  the pod with the fewest requests in it (ties: the lowest number)
 *   session-affine  all requests of a session to one pod; a request without a session at random
 *   tenant-pinned   a tenant's requests to that tenant's own pods, at random among them
 */
#ifndef TR_CATALOG_ROUTER_H
#define TR_CATALOG_ROUTER_H

enum tr_router {
    TR_ROUTE_RANDOM,
    TR_ROUTE_ROUND_ROBIN,
    TR_ROUTE_LEAST_REQUESTS,
    TR_ROUTE_SESSION,
    TR_ROUTE_TENANT
};

#endif
