/* For source_test.c: a broker of librdkafka's, and the router's part played by the test. */
#ifndef HERALD_ROUTER_SOURCE_SOURCE_TEST_WORLD_H
#define HERALD_ROUTER_SOURCE_SOURCE_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/kafka_mock.h"
#include "common/log.h"
#include "common/loop_wait.h"
#include "router/metrics.h"
#include "router/source/source.h"

enum { HELD_MAX = 512 };

struct fixture {
    struct kafka_mock *mock;
    struct loop *loop;
    struct kafka_options kafka;
    struct source_options options;
    struct kafka_producer *producer;
    struct outcome_log *outcomes;
    struct source *source;
    uint32_t delivered;
    /* what the router's part, played by the test, holds */
    struct record *held[HELD_MAX];
    uint32_t held_count, abandoned, assigned;
    bool is_finishing; /* at once */
    uint32_t finished_count;
    enum push_error refuse;
    bool is_asked_to_begin; /* set before start_source() to false: then partitions need not */
    uint32_t begins, ends;
    int64_t first_offset;
};

static struct fixture f;

/* --- the router's part --- */

static void on_assigned(void *arg, int32_t partition)
{
    assert_ptr_equal(arg, &f);
    assert_int_equal(partition, 0);
    f.assigned++;
}

static void on_record(void *arg, struct record *record)
{
    assert_ptr_equal(arg, &f);
    assert_int_equal(f.assigned, 1);   /* before the first record */
    assert_int_equal(record->refs, 2); /* ours and the source's own */
    if (f.refuse) {
        record_dead(record, f.refuse);
        record_done(record);
    } else if (f.is_finishing) {
        f.finished_count++;
        record_done(record);
    } else {
        assert_true(f.held_count < HELD_MAX);
        f.held[f.held_count++] = record;
    }
}

static void on_abandoned(void *arg, struct record *record)
{
    (void)arg;
    assert_true(record->is_orphan);
    f.abandoned++;
    for (uint32_t i = 0; i < f.held_count; i++) {
        if (f.held[i] == record) {
            f.held[i] = f.held[--f.held_count];
            record_done(record);
            return;
        }
    }
    fail_msg("a record was abandoned that the router does not hold");
}

static void on_hold(void *arg, struct record *record)
{
    assert_ptr_equal(arg, &f);
    record_ref(record, 1);
}

static void on_release(void *arg, struct record *record)
{
    assert_ptr_equal(arg, &f);
    record_done(record);
}

static const struct outcome_events holding = {on_hold, on_release, NULL};

static void on_begin(void *arg, int32_t partition, int64_t first_offset)
{
    (void)arg;
    assert_int_equal(partition, 0);
    f.begins++;
    f.first_offset = first_offset;
}

static void on_end(void *arg, int32_t partition)
{
    (void)arg;
    assert_int_equal(partition, 0);
    f.ends++;
}

static void start_source(void)
{
    static const struct source_events plain = {.assigned = on_assigned, .record = on_record, .abandoned = on_abandoned};
    static const struct source_events owning = {
        .assigned = on_assigned, .begin = on_begin, .end = on_end, .record = on_record, .abandoned = on_abandoned};
    f.assigned = 0;
    const struct source_events events = f.is_asked_to_begin ? owning : plain;
    assert_int_equal(source_new(f.loop, &f.kafka, &f.options, f.producer, f.outcomes, &events, &f, &f.source), ERR_OK);
}

