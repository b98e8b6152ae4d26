#include "router/route/route.h"

#include "common/check.h"
#include "common/table.h"

#include <stdlib.h>
#include <string.h>

struct routes {
    struct table *table;
    struct list recent; /* the last used first */
    uint32_t max;
};

/* A decimal number up to a space or the end; *at moves behind it and the space. */
static bool take_number(const char **at, const char *end, uint64_t *number_r)
{
    const char *p = *at;
    uint64_t number = 0;
    if (p == end)
        return false;
    for (; p < end && *p != ' '; p++) {
        if (*p < '0' || *p > '9' || number > (UINT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*p - '0');
    }
    if (p == *at)
        return false;
    *at = p < end ? p + 1 : p;
    *number_r = number;
    return true;
}

enum err route_parse(const char *text, size_t len, struct route_value *value_r)
{
    const char *end = text + len, *space = memchr(text, ' ', len);
    if (!space || space == text)
        return ERR_INVALID;
    value_r->instance = text;
    value_r->instance_len = (size_t)(space - text);
    const char *at = space + 1;
    if (!take_number(&at, end, &value_r->generation) || !take_number(&at, end, &value_r->connection) ||
        !take_number(&at, end, &value_r->since_ms) || at != end)
        return ERR_INVALID;
    return ERR_OK;
}

static void mix(uint64_t *stamp, const void *bytes, size_t len)
{
    const unsigned char *p = bytes; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        *stamp = (*stamp ^ p[i]) * 0x100000001b3ULL;
}

/* Summed up, so that the order in which Redis gave the devices does not matter. */
static uint64_t make_stamp(const struct route_device *devices, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct route_device *device = &devices[i];
        uint64_t stamp = 0xcbf29ce484222325ULL;
        if (!device->is_online)
            continue;
        mix(&stamp, device->name, device->name_len);
        mix(&stamp, &device->instance, sizeof(device->instance));
        mix(&stamp, &device->generation, sizeof(device->generation));
        mix(&stamp, &device->connection, sizeof(device->connection));
        sum += stamp | 1;
    }
    return sum;
}

static char *put_bytes(char **at, const char *bytes, size_t len)
{
    char *copy = *at;
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

struct route *route_new(const char *user, size_t user_len, bool has_box, const struct route_device *devices,
                        uint32_t device_count)
{
    size_t size = sizeof(struct route) + device_count * sizeof(*devices) + user_len + 1;
    for (uint32_t i = 0; i < device_count; i++)
        size += devices[i].name_len + 1;
    struct route *route = xmalloc(size);
    char *at = (char *)&route->devices[device_count];
    list_init(&route->link);
    route->refs = 1;
    route->user = put_bytes(&at, user, user_len);
    route->user_len = (uint32_t)user_len;
    route->has_box = has_box;
    route->is_known_listed = false;
    route->device_count = device_count;
    route->stamp = make_stamp(devices, device_count);
    for (uint32_t i = 0; i < device_count; i++) {
        route->devices[i] = devices[i];
        route->devices[i].name = put_bytes(&at, devices[i].name, devices[i].name_len);
    }
    return route;
}

struct route *route_ref(struct route *route)
{
    route->refs++;
    return route;
}

void route_unref(struct route **route)
{
    if (*route && --(*route)->refs == 0)
        free(*route);
    *route = NULL;
}

const struct route_device *route_device(const struct route *route, const char *name, size_t len)
{
    for (uint32_t i = 0; i < route->device_count; i++)
        if (route->devices[i].name_len == len && memcmp(route->devices[i].name, name, len) == 0)
            return &route->devices[i];
    return NULL;
}

bool route_is_repeated(const struct route *route, uint32_t i)
{
    const struct route_device *device = &route->devices[i];
    for (uint32_t k = 0; k < i; k++)
        if (route->devices[k].is_online && route->devices[k].instance == device->instance &&
            route->devices[k].generation == device->generation)
            return true;
    return false;
}

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct route *route = item;
    return route->user_len == key_len && memcmp(route->user, key, key_len) == 0;
}

struct routes *routes_new(uint32_t max)
{
    struct routes *routes = xcalloc(1, sizeof(*routes));
    routes->table = table_new(match);
    routes->max = max;
    list_init(&routes->recent);
    return routes;
}

void routes_free(struct routes **routes)
{
    if (!*routes)
        return;
    routes_clear(*routes);
    table_free(&(*routes)->table);
    free(*routes);
    *routes = NULL;
}

uint32_t routes_count(const struct routes *routes)
{
    return table_count(routes->table);
}

const struct route *routes_find(struct routes *routes, const char *user, size_t len)
{
    struct route *route = table_find(routes->table, user, len);
    if (route && routes->recent.next != &route->link) {
        list_remove(&route->link);
        list_push_front(&routes->recent, &route->link);
    }
    return route;
}

static void drop(struct routes *routes, struct route *route)
{
    CHECK(table_remove(routes->table, route->user, route->user_len) == route);
    list_remove(&route->link);
    route_unref(&route);
}

bool routes_put(struct routes *routes, struct route *route)
{
    bool is_one_out = false;
    (void)routes_forget(routes, route->user, route->user_len);
    if (table_count(routes->table) >= routes->max) {
        drop(routes, container_of(routes->recent.prev, struct route, link));
        is_one_out = true;
    }
    table_add(routes->table, route->user, route->user_len, route_ref(route));
    list_push_front(&routes->recent, &route->link);
    return is_one_out;
}

bool routes_forget(struct routes *routes, const char *user, size_t len)
{
    struct route *route = table_find(routes->table, user, len);
    if (!route)
        return false;
    drop(routes, route);
    return true;
}

void routes_clear(struct routes *routes)
{
    while (!list_is_empty(&routes->recent))
        drop(routes, container_of(routes->recent.next, struct route, link));
}
