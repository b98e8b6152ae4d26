/* The scripts of leases, the leader and routes against a real Redis: what they do, and what a late or stale actor
 * cannot do with them. */
#include "lua_test_world.h"

static struct redis *listener;

#define KEYS_ROUTE "herald:route:{42}", "herald:devices:{42}", "herald:box:{42}", "herald:box:{42}:web"
#define REGISTER(...) RUN(loop, r, REDIS_SCRIPT_ROUTE_REGISTER, 4, KEYS_ROUTE, __VA_ARGS__)
#define REFRESH(...) RUN(loop, r, REDIS_SCRIPT_ROUTE_REFRESH, 4, KEYS_ROUTE, __VA_ARGS__)
#define REMOVE(...) RUN(loop, r, REDIS_SCRIPT_ROUTE_REMOVE, 1, "herald:route:{42}", __VA_ARGS__)
#define APPEND(...)                                                                                                    \
    RUN(loop, r, REDIS_SCRIPT_BOX_APPEND, 3, "herald:box:{42}", "herald:boxmark:{42}", "herald:route:{42}", __VA_ARGS__)
#define LEASE(...) RUN(loop, r, REDIS_SCRIPT_LEASE_RENEW, 2, "herald:lease:gw1-0", "herald:instances", __VA_ARGS__)
#define ACQUIRE(...) RUN(loop, r, REDIS_SCRIPT_LEADER_ACQUIRE, 2, "herald:leader", "herald:leader:token", __VA_ARGS__)
#define PUBLISH(...)                                                                                                   \
    RUN(loop, r, REDIS_SCRIPT_MEMBERS_PUBLISH, 3, "herald:members", "herald:leader", "herald:members:version",         \
        __VA_ARGS__)

static struct buf heard;

static void hear(void *arg, const char *channel, const char *payload, size_t len)
{
    (void)arg;
    buf_printf(&heard, "%s=%.*s;", channel, (int)len, payload);
}

/* --- leases ------------------------------------------------------------------------------------------------------- */

static void test_lease(void **state)
{
    (void)state;
    assert_string_equal(LEASE("gw1-0", "100", "body", "3000"), "2");
    assert_string_equal(ASKED("GET", "herald:lease:gw1-0"), "100\nbody");
    assert_string_equal(ASKED("SMEMBERS", "herald:instances"), "[gw1-0]");
    long long ttl = strtoll(ASKED("PTTL", "herald:lease:gw1-0"), NULL, 10);
    assert_true(ttl > 2000 && ttl <= 3000);
    assert_string_equal(LEASE("gw1-0", "100", "body2", "3000"), "1");
    assert_string_equal(LEASE("gw1-0", "101", "next life", "3000"), "1");
    assert_string_equal(LEASE("gw1-0", "100", "late", "3000"), "0");
    assert_string_equal(LEASE("gw1-0", "99", "later", "3000"), "0"); /* numbers, not text */
    assert_string_equal(ASKED("GET", "herald:lease:gw1-0"), "101\nnext life");
    ASKED("FLUSHALL");
    assert_string_equal(LEASE("gw1-0", "101", "again", "3000"), "2");
    assert_string_equal(LEASE("gw1-0", "101", "again", "3000"), "1");
}

static void test_lease_release_is_the_owners(void **state)
{
    (void)state;
    const enum redis_script release = REDIS_SCRIPT_LEASE_RELEASE;
    LEASE("gw1-0", "101", "x", "3000");
    assert_string_equal(RUN(loop, r, release, 2, "herald:lease:gw1-0", "herald:instances", "gw1-0", "100"), "0");
    assert_string_equal(ASKED("GET", "herald:lease:gw1-0"), "101\nx");
    assert_string_equal(RUN(loop, r, release, 2, "herald:lease:gw1-0", "herald:instances", "gw1-0", "101"), "1");
    assert_string_equal(ASKED("EXISTS", "herald:lease:gw1-0"), "0");
    assert_string_equal(ASKED("SMEMBERS", "herald:instances"), "[]");
    assert_string_equal(LEASE("gw1-0", "100", "y", "3000"), "2"); /* nobody lives: a lower one may come */
}

