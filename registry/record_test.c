#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "registry/record.h"

static void check(const char *text, const char *key, const char *id, const char *produced)
{
    struct record r;
    const char *why;
    record_init(&r);
    assert_int_equal(record_read(&r, text, strlen(text), "new-1", &why), ERR_OK);
    assert_string_equal(r.key, key);
    assert_string_equal(r.id, id);
    assert_string_equal(r.text.bytes, produced);
    record_release(&r);
}

static void record_with_an_id_passes_as_it_is(void **state)
{
    (void)state;
    const char *text = "{ \"id\":\"m1\", \"to\":{\"user\":\"42\"}, \"content\":{\"n\":1.10} }";
    check(text, "42", "m1", text);
}

static void record_without_an_id_gets_one_in_front(void **state)
{
    (void)state;
    check(" {\"to\":{\"user\":\"42\",\"device\":\"d\"},\"content\":12345678901234567890.5}", "42", "new-1",
          "{\"id\":\"new-1\",\"to\":{\"user\":\"42\",\"device\":\"d\"},\"content\":12345678901234567890.5}");
}

static void key_is_the_first_user_or_none(void **state)
{
    (void)state;
    check("{\"id\":\"m\",\"to\":{\"users\":[\"7\",\"8\"]},\"content\":1}", "7", "m",
          "{\"id\":\"m\",\"to\":{\"users\":[\"7\",\"8\"]},\"content\":1}");
    check("{\"id\":\"m\",\"to\":{\"all\":true},\"content\":null}", "", "m",
          "{\"id\":\"m\",\"to\":{\"all\":true},\"content\":null}");
}

static void others_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "\"x\"",
        "{\"to\":1,\"content\":1}",
        "{\"to\":{\"user\":\"1\"}}",
        "{\"id\":1,\"to\":{\"user\":\"1\"},\"content\":1}",
        "{\"id\":\"\",\"to\":{\"user\":\"1\"},\"content\":1}",
        "{\"to\":{\"user\":\"1\"},\"content\":1} x",
        "{\"to\":{\"user\":\"1\"},\"to\":{\"user\":\"2\"},\"content\":1}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct record r;
        const char *why = NULL;
        record_init(&r);
        assert_int_equal(record_read(&r, bad[i], strlen(bad[i]), "new-1", &why), ERR_INVALID);
        assert_non_null(why);
        record_release(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_with_an_id_passes_as_it_is),
        cmocka_unit_test(record_without_an_id_gets_one_in_front),
        cmocka_unit_test(key_is_the_first_user_or_none),
        cmocka_unit_test(others_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
