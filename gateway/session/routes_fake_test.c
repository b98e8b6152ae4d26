/* Routes of sessions: registered, refreshed, replaced, made up for, and when they count from. */
#include "gateway/session/session_fake_world.h"

static struct conn *open_registered(void)
{
    struct conn *c = open_conn();
    come_all();
    assert_int_equal(c->auths, 1);
    return c;
}

/* The 101 and the auth_response leave together: held while Redis is asked, and not a moment longer. */
static void test_nothing_is_written_before_the_answer(void **state)
{
    (void)state;
    struct conn *c = open_conn();
    assert_true(c->is_held);
    assert_int_equal(c->auths, 0);
    come_all();
    assert_false(c->is_held);
    assert_int_equal(c->auths, 1);
    fake_set_up(false);
    c = open_conn();
    come_all();
    assert_false(c->is_held);
    assert_int_equal(c->auths, 1);
}

static void test_refreshed_before_a_third_of_its_life(void **state)
{
    (void)state;
    (void)open_registered();
    advance(ROUTE_TTL_MS / 3 - ROUTE_TTL_MS / 15 - 1000);
    assert_int_equal(fake.refreshes, 0);
    advance(ROUTE_TTL_MS / 15 + 2000);
    assert_int_equal(fake.refreshes, 1);
    advance(ROUTE_TTL_MS / 3 + 1000);
    assert_in_range(fake.refreshes, 2, 3);
    assert_int_equal(fake.registers, 1);
}

/* A long life is not prolonged at each look: that would have all routers ask again. */
static void test_looked_at_more_often_than_prolonged(void **state)
{
    (void)state;
    t.sessions->settings.route_ttl_ms = 900000;
    (void)open_registered();
    for (int i = 1; i <= 9; i++) {
        advance(100000);
        assert_in_range(fake.refreshes, i, i + i / 4 + 1);
        assert_int_equal(fake.looks, fake.refreshes - fake.refreshes / 3);
    }
}

/* The kick was lost: the refresh finds the newer session. */
static void test_replaced_elsewhere_is_found_by_the_refresh(void **state)
{
    (void)state;
    struct conn *c = open_registered();
    snprintf(fake.owner, sizeof(fake.owner), "gw2-0 7 1");
    fake.since_ms = fake.clock_ms + 1;
    advance(ROUTE_TTL_MS / 3 + 1000);
    assert_int_equal(c->state, CONN_CLOSING);
    assert_int_equal(c->reason, CLOSE_REPLACED);
    come_all();
    assert_int_equal(fake.removes, 0); /* the route is another's */
}

static void kick(const char *payload)
{
    fake.kicks->on_message(fake.kicks->message_arg, "herald:kick:gw1-0", payload, strlen(payload));
    loop_fake_end_turn(t.loop);
}

static void test_kick_is_for_one_connection_of_one_life(void **state)
{
    (void)state;
    struct conn *c = open_registered();
    kick("u\nd\n2 100");
    kick("u\nd\n1 99");
    kick("u\nother\n1 100");
    kick("v\nd\n1 100");
    kick("u\nd");
    kick("");
    kick("u\nd\n1 1000000000000000000000000000000000000000000000000000000000000000000000");
    assert_int_equal(c->state, CONN_OPEN);
    kick("u\nd\n1 100");
    assert_int_equal(c->reason, CLOSE_REPLACED);
}

static void test_newer_connection_of_the_device_here(void **state)
{
    (void)state;
    struct conn *first = open_registered(), *second = open_registered();
    assert_int_equal(first->reason, CLOSE_REPLACED);
    assert_int_equal(second->state, CONN_OPEN);
    assert_string_equal(fake.owner, "gw1-0 100 2");
    assert_int_equal(fake.removes, 0);
}

/* It ends while its registration is on its way: the route is taken away behind it. */
static void test_ends_while_it_registers(void **state)
{
    (void)state;
    struct conn *c = open_conn();
    end_conn(c);
    come_all();
    advance(500);
    assert_int_equal(c->auths, 0);
    assert_int_equal(fake.registers, 1);
    assert_int_equal(fake.removes, 1);
}

