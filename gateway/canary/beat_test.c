#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/canary/beat.h"

enum { INTERVAL = 5000, TIMEOUT = 20000 };
static struct beat beat;

static int setup(void **state)
{
    (void)state;
    beat_init(&beat, INTERVAL, TIMEOUT);
    return 0;
}

static void not_passing_before_the_first_one_came(void **state)
{
    (void)state;
    uint64_t latency_ms;
    assert_true(beat_is_due(&beat, 1000));
    assert_int_equal(beat_sent(&beat, 1000), 1);
    assert_false(beat_is_due(&beat, 1000 + BEAT_RETRY_MS - 1));
    assert_true(beat_is_due(&beat, 1000 + BEAT_RETRY_MS)); /* again soon, until one came */
    assert_false(beat_is_passing(&beat, 1001));
    assert_int_equal(beat_sent(&beat, 1500), 2);
    assert_true(beat_arrived(&beat, 1, 1600, &latency_ms));
    assert_int_equal(latency_ms, 600);
    assert_true(beat_is_passing(&beat, 1600));
    assert_false(beat_is_due(&beat, 1500 + INTERVAL - 1));
    assert_true(beat_is_due(&beat, 1500 + INTERVAL));
}

static void passing_ends_with_the_timeout(void **state)
{
    (void)state;
    uint64_t latency_ms;
    beat_sent(&beat, 1000);
    assert_true(beat_arrived(&beat, 1, 1010, &latency_ms));
    assert_true(beat_is_passing(&beat, 1010 + TIMEOUT - 1));
    assert_false(beat_is_passing(&beat, 1010 + TIMEOUT));
    assert_int_equal(beat_age_ms(&beat, 1010 + TIMEOUT), TIMEOUT);
    uint64_t number = beat_sent(&beat, 40000);
    assert_true(beat_arrived(&beat, number, 40005, &latency_ms));
    assert_true(beat_is_passing(&beat, 40005));
}

static void repeated_late_and_unknown_ones_count_for_nothing(void **state)
{
    (void)state;
    uint64_t latency_ms;
    assert_false(beat_arrived(&beat, 1, 1000, &latency_ms)); /* of an earlier life */
    beat_sent(&beat, 1000);
    assert_false(beat_arrived(&beat, 0, 1000, &latency_ms));
    assert_false(beat_arrived(&beat, 2, 1000, &latency_ms));
    assert_false(beat_arrived(&beat, 1, 1000 + TIMEOUT, &latency_ms));
    assert_false(beat_is_passing(&beat, 1000 + TIMEOUT));
    beat_sent(&beat, 2000);
    assert_true(beat_arrived(&beat, 2, 2001, &latency_ms));
    assert_false(beat_arrived(&beat, 2, 2002, &latency_ms));
    for (int i = 0; i < BEAT_KEPT; i++)
        beat_sent(&beat, 3000);
    assert_false(beat_arrived(&beat, 2, 3001, &latency_ms)); /* its place is another's */
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(not_passing_before_the_first_one_came),
        TEST(passing_ends_with_the_timeout),
        TEST(repeated_late_and_unknown_ones_count_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
