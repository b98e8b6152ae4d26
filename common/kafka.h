/*
 * Kafka over librdkafka (only kafka*.c include it). Its threads wake the loop through an eventfd
 * (rd_kafka_queue_io_event_enable); all callbacks here come on the loop's thread.
 */
#ifndef HERALD_COMMON_KAFKA_H
#define HERALD_COMMON_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "loop.h"
#include "option.h"

struct kafka_options {
    char *brokers;                 /* bootstrap.servers */
    struct option_list properties; /* further librdkafka properties, "name=value" (security.protocol ...) */
};
#define KAFKA_OPTION_ROWS(type, field)                                                                                 \
    {"kafka", "brokers", OPTION_STRING, offsetof(type, field.brokers),     "127.0.0.1:9092",                           \
     0,       0,         NULL,          "bootstrap servers, host:port,..."},                                           \
    {                                                                                                                  \
        "kafka", "properties", OPTION_LIST, offsetof(type, field.properties), "", 0, 0, NULL,                          \
            "further librdkafka properties, name=value each (security.protocol=SASL_SSL ...)"                          \
    }

struct kafka_header {
    const char *name;
    const void *value; /* may be NULL */
    size_t len;
};

/* --- producing (idempotent, acks=all) --- */

struct kafka_producer;
struct kafka_record;
/* The broker has it (ERR_OK), or it was given up (ERR_TIMEOUT, ERR_TOO_LARGE, ERR_REFUSED, ERR_AWAY, ERR_CLOSED). */
typedef void kafka_delivered_fn(void *arg, enum err err);

enum err kafka_producer_new(struct loop *loop, const struct kafka_options *options,
                            struct kafka_producer **producer_r) MUST_CHECK;
/* Copies key, value and headers. fn may be NULL; else it is called exactly once when ERR_OK is returned.
 * ERR_FULL: the local queue has no room, try later. ERR_AWAY: the producer is starting anew. ERR_TOO_LARGE. */
enum err kafka_produce(struct kafka_producer *producer, const char *topic, const void *key, size_t key_len,
                       const void *value, size_t len, const struct kafka_header *headers, size_t header_count,
                       kafka_delivered_fn *fn, void *arg) MUST_CHECK;
/* For use inside a kafka_delivered_fn that was told of a failure: what Kafka does not have, key and value only,
 * borrowed for that call. */
void kafka_unsent(const struct kafka_producer *producer, struct kafka_record *record_r);
/* Waits at most this long for what is queued (shutting down), then frees; callbacks of the rest get ERR_CLOSED. */
void kafka_producer_free(struct kafka_producer **producer, int flush_ms);

/* --- consuming as one of a group (eager rebalances), offsets committed only by kafka_commit() --- */

struct kafka_consumer;
struct kafka_record {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;    /* Unix epoch; the time of consumption when the record has none */
    const void *key, *value; /* NULL when absent */
    size_t key_len, len;
    void *handle; /* of librdkafka */
};

struct kafka_consumer_events {
    /* The receiver owns the record until kafka_record_free(); the bytes stay where librdkafka has them. */
    void (*record)(void *arg, const struct kafka_record *record);
    /* Partitions come and go; between the two, records of them arrive. At revoked() what is unfinished is dropped
     * uncommitted; kafka_commit() from inside it still counts. lost: already someone else's, no commit possible. */
    void (*assigned)(void *arg, const char *topic, int32_t partition);
    void (*revoked)(void *arg, const char *topic, int32_t partition, bool lost);
    /* For readiness and logs: brokers reachable or all down. */
    void (*state)(void *arg, bool is_up);
};

struct kafka_consumer_settings {
    const struct kafka_options *options;
    const char *group;
    const char *topic;
    bool from_earliest;        /* auto.offset.reset */
    uint32_t batch_max;        /* records handed out a loop turn */
    int32_t create_partitions; /* > 0: create the topic when missing, where the broker allows it, else a clear error is
                                  logged */
};

enum err kafka_consumer_new(struct loop *loop, const struct kafka_consumer_settings *settings,
                            const struct kafka_consumer_events *events, void *arg,
                            struct kafka_consumer **consumer_r) MUST_CHECK;
/* Leaves the group (revoked() is called for what is held), waits at most 5 s. All records must have been freed by then.
 */
void kafka_consumer_free(struct kafka_consumer **consumer);
void kafka_record_free(struct kafka_record *record);
/* Headers of a record, in order, borrowed from it. Returns how many there are; fills at most `max`. */
size_t kafka_record_headers(const struct kafka_record *record, struct kafka_header *headers_r, size_t max);
/* `offset` is the next one to read. Collected and committed asynchronously, at most every `commit_interval` (100 ms).
 */
void kafka_commit(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset);
/* The next offset to read that Kafka is known to have for a partition held, since it was assigned; -1: none yet. */
int64_t kafka_committed(struct kafka_consumer *consumer, int32_t partition);
/* The generation of the group that this consumer is in; -1: in none at the moment. It grows with each rebalance, and
 * whoever is assigned a partition later is in a higher one. Asks librdkafka's main thread (microseconds). */
int32_t kafka_generation(struct kafka_consumer *consumer);
void kafka_pause(struct kafka_consumer *consumer, const char *topic, int32_t partition);
void kafka_resume(struct kafka_consumer *consumer, const char *topic, int32_t partition);
/* Creates a topic when missing; logs what cannot be done. Asynchronous, needs a producer for its connection. */
void kafka_ensure_topic(struct kafka_producer *producer, const char *topic, int32_t partitions);

#endif