/* --- leader and snapshot ------------------------------------------------------------------------------------------ */

static void test_leader_takes_over_with_a_greater_token(void **state)
{
    (void)state;
    const char *answer = ACQUIRE("a", "100");
    long long first = number(answer, 0);
    assert_int_equal(number(answer, 1), 1);
    answer = ACQUIRE("a", "100");
    assert_int_equal(number(answer, 0), first);
    assert_int_equal(number(answer, 1), 1);
    answer = ACQUIRE("b", "100");
    assert_int_equal(number(answer, 1), 0);
    assert_string_equal(part(answer, 2), "a");
    assert_int_equal(number(answer, 0), first);
    TURN_UNTIL(loop, number(ACQUIRE("b", "60000"), 1) == 1);
    long long second = number(ACQUIRE("b", "60000"), 0);
    assert_true(second > first);
    assert_int_equal(number(ACQUIRE("a", "100"), 1), 0);
    /* a clock that went back must not bring a smaller token */
    ASKED("SET", "herald:leader:token", "9000000000000000");
    ASKED("DEL", "herald:leader");
    assert_int_equal(number(ACQUIRE("c", "100"), 0), 9000000000000001LL);
}

static void test_leader_release_is_the_holders(void **state)
{
    (void)state;
    char token[24];
    snprintf(token, sizeof token, "%lld", number(ACQUIRE("a", "60000"), 0));
    const enum redis_script release = REDIS_SCRIPT_LEADER_RELEASE;
    assert_string_equal(RUN(loop, r, release, 1, "herald:leader", "b", token), "0");
    assert_string_equal(RUN(loop, r, release, 1, "herald:leader", "a", "1"), "0");
    assert_int_equal(number(ACQUIRE("b", "60000"), 1), 0);
    assert_string_equal(RUN(loop, r, release, 1, "herald:leader", "a", token), "1");
    assert_int_equal(number(ACQUIRE("b", "60000"), 1), 1);
}

