#include "slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { OBJECT_COUNT = 5000, BLOCK = 64 * 1024 };

static uint64_t seed = 42;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void assert_filled(const unsigned char *object, size_t size, unsigned char with)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(object[i], with);
}

/* Each object keeps what was written into it, however others come and go; each new one is zeroed. */
static void check_size(size_t size)
{
    struct slab *slab = slab_new("test", size);
    unsigned char **objects = calloc(OBJECT_COUNT, sizeof(*objects));
    size_t in_use = 0;
    for (size_t step = 0; step < 40000; step++) {
        size_t i = next_random() % (step % 20000 < 10000 ? OBJECT_COUNT : 50);
        if (objects[i]) {
            assert_filled(objects[i], size, (unsigned char)(i % 255 + 1));
            slab_put(slab, objects[i]);
            objects[i] = NULL;
            in_use--;
        } else {
            objects[i] = slab_get(slab);
            assert_int_equal((uintptr_t)objects[i] % 16, 0);
            assert_filled(objects[i], size, 0);
            memset(objects[i], (int)(i % 255 + 1), size);
            in_use++;
        }
        assert_int_equal(slab_in_use(slab), in_use);
        assert_true(slab_bytes(slab) >= in_use * size && slab_bytes(slab) % BLOCK == 0);
    }
    for (size_t i = 0; i < OBJECT_COUNT; i++)
        if (objects[i])
            slab_put(slab, objects[i]);
    assert_int_equal(slab_in_use(slab), 0);
    assert_true(slab_bytes(slab) <= BLOCK);
    free(objects);
    slab_free(&slab);
    assert_null(slab);
    slab_free(&slab);
}

static void test_objects_are_apart_and_zeroed(void **state)
{
    (void)state;
    check_size(1);
    check_size(24);
    check_size(300);
    check_size(4096);
    check_size(16000);
}

static void test_memory_follows_the_load(void **state)
{
    (void)state;
    struct slab *slab = slab_new("test", 512);
    void **objects = calloc(OBJECT_COUNT, sizeof(*objects));
    for (size_t i = 0; i < OBJECT_COUNT; i++)
        objects[i] = slab_get(slab);
    size_t most = slab_bytes(slab);
    assert_true(most >= OBJECT_COUNT * 512 && most < OBJECT_COUNT * 512 * 11 / 10); /* little waste */
    for (size_t i = 0; i < OBJECT_COUNT / 2; i++)
        slab_put(slab, objects[i]);
    assert_true(slab_bytes(slab) <= most / 2 + 2 * BLOCK);
    for (size_t i = OBJECT_COUNT / 2; i < OBJECT_COUNT; i++)
        slab_put(slab, objects[i]);
    assert_true(slab_bytes(slab) <= BLOCK);
    /* one object to and fro: the spare block stays */
    size_t before = slab_bytes(slab);
    for (int i = 0; i < 1000; i++) {
        void *object = slab_get(slab);
        assert_int_equal(slab_bytes(slab), before);
        slab_put(slab, object);
    }
    free(objects);
    slab_free(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_apart_and_zeroed),
        cmocka_unit_test(test_memory_follows_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
