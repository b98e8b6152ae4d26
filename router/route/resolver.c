#include "router/route/resolver.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/metric.h"
#include "common/table.h"
#include "router/route/lookup.h"
#include "router/metrics.h"
#include "router/route/tracking.h"

enum {
    CHECK_MS = 500, /* look-ups that failed are tried again, tracking is seen to */
    TRIES_MAX = 8   /* look-ups of one user that may be overtaken in a row, before an answer is used with care */
};

struct resolver {
    struct loop *loop;
    struct resolver_events events;
    void *arg;
    struct routes *routes;
    struct tracking *tracking;
    struct table *lookups;
    struct list fresh, parked;
    struct loop_task ask_task;
    struct loop_timer *check_timer;
    struct buf key;
};

static bool match_lookup(const void *item, const void *key, size_t key_len)
{
    const struct lookup *lookup = item;
    return lookup->user_len == key_len && memcmp(lookup->user, key, key_len) == 0;
}

/* --- asking --- */

/* The devices that somebody waits for, then those that were known before. */
static void choose_devices(struct resolver *resolver, struct lookup *lookup)
{
    lookup->wants_known = false;
    list_each (at, &lookup->waiters) {
        const struct resolver_waiter *waiter = container_of(at, struct resolver_waiter, link);
        if (waiter->device.len > 0)
            lookup_add_device(lookup, waiter->device.at, waiter->device.len);
        lookup->wants_known |= waiter->wants_known;
    }
    const struct route *known = routes_find(resolver->routes, lookup->user, lookup->user_len);
    for (uint32_t i = 0; known && i < known->device_count; i++)
        if (known->devices[i].is_box_known)
            lookup_add_device(lookup, known->devices[i].name, known->devices[i].name_len);
    lookup->wants_known |= known && known->is_known_listed;
}

static void queue(struct resolver *resolver, struct lookup *lookup)
{
    list_push(&resolver->fresh, &lookup->link);
    loop_defer(resolver->loop, &resolver->ask_task);
}

static void ask_fresh(void *arg)
{
    struct resolver *resolver = arg;
    struct list *at;
    while ((at = list_pop(&resolver->fresh))) {
        struct lookup *lookup = container_of(at, struct lookup, link);
        lookup->epoch = tracking_epoch(resolver->tracking);
        lookup->is_dirty = false;
        choose_devices(resolver, lookup);
        if (!lookup_ask(lookup, tracking_reads(resolver->tracking), &resolver->key))
            list_push(&resolver->parked, &lookup->link);
    }
}

static void ask_parked(void *arg)
{
    struct resolver *resolver = arg;
    if (list_is_empty(&resolver->parked) || !resolver_is_up(resolver))
        return;
    list_splice(&resolver->fresh, &resolver->parked);
    loop_defer(resolver->loop, &resolver->ask_task);
}

/* --- answers --- */

static bool covers(const struct route *route, struct push_str device, bool wants_known)
{
    const struct route_device *known = device.len > 0 ? route_device(route, device.at, device.len) : NULL;
    return (device.len == 0 || (known && known->is_box_known)) && (!wants_known || route->is_known_listed);
}

static bool is_overtaken(const struct resolver *resolver, const struct lookup *lookup)
{
    return lookup->is_dirty || lookup->epoch != tracking_epoch(resolver->tracking);
}

/* The keys change faster than they can be read. The places will do, since gateways refuse what they do not hold; all
 * mailboxes count as not empty, since behind a mailbox is where a durable message is in order whatever is in there. */
static void distrust(struct route *route)
{
    route->has_box = true;
    for (uint32_t i = 0; i < route->device_count; i++)
        route->devices[i].has_box = true;
}

/* Waiters may do anything but free the resolver. */
static void on_answered(void *arg, struct lookup *lookup)
{
    struct resolver *resolver = arg;
    bool is_late = is_overtaken(resolver, lookup);
    if (lookup->is_failed) {
        metric_add(METRIC_LOOKUPS_RETRIED, 1);
        list_push(&resolver->parked, &lookup->link);
        return;
    }
    if (is_late && ++lookup->overtaken_count < TRIES_MAX) {
        metric_add(METRIC_LOOKUPS_OVERTAKEN, 1);
        queue(resolver, lookup);
        return;
    }
    CHECK(table_remove(resolver->lookups, lookup->user, lookup->user_len) == lookup);
    if (is_late)
        distrust(lookup->route);
    else if (tracking_is_caching(resolver->tracking) && routes_put(resolver->routes, lookup->route))
        metric_add(METRIC_ROUTES_EVICTED, 1);
    struct list *at;
    while ((at = list_pop(&lookup->waiters))) {
        struct resolver_waiter *waiter = container_of(at, struct resolver_waiter, link);
        if (covers(lookup->route, waiter->device, waiter->wants_known))
            resolver->events.resolved(resolver->arg, waiter, lookup->route);
        else
            resolver_wait(resolver, waiter);
    }
    lookup_free(&lookup);
}

