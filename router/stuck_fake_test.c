/* A gateway that is stuck, on the fake loop: what it holds up, and what goes on beside it. */
#include "router/router_fake_world.h"

enum { SILENCE_MS = 1000 };

static void push(int user, const char *more)
{
    char json[200];
    snprintf(json, sizeof(json), "\"to\":{\"user\":\"u%d\"},\"content\":1%s", user, more);
    accept(json);
}

/* The instance says hello. */
static void hear(int g)
{
    struct lanes *lanes = dispatch_lanes(t.d);
    lanes_heard(lanes, lanes_number(lanes, gateway_name(g), 3), t.generation[g], NULL);
}

/* Time passes for all; only gateway 1 says that it lives. */
static void pass(uint64_t ms)
{
    for (; ms > 0; ms -= ms < 100 ? ms : 100) {
        loop_fake_advance(t.loop, ms < 100 ? ms : 100);
        hear(1);
        settle_all();
    }
}

static int setup_silence(void **state)
{
    world_silence_ms = SILENCE_MS;
    world_lane_messages = 1000;
    return setup(state);
}

static int teardown_silence(void **state)
{
    world_silence_ms = world_lane_messages = 0;
    return teardown(state);
}

/* The ack wait would hold its partitions up for longer. */
static void test_what_a_silent_gateway_has_is_stored(void **state)
{
    (void)state;
    connect_user(1, 0);
    connect_user(2, 1);
    push(1, "");
    push(1, "");
    push(1, ",\"class\":\"volatile\"");
    push(2, "");
    settle_all();
    assert_int_equal(t.arrived[0], 3);
    pass(SILENCE_MS - 100);
    assert_int_equal(t.outcomes[0] + t.outcomes[1] + t.outcomes[2], 0);
    assert_true(SILENCE_MS + 400 < ACK_WAIT);
    pass(400);
    for (int i = 0; i < 2; i++)
        assert_int_equal(t.kinds[i], OUTCOME_STORED);
    assert_int_equal(t.kinds[2], OUTCOME_DROPPED);
    assert_int_equal(fake_users[1].box_count, 2);
    assert_string_equal(fake_users[1].box[0], "m0");
    assert_string_equal(fake_users[1].box[1], "m1");
    assert_int_equal(t.outcomes[3], 0); /* who speaks has the whole ack wait */
    push(1, "");                        /* behind the others, at once */
    settle_all();
    assert_int_equal(t.arrived[0], 3);
    assert_int_equal(t.kinds[4], OUTCOME_STORED);
    answer(1, &t.inbox[1][0], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    assert_int_equal(t.kinds[3], OUTCOME_ACKED);
}

/* Silent with something of a turn that is not yet sent, and with a user whose other device is elsewhere. */
static void test_the_other_gateway_goes_on_with_the_same_user(void **state)
{
    (void)state;
    connect_user(1, 0);
    push(1, "");
    settle_all();
    pass(SILENCE_MS + 300);
    assert_int_equal(t.kinds[0], OUTCOME_STORED);
    hear(0);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_ACKED); /* late: ignored */
    assert_int_equal(t.outcomes[0], 1);
    connect_user(2, 0);
    push(2, "");
    settle_all();
    assert_int_equal(t.arrived[0], 2); /* it was heard: it gets what comes */
}

/* The window has 100 records: a stuck gateway is left with half of it, and nothing of it is the other's. */
static void test_a_stuck_gateway_does_not_fill_the_window(void **state)
{
    int others = 0;
    (void)state;
    for (int g = 2; g < GATEWAYS; g++)
        lanes_gone(dispatch_lanes(t.d), gateway_name(g));
    connect_user(1, 0);
    connect_user(2, 1);
    settle_all();
    for (int i = 0; i < 90; i++) { /* within the time of silence */
        push(1, ",\"class\":\"volatile\"");
        settle_all();
        push(2, "");
        settle_all();
        assert_int_equal(t.arrived[1], others + 1);
        answer(1, &t.inbox[1][others++], HERALD__V1__RESULT_KIND__RESULT_ACKED);
        settle_all();
        assert_int_equal(t.kinds[2 * i + 1], OUTCOME_ACKED);
    }
    assert_int_equal(t.fulls, 0);
    assert_in_range(t.arrived[0], 45, 51);
    assert_string_equal(t.last_reason, "");
    assert_int_equal(t.kinds[178], OUTCOME_DROPPED); /* counted, as everything */
}

