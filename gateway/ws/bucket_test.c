#include "gateway/ws/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static int take_all(struct bucket *bucket, uint64_t now_ms)
{
    int count = 0;
    while (count < 100000 && bucket_take(bucket, now_ms))
        count++;
    return count;
}

static void a_burst_then_the_rate(void **state)
{
    struct bucket bucket;
    (void)state;
    bucket_init(&bucket, 100, 30, 5000);
    assert_int_equal(take_all(&bucket, 5000), 30);
    assert_int_equal(take_all(&bucket, 5009), 0);
    assert_int_equal(take_all(&bucket, 5010), 1);
    assert_int_equal(take_all(&bucket, 5210), 20);
    assert_int_equal(take_all(&bucket, 5000), 0); /* time does not go back */
    assert_int_equal(take_all(&bucket, UINT64_MAX / 2), 30);
}

/* A second of arrivals in small steps: nothing is lost to rounding. */
static void fractions_add_up(void **state)
{
    struct bucket bucket;
    int taken = 0;
    (void)state;
    bucket_init(&bucket, 7, 2, 0);
    assert_int_equal(take_all(&bucket, 0), 2);
    for (uint64_t ms = 1; ms <= 10000; ms++)
        taken += bucket_take(&bucket, ms);
    assert_int_equal(taken, 70);
}

/* Whoever is sent away is told a time behind all before; time passing pays it off. */
static void promises_stand_in_a_row(void **state)
{
    struct bucket bucket;
    (void)state;
    bucket_init(&bucket, 100, 1, 0);
    assert_true(bucket_take(&bucket, 0));
    for (uint64_t i = 1; i <= 500; i++) {
        assert_false(bucket_take(&bucket, 0));
        assert_int_equal(bucket_promise(&bucket, 0), i * 10);
    }
    assert_int_equal(bucket_promised(&bucket, 0), 500);
    assert_int_equal(bucket_promised(&bucket, 2000), 300);
    assert_int_equal(bucket_promise(&bucket, 2000), 3010);
    assert_int_equal(bucket_promised(&bucket, 60000), 0);
    assert_int_equal(bucket_promise(&bucket, 60000), 10);
}

static void rate_0_lets_all_in(void **state)
{
    struct bucket bucket;
    (void)state;
    bucket_init(&bucket, 0, 1, 0);
    assert_int_equal(take_all(&bucket, 0), 100000);
    assert_int_equal(bucket_promise(&bucket, 0), 0);
    assert_int_equal(bucket_promised(&bucket, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(fractions_add_up),
        cmocka_unit_test(promises_stand_in_a_row),
        cmocka_unit_test(rate_0_lets_all_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
