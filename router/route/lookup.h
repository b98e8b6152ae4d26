/*
 * One look-up: where a user is, and whether the mailboxes that matter are empty, asked in one pipelined go. Its answer
 * is a route. Who waits for it, and whether the answer still counts when it comes, is resolver.c's.
 */
#ifndef HERALD_ROUTER_ROUTE_LOOKUP_H
#define HERALD_ROUTER_ROUTE_LOOKUP_H

#include "common/buf.h"
#include "common/list.h"
#include "common/redis.h"
#include "router/record/push.h"
#include "router/route/route.h"

enum { LOOKUP_DEVICES_MAX = 16 /* whose mailbox one look-up asks for; more wait for the next */ };

struct lookup;

struct lookup_events {
    /* All replies are there; is_failed: some are errors, and the route is not to be used. May free the look-up. */
    void (*answered)(void *arg, struct lookup *lookup);
    /* The lanes' number for an instance's name. */
    uint32_t (*instance)(void *arg, const char *name, size_t len);
};

/* Exposed for resolver.c, whose the first members are. */
struct lookup {
    struct list link;    /* fresh or parked; on none while asking */
    struct list waiters; /* struct resolver_waiter */
    uint64_t epoch;
    bool is_dirty;
    uint32_t overtaken_count;

    uint32_t magic;
    bool is_failed, wants_known; /* wants_known: the names of all devices that ever connected, too */
    const struct lookup_events *events;
    void *arg;
    struct route *route;              /* as far as it is known */
    uint32_t open_count, reply_count; /* replies to come, and had */
    uint32_t asked_count;
    char *asked[LOOKUP_DEVICES_MAX];
    uint32_t user_len;
    char user[];
};

/* The events are borrowed. */
struct lookup *lookup_new(struct push_str user, const struct lookup_events *events, void *arg);
/* No reply may be to come, but for ERR_CLOSED. */
void lookup_free(struct lookup **lookup);
/* Its mailbox matters, from the next time on. What was once asked for is asked for again. */
void lookup_add_device(struct lookup *lookup, const char *device, size_t len);
/* key: scratch. False: nothing could be asked, and answered() will not be called. */
bool lookup_ask(struct lookup *lookup, struct redis *redis, struct buf *key);

#endif
