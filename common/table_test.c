#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_COUNT = 3000, STEP_COUNT = 400000 };

struct thing {
    char key[24];
    uint8_t len;
    bool is_in; /* the model: is it in the table? */
    bool is_seen;
};

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct thing *thing = item;
    return thing->len == key_len && memcmp(thing->key, key, key_len) == 0;
}

/* Keys of every length from 0, with NULs in them. */
static struct thing *make_things(size_t count)
{
    struct thing *things = calloc(count, sizeof(*things));
    for (size_t i = 0; i < count; i++) {
        things[i].len = (uint8_t)(i == 0 ? 0 : 2 + i % (sizeof(things[i].key) - 1));
        memcpy(things[i].key, &(uint16_t){(uint16_t)i}, i == 0 ? 0 : 2);
    }
    return things;
}

static void check_walk(const struct table *table, struct thing *things, size_t count)
{
    for (size_t i = 0; i < count; i++)
        things[i].is_seen = false;
    size_t cursor = 0;
    struct thing *thing;
    uint32_t seen = 0;
    while ((thing = table_next(table, &cursor)) != NULL) {
        assert_true(thing->is_in);
        assert_false(thing->is_seen);
        thing->is_seen = true;
        seen++;
    }
    assert_int_equal(seen, table_count(table));
}

/* Grows, shrinks and grows again, so that every size is passed in both directions. */
static void test_against_a_model(void **state)
{
    (void)state;
    struct table *table = table_new(match);
    struct thing *things = make_things(KEY_COUNT);
    uint32_t count = 0;
    for (size_t step = 0; step < STEP_COUNT; step++) {
        struct thing *thing = &things[next_random() % KEY_COUNT];
        bool is_growing = step / 50000 % 2 == 0;
        assert_ptr_equal(table_find(table, thing->key, thing->len), thing->is_in ? thing : NULL);
        if (!thing->is_in && (is_growing || next_random() % 16 == 0)) {
            table_add(table, thing->key, thing->len, thing);
            thing->is_in = true;
            count++;
        } else if (!is_growing || next_random() % 16 == 0) {
            assert_ptr_equal(table_remove(table, thing->key, thing->len), thing->is_in ? thing : NULL);
            count -= thing->is_in;
            thing->is_in = false;
        }
        assert_int_equal(table_count(table), count);
        if (step % 9973 == 0)
            check_walk(table, things, KEY_COUNT);
    }
    for (size_t i = 0; i < KEY_COUNT; i++)
        assert_ptr_equal(table_remove(table, things[i].key, things[i].len), things[i].is_in ? &things[i] : NULL);
    assert_int_equal(table_count(table), 0);
    size_t cursor = 0;
    assert_null(table_next(table, &cursor));
    table_free(&table);
    assert_null(table);
    table_free(&table);
    free(things);
}

static void test_hash_is_even_and_of_all_bytes(void **state)
{
    (void)state;
    char key[40] = {0};
    assert_int_equal(table_hash("user", 4), table_hash("user", 4));
    for (size_t len = 0; len < sizeof(key); len++) { /* the same bytes, only longer */
        assert_true(len == 0 || table_hash(key, len) != table_hash(key, len - 1));
        for (size_t i = 0; i < len; i++) {
            uint64_t before = table_hash(key, len);
            key[i] ^= 1;
            assert_true(table_hash(key, len) != before);
            key[i] ^= 1;
        }
    }
    unsigned slots[256] = {0};
    for (uint64_t user = 0; user < 256 * 1000; user++)
        slots[table_hash(&user, sizeof(user)) & 255]++;
    for (size_t i = 0; i < 256; i++) /* 1000 each on average, deviation 32: 250 away is one in 10^13 */
        assert_in_range(slots[i], 750, 1250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_hash_is_even_and_of_all_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
