/*
 * What a session has taken, as far as it tells what the session must not take any more. Pure.
 *
 * Live, of runs that routers send it (proto/link.proto, Target.run). A run is numbered without a gap; a number is taken
 * only when the one before it was, or it is 0: then nothing of that flow was on its way. So what this session refused,
 * what was sent to another session, and what was lost on the link, is never overtaken: those behind it are refused too,
 * and come by the mailbox in order.
 *
 * From its mailboxes. As a mailbox takes each position of a source once and only forward (box_append.lua), so does a
 * session that reads it: what was held up on its way while newer ones came by the mailbox is refused.
 */
#ifndef HERALD_GATEWAY_SESSION_TAKEN_H
#define HERALD_GATEWAY_SESSION_TAKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slab.h"
#include "link.pb-c.h"

enum {
    TAKEN_RUNS = 4,   /* the user's and the device's in each priority, another router's: few at once; what is forgotten
                         is refused, and so stays right */
    TAKEN_SOURCES = 4 /* a partition in a priority, of the user or the device; what is forgotten is taken */
};

/* NULL: nothing of late, as in most sessions most of the time. */
struct taken;

/* Where it is kept. */
struct slab *taken_memory_new(void);
/* Puts them together where many are gone, as slab_compact(). */
size_t taken_compact(struct slab *memory, size_t max);
/* The pointer to it stands elsewhere now. */
void taken_moved(struct taken **taken);

/* run 0: of a router that does not number. */
bool taken_admits(const struct taken *taken, uint64_t run, uint32_t index);
void taken_live(struct taken **taken, struct slab *memory, uint64_t run, uint32_t index);
/* Has a newer one of its source, life, priority and mailbox been read? Never of one whose source is not a position. */
bool taken_is_overtaken(const struct taken *taken, const Herald__V1__Delivery *delivery, bool is_device);
/* An entry of a mailbox was read. */
void taken_entry(struct taken **taken, struct slab *memory, const Herald__V1__Delivery *delivery, bool is_device);
/* Frees it when nothing was taken since the last call: to be called much less often than a run is long. */
void taken_age(struct taken **taken);
void taken_free(struct taken **taken);

#endif
