#include "gateway/ws/deflate.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/check.h"
#include "gateway/ws/deflater.h"

enum { INFLATE_WINDOW_BITS = 15, TAIL_LEN = 4, PIECE = 4096 };

/* What ends each flushed block, and is not sent (RFC 7692 section 7.2.1). */
static const unsigned char tail[TAIL_LEN] = {0x00, 0x00, 0xff, 0xff};

struct deflate {
    size_t min_len;
    struct deflater *out;
    z_stream in;
};

/* zlib takes some of its memory late; without any, what a client sent would look broken. */
static void *take_memory(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return xcalloc(count, size);
}

static void give_memory(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

struct deflate *deflate_new(int level, size_t min_len)
{
    struct deflate *d = xcalloc(1, sizeof *d);
    d->min_len = min_len;
    d->out = deflater_new(level, DEFLATE_WINDOW_BITS);
    d->in.zalloc = take_memory;
    d->in.zfree = give_memory;
    CHECK(inflateInit2(&d->in, -INFLATE_WINDOW_BITS) == Z_OK);
    return d;
}

void deflate_free(struct deflate **deflate)
{
    struct deflate *d = *deflate;
    *deflate = NULL;
    if (!d)
        return;
    deflater_free(&d->out);
    inflateEnd(&d->in);
    free(d);
}

struct message *deflate_frame(struct deflate *d, struct message *frame)
{
    if (!message_has_variant(frame)) {
        struct message *made = deflater_frame(d->out, frame, d->min_len, 0);
        if (made)
            deflater_clear(d->out);
        message_set_variant(frame, made);
    }
    struct message *variant = message_variant(frame);
    return variant ? variant : frame;
}

/* Inflates one piece of input, which may hold several streams: a final block is not the end (RFC 7692 section 7.2.3.4).
 */
static enum err take_piece(struct deflate *d, const void *bytes, size_t len, size_t most, struct buf *out)
{
    d->in.next_in = (unsigned char *)(uintptr_t)bytes;
    d->in.avail_in = (uInt)len;
    for (;;) {
        d->in.next_out = (unsigned char *)buf_reserve(out, PIECE);
        d->in.avail_out = PIECE;
        int verdict = inflate(&d->in, Z_SYNC_FLUSH);
        out->len += PIECE - d->in.avail_out;
        if (out->len > most)
            return ERR_TOO_LARGE;
        if (verdict == Z_STREAM_END)
            CHECK(inflateReset(&d->in) == Z_OK);
        else if (verdict != Z_OK && verdict != Z_BUF_ERROR)
            return ERR_INVALID;
        if (d->in.avail_in == 0 && d->in.avail_out > 0)
            return ERR_OK;
        if (verdict == Z_BUF_ERROR && d->in.avail_out > 0)
            return ERR_INVALID; /* no progress, and room is not what is missing */
    }
}

enum err deflate_inflate(struct deflate *d, const char *bytes, size_t len, size_t max, struct buf *out)
{
    size_t most = out->len + max;
    if (len > UINT32_MAX)
        return ERR_TOO_LARGE;
    CHECK(inflateReset(&d->in) == Z_OK);
    enum err err = take_piece(d, bytes, len, most, out);
    if (err == ERR_OK)
        err = take_piece(d, tail, TAIL_LEN, most, out);
    buf_reserve(out, 0)[0] = '\0';
    return err;
}
