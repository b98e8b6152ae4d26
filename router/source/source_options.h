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

#define SOURCE_OPTION_ROWS(type, field)                                                                                \
    {"kafka", "topic", OPTION_STRING, offsetof(type, field.topic),         "herald.push",                              \
     0,       0,       NULL,          "the topic whose records are pushed"},                                           \
        {"kafka", "group", OPTION_STRING, offsetof(type, field.group),        "herald-router",                         \
         0,       0,       NULL,          "the consumer group of all routers"},                                        \
        {"kafka",                                                                                                      \
         "dead_topic",                                                                                                 \
         OPTION_STRING,                                                                                                \
         offsetof(type, field.dead_topic),                                                                             \
         "herald.dlq",                                                                                                 \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "where records go that cannot be parsed or addressed"},                                                       \
        {"kafka",                                                                                                      \
         "outcome_topic",                                                                                              \
         OPTION_STRING,                                                                                                \
         offsetof(type, field.outcome_topic),                                                                          \
         "herald.outcome",                                                                                             \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "where outcomes are published"},                                                                              \
        {"kafka",                                                                                                      \
         "upstream_topic",                                                                                             \
         OPTION_STRING,                                                                                                \
         offsetof(type, field.upstream_topic),                                                                         \
         "herald.upstream",                                                                                            \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "where messages from clients go"},                                                                            \
        {"kafka",                                                                                                      \
         "from",                                                                                                       \
         OPTION_CHOICE,                                                                                                \
         offsetof(type, field.from),                                                                                   \
         "earliest",                                                                                                   \
         0,                                                                                                            \
         0,                                                                                                            \
         "earliest|latest",                                                                                            \
         "where to begin in a partition that the group has no offset for"},                                            \
        {"kafka",                                                                                                      \
         "outcomes",                                                                                                   \
         OPTION_CHOICE,                                                                                                \
         offsetof(type, field.outcomes),                                                                               \
         "asked",                                                                                                      \
         0,                                                                                                            \
         0,                                                                                                            \
         "asked|all",                                                                                                  \
         "publish the outcomes of records that ask for it, or of all"},                                                \
        {"kafka",                                                                                                      \
         "batch",                                                                                                      \
         OPTION_INT,                                                                                                   \
         offsetof(type, field.batch),                                                                                  \
         "512",                                                                                                        \
         1,                                                                                                            \
         65536,                                                                                                        \
         NULL,                                                                                                         \
         "records taken from the consumer in one turn of the loop"},                                                   \
        {"kafka",                                                                                                      \
         "partitions",                                                                                                 \
         OPTION_INT,                                                                                                   \
         offsetof(type, field.partitions),                                                                             \
         "8",                                                                                                          \
         0,                                                                                                            \
         4096,                                                                                                         \
         NULL,                                                                                                         \
         "partitions of topics that are created when missing; 0 creates none"},                                        \
        {"kafka",                                                                                                      \
         "partition_window",                                                                                           \
         OPTION_INT,                                                                                                   \
         offsetof(type, field.partition_window),                                                                       \
         "65536",                                                                                                      \
         16,                                                                                                           \
         16777216,                                                                                                     \
         NULL,                                                                                                         \
         "records of one partition from the oldest unfinished to the newest, before that partition pauses"},           \
        {"kafka",                                                                                                      \
         "outcomes_max",                                                                                               \
         OPTION_INT,                                                                                                   \
         offsetof(type, field.outcomes_max),                                                                           \
         "16384",                                                                                                      \
         1,                                                                                                            \
         1048576,                                                                                                      \
         NULL,                                                                                                         \
         "outcomes on their way to Kafka; at that many consumption pauses"},                                           \
        {"push", "content_max", OPTION_SIZE, offsetof(type, field.content_max), "64KiB",                               \
         1,      8388608,       NULL,        "the largest content of a push"},                                         \
    {                                                                                                                  \
        "push", "users_max", OPTION_INT, offsetof(type, field.users_max), "1000", 1, 100000, NULL,                     \
            "the most users that one push may name"                                                                    \
    }

#endif
