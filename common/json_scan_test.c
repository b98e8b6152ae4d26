#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Both name their kinds alike; jansson is only the judge here, so its names give way. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_scan.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const names[] = {"v"};

/* The text in memory of exactly its length, so that AddressSanitizer sees a read beyond it. */
static enum err scan_len(const char *text, size_t len, struct json_span *span_r, const char **why_r)
{
    static char *copy;
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    size_t at = SIZE_MAX;
    enum err err = json_scan_object(copy, len, names, 1, span_r, why_r, &at);
    if (err != ERR_OK) {
        assert_int_equal(err, ERR_INVALID);
        assert_int_equal(span_r->kind, JSON_NONE);
        assert_true(at <= len);
        assert_non_null(*why_r);
    }
    if (len == 0) {
        free(copy);
        copy = NULL;
    }
    return err;
}

static enum err scan(const char *text, struct json_span *span_r)
{
    const char *why = NULL;
    return scan_len(text, strlen(text), span_r, &why);
}

/* {"v":VALUE} */
static enum err scan_value(const char *value, struct json_span *span_r)
{
    char text[1024];
    snprintf(text, sizeof(text), "{\"v\":%s}", value);
    return scan(text, span_r);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int kind;
    } cases[] = {
        {"{}", JSON_OBJECT},        {"{ }", JSON_OBJECT},   {"{\"a\":{\"b\":[]}}", JSON_OBJECT},
        {"[]", JSON_ARRAY},         {"[ ]", JSON_ARRAY},    {"[1,\"a\",null,[true,false],{}]", JSON_ARRAY},
        {"\"\"", JSON_STRING},      {"\"a\"", JSON_STRING}, {"\"\\u00fc\"", JSON_STRING},
        {"true", JSON_TRUE},        {"false", JSON_FALSE},  {"null", JSON_NULL},
        {"0", JSON_NUMBER},         {"-0", JSON_NUMBER},    {"1.10", JSON_NUMBER},
        {"-12.5e+10", JSON_NUMBER}, {"0e1", JSON_NUMBER},   {"1E-2", JSON_NUMBER},
        {"1e99999", JSON_NUMBER},   {"0.0", JSON_NUMBER},   {"12345678901234567890123", JSON_NUMBER},
        {"\"\x7f\"", JSON_STRING},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_span span;
        assert_int_equal(scan_value(cases[i].value, &span), ERR_OK);
        assert_int_equal(span.kind, cases[i].kind);
        assert_int_equal(span.len, strlen(cases[i].value)); /* byte for byte */
        assert_memory_equal(span.at, cases[i].value, span.len);
    }
}

static const char *const bad_values[] = {
    /* numbers */
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "0x10",
    "-a",
    "1 2",
    "--1",
    "00",
    "-01",
    "1.2.3",
    "NaN",
    "Infinity",
    "1_000",
    "\xef\xbc\x91",
    /* words */
    "True",
    "tru",
    "truee",
    "nul",
    "undefined",
    "",
    "'a'",
    "a",
    "\xff",
    /* strings */
    "\"",
    "\"\\\"",
    "\"a\nb\"",
    "\"\t\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\U0041\"",
    "\"\\0\"",
    "\"\\a\"",
    "\"\\'\"",
    "\"\\u 123\"",
    "\"\\u-123\"",
    "\"\\\"",
    /* half surrogate pairs */
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\u0041\"",
    "\"\\uD83D\\\"",
    /* UTF-8: alone, cut, overlong, surrogates, too high */
    "\"\x80\"",
    "\"\xbf\"",
    "\"\xc3\"",
    "\"\xc3(\"",
    "\"\xe2\x82\"",
    "\"\xf0\x9f\x98\"",
    "\"\xc0\xaf\"",
    "\"\xc1\xbf\"",
    "\"\xe0\x80\xaf\"",
    "\"\xe0\x9f\xbf\"",
    "\"\xf0\x80\x80\xaf\"",
    "\"\xf0\x8f\xbf\xbf\"",
    "\"\xed\xa0\x80\"",
    "\"\xed\xbf\xbf\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\"\xfe\"",
    "\"\xff\"",
    "\"01234567\xc3\"",
    "\"0123456\x80\x38\"",
    /* arrays and objects */
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "[1,,2]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{a:1}",
    "{1:1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{'a':1}",
    "[1]]",
    "{}}",
    "// c\n1",
    "/*c*/1",
    "1,",
};

static void test_bad_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_values); i++) {
        struct json_span span;
        if (scan_value(bad_values[i], &span) != ERR_INVALID)
            fail_msg("was taken: %s", bad_values[i]);
    }
}

