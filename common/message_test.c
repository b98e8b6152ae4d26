#include "message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void test_copy_and_fill(void **state)
{
    (void)state;
    struct message *copy = message_copy("a\0b", 3);
    assert_int_equal(message_len(copy), 3);
    assert_memory_equal(message_bytes(copy), "a\0b", 3);
    message_unref(&copy);
    assert_null(copy);
    struct message *filled = message_new(5);
    memcpy(message_fill(filled), "hello", 5);
    assert_string_equal(message_bytes(filled), "hello"); /* a NUL stands behind */
    message_unref(&filled);
    struct message *empty = message_copy(NULL, 0);
    assert_int_equal(message_len(empty), 0);
    message_unref(&empty);
    message_unref(&empty); /* no-op */
}

/* AddressSanitizer tells when the last one does not free, or an earlier one does. */
static void test_lives_until_the_last_reference(void **state)
{
    (void)state;
    struct message *m = message_copy("shared", 6), *kept[100];
    for (int i = 0; i < 100; i++)
        kept[i] = message_ref(m);
    assert_ptr_equal(kept[99], m);
    message_unref(&m);
    for (int i = 0; i < 100; i++) {
        assert_memory_equal(message_bytes(kept[i]), "shared", 6);
        message_unref(&kept[i]);
        assert_null(kept[i]);
    }
}

static void test_what_is_held_is_counted_once(void **state)
{
    (void)state;
    size_t before = message_held();
    struct message *m = message_new(1000), *again = message_ref(m), *other = message_new(24);
    assert_in_range(message_held() - before, 1024, 1024 + 2 * 64);
    message_set_variant(m, other);
    message_unref(&m);
    assert_in_range(message_held() - before, 1024, 1024 + 2 * 64);
    message_unref(&again);
    assert_int_equal(message_held(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_and_fill),
        cmocka_unit_test(test_lives_until_the_last_reference),
        cmocka_unit_test(test_what_is_held_is_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
