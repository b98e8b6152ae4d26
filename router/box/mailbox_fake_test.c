/*
 * The way into the mailbox, in a router on the fake loop: mailboxes that are full, owners that are refused, and records
 * that become orphans on the way.
 */
#include "router/router_fake_world.h"

static int setup_small_box(void **state, int policy)
{
    world_box_max = 2;
    world_box_policy = policy;
    int failed = setup(state);
    world_box_max = world_box_policy = 0;
    return failed;
}

static int setup_drop_oldest(void **state)
{
    return setup_small_box(state, MAILBOX_DROP_OLDEST);
}

static int setup_drop_newest(void **state)
{
    return setup_small_box(state, MAILBOX_DROP_NEWEST);
}

static void test_full_mailbox_drops_the_oldest(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
    assert_string_equal(fake_users[1].box[0], "m1");
    assert_int_equal(t.laters, 1); /* besides its first one */
    assert_string_equal(t.later_id, "m0");
    assert_string_equal(t.later_user, "u1");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.outcomes[i], 1);
        assert_int_equal(t.kinds[i], OUTCOME_STORED);
    }
}

static void test_full_mailbox_refuses_the_newest(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
    assert_string_equal(fake_users[1].box[1], "m1");
    assert_int_equal(t.laters, 0);
    assert_int_equal(t.kinds[1], OUTCOME_STORED);
    assert_int_equal(t.kinds[2], OUTCOME_DROPPED);
    assert_string_equal(t.last_reason, "mailbox_full");
}

/* A newer owner of the partition has been at the mailbox: nothing of the older one is taken, or told. */
static void test_mailbox_refuses_an_old_owner(void **state)
{
    (void)state;
    fake_users[1].epoch = 5;
    struct record *record = accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    loop_fake_advance(t.loop, 1000);
    settle_all();
    assert_int_equal(fake_users[1].box_count, 0);
    assert_int_equal(t.outcomes[0], 0);
    record->is_orphan = true; /* as it will learn before long */
    dispatch_abandoned(t.d, record);
    loop_fake_advance(t.loop, 1000);
    settle_all();
    assert_int_equal(t.outcomes[0], 0);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0);
}

static void orphan(struct record *record)
{
    record->is_orphan = true;
    dispatch_abandoned(t.d, record);
}

/* In a run that waits for Redis, and in one that Redis has been given; what stands behind them goes on. */
static void test_orphans_on_their_way_to_the_mailbox(void **state)
{
    (void)state;
    struct record *records[4];
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* the route is known then */
    settle_all();
    for (int i = 0; i < 4; i++)
        records[i] = accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    loop_fake_end_turn(t.loop);
    fake_deliver_replies(); /* the route: the run is on its way */
    orphan(records[0]);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->abandoned, 0);
    set_redis(false); /* no answer */
    orphan(records[1]);
    orphan(records[0]);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->abandoned, 2);
    set_redis(true);
    loop_fake_advance(t.loop, 1000);
    settle_all();
    assert_int_equal(t.outcomes[1] + t.outcomes[2], 0);
    assert_int_equal(t.outcomes[3] + t.outcomes[4], 2);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0);
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_mailbox_drops_the_oldest, setup_drop_oldest, teardown),
        cmocka_unit_test_setup_teardown(test_full_mailbox_refuses_the_newest, setup_drop_newest, teardown),
        TEST(test_mailbox_refuses_an_old_owner),
        TEST(test_orphans_on_their_way_to_the_mailbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
