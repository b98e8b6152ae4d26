#include "gateway/link/fence.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/table.h"

struct owner {
    int64_t life;
    int32_t generation;
    uint32_t source_len;
    char source[]; /* "topic/partition" */
};

struct fence {
    struct table *owners;
    struct owner *last; /* that was asked for: a batch comes from few partitions, and a look is 200 instructions */
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct owner *owner = item;
    return owner->source_len == key_len && memcmp(owner->source, key, key_len) == 0;
}

struct fence *fence_new(void)
{
    struct fence *fence = xcalloc(1, sizeof *fence);
    fence->owners = table_new(match);
    return fence;
}

void fence_free(struct fence **fence)
{
    if (!*fence)
        return;
    size_t cursor = 0;
    struct owner *owner;
    while ((owner = table_next((*fence)->owners, &cursor)))
        free(owner);
    table_free(&(*fence)->owners);
    free(*fence);
    *fence = NULL;
}

static void remember(struct fence *fence, const char *source, size_t len, int64_t life, int32_t generation)
{
    if (table_count(fence->owners) >= FENCE_MAX)
        return;
    struct owner *owner = xcalloc(1, sizeof *owner + len);
    owner->life = life;
    owner->generation = generation;
    owner->source_len = (uint32_t)len;
    memcpy(owner->source, source, len);
    table_add(fence->owners, source, len, owner);
}

bool fence_admits(struct fence *fence, const char *source, int64_t life, int32_t generation)
{
    const char *slash = strrchr(source, '/');
    if (!slash)
        return true;
    size_t len = (size_t)(slash - source);
    struct owner *owner = fence->last;
    if (!owner || !match(owner, source, len))
        owner = fence->last = table_find(fence->owners, source, len);
    if (!owner) {
        remember(fence, source, len, life, generation);
        return true;
    }
    if (life < owner->life || (life == owner->life && generation < owner->generation))
        return false;
    owner->life = life;
    owner->generation = generation;
    return true;
}
