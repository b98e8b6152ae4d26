#include "gateway/ws/ws_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/buf.h"
#include "gateway/metrics.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/frame.h"

enum { MESSAGE_MAX = 70000 };
enum { CONT = 0x0, TEXT = 0x1, BINARY = 0x2, CLOSE = 0x8, PING = 0x9, PONG = 0xA, FIN = 0x80, MASK = 0x80 };

/* A client's frame; `first` is the whole first byte. */
static void add_frame(struct buf *out, unsigned first, const void *payload, size_t len)
{
    static const unsigned char key[4] = {0x37, 0xFA, 0x21, 0x3D};
    buf_add_char(out, (char)first);
    if (len < 126) {
        buf_add_char(out, (char)(MASK | len));
    } else if (len <= 0xFFFF) {
        buf_add_char(out, (char)(MASK | 126));
        buf_add_char(out, (char)(len >> 8));
        buf_add_char(out, (char)len);
    } else {
        buf_add_char(out, (char)(MASK | 127));
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_add_char(out, (char)((uint64_t)len >> shift));
    }
    buf_add(out, key, sizeof(key));
    for (size_t i = 0; i < len; i++)
        buf_add_char(out, (char)(((const unsigned char *)payload)[i] ^ key[i % 4]));
}

static void add_text(struct buf *out, unsigned first, const char *text)
{
    add_frame(out, first, text, strlen(text));
}

/* What came out, as one line: T(text) B(n) ping(text) pong(text) close(code,reason) broken(code) */
static void add_item(struct buf *log, const struct ws_item *item)
{
    static const char *const names[] = {
        [WS_ITEM_TEXT] = "text", [WS_ITEM_BINARY] = "binary", [WS_ITEM_PING] = "ping",
        [WS_ITEM_PONG] = "pong", [WS_ITEM_CLOSE] = "close",   [WS_ITEM_BROKEN] = "broken"};
    buf_printf(log, "%s(", names[item->kind]);
    if (item->kind == WS_ITEM_CLOSE || item->kind == WS_ITEM_BROKEN)
        buf_printf(log, "%u", item->close_code);
    if (item->len > 200)
        buf_printf(log, "%zu bytes", item->len);
    else
        buf_add(log, item->bytes, item->len);
    buf_add_char(log, ')');
}

/* Feeds in pieces of `step` bytes; the codec goes back to the pool whenever it is idle, as in a connection. */
static void run(const struct buf *in, size_t step, bool is_deflate, struct buf *log)
{
    struct deflate *deflate = deflate_new(1, 1);
    struct ws_codec_pool *pool = ws_codec_pool_new(MESSAGE_MAX, deflate);
    struct ws_codec *codec = NULL;
    for (size_t at = 0; at < in->len; at += step) {
        if (!codec)
            codec = ws_codec_get(pool, is_deflate);
        ws_codec_input(codec, in->bytes + at, in->len - at < step ? in->len - at : step);
        for (struct ws_item item; (item = ws_codec_next(codec)).kind != WS_ITEM_NONE;)
            add_item(log, &item);
        if (ws_codec_is_idle(codec))
            ws_codec_put(pool, &codec);
    }
    if (codec) {
        buf_add_str(log, " unfinished");
        ws_codec_put(pool, &codec);
    }
    assert_int_equal(ws_codec_pool_in_use(pool), 0);
    ws_codec_pool_free(&pool);
    deflate_free(&deflate);
}

/* Whatever the pieces, the outcome is the same. */
static void gives_when(bool is_deflate, const struct buf *in, const char *want)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, 13, 4095, 4096, 4097, 1 << 20};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct buf log;
        buf_init(&log);
        buf_add_str(&log, "");
        run(in, steps[i], is_deflate, &log);
        if (strcmp(log.bytes ? log.bytes : "", want) != 0)
            fail_msg("step %zu: %s instead of %s", steps[i], log.bytes, want);
        buf_release(&log);
    }
}

static void gives(const struct buf *in, const char *want)
{
    gives_when(false, in, want);
}

