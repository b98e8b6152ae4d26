#include "router/link/lane_queue.h"

#include "common/check.h"

#include <stdlib.h>

void lane_queue_init(struct lane_queue *queue)
{
    priority_init(&queue->by_class);
}

uint32_t lane_queue_count(const struct lane_queue *queue)
{
    return queue->by_class.count;
}

static enum priority_class class_of(const struct record *record)
{
    switch (record->push.priority) {
    case HERALD__V1__PRIORITY__PRIORITY_HIGH:
        return PRIORITY_HIGH;
    case HERALD__V1__PRIORITY__PRIORITY_LOW:
        return PRIORITY_LOW;
    default:
        return PRIORITY_NORMAL;
    }
}

void lane_queue_put(struct lane_queue *queue, const struct record *record, const struct lane_target *to,
                    struct slot *slot)
{
    struct lane_wait *wait = xmalloc(sizeof(*wait));
    *wait = (struct lane_wait){.slot = slot, .record = record, .to = *to};
    slot->waiting = wait;
    priority_push(&queue->by_class, class_of(record), &wait->link);
}

struct lane_wait lane_queue_take(struct lane_queue *queue, const struct priority_weights *weights)
{
    enum priority_class class = priority_next(&queue->by_class);
    struct lane_wait *wait = container_of(priority_first(&queue->by_class, class), struct lane_wait, link);
    (void)priority_pop(&queue->by_class, class, wait->slot->bytes, weights);
    struct lane_wait taken = *wait;
    taken.slot->waiting = NULL;
    free(wait);
    return taken;
}

void lane_queue_drop(struct lane_queue *queue, struct slot *slot)
{
    struct lane_wait *wait = slot->waiting;
    priority_remove(&queue->by_class, &wait->link);
    slot->waiting = NULL;
    free(wait);
}

struct slot *lane_queue_find(const struct lane_queue *queue, const struct record *record)
{
    for (int class = 0; class < PRIORITY_COUNT; class ++) {
        list_each (link, &queue->by_class.lists[class]) {
            const struct lane_wait *wait = container_of(link, struct lane_wait, link);
            if (!record || wait->record == record)
                return wait->slot;
        }
    }
    return NULL;
}
