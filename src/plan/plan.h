/* plan: from a scenario to a verdict.
 *
 * A candidate is an arrangement of one GPU at one precision on one node type. Each goes through the
 * same gates, and stops at the first that refutes it, with the numbers that do:
 *
 *   built ─ allowed? (quality, isolation) ─ fits? (memory, geometry) ─ bound? (an empty share is
 *   already too slow) ─ capacity on one GPU ─ smallest fleet ─ cost
 *
 * Ranking: constraints, then the objective, then cost; differences below 5 % are ties, broken by
 * simplicity (tr_arrangement_rank), then by the user's order of precisions, then by cost. All
 * definitions are in docs/plan.md.
 */
#ifndef TR_PLAN_PLAN_H
#define TR_PLAN_PLAN_H

#include <tranche/check.h>
#include <tranche/plan.h>
#include <tranche/simulate.h>

#include "plan/cost.h"
#include "scenario/scenario.h"
#include "plan/victim.h"
#include "sim/sim.h"

#define TR_TIE 0.05

/* ---- lengths and ceilings ------------------------------------------------------------------- */

/* Means over the requests of a stream, exact sums over each (prompt, output) pair. What is longer
 * than max_model_len is refused: it counts as a request that takes no work. */
struct tr_lengths {
    int64_t requests;
    double prompt_tok, output_tok; /* means over all */
    double computed_tok;           /* prompt + output - 1: tokens through the layers */
    double decoded_tok;            /* output, of those not refused */
    double context_all;            /* sum of contexts over computed tokens, mean per request */
    double context_decode;         /* the same over the tokens that decode */
    double resident_tok;           /* mean KV tokens held over a request's decoding life */
    int32_t n_cum;                 /* cumulative counts by length in tokens, 0..n_cum - 1 */
    int64_t *prompt_cum;           /* requests with a prompt of at most so many tokens */
    int64_t *total_cum;            /* the same for prompt + output */
    int64_t *fresh_cum; /* the same for what of the prompt no cache can hold: all of it where it
                           shares nothing */
    bool shares;        /* some prompts begin like others */
};

/* What hardware allows on one GPU under an arrangement, in requests/s. Each bound stands alone. */
struct tr_ceiling {
    double peak_flops;                       /* of the parts together, at this precision */
    double flops_per_request, flops_cached;  /* without, with a perfect prefix cache */
    double kv_read_bytes, weight_read_bytes; /* per request; per step */
    double arithmetic, arithmetic_cached;    /* at 100 % of peak FLOP/s */
    double arithmetic_attained, arithmetic_cached_attained; /* at the efficiency that is reached */
    double bandwidth;                                       /* KV reads alone at peak bandwidth */
    double kv_memory;             /* Little's law with the KV cache full */
    double concurrent;            /* requests that fit, per GPU */
    double lowest, lowest_cached; /* the smallest bound without, with a cache */
};

/* ---- candidates ----------------------------------------------------------------------------- */

enum tr_gate {
    TR_GATE_OK, /* evaluated */
    TR_GATE_QUALITY,
    TR_GATE_ISOLATION,
    TR_GATE_GEOMETRY, /* this GPU cannot be divided so, another of the scenario can */
    TR_GATE_ENGINE,   /* the engine refuses its settings */
    TR_GATE_MEMORY,   /* weights or KV cache do not fit */
    TR_GATE_BOUND,    /* an objective is missed on an empty share */
    TR_GATE_FLEET,    /* no fleet size was found */
    TR_GATE_STOPPED   /* interrupted before it was evaluated */
};

struct tr_candidate {
    const struct tr_node_type *node;
    const struct tr_gpu *gpu;
    struct tr_arrangement arrangement;
    const struct tr_precision *precision;
    int precision_order; /* in the user's list */
    enum tr_gate gate;
    char why[320];     /* the reason for a gate other than OK, with its numbers */
    char warning[240]; /* what to mind when it is put to use, or "" */

    /* per part of the arrangement */
    struct tr_share_hw hw[TR_MAX_PARTS];
    struct tr_memory memory[TR_MAX_PARTS];
    struct tr_steptime steptime[TR_MAX_PARTS];
    struct tr_engine_config engine[TR_MAX_PARTS];
    int fastest;              /* the part with the most SMs, */
    struct tr_steptime alone; /* and its step time while the other parts idle */

