/*
 * What must never happen. CHECK() is always on: a broken invariant ends the process, and the master or the
 * supervisor starts a fresh one. Nothing the network can cause may stand in a CHECK().
 */
#ifndef HERALD_COMMON_CHECK_H
#define HERALD_COMMON_CHECK_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void check_failed(const char *expr, const char *file, int line);

#define CHECK(expr) ((expr) ? (void)0 : check_failed(#expr, __FILE__, __LINE__))

/* Long-lived structs begin with a magic word; look at it wherever a void * comes back from a callback. */
#define MAGIC_CHECK(p, word) CHECK((p)->magic == (word))

/* malloc and friends that never return NULL: running out of memory ends the process (memory-pressure levels act
 * long before that). Sizes here are never taken unchecked from the network. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
