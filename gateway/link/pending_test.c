#include "gateway/link/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#define WRITTEN HERALD__V1__RESULT_KIND__RESULT_WRITTEN
#define ACKED HERALD__V1__RESULT_KIND__RESULT_ACKED
#define NOT_HERE HERALD__V1__RESULT_KIND__RESULT_NOT_HERE
#define CLOSED HERALD__V1__RESULT_KIND__RESULT_CLOSED
#define REFUSED HERALD__V1__RESULT_KIND__RESULT_REFUSED

static struct {
    unsigned count;
    Herald__V1__Result last;
    char reason[32], device[32];
    void *owner;
} told;
static struct pendings *pendings;

static void tell(void *arg, void *owner, const Herald__V1__Result *result)
{
    assert_ptr_equal(arg, &told);
    told.count++;
    told.last = *result;
    told.owner = owner;
    strncpy(told.reason, result->reason, sizeof told.reason - 1);
    strncpy(told.device, result->device, sizeof told.device - 1);
}

static int setup(void **state)
{
    (void)state;
    memset(&told, 0, sizeof told);
    pendings = pendings_new(tell, &told);
    return 0;
}

/* Whatever happened: one result, and nothing is left behind. */
static int teardown(void **state)
{
    (void)state;
    assert_int_equal(told.count, 1);
    assert_int_equal(told.last.slot, 3);
    assert_int_equal(told.last.slot_generation, 9);
    assert_ptr_equal(told.owner, &pendings);
    assert_int_equal(pendings_count(pendings), 0);
    pendings_free(&pendings);
    return 0;
}

static struct pending *expect(bool is_broadcast)
{
    return pending_new(pendings, &pendings, 3, 9, is_broadcast, UINT32_MAX - 9);
}

static void report(struct pending *p, Herald__V1__ResultKind kind, const char *reason, const char *device)
{
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    result.kind = kind;
    result.reason = (char *)reason;
    result.device = (char *)device;
    result.seq = kind == ACKED ? 5 : 0;
    pending_report(p, &result, 20); /* 30 ms after: the clock has wrapped around */
}

static void nobody(void **state)
{
    (void)state;
    pending_seal(expect(false), 0);
    assert_int_equal(told.last.kind, NOT_HERE);
}

static void first_ack_counts(void **state)
{
    struct pending *p = expect(false);
    (void)state;
    pending_seal(p, 3);
    report(p, CLOSED, "", "");
    assert_int_equal(told.count, 0);
    report(p, ACKED, "", "web");
    assert_int_equal(told.count, 1);
    report(p, ACKED, "", "phone");
    assert_int_equal(told.last.kind, ACKED);
    assert_string_equal(told.device, "web");
    assert_int_equal(told.last.seq, 5);
}

/* What was not the client's time was the gateway's; of the first that acknowledged. */
static void time_is_shared_out(void **state)
{
    struct pending *p = expect(false);
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    (void)state;
    pending_seal(p, 2);
    result.kind = ACKED;
    result.client_ms = 25;
    pending_report(p, &result, 20);
    assert_int_equal(told.last.gateway_ms, 5);
    assert_int_equal(told.last.client_ms, 25);
    pending_report(p, &result, 1000);
}

static void time_is_never_negative(void **state)
{
    struct pending *p = expect(false);
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    (void)state;
    pending_seal(p, 1);
    result.kind = ACKED;
    result.client_ms = 31;
    pending_report(p, &result, 20);
    assert_int_equal(told.last.gateway_ms, 0);
}

static void all_must_fail(void **state)
{
    struct pending *p = expect(false);
    (void)state;
    report(p, REFUSED, "window", ""); /* within the delivery, before the seal */
    pending_seal(p, 2);
    assert_int_equal(told.count, 0);
    report(p, CLOSED, "", "");
    assert_int_equal(told.last.kind, REFUSED);
    assert_string_equal(told.reason, "window");
}

static void refused_at_once(void **state)
{
    struct pending *p = expect(false);
    (void)state;
    report(p, REFUSED, "draining", "");
    assert_int_equal(told.count, 0); /* others may still take it */
    pending_seal(p, 1);
    assert_int_equal(told.last.kind, REFUSED);
    assert_string_equal(told.reason, "draining");
}

static void volatile_written_once(void **state)
{
    struct pending *p = expect(false);
    (void)state;
    pending_seal(p, 2);
    report(p, REFUSED, "slow", "");
    report(p, WRITTEN, "", "");
    assert_int_equal(told.last.kind, WRITTEN);
    assert_int_equal(told.last.count, 0);
}

static void broadcast_counts(void **state)
{
    struct pending *p = expect(true);
    (void)state;
    pending_seal(p, 3);
    report(p, WRITTEN, "", "");
    report(p, REFUSED, "slow", "");
    assert_int_equal(told.count, 0);
    report(p, WRITTEN, "", "");
    assert_int_equal(told.last.kind, WRITTEN);
    assert_int_equal(told.last.count, 2);
}

static void broadcast_to_nobody(void **state)
{
    (void)state;
    pending_seal(expect(true), 0);
    assert_int_equal(told.last.kind, WRITTEN);
    assert_int_equal(told.last.count, 0);
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(nobody),
        test(first_ack_counts),
        test(time_is_shared_out),
        test(time_is_never_negative),
        test(all_must_fail),
        test(refused_at_once),
        test(volatile_written_once),
        test(broadcast_counts),
        test(broadcast_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