    struct tr_ceiling ceiling;
    bool shares;                   /* prompts begin alike, and the engines have a prefix cache */
    double unloaded_inside[8];     /* per objective: at most this share of requests can be inside,
                                      even if each had the arrangement's fastest share to itself */
    int64_t unloaded_ttft_ns[3];   /* p50, p95, p99 of that */
    int64_t unloaded_mean_ttft_ns; /* of the mean prompt */
    double solo_answer_s;          /* time that one average answer occupies an idle share */

    double capacity_rps, capacity_lo, capacity_hi; /* one GPU: median, lowest, highest over seeds */
    int capacity_seeds;
    int64_t capacity_requests; /* of each run behind it, after a tenth of them as warm-up */

    int nodes;       /* the smallest fleet; 0: none found */
    bool beyond_max; /* above nodes.max */
    double usd_per_month;
    double scaled_usd_per_month; /* under its best autoscaling policy; 0: none is cheaper */
    struct tr_sim_result result; /* of that fleet on the given traffic */
    enum tr_label label;
    int sampled_gpus; /* 0: all were simulated */
    bool confirmed;   /* all GPUs, the whole traffic, the full capacity runs */
    /* Of a confirmed one: what the sample that screened it says of the same fleet. */
    int screened_gpus;      /* 0: none was taken */
    double screened_inside; /* share of its requests inside every objective */

    int fail_nodes;                     /* the largest fleet found too small, 0: none */
    int64_t fail_missed[TR_N_CAUSES];   /* and why its requests were outside, by cause, */
    int64_t fail_outside[TR_MAX_PARTS]; /* and on which parts */

    int rank;        /* 1 the pick, 2 the runner-up, ...; 0: not ranked */
    char cause[320]; /* one line: why it is not the pick */
};

/* ---- verdict -------------------------------------------------------------------------------- */

/* One of the "pick ... if" rules of the AKS chatbot article, with the figure that decides it. */
struct tr_rule {
    const char *condition; /* "bursty: peak minute over mean above 3" */
    const char *advice;    /* "whole or timeslice" */
    bool met;
    char figure[160];
};

/* A candidate that might win with other constants, and what became of it in each draw. The first is
 * the pick. */
#define TR_MAX_FINALISTS 4
struct tr_finalist {
    int candidate;
    int *nodes;                /* per draw; 0: no fleet would do */
    int nodes_p10, nodes_p90;  /* 0: none would do */
    int cheaper, ties, dearer; /* draws in which it costs less than the pick, the same, more */
};

/* One input changed, all others as they are: where the pick changes, nearest to today's value. */
enum tr_flip_kind {
    TR_FLIP_RATE,   /* times today's request rate */
    TR_FLIP_BURST,  /* every minute's rate to this power: 0 constant, 1 today's */
    TR_FLIP_PROMPT, /* times today's prompt lengths */
    TR_FLIP_SHARED, /* this part of each prompt is common to all, and the prefix cache holds it */
    TR_FLIP_PRICE,  /* times the price of the runner-up's nodes */
    TR_FLIP_ISOLATION, /* an enum tr_isolation */
    TR_N_FLIPS
};

/* Fleets by how far tenants' peaks coincide, of a described workload with several tenants. */
#define TR_N_SYNCHRONY 3
struct tr_synchrony {
    bool looked;
    int candidate[2];             /* the pick, and the runner-up or -1 */
    double value[TR_N_SYNCHRONY]; /* 0, the scenario's, 1 */
    int nodes[TR_N_SYNCHRONY][2]; /* 0: no fleet would do */
};

struct tr_flip_side {
    bool flips;
    double at;                /* the value from which on it is another */
    int to;                   /* the candidate that takes over; -1: nothing meets the objective */
    int pick_nodes, to_nodes; /* there; 0: none would do */
};
struct tr_flip {
    bool looked; /* between these two values */
    double least, most;
    char why_not[80];
    struct tr_flip_side below, above;
};

