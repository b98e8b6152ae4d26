#include "router/source/tracker.h"

#include <stdlib.h>

#include "common/check.h"

enum { FIRST_SIZE = 64 };

struct entry {
    int64_t offset;
    bool is_done;
};

/* A ring: positions count from the first record ever, an entry stands at position & (size - 1). */
struct tracker {
    struct entry *ring;
    uint32_t size; /* a power of two */
    uint32_t max;
    uint32_t pending;
    uint64_t head, tail; /* positions of the oldest unfinished and of the next record */
    int64_t last;        /* offset of the newest record */
};

static struct entry *entry_at(const struct tracker *tracker, uint64_t position)
{
    return &tracker->ring[position & (tracker->size - 1)];
}

struct tracker *tracker_new(uint32_t max)
{
    struct tracker *tracker = xcalloc(1, sizeof *tracker);
    tracker->max = max;
    tracker->size = FIRST_SIZE;
    tracker->ring = xcalloc(tracker->size, sizeof *tracker->ring);
    tracker->last = -1;
    return tracker;
}

void tracker_free(struct tracker **tracker_p)
{
    struct tracker *tracker = *tracker_p;
    if (!tracker)
        return;
    *tracker_p = NULL;
    free(tracker->ring);
    free(tracker);
}

static void grow(struct tracker *tracker)
{
    struct tracker old = *tracker;
    tracker->size *= 2;
    tracker->ring = xcalloc(tracker->size, sizeof *tracker->ring);
    for (uint64_t position = old.head; position != old.tail; position++)
        *entry_at(tracker, position) = *entry_at(&old, position);
    free(old.ring);
}

enum err tracker_add(struct tracker *tracker, int64_t offset, uint64_t *position_r)
{
    if (offset <= tracker->last)
        return ERR_INVALID;
    uint32_t span = tracker_span(tracker);
    if (span >= tracker->max)
        return ERR_FULL;
    if (span == tracker->size)
        grow(tracker);
    *entry_at(tracker, tracker->tail) = (struct entry){.offset = offset};
    *position_r = tracker->tail++;
    tracker->pending++;
    tracker->last = offset;
    return ERR_OK;
}

bool tracker_done(struct tracker *tracker, uint64_t position)
{
    CHECK(position >= tracker->head && position < tracker->tail);
    struct entry *entry = entry_at(tracker, position);
    CHECK(!entry->is_done);
    entry->is_done = true;
    tracker->pending--;
    if (position != tracker->head)
        return false;
    while (tracker->head != tracker->tail && entry_at(tracker, tracker->head)->is_done)
        tracker->head++;
    return true;
}

/* With records unfinished it is the oldest of them, so that a gap before it needs no second commit. */
int64_t tracker_next(const struct tracker *tracker)
{
    if (tracker->last < 0)
        return -1;
    return tracker->head != tracker->tail ? entry_at(tracker, tracker->head)->offset : tracker->last + 1;
}

uint32_t tracker_span(const struct tracker *tracker)
{
    return (uint32_t)(tracker->tail - tracker->head);
}

uint32_t tracker_pending(const struct tracker *tracker)
{
    return tracker->pending;
}

int64_t tracker_oldest(const struct tracker *tracker)
{
    return tracker->head != tracker->tail ? entry_at(tracker, tracker->head)->offset : -1;
}
