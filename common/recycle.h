/*
 * Small blocks of memory that come and go with each message. malloc() keeps seven of a size at hand and takes 300
 * instructions for each one beyond, and batches are hundreds: what is given back is kept here by size, up to a bound,
 * and taken again. Not thread-safe (a process is one thread). Under AddressSanitizer it is malloc() and free().
 */
#ifndef HERALD_COMMON_RECYCLE_H
#define HERALD_COMMON_RECYCLE_H

#include <stddef.h>

enum { RECYCLE_SIZE_MAX = 2048 /* larger ones go through malloc() */, RECYCLE_KEPT_MAX = 512 * 1024 };

/* Not zeroed. */
void *recycle_get(size_t size);
/* With the size that it was taken with. NULL is a no-op. */
void recycle_put(void *block, size_t size);
/* Bytes that are kept for those to come. */
size_t recycle_kept(void);
/* Gives them back. */
void recycle_trim(void);

#endif