struct tr_plan {
    struct tr_arena arena;
    const struct tr_scenario *scenario;
    struct tr_plan_opts opts;
    struct tr_traffic_spec traffic; /* with the rate scale that was used */
    struct tr_traffic_stats stats;
    struct tr_spikes spikes;
    struct tr_lengths lengths;
    double relative_capacity; /* C of a capacity-relative scenario; 0: literal */
    struct tr_candidate *candidates;
    size_t n_candidates;
    size_t *order;       /* candidate indices, best first, unranked last */
    int pick, runner_up; /* candidate indices; -1: none */
    bool meets;          /* the pick meets the objective within nodes.max */
    int n_draws;         /* that were made */
    int n_finalists;
    struct tr_finalist finalists[TR_MAX_FINALISTS];
    struct tr_flip flips[TR_N_FLIPS];
    struct tr_synchrony synchrony;
    struct tr_front front;
    int n_victims;
    struct tr_victim *victims; /* by rank; where the workload has tenants */
    int n_scaled;
    struct tr_autoscaled *scaled; /* those whose autoscaling was looked at, the pick first */
    size_t n_scaled_runs;
    struct tr_scaled_run *scaled_runs; /* all policies that were tried */
    int n_rules;
    struct tr_rule rules[8];
    int n_lines;
    const char *lines[32]; /* the verdict in words, one sentence or two each */
    int n_not_modelled;
    const char *not_modelled[16];
    int64_t simulated_requests;
    bool interrupted;
    struct tr_pools *pools; /* of several workloads (pools.h): then all else but opts is empty */
};

/* ---- the steps (each in its own file) ---------------------------------------------------------
 */

void tr_lengths_measure(struct tr_lengths *l, struct tr_arena *arena, struct tr_source *src,
                        int64_t max_model_len);
void tr_lengths_fixed(struct tr_lengths *l, struct tr_arena *arena, int32_t prompt_tok,
                      int32_t output_tok);
/* The share of requests at or below a length, by one of the two cumulative counts. */
double tr_lengths_share(const struct tr_lengths *l, const int64_t *cum, int64_t limit_tok);
int32_t tr_lengths_prompt_quantile(const struct tr_lengths *l, double q);
/* Peak FLOP/s of `sm_fraction` of the candidate's card: twice bf16 where fp8 is native. */
double tr_ceiling_peak_flops(const struct tr_candidate *c, double sm_fraction);
/* Bytes/s of the arrangement's parts together. */
double tr_ceiling_bandwidth(const struct tr_candidate *c);
/* All zero where every request is refused. */
void tr_ceiling_compute(struct tr_ceiling *c, const struct tr_candidate *cand,
                        const struct tr_model *model, const struct tr_lengths *lengths);

/* engine.max_model_len, or what the model can do. */
int32_t tr_workload_model_len(const struct tr_workload *w);
/* Fills a candidate from texts: gates QUALITY, ISOLATION, ENGINE, MEMORY. `w` is the
 * workload; TR_EINPUT only when the text itself cannot be parsed. */
void tr_candidate_build(struct tr_candidate *c, struct tr_arena *arena, const struct tr_scenario *s,
                        const struct tr_node_type *node, const struct tr_arrangement *arrangement,
                        const struct tr_precision *precision, int precision_order);
/* The warning: what pods that start together on one memory take from each other. */
void tr_candidate_warn(struct tr_candidate *c, const struct tr_workload *w);
/* Part p of a simple GPU server's candidate, and what hardware allows it. */
void tr_server_part(struct tr_candidate *c, int p, struct tr_arena *arena,
                    const struct tr_workload *w);
void tr_server_ceiling(struct tr_candidate *c, const struct tr_lengths *l);
/* Unloaded latencies and the BOUND gate. */
void tr_candidate_bound(struct tr_candidate *c, const struct tr_workload *w,
                        const struct tr_lengths *lengths);
/* What an arrangement keeps its pods apart with. */
enum tr_isolation tr_isolation_of(const struct tr_arrangement *a);
enum tr_router tr_candidate_router(const struct tr_candidate *c, const struct tr_workload *w);
enum tr_gpu_resource tr_candidate_resource(const struct tr_candidate *c);
struct tr_fleet_config tr_candidate_fleet(const struct tr_candidate *c, const struct tr_workload *w,
                                          int gpus, uint64_t seed);