static uint32_t on_instance(void *arg, const char *name, size_t len)
{
    struct resolver *resolver = arg;
    return resolver->events.instance(resolver->arg, name, len);
}

static void on_changed(void *arg, const char *user, size_t user_len)
{
    struct resolver *resolver = arg;
    struct lookup *lookup = table_find(resolver->lookups, user, user_len);
    if (lookup)
        lookup->is_dirty = true;
}

static void on_check(void *arg)
{
    struct resolver *resolver = arg;
    ask_parked(resolver);
    tracking_check(resolver->tracking);
}

/* --- outside --- */

struct resolver *resolver_new(struct loop *loop, const struct resolver_settings *settings,
                              const struct resolver_events *events, void *arg)
{
    static const struct tracking_events tracking_events = {.changed = on_changed, .up = ask_parked};
    struct resolver *resolver = xcalloc(1, sizeof(*resolver));
    resolver->loop = loop;
    resolver->events = *events;
    resolver->arg = arg;
    resolver->routes = routes_new(settings->cache_max);
    resolver->lookups = table_new(match_lookup);
    list_init(&resolver->fresh);
    list_init(&resolver->parked);
    buf_init(&resolver->key);
    loop_task_init(&resolver->ask_task, ask_fresh, resolver);
    resolver->check_timer = loop_timer_new(loop, on_check, resolver);
    loop_timer_start(resolver->check_timer, CHECK_MS, CHECK_MS);
    resolver->tracking = tracking_new(loop, settings->redis, settings->router, resolver->routes, &tracking_events,
                                      resolver);
    return resolver;
}

void resolver_free(struct resolver **resolver_p)
{
    struct resolver *resolver = *resolver_p;
    if (!resolver)
        return;
    tracking_free(&resolver->tracking);
    loop_timer_free(&resolver->check_timer);
    loop_task_cancel(resolver->loop, &resolver->ask_task);
    size_t cursor = 0;
    struct lookup *lookup;
    while ((lookup = table_next(resolver->lookups, &cursor)))
        lookup_free(&lookup);
    table_free(&resolver->lookups);
    routes_free(&resolver->routes);
    buf_release(&resolver->key);
    free(resolver);
    *resolver_p = NULL;
}

void resolver_waiter_init(struct resolver_waiter *waiter, struct push_str user, struct push_str device)
{
    list_init(&waiter->link);
    waiter->user = user;
    waiter->device = device;
    waiter->wants_known = false;
}

const struct route *resolver_find(struct resolver *resolver, struct push_str user, struct push_str device)
{
    const struct route *route = routes_find(resolver->routes, user.at, user.len);
    bool is_hit = route && covers(route, device, false);
    metric_add(is_hit ? METRIC_ROUTE_HITS : METRIC_ROUTE_MISSES, 1);
    return is_hit ? route : NULL;
}

const struct route *resolver_find_known(struct resolver *resolver, struct push_str user)
{
    const struct route *route = routes_find(resolver->routes, user.at, user.len);
    return route && route->is_known_listed ? route : NULL;
}

void resolver_wait(struct resolver *resolver, struct resolver_waiter *waiter)
{
    struct lookup *lookup = table_find(resolver->lookups, waiter->user.at, waiter->user.len);
    if (!lookup) {
        static const struct lookup_events lookup_events = {.answered = on_answered, .instance = on_instance};
        lookup = lookup_new(waiter->user, &lookup_events, resolver);
        table_add(resolver->lookups, lookup->user, lookup->user_len, lookup);
        queue(resolver, lookup);
    }
    list_push(&lookup->waiters, &waiter->link);
}

bool resolver_is_waiting(const struct resolver_waiter *waiter)
{
    return !list_is_empty(&waiter->link);
}

void resolver_cancel(struct resolver_waiter *waiter)
{
    list_remove(&waiter->link);
}

void resolver_each(struct resolver *resolver, void (*fn)(void *arg, struct resolver_waiter *waiter), void *arg)
{
    size_t cursor = 0;
    struct lookup *lookup;
    while ((lookup = table_next(resolver->lookups, &cursor))) {
        list_each (at, &lookup->waiters)
            fn(arg, container_of(at, struct resolver_waiter, link));
    }
}

void resolver_forget(struct resolver *resolver, struct push_str user)
{
    on_changed(resolver, user.at, user.len);
    (void)routes_forget(resolver->routes, user.at, user.len);
}

void resolver_forget_all(struct resolver *resolver)
{
    tracking_forget_all(resolver->tracking);
}

bool resolver_is_up(const struct resolver *resolver)
{
    return redis_is_up(tracking_reads(resolver->tracking));
}

bool resolver_is_caching(const struct resolver *resolver)
{
    return tracking_is_caching(resolver->tracking);
}

uint32_t resolver_cached(const struct resolver *resolver)
{
    return routes_count(resolver->routes);
}

uint32_t resolver_lookups(const struct resolver *resolver)
{
    return table_count(resolver->lookups);
}
