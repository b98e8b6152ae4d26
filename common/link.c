#include "link.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "wire.h"

enum {
    TAG_HELLO = 6,
    TAG_DELIVERIES = 7,
    TAG_RESULTS = 8,
    TAG_POKES = 9,
    TAG_UPSTREAMS = 10,
    TAG_UPSTREAM_RESULTS = 11,
    TAG_BOX_FATES = 12,
    TAG_WITHDRAWALS = 13,
    TAG_CANARIES = 14,
    TAG_BOX_FATE_RESULTS = 15,
    START_BYTES = 4096
};

/* --- packing ------------------------------------------------------------------------------------------------------ */

void link_out_init(struct link_out *out, const char *from, uint64_t from_generation, const char *to,
                   uint64_t to_generation)
{
    *out = (struct link_out){
        .from = from, .from_generation = from_generation, .to = to, .to_generation = to_generation};
    buf_init(&out->packed);
}

void link_out_release(struct link_out *out)
{
    buf_release(&out->packed);
    out->pieces = 0;
}

static void begin(struct link_out *out)
{
    Herald__V1__Envelope head = HERALD__V1__ENVELOPE__INIT;
    head.version = LINK_VERSION;
    /* protobuf-c declares strings writable, and only reads them here */
    head.from = (char *)(uintptr_t)out->from;
    head.from_generation = out->from_generation;
    head.to = (char *)(uintptr_t)out->to;
    head.to_generation = out->to_generation;
    buf_reserve(&out->packed, START_BYTES);
    wire_put(&out->packed, &head.base);
}

/* Repeated fields may stand anywhere, and a message is the merge of its concatenated parts: so a piece is just its tag,
 * its length and itself. */
static void put(struct link_out *out, int tag, const ProtobufCMessage *piece)
{
    if (!out->packed.len)
        begin(out);
    wire_put_piece(&out->packed, (uint32_t)tag, piece);
    out->pieces++;
}

void link_put_hello(struct link_out *out, const Herald__V1__Hello *hello)
{
    put(out, TAG_HELLO, &hello->base);
}

void link_put_delivery(struct link_out *out, const Herald__V1__Delivery *delivery)
{
    put(out, TAG_DELIVERIES, &delivery->base);
}

void link_put_result(struct link_out *out, const Herald__V1__Result *result)
{
    put(out, TAG_RESULTS, &result->base);
}

void link_put_poke(struct link_out *out, const Herald__V1__Poke *poke)
{
    put(out, TAG_POKES, &poke->base);
}

void link_put_withdrawal(struct link_out *out, const Herald__V1__Withdrawal *withdrawal)
{
    put(out, TAG_WITHDRAWALS, &withdrawal->base);
}

void link_put_upstream(struct link_out *out, const Herald__V1__Upstream *upstream)
{
    put(out, TAG_UPSTREAMS, &upstream->base);
}

void link_put_upstream_result(struct link_out *out, const Herald__V1__UpstreamResult *result)
{
    put(out, TAG_UPSTREAM_RESULTS, &result->base);
}

void link_put_canary(struct link_out *out, const Herald__V1__CanaryRequest *request)
{
    put(out, TAG_CANARIES, &request->base);
}

void link_put_box_fate(struct link_out *out, const Herald__V1__BoxFate *fate)
{
    put(out, TAG_BOX_FATES, &fate->base);
}

void link_put_box_fate_result(struct link_out *out, const Herald__V1__BoxFateResult *result)
{
    put(out, TAG_BOX_FATE_RESULTS, &result->base);
}

char *link_take(struct link_out *out, size_t *len_r)
{
    char *bytes = out->packed.len ? out->packed.bytes : NULL;
    *len_r = out->packed.len;
    if (!bytes)
        return NULL;
    buf_init(&out->packed); /* given away */
    out->pieces = 0;
    return bytes;
}

/* --- the arena ---------------------------------------------------------------------------------------------------- */

enum { CHUNK_BYTES = 64 << 10, ALIGN = 16 };

struct chunk {
    struct chunk *next; /* older */
    size_t size, used;
    _Alignas(ALIGN) char bytes[];
};

struct link_arena {
    ProtobufCAllocator allocator;
    struct chunk *chunks; /* the newest first */
    size_t held, max;     /* bytes of all chunks */
};

static bool add_chunk(struct link_arena *arena, size_t least)
{
    size_t size = arena->held > CHUNK_BYTES ? arena->held : CHUNK_BYTES; /* doubles what is held */
    if (size < least)
        size = least;
    if (size > arena->max - arena->held)
        size = arena->max - arena->held;
    if (size < least)
        return false;
    struct chunk *chunk = xmalloc(sizeof *chunk + size);
    *chunk = (struct chunk){.next = arena->chunks, .size = size};
    arena->chunks = chunk;
    arena->held += size;
    return true;
}

static void *arena_alloc(void *arg, size_t size)
{
    struct link_arena *arena = arg;
    bool fits = size <= arena->max; /* before the rounding, which could overflow */
    size_t need = fits ? (size + ALIGN - 1) & ~(size_t)(ALIGN - 1) : 0;
    if (fits && (!arena->chunks || arena->chunks->size - arena->chunks->used < need))
        fits = add_chunk(arena, need);
    if (!fits)
        return NULL;
    void *at = arena->chunks->bytes + arena->chunks->used;
    arena->chunks->used += need;
    return at;
}

static void arena_free(void *arg, void *p)
{
    (void)arg, (void)p; /* all at once, by the next clear */
}

struct link_arena *link_arena_new(size_t max_bytes)
{
    struct link_arena *arena = xcalloc(1, sizeof *arena);
    arena->allocator = (ProtobufCAllocator){.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    arena->max = max_bytes;
    return arena;
}

static void drop_chunks(struct link_arena *arena)
{
    for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    arena->chunks = NULL;
    arena->held = 0;
}

void link_arena_free(struct link_arena **arena)
{
    if (*arena)
        drop_chunks(*arena);
    free(*arena);
    *arena = NULL;
}

ProtobufCAllocator *link_arena_allocator(struct link_arena *arena)
{
    return &arena->allocator;
}

void link_arena_clear(struct link_arena *arena)
{
    if (!arena->chunks)
        return;
    /* One that had to grow is remade on demand in one piece of the whole size. */
    size_t held = arena->chunks->next ? arena->held : 0;
    if (held) {
        drop_chunks(arena);
        CHECK(add_chunk(arena, held));
    }
    arena->chunks->used = 0;
}

/* --- unpacking ---------------------------------------------------------------------------------------------------- */

enum err link_unpack(struct link_arena *arena, const void *bytes, size_t len, const char *self, uint64_t generation,
                     const Herald__V1__Envelope **envelope_r)
{
    *envelope_r = NULL;
    link_arena_clear(arena);
    ProtobufCMessage *message;
    enum err err = wire_unpack(&herald__v1__envelope__descriptor, &arena->allocator, bytes, len, &message);
    if (err != ERR_OK)
        return err;
    const Herald__V1__Envelope *envelope = (const Herald__V1__Envelope *)message;
    if (envelope->version != LINK_VERSION)
        return ERR_UNSUPPORTED;
    if (strcmp(envelope->to, self) || (envelope->to_generation && envelope->to_generation != generation))
        return ERR_REFUSED;
    *envelope_r = envelope;
    return ERR_OK;
}
