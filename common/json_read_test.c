/* What is found in a text: members, strings, numbers, truth values, arrays. */
#include "json_scan_test_world.h"

static void test_truncated_anywhere(void **state)
{
    (void)state;
    struct json_span span;
    const char *why = NULL;
    for (size_t len = 0; len < sizeof(whole) - 1; len++)
        assert_int_equal(scan_len(whole, len, &span, &why), ERR_INVALID);
    assert_int_equal(scan_len(whole, sizeof(whole) - 1, &span, &why), ERR_OK);
}

static void test_members_are_found(void **state)
{
    (void)state;
    static const char *const wanted[] = {"id", "to", "content", "ttlMs", "once", "v"};
    struct json_span spans[COUNT(wanted)];
    assert_int_equal(json_scan_object(whole, sizeof(whole) - 1, wanted, COUNT(wanted), spans, NULL, NULL), ERR_OK);
    assert_int_equal(spans[0].kind, JSON_STRING);
    assert_true(spans[0].has_escapes);
    assert_int_equal(spans[1].kind, JSON_OBJECT);
    assert_int_equal(spans[2].kind, JSON_NONE);
    assert_int_equal(spans[3].kind, JSON_NUMBER);
    assert_int_equal(spans[4].kind, JSON_FALSE);
    assert_int_equal(spans[5].len, strlen("[1.10,-2e5,true,null,{\"a\":{}}]"));
    static const char *const inner[] = {"users"};
    struct json_span users;
    assert_int_equal(json_scan_object(spans[1].at, spans[1].len, inner, 1, &users, NULL, NULL), ERR_OK);
    assert_int_equal(users.kind, JSON_ARRAY);
}

static void check_last(const char *text, const char *expected)
{
    struct json_span span;
    assert_int_equal(scan(text, &span), ERR_OK);
    assert_int_equal(span.len, strlen(expected));
    assert_memory_equal(span.at, expected, span.len);
}

static void test_names(void **state)
{
    (void)state;
    check_last("{\"v\":1,\"v\":2}", "2");
    check_last("{\"\\u0076\":3}", "3"); /* a name in disguise is the same name */
    check_last("{\"v\":1,\"\\u0076\":[2]}", "[2]");
    check_last("{\"vv\":9,\"v\":1,\"\":8,\"v\\u0000\":7,\"V\":6,\"v \":5,\"x\":{\"v\":4}}", "1");
}

/* What "to" and, inside it, "user" and "all" are found to be: "to|user|all", `-` for what is not there. */
static void nested_is(const char *text, const char *expected)
{
    static const char *const outer_names[] = {"id", "to"}, *const inner_names[] = {"user", "all"};
    struct json_span spans[2], inner_spans[2];
    const struct json_inner inner = {1, inner_names, 2, inner_spans};
    char found[100] = "bad";
    if (json_scan_nested(text, strlen(text), outer_names, 2, spans, &inner) == ERR_OK) {
        const struct json_span *all[] = {&spans[1], &inner_spans[0], &inner_spans[1]};
        size_t at = 0;
        for (int i = 0; i < 3; i++)
            at += (size_t)snprintf(found + at, sizeof found - at, "%s%.*s", i ? "|" : "",
                                   all[i]->kind == JSON_NONE ? 1 : (int)all[i]->len,
                                   all[i]->kind == JSON_NONE ? "-" : all[i]->at);
    }
    assert_string_equal(found, expected);
    for (int i = 0; strcmp(found, "bad") == 0 && i < 2; i++)
        assert_true(spans[i].kind == JSON_NONE && inner_spans[i].kind == JSON_NONE);
}

static void test_nested(void **state)
{
    (void)state;
    nested_is("{}", "-|-|-");
    nested_is("{\"user\":1,\"all\":2}", "-|-|-"); /* not at the top */
    nested_is("{\"to\":{\"user\":\"a\",\"x\":{\"user\":1}},\"id\":2}", "{\"user\":\"a\",\"x\":{\"user\":1}}|\"a\"|-");
    nested_is("{\"id\":{\"user\":1},\"to\":{\"all\":true}}", "{\"all\":true}|-|true"); /* in no other member */
    nested_is("{\"t\\u006f\":{\"\\u0075ser\":1}}", "{\"\\u0075ser\":1}|1|-");
    nested_is("{\"to\":[{\"user\":1}]}", "[{\"user\":1}]|-|-");
    nested_is("{\"to\":\"user\"}", "\"user\"|-|-");
    nested_is("{\"to\":{\"user\":1},\"to\":{\"all\":2}}", "{\"all\":2}|-|2"); /* the last counts, as a whole */
    nested_is("{\"to\":{\"user\":1},\"to\":null}", "null|-|-");
    nested_is("{\"to\":{\"user\":1}", "bad");
    nested_is("{\"to\":{\"user\":}}", "bad");
    nested_is("{\"to\":{\"user\":1}} x", "bad");
}

static void test_content_byte_for_byte(void **state)
{
    (void)state;
    check_last("{\"x\":0,\"v\": {\"price\": 1.10 ,\r\n \"n\":12345678901234567890, \"s\":\"\\/\\u00E9\", \"e\":1E0} }",
               "{\"price\": 1.10 ,\r\n \"n\":12345678901234567890, \"s\":\"\\/\\u00E9\", \"e\":1E0}");
}

