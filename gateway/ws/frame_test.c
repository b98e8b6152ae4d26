#include "gateway/ws/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/check.h"

static void head_is(uint64_t len, const unsigned char *want, size_t want_len)
{
    unsigned char head[FRAME_HEAD_MAX];
    assert_int_equal(frame_head(head, FRAME_TEXT, len), want_len);
    assert_memory_equal(head, want, want_len);
}

static void lengths_take_their_shortest_form(void **state)
{
    (void)state;
    head_is(0, (unsigned char[]){0x81, 0}, 2);
    head_is(125, (unsigned char[]){0x81, 125}, 2);
    head_is(126, (unsigned char[]){0x81, 126, 0, 126}, 4);
    head_is(65535, (unsigned char[]){0x81, 126, 0xFF, 0xFF}, 4);
    head_is(65536, (unsigned char[]){0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, 10);
    head_is(UINT64_C(0x0102030405060708), (unsigned char[]){0x81, 127, 1, 2, 3, 4, 5, 6, 7, 8}, 10);
}

static void opcodes_are_final_frames(void **state)
{
    (void)state;
    static const enum frame_opcode opcodes[] = {FRAME_TEXT, FRAME_BINARY, FRAME_CLOSE, FRAME_PING, FRAME_PONG};
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        unsigned char head[FRAME_HEAD_MAX];
        frame_head(head, opcodes[i], 3);
        assert_int_equal(head[0], 0x80 | opcodes[i]);
    }
}

static void a_frame_is_head_and_payload(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 125, 126, 65535, 65536};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        char *payload = xmalloc(lens[i] + 1);
        memset(payload, 'x', lens[i]);
        struct message *m = frame_new(FRAME_BINARY, payload, lens[i]);
        unsigned char head[FRAME_HEAD_MAX];
        size_t head_len = frame_head(head, FRAME_BINARY, lens[i]);
        assert_int_equal(message_len(m), head_len + lens[i]);
        assert_memory_equal(message_bytes(m), head, head_len);
        assert_memory_equal(message_bytes(m) + head_len, payload, lens[i]);
        message_unref(&m);
        free(payload);
    }
    struct message *empty = frame_new(FRAME_PING, NULL, 0);
    assert_int_equal(message_len(empty), 2);
    message_unref(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_take_their_shortest_form),
        cmocka_unit_test(opcodes_are_final_frames),
        cmocka_unit_test(a_frame_is_head_and_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
