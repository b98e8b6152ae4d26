#include "gateway/ws/deflate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/ws/frame.h"

enum {
    MEMORY_LEVEL = 6, /* a hash table of 16 KB: it is wiped for each message */
    INFLATE_WINDOW_BITS = 15,
    FIN = 0x80,
    RSV1 = 0x40,
    TAIL_LEN = 4,
    PIECE = 4096
};

/* What ends each flushed block, and is not sent (RFC 7692 section 7.2.1). */
static const unsigned char tail[TAIL_LEN] = {0x00, 0x00, 0xff, 0xff};

struct deflate {
    size_t min_len;
    z_stream out, in;
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
    d->out.zalloc = d->in.zalloc = take_memory;
    d->out.zfree = d->in.zfree = give_memory;
    CHECK(deflateInit2(&d->out, level, Z_DEFLATED, -DEFLATE_WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(inflateInit2(&d->in, -INFLATE_WINDOW_BITS) == Z_OK);
    return d;
}

void deflate_free(struct deflate **deflate)
{
    struct deflate *d = *deflate;
    *deflate = NULL;
    if (!d)
        return;
    deflateEnd(&d->out);
    inflateEnd(&d->in);
    free(d);
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

static bool is_data(const char *frame)
{
    unsigned char first = (unsigned char)frame[0];
    return first == (FIN | FRAME_TEXT) || first == (FIN | FRAME_BINARY);
}

/* Length of the result, without the tail; 0: it would not be shorter. */
static size_t shorten(struct deflate *d, const char *bytes, size_t len, unsigned char *to)
{
    CHECK(deflateReset(&d->out) == Z_OK);
    d->out.next_in = (unsigned char *)(uintptr_t)bytes; /* zlib only reads it */
    d->out.avail_in = (uInt)len;
    d->out.next_out = to;
    d->out.avail_out = (uInt)len;
    bool is_whole = deflate(&d->out, Z_SYNC_FLUSH) == Z_OK && d->out.avail_in == 0 && d->out.avail_out > 0;
    size_t made = len - d->out.avail_out;
    return is_whole && made > TAIL_LEN && memcmp(to + made - TAIL_LEN, tail, TAIL_LEN) == 0 ? made - TAIL_LEN : 0;
}

static struct message *variant_of(struct deflate *d, const struct message *frame)
{
    const char *bytes = message_bytes(frame);
    size_t head_len = frame_head_len(bytes), len = message_len(frame) - head_len;
    if (!is_data(bytes) || len < d->min_len || len > UINT32_MAX)
        return NULL;
    unsigned char head[FRAME_HEAD_MAX], *to = xmalloc(len);
    size_t made = shorten(d, bytes + head_len, len, to);
    struct message *m = NULL;
    if (made > 0) {
        size_t new_head_len = frame_head(head, (enum frame_opcode)(bytes[0] & 0x0f), made);
        head[0] |= RSV1;
        m = message_new(new_head_len + made);
        memcpy(message_fill(m), head, new_head_len);
        memcpy(message_fill(m) + new_head_len, to, made);
        metric_add(METRIC_WS_DEFLATED, 1);
        metric_add(METRIC_WS_DEFLATE_SAVED, len - made);
    }
    free(to);
    return m;
}

struct message *deflate_frame(struct deflate *d, struct message *frame)
{
    if (!message_has_variant(frame))
        message_set_variant(frame, variant_of(d, frame));
    struct message *variant = message_variant(frame);
    return variant ? variant : frame;
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

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

/* --- negotiation -------------------------------------------------------------------------------------------------- */

/* The next part of "name; param; param=value", without white space around it; NULL at the end. */
static char *next_part(char **cursor)
{
    if (!*cursor)
        return NULL;
    char *part = *cursor + strspn(*cursor, " \t");
    char *end = part + strcspn(part, ";");
    *cursor = *end ? end + 1 : NULL;
    while (end > part && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return part;
}

/* The value behind `=`, cut off, without quotes; NULL: there is none. */
static char *cut_value(char *param)
{
    char *equals = strchr(param, '=');
    if (!equals)
        return NULL;
    *equals = '\0';
    char *value = equals + 1;
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value[len - 1] = '\0';
        value++;
    }
    return value;
}

/* 8 to 15, in decimal without leading zeros; else 0. */
static int window_bits(const char *value)
{
    if (!value)
        return 0;
    if (value[0] == '1' && value[1] >= '0' && value[1] <= '5' && value[2] == '\0')
        return 10 + value[1] - '0';
    return (value[0] == '8' || value[0] == '9') && value[1] == '\0' ? value[0] - '0' : 0;
}

enum param { SERVER_NO_TAKEOVER, CLIENT_NO_TAKEOVER, SERVER_BITS, CLIENT_BITS, PARAM_COUNT };

static const char *const param_names[PARAM_COUNT] = {"server_no_context_takeover", "client_no_context_takeover",
                                                     "server_max_window_bits", "client_max_window_bits"};

static enum param param_of(const char *name)
{
    int i = 0;
    while (i < PARAM_COUNT && strcasecmp(param_names[i], name) != 0)
        i++;
    return (enum param)i;
}

static bool is_good(enum param param, const char *value, int *window_bits_r)
{
    switch (param) {
    case SERVER_NO_TAKEOVER:
    case CLIENT_NO_TAKEOVER:
        return !value;
    case CLIENT_BITS: /* ours can inflate whatever the client's window */
        return !value || window_bits(value) > 0;
    case SERVER_BITS:
        *window_bits_r = DEFLATE_WINDOW_BITS;
        return window_bits(value) >= DEFLATE_WINDOW_BITS;
    default:
        return false;
    }
}

bool deflate_accepts(char *offer, int *window_bits_r)
{
    bool is_given[PARAM_COUNT] = {false};
    char *name = next_part(&offer);
    *window_bits_r = 0;
    if (strcasecmp(name, "permessage-deflate") != 0)
        return false;
    for (char *part; (part = next_part(&offer));) {
        char *value = cut_value(part);
        enum param param = param_of(part);
        if (param == PARAM_COUNT || is_given[param] || !is_good(param, value, window_bits_r))
            return false;
        is_given[param] = true;
    }
    return true;
}
