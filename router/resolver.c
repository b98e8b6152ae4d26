#include "router/resolver.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/table.h"
#include "router/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOKUP_MAGIC = 0x6c6f6f6b,
    ASKED_MAX = 16,   /* devices whose mailbox one look-up asks for; more wait for the next */
    DEVICES_MAX = 64, /* of a route that are looked at */
    CHECK_MS = 500,   /* look-ups that failed are tried again, tracking is seen to */
    PROBE_CHECKS = 4, /* every so many checks the way of invalidations is proved again */
    TRIES_MAX = 8,    /* look-ups of one user that may be overtaken in a row, before an answer is used with care */
    GRACE_MS = 250,   /* only the second connection seems lost: the first may follow at once, then Redis is away */
    REPLY_ROUTE = 0,  /* replies of a look-up come in the order of asking */
    REPLY_BOX = 1
};

struct lookup {
    uint32_t magic;
    uint32_t user_len;
    struct resolver *resolver;
    struct list link; /* fresh or parked; on none while asking */
    struct list waiters;
    uint64_t epoch;
    bool is_dirty, is_failed, wants_known;
    uint32_t overtaken_count;
    uint32_t asked_count;
    uint32_t open_count, reply_count; /* replies to come, and had */
    char *asked[ASKED_MAX];
    struct route *route; /* as far as it is known */
    char user[];
};

struct resolver {
    struct loop *loop;
    struct resolver_events events;
    void *arg;
    struct redis *reads, *pushes; /* that asks, with tracking on; that is told */
    struct routes *routes;
    struct table *lookups;
    struct list fresh, parked;
    struct loop_task ask_task;
    struct loop_timer *check_timer, *grace_timer;
    struct buf key;
    char probe_key[128];
    uint64_t epoch; /* changes when all is forgotten, and with is_caching: what was asked before counts no more */
    bool is_caching, is_probe_open;
    unsigned check_count;
};

static bool match_lookup(const void *item, const void *key, size_t key_len)
{
    const struct lookup *lookup = item;
    return lookup->user_len == key_len && memcmp(lookup->user, key, key_len) == 0;
}

/* --- look-ups --- */

static struct lookup *lookup_new(struct resolver *resolver, struct push_str user)
{
    struct lookup *lookup = xcalloc(1, sizeof(*lookup) + user.len + 1);
    lookup->magic = LOOKUP_MAGIC;
    lookup->resolver = resolver;
    lookup->user_len = user.len;
    memcpy(lookup->user, user.at, user.len);
    list_init(&lookup->waiters);
    list_init(&lookup->link);
    list_push(&resolver->fresh, &lookup->link);
    table_add(resolver->lookups, user.at, user.len, lookup);
    loop_defer(resolver->loop, &resolver->ask_task);
    return lookup;
}

/* Already out of the table. */
static void lookup_free(struct lookup *lookup)
{
    for (uint32_t i = 0; i < lookup->asked_count; i++)
        free(lookup->asked[i]);
    route_unref(&lookup->route);
    list_remove(&lookup->link);
    lookup->magic = 0;
    free(lookup);
}

static void ask_for(struct lookup *lookup, const char *device, size_t len)
{
    for (uint32_t i = 0; i < lookup->asked_count; i++)
        if (strlen(lookup->asked[i]) == len && memcmp(lookup->asked[i], device, len) == 0)
            return;
    if (lookup->asked_count < ASKED_MAX)
        lookup->asked[lookup->asked_count++] = xstrndup(device, len);
}

/* The devices that somebody waits for, then those that were known before. */
static void choose_devices(struct lookup *lookup)
{
    lookup->wants_known = false;
    list_each (at, &lookup->waiters) {
        const struct resolver_waiter *waiter = container_of(at, struct resolver_waiter, link);
        if (waiter->device.len > 0)
            ask_for(lookup, waiter->device.at, waiter->device.len);
        lookup->wants_known |= waiter->wants_known;
    }
    const struct route *known = routes_find(lookup->resolver->routes, lookup->user, lookup->user_len);
    for (uint32_t i = 0; known && i < known->device_count; i++)
        if (known->devices[i].is_box_known)
            ask_for(lookup, known->devices[i].name, known->devices[i].name_len);
    lookup->wants_known |= known && known->is_known_listed;
}

static bool covers(const struct route *route, struct push_str device, bool wants_known)
{
    const struct route_device *known = device.len > 0 ? route_device(route, device.at, device.len) : NULL;
    return (device.len == 0 || (known && known->is_box_known)) && (!wants_known || route->is_known_listed);
}

static void park(struct lookup *lookup)
{
    list_remove(&lookup->link);
    list_push(&lookup->resolver->parked, &lookup->link);
}

static bool is_overtaken(const struct lookup *lookup)
{
    return lookup->is_dirty || lookup->epoch != lookup->resolver->epoch;
}

