/*
 * Clients' messages to the business: each goes to a router, always the same for one user while the routers stay (so a
 * user's messages keep their order), and is answered when Kafka has it, or with 503 when nobody said so in time: then
 * it may have arrived all the same.
 */
#ifndef HERALD_GATEWAY_LINK_UPSTREAM_H
#define HERALD_GATEWAY_LINK_UPSTREAM_H

#include "gateway/link/peers.h"
#include "gateway/session/sessions.h"

struct upstream;

struct upstream_settings {
    int64_t timeout_ms;
    int64_t requests_max; /* under way, of all clients */
};

struct upstream *upstream_new(struct loop *loop, struct peers *peers, const struct upstream_settings *settings);
/* Requests under way are forgotten. */
void upstream_free(struct upstream **upstream);
/* For session_events.upstream. ERR_AWAY: no router; ERR_FULL. */
enum err upstream_send(struct upstream *upstream, struct session *s, const struct upstream_request *request) MUST_CHECK;
void upstream_answered(struct upstream *upstream, const Herald__V1__UpstreamResult *result);

#endif
