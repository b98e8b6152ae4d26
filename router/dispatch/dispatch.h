/*
 * The decisions on the way of every target of every record, from accepted to its one outcome:
 *
 *     accepted -> claim (a producer-given id) -> resolve -> (durable: flow) -> lanes -> results -> outcome
 *                    |                                       |  any failure                        ^
 *                    +-> duplicate                           +------> spill -> mailbox ------------+ stored
 *
 * Conservation: accepted = finished (outcomes, by kind) + abandoned (their partition was taken away) + in flight,
 * always.
 */
#ifndef HERALD_ROUTER_DISPATCH_DISPATCH_H
#define HERALD_ROUTER_DISPATCH_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/redis.h"
#include "router/flow/dedup.h"
#include "router/flow/inflight.h"
#include "router/link/lanes.h"
#include "router/flow/ledger.h"
#include "router/box/mailbox.h"
#include "router/route/resolver.h"
#include "router/record/record.h"

struct dispatch;

struct dispatch_settings {
    struct inflight_limits limits;
    struct lanes_settings lanes;
    struct mailbox_settings mailbox;
    struct resolver_settings resolver;
    struct dedup_settings dedup;
};

/* redis: for the mailbox and claims. bus: for the lanes; may be NULL in tests. */
struct dispatch *dispatch_new(struct loop *loop, struct bus *bus, struct redis *redis,
                              const struct dispatch_settings *settings, const struct ledger_events *events, void *arg);
/* After dispatch_abandon_all(). */
void dispatch_free(struct dispatch **d);
struct lanes *dispatch_lanes(struct dispatch *d);
struct resolver *dispatch_resolver(struct dispatch *d);

/* Fans a record out to its targets; takes over the reference that came with it. */
void dispatch_accept(struct dispatch *d, struct record *record);
/* From instance `number`. */
void dispatch_result(struct dispatch *d, uint32_t number, const Herald__V1__Result *result);
/* Redis is back: what waits for the mailbox or a claim is tried again at once. */
void dispatch_redis_up(struct dispatch *d);
/* The record has become an orphan: its targets end now, without outcomes; those on their way into a mailbox when the
 * answer is there. Its bytes may go when this returns. */
void dispatch_abandoned(struct dispatch *d, const struct record *record);
/* Everything unfinished, without outcomes: the process ends. The mailbox's connection must have been freed before. */
void dispatch_abandon_all(struct dispatch *d);

/* For gauges. */
struct dispatch_gauges {
    uint32_t targets;      /* in flight, canaries not counted */
    uint32_t records;      /* in the window */
    uint64_t record_bytes; /* of these */
    uint32_t slots, flows, stalled;
    uint32_t claims; /* that wait for Redis */
};
void dispatch_gauges(const struct dispatch *d, struct dispatch_gauges *gauges_r);
/* The same, and what is in its lanes and its resolver, as metrics. */
void dispatch_show(const struct dispatch *d);
struct ledger *dispatch_ledger(const struct dispatch *d);

#endif
