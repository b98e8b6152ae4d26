#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "registry/letter.h"

#define HEADER(n, v)                                                                                                   \
    {                                                                                                                  \
        .name = (n), .value = (v), .len = sizeof(v) - 1                                                                \
    }

static const struct kafka_header headers[] = {
    HEADER("trace", "abc"), HEADER("herald-error", "syntax: the value is not a JSON object"),
    HEADER("herald-source", "herald.push/3/17"), HEADER("content-type", "application/json")};

static struct kafka_found found(const char *key, const char *value)
{
    return (struct kafka_found){.record = {.topic = "herald.dlq",
                                           .partition = 1,
                                           .offset = 5,
                                           .timestamp_ms = 1700000000000,
                                           .key = key,
                                           .key_len = key ? strlen(key) : 0,
                                           .value = value,
                                           .len = value ? strlen(value) : 0},
                                .headers = headers,
                                .header_count = 4};
}

static void says_where_it_is_from_and_why(void **state)
{
    (void)state;
    struct kafka_found f = found("42", "{");
    struct letter letter;
    letter_read(&letter, &f);
    assert_string_equal(letter.place, "1/5");
    assert_string_equal(letter.reason, "syntax");
    assert_string_equal(letter.error, "syntax: the value is not a JSON object");
    assert_string_equal(letter.source, "herald.push/3/17");
    assert_string_equal(letter.id, "herald.push-3-17");
    assert_false(letter_is_valueless(&letter));
}

static void one_that_is_not_of_herald_says_nothing(void **state)
{
    (void)state;
    struct kafka_found f = found(NULL, NULL);
    struct letter letter;
    struct kafka_header replayed[LETTER_HEADERS_MAX + 1];
    f.header_count = 1;
    letter_read(&letter, &f);
    assert_string_equal(letter.reason, "");
    assert_string_equal(letter.id, "");
    assert_true(letter_is_valueless(&letter));
    assert_int_equal(letter_replay_headers(&letter, replayed), 1);
}

static void filters(void **state)
{
    (void)state;
    struct kafka_found f = found("42", "{");
    struct letter letter;
    letter_read(&letter, &f);
    static const struct {
        struct letter_filter filter;
        bool is_match;
    } cases[] = {
        {{0}, true},
        {{.reason = "syntax"}, true},
        {{.reason = "syn"}, false},
        {{.key = "42"}, true},
        {{.key = "4"}, false},
        {{.key = ""}, false},
        {{.source = "herald.push/3/17"}, true},
        {{.source = "herald.push/3"}, true},
        {{.source = "herald.push"}, true},
        {{.source = "herald.push/3/1"}, false},
        {{.offset = "1/5"}, true},
        {{.offset = "1/6"}, false},
        {{.reason = "syntax", .key = "43"}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(letter_matches(&letter, &cases[i].filter), cases[i].is_match);
}

static void a_replay_keeps_its_headers_and_its_first_id(void **state)
{
    (void)state;
    struct kafka_found f = found("42", "{}");
    struct kafka_header again[5], replayed[LETTER_HEADERS_MAX + 1];
    struct letter letter;
    letter_read(&letter, &f);
    assert_int_equal(letter_replay_headers(&letter, replayed), 3);
    assert_string_equal(replayed[0].name, "trace");
    assert_string_equal(replayed[1].name, "content-type");
    assert_string_equal(replayed[2].name, "herald-id");
    assert_memory_equal(replayed[2].value, "herald.push-3-17", replayed[2].len);

    /* it failed again: it lies there once more, from another source, with the id it was replayed under */
    memcpy(again, replayed, 3 * sizeof(again[0]));
    again[3] = (struct kafka_header)HEADER("herald-error", "class: bad");
    again[4] = (struct kafka_header)HEADER("herald-source", "herald.push/3/99");
    f.headers = again;
    f.header_count = 5;
    struct letter second;
    letter_read(&second, &f);
    assert_string_equal(second.source, "herald.push/3/99");
    assert_string_equal(second.id, "herald.push-3-17");
    assert_int_equal(letter_replay_headers(&second, replayed), 3);
}

static void what_is_not_text_is_given_in_hexadecimal(void **state)
{
    (void)state;
    struct kafka_found f = found("\xff\x01", "plain");
    struct letter letter;
    letter_read(&letter, &f);
    json_t *document = letter_document(&letter);
    assert_string_equal(json_string_value(json_object_get(document, "keyHex")), "ff01");
    assert_null(json_object_get(document, "key"));
    assert_string_equal(json_string_value(json_object_get(document, "value")), "plain");
    assert_int_equal(json_array_size(json_object_get(document, "headers")), 4);
    assert_string_equal(json_string_value(json_object_get(document, "offset")), "1/5");
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_where_it_is_from_and_why),
        cmocka_unit_test(one_that_is_not_of_herald_says_nothing),
        cmocka_unit_test(filters),
        cmocka_unit_test(a_replay_keeps_its_headers_and_its_first_id),
        cmocka_unit_test(what_is_not_text_is_given_in_hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
