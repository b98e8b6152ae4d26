/* A service in this process, which sends itself signals. */
#include "service.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

static struct daemon_settings settings;
static const struct option own_options[] = {
    {"admin", "listen", OPTION_STRING, offsetof(struct daemon_settings, admin.listen), "127.0.0.1:0", 0, 0, NULL,
     "Where."},
    {0},
};
static const struct option *const tables[] = {daemon_options, own_options, NULL};
static const struct metric metrics[] = {{"herald_test_total", METRIC_COUNTER, "All.", NULL, NULL, NULL}, {0}};
static const struct daemon_program program = {
    {tables, &settings, "herald-test", "a test."}, sizeof settings, metrics, "test"};

/* What the daemon, played by the test, does. */
static struct {
    struct service *service;
    struct loop_timer *timer;
    bool cannot_start, fails, never_stops;
    unsigned signals_due, looks_needed;
    /* and what became of it */
    unsigned stops, looks, ends;
} t;

static void on_time(void *arg)
{
    assert_ptr_equal(arg, &t);
    if (t.fails)
        service_fail(t.service);
    else
        kill(getpid(), SIGTERM);
    if (t.fails || --t.signals_due == 0)
        loop_timer_stop(t.timer);
}

static void *start(struct service *service, const void *given)
{
    assert_ptr_equal(given, &settings);
    t.service = service;
    service_set_id(service, "test-0");
    assert_string_equal(service_id(service), "test-0");
    assert_true(service_generation(service) > 0);
    assert_int_not_equal(admin_port(service_admin(service)), 0);
    if (t.cannot_start)
        return NULL;
    t.timer = loop_timer_new(service_loop(service), on_time, &t);
    loop_timer_start(t.timer, 1, 1);
    return &t;
}

static bool is_ready(void *arg, struct buf *why)
{
    (void)arg;
    (void)why;
    return true;
}

static void stop(void *arg)
{
    assert_ptr_equal(arg, &t);
    assert_true(service_is_stopping(t.service));
    t.stops++;
}

static bool has_stopped(void *arg, uint64_t passed_ms)
{
    (void)arg;
    assert_true(passed_ms < 60000);
    assert_int_equal(t.stops, 1);
    return ++t.looks >= t.looks_needed && !t.never_stops;
}

static void end(void *arg)
{
    assert_ptr_equal(arg, &t);
    loop_timer_free(&t.timer);
    t.ends++;
}

static int run(void)
{
    static const struct service_parts parts = {start, is_ready, stop, has_stopped, end};
    char *argv[] = {(char *)"herald-test", (char *)"--set=log.level=error", NULL};
    settings = (struct daemon_settings){0};
    return service_run(&program, &parts, 2, argv);
}

static int clear(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    return 0;
}

static void a_signal_stops_it(void **state)
{
    (void)state;
    t.signals_due = 1;
    t.looks_needed = 3;
    assert_int_equal(run(), 0);
    assert_int_equal(t.looks, 3);
    assert_int_equal(t.ends, 1);
}

static void a_second_signal_does_not_wait(void **state)
{
    (void)state;
    t.signals_due = 2;
    t.never_stops = true;
    assert_int_equal(run(), 0);
    assert_int_equal(t.stops, 1);
    assert_int_equal(t.ends, 1);
}

static void it_fails_in_order(void **state)
{
    (void)state;
    t.fails = true;
    t.looks_needed = 2;
    assert_int_equal(run(), 1);
    assert_int_equal(t.stops, 1);
    assert_int_equal(t.looks, 2);
    assert_int_equal(t.ends, 1);
}

static void what_cannot_start_does_not_end(void **state)
{
    (void)state;
    t.cannot_start = true;
    assert_int_equal(run(), 1);
    assert_int_equal(t.stops, 0);
    assert_int_equal(t.ends, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_signal_stops_it, clear),
        cmocka_unit_test_setup(a_second_signal_does_not_wait, clear),
        cmocka_unit_test_setup(it_fails_in_order, clear),
        cmocka_unit_test_setup(what_cannot_start_does_not_end, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
