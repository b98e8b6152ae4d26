/*
 * De-duplication by producer-given id: the first source position that claims (user, id) holds it for a window of time;
 * a record with the same id at another position is a duplicate, one at the same position is a redelivery and goes on.
 * One pipelined script call a target; records without an id of their own are never asked for.
 *
 * While Redis is away nothing can be claimed. DELIVER: the message goes on unclaimed, as it would without an id, and
 * dropping what comes twice is left to the client, which knows the ids it has seen. WAIT: it waits for Redis, and
 * everything behind it in its flow too.
 */
#ifndef HERALD_ROUTER_FLOW_DEDUP_H
#define HERALD_ROUTER_FLOW_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "common/redis.h"
#include "router/record/push.h"
#include "router/record/record.h"

struct dedup;

enum dedup_away { DEDUP_DELIVER, DEDUP_WAIT };

struct dedup_settings {
    int64_t window_ms; /* 0: nothing is claimed */
    bool has_volatile; /* also volatile messages */
    int when_away;     /* enum dedup_away */
};

/* Embedded in what claims. While it does, user and record must stay. */
struct dedup_claim {
    struct list link;
    struct dedup_call *call; /* under way; NULL: it waits for Redis */
    const struct record *record;
    struct push_str user;
};

/* holder: the other position that has the id, borrowed for the call; len 0: go on. Never called from inside
 * dedup_start(). */
typedef void dedup_fn(void *arg, struct dedup_claim *claim, struct push_str holder);

struct dedup *dedup_new(struct redis *redis, const struct dedup_settings *settings, dedup_fn *fn, void *arg);
/* No call may be under way, no claim may wait. */
void dedup_free(struct dedup **dedup);
/* False: nothing is to be waited for, go on. True: fn will be called, unless the claim is cancelled. */
bool dedup_start(struct dedup *dedup, struct dedup_claim *claim, const struct record *record, struct push_str user);
bool dedup_is_claiming(const struct dedup_claim *claim);
/* No-op when it does not claim. */
void dedup_cancel(struct dedup_claim *claim);
/* What waits is asked again; call it now and then, and when Redis is back. */
void dedup_retry(struct dedup *dedup);
/* Calls fn for each claim that waits for Redis; it may cancel that one and those of the same flow. */
void dedup_each_waiting(struct dedup *dedup, void (*fn)(void *arg, struct dedup_claim *claim), void *arg);
/* Claims that wait for Redis. */
uint32_t dedup_waiting(const struct dedup *dedup);

#endif
