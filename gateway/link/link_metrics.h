/* What the link to the routers counts. X(id, kind, name, help, label, label values) */
#ifndef HERALD_GATEWAY_LINK_LINK_METRICS_H
#define HERALD_GATEWAY_LINK_LINK_METRICS_H

/* In the order of Herald__V1__ResultKind. */
#define RESULT_KIND_LIST(X)                                                                                            \
    X(UNKNOWN, "unknown")                                                                                              \
    X(WRITTEN, "written") X(ACKED, "acked") X(NOT_HERE, "not_here") X(CLOSED, "closed") X(REFUSED, "refused")
#define LINK_REFUSAL_LIST(X)                                                                                           \
    X(INVALID, "invalid")           /* not an envelope */                                                              \
    X(VERSION, "version")           /* of a version this build does not know */                                        \
    X(MISDIRECTED, "misdirected")   /* meant for another instance, or another life of this one */                      \
    X(TOO_LARGE, "too_large")       /* beyond the arena */                                                             \
    X(UNKNOWN_PEER, "unknown_peer") /* from a router that has not said hello: results could not go back */             \
    X(PEERS_FULL, "peers_full")
#define UPSTREAM_OUTCOME_LIST(X)                                                                                       \
    X(ANSWERED, "answered") /* by a router, whatever the code */                                                       \
    X(TIMEOUT, "timeout")                                                                                              \
    X(NO_ROUTER, "no_router")                                                                                          \
    X(FULL, "full") /* link.upstream_max are under way, or the lane is full */                                         \
    X(LATE, "late") /* an answer that nobody waits for any more */

#define CANARY_EVENT_LIST(X)                                                                                           \
    X(SENT, "sent")     /* asked of a router */                                                                        \
    X(UNSENT, "unsent") /* the lane to that router took nothing */                                                     \
    X(PASSED, "passed")                                                                                                \
    X(LATE, "late") /* repeated, of an earlier life, or after the time-out */

#define X(name, text) CANARY_EVENT_##name,
enum canary_event { CANARY_EVENT_LIST(X) CANARY_EVENT_COUNT };
#undef X
#define X(name, text) LINK_REFUSAL_##name,
enum link_refusal { LINK_REFUSAL_LIST(X) LINK_REFUSAL_COUNT };
#undef X
#define X(name, text) UPSTREAM_OUTCOME_##name,
enum upstream_outcome { UPSTREAM_OUTCOME_LIST(X) UPSTREAM_OUTCOME_COUNT };
#undef X

extern const char *const result_kind_names[], *const link_refusal_names[], *const upstream_outcome_names[],
                                                                               *const canary_event_names[];

#define LINK_METRIC_LIST(X)                                                                                            \
    X(LINK_ENVELOPES_IN, METRIC_COUNTER, "herald_gateway_link_envelopes_received_total", "Envelopes from routers.",    \
      NULL, NULL)                                                                                                      \
    X(LINK_BYTES_IN, METRIC_COUNTER, "herald_gateway_link_received_bytes_total", "Bytes of envelopes from routers.",   \
      NULL, NULL)                                                                                                      \
    X(LINK_REFUSED, METRIC_COUNTER, "herald_gateway_link_refused_total", "Envelopes from routers not taken.",          \
      "reason", link_refusal_names)                                                                                    \
    X(LINK_ENVELOPES_OUT, METRIC_COUNTER, "herald_gateway_link_envelopes_sent_total", "Envelopes to routers.", NULL,   \
      NULL)                                                                                                            \
    X(LINK_PEERS, METRIC_GAUGE, "herald_gateway_link_peers", "Routers that said hello of late.", NULL, NULL)           \
    X(DELIVERIES, METRIC_COUNTER, "herald_gateway_deliveries_total", "Targets of deliveries from routers.", NULL,      \
      NULL)                                                                                                            \
    X(OLD_OWNERS, METRIC_COUNTER, "herald_gateway_old_owners_total",                                                   \
      "Targets refused because their router has lost the partition to another one.", NULL, NULL)                       \
    X(RESULTS, METRIC_COUNTER, "herald_gateway_results_total", "Fates of targets, as told to routers.", "kind",        \
      result_kind_names)                                                                                               \
    X(RESULTS_LOST, METRIC_COUNTER, "herald_gateway_results_lost_total",                                               \
      "Results that could not be sent: their router is gone, or its lane is full.", NULL, NULL)                        \
    X(PENDING, METRIC_GAUGE, "herald_gateway_targets_pending", "Targets whose fate is not known yet.", NULL, NULL)     \
    X(BOX_FATES, METRIC_COUNTER, "herald_gateway_box_fates_total",                                                     \
      "Ends of mailbox entries (acknowledged, expired) told to routers.", NULL, NULL)                                  \
    X(BOX_FATES_LOST, METRIC_COUNTER, "herald_gateway_box_fates_lost_total",                                           \
      "Ends of mailbox entries that no router could be told: their late outcomes are missing.", NULL, NULL)            \
    X(BOX_FATES_PENDING, METRIC_GAUGE, "herald_gateway_box_fates_pending",                                             \
      "Ends of mailbox entries that no router has answered for yet.", NULL, NULL)                                      \
    X(BOX_FATES_AGAIN, METRIC_COUNTER, "herald_gateway_box_fates_again_total",                                         \
      "Ends of mailbox entries that have to be told again: their router is gone, or takes no more.", NULL, NULL)       \
    X(UPSTREAMS, METRIC_COUNTER, "herald_gateway_upstream_total", "Messages of clients to the business.", "outcome",   \
      upstream_outcome_names)                                                                                          \
    X(CANARIES, METRIC_COUNTER, "herald_gateway_canaries_total", "Messages of the worker to itself, through Kafka.",   \
      "event", canary_event_names)                                                                                     \
    X(CANARY_PASSING, METRIC_GAUGE, "herald_gateway_canary_passing",                                                   \
      "1 while a canary came through within canary.timeout, or canaries are off.", NULL, NULL)                         \
    X(CANARY_AGE, METRIC_GAUGE, "herald_gateway_canary_age_seconds",                                                   \
      "Since the last canary came through; 0 before the first.", NULL, NULL)                                           \
    X(CANARY_LATENCY, METRIC_HISTOGRAM, "herald_gateway_canary_latency_seconds",                                       \
      "The whole way of a canary: router, Kafka, router, and back here.", NULL, NULL)

#endif
