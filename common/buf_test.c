#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_empty_is_a_string(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    assert_string_equal(buf.bytes, "");
    buf_clear(&buf);
    buf_add(&buf, NULL, 0);
    assert_string_equal(buf.bytes, "");
    buf_release(&buf);
    buf_release(&buf); /* harmless */
    assert_string_equal(buf.bytes, "");
}

static void test_adds(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    buf_add_str(&buf, "a");
    buf_add_char(&buf, 'b');
    buf_add(&buf, "cde", 2);
    buf_add_uint(&buf, 0);
    buf_add_char(&buf, ' ');
    buf_add_uint(&buf, UINT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_int(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_int(&buf, 77);
    buf_printf(&buf, " %s-%d", "x", 5);
    assert_string_equal(buf.bytes, "abcd0 18446744073709551615 -9223372036854775808 77 x-5");
    assert_int_equal(buf.len, strlen(buf.bytes));
    buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.bytes, "");
    buf_release(&buf);
}

/* Every length around every growth, NUL behind it, old bytes kept. */
static void test_grows(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    for (size_t i = 0; i < 5000; i++) {
        buf_add_char(&buf, (char)('a' + i % 26));
        assert_int_equal(buf.len, i + 1);
        assert_int_equal(buf.bytes[i + 1], '\0');
        assert_true(buf.size > buf.len);
    }
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(buf.bytes[i], 'a' + i % 26);
    memset(buf_reserve(&buf, 100000), 'z', 100000);
    buf.len += 100000;
    assert_true(buf.size > buf.len);
    char *long_text = malloc(70001);
    memset(long_text, 'y', 70000);
    long_text[70000] = '\0';
    buf_printf(&buf, "%s", long_text);
    assert_int_equal(buf.len, 175000);
    assert_string_equal(buf.bytes + 105000, long_text);
    free(long_text);
    buf_release(&buf);
}

static void check_json(const char *s, size_t len, const char *expected)
{
    struct buf buf;
    buf_init(&buf);
    buf_add_json_str(&buf, s, len);
    assert_string_equal(buf.bytes, expected);
    buf_release(&buf);
}

static void test_json_str(void **state)
{
    (void)state;
    check_json("", 0, "\"\"");
    check_json("plain /", 7, "\"plain /\"");
    check_json("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
    check_json("\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"");
    check_json("\0\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\"");
    check_json("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"");
    check_json("a\xff\xc3", 3, "\"a\xef\xbf\xbd\xef\xbf\xbd\""); /* never invalid on the wire */
}

/* What another library reads back is what went in. */
static void test_json_str_reads_back(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    for (unsigned point = 1; point < 0x11000; point = point < 0x900 ? point + 1 : point + 251) {
        if (point >= 0xd800 && point <= 0xdfff)
            continue;
        char text[8];
        int n = point < 0x80      ? snprintf(text, sizeof(text), "%c", (char)point)
                : point < 0x800   ? snprintf(text, sizeof(text), "%c%c", 0xc0 | point >> 6, 0x80 | (point & 63))
                : point < 0x10000 ? snprintf(text, sizeof(text), "%c%c%c", 0xe0 | point >> 12, 0x80 | (point >> 6 & 63),
                                             0x80 | (point & 63))
                                  : snprintf(text, sizeof(text), "%c%c%c%c", 0xf0 | point >> 18,
                                             0x80 | (point >> 12 & 63), 0x80 | (point >> 6 & 63), 0x80 | (point & 63));
        buf_clear(&buf);
        buf_add_json_str(&buf, text, (size_t)n);
        json_t *read = json_loadb(buf.bytes, buf.len, JSON_DECODE_ANY, NULL);
        assert_non_null(read);
        assert_string_equal(json_string_value(read), text);
        json_decref(read);
    }
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_is_a_string),
        cmocka_unit_test(test_adds),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_json_str),
        cmocka_unit_test(test_json_str_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
