/* Registrations and times, against a real Redis: calls that it executes long after they were sent, because it stood
 * still; and when a device was last seen. */
#include "lua_test_world.h"

#define REGISTER_FOR(devices_ttl, instance, connection, since, began)                                                  \
    RUN(loop, r, REDIS_SCRIPT_ROUTE_REGISTER, 4, "herald:route:{42}", "herald:devices:{42}", "herald:box:{42}",        \
        "herald:box:{42}:web", "web", instance, "100", connection, since, "300000", devices_ttl, began)
#define REGISTER(instance, connection, since, began) REGISTER_FOR("1000000", instance, connection, since, began)

struct answer {
    long long since, entries, is_owner, now;
};

static struct answer answer_of(const char *text)
{
    struct answer answer;
    assert_int_equal(
        sscanf(text, "[%lld, %lld, %lld, %lld]", &answer.since, &answer.entries, &answer.is_owner, &answer.now), 4);
    return answer;
}

/* Redis' clock, moved by so much, as text. */
static const char *clock_and(long long ms)
{
    static char text[2][24];
    static int turn;
    long long seconds = 0, us = 0;
    assert_int_equal(sscanf(ASKED("TIME"), "[%lld, %lld]", &seconds, &us), 2);
    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "%lld", seconds * 1000 + us / 1000 + ms);
    return text[turn];
}

static const char *owner(void)
{
    static char value[64];
    snprintf(value, sizeof value, "%s", ASKED("HGET", "herald:route:{42}", "web"));
    value[strcspn(value, " ")] = '\0';
    return value;
}

/* Sent before the other began, executed after it had registered. */
static void test_late_call_does_not_replace_a_newer_session(void **state)
{
    (void)state;
    struct answer newer = answer_of(REGISTER("gw2-0", "1", "0", clock_and(0)));
    struct answer late = answer_of(REGISTER("gw1-0", "7", "0", clock_and(-3000)));
    assert_int_equal(late.is_owner, 0);
    assert_int_equal(late.since, newer.since);
    assert_true(late.now >= newer.since);
    assert_string_equal(owner(), "gw2-0");
    /* not the first attempt: its age, too, was told by a call that is late */
    assert_int_equal(answer_of(REGISTER("gw1-0", "7", "-100", clock_and(-3000))).is_owner, 0);
}

/* Both were held up: in whatever order they get through. */
static void test_two_late_calls_are_in_order(void **state)
{
    (void)state;
    char first[24];
    snprintf(first, sizeof first, "%s", clock_and(-5000));
    assert_int_equal(answer_of(REGISTER("gw1-0", "7", "0", first)).since, strtoll(first, NULL, 10));
    assert_int_equal(answer_of(REGISTER("gw2-0", "1", "0", clock_and(-4000))).is_owner, 1);
    assert_string_equal(owner(), "gw2-0");
    ASKED("FLUSHALL");
    assert_int_equal(answer_of(REGISTER("gw2-0", "1", "0", clock_and(-4000))).is_owner, 1);
    assert_int_equal(answer_of(REGISTER("gw1-0", "7", "0", first)).is_owner, 0);
    assert_string_equal(owner(), "gw2-0");
}

/* A call that came at once wins, whatever times are written there: Redis' clock may have been set back, or be that of
 * another Redis. */
static void test_call_in_time_wins_over_any_time(void **state)
{
    (void)state;
    ASKED("HSET", "herald:route:{42}", "web", "gw1-0 100 7 9000000000000");
    struct answer answer = answer_of(REGISTER("gw2-0", "1", "0", clock_and(-50)));
    assert_int_equal(answer.is_owner, 1);
    assert_int_equal(answer.since, 9000000000001);
    ASKED("HSET", "herald:route:{42}", "web", "gw1-0 100 7 9000000000000");
    assert_int_equal(answer_of(REGISTER("gw2-0", "1", "0", clock_and(60000))).is_owner, 1);
    ASKED("HSET", "herald:route:{42}", "web", "gw1-0 100 7 9000000000000");
    assert_int_equal(answer_of(REGISTER("gw2-0", "1", "0", "0")).is_owner, 1); /* not known */
}

/* Written again when it is older than the route's life, and with it the life of the whole list. */
static void test_last_seen_is_written_now_and_then(void **state)
{
    const long long ages_ms[] = {0, 100000, 200000, 400000, -5000000};
    long long now = answer_of(REGISTER("gw1-0", "7", "0", "0")).now;
    (void)state;
    for (size_t i = 0; i < sizeof ages_ms / sizeof ages_ms[0]; i++) {
        char seen[24];
        snprintf(seen, sizeof seen, "%lld", now - ages_ms[i]);
        ASKED("HSET", "herald:devices:{42}", "web", seen);
        ASKED("PEXPIRE", "herald:devices:{42}", "500000");
        REGISTER_FOR("9000000", "gw1-0", "7", "0", "0");
        bool is_written = strtoll(ASKED("HGET", "herald:devices:{42}", "web"), NULL, 10) != now - ages_ms[i];
        bool is_prolonged = strtoll(ASKED("PTTL", "herald:devices:{42}"), NULL, 10) > 8000000;
        assert_int_equal(is_written, ages_ms[i] == 400000 || ages_ms[i] < 0);
        assert_int_equal(is_prolonged, is_written);
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, flush_all)
    const struct CMUnitTest tests[] = {
        TEST(test_late_call_does_not_replace_a_newer_session),
        TEST(test_two_late_calls_are_in_order),
        TEST(test_call_in_time_wins_over_any_time),
        TEST(test_last_seen_is_written_now_and_then),
    };
    return cmocka_run_group_tests(tests, world_up, world_down);
}
