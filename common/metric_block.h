/* How metrics lie in their blocks. Private to metric*.c. */
#ifndef HERALD_COMMON_METRIC_BLOCK_H
#define HERALD_COMMON_METRIC_BLOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "metric.h"

/* A counter or gauge: one word for each label value (one when there is no label).
 * A listed one: none. A histogram: one word for each bucket, not cumulative, one for what is above all bounds, and the
 * sum. */
bool metric_is_listed(const struct metric *m);
size_t metric_word_count(const struct metric *m);
/* 1 when there is no label. */
unsigned metric_value_count(const struct metric *m);
unsigned metric_bound_count(const struct metric *m);

const struct metric *metric_table(void);
unsigned metric_block_count(void);
/* The first word of a metric in a block. Other processes write there: read with atomic_load_explicit(). */
const _Atomic uint64_t *metric_words(unsigned block, unsigned id);

#endif
