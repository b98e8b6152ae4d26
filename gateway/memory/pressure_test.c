#include "gateway/memory/pressure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct pressure_settings settings = {.at = {0, 70, 80, 90}, .slack = 5};

static struct pressure of(enum pressure_level before, enum pressure_source source, uint64_t used, uint64_t limit)
{
    struct pressure_reading readings[PRESSURE_SOURCE_COUNT] = {0};
    readings[source] = (struct pressure_reading){.used = used, .limit = limit, .sharers = 1};
    return pressure_after(&settings, before, readings);
}

static void levels_begin_and_end(void **state)
{
    static const struct {
        uint64_t used;
        enum pressure_level level;
    } way[] = {
        {100, PRESSURE_NORMAL}, {699, PRESSURE_NORMAL}, {700, PRESSURE_TRIM},  {650, PRESSURE_TRIM},
        {649, PRESSURE_NORMAL}, {950, PRESSURE_SHED},   {850, PRESSURE_SHED},  {849, PRESSURE_REFUSE},
        {899, PRESSURE_REFUSE}, {750, PRESSURE_REFUSE}, {749, PRESSURE_TRIM},  {800, PRESSURE_REFUSE},
        {100, PRESSURE_NORMAL}, {900, PRESSURE_SHED},   {5000, PRESSURE_SHED}, {0, PRESSURE_NORMAL},
    };
    enum pressure_level level = PRESSURE_NORMAL;
    (void)state;
    for (size_t i = 0; i < sizeof way / sizeof way[0]; i++) {
        level = of(level, PRESSURE_OF_CGROUP, way[i].used, 1000).level;
        assert_int_equal(level, way[i].level);
    }
}

static void the_nearest_limit_counts(void **state)
{
    struct pressure_reading readings[PRESSURE_SOURCE_COUNT] = {
        [PRESSURE_OF_WORKER] = {.used = 50, .limit = 100, .sharers = 1},
        [PRESSURE_OF_RLIMIT] = {.used = 999}, /* no limit */
        [PRESSURE_OF_FRAMES] = {.used = 81, .limit = 100, .sharers = 1},
    };
    (void)state;
    struct pressure p = pressure_after(&settings, PRESSURE_NORMAL, readings);
    assert_int_equal(p.level, PRESSURE_REFUSE);
    assert_int_equal(p.source, PRESSURE_OF_FRAMES);
    assert_int_equal(p.permille, 810);
    assert_int_equal(p.excess, 0);
    readings[PRESSURE_OF_FRAMES].limit = 0;
    assert_int_equal(pressure_after(&settings, PRESSURE_NORMAL, readings).level, PRESSURE_NORMAL);
}

static void what_has_to_go(void **state)
{
    (void)state;
    assert_int_equal(of(PRESSURE_NORMAL, PRESSURE_OF_WORKER, 899, 1000).excess, 0);
    assert_int_equal(of(PRESSURE_NORMAL, PRESSURE_OF_WORKER, 950, 1000).excess, 101); /* down to 85 % */
    assert_int_equal(of(PRESSURE_SHED, PRESSURE_OF_WORKER, 850, 1000).excess, 1);     /* never nothing in SHED */
    struct pressure_reading readings[PRESSURE_SOURCE_COUNT] = {
        [PRESSURE_OF_CGROUP] = {.used = 1000, .limit = 1000, .sharers = 4},
        [PRESSURE_OF_FRAMES] = {.used = 70, .limit = 1000, .sharers = 1},
    };
    struct pressure p = pressure_after(&settings, PRESSURE_NORMAL, readings);
    assert_int_equal(p.level, PRESSURE_SHED);
    assert_int_equal(p.excess, 150 / 4 + 1);
    readings[PRESSURE_OF_FRAMES].used = 950;
    assert_int_equal(pressure_after(&settings, PRESSURE_NORMAL, readings).excess, 101); /* of the larger one */
}

static void large_numbers(void **state)
{
    (void)state;
    assert_int_equal(of(PRESSURE_NORMAL, PRESSURE_OF_CGROUP, UINT64_MAX, 1).level, PRESSURE_SHED);
    assert_int_equal(of(PRESSURE_NORMAL, PRESSURE_OF_CGROUP, UINT64_C(3) << 60, UINT64_C(1) << 62).level,
                     PRESSURE_TRIM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_begin_and_end),
        cmocka_unit_test(the_nearest_limit_counts),
        cmocka_unit_test(what_has_to_go),
        cmocka_unit_test(large_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