static void test_error_says_where_and_why(void **state)
{
    (void)state;
    struct json_span span;
    const char *why = NULL;
    size_t at = 0;
    const char text[] = "{\"v\":[1,x]}";
    assert_int_equal(json_scan_object(text, strlen(text), names, 1, &span, &why, &at), ERR_INVALID);
    assert_int_equal(at, 8);
    assert_string_equal(why, "not a JSON value");
    assert_int_equal(json_scan_object(text, strlen(text), names, 1, &span, NULL, NULL), ERR_INVALID);
}

static void test_array_walk(void **state)
{
    (void)state;
    struct json_span array, element;
    size_t cursor = 0;
    assert_int_equal(scan_value("[ ]", &array), ERR_OK);
    assert_false(json_scan_array_next(&array, &cursor, &element));
    assert_int_equal(scan_value("[ \"a\" ,[1,2], {\"x\":[3]},\"],\", 4 ]", &array), ERR_OK);
    static const char *const expected[] = {"\"a\"", "[1,2]", "{\"x\":[3]}", "\"],\"", "4"};
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(json_scan_array_next(&array, &cursor, &element));
        assert_int_equal(element.len, strlen(expected[i]));
        assert_memory_equal(element.at, expected[i], element.len);
    }
    assert_false(json_scan_array_next(&array, &cursor, &element));
    assert_false(json_scan_array_next(&array, &cursor, &element));
}

static void check_str(const char *value, const char *expected)
{
    struct json_span span;
    struct buf scratch;
    const char *str = NULL;
    size_t len = 0;
    buf_init(&scratch);
    buf_add_str(&scratch, "kept");
    assert_int_equal(scan_value(value, &span), ERR_OK);
    if (expected) {
        assert_int_equal(json_span_str(&span, &scratch, &str, &len), ERR_OK);
        assert_int_equal(len, strlen(expected));
        assert_memory_equal(str, expected, len);
        assert_true(json_span_is(&span, expected));
        assert_true(span.has_escapes || str == span.at + 1); /* no copy without need */
        char longer[128];
        snprintf(longer, sizeof(longer), "%sx", expected);
        assert_false(json_span_is(&span, longer));
        longer[len ? len - 1 : 0] = '\0';
        assert_true(len == 0 || !json_span_is(&span, longer));
    } else {
        assert_int_equal(json_span_str(&span, &scratch, &str, &len), ERR_INVALID);
        assert_int_equal(scratch.len, 4);
        assert_false(json_span_is(&span, ""));
        assert_false(json_span_is(&span, "a"));
    }
    assert_memory_equal(scratch.bytes, "kept", 4);
    buf_release(&scratch);
}

static void test_str(void **state)
{
    (void)state;
    check_str("\"\"", "");
    check_str("\"plain \xc3\xbc\"", "plain \xc3\xbc");
    check_str("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
    check_str("\"a\\u0041b\"", "aAb");
    check_str("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
    check_str("\"\\ud83d\\uDE00\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    check_str("\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80");
    check_str("\"a\\u0000\"", NULL); /* a NUL would end a user's name early */
    check_str("\"\\u0000\"", NULL);
    check_str("1", NULL);
    check_str("[\"a\"]", NULL);
}

static void check_int(const char *value, bool is_good, int64_t expected)
{
    struct json_span span;
    int64_t number = 0;
    assert_int_equal(scan_value(value, &span), ERR_OK);
    assert_int_equal(json_span_int(&span, &number), is_good ? ERR_OK : ERR_INVALID);
    if (is_good)
        assert_true(number == expected);
}

static void test_int(void **state)
{
    (void)state;
    check_int("0", true, 0);
    check_int("-0", true, 0);
    check_int("-17", true, -17);
    check_int("1750000000000", true, 1750000000000);
    check_int("9223372036854775807", true, INT64_MAX);
    check_int("-9223372036854775808", true, INT64_MIN);
    check_int("9223372036854775808", false, 0);
    check_int("-9223372036854775809", false, 0);
    check_int("92233720368547758070", false, 0);
    check_int("1e3", false, 0);
    check_int("1.0", false, 0);
    check_int("\"1\"", false, 0);
    check_int("true", false, 0);
    struct json_span absent = {0};
    int64_t number;
    assert_int_equal(json_span_int(&absent, &number), ERR_INVALID);
}

static void test_bool(void **state)
{
    (void)state;
    struct json_span span;
    bool value = false;
    assert_int_equal(scan_value("true", &span), ERR_OK);
    assert_int_equal(json_span_bool(&span, &value), ERR_OK);
    assert_true(value);
    assert_int_equal(scan_value("false", &span), ERR_OK);
    assert_int_equal(json_span_bool(&span, &value), ERR_OK);
    assert_false(value);
    assert_int_equal(scan_value("null", &span), ERR_OK);
    assert_int_equal(json_span_bool(&span, &value), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_members_are_found),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_content_byte_for_byte),
        cmocka_unit_test(test_error_says_where_and_why),
        cmocka_unit_test(test_array_walk),
        cmocka_unit_test(test_str),
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_bool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
