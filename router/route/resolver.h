/*
 * Asks Redis where a user is and whether the mailbox is empty, once for all who wait, and remembers the answer as long
 * as it is known to be right (tracking.h). An answer whose keys changed while it was under way, or during which
 * something was forgotten, goes to nobody: it is asked for again. That ends, since each new question takes a change
 * after the one before; and when the changes do not end, the eighth answer is used with all mailboxes taken for not
 * empty, which is right for durable messages at any time.
 *
 * While Redis cannot be reached at all, what was known goes on being used (nobody can be asked), and other look-ups
 * wait. A wrong answer is safe: gateways refuse what they do not hold.
 */
#ifndef HERALD_ROUTER_ROUTE_RESOLVER_H
#define HERALD_ROUTER_ROUTE_RESOLVER_H

#include "common/list.h"
#include "common/loop.h"
#include "common/redis.h"
#include "router/record/push.h"
#include "router/route/route.h"

struct resolver;

/* Embedded in what waits; its strings must stay while it waits. */
struct resolver_waiter {
    struct list link;
    struct push_str user, device; /* device "": all of them */
    bool wants_known;             /* all devices that ever connected are asked for, too */
};

struct resolver_settings {
    const struct redis_options *redis; /* borrowed */
    const char *router;                /* this router's id; borrowed */
    uint32_t cache_max;                /* users */
};

struct resolver_events {
    /* The route is borrowed for the call. Waiters of a user are called in the order in which they came. */
    void (*resolved)(void *arg, struct resolver_waiter *waiter, const struct route *route);
    /* The lanes' number for an instance's name. */
    uint32_t (*instance)(void *arg, const char *name, size_t len);
};

struct resolver *resolver_new(struct loop *loop, const struct resolver_settings *settings,
                              const struct resolver_events *events, void *arg);
/* Waiters must be gone. */
void resolver_free(struct resolver **resolver);
void resolver_waiter_init(struct resolver_waiter *waiter, struct push_str user, struct push_str device);
/* What is known of that user (and, for a device, of its own mailbox); NULL: resolver_wait(). Valid until the next call.
 */
const struct route *resolver_find(struct resolver *resolver, struct push_str user, struct push_str device);
/* The same, with all devices that are known. */
const struct route *resolver_find_known(struct resolver *resolver, struct push_str user);
/* resolved() will be called, never from inside. */
void resolver_wait(struct resolver *resolver, struct resolver_waiter *waiter);
bool resolver_is_waiting(const struct resolver_waiter *waiter);
/* No-op when it does not wait. */
void resolver_cancel(struct resolver_waiter *waiter);
/* Calls fn for each waiter; it may cancel that one. */
void resolver_each(struct resolver *resolver, void (*fn)(void *arg, struct resolver_waiter *waiter), void *arg);
/* What is known of the user is wrong (a gateway said so, or this router changed it). */
void resolver_forget(struct resolver *resolver, struct push_str user);
/* Nothing known or being asked counts any more: a partition has come, and its former owner may have filled mailboxes.
 */
void resolver_forget_all(struct resolver *resolver);
bool resolver_is_up(const struct resolver *resolver);
/* For gauges. */
bool resolver_is_caching(const struct resolver *resolver);
uint32_t resolver_cached(const struct resolver *resolver);
uint32_t resolver_lookups(const struct resolver *resolver);

#endif
