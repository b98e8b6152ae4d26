#include "gateway/session/goodbyes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/list.h"
#include "common/redis_script.h"
#include "gateway/metrics.h"

enum { GOODBYE_MAGIC = 0x600DB1E5, DIGITS_MAX = 20 };

struct goodbyes {
    struct redis *redis;
    const char *instance;
    char generation[DIGITS_MAX + 1];
    uint32_t count, max;
    uint32_t under_way, under_way_max;
    struct list waiting;
};

struct goodbye {
    uint32_t magic;
    struct list link; /* waiting; on no list while under way */
    struct goodbyes *goodbyes;
    char connection[DIGITS_MAX + 1];
    const char *device; /* behind the key */
    char key[];
};

static struct goodbye *goodbye_new(struct goodbyes *goodbyes, const char *user, const char *device, uint64_t connection)
{
    size_t key_len = strlen("herald:route:{}") + strlen(user), device_len = strlen(device);
    struct goodbye *g = xmalloc(sizeof *g + key_len + device_len + 2);
    g->magic = GOODBYE_MAGIC;
    g->goodbyes = goodbyes;
    list_init(&g->link);
    snprintf(g->connection, sizeof g->connection, "%" PRIu64, connection);
    snprintf(g->key, key_len + 1, "herald:route:{%s}", user);
    g->device = memcpy(g->key + key_len + 1, device, device_len + 1);
    metric_set(METRIC_GOODBYES, ++goodbyes->count);
    return g;
}

static void goodbye_free(struct goodbye *g)
{
    list_remove(&g->link);
    metric_set(METRIC_GOODBYES, --g->goodbyes->count);
    g->magic = 0;
    free(g);
}

static void on_removed(void *arg, enum err err, const struct redis_reply *reply)
{
    struct goodbye *g = arg;
    MAGIC_CHECK(g, GOODBYE_MAGIC);
    struct goodbyes *goodbyes = g->goodbyes;
    goodbyes->under_way--;
    if (err == ERR_AWAY) {
        list_push(&goodbyes->waiting, &g->link);
        return;
    }
    if (err == ERR_OK && redis_reply_int(reply) == 1)
        metric_add_labelled(METRIC_ROUTES, ROUTE_EVENT_REMOVED, 1);
    goodbye_free(g); /* refused by Redis, or this worker ends: the route runs out */
    if (err != ERR_CLOSED)
        goodbyes_send_waiting(goodbyes);
}

static enum err send_out(struct goodbye *g)
{
    struct goodbyes *goodbyes = g->goodbyes;
    const char *argv[] = {g->key, g->device, goodbyes->instance, goodbyes->generation, g->connection};
    enum err err = redis_script(goodbyes->redis, REDIS_SCRIPT_ROUTE_REMOVE, on_removed, g, 1, 5, argv, NULL);
    if (err == ERR_OK)
        goodbyes->under_way++;
    return err;
}

void goodbyes_send_waiting(struct goodbyes *goodbyes)
{
    while (redis_is_up(goodbyes->redis) && goodbyes->under_way < goodbyes->under_way_max) {
        struct list *link = list_pop(&goodbyes->waiting);
        if (!link)
            return;
        struct goodbye *g = container_of(link, struct goodbye, link);
        if (send_out(g) != ERR_OK) {
            list_push_front(&goodbyes->waiting, &g->link);
            return;
        }
    }
}

void goodbyes_say(struct goodbyes *goodbyes, const char *user, const char *device, uint64_t connection)
{
    if (goodbyes->count >= goodbyes->max) {
        metric_add(METRIC_GOODBYES_LOST, 1);
        return;
    }
    list_push(&goodbyes->waiting, &goodbye_new(goodbyes, user, device, connection)->link);
    goodbyes_send_waiting(goodbyes);
}

uint32_t goodbyes_count(const struct goodbyes *goodbyes)
{
    return goodbyes->count;
}

struct goodbyes *goodbyes_new(struct redis *redis, const char *instance, uint64_t generation, uint32_t max,
                              uint32_t under_way_max)
{
    struct goodbyes *goodbyes = xcalloc(1, sizeof *goodbyes);
    goodbyes->redis = redis;
    goodbyes->instance = instance;
    snprintf(goodbyes->generation, sizeof goodbyes->generation, "%" PRIu64, generation);
    goodbyes->max = max;
    goodbyes->under_way_max = under_way_max;
    list_init(&goodbyes->waiting);
    return goodbyes;
}

void goodbyes_free(struct goodbyes **goodbyes)
{
    if (!*goodbyes)
        return;
    list_each (it, &(*goodbyes)->waiting)
        goodbye_free(container_of(it, struct goodbye, link));
    CHECK((*goodbyes)->count == 0);
    free(*goodbyes);
    *goodbyes = NULL;
}