static int setup_unread(void **state)
{
    world_unread = 1000;
    world_records = 1000;
    world_lane_waiting = 500;
    return setup(state);
}

static int teardown_unread(void **state)
{
    world_unread = world_records = world_lane_waiting = 0;
    return teardown(state);
}

/* The gateway gets to the last hello that was sent to it. */
static void echo_hello(int gateway)
{
    Herald__V1__Hello hello = HERALD__V1__HELLO__INIT;
    struct lanes *lanes = dispatch_lanes(t.d);
    hello.echo_us = t.hello_us[gateway];
    lanes_heard(lanes, lanes_number(lanes, gateway_name(gateway), 3), t.generation[gateway], &hello);
    settle_all();
}

static void answer_from(int gateway, int *answered)
{
    while (*answered < t.arrived[gateway])
        answer(gateway, &t.inbox[gateway][(*answered)++], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    settle_all();
}

/* Answered or given up: that it was sent and is still on its way is what fills memory. */
static void test_what_a_gateway_does_not_take_is_bounded(void **state)
{
    enum { SENT = 100 };
    int answered = 0, rounds = 0;
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < SENT; i++) {
        push(1, ",\"class\":\"volatile\"");
        settle_all();
        answer_from(0, &answered);
    }
    assert_in_range(answered, 5, 40);
    assert_int_equal(lanes_waiting(dispatch_lanes(t.d)), SENT - answered);
    assert_in_range(lanes_unread(dispatch_lanes(t.d)), 1000, 1400);
    for (; answered < SENT && rounds < SENT; rounds++) {
        echo_hello(0);
        answer_from(0, &answered);
    }
    assert_int_equal(answered, SENT);
    assert_true(rounds > 1);
    assert_int_equal(lanes_waiting(dispatch_lanes(t.d)), 0);
}

/* What was under way on a connection that broke is lost: it does not count on the next. */
static void test_a_new_connection_begins_with_nothing_unread(void **state)
{
    enum { LAST = GATEWAYS - 1 };
    int answered = 0;
    (void)state;
    connect_user(1, LAST);
    for (int i = 0; i < 40; i++) {
        push(1, ",\"class\":\"volatile\"");
        settle_all();
        answer_from(LAST, &answered);
    }
    assert_true(lanes_waiting(dispatch_lanes(t.d)) > 0);
    uint64_t old_us = t.hello_us[LAST];
    last_push->on_event(last_push->arg, BUS_DISCONNECTED);
    last_push->on_event(last_push->arg, BUS_CONNECTED);
    int before = t.arrived[LAST];
    settle_all();
    assert_true(t.arrived[LAST] > before);
    uint64_t unread = lanes_unread(dispatch_lanes(t.d));
    t.hello_us[LAST] = old_us; /* an answer that comes late */
    echo_hello(LAST);
    assert_true(lanes_unread(dispatch_lanes(t.d)) >= unread);
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_silence, teardown_silence)
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_silent_gateway_has_is_stored),
        TEST(test_the_other_gateway_goes_on_with_the_same_user),
        TEST(test_a_stuck_gateway_does_not_fill_the_window),
        cmocka_unit_test_setup_teardown(test_what_a_gateway_does_not_take_is_bounded, setup_unread, teardown_unread),
        cmocka_unit_test_setup_teardown(test_a_new_connection_begins_with_nothing_unread, setup_unread,
                                        teardown_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
