/*
 * Messages from clients to the business: to herald.upstream, keyed by user; the gateway gets the answer when Kafka has
 * the message (or has not).
 */
#ifndef HERALD_ROUTER_LINK_UPSTREAM_H
#define HERALD_ROUTER_LINK_UPSTREAM_H

#include "common/kafka.h"
#include "router/link/lanes.h"

#define UPSTREAM_ANSWER_LIST(X) X(OK, 200) X(TOO_LARGE, 413) X(AWAY, 503)

enum upstream_answer {
#define X(name, code) UPSTREAM_##name,
    UPSTREAM_ANSWER_LIST(X)
#undef X
};

struct upstream;

/* topic is borrowed. At most pending_max messages on their way; more are answered 503. */
struct upstream *upstream_new(struct kafka_producer *producer, struct lanes *lanes, const char *topic,
                              uint32_t pending_max);
/* The producer must have been freed before: its callbacks end what is on its way. */
void upstream_free(struct upstream **upstream);
uint32_t upstream_pending(const struct upstream *upstream);
/* From that life of instance `number`; everything is borrowed for the call. */
void upstream_take(struct upstream *upstream, uint32_t number, uint64_t generation,
                   const Herald__V1__Upstream *message);

#endif