/* All candidates of the scenario; explicit `compare` texts that are wrong are TR_EINPUT. */
int tr_candidates_enumerate(const struct tr_scenario *s, struct tr_arena *arena,
                            struct tr_candidate **out, size_t *n, struct tr_err *err);

/* How much is simulated for a figure. Pairs: [1] for arrangements whose pods take turns, of which a
 * request costs ten times as much to simulate. */
struct tr_effort {
    int64_t requests[2]; /* of a capacity run, after a tenth of them as warm-up */
    int seeds;           /* of which capacity is the median */
    double precision;    /* to which each is found */
    int64_t sample[2];   /* of a fleet, so many GPUs as see this many requests; 0: all */
};
bool tr_evaluate_turns(const struct tr_candidate *c);
#define TR_CAPACITY_SEEDS 5
extern const struct tr_effort tr_effort_quick;  /* --quick */
extern const struct tr_effort tr_effort_screen; /* to find the candidates that can win */
extern const struct tr_effort tr_effort_exact;  /* those: the definitions of docs/model.md */

#define TR_QUEUE_LIMIT 1000000 /* a run in which more requests wait is over */

struct tr_evaluation {
    const struct tr_scenario *scenario;
    const struct tr_plan_opts *opts;
    struct tr_source *source; /* cloned per run */
    const struct tr_spikes *spikes;
    struct tr_effort effort;
    _Atomic int64_t *simulated;
};
/* The scenario's traffic with rates of its own: those of a capacity-relative one are multiplied by
 * C / relative_to, where C (*capacity, 0 for any other) is what `whole` at the preferred precision
 * carries on one GPU of the first node type. */
int tr_plan_traffic(const struct tr_scenario *s, const struct tr_plan_opts *opts,
                    _Atomic int64_t *simulated, struct tr_traffic_spec *out, double *capacity,
                    struct tr_err *err);
/* TR_EINPUT where no request of the traffic decides about the objective. */
int tr_plan_traffic_decides(const struct tr_scenario *s, const struct tr_spikes *spikes,
                            struct tr_err *err);
/* ---- searches -------------------------------------------------------------------------------- */

/* A hunt for the highest load that meets the objective: of one GPU in requests/s, or one over the
 * size of a fleet. A run says by how much it is off: ln of the requests outside over those that the
 * objective forgives, where those that are outside even on an idle share count in neither. That
 * grows about as a power of the load, and the next load is read off the line through two runs. */
struct tr_hunt {
    double met, over; /* the highest load met, the lowest not; 0: none yet */
    double met_excess, over_excess;
    double last, last_excess, slope;
    int runs, in_a_row; /* in_a_row: with the same answer, the last one included */
};
/* That power, before anything was run: 1 where pods share their hardware (the chance of a busy
 * neighbour), 3 in a queue. A hunt begins with it as its slope. */
double tr_hunt_growth(const struct tr_candidate *c);
void tr_hunt_learn(struct tr_hunt *h, double load, double excess);
/* What to try next, so that met and over come to stand `precision` (0.02) apart. */
double tr_hunt_next(const struct tr_hunt *h, double precision);
/* Above 0 exactly where the run does not meet it. `expected`: requests of the whole run, of which
 * one that stopped early has seen a part. */
double tr_hunt_excess(const struct tr_candidate *c, const struct tr_sim_result *result,
                      const struct tr_slo *slo, int64_t expected);

/* Is the objective met, and not only because it cannot see a queue that grows for ever? */
bool tr_objective_carried(const struct tr_sim_result *result, const struct tr_slo *slo);
/* Capacity of one GPU: median over seeds. A capacity that is known already is where it begins. */
int tr_evaluate_capacity(struct tr_candidate *c, const struct tr_evaluation *ev,
                         struct tr_err *err);

/* The smallest fleet, found by trying sizes. */
struct tr_sizing {
    int nodes;                   /* 0: none was found */
    struct tr_sim_result result; /* of that fleet, freed by the caller */
    int sampled_gpus;            /* 0: all were simulated */
    int fail_nodes;              /* the largest fleet found too small, 0: none */
    int64_t fail_missed[TR_N_CAUSES];
    int64_t fail_outside[TR_MAX_PARTS];
};
/* Can some GPUs of a fleet stand for all? */
bool tr_evaluate_can_sample(const struct tr_candidate *c, const struct tr_workload *w);
/* One fleet on the traffic, as many of its GPUs as the effort says. */
int tr_evaluate_run(const struct tr_candidate *c, const struct tr_evaluation *ev, int nodes,
                    struct tr_sim_result *result, struct tr_err *err);
