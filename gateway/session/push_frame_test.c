#include "gateway/session/push_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

static Herald__V1__Delivery delivery(const char *id, const char *content)
{
    Herald__V1__Delivery d = HERALD__V1__DELIVERY__INIT;
    d.id = (char *)id;
    d.content = (ProtobufCBinaryData){strlen(content), (uint8_t *)content};
    d.timestamp_ms = 1700000000123;
    d.from = (char *)"orders";
    return d;
}

/* Of a short frame: two bytes of header, then the text. */
static void assert_text(const struct message *m, const char *text)
{
    const unsigned char *bytes = (const unsigned char *)message_bytes(m);
    size_t head = strlen(text) < 126 ? 2 : strlen(text) < 65536 ? 4 : 10;
    assert_int_equal(message_len(m), head + strlen(text));
    assert_int_equal(bytes[0], 0x81);
    assert_memory_equal(bytes + head, text, strlen(text));
}

static void content_byte_for_byte(void **state)
{
    struct push_frame frame;
    Herald__V1__Delivery d = delivery("m1", "{\"n\": 1.10, \"big\":12345678901234567890 }");
    (void)state;
    push_frame_init(&frame);
    push_frame_set(&frame, &d);
    assert_text(push_frame_shared(&frame), "{\"type\":\"push\",\"id\":\"m1\",\"content\":{\"n\": 1.10, "
                                           "\"big\":12345678901234567890 },\"timestamp\":1700000000123,"
                                           "\"from\":\"orders\"}");
    struct message *m = push_frame_with_seq(&frame, 18446744073709551615ULL >> 1);
    assert_text(m, "{\"type\":\"push\",\"id\":\"m1\",\"seq\":9223372036854775807,\"content\":{\"n\": 1.10, "
                   "\"big\":12345678901234567890 },\"timestamp\":1700000000123,\"from\":\"orders\"}");
    message_unref(&m);
    push_frame_release(&frame);
}

static void encoded_once(void **state)
{
    struct push_frame frame;
    Herald__V1__Delivery d = delivery("m1", "1"), other = delivery("m2", "2");
    (void)state;
    push_frame_init(&frame);
    push_frame_set(&frame, &d);
    struct message *m = message_ref(push_frame_shared(&frame));
    assert_ptr_equal(push_frame_shared(&frame), m);
    push_frame_set(&frame, &other);
    assert_text(push_frame_shared(&frame),
                "{\"type\":\"push\",\"id\":\"m2\",\"content\":2,\"timestamp\":1700000000123,\"from\":\"orders\"}");
    assert_text(m, "{\"type\":\"push\",\"id\":\"m1\",\"content\":1,\"timestamp\":1700000000123,\"from\":\"orders\"}");
    message_unref(&m);
    push_frame_release(&frame);
}

static void kinds_and_escapes(void **state)
{
    struct push_frame frame;
    Herald__V1__Delivery d = delivery("a\"b\n", "");
    (void)state;
    d.from = (char *)"";
    d.timestamp_ms = -1;
    push_frame_init(&frame);
    push_frame_set(&frame, &d);
    assert_text(push_frame_shared(&frame),
                "{\"type\":\"push\",\"id\":\"a\\\"b\\n\",\"content\":null,\"timestamp\":-1}");
    d.kind = HERALD__V1__KIND__KIND_BROADCAST;
    push_frame_set(&frame, &d);
    assert_text(push_frame_shared(&frame),
                "{\"type\":\"broadcast\",\"id\":\"a\\\"b\\n\",\"content\":null,\"timestamp\":-1}");
    d.kind = HERALD__V1__KIND__KIND_TOPIC;
    d.topic = (char *)"stock.AAPL";
    push_frame_set(&frame, &d);
    assert_text(push_frame_shared(&frame), "{\"type\":\"topic\",\"topic\":\"stock.AAPL\",\"id\":\"a\\\"b\\n\","
                                           "\"content\":null,\"timestamp\":-1}");
    push_frame_release(&frame);
}

static void long_content(void **state)
{
    struct push_frame frame;
    size_t len = 70000;
    char *content = xmalloc(len + 1);
    (void)state;
    memset(content, '7', len);
    content[len] = '\0';
    Herald__V1__Delivery d = delivery("m", content);
    push_frame_init(&frame);
    push_frame_set(&frame, &d);
    struct message *m = push_frame_with_seq(&frame, 3);
    const unsigned char *bytes = (const unsigned char *)message_bytes(m);
    assert_int_equal(bytes[1], 127); /* a 64-bit length, unmasked */
    uint64_t payload_len = 0;
    for (int i = 2; i < 10; i++)
        payload_len = payload_len << 8 | bytes[i];
    assert_int_equal(payload_len, message_len(m) - 10);
    assert_int_equal(bytes[message_len(m) - 1], '}');
    message_unref(&m);
    push_frame_release(&frame);
    free(content);
}

/* What waited is numbered late, and looks the same: around each size at which the frame's head grows, too. */
static void numbered_late(void **state)
{
    static char content[66000];
    struct push_frame frame;
    (void)state;
    push_frame_init(&frame);
    for (size_t len = 1; len<sizeof content - 1; len += len> 200 && len < 65300 ? 5000 : 1) {
        memset(content, '7', len);
        content[len] = '\0';
        Herald__V1__Delivery d = delivery("m\"1", content);
        push_frame_set(&frame, &d);
        for (uint64_t seq = 1; seq < 2000; seq += 999) {
            struct message *at_once = push_frame_with_seq(&frame, seq);
            struct message *late = push_frame_numbered(push_frame_shared(&frame), push_frame_split(&frame), seq);
            assert_int_equal(message_len(at_once), message_len(late));
            assert_memory_equal(message_bytes(at_once), message_bytes(late), message_len(late));
            message_unref(&at_once);
            message_unref(&late);
        }
    }
    push_frame_release(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_byte_for_byte), cmocka_unit_test(encoded_once),  cmocka_unit_test(kinds_and_escapes),
        cmocka_unit_test(long_content),          cmocka_unit_test(numbered_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
