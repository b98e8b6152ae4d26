/* Descriptors, timers, signals, time, stop and fork. */
#include "loop_test_world.h"

/* --- descriptors */

struct end {
    struct loop_fd watch;
    int fd, calls;
    short seen;
    bool reads;
};

static void on_ready(int fd, short events, void *arg)
{
    struct end *end = arg;
    assert_int_equal(fd, end->fd);
    end->calls++;
    end->seen |= events;
    char byte;
    if (end->reads && (events & LOOP_READ))
        assert_int_equal(read(fd, &byte, 1), 1);
}

static void make_pair(struct end ends[2])
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct end){.fd = fds[i], .reads = true};
        loop_fd_init(loop, &ends[i].watch, fds[i], on_ready, &ends[i]);
    }
}

static void release_pair(struct end ends[2])
{
    for (int i = 0; i < 2; i++) {
        loop_fd_release(&ends[i].watch);
        close(ends[i].fd);
    }
}

/* Looks at descriptors without waiting. */
static void nothing(void *arg)
{
    (void)arg;
}

static void poll_once(void)
{
    struct loop_task task;
    loop_task_init(&task, nothing, NULL);
    loop_defer(loop, &task);
    loop_turn(loop);
}

static void test_fd_wants(void **state)
{
    (void)state;
    struct end ends[2];
    make_pair(ends);
    assert_int_equal(write(ends[1].fd, "abc", 3), 3);
    poll_once();
    assert_int_equal(ends[0].calls, 0); /* off until wanted */
    loop_fd_want(&ends[0].watch, LOOP_READ);
    loop_turn(loop);
    assert_int_equal(ends[0].seen, LOOP_READ);
    loop_turn(loop); /* level-triggered: two bytes are left */
    assert_int_equal(ends[0].calls, 2);
    loop_fd_want(&ends[0].watch, LOOP_WRITE);
    loop_turn(loop);
    assert_int_equal(ends[0].seen, LOOP_READ | LOOP_WRITE);
    ends[0].seen = 0;
    ends[0].calls = 0;
    loop_fd_want(&ends[0].watch, LOOP_READ | LOOP_WRITE);
    loop_turn(loop);
    assert_int_equal(ends[0].seen, LOOP_READ | LOOP_WRITE);
    assert_int_equal(ends[0].calls, 1);
    loop_fd_want(&ends[0].watch, 0);
    poll_once();
    assert_int_equal(ends[0].calls, 1);
    release_pair(ends);
}

static void test_fd_hang_up_is_readable(void **state)
{
    (void)state;
    struct end ends[2];
    make_pair(ends);
    ends[0].reads = false;
    loop_fd_want(&ends[0].watch, LOOP_READ);
    loop_fd_release(&ends[1].watch);
    close(ends[1].fd);
    loop_turn(loop);
    assert_int_equal(ends[0].seen, LOOP_READ);
    loop_fd_release(&ends[0].watch);
    close(ends[0].fd);
}

/* A number that is closed and taken again within a turn, as accept() does it, is a new watch. */
static void test_fd_number_is_reused(void **state)
{
    (void)state;
    struct end ends[2], again[2];
    for (int i = 0; i < 100; i++) {
        make_pair(ends);
        loop_fd_want(&ends[0].watch, LOOP_READ | (i % 2 ? LOOP_WRITE : 0));
        if (i % 3)
            poll_once();
        release_pair(ends);
        make_pair(again);
        assert_int_equal(again[0].fd, ends[0].fd);
        loop_fd_want(&again[0].watch, LOOP_READ);
        poll_once();
        assert_int_equal(again[0].calls, 0);
        assert_int_equal(write(again[1].fd, "x", 1), 1);
        loop_turn(loop);
        assert_int_equal(again[0].calls, 1);
        release_pair(again);
        ends[0].calls = 0;
        poll_once();
        assert_int_equal(ends[0].calls, 0);
    }
}

static struct end *victim;
static void on_ready_release_other(int fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
    if (victim)
        loop_fd_release(&victim->watch);
    victim = NULL;
}

/* Both are ready in the same turn; the one called first releases the other, which must then not be called. */
static void test_fd_released_by_another(void **state)
{
    (void)state;
    struct end ends[2];
    make_pair(ends);
    struct loop_fd first;
    int fd = eventfd(1, EFD_NONBLOCK);
    loop_fd_init(loop, &first, fd, on_ready_release_other, NULL);
    loop_fd_want(&first, LOOP_READ);
    poll_once(); /* registered first: reported first */
    assert_int_equal(write(ends[1].fd, "x", 1), 1);
    loop_fd_want(&ends[0].watch, LOOP_READ);
    victim = &ends[0];
    poll_once();
    assert_null(victim);
    assert_int_equal(ends[0].calls, 0);
    loop_fd_release(&first);
    close(fd);
    release_pair(ends);
}

/* --- timers */

struct tick {
    struct loop_timer *timer;
    int calls, stop_after;
    uint64_t at_ms;
    bool frees;
};

static void on_tick(void *arg)
{
    struct tick *tick = arg;
    tick->calls++;
    tick->at_ms = clock_mono_ms();
    if (tick->stop_after && tick->calls == tick->stop_after) {
        if (tick->frees)
            loop_timer_free(&tick->timer);
        else
            loop_timer_stop(tick->timer);
        loop_stop(loop);
    }
}

static struct loop_task spin;
static void keep_spinning(void *arg)
{
    (void)arg;
    loop_defer(loop, &spin);
}

/* Many short ones, in a loop that sleeps and in one that never does: the clock by which libevent counts has steps of
 * some milliseconds, and there it would fire as soon as that clock has come round. */
