/*
 * Pushes with "devices":"each": one target becomes one for each device of the user that is known. That the devices are
 * known may take a look-up; what durable comes meanwhile for the same user or a device of it waits behind it, in order:
 * it would overtake the copy for that device else. A user without known devices keeps the one target: the user's
 * mailbox, where the mark of a later record of the same partition would hide it for good.
 */
#ifndef HERALD_ROUTER_FLOW_EACH_H
#define HERALD_ROUTER_FLOW_EACH_H

#include "common/list.h"
#include "router/record/push.h"
#include "router/route/resolver.h"
#include "router/route/route.h"

struct each;
struct each_queue;

/* Embedded in an entry. */
struct each_item {
    struct list link;
    struct each_queue *queue; /* NULL: does not wait */
    struct resolver_waiter *waiter;
    bool is_each; /* else it only waits its turn */
};

struct each_events {
    /* The item's turn has come; it is to become one for each device of the route. It may have ended when this returns.
     */
    void (*expand)(void *arg, struct each_item *item, const struct route *route);
    /* It has waited long enough. */
    void (*start)(void *arg, struct each_item *item);
};

struct each *each_new(struct resolver *resolver, const struct each_events *events, void *arg);
/* No item may wait. */
void each_free(struct each **each);
/* True: it waits, or was expanded inside this call. False: there is nothing to wait for, start it. */
bool each_take(struct each *each, struct each_item *item, struct resolver_waiter *waiter, bool is_each);
bool each_is_waiting(const struct each_item *item);
/* The look-up for an item that waits has been answered. */
void each_resolved(struct each *each, struct each_item *item, const struct route *route);
/* It ends early; those behind it go on. No-op when it does not wait. */
void each_cancel(struct each *each, struct each_item *item);
/* Nothing is started or expanded any more. */
void each_stop(struct each *each);
/* Is that device one of those that get a copy? */
bool each_wants(const struct route_device *device);

#endif
