/* No more registrations under way than allowed, and all get their turn. */
#include "gateway/session/session_fake_world.h"

enum { MAX = 2, MANY = 8 };

static struct conn *opened[MANY];

static int setup_bounded(void **state)
{
    world_registrations = MAX;
    return setup(state);
}

static void open_many(void)
{
    for (int i = 0; i < MANY; i++) {
        char device[16];
        snprintf(device, sizeof(device), "d%d", i);
        opened[i] = open_device(device);
    }
}

static int answered(void)
{
    int count = 0;
    for (int i = 0; i < MANY; i++)
        count += opened[i]->auths;
    return count;
}

static void test_the_bound_is_kept_and_all_come_in_order(void **state)
{
    (void)state;
    uint64_t deferred = metric_get(METRIC_REGISTRATIONS_DEFERRED);
    open_many();
    assert_int_equal(fake.registers, MAX);
    assert_int_equal(metric_get(METRIC_REGISTRATIONS), MAX);
    assert_int_equal(metric_get(METRIC_REGISTRATIONS_WAITING), MANY - MAX);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(opened[i]->auths, 0);
        assert_true(fake_come(fake.commands)); /* one answer, and the next one starts */
        assert_int_equal(opened[i]->auths, 1);
        assert_int_equal(fake.registers, i + 1 + MAX < MANY ? i + 1 + MAX : MANY);
        assert_true(metric_get(METRIC_REGISTRATIONS) <= MAX);
    }
    assert_int_equal(metric_get(METRIC_REGISTRATIONS), 0);
    assert_int_equal(metric_get(METRIC_REGISTRATIONS_WAITING), 0);
    assert_int_equal(metric_get(METRIC_REGISTRATIONS_DEFERRED) - deferred, MANY - MAX);
}

static void test_who_leaves_while_waiting_is_not_registered(void **state)
{
    (void)state;
    open_many();
    for (int i = MAX; i < MANY; i++)
        end_conn(opened[i]);
    come_all();
    assert_int_equal(fake.registers, MAX);
    assert_int_equal(answered(), MAX);
    assert_int_equal(metric_get(METRIC_REGISTRATIONS_WAITING), 0);
}

/* Redis goes: nobody waits for it; when it is back the bound holds again. */
static void test_redis_goes_and_comes(void **state)
{
    (void)state;
    open_many();
    fake_set_up(false);
    loop_fake_end_turn(t.loop);
    assert_int_equal(answered(), MANY);
    assert_int_equal(metric_get(METRIC_REGISTRATIONS), 0);
    assert_int_equal(metric_get(METRIC_REGISTRATIONS_WAITING), 0);
    assert_int_equal(fake.registers, MAX);
    fake_set_up(true);
    for (int ms = 0; ms < SPREAD_MS + 1000; ms += 100) { /* no answer comes meanwhile */
        loop_fake_advance(t.loop, 100);
        fake.clock_ms += 100;
        assert_true(metric_get(METRIC_REGISTRATIONS) <= MAX);
    }
    assert_int_equal(fake.registers, 2 * MAX);
    come_all();
    assert_int_equal(fake.registers, MAX + MANY);
    assert_int_equal(answered(), MANY); /* told once */
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_bounded, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_bound_is_kept_and_all_come_in_order),
        TEST(test_who_leaves_while_waiting_is_not_registered),
        TEST(test_redis_goes_and_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
