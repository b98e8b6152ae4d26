#include "slabs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { COUNT = 4000 };

static unsigned char *objects[COUNT];

static size_t size_of(size_t i)
{
    return i * 7 % SLABS_SIZE_MAX + 1;
}

static bool move(void *arg, void *from, void *to)
{
    size_t i;
    memcpy(&i, to, sizeof(i));
    assert_ptr_equal(objects[i], from);
    objects[i] = to;
    ++*(size_t *)arg;
    return true;
}

static void test_every_size_has_its_place(void **state)
{
    (void)state;
    struct slabs *slabs = slabs_new("test");
    for (size_t i = 0; i < COUNT; i++) {
        objects[i] = slabs_get(slabs, size_of(i));
        for (size_t k = 0; k < size_of(i); k++)
            assert_int_equal(objects[i][k], 0);
        memset(objects[i], (int)(i % 251 + 1), size_of(i));
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < size_of(i); k++)
            assert_int_equal(objects[i][k], i % 251 + 1);
        slabs_put(objects[i]);
    }
    slabs_free(&slabs);
    assert_null(slabs);
    slabs_free(&slabs);
}

static void test_each_size_is_put_together(void **state)
{
    (void)state;
    struct slabs *slabs = slabs_new("test");
    size_t moved = 0, all = 0;
    for (size_t i = 0; i < COUNT; i++) {
        objects[i] = slabs_get(slabs, i % 2 ? 1000 : 200);
        memcpy(objects[i], &i, sizeof(i));
    }
    for (size_t i = 0; i < COUNT; i++) /* one of ten stays */
        if (i % 10 > 1)
            slabs_put(objects[i]);
    for (size_t step; (step = slabs_compact(slabs, 64, move, &moved)) > 0; all += step)
        assert_true(step <= 64);
    assert_int_equal(all, moved);
    assert_true(moved > COUNT / 10 / 2 && moved <= COUNT / 5);
    for (size_t i = 0; i < COUNT; i++)
        if (i % 10 <= 1)
            slabs_put(objects[i]);
    slabs_free(&slabs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_has_its_place),
        cmocka_unit_test(test_each_size_is_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
