/*
 * The leader's lock in Redis (herald:leader) with its fencing token: asked for every 250 ms, renewed every second by
 * its holder, given back at a polite stop. What this registry may believe about it is decided by claim.h.
 */
#ifndef HERALD_REGISTRY_LEADER_H
#define HERALD_REGISTRY_LEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/redis.h"

struct leader;

/* id: unique for each life of a process: "<registry id> <generation>". on_change: it began or ceased to lead. */
struct leader *leader_new(struct loop *loop, struct redis *redis, const char *id, uint64_t ttl_ms, loop_fn *on_change,
                          void *arg);
void leader_free(struct leader **leader);
bool leader_is_held(const struct leader *leader);
/* With which the lock was taken last. */
uint64_t leader_token(const struct leader *leader);
const char *leader_id(const struct leader *leader);
/* The registry id (without the generation) of whoever leads, as of the last answer; "" when unknown. */
const char *leader_holder(const struct leader *leader);
/* A fenced write was refused: the lock is not ours any more. Asks again at once. */
void leader_refused(struct leader *leader);
/* Gives the lock back, not waited for, and asks no more. */
void leader_stop(struct leader *leader);

#endif
