/*
 * A tiny durable message of the worker to itself, again and again, by the whole way: asked of a router over the link,
 * produced to Kafka for the user "~canary-<instance>", who is routed in Redis like any other, consumed, resolved, sent
 * down a lane, pushed to a session, written as a WebSocket frame, read by a client (canary_client.h) and acknowledged
 * by it. While none comes through the worker is not ready. Nobody else can authenticate under such an id
 * (auth/identity.h).
 */
#ifndef HERALD_GATEWAY_CANARY_CANARY_H
#define HERALD_GATEWAY_CANARY_CANARY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "gateway/link/peers.h"
#include "gateway/ws/conn.h"

struct canary_settings {
    bool is_enabled;
    int64_t interval_ms, timeout_ms;
};

/* Borrowed all. */
struct canary_parts {
    struct loop *loop;
    struct peers *peers;
    struct conns *conns;
    const char *path; /* of the upgrade request */
    const char *instance;
    uint64_t generation;
};

struct canary;
struct canary *canary_new(const struct canary_parts *parts, const struct canary_settings *settings);
/* To be stopped before the connections are closed: it would open its own anew. */
void canary_stop(struct canary *canary);
void canary_free(struct canary **canary);
/* Is it switched off, or did one come through of late? */
bool canary_is_well(const struct canary *canary);

#endif
