#include "gateway/ws/ws_codec.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "common/buf.h"
#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/utf8.h"

enum {
    CODEC_MAGIC = 0x57534344,
    CONTROL_MAX = 125,
    POOL_KEEP = 64,        /* idle codecs kept */
    BODY_KEEP = 16 * 1024, /* a larger body buffer is not kept with them */
    CODE_PROTOCOL = 1002,
    CODE_BAD_DATA = 1007,
    CODE_TOO_BIG = 1009
};

static const struct ws_item nothing = {.kind = WS_ITEM_NONE};

struct ws_codec {
    uint32_t magic;
    struct ws_codec *next_idle;
    wslay_frame_context_ptr frames;
    struct ws_codec_pool *pool;

    const char *input;
    size_t input_len;
    uint64_t unaccounted; /* bytes that wslay has taken which belong to no frame that it has reported */

    bool is_over; /* CLOSE or BROKEN was returned */
    bool is_in_frame, is_fin;
    uint8_t opcode;
    uint64_t frame_len, frame_at;

    bool is_deflate; /* agreed on */
    bool is_in_message, is_body_given;
    bool is_deflated; /* the message */
    uint8_t message_opcode;
    struct utf8 utf8;
    struct buf body;

    char control[CONTROL_MAX];
};

struct ws_codec_pool {
    struct ws_codec *idle;
    size_t idle_count, in_use;
    size_t message_max;
    struct deflate *deflate;
    struct buf inflated; /* the last message that was deflated */
};

static ssize_t take_input(uint8_t *to, size_t len, int flags, void *arg)
{
    (void)flags;
    struct ws_codec *codec = arg;
    MAGIC_CHECK(codec, CODEC_MAGIC);
    if (codec->input_len == 0)
        return -1;
    size_t n = len < codec->input_len ? len : codec->input_len;
    memcpy(to, codec->input, n);
    codec->input += n;
    codec->input_len -= n;
    codec->unaccounted += n;
    return (ssize_t)n;
}

static struct ws_codec *codec_new(struct ws_codec_pool *pool)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = take_input};
    struct ws_codec *codec = xcalloc(1, sizeof(*codec));
    codec->magic = CODEC_MAGIC;
    codec->pool = pool;
    buf_init(&codec->body);
    if (wslay_frame_context_init(&codec->frames, &callbacks, codec) != 0)
        check_failed("memory", __FILE__, __LINE__); /* the only reason it has */
    return codec;
}

static void codec_free(struct ws_codec *codec)
{
    wslay_frame_context_free(codec->frames);
    buf_release(&codec->body);
    codec->magic = 0;
    free(codec);
}

struct ws_codec_pool *ws_codec_pool_new(size_t message_max, struct deflate *deflate)
{
    struct ws_codec_pool *pool = xcalloc(1, sizeof(*pool));
    pool->message_max = message_max;
    pool->deflate = deflate;
    buf_init(&pool->inflated);
    return pool;
}

void ws_codec_pool_free(struct ws_codec_pool **pool)
{
    if (!*pool)
        return;
    CHECK((*pool)->in_use == 0);
    ws_codec_pool_trim(*pool);
    buf_release(&(*pool)->inflated);
    free(*pool);
    *pool = NULL;
}

void ws_codec_pool_trim(struct ws_codec_pool *pool)
{
    for (struct ws_codec *codec; (codec = pool->idle);) {
        pool->idle = codec->next_idle;
        codec_free(codec);
    }
    pool->idle_count = 0;
}

size_t ws_codec_pool_in_use(const struct ws_codec_pool *pool)
{
    return pool->in_use;
}

struct ws_codec *ws_codec_get(struct ws_codec_pool *pool, bool is_deflate)
{
    struct ws_codec *codec = pool->idle;
    pool->in_use++;
    if (codec) {
        pool->idle = codec->next_idle;
        pool->idle_count--;
        codec->next_idle = NULL;
    } else {
        codec = codec_new(pool);
    }
    codec->is_deflate = is_deflate;
    return codec;
}

