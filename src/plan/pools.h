/* pools: which workloads share which nodes.
 *
 * Each workload belongs to one pool: nodes of one type under one arrangement, on which each pod
 * serves one workload, or several of one model that trust each other. A lone workload's pool is
 * what its own plan picks. A shared pool has a fixed number of nodes. What a group of workloads
 * costs is found like this:
 *
 *   units (who may share an engine) ─ layouts of a GPU (group.h) ─ seats: what a pod is on its part
 *   (memory, engine, step times, bounds) ─ fewest nodes by load ─ simulation, cheapest first
 *
 * and the cheapest partition of all workloads into groups by partition.h. Definitions are in
 * docs/plan.md, "Several workloads".
 */
#ifndef TR_PLAN_POOLS_H
#define TR_PLAN_POOLS_H

#include "plan/group.h"
#include "plan/partition.h"
#include "plan/plan.h"

/* One unit's pod on one kind of part. */
struct tr_seat {
    uint32_t unit; /* workloads, as bits */
    const struct tr_node_type *node;
    const struct tr_mig_profile *profile; /* NULL: the card */
    int mps;                              /* clients of the part; 0: none */
    bool lone;                            /* the card has no other part */
    int level;                            /* in its workloads' list of precisions */
    int thousandths;                      /* gpu_memory_utilization; 0: as a pod alone has it */
    struct tr_candidate pod;              /* of one part, or two alike: part 0 is it */
    /* By workload: requests/s that hardware allows, and the time of a mean answer on it, idle. */
    double ceiling_rps[TR_MAX_WORKLOADS], answer_s[TR_MAX_WORKLOADS];
};

/* One way for a group to stand on the GPUs of a node type. */
struct tr_stand {
    const struct tr_node_type *node;
    struct tr_layout layout;
    uint32_t serves[TR_MAX_PODS]; /* by pod: workloads, as bits; 0: it stays empty */
    const struct tr_seat *seat[TR_MAX_PODS];
    double peak; /* of the busiest part: by the busiest minutes, over what hardware allows */
    int least;   /* fewer nodes will not do, by the mean load and by each workload alone */
};

/* A stand of a group, and what became of it where it was simulated last. */
struct tr_way {
    struct tr_stand stand;
    int nodes; /* 0: it was not tried */
    bool meets;
    int breaks; /* the workload whose guarantee it does not keep; -1: it was not found to */
    double saturated[TR_MAX_WORKLOADS]; /* as in a pool */
    char why[200];                      /* it does not meet the objectives */
};

struct tr_pool {
    uint32_t members;      /* workloads, as bits */
    struct tr_stand stand; /* node NULL: no way was found that costs less than apart */
    int nodes;
    int64_t cost;  /* see tr_pools_cost; TR_NO_COST */
    int64_t bound; /* without a way: none costs less than this */
    struct tr_sim_result result;
    int sampled_gpus; /* 0: all were simulated */
    /* Of a guaranteed member: the share inside its worst objective while its neighbours saturate.
     */
    double saturated[TR_MAX_WORKLOADS];
    int tried;           /* ways and sizes simulated */
    struct tr_way *ways; /* simplest first */
    int n_ways, way;     /* the one that it was given; -1: none */
    char why[320];       /* why they are better apart */
};

/* A workload as a group sees it. */
struct tr_member {
    struct tr_scenario view;
    struct tr_plan *alone;
    struct tr_source *source; /* cloned for each run */
};

/* A workload's first pod as a victim of those it shares its piece of hardware with: of every one in
 * the shared pools of the pick, and of a guaranteed one in every way that was tried. */
struct tr_pool_victim {
    const struct tr_pool *pool;
    const struct tr_way *way;
    int number; /* of the pool in the pick, where this is the way picked; else -1 */
    int workload;
    bool first_come; /* its engine goes by arrival, to show what priorities do */
    bool coupled;
    double rate; /* 1/s */
    struct tr_victim_answer at[TR_N_NEIGHBOURS];
};

struct tr_pools {
    const struct tr_scenario *scenario;
    struct tr_plan_opts opts;
    struct tr_arena arena;
    int n;
    struct tr_member member[TR_MAX_WORKLOADS];
    bool priced; /* costs are dollars, else GPUs */
    struct tr_seat **seats;
    size_t n_seats, cap_seats;
    struct tr_pool **groups; /* those that were asked for */
    size_t n_groups, cap_groups;
    struct tr_partition_answer answer;
    int64_t apart; /* what all cost alone; TR_NO_COST: one of them cannot be alone */
    bool meets;
    bool interrupted;
    size_t n_victims, cap_victims;
    struct tr_pool_victim *victims;
    _Atomic int64_t simulated;
    int n_lines;
    const char *lines[32];
};

/* Plans every workload alone, then the groups. On TR_EINTR what was finished is kept. */
int tr_pools_run(const struct tr_scenario *s, const struct tr_plan_opts *opts,
                 struct tr_pools **out, struct tr_err *err);
void tr_pools_free(struct tr_pools *p);

