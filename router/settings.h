/* The options of herald-router. */
#ifndef HERALD_ROUTER_SETTINGS_H
#define HERALD_ROUTER_SETTINGS_H

#include <stdint.h>

#include "common/daemon.h"
#include "common/kafka.h"
#include "common/option.h"
#include "common/priority.h"
#include "common/redis.h"
#include "router/box/handover.h"
#include "router/dispatch/dispatch.h"
#include "router/source/source_options.h"

struct router_settings {
    struct daemon_settings daemon;
    char *node;
    int64_t slot;
    int64_t window_records, window_bytes, window_slots;
    int64_t ack_wait_ms, result_wait_ms;
    int64_t users_cached;
    int64_t upstreams_max;
    int64_t shutdown_ms;
    int64_t dedup_window_ms;
    bool dedup_volatile;
    int dedup_when_away;
    char *link_listen, *link_advertise;
    int64_t link_hwm, link_envelope_max, link_receive_max;
    int64_t lane_messages, lane_bytes, lane_unread, lane_silence_ms, lane_waiting;
    struct priority_weights lane_weights;
    int64_t box_count, box_bytes, box_ttl_ms;
    int box_policy;
    struct redis_options redis;
    struct kafka_options kafka;
    struct source_options source;
    struct handover_settings handover;
};

extern const struct option router_options[];

/* What the decisions need of them; the texts are borrowed. */
struct dispatch_settings settings_of_dispatch(const struct router_settings *s, const char *router, uint64_t generation,
                                              const char *endpoint);

#endif
