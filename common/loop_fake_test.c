#include "loop_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct loop *loop;
static char trace[256];

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    trace[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(&loop);
    return 0;
}

static void note(void *arg)
{
    strncat(trace, arg, sizeof(trace) - strlen(trace) - 1);
}

static void note_time(void *arg)
{
    uint64_t start_ms = *(uint64_t *)arg;
    snprintf(trace + strlen(trace), sizeof(trace) - strlen(trace), "%u ", (unsigned)(loop_now_ms(loop) - start_ms));
}

static void test_time_stands_still_until_advanced(void **state)
{
    (void)state;
    uint64_t mono_ms = loop_now_ms(loop), wall_ms = loop_wall_ms(loop);
    loop_turn(loop);
    assert_int_equal(loop_now_ms(loop), mono_ms);
    loop_fake_advance(loop, 1500);
    assert_int_equal(loop_now_ms(loop), mono_ms + 1500);
    assert_int_equal(loop_wall_ms(loop), wall_ms + 1500);
}

static void test_timers_in_order_of_due_time(void **state)
{
    (void)state;
    struct loop_timer *a = loop_timer_new(loop, note, (char[]){"a"}), *b = loop_timer_new(loop, note, (char[]){"b"}),
                      *c = loop_timer_new(loop, note, (char[]){"c"});
    loop_timer_start(a, 20, 0);
    loop_timer_start(b, 10, 10);
    loop_timer_start(c, 20, 0);
    loop_fake_advance(loop, 9);
    assert_string_equal(trace, "");
    loop_fake_advance(loop, 1);
    assert_string_equal(trace, "b");
    loop_fake_advance(loop, 25);
    assert_string_equal(trace, "bacbb"); /* at 20 in the order of their starts: a, c, then b, started again at 10 */
    loop_timer_stop(b);
    loop_fake_advance(loop, 100);
    assert_string_equal(trace, "bacbb");
    loop_timer_free(&a);
    loop_timer_free(&b);
    loop_timer_free(&c);
}

static void test_clock_is_right_inside_a_timer(void **state)
{
    (void)state;
    uint64_t start_ms = loop_now_ms(loop);
    struct loop_timer *timer = loop_timer_new(loop, note_time, &start_ms);
    loop_timer_start(timer, 5, 30);
    loop_fake_advance(loop, 70);
    assert_string_equal(trace, "5 35 65 ");
    loop_timer_free(&timer);
}

static struct loop_task flush, reap;
static void queue_work(void *arg)
{
    note(arg);
    loop_reap(loop, &reap);
    loop_defer(loop, &flush);
}

static void test_end_of_turn_after_each_timer(void **state)
{
    (void)state;
    loop_task_init(&flush, note, (char[]){"f"});
    loop_task_init(&reap, note, (char[]){"r"});
    struct loop_timer *timer = loop_timer_new(loop, queue_work, (char[]){"t"});
    loop_timer_start(timer, 1, 1);
    loop_fake_advance(loop, 2);
    assert_string_equal(trace, "tfrtfr");
    loop_timer_free(&timer);
    loop_defer(loop, &flush);
    loop_fake_end_turn(loop);
    assert_string_equal(trace, "tfrtfrf");
}

static void on_fd(int fd, short events, void *arg)
{
    (void)arg;
    snprintf(trace + strlen(trace), sizeof(trace) - strlen(trace), "%d:%d ", fd, events);
}

static void test_descriptors_become_ready_by_hand(void **state)
{
    (void)state;
    struct loop_fd watch;
    loop_fd_init(loop, &watch, 7, on_fd, NULL);
    assert_int_equal(loop_fake_wants(loop, 7), 0);
    assert_false(loop_fake_ready(loop, 7, LOOP_READ));
    loop_fd_want(&watch, LOOP_READ);
    assert_int_equal(loop_fake_wants(loop, 7), LOOP_READ);
    assert_true(loop_fake_ready(loop, 7, LOOP_READ | LOOP_WRITE));
    assert_false(loop_fake_ready(loop, 7, LOOP_WRITE));
    assert_false(loop_fake_ready(loop, 8, LOOP_READ));
    loop_fd_release(&watch);
    assert_false(loop_fake_ready(loop, 7, LOOP_READ));
    assert_string_equal(trace, "7:2 ");
    loop_fd_init(loop, &watch, 7, on_fd, NULL); /* the number may be taken again */
    loop_fd_release(&watch);
}

static void test_signals(void **state)
{
    (void)state;
    struct loop_signal *hup = loop_signal_new(loop, SIGHUP, note, (char[]){"h"});
    loop_fake_signal(loop, SIGTERM);
    loop_fake_signal(loop, SIGHUP);
    assert_string_equal(trace, "h");
    loop_signal_free(&hup);
    loop_fake_signal(loop, SIGHUP);
    assert_string_equal(trace, "h");
}

static void stop(void *arg)
{
    note(arg);
    loop_stop(loop);
}

static void test_run_jumps_to_the_next_timer(void **state)
{
    (void)state;
    uint64_t start_ms = loop_now_ms(loop);
    struct loop_timer *timer = loop_timer_new(loop, stop, (char[]){"s"});
    loop_timer_start(timer, 3600000, 0);
    loop_run(loop);
    assert_string_equal(trace, "s");
    assert_int_equal(loop_now_ms(loop), start_ms + 3600000);
    loop_timer_free(&timer);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_time_stands_still_until_advanced), TEST(test_timers_in_order_of_due_time),
        TEST(test_clock_is_right_inside_a_timer),    TEST(test_end_of_turn_after_each_timer),
        TEST(test_descriptors_become_ready_by_hand), TEST(test_signals),
        TEST(test_run_jumps_to_the_next_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
