/*
 * Metrics. A daemon has one const table of them, from which the Prometheus text and docs/metrics.md come.
 * Values live in blocks of 64-bit words in shared memory: a master that forks makes one block for each worker before
 * the fork, each worker writes its own without locks, and the master's /metrics prints them all, labelled slot="N".
 * A block has one writer at a time, a single thread: a master that counts as well reserves one more block for itself.
 */
#ifndef HERALD_COMMON_METRIC_H
#define HERALD_COMMON_METRIC_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* LISTED: the values are not known before and not kept here; metric_on_list() gives who prints them. */
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_LISTED_COUNTER, METRIC_LISTED_GAUGE };

/* Rows stand in the order of the daemon's enum of metric ids; a row without a name ends the table. */
struct metric {
    const char *name; /* herald_gateway_frames_out_total; units in the name (_seconds, _bytes, _total) */
    enum metric_kind kind;
    const char *help;
    const char *label;               /* NULL: none; of a LISTED one for the documents only */
    const char *const *label_values; /* NULL-terminated; the index is the `value` argument below */
    /* HISTOGRAM: upper bounds, in microseconds where the name ends in _seconds, ascending, ended by 0 */
    const uint64_t *bounds;
};

extern const uint64_t metric_latency_bounds[]; /* 100 us .. 60 s, ascending, ended by 0 */

/* Once a process, before any fork: reserves `blocks` blocks. Block 0 is used until metric_use_block(). */
void metric_setup(const struct metric *table, unsigned blocks);
void metric_use_block(unsigned block);
/* Gauges of a block back to 0 (its worker died); counters stay. */
void metric_clear_gauges(unsigned block);

void metric_add(unsigned id, uint64_t n);
void metric_add_labelled(unsigned id, unsigned value, uint64_t n);
void metric_set(unsigned id, int64_t to);
void metric_set_labelled(unsigned id, unsigned value, int64_t to);
void metric_observe(unsigned id, uint64_t amount); /* HISTOGRAM; microseconds for _seconds */

/* Of the current block. Of a histogram: how many were observed. */
uint64_t metric_get(unsigned id);
uint64_t metric_get_labelled(unsigned id, unsigned value);
/* Of a given block, or summed over all blocks with block < 0. */
uint64_t metric_read(int block, unsigned id, unsigned value);

/* Appends the lines `name{label="value"} number` of each LISTED metric in turn. One for the process; NULL: none. */
typedef void metric_list_fn(void *arg, unsigned id, const char *name, struct buf *out);
void metric_on_list(metric_list_fn *fn, void *arg);

/* The exposition format 0.0.4. With more than one block each sample has slot="N" (first_slot counted from 0). */
void metric_print(struct buf *out);
/* One labelled counter that its owner keeps, not in a block: a value for each label. */
void metric_print_own(const struct metric *metric, const uint64_t *values, struct buf *out);
/* A Markdown table: its head, then the rows of one or more tables. */
void metric_print_docs_head(struct buf *out);
void metric_print_docs(const struct metric *table, struct buf *out);

#endif