static void test_bad_texts(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        " ",
        "[]",
        "1",
        "\"a\"",
        "null",
        "{}{}",
        "{} x",
        "{},",
        "\xef\xbb\xbf{}",
        "{\"v\":1}\v",
        "\f{}",
        "{\"v\"}",
        "{\"v\":1,}",
        "{,\"v\":1}",
        "x{}",
    };
    struct json_span span;
    const char *why = NULL;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (scan(cases[i], &span) != ERR_INVALID)
            fail_msg("was taken: %s", cases[i]);
    assert_int_equal(scan_len("{}\0", 3, &span, &why), ERR_INVALID);
    assert_int_equal(scan_len("{\"v\":\"a\0b\"}", 11, &span, &why), ERR_INVALID);
    assert_int_equal(scan(" \t\r\n{ \"v\" \n:\t1 \r, \"w\" : [ 1 , 2 ] } \n", &span), ERR_OK);
    assert_int_equal(span.len, 1);
}

static void test_utf8_edges_are_taken(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\"\xc2\x80\"",         "\"\xdf\xbf\"",         "\"\xe0\xa0\x80\"",
        "\"\xed\x9f\xbf\"",     "\"\xee\x80\x80\"",     "\"\xef\xbf\xbf\"",
        "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\"", "\"01234567\xc3\xbc\x38\"",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_span span;
        assert_int_equal(scan_value(cases[i], &span), ERR_OK);
        assert_false(span.has_escapes);
    }
}

/* Quote, backslash, control and wide bytes at every place of the eight that are looked at together. */
static void test_odd_byte_at_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++)
        for (size_t at = 0; at < len; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                char text[64] = "{\"v\":\"";
                memset(text + 6, 'a', len);
                text[6 + at] = (char)byte;
                memcpy(text + 6 + len, "\"}", 2);
                struct json_span span;
                const char *why = NULL;
                bool is_escape = byte == '\\' && at + 1 < len; /* \a is none */
                bool is_good = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && !is_escape;
                assert_int_equal(scan_len(text, len + 8, &span, &why), is_good ? ERR_OK : ERR_INVALID);
            }
}

static void test_depth(void **state)
{
    (void)state;
    for (int depth = JSON_DEPTH_MAX - 3; depth < JSON_DEPTH_MAX + 3; depth++) {
        char value[512] = "";
        memset(value, '[', (size_t)depth - 1); /* the object around them is one */
        memset(value + depth - 1, ']', (size_t)depth - 1);
        struct json_span span;
        assert_int_equal(scan_value(value, &span), depth <= JSON_DEPTH_MAX ? ERR_OK : ERR_INVALID);
        if (depth > JSON_DEPTH_MAX)
            continue;
        size_t cursor = 0;
        struct json_span element;
        assert_true(json_scan_array_next(&span, &cursor, &element));
        assert_int_equal(element.len, span.len - 2);
    }
    char *many = malloc(1000001);
    memset(many, '[', 1000000);
    memcpy(many, "{\"v\":", 5);
    many[1000000] = '\0';
    struct json_span span;
    assert_int_equal(scan(many, &span), ERR_INVALID); /* and no stack is used up */
    free(many);
}

static const char whole[] = " {\"id\":\"m\\u0031\\ud83d\\ude00\", "
                            "\"to\":{\"users\":[\"42\",\"gr\xc3\xbc\xc3\x9f\"]},\"v\":[1.10,-2e5,true,null,"
                            "{\"a\":{}}],\"ttlMs\":60000,\"once\":false}";

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

/* Texts broken at random: we and jansson agree on every one, save where jansson has limits of its own. */
static void test_agrees_with_jansson(void **state)
{
    (void)state;
    static const char pieces[] =
        "{}[]:,\"\"\\\\/bfnrtu00123456789deADE.+- \n\x01\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\xffvxl";
    uint64_t seed = 20260102;
    size_t taken = 0;
    for (int round = 0; round < 300000; round++) {
        char text[sizeof(whole)];
        memcpy(text, whole, sizeof(whole));
        size_t len = sizeof(whole) - 1;
        int changes = 1 + round % 3;
        for (int i = 0; i < changes; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t at = (seed >> 33) % len;
            if (seed >> 62 == 0) /* a byte less */
                memmove(text + at, text + at + 1, len-- - at);
            else
                text[at] = pieces[(seed >> 20) % (sizeof(pieces) - 1)];
        }
        struct json_span span;
        const char *why = NULL;
        enum err err = scan_len(text, len, &span, &why);
        json_error_t error = {0};
        json_t *json = json_loadb(text, len, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
        int code = json ? 0 : json_error_code(&error);
        taken += json != NULL;
        json_decref(json);
        if (code == json_error_numeric_overflow || code == json_error_null_byte_in_key)
            continue;
        if ((err == ERR_OK) != (code == 0))
            fail_msg("%s (we: %s, jansson: %s)", text, why ? why : "ok", error.text);
    }
    assert_in_range(taken, 10000, 290000); /* else it shows little */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_utf8_edges_are_taken),
        cmocka_unit_test(test_odd_byte_at_every_place),
        cmocka_unit_test(test_depth),
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
        cmocka_unit_test(test_agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
