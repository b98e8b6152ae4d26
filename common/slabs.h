/* Objects of many sizes from slabs: one for each multiple of 16 bytes, made when it is needed first. */
#ifndef HERALD_COMMON_SLABS_H
#define HERALD_COMMON_SLABS_H

#include "slab.h"

enum { SLABS_SIZE_MAX = 1024 };

struct slabs;

struct slabs *slabs_new(const char *name);
/* All objects must have been put back. */
void slabs_free(struct slabs **slabs);
/* Zeroed memory. */
void *slabs_get(struct slabs *slabs, size_t size);
void slabs_put(void *object);
/* slab_compact() of each, `max` for all together. */
size_t slabs_compact(struct slabs *slabs, size_t max, slab_move_fn *fn, void *arg);

#endif
