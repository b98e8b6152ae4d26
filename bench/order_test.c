#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/order.h"

static uint32_t missed;

static void a_run_without_gap_is_right(void **state)
{
    (void)state;
    struct order order = {0};
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(order_take(&order, n, &missed), ORDER_RIGHT);
}

static void a_gap_is_counted(void **state)
{
    (void)state;
    struct order order = {0};
    assert_int_equal(order_take(&order, 3, &missed), ORDER_GAP);
    assert_int_equal(missed, 3);
    assert_int_equal(order_take(&order, 4, &missed), ORDER_RIGHT);
    assert_int_equal(missed, 0);
}

static void late_is_not_repeated(void **state)
{
    (void)state;
    struct order order = {0};
    assert_int_equal(order_take(&order, 0, &missed), ORDER_RIGHT);
    assert_int_equal(order_take(&order, 3, &missed), ORDER_GAP);
    assert_int_equal(order_take(&order, 3, &missed), ORDER_REPEATED);
    assert_int_equal(order_take(&order, 1, &missed), ORDER_LATE);
    assert_int_equal(order_take(&order, 1, &missed), ORDER_REPEATED);
    assert_int_equal(order_take(&order, 4, &missed), ORDER_RIGHT);
    assert_int_equal(order_take(&order, 2, &missed), ORDER_LATE);
    assert_int_equal(order_take(&order, 0, &missed), ORDER_REPEATED);
}

static void a_gap_wider_than_the_memory(void **state)
{
    (void)state;
    struct order order = {0};
    assert_int_equal(order_take(&order, 100, &missed), ORDER_GAP);
    assert_int_equal(missed, 100);
    assert_int_equal(order_take(&order, 10, &missed), ORDER_REPEATED); /* too old to know */
    assert_int_equal(order_take(&order, 37, &missed), ORDER_LATE);     /* the oldest it remembers */
    assert_int_equal(order_take(&order, 99, &missed), ORDER_LATE);
    for (uint32_t n = 101; n < 300; n++)
        assert_int_equal(order_take(&order, n, &missed), ORDER_RIGHT);
    assert_int_equal(order_take(&order, 98, &missed), ORDER_REPEATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_gap_is_right),
        cmocka_unit_test(a_gap_is_counted),
        cmocka_unit_test(late_is_not_repeated),
        cmocka_unit_test(a_gap_wider_than_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
