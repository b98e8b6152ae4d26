#include "gateway/ws/deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/metrics.h"
#include "gateway/ws/frame.h"

static struct deflate *deflater;

/* --- out --- */

static struct message *frame_of(enum frame_opcode opcode, size_t len, bool is_random)
{
    char *payload = malloc(len + 1);
    uint32_t seed = 1;
    for (size_t i = 0; i < len; i++)
        payload[i] = is_random ? (char)((seed = seed * 1664525 + 1013904223) >> 24) : "{\"price\":12.5}"[i % 14];
    struct message *m = frame_new(opcode, payload, len);
    free(payload);
    return m;
}

static void deflated_frames_inflate_to_the_same(void **state)
{
    (void)state;
    static const size_t lens[] = {100, 125, 126, 1000, 65535, 65536, 300000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct message *plain = frame_of(i % 2 ? FRAME_TEXT : FRAME_BINARY, lens[i], false);
        const struct message *m = deflate_frame(deflater, plain);
        const char *bytes = message_bytes(m), *whole = message_bytes(plain);
        assert_true(message_len(m) < message_len(plain));
        assert_int_equal((unsigned char)bytes[0], (unsigned char)whole[0] | 0x40);
        size_t head = frame_head_len(bytes);
        struct buf out;
        buf_init(&out);
        assert_int_equal(deflate_inflate(deflater, bytes + head, message_len(m) - head, lens[i], &out), ERR_OK);
        assert_int_equal(out.len, lens[i]);
        assert_memory_equal(out.bytes, whole + frame_head_len(whole), out.len);
        buf_release(&out);
        message_unref(&plain);
    }
}

static void sent_as_it_is(void **state)
{
    (void)state;
    struct message *frames[] = {frame_of(FRAME_TEXT, 99, false), frame_of(FRAME_TEXT, 5000, true),
                                frame_of(FRAME_PING, 120, false), frame_of(FRAME_TEXT, 0, false)};
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(deflate_frame(deflater, frames[i]), frames[i]);
        assert_ptr_equal(deflate_frame(deflater, frames[i]), frames[i]);
        message_unref(&frames[i]);
    }
}

static void deflated_once(void **state)
{
    (void)state;
    struct message *plain = frame_of(FRAME_TEXT, 1000, false);
    struct message *variant = deflate_frame(deflater, plain), *kept = message_ref(variant);
    assert_ptr_equal(deflate_frame(deflater, plain), variant);
    message_unref(&plain); /* who queued it still has it */
    assert_true(message_len(kept) < 1000);
    message_unref(&kept);
}

/* --- in --- */

static enum err inflate_some(const void *bytes, size_t len, size_t max, struct buf *out)
{
    char *exact = malloc(len ? len : 1); /* of its own, so that reading beyond it is seen */
    memcpy(exact, bytes, len);
    enum err err = deflate_inflate(deflater, exact, len, max, out);
    free(exact);
    return err;
}

static void gives(const char *want, const char *bytes, size_t len)
{
    struct buf out;
    buf_init(&out);
    assert_int_equal(inflate_some(bytes, len, 100, &out), ERR_OK);
    assert_string_equal(out.bytes, want);
    buf_release(&out);
}

static void examples_of_the_rfc(void **state)
{
    (void)state;
    gives("Hello", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);                          /* 7.2.3.1 */
    gives("Hello", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);         /* 7.2.3.3: not compressed */
    gives("Hello", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);                      /* 7.2.3.4: a final block */
    gives("Hello", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13); /* 7.2.3.5: two blocks */
    gives("", "\x00", 1);                                                       /* 7.2.3.6: nothing */
}

static void what_is_not_deflated(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    assert_int_equal(inflate_some("\xff\xff\xff\xff", 4, 1000, &out), ERR_INVALID);
    assert_int_equal(inflate_some("plain text", 10, 1000, &out), ERR_INVALID);
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) { /* whatever it is: it ends, within bounds */
        char noise[40];
        size_t len = (size_t)round % sizeof noise;
        for (size_t i = 0; i < len; i++)
            noise[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
        buf_clear(&out);
        (void)!inflate_some(noise, len, 1000, &out);
        assert_true(out.len <= 1000 + 4096);
    }
    gives("Hello", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7); /* and the next is none the worse */
    buf_release(&out);
}

static void bombs(void **state)
{
    (void)state;
    static char zeros[1 << 20];
    struct message *plain = frame_new(FRAME_BINARY, zeros, sizeof zeros), *m = deflate_frame(deflater, plain);
    size_t head = frame_head_len(message_bytes(m)), len = message_len(m) - head;
    struct buf out;
    buf_init(&out);
    assert_true(len < 10000);
    assert_int_equal(inflate_some(message_bytes(m) + head, len, 65536, &out), ERR_TOO_LARGE);
    assert_true(out.size <= 4 * 65536);
    buf_clear(&out);
    assert_int_equal(inflate_some(message_bytes(m) + head, len, sizeof zeros, &out), ERR_OK);
    buf_clear(&out);
    assert_int_equal(inflate_some(message_bytes(m) + head, len, sizeof zeros - 1, &out), ERR_TOO_LARGE);
    buf_release(&out);
    message_unref(&plain);
}

static int set_up(void **state)
{
    (void)state;
    metric_setup(gateway_metrics, 1);
    deflater = deflate_new(1, 100);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    deflate_free(&deflater);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deflated_frames_inflate_to_the_same),
        cmocka_unit_test(sent_as_it_is),
        cmocka_unit_test(deflated_once),
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(what_is_not_deflated),
        cmocka_unit_test(bombs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
