#include "gateway/session/unacked.h"

#include "common/check.h"
#include "common/recycle.h"

enum { SIZE_MIN = 4 };

struct unacked {
    uint64_t first_seq;
    size_t unwritten;
    uint32_t at, count, size;       /* size: a power of two */
    struct unacked_entry entries[]; /* first_seq is entries[at] */
};

static struct unacked_entry *entry_at(struct unacked *ring, uint32_t i)
{
    return &ring->entries[(ring->at + i) & (ring->size - 1)];
}

static size_t bytes_of(uint32_t size)
{
    return sizeof(struct unacked) + size * sizeof(struct unacked_entry);
}

/* Most clients acknowledge before the next message comes: a ring comes and goes with each. */
static struct unacked *ring_new(uint32_t size)
{
    struct unacked *ring = recycle_get(bytes_of(size));
    *ring = (struct unacked){.size = size};
    return ring;
}

static void ring_free(struct unacked *ring)
{
    recycle_put(ring, bytes_of(ring->size));
}

static struct unacked *grown(struct unacked *ring)
{
    struct unacked *larger = ring_new(ring->size * 2);
    larger->first_seq = ring->first_seq;
    larger->unwritten = ring->unwritten;
    larger->count = ring->count;
    for (uint32_t i = 0; i < ring->count; i++)
        larger->entries[i] = *entry_at(ring, i);
    ring_free(ring);
    return larger;
}

void unacked_add(struct unacked **ring, uint64_t seq, const struct unacked_entry *entry)
{
    if (!*ring)
        *ring = ring_new(SIZE_MIN);
    else if ((*ring)->count == (*ring)->size)
        *ring = grown(*ring);
    struct unacked *r = *ring;
    if (r->count == 0)
        r->first_seq = seq;
    CHECK(seq == r->first_seq + r->count);
    *entry_at(r, r->count++) = *entry;
    if (!entry->is_written)
        r->unwritten += entry->len;
}

uint32_t unacked_count(const struct unacked *ring)
{
    return ring ? ring->count : 0;
}

size_t unacked_unwritten(const struct unacked *ring)
{
    return ring ? ring->unwritten : 0;
}

static void mark_written(struct unacked *ring, struct unacked_entry *entry, uint32_t now_ms)
{
    if (entry->is_written)
        return;
    ring->unwritten -= entry->len;
    entry->is_written = true;
    entry->written_ms = now_ms;
}

void unacked_mark_written(struct unacked *ring, uint64_t seq, uint32_t now_ms)
{
    if (ring && seq >= ring->first_seq && seq - ring->first_seq < ring->count)
        mark_written(ring, entry_at(ring, (uint32_t)(seq - ring->first_seq)), now_ms);
}

/* Done for whoever asked, and out of the sum of unwritten bytes. */
static uint32_t finish(struct unacked *ring, uint32_t i, unacked_fn *fn, void *arg)
{
    struct unacked_entry *entry = entry_at(ring, i);
    mark_written(ring, entry, 0);
    if (entry->is_done)
        return 0;
    entry->is_done = true;
    fn(arg, ring->first_seq + i, entry);
    message_unref(&entry->cancel);
    return 1;
}

/* The done ones at the front leave; nothing left: so does the ring. */
static void shrink(struct unacked **ring)
{
    struct unacked *r = *ring;
    while (r->count > 0 && entry_at(r, 0)->is_done) {
        r->at = (r->at + 1) & (r->size - 1);
        r->first_seq++;
        r->count--;
    }
    if (r->count == 0) {
        ring_free(r);
        *ring = NULL;
    }
}

uint32_t unacked_ack_through(struct unacked **ring, uint64_t seq, unacked_fn *fn, void *arg)
{
    struct unacked *r = *ring;
    uint32_t called = 0;
    if (!r)
        return 0;
    for (uint32_t i = 0; i < r->count && r->first_seq + i <= seq; i++)
        called += finish(r, i, fn, arg);
    shrink(ring);
    return called;
}

uint32_t unacked_ack_id(struct unacked **ring, uint64_t id_hash, unacked_fn *fn, void *arg)
{
    struct unacked *r = *ring;
    uint32_t called = 0;
    if (!r)
        return 0;
    for (uint32_t i = 0; i < r->count; i++)
        if (entry_at(r, i)->id_hash == id_hash)
            called += finish(r, i, fn, arg);
    shrink(ring);
    return called;
}

uint32_t unacked_take_all(struct unacked **ring, unacked_fn *fn, void *arg)
{
    return unacked_ack_through(ring, UINT64_MAX, fn, arg);
}
