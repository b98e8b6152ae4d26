/*
 * Hand-over: messages that still wait in a mailbox after a while are published to herald.offline, for bridges to push
 * providers. They stay in the mailbox.
 *
 * Each mailbox that got something is noted in Redis with the time when it is due (herald:handover:{<shard>}), so it
 * survives the router. Routers look there in turn, claim mailboxes that are due (one router gets one; a claim that ran
 * out, because its router died, is another's), read what is older than the delay and newer than the mark
 * (herald:handed:{user}: the last stream entry handed over), publish it, and move the mark when Kafka has all of it. So
 * each message goes once, but for a router that dies between the two: then again, with the same id.
 */
#ifndef HERALD_ROUTER_BOX_HANDOVER_H
#define HERALD_ROUTER_BOX_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka.h"
#include "common/loop.h"
#include "common/redis.h"
#include "router/record/push.h"

struct handover_settings {
    bool is_enabled;
    int64_t after_ms;
    int64_t mailboxes_max; /* noted at the same time, over all shards */
    char *topic;
};

struct handover;
/* Settings are borrowed; box_ttl_ms: life of the marks. */
struct handover *handover_new(struct loop *loop, struct redis *redis, struct kafka_producer *producer,
                              const struct handover_settings *settings, int64_t box_ttl_ms);
/* Before redis is freed: nothing more is begun, and what Kafka acknowledges from now on is not marked. */
void handover_stop(struct handover *handover);
/* After redis and producer were freed: their callbacks name it. */
void handover_free(struct handover **handover);
/* Something of that user (or that device of it) was stored. */
void handover_note(struct handover *handover, struct push_str user, struct push_str device);

#endif
