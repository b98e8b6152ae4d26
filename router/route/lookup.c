#include "router/route/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/metric.h"
#include "router/metrics.h"

enum {
    LOOKUP_MAGIC = 0x6c6f6f6b,
    DEVICES_MAX = 64, /* of a route that are looked at */
    REPLY_ROUTE = 0,  /* replies come in the order of asking */
    REPLY_BOX = 1
};

struct lookup *lookup_new(struct push_str user, const struct lookup_events *events, void *arg)
{
    struct lookup *lookup = xcalloc(1, sizeof(*lookup) + user.len + 1);
    lookup->magic = LOOKUP_MAGIC;
    lookup->events = events;
    lookup->arg = arg;
    lookup->user_len = user.len;
    memcpy(lookup->user, user.at, user.len);
    list_init(&lookup->waiters);
    list_init(&lookup->link);
    return lookup;
}

void lookup_free(struct lookup **lookup_p)
{
    struct lookup *lookup = *lookup_p;
    if (!lookup)
        return;
    for (uint32_t i = 0; i < lookup->asked_count; i++)
        free(lookup->asked[i]);
    route_unref(&lookup->route);
    list_remove(&lookup->link);
    lookup->magic = 0;
    free(lookup);
    *lookup_p = NULL;
}

void lookup_add_device(struct lookup *lookup, const char *device, size_t len)
{
    for (uint32_t i = 0; i < lookup->asked_count; i++)
        if (strlen(lookup->asked[i]) == len && memcmp(lookup->asked[i], device, len) == 0)
            return;
    if (lookup->asked_count < LOOKUP_DEVICES_MAX)
        lookup->asked[lookup->asked_count++] = xstrndup(device, len);
}

static bool take_device(struct lookup *lookup, const struct redis_reply *reply, size_t i, struct route_device *device)
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
    device->instance = lookup->events->instance(lookup->arg, value.instance, value.instance_len);
    return true;
}

static void take_route(struct lookup *lookup, const struct redis_reply *reply)
{
    struct route_device devices[DEVICES_MAX + LOOKUP_DEVICES_MAX];
    uint32_t count = 0;
    for (size_t i = 0; i + 1 < redis_reply_count(reply) && count < DEVICES_MAX; i += 2)
        count += take_device(lookup, reply, i, &devices[count]);
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
    enum { ROOM = 2 * DEVICES_MAX + LOOKUP_DEVICES_MAX };
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

static void take_box(struct lookup *lookup, uint32_t which)
{
    if (which == REPLY_BOX) {
        lookup->route->has_box = true;
        return;
    }
    const char *name = lookup->asked[which - REPLY_BOX - 1];
    for (uint32_t i = 0; i < lookup->route->device_count; i++)
        if (strcmp(lookup->route->devices[i].name, name) == 0)
            lookup->route->devices[i].has_box = true;
}

static void take_more(struct lookup *lookup, uint32_t which, const struct redis_reply *reply)
{
    if (which == REPLY_BOX + 1 + lookup->asked_count)
        take_known(lookup, reply);
    else if (redis_reply_int(reply) > 0)
        take_box(lookup, which);
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
    else if (!lookup->is_failed) /* else there may be no route to add to */
        take_more(lookup, which, reply);
    if (err != ERR_CLOSED && lookup->open_count == 0) /* closed: the resolver is being freed, and with it look-ups */
        lookup->events->answered(lookup->arg, lookup);
}

static void ask_one(struct lookup *lookup, struct redis *redis, struct buf *key, const char *command,
                    const char *prefix, const char *device)
{
    if (lookup->is_failed)
        return;
    buf_clear(key);
    buf_add_str(key, prefix);
    buf_add_char(key, '{');
    buf_add(key, lookup->user, lookup->user_len);
    buf_add_char(key, '}');
    if (device) {
        buf_add_char(key, ':');
        buf_add_str(key, device);
    }
    if (redis_words(redis, on_reply, lookup, command, key->bytes, NULL))
        lookup->is_failed = true;
    else
        lookup->open_count++;
}

bool lookup_ask(struct lookup *lookup, struct redis *redis, struct buf *key)
{
    lookup->is_failed = false;
    lookup->reply_count = 0;
    ask_one(lookup, redis, key, "HGETALL", "herald:route:", NULL);
    ask_one(lookup, redis, key, "EXISTS", "herald:box:", NULL);
    for (uint32_t i = 0; i < lookup->asked_count; i++)
        ask_one(lookup, redis, key, "EXISTS", "herald:box:", lookup->asked[i]);
    if (lookup->wants_known)
        ask_one(lookup, redis, key, "HKEYS", "herald:devices:", NULL);
    metric_add(METRIC_LOOKUPS, 1);
    return lookup->open_count > 0;
}
