/* The scripts of mailboxes against a real Redis: order, owners, bounds, collapse keys, removal. */
#include "lua_test_world.h"

#define KEYS_ROUTE "herald:route:{42}", "herald:devices:{42}", "herald:box:{42}", "herald:box:{42}:web"
#define REGISTER(...) RUN(loop, r, REDIS_SCRIPT_ROUTE_REGISTER, 4, KEYS_ROUTE, __VA_ARGS__)
#define APPEND(...)                                                                                                    \
    RUN(loop, r, REDIS_SCRIPT_BOX_APPEND, 3, "herald:box:{42}", "herald:boxmark:{42}", "herald:route:{42}", __VA_ARGS__)

static const char *box_text(void)
{
    return ASKED("EVAL",
                 "local t = {} for _, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do t[#t+1] = e[2][2] end "
                 "return table.concat(t, ' ')",
                 "1", "herald:box:{42}");
}

/* n entries of p/0, in life 1000. */
#define ENTRY(generation, offset, bytes) "p/0", "1000", generation, offset, bytes
#define FREE(bytes) "", "0", "0", "0", bytes

static void test_append_keeps_order_and_tells_routes(void **state)
{
    (void)state;
    REGISTER("web", "gw1-0", "100", "7", "1000", "300000", "1000000");
    const char *answer = APPEND("10", "0", "60000", "0", "3", ENTRY("1", "5", "a"), ENTRY("1", "6", "b"),
                                ENTRY("1", "9", "c"));
    assert_string_equal(answer, "[aaa, 3, 0, 0, [], web, gw1-0 100 7 1000]");
    assert_string_equal(box_text(), "a b c");
    assert_true(strtoll(ASKED("PTTL", "herald:box:{42}"), NULL, 10) > 50000);
    assert_true(strtoll(ASKED("PTTL", "herald:boxmark:{42}"), NULL, 10) > 50000);
}

static void test_append_twice_with_the_same_offsets(void **state)
{
    (void)state;
    APPEND("10", "0", "60000", "0", "2", ENTRY("1", "5", "a"), ENTRY("1", "6", "b"));
    assert_string_equal(
        APPEND("10", "0", "60000", "0", "3", ENTRY("1", "5", "a"), ENTRY("1", "6", "b"), ENTRY("1", "10", "c")),
        "[ssa, 3, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "2", "p/1", "1000", "1", "5", "other", ENTRY("1", "9", "x")),
                        "[as, 4, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", FREE("always")), "[a, 5, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", FREE("always")), "[a, 6, 0, 0, []]");
    assert_string_equal(box_text(), "a b c other always always");
    /* drained in between: still not a second time */
    ASKED("DEL", "herald:box:{42}");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", ENTRY("1", "10", "c")), "[s, 0, 0, 0, []]");
    assert_string_equal(ASKED("EXISTS", "herald:box:{42}"), "0");
}

static void test_append_of_a_stale_owner(void **state)
{
    (void)state;
    APPEND("10", "0", "60000", "0", "1", ENTRY("4", "5", "a"));
    /* the next owner reads it again, which is enough to shut the first one out */
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", ENTRY("5", "5", "a")), "[s, 1, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "2", ENTRY("4", "6", "b"), ENTRY("4", "5", "a")),
                        "[oo, 1, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", ENTRY("5", "6", "b")), "[a, 2, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", ENTRY("10", "7", "c")), "[a, 3, 0, 0, []]"); /* numbers */
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", ENTRY("9", "8", "d")), "[o, 3, 0, 0, []]");
    assert_string_equal(box_text(), "a b c");
}

static void test_append_in_a_new_life(void **state)
{
    (void)state;
    APPEND("10", "0", "60000", "0", "1", ENTRY("4", "500", "a"));
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", "p/0", "1001", "1", "0", "b"), "[a, 2, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", "p/0", "1001", "1", "0", "b"), "[s, 2, 0, 0, []]");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", ENTRY("9", "501", "late")), "[o, 2, 0, 0, []]");
    assert_string_equal(box_text(), "a b");
}

static void test_append_trims_the_oldest(void **state)
{
    (void)state;
    assert_string_equal(APPEND("3", "0", "60000", "0", "5", FREE("a"), FREE("b"), FREE("c"), FREE("d"), FREE("e")),
                        "[aaaaa, 3, 0, 0, [a, b]]");
    assert_string_equal(box_text(), "c d e");
    assert_string_equal(APPEND("3", "0", "60000", "0", "1", FREE("f")), "[a, 3, 0, 0, [c]]");
}

