/*
 * The callbacks of commands under way on one Redis connection, in the order of the commands: Redis answers in order,
 * so the next reply belongs to the first of them. A ring that grows.
 */
#ifndef HERALD_COMMON_REDIS_QUEUE_H
#define HERALD_COMMON_REDIS_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "redis.h"

struct redis_slot {
    redis_fn *fn; /* may be NULL */
    void *arg;
    bool is_own; /* a command of redis.c itself: not counted against pending_max */
};

struct redis_queue {
    struct redis_slot *slots;
    uint32_t size, head, count; /* size is a power of two */
};

void redis_queue_init(struct redis_queue *queue);
void redis_queue_release(struct redis_queue *queue);
void redis_queue_push(struct redis_queue *queue, const struct redis_slot *slot);
/* False: empty. */
bool redis_queue_pop(struct redis_queue *queue, struct redis_slot *slot_r);

#endif
