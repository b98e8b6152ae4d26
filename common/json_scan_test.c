/* Which texts are JSON. */
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
#include "json_scan_test_world.h"

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
        cmocka_unit_test(test_agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