void ws_codec_put(struct ws_codec_pool *pool, struct ws_codec **codec_p)
{
    struct ws_codec *codec = *codec_p;
    *codec_p = NULL;
    MAGIC_CHECK(codec, CODEC_MAGIC);
    pool->in_use--;
    /* wslay can not be reset, so one that stopped in the middle of a frame is of no further use */
    if (!ws_codec_is_idle(codec) || pool->idle_count >= POOL_KEEP) {
        codec_free(codec);
        return;
    }
    buf_clear(&codec->body);
    codec->is_body_given = false;
    if (codec->body.size > BODY_KEEP) {
        buf_release(&codec->body);
        buf_init(&codec->body);
    }
    codec->next_idle = pool->idle;
    pool->idle = codec;
    pool->idle_count++;
}

void ws_codec_input(struct ws_codec *codec, const char *bytes, size_t len)
{
    CHECK(codec->input_len == 0);
    codec->input = bytes;
    codec->input_len = codec->is_over ? 0 : len;
}

bool ws_codec_is_idle(const struct ws_codec *codec)
{
    return !codec->is_over && !codec->is_in_frame && !codec->is_in_message && codec->unaccounted == 0 &&
           codec->input_len == 0;
}

static struct ws_item finish(struct ws_codec *codec, struct ws_item item)
{
    codec->is_over = true;
    codec->input_len = 0;
    return item;
}

static struct ws_item broken(struct ws_codec *codec, uint16_t code)
{
    return finish(codec, (struct ws_item){.kind = WS_ITEM_BROKEN, .close_code = code});
}

/* Lengths are always in their shortest form: wslay refuses others. */
static size_t head_len(uint64_t payload_len)
{
    return 2 + (payload_len < 126 ? 0 : payload_len <= UINT16_MAX ? 2 : 8) + 4;
}

/* RFC 7692 section 6: the first frame of a message says whether it is deflated, no other has the bit. */
static bool is_rsv_valid(const struct ws_codec *codec, const struct wslay_frame_iocb *iocb)
{
    bool is_first = iocb->opcode == WSLAY_TEXT_FRAME || iocb->opcode == WSLAY_BINARY_FRAME;
    return iocb->rsv == WSLAY_RSV_NONE || (iocb->rsv == WSLAY_RSV1_BIT && codec->is_deflate && is_first);
}

/* Looks at the head of a frame. 0, or the close code. wslay has checked the length and FIN of control frames. */
static uint16_t begin_frame(struct ws_codec *codec, const struct wslay_frame_iocb *iocb)
{
    bool is_control = wslay_is_ctrl_frame(iocb->opcode);
    if (!is_rsv_valid(codec, iocb) || !iocb->mask)
        return CODE_PROTOCOL;
    if (is_control ? iocb->opcode > WSLAY_PONG : iocb->opcode > WSLAY_BINARY_FRAME)
        return CODE_PROTOCOL;
    if (!is_control) {
        if ((iocb->opcode == WSLAY_CONTINUATION_FRAME) != codec->is_in_message)
            return CODE_PROTOCOL;
        size_t max = codec->pool->message_max;
        if (iocb->payload_length > max || codec->body.len > max - iocb->payload_length)
            return CODE_TOO_BIG;
        if (!codec->is_in_message) {
            codec->is_in_message = true;
            codec->message_opcode = iocb->opcode;
            codec->is_deflated = iocb->rsv != WSLAY_RSV_NONE;
            codec->utf8 = (struct utf8){0};
        }
    }
    codec->is_in_frame = true;
    codec->is_fin = iocb->fin;
    codec->opcode = iocb->opcode;
    codec->frame_len = iocb->payload_length;
    codec->frame_at = 0;
    codec->unaccounted -= head_len(iocb->payload_length);
    return 0;
}

/* RFC 6455 section 7.4, with what IANA has registered since (1012-1014). */
static bool is_close_code_valid(uint16_t code)
{
    if (code >= 1000 && code <= 1014)
        return code != 1004 && code != 1005 && code != 1006;
    return code >= 3000 && code <= 4999;
}

static struct ws_item end_close(struct ws_codec *codec)
{
    size_t len = (size_t)codec->frame_len;
    if (len == 0)
        return finish(codec, (struct ws_item){.kind = WS_ITEM_CLOSE, .bytes = ""});
    if (len == 1)
        return broken(codec, CODE_PROTOCOL);
    uint16_t code = (uint16_t)((unsigned char)codec->control[0] << 8 | (unsigned char)codec->control[1]);
    if (!is_close_code_valid(code))
        return broken(codec, CODE_PROTOCOL);
    if (!utf8_is_valid(codec->control + 2, len - 2))
        return broken(codec, CODE_BAD_DATA);
    return finish(codec, (struct ws_item){
                             .kind = WS_ITEM_CLOSE, .close_code = code, .bytes = codec->control + 2, .len = len - 2});
}

