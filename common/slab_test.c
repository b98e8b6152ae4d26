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

/* An object that can be moved knows where it is pointed to. */
struct thing {
    struct thing **at;
    uint64_t number;
    bool is_busy;
};

static bool move_thing(void *arg, void *from, void *to)
{
    struct thing *thing = to;
    assert_ptr_equal(*thing->at, from);
    if (thing->is_busy)
        return false;
    *thing->at = thing;
    ++*(size_t *)arg;
    return true;
}

enum { THINGS = 20000 };

/* So many of them, of which one in ten stays, scattered over all blocks; returns how many. */
static size_t scatter(struct slab *slab, struct thing **things)
{
    size_t left = 0;
    for (uint64_t i = 0; i < THINGS; i++) {
        things[i] = slab_get(slab);
        *things[i] = (struct thing){.at = &things[i], .number = i};
    }
    for (size_t i = 0; i < THINGS; i++) {
        if (next_random() % 10 == 0) {
            left++;
            continue;
        }
        slab_put(slab, things[i]);
        things[i] = NULL;
    }
    return left;
}

static void clear(struct slab *slab, struct thing **things)
{
    for (uint64_t i = 0; i < THINGS; i++) {
        if (!things[i])
            continue;
        assert_int_equal(things[i]->number, i); /* what it was stays what it is */
        slab_put(slab, things[i]);
    }
    free(things);
    slab_free(&slab);
}

static void test_those_who_stay_are_put_together(void **state)
{
    (void)state;
    struct slab *slab = slab_new("test", 160);
    struct thing **things = calloc(THINGS, sizeof(*things));
    size_t left = scatter(slab, things), most = slab_bytes(slab), told = 0, moved = 0, step;
    assert_true(most > 5 * left * 160); /* without it, hardly a block is free */
    while ((step = slab_compact(slab, 50, move_thing, &told)) > 0) {
        assert_true(step <= 50);
        moved += step;
        assert_true(moved <= left); /* each once */
    }
    assert_int_equal(told, moved);
    assert_int_equal(slab_in_use(slab), left);
    (void)slab_compact(slab, 50, move_thing, &told); /* the spare block goes when it was of no use for a while */
    assert_true(slab_bytes(slab) <= left * 160 * 8 / 7 + BLOCK);
    assert_int_equal(slab_compact(slab, 50, move_thing, &told), 0);
    clear(slab, things);
}

static void test_what_is_busy_stays_where_it_is(void **state)
{
    (void)state;
    struct slab *slab = slab_new("test", 160);
    struct thing **things = calloc(THINGS, sizeof(*things));
    size_t left = scatter(slab, things), told = 0, tries = 0;
    for (size_t i = 0; i < THINGS; i++)
        if (things[i])
            things[i]->is_busy = true;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(slab_compact(slab, 50, move_thing, &told), 0);
    assert_int_equal(slab_in_use(slab), left);
    for (size_t i = 0; i < THINGS; i++)
        if (things[i])
            things[i]->is_busy = false;
    while (slab_bytes(slab) > left * 160 * 8 / 7 + BLOCK) { /* that they were busy once does not count for ever */
        (void)slab_compact(slab, 50, move_thing, &told);
        assert_true(++tries < THINGS);
    }
    clear(slab, things);
}

static void test_a_full_house_is_left_alone(void **state)
{
    (void)state;
    struct slab *slab = slab_new("test", 160);
    struct thing **things = calloc(THINGS, sizeof(*things));
    size_t told = 0;
    for (uint64_t i = 0; i < THINGS; i++) {
        things[i] = slab_get(slab);
        *things[i] = (struct thing){.at = &things[i], .number = i};
    }
    for (size_t i = 0; i < THINGS; i += 20) {
        slab_put(slab, things[i]);
        things[i] = NULL;
    }
    assert_int_equal(slab_compact(slab, 50, move_thing, &told), 0);
    clear(slab, things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_apart_and_zeroed),    cmocka_unit_test(test_memory_follows_the_load),
        cmocka_unit_test(test_those_who_stay_are_put_together), cmocka_unit_test(test_what_is_busy_stays_where_it_is),
        cmocka_unit_test(test_a_full_house_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
