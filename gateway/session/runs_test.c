#include "gateway/session/runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_takes_what_follows(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    assert_false(runs_may_take(runs, 7, 1)); /* what came before went elsewhere */
    assert_true(runs_may_take(runs, 7, 0));
    runs_took(&runs, 7, 0);
    assert_true(runs_may_take(runs, 7, 1));
    assert_false(runs_may_take(runs, 7, 2));
    runs_took(&runs, 7, 1);
    assert_false(runs_may_take(runs, 7, 1)); /* twice */
    assert_true(runs_may_take(runs, 7, 2));
    assert_true(runs_may_take(runs, 7, 0));
    assert_true(runs_may_take(runs, 8, 0));
    assert_false(runs_may_take(runs, 8, 2)); /* the number is of another run */
    runs_free(&runs);
}

static void test_what_was_refused_is_not_overtaken(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    runs_took(&runs, 7, 0);
    /* 1 was refused */
    for (uint32_t i = 2; i < 10; i++)
        assert_false(runs_may_take(runs, 7, i));
    runs_took(&runs, 8, 0); /* the next run */
    assert_true(runs_may_take(runs, 8, 1));
    assert_false(runs_may_take(runs, 7, 2));
    runs_free(&runs);
}

static void test_some_runs_side_by_side(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    for (uint32_t index = 0; index < 5; index++)
        for (uint64_t run = 1; run <= RUNS_KEPT; run++) {
            assert_true(runs_may_take(runs, run, index));
            runs_took(&runs, run, index);
        }
    runs_took(&runs, 1, 5); /* used of late */
    runs_took(&runs, 99, 0);
    assert_true(runs_may_take(runs, 1, 6));
    assert_false(runs_may_take(runs, 2, 5)); /* forgotten: refused */
    runs_free(&runs);
}

static void test_unnumbered(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    assert_true(runs_may_take(runs, 0, 0));
    runs_took(&runs, 0, 0);
    assert_true(runs_may_take(runs, 0, 5));
    assert_false(runs_may_take(runs, 1, 1));
    runs_free(&runs);
}

static void test_forgotten_when_long_unused(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    runs_age(&runs);
    runs_took(&runs, 7, 0);
    runs_age(&runs);
    assert_true(runs_may_take(runs, 7, 1)); /* taken since the last time */
    runs_took(&runs, 7, 1);
    runs_age(&runs);
    assert_true(runs_may_take(runs, 7, 2));
    runs_age(&runs);
    assert_null(runs);
    assert_false(runs_may_take(runs, 7, 2));
    assert_true(runs_may_take(runs, 7, 0));
    runs_free(&runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_follows),         cmocka_unit_test(test_what_was_refused_is_not_overtaken),
        cmocka_unit_test(test_some_runs_side_by_side),     cmocka_unit_test(test_unnumbered),
        cmocka_unit_test(test_forgotten_when_long_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
