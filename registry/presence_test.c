#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "registry/presence.h"

static enum err parse(const char *text, struct route *route_r)
{
    return route_parse(text, strlen(text), route_r);
}

static void reads_a_route(void **state)
{
    (void)state;
    struct route route;
    assert_int_equal(parse("gw1-0 1700000000001 7 1700000000500", &route), ERR_OK);
    assert_string_equal(route.instance, "gw1-0");
    assert_int_equal(route.generation, 1700000000001);
    assert_int_equal(route.connection, 7);
    assert_int_equal(route.since_ms, 1700000000500);
}

static void refuses_what_is_no_route(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "gw1-0",
        "gw1-0 1",
        "gw1-0 1 2",
        "gw1-0 1 2 ",
        " 1 2 3",
        "gw1-0 1 2 3 4",
        "gw1-0 1  2 3",
        "gw1-0 x 2 3",
        "gw1-0 -1 2 3",
        "gw1-0 1 2 99999999999999999999",
        "gw1-0 1 2 3x",
    };
    struct route route;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(bad[i], &route), ERR_INVALID);
    assert_int_equal(route_parse("gw1-0 1 2 3\0 4", 13, &route), ERR_INVALID);
    char longer[300];
    memset(longer, 'a', sizeof(longer));
    assert_int_equal(route_parse(longer, sizeof(longer), &route), ERR_INVALID);
    memcpy(longer + 200, " 1 2 3", 6);
    assert_int_equal(route_parse(longer, 206, &route), ERR_INVALID); /* a name too long */
}

static void ignore_event(void *arg, enum roster_event event, const struct instance *in)
{
    (void)arg;
    (void)event;
    (void)in;
}

static void route_of_another_life_is_not_valid(void **state)
{
    (void)state;
    struct roster_settings settings = {.lease_ttl_ms = 3000, .forget_ms = 10000, .instances_max = 4};
    struct roster *roster = roster_new(&settings, ignore_event, NULL);
    Herald__V1__Lease lease = HERALD__V1__LEASE__INIT;
    lease.instance = (char *)"gw1-0";
    lease.generation = 5;
    roster_see(roster, "gw1-0", &lease, 3000, 100000);
    struct route route;
    assert_int_equal(parse("gw1-0 5 1 1", &route), ERR_OK);
    assert_true(route_is_valid(&route, roster));
    assert_int_equal(parse("gw1-0 4 1 1", &route), ERR_OK);
    assert_false(route_is_valid(&route, roster));
    assert_int_equal(parse("gw2-0 5 1 1", &route), ERR_OK);
    assert_false(route_is_valid(&route, roster));
    roster_see(roster, "gw1-0", NULL, -2, 103000);
    assert_int_equal(parse("gw1-0 5 1 1", &route), ERR_OK);
    assert_false(route_is_valid(&route, roster));
    roster_free(&roster);
}

static void splits_ids(void **state)
{
    (void)state;
    char text[] = ",a,,b c,\xc3\xa4";
    const char *ids[3];
    size_t count;
    assert_int_equal(presence_split_ids(text, ids, 3, &count), ERR_OK);
    assert_int_equal(count, 3);
    assert_string_equal(ids[0], "a");
    assert_string_equal(ids[1], "b c");
    assert_string_equal(ids[2], "\xc3\xa4");
}

static void bounds_ids(void **state)
{
    (void)state;
    const char *ids[2];
    size_t count;
    char three[] = "a,b,c", none[] = ",,", empty[] = "", control[] = "a,\n";
    assert_int_equal(presence_split_ids(three, ids, 2, &count), ERR_TOO_LARGE);
    assert_int_equal(presence_split_ids(none, ids, 2, &count), ERR_INVALID);
    assert_int_equal(presence_split_ids(empty, ids, 2, &count), ERR_INVALID);
    assert_int_equal(presence_split_ids(control, ids, 2, &count), ERR_INVALID);
}

static void knows_an_id(void **state)
{
    (void)state;
    char longest[258];
    memset(longest, 'a', sizeof(longest));
    longest[257] = '\0';
    assert_false(presence_is_id(longest));
    longest[256] = '\0';
    assert_true(presence_is_id(longest));
    assert_false(presence_is_id(""));
    assert_false(presence_is_id("a\x7f"));
    assert_false(presence_is_id("\xff"));
    assert_true(presence_is_id("user/42@example.org"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_route),
        cmocka_unit_test(refuses_what_is_no_route),
        cmocka_unit_test(route_of_another_life_is_not_valid),
        cmocka_unit_test(splits_ids),
        cmocka_unit_test(bounds_ids),
        cmocka_unit_test(knows_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
