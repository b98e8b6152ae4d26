#include "gateway/session/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static const struct priority_weights weights = {{16, 4, 1}};

static void add(struct backlog **backlog, uint64_t id, enum priority_class class, uint64_t collapse, bool is_durable)
{
    const struct backlog_entry entry = {.frame = message_new(100),
                                        .id_hash = id,
                                        .collapse_hash = collapse,
                                        .is_durable = is_durable,
                                        .class = (uint8_t) class,
                                        .traffic = is_durable};
    backlog_add(backlog, &entry);
}

static uint64_t take(struct backlog **backlog)
{
    struct backlog_entry entry;
    if (!backlog_take(backlog, &weights, &entry))
        return 0;
    message_unref(&entry.frame);
    return entry.id_hash;
}

static void test_order_and_account(void **state)
{
    struct backlog *backlog = NULL;
    (void)state;
    assert_int_equal(take(&backlog), 0);
    add(&backlog, 1, PRIORITY_LOW, 0, true);
    add(&backlog, 2, PRIORITY_LOW, 0, true);
    add(&backlog, 3, PRIORITY_NORMAL, 0, false);
    add(&backlog, 4, PRIORITY_HIGH, 0, true);
    assert_int_equal(backlog_durable_count(backlog), 3);
    assert_true(backlog_bytes(backlog, true) > 300 && backlog_bytes(backlog, false) > 100);
    assert_int_equal(take(&backlog), 4);
    assert_int_equal(take(&backlog), 3);
    assert_int_equal(take(&backlog), 1);
    assert_int_equal(backlog_durable_count(backlog), 1);
    assert_int_equal(take(&backlog), 2);
    assert_null(backlog);
    assert_int_equal(backlog_bytes(backlog, true), 0);
}

static void test_who_gives_way(void **state)
{
    struct backlog *backlog = NULL;
    struct backlog_entry old;
    const uint64_t order[] = {5, 6, 3, 4};
    (void)state;
    assert_false(backlog_take_oldest(&backlog, false, PRIORITY_HIGH, &old));
    add(&backlog, 1, PRIORITY_HIGH, 0, false);
    add(&backlog, 2, PRIORITY_NORMAL, 0, true);
    add(&backlog, 3, PRIORITY_NORMAL, 0, false);
    add(&backlog, 4, PRIORITY_NORMAL, 0, false);
    add(&backlog, 5, PRIORITY_LOW, 0, false);
    add(&backlog, 6, PRIORITY_LOW, 0, false);
    for (int i = 0; i < 4; i++) {
        assert_true(backlog_take_oldest(&backlog, false, PRIORITY_NORMAL, &old));
        assert_int_equal(old.id_hash, order[i]);
        message_unref(&old.frame);
    }
    assert_false(backlog_take_oldest(&backlog, false, PRIORITY_NORMAL, &old)); /* not one of a higher priority */
    assert_true(backlog_take_oldest(&backlog, false, PRIORITY_HIGH, &old));
    message_unref(&old.frame);
    assert_false(backlog_take_oldest(&backlog, false, PRIORITY_HIGH, &old)); /* not another class of traffic */
    assert_int_equal(backlog_bytes(backlog, false), 0);
    assert_int_equal(take(&backlog), 2);
    assert_null(backlog);
}

static void test_collapse(void **state)
{
    struct backlog *backlog = NULL;
    struct backlog_entry old;
    (void)state;
    add(&backlog, 1, PRIORITY_NORMAL, 77, true);
    add(&backlog, 2, PRIORITY_NORMAL, 0, true);
    const struct backlog_entry durable = {.class = PRIORITY_NORMAL, .collapse_hash = 77, .is_durable = true};
    const struct backlog_entry volatiles = {.class = PRIORITY_NORMAL, .collapse_hash = 77};
    const struct backlog_entry high = {.class = PRIORITY_HIGH, .collapse_hash = 77, .is_durable = true};
    const struct backlog_entry other = {.class = PRIORITY_NORMAL, .collapse_hash = 78, .is_durable = true};
    const struct backlog_entry none = {.class = PRIORITY_NORMAL, .is_durable = true};
    assert_false(backlog_take_older(&backlog, &volatiles, &old));
    assert_false(backlog_take_older(&backlog, &high, &old));
    assert_false(backlog_take_older(&backlog, &other, &old));
    assert_false(backlog_take_older(&backlog, &none, &old));
    assert_true(backlog_take_older(&backlog, &durable, &old));
    assert_int_equal(old.id_hash, 1);
    message_unref(&old.frame);
    assert_false(backlog_take_older(&backlog, &durable, &old));
    assert_true(backlog_take_id(&backlog, 2, &old)); /* the last one */
    message_unref(&old.frame);
    assert_null(backlog);
    assert_false(backlog_take_id(&backlog, 2, &old));
}

/* Whatever is added and taken: within a priority in order, and nothing is left. */
static void test_random(void **state)
{
    struct backlog *backlog = NULL;
    uint64_t added = 0, taken = 0, last[PRIORITY_COUNT] = {0};
    (void)state;
    srand(11);
    while (added < 5000 || backlog) {
        if (added < 5000 && rand() % 2) {
            added++;
            add(&backlog, added, (enum priority_class)(added % PRIORITY_COUNT), 0, rand() % 2);
            continue;
        }
        uint64_t id = take(&backlog);
        if (id == 0)
            continue;
        assert_true(id > last[id % PRIORITY_COUNT]);
        last[id % PRIORITY_COUNT] = id;
        taken++;
    }
    assert_int_equal(taken, added);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_account),
        cmocka_unit_test(test_who_gives_way),
        cmocka_unit_test(test_collapse),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
