/*
 * The registry's HTTP API (docs/api.md) and its pages. Every registry answers, leader or not: what it says comes from
 * its own reading of the leases and from Redis. Errors are {"error":"..."} with a fitting code; every list is bounded.
 */
#ifndef HERALD_REGISTRY_API_H
#define HERALD_REGISTRY_API_H

#include <stdint.h>

#include "common/admin.h"
#include "common/kafka_reader.h"
#include "common/loop.h"
#include "common/redis.h"
#include "registry/auditor.h"
#include "registry/leader.h"
#include "registry/publisher.h"
#include "registry/roster.h"
#include "registry/settings.h"
#include "registry/watcher.h"

/* What the API looks at; all outlive it. Exposed to its resources (api_*.c). */
struct api {
    uint32_t magic;
    uint32_t lookups, pushes, replays; /* under way */
    const struct registry_settings *settings;
    const char *registry_id;
    struct loop *loop;
    struct redis *redis;
    struct roster *roster;
    struct watcher *watcher;
    struct leader *leader;
    struct publisher *publisher;
    struct kafka_producer *producer; /* NULL unless try.enabled or api.write */
    struct kafka_reader *reader;
    struct auditor *auditor;
};
enum { API_MAGIC = 0x41504921 };

/* Adds all routes. The api struct must outlive the admin. */
void api_start(struct api *api, struct admin *admin);

#endif