static struct ws_item end_control(struct ws_codec *codec)
{
    if (codec->opcode == WSLAY_CONNECTION_CLOSE)
        return end_close(codec);
    return (struct ws_item){.kind = codec->opcode == WSLAY_PING ? WS_ITEM_PING : WS_ITEM_PONG,
                            .bytes = codec->control,
                            .len = (size_t)codec->frame_len};
}

static struct ws_item message_of(struct ws_codec *codec, const char *bytes, size_t len)
{
    codec->is_in_message = false;
    codec->is_body_given = true;
    return (struct ws_item){
        .kind = codec->message_opcode == WSLAY_TEXT_FRAME ? WS_ITEM_TEXT : WS_ITEM_BINARY, .bytes = bytes, .len = len};
}

static struct ws_item end_deflated(struct ws_codec *codec, const char *bytes, size_t len)
{
    struct ws_codec_pool *pool = codec->pool;
    buf_clear(&pool->inflated);
    enum err err = deflate_inflate(pool->deflate, bytes, len, pool->message_max, &pool->inflated);
    if (err != ERR_OK)
        return broken(codec, err == ERR_TOO_LARGE ? CODE_TOO_BIG : CODE_BAD_DATA);
    if (codec->message_opcode == WSLAY_TEXT_FRAME && !utf8_is_valid(pool->inflated.bytes, pool->inflated.len))
        return broken(codec, CODE_BAD_DATA);
    metric_add(METRIC_WS_INFLATED, 1);
    return message_of(codec, pool->inflated.bytes, pool->inflated.len);
}

static struct ws_item end_message(struct ws_codec *codec, const char *bytes, size_t len)
{
    if (codec->is_deflated)
        return end_deflated(codec, bytes, len);
    if (codec->message_opcode == WSLAY_TEXT_FRAME && !utf8_is_complete(&codec->utf8))
        return broken(codec, CODE_BAD_DATA);
    return message_of(codec, bytes, len);
}

/* Payload bytes of the current frame. NONE: go on. */
static struct ws_item take_payload(struct ws_codec *codec, const char *bytes, size_t len)
{
    bool is_control = wslay_is_ctrl_frame(codec->opcode);
    uint64_t at = codec->frame_at;
    codec->frame_at += len;
    codec->unaccounted -= len;
    codec->is_in_frame = codec->frame_at < codec->frame_len;
    if (is_control) {
        memcpy(codec->control + at, bytes, len);
        return codec->is_in_frame ? nothing : end_control(codec);
    }
    bool is_text = codec->message_opcode == WSLAY_TEXT_FRAME && !codec->is_deflated;
    if (is_text && !utf8_feed(&codec->utf8, bytes, len))
        return broken(codec, CODE_BAD_DATA);
    bool is_end = !codec->is_in_frame && codec->is_fin;
    if (is_end && codec->body.len == 0)
        return end_message(codec, bytes, len); /* the usual case, a short message in one piece: no copy */
    buf_add(&codec->body, bytes, len);
    return is_end ? end_message(codec, codec->body.bytes, codec->body.len) : nothing;
}

struct ws_item ws_codec_next(struct ws_codec *codec)
{
    if (codec->is_body_given) {
        buf_clear(&codec->body);
        codec->is_body_given = false;
    }
    while (!codec->is_over) {
        struct wslay_frame_iocb iocb = {0};
        ssize_t n = wslay_frame_recv(codec->frames, &iocb);
        if (n == WSLAY_ERR_WANT_READ)
            break;
        if (n < 0)
            return broken(codec, CODE_PROTOCOL);
        uint16_t code = codec->is_in_frame ? 0 : begin_frame(codec, &iocb);
        if (code != 0)
            return broken(codec, code);
        struct ws_item item = take_payload(codec, (const char *)iocb.data, iocb.data_length);
        if (item.kind != WS_ITEM_NONE)
            return item;
    }
    return nothing;
}