static int setup(void **state)
{
    (void)state;
    static const char *const quick[] = {"session.timeout.ms=4000", "heartbeat.interval.ms=200"};
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    memset(&f, 0, sizeof f);
    metric_setup(router_metrics, 1); /* its memory is shared with children, so not before */
    f.mock = kafka_mock_new(1);
    f.loop = loop_new();
    assert_int_equal(kafka_mock_create_topic(f.mock, "push", 1), ERR_OK);
    assert_int_equal(kafka_mock_create_topic(f.mock, "dead", 1), ERR_OK);
    assert_int_equal(kafka_mock_create_topic(f.mock, "fate", 1), ERR_OK);
    f.kafka.brokers = (char *)kafka_mock_address(f.mock);
    f.kafka.properties = (struct option_list){.items = (char **)quick, .count = 2};
    f.options = (struct source_options){.topic = (char *)"push",
                                        .group = (char *)"routers",
                                        .dead_topic = (char *)"dead",
                                        .outcome_topic = (char *)"fate",
                                        .upstream_topic = (char *)"up",
                                        .batch = 64,
                                        .partition_window = 1000,
                                        .content_max = 65536,
                                        .users_max = 10};
    assert_int_equal(kafka_producer_new(f.loop, &f.kafka, &f.producer), ERR_OK);
    const struct outcome_settings settings = {.topic = "fate", .router = "r1", .later_max = 100};
    f.outcomes = outcome_log_new(f.loop, f.producer, &settings, &holding, &f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (f.source)
        source_stop(f.source);
    kafka_producer_free(&f.producer, 1000);
    source_free(&f.source);
    outcome_log_free(&f.outcomes);
    loop_free(&f.loop);
    kafka_mock_free(&f.mock);
    return 0;
}

/* --- waiting --- */

static inline void wait_for(condition_fn *condition, const void *arg)
{
    loop_wait(f.loop, condition, arg);
}

static bool is_delivered(const void *arg)
{
    return f.delivered >= *(const uint32_t *)arg;
}

static bool holds(const void *arg)
{
    return f.held_count >= *(const uint32_t *)arg;
}

static bool is_idle(const void *arg)
{
    (void)arg;
    return source_partitions(f.source) == 1 && source_pending(f.source) == 0;
}

struct total {
    unsigned metric;
    uint64_t at_least;
};

static bool has_counted(const void *arg)
{
    const struct total *total = arg;
    return metric_get(total->metric) >= total->at_least;
}

static bool is_time(const void *arg)
{
    return clock_mono_ms() >= *(const uint64_t *)arg;
}

static bool has_finished(const void *arg)
{
    return f.finished_count >= *(const uint32_t *)arg && is_idle(NULL);
}

static void run_for(uint64_t ms)
{
    uint64_t until_ms = clock_mono_ms() + ms;
    wait_for(is_time, &until_ms);
}

static void wait_held(uint32_t count)
{
    wait_for(holds, &count);
    assert_int_equal(f.held_count, count);
}

static void on_delivered(void *arg, enum err err)
{
    (void)arg;
    assert_int_equal(err, ERR_OK);
    f.delivered++;
}

static void produce(const char *value)
{
    static const struct kafka_header header = {"trace", "abc", 3};
    uint32_t after = f.delivered + 1;
    assert_int_equal(kafka_produce(f.producer, "push", "42", 2, value, strlen(value), &header, 1, on_delivered, NULL),
                     ERR_OK);
    wait_for(is_delivered, &after);
}

static void produce_good(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char value[128];
        snprintf(value, sizeof value, "{\"to\":{\"user\":\"42\"},\"content\":%u}", i);
        produce(value);
    }
}

/* --- reading a topic back --- */

struct letter {
    bool is_here, has_value;
    char key[16], value[512], error[256], source[64], trace[16];
    size_t header_count;
};

static void copy(char *to, size_t size, const void *from, size_t len)
{
    assert_true(len < size);
    memcpy(to, from, len);
    to[len] = '\0';
}

static void on_letter(void *arg, const struct kafka_record *record)
{
    struct letter *letter = arg;
    struct kafka_header headers[8];
    letter->is_here = true;
    letter->has_value = record->value != NULL;
    if (record->key)
        copy(letter->key, sizeof letter->key, record->key, record->key_len);
    if (record->value)
        copy(letter->value, sizeof letter->value, record->value, record->len);
    letter->header_count = kafka_record_headers(record, headers, 8);
    for (size_t i = 0; i < letter->header_count; i++) {
        if (strcmp(headers[i].name, "herald-error") == 0)
            copy(letter->error, sizeof letter->error, headers[i].value, headers[i].len);
        if (strcmp(headers[i].name, "herald-source") == 0)
            copy(letter->source, sizeof letter->source, headers[i].value, headers[i].len);
        if (strcmp(headers[i].name, "trace") == 0)
            copy(letter->trace, sizeof letter->trace, headers[i].value, headers[i].len);
    }
    struct kafka_record gone = *record;
    kafka_record_free(&gone);
}

static void on_partition(void *arg, const char *topic, int32_t partition)
{
    (void)arg, (void)topic, (void)partition;
}

static void on_partition_gone(void *arg, const char *topic, int32_t partition, bool lost)
{
    (void)arg, (void)topic, (void)partition, (void)lost;
}

static bool is_here(const void *arg)
{
    return ((const struct letter *)arg)->is_here;
}

static void read_last(const char *topic, struct letter *letter)
{
    static const struct kafka_consumer_events events = {
        .record = on_letter, .assigned = on_partition, .revoked = on_partition_gone};
    const struct kafka_consumer_settings settings = {
        .options = &f.kafka, .group = "reader", .topic = topic, .from_earliest = true, .batch_max = 16};
    struct kafka_consumer *consumer;
    memset(letter, 0, sizeof *letter);
    assert_int_equal(kafka_consumer_new(f.loop, &settings, &events, letter, &consumer), ERR_OK);
    wait_for(is_here, letter);
    kafka_consumer_free(&consumer);
}

/* --- tests --- */

#endif
