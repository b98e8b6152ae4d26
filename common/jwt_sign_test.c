#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "jwt_sign.h"

/* The expected tokens were made with another implementation (Python's hmac, json and base64 modules). */
static void signs_as_another_implementation(void **state)
{
    (void)state;
    struct jwt_claims claims = {.user = "42", .issued_s = 1700000000, .expires_s = 1700003600};
    char *token = jwt_sign_hs256(&claims, "secret", 6);
    assert_string_equal(
        token, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ."
               "Rpk2TIu0CSo_3wGKk8OHAVZuRopBdB0E1IKSB3lNR_s");
    free(token);
}

static void device_is_a_claim(void **state)
{
    (void)state;
    struct jwt_claims claims = {.user = "a\"b", .device = "web-1", .issued_s = 1, .expires_s = 2};
    char *token = jwt_sign_hs256(&claims, "another secret", 14);
    assert_string_equal(
        token, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhXCJiIiwiaWF0IjoxLCJleHAiOjIsImRldiI6IndlYi0xIn0."
               "dlO5oMrmxtWrDu62wYm_W9Jc9hGvWV9mxsn_wayF1Xk");
    free(token);
}

static void empty_device_is_left_out(void **state)
{
    (void)state;
    struct jwt_claims without = {.user = "u", .issued_s = 1, .expires_s = 2};
    struct jwt_claims empty = {.user = "u", .device = "", .issued_s = 1, .expires_s = 2};
    char *a = jwt_sign_hs256(&without, "s", 1), *b = jwt_sign_hs256(&empty, "s", 1);
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void secret_matters(void **state)
{
    (void)state;
    struct jwt_claims claims = {.user = "u", .issued_s = 1, .expires_s = 2};
    char *a = jwt_sign_hs256(&claims, "s1", 2), *b = jwt_sign_hs256(&claims, "s2", 2);
    assert_string_not_equal(a, b);
    free(a);
    free(b);
}

static void broken_utf8_is_refused(void **state)
{
    (void)state;
    struct jwt_claims user = {.user = "\xff", .issued_s = 1, .expires_s = 2};
    assert_null(jwt_sign_hs256(&user, "s", 1));
    struct jwt_claims device = {.user = "u", .device = "\xc3", .issued_s = 1, .expires_s = 2};
    assert_null(jwt_sign_hs256(&device, "s", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_another_implementation), cmocka_unit_test(device_is_a_claim),
        cmocka_unit_test(empty_device_is_left_out),        cmocka_unit_test(secret_matters),
        cmocka_unit_test(broken_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
