/*
 * Reads herald:instances and every lease with its remaining time, pipelined, each 250 ms, and lets the roster judge.
 * Followers watch as well: so they serve reads, and a new leader knows at once what it has to know.
 */
#ifndef HERALD_REGISTRY_WATCHER_H
#define HERALD_REGISTRY_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/redis.h"
#include "registry/roster.h"

enum { WATCHER_SWEEP_MS = 250 };

struct watcher;

/* on_sweep is called after each complete sweep. */
struct watcher *watcher_new(struct loop *loop, struct redis *redis, struct roster *roster, loop_fn *on_sweep,
                            void *arg);
void watcher_free(struct watcher **watcher);
/* The connection to Redis came up or was lost. */
void watcher_redis_state(struct watcher *watcher, bool is_up);
/* Was there a complete sweep since the connection came up? */
bool watcher_has_swept(const struct watcher *watcher);
/* The version of herald:members as of the last sweep; 0: none there. */
uint64_t watcher_members_version(const struct watcher *watcher);

#endif
