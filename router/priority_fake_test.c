/* Priorities and collapse keys on the way through the router, on the fake loop. */
#include "router/router_fake_world.h"

static void push(int user, const char *more)
{
    char json[200];
    snprintf(json, sizeof(json), "\"to\":{\"user\":\"u%d\"},\"content\":1%s", user, more);
    accept(json);
}

/* The gateway answers all that has arrived since. */
static void answer_all(int g, int *answered, Herald__V1__ResultKind kind)
{
    int arrived = t.arrived[g];
    for (; *answered < arrived; (*answered)++)
        answer(g, &t.inbox[g][*answered], kind);
    settle_all();
}

static int setup_narrow(void **state)
{
    world_lane_messages = 2;
    world_lane_waiting = 100;
    world_records = 1000;
    return setup(state);
}

static int teardown_narrow(void **state)
{
    world_lane_messages = world_lane_waiting = world_records = 0;
    return teardown(state);
}

/* What came after m<first>, by priority: who overtook whom. */
static void test_high_overtakes_low_in_a_lane_that_waits(void **state)
{
    int answered = 0, last[3] = {-1, -1, -1}, low_among_first = 0;
    (void)state;
    connect_user(1, 0);
    push(1, ",\"class\":\"volatile\""); /* the route is known from here on */
    settle_all();
    answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    for (int i = 0; i < 2; i++) /* fill the lane */
        push(1, ",\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.arrived[0], 3);
    for (int i = 0; i < 60; i++) /* m3, m4 ... m62 */
        push(1, i < 20   ? ",\"class\":\"volatile\",\"priority\":\"low\""
                : i < 40 ? ",\"class\":\"volatile\""
                         : ",\"class\":\"volatile\",\"priority\":\"high\"");
    settle_all();
    assert_int_equal(t.arrived[0], 3); /* nothing goes beyond the bound */
    assert_int_equal(lanes_waiting(dispatch_lanes(t.d)), 60);
    while (t.arrived[0] < 63) {
        int before = t.arrived[0];
        answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
        assert_true(t.arrived[0] > before);
        assert_true(t.arrived[0] - before <= 2);
    }
    for (int i = 3; i < 63; i++) {
        int number = (int)strtol(t.inbox[0][i].id + 1, NULL, 10), class = (number - 3) / 20;
        assert_true(number > last[class]); /* order within each */
        last[class] = number;
        low_among_first += class == 0 && i < 3 + 25;
    }
    assert_string_equal(t.inbox[0][3].id, "m43"); /* the first high one */
    assert_in_range(low_among_first, 1, 3);       /* slow, not starved */
    answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    for (int i = 0; i < t.record_count; i++)
        assert_int_equal(t.outcomes[i], 1);
}

/* What is high does not stand behind a normal one, nor is a normal one taken for repeated because a newer high one was
 * in the mailbox first. */
static void test_each_priority_has_a_flow_of_its_own(void **state)
{
    static const char *const boxed[] = {"m1", "m3", "m0", "m2"};
    (void)state;
    connect_user(1, 0);
    push(1, "");
    settle_all();
    push(1, ",\"priority\":\"high\"");
    push(1, "");
    push(1, ",\"priority\":\"high\"");
    settle_all();
    assert_int_equal(t.arrived[0], 4);
    disconnect_user(1);
    fake_deliver_invalidations();
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_CLOSED);
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_CLOSED);
    settle_all();
    assert_int_equal(fake_users[1].box_count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(fake_users[1].box[i], boxed[i]);
}

static void test_lane_with_waiting_ones_dies(void **state)
{
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 6; i++)
        push(1, i % 2 ? ",\"class\":\"volatile\"" : "");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    disconnect_user(1);
    lanes_gone(dispatch_lanes(t.d), "gw0");
    settle_all();
    assert_int_equal(lanes_waiting(dispatch_lanes(t.d)), 0);
    assert_int_equal(fake_users[1].box_count, 3);
    assert_string_equal(fake_users[1].box[0], "m0");
    assert_string_equal(fake_users[1].box[2], "m4");
    for (int i = 0; i < t.record_count; i++)
        assert_int_equal(t.outcomes[i], 1);
}

/* Nobody answers: what waits has the same deadline. */
static void test_waiting_is_bounded_by_time_and_count(void **state)
{
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 110; i++) {
        push(1, ",\"class\":\"volatile\"");
        settle_all();
    }
    assert_int_equal(t.arrived[0], 2);
    for (int i = 0; i < 110; i++)
        assert_int_equal(t.outcomes[i], i >= 102);
    assert_string_equal(t.last_reason, "lane_full");
    loop_fake_advance(t.loop, 10000);
    settle_all();
    for (int i = 0; i < 110; i++)
        assert_int_equal(t.outcomes[i], 1);
    assert_int_equal(lanes_waiting(dispatch_lanes(t.d)), 0);
}