/* Redis is away: in at once, and registered when it is back, as of when it began. */
static void test_made_up_for_when_redis_is_back(void **state)
{
    (void)state;
    fake_set_up(false);
    struct conn *c = open_registered();
    assert_int_equal(fake.registers, 0);
    assert_false(is_live(c)); /* who knows what is in the mailbox */
    advance(10000);
    fake_append(USER_BOX, "a", 0);
    long long began_ms = fake.clock_ms - 10000;
    fake_set_up(true);
    advance(SPREAD_MS + 500);
    assert_int_equal(fake.registers, 1);
    assert_true(fake.since_ms >= began_ms - 300 && fake.since_ms <= began_ms);
    assert_string_equal(seen(c), "a");
    assert_int_equal(c->auths, 1);
}

static void test_all_register_again_with_the_time_they_had(void **state)
{
    (void)state;
    (void)open_registered();
    long long since_ms = fake.since_ms;
    advance(20000);
    fake_set_up(false);
    fake.owner[0] = '\0'; /* it comes back empty */
    fake_set_up(true);
    advance(SPREAD_MS + 500);
    assert_int_equal(fake.registers, 2);
    assert_int_equal(strtoll(fake.asked_since, NULL, 10), since_ms);
    assert_int_equal(fake.since_ms, since_ms);
}

/* --- the lease had vanished --- */

static void vanish(void)
{
    sessions_lease_vanished(t.sessions);
    come_all();
}

/* Only this process stood still: nothing is written, and what came to the mailbox meanwhile is found. */
static void test_routes_that_are_there_are_not_written_again(void **state)
{
    (void)state;
    struct conn *c = open_registered();
    advance(30000);
    fake_append(USER_BOX, "a", 0);
    vanish();
    assert_int_equal(fake.route_reads, 1);
    advance(3 * SPREAD_MS + 500);
    assert_int_equal(fake.registers, 1);
    assert_string_equal(seen(c), "a");
    assert_int_equal(c->state, CONN_OPEN);
}

static void test_all_register_again_when_redis_was_emptied(void **state)
{
    (void)state;
    (void)open_registered();
    long long since_ms = fake.since_ms;
    advance(30000);
    fake.owner[0] = '\0';
    vanish();
    advance(SPREAD_MS + 500);
    assert_int_equal(fake.registers, 2);
    assert_int_equal(fake.since_ms, since_ms);
    assert_string_equal(fake.owner, "gw1-0 100 1");
}

/* A route that may have been written after Redis was emptied says nothing. */
static void test_a_young_route_is_no_proof(void **state)
{
    (void)state;
    (void)open_registered();
    advance(5000);
    vanish();
    assert_int_equal(fake.route_reads, 0);
    advance(SPREAD_MS + 500);
    assert_int_equal(fake.registers, 2);
}

/* Its session ends, or Redis goes, before it answers. */
static void test_vanished_without_an_answer(void **state)
{
    (void)state;
    struct conn *c = open_registered();
    advance(30000);
    sessions_lease_vanished(t.sessions);
    end_conn(c);
    come_all();
    c = open_registered();
    advance(30000);
    int registers = fake.registers;
    sessions_lease_vanished(t.sessions);
    fake_set_up(false);
    fake_set_up(true);
    advance(SPREAD_MS + 500);
    assert_int_equal(fake.registers, registers + 1);
}

/* --- Redis' clock: rule 15 -------------------------------------------------------------------------------------------
 */

static void test_says_when_it_began(void **state)
{
    (void)state;
    (void)open_conn();
    assert_string_equal(fake.asked_began, "0"); /* not known yet */
    come_all();
    advance(3000);
    (void)open_conn();
    long long began = strtoll(fake.asked_began, NULL, 10);
    assert_true(began <= fake.clock_ms && began > fake.clock_ms - 150);
}

/* The fastest of the last answers counts: one that took long says little. */
static void test_slow_answers_do_not_spoil_it(void **state)
{
    (void)state;
    advance(5000);
    loop_fake_advance(t.loop, 1100); /* asked, at the latest then */
    fake.clock_ms += 1100;
    loop_fake_advance(t.loop, 900); /* and answered only now */
    fake.clock_ms += 900;
    come_all();
    (void)open_conn();
    assert_true(strtoll(fake.asked_began, NULL, 10) > fake.clock_ms - 150);
}

