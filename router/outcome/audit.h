/*
 * The accounts of each partition: what was accepted, what became of it, what was abandoned, and what is in flight,
 * which is counted by walking over what is there, not by adding and subtracting. So
 *
 *     accepted = sum of outcomes + abandoned + in flight
 *
 * holds only if every target that was accepted has exactly one fate. Canaries have a row of their own. Pure.
 */
#ifndef HERALD_ROUTER_OUTCOME_AUDIT_H
#define HERALD_ROUTER_OUTCOME_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "router/outcome/outcome.h"

enum {
    AUDIT_PARTITIONS_MAX = 4096, /* those beyond share one row, AUDIT_OTHERS */
    AUDIT_OTHERS = -1,
    AUDIT_CANARY = -2
};

struct audit_row {
    uint64_t accepted, finished[OUTCOME_KIND_COUNT], abandoned, in_flight;
};

struct audit;
struct audit *audit_new(void);
void audit_free(struct audit **audit);

/* The partition's number, or AUDIT_CANARY. */
void audit_accepted(struct audit *audit, int32_t partition);
void audit_finished(struct audit *audit, int32_t partition, enum outcome_kind kind);
void audit_abandoned(struct audit *audit, int32_t partition);
/* In flight is counted anew: nothing at first, then one call for each target. */
void audit_begin(struct audit *audit);
void audit_in_flight(struct audit *audit, int32_t partition);

/* NULL: nothing was ever accepted there. */
const struct audit_row *audit_row(const struct audit *audit, int32_t partition);
/* accepted - (sum of outcomes + abandoned + in flight): 0 when it adds up, positive when fates are missing. */
int64_t audit_row_imbalance(const struct audit_row *row);
/* Over all rows, without signs. */
uint64_t audit_imbalance(const struct audit *audit);
/* {"router","generation","timestamp","imbalance","partitions":[{"partition":3|"others"|"canary","accepted",
 * "outcomes":{"acked":..},"abandoned","inFlight","imbalance"}]}: only rows where something was accepted. */
void audit_add_json(const struct audit *audit, const char *router, uint64_t generation, uint64_t wall_ms,
                    struct buf *out);

/* Walks the rows in use: *cursor begins with 0. NULL at the end. */
const struct audit_row *audit_next(const struct audit *audit, uint32_t *cursor, int32_t *partition_r);
/* "3", "others", "canary"; text has room for 16 bytes. */
const char *audit_partition_name(int32_t partition, char *text);

#endif
