#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "router/outcome/audit.h"

static struct audit *audit;

static int setup(void **state)
{
    (void)state;
    audit = audit_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    audit_free(&audit);
    return 0;
}

static void accept(int32_t partition, int count)
{
    for (int i = 0; i < count; i++)
        audit_accepted(audit, partition);
}

static void adds_up(void **state)
{
    (void)state;
    accept(3, 5);
    audit_finished(audit, 3, OUTCOME_ACKED);
    audit_finished(audit, 3, OUTCOME_ACKED);
    audit_finished(audit, 3, OUTCOME_STORED);
    audit_abandoned(audit, 3);
    audit_begin(audit);
    audit_in_flight(audit, 3);
    assert_int_equal(audit_row_imbalance(audit_row(audit, 3)), 0);
    assert_int_equal(audit_imbalance(audit), 0);
    assert_null(audit_row(audit, 2));
    audit_begin(audit);
    assert_int_equal(audit_row_imbalance(audit_row(audit, 3)), 1); /* one has no fate */
}

static void a_missing_and_a_double_fate_do_not_cancel(void **state)
{
    (void)state;
    accept(0, 1);
    accept(1, 1);
    audit_finished(audit, 1, OUTCOME_ACKED);
    audit_finished(audit, 1, OUTCOME_STORED);
    assert_int_equal(audit_row_imbalance(audit_row(audit, 0)), 1);
    assert_int_equal(audit_row_imbalance(audit_row(audit, 1)), -1);
    assert_int_equal(audit_imbalance(audit), 2);
}

static void an_outcome_of_nothing_is_seen(void **state)
{
    (void)state;
    audit_finished(audit, 7, OUTCOME_ACKED);
    assert_int_equal(audit_imbalance(audit), 1);
    assert_non_null(audit_row(audit, 7));
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    accept(AUDIT_PARTITIONS_MAX - 1, 1);
    accept(AUDIT_PARTITIONS_MAX, 2);
    accept(INT32_MAX, 1);
    assert_int_equal(audit_row(audit, AUDIT_PARTITIONS_MAX - 1)->accepted, 1);
    assert_int_equal(audit_row(audit, AUDIT_OTHERS)->accepted, 3);
}

static void is_written_as_json(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    accept(2, 2);
    accept(AUDIT_CANARY, 1);
    audit_finished(audit, 2, OUTCOME_ACKED);
    audit_finished(audit, 2, OUTCOME_DEAD);
    audit_add_json(audit, "rt\"1", 5, 7, &out);
    assert_string_equal(out.bytes,
                        "{\"router\":\"rt\\\"1\",\"generation\":5,\"timestamp\":7,\"imbalance\":1,\"partitions\":["
                        "{\"partition\":\"canary\",\"accepted\":1,\"outcomes\":{},\"abandoned\":0,\"inFlight\":0,"
                        "\"imbalance\":1},"
                        "{\"partition\":2,\"accepted\":2,\"outcomes\":{\"acked\":1,\"dead\":1},\"abandoned\":0,"
                        "\"inFlight\":0,\"imbalance\":0}]}");
    buf_release(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(adds_up),
        TEST(a_missing_and_a_double_fate_do_not_cancel),
        TEST(an_outcome_of_nothing_is_seen),
        TEST(the_table_is_bounded),
        TEST(is_written_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
