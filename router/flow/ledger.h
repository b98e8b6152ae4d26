/*
 * Keeps account of entries: every target of a record begins with ledger_add() and ends with ledger_end(), in exactly
 * one outcome, or abandoned because its partition was taken away. accepted = finished + abandoned + in flight, always.
 * Also of the window: when records in flight are too many, and when there is room again.
 */
#ifndef HERALD_ROUTER_FLOW_LEDGER_H
#define HERALD_ROUTER_FLOW_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "router/outcome/audit.h"
#include "router/flow/entry.h"
#include "router/flow/inflight.h"
#include "router/outcome/outcome.h"

struct ledger;

struct ledger_events {
    /* Borrowed for the call. */
    void (*outcome)(void *arg, const struct outcome *outcome);
    /* The window is full; has room again. */
    void (*full)(void *arg);
    void (*room)(void *arg);
};

struct ledger_counts {
    uint64_t accepted, finished[OUTCOME_KIND_COUNT], abandoned;
    uint32_t in_flight; /* targets */
    uint32_t canaries;  /* of them */
};

struct ledger *ledger_new(struct loop *loop, struct inflight *inflight, const struct ledger_events *events, void *arg);
/* No entry may be left. */
void ledger_free(struct ledger **ledger);
/* A record comes with a reference of its own, which ledger_close() gives back when it has fanned out. */
void ledger_open(struct ledger *ledger, struct record *record);
void ledger_close(struct ledger *ledger, struct record *record);
/* An outcome of the record waits for Kafka: the record stays in the window, with a reference, though all its targets
 * may have ended. It may be one that was never opened here. */
void ledger_hold(struct ledger *ledger, struct record *record);
void ledger_release(struct ledger *ledger, struct record *record);
/* Only between the two, or while another entry of the record is unfinished. */
struct entry *ledger_add(struct ledger *ledger, struct record *record, struct push_str user, struct push_str device);
/* The one end of every entry: it holds no slots and is in no flow any more. What the outcome does not say yet comes
 * from the record. An orphan's outcome is not reported. */
void ledger_end(struct ledger *ledger, struct entry *e, struct outcome *outcome);
/* The oldest entry; NULL when there is none. */
struct entry *ledger_first(const struct ledger *ledger);
const struct ledger_counts *ledger_counts(const struct ledger *ledger);
/* The accounts of each partition, for counting what does not come this way (records that are dead at once). */
struct audit *ledger_accounts(const struct ledger *ledger);
/* The same as of now: in flight counted by walking. */
struct audit *ledger_audit(const struct ledger *ledger);
/* Does the identity hold, with what is in flight counted by walking? For tests and the end. */
bool ledger_is_balanced(const struct ledger *ledger);

#endif
