/* "devices":"each": one target becomes one for each known device, and nothing overtakes it meanwhile. */
#include "router/router_fake_world.h"

static void know(int user, const char *first, const char *second)
{
    fake_users[user].known[0] = first;
    fake_users[user].known[1] = second;
}

static void test_one_for_each_known_device(void **state)
{
    (void)state;
    connect_user(1, 0); /* its device is called web */
    know(1, "tv", "web");
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_string_equal(t.inbox[0][0].device, "web");
    assert_int_equal(fake_device_boxes.count, 1);
    assert_string_equal(fake_device_boxes.items[0], "tv:m0");
    assert_int_equal(t.outcomes[0], 1); /* stored, for the tv */
    assert_string_equal(t.last_device, "tv");
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    assert_int_equal(t.outcomes[0], 2);
    assert_int_equal(t.last_kind, OUTCOME_ACKED);
    assert_int_equal(fake_users[1].box_count, 0);
}

static void test_a_device_that_is_only_online_is_one_too(void **state)
{
    (void)state;
    connect_user(1, 2);
    know(1, "tv", NULL); /* Redis was emptied: the route came back first */
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[2], 1);
    assert_string_equal(t.inbox[2][0].device, "web");
    assert_int_equal(fake_device_box("tv:"), 1);
}

static void test_nobody_known_is_the_users_mailbox(void **state)
{
    (void)state;
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 1);
    assert_int_equal(fake_device_boxes.count, 0);
    assert_int_equal(t.outcomes[0], 1);
    assert_int_equal(t.last_kind, OUTCOME_STORED);
}

static void test_volatile_each(void **state)
{
    (void)state;
    connect_user(1, 0);
    know(1, "tv", "web");
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    assert_int_equal(t.outcomes[0], 1);
    assert_string_equal(t.last_reason, "offline");
    assert_string_equal(t.last_device, "tv");
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    assert_int_equal(t.outcomes[0], 2);
}

/* The push for one device comes while the devices of the user are looked up. */
static void test_nothing_overtakes_the_look_up(void **state)
{
    (void)state;
    connect_user(1, 0);
    know(1, "tv", "web");
    accept("\"to\":{\"user\":\"u1\",\"device\":\"web\"},\"content\":1"); /* its route and box become known */
    settle_all();
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\",\"device\":\"web\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\",\"device\":\"tv\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 4);
    for (int i = 1; i < 4; i++) {
        char id[] = {'m', (char)('0' + i), '\0'};
        assert_string_equal(t.inbox[0][i].id, id);
    }
    assert_string_equal(fake_device_boxes.items[0], "tv:m1");
    assert_string_equal(fake_device_boxes.items[1], "tv:m3");
    assert_string_equal(fake_device_boxes.items[2], "tv:m4");
}

/* Where no device is known it is one for the user's mailbox, whose marks would hide what comes behind a newer one. */
static void test_nothing_for_the_user_overtakes_it(void **state)
{
    (void)state;
    connect_user(1, 0);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* its route is known, its devices are not */
    settle_all();
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
    disconnect_user(1);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    accept("\"to\":{\"users\":[\"u1\",\"u2\"]},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 3);
    assert_string_equal(fake_users[1].box[0], "m1");
    assert_string_equal(fake_users[1].box[1], "m2");
    assert_string_equal(fake_users[1].box[2], "m3");
}

/* The first of those that wait expires: the others go on. */
static void test_the_one_in_front_ends_early(void **state)
{
    (void)state;
    set_redis(false);
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1,\"ttlMs\":1000");
    accept("\"to\":{\"user\":\"u1\",\"device\":\"web\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\",\"device\":\"web\"},\"content\":1");
    loop_fake_advance(t.loop, 5000);
    settle_all();
    assert_int_equal(t.outcomes[0], 1);
    assert_int_equal(t.last_kind, OUTCOME_EXPIRED);
    know(1, "web", NULL);
    set_redis(true);
    loop_fake_advance(t.loop, 2000);
    settle_all();
    assert_int_equal(fake_device_boxes.count, 3);
    assert_string_equal(fake_device_boxes.items[0], "web:m1");
    assert_string_equal(fake_device_boxes.items[1], "web:m2");
    assert_string_equal(fake_device_boxes.items[2], "web:m3");
}

/* What waits at the end is ended without being sent. */
static void test_the_end(void **state)
{
    (void)state;
    set_redis(false);
    for (int i = 0; i < 3; i++) {
        accept("\"to\":{\"user\":\"u1\",\"devices\":\"each\"},\"content\":1");
        accept("\"to\":{\"user\":\"u1\",\"device\":\"web\"},\"content\":1");
    }
} /* teardown() looks at the balance */

int main(void)
{
    metric_setup(router_metrics, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_for_each_known_device, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_device_that_is_only_online_is_one_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_known_is_the_users_mailbox, setup, teardown),
        cmocka_unit_test_setup_teardown(test_volatile_each, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_overtakes_the_look_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_for_the_user_overtakes_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_one_in_front_ends_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
