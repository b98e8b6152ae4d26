/* The body of struct dispatch, shared by the files of this folder; nobody else includes this. */
#ifndef HERALD_ROUTER_DISPATCH_DISPATCH_INTERNAL_H
#define HERALD_ROUTER_DISPATCH_DISPATCH_INTERNAL_H

#include "router/dispatch/dispatch.h"
#include "router/flow/each.h"
#include "router/flow/entry.h"
#include "router/box/spill.h"

enum { DISPATCH_MAGIC = 0x64697370 };

struct dispatch {
    uint32_t magic;
    struct loop *loop;
    struct ledger *ledger;
    struct inflight *inflight;
    struct flows *flows;
    struct resolver *resolver;
    struct lanes *lanes;
    struct mailbox *mailbox;
    struct spill *spill;
    struct dedup *dedup;
    struct each *each;
    struct loop_timer *tick_timer;
    unsigned tick_count;
};

/* --- dispatch.c */

/* A target sets out. A durable one claims its id inside its flow, so that it keeps its place; those behind it wait. */
void dispatch_start(struct dispatch *d, struct entry *e);
void dispatch_start_all(struct dispatch *d, struct entry *e);

/* --- fate.c: how an entry ends */

/* Neither expired nor an orphan. */
bool fate_is_wanted(const struct dispatch *d, const struct entry *e);
/* It has left its flow. */
void fate_end(struct dispatch *d, struct entry *e, struct outcome *outcome);
void fate_end_as(struct dispatch *d, struct entry *e, enum outcome_kind kind, enum miss miss);
/* The same for an entry that may be in a flow, which then goes on without it. */
void fate_leave(struct dispatch *d, struct entry *e, struct outcome *outcome);

/* --- attempt.c: an entry goes out */

/* False: it could not, and e->miss says why. */
bool attempt_send(struct dispatch *d, struct entry *e, uint32_t number, uint64_t generation, uint64_t connection);
/* To where the user (or the one device) is: volatile to every live instance once; durable to every session by its
 * connection, so that one which followed it unknown to this router does not take what is newer than what its
 * predecessor missed. False: to none, and e->miss says why. */
bool attempts_send(struct dispatch *d, struct entry *e, const struct route *route);
void attempt_release(struct dispatch *d, struct slot *slot);
void attempts_release(struct dispatch *d, struct entry *e);

/* --- volatile.c */

void volatile_start(struct dispatch *d, struct entry *e);
void volatile_resolved(struct dispatch *d, struct entry *e, const struct route *route);
/* All its attempts failed. */
void volatile_missed(struct dispatch *d, struct entry *e);

/* --- durable.c */

/* The first held entry of a flow that is live. False: nothing more can go out of the flow now. */
bool durable_resolved(struct dispatch *d, struct entry *e, const struct route *route);
/* Sends what may go out, or to the mailbox. The flow may be gone afterwards. */
void durable_settle(struct dispatch *d, struct flow *flow);
/* What waits in the flow of an entry, and gives way to it. */
void durable_collapse_older(struct dispatch *d, struct entry *e);
extern const struct spill_events durable_spill_events;

/* --- verdict.c: what came of it; dispatch_result() is there */

void verdict_failed(struct dispatch *d, struct slot *slot, enum miss miss);
/* To all: it ends when every attempt has. */
void verdict_of_all(struct dispatch *d, struct entry *e);
extern const struct lanes_events verdict_lanes_events;

/* --- fanout.c: a record becomes targets; dispatch_accept() is there */

extern const struct each_events fanout_each_events;

#endif