static void test_append_refuses_the_newest(void **state)
{
    (void)state;
    assert_string_equal(
        APPEND("2", "0", "60000", "1", "3", ENTRY("1", "1", "a"), ENTRY("1", "2", "b"), ENTRY("1", "3", "c")),
        "[aaf, 2, 0, 0, []]");
    assert_string_equal(box_text(), "a b");
    /* what was refused is not marked: read again, it may enter when there is room */
    assert_string_equal(APPEND("3", "0", "60000", "1", "1", ENTRY("2", "3", "c")), "[a, 3, 0, 0, []]");
    assert_string_equal(APPEND("3", "0", "60000", "1", "2", ENTRY("2", "2", "b"), ENTRY("2", "4", "d")),
                        "[sf, 3, 0, 0, []]");
    ASKED("DEL", "herald:box:{42}");
    assert_string_equal(APPEND("3", "10", "60000", "1", "1", FREE("first")), "[a, 1, 0, 0, []]");
    assert_string_equal(APPEND("3", "10", "60000", "1", "1", FREE("second")), "[a, 2, 0, 0, []]");
    assert_string_equal(APPEND("3", "10", "60000", "1", "1", FREE("third")), "[f, 2, 0, 0, []]");
}

static void test_append_trims_by_age(void **state)
{
    (void)state;
    ASKED("XADD", "herald:box:{42}", "1000-1", "d", "ancient");
    ASKED("XADD", "herald:box:{42}", "2000-1", "d", "old");
    assert_string_equal(APPEND("2", "0", "60000", "0", "3", FREE("a"), FREE("b"), FREE("c")),
                        "[aaa, 2, 2, 0, [ancient, old, a]]");
    assert_string_equal(box_text(), "b c");
    ASKED("DEL", "herald:box:{42}");
    ASKED("XADD", "herald:box:{42}", "1000-1", "d", "ancient");
    assert_string_equal(APPEND("2", "0", "60000", "0", "0"), "[, 0, 1, 0, [ancient]]");
    assert_string_equal(ASKED("EXISTS", "herald:box:{42}"), "0");
}

static void test_append_trims_no_end_at_once(void **state)
{
    (void)state;
    ASKED("EVAL", "for i = 1, 600 do redis.call('XADD', KEYS[1], '*', 'd', 'x') end", "1", "herald:box:{42}");
    const int lefts[] = {345, 90, 10, 10};
    for (int i = 0; i < 4; i++) {
        APPEND("10", "0", "60000", "0", "1", FREE("y"));
        assert_int_equal(strtoll(ASKED("XLEN", "herald:box:{42}"), NULL, 10), lefts[i]);
    }
}

#define COLLAPSE(...)                                                                                                  \
    RUN(loop, r, REDIS_SCRIPT_BOX_APPEND, 4, "herald:box:{42}", "herald:boxmark:{42}", "herald:route:{42}",            \
        "herald:boxkeys:{42}", __VA_ARGS__)

static void test_append_collapses(void **state)
{
    (void)state;
    assert_string_equal(COLLAPSE("10", "0", "60000", "0", "3", FREE("a"), FREE("b"), FREE("c"), "k", "", "l"),
                        "[aaa, 3, 0, 0, []]");
    assert_string_equal(COLLAPSE("10", "0", "60000", "0", "1", FREE("a2"), "k"), "[a, 3, 0, 1, [a]]");
    assert_string_equal(box_text(), "b c a2"); /* at the end */
    assert_string_equal(COLLAPSE("10", "0", "60000", "0", "2", FREE("a3"), FREE("a4"), "k", "k"),
                        "[aa, 3, 0, 2, [a2, a3]]");
    assert_string_equal(box_text(), "b c a4");
    assert_string_equal(APPEND("10", "0", "60000", "0", "1", FREE("plain")), "[a, 4, 0, 0, []]");
    /* what was taken in the meantime is not missed */
    ASKED("DEL", "herald:box:{42}");
    assert_string_equal(COLLAPSE("10", "0", "60000", "0", "1", FREE("a5"), "k"), "[a, 1, 0, 0, []]");
    assert_string_equal(ASKED("HLEN", "herald:boxkeys:{42}"), "1"); /* begun anew with the box */
    assert_true(strtoll(ASKED("PTTL", "herald:boxkeys:{42}"), NULL, 10) > 50000);
}

