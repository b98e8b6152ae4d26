/*
 * Metrics of the router's Kafka side: source, dead letters, outcomes. Rows of the router's one table (metrics.h):
 * X(id, kind, name, help, label, values); the id becomes METRIC_<id>, kind is an enum metric_kind.
 */
#ifndef HERALD_ROUTER_SOURCE_SOURCE_METRICS_H
#define HERALD_ROUTER_SOURCE_SOURCE_METRICS_H

#include "common/metric.h"
#include "router/outcome/outcome.h"
#include "router/record/push.h"

#define ROUTER_SOURCE_METRIC_LIST(X)                                                                                   \
    X(RECORDS, METRIC_COUNTER, "herald_router_records_total", "Records consumed from the push topic.", NULL, NULL)     \
    X(RECORD_BYTES, METRIC_COUNTER, "herald_router_record_bytes_total", "Bytes of the values of records consumed.",    \
      NULL, NULL)                                                                                                      \
    X(RECORDS_BAD, METRIC_COUNTER, "herald_router_records_bad_total",                                                  \
      "Records that could not be parsed or addressed, by error.", "error", push_error_labels)                          \
    X(RECORDS_FINISHED, METRIC_COUNTER, "herald_router_records_finished_total",                                        \
      "Records all of whose targets have their outcome.", NULL, NULL)                                                  \
    X(RECORDS_ABANDONED, METRIC_COUNTER, "herald_router_records_abandoned_total",                                      \
      "Unfinished records of partitions that were taken away; their next owner reads them again.", NULL, NULL)         \
    X(RECORDS_PENDING, METRIC_GAUGE, "herald_router_records_pending", "Records not finished.", NULL, NULL)             \
    X(PARTITIONS, METRIC_GAUGE, "herald_router_partitions", "Partitions of the push topic held.", NULL, NULL)          \
    X(PARTITIONS_ASSIGNED, METRIC_COUNTER, "herald_router_partitions_assigned_total", "Partitions assigned.", NULL,    \
      NULL)                                                                                                            \
    X(PARTITIONS_REVOKED, METRIC_COUNTER, "herald_router_partitions_revoked_total", "Partitions revoked or lost.",     \
      NULL, NULL)                                                                                                      \
    X(SOURCE_PAUSES, METRIC_COUNTER, "herald_router_source_pauses_total",                                              \
      "Times consumption paused because the window was full.", NULL, NULL)                                             \
    X(PARTITION_PAUSES, METRIC_COUNTER, "herald_router_partition_pauses_total",                                        \
      "Times one partition paused because its oldest record held it too long.", NULL, NULL)                            \
    X(PARTITION_REWINDS, METRIC_COUNTER, "herald_router_partition_rewinds_total",                                      \
      "Times offsets of a partition went back (truncated log, topic made anew).", NULL, NULL)                          \
    X(DEADLETTERS, METRIC_COUNTER, "herald_router_deadletters_total", "Dead letters that Kafka has.", NULL, NULL)      \
    X(DEADLETTER_RETRIES, METRIC_COUNTER, "herald_router_deadletter_retries_total",                                    \
      "Dead letters that had to be tried again.", NULL, NULL)                                                          \
    X(DEADLETTERS_PENDING, METRIC_GAUGE, "herald_router_deadletters_pending", "Dead letters not yet in Kafka.", NULL,  \
      NULL)                                                                                                            \
    X(OUTCOMES, METRIC_COUNTER, "herald_router_outcomes_total", "Outcomes of (record, target), by kind.", "outcome",   \
      outcome_labels)                                                                                                  \
    X(OUTCOMES_PUBLISHED, METRIC_COUNTER, "herald_router_outcomes_published_total", "Outcomes that Kafka has.", NULL,  \
      NULL)                                                                                                            \
    X(OUTCOMES_PENDING, METRIC_GAUGE, "herald_router_outcomes_pending",                                                \
      "Outcomes to be published that Kafka does not have yet; their records are not committed.", NULL, NULL)           \
    X(OUTCOME_RETRIES, METRIC_COUNTER, "herald_router_outcome_retries_total",                                          \
      "Outcomes that had to be published again, because Kafka did not take them.", NULL, NULL)                         \
    X(OUTCOMES_ABANDONED, METRIC_COUNTER, "herald_router_outcomes_abandoned_total",                                    \
      "Outcomes not published, because their partition was taken away: the next owner publishes one.", NULL, NULL)     \
    X(OUTCOMES_UNPUBLISHED, METRIC_COUNTER, "herald_router_outcomes_unpublished_total",                                \
      "Later outcomes, of messages that had been stored, that were to be published and could not.", NULL, NULL)        \
    X(KAFKA_UP, METRIC_GAUGE, "herald_router_kafka_up", "1 while a Kafka broker is reachable.", NULL, NULL)

#endif
