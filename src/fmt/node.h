/* fmt, private: the limits of a configuration file, and what the YAML and JSON readers share. */
#ifndef TR_FMT_NODE_H
#define TR_FMT_NODE_H

#include "fmt/fmt.h"

#define TR_FMT_MAX_DEPTH 64
#define TR_FMT_MAX_NODES 1000000
#define TR_FMT_MAX_BYTES ((size_t)64 << 20)

/* Fails with the position of the first key that stands twice in `map`. */
int tr_fmt_check_duplicates(const struct tr_node *map, struct tr_err *err);

#endif
