/* Which owners of a partition are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "gateway/link/fence.h"

static void test_older_owners_are_refused(void **state)
{
    (void)state;
    struct fence *fence = fence_new();
    assert_true(fence_admits(fence, "p/0/100", 1000, 4));
    assert_true(fence_admits(fence, "p/0/101", 1000, 5)); /* the next owner */
    assert_false(fence_admits(fence, "p/0/102", 1000, 4));
    assert_true(fence_admits(fence, "p/0/102", 1000, 5));
    assert_true(fence_admits(fence, "p/1/7", 1000, 4)); /* another partition */
    assert_true(fence_admits(fence, "p/0/0", 1001, 1)); /* a new life begins low */
    assert_false(fence_admits(fence, "p/0/103", 1000, 9));
    assert_true(fence_admits(fence, "no source", 0, 0));
    assert_true(fence_admits(fence, "", 0, 0));
    fence_free(&fence);
}

static void test_it_is_bounded(void **state)
{
    (void)state;
    char source[32];
    struct fence *fence = fence_new();
    for (int i = 0; i < FENCE_MAX + 10; i++) {
        snprintf(source, sizeof source, "p/%d/1", i);
        assert_true(fence_admits(fence, source, 1000, 5));
    }
    assert_false(fence_admits(fence, "p/0/2", 1000, 4));
    snprintf(source, sizeof source, "p/%d/1", FENCE_MAX);
    assert_true(fence_admits(fence, source, 1000, 4)); /* not kept */
    fence_free(&fence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_older_owners_are_refused),
        cmocka_unit_test(test_it_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