static void whole_messages(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in);
    add_text(&in, FIN | TEXT, "hello");
    add_text(&in, FIN | TEXT, "");
    add_text(&in, FIN | TEXT, "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80");
    add_frame(&in, FIN | BINARY, "\xFF\xFE", 2);
    gives(&in, "text(hello)text()text(gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80)binary(\xFF\xFE)");
    buf_release(&in);
}

static void every_length_form(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 125, 126, 127, 4096, 65535, 65536, MESSAGE_MAX};
    char *payload = malloc(MESSAGE_MAX);
    memset(payload, 'x', MESSAGE_MAX);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct buf in;
        buf_init(&in);
        add_frame(&in, FIN | TEXT, payload, lens[i]);
        char want[400];
        if (lens[i] > 200)
            snprintf(want, sizeof(want), "text(%zu bytes)", lens[i]);
        else
            snprintf(want, sizeof(want), "text(%.*s)", (int)lens[i], payload);
        gives(&in, want);
        buf_release(&in);
    }
    free(payload);
}

static void fragments_with_control_frames_between(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in);
    add_text(&in, TEXT, "one \xE2\x82");
    add_text(&in, FIN | PING, "p1");
    add_text(&in, CONT, "");
    add_text(&in, FIN | PONG, "");
    add_text(&in, CONT, "\xAC two");
    add_text(&in, FIN | CONT, " three");
    add_text(&in, FIN | PING, "");
    gives(&in, "ping(p1)pong()text(one \xE2\x82\xAC two three)ping()");
    buf_release(&in);
}

static void a_close_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        size_t len;
        const char *want;
    } rows[] = {
        {"", 0, "close(0) unfinished"},
        {"\x03\xE8", 2, "close(1000) unfinished"},
        {"\x03\xE8gr\xC3\xBC\xC3\x9F", 8, "close(1000gr\xC3\xBC\xC3\x9F) unfinished"},
        {"\x0F\xA0", 2, "close(4000) unfinished"},
        {"\x03\xE8\xC3", 3, "broken(1007) unfinished"},
        {"\x03", 1, "broken(1002) unfinished"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf in;
        buf_init(&in);
        add_frame(&in, FIN | CLOSE, rows[i].payload, rows[i].len);
        /* nothing counts behind it */
        struct buf log;
        buf_init(&log);
        run(&in, 1, false, &log);
        assert_string_equal(log.bytes, rows[i].want);
        buf_clear(&log);
        add_text(&in, FIN | TEXT, "late");
        run(&in, in.len, false, &log);
        assert_string_equal(log.bytes, rows[i].want);
        buf_release(&log);
        buf_release(&in);
    }
}

static void close_codes(void **state)
{
    (void)state;
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999};
    static const unsigned bad[] = {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]) + sizeof(bad) / sizeof(bad[0]); i++) {
        bool is_good = i < sizeof(good) / sizeof(good[0]);
        unsigned code = is_good ? good[i] : bad[i - sizeof(good) / sizeof(good[0])];
        struct buf in, log;
        buf_init(&in);
        buf_init(&log);
        add_frame(&in, FIN | CLOSE, (char[]){(char)(code >> 8), (char)code}, 2);
        run(&in, in.len, false, &log);
        char want[40];
        snprintf(want, sizeof(want), is_good ? "close(%u) unfinished" : "broken(1002) unfinished", code);
        assert_string_equal(log.bytes, want);
        buf_release(&in);
        buf_release(&log);
    }
}

static void breaks(unsigned first, const char *payload, const char *want)
{
    struct buf in;
    buf_init(&in);
    add_text(&in, first, payload);
    gives(&in, want);
    buf_release(&in);
}

