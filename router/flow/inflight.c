#include "router/flow/inflight.h"

#include "common/check.h"

#include <stdlib.h>

enum { CHUNK = 1024 }; /* slots are allocated so many at a time, and stay where they are */

struct inflight {
    struct inflight_limits limits;
    struct slot **chunks;
    uint32_t chunk_count;
    uint32_t used;
    uint64_t used_bytes;
    struct list free;
    struct list due[INFLIGHT_CLASS_COUNT]; /* oldest first */
    uint32_t records;
    uint64_t record_bytes;
    uint32_t outcomes;
    uint32_t targets;
};

/* A quarter of the slots is for what comes though the window is full. */
static uint32_t slots_soft(const struct inflight_limits *limits)
{
    return limits->slots - limits->slots / 4;
}

static uint64_t slot_bytes_soft(const struct inflight_limits *limits)
{
    return limits->slot_bytes - limits->slot_bytes / 4;
}

struct inflight *inflight_new(const struct inflight_limits *limits)
{
    struct inflight *inflight = xcalloc(1, sizeof(*inflight));
    inflight->limits = *limits;
    inflight->chunks = xcalloc(limits->slots / CHUNK + 1, sizeof(*inflight->chunks));
    list_init(&inflight->free);
    for (int i = 0; i < INFLIGHT_CLASS_COUNT; i++)
        list_init(&inflight->due[i]);
    return inflight;
}

void inflight_free(struct inflight **inflight)
{
    if (!*inflight)
        return;
    for (uint32_t i = 0; i < (*inflight)->chunk_count; i++)
        free((*inflight)->chunks[i]);
    free((*inflight)->chunks);
    free(*inflight);
    *inflight = NULL;
}

static void add_chunk(struct inflight *inflight)
{
    struct slot *slots = xcalloc(CHUNK, sizeof(*slots));
    for (uint32_t i = 0; i < CHUNK; i++) {
        slots[i].index = inflight->chunk_count * CHUNK + i;
        slots[i].generation = 1;
        list_init(&slots[i].due_link);
        list_init(&slots[i].lane_link);
        list_init(&slots[i].entry_link);
        list_push(&inflight->free, &slots[i].due_link);
    }
    inflight->chunks[inflight->chunk_count++] = slots;
}

struct slot *inflight_get(struct inflight *inflight, enum inflight_class class, uint32_t bytes, uint64_t now_ms)
{
    const struct inflight_limits *limits = &inflight->limits;
    if (inflight->used >= limits->slots || inflight->used_bytes >= limits->slot_bytes)
        return NULL;
    if (list_is_empty(&inflight->free))
        add_chunk(inflight);
    struct list *first = list_pop(&inflight->free);
    CHECK(first);
    struct slot *slot = container_of(first, struct slot, due_link);
    slot->class = class;
    slot->bytes = bytes;
    slot->is_used = true;
    slot->due_ms = now_ms + limits->wait_ms[class];
    list_push(&inflight->due[class], &slot->due_link);
    inflight->used++;
    inflight->used_bytes += bytes;
    return slot;
}

struct slot *inflight_find(struct inflight *inflight, uint32_t index, uint32_t generation)
{
    if (index / CHUNK >= inflight->chunk_count)
        return NULL;
    struct slot *slot = &inflight->chunks[index / CHUNK][index % CHUNK];
    return slot->is_used && slot->generation == generation ? slot : NULL;
}

void inflight_put(struct inflight *inflight, struct slot *slot)
{
    CHECK(slot->is_used);
    inflight->used--;
    inflight->used_bytes -= slot->bytes;
    list_remove(&slot->due_link);
    list_remove(&slot->lane_link);
    list_remove(&slot->entry_link);
    slot->entry = NULL;
    slot->is_used = false;
    if (++slot->generation == 0)
        slot->generation = 1;
    list_push_front(&inflight->free, &slot->due_link); /* the warm one first */
}

uint64_t inflight_sent_ms(const struct inflight *inflight, const struct slot *slot)
{
    return slot->due_ms - inflight->limits.wait_ms[slot->class];
}

struct slot *inflight_due(struct inflight *inflight, uint64_t now_ms)
{
    for (int i = 0; i < INFLIGHT_CLASS_COUNT; i++) {
        struct list *first = list_first(&inflight->due[i]);
        struct slot *slot = first ? container_of(first, struct slot, due_link) : NULL;
        if (slot && slot->due_ms <= now_ms)
            return slot;
    }
    return NULL;
}

uint32_t inflight_count(const struct inflight *inflight)
{
    return inflight->used;
}

static bool is_within(uint64_t held, uint64_t used, uint64_t total, uint32_t lanes)
{
    return held < total / lanes || (used < total && held < total - used);
}

bool inflight_may_grow(const struct inflight *inflight, uint32_t attempts, uint64_t bytes, uint32_t lanes)
{
    const struct inflight_limits *limits = &inflight->limits;
    if (lanes <= 1)
        return true; /* there is nobody to leave room for */
    return is_within(attempts, inflight->records, limits->records, lanes) &&
           is_within(bytes, inflight->record_bytes, limits->record_bytes, lanes) &&
           is_within(attempts, inflight->used, slots_soft(limits), lanes) &&
           is_within(bytes, inflight->used_bytes, slot_bytes_soft(limits), lanes);
}

void inflight_enter(struct inflight *inflight, uint64_t bytes)
{
    inflight->records++;
    inflight->record_bytes += bytes;
}

void inflight_leave(struct inflight *inflight, uint64_t bytes)
{
    CHECK(inflight->records > 0 && inflight->record_bytes >= bytes);
    inflight->records--;
    inflight->record_bytes -= bytes;
}

void inflight_enter_target(struct inflight *inflight)
{
    inflight->targets++;
}

void inflight_leave_target(struct inflight *inflight)
{
    CHECK(inflight->targets > 0);
    inflight->targets--;
}

void inflight_hold(struct inflight *inflight)
{
    inflight->outcomes++;
}

void inflight_release(struct inflight *inflight)
{
    CHECK(inflight->outcomes > 0);
    inflight->outcomes--;
}

bool inflight_is_full(const struct inflight *inflight)
{
    const struct inflight_limits *limits = &inflight->limits;
    return inflight->records >= limits->records || inflight->record_bytes >= limits->record_bytes ||
           inflight->targets >= slots_soft(limits) || inflight->used >= slots_soft(limits) ||
           inflight->used_bytes >= slot_bytes_soft(limits) ||
           (limits->outcomes > 0 && inflight->outcomes >= limits->outcomes);
}

bool inflight_has_room(const struct inflight *inflight)
{
    const struct inflight_limits *limits = &inflight->limits;
    return inflight->records <= limits->records - limits->records / 4 - 1 &&
           inflight->record_bytes <= limits->record_bytes - limits->record_bytes / 4 &&
           inflight->targets <= limits->slots / 2 && inflight->used <= limits->slots / 2 &&
           inflight->used_bytes <= limits->slot_bytes / 2 &&
           (limits->outcomes == 0 || inflight->outcomes <= limits->outcomes - limits->outcomes / 4 - 1);
}

uint32_t inflight_records(const struct inflight *inflight)
{
    return inflight->records;
}

uint64_t inflight_record_bytes(const struct inflight *inflight)
{
    return inflight->record_bytes;
}
