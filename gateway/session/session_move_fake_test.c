/* A session that is at rest takes another place, and goes on there. */
#include "gateway/session/session_fake_world.h"

#include "common/slabs.h"

static struct conn *open_live(void)
{
    struct conn *c = open_conn();
    come_all();
    assert_true(is_live(c));
    return c;
}

/* To another place, if it can go now. */
static bool move(const struct conn *c)
{
    struct session *old = c->owner, *to = slab_get(slab_of(old));
    memcpy(to, old, sizeof(*old) + old->device_len + 1);
    bool is_moved = session_move(t.sessions, old, to);
    slabs_put(is_moved ? old : to);
    assert_ptr_equal(c->owner, is_moved ? to : old);
    return is_moved;
}

static void test_is_found_where_it_is_moved_to(void **state)
{
    (void)state;
    struct conn *c = open_live();
    assert_int_equal(deliver_in("r0", 7, 0, 0), 1);
    assert_true(move(c));
    assert_int_equal(deliver_in("r1", 7, 1, 0), 1); /* what it has taken moved with it */
    assert_true(move(c));
    ack(c, 2);
    assert_int_equal(t.results[HERALD__V1__RESULT_KIND__RESULT_ACKED], 2);
    assert_string_equal(seen(c), "r0 r1");
    end_conn(c);
    assert_int_equal(t.sessions->count, 0);
}

static void test_its_route_is_refreshed(void **state)
{
    (void)state;
    struct conn *c = open_live();
    uint64_t before = metric_get_labelled(METRIC_ROUTES, ROUTE_EVENT_REFRESHED);
    assert_true(move(c));
    advance(ROUTE_TTL_MS / 3 + 500);
    assert_int_equal(metric_get_labelled(METRIC_ROUTES, ROUTE_EVENT_REFRESHED), before + 1);
}

static void test_stays_while_something_is_under_way(void **state)
{
    (void)state;
    struct conn *c = open_conn();
    assert_false(move(c)); /* it registers */
    come_all();
    assert_true(move(c));
    poke("");
    assert_false(move(c)); /* it reads its mailbox */
    come_all();
    assert_true(move(c));
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_is_found_where_it_is_moved_to, setup, teardown),
        cmocka_unit_test_setup_teardown(test_its_route_is_refreshed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stays_while_something_is_under_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