static void test_timer_once_never_early(void **state)
{
    (void)state;
    loop_task_init(&spin, keep_spinning, NULL);
    for (uint64_t i = 0; i < 100; i++) {
        if (i == 50)
            loop_defer(loop, &spin);
        struct tick tick = {.stop_after = 1};
        tick.timer = loop_timer_new(loop, on_tick, &tick);
        uint64_t step_us = clock_mono_us() + i * 397 % 4000; /* start anywhere between two steps of that clock */
        while (clock_mono_us() < step_us)
            ;
        uint64_t start_ms = clock_mono_ms();
        loop_timer_start(tick.timer, i % 7, 0);
        loop_run(loop);
        assert_int_equal(tick.calls, 1);
        assert_true(tick.at_ms - start_ms >= i % 7);
        loop_timer_free(&tick.timer);
        assert_null(tick.timer);
    }
    loop_task_cancel(loop, &spin);
}

static void test_timer_every(void **state)
{
    (void)state;
    struct tick tick = {.stop_after = 4, .frees = true};
    tick.timer = loop_timer_new(loop, on_tick, &tick);
    uint64_t start_ms = clock_mono_ms();
    loop_timer_start(tick.timer, 0, 5);
    loop_run(loop);
    assert_int_equal(tick.calls, 4);
    assert_true(clock_mono_ms() - start_ms >= 15);
    assert_null(tick.timer);
}

static void test_timer_stop_and_restart(void **state)
{
    (void)state;
    struct tick slow = {0}, other = {.stop_after = 1};
    slow.timer = loop_timer_new(loop, on_tick, &slow);
    other.timer = loop_timer_new(loop, on_tick, &other);
    loop_timer_start(slow.timer, 1, 1);
    loop_timer_stop(slow.timer);
    loop_timer_start(other.timer, 60000, 0);
    loop_timer_start(other.timer, 10, 0); /* the second start counts */
    loop_run(loop);
    assert_int_equal(slow.calls, 0);
    assert_int_equal(other.calls, 1);
    loop_timer_free(&slow.timer);
    loop_timer_free(&other.timer);
}

/* --- signals, time, stop, fork */

static void on_signal_stop(void *arg)
{
    note(arg);
    loop_stop(loop);
}

static void test_signal(void **state)
{
    (void)state;
    struct loop_signal *hup = loop_signal_new(loop, SIGHUP, on_signal_stop, (char[]){"h"});
    struct loop_signal *term = loop_signal_new(loop, SIGTERM, on_signal_stop, (char[]){"t"});
    raise(SIGTERM);
    loop_run(loop);
    raise(SIGHUP);
    loop_run(loop);
    assert_string_equal(trace, "th");
    loop_signal_free(&hup);
    loop_signal_free(&term);
    assert_null(term);
}

static uint64_t first_ms, second_ms, wall_ms;
static void read_clock_twice(void *arg)
{
    (void)arg;
    first_ms = loop_now_ms(loop);
    wall_ms = loop_wall_ms(loop);
    uint64_t until_ms = clock_mono_ms() + 3;
    while (clock_mono_ms() < until_ms)
        ;
    second_ms = loop_now_ms(loop);
    assert_int_equal(wall_ms, loop_wall_ms(loop));
}

static void test_time_stands_still_within_a_turn(void **state)
{
    (void)state;
    struct loop_task task;
    loop_task_init(&task, read_clock_twice, NULL);
    loop_defer(loop, &task);
    uint64_t before_ms = clock_mono_ms(), wall_before_ms = clock_wall_ms();
    loop_turn(loop);
    assert_int_equal(first_ms, second_ms);
    assert_true(first_ms >= before_ms && wall_ms >= wall_before_ms && wall_ms < wall_before_ms + 60000);
    assert_true(loop_now_ms(loop) >= first_ms + 3); /* between turns it is the time */
}

static void test_stop_before_run(void **state)
{
    (void)state;
    loop_stop(loop);
    loop_run(loop);
    struct tick tick = {.stop_after = 1};
    tick.timer = loop_timer_new(loop, on_tick, &tick);
    loop_timer_start(tick.timer, 0, 0);
    loop_run(loop); /* stopping is over */
    assert_int_equal(tick.calls, 1);
    loop_timer_free(&tick.timer);
}

static void test_after_fork(void **state)
{
    (void)state;
    struct end ends[2];
    make_pair(ends);
    loop_fd_want(&ends[0].watch, LOOP_READ);
    poll_once();
    pid_t child = fork();
    if (child == 0) { /* drops its watch; the parent's, on the same socket, must stay */
        loop_after_fork(loop);
        loop_fd_release(&ends[0].watch);
        loop_fd_want(&ends[1].watch, LOOP_WRITE);
        poll_once();
        _exit(ends[0].calls == 0 && ends[1].calls == 1 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(write(ends[1].fd, "x", 1), 1);
    loop_turn(loop);
    assert_int_equal(ends[0].calls, 1);
    release_pair(ends);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    alarm(30); /* a loop that waits for ever is a failure */
    const struct CMUnitTest tests[] = {
        TEST(test_fd_wants),
        TEST(test_fd_hang_up_is_readable),
        TEST(test_fd_number_is_reused),
        TEST(test_fd_released_by_another),
        TEST(test_timer_once_never_early),
        TEST(test_timer_every),
        TEST(test_timer_stop_and_restart),
        TEST(test_signal),
        TEST(test_time_stands_still_within_a_turn),
        TEST(test_stop_before_run),
        TEST(test_after_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
