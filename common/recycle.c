#include "recycle.h"

#include <stdlib.h>

#include "check.h"

enum {
    STEP = 64,
    CLASSES = RECYCLE_SIZE_MAX / STEP + 1,
#ifdef __SANITIZE_ADDRESS__
    KEPT_MAX = 0, /* so that what is used after it was given back is seen */
#else
    KEPT_MAX = RECYCLE_KEPT_MAX,
#endif
};

struct spare {
    struct spare *next;
};

static struct {
    struct spare *first[CLASSES]; /* blocks of i * STEP bytes */
    size_t kept;
} recycled;

static size_t class_of(size_t size)
{
    return (size + STEP - 1) / STEP;
}

void *recycle_get(size_t size)
{
    if (size > RECYCLE_SIZE_MAX || KEPT_MAX == 0)
        return xmalloc(size);
    size_t class = class_of(size);
    struct spare *block = recycled.first[class];
    if (!block)
        return xmalloc(class * STEP);
    recycled.first[class] = block->next;
    recycled.kept -= class * STEP;
    return block;
}

void recycle_put(void *block, size_t size)
{
    size_t class = class_of(size);
    if (!block)
        return;
    if (size > RECYCLE_SIZE_MAX || recycled.kept + class * STEP > KEPT_MAX) {
        free(block);
        return;
    }
    struct spare *spare = block;
    spare->next = recycled.first[class];
    recycled.first[class] = spare;
    recycled.kept += class * STEP;
}

size_t recycle_kept(void)
{
    return recycled.kept;
}

void recycle_trim(void)
{
    for (size_t class = 0; class < CLASSES; class ++)
        for (struct spare *spare; (spare = recycled.first[class]);) {
            recycled.first[class] = spare->next;
            free(spare);
        }
    recycled.kept = 0;
}