static void test_forgets_the_clock_with_the_connection(void **state)
{
    (void)state;
    advance(5000);
    fake_set_up(false);
    fake.clock_ms -= 3600000; /* another Redis */
    fake_set_up(true);
    come_all();
    (void)open_conn();
    long long began = strtoll(fake.asked_began, NULL, 10);
    assert_true(began == 0 || (began <= fake.clock_ms && began > fake.clock_ms - 150));
}

/* Redis stood still and executes the call late: the other began later. */
static void test_late_and_older_gives_way(void **state)
{
    (void)state;
    advance(3000);
    struct redis *redis = fake.commands;
    snprintf(fake.owner, sizeof(fake.owner), "gw2-0 7 1");
    fake.since_ms = fake.clock_ms + 1000; /* when the other began; that was before Redis came to this call */
    fake.clock_ms += 3000;
    struct conn *c = open_conn();
    assert_ptr_equal(redis, fake.commands);
    loop_fake_advance(t.loop, 3000); /* so long the answer takes */
    come_all();
    assert_int_equal(c->reason, CLOSE_REPLACED);
    assert_string_equal(fake.owner, "gw2-0 7 1");
}

/* The same, and this process stood still in the middle of the turn that reads the answer. */
static void test_late_and_older_gives_way_in_a_long_turn(void **state)
{
    (void)state;
    advance(3000);
    snprintf(fake.owner, sizeof(fake.owner), "gw2-0 7 1");
    fake.since_ms = fake.clock_ms + 1000;
    fake.clock_ms += 3000;
    struct conn *c = open_conn();
    loop_fake_stall(t.loop, 3000);
    come_all();
    assert_int_equal(c->reason, CLOSE_REPLACED);
    assert_string_equal(fake.owner, "gw2-0 7 1");
}

/* Redis was asked after the turn had begun that reads the answer. */
static void test_a_long_turn_does_not_put_the_clock_ahead(void **state)
{
    (void)state;
    (void)open_device("e");
    come_all();
    fake_set_up(false);
    fake.clock_ms += 500;
    loop_fake_stall(t.loop, 500);
    fake_set_up(true);
    come_all();
    loop_fake_advance(t.loop, 0);
    (void)open_conn();
    long long began = strtoll(fake.asked_began, NULL, 10);
    assert_true(began <= fake.clock_ms && began > fake.clock_ms - 150);
}

/* Redis' clock was set forward: a call in time looks late, and a session of before looks newer. It cannot be: the
 * answer came at once. */
static void test_clock_set_forward_does_not_refuse_the_new(void **state)
{
    (void)state;
    advance(3000);
    snprintf(fake.owner, sizeof(fake.owner), "gw2-0 7 1");
    fake.clock_ms += 3600000;
    fake.since_ms = fake.clock_ms - 5000;
    struct conn *c = open_conn();
    come_all();
    assert_int_equal(c->state, CONN_OPEN);
    assert_string_equal(fake.owner, "gw1-0 100 1");
    assert_int_equal(fake.registers, 2);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_written_before_the_answer),
        TEST(test_refreshed_before_a_third_of_its_life),
        TEST(test_looked_at_more_often_than_prolonged),
        TEST(test_replaced_elsewhere_is_found_by_the_refresh),
        TEST(test_kick_is_for_one_connection_of_one_life),
        TEST(test_newer_connection_of_the_device_here),
        TEST(test_ends_while_it_registers),
        TEST(test_made_up_for_when_redis_is_back),
        TEST(test_all_register_again_with_the_time_they_had),
        TEST(test_routes_that_are_there_are_not_written_again),
        TEST(test_all_register_again_when_redis_was_emptied),
        TEST(test_a_young_route_is_no_proof),
        TEST(test_vanished_without_an_answer),
        TEST(test_says_when_it_began),
        TEST(test_slow_answers_do_not_spoil_it),
        TEST(test_forgets_the_clock_with_the_connection),
        TEST(test_late_and_older_gives_way),
        TEST(test_late_and_older_gives_way_in_a_long_turn),
        TEST(test_a_long_turn_does_not_put_the_clock_ahead),
        TEST(test_clock_set_forward_does_not_refuse_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
