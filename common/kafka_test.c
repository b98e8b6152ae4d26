/* Against librdkafka's mock cluster, inside this process. Real Kafka: tests/live. */
#include "kafka_test_world.h"

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

static bool is_shared(const void *arg)
{
    struct reader *const *both = arg;
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

static bool is_up(const void *arg)
{
    return ((struct reader *)arg)->is_up;
}

static bool is_down(const void *arg)
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
