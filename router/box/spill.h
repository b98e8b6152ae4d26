/*
 * Takes broken flows to the mailbox: in order, in runs, one run of a flow under way at a time. A run that Redis did not
 * take is sent again, as it is, until Redis does: the mailbox skips what it already has.
 */
#ifndef HERALD_ROUTER_BOX_SPILL_H
#define HERALD_ROUTER_BOX_SPILL_H

#include "common/loop.h"
#include "router/flow/entry.h"
#include "router/box/mailbox.h"

struct spill;

struct spill_events {
    /* The entry was out: its attempts are to be given up. It stays in its flow. */
    void (*recalled)(void *arg, struct entry *e);
    /* Is it still to be kept: neither expired nor abandoned? */
    bool (*is_wanted)(void *arg, const struct entry *e);
    /* It has left its flow; to be finished, as unwanted, stored or refused. */
    void (*unwanted)(void *arg, struct entry *e);
    void (*stored)(void *arg, struct entry *e);
    void (*refused)(void *arg, struct entry *e); /* the mailbox is full */
};

struct spill *spill_new(struct mailbox *mailbox, const struct spill_events *events, void *arg);
/* No call of the mailbox may be under way, and no run may wait. */
void spill_free(struct spill **spill);
/* Sends a run if flow_wants_run(). The flow may be gone afterwards. */
void spill_flow(struct spill *spill, struct flow *flow);
/* The first unfinished target of a record that is not in a run that Redis has been given: of those the answer decides.
 * NULL: none. */
struct entry *spill_first_free(const struct record *record);
/* An entry in a run that waits for Redis is not wanted any more: it leaves now. The flow may be gone afterwards. */
void spill_drop(struct spill *spill, struct entry *e);
/* Sends again what Redis did not take; call it now and then, and when Redis is back. */
void spill_retry(struct spill *spill);
/* Runs that wait for Redis. */
uint32_t spill_stalled(const struct spill *spill);

#endif
