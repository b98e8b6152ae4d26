/* Against librdkafka's mock cluster, inside this process. Real Kafka: tests/live. */
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
#include "tests/unit/side_by_side.h"

enum { PARTITIONS = 4, SEEN_MAX = 4096, WAIT_MS = 20000 };

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

static int setup(void **state)
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

static int teardown(void **state)
{
    (void)state;
    kafka_producer_free(&f.producer, 1000);
    loop_free(&f.loop);
    rd_kafka_mock_cluster_destroy(f.cluster);
    rd_kafka_destroy(f.instance);
    return 0;
}

static void wake(void *arg)
{
    (void)arg;
}

typedef bool condition_fn(void *arg);

/* Turns the loop until the condition holds; fails when it does not in time. */
static void wait_for(condition_fn *condition, void *arg)
{
    struct loop_timer *timer = loop_timer_new(f.loop, wake, NULL); /* so that a turn ends without events */
    loop_timer_start(timer, 5, 5);
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (!condition(arg) && clock_mono_ms() < until_ms)
        loop_turn(f.loop);
    loop_timer_free(&timer);
    assert_true(condition(arg));
}

static bool turn_over(void *arg)
{
    return clock_mono_ms() >= *(uint64_t *)arg;
}

/* For what must not happen: there is no condition to wait for. */
static void run_for(uint64_t ms)
{
    uint64_t until_ms = clock_mono_ms() + ms;
    wait_for(turn_over, &until_ms);
}

static void on_delivered(void *arg, enum err err)
{
    (void)arg;
    if (err == ERR_OK)
        f.delivered++;
    else
        f.failed++;
    f.last_err = err;
}

static bool is_delivered(void *arg)
{
    return f.delivered + f.failed >= *(uint32_t *)arg;
}

static void produce(uint32_t first, uint32_t count)
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

static void on_record(void *arg, const struct kafka_record *record)
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

