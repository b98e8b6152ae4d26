/*
 * The receiving side of RFC 6455, for a server: frames in, whole messages and control frames out. Pure: bytes come by
 * ws_codec_input(), items are asked for by ws_codec_next(). wslay takes the frames apart; what a message is (fragments,
 * UTF-8, limits, close codes) is checked here, because wslay's own event layer copies each message twice, checks close
 * reasons wrongly when they arrive in pieces, and takes a close frame of one byte.
 *
 * A codec is some 5 KB, so a connection has one only while a frame or message is incomplete; a pool keeps a few.
 */
#ifndef HERALD_GATEWAY_WS_WS_CODEC_H
#define HERALD_GATEWAY_WS_WS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ws_codec;
struct ws_codec_pool;

enum ws_item_kind {
    WS_ITEM_NONE,   /* all input is consumed; more is needed */
    WS_ITEM_TEXT,   /* a whole message, valid UTF-8 */
    WS_ITEM_BINARY, /* a whole message */
    WS_ITEM_PING,
    WS_ITEM_PONG,
    WS_ITEM_CLOSE, /* the last one: close_code (0: the frame had none), bytes: the reason */
    WS_ITEM_BROKEN /* the last one: close_code 1002, 1007 or 1009 is what the peer is to be told */
};

struct ws_item {
    enum ws_item_kind kind;
    uint16_t close_code;
    const char *bytes; /* valid until the next call */
    size_t len;
};

struct deflate;

/* message_max: bytes of a message, all fragments together, inflated. deflate: borrowed; inflates (RFC 7692). */
struct ws_codec_pool *ws_codec_pool_new(size_t message_max, struct deflate *deflate);
/* All codecs must have been put back. */
void ws_codec_pool_free(struct ws_codec_pool **pool);
/* Keeps none that nobody uses. */
void ws_codec_pool_trim(struct ws_codec_pool *pool);
size_t ws_codec_pool_in_use(const struct ws_codec_pool *pool);

/* is_deflate: permessage-deflate was agreed on. */
struct ws_codec *ws_codec_get(struct ws_codec_pool *pool, bool is_deflate);
/* In whatever state it is. */
void ws_codec_put(struct ws_codec_pool *pool, struct ws_codec **codec);

/* bytes are borrowed until ws_codec_next() has said NONE. */
void ws_codec_input(struct ws_codec *codec, const char *bytes, size_t len);
/* After CLOSE or BROKEN it returns NONE for ever. */
struct ws_item ws_codec_next(struct ws_codec *codec);
/* Neither a frame nor a message is incomplete: it can be put back, and another one goes on. */
bool ws_codec_is_idle(const struct ws_codec *codec);

#endif