static void ask_again(struct lookup *lookup)
{
    metric_add(METRIC_LOOKUPS_OVERTAKEN, 1);
    list_push(&lookup->resolver->fresh, &lookup->link);
    loop_defer(lookup->resolver->loop, &lookup->resolver->ask_task);
}

/* The keys change faster than they can be read. The places will do, since gateways refuse what they do not hold; all
 * mailboxes count as not empty, since behind a mailbox is where a durable message is in order whatever is in there. */
static void distrust(struct route *route)
{
    route->has_box = true;
    for (uint32_t i = 0; i < route->device_count; i++)
        route->devices[i].has_box = true;
}

/* All replies are there. Waiters may do anything but free the resolver. */
static void finish(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    if (lookup->is_failed) {
        metric_add(METRIC_LOOKUPS_RETRIED, 1);
        park(lookup);
        return;
    }
    if (is_overtaken(lookup) && ++lookup->overtaken_count < TRIES_MAX) {
        ask_again(lookup);
        return;
    }
    CHECK(table_remove(resolver->lookups, lookup->user, lookup->user_len) == lookup);
    if (is_overtaken(lookup))
        distrust(lookup->route);
    else if (resolver->is_caching && routes_put(resolver->routes, lookup->route))
        metric_add(METRIC_ROUTES_EVICTED, 1);
    struct list *at;
    while ((at = list_pop(&lookup->waiters))) {
        struct resolver_waiter *waiter = container_of(at, struct resolver_waiter, link);
        if (covers(lookup->route, waiter->device, waiter->wants_known))
            resolver->events.resolved(resolver->arg, waiter, lookup->route);
        else
            resolver_wait(resolver, waiter);
    }
    lookup_free(lookup);
}

static bool take_device(struct resolver *resolver, const struct redis_reply *reply, size_t i,
                        struct route_device *device)
{
    size_t name_len, value_len;
    const char *name = redis_reply_str(redis_reply_at(reply, i), &name_len);
    const char *text = redis_reply_str(redis_reply_at(reply, i + 1), &value_len);
    struct route_value value;
    if (name_len == 0 || name_len > PUSH_DEVICE_MAX || route_parse(text, value_len, &value)) {
        metric_add(METRIC_ROUTES_MALFORMED, 1);
        return false;
    }
    *device = (struct route_device){.name = name,
                                    .name_len = (uint32_t)name_len,
                                    .is_online = true,
                                    .generation = value.generation,
                                    .connection = value.connection};
    device->instance = resolver->events.instance(resolver->arg, value.instance, value.instance_len);
    return true;
}

static void take_route(struct lookup *lookup, const struct redis_reply *reply)
{
    struct route_device devices[DEVICES_MAX + ASKED_MAX];
    uint32_t count = 0;
    for (size_t i = 0; i + 1 < redis_reply_count(reply) && count < DEVICES_MAX; i += 2)
        count += take_device(lookup->resolver, reply, i, &devices[count]);
    for (uint32_t i = 0; i < lookup->asked_count; i++) {
        const char *name = lookup->asked[i];
        size_t len = strlen(name);
        uint32_t at = 0;
        while (at < count && (devices[at].name_len != len || memcmp(devices[at].name, name, len) != 0))
            at++;
        if (at == count)
            devices[count++] = (struct route_device){.name = name, .name_len = (uint32_t)len};
        devices[at].is_box_known = true;
    }
    route_unref(&lookup->route);
    lookup->route = route_new(lookup->user, lookup->user_len, false, devices, count);
}

/* The last reply: names only. */
static void take_known(struct lookup *lookup, const struct redis_reply *reply)
{
    enum { ROOM = 2 * DEVICES_MAX + ASKED_MAX };
    struct route_device devices[ROOM];
    struct route *before = lookup->route;
    uint32_t count = before->device_count;
    memcpy(devices, before->devices, count * sizeof(devices[0]));
    for (size_t i = 0; i < redis_reply_count(reply) && count < ROOM; i++) {
        size_t len;
        const char *name = redis_reply_str(redis_reply_at(reply, i), &len);
        const struct route_device *there = route_device(before, name, len);
        if (len == 0 || len > PUSH_DEVICE_MAX || strlen(name) != len)
            metric_add(METRIC_ROUTES_MALFORMED, 1);
        else if (there)
            devices[there - before->devices].is_known = true;
        else
            devices[count++] = (struct route_device){.name = name, .name_len = (uint32_t)len, .is_known = true};
    }
    lookup->route = route_new(lookup->user, lookup->user_len, before->has_box, devices, count);
    lookup->route->is_known_listed = true;
    route_unref(&before);
}