static void what_the_protocol_forbids(void **state)
{
    (void)state;
    breaks(FIN | 0x40 | TEXT, "rsv1", "broken(1002) unfinished");
    breaks(FIN | 0x20 | TEXT, "rsv2", "broken(1002) unfinished");
    breaks(FIN | 0x10 | TEXT, "rsv3", "broken(1002) unfinished");
    breaks(FIN | 0x40 | PING, "rsv1", "broken(1002) unfinished");
    for (unsigned opcode = 3; opcode <= 15; opcode++)
        if (opcode < 8 || opcode > 10)
            breaks(FIN | opcode, "reserved", "broken(1002) unfinished");
    breaks(CONT, "nothing to continue", "broken(1002) unfinished");
    breaks(FIN | CONT, "nothing to continue", "broken(1002) unfinished");
    breaks(PING, "fragmented control", "broken(1002) unfinished");
    breaks(CLOSE, "", "broken(1002) unfinished");

    struct buf in;
    buf_init(&in);
    add_text(&in, TEXT, "begun");
    add_text(&in, FIN | TEXT, "another");
    gives(&in, "broken(1002) unfinished");
    buf_clear(&in);
    char long_ping[126] = {0};
    add_frame(&in, FIN | PING, long_ping, sizeof(long_ping));
    gives(&in, "broken(1002) unfinished");
    buf_release(&in);
}

static void raw_breaks(const char *bytes, size_t len)
{
    struct buf in;
    buf_init(&in);
    buf_add(&in, bytes, len);
    gives(&in, "broken(1002) unfinished");
    buf_release(&in);
}

static void frames_are_masked_and_lengths_minimal(void **state)
{
    (void)state;
    raw_breaks("\x81\x05hello", 7);
    raw_breaks("\x81\x00", 2);
    raw_breaks("\x89\x00", 2);
    raw_breaks("\x81\xFE\x00\x05\0\0\0\0hello", 13);             /* 16 bits for 5 */
    raw_breaks("\x81\xFF\0\0\0\0\0\0\x00\x05\0\0\0\0hello", 19); /* 64 bits for 5 */
    raw_breaks("\x82\xFF\x80\0\0\0\0\0\0\0\0\0\0\0x", 15);       /* the top bit of 64 */
}

static void invalid_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xC3(",
                                      "\xC0\xAF",
                                      "\xE0\x80\xAF",
                                      "\xED\xA0\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF8\x88\x80\x80\x80",
                                      "ok then \xFF",
                                      "cut \xE2\x82"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        breaks(FIN | TEXT, bad[i], "broken(1007) unfinished");
    struct buf in;
    buf_init(&in);
    add_text(&in, TEXT, "split \xE2\x82"); /* each half alone looks promising */
    add_text(&in, FIN | PING, "between");
    add_text(&in, FIN | CONT, "\x28 over fragments");
    gives(&in, "ping(between)broken(1007) unfinished");
    buf_clear(&in);
    add_text(&in, TEXT, "\xE2\x82");
    add_text(&in, FIN | CONT, "");
    gives(&in, "broken(1007) unfinished");
    buf_clear(&in);
    add_frame(&in, FIN | BINARY, "\x80\xFF", 2);
    gives(&in, "binary(\x80\xFF)");
    buf_release(&in);
}

static void too_big(void **state)
{
    (void)state;
    /* the head of the frame is enough, with the first byte of its payload */
    struct buf in;
    buf_init(&in);
    buf_add(&in, "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0x", 15);
    gives(&in, "broken(1009) unfinished");
    buf_clear(&in);
    char *payload = calloc(1, MESSAGE_MAX + 1);
    add_frame(&in, FIN | BINARY, payload, MESSAGE_MAX + 1);
    gives(&in, "broken(1009) unfinished");
    buf_clear(&in);
    add_frame(&in, BINARY, payload, MESSAGE_MAX - 1);
    add_frame(&in, CONT, payload, 1);
    add_frame(&in, FIN | CONT, payload, 1);
    gives(&in, "broken(1009) unfinished");
    buf_clear(&in);
    add_frame(&in, BINARY, payload, MESSAGE_MAX - 1);
    add_frame(&in, FIN | CONT, payload, 1);
    gives(&in, "binary(70000 bytes)");
    free(payload);
    buf_release(&in);
}