static void test_append_collapses_once_and_within_the_caps(void **state)
{
    (void)state;
    COLLAPSE("2", "0", "60000", "1", "2", ENTRY("1", "1", "a"), ENTRY("1", "2", "b"), "k", "l");
    /* full, and new ones are refused: but this one only takes a place that is taken */
    assert_string_equal(COLLAPSE("2", "0", "60000", "1", "2", ENTRY("1", "3", "a2"), ENTRY("1", "4", "c"), "k", "m"),
                        "[af, 2, 0, 1, [a]]");
    assert_string_equal(box_text(), "b a2");
    /* read again: the mark comes first */
    assert_string_equal(COLLAPSE("2", "0", "60000", "1", "1", ENTRY("1", "1", "a"), "k"), "[s, 2, 0, 0, []]");
    assert_string_equal(box_text(), "b a2");
}

static void test_collapse_keys_are_bounded(void **state)
{
    char key[16];
    (void)state;
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "k%d", i);
        COLLAPSE("5", "0", "60000", "0", "1", FREE("x"), key);
        assert_true(strtoll(ASKED("HLEN", "herald:boxkeys:{42}"), NULL, 10) <= 10);
    }
    assert_string_equal(COLLAPSE("5", "0", "60000", "0", "1", FREE("y"), "k47"), "[a, 5, 0, 1, [x]]");
}

static void test_append_trims_by_bytes(void **state)
{
    (void)state;
    static char large[20001];
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 20; i++)
        APPEND("1000", "100000", "60000", "0", "1", FREE(large));
    long long count = strtoll(ASKED("XLEN", "herald:box:{42}"), NULL, 10);
    assert_true(count >= 2 && count <= 6);
    APPEND("1000", "10", "60000", "0", "1", FREE("newest"));
    assert_string_equal(box_text(), "newest");
}

static void test_ack_to_empty(void **state)
{
    (void)state;
    APPEND("10", "0", "60000", "0", "3", ENTRY("1", "5", "a"), ENTRY("1", "6", "b"), ENTRY("1", "9", "c"));
    char ids[3][32];
    for (int i = 0; i < 3; i++) {
        const char *id = ASKED("EVAL", "return redis.call('XRANGE', KEYS[1], '-', '+')[tonumber(ARGV[1])][1]", "1",
                               "herald:box:{42}", (const char *[]){"1", "2", "3"}[i]);
        snprintf(ids[i], sizeof ids[i], "%s", id);
    }
    const enum redis_script ack = REDIS_SCRIPT_BOX_ACK;
    assert_string_equal(RUN(loop, r, ack, 1, "herald:box:{42}", ids[0], ids[1]), "[1, 11]");
    assert_string_equal(RUN(loop, r, ack, 1, "herald:box:{42}", ids[0]), "[1, 0]"); /* twice */
    assert_string_equal(box_text(), "c");
    assert_string_equal(RUN(loop, r, ack, 1, "herald:box:{42}", ids[0], ids[2]), "[0, 01]");
    assert_string_equal(ASKED("EXISTS", "herald:box:{42}"), "0");
    assert_string_equal(RUN(loop, r, ack, 1, "herald:box:{42}"), "[0, ]"); /* a look at an absent box */
    assert_string_equal(ASKED("EXISTS", "herald:boxmark:{42}"), "1");
}

static void test_ack_of_very_many(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    static const char *argv[MANY + 1];
    static char ids[MANY][16];
    argv[0] = "herald:box:{42}";
    for (int i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof ids[i], "1-%d", i + 1);
        argv[i + 1] = ids[i];
    }
    ASKED("XADD", "herald:box:{42}", "1-5000", "d", "in");
    ASKED("XADD", "herald:box:{42}", "2-1", "d", "stays");
    const char *answer = test_run(loop, r, REDIS_SCRIPT_BOX_ACK, 1, MANY + 1, argv);
    assert_int_equal(number(answer, 0), 1);
    assert_memory_equal(answer, "[1, 000", 7);
    assert_int_equal(strlen(answer), MANY + strlen("[1, ]"));
    assert_ptr_equal(strchr(answer + 4, '1'), answer + 4 + 4999);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, flush_all)
    const struct CMUnitTest tests[] = {
        TEST(test_append_keeps_order_and_tells_routes),
        TEST(test_append_twice_with_the_same_offsets),
        TEST(test_append_of_a_stale_owner),
        TEST(test_append_in_a_new_life),
        TEST(test_append_trims_the_oldest),
        TEST(test_append_refuses_the_newest),
        TEST(test_append_trims_by_age),
        TEST(test_append_trims_no_end_at_once),
        TEST(test_append_trims_by_bytes),
        TEST(test_append_collapses),
        TEST(test_append_collapses_once_and_within_the_caps),
        TEST(test_collapse_keys_are_bounded),
        TEST(test_ack_to_empty),
        TEST(test_ack_of_very_many),
    };
    return cmocka_run_group_tests(tests, world_up, world_down);
}
