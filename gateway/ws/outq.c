#include "gateway/ws/outq.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/slab.h"

struct outq_pool {
    struct slab *queues, *frames;
    size_t cost;
};

struct outq_pool *outq_pool_new(void)
{
    struct outq_pool *pool = xcalloc(1, sizeof(*pool));
    pool->queues = slab_new("outq", sizeof(struct outq));
    pool->frames = slab_new("out_frame", sizeof(struct out_frame));
    return pool;
}

void outq_pool_free(struct outq_pool **pool)
{
    if (!*pool)
        return;
    slab_free(&(*pool)->queues);
    slab_free(&(*pool)->frames);
    free(*pool);
    *pool = NULL;
}

size_t outq_pool_cost(const struct outq_pool *pool)
{
    return pool->cost;
}

struct outq *outq_get(struct outq_pool *pool, struct conn *c)
{
    struct outq *q = slab_get(pool->queues);
    list_init(&q->dirty);
    wheel_entry_init(&q->late);
    q->conn = c;
    return q;
}

void outq_put(struct outq_pool *pool, struct outq **q)
{
    CHECK(!(*q)->first && !wheel_has(&(*q)->late));
    list_remove(&(*q)->dirty);
    slab_put(pool->queues, *q);
    *q = NULL;
}

static size_t cost_of(const struct out_frame *frame)
{
    return message_len(frame->message) + OUTQ_FRAME_COST;
}

void outq_push(struct outq_pool *pool, struct outq *q, struct message *message, void *receipt, uint64_t now_ms)
{
    struct out_frame *frame = q->own.message ? slab_get(pool->frames) : &q->own;
    *frame = (struct out_frame){.message = message_ref(message), .receipt = receipt, .queued_ms = now_ms};
    if (q->first)
        q->last->next = frame;
    else
        q->first = frame;
    q->last = frame;
    q->cost += cost_of(frame);
    pool->cost += cost_of(frame);
}

int outq_gather(const struct outq *q, struct iovec *pieces_r, int max, size_t *bytes_r)
{
    int count = 0;
    size_t skip = q->first_written;
    *bytes_r = 0;
    for (const struct out_frame *frame = q->first; frame && count < max; frame = frame->next) {
        size_t len = message_len(frame->message) - skip;
        pieces_r[count++] = (struct iovec){.iov_base = (char *)message_bytes(frame->message) + skip, .iov_len = len};
        *bytes_r += len;
        skip = 0;
    }
    return count;
}

/* Frees the frame, which is off the queue. */
static void finish(struct outq_pool *pool, struct outq *q, struct out_frame *frame, outq_done_fn *done)
{
    q->cost -= cost_of(frame);
    pool->cost -= cost_of(frame);
    void *receipt = frame->receipt;
    message_unref(&frame->message);
    if (frame != &q->own)
        slab_put(pool->frames, frame);
    if (receipt)
        done(q->conn, receipt);
}

unsigned outq_wrote(struct outq_pool *pool, struct outq *q, size_t bytes, outq_done_fn *done)
{
    unsigned frames = 0;
    bytes += q->first_written;
    while (q->first && bytes >= message_len(q->first->message)) {
        struct out_frame *frame = q->first;
        bytes -= message_len(frame->message);
        q->first = frame->next;
        finish(pool, q, frame, done);
        frames++;
    }
    q->first_written = bytes;
    return frames;
}

void outq_drop(struct outq_pool *pool, struct outq *q, bool keep_started, outq_done_fn *done)
{
    struct out_frame *kept = keep_started && q->first_written > 0 ? q->first : NULL;
    struct out_frame *frame = kept ? kept->next : q->first;
    if (kept)
        kept->next = NULL;
    else
        q->first_written = 0;
    q->first = q->last = kept;
    while (frame) {
        struct out_frame *next = frame->next;
        finish(pool, q, frame, done);
        frame = next;
    }
}

uint64_t outq_oldest_ms(const struct outq *q)
{
    return q->first ? q->first->queued_ms : UINT64_MAX;
}
