/* Against a real Redis that goes away and comes back. */
#include "gateway/session/goodbyes.h"

#include "common/metric.h"
#include "common/redis_test_server.h"
#include "gateway/metrics.h"

static struct test_server server;
static struct loop *loop;
static struct loop_timer *ticker;
static struct redis *r;
static struct goodbyes *goodbyes;

static void ticked(void)
{
    goodbyes_send_waiting(goodbyes);
    loop_turn(loop);
}

static void kill_server(void)
{
    test_server_kill(&server);
    TURN_UNTIL(loop, !redis_is_up(r));
}

static void run_server(void)
{
    test_server_run(&server, NULL, NULL);
    TURN_UNTIL(loop, redis_is_up(r));
}

static void test_removes_its_own_route_only(void **state)
{
    (void)state;
    ASK(loop, r, "HSET", "herald:route:{42}", "web", "gw1-0 100 7 5");
    ASK(loop, r, "HSET", "herald:route:{42}", "phone", "gw1-0 100 8 5");
    goodbyes_say(goodbyes, "42", "web", 7);
    goodbyes_say(goodbyes, "42", "phone", 7); /* a newer connection's */
    assert_int_equal(goodbyes_count(goodbyes), 2);
    TURN_UNTIL(loop, goodbyes_count(goodbyes) == 0);
    assert_string_equal(ASK(loop, r, "HKEYS", "herald:route:{42}"), "[phone]");
}

static void test_is_said_again_when_redis_is_back(void **state)
{
    (void)state;
    goodbyes_say(goodbyes, "43", "web", 7); /* under way */
    kill_server();
    goodbyes_say(goodbyes, "43", "phone", 8); /* away */
    goodbyes_send_waiting(goodbyes);
    assert_int_equal(goodbyes_count(goodbyes), 2);
    run_server();
    ASK(loop, r, "HSET", "herald:route:{43}", "web", "gw1-0 100 7 5");
    ASK(loop, r, "HSET", "herald:route:{43}", "phone", "gw1-0 100 8 5");
    TURN_UNTIL(loop, (ticked(), goodbyes_count(goodbyes) == 0));
    assert_string_equal(ASK(loop, r, "HKEYS", "herald:route:{43}"), "[]");
}

/* Of three, two are under way; the third follows when one is answered. */
static void test_some_at_a_time(void **state)
{
    (void)state;
    static const char *const devices[] = {"web", "phone", "tablet"};
    for (int i = 0; i < 3; i++)
        ASK(loop, r, "HSET", "herald:route:{46}", devices[i], "gw1-0 100 7 5");
    assert_int_equal(redis_pending(r), 0);
    for (int i = 0; i < 3; i++)
        goodbyes_say(goodbyes, "46", devices[i], 7);
    goodbyes_send_waiting(goodbyes);
    assert_int_equal(redis_pending(r), 2);
    TURN_UNTIL(loop, goodbyes_count(goodbyes) == 0);
    assert_string_equal(ASK(loop, r, "HKEYS", "herald:route:{46}"), "[]");
}

static void test_is_bounded(void **state)
{
    (void)state;
    uint64_t lost = metric_get(METRIC_GOODBYES_LOST);
    kill_server();
    for (int i = 0; i < 5; i++)
        goodbyes_say(goodbyes, "44", "web", (uint64_t)i);
    assert_int_equal(goodbyes_count(goodbyes), 3);
    assert_int_equal(metric_get(METRIC_GOODBYES_LOST) - lost, 2);
    run_server();
    TURN_UNTIL(loop, (ticked(), goodbyes_count(goodbyes) == 0));
    kill_server();
    goodbyes_say(goodbyes, "44", "web", 9); /* left over for the tear-down */
    run_server();
}

static int set_up(void **state)
{
    (void)state;
    metric_setup(gateway_metrics, 1);
    test_server_start(&server, NULL, NULL);
    loop = loop_new();
    ticker = test_ticker(loop);
    struct redis_options options = test_options(&server);
    r = redis_new(loop, &options, "commands", NULL, NULL);
    TURN_UNTIL(loop, redis_is_up(r));
    goodbyes = goodbyes_new(r, "gw1-0", 100, 3, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    goodbyes_say(goodbyes, "45", "web", 10); /* one under way */
    redis_free(&r);
    goodbyes_free(&goodbyes);
    loop_timer_free(&ticker);
    loop_free(&loop);
    test_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_removes_its_own_route_only),
        cmocka_unit_test(test_is_said_again_when_redis_is_back),
        cmocka_unit_test(test_some_at_a_time),
        cmocka_unit_test(test_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
