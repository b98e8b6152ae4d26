/* The source with dead letters and outcomes, against a Kafka cluster inside this process. */
#include "router/source/source_test_world.h"
#include "tests/unit/side_by_side.h"

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

static void pauses_while_its_oldest_record_is_old(void **state)
{
    (void)state;
    f.options.window_age_ms = 200;
    start_source();
    produce_good(1);
    wait_held(1);
    uint64_t pauses = metric_get(METRIC_PARTITION_PAUSES);
    run_for(1000);
    assert_int_equal(metric_get(METRIC_PARTITION_PAUSES), pauses + 1);
    assert_true(source_oldest_ms(f.source) >= 1000);
    produce_good(5);
    run_for(500);
    assert_int_equal(f.held_count, 1);
    f.held_count = 0;
    record_done(f.held[0]);
    wait_held(5);
    assert_true(source_oldest_ms(f.source) < WAIT_MS);
}

static bool is_asked(const void *arg)
{
    (void)arg;
    return f.begins > 0;
}

static void waits_until_its_partition_begins(void **state)
{
    (void)state;
    f.is_asked_to_begin = true;
    start_source();
    produce_good(3);
    wait_for(is_asked, NULL);
    run_for(200);
    assert_int_equal(f.held_count, 0);
    assert_int_equal(f.begins, 1);
    assert_int_equal(f.first_offset, 0);
    source_begin(f.source, 0, 1000, 7);
    produce_good(2);
    wait_held(5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(f.held[i]->kafka.offset, i); /* in order */
        assert_int_equal(f.held[i]->life, 1000);
        assert_int_equal(f.held[i]->generation, 7);
    }
    source_lose(f.source, 0); /* before Kafka says so */
    assert_int_equal(f.abandoned, 5);
    produce_good(2);
    run_for(300);
    assert_int_equal(f.held_count, 0);
    assert_int_equal(f.ends, 0);
    source_stop(f.source);
    assert_int_equal(f.ends, 1);
}

/* What waits is nobody's yet: it goes without a word. */
static void ends_before_its_partition_begins(void **state)
{
    (void)state;
    f.is_asked_to_begin = true;
    start_source();
    produce_good(3);
    wait_for(is_asked, NULL);
    source_stop(f.source);
    assert_int_equal(f.abandoned + f.held_count, 0);
    assert_int_equal(f.ends, 1);
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

static void later_outcomes_are_bounded(void **state)
{
    (void)state;
    const struct outcome_settings settings = {.topic = "fate", .router = "r1", .publish_all = true, .later_max = 2};
    struct outcome_log *log = outcome_log_new(f.loop, f.producer, &settings, &holding, &f);
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
        TEST(pauses_while_its_oldest_record_is_old),
        TEST(waits_until_its_partition_begins),
        TEST(ends_before_its_partition_begins),
        TEST(the_router_pauses_it),
        TEST(later_outcomes_are_bounded),
    };
    return run_side_by_side(tests, sizeof tests / sizeof tests[0]);
}
