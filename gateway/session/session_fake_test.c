/* Live pushes of one session: which it takes, and which it refuses so that nothing is overtaken. */
#include "gateway/session/session_fake_world.h"

enum { ACKED = HERALD__V1__RESULT_KIND__RESULT_ACKED, REFUSED = HERALD__V1__RESULT_KIND__RESULT_REFUSED };

static struct conn *open_live(void)
{
    struct conn *c = open_conn();
    come_all();
    assert_true(is_live(c));
    return c;
}

static void test_takes_an_unbroken_sequence(void **state)
{
    (void)state;
    struct conn *c = open_live();
    deliver_in("r0", 7, 0, 0);
    deliver_in("r2", 7, 2, 0); /* r1 was lost on the way */
    assert_string_equal(t.reason, "gap");
    deliver_in("r3", 7, 3, 0);
    assert_int_equal(t.results[REFUSED], 2);
    deliver_in("s0", 8, 0, 0); /* nothing is out any more: the next run */
    assert_string_equal(seen(c), "r0 s0");
    ack(c, 2);
    assert_int_equal(t.results[ACKED], 2);
}

/* It has its fate: nothing can overtake it. */
static void test_expired_one_takes_its_number(void **state)
{
    (void)state;
    struct conn *c = open_live();
    int64_t past = (int64_t)loop_wall_ms(t.loop) - 1;
    deliver_in("r0", 7, 0, 0);
    deliver_in("r1", 7, 1, past);
    assert_string_equal(t.reason, "expired");
    deliver_in("r2", 7, 2, 0);
    assert_string_equal(seen(c), "r0 r2");
    assert_int_equal(t.results[REFUSED], 1);
}

/* Not so when the one before it was missed. */
static void test_expired_one_does_not_close_a_gap(void **state)
{
    (void)state;
    struct conn *c = open_live();
    int64_t past = (int64_t)loop_wall_ms(t.loop) - 1;
    deliver_in("r0", 7, 0, 0);
    deliver_in("r2", 7, 2, past);
    assert_string_equal(t.reason, "expired");
    deliver_in("r3", 7, 3, 0);
    assert_string_equal(t.reason, "gap");
    assert_string_equal(seen(c), "r0");
}

/* Nor while the mailbox is being emptied: there may be an older one of that flow in it. */
static void test_expired_one_while_draining(void **state)
{
    (void)state;
    struct conn *c = open_live();
    int64_t past = (int64_t)loop_wall_ms(t.loop) - 1;
    deliver_in("r0", 7, 0, 0);
    fake_append(USER_BOX, "a", 0);
    poke("");
    come_all();
    deliver_in("r1", 7, 1, past);
    ack(c, 2);
    come_all();
    assert_true(is_live(c));
    deliver_in("r2", 7, 2, 0);
    assert_string_equal(t.reason, "gap");
    assert_string_equal(seen(c), "r0 a");
}

/* Rule 8: what was sent by the route of a connection is not for the one that followed it. */
static void test_only_the_named_connection_takes_it(void **state)
{
    (void)state;
    struct conn *first = open_live(), *second = open_live();
    t.connection = first->id;
    assert_int_equal(deliver_in("r0", 7, 0, 0), 1);
    assert_int_equal(t.results[HERALD__V1__RESULT_KIND__RESULT_CLOSED], 1);
    assert_string_equal(t.reason, "stale");
    assert_int_equal(second->pushes, 0);
    t.connection = second->id;
    assert_int_equal(deliver_in("r1", 8, 0, 0), 1);
    assert_string_equal(seen(second), "r1");
    end_conn(second);
    come_all();
    assert_int_equal(deliver_in("r2", 8, 1, 0), 0); /* nobody is here */
}

/* session.delay_volatile and session.delay_durable; what is urgent waits for nobody. */
static void test_writes_may_wait_by_class(void **state)
{
    (void)state;
    struct conn *c = open_live();
    t.sessions->settings.delay_volatile_ms = 20;
    t.sessions->settings.delay_durable_ms = 5;
    static const struct {
        Herald__V1__Class class;
        Herald__V1__Priority priority;
        uint64_t delay_ms;
    } cases[] = {{HERALD__V1__CLASS__CLASS_VOLATILE, HERALD__V1__PRIORITY__PRIORITY_NORMAL, 20},
                 {HERALD__V1__CLASS__CLASS_VOLATILE, HERALD__V1__PRIORITY__PRIORITY_HIGH, 0},
                 {HERALD__V1__CLASS__CLASS_DURABLE, HERALD__V1__PRIORITY__PRIORITY_LOW, 5},
                 {HERALD__V1__CLASS__CLASS_DURABLE, HERALD__V1__PRIORITY__PRIORITY_HIGH, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
        delivery.class_ = cases[i].class;
        delivery.priority = cases[i].priority;
        assert_int_equal(deliver_as(&delivery, "m", 0, 0), 1);
        assert_int_equal(c->delay_ms, cases[i].delay_ms);
    }
}

/* The canary's session: everything that is sent to its user reaches it, nothing else does, and nobody counts it. */
static void test_own_session_is_nobodys(void **state)
{
    (void)state;
    const struct upgrade_request request = {0};
    struct conn *c = open_live(), *own = &t.conns[t.conn_count++];
    *own = (struct conn){.id = (uint64_t)t.conn_count, .state = CONN_AUTH, .is_own = true};
    sessions_conn_events.upgraded(t.sessions, own, &request);
    come_all();
    assert_int_equal(own->state, CONN_OPEN);
    assert_int_equal(metric_get(METRIC_SESSIONS), 1);
    assert_int_equal(metric_get(METRIC_USERS), 1);
    struct session *s = own->owner;
    assert_string_equal(s->user->name, CANARY_USER_PREFIX "gw1-0");

    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    struct push_frame frame;
    delivery.id = (char *)"b";
    delivery.content = (ProtobufCBinaryData){1, (uint8_t *)(char[]){"1"}};
    push_frame_init(&frame);
    push_frame_set(&frame, &delivery);
    uint64_t receipt = 0;
    assert_int_equal(sessions_broadcast(t.sessions, &frame, &receipt), 1);
    push_frame_release(&frame);
    (void)c;
    end_conn(own);
    come_all();
    assert_int_equal(metric_get(METRIC_SESSIONS), 1);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_takes_an_unbroken_sequence),
        TEST(test_expired_one_takes_its_number),
        TEST(test_expired_one_does_not_close_a_gap),
        TEST(test_expired_one_while_draining),
        TEST(test_only_the_named_connection_takes_it),
        TEST(test_writes_may_wait_by_class),
        TEST(test_own_session_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
