#include "registry/metrics.h"

#include "registry/roster.h"

static const char *const roles[] = {"unknown", "gateway", "router", "registry", NULL};
static const char *const events[] = {
#define X(name, text) text,
    ROSTER_EVENT_LIST(X)
#undef X
        NULL};
static const char *const sweeps[] = {"ok", "failed", NULL};
static const char *const holds[] = {"connected", "slow", "emptied", NULL};
static const char *const publishes[] = {"ok", "refused", "away", NULL};
static const char *const resources[] = {"instances", "user",  "users", "stats",  "topics", "push", "token",
                                        "try",       "audit", "dlq",   "replay", "page",   NULL};
static const char *const refusals[] = {"bad_request", "disabled", "too_large", "busy", "away", NULL};
static const char *const pushes[] = {"ok", "failed", NULL};

const struct metric registry_metrics[] = {
    [METRIC_REDIS_UP] = {"herald_registry_redis_up", METRIC_GAUGE, "1 while connected to Redis"},
    [METRIC_LEADER] = {"herald_registry_leader", METRIC_GAUGE, "1 while this registry leads"},
    [METRIC_LEADER_CHANGES] = {"herald_registry_leader_changes_total", METRIC_COUNTER,
                               "times this registry began or ceased to lead"},
    [METRIC_LIVE] = {"herald_registry_instances_live", METRIC_GAUGE, "live instances", "role", roles},
    [METRIC_DEAD] = {"herald_registry_instances_dead", METRIC_GAUGE, "instances dead or stopped, not yet forgotten"},
    [METRIC_INSTANCE_EVENTS] = {"herald_registry_instance_events_total", METRIC_COUNTER, "what happened to instances",
                                "event", events},
    [METRIC_SWEEPS] = {"herald_registry_sweeps_total", METRIC_COUNTER, "readings of all leases", "result", sweeps},
    [METRIC_SWEEP_SECONDS] = {"herald_registry_sweep_seconds", METRIC_HISTOGRAM, "time to read all leases", NULL, NULL,
                              metric_latency_bounds},
    [METRIC_BAD_LEASES] = {"herald_registry_bad_leases_total", METRIC_COUNTER, "leases that could not be parsed"},
    [METRIC_HOLDS] = {"herald_registry_holds_total", METRIC_COUNTER,
                      "times judgement was put off because nobody could be heard", "cause", holds},
    [METRIC_PUBLISHED] = {"herald_registry_snapshots_total", METRIC_COUNTER, "membership snapshots written", "result",
                          publishes},
    [METRIC_MEMBERS_VERSION] = {"herald_registry_members_version", METRIC_GAUGE, "version of the snapshot in Redis"},
    [METRIC_CONNECTIONS] = {"herald_registry_connections", METRIC_GAUGE, "client connections over all live gateways"},
    [METRIC_SESSIONS] = {"herald_registry_sessions", METRIC_GAUGE, "sessions over all live gateways"},
    [METRIC_USERS] = {"herald_registry_users", METRIC_GAUGE,
                      "users over all live gateways; one on two instances counts twice"},
    [METRIC_REQUESTS] = {"herald_registry_requests_total", METRIC_COUNTER, "requests to the API and the pages",
                         "resource", resources},
    [METRIC_REQUESTS_REFUSED] = {"herald_registry_requests_refused_total", METRIC_COUNTER, "requests not served",
                                 "reason", refusals},
    [METRIC_PUSHES] = {"herald_registry_pushes_total", METRIC_COUNTER, "records produced for /try", "result", pushes},
    [METRIC_REPLAYS] = {"herald_registry_replays_total", METRIC_COUNTER, "dead letters produced again", "result",
                        pushes},
    [METRIC_AUDIT_IMBALANCE] = {"herald_registry_audit_imbalance", METRIC_GAUGE,
                                "what does not add up in the live routers' accounts: anything but 0 is a fault"},
    [METRIC_AUDIT_UNHEARD] = {"herald_registry_audit_unheard", METRIC_GAUGE, "live routers without fresh accounts"},
    {0},
};
