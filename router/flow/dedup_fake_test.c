/*
 * De-duplication by producer-given id, in a router on the fake loop: what is a duplicate, what is a redelivery, what
 * waits for a claim and what must not wait.
 */
#include "router/router_fake_world.h"

static int setup_deliver(void **state)
{
    world_dedup = (struct dedup_settings){.window_ms = 3600000, .when_away = DEDUP_DELIVER};
    return setup(state);
}

static int setup_wait(void **state)
{
    world_dedup = (struct dedup_settings){.window_ms = 3600000, .when_away = DEDUP_WAIT};
    return setup(state);
}

static int setup_volatile(void **state)
{
    world_dedup = (struct dedup_settings){.window_ms = 3600000, .has_volatile = true};
    return setup(state);
}

static void answer_acked(int g, int i)
{
    answer(g, &t.inbox[g][i], HERALD__V1__RESULT_KIND__RESULT_ACKED);
}

static void test_second_position_is_a_duplicate(void **state)
{
    (void)state;
    connect_user(1, 0);
    accept_as(7, "\"to\":{\"user\":\"u1\"},\"content\":1");
    accept_as(7, "\"to\":{\"user\":\"u1\"},\"content\":1"); /* while the first is still under way */
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_int_equal(t.outcomes[0], 0);
    assert_int_equal(t.outcomes[1], 1);
    assert_int_equal(t.last_kind, OUTCOME_DUPLICATE);
    assert_string_equal(t.last_reason, "herald.push/0/0");
    answer_acked(0, 0);
    accept_as(7, "\"to\":{\"user\":\"u1\"},\"content\":1"); /* and after it */
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_int_equal(t.kinds[2], OUTCOME_DUPLICATE);
    accept_as(7, "\"to\":{\"user\":\"u2\"},\"content\":1"); /* another user */
    settle_all();
    assert_int_equal(t.kinds[3], OUTCOME_STORED);
}

static void test_same_position_is_a_redelivery(void **state)
{
    (void)state;
    connect_user(1, 0);
    struct record *first = accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    first->is_orphan = true;
    dispatch_abandoned(t.d, first);
    accept_at(0, "\"id\":\"m0\",\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    answer_acked(0, 1);
    assert_int_equal(t.kinds[1], OUTCOME_ACKED);
    assert_int_equal(t.outcomes[1], 1);
}

/* Only what stands behind a claim in the same flow waits for it, and in order. */
static void test_order_behind_a_claim(void **state)
{
    (void)state;
    connect_user(1, 0);
    connect_user(2, 0);
    settle_all();
    accept_at(0, "\"to\":{\"user\":\"u1\"},\"content\":1"); /* no ids: to have both in the cache */
    accept_at(1, "\"to\":{\"user\":\"u2\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    accept_at(2, "\"id\":\"a\",\"to\":{\"user\":\"u1\"},\"content\":1");
    accept_at(3, "\"to\":{\"user\":\"u1\"},\"content\":1");
    accept_at(4, "\"to\":{\"user\":\"u2\"},\"content\":1");
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.arrived[0], 3); /* without an id: no round trip */
    assert_string_equal(t.inbox[0][2].id, "herald.push/0/4");
    settle_all();
    assert_int_equal(t.arrived[0], 5);
    assert_string_equal(t.inbox[0][3].id, "a");
    assert_string_equal(t.inbox[0][4].id, "herald.push/0/3");
}

static void test_flow_breaks_during_a_claim(void **state)
{
    (void)state;
    connect_user(1, 0);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");       /* claiming */
    accept_as(0, "\"to\":{\"user\":\"u1\"},\"content\":1"); /* a duplicate, not known yet */
    accept_at(3, "\"to\":{\"user\":\"u1\"},\"content\":1");
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_CLOSED);
    assert_int_equal(fake_users[1].box_count, 1);
    settle_all();
    assert_int_equal(fake_users[1].box_count, 3);
    assert_string_equal(fake_users[1].box[0], "m0");
    assert_string_equal(fake_users[1].box[1], "m1");
    assert_string_equal(fake_users[1].box[2], "herald.push/0/3");
    assert_int_equal(t.kinds[2], OUTCOME_DUPLICATE);
    for (int i = 0; i < t.record_count; i++)
        assert_int_equal(t.outcomes[i], 1);
}

static void test_each_target_of_a_list_claims_alone(void **state)
{
    (void)state;
    connect_user(1, 0);
    connect_user(2, 0);
    accept_as(5, "\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    accept_as(5, "\"to\":{\"users\":[\"u1\",\"u2\"]},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    assert_string_equal(t.inbox[0][1].user, "u2");
    assert_int_equal(t.outcomes[1], 1);
    assert_int_equal(t.last_kind, OUTCOME_DUPLICATE);
}

static void test_volatile_is_not_claimed(void **state)
{
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 2; i++)
        accept_as(1, "\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    assert_int_equal(fake_claim_count, 0);
}

static void test_volatile_is_claimed_where_asked(void **state)
{
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 2; i++)
        accept_as(1, "\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_int_equal(t.kinds[1], OUTCOME_DUPLICATE);
}

static void cache_user_1(void)
{
    connect_user(1, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    answer_acked(0, 0);
}

static void test_away_goes_on_unclaimed(void **state)
{
    (void)state;
    cache_user_1();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* asked, never answered */
    set_redis(false);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 3);
    assert_string_equal(t.inbox[0][1].id, "m1");
    assert_string_equal(t.inbox[0][2].id, "m2");
}

static void test_away_waits(void **state)
{
    (void)state;
    cache_user_1();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* asked, never answered: it may have been claimed */
    set_redis(false);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"ttlMs\":1500");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    loop_fake_advance(t.loop, 3000);
    assert_int_equal(t.kinds[2], OUTCOME_EXPIRED);
    assert_int_equal(t.outcomes[2], 1);
    set_redis(true);
    loop_fake_advance(t.loop, 1000);
    settle_all();
    settle_all();
    assert_int_equal(t.arrived[0], 3);
    assert_string_equal(t.inbox[0][1].id, "m1");
    assert_string_equal(t.inbox[0][2].id, "m3");
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn, setup_fn) cmocka_unit_test_setup_teardown(fn, setup_fn, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_second_position_is_a_duplicate, setup_deliver),
        TEST(test_same_position_is_a_redelivery, setup_deliver),
        TEST(test_order_behind_a_claim, setup_deliver),
        TEST(test_flow_breaks_during_a_claim, setup_deliver),
        TEST(test_each_target_of_a_list_claims_alone, setup_deliver),
        TEST(test_volatile_is_not_claimed, setup_deliver),
        TEST(test_volatile_is_claimed_where_asked, setup_volatile),
        TEST(test_away_goes_on_unclaimed, setup_deliver),
        TEST(test_away_waits, setup_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
