#include "gateway/ws/takeover.h"

#include <malloc.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/table.h"
#include "gateway/metrics.h"
#include "gateway/ws/deflater.h"

struct window {
    uint64_t conn_id;
    int bits;
    struct deflater *deflater; /* NULL: nothing was deflated yet, or it was forgotten */
};

struct takeover {
    const struct takeover_settings *settings;
    int level;
    uint32_t windows_max;
    struct table *windows;
    size_t bytes; /* of their deflaters */
};

static bool has_id(const void *item, const void *key, size_t key_len)
{
    (void)key_len;
    return ((const struct window *)item)->conn_id == *(const uint64_t *)key;
}

/* What one connection may take: of deflaters, zlib alone knows. */
static size_t cost(const struct takeover *t)
{
    struct deflater *probe = deflater_new(t->level, (int)t->settings->window_bits);
    size_t bytes = deflater_bytes(probe) + sizeof(struct window) + 2 * sizeof(void *);
    deflater_free(&probe);
    return bytes;
}

struct takeover *takeover_new(const struct takeover_settings *settings, int level)
{
    struct takeover *t = xcalloc(1, sizeof *t);
    t->settings = settings;
    t->level = level;
    t->windows = table_new(has_id);
    size_t count = settings->budget > 0 ? (size_t)settings->budget / cost(t) : 0;
    t->windows_max = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    return t;
}

static void show(const struct takeover *t)
{
    metric_set(METRIC_WS_TAKEOVER_CONNECTIONS, table_count(t->windows));
    metric_set(METRIC_WS_TAKEOVER_BYTES, (int64_t)t->bytes);
}

static void forget(struct takeover *t, struct window *w)
{
    if (w->deflater)
        t->bytes -= deflater_bytes(w->deflater);
    deflater_free(&w->deflater);
}

void takeover_free(struct takeover **takeover)
{
    struct takeover *t = *takeover;
    *takeover = NULL;
    if (!t)
        return;
    CHECK(table_count(t->windows) == 0);
    table_free(&t->windows);
    free(t);
}

int takeover_bits(const struct takeover *t)
{
    return table_count(t->windows) < t->windows_max ? (int)t->settings->window_bits : 0;
}

void takeover_add(struct takeover *t, uint64_t conn_id, int window_bits)
{
    CHECK(window_bits <= takeover_bits(t));
    struct window *w = xcalloc(1, sizeof *w);
    w->conn_id = conn_id;
    w->bits = window_bits;
    table_add(t->windows, &conn_id, sizeof conn_id, w);
    show(t);
}

void takeover_remove(struct takeover *t, uint64_t conn_id)
{
    struct window *w = table_remove(t->windows, &conn_id, sizeof conn_id);
    CHECK(w);
    forget(t, w);
    free(w);
    show(t);
}

struct message *takeover_frame(struct takeover *t, uint64_t conn_id, struct message *frame)
{
    struct window *w = table_find(t->windows, &conn_id, sizeof conn_id);
    CHECK(w);
    if (message_len(frame) < (size_t)t->settings->min_len) /* header included: not even a window for it */
        return message_ref(frame);
    if (!w->deflater) {
        w->deflater = deflater_new(t->level, w->bits);
        t->bytes += deflater_bytes(w->deflater);
        show(t);
    }
    struct message *own = deflater_frame(w->deflater, frame, (size_t)t->settings->min_len, TAKEOVER_GROWTH);
    return own ? own : message_ref(frame);
}

void takeover_trim(struct takeover *t)
{
    size_t cursor = 0;
    for (struct window *w; (w = table_next(t->windows, &cursor));)
        forget(t, w);
    show(t);
}
