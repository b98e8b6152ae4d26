#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "router/route/route.h"

static enum err parse(const char *text, struct route_value *value)
{
    return route_parse(text, strlen(text), value);
}

static void test_parse(void **state)
{
    struct route_value value;
    (void)state;
    assert_int_equal(parse("gw1-0 1700000000001 7 1700000000002", &value), ERR_OK);
    assert_int_equal(value.instance_len, 5);
    assert_memory_equal(value.instance, "gw1-0", 5);
    assert_true(value.generation == 1700000000001 && value.connection == 7 && value.since_ms == 1700000000002);
    static const char *const bad[] = {"",
                                      " ",
                                      "gw1-0",
                                      "gw1-0 ",
                                      "gw1-0 1 2",
                                      "gw1-0 1 2 ",
                                      " 1 2 3",
                                      "gw1-0 1 2 3 4",
                                      "gw1-0 1 -2 3",
                                      "gw1-0 1 2 x",
                                      "gw1-0  2 3",
                                      "gw 1 2 3\n",
                                      "gw1-0 99999999999999999999999 2 3"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(bad[i], &value), ERR_INVALID);
}

static struct route_device device(const char *name, uint32_t instance, uint64_t connection)
{
    return (struct route_device){.name = name,
                                 .name_len = (uint32_t)strlen(name),
                                 .is_online = true,
                                 .instance = instance,
                                 .generation = 1,
                                 .connection = connection};
}

static struct route *make(const char *user, uint32_t instance, uint64_t connection)
{
    struct route_device one = device("web", instance, connection);
    return route_new(user, strlen(user), false, &one, 1);
}

static void test_stamp_is_where_the_devices_are(void **state)
{
    struct route_device ab[] = {device("a", 1, 1), device("b", 2, 2)}, ba[] = {device("b", 2, 2), device("a", 1, 1)};
    struct route_device moved[] = {device("a", 1, 3), device("b", 2, 2)};
    struct route_device asked[] = {device("a", 1, 1), device("b", 2, 2)};
    (void)state;
    asked[0].is_box_known = asked[0].has_box = true;
    struct route *r1 = route_new("u", 1, false, ab, 2), *r2 = route_new("u", 1, true, ba, 2);
    struct route *r3 = route_new("u", 1, false, moved, 2), *r4 = route_new("u", 1, false, asked, 2);
    assert_true(r1->stamp == r2->stamp && r1->stamp == r4->stamp);
    assert_true(r1->stamp != r3->stamp); /* a new connection of the same device */
    assert_string_equal(route_device(r1, "b", 1)->name, "b");
    assert_null(route_device(r1, "bb", 2));
    route_unref(&r1);
    route_unref(&r2);
    route_unref(&r3);
    route_unref(&r4);
}

static void put(struct routes *routes, const char *user, bool is_one_out)
{
    struct route *route = make(user, 1, 1);
    assert_int_equal(routes_put(routes, route), is_one_out);
    route_unref(&route);
}

static void test_longest_unused_leaves(void **state)
{
    struct routes *routes = routes_new(3);
    (void)state;
    put(routes, "a", false);
    put(routes, "b", false);
    put(routes, "c", false);
    assert_non_null(routes_find(routes, "a", 1));
    put(routes, "d", true);
    assert_null(routes_find(routes, "b", 1));
    assert_non_null(routes_find(routes, "a", 1));
    assert_int_equal(routes_count(routes), 3);
    put(routes, "a", false); /* replaced, nobody has to go */
    assert_int_equal(routes_count(routes), 3);
    assert_true(routes_forget(routes, "a", 1));
    assert_false(routes_forget(routes, "a", 1));
    routes_clear(routes);
    assert_int_equal(routes_count(routes), 0);
    routes_free(&routes);
}

static void test_reference_outlives_the_cache(void **state)
{
    struct routes *routes = routes_new(3);
    (void)state;
    struct route *route = make("a", 1, 1);
    (void)routes_put(routes, route);
    routes_clear(routes);
    assert_string_equal(route->user, "a");
    route_unref(&route);
    assert_null(route);
    routes_free(&routes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_stamp_is_where_the_devices_are),
        cmocka_unit_test(test_longest_unused_leaves),
        cmocka_unit_test(test_reference_outlives_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
