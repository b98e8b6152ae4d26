/*
 * Objects of one size from 64 KiB blocks; a block that is wholly free is given back to the system (but for one, kept
 * as a spare), so memory follows the load down again. For objects up to 16,000 bytes. Not thread-safe.
 */
#ifndef HERALD_COMMON_SLAB_H
#define HERALD_COMMON_SLAB_H

#include <stddef.h>

struct slab;

struct slab *slab_new(const char *name, size_t object_size);
/* All objects must have been put back. */
void slab_free(struct slab **slab);
/* Zeroed memory, aligned to 16. */
void *slab_get(struct slab *slab);
void slab_put(struct slab *slab, void *object);
size_t slab_in_use(const struct slab *slab); /* objects */
size_t slab_bytes(const struct slab *slab);  /* held from the system */

#endif