/* Its partition is taken away while it waits: its bytes are not touched any more. */
static void test_abandoned_while_waiting(void **state)
{
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 5; i++)
        push(1, "");
    settle_all();
    assert_int_equal(lanes_waiting(dispatch_lanes(t.d)), 3);
    t.records[3]->is_orphan = true;
    dispatch_abandoned(t.d, t.records[3]);
    assert_int_equal(lanes_waiting(dispatch_lanes(t.d)), 2);
    int answered = 0;
    answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_ACKED);
    answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_ACKED);
    answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_ACKED);
    assert_int_equal(t.arrived[0], 4);
    loop_fake_advance(t.loop, ACK_WAIT + 1000);
    settle_all();
    assert_int_equal(t.outcomes[3], 0);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0);
}

/* Held in its flow, because nobody can be asked where the user is. */
static void test_collapse_in_the_flow(void **state)
{
    (void)state;
    set_redis(false);
    push(1, ",\"collapse\":\"k\"");
    push(1, "");
    push(1, ",\"collapse\":\"l\"");
    push(1, ",\"collapse\":\"k\",\"priority\":\"high\""); /* another flow */
    push(2, ",\"collapse\":\"k\"");                       /* another user */
    push(1, ",\"collapse\":\"k\"");
    push(1, ",\"collapse\":\"k\"");
    assert_int_equal(t.outcomes[0] + t.outcomes[5], 2);
    assert_int_equal(t.kinds[0], OUTCOME_DROPPED);
    assert_int_equal(t.kinds[5], OUTCOME_DROPPED);
    assert_string_equal(t.last_reason, "collapsed");
    connect_user(1, 0);
    set_redis(true);
    loop_fake_advance(t.loop, 1000);
    settle_all();
    assert_int_equal(t.arrived[0], 4);
    const char *const order[] = {"m1", "m2", "m6"}; /* of normal ones: the newest k at the end */
    for (int i = 0, k = 0; i < 4; i++)
        if (strcmp(t.inbox[0][i].id, "m3") != 0)
            assert_string_equal(t.inbox[0][i].id, order[k++]);
    push(1, ",\"collapse\":\"k\""); /* the older one is out: it is not recalled */
    settle_all();
    assert_int_equal(t.arrived[0], 5);
    assert_int_equal(t.outcomes[6], 0);
}

static void test_collapse_in_the_lane(void **state)
{
    int answered = 0;
    (void)state;
    connect_user(1, 0);
    push(1, "");
    push(1, "");
    for (int i = 0; i < 5; i++) /* m2 ... m6 */
        push(1, ",\"collapse\":\"k\"");
    settle_all();
    for (int i = 2; i < 6; i++)
        assert_int_equal(t.kinds[i], OUTCOME_DROPPED);
    answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_ACKED);
    answer_all(0, &answered, HERALD__V1__RESULT_KIND__RESULT_ACKED);
    assert_int_equal(t.arrived[0], 3);
    assert_string_equal(t.inbox[0][2].id, "m6");
    for (int i = 0; i < 7; i++)
        assert_int_equal(t.outcomes[i], 1);
}

/* The gateway collapsed it in its own queue: it is finished, and what is behind it goes on. */
static void test_collapsed_at_the_gateway(void **state)
{
    (void)state;
    connect_user(1, 0);
    push(1, ",\"collapse\":\"k\"");
    settle_all();
    push(1, ",\"collapse\":\"k\"");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    answer_with(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_REFUSED, "collapsed");
    settle_all();
    assert_int_equal(t.kinds[0], OUTCOME_DROPPED);
    assert_string_equal(t.last_reason, "collapsed");
    assert_int_equal(fake_users[1].box_count, 0);
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    assert_int_equal(t.kinds[1], OUTCOME_ACKED);
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define NARROW(fn) cmocka_unit_test_setup_teardown(fn, setup_narrow, teardown_narrow)
#define WIDE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        NARROW(test_high_overtakes_low_in_a_lane_that_waits),
        WIDE(test_each_priority_has_a_flow_of_its_own),
        NARROW(test_lane_with_waiting_ones_dies),
        NARROW(test_waiting_is_bounded_by_time_and_count),
        NARROW(test_abandoned_while_waiting),
        WIDE(test_collapse_in_the_flow),
        NARROW(test_collapse_in_the_lane),
        WIDE(test_collapsed_at_the_gateway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
