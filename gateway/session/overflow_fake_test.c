/* What becomes of pushes to those who do not read, by class of traffic and policy. */
#include "gateway/session/session_fake_world.h"

enum { CLOSED = HERALD__V1__RESULT_KIND__RESULT_CLOSED, REFUSED = HERALD__V1__RESULT_KIND__RESULT_REFUSED, USERS = 3 };

static uint64_t receipts[64];
static char content[1000];

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

/* The turn does not end. */
static uint32_t push(enum overflow_class class, const char *user, uint64_t *receipt)
{
    const struct addressee to = {.user = user, .device = ""};
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    struct push_frame frame;
    memset(content, '1', sizeof content);
    delivery.kind = class == OVERFLOW_BROADCAST ? HERALD__V1__KIND__KIND_BROADCAST : HERALD__V1__KIND__KIND_PUSH;
    delivery.class_ = class == OVERFLOW_DURABLE ? HERALD__V1__CLASS__CLASS_DURABLE : HERALD__V1__CLASS__CLASS_VOLATILE;
    delivery.content = (ProtobufCBinaryData){sizeof content, (uint8_t *)content};
    push_frame_init(&frame);
    push_frame_set(&frame, &delivery);
    uint32_t count = user ? sessions_deliver(t.sessions, &frame, &to, receipt)
                          : sessions_broadcast(t.sessions, &frame, receipt);
    push_frame_release(&frame);
    return count;
}

static int setup_small(void **state)
{
    int result = setup(state);
    t.sessions->settings.backlog_max = t.sessions->settings.unwritten_max = 5 * sizeof content;
    return result;
}

static void test_the_newest_is_dropped(void **state)
{
    (void)state;
    open_as("u")->is_blocked = true;
    for (int i = 0; i < 5; i++)
        push(OVERFLOW_VOLATILE, "u", &receipts[i]);
    assert_int_equal(t.results[REFUSED], 0);
    push(OVERFLOW_VOLATILE, "u", &receipts[5]);
    assert_int_equal(t.results[REFUSED], 1);
    assert_string_equal(t.reason, "slow");
    assert_ptr_equal(t.receipt, &receipts[5]);
}

static void test_the_oldest_of_its_class_is_dropped(void **state)
{
    (void)state;
    struct conn *c = open_as("u");
    uint64_t before[] = {metric_get_labelled(METRIC_PUSHES_SLOW, OVERFLOW_VOLATILE),
                         metric_get_labelled(METRIC_PUSHES_SLOW, OVERFLOW_BROADCAST)};
    c->is_blocked = true;
    t.sessions->settings.overflow[OVERFLOW_BROADCAST] = OVERFLOW_DROP_OLDEST;
    push(OVERFLOW_VOLATILE, "u", &receipts[0]);
    for (int i = 1; i < 10; i++)
        push(OVERFLOW_BROADCAST, NULL, &receipts[i]);
    assert_int_equal(t.results[REFUSED], 5);
    assert_string_equal(t.reason, "slow");
    assert_ptr_equal(t.receipt, &receipts[5]); /* 6 to 9 wait, and what is of another class */
    push(OVERFLOW_VOLATILE, "u", &receipts[10]);
    assert_ptr_equal(t.receipt, &receipts[10]); /* that has its own policy */
    assert_int_equal(metric_get_labelled(METRIC_PUSHES_SLOW, OVERFLOW_BROADCAST) - before[1], 5);
    assert_int_equal(metric_get_labelled(METRIC_PUSHES_SLOW, OVERFLOW_VOLATILE) - before[0], 1);
    assert_int_equal(c->state, CONN_OPEN);
}

