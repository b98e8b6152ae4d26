/*
 * A tiny durable message of the worker to itself, again and again, by the whole way: asked of a router over the link,
 * produced to Kafka for the user "~canary-<instance>", which is routed in Redis like any other, consumed, resolved,
 * sent down a lane, and acknowledged here. While none comes through the worker is not ready. The user has no
 * connection: the canary stands in for its session. Nobody can authenticate under such an id (auth/identity.h).
 */
#ifndef HERALD_GATEWAY_LINK_CANARY_H
#define HERALD_GATEWAY_LINK_CANARY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/redis.h"
#include "gateway/link/peers.h"

struct canary_settings {
    bool is_enabled;
    int64_t interval_ms, timeout_ms;
};

struct canary;
/* Borrowed all but the settings. */
struct canary *canary_new(struct loop *loop, struct redis *redis, struct peers *peers,
                          const struct canary_settings *settings, const char *instance, uint64_t generation);
/* Redis must have been freed before: its callbacks name the canary. */
void canary_free(struct canary **canary);
bool canary_is_user(const struct canary *canary, const char *user);
/* Its message is here, and counts as acknowledged by that. */
void canary_take(struct canary *canary, const Herald__V1__Delivery *delivery);
/* One of its messages went to the mailbox: of no use there. */
void canary_poke(struct canary *canary);
/* Is it switched off, or did one come through of late? */
bool canary_is_well(const struct canary *canary);

#endif
