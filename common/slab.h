/*
 * Objects of one size from 64 KiB blocks; a block that is wholly free is given back to the system (but for one, kept
 * as a spare), so memory follows the load down again. Where those who stay are scattered over all blocks,
 * slab_compact() puts them together. For objects up to 16,000 bytes. Not thread-safe.
 */
#ifndef HERALD_COMMON_SLAB_H
#define HERALD_COMMON_SLAB_H

#include <stdbool.h>
#include <stddef.h>

struct slab;

struct slab *slab_new(const char *name, size_t object_size);
/* All objects must have been put back. */
void slab_free(struct slab **slab);
/* Zeroed memory, aligned to 16. */
void *slab_get(struct slab *slab);
void slab_put(struct slab *slab, void *object);
/* The slab that an object is from. */
struct slab *slab_of(const void *object);

/* The object was copied to `to`, and is to have what points to it point there. False: it cannot move now, and nothing
 * was changed. Must not get or put objects of this slab. */
typedef bool slab_move_fn(void *arg, void *from, void *to);
/* Where a block could be given back, and more than an eighth of the memory is unused: moves objects from the emptiest
 * blocks into the fullest, at most `max` of them. The spare block goes, too, when nobody wanted it since the last call.
 * Returns how many moved: to be called again and again, a little each time. */
size_t slab_compact(struct slab *slab, size_t max, slab_move_fn *fn, void *arg);
size_t slab_in_use(const struct slab *slab); /* objects */
size_t slab_bytes(const struct slab *slab);  /* held from the system */

#endif
