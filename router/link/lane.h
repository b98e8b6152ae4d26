/*
 * One lane: the PUSH connection to one instance, what is queued for it in this loop turn, and what is under way on it.
 * Part of lanes.h, and only for lanes.c.
 */
#ifndef HERALD_ROUTER_LINK_LANE_H
#define HERALD_ROUTER_LINK_LANE_H

#include "router/link/envelope.h"
#include "router/link/lane_queue.h"
#include "router/link/lanes.h"
#include "router/link/pokes.h"
#include "router/link/unread.h"

/* What a loop turn gathers from all lanes. */
struct lane_turn {
    struct loop *loop;
    struct loop_task task;      /* at the end of the turn */
    struct list dirty;          /* lanes with something to send */
    struct list lost;           /* slots to be reported */
    uint32_t messages, waiting; /* over all lanes */
};

/* Exposed because lanes.c looks at several for each message. */
struct lane {
    uint32_t magic, number;
    const struct lanes_settings *settings;
    struct lane_turn *turn;
    char *name;
    bool is_live;
    bool is_connected, is_full; /* is_full: ZeroMQ has no room */
    uint64_t generation;
    uint64_t heard_ms;
    struct bus_push *push;
    struct envelope envelope;
    struct list dirty_link;
    struct list slots;         /* in the order of sending */
    uint32_t messages, queued; /* slots; those not yet handed to ZeroMQ, which are the last ones */
    uint64_t bytes;
    struct unread unread;
    struct lane_queue queue; /* waits until there is room */
    struct pokes pokes;
};

/* The settings are borrowed, and so is the turn. */
struct lane *lane_new(const struct lanes_settings *settings, struct lane_turn *turn, uint32_t number, const char *name,
                      size_t len);
/* Nothing may be under way. */
void lane_free(struct lane **lane);
/* A life of the instance begins: ERR_SYSTEM and the like when its endpoint is none. bus NULL: a test's lane. */
enum err lane_open(struct lane *lane, struct bus *bus, uint64_t generation, const char *endpoint) MUST_CHECK;
/* What is queued must have been flushed; slots stay, for the caller to fail. */
void lane_close(struct lane *lane);

static inline bool lane_is_reachable(const struct lane *lane, uint64_t generation)
{
    return lane->is_live && lane->generation == generation && lane->is_connected && !lane->is_full;
}

static inline bool lane_has_room(const struct lane *lane)
{
    return !lane->is_full && lane->messages < (uint64_t)lane->settings->messages_max &&
           lane->bytes < (uint64_t)lane->settings->bytes_max &&
           unread_bytes(&lane->unread) < (uint64_t)lane->settings->unread_max;
}

/* Something was put into the envelope: it leaves at the end of the turn. */
void lane_mark_dirty(struct lane *lane);
/* Now. */
void lane_flush(struct lane *lane);
void lane_put_hello(struct lane *lane);
void lane_poke(struct lane *lane, uint64_t generation, struct push_str user, struct push_str device);
void lane_put_waiting_pokes(struct lane *lane);

/* Into the envelope. */
void lane_send(struct lane *lane, const struct record *record, const struct lane_target *to, struct slot *slot);
/* Into the queue. */
void lane_wait(struct lane *lane, const struct record *record, const struct lane_target *to, struct slot *slot);
void lane_released(struct lane *lane, struct slot *slot);
/* What waits of that record counts as sent. */
void lane_forget(struct lane *lane, const struct record *record);

#endif
