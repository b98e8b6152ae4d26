/* What the session layer counts. X(id, kind, name, help, label, label values) */
#ifndef HERALD_GATEWAY_SESSION_SESSION_METRICS_H
#define HERALD_GATEWAY_SESSION_SESSION_METRICS_H

/* Label values, as enum and names. */
#define AUTH_RESULT_LIST(X) X(OK, "ok") X(INVALID, "invalid") X(EXPIRED, "expired") X(REFUSED, "refused")
#define PUSH_SORT_LIST(X) X(VOLATILE, "volatile") X(DURABLE, "durable") X(BOX, "box")
#define REFUSAL_LIST(X)                                                                                                \
    X(DRAINING, "draining")                                                                                            \
    X(WINDOW, "window")                                                                                                \
    X(SLOW, "slow")                                                                                                    \
    X(MEMORY, "memory") /* as slow, and memory.frames is reached */                                                    \
    X(EXPIRED, "expired")                                                                                              \
    X(GAP, "gap")             /* the session did not take what was sent before it */                                   \
    X(OVERTAKEN, "overtaken") /* held up on its way while a newer one came by the mailbox */                           \
    X(STALE, "stale")         /* meant for a connection that this session has followed */                              \
    X(COLLAPSED, "collapsed") /* a newer one with its collapse key came while it waited */                             \
    X(WITHDRAWN, "withdrawn") /* another device acknowledged it first */
#define ROUTE_EVENT_LIST(X)                                                                                            \
    X(REGISTERED, "registered")                                                                                        \
    X(REFRESHED, "refreshed")                                                                                          \
    X(REMOVED, "removed")                                                                                              \
    X(FAILED, "failed") /* Redis away or refusing; tried again */                                                      \
    X(LOST, "lost")     /* a newer session of the device is elsewhere */

#define X(name, text) AUTH_RESULT_##name,
enum auth_result { AUTH_RESULT_LIST(X) AUTH_RESULT_COUNT };
#undef X
#define X(name, text) PUSH_SORT_##name,
enum push_sort { PUSH_SORT_LIST(X) PUSH_SORT_COUNT };
#undef X
#define X(name, text) REFUSAL_##name,
enum refusal { REFUSAL_LIST(X) REFUSAL_COUNT };
#undef X
#define X(name, text) ROUTE_EVENT_##name,
enum route_event { ROUTE_EVENT_LIST(X) ROUTE_EVENT_COUNT };
#undef X

extern const char *const overflow_names[];
extern const char *const auth_result_names[],
    *const push_sort_names[], *const refusal_names[], *const route_event_names[], *const client_message_names[];

#define SESSION_METRIC_LIST(X)                                                                                         \
    X(SESSIONS, METRIC_GAUGE, "herald_gateway_sessions", "Authenticated sessions", NULL, NULL)                         \
    X(USERS, METRIC_GAUGE, "herald_gateway_users", "Users with at least one session", NULL, NULL)                      \
    X(SESSIONS_DRAINING, METRIC_GAUGE, "herald_gateway_sessions_draining",                                             \
      "Sessions that are not live: their mailbox is unknown or not seen empty yet", NULL, NULL)                        \
    X(AUTHS, METRIC_COUNTER, "herald_gateway_authentications_total", "Authentications decided", "result",              \
      auth_result_names)                                                                                               \
    X(CLIENT_MESSAGES, METRIC_COUNTER, "herald_gateway_client_messages_total", "Messages from clients", "type",        \
      client_message_names)                                                                                            \
    X(PUSHES, METRIC_COUNTER, "herald_gateway_pushes_total", "Pushes given to a connection", "class", push_sort_names) \
    X(PUSHES_REFUSED, METRIC_COUNTER, "herald_gateway_pushes_refused_total", "Pushes that a session did not take",     \
      "reason", refusal_names)                                                                                         \
    X(PUSHES_SLOW, METRIC_COUNTER, "herald_gateway_pushes_slow_total",                                                 \
      "Pushes that did not wait for a connection that took no more, because too much does: what became of them, "      \
      "slow.* says",                                                                                                   \
      "class", overflow_names)                                                                                         \
    X(PUSHES_WAITED, METRIC_COUNTER, "herald_gateway_pushes_waited_total",                                             \
      "Pushes that waited, by priority, for a connection that took no more", NULL, NULL)                               \
    X(ACKS, METRIC_COUNTER, "herald_gateway_pushes_acked_total", "Durable pushes acknowledged by clients", NULL, NULL) \
    X(UNACKED_CLOSED, METRIC_COUNTER, "herald_gateway_pushes_unacked_total",                                           \
      "Durable pushes that were not acknowledged when their session ended", NULL, NULL)                                \
    X(BOX_EXPIRED, METRIC_COUNTER, "herald_gateway_box_expired_total", "Mailbox entries found expired", NULL, NULL)    \
    X(BOX_INVALID, METRIC_COUNTER, "herald_gateway_box_invalid_total", "Mailbox entries that could not be read", NULL, \
      NULL)                                                                                                            \
    X(DRAINS, METRIC_COUNTER, "herald_gateway_drains_total", "Mailbox drains that ended with the session live", NULL,  \
      NULL)                                                                                                            \
    X(POKES, METRIC_COUNTER, "herald_gateway_pokes_total", "Pokes that found a session", NULL, NULL)                   \
    X(SESSIONS_SHED, METRIC_COUNTER, "herald_gateway_sessions_shed_total",                                             \
      "Slow sessions closed (1013) because memory was short", NULL, NULL)                                              \
    X(SHED_BYTES, METRIC_COUNTER, "herald_gateway_shed_bytes_total", "Bytes that had been queued for them", NULL,      \
      NULL)                                                                                                            \
    X(SESSIONS_EXPIRED, METRIC_COUNTER, "herald_gateway_sessions_expired_total",                                       \
      "Sessions closed because their token expired", NULL, NULL)                                                       \
    X(GOODBYES, METRIC_GAUGE, "herald_gateway_route_removals_pending",                                                 \
      "Routes of ended sessions that Redis has not removed yet", NULL, NULL)                                           \
    X(GOODBYES_LOST, METRIC_COUNTER, "herald_gateway_route_removals_lost_total",                                       \
      "Routes of ended sessions left to run out: too many were waiting to be removed", NULL, NULL)                     \
    X(REGISTRATIONS, METRIC_GAUGE, "herald_gateway_route_registrations",                                               \
      "Registrations of routes that Redis has not answered; at most route.registrations_max", NULL, NULL)              \
    X(REGISTRATIONS_WAITING, METRIC_GAUGE, "herald_gateway_route_registrations_waiting",                               \
      "Registrations that wait for others to be answered", NULL, NULL)                                                 \
    X(REGISTRATIONS_DEFERRED, METRIC_COUNTER, "herald_gateway_route_registrations_deferred_total",                     \
      "Registrations that had to wait for others to be answered", NULL, NULL)                                          \
    X(ROUTES, METRIC_COUNTER, "herald_gateway_routes_total", "Answers of Redis about routes", "event",                 \
      route_event_names)

#endif
