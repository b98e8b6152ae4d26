/*
 * A record of herald.push while targets of it are unfinished.
 *
 * References: a record comes to the router with one reference. It takes one more for each target it goes on to
 * work for (record_ref) and gives each back when that target's outcome is terminal (record_done), and its first one
 * when it has fanned out. With the last one the record is finished and freed.
 */
#ifndef HERALD_ROUTER_RECORD_RECORD_H
#define HERALD_ROUTER_RECORD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka.h"
#include "common/list.h"
#include "router/record/deadletter.h"
#include "router/record/push.h"

struct feed;
struct partition;
struct record;

enum { RECORD_MAGIC = 0x5245434f };

/* To the source. */
struct record_events {
    /* The last reference is gone; it is freed next. Not called for orphans. */
    void (*finished)(struct record *record);
    /* It goes to the dead-letter topic. */
    void (*dead)(struct record *record, enum push_error error);
};

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

    /* of the source, partition.c and record.c */
    const struct record_events *events;
    size_t size; /* of its memory */
    struct feed *feed;
    struct partition *partition; /* NULL: orphan */
    struct list link;            /* of its partition */
    uint64_t position;           /* tracker_add() */
    char *bytes;                 /* copies of key and value, behind the names; NULL: there are none */
    bool is_letter;
    bool is_waiting; /* for its partition to begin; with a reference */
    struct deadletter_entry letter;
    char names[]; /* what id and source point to */
};

void record_ref(struct record *record, uint32_t count);
void record_done(struct record *record);
/* The record cannot be addressed: to the dead-letter topic, and its outcome `dead` is reported. Takes a reference of
 * its own: the caller goes on to give back its own with record_done(). At most once for a record; inside the upcall
 * record() its headers go along. */
void record_dead(struct record *record, enum push_error error);

/* --- for source.c and partition.c --- */

/* Takes over the record of Kafka. Always makes one, with one reference; *error_r says what is wrong with it. */
struct record *record_new(const struct kafka_record *kafka, const struct push_limits *limits,
                          const struct record_events *events, enum push_error *error_r);
/* Gives librdkafka's memory back, key and value being copies already: one message would keep a whole fetch response
 * alive. The headers are gone after this. No-op for a record with an error, of which nothing was copied. */
void record_detach(struct record *record);
/* An orphan's key, value and headers: nobody reads them any more, and they must not outlive the consumer. */
void record_forget(struct record *record);

#endif