/* The same to its end, whatever the answer. */
int tr_evaluate_share(const struct tr_candidate *c, const struct tr_evaluation *ev, int nodes,
                      struct tr_sim_result *result, struct tr_err *err);
/* A fleet that changes its size, on all of the traffic. */
int tr_evaluate_elastic(const struct tr_candidate *c, const struct tr_evaluation *ev,
                        const struct tr_scaling *scaling, struct tr_sim_result *result,
                        struct tr_err *err);
/* The smallest fleet, searched from `guess` nodes on. */
int tr_evaluate_size(const struct tr_candidate *c, const struct tr_evaluation *ev, int guess,
                     struct tr_sizing *out, struct tr_err *err);
/* Where the search begins: the fewest nodes that would do by a law of the requests outside over the
 * load, minute by minute. */
int tr_evaluate_guess(const struct tr_candidate *c, const struct tr_evaluation *ev);
/* No fleet is smaller: nodes.min, and a pod for each tenant where they have their own. */
int tr_evaluate_least(const struct tr_candidate *c, const struct tr_scenario *s);
double tr_evaluate_cost(const struct tr_candidate *c, int nodes); /* USD a month */
/* The same for a candidate: fills its fleet, its result, its cost; begins at its nodes, if any. */
int tr_evaluate_fleet(struct tr_candidate *c, const struct tr_evaluation *ev, struct tr_err *err);
/* The highest rate in requests/s at which `slo` is met by `c` on one GPU for requests like `src`;
 * 0 if none is. Found to `precision` (0.02). */
int tr_search_rate(const struct tr_candidate *c, const struct tr_workload *w,
                   const struct tr_slo *slo, struct tr_source *src, int64_t requests,
                   int64_t warmup, double precision, double guess, uint64_t seed,
                   const struct tr_evaluation *ev, double *rate, struct tr_err *err);

/* "; of requests outside, 95 % are on 2g.20gb, 2 of the 3 pods", in the largest fleet found too
 * small. Nothing where all parts are alike. */
void tr_parts_blame(const struct tr_candidate *c, struct tr_str *out);

/* ---- the stages of a plan -------------------------------------------------------------------- */

/* n pieces of work on all CPUs. An interruption leaves the rest undone. */
struct tr_stage {
    const struct tr_plan_opts *opts;
    const char *name; /* what progress says */
    double from, to;  /* of the whole plan */
    _Atomic int64_t *simulated;
    int (*fn)(void *arg, size_t i, struct tr_err *err);
    void *arg;
};
/* The first error that is not TR_EINTR, else TR_EINTR if any piece was left. */
int tr_stage_run(const struct tr_stage *stage, size_t n, struct tr_err *err);

/* Every candidate through capacity and fleet on a sample; then, without --quick, those that can win
 * once more with all that there is, until pick and runner-up are confirmed. */
int tr_screen_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err);

/* ---- other circumstances ---------------------------------------------------------------------
 */

/* The candidates with drawn constants, or on other traffic; a case is used by one thread. */
struct tr_case {
    struct tr_arena arena;
    struct tr_plan_opts opts;
    struct tr_evaluation ev;
    struct tr_spikes spikes;
    struct tr_lengths lengths;
    uint64_t draw; /* of the constants; 0: the catalog's own */
};
/* Takes the source over. */
void tr_case_open(struct tr_case *k, const struct tr_plan *plan, const struct tr_evaluation *ev,
                  struct tr_source *src);
void tr_case_close(struct tr_case *k);
/* The smallest fleet of a candidate in this case, on a sample, searched from `guess` nodes on; 0:
 * none would do. */
int tr_case_size(struct tr_case *k, const struct tr_candidate *nominal, int guess, int *nodes,
                 struct tr_err *err);
