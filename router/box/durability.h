/*
 * What the mailboxes can lose, by the settings of the Redis that holds them: asked with each connection, told by
 * /readyz and, when it is more than a crash of the whole machine, in the log. The words are those of docs/delivery.md.
 */
#ifndef HERALD_ROUTER_BOX_DURABILITY_H
#define HERALD_ROUTER_BOX_DURABILITY_H

#include "common/buf.h"
#include "common/redis.h"

struct durability;

/* The answers come to it: so it is freed after the redis. */
struct durability *durability_new(struct redis *redis);
void durability_free(struct durability **durability);
/* Asks anew; for each time that Redis is up. */
void durability_ask(struct durability *durability);
/* Appends one line without an end; nothing while no answer has come. */
void durability_tell(const struct durability *durability, struct buf *out);

/* NULL: Redis did not tell. Pure. */
struct durability_settings {
    const char *appendonly, *appendfsync, *maxmemory_policy;
};
/* Constant texts: what of the mailboxes may be lost, and, where it may evict, that; "" where it does not. */
const char *durability_of_crash(const struct durability_settings *settings);
const char *durability_of_eviction(const struct durability_settings *settings);

#endif
