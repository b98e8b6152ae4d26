/* The metrics of herald-registry; the table and the enum stand in the same order. */
#ifndef HERALD_REGISTRY_METRICS_H
#define HERALD_REGISTRY_METRICS_H

#include "common/metric.h"

enum registry_metric {
    METRIC_REDIS_UP,
    METRIC_LEADER,
    METRIC_LEADER_CHANGES,
    METRIC_LIVE, /* by role */
    METRIC_DEAD,
    METRIC_INSTANCE_EVENTS, /* by enum roster_event */
    METRIC_SWEEPS,          /* by enum metric_sweep */
    METRIC_SWEEP_SECONDS,
    METRIC_BAD_LEASES,
    METRIC_HOLDS,     /* by enum metric_hold */
    METRIC_PUBLISHED, /* by enum metric_publish */
    METRIC_MEMBERS_VERSION,
    METRIC_CONNECTIONS,
    METRIC_SESSIONS,
    METRIC_USERS,
    METRIC_REQUESTS,         /* by enum metric_resource */
    METRIC_REQUESTS_REFUSED, /* by enum metric_refusal */
    METRIC_PUSHES,           /* by enum metric_push */
    METRIC_REPLAYS,          /* by enum metric_push */
    METRIC_AUDIT_IMBALANCE,
    METRIC_AUDIT_UNHEARD,
};

enum metric_sweep { SWEEP_OK, SWEEP_FAILED };
enum metric_hold { HOLD_CONNECTED, HOLD_SLOW, HOLD_EMPTIED };
enum metric_publish { PUBLISH_OK, PUBLISH_REFUSED, PUBLISH_AWAY };
enum metric_resource {
    RESOURCE_INSTANCES,
    RESOURCE_USER,
    RESOURCE_USERS,
    RESOURCE_STATS,
    RESOURCE_TOPICS,
    RESOURCE_PUSH,
    RESOURCE_TOKEN,
    RESOURCE_TRY,
    RESOURCE_AUDIT,
    RESOURCE_DLQ,
    RESOURCE_REPLAY,
    RESOURCE_PAGE
};
enum metric_refusal { REFUSAL_BAD, REFUSAL_DISABLED, REFUSAL_TOO_LARGE, REFUSAL_BUSY, REFUSAL_AWAY };
enum metric_push { PUSH_OK, PUSH_FAILED };

extern const struct metric registry_metrics[];

#endif
