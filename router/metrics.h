/* The metrics of herald-router; the enum and the table come from the same lists. */
#ifndef HERALD_ROUTER_METRICS_H
#define HERALD_ROUTER_METRICS_H

#include "common/metric.h"
#include "router/source/source_metrics.h"

#define ROUTER_METRIC_LIST(X)                                                                                          \
    X(TARGETS, METRIC_COUNTER, "herald_router_targets_total", "Targets of records that could be addressed.", NULL,     \
      NULL)                                                                                                            \
    X(CANARIES, METRIC_COUNTER, "herald_router_canaries_total",                                                        \
      "Targets that are gateways' own canaries; they are not in targets_total and outcomes_total.", NULL, NULL)        \
    X(CANARY_OUTCOMES, METRIC_COUNTER, "herald_router_canary_outcomes_total", "Their outcomes, by kind.", "outcome",   \
      outcome_labels)                                                                                                  \
    X(CANARIES_ABANDONED, METRIC_COUNTER, "herald_router_canaries_abandoned_total",                                    \
      "Those given up without an outcome: their partition was taken away.", NULL, NULL)                                \
    X(CANARY_REQUESTS, METRIC_COUNTER, "herald_router_canary_requests_total", "Canaries that gateways asked for.",     \
      "result", canary_labels)                                                                                         \
    X(TARGETS_ABANDONED, METRIC_COUNTER, "herald_router_targets_abandoned_total",                                      \
      "Targets given up without an outcome: their partition was taken away.", NULL, NULL)                              \
    X(TARGETS_IN_FLIGHT, METRIC_GAUGE, "herald_router_targets_in_flight",                                              \
      "Targets without an outcome yet: targets_total + records_bad_total = sum of outcomes_total + "                   \
      "targets_abandoned_total + this.",                                                                               \
      NULL, NULL)                                                                                                      \
    X(WINDOW_RECORDS, METRIC_GAUGE, "herald_router_window_records", "Records consumed and not finished.", NULL, NULL)  \
    X(WINDOW_BYTES, METRIC_GAUGE, "herald_router_window_bytes", "Bytes of records consumed and not finished.", NULL,   \
      NULL)                                                                                                            \
    X(OLDEST_RECORD, METRIC_GAUGE, "herald_router_oldest_record_seconds",                                              \
      "Age of the oldest record consumed and not finished.", NULL, NULL)                                               \
    X(WINDOW_FULL, METRIC_COUNTER, "herald_router_window_full_total", "Times the window was full.", NULL, NULL)        \
    X(DROPPED, METRIC_COUNTER, "herald_router_dropped_total", "Outcomes `dropped`, by reason.", "reason", miss_labels) \
    X(MISSES, METRIC_COUNTER, "herald_router_misses_total",                                                            \
      "Targets that went out and were not delivered live, by reason; what followed is in outcomes_total.", "reason",   \
      miss_labels)                                                                                                     \
    X(RESULTS, METRIC_COUNTER, "herald_router_results_total", "Results from gateways, by kind.", "kind",               \
      result_labels)                                                                                                   \
    X(RESULTS_LATE, METRIC_COUNTER, "herald_router_results_late_total",                                                \
      "Results for slots that nobody waits for any more.", NULL, NULL)                                                 \
    X(ENVELOPES_REFUSED, METRIC_COUNTER, "herald_router_envelopes_refused_total",                                      \
      "Envelopes from gateways that were not understood or meant for another router, or life of it.", NULL, NULL)      \
    X(DELIVERY_TIME, METRIC_HISTOGRAM, "herald_router_delivery_seconds",                                               \
      "From consumption of a record to the outcome acked or written.", NULL, NULL)                                     \
    X(LANES, METRIC_GAUGE, "herald_router_lanes", "Live gateway instances.", NULL, NULL)                               \
    X(LANE_MESSAGES, METRIC_GAUGE, "herald_router_lane_messages", "Deliveries under way on all lanes.", NULL, NULL)    \
    X(LANE_WAITING, METRIC_GAUGE, "herald_router_lane_waiting", "Deliveries that wait for lanes that take no more.",   \
      NULL, NULL)                                                                                                      \
    X(LANE_WAITED, METRIC_COUNTER, "herald_router_lane_waited_total", "Deliveries that had to wait for their lane.",   \
      NULL, NULL)                                                                                                      \
    X(LANE_UNREAD, METRIC_GAUGE, "herald_router_lane_unread_bytes",                                                    \
      "Bytes sent to gateways that they had not taken when they last said so.", NULL, NULL)                            \
    X(LANES_SILENT, METRIC_COUNTER, "herald_router_lanes_silent_total",                                                \
      "Times that a lane with deliveries under way was silent for too long, and they went elsewhere.", NULL, NULL)     \
    X(LANE_ENVELOPES, METRIC_COUNTER, "herald_router_lane_envelopes_total", "Envelopes sent to gateways.", NULL, NULL) \
    X(LANE_BYTES, METRIC_COUNTER, "herald_router_lane_bytes_total", "Bytes of envelopes sent to gateways.", NULL,      \
      NULL)                                                                                                            \
    X(LANE_ENVELOPES_LOST, METRIC_COUNTER, "herald_router_lane_envelopes_lost_total",                                  \
      "Envelopes that ZeroMQ had no room for.", NULL, NULL)                                                            \
    X(LANE_ROUND_TRIP, METRIC_HISTOGRAM, "herald_router_lane_round_trip_seconds",                                      \
      "Hello to a gateway and its answer.", NULL, NULL)                                                                \
    X(POKES, METRIC_COUNTER, "herald_router_pokes_total", "Gateways told to look into a mailbox.", NULL, NULL)         \
    X(POKES_DROPPED, METRIC_COUNTER, "herald_router_pokes_dropped_total",                                              \
      "Pokes for instances that did not become live in time, or too many of them.", NULL, NULL)                        \
    X(WITHDRAWALS, METRIC_COUNTER, "herald_router_withdrawals_total",                                                  \
      "Gateways told that another device acknowledged a message with `once` first.", NULL, NULL)                       \
    X(ROUTE_HITS, METRIC_COUNTER, "herald_router_route_hits_total", "Routes found in the cache.", NULL, NULL)          \
    X(ROUTE_MISSES, METRIC_COUNTER, "herald_router_route_misses_total", "Routes not found in the cache.", NULL, NULL)  \
    X(LOOKUPS, METRIC_COUNTER, "herald_router_lookups_total", "Look-ups of routes in Redis.", NULL, NULL)              \
    X(LOOKUPS_RETRIED, METRIC_COUNTER, "herald_router_lookups_retried_total", "Look-ups that failed.", NULL, NULL)     \
    X(LOOKUPS_OVERTAKEN, METRIC_COUNTER, "herald_router_lookups_overtaken_total",                                      \
      "Look-ups asked again, since what was asked changed meanwhile.", NULL, NULL)                                     \
    X(LOOKUPS_OPEN, METRIC_GAUGE, "herald_router_lookups_open", "Users whose route is being looked up.", NULL, NULL)   \
    X(ROUTES_CACHED, METRIC_GAUGE, "herald_router_routes_cached", "Users in the route cache.", NULL, NULL)             \
    X(ROUTES_CACHING, METRIC_GAUGE, "herald_router_routes_caching", "1 while the cache is proved to be kept right.",   \
      NULL, NULL)                                                                                                      \
    X(ROUTES_EVICTED, METRIC_COUNTER, "herald_router_routes_evicted_total", "Routes that left for lack of room.",      \
      NULL, NULL)                                                                                                      \
    X(ROUTES_INVALIDATED, METRIC_COUNTER, "herald_router_routes_invalidated_total", "Keys that Redis said changed.",   \
      NULL, NULL)                                                                                                      \
    X(ROUTES_FLUSHED, METRIC_COUNTER, "herald_router_routes_flushed_total", "Times Redis was flushed.", NULL, NULL)    \
    X(ROUTES_MALFORMED, METRIC_COUNTER, "herald_router_routes_malformed_total", "Routes in Redis that make no sense.", \
      NULL, NULL)                                                                                                      \
    X(FLOWS, METRIC_GAUGE, "herald_router_flows", "Users with a durable message in flight.", NULL, NULL)               \
    X(SPILL_RUNS, METRIC_COUNTER, "herald_router_spill_runs_total", "Runs of messages put into mailboxes.", NULL,      \
      NULL)                                                                                                            \
    X(SPILL_STALLED, METRIC_GAUGE, "herald_router_spill_stalled", "Runs that wait for Redis.", NULL, NULL)             \
    X(BOX_APPENDED, METRIC_COUNTER, "herald_router_box_appended_total", "Messages put into mailboxes.", NULL, NULL)    \
    X(BOX_SKIPPED, METRIC_COUNTER, "herald_router_box_skipped_total",                                                  \
      "Messages that were in the mailbox already (redelivered records).", NULL, NULL)                                  \
    X(BOX_TRIMMED, METRIC_COUNTER, "herald_router_box_trimmed_total",                                                  \
      "Messages that left a mailbox because it was full, oldest first.", NULL, NULL)                                   \
    X(BOX_ACKED, METRIC_COUNTER, "herald_router_box_acked_total",                                                      \
      "Messages that clients acknowledged out of mailboxes, after their outcome `stored`.", NULL, NULL)                \
    X(BOX_EXPIRED, METRIC_COUNTER, "herald_router_box_expired_total",                                                  \
      "Messages that were found expired in mailboxes, after their outcome `stored`.", NULL, NULL)                      \
    X(BOX_AGED, METRIC_COUNTER, "herald_router_box_aged_total",                                                        \
      "Messages that left a mailbox because they were older than box.ttl.", NULL, NULL)                                \
    X(BOX_FULL, METRIC_COUNTER, "herald_router_box_full_total",                                                        \
      "Messages that a full mailbox refused (box.policy drop-newest).", NULL, NULL)                                    \
    X(BOX_STALE, METRIC_COUNTER, "herald_router_box_stale_total",                                                      \
      "Messages that a mailbox refused because another router owns their partition now.", NULL, NULL)                  \
    X(BOX_COLLAPSED, METRIC_COUNTER, "herald_router_box_collapsed_total",                                              \
      "Messages that left a mailbox because a newer one with their collapse key came.", NULL, NULL)                    \
    X(BOX_RETRIES, METRIC_COUNTER, "herald_router_box_retries_total", "Appends that failed and are repeated.", NULL,   \
      NULL)                                                                                                            \
    X(TENURES_LOST, METRIC_COUNTER, "herald_router_tenures_lost_total",                                                \
      "Partitions that another router was seen to own before Kafka said so.", NULL, NULL)                              \
    X(TENURES_REFUSED, METRIC_COUNTER, "herald_router_tenures_refused_total",                                          \
      "Times a partition could not begin, because a router with a higher generation was there.", NULL, NULL)           \
    X(DEDUP_CLAIMS, METRIC_COUNTER, "herald_router_dedup_claims_total",                                                \
      "Producer-given ids asked about in Redis, one for each target; what was a duplicate is in outcomes_total.",      \
      NULL, NULL)                                                                                                      \
    X(DEDUP_UNCLAIMED, METRIC_COUNTER, "herald_router_dedup_unclaimed_total",                                          \
      "Targets with a producer-given id that went on unclaimed because Redis was away.", NULL, NULL)                   \
    X(DEDUP_WAITING, METRIC_GAUGE, "herald_router_dedup_waiting", "Claims of ids that wait for Redis.", NULL, NULL)    \
    X(UPSTREAMS, METRIC_COUNTER, "herald_router_upstreams_total", "Messages from clients, by answer.", "code",         \
      upstream_labels)                                                                                                 \
    X(UPSTREAMS_PENDING, METRIC_GAUGE, "herald_router_upstreams_pending", "Messages from clients on their way.", NULL, \
      NULL)                                                                                                            \
    X(PARTITION_ACCEPTED, METRIC_LISTED_COUNTER, "herald_router_partition_accepted_total",                             \
      "Targets, and records that were dead at once, accepted from each partition: = finished + abandoned + in "        \
      "flight.",                                                                                                       \
      "partition", NULL)                                                                                               \
    X(PARTITION_FINISHED, METRIC_LISTED_COUNTER, "herald_router_partition_finished_total",                             \
      "Of these, those that have their outcome.", "partition, outcome", NULL)                                          \
    X(PARTITION_ABANDONED, METRIC_LISTED_COUNTER, "herald_router_partition_abandoned_total",                           \
      "Of these, those given up because the partition was taken away.", "partition", NULL)                             \
    X(PARTITION_IN_FLIGHT, METRIC_LISTED_GAUGE, "herald_router_partition_in_flight",                                   \
      "Of these, those still under way, counted one by one.", "partition", NULL)                                       \
    X(AUDIT_IMBALANCE, METRIC_GAUGE, "herald_router_audit_imbalance",                                                  \
      "What does not add up, over all partitions: anything but 0 is a fault of Herald.", NULL, NULL)                   \
    X(HANDOVERS, METRIC_COUNTER, "herald_router_handovers_total",                                                      \
      "Hand-over: mailboxes noted or lost (no room, Redis away) or failed (tried again), messages published or "       \
      "expired.",                                                                                                      \
      "event", handover_labels)                                                                                        \
    X(REDIS_UP, METRIC_GAUGE, "herald_router_redis_up", "1 while Redis answers.", NULL, NULL)

enum router_metric {
#define X(id, kind, name, help, label, values) METRIC_##id,
    ROUTER_SOURCE_METRIC_LIST(X) ROUTER_METRIC_LIST(X)
#undef X
        METRIC_ROUTER_COUNT
};

extern const struct metric router_metrics[];
/* In the order of enum miss (entry.h), Herald__V1__ResultKind, enum upstream_answer (upstream.h). */
extern const char *const miss_labels[], *const result_labels[], *const upstream_labels[], *const canary_labels[],
                                                                                              *const handover_labels[];
enum handover_event { HANDOVER_NOTED, HANDOVER_LOST, HANDOVER_FAILED, HANDOVER_PUBLISHED, HANDOVER_EXPIRED };

#endif
