#include "router/flow/each.h"

#include "common/check.h"
#include "common/table.h"

#include <stdlib.h>
#include <string.h>

/* Of one user; exists while something waits. Its first item is an each, which waits for the look-up. */
struct each_queue {
    struct list items;
    uint32_t user_len;
    char user[];
};

struct each {
    struct resolver *resolver;
    struct each_events events;
    void *arg;
    struct table *queues;
    bool is_stopped;
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct each_queue *queue = item;
    return queue->user_len == key_len && memcmp(queue->user, key, key_len) == 0;
}

struct each *each_new(struct resolver *resolver, const struct each_events *events, void *arg)
{
    struct each *each = xcalloc(1, sizeof(*each));
    each->resolver = resolver;
    each->events = *events;
    each->arg = arg;
    each->queues = table_new(match);
    return each;
}

void each_free(struct each **each)
{
    if (!*each)
        return;
    CHECK(table_count((*each)->queues) == 0);
    table_free(&(*each)->queues);
    free(*each);
    *each = NULL;
}

bool each_wants(const struct route_device *device)
{
    return device->is_known || device->is_online;
}

bool each_is_waiting(const struct each_item *item)
{
    return item->queue;
}

static struct each_queue *make_queue(struct each *each, struct push_str user)
{
    struct each_queue *queue = xmalloc(sizeof(*queue) + user.len);
    list_init(&queue->items);
    queue->user_len = user.len;
    memcpy(queue->user, user.at, user.len);
    table_add(each->queues, user.at, user.len, queue);
    return queue;
}

static void free_queue(struct each *each, struct each_queue *queue)
{
    CHECK(table_remove(each->queues, queue->user, queue->user_len) == queue);
    free(queue);
}

static struct each_item *first_of(const struct each_queue *queue)
{
    struct list *first = list_first(&queue->items);
    return first ? container_of(first, struct each_item, link) : NULL;
}

static void leave(struct each_item *item)
{
    list_remove(&item->link);
    item->queue = NULL;
}

static void wait_for_devices(struct each *each, struct each_item *item)
{
    item->waiter->wants_known = true;
    resolver_wait(each->resolver, item->waiter);
}

bool each_take(struct each *each, struct each_item *item, struct resolver_waiter *waiter, bool is_each)
{
    if (!is_each && table_count(each->queues) == 0)
        return false;
    struct each_queue *queue = table_find(each->queues, waiter->user.at, waiter->user.len);
    const struct route *route = is_each && !queue ? resolver_find_known(each->resolver, waiter->user) : NULL;
    item->waiter = waiter;
    item->is_each = is_each;
    list_init(&item->link);
    if (route) {
        each->events.expand(each->arg, item, route);
        return true;
    }
    if (!queue && !is_each)
        return false;
    bool is_first = !queue;
    if (is_first)
        queue = make_queue(each, waiter->user);
    list_push(&queue->items, &item->link);
    item->queue = queue;
    if (is_first)
        wait_for_devices(each, item);
    return true;
}

/* Everything is taken out before anything is started: what that causes finds no queue. */
void each_resolved(struct each *each, struct each_item *item, const struct route *route)
{
    struct each_queue *queue = item->queue;
    struct list ready, *at;
    CHECK(first_of(queue) == item);
    item->waiter->wants_known = false;
    list_init(&ready);
    list_splice(&ready, &queue->items);
    list_each (link, &ready)
        container_of(link, struct each_item, link)->queue = NULL;
    free_queue(each, queue);
    while ((at = list_pop(&ready))) {
        struct each_item *next = container_of(at, struct each_item, link);
        if (next->is_each)
            each->events.expand(each->arg, next, route);
        else
            each->events.start(each->arg, next);
    }
}

void each_cancel(struct each *each, struct each_item *item)
{
    struct each_queue *queue = item->queue;
    if (!queue) {
        if (item->link.next) /* it may be on its way out of each_resolved() */
            list_remove(&item->link);
        return;
    }
    bool was_first = first_of(queue) == item;
    item->waiter->wants_known = false;
    leave(item);
    struct list ready, *at;
    list_init(&ready);
    for (struct each_item *next; was_first && (next = first_of(queue)) && !next->is_each;) {
        leave(next);
        list_push(&ready, &next->link);
    }
    struct each_item *first = first_of(queue);
    if (!first)
        free_queue(each, queue);
    else if (was_first && !each->is_stopped)
        wait_for_devices(each, first);
    while ((at = list_pop(&ready)))
        if (!each->is_stopped)
            each->events.start(each->arg, container_of(at, struct each_item, link));
}

void each_stop(struct each *each)
{
    each->is_stopped = true;
}
