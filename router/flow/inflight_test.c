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

/* Two of three lanes are stuck: what is left is the third one's, however long they stay so. */
static void test_stuck_lanes_leave_room(void **state)
{
    struct inflight *inflight = *state;
    uint32_t stuck[2] = {0, 0};
    for (int i = 0; i < 5000; i++) {
        uint32_t *held = &stuck[i % 2];
        if (!inflight_may_grow(inflight, *held, *held * 10, 3) || inflight_is_full(inflight))
            continue;
        (void)inflight_get(inflight, INFLIGHT_DURABLE, 10, 0);
        inflight_enter(inflight, 10);
        ++*held;
    }
    assert_in_range(stuck[0], 5, 6); /* of a window of 16 records */
    assert_in_range(stuck[1], 5, 6);
    assert_false(inflight_is_full(inflight));
    assert_true(inflight_may_grow(inflight, 0, 0, 3));
    assert_true(inflight_may_grow(inflight, 4, 40, 3));
}

/* Lanes that are equally busy are not refused before the window is full, and consumption rests. */
static void test_busy_lanes_fill_the_window(void **state)
{
    struct inflight *inflight = *state;
    uint32_t held[4] = {0};
    int entered = 0;
    for (; !inflight_is_full(inflight); entered++) {
        uint32_t *mine = &held[entered % 4];
        assert_true(inflight_may_grow(inflight, *mine, *mine * 10, 4));
        (void)inflight_get(inflight, INFLIGHT_VOLATILE, 10, 0);
        inflight_enter(inflight, 10);
        ++*mine;
    }
    assert_int_equal(entered, limits.records);
}

/* A record to many users is one record and many slots. */
static void test_full_before_the_slots_are_used_up(void **state)
{
    struct inflight *inflight = *state;
    inflight_enter(inflight, 10);
    for (uint32_t i = 0; i < limits.slots / 2; i++)
        inflight_enter_target(inflight);
    assert_true(inflight_has_room(inflight));
    for (uint32_t i = 0; i < limits.slots / 4; i++)
        inflight_enter_target(inflight);
    assert_true(inflight_is_full(inflight));
    for (uint32_t i = 0; i < limits.slots / 4; i++)
        inflight_leave_target(inflight);
    assert_false(inflight_is_full(inflight));
    assert_true(inflight_has_room(inflight));
    struct slot *slot = inflight_get(inflight, INFLIGHT_DURABLE, 3 << 18, 0); /* three quarters of the bytes */
    assert_true(inflight_is_full(inflight));
    assert_false(inflight_has_room(inflight));
    inflight_put(inflight, slot);
    assert_true(inflight_has_room(inflight));
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
        cmocka_unit_test_setup_teardown(test_stuck_lanes_leave_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_lanes_fill_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_before_the_slots_are_used_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadlines_by_class, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