static void a_codec_is_idle_only_between_messages(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in);
    add_text(&in, TEXT, "ab");
    add_text(&in, FIN | PING, "c");
    add_text(&in, FIN | CONT, "d");
    struct ws_codec_pool *pool = ws_codec_pool_new(MESSAGE_MAX, NULL);
    struct ws_codec *codec = ws_codec_get(pool, false);
    assert_true(ws_codec_is_idle(codec));
    for (size_t i = 0; i < in.len; i++) {
        ws_codec_input(codec, in.bytes + i, 1);
        while (ws_codec_next(codec).kind != WS_ITEM_NONE)
            ;
        assert_int_equal(ws_codec_is_idle(codec), i == in.len - 1);
    }
    ws_codec_put(pool, &codec);
    assert_null(codec);
    ws_codec_pool_free(&pool);
    buf_release(&in);
}

enum { RSV1 = 0x40, RSV2 = 0x20 };
static const char hello[] = "\xf2\x48\xcd\xc9\xc9\x07\x00";

static void deflated_messages(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in);
    add_frame(&in, FIN | RSV1 | TEXT, hello, 7);
    add_text(&in, FIN | TEXT, "plain");
    add_frame(&in, RSV1 | BINARY, hello, 3);
    add_text(&in, FIN | PING, "between");
    add_frame(&in, CONT, hello + 3, 0);
    add_frame(&in, FIN | CONT, hello + 3, 4);
    gives_when(true, &in, "text(Hello)text(plain)ping(between)binary(Hello)");
    gives_when(false, &in, "broken(1002) unfinished"); /* it was not agreed on */
    buf_release(&in);
}

static void broken_when_agreed(unsigned first, const char *payload, size_t len, const char *want)
{
    struct buf in;
    buf_init(&in);
    add_frame(&in, first, payload, len);
    gives_when(true, &in, want);
    buf_release(&in);
}

static void what_deflated_messages_may_not_be(void **state)
{
    (void)state;
    broken_when_agreed(FIN | RSV1 | PING, hello, 7, "broken(1002) unfinished");
    broken_when_agreed(FIN | RSV2 | TEXT, hello, 7, "broken(1002) unfinished");
    broken_when_agreed(FIN | RSV1 | TEXT, "\xff\xff\xff\xff", 4, "broken(1007) unfinished");
    broken_when_agreed(FIN | RSV1 | TEXT, "\x00\x01\x00\xfe\xff\xff\x00", 7, "broken(1007) unfinished"); /* not UTF-8 */
    struct buf in;
    buf_init(&in);
    add_frame(&in, TEXT, "a", 1);
    add_frame(&in, FIN | RSV1 | CONT, hello, 7); /* only the first frame says so */
    gives_when(true, &in, "broken(1002) unfinished");
    buf_clear(&in);
    char *much = calloc(1, MESSAGE_MAX + 1);
    struct deflate *deflate = deflate_new(9, 1);
    struct message *plain = frame_new(FRAME_BINARY, much, MESSAGE_MAX + 1), *bomb = deflate_frame(deflate, plain);
    size_t head = frame_head_len(message_bytes(bomb));
    add_frame(&in, FIN | RSV1 | BINARY, message_bytes(bomb) + head, message_len(bomb) - head);
    gives_when(true, &in, "broken(1009) unfinished");
    message_unref(&plain);
    deflate_free(&deflate);
    free(much);
    buf_release(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_messages),
        cmocka_unit_test(every_length_form),
        cmocka_unit_test(fragments_with_control_frames_between),
        cmocka_unit_test(a_close_ends_it),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(what_the_protocol_forbids),
        cmocka_unit_test(frames_are_masked_and_lengths_minimal),
        cmocka_unit_test(invalid_utf8),
        cmocka_unit_test(too_big),
        cmocka_unit_test(a_codec_is_idle_only_between_messages),
        cmocka_unit_test(deflated_messages),
        cmocka_unit_test(what_deflated_messages_may_not_be),
    };
    metric_setup(gateway_metrics, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