/* ---- the steps ------------------------------------------------------------------------------ */

/* May these two share an engine? */
bool tr_pools_one_engine(const struct tr_workload *a, const struct tr_workload *b);
/* What pods of `a` need between them and pods of `b`, or others of their own. */
enum tr_isolation tr_pools_apart(const struct tr_workload *a, const struct tr_workload *b);
/* Units of a group: each workload its own or, with `merge`, one for all that may share an engine.
 * Returns how many. */
int tr_pools_units(const struct tr_pools *p, uint32_t members, bool merge,
                   uint32_t unit[TR_MAX_WORKLOADS]);

/* The seat as it is asked for by its key fields; built once. */
const struct tr_seat *tr_seat_get(struct tr_pools *p, const struct tr_seat *key);
/* The same with the first precision that can stand there; NULL: none can. */
const struct tr_seat *tr_seat_first(struct tr_pools *p, const struct tr_seat *key);
/* The seats of a part's pods that take turns on one memory, which is divided among them. False:
 * they do not fit. */
bool tr_seat_divide(struct tr_pools *p, const struct tr_seat *key, int n, const uint32_t *units,
                    const struct tr_seat **seats);

/* The ways of a group on one node type, simplest first: one engine, time-slicing and MPS by their
 * counts of pods, of the MIG layouts the few with the least load on their busiest part. */
#define TR_MAX_STANDS 24
int tr_stands_find(struct tr_pools *p, uint32_t members, const struct tr_node_type *node,
                   struct tr_stand out[TR_MAX_STANDS]);

/* What a workload's mean load is, in GPUs of this node type, by what hardware allows; 0: it does
 * not fit on the card. */
double tr_stands_load(struct tr_pools *p, int workload, const struct tr_node_type *node);
/* However they share: no fewer nodes, by their loads together and by each workload alone. */
int tr_stands_least(struct tr_pools *p, uint32_t members, const struct tr_node_type *node);

/* A fleet of so many nodes on the traffic of all members; *meets: each its own objective, those
 * that are guaranteed it also while their neighbours saturate. A refusal is explained. */
struct tr_stand_run {
    const struct tr_stand *stand;
    uint32_t members;
    int nodes;
    struct tr_sim_result result;
    int sampled_gpus;
    double saturated[TR_MAX_WORKLOADS]; /* as in a pool */
    bool meets;
    int breaks; /* as in a way */
    double off; /* how far it is off: tr_hunt_excess of the worst */
    char why[200];
};
int tr_stand_simulate(struct tr_pools *p, struct tr_stand_run *run, struct tr_err *err);
/* The share of a workload's requests within each of its objectives while its neighbours saturate,
 * in the mean of its pods. */
int tr_stand_saturate(struct tr_pools *p, const struct tr_stand_run *run, int workload,
                      double within[TR_MAX_OBJECTIVES], struct tr_err *err);
/* Its fleet. Parts on which nobody fits are left out. `engines` has room for the pods of a GPU and
 * must stay as long as the fleet. */
void tr_stand_fleet(const struct tr_pools *p, const struct tr_stand_run *run,
                    struct tr_engine_config *engines, struct tr_fleet_config *f);

/* What neighbours do to each workload in the shared pools of the pick, and to the guaranteed ones
 * in every way that was tried. */
int tr_pools_victims(struct tr_pools *p, struct tr_err *err);
/* The group whose ways a guaranteed workload is shown in: its pool or, where that is its own, the
 * smallest group tried that holds it, the first of these; NULL: there is none. */
const struct tr_pool *tr_pools_shown(const struct tr_pools *p, int workload);

/* The cheapest way for these workloads to share, cheaper than `below`. */
int tr_pool_find(struct tr_pools *p, uint32_t members, int64_t below, struct tr_pool *out,
                 struct tr_err *err);
/* Also runs the simplest way of each kind of arrangement that was not tried at the pool's size, to
 * be shown beside the one it was given. */
int tr_pool_complete(struct tr_pools *p, struct tr_pool *pool, struct tr_err *err);

/* Millionths of a dollar a month, or of a GPU where some price is not known. */
int64_t tr_pools_cost(const struct tr_pools *p, const struct tr_node_type *node, int nodes);
/* What a workload costs alone; TR_NO_COST: nothing meets its objective. */
int64_t tr_pools_alone(const struct tr_pools *p, int workload);
/* The policy under which a lone workload's nodes come and go; NULL: they stay. */
const struct tr_policy_run *tr_pools_scaled(const struct tr_pools *p, int workload);
/* A group that was asked for; NULL: it was not. */
const struct tr_pool *tr_pools_group(const struct tr_pools *p, uint32_t members);

void tr_pools_verdict(struct tr_pools *p);
/* "$4,015 a month", or "3 GPUs"; "chat, embed and rerank". */
const char *tr_pools_money(const struct tr_pools *p, char buf[32], int64_t cost);
const char *tr_pools_names(struct tr_pools *p, uint32_t members);

#endif
