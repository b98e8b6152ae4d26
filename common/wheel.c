#include "wheel.h"

#include <stdlib.h>

#include "check.h"

enum { SLOT_COUNT = 1024, WHEEL_MAGIC = 0x57686565 };

/* Tick t stands for the time t * tick_ms, and is handled once that time is reached: so nothing fires early. */
struct wheel {
    uint32_t magic;
    bool is_firing;
    uint64_t tick_ms;
    uint64_t tick; /* the last one that was handled */
    wheel_fn *fn;
    void *arg;
    struct list slots[SLOT_COUNT];
};

struct wheel *wheel_new(uint64_t tick_ms, uint64_t now_ms, wheel_fn *fn, void *arg)
{
    CHECK(tick_ms > 0);
    struct wheel *wheel = xcalloc(1, sizeof(*wheel));
    wheel->magic = WHEEL_MAGIC;
    wheel->tick_ms = tick_ms;
    wheel->tick = now_ms / tick_ms;
    wheel->fn = fn;
    wheel->arg = arg;
    for (size_t i = 0; i < SLOT_COUNT; i++)
        list_init(&wheel->slots[i]);
    return wheel;
}

void wheel_free(struct wheel **wheel)
{
    struct wheel *mine = *wheel;
    if (!mine)
        return;
    *wheel = NULL;
    CHECK(!mine->is_firing);
    for (size_t i = 0; i < SLOT_COUNT; i++)
        while (list_pop(&mine->slots[i])) /* an entry may outlive the wheel, and is asked wheel_has() */
            ;
    mine->magic = 0;
    free(mine);
}

void wheel_entry_init(struct wheel_entry *entry)
{
    list_init(&entry->link);
    entry->due_ms = 0;
}

static void place(struct wheel *wheel, struct wheel_entry *entry)
{
    uint64_t due_tick = entry->due_ms / wheel->tick_ms + (entry->due_ms % wheel->tick_ms != 0);
    if (due_tick <= wheel->tick)
        due_tick = wheel->tick + 1;
    list_push(&wheel->slots[due_tick % SLOT_COUNT], &entry->link);
}

void wheel_add(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms)
{
    MAGIC_CHECK(wheel, WHEEL_MAGIC);
    list_remove(&entry->link);
    entry->due_ms = due_ms;
    place(wheel, entry);
}

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry)
{
    MAGIC_CHECK(wheel, WHEEL_MAGIC);
    list_remove(&entry->link);
}

bool wheel_has(const struct wheel_entry *entry)
{
    return !list_is_empty(&entry->link);
}

void wheel_entry_moved(const struct wheel_entry *from, struct wheel_entry *to)
{
    list_moved(&from->link, &to->link);
}

static void fire_slot(struct wheel *wheel)
{
    /* Taken off as a whole first: what fn adds, and what is not due in this revolution, goes back to the slots. */
    struct list firing;
    struct list *link;
    list_init(&firing);
    list_splice(&firing, &wheel->slots[wheel->tick % SLOT_COUNT]);
    while ((link = list_pop(&firing)) != NULL) {
        struct wheel_entry *entry = container_of(link, struct wheel_entry, link);
        if (entry->due_ms > wheel->tick * wheel->tick_ms)
            place(wheel, entry);
        else
            wheel->fn(entry, wheel->arg);
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    MAGIC_CHECK(wheel, WHEEL_MAGIC);
    CHECK(!wheel->is_firing);
    uint64_t until = now_ms / wheel->tick_ms;
    if (until <= wheel->tick)
        return;
    wheel->is_firing = true;
    if (until - wheel->tick > SLOT_COUNT) /* after a long pause each slot is looked at once */
        wheel->tick = until - SLOT_COUNT;
    while (wheel->tick < until) {
        wheel->tick++;
        fire_slot(wheel);
    }
    wheel->is_firing = false;
}