static void test_publish_is_fenced(void **state)
{
    (void)state;
    char old[24], new[24];
    snprintf(old, sizeof old, "%lld", number(ACQUIRE("a", "60000"), 0));
    buf_clear(&heard);
    long long v1 = strtoll(PUBLISH("a", old, "one"), NULL, 10);
    assert_true(v1 > 1600000000000LL);
    long long v2 = strtoll(PUBLISH("a", old, "two"), NULL, 10);
    assert_true(v2 > v1);
    char expected[128];
    snprintf(expected, sizeof expected, "herald:membership=%lld;herald:membership=%lld;", v1, v2);
    TURN_UNTIL(loop, !strcmp(heard.bytes, expected));
    /* a is paused, its lock runs out, b takes over: a's snapshot must not get through any more */
    ASKED("DEL", "herald:leader");
    assert_string_equal(PUBLISH("a", old, "between"), "0");
    snprintf(new, sizeof new, "%lld", number(ACQUIRE("b", "60000"), 0));
    assert_string_equal(PUBLISH("a", old, "late"), "0");
    assert_string_equal(PUBLISH("a", new, "late"), "0");
    snprintf(expected, sizeof expected, "%lld\ntwo", v2);
    assert_string_equal(ASKED("GET", "herald:members"), expected);
    assert_true(strtoll(PUBLISH("b", new, "three"), NULL, 10) > v2);
    /* the same id a second time, after a loss of the lock, is another holder */
    ASKED("DEL", "herald:leader");
    ACQUIRE("b", "60000");
    assert_string_equal(PUBLISH("b", new, "stale token"), "0");
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

static void test_register_and_remove(void **state)
{
    (void)state;
    const char *answer = REGISTER("web", "gw1-0", "100", "7", "0", "300000", "1000000");
    long long since = number(answer, 0);
    assert_int_equal(number(answer, 1), 0);
    assert_int_equal(number(answer, 2), 1);
    char value[64];
    snprintf(value, sizeof value, "gw1-0 100 7 %lld", since);
    assert_string_equal(ASKED("HGET", "herald:route:{42}", "web"), value);
    assert_true(strtoll(ASKED("PTTL", "herald:route:{42}"), NULL, 10) > 290000);
    assert_true(strtoll(ASKED("PTTL", "herald:devices:{42}"), NULL, 10) > 990000);
    assert_string_equal(ASKED("HKEYS", "herald:devices:{42}"), "[web]");
    assert_string_equal(REMOVE("web", "gw1-0", "100", "8"), "0");
    assert_string_equal(REMOVE("web", "gw1-0", "10", "7"), "0");
    assert_string_equal(REMOVE("web", "gw1-1", "100", "7"), "0");
    assert_string_equal(REMOVE("app", "gw1-0", "100", "7"), "0");
    assert_string_equal(REMOVE("web", "gw1-0", "100", "7"), "1");
    assert_string_equal(ASKED("EXISTS", "herald:route:{42}"), "0");
    assert_string_equal(ASKED("HKEYS", "herald:devices:{42}"), "[web]"); /* known, though offline */
}

static void test_stale_remove_after_newer_register(void **state)
{
    (void)state;
    REGISTER("web", "gw1-0", "100", "7", "0", "300000", "1000000");
    REGISTER("web", "gw2-0", "200", "1", "0", "300000", "1000000");
    assert_string_equal(REMOVE("web", "gw1-0", "100", "7"), "0");
    assert_true(!strncmp(ASKED("HGET", "herald:route:{42}", "web"), "gw2-0 200 1 ", 12));
}

static void test_newer_register_wins_and_kicks(void **state)
{
    (void)state;
    buf_clear(&heard);
    long long first = number(REGISTER("web", "gw1-0", "100", "7", "0", "300000", "1000000"), 0);
    long long second = number(REGISTER("web", "gw2-0", "200", "1", "0", "300000", "1000000"), 0);
    assert_true(second > first); /* also within one millisecond */
    TURN_UNTIL(loop, !strcmp(heard.bytes, "herald:kick:gw1-0=42\nweb\n7 100;"));
    /* the older one comes late, with the time it was given: refused, nothing changes, nobody is kicked */
    char since[24];
    snprintf(since, sizeof since, "%lld", first);
    const char *answer = REGISTER("web", "gw1-0", "100", "7", since, "300000", "1000000");
    assert_int_equal(number(answer, 0), second);
    assert_int_equal(number(answer, 2), 0);
    assert_true(!strncmp(ASKED("HGET", "herald:route:{42}", "web"), "gw2-0 200 1 ", 12));
    answer = REFRESH("web", "gw1-0", "100", "7", since, "300000");
    assert_string_equal(answer, "[0, 0]");
    /* the same session again is not another */
    snprintf(since, sizeof since, "%lld", second);
    assert_int_equal(number(REGISTER("web", "gw2-0", "200", "1", since, "300000", "1000000"), 2), 1);
    ASKED("PUBLISH", "herald:kick:gw1-0", "end");
    TURN_UNTIL(loop, strstr(heard.bytes, "end"));
    assert_string_equal(heard.bytes, "herald:kick:gw1-0=42\nweb\n7 100;herald:kick:gw1-0=end;");
}

/* Both began while Redis was away: by when they began, not by when they got through. */
static void test_late_registration_counts_from_its_beginning(void **state)
{
    (void)state;
    assert_int_equal(number(REGISTER("web", "gw2-0", "200", "1", "-1000", "300000", "1000000"), 2), 1);
    buf_clear(&heard);
    assert_int_equal(number(REGISTER("web", "gw1-0", "100", "7", "-60000", "300000", "1000000"), 2), 0);
    assert_true(!strncmp(ASKED("HGET", "herald:route:{42}", "web"), "gw2-0 200 1 ", 12));
    ASKED("PUBLISH", "herald:kick:gw1-0", "end");
    TURN_UNTIL(loop, !strcmp(heard.bytes, "herald:kick:gw1-0=end;")); /* nobody else was told */
    ASKED("FLUSHALL");
    assert_int_equal(number(REGISTER("web", "gw1-0", "100", "7", "-60000", "300000", "1000000"), 2), 1);
    const char *answer = REGISTER("web", "gw2-0", "200", "1", "-1000", "300000", "1000000");
    assert_int_equal(number(answer, 2), 1);
    TURN_UNTIL(loop, strstr(heard.bytes, "herald:kick:gw1-0=42\nweb\n7 100;"));
    /* the first life's own time is what it has from then on */
    char since[24];
    snprintf(since, sizeof since, "%lld", number(answer, 0));
    assert_int_equal(number(REGISTER("web", "gw2-0", "200", "1", since, "300000", "1000000"), 0),
                     strtoll(since, NULL, 10));
}

static void test_registers_after_flush_settle_in_any_order(void **state)
{
    (void)state;
    /* both sessions of a device come back after a flush; the older one first, then the newer one, and the other way */
    assert_int_equal(number(REGISTER("web", "gw1-0", "100", "7", "1000", "300000", "1000000"), 2), 1);
    assert_int_equal(number(REGISTER("web", "gw2-0", "200", "1", "2000", "300000", "1000000"), 2), 1);
    assert_string_equal(ASKED("HGET", "herald:route:{42}", "web"), "gw2-0 200 1 2000");
    ASKED("FLUSHALL");
    assert_int_equal(number(REGISTER("web", "gw2-0", "200", "1", "2000", "300000", "1000000"), 2), 1);
    assert_int_equal(number(REGISTER("web", "gw1-0", "100", "7", "1000", "300000", "1000000"), 2), 0);
    assert_string_equal(ASKED("HGET", "herald:route:{42}", "web"), "gw2-0 200 1 2000");
}

static void test_refresh(void **state)
{
    (void)state;
    REGISTER("web", "gw1-0", "100", "7", "1000", "50000", "1000000");
    assert_string_equal(REFRESH("web", "gw1-0", "100", "7", "1000", "300000"), "[1, 0]");
    assert_true(strtoll(ASKED("PTTL", "herald:route:{42}"), NULL, 10) > 290000);
    ASKED("FLUSHALL");
    APPEND("10", "0", "60000", "0", "1", "", "0", "0", "0", "waits");
    assert_string_equal(REFRESH("web", "gw1-0", "100", "7", "1000", "300000"), "[1, 1]");
    assert_string_equal(ASKED("HGET", "herald:route:{42}", "web"), "gw1-0 100 7 1000");
    assert_true(strtoll(ASKED("PTTL", "herald:devices:{42}"), NULL, 10) > 290000);
    /* an older session had taken the place after the flush: the newer one's refresh takes it back, and tells */
    ASKED("HSET", "herald:route:{42}", "web", "gw1-0 99 3 500");
    buf_clear(&heard);
    assert_string_equal(REFRESH("web", "gw1-0", "100", "7", "1000", "300000"), "[1, 1]");
    TURN_UNTIL(loop, !strcmp(heard.bytes, "herald:kick:gw1-0=42\nweb\n3 99;"));
}

/* Says the same, and writes only when the route is not there as it was. */
static void test_look(void **state)
{
    (void)state;
    REGISTER("web", "gw1-0", "100", "7", "1000", "50000", "1000000");
    ASKED("HSET", "herald:devices:{42}", "web", "1");
    assert_string_equal(REFRESH("web", "gw1-0", "100", "7", "1000", "300000", "1000000", "look"), "[1, 0]");
    assert_true(strtoll(ASKED("PTTL", "herald:route:{42}"), NULL, 10) <= 50000);
    assert_string_equal(ASKED("HGET", "herald:devices:{42}", "web"), "1");
    APPEND("10", "0", "60000", "0", "1", "", "0", "0", "0", "waits");
    assert_string_equal(REFRESH("web", "gw1-0", "100", "7", "1000", "300000", "1000000", "look"), "[1, 1]");
    ASKED("DEL", "herald:route:{42}");
    assert_string_equal(REFRESH("web", "gw1-0", "100", "7", "1000", "300000", "1000000", "look"), "[1, 1]");
    assert_string_equal(ASKED("HGET", "herald:route:{42}", "web"), "gw1-0 100 7 1000");
    assert_true(strtoll(ASKED("PTTL", "herald:route:{42}"), NULL, 10) > 290000);
    REGISTER("web", "gw2-0", "200", "1", "2000", "300000", "1000000");
    assert_string_equal(REFRESH("web", "gw1-0", "100", "7", "1000", "300000", "1000000", "look"), "[0, 0]");
    assert_string_equal(ASKED("HGET", "herald:route:{42}", "web"), "gw2-0 200 1 2000");
}

static void test_register_sees_both_boxes(void **state)
{
    (void)state;
    APPEND("10", "0", "60000", "0", "2", "", "0", "0", "0", "a", "", "0", "0", "0", "b");
    RUN(loop, r, REDIS_SCRIPT_BOX_APPEND, 3, "herald:box:{42}:web", "herald:boxmark:{42}:web", "herald:route:{42}",
        "10", "0", "60000", "0", "1", "", "0", "0", "0", "c");
    assert_int_equal(number(REGISTER("web", "gw1-0", "100", "7", "0", "300000", "1000000"), 1), 3);
}

static void test_known_devices_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++) {
        char device[16], seen[24];
        snprintf(device, sizeof device, "d%d", i);
        snprintf(seen, sizeof seen, "%d", 1000 + i);
        REGISTER(device, "gw1-0", "100", "7", "0", "300000", "1000000");
        ASKED("HSET", "herald:devices:{42}", device, seen);
    }
    assert_string_equal(ASKED("HLEN", "herald:devices:{42}"), "64");
    assert_string_equal(ASKED("HEXISTS", "herald:devices:{42}", "d5"), "0"); /* the longest unseen went */
    assert_string_equal(ASKED("HEXISTS", "herald:devices:{42}", "d6"), "1");
}

