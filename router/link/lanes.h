/*
 * Lanes: one bounded PUSH connection to each live gateway instance. What goes to an instance in a loop turn is
 * collected in one envelope and leaves at the end of the turn; targets of one record that follow each other share its
 * delivery. A gateway that is stuck fills only its own lane.
 *
 * A lane also is the instance's number: routes name instances by it, also instances that are not (or no longer)
 * there; pokes for one that is only about to be known wait for it.
 */
#ifndef HERALD_ROUTER_LINK_LANES_H
#define HERALD_ROUTER_LINK_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/err.h"
#include "common/link.h"
#include "common/loop.h"
#include "common/priority.h"
#include "router/flow/flow.h"
#include "router/flow/inflight.h"
#include "router/record/push.h"
#include "router/record/record.h"

struct lanes;

struct lanes_settings {
    const char *router; /* this router's id; borrowed, as the endpoint */
    uint64_t generation;
    const char *endpoint; /* of this router's inbox, for the hello */
    int64_t messages_max; /* under way on one lane */
    int64_t bytes_max;
    int64_t unread_max;   /* bytes sent that the gateway has not taken */
    int64_t envelope_max; /* bytes; an envelope is sent when it has grown to that */
    int64_t silence_ms;   /* a gateway that was not heard for so long gets no more */
    int64_t hwm;          /* envelopes that ZeroMQ queues */
    int64_t waiting_max;  /* messages that wait for a lane that takes no more, by priority */
    struct priority_weights weights;
};

/* device: empty for every one; connection: 0 for any. The texts are of the record. */
struct lane_target {
    struct push_str user, device;
    uint64_t connection;
    struct flow_position position; /* run 0: in none */
};

/* What a lane has of the in-flight table: under way, or waiting for it. */
struct lane_load {
    uint32_t attempts;
    uint64_t bytes;
};

enum lane_failure { LANE_GONE, LANE_LOST };

struct lanes_events {
    /* The slot's delivery will not arrive (GONE: its instance died, or is silent; LOST: no room in ZeroMQ). It has to
     * be put back inside, after lanes_released(). Never called from inside lanes_send(). */
    void (*failed)(void *arg, struct slot *slot, enum lane_failure failure);
};

/* bus may be NULL in tests: envelopes then go nowhere. */
struct lanes *lanes_new(struct loop *loop, struct bus *bus, const struct lanes_settings *settings,
                        const struct lanes_events *events, void *arg);
/* No slot may be under way. */
void lanes_free(struct lanes **lanes);

/* The instance's number, given when it is first heard of. */
uint32_t lanes_number(struct lanes *lanes, const char *instance, size_t len);
const char *lanes_name(const struct lanes *lanes, uint32_t number);
/* This router's id. */
const char *lanes_self(const struct lanes *lanes);
/* From the membership view. gone() fails what is under way. */
void lanes_joined(struct lanes *lanes, const char *instance, uint64_t generation, const char *endpoint);
void lanes_gone(struct lanes *lanes, const char *instance);
/* Does this life of the instance live, as far as the membership view knows? */
bool lanes_is_live(const struct lanes *lanes, uint32_t number, uint64_t generation);
uint32_t lanes_live(const struct lanes *lanes);
/* All live lanes: *cursor starts at 0; false at the end. */
bool lanes_next(const struct lanes *lanes, uint32_t *cursor, uint32_t *number_r, uint64_t *generation_r);

/* ERR_OK when it would be taken now, or could wait; ERR_AWAY: not live, or silent; ERR_FULL. */
enum err lanes_admits(const struct lanes *lanes, uint32_t number, uint64_t generation) MUST_CHECK;
struct lane_load lanes_load(const struct lanes *lanes, uint32_t number);
/* Queues a delivery for the end of the turn; only when lanes_admits(). The slot is then the lane's until
 * lanes_released() or failed(). The record has to stay until the end of the turn or lanes_flush(). */
void lanes_send(struct lanes *lanes, uint32_t number, const struct record *record, const struct lane_target *target,
                struct slot *slot);
/* The slot's result came, or nobody waits for it any more. */
void lanes_released(struct lanes *lanes, struct slot *slot);
/* The record is about to go: what waits for it is treated as sent, and no result will come. */
void lanes_forget(struct lanes *lanes, const struct record *record);
/* Sends what is queued on all lanes now. */
void lanes_flush(struct lanes *lanes);
/* To an instance that is not live yet in that generation it goes when it joins, if that is soon. */
void lanes_poke(struct lanes *lanes, uint32_t number, uint64_t generation, struct push_str user,
                struct push_str device);
/* Another device has acknowledged it first. What is queued for that lane goes before. */
void lanes_withdraw(struct lanes *lanes, uint32_t number, struct push_str user, struct push_str id);
void lanes_upstream_result(struct lanes *lanes, uint32_t number, uint64_t generation, uint64_t request, uint32_t code);
void lanes_box_fate_result(struct lanes *lanes, uint32_t number, uint64_t generation, uint64_t fate, bool is_taken);
/* Something came from that life of an instance; hello may be NULL. */
void lanes_heard(struct lanes *lanes, uint32_t number, uint64_t generation, const Herald__V1__Hello *hello);
/* For gauges: messages that wait for lanes. */
uint32_t lanes_waiting(const struct lanes *lanes);
/* For gauges: bytes that gateways have not taken. */
uint64_t lanes_unread(const struct lanes *lanes);
/* For gauges: messages under way on all lanes. */
uint32_t lanes_messages(const struct lanes *lanes);

#endif
