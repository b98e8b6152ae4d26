#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "registry/audit.h"

static struct audit *audit;

static int setup(void **state)
{
    (void)state;
    audit = audit_new();
    audit_begin(audit);
    audit_name(audit, "rt2-r0");
    audit_name(audit, "rt1-r0");
    audit_end(audit);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    audit_free(&audit);
    return 0;
}

#define ROW(partition, accepted, acked, abandoned, in_flight)                                                          \
    "{\"partition\":" #partition ",\"accepted\":" #accepted ",\"outcomes\":{\"acked\":" #acked                         \
    "},\"abandoned\":" #abandoned ",\"inFlight\":" #in_flight ",\"imbalance\":0}"
#define ACCOUNT(timestamp, rows) "{\"timestamp\":" #timestamp ",\"partitions\":[" rows "]}"

static void put(const char *router, const char *text, uint64_t now_ms)
{
    assert_int_equal(audit_put(audit, router, text, strlen(text), now_ms), ERR_OK);
}

static void adds_up(void **state)
{
    (void)state;
    put("rt1-r0", ACCOUNT(1, ROW(0, 10, 7, 1, 2) "," ROW("canary", 3, 3, 0, 0)), 1000);
    put("rt2-r0", ACCOUNT(1, ROW(1, 5, 5, 0, 0)), 1000);
    json_t *document = audit_document(audit, 1500);
    assert_true(json_is_true(json_object_get(document, "balanced")));
    assert_true(json_is_true(json_object_get(document, "complete")));
    assert_int_equal(json_array_size(json_object_get(document, "partitions")), 3);
    assert_int_equal(json_array_size(json_object_get(document, "faults")), 0);
    const json_t *total = json_object_get(document, "total");
    assert_int_equal(json_integer_value(json_object_get(total, "accepted")), 18);
    assert_int_equal(json_integer_value(json_object_get(total, "finished")), 15);
    json_decref(document);
}

/* The routers' own "imbalance":0 is not believed. */
static void names_what_does_not_add_up(void **state)
{
    (void)state;
    put("rt1-r0", ACCOUNT(1, ROW(0, 10, 7, 1, 1) "," ROW(4, 2, 3, 0, 0)), 1000);
    assert_int_equal(audit_imbalance(audit), 2);
    json_t *document = audit_document(audit, 1000);
    assert_true(json_is_false(json_object_get(document, "balanced")));
    const json_t *faults = json_object_get(document, "faults");
    assert_int_equal(json_array_size(faults), 2);
    assert_string_equal(
        json_string_value(json_array_get(faults, 0)),
        "partition 0 of rt1-r0: accepted 10, but outcomes 7 + abandoned 1 + in flight 1: 1 without a fate");
    assert_string_equal(
        json_string_value(json_array_get(faults, 1)),
        "partition 4 of rt1-r0: accepted 2, but outcomes 3 + abandoned 0 + in flight 0: 1 fates too many");
    json_decref(document);
}

static void old_accounts_are_not_complete(void **state)
{
    (void)state;
    put("rt1-r0", ACCOUNT(1, ""), 1000);
    assert_int_equal(audit_unheard(audit, 1000), 1); /* rt2-r0 was never heard */
    put("rt2-r0", ACCOUNT(1, ""), 1000);
    assert_int_equal(audit_unheard(audit, 1000), 0);
    put("rt1-r0", ACCOUNT(2, ""), 1000 + AUDIT_STALE_MS);
    put("rt2-r0", ACCOUNT(1, ""), 1000 + AUDIT_STALE_MS); /* read again, but the same */
    assert_int_equal(audit_unheard(audit, 1000 + AUDIT_STALE_MS), 1);
}

static void the_dead_are_forgotten(void **state)
{
    (void)state;
    put("rt1-r0", ACCOUNT(1, ROW(0, 10, 7, 1, 1)), 1000);
    audit_begin(audit);
    audit_name(audit, "rt2-r0");
    audit_end(audit);
    assert_int_equal(audit_imbalance(audit), 0);
    assert_int_equal(audit_put(audit, "rt1-r0", "{\"partitions\":[]}", 17, 1000), ERR_INVALID);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"partitions\":{}}",
                                      "{\"partitions\":[1]}",
                                      "{\"partitions\":[{\"partition\":1}]}",
                                      ACCOUNT(1, ROW(0, -1, 0, 0, 0)),
                                      ACCOUNT(1, ROW(0, 1, -1, 0, 0)),
                                      ACCOUNT(1, ROW(0, 1, "x", 0, 0)),
                                      ACCOUNT(1, ROW(null, 1, 1, 0, 0))};
    put("rt1-r0", ACCOUNT(1, ROW(0, 10, 7, 1, 1)), 1000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(audit_put(audit, "rt1-r0", bad[i], strlen(bad[i]), 1000), ERR_INVALID);
    assert_int_equal(audit_imbalance(audit), 1); /* what was there stays */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(adds_up),
        TEST(names_what_does_not_add_up),
        TEST(old_accounts_are_not_complete),
        TEST(the_dead_are_forgotten),
        TEST(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