/* While all are gone through: nobody is left out, and who reads stays. */
static void test_the_slow_are_disconnected(void **state)
{
    static const char *const users[USERS] = {"a", "b", "c"};
    struct conn *conns[USERS];
    (void)state;
    t.sessions->settings.overflow[OVERFLOW_BROADCAST] = OVERFLOW_DISCONNECT;
    for (int i = 0; i < USERS; i++)
        conns[i] = open_as(users[i]);
    conns[0]->is_blocked = conns[2]->is_blocked = true;
    for (int i = 0; i < 7; i++)
        assert_int_equal(push(OVERFLOW_BROADCAST, NULL, &receipts[i]), USERS);
    assert_int_equal(t.results[REFUSED], 4);
    loop_fake_end_turn(t.loop);
    assert_int_equal(conns[0]->state, CONN_CLOSING);
    assert_int_equal(conns[0]->reason, CLOSE_SLOW);
    assert_int_equal(conns[2]->state, CONN_CLOSING);
    assert_int_equal(conns[1]->state, CONN_OPEN);
    assert_int_equal(t.results[CLOSED], 10); /* what waited */
    assert_int_equal(push(OVERFLOW_BROADCAST, NULL, &receipts[7]), 1);
}

static void test_a_durable_one_is_stored_and_may_disconnect(void **state)
{
    (void)state;
    struct conn *c = open_as("u");
    c->is_blocked = true;
    for (int i = 0; i < 6; i++)
        push(OVERFLOW_DURABLE, "u", &receipts[i]);
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.results[REFUSED], 1);
    assert_int_equal(c->state, CONN_OPEN);
    struct conn *other = open_as("v");
    other->is_blocked = true;
    t.sessions->settings.overflow[OVERFLOW_DURABLE] = OVERFLOW_DISCONNECT;
    for (int i = 0; i < 6; i++)
        push(OVERFLOW_DURABLE, "v", &receipts[i]);
    assert_int_equal(other->state, CONN_OPEN);
    loop_fake_end_turn(t.loop);
    assert_int_equal(other->state, CONN_CLOSING);
    assert_int_equal(t.results[REFUSED], 2);
    assert_int_equal(t.results[CLOSED], 5); /* the router stores them, in order */
}

/* Short memory is something else, and answered by sessions_squeeze() and sessions_shed(). */
static void test_short_memory_disconnects_nobody(void **state)
{
    (void)state;
    struct conn *c = open_as("u");
    c->is_blocked = true;
    for (int class = 0; class < OVERFLOW_COUNT; class ++)
        t.sessions->settings.overflow[class] = OVERFLOW_DISCONNECT;
    sessions_squeeze(t.sessions, 0, 0);
    push(OVERFLOW_VOLATILE, "u", &receipts[0]);
    push(OVERFLOW_DURABLE, "u", &receipts[1]);
    push(OVERFLOW_BROADCAST, NULL, &receipts[2]);
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.results[REFUSED], 3);
    assert_string_equal(t.reason, "memory");
    assert_int_equal(c->state, CONN_OPEN);
}

/* Its connection goes before the end of the turn; and all of them do, at the end of the process. */
static void test_one_that_leaves_by_itself(void **state)
{
    (void)state;
    struct conn *c = open_as("u"), *last = open_as("v");
    c->is_blocked = last->is_blocked = true;
    t.sessions->settings.overflow[OVERFLOW_VOLATILE] = OVERFLOW_DISCONNECT;
    for (int i = 0; i < 7; i++)
        push(OVERFLOW_VOLATILE, "u", &receipts[i]);
    end_conn(c);
    loop_fake_end_turn(t.loop);
    assert_int_equal(c->reason, 0);
    for (int i = 0; i < 7; i++)
        push(OVERFLOW_VOLATILE, "v", &receipts[i]);
}

#define OVERFLOW_TEST(f) cmocka_unit_test_setup_teardown(f, setup_small, teardown)

int main(void)
{
    metric_setup(gateway_metrics, 1);
    const struct CMUnitTest tests[] = {
        OVERFLOW_TEST(test_the_newest_is_dropped),
        OVERFLOW_TEST(test_the_oldest_of_its_class_is_dropped),
        OVERFLOW_TEST(test_the_slow_are_disconnected),
        OVERFLOW_TEST(test_a_durable_one_is_stored_and_may_disconnect),
        OVERFLOW_TEST(test_short_memory_disconnects_nobody),
        OVERFLOW_TEST(test_one_that_leaves_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