/* What so many nodes of it cost, in what is compared: dollars, or GPUs. */
double tr_case_cost(const struct tr_candidate *c, int nodes);
/* How many requests are simulated for one size, about. */
int64_t tr_case_requests(const struct tr_candidate *c, const struct tr_evaluation *ev);

#define TR_KEEP_REQUESTS 2000000 /* 32 MB: every fleet size replays the same requests */

/* Flips by simulation: rate, burst, prompt, shared. */
int tr_flips_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err);
/* Fleets at other synchronies; nothing where tenants or their description are missing. */
int tr_synchrony_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err);
void tr_verdict_synchrony(struct tr_plan *plan);
/* Flips in closed form: price, isolation. Needs the ranking. */
void tr_flips_closed(struct tr_plan *plan);
/* What neighbours do to a pod, for every arrangement that is ranked. */
int tr_victims_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err);
/* The draws: those within 1.5 times the pick's cost, at most four, sized anew in each. */
int tr_draws_run(struct tr_plan *plan, const struct tr_evaluation *ev, struct tr_err *err);
/* Is this finalist cheaper than the pick in more than a fifth of the draws? */
bool tr_draws_too_close(const struct tr_plan *plan, const struct tr_finalist *x);

/* ---- the verdict ------------------------------------------------------------------------------
 */

/* Ranks all candidates anew: `order`, `pick`, `runner_up`, `meets`. */
void tr_rank_all(struct tr_plan *plan);
/* Which of two that cost the same within the tie goes first. */
bool tr_rank_simpler(const struct tr_plan *plan, const struct tr_candidate *a,
                     const struct tr_candidate *b);
/* The best of n candidates with so many nodes each (0: none would do), as an index into `which`;
 * -1: none. */
int tr_rank_among(const struct tr_plan *plan, const int *which, const int *nodes, int n);
bool tr_rank_ranked(const struct tr_candidate *c);
bool tr_rank_priced(const struct tr_candidate *c);
/* What is compared: dollars, autoscaled where that is known and cheaper; or GPUs where there are no
 * prices. */
double tr_rank_cost(const struct tr_candidate *c);
/* The most frequent causes that have a tenth of the misses or more: at most two, returned. */
int tr_top_causes(const int64_t *missed, enum tr_cause top[2]);
/* A sentence of the verdict, and its parts: "$40,219 a month", "whole bf16 on azure/..." (the node
 * type where there are several). */
void tr_verdict_say(struct tr_plan *plan, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *tr_verdict_money(char buf[32], double usd);
const char *tr_verdict_name(struct tr_plan *plan, const struct tr_candidate *c);
void tr_verdict_sureness(struct tr_plan *plan);
/* Ranks, causes, rules and sentences. */
void tr_verdict_make(struct tr_plan *plan);

/* ---- check ----------------------------------------------------------------------------------- */

struct tr_claim_answer {
    const struct tr_claim *claim;
    struct tr_candidate candidate;
    struct tr_lengths lengths;
    bool refuted;
    double possible_rate; /* rate at which the claimed latencies hold; -1: none were claimed */
    int n_lines;
    const char *lines[8]; /* the arithmetic */
};

struct tr_check {
    struct tr_arena arena;
    const struct tr_scenario *scenario;
    struct tr_traffic_stats stats;
    struct tr_lengths lengths;
    struct tr_candidate *candidates; /* built, bounded, not simulated */
    size_t n_candidates;
    /* Probability that another pod of the same piece of hardware is busy when a request arrives, at
     * the scenario's mean rate on one GPU (all of it) and at 0.04 requests/s per pod. */
    double *busy_other;
    double *rate_half_busy; /* requests/s per pod at which that probability is one half */
    struct tr_claim_answer *answers;
    size_t n_answers;
};

/* ---- simulate -------------------------------------------------------------------------------- */

struct tr_simulation {
    struct tr_arena arena;
    const struct tr_scenario *scenario;
    struct tr_simulate_opts opts;
    struct tr_candidate candidate;
    struct tr_traffic_stats stats;
    struct tr_sim_result result;
    enum tr_label label;
    int nodes;   /* the most at once, where they come and go */
    bool scaled; /* by the scenario's own policy: it gives a target */
    struct tr_policy_run policy;
};

#endif
