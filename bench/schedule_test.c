#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/plan.h"
#include "bench/schedule.h"

static struct plan plan_of(const char *first, const char *second)
{
    struct plan plan = {.connections = 100};
    assert_true(stream_parse(&plan.streams[plan.stream_count++], first));
    if (second)
        assert_true(stream_parse(&plan.streams[plan.stream_count++], second));
    return plan;
}

static void a_message_is_due_when_its_turn_is_whatever_happened_before(void **state)
{
    (void)state;
    struct plan plan = plan_of("to=user,rate=1000", NULL);
    struct schedule schedule;
    schedule_init(&schedule, &plan);
    struct due due;
    assert_false(schedule_next(&schedule, &due));
    schedule_begin(&schedule, 5000000, 2);
    for (uint64_t i = 0; i < 2000; i++) {
        assert_true(schedule_next(&schedule, &due));
        assert_int_equal(due.i, i);
        assert_int_equal(due.at_us, 5000000 + i * 1000);
        schedule_sent(&schedule, &due);
    }
    assert_false(schedule_next(&schedule, &due));
    assert_int_equal(schedule_expected(&schedule), 2000);
}

static void streams_take_turns_by_time(void **state)
{
    (void)state;
    struct plan plan = plan_of("to=user,rate=4", "to=all,rate=2,class=volatile");
    struct schedule schedule;
    schedule_init(&schedule, &plan);
    schedule_begin(&schedule, 0, 1);
    const size_t streams[] = {0, 1, 0, 0, 1, 0};
    for (size_t k = 0; k < 6; k++) {
        struct due due;
        assert_true(schedule_next(&schedule, &due));
        assert_int_equal(due.stream, streams[k]);
        schedule_sent(&schedule, &due);
    }
    assert_int_equal(schedule_expected(&schedule), 4 + 2 * 100);
    assert_int_equal(schedule_expected_of(&schedule, 1), 200);
}

static void a_burst_is_due_at_once_and_whole(void **state)
{
    (void)state;
    struct plan plan = plan_of("to=all,rate=25,burst=10", NULL);
    struct schedule schedule;
    schedule_init(&schedule, &plan);
    schedule_begin(&schedule, 0, 1);
    struct due due;
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(schedule_next(&schedule, &due));
        assert_int_equal(due.at_us, i < 10 ? 0 : 400000);
        schedule_sent(&schedule, &due);
    }
    assert_false(schedule_next(&schedule, &due));
}

static void numbers_go_on_after_the_warm_up(void **state)
{
    (void)state;
    struct plan plan = plan_of("to=users,group=30,rate=10,class=durable", NULL);
    struct schedule schedule;
    schedule_init(&schedule, &plan);
    schedule_begin(&schedule, 0, 1);
    struct due due;
    while (schedule_next(&schedule, &due))
        schedule_sent(&schedule, &due);
    schedule_begin(&schedule, 9000000, 1);
    assert_true(schedule_next(&schedule, &due));
    assert_int_equal(due.i, 10);
    assert_int_equal(due.at_us, 9000000);
    assert_int_equal(schedule_expected(&schedule), 10 * 30);
    assert_int_equal(stream_turns(&plan.streams[0], 100), 3);
}

static void streams_are_read_from_text(void **state)
{
    (void)state;
    struct stream stream;
    assert_true(
        stream_parse(&stream, "to=users,class=durable,rate=7,size=300,group=5,burst=2,fields=\"from\":\"a,b\""));
    assert_int_equal(stream.to, STREAM_TO_USERS);
    assert_true(stream.is_durable);
    assert_int_equal(stream.rate, 7);
    assert_int_equal(stream.size, 300);
    assert_int_equal(stream.group, 5);
    assert_int_equal(stream.burst, 2);
    assert_string_equal(stream.fields, "\"from\":\"a,b\"");
    const char *const wrong[] = {"to=nobody", "rate=fast",           "rate=0", "burst=0", "size",
                                 "colour=3",  "to=all,class=durable"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(stream_parse(&stream, wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_due_when_its_turn_is_whatever_happened_before),
        cmocka_unit_test(streams_take_turns_by_time),
        cmocka_unit_test(a_burst_is_due_at_once_and_whole),
        cmocka_unit_test(numbers_go_on_after_the_warm_up),
        cmocka_unit_test(streams_are_read_from_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
