/*
 * What a session has taken of the runs that routers send it (proto/link.proto, Target.run). A run is numbered without a
 * gap; a number is taken only when the one before it was, or it is 0: then nothing of that flow was on its way. So what
 * this session refused, what was sent to another session, and what was lost on the link, is never overtaken: those
 * behind it are refused too, and come by the mailbox in order. Pure.
 */
#ifndef HERALD_GATEWAY_SESSION_RUNS_H
#define HERALD_GATEWAY_SESSION_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slab.h"

enum {
    RUNS_KEPT = 4 /* the user's and the device's in each priority, another router's: few at once; what is forgotten is
                     refused, and so stays right */
};

/* NULL: none, as in most sessions most of the time. */
struct runs;

/* Where runs are kept. */
struct slab *runs_memory_new(void);
/* Puts them together where many are gone, as slab_compact(). */
size_t runs_compact(struct slab *memory, size_t max);
/* The pointer to them stands elsewhere now. */
void runs_moved(struct runs **runs);

/* run 0: of a router that does not number. */
bool runs_may_take(const struct runs *runs, uint64_t run, uint32_t index);
void runs_took(struct runs **runs, struct slab *memory, uint64_t run, uint32_t index);
/* Frees it when nothing was taken since the last call: to be called much less often than a run is long. */
void runs_age(struct runs **runs);
void runs_free(struct runs **runs);

#endif
