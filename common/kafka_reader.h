/*
 * Reads a few records of a topic, its newest ones or those at an offset, for people who look: without a group, without
 * commits. librdkafka's calls for partitions and offsets block, so each read has a connection and a thread of its own,
 * for a few seconds at the most; the answer comes on the loop's thread. One read at a time, a few wait.
 */
#ifndef HERALD_COMMON_KAFKA_READER_H
#define HERALD_COMMON_KAFKA_READER_H

#include "kafka.h"

enum { KAFKA_READS_MAX = 16, KAFKA_READ_TIMEOUT_MS = 5000, KAFKA_READ_BYTES_MAX = 64 << 20 };

struct kafka_read {
    const char *topic;
    int32_t partition; /* -1: all */
    int64_t offset;    /* -1: the newest */
    uint32_t count;    /* at most that many; more bytes than KAFKA_READ_BYTES_MAX: fewer, without the oldest */
};

struct kafka_found {
    struct kafka_record record; /* a copy: handle is NULL, topic the reader's */
    const struct kafka_header *headers;
    size_t header_count;
};

/* Newest first (by timestamp; of equal ones the higher partition and offset), borrowed for the call.
 * ERR_OK; ERR_REFUSED: no such topic, or no right to read it; ERR_TIMEOUT or ERR_AWAY: Kafka cannot be reached. */
typedef void kafka_read_fn(void *arg, enum err err, const struct kafka_found *found, size_t count);

struct kafka_reader;
/* Options are borrowed. */
struct kafka_reader *kafka_reader_new(struct loop *loop, const struct kafka_options *options);
/* Waits for the read under way, which is told to give up; it and those that wait get ERR_CLOSED. */
void kafka_reader_free(struct kafka_reader **reader);
/* ERR_FULL: too many wait. ERR_INVALID: the options are no good. Else fn is called once, not from inside. */
enum err kafka_read(struct kafka_reader *reader, const struct kafka_read *read, kafka_read_fn *fn,
                    void *arg) MUST_CHECK;

#endif
