#include "recycle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef __SANITIZE_ADDRESS__
enum { IS_KEEPING = 0 };
#else
enum { IS_KEEPING = 1 };
#endif

static void what_was_given_back_is_taken_again(void **state)
{
    (void)state;
    void *a = recycle_get(100), *b = recycle_get(128);
    memset(a, 1, 100);
    memset(b, 1, 128);
    recycle_put(a, 100);
    assert_int_equal(recycle_kept(), IS_KEEPING * 128);
    if (IS_KEEPING)
        assert_ptr_equal(recycle_get(65), a); /* of the same class */
    else
        a = recycle_get(65);
    memset(a, 2, 65);
    assert_int_equal(recycle_kept(), 0);
    recycle_put(a, 65);
    recycle_put(b, 128);
    recycle_put(NULL, 5);
    recycle_trim();
    assert_int_equal(recycle_kept(), 0);
}

static void each_size_has_room(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) { /* fresh, and taken again */
        void *blocks[RECYCLE_SIZE_MAX / 7 + 1];
        for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
            memset(blocks[i] = recycle_get(7 * i + 1), (int)i, 7 * i + 1);
        for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
            for (size_t at = 0; at < 7 * i + 1; at++)
                assert_int_equal(((unsigned char *)blocks[i])[at], i & 255);
            recycle_put(blocks[i], 7 * i + 1);
        }
    }
    recycle_trim();
}

static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        blocks[i] = recycle_get(1000);
    for (int i = 0; i < COUNT; i++)
        recycle_put(blocks[i], 1000);
    assert_true(recycle_kept() <= RECYCLE_KEPT_MAX);
    assert_int_equal(recycle_kept() > RECYCLE_KEPT_MAX - 1024, IS_KEEPING);
    size_t kept = recycle_kept();
    recycle_put(recycle_get(1 << 20), 1 << 20); /* large ones are not kept */
    assert_int_equal(recycle_kept(), kept);
    recycle_trim();
    assert_int_equal(recycle_kept(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_back_is_taken_again),
        cmocka_unit_test(each_size_has_room),
        cmocka_unit_test(what_is_kept_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
