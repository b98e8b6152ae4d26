/*
 * Being the owner of partitions. Kafka gives each partition to one router at a time, but a router that was stopped for
 * long, or cut off, may not know yet that it has lost one. So what it does for a record carries the partition's life
 * and the generation of the consumer group in which the partition was given to it: mailboxes and gateways refuse what
 * is older than what they have seen.
 *
 * The generation comes from Kafka. The life comes from Redis (source_begin.lua) and makes generations and offsets
 * comparable: it is another one when offsets or generations have begun anew. It is asked for when a partition begins;
 * until the answer its records wait. Each second the owner shows that it is there; when another one has begun after it,
 * the tenure is lost.
 */
#ifndef HERALD_ROUTER_SOURCE_TENURE_H
#define HERALD_ROUTER_SOURCE_TENURE_H

#include <stdint.h>

#include "common/loop.h"
#include "common/redis.h"

struct tenures;

struct tenures_events {
    /* The generation that the group is in now; -1: in none. Asked while the tenure has not begun. */
    int32_t (*generation)(void *arg);
    /* What Kafka is known to have as committed of the partition; -1: nothing. */
    int64_t (*committed)(void *arg, int32_t partition);
    /* Its records may be worked for. Never called inside tenures_begin(). */
    void (*begun)(void *arg, int32_t partition, int64_t life, int32_t generation);
    /* Another router owns it: Kafka will say so before long. */
    void (*lost)(void *arg, int32_t partition);
    /* Kafka did not say so: something is wrong with this router, it had better start anew. */
    void (*stuck)(void *arg, int32_t partition);
};

/* topic is borrowed. */
struct tenures *tenures_new(struct loop *loop, struct redis *redis, const char *topic,
                            const struct tenures_events *events, void *arg);
/* After the connection to Redis: no call may be under way. */
void tenures_free(struct tenures **tenures);
/* The partition was assigned, and the first record of it is there. */
void tenures_begin(struct tenures *tenures, int32_t partition, int64_t first_offset);
/* It was revoked. No-op when it has not begun. */
void tenures_end(struct tenures *tenures, int32_t partition);
/* Redis is back. */
void tenures_redis_up(struct tenures *tenures);

#endif
