/* Sessions while memory is short: what is not queued any more, and who has to go. */
#include "gateway/session/session_fake_world.h"

#include "gateway/session/shed.h"

enum { CLOSED = HERALD__V1__RESULT_KIND__RESULT_CLOSED, REFUSED = HERALD__V1__RESULT_KIND__RESULT_REFUSED };

static char content[SHED_LEAST_BYTES];

static struct conn *open_as(const char *user)
{
    struct auth_claim claim = {.user = user, .user_len = strlen(user), .device = "d", .device_len = 1};
    struct conn *c = &t.conns[t.conn_count++];
    *c = (struct conn){.id = (uint64_t)t.conn_count, .state = CONN_AUTH};
    login_decide(t.sessions, c, &claim);
    come_all();
    assert_true(is_live(c));
    return c;
}

static void send_to(const char *user, bool is_durable)
{
    static uint64_t receipt;
    const struct addressee to = {.user = user, .device = ""};
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    struct push_frame frame;
    memset(content, '1', sizeof content);
    delivery.class_ = is_durable ? HERALD__V1__CLASS__CLASS_DURABLE : HERALD__V1__CLASS__CLASS_VOLATILE;
    delivery.content = (ProtobufCBinaryData){sizeof content, (uint8_t *)content};
    push_frame_init(&frame);
    push_frame_set(&frame, &delivery);
    assert_int_equal(sessions_deliver(t.sessions, &frame, &to, &receipt), 1);
    push_frame_release(&frame);
    loop_fake_end_turn(t.loop);
}

static void test_nothing_more_for_the_slow_when_frames_are_many(void **state)
{
    (void)state;
    struct conn *slow = open_as("slow"), *fast = open_as("fast");
    slow->is_blocked = true;
    send_to("slow", false);
    send_to("slow", true);
    assert_int_equal(t.results[REFUSED], 0);
    sessions_squeeze(t.sessions, 0, message_held());
    send_to("slow", false);
    assert_int_equal(t.results[REFUSED], 1);
    assert_string_equal(t.reason, "memory");
    send_to("slow", true);
    assert_int_equal(t.results[REFUSED], 2);
    assert_string_equal(t.reason, "memory");
    send_to("fast", false);
    send_to("fast", true);
    assert_int_equal(t.results[REFUSED], 2);
    assert_int_equal(fast->pushes, 1);
}

/* What had to be refused waits in the mailbox, and comes once the connection takes something again. */
static void test_the_mailbox_is_drained_when_there_is_room(void **state)
{
    (void)state;
    struct conn *c = open_conn();
    come_all();
    c->is_blocked = true;
    sessions_squeeze(t.sessions, 0, 0);
    deliver("m1");
    assert_string_equal(t.reason, "memory");
    fake_append(USER_BOX, "m1", 0);
    poke("");
    come_all();
    assert_string_equal(seen(c), "");
    c->is_blocked = false;
    sessions_conn_events.room(t.sessions, c);
    come_all();
    assert_string_equal(seen(c), "m1");
}

static void test_the_slow_may_hold_less_when_squeezed(void **state)
{
    (void)state;
    struct conn *slow = open_as("slow");
    slow->is_blocked = true;
    sessions_squeeze(t.sessions, 5, SIZE_MAX); /* 1 MiB becomes 32 KiB */
    for (int i = 0; i < 10; i++)
        send_to("slow", i % 2 == 0);
    assert_string_equal(t.reason, "slow");
    assert_in_range(t.results[REFUSED], 5, 7);
    sessions_squeeze(t.sessions, 0, SIZE_MAX);
    send_to("slow", false);
    assert_in_range(t.results[REFUSED], 5, 7);
}

static void test_the_slowest_go_first(void **state)
{
    (void)state;
    struct conn *slowest = open_as("a"), *slow = open_as("b"), *fast = open_as("c");
    slowest->is_blocked = slow->is_blocked = true;
    send_to("b", true);
    send_to("c", true);
    for (int i = 0; i < 3; i++)
        send_to("a", i != 1);
    assert_true(sessions_shed(t.sessions, 1) >= 3 * sizeof content);
    assert_int_equal(slowest->state, CONN_CLOSING);
    assert_int_equal(slowest->reason, CLOSE_SHED);
    assert_int_equal(t.results[CLOSED], 3); /* the router stores what was durable */
    assert_int_equal(slow->state, CONN_OPEN);
    assert_int_equal(metric_get(METRIC_SESSIONS_SHED), 1);
    assert_true(sessions_shed(t.sessions, SIZE_MAX) >= sizeof content);
    assert_int_equal(slow->state, CONN_CLOSING);
    assert_int_equal(fast->state, CONN_OPEN); /* it takes what comes */
    assert_int_equal(sessions_shed(t.sessions, SIZE_MAX), 0);
    assert_int_equal(t.results[CLOSED], 4);
}

#define SHED_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    metric_setup(gateway_metrics, 1);
    const struct CMUnitTest tests[] = {
        SHED_TEST(test_nothing_more_for_the_slow_when_frames_are_many),
        SHED_TEST(test_the_mailbox_is_drained_when_there_is_room),
        SHED_TEST(test_the_slow_may_hold_less_when_squeezed),
        SHED_TEST(test_the_slowest_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
