/* Against librdkafka's mock cluster, inside this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "kafka_mock.h"
#include "kafka_reader.h"
#include "log.h"
#include "tests/unit/side_by_side.h"

enum { PARTITIONS = 3, WAIT_MS = 20000, KEEP_MAX = 64 };

static struct {
    struct kafka_mock *mock;
    struct loop *loop;
    struct kafka_options options;
    struct kafka_producer *producer;
    struct kafka_reader *reader;
    unsigned delivered, answers;
    enum err err;
    size_t count;
    char texts[KEEP_MAX][32], header[64];
    struct kafka_record first;
} f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    f.mock = kafka_mock_new(1);
    assert_non_null(f.mock);
    assert_int_equal(kafka_mock_create_topic(f.mock, "letters", PARTITIONS), ERR_OK);
    f.loop = loop_new();
    f.options.brokers = (char *)kafka_mock_address(f.mock);
    assert_int_equal(kafka_producer_new(f.loop, &f.options, &f.producer), ERR_OK);
    f.reader = kafka_reader_new(f.loop, &f.options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kafka_reader_free(&f.reader);
    kafka_producer_free(&f.producer, 1000);
    loop_free(&f.loop);
    kafka_mock_free(&f.mock);
    return 0;
}

static void wake(void *arg)
{
    (void)arg;
}

static void wait_until(const unsigned *value, unsigned wanted)
{
    struct loop_timer *timer = loop_timer_new(f.loop, wake, NULL);
    loop_timer_start(timer, 5, 5);
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (*value < wanted && clock_mono_ms() < until_ms)
        loop_turn(f.loop);
    loop_timer_free(&timer);
    assert_int_equal(*value, wanted);
}

static void on_delivered(void *arg, enum err err)
{
    (void)arg;
    assert_int_equal(err, ERR_OK);
    f.delivered++;
}

/* One after the other, so that their timestamps are in order. */
static void produce(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%u", i);
        const struct kafka_header header = {.name = "why", .value = text, .len = (size_t)len};
        assert_int_equal(
            kafka_produce(f.producer, "letters", text, (size_t)len, text, (size_t)len, &header, 1, on_delivered, NULL),
            ERR_OK);
        wait_until(&f.delivered, i + 1);
    }
}

static void on_read(void *arg, enum err err, const struct kafka_found *found, size_t count)
{
    (void)arg;
    f.answers++;
    f.err = err;
    f.count = count;
    for (size_t i = 0; i < count && i < KEEP_MAX; i++) {
        snprintf(f.texts[i], sizeof f.texts[i], "%.*s", (int)found[i].record.len, (const char *)found[i].record.value);
        assert_int_equal(found[i].record.key_len, found[i].record.len);
        assert_memory_equal(found[i].record.key, found[i].record.value, found[i].record.len);
    }
    if (count > 0) {
        f.first = found[0].record;
        assert_int_equal(found[0].header_count, 1);
        snprintf(f.header, sizeof f.header, "%s=%.*s", found[0].headers[0].name, (int)found[0].headers[0].len,
                 (const char *)found[0].headers[0].value);
    }
}

static enum err read_now(const char *topic, int32_t partition, int64_t offset, uint32_t count)
{
    const struct kafka_read wanted = {topic, partition, offset, count};
    unsigned before = f.answers;
    assert_int_equal(kafka_read(f.reader, &wanted, on_read, NULL), ERR_OK);
    assert_int_equal(f.answers, before); /* never from inside */
    wait_until(&f.answers, before + 1);
    return f.err;
}

static void the_newest_come_first(void **state)
{
    (void)state;
    produce(20);
    assert_int_equal(read_now("letters", -1, -1, 5), ERR_OK);
    assert_int_equal(f.count, 5);
    unsigned smallest = 20;
    for (size_t i = 0; i < f.count; i++) {
        unsigned number = 0;
        assert_int_equal(sscanf(f.texts[i], "%u", &number), 1);
        smallest = number < smallest ? number : smallest;
    }
    assert_true(smallest >= 10); /* timestamps are of whole ms: not exactly the last five */
    assert_memory_equal(f.header, "why=", 4);
    assert_string_equal(f.header + 4, f.texts[0]);
    assert_int_equal(read_now("letters", -1, -1, 100), ERR_OK);
    assert_int_equal(f.count, 20);
}

static void one_is_found_by_its_place(void **state)
{
    (void)state;
    produce(12);
    assert_int_equal(read_now("letters", -1, -1, 1), ERR_OK);
    char newest[32];
    snprintf(newest, sizeof newest, "%s", f.texts[0]);
    struct kafka_record place = f.first;
    assert_int_equal(read_now("letters", place.partition, place.offset, 1), ERR_OK);
    assert_int_equal(f.count, 1);
    assert_string_equal(f.texts[0], newest);
    assert_int_equal(f.first.offset, place.offset);
    assert_int_equal(read_now("letters", place.partition, place.offset + 1000, 1), ERR_OK);
    assert_int_equal(f.count, 0);
}

static void an_empty_topic_is_empty(void **state)
{
    (void)state;
    assert_int_equal(read_now("letters", -1, -1, 10), ERR_OK);
    assert_int_equal(f.count, 0);
}

static void nobody_there_is_said_in_time(void **state)
{
    (void)state;
    f.options.brokers = (char *)"127.0.0.1:1";
    uint64_t before_ms = clock_mono_ms();
    assert_int_not_equal(read_now("letters", -1, -1, 10), ERR_OK);
    assert_true(clock_mono_ms() - before_ms < KAFKA_READ_TIMEOUT_MS + 3000);
    assert_int_equal(f.count, 0);
}

static void those_beyond_the_limit_are_refused_and_the_rest_ends(void **state)
{
    (void)state;
    f.options.brokers = (char *)"127.0.0.1:1";
    const struct kafka_read wanted = {"letters", -1, -1, 1};
    for (int i = 0; i < KAFKA_READS_MAX; i++)
        assert_int_equal(kafka_read(f.reader, &wanted, on_read, NULL), ERR_OK);
    assert_int_equal(kafka_read(f.reader, &wanted, on_read, NULL), ERR_FULL);
    loop_turn(f.loop); /* the first one starts */
    kafka_reader_free(&f.reader);
    assert_int_equal(f.answers, KAFKA_READS_MAX);
    assert_int_equal(f.err, ERR_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(one_is_found_by_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_topic_is_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_there_is_said_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(those_beyond_the_limit_are_refused_and_the_rest_ends, setup, teardown),
    };
    return run_side_by_side(tests, sizeof tests / sizeof tests[0]);
}
