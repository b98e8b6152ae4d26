/* Options of the router's Kafka side, rows of the router's one table (settings.c). */
#ifndef HERALD_ROUTER_SOURCE_SOURCE_OPTIONS_H
#define HERALD_ROUTER_SOURCE_SOURCE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct source_options {
    char *topic, *group, *dead_topic, *outcome_topic, *upstream_topic;
    int from;                 /* 0 earliest, 1 latest */
    int outcomes;             /* 0 asked, 1 all */
    int64_t batch;            /* records a loop turn */
    int64_t partitions;       /* of topics created when missing; 0: create none */
    int64_t partition_window; /* tracker_new() */
    int64_t outcomes_max;     /* outcomes that Kafka does not have yet, before consumption pauses */
    int64_t window_age_ms;    /* of the oldest unfinished record, before its partition pauses; 0: not looked at */
    int64_t content_max, users_max;
};

/* X(type, field, section, key, kind, member of struct source_options, fallback, min, max, choices, help) */
#define SOURCE_OPTION_LIST(X, type, field)                                                                             \
    X(type, field, "kafka", "topic", STRING, topic, "herald.push", 0, 0, NULL, "the topic whose records are pushed")   \
    X(type, field, "kafka", "group", STRING, group, "herald-router", 0, 0, NULL, "the consumer group of all routers")  \
    X(type, field, "kafka", "dead_topic", STRING, dead_topic, "herald.dlq", 0, 0, NULL,                                \
      "where records go that cannot be parsed or addressed")                                                           \
    X(type, field, "kafka", "outcome_topic", STRING, outcome_topic, "herald.outcome", 0, 0, NULL,                      \
      "where outcomes are published")                                                                                  \
    X(type, field, "kafka", "upstream_topic", STRING, upstream_topic, "herald.upstream", 0, 0, NULL,                   \
      "where messages from clients go")                                                                                \
    X(type, field, "kafka", "from", CHOICE, from, "earliest", 0, 0, "earliest|latest",                                 \
      "where to begin in a partition that the group has no offset for")                                                \
    X(type, field, "kafka", "outcomes", CHOICE, outcomes, "asked", 0, 0, "asked|all",                                  \
      "publish the outcomes of records that ask for it, or of all")                                                    \
    X(type, field, "kafka", "batch", INT, batch, "512", 1, 65536, NULL,                                                \
      "records taken from the consumer in one turn of the loop")                                                       \
    X(type, field, "kafka", "partitions", INT, partitions, "8", 0, 4096, NULL,                                         \
      "partitions of topics that are created when missing; 0 creates none")                                            \
    X(type, field, "kafka", "partition_window", INT, partition_window, "262144", 16, 16777216, NULL,                   \
      "records of one partition from the oldest unfinished to the newest, before that partition pauses")               \
    X(type, field, "kafka", "outcomes_max", INT, outcomes_max, "16384", 1, 1048576, NULL,                              \
      "outcomes on their way to Kafka; at that many consumption pauses")                                               \
    X(type, field, "push", "content_max", SIZE, content_max, "64KiB", 1, 8388608, NULL,                                \
      "the largest content of a push")                                                                                 \
    X(type, field, "push", "users_max", INT, users_max, "1000", 1, 100000, NULL,                                       \
      "the most users that one push may name")

#define SOURCE_OPTION_ROW(type, field, section, key, kind, member, fallback, min, max, choices, help)                  \
    {section, key, OPTION_##kind, offsetof(type, field.member), fallback, min, max, choices, help},
/* Ends with a comma. */
#define SOURCE_OPTION_ROWS(type, field) SOURCE_OPTION_LIST(SOURCE_OPTION_ROW, type, field)

#endif
