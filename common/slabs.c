#include "slabs.h"

#include <stdlib.h>

#include "check.h"

enum { STEP = 16, CLASSES = SLABS_SIZE_MAX / STEP };

struct slabs {
    char *name;
    struct slab *of[CLASSES];
};

struct slabs *slabs_new(const char *name)
{
    struct slabs *slabs = xcalloc(1, sizeof(*slabs));
    slabs->name = xstrdup(name);
    return slabs;
}

void slabs_free(struct slabs **slabs)
{
    struct slabs *mine = *slabs;
    if (!mine)
        return;
    *slabs = NULL;
    for (size_t i = 0; i < CLASSES; i++)
        slab_free(&mine->of[i]);
    free(mine->name);
    free(mine);
}

void *slabs_get(struct slabs *slabs, size_t size)
{
    CHECK(size > 0 && size <= SLABS_SIZE_MAX);
    size_t class = (size - 1) / STEP;
    if (!slabs->of[class])
        slabs->of[class] = slab_new(slabs->name, (class + 1) * STEP);
    return slab_get(slabs->of[class]);
}

void slabs_put(void *object)
{
    slab_put(slab_of(object), object);
}

size_t slabs_compact(struct slabs *slabs, size_t max, slab_move_fn *fn, void *arg)
{
    size_t moved = 0;
    for (size_t i = 0; i < CLASSES; i++)
        if (slabs->of[i])
            moved += slab_compact(slabs->of[i], max - moved, fn, arg);
    return moved;
}
