/* Look-ups that are overtaken, on the fake loop: an answer older than a change of what was asked goes to nobody. */
#include "router/router_fake_world.h"

/* Redis was asked before the change, its answer comes after it: to nobody. */
static void test_overtaken_lookup_is_asked_again(void **state)
{
    (void)state;
    connect_user(1, 0);
    fake_invalid.count = 0; /* before our look-up: nothing to tell */
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    loop_fake_end_turn(t.loop); /* asked: gw0 */
    connect_user(1, 1);
    fake_deliver_invalidations();
    fake_deliver_replies();
    assert_int_equal(resolver_cached(dispatch_resolver(t.d)), 0);
    settle_all();
    assert_int_equal(t.arrived[0], 0);
    assert_int_equal(t.arrived[1], 2);
    assert_int_equal(resolver_cached(dispatch_resolver(t.d)), 1);
}

/* The same by what this router did itself, or learnt: no invalidation is needed. */
static void test_lookup_is_asked_again_after_forgetting(void **state)
{
    (void)state;
    fake_invalid.is_lossy = true;
    connect_user(1, 0);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    loop_fake_end_turn(t.loop);
    connect_user(1, 1);
    resolver_forget(dispatch_resolver(t.d), (struct push_str){"u1", 2});
    settle_all();
    assert_int_equal(t.arrived[0], 0);
    assert_int_equal(t.arrived[1], 1);
}

/* Changes without end: volatile goes out by the last answer, durable to the mailbox, where it is in order anyway. */
static void test_lookup_overtaken_for_ever_ends(void **state)
{
    (void)state;
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    uint64_t overtaken = metric_get(METRIC_LOOKUPS_OVERTAKEN);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(t.arrived[0], 0);
        loop_fake_end_turn(t.loop);
        connect_user(1, 0);
        fake_deliver_invalidations();
        fake_deliver_replies();
    }
    assert_int_equal(metric_get(METRIC_LOOKUPS_OVERTAKEN) - overtaken, 7);
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_string_equal(t.inbox[0][0].id, "m1");
    assert_int_equal(fake_users[1].box_count, 1);
    assert_string_equal(fake_users[1].box[0], "m0");
}

/* What the former owner of a partition stored, and this router was not told of. */
static void store_untold(int user, const char *id)
{
    struct fake_user *u = &fake_users[user];
    snprintf(u->box[u->box_count++], FAKE_NAME, "%s", id);
}

static void test_partition_begins_without_known_routes(void **state)
{
    (void)state;
    connect_user(1, 0);
    connect_user(2, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    accept("\"to\":{\"user\":\"u2\"},\"content\":1");
    loop_fake_end_turn(t.loop); /* u1: known, without a mailbox; u2: the same is on its way */
    fake_invalid.is_lossy = true;
    store_untold(1, "former");
    store_untold(2, "former");
    resolver_forget_all(dispatch_resolver(t.d));
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_string_equal(fake_users[1].box[1], "m2");
    assert_string_equal(fake_users[2].box[1], "m1");
}

/* Rule 2: no invalidation comes, and the poke is lost, too. */
static void test_own_append_is_known(void **state)
{
    (void)state;
    connect_user(1, 0);
    settle_all();
    fake_invalid.is_lossy = true;
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    answer_with(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_REFUSED, "window");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* while the append is under way */
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* and after it */
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_int_equal(fake_users[1].box_count, 3);
    assert_string_equal(fake_users[1].box[2], "m2");
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_overtaken_lookup_is_asked_again),
        TEST(test_lookup_is_asked_again_after_forgetting),
        TEST(test_lookup_overtaken_for_ever_ends),
        TEST(test_partition_begins_without_known_routes),
        TEST(test_own_append_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
