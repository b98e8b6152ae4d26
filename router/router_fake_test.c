/*
 * The router from accepted records to outcomes, on the fake loop, with a Redis and gateways that the test plays: what
 * each step sends.
 */
#include "router/router_fake_world.h"

static void test_volatile_by_cached_route(void **state)
{
    (void)state;
    connect_user(1, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    uint64_t lookups = metric_get(METRIC_LOOKUPS);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.arrived[0], 2);
    assert_true(metric_get(METRIC_LOOKUPS) == lookups);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_WRITTEN); /* twice: ignored */
    assert_int_equal(t.outcomes[0] + t.outcomes[1], 2);
    assert_int_equal(t.last_kind, OUTCOME_WRITTEN);
}

static void test_volatile_offline_and_moved(void **state)
{
    (void)state;
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.last_kind, OUTCOME_DROPPED);
    assert_string_equal(t.last_reason, "offline");
    connect_user(1, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    fake_invalid.is_lossy = true; /* the router still believes in gw0 */
    connect_user(1, 1);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_NOT_HERE);
    settle_all();
    assert_int_equal(t.arrived[1], 1);
    answer(1, &t.inbox[1][0], HERALD__V1__RESULT_KIND__RESULT_NOT_HERE); /* once more, not for ever */
    assert_int_equal(t.last_kind, OUTCOME_DROPPED);
    assert_int_equal(t.outcomes[1], 1);
}

static void test_failure_spills_it_and_all_behind(void **state)
{
    struct fake_user *u = &fake_users[1];
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 4; i++)
        accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 4);
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_REFUSED);
    settle_all();
    assert_int_equal(u->box_count, 0); /* m0 is still out */
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(u->box_count, 4);
    assert_string_equal(u->box[0], "m1");
    assert_string_equal(u->box[1], "m2");
    assert_string_equal(u->box[3], "m4");
    assert_int_equal(t.last_kind, OUTCOME_STORED);
    assert_true(t.pokes[0] >= 1);
    assert_string_equal(t.poked, "u1");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* the box is known: behind the others, not live */
    settle_all();
    assert_int_equal(t.arrived[0], 4);
    assert_string_equal(u->box[4], "m5");
    answer(0, &t.inbox[0][2], HERALD__V1__RESULT_KIND__RESULT_ACKED); /* late: ignored */
    for (int i = 0; i < t.record_count; i++)
        assert_int_equal(t.outcomes[i], 1);
}

static void test_silence_is_a_failure(void **state)
{
    (void)state;
    connect_user(1, 0);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    loop_fake_advance(t.loop, ACK_WAIT - 100);
    settle_all();
    assert_int_equal(t.outcomes[0], 0);
    loop_fake_advance(t.loop, 200);
    settle_all();
    assert_int_equal(t.last_kind, OUTCOME_STORED);
    assert_string_equal(t.last_reason, "timeout");
    assert_int_equal(fake_users[1].box_count, 1);
}

static void test_list_is_one_delivery_an_instance(void **state)
{
    (void)state;
    connect_user(1, 0);
    connect_user(2, 0);
    connect_user(3, 1);
    for (int u = 1; u <= 3; u++) {
        char json[64];
        snprintf(json, sizeof(json), "\"to\":{\"user\":\"u%d\"},\"content\":1,\"class\":\"volatile\"", u);
        accept(json);
    }
    settle_all();
    int before[GATEWAYS] = {t.deliveries[0], t.deliveries[1]}, arrived = t.arrived[0];
    accept("\"to\":{\"users\":[\"u1\",\"u3\",\"u2\",\"u4\"]},\"content\":1");
    settle_all();
    assert_int_equal(t.deliveries[0] - before[0], 1);
    assert_int_equal(t.deliveries[1] - before[1], 1);
    assert_int_equal(t.arrived[0] - arrived, 2);
    assert_int_equal(t.outcomes[3], 1); /* u4: stored */
    assert_int_equal(fake_users[4].box_count, 1);
}