static void on_assigned(void *arg, const char *topic, int32_t partition)
{
    struct reader *reader = arg;
    (void)topic;
    assert_false(reader->is_held[partition]);
    reader->is_held[partition] = true;
    reader->next[partition] = 0;
    if (reader->is_slow)
        usleep(300000);
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
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

static void on_state(void *arg, bool is_up)
{
    ((struct reader *)arg)->is_up = is_up;
}

static void reader_start(struct reader *reader, const char *topic, int32_t create_partitions)
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

static uint32_t held(const struct reader *reader)
{
    uint32_t count = 0;
    for (int i = 0; i < PARTITIONS; i++)
        count += reader->is_held[i];
    return count;
}

static bool holds_all(void *arg)
{
    return held(arg) == PARTITIONS;
}

struct expected {
    struct reader *reader;
    uint32_t count;
};

static bool has_count(void *arg)
{
    struct expected *expected = arg;
    return expected->reader->count >= expected->count;
}

static void wait_count(struct reader *reader, uint32_t count)
{
    wait_for(has_count, &(struct expected){reader, count});
    assert_int_equal(reader->count, count);
}

static void consumes_what_was_produced(void **state)
{
    (void)state;
    struct reader reader = {0};
    produce(0, 1000);
    reader_start(&reader, "in", 0);
    wait_count(&reader, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(reader.seen[i], 1);
    assert_true(reader.is_up);
    produce(1000, 500); /* while it is idle: the descriptor has to wake it again */
    wait_count(&reader, 1500);
    kafka_consumer_free(&reader.consumer);
    assert_null(reader.consumer);
    assert_int_equal(held(&reader), 0);
    assert_int_equal(reader.revoked, PARTITIONS);
}

/* Records that are there before the owner has returned from being told of the assignment. */
static void misses_none_after_an_assignment(void **state)
{
    (void)state;
    struct reader reader = {.is_slow = true};
    produce(0, 200);
    reader_start(&reader, "in", 0);
    wait_count(&reader, 200);
    for (int i = 0; i < 200; i++)
        assert_int_equal(reader.seen[i], 1);
    kafka_consumer_free(&reader.consumer);
}

static void carries_key_value_and_headers(void **state)
{
    (void)state;
    struct reader reader = {.is_keeping = true};
    const struct kafka_header sent[] = {{"a", "1", 1}, {"a", "22", 2}, {"none", NULL, 0}};
    uint32_t one = 1;
    assert_int_equal(kafka_produce(f.producer, "in", "key", 3, "7", 1, sent, 3, on_delivered, NULL), ERR_OK);
    wait_for(is_delivered, &one);
    reader_start(&reader, "in", 0);
    wait_count(&reader, 1);
    struct kafka_header got[2];
    assert_int_equal(kafka_record_headers(&reader.last, got, 2), 3);
    assert_string_equal(got[0].name, "a");
    assert_memory_equal(got[0].value, "1", 1);
    assert_int_equal(got[1].len, 2);
    assert_int_equal(reader.last.key_len, 3);
    assert_memory_equal(reader.last.key, "key", 3);
    kafka_record_free(&reader.last);
    assert_null(reader.last.handle);
    kafka_consumer_free(&reader.consumer);
}

static void resumes_at_what_was_committed(void **state)
{
    (void)state;
    struct reader first = {.is_committing = true}, second = {.is_committing = true}, third = {0};
    produce(0, 200);
    reader_start(&first, "in", 0);
    wait_count(&first, 200);
    kafka_consumer_free(&first.consumer);
    produce(200, 50);
    reader_start(&second, "in", 0);
    wait_count(&second, 50);
    for (int i = 200; i < 250; i++)
        assert_int_equal(second.seen[i], 1);
    second.is_committing = false; /* from here on uncommitted: the next one reads it again */
    produce(250, 30);
    wait_count(&second, 80);
    kafka_consumer_free(&second.consumer);
    reader_start(&third, "in", 0);
    wait_count(&third, 30);
    kafka_consumer_free(&third.consumer);
}

static bool is_shared(void *arg)
{
    struct reader **both = arg;
    return held(both[0]) == PARTITIONS / 2 && held(both[1]) == PARTITIONS / 2;
}

/* Records flow while a second one joins and leaves: each comes at least once, and none is lost. */
static void shares_partitions(void **state)
{
    (void)state;
    struct reader first = {.is_committing = true}, second = {.is_committing = true};
    struct reader *both[] = {&first, &second};
    reader_start(&first, "in", 0);
    wait_for(holds_all, &first);
    produce(0, 100);
    wait_count(&first, 100);
    int32_t generation = kafka_generation(first.consumer);
    assert_true(generation >= 0);
    reader_start(&second, "in", 0);
    produce(100, 200);
    wait_for(is_shared, both);
    assert_true(kafka_generation(second.consumer) > generation); /* who is assigned a partition later is higher */
    produce(300, 400);
    wait_for(has_count, &(struct expected){&second, 1});
    kafka_consumer_free(&first.consumer);
    wait_for(holds_all, &second);
    produce(700, 100);
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    uint32_t missing = 1;
    while (missing > 0 && clock_mono_ms() < until_ms) {
        missing = 0;
        for (int i = 0; i < 800; i++)
            missing += first.seen[i] + second.seen[i] == 0;
        run_for(10);
    }
    assert_int_equal(missing, 0);
    kafka_consumer_free(&second.consumer);
}

static void pauses_and_resumes(void **state)
{
    (void)state;
    struct reader reader = {.is_committing = true};
    reader_start(&reader, "in", 0);
    wait_for(holds_all, &reader);
    produce(0, 100);
    wait_count(&reader, 100);
    for (int i = 0; i < PARTITIONS; i++)
        kafka_pause(reader.consumer, "in", i);
    produce(100, 100);
    run_for(500);
    assert_int_equal(reader.count, 100);
    for (int i = 0; i < PARTITIONS; i++)
        kafka_resume(reader.consumer, "in", i);
    wait_count(&reader, 200);
    for (int i = 0; i < 200; i++)
        assert_int_equal(reader.seen[i], 1);
    kafka_consumer_free(&reader.consumer);
}

static bool is_up(void *arg)
{
    return ((struct reader *)arg)->is_up;
}

static bool is_down(void *arg)
{
    return !((struct reader *)arg)->is_up;
}

static void tells_when_brokers_go_and_come(void **state)
{
    (void)state;
    struct reader reader = {.is_committing = true};
    reader_start(&reader, "in", 0);
    wait_for(is_up, &reader);
    rd_kafka_mock_broker_set_down(f.cluster, -1);
    wait_for(is_down, &reader);
    rd_kafka_mock_broker_set_up(f.cluster, -1);
    wait_for(is_up, &reader);
    produce(0, 10);
    wait_count(&reader, 10);
    kafka_consumer_free(&reader.consumer);
}

/* The mock knows no CreateTopics: the topic appears by its first use, and the consumer must get there. */
static void copes_without_topic_creation(void **state)
{
    (void)state;
    struct reader reader = {0};
    kafka_ensure_topic(f.producer, "other", 4);
    reader_start(&reader, "unheard", 4);
    wait_for(holds_all, &reader);
    kafka_consumer_free(&reader.consumer);
}

static void reports_what_cannot_be_delivered(void **state)
{
    (void)state;
    char *large = calloc(1, 20 << 20);
    uint32_t one = 1;
    assert_int_equal(kafka_produce(f.producer, "in", NULL, 0, large, 20 << 20, NULL, 0, on_delivered, NULL),
                     ERR_TOO_LARGE);
    free(large);
    assert_int_equal(f.delivered + f.failed, 0);
    rd_kafka_mock_push_request_errors(f.cluster, 0, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(kafka_produce(f.producer, "in", NULL, 0, "1", 1, NULL, 0, on_delivered, NULL), ERR_OK);
    wait_for(is_delivered, &one);
    assert_int_equal(f.last_err, ERR_TOO_LARGE);
}

/* After an error that ends an idempotent producer for good there is a new one, and the call-backs still come. */
static void survives_a_fatal_error(void **state)
{
    (void)state;
    uint32_t one = 1;
    rd_kafka_mock_push_request_errors(f.cluster, 0, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    rd_kafka_mock_push_request_errors(f.cluster, 22, 1, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
    assert_int_equal(kafka_produce(f.producer, "in", NULL, 0, "1", 1, NULL, 0, on_delivered, NULL), ERR_OK);
    wait_for(is_delivered, &one);
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    uint32_t before = f.delivered;
    while (f.delivered == before && clock_mono_ms() < until_ms) {
        enum err err = kafka_produce(f.producer, "in", NULL, 0, "2", 1, NULL, 0, on_delivered, NULL);
        assert_true(err == ERR_OK || err == ERR_AWAY);
        run_for(50);
    }
    assert_true(f.delivered > before);
}

static void calls_back_when_freed(void **state)
{
    (void)state;
    rd_kafka_mock_broker_set_down(f.cluster, -1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(kafka_produce(f.producer, "in", NULL, 0, "1", 1, NULL, 0, on_delivered, NULL), ERR_OK);
    kafka_producer_free(&f.producer, 50);
    assert_int_equal(f.failed, 10);
    assert_int_equal(f.last_err, ERR_CLOSED);
}

static void refuses_bad_properties(void **state)
{
    (void)state;
    struct kafka_producer *producer;
    char *items[] = {NULL};
    static const char *const bad[] = {"no.such.property=1", "linger.ms=soon", "linger.ms", "=1"};
    struct kafka_options options = {.brokers = f.options.brokers, .properties = {.items = items, .count = 1}};
    log_set_fd(-1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        items[0] = (char *)bad[i];
        assert_int_equal(kafka_producer_new(f.loop, &options, &producer), ERR_INVALID);
        assert_null(producer);
    }
    log_set_fd(2);
    items[0] = (char *)"linger.ms=7";
    assert_int_equal(kafka_producer_new(f.loop, &options, &producer), ERR_OK);
    kafka_producer_free(&producer, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(consumes_what_was_produced),
        TEST(misses_none_after_an_assignment),
        TEST(carries_key_value_and_headers),
        TEST(resumes_at_what_was_committed),
        TEST(shares_partitions),
        TEST(pauses_and_resumes),
        TEST(tells_when_brokers_go_and_come),
        TEST(copes_without_topic_creation),
        TEST(reports_what_cannot_be_delivered),
        TEST(survives_a_fatal_error),
        TEST(calls_back_when_freed),
        TEST(refuses_bad_properties),
    };
    return run_side_by_side(tests, sizeof tests / sizeof tests[0]);
}
