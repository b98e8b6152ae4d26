/* The body of struct dispatch, shared by dispatch.c and fanout.c; nobody else includes this. */
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

/* --- fanout.c: a record becomes targets; dispatch_accept() is there */

extern const struct each_events fanout_each_events;

#endif
