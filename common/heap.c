#include "heap.h"

#include <malloc.h>

enum { IN_HEAP_MAX = 32 << 20 /* larger ones are mapped one by one; glibc takes no more than that */ };

void heap_keep(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, IN_HEAP_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_MAX);
}
