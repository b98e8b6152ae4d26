#include "gateway/ws/deflater.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/ws/frame.h"

enum { FIN = 0x80, RSV1 = 0x40, TAIL_LEN = 4, MEMORY_LEVEL_MIN = 4 };

/* What ends each flushed block, and is not sent (RFC 7692 section 7.2.1). */
static const unsigned char tail[TAIL_LEN] = {0x00, 0x00, 0xff, 0xff};

struct deflater {
    z_stream stream;
    size_t bytes;
};

/* zlib takes some of its memory late. */
static void *take_memory(void *opaque, unsigned count, unsigned size)
{
    struct deflater *d = opaque;
    void *memory = xcalloc(count, size);
    d->bytes += malloc_usable_size(memory);
    return memory;
}

static void give_memory(void *opaque, void *memory)
{
    struct deflater *d = opaque;
    d->bytes -= malloc_usable_size(memory);
    free(memory);
}

/* The hash table is as large as the window: a larger one has to be wiped for each message that begins anew. */
static int memory_level(int window_bits)
{
    return window_bits - 7 < MEMORY_LEVEL_MIN ? MEMORY_LEVEL_MIN : window_bits - 7;
}

struct deflater *deflater_new(int level, int window_bits)
{
    struct deflater *d = xcalloc(1, sizeof *d);
    d->bytes = malloc_usable_size(d);
    d->stream.zalloc = take_memory;
    d->stream.zfree = give_memory;
    d->stream.opaque = d;
    CHECK(deflateInit2(&d->stream, level, Z_DEFLATED, -window_bits, memory_level(window_bits), Z_DEFAULT_STRATEGY) ==
          Z_OK);
    return d;
}

void deflater_free(struct deflater **deflater)
{
    if (!*deflater)
        return;
    deflateEnd(&(*deflater)->stream);
    free(*deflater);
    *deflater = NULL;
}

size_t deflater_bytes(const struct deflater *d)
{
    return d->bytes;
}

void deflater_clear(struct deflater *d)
{
    CHECK(deflateReset(&d->stream) == Z_OK);
}

static bool is_data(const char *frame)
{
    unsigned char first = (unsigned char)frame[0];
    return first == (FIN | FRAME_TEXT) || first == (FIN | FRAME_BINARY);
}

/* Length of the result, without the tail; 0: it does not fit. */
static size_t shorten(struct deflater *d, const char *bytes, size_t len, unsigned char *to, size_t room)
{
    d->stream.next_in = (unsigned char *)(uintptr_t)bytes; /* zlib only reads it */
    d->stream.avail_in = (uInt)len;
    d->stream.next_out = to;
    d->stream.avail_out = (uInt)room;
    bool is_whole = deflate(&d->stream, Z_SYNC_FLUSH) == Z_OK && d->stream.avail_in == 0 && d->stream.avail_out > 0;
    size_t made = room - d->stream.avail_out;
    if (is_whole && made > TAIL_LEN && memcmp(to + made - TAIL_LEN, tail, TAIL_LEN) == 0)
        return made - TAIL_LEN;
    deflater_clear(d);
    return 0;
}

static struct message *new_frame(const char *plain, const unsigned char *deflated, size_t len)
{
    unsigned char head[FRAME_HEAD_MAX];
    size_t head_len = frame_head(head, (enum frame_opcode)(plain[0] & 0x0f), len);
    head[0] |= RSV1;
    struct message *m = message_new(head_len + len);
    memcpy(message_fill(m), head, head_len);
    memcpy(message_fill(m) + head_len, deflated, len);
    return m;
}

struct message *deflater_frame(struct deflater *d, const struct message *frame, size_t min_len, size_t growth)
{
    const char *bytes = message_bytes(frame);
    size_t head_len = frame_head_len(bytes), len = message_len(frame) - head_len, room = len + growth;
    if (!is_data(bytes) || len < min_len || room > UINT32_MAX)
        return NULL;
    unsigned char *to = xmalloc(room);
    size_t made = shorten(d, bytes + head_len, len, to, room);
    struct message *m = made > 0 ? new_frame(bytes, to, made) : NULL;
    free(to);
    if (m) {
        metric_add(METRIC_WS_DEFLATED, 1);
        metric_add(METRIC_WS_DEFLATE_SAVED, made < len ? len - made : 0);
    }
    return m;
}
