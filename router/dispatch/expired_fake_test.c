/* A gateway finds a durable message too old: that is its end, and no failure of the flow. */
#include "router/router_fake_world.h"

enum { ACKED = HERALD__V1__RESULT_KIND__RESULT_ACKED, REFUSED = HERALD__V1__RESULT_KIND__RESULT_REFUSED };

static void accept_many(int count)
{
    connect_user(1, 0);
    for (int i = 0; i < count; i++)
        accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"ttlMs\":600000");
    settle_all();
    assert_int_equal(t.arrived[0], count);
}

/* What is out behind it stays out, and counts when it is acknowledged. */
static void test_expired_at_the_gateway_does_not_break_the_flow(void **state)
{
    (void)state;
    accept_many(3);
    answer_with(0, &t.inbox[0][1], (Herald__V1__ResultKind)REFUSED, "expired");
    assert_int_equal(t.outcomes[1], 1);
    assert_int_equal(t.kinds[1], OUTCOME_EXPIRED);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 4); /* live, and next in the run */
    assert_int_equal(t.inbox[0][3].run, t.inbox[0][2].run);
    assert_int_equal(t.inbox[0][3].run_index, t.inbox[0][2].run_index + 1);
    for (int i = 0; i < 4; i++)
        if (i != 1)
            answer(0, &t.inbox[0][i], (Herald__V1__ResultKind)ACKED);
    settle_all();
    assert_int_equal(fake_users[1].box_count, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.outcomes[i], 1);
        assert_int_equal(t.kinds[i], i == 1 ? OUTCOME_EXPIRED : OUTCOME_ACKED);
    }
}

/* A session that does not count it as taken (an older gateway) refuses what follows: to the mailbox, in order. */
static void test_gap_behind_it_goes_to_the_mailbox(void **state)
{
    (void)state;
    accept_many(3);
    answer_with(0, &t.inbox[0][0], (Herald__V1__ResultKind)REFUSED, "expired");
    answer_with(0, &t.inbox[0][1], (Herald__V1__ResultKind)REFUSED, "gap");
    answer_with(0, &t.inbox[0][2], (Herald__V1__ResultKind)REFUSED, "gap");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
    assert_string_equal(fake_users[1].box[0], "m1");
    assert_string_equal(fake_users[1].box[1], "m2");
    assert_int_equal(t.kinds[0], OUTCOME_EXPIRED);
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_expired_at_the_gateway_does_not_break_the_flow),
        TEST(test_gap_behind_it_goes_to_the_mailbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
