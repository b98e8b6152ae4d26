#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/hist.h"

static struct hist hist, other;

static int clear(void **state)
{
    (void)state;
    memset(&hist, 0, sizeof hist);
    memset(&other, 0, sizeof other);
    return 0;
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t us = 1; us <= 200; us++)
        hist_add(&hist, us);
    assert_int_equal(hist_count(&hist), 200);
    assert_int_equal(hist_at(&hist, 0.5), 100);
    assert_int_equal(hist_at(&hist, 0.99), 198);
    assert_int_equal(hist_at(&hist, 1), 200);
    assert_int_equal(hist_at(&hist, 0), 1);
}

static void large_values_are_within_a_step(void **state)
{
    for (uint64_t us = 256; us < (uint64_t)1 << 36; us = us * 5 / 3 + 1) {
        clear(state);
        hist_add(&hist, us);
        uint64_t at = hist_at(&hist, 0.5);
        assert_true(at >= us);
        assert_true((double)(at - us) <= (double)us / HIST_STEPS);
    }
}

static void every_value_has_a_place_of_its_own_order(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (uint64_t us = 200; us < 5000; us++) {
        memset(&hist, 0, sizeof hist);
        hist_add(&hist, us);
        uint64_t at = hist_at(&hist, 1);
        assert_true(at >= before);
        before = at;
    }
}

static void what_is_beyond_counts_as_the_end(void **state)
{
    (void)state;
    hist_add(&hist, UINT64_MAX);
    assert_int_equal(hist_count(&hist), 1);
    assert_true(hist_at(&hist, 1) >= (uint64_t)1 << 36);
}

static void an_empty_one_says_zero(void **state)
{
    (void)state;
    assert_int_equal(hist_at(&hist, 0.99), 0);
}

static void adds_and_takes_away(void **state)
{
    (void)state;
    hist_add(&hist, 10);
    hist_add(&other, 10);
    hist_add(&other, 5000);
    hist_merge(&hist, &other);
    assert_int_equal(hist_count(&hist), 3);
    assert_int_equal(hist_at(&hist, 0.6), 10);
    hist_subtract(&hist, &other);
    assert_int_equal(hist_count(&hist), 1);
    assert_int_equal(hist_at(&hist, 1), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(small_values_are_exact, clear),
        cmocka_unit_test_setup(large_values_are_within_a_step, clear),
        cmocka_unit_test_setup(every_value_has_a_place_of_its_own_order, clear),
        cmocka_unit_test_setup(what_is_beyond_counts_as_the_end, clear),
        cmocka_unit_test_setup(an_empty_one_says_zero, clear),
        cmocka_unit_test_setup(adds_and_takes_away, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
