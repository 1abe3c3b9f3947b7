/* check: is it physically possible at all, and where is the limit?
 *
 * Ceilings from arithmetic, memory bandwidth and KV memory for a workload on a GPU and its shares;
 * what fits into memory and what does not; how often pods on one card meet. And claims: published
 * figures held against the same arithmetic.
 */
#ifndef TRANCHE_CHECK_H
#define TRANCHE_CHECK_H

#include <tranche/tranche.h>
#include <tranche/scenario.h>

struct tr_check;

int tr_check_run(const struct tr_scenario *scenario, uint64_t seed, struct tr_check **out,
                 struct tr_err *err);
void tr_check_free(struct tr_check *check);
int tr_check_write(const struct tr_check *check, enum tr_format format, FILE *out,
                   struct tr_err *err);
/* 0: possible; TR_EXIT_NO: nothing fits, or a claim is refuted. */
int tr_check_exit(const struct tr_check *check);

#endif
