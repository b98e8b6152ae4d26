/* The source with dead letters and outcomes, against a Kafka cluster inside this process. */
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
#include "router/metrics.h"
#include "router/source.h"

enum { WAIT_MS = 20000, HELD_MAX = 512 };

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

static void start_source(void)
{
    f.assigned = 0;
    static const struct source_events events = {
        .assigned = on_assigned, .record = on_record, .abandoned = on_abandoned};
    assert_int_equal(source_new(f.loop, &f.kafka, &f.options, f.producer, f.outcomes, &events, &f, &f.source), ERR_OK);
}

static int setup(void **state)
{
    (void)state;
    static const char *const quick[] = {"session.timeout.ms=4000", "heartbeat.interval.ms=200"};
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    memset(&f, 0, sizeof f);
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
    const struct outcome_settings settings = {.topic = "fate", .router = "r1", .publishing_max = 100};
    f.outcomes = outcome_log_new(f.loop, f.producer, &settings);
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

static void wake(void *arg)
{
    (void)arg;
}

typedef bool condition_fn(const void *arg);

static void wait_for(condition_fn *condition, const void *arg)
{
    struct loop_timer *timer = loop_timer_new(f.loop, wake, NULL);
    loop_timer_start(timer, 5, 5);
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (!condition(arg) && clock_mono_ms() < until_ms)
        loop_turn(f.loop);
    loop_timer_free(&timer);
    assert_true(condition(arg));
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

static void names_records(void **state)
{
    (void)state;
    start_source();
    produce_good(1);
    produce("{\"id\":\"m1\",\"to\":{\"users\":[\"1\",\"2\"]},\"content\":{\"n\": 1.10}}");
    wait_held(2);
    assert_string_equal(f.held[0]->source.at, "push/0/0");
    assert_string_equal(f.held[0]->id.at, "push-0-0");
    assert_int_equal(f.held[0]->id.len, strlen("push-0-0"));
    assert_string_equal(f.held[1]->source.at, "push/0/1");
    assert_string_equal(f.held[1]->id.at, "m1");
    assert_null(f.held[1]->kafka.handle); /* librdkafka has its memory back, */
    assert_int_equal(f.held[1]->push.content.len, strlen("{\"n\": 1.10}"));
    assert_memory_equal(f.held[1]->push.content.at, "{\"n\": 1.10}", strlen("{\"n\": 1.10}")); /* and we our copy */
    assert_memory_equal(f.held[1]->kafka.key, "42", 2);
    assert_true(f.held[1]->cost > f.held[1]->kafka.len);
}

static void produce_named(const char *value, const char *id, size_t id_len)
{
    const struct kafka_header header = {"herald-id", id, id_len};
    uint32_t after = f.delivered + 1;
    assert_int_equal(kafka_produce(f.producer, "push", "42", 2, value, strlen(value), &header, 1, on_delivered, NULL),
                     ERR_OK);
    wait_for(is_delivered, &after);
}

/* A replayed dead letter: the header is its id where it has none, and is no id where it could not be one. */
static void takes_the_id_of_a_header(void **state)
{
    (void)state;
    static const char plain[] = "{\"to\":{\"user\":\"42\"},\"content\":1}";
    char longest[PUSH_ID_MAX + 1];
    memset(longest, 'x', sizeof longest);
    start_source();
    produce_named(plain, "push-7-3", 8);
    produce_named("{\"id\":\"m1\",\"to\":{\"user\":\"42\"},\"content\":1}", "push-7-3", 8);
    produce_named(plain, "a\nb", 3);
    produce_named(plain, "\xff", 1);
    produce_named(plain, "", 0);
    produce_named(plain, longest, PUSH_ID_MAX + 1);
    produce_named(plain, longest, PUSH_ID_MAX);
    wait_held(7);
    assert_string_equal(f.held[0]->id.at, "push-7-3");
    assert_int_equal(f.held[0]->push.id.len, 8); /* as if the producer had given it */
    assert_string_equal(f.held[1]->id.at, "m1");
    for (int i = 2; i < 6; i++) {
        char own[32];
        snprintf(own, sizeof own, "push-0-%d", i);
        assert_string_equal(f.held[i]->id.at, own);
        assert_int_equal(f.held[i]->push.id.len, 0);
    }
    assert_int_equal(f.held[6]->id.len, PUSH_ID_MAX);
}

static void commits_up_to_the_oldest_unfinished(void **state)
{
    (void)state;
    start_source();
    produce_good(10);
    wait_held(10);
    struct record *records[10];
    memcpy(records, f.held, sizeof records);
    record_ref(records[2], 2); /* three targets */
    f.held_count = 0;
    for (int i = 9; i >= 0; i--) {
        if (i == 4 || i == 2)
            continue;
        record_done(records[i]);
    }
    record_done(records[2]);
    record_done(records[2]);
    assert_int_equal(source_pending(f.source), 2);
    record_done(records[2]); /* everything before 4 is finished now */
    f.held[f.held_count++] = records[4];
    source_stop(f.source);
    assert_int_equal(f.abandoned, 1);
    assert_int_equal(f.held_count, 0);
    source_free(&f.source);
    start_source();
    wait_held(6);
    for (int i = 0; i < 6; i++)
        assert_true(f.held[i]->kafka.offset == 4 + i);
}

static void orphans_are_ignored(void **state)
{
    (void)state;
    start_source();
    produce_good(3);
    wait_held(3);
    struct record *late = f.held[0];
    record_ref(late, 1); /* a target whose result comes after the partition went */
    source_stop(f.source);
    assert_int_equal(f.abandoned, 3);
    assert_int_equal(source_pending(f.source), 0);
    assert_true(late->is_orphan);
    record_done(late);
    source_free(&f.source);
    start_source();
    wait_held(3);
    assert_true(f.held[0]->kafka.offset == 0);
}

static void bad_records_become_dead_letters(void **state)
{
    (void)state;
    uint64_t dead = metric_get_labelled(METRIC_OUTCOMES, OUTCOME_DEAD);
    f.is_finishing = true;
    start_source();
    produce("{\"to\":{\"user\":\"42\"}}");
    produce_good(2);
    struct letter letter;
    read_last("dead", &letter);
    assert_string_equal(letter.key, "42");
    assert_string_equal(letter.value, "{\"to\":{\"user\":\"42\"}}");
    assert_string_equal(letter.error, "content_missing: content is missing");
    assert_string_equal(letter.source, "push/0/0");
    assert_string_equal(letter.trace, "abc");
    assert_int_equal(letter.header_count, 3);
    wait_for(is_idle, NULL);
    assert_int_equal(metric_get_labelled(METRIC_OUTCOMES, OUTCOME_DEAD), dead + 1);
    source_stop(f.source);
    source_free(&f.source);
    f.is_finishing = false;
    start_source(); /* all three are committed: only this one comes */
    produce_good(1);
    wait_held(1);
    assert_true(f.held[0]->kafka.offset == 3);
}

static void the_router_may_refuse_a_record(void **state)
{
    (void)state;
    f.refuse = PUSH_ERROR_UNSUPPORTED;
    start_source();
    produce("{\"id\":\"m9\",\"to\":{\"topic\":\"t\"},\"content\":1,\"outcome\":true}");
    struct letter letter;
    read_last("dead", &letter);
    assert_memory_equal(letter.error, "unsupported: ", 13);
    assert_string_equal(letter.trace, "abc");
    wait_for(is_idle, NULL);
    read_last("fate", &letter);
    json_t *fate = json_loads(letter.value, 0, NULL);
    assert_non_null(fate);
    assert_string_equal(json_string_value(json_object_get(fate, "outcome")), "dead");
    assert_string_equal(json_string_value(json_object_get(fate, "reason")), "unsupported");
    assert_string_equal(json_string_value(json_object_get(fate, "id")), "m9");
    assert_string_equal(json_string_value(json_object_get(fate, "router")), "r1");
    assert_string_equal(json_string_value(json_object_get(fate, "offset")), "push/0/0");
    assert_true(json_is_integer(json_object_get(fate, "latencyMs")));
    assert_null(json_object_get(fate, "user"));
    json_decref(fate);
}

static void too_large_letters_go_without_value(void **state)
{
    (void)state;
    start_source();
    uint32_t after = f.delivered + 1;
    assert_int_equal(kafka_produce(f.producer, "push", "42", 2, "nonsense", 8, NULL, 0, on_delivered, NULL), ERR_OK);
    wait_for(is_delivered, &after);
    kafka_mock_refuse_produce(f.mock, 1);
    wait_for(has_counted, &(struct total){METRIC_DEADLETTER_RETRIES, metric_get(METRIC_DEADLETTER_RETRIES) + 1});
    assert_int_equal(source_pending(f.source), 1); /* not finished before Kafka has it */
    struct letter letter;
    read_last("dead", &letter);
    assert_false(letter.has_value);
    assert_memory_equal(letter.error, "syntax: ", 8);
    assert_string_equal(letter.source, "push/0/0");
    wait_for(is_idle, NULL);
}

static void pauses_while_the_window_is_full(void **state)
{
    (void)state;
    f.options.partition_window = 16;
    f.options.batch = 8;
    start_source();
    produce_good(60);
    uint32_t least = 16;
    wait_for(holds, &least);
    run_for(300);
    assert_in_range(f.held_count, 16, 24); /* the rest of a batch */
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    int64_t next = 0;
    while (next < 60 && clock_mono_ms() < until_ms) {
        for (uint32_t i = 0; i < f.held_count; i++) {
            assert_true(f.held[i]->kafka.offset == next);
            next++;
            record_done(f.held[i]);
        }
        f.held_count = 0;
        run_for(20);
    }
    assert_true(next == 60);
    assert_true(metric_get(METRIC_PARTITION_PAUSES) > 0);
}

static void the_router_pauses_it(void **state)
{
    (void)state;
    f.is_finishing = true;
    start_source();
    produce_good(1);
    uint32_t one = 1;
    wait_for(has_finished, &one); /* so that fetching has begun: only then does a pause hold at once */
    source_pause(f.source);
    source_pause(f.source);
    assert_true(source_is_paused(f.source));
    f.is_finishing = false;
    produce_good(5);
    run_for(300);
    assert_int_equal(f.held_count, 0);
    source_resume(f.source);
    wait_held(5);
    assert_true(source_oldest_ms(f.source) < WAIT_MS);
}

static void counts_outcomes_it_cannot_publish(void **state)
{
    (void)state;
    const struct outcome_settings settings = {
        .topic = "fate", .router = "r1", .publish_all = true, .publishing_max = 2};
    struct outcome_log *log = outcome_log_new(f.loop, f.producer, &settings);
    uint64_t lost = metric_get(METRIC_OUTCOMES_UNPUBLISHED), done = metric_get(METRIC_OUTCOMES_PUBLISHED);
    uint64_t acked = metric_get_labelled(METRIC_OUTCOMES, OUTCOME_ACKED);
    const struct push_str user = {.at = "4\"2", .len = 3}, none = {.at = "", .len = 0};
    const struct outcome outcome = {.kind = OUTCOME_ACKED, .user = user, .id = none, .device = none, .seq = 7};
    for (int i = 0; i < 5; i++)
        outcome_report(log, &outcome);
    assert_int_equal(metric_get_labelled(METRIC_OUTCOMES, OUTCOME_ACKED), acked + 5);
    assert_int_equal(metric_get(METRIC_OUTCOMES_UNPUBLISHED), lost + 3);
    outcome_log_free(&log); /* two are still under way */
    wait_for(has_counted, &(struct total){METRIC_OUTCOMES_PUBLISHED, done + 2});
    struct letter letter;
    read_last("fate", &letter);
    assert_string_equal(letter.key, "4\"2");
    assert_string_equal(letter.value, "{\"user\":\"4\\\"2\",\"outcome\":\"acked\",\"seq\":7,\"router\":\"r1\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_records),
        TEST(takes_the_id_of_a_header),
        TEST(commits_up_to_the_oldest_unfinished),
        TEST(orphans_are_ignored),
        TEST(bad_records_become_dead_letters),
        TEST(the_router_may_refuse_a_record),
        TEST(too_large_letters_go_without_value),
        TEST(pauses_while_the_window_is_full),
        TEST(the_router_pauses_it),
        TEST(counts_outcomes_it_cannot_publish),
    };
    metric_setup(router_metrics, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