/* --- setting up --------------------------------------------------------------------------------------------------- */

static int set_up_all(void **state)
{
    (void)world_up(state);
    struct redis_options options = test_options(&server);
    buf_init(&heard);
    listener = redis_new(loop, &options, "listener", NULL, NULL);
    redis_subscribe(listener, "herald:kick:gw1-0", hear, NULL);
    redis_subscribe(listener, "herald:membership", hear, NULL);
    TURN_UNTIL(loop, redis_is_up(r) && redis_is_up(listener));
    return 0;
}

static int tear_down_all(void **state)
{
    redis_free(&listener);
    buf_release(&heard);
    return world_down(state);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, flush_all)
    const struct CMUnitTest tests[] = {
        TEST(test_lease),
        TEST(test_lease_release_is_the_owners),
        TEST(test_leader_takes_over_with_a_greater_token),
        TEST(test_leader_release_is_the_holders),
        TEST(test_publish_is_fenced),
        TEST(test_register_and_remove),
        TEST(test_stale_remove_after_newer_register),
        TEST(test_newer_register_wins_and_kicks),
        TEST(test_late_registration_counts_from_its_beginning),
        TEST(test_registers_after_flush_settle_in_any_order),
        TEST(test_refresh),
        TEST(test_look),
        TEST(test_register_sees_both_boxes),
        TEST(test_known_devices_are_bounded),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
