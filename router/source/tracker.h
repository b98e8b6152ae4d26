/*
 * Which records of one partition are finished, and up to where that is without a hole: the offset that may be
 * committed. Records are added in the order of their offsets, which may have gaps (compaction, transactions), and
 * finish in any order. Pure; every call is O(1) amortised.
 */
#ifndef HERALD_ROUTER_SOURCE_TRACKER_H
#define HERALD_ROUTER_SOURCE_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct tracker;

/* Holds at most `max` records from the oldest unfinished to the newest (memory grows up to that as needed). */
struct tracker *tracker_new(uint32_t max);
void tracker_free(struct tracker **tracker);
/* *position_r names the record in tracker_done(). ERR_FULL: the window has no room; ERR_INVALID: the offset is not
 * newer than the last one (the log was truncated or the topic made anew: begin with a new tracker). */
enum err tracker_add(struct tracker *tracker, int64_t offset, uint64_t *position_r) MUST_CHECK;
/* Exactly once for each position. True when tracker_next() has grown. */
bool tracker_done(struct tracker *tracker, uint64_t position);
/* Everything before this offset is finished: the next one to read after a restart. -1 before the first record. */
int64_t tracker_next(const struct tracker *tracker);
/* Records from the oldest unfinished one to the newest: what the window is filled with. */
uint32_t tracker_span(const struct tracker *tracker);
/* Unfinished records. */
uint32_t tracker_pending(const struct tracker *tracker);
/* Offset of the oldest unfinished record; -1 when there is none. */
int64_t tracker_oldest(const struct tracker *tracker);

#endif
