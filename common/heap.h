/*
 * How malloc() behaves in a process that passes large buffers on from thread to thread and has to be fast rather than
 * small: one heap for all threads, and what is freed stays at hand, up to a bound. Without it glibc gives a fetched
 * batch of a megabyte back to the system each time, and takes it anew in pages that have to be cleared.
 */
#ifndef HERALD_COMMON_HEAP_H
#define HERALD_COMMON_HEAP_H

enum { HEAP_KEPT_MAX = 64 << 20 /* bytes at the end of the heap that stay, though they are free */ };

/* Before the first thread is started. No-op where malloc() is not glibc's. */
void heap_keep(void);

#endif