static void on_reply(void *arg, enum err err, const struct redis_reply *reply)
{
    struct lookup *lookup = arg;
    MAGIC_CHECK(lookup, LOOKUP_MAGIC);
    uint32_t which = lookup->reply_count++;
    lookup->open_count--;
    if (err)
        lookup->is_failed = true;
    else if (which == REPLY_ROUTE)
        take_route(lookup, reply);
    else if (which == REPLY_BOX + 1 + lookup->asked_count) {
        if (!lookup->is_failed)
            take_known(lookup, reply);
    } else if (!lookup->is_failed && redis_reply_int(reply) > 0) {
        if (which == REPLY_BOX)
            lookup->route->has_box = true;
        else {
            const char *name = lookup->asked[which - REPLY_BOX - 1];
            for (uint32_t i = 0; i < lookup->route->device_count; i++)
                if (strcmp(lookup->route->devices[i].name, name) == 0)
                    lookup->route->devices[i].has_box = true;
        }
    }
    if (err == ERR_CLOSED)
        return; /* the resolver is being freed, and with it the look-ups */
    if (lookup->open_count == 0)
        finish(lookup);
}

static void ask_one(struct lookup *lookup, const char *command, const char *prefix, const char *device)
{
    struct resolver *resolver = lookup->resolver;
    if (lookup->is_failed)
        return;
    buf_clear(&resolver->key);
    buf_add_str(&resolver->key, prefix);
    buf_add_char(&resolver->key, '{');
    buf_add(&resolver->key, lookup->user, lookup->user_len);
    buf_add_char(&resolver->key, '}');
    if (device) {
        buf_add_char(&resolver->key, ':');
        buf_add_str(&resolver->key, device);
    }
    if (redis_words(resolver->reads, on_reply, lookup, command, resolver->key.bytes, NULL))
        lookup->is_failed = true;
    else
        lookup->open_count++;
}

static void ask(struct lookup *lookup)
{
    list_remove(&lookup->link);
    lookup->epoch = lookup->resolver->epoch;
    lookup->is_dirty = lookup->is_failed = false;
    lookup->reply_count = 0;
    choose_devices(lookup);
    ask_one(lookup, "HGETALL", "herald:route:", NULL);
    ask_one(lookup, "EXISTS", "herald:box:", NULL);
    for (uint32_t i = 0; i < lookup->asked_count; i++)
        ask_one(lookup, "EXISTS", "herald:box:", lookup->asked[i]);
    if (lookup->wants_known)
        ask_one(lookup, "HKEYS", "herald:devices:", NULL);
    if (lookup->open_count == 0)
        park(lookup);
    metric_add(METRIC_LOOKUPS, 1);
}

static void ask_fresh(void *arg)
{
    struct resolver *resolver = arg;
    struct list *at;
    while ((at = list_first(&resolver->fresh)))
        ask(container_of(at, struct lookup, link));
}

static void ask_parked(struct resolver *resolver)
{
    if (list_is_empty(&resolver->parked) || !redis_is_up(resolver->reads))
        return;
    list_splice(&resolver->fresh, &resolver->parked);
    loop_defer(resolver->loop, &resolver->ask_task);
}

/* --- keeping it right --- */

static void forget(struct resolver *resolver, const char *user, size_t len)
{
    struct lookup *lookup = table_find(resolver->lookups, user, len);
    if (lookup)
        lookup->is_dirty = true;
    (void)routes_forget(resolver->routes, user, len);
}

static void forget_all(struct resolver *resolver)
{
    routes_clear(resolver->routes);
    resolver->epoch++;
}

static void stop_caching(struct resolver *resolver, const char *why)
{
    if (resolver->is_caching)
        log_warn("route cache off", F_STR("why", why));
    resolver->is_caching = false;
    resolver->is_probe_open = false;
    resolver->epoch++;
}

static void start_caching(struct resolver *resolver)
{
    resolver->is_probe_open = false;
    if (resolver->is_caching)
        return;
    forget_all(resolver);
    resolver->is_caching = true;
    log_info("route cache on");
}

/* A changed key: herald:route:{user}, herald:box:{user}, herald:box:{user}:device, or the probe. */
static void on_invalidate(void *arg, const char *channel, const char *key, size_t len)
{
    struct resolver *resolver = arg;
    (void)channel;
    if (!key) { /* all of Redis was flushed */
        metric_add(METRIC_ROUTES_FLUSHED, 1);
        forget_all(resolver);
        return;
    }
    if (len == strlen(resolver->probe_key) && memcmp(key, resolver->probe_key, len) == 0) {
        if (resolver->is_probe_open)
            start_caching(resolver);
        return;
    }
    metric_add(METRIC_ROUTES_INVALIDATED, 1);
    const char *open = memchr(key, '{', len);
    const char *close = open ? memchr(open, '}', len - (size_t)(open - key)) : NULL;
    if (close)
        forget(resolver, open + 1, (size_t)(close - open - 1));
}

