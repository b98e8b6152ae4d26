/*
 * What the leader writes: the membership snapshot (herald:members), at once when something changes that routing must
 * hear of, and each second with fresh counters; and herald:instances without the names of the long dead. Fenced by the
 * leader's token: a leader that was cut off cannot overwrite its successor.
 */
#ifndef HERALD_REGISTRY_PUBLISHER_H
#define HERALD_REGISTRY_PUBLISHER_H

#include <stdint.h>

#include "common/loop.h"
#include "common/redis.h"
#include "registry/leader.h"
#include "registry/roster.h"

enum { PUBLISHER_EVERY_MS = 1000 };

struct publisher;

/* registry_id stands in the snapshot as its leader. */
struct publisher *publisher_new(struct loop *loop, struct redis *redis, struct roster *roster, struct leader *leader,
                                const char *registry_id);
void publisher_free(struct publisher **publisher);
/* After each sweep, and when this registry began to lead: writes when it is the leader and something is to be written.
 */
void publisher_look(struct publisher *publisher);
/* Version and wall-clock time of the last snapshot that this registry wrote; 0: none. */
uint64_t publisher_version(const struct publisher *publisher);
uint64_t publisher_published_ms(const struct publisher *publisher);

#endif
