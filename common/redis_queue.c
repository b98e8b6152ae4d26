#include "redis_queue.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { START_SIZE = 64 };

void redis_queue_init(struct redis_queue *queue)
{
    *queue = (struct redis_queue){.size = START_SIZE};
    queue->slots = xcalloc(START_SIZE, sizeof *queue->slots);
}

void redis_queue_release(struct redis_queue *queue)
{
    free(queue->slots);
    *queue = (struct redis_queue){0};
}

static void grow(struct redis_queue *queue)
{
    struct redis_slot *slots = xcalloc((size_t)queue->size * 2, sizeof *slots);
    for (uint32_t i = 0; i < queue->count; i++)
        slots[i] = queue->slots[(queue->head + i) & (queue->size - 1)];
    free(queue->slots);
    queue->slots = slots;
    queue->head = 0;
    queue->size *= 2;
}

void redis_queue_push(struct redis_queue *queue, const struct redis_slot *slot)
{
    if (queue->count == queue->size)
        grow(queue);
    queue->slots[(queue->head + queue->count) & (queue->size - 1)] = *slot;
    queue->count++;
}

bool redis_queue_pop(struct redis_queue *queue, struct redis_slot *slot_r)
{
    if (!queue->count)
        return false;
    *slot_r = queue->slots[queue->head];
    queue->head = (queue->head + 1) & (queue->size - 1);
    queue->count--;
    return true;
}