static void on_probe(void *arg, enum err err, const struct redis_reply *reply)
{
    (void)reply;
    if (err && err != ERR_CLOSED && err != ERR_AWAY)
        log_limited(LOG_WARN, "client tracking refused", F_ERR(err));
    (void)arg;
}

static void send_probe(struct resolver *resolver)
{
    resolver->is_probe_open = !redis_words(resolver->reads, on_probe, resolver, "GET", resolver->probe_key, NULL) &&
                              !redis_words(resolver->reads, on_probe, resolver, "SET", resolver->probe_key, "1", "PX",
                                           "10000", NULL);
}

static void start_tracking(struct resolver *resolver)
{
    char id[24];
    if (!redis_is_up(resolver->reads) || redis_client_id(resolver->pushes) == 0)
        return;
    snprintf(id, sizeof(id), "%" PRIu64, redis_client_id(resolver->pushes));
    if (!redis_words(resolver->reads, on_probe, resolver, "CLIENT", "TRACKING", "ON", "REDIRECT", id, NULL))
        send_probe(resolver);
}

static void on_reads_state(void *arg, bool is_up)
{
    struct resolver *resolver = arg;
    stop_caching(resolver, "reading connection");
    if (!is_up)
        return; /* what is known goes on being used: nobody can be asked */
    routes_clear(resolver->routes);
    start_tracking(resolver);
    ask_parked(resolver);
}

static void on_pushes_state(void *arg, bool is_up)
{
    struct resolver *resolver = arg;
    stop_caching(resolver, "invalidation connection");
    if (is_up)
        start_tracking(resolver);
    else
        loop_timer_start(resolver->grace_timer, GRACE_MS, 0);
}

static void on_grace(void *arg)
{
    struct resolver *resolver = arg;
    if (!resolver->is_caching && redis_is_up(resolver->reads))
        routes_clear(resolver->routes);
}

static void on_check(void *arg)
{
    struct resolver *resolver = arg;
    ask_parked(resolver);
    if (!redis_is_up(resolver->reads))
        return;
    if (!resolver->is_caching) {
        start_tracking(resolver);
    } else if (++resolver->check_count % PROBE_CHECKS == 0) {
        if (resolver->is_probe_open) {
            stop_caching(resolver, "no invalidations come");
            routes_clear(resolver->routes);
        } else {
            send_probe(resolver);
        }
    }
}

/* --- outside --- */

struct resolver *resolver_new(struct loop *loop, const struct resolver_settings *settings,
                              const struct resolver_events *events, void *arg)
{
    struct resolver *resolver = xcalloc(1, sizeof(*resolver));
    resolver->loop = loop;
    resolver->events = *events;
    resolver->arg = arg;
    resolver->routes = routes_new(settings->cache_max);
    resolver->lookups = table_new(match_lookup);
    list_init(&resolver->fresh);
    list_init(&resolver->parked);
    buf_init(&resolver->key);
    snprintf(resolver->probe_key, sizeof(resolver->probe_key), "herald:probe:%s", settings->router);
    loop_task_init(&resolver->ask_task, ask_fresh, resolver);
    resolver->check_timer = loop_timer_new(loop, on_check, resolver);
    resolver->grace_timer = loop_timer_new(loop, on_grace, resolver);
    loop_timer_start(resolver->check_timer, CHECK_MS, CHECK_MS);
    resolver->reads = redis_new(loop, settings->redis, "routes", on_reads_state, resolver);
    resolver->pushes = redis_new(loop, settings->redis, "invalidations", on_pushes_state, resolver);
    redis_subscribe(resolver->pushes, "__redis__:invalidate", on_invalidate, resolver);
    return resolver;
}

void resolver_free(struct resolver **resolver_p)
{
    struct resolver *resolver = *resolver_p;
    if (!resolver)
        return;
    redis_free(&resolver->reads);
    redis_free(&resolver->pushes);
    loop_timer_free(&resolver->check_timer);
    loop_timer_free(&resolver->grace_timer);
    loop_task_cancel(resolver->loop, &resolver->ask_task);
    size_t cursor = 0;
    struct lookup *lookup;
    while ((lookup = table_next(resolver->lookups, &cursor)))
        lookup_free(lookup);
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
    if (!lookup)
        lookup = lookup_new(resolver, waiter->user);
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
    forget(resolver, user.at, user.len);
}

void resolver_forget_all(struct resolver *resolver)
{
    forget_all(resolver);
}

bool resolver_is_up(const struct resolver *resolver)
{
    return redis_is_up(resolver->reads);
}

bool resolver_is_caching(const struct resolver *resolver)
{
    return resolver->is_caching;
}

uint32_t resolver_cached(const struct resolver *resolver)
{
    return routes_count(resolver->routes);
}

uint32_t resolver_lookups(const struct resolver *resolver)
{
    return table_count(resolver->lookups);
}
