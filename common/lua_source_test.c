/* The scripts about records and partitions against a real Redis: claims of ids, owners. */
#include "lua_test_world.h"

/* --- owners of partitions ----------------------------------------------------------------------------------------- */

#define BEGIN(generation, offset)                                                                                      \
    strtoll(RUN(loop, r, REDIS_SCRIPT_SOURCE_BEGIN, 1, "herald:source:p/0", generation, offset, "0", "30000"), NULL, 10)
#define GO_ON(generation, offset, life)                                                                                \
    strtoll(RUN(loop, r, REDIS_SCRIPT_SOURCE_BEGIN, 1, "herald:source:p/0", generation, offset, life, "30000"), NULL,  \
            10)

static void test_source_goes_from_owner_to_owner(void **state)
{
    (void)state;
    char life[24];
    long long first = BEGIN("4", "100");
    assert_true(first > 1600000000000LL);
    snprintf(life, sizeof life, "%lld", first);
    assert_int_equal(GO_ON("4", "150", life), first);
    assert_int_equal(BEGIN("5", "150"), first); /* the next owner: the same life */
    assert_int_equal(GO_ON("4", "160", life), 0);
    assert_int_equal(BEGIN("4", "160"), 0);
    assert_int_equal(GO_ON("5", "170", life), first);
}

static void test_source_begins_a_new_life(void **state)
{
    (void)state;
    char life[24];
    long long first = BEGIN("4", "100");
    snprintf(life, sizeof life, "%lld", first);
    GO_ON("4", "150", life);
    long long second = BEGIN("5", "149"); /* behind what was committed: the topic was made anew */
    assert_true(second > first);
    assert_int_equal(GO_ON("4", "200", life), 0);
    assert_int_equal(BEGIN("6", "0"), second); /* nothing was committed in it */
    /* the group was made anew: believed once nobody renews the higher generation */
    assert_int_equal(BEGIN("1", "0"), 0);
    ASKED("HSET", "herald:source:p/0", "seen", "1000");
    assert_true(BEGIN("1", "0") > second);
    /* after a flush a new owner begins a new life, one that goes on brings its own along */
    long long third = BEGIN("2", "5");
    snprintf(life, sizeof life, "%lld", third);
    ASKED("FLUSHALL");
    assert_int_equal(GO_ON("2", "6", life), third);
    assert_int_equal(BEGIN("3", "6"), third);
}

/* --- claims ------------------------------------------------------------------------------------------------------- */

#define CLAIM(key, position) RUN(loop, r, REDIS_SCRIPT_DEDUP_CLAIM, 1, key, position, "60000")

static void test_claim_is_the_first_positions(void **state)
{
    (void)state;
    assert_string_equal(CLAIM("herald:dedup:{42}:a", "p/0/5"), "p/0/5");
    assert_string_equal(CLAIM("herald:dedup:{42}:a", "p/0/9"), "p/0/5");
    assert_string_equal(CLAIM("herald:dedup:{42}:a", "p/0/5"), "p/0/5"); /* redelivered */
    assert_string_equal(CLAIM("herald:dedup:{42}:b", "p/0/9"), "p/0/9");
    assert_string_equal(CLAIM("herald:dedup:{43}:a", "p/0/9"), "p/0/9");
    long long ttl = strtoll(ASKED("PTTL", "herald:dedup:{42}:a"), NULL, 10);
    assert_true(ttl > 50000 && ttl <= 60000);
    ASKED("PEXPIRE", "herald:dedup:{42}:a", "30000"); /* nothing prolongs it */
    CLAIM("herald:dedup:{42}:a", "p/0/5");
    assert_true(strtoll(ASKED("PTTL", "herald:dedup:{42}:a"), NULL, 10) <= 30000);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, flush_all)
    const struct CMUnitTest tests[] = {
        TEST(test_source_goes_from_owner_to_owner),
        TEST(test_source_begins_a_new_life),
        TEST(test_claim_is_the_first_positions),
    };
    return cmocka_run_group_tests(tests, world_up, world_down);
}
