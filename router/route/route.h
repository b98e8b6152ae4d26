/*
 * Where users are: a bounded cache of what Redis says about a user's devices and mailboxes, oldest use out first. Pure;
 * resolver.c fills it and keeps it right. Whether an instance lives in that generation is asked of the lanes at each
 * use.
 */
#ifndef HERALD_ROUTER_ROUTE_ROUTE_H
#define HERALD_ROUTER_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/list.h"

/* A value of herald:route:{user}: "<instance> <generation> <connection> <since_ms>". */
struct route_value {
    const char *instance;
    size_t instance_len;
    uint64_t generation, connection, since_ms;
};
enum err route_parse(const char *text, size_t len, struct route_value *value_r) MUST_CHECK;

struct route_device {
    const char *name;
    uint32_t name_len;
    bool is_known;     /* has connected before: only where route.is_known_listed */
    bool is_online;    /* has a route; instance, generation and connection are of it */
    bool is_box_known; /* it was asked whether the device's own mailbox exists; has_box is the answer */
    bool has_box;
    uint32_t instance; /* a number the lanes gave for its name */
    uint64_t generation, connection;
};

struct route {
    struct list link; /* of the cache */
    uint32_t refs;
    uint64_t stamp; /* of where the devices are: equal for equal places, over any number of look-ups */
    const char *user;
    uint32_t user_len;
    uint32_t device_count;
    bool has_box;         /* the user's own mailbox is not empty */
    bool is_known_listed; /* the devices are all that are known, not only those online */
    struct route_device devices[];
};

/* One block with copies of everything, and one reference. */
struct route *route_new(const char *user, size_t user_len, bool has_box, const struct route_device *devices,
                        uint32_t device_count);
struct route *route_ref(struct route *route);
void route_unref(struct route **route);
/* NULL: nothing is known of it. */
const struct route_device *route_device(const struct route *route, const char *name, size_t len);
/* Is there a device before i, online at the same place? */
bool route_is_repeated(const struct route *route, uint32_t i);

struct routes;

struct routes *routes_new(uint32_t max);
void routes_free(struct routes **routes);
uint32_t routes_count(const struct routes *routes);
/* NULL: not cached. */
const struct route *routes_find(struct routes *routes, const char *user, size_t len);
/* Takes a reference of its own; replaces what was known of the user, and the longest unused where there is no room:
 * then true. */
bool routes_put(struct routes *routes, struct route *route);
/* False: was not there. */
bool routes_forget(struct routes *routes, const char *user, size_t len);
void routes_clear(struct routes *routes);

#endif
