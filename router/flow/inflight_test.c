#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "router/flow/inflight.h"

static const struct inflight_limits limits = {
    .slots = 3000, .slot_bytes = 1 << 20, .records = 16, .record_bytes = 1000, .wait_ms = {2000, 5000}};

static int setup(void **state)
{
    *state = inflight_new(&limits);
    return 0;
}

static int teardown(void **state)
{
    struct inflight *inflight = *state;
    inflight_free(&inflight);
    return 0;
}

static void test_late_result_of_reused_slot(void **state)
{
    struct inflight *inflight = *state;
    struct slot *slot = inflight_get(inflight, INFLIGHT_DURABLE, 10, 0);
    uint32_t index = slot->index, generation = slot->generation;
    assert_ptr_equal(inflight_find(inflight, index, generation), slot);
    assert_null(inflight_find(inflight, index, generation + 1));
    inflight_put(inflight, slot);
    assert_null(inflight_find(inflight, index, generation));
    struct slot *again = inflight_get(inflight, INFLIGHT_DURABLE, 10, 0);
    assert_int_equal(again->index, index); /* the same slot, another use */
    assert_null(inflight_find(inflight, index, generation));
    assert_ptr_equal(inflight_find(inflight, index, again->generation), again);
}

static void test_any_number_may_be_asked(void **state)
{
    struct inflight *inflight = *state;
    assert_null(inflight_find(inflight, 0, 1));
    assert_null(inflight_find(inflight, UINT32_MAX, UINT32_MAX));
    (void)inflight_get(inflight, INFLIGHT_VOLATILE, 1, 0);
    assert_null(inflight_find(inflight, 1, 1)); /* exists, and is not used */
    assert_null(inflight_find(inflight, 5000, 1));
}

static void test_generation_is_never_zero(void **state)
{
    struct inflight *inflight = *state;
    struct slot *slot = inflight_get(inflight, INFLIGHT_VOLATILE, 1, 0);
    slot->generation = UINT32_MAX;
    inflight_put(inflight, slot);
    assert_int_equal(inflight_get(inflight, INFLIGHT_VOLATILE, 1, 0)->generation, 1);
}

static void test_bounded_in_slots(void **state)
{
    struct inflight *inflight = *state;
    struct slot *one = NULL;
    for (uint32_t i = 0; i < limits.slots; i++)
        assert_non_null(one = inflight_get(inflight, INFLIGHT_DURABLE, 0, 0));
    assert_null(inflight_get(inflight, INFLIGHT_DURABLE, 0, 0));
    inflight_put(inflight, one);
    assert_non_null(inflight_get(inflight, INFLIGHT_DURABLE, 0, 0));
}

static void test_bounded_in_bytes(void **state)
{
    struct inflight *inflight = *state;
    struct slot *slot = inflight_get(inflight, INFLIGHT_DURABLE, 1 << 20, 0);
    assert_null(inflight_get(inflight, INFLIGHT_VOLATILE, 1, 0));
    inflight_put(inflight, slot);
    assert_non_null(inflight_get(inflight, INFLIGHT_VOLATILE, 1, 0));
}

static void test_deadlines_by_class(void **state)
{
    struct inflight *inflight = *state;
    struct slot *durable = inflight_get(inflight, INFLIGHT_DURABLE, 1, 0);
    struct slot *quick = inflight_get(inflight, INFLIGHT_VOLATILE, 1, 100);
    struct slot *later = inflight_get(inflight, INFLIGHT_VOLATILE, 1, 200);
    assert_null(inflight_due(inflight, 2099));
    assert_ptr_equal(inflight_due(inflight, 2100), quick);
    inflight_put(inflight, quick);
    assert_null(inflight_due(inflight, 2100));
    inflight_put(inflight, later);
    assert_null(inflight_due(inflight, 4999));
    assert_ptr_equal(inflight_due(inflight, 5000), durable);
}

static void test_window(void **state)
{
    struct inflight *inflight = *state;
    for (int i = 0; i < 15; i++)
        inflight_enter(inflight, 10);
    assert_false(inflight_is_full(inflight));
    inflight_enter(inflight, 10);
    assert_true(inflight_is_full(inflight));
    inflight_enter(inflight, 10); /* one that was fetched already */
    inflight_leave(inflight, 10);
    inflight_leave(inflight, 10);
    assert_false(inflight_has_room(inflight)); /* not at once */
    for (int i = 0; i < 3; i++)
        inflight_leave(inflight, 10);
    assert_false(inflight_has_room(inflight));
    inflight_leave(inflight, 10);
    assert_true(inflight_has_room(inflight)); /* three quarters */
    inflight_enter(inflight, 1000);
    assert_true(inflight_is_full(inflight));
    assert_int_equal(inflight_records(inflight), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_late_result_of_reused_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_number_may_be_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_generation_is_never_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded_in_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded_in_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadlines_by_class, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