static void test_all(void **state)
{
    (void)state;
    accept("\"to\":{\"all\":true},\"content\":1");
    settle_all();
    for (int g = 0; g < GATEWAYS; g++) {
        assert_int_equal(t.outcomes[0], 0);
        answer(g, &t.inbox[g][0], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    }
    assert_int_equal(t.outcomes[0], 1);
    assert_int_equal(t.last_kind, OUTCOME_WRITTEN);
    assert_string_equal(t.last_reason, "sessions=12");
}

static void test_dead_instance(void **state)
{
    (void)state;
    connect_user(1, 0);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    connect_user(1, 1);
    lanes_gone(dispatch_lanes(t.d), "gw0");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 1);
    assert_int_equal(t.arrived[1], 1); /* the volatile one, after a second look */
    assert_string_equal(t.inbox[1][0].id, "m1");
    assert_int_equal(t.pokes[1], 1);
    join(0); /* another life: the old route is not valid any more */
    disconnect_user(1);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
}

static void test_poke_waits_for_an_instance_to_be_known(void **state)
{
    (void)state;
    lanes_gone(dispatch_lanes(t.d), "gw1");
    t.generation[1]++;
    connect_user(1, 1); /* the user is on a gateway that the membership view does not have yet */
    t.generation[1]--;
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 1);
    assert_int_equal(t.pokes[1], 0);
    join(1);
    settle_all();
    assert_int_equal(t.pokes[1], 1);
}

static void test_redis_away(void **state)
{
    (void)state;
    connect_user(1, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    set_redis(false);
    loop_fake_advance(t.loop, 400);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* cached: goes on */
    accept("\"to\":{\"user\":\"u2\"},\"content\":1");
    accept("\"to\":{\"user\":\"u2\"},\"content\":1,\"ttlMs\":1000");
    accept("\"to\":{\"user\":\"u3\"},\"content\":1,\"ttlMs\":1000,\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_CLOSED);
    loop_fake_advance(t.loop, 2500);
    settle_all();
    assert_int_equal(t.outcomes[0], 0); /* waits */
    assert_int_equal(t.outcomes[4], 1); /* has expired meanwhile */
    set_redis(true);
    loop_fake_advance(t.loop, 1000);
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
    assert_string_equal(fake_users[1].box[0], "m0");
    assert_string_equal(fake_users[1].box[1], "m1");
    assert_int_equal(fake_users[2].box_count, 1);
    for (int i = 0; i < t.record_count; i++)
        assert_int_equal(t.outcomes[i], 1);
    assert_true(resolver_is_caching(dispatch_resolver(t.d)));
}

static void test_orphans_have_no_outcome(void **state)
{
    (void)state;
    connect_user(1, 0);
    struct record *out = accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    struct record *waiting = accept("\"to\":{\"user\":\"u2\"},\"content\":1");
    out->is_orphan = waiting->is_orphan = true;
    dispatch_abandoned(t.d, out);
    dispatch_abandoned(t.d, waiting);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0); /* at once */
    settle_all();
    loop_fake_advance(t.loop, ACK_WAIT + 2000);
    settle_all();
    assert_int_equal(t.outcomes[0] + t.outcomes[1], 0);
    assert_int_equal(fake_users[1].box_count + fake_users[2].box_count, 0);
    assert_true(ledger_counts(dispatch_ledger(t.d))->abandoned == 2);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0);
}

static void test_window_and_lane_are_bounded(void **state)
{
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 120; i++)
        accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    assert_int_equal(t.fulls, 1);
    settle_all();
    assert_int_equal(t.arrived[0], 50); /* lane.messages; the others are dropped */
    assert_string_equal(t.last_reason, "lane_full");
    assert_int_equal(t.rooms, 1);
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_volatile_by_cached_route),
        TEST(test_volatile_offline_and_moved),
        TEST(test_failure_spills_it_and_all_behind),
        TEST(test_silence_is_a_failure),
        TEST(test_list_is_one_delivery_an_instance),
        TEST(test_all),
        TEST(test_dead_instance),
        TEST(test_poke_waits_for_an_instance_to_be_known),
        TEST(test_redis_away),
        TEST(test_orphans_have_no_outcome),
        TEST(test_window_and_lane_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
