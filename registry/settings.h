/* The options of herald-registry. */
#ifndef HERALD_REGISTRY_SETTINGS_H
#define HERALD_REGISTRY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/daemon.h"
#include "common/kafka.h"
#include "common/option.h"
#include "common/redis.h"

struct registry_settings {
    struct daemon_settings daemon;
    struct redis_options redis;
    struct kafka_options kafka;
    char *id;
    int64_t ttl_ms;
    int64_t forget_ms;
    int64_t instances_max;
    int64_t lookup_users_max;
    int64_t lookups_max;
    bool is_write_enabled;
    char *dlq_topic;
    int64_t dlq_scan;
    bool is_try_enabled;
    struct option_list try_gateway_urls;
    int64_t push_bytes_max;
    int64_t pushes_max;
    char *push_topic;
    char *auth_secret;
};

extern const struct option registry_options[];

#endif
