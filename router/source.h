/*
 * Where the router's work comes from: the records of herald.push, each parsed and tracked until all its targets have
 * a terminal outcome; then its offset becomes committable, in order (tracker.h). Records that are no pushes go to the
 * dead-letter topic and are finished when Kafka has them there.
 *
 * References: a record comes to the router with one reference. It takes one more for each target it goes on to
 * work for (record_ref) and gives each back when that target's outcome is terminal (record_done), and its first one
 * when it has fanned out. With the last one the record is finished and freed.
 *
 * A revoked partition's records are orphans: abandoned() is called for each; the router drops what it holds for it,
 * reports no outcomes of it, and gives its references back (inside the call or later), which then only frees memory.
 */
#ifndef HERALD_ROUTER_SOURCE_H
#define HERALD_ROUTER_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka.h"
#include "common/list.h"
#include "common/loop.h"
#include "router/deadletter.h"
#include "router/outcome.h"
#include "router/push.h"

struct source;
struct source_partition;

struct record {
    unsigned magic;
    bool is_orphan; /* its partition is no longer ours: no outcomes, no new work */
    uint32_t refs;
    struct kafka_record kafka;
    struct push push;
    struct push_str id;     /* the producer's, or "<topic>-<partition>-<offset>" */
    struct push_str source; /* "topic/partition/offset" */
    uint64_t consumed_ms;   /* monotonic */
    int64_t life;           /* of its partition, and the generation it is held in: an older owner's are lower */
    int32_t generation;
    uint32_t cost;       /* bytes, for the window */
    void *user;          /* for the router */
    struct list targets; /* for the router: what is unfinished of it */

    /* of source.c */
    struct source *owner;
    struct source_partition *partition; /* NULL: orphan */
    struct list link;
    uint64_t position;
    char *bytes; /* copies of key and value */
    bool is_letter;
    bool is_waiting; /* for its partition to begin; with a reference */
    struct deadletter_entry letter;
    char names[]; /* what id and source point to */
};

struct source_events {
    /* A partition has come; none of its records has yet. May be NULL. */
    void (*assigned)(void *arg, int32_t partition);
    /* The first record of a partition is there: it and those behind it wait for source_begin(). NULL: nothing has to be
     * waited for. */
    void (*begin)(void *arg, int32_t partition, int64_t first_offset);
    /* A partition that has asked to begin is gone. */
    void (*end)(void *arg, int32_t partition);
    void (*record)(void *arg, struct record *record);
    void (*abandoned)(void *arg, struct record *record);
    /* It was reported dead: its one outcome. May be NULL. */
    void (*dead)(void *arg, const struct record *record);
    /* All brokers are down, or one is back. */
    void (*state)(void *arg, bool is_up);
};

struct source_options {
    char *topic, *group, *dead_topic, *outcome_topic, *upstream_topic;
    int from;                 /* 0 earliest, 1 latest */
    int outcomes;             /* 0 asked, 1 all */
    int64_t batch;            /* records a loop turn */
    int64_t partitions;       /* of topics created when missing; 0: create none */
    int64_t partition_window; /* tracker_new() */
    int64_t outcomes_max;     /* outcome_settings.publishing_max */
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
         "outcomes on their way to Kafka; beyond it further ones are only counted"},                                   \
        {"push", "content_max", OPTION_SIZE, offsetof(type, field.content_max), "64KiB",                               \
         1,      8388608,       NULL,        "the largest content of a push"},                                         \
    {                                                                                                                  \
        "push", "users_max", OPTION_INT, offsetof(type, field.users_max), "1000", 1, 100000, NULL,                     \
            "the most users that one push may name"                                                                    \
    }

/* Subscribes. The producer is for dead letters and creating topics (of all the options' topics); it outlives
 * source_stop(), and may be freed before or after source_free(). Options are
 * borrowed and must stay. The outcome `dead` is reported here, for all records that come to it (outcomes may be NULL).
 */
enum err source_new(struct loop *loop, const struct kafka_options *kafka, const struct source_options *options,
                    struct kafka_producer *producer, struct outcome_log *outcomes, const struct source_events *events,
                    void *arg, struct source **source_r) MUST_CHECK;
/* Hands out what waits of the partition, and from now on. Records carry life and generation. */
void source_begin(struct source *source, int32_t partition, int64_t life, int32_t generation);
/* Another router owns the partition, though Kafka has not said so yet: its records are orphans, and further ones are
 * dropped. */
void source_lose(struct source *source, int32_t partition);
/* As kafka_generation() and kafka_committed(). */
int32_t source_generation(const struct source *source);
int64_t source_committed(const struct source *source, int32_t partition);
/* The router's window is full: no further records (but for the rest of the batch in hand) until source_resume().
 * What was fetched ahead is fetched again then, so resume only at, say, three quarters. */
void source_pause(struct source *source);
void source_resume(struct source *source);
bool source_is_paused(const struct source *source);
/* Leaves the group: commits what is finished, abandons the rest. May block for a few seconds. */
void source_stop(struct source *source);
/* After source_stop(), when the router has given back all records. */
void source_free(struct source **source);
/* Brokers reachable and at least the subscription made. */
bool source_is_up(const struct source *source);
/* Partitions held now. */
uint32_t source_partitions(const struct source *source);
/* Records not finished, and the age in ms of the oldest of them (0: none). */
uint32_t source_pending(const struct source *source);
uint64_t source_oldest_ms(const struct source *source);

void record_ref(struct record *record, uint32_t count);
void record_done(struct record *record);
/* The record cannot be addressed: to the dead-letter topic, and its outcome `dead` is reported. Takes a reference of
 * its own: the caller goes on to give back its own with record_done(). At most once for a record; inside the upcall
 * record() its headers go along. */
void record_dead(struct record *record, enum push_error error);

#endif
