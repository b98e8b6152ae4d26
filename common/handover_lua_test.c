/* The scripts of the hand-over against a real Redis: two routers, a router that dies, what is stored meanwhile. */
#include "lua_test_world.h"

#define WAITING "herald:handover:{3}"
#define CLAIMED "herald:handover:{3}:claimed"
#define ADD(...) RUN(loop, r, REDIS_SCRIPT_HANDOVER_ADD, 1, WAITING, __VA_ARGS__)
#define CLAIM(...) RUN(loop, r, REDIS_SCRIPT_HANDOVER_CLAIM, 2, WAITING, CLAIMED, __VA_ARGS__)
#define END(...) RUN(loop, r, REDIS_SCRIPT_HANDOVER_END, 2, WAITING, CLAIMED, __VA_ARGS__)

/* What stands behind the time in a claim's reply. */
static const char *claimed(const char *reply)
{
    const char *comma = strchr(reply, ',');
    return comma ? comma + 1 : "";
}

static void one_router_gets_it(void **state)
{
    (void)state;
    assert_string_equal(ADD("42\n", "0", "100"), "1");
    assert_non_null(strstr(claimed(CLAIM("60000", "10")), "42\n"));
    assert_string_equal(claimed(CLAIM("60000", "10")), ""); /* the other one */
    assert_string_equal(END("42\n", "0"), "1");
    assert_string_equal(claimed(CLAIM("60000", "10")), "");
    assert_string_equal(ASKED("DBSIZE"), "0");
}

static void not_before_it_is_due(void **state)
{
    (void)state;
    assert_string_equal(ADD("42\n", "60000", "100"), "1");
    assert_string_equal(claimed(CLAIM("60000", "10")), "");
    assert_string_equal(ADD("42\n", "0", "100"), "0"); /* the first time stands */
    assert_string_equal(claimed(CLAIM("60000", "10")), "");
}

static void a_claim_that_ran_out_is_anothers(void **state)
{
    (void)state;
    ADD("42\n", "0", "100");
    assert_non_null(strstr(claimed(CLAIM("1", "10")), "42\n"));
    test_turn_for(loop, 20);
    assert_non_null(strstr(claimed(CLAIM("60000", "10")), "42\n"));
    assert_string_equal(END("42\n", "0"), "1");
}

static void what_is_stored_meanwhile_is_not_forgotten(void **state)
{
    (void)state;
    ADD("42\n", "0", "100");
    CLAIM("60000", "10");
    assert_string_equal(ADD("42\n", "0", "100"), "1");
    assert_string_equal(END("42\n", "0"), "1");
    assert_non_null(strstr(claimed(CLAIM("60000", "10")), "42\n"));
    assert_string_equal(END("42\n", "99999999999999"), "1"); /* due again, much later */
    assert_string_equal(claimed(CLAIM("60000", "10")), "");
    assert_string_equal(ASKED("ZSCORE", WAITING, "42\n"), "99999999999999");
    assert_string_equal(END("42\n", "0"), "0");
}

static void bounded(void **state)
{
    (void)state;
    assert_string_equal(ADD("1\n", "0", "2"), "1");
    assert_string_equal(ADD("2\n", "0", "2"), "1");
    assert_string_equal(ADD("3\n", "0", "2"), "-1");
    assert_string_equal(ADD("2\n", "0", "2"), "0");
    const char *one = claimed(CLAIM("60000", "1"));
    assert_true(strstr(one, "1\n") && !strstr(one, "2\n"));
}

#define TEST(name) cmocka_unit_test_setup(name, flush_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_router_gets_it),
        TEST(not_before_it_is_due),
        TEST(a_claim_that_ran_out_is_anothers),
        TEST(what_is_stored_meanwhile_is_not_forgotten),
        TEST(bounded),
    };
    return cmocka_run_group_tests(tests, world_up, world_down);
}
