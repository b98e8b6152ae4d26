/*
 * What is out there: one slot for each (target, instance) a delivery was sent to, until its result comes or its
 * deadline passes; and the window, the bound on records that were consumed and are not finished. Pure.
 *
 * A slot is named by index and generation on the wire. The generation changes each time a slot is put back, so the late
 * result of an earlier use finds nothing. Each class waits for a constant time, so two FIFO lists are all the timers.
 */
#ifndef HERALD_ROUTER_FLOW_INFLIGHT_H
#define HERALD_ROUTER_FLOW_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

enum inflight_class { INFLIGHT_VOLATILE, INFLIGHT_DURABLE, INFLIGHT_CLASS_COUNT };

/* Exposed because a lane and an entry each keep their slots on a list of their own. */
struct slot {
    uint32_t index, generation;
    uint32_t instance; /* the lane it went by */
    uint32_t bytes;    /* charged to that lane and to the table */
    uint8_t class;     /* enum inflight_class */
    bool is_used;
    bool is_queued; /* the lane has it, ZeroMQ not yet */
    void *entry;    /* whose attempt this is */
    void *waiting;  /* in the lane's queue: it has not gone out yet; NULL: it has */
    uint64_t due_ms;
    struct list due_link, lane_link, entry_link;
};

struct inflight_limits {
    uint32_t slots;                         /* attempts under way */
    uint64_t slot_bytes;                    /* their content */
    uint32_t records;                       /* consumed and not finished */
    uint64_t record_bytes;                  /* of their keys and values */
    uint32_t outcomes;                      /* that Kafka does not have yet; 0: not limited */
    uint64_t wait_ms[INFLIGHT_CLASS_COUNT]; /* until a result has to be there */
};

struct inflight;

struct inflight *inflight_new(const struct inflight_limits *limits);
void inflight_free(struct inflight **inflight);

/* A slot with its deadline set; lane_link and entry_link are initialised. NULL: no room. */
struct slot *inflight_get(struct inflight *inflight, enum inflight_class class, uint32_t bytes, uint64_t now_ms);
/* The slot with that name if it is still in that use, else NULL. Any numbers are allowed: they come from the network.
 */
struct slot *inflight_find(struct inflight *inflight, uint32_t index, uint32_t generation);
/* When inflight_get() was called for it. */
uint64_t inflight_sent_ms(const struct inflight *inflight, const struct slot *slot);
/* Off all its lists and back. */
void inflight_put(struct inflight *inflight, struct slot *slot);
/* A slot whose deadline has passed, for the caller to put back; NULL when there is none. */
struct slot *inflight_due(struct inflight *inflight, uint64_t now_ms);
uint32_t inflight_count(const struct inflight *inflight);

/* May a lane that holds so many attempts have one more? Each of `lanes` may hold its equal part of each bound, and
 * beyond it as much as is free: so lanes that are all busy fill the window, which then rests, but those that are stuck
 * leave room for the others. */
bool inflight_may_grow(const struct inflight *inflight, uint32_t attempts, uint64_t bytes, uint32_t lanes);

/* The window of records. Those that come though it is full (they were fetched already) are let in. */
void inflight_enter(struct inflight *inflight, uint64_t bytes);
void inflight_leave(struct inflight *inflight, uint64_t bytes);
/* A target of one of them, until its end: it has a slot, or will want one. */
void inflight_enter_target(struct inflight *inflight);
void inflight_leave_target(struct inflight *inflight);
/* The outcomes that wait for Kafka; each holds its record in the window. */
void inflight_hold(struct inflight *inflight);
void inflight_release(struct inflight *inflight);
/* Time to stop consuming: the window is full, or so few slots are left that what is in hand already needs them. */
bool inflight_is_full(const struct inflight *inflight);
/* Enough has left (a quarter of the window: what was fetched ahead is fetched again) to go on. */
bool inflight_has_room(const struct inflight *inflight);
uint32_t inflight_records(const struct inflight *inflight);
uint64_t inflight_record_bytes(const struct inflight *inflight);

#endif
