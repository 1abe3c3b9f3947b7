/* report: plans, checks and simulations as text for people and JSON for programs.
 *
 * Both are made whole in memory from the same structs and written at once, so that a full disk is
 * one error and never half a document. docs/report.md explains the tables, docs/json.md every key.
 *
 * Figures in tables: three significant digits, thousands separated by commas, the unit in the
 * heading; shares in per cent with two decimals, rounded down, so that 95.00 never stands for a
 * share that misses 95 %. JSON has full precision in base units, the unit in the key.
 */
#ifndef TR_REPORT_REPORT_H
#define TR_REPORT_REPORT_H

#include "plan/plan.h"
#include "report/table.h"

/* ---- figures (show.c) ------------------------------------------------------------------------ */

#define TR_SHOW 48
/* "0.0123", "3.21", "12.3", "1,234"; "-" for what is not a number. */
const char *tr_show_num(char buf[TR_SHOW], double x);
/* "94.99" of 0.94999; "-" for what is not a number. */
const char *tr_show_percent(char buf[TR_SHOW], double share);
const char *tr_show_gib(char buf[TR_SHOW], int64_t bytes); /* "15.0" */

/* "mig:1g.10gb*7 int4" */
const char *tr_show_candidate(char buf[128], const struct tr_candidate *c);
const char *tr_show_objective(char buf[64],
                              const struct tr_objective *o); /* "TTFT p95 <= 500 ms" */
const char *tr_gate_name(enum tr_gate gate);                 /* "memory" */
/* Letters name node types where a scenario has several: "A", "B", ... ""; where it has one. */
const char *tr_show_node_letter(char buf[TR_SHOW], const struct tr_scenario *s,
                                const struct tr_node_type *node);
/* Did this candidate's fleet run to its end? */
bool tr_candidate_ran(const struct tr_candidate *c);
/* "3 of 21": how many of the fleet's GPUs were simulated; "" when all were. */
const char *tr_show_sample(char buf[TR_SHOW], const struct tr_candidate *c);
/* Part i is the first of `*count` equal neighbours; returns the index after them. */
int tr_part_run(const struct tr_arrangement *a, int i, int *count);

/* Writes the text and frees it; TR_EENV when `out` does not take it. */
int tr_report_flush(struct tr_str *text, FILE *out, struct tr_err *err);
/* Refuses a format that a command has no form for; `allowed` is "table, json". */
int tr_report_refuse(enum tr_format format, const char *allowed, struct tr_err *err);

/* ---- sections shared by the commands (sections.c, explain.c) -----------------------------------
 */

/* Scenario, model, node types, traffic, objective. */
void tr_report_head(struct tr_str *out, const struct tr_scenario *s,
                    const struct tr_traffic_stats *stats, const struct tr_lengths *lengths,
                    double peak_minute_rate);
void tr_report_nodes(struct tr_str *out, const struct tr_scenario *s);
void tr_report_memory(struct tr_str *out, const struct tr_candidate *c);
void tr_report_ceiling(struct tr_str *out, const struct tr_candidate *c);
void tr_report_idle(struct tr_str *out, const struct tr_candidate *c, const struct tr_slo *slo);
/* What became of the requests: counts, causes of misses, the engines' counters. */
void tr_report_run(struct tr_str *out, const struct tr_sim_result *r);
/* All of the above for each candidate: --explain. */
void tr_report_explain(struct tr_str *out, const struct tr_plan *plan);
/* How sure: intervals and comparisons over the draws. */
void tr_report_draws(struct tr_str *out, const struct tr_plan *plan);
/* What would flip the answer, and what does not. */
void tr_report_flips(struct tr_str *out, const struct tr_plan *plan);
/* What the fleets cost, and the front of cost against the objective (plan_cost.c). */
void tr_report_bills(struct tr_str *out, const struct tr_plan *plan);
void tr_report_front(struct tr_str *out, const struct tr_plan *plan);
/* Fleets that come and go: policies and their course (plan_autoscale.c). */
void tr_report_autoscale(struct tr_str *out, const struct tr_plan *plan);
/* The course of a run over its spans, and the run as JSON. */
void tr_report_course(struct tr_str *out, const struct tr_policy_run *r);
void tr_report_json_policy(struct tr_json *j, const char *key, const struct tr_policy_run *r);
void tr_report_json_autoscale(struct tr_json *j, const struct tr_plan *plan);
void tr_report_json_bill(struct tr_json *j, const struct tr_plan *plan,
                         const struct tr_candidate *c);
void tr_report_json_front(struct tr_json *j, const struct tr_plan *plan);
/* What a neighbour does to a pod, and the command that shows it. */
void tr_report_victims(struct tr_str *out, const struct tr_plan *plan);
void tr_report_json_victims(struct tr_json *j, const struct tr_plan *plan);
void tr_report_pool_victims(struct tr_str *out, const struct tr_pools *p);
void tr_report_json_pool_victims(struct tr_json *j, const struct tr_pools *p);
void tr_report_json_flips(struct tr_json *j, const struct tr_plan *plan);
void tr_report_json_draws(struct tr_json *j, const struct tr_plan *plan);
void tr_report_plan_table(struct tr_str *out, const struct tr_plan *plan, bool explain);

/* Several workloads: the same documents. */
struct tr_pools;
void tr_report_pools_table(struct tr_str *out, struct tr_pools *p);
void tr_report_pools_json(struct tr_str *out, const struct tr_pools *p);
void tr_report_pools_csv(struct tr_str *out, const struct tr_pools *p);

/* ---- JSON (json_parts.c, plan_json.c) ----------------------------------------------------------
 */

void tr_report_json_head(struct tr_json *j, const char *schema, const struct tr_scenario *s);
void tr_report_json_traffic(struct tr_json *j, const struct tr_traffic_stats *stats);
void tr_report_json_lengths(struct tr_json *j, const struct tr_lengths *lengths);
void tr_report_json_objectives(struct tr_json *j, const struct tr_slo *slo);
/* Arrangement, gate, memory, ceilings, unloaded latencies: keys into an open object. */
void tr_report_json_candidate(struct tr_json *j, const struct tr_candidate *c,
                              const struct tr_slo *slo);
void tr_report_json_result(struct tr_json *j, const struct tr_sim_result *r, enum tr_label label,
                           const struct tr_slo *slo);
void tr_report_json_lines(struct tr_json *j, const char *key, const char *const *lines, int n);
void tr_report_plan_json(struct tr_str *out, const struct tr_plan *plan);

#endif
