#include "gateway/session/client_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static struct client_message parse(const char *text)
{
    struct client_message message;
    const char *why;
    client_message_parse(text, strlen(text), &message, &why);
    assert_true((message.type == CLIENT_MESSAGE_BAD) == (why != NULL));
    return message;
}

static void types(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"type\":\"auth\"}").type, CLIENT_MESSAGE_AUTH);
    assert_int_equal(parse(" { \"x\" : [1,{}] , \"type\":\"heartbeat\" } ").type, CLIENT_MESSAGE_HEARTBEAT);
    assert_int_equal(parse("{\"type\":\"ack\"}").type, CLIENT_MESSAGE_ACK);
    assert_int_equal(parse("{\"type\":\"message\"}").type, CLIENT_MESSAGE_MESSAGE);
    assert_int_equal(parse("{\"type\":\"a\\u0063k\"}").type, CLIENT_MESSAGE_ACK);
    assert_int_equal(parse("{\"type\":\"acks\"}").type, CLIENT_MESSAGE_UNKNOWN);
    assert_int_equal(parse("{\"type\":\"unknown\"}").type, CLIENT_MESSAGE_UNKNOWN);
    assert_int_equal(parse("{\"type\":\"bad\"}").type, CLIENT_MESSAGE_UNKNOWN);
    assert_int_equal(parse("{\"type\":7}").type, CLIENT_MESSAGE_UNKNOWN);
    assert_int_equal(parse("{}").type, CLIENT_MESSAGE_UNKNOWN);
}

static void bad_json(void **state)
{
    static const char *const texts[] = {
        "",        "[]",        "1", "{\"type\":\"ack\"", "{\"type\":\"ack\"}x", "{type:1}", "{\"type\":\"ack\",}",
        "\"ack\"", "{\"a\":01}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(parse(texts[i]).type, CLIENT_MESSAGE_BAD);
}

/* A text cut anywhere is no message, and is never read beyond its end. */
static void every_prefix(void **state)
{
    static const char text[] = "{\"type\":\"message\",\"id\":\"c\\u00e9\",\"to\":null,\"content\":{\"a\":[1,2.5e3]}}";
    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct client_message message;
        const char *why;
        client_message_parse(text, len, &message, &why);
        assert_int_equal(message.type, CLIENT_MESSAGE_BAD);
    }
    assert_int_equal(parse(text).type, CLIENT_MESSAGE_MESSAGE);
}

static void fields(void **state)
{
    struct client_message m = parse("{\"type\":\"message\",\"id\":\"c\\\"1\",\"content\": {\"n\":1.10} ,\"seq\":12,"
                                    "\"deviceId\":5}");
    struct buf scratch;
    const char *text;
    size_t len;
    int64_t seq;
    (void)state;
    buf_init(&scratch);
    assert_int_equal(client_message_str(&m, CLIENT_FIELD_ID, &scratch, &text, &len), ERR_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(text, "c\"1", 3);
    assert_int_equal(client_message_str(&m, CLIENT_FIELD_USER, &scratch, &text, &len), ERR_OK);
    assert_null(text);
    assert_int_equal(client_message_str(&m, CLIENT_FIELD_DEVICE, &scratch, &text, &len), ERR_INVALID);
    assert_int_equal(m.fields[CLIENT_FIELD_CONTENT].len, strlen("{\"n\":1.10}"));
    assert_memory_equal(m.fields[CLIENT_FIELD_CONTENT].at, "{\"n\":1.10}", m.fields[CLIENT_FIELD_CONTENT].len);
    assert_int_equal(json_span_int(&m.fields[CLIENT_FIELD_SEQ], &seq), ERR_OK);
    assert_int_equal(seq, 12);
    assert_int_equal(m.fields[CLIENT_FIELD_TO].kind, JSON_NONE);
    buf_release(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(bad_json),
        cmocka_unit_test(every_prefix),
        cmocka_unit_test(fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
