/*
 * A coarse timing wheel: deadlines of many things (heartbeats, authentication, route refresh) at the price of a
 * list move. A thing embeds a wheel_entry; adding one again moves it. Pure: time comes in as an argument.
 * Entries fire never early and at most one tick late.
 */
#ifndef HERALD_COMMON_WHEEL_H
#define HERALD_COMMON_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"

struct wheel;

struct wheel_entry {
    struct list link;
    uint64_t due_ms;
};

typedef void wheel_fn(struct wheel_entry *entry, void *arg);

/* tick_ms: resolution. fn is called for each entry that is due, which is off the wheel by then. */
struct wheel *wheel_new(uint64_t tick_ms, uint64_t now_ms, wheel_fn *fn, void *arg);
/* Entries still on it are merely forgotten. */
void wheel_free(struct wheel **wheel);
void wheel_entry_init(struct wheel_entry *entry);
/* Any distance into the future is right; far ones are looked at once a revolution. */
void wheel_add(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms);
void wheel_remove(struct wheel *wheel, struct wheel_entry *entry);
bool wheel_has(const struct wheel_entry *entry);
/* What embeds the entry was copied to another place: see list_moved(). Not from inside fn. */
void wheel_entry_moved(const struct wheel_entry *from, struct wheel_entry *to);
/* Fires what is due at now_ms. fn may add and remove entries, its own included. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);

#endif
