/* For tests on librdkafka's mock cluster, inside the process: a producer, and a consumer that keeps what it saw. */
#ifndef HERALD_COMMON_KAFKA_TEST_WORLD_H
#define HERALD_COMMON_KAFKA_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "clock.h"
#include "kafka.h"
#include "log.h"
#include "loop_wait.h"
#include "tests/unit/side_by_side.h"

enum { PARTITIONS = 4, SEEN_MAX = 4096 };

struct fixture {
    rd_kafka_t *instance;
    rd_kafka_mock_cluster_t *cluster;
    struct loop *loop;
    struct kafka_options options;
    struct kafka_producer *producer;
    uint32_t delivered, failed;
    enum err last_err;
};

static struct fixture f;

static inline int setup(void **state)
{
    (void)state;
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    memset(&f, 0, sizeof f);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
    f.instance = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    f.cluster = rd_kafka_mock_cluster_new(f.instance, 1);
    rd_kafka_mock_topic_create(f.cluster, "in", PARTITIONS, 1);
    f.loop = loop_new();
    /* the mock lets each rebalance take a session time-out */
    static const char *const quick[] = {"session.timeout.ms=4000", "heartbeat.interval.ms=200"};
    f.options.properties = (struct option_list){.items = (char **)quick, .count = 2};
    f.options.brokers = (char *)rd_kafka_mock_cluster_bootstraps(f.cluster);
    assert_int_equal(kafka_producer_new(f.loop, &f.options, &f.producer), ERR_OK);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    kafka_producer_free(&f.producer, 1000);
    loop_free(&f.loop);
    rd_kafka_mock_cluster_destroy(f.cluster);
    rd_kafka_destroy(f.instance);
    return 0;
}

static inline void wait_for(condition_fn *condition, const void *arg)
{
    loop_wait(f.loop, condition, arg);
}

static inline bool turn_over(const void *arg)
{
    return clock_mono_ms() >= *(const uint64_t *)arg;
}

/* For what must not happen: there is no condition to wait for. */
static inline void run_for(uint64_t ms)
{
    uint64_t until_ms = clock_mono_ms() + ms;
    wait_for(turn_over, &until_ms);
}

static inline void on_delivered(void *arg, enum err err)
{
    (void)arg;
    if (err == ERR_OK)
        f.delivered++;
    else
        f.failed++;
    f.last_err = err;
}

static inline bool is_delivered(const void *arg)
{
    return f.delivered + f.failed >= *(uint32_t *)arg;
}

static inline void produce(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%u", i);
        assert_int_equal(
            kafka_produce(f.producer, "in", text, (size_t)len, text, (size_t)len, NULL, 0, on_delivered, NULL), ERR_OK);
    }
    uint32_t total = first + count;
    wait_for(is_delivered, &total);
    assert_int_equal(f.failed, 0);
}

/* --- a consumer that keeps what it saw --- */

struct reader {
    struct kafka_consumer *consumer;
    uint32_t count;
    uint32_t seen[SEEN_MAX]; /* how often each number came */
    int64_t next[PARTITIONS];
    bool is_held[PARTITIONS];
    bool is_up, is_committing, is_slow;
    uint32_t revoked;
    struct kafka_header headers[4];
    size_t header_count;
    struct kafka_record last; /* kept only if is_keeping */
    bool is_keeping;
};

static inline void on_record(void *arg, const struct kafka_record *record)
{
    struct reader *reader = arg;
    char text[16] = "";
    assert_true(record->len < sizeof text);
    assert_true(reader->is_held[record->partition]);
    assert_string_equal(record->topic, "in");
    assert_true(record->timestamp_ms > INT64_C(1600000000000));
    memcpy(text, record->value, record->len);
    long long number = strtoll(text, NULL, 10);
    assert_in_range(number, 0, SEEN_MAX - 1);
    assert_true(record->offset >= reader->next[record->partition]);
    reader->next[record->partition] = record->offset + 1;
    reader->seen[number]++;
    reader->count++;
    if (reader->is_committing)
        kafka_commit(reader->consumer, record->topic, record->partition, record->offset + 1);
    struct kafka_record copy = *record;
    if (reader->is_keeping) {
        reader->last = copy;
        reader->is_keeping = false;
        return;
    }
    kafka_record_free(&copy);
}

static inline void on_assigned(void *arg, const char *topic, int32_t partition)
{
    struct reader *reader = arg;
    (void)topic;
    assert_false(reader->is_held[partition]);
    reader->is_held[partition] = true;
    reader->next[partition] = 0;
    if (reader->is_slow)
        usleep(300000);
}

static inline void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct reader *reader = arg;
    (void)topic;
    (void)lost;
    assert_true(reader->is_held[partition]);
    reader->is_held[partition] = false;
    reader->revoked++;
    if (reader->is_committing && reader->next[partition] > 0)
        kafka_commit(reader->consumer, "in", partition, reader->next[partition]);
}

static inline void on_state(void *arg, bool is_up)
{
    ((struct reader *)arg)->is_up = is_up;
}

static inline void reader_start(struct reader *reader, const char *topic, int32_t create_partitions)
{
    static const struct kafka_consumer_events events = {on_record, on_assigned, on_revoked, on_state};
    const struct kafka_consumer_settings settings = {.options = &f.options,
                                                     .group = "g",
                                                     .topic = topic,
                                                     .from_earliest = true,
                                                     .batch_max = 32,
                                                     .create_partitions = create_partitions};
    assert_int_equal(kafka_consumer_new(f.loop, &settings, &events, reader, &reader->consumer), ERR_OK);
}

static inline uint32_t held(const struct reader *reader)
{
    uint32_t count = 0;
    for (int i = 0; i < PARTITIONS; i++)
        count += reader->is_held[i];
    return count;
}

static inline bool holds_all(const void *arg)
{
    return held(arg) == PARTITIONS;
}

struct expected {
    struct reader *reader;
    uint32_t count;
};

static inline bool has_count(const void *arg)
{
    const struct expected *expected = arg;
    return expected->reader->count >= expected->count;
}

static inline void wait_count(struct reader *reader, uint32_t count)
{
    wait_for(has_count, &(struct expected){reader, count});
    assert_int_equal(reader->count, count);
}

#endif
