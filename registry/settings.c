#include "registry/settings.h"

#include <stddef.h>

#define AT(field) offsetof(struct registry_settings, field)

const struct option registry_options[] = {
    {"admin", "listen", OPTION_STRING, AT(daemon.admin.listen), "127.0.0.1:9280", 0, 0, NULL,
     "host:port of the HTTP API, the dashboard, /metrics, /healthz and /readyz; for operators only"},
    {"registry", "id", OPTION_STRING, AT(id), "", 0, 0, NULL,
     "name of this registry, unique in the cluster; empty: <hostname>-registry-<port>"},
    {"registry", "ttl", OPTION_DURATION, AT(ttl_ms), "4s", 2000, 60000, NULL,
     "life of the leader's lock: after a leader was killed another one leads this much and 250ms later"},
    {"registry", "forget", OPTION_DURATION, AT(forget_ms), "10m", 10000, 604800000, NULL,
     "instances dead for longer are forgotten"},
    {"registry", "instances_max", OPTION_INT, AT(instances_max), "4096", 16, 65536, NULL,
     "instances, live and dead, known at the most; more are refused and counted"},
    {"api", "users_max", OPTION_INT, AT(lookup_users_max), "100", 1, 1000, NULL,
     "users that one request for presence may ask for"},
    {"api", "lookups_max", OPTION_INT, AT(lookups_max), "1000", 1, 100000, NULL,
     "requests that wait for Redis at the most; more get 503"},
    {"api", "write", OPTION_BOOL, AT(is_write_enabled), "false", 0, 0, NULL,
     "lets everyone who reaches this port replay dead letters; for trusted networks"},
    {"dlq", "topic", OPTION_STRING, AT(dlq_topic), "herald.dlq", 0, 0, NULL,
     "the routers' dead-letter topic (their kafka.dead_topic)"},
    {"dlq", "scan", OPTION_INT, AT(dlq_scan), "1000", 1, 10000, NULL,
     "the newest dead letters that are looked through for those asked for"},
    {"try", "enabled", OPTION_BOOL, AT(is_try_enabled), "false", 0, 0, NULL,
     "lets everyone who reaches this port send records and mint tokens (/try): for development only"},
    {"try", "gateway_url", OPTION_LIST, AT(try_gateway_urls), "", 0, 0, NULL,
     "WebSocket URLs offered on /try, ws://host:port/ws each; empty: those that the gateways announce"},
    {"try", "push_bytes", OPTION_SIZE, AT(push_bytes_max), "256KiB", 1024, 1048576, NULL,
     "largest record taken by POST /api/v1/push"},
    {"try", "pushes_max", OPTION_INT, AT(pushes_max), "1000", 1, 100000, NULL,
     "records that wait for Kafka's acknowledgement at the most; more get 503"},
    {"try", "push_topic", OPTION_STRING, AT(push_topic), "herald.push", 0, 0, NULL,
     "topic that /try, and replays of dead letters, produce to"},
    {"auth", "secret", OPTION_SECRET, AT(auth_secret), "", 0, 0, NULL,
     "HS256 secret of the gateways, for the tokens that /try mints; empty: it mints none"},
    REDIS_OPTION_ROWS(struct registry_settings, redis),
    KAFKA_OPTION_ROWS(struct registry_settings, kafka),
    {0},
};
