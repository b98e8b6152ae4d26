#include "slab.h"

#include <sanitizer/asan_interface.h> /* its macros are empty in builds without AddressSanitizer */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "list.h"
#include "log.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h> /* what only objects in our blocks point to is no leak */
#else
static void __lsan_register_root_region(const void *p, size_t size)
{
    (void)p;
    (void)size;
}
static void __lsan_unregister_root_region(const void *p, size_t size)
{
    (void)p;
    (void)size;
}
#endif

enum { BLOCK_SIZE = 64 * 1024, ALIGN = 16, BLOCK_MAGIC = 0x536c6162 };

struct slab {
    char *name;
    size_t object_size, per_block;
    size_t in_use, block_count;
    struct list partial, full; /* blocks with and without a free object */
    struct block *spare;       /* one free block is kept, so that a single object to and fro costs no system call */
};

/* Stands at the start of its block, which is aligned to its size: an object finds its block by its address. */
struct block {
    uint32_t magic;
    uint32_t used, carved; /* objects in use; objects that were ever handed out */
    struct slab *slab;
    struct list link;
    void *free; /* a chain through the first word of each */
};

enum { FIRST_OBJECT = (sizeof(struct block) + ALIGN - 1) / ALIGN * ALIGN };

static struct block *block_of(void *object)
{
    struct block *block = (struct block *)((uintptr_t)object & ~(uintptr_t)(BLOCK_SIZE - 1));
    MAGIC_CHECK(block, BLOCK_MAGIC);
    return block;
}

/* mmap() gives no such alignment: take twice as much and give back what is too much. */
static void *map_aligned(void)
{
    char *raw = mmap(NULL, 2 * (size_t)BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(raw != MAP_FAILED);
    size_t before = (size_t)(-(uintptr_t)raw & (BLOCK_SIZE - 1));
    if (before)
        munmap(raw, before);
    munmap(raw + before + BLOCK_SIZE, BLOCK_SIZE - before);
    return raw + before;
}

static struct block *block_new(struct slab *slab)
{
    struct block *block = map_aligned();
    block->magic = BLOCK_MAGIC;
    block->slab = slab;
    list_push(&slab->partial, &block->link);
    slab->block_count++;
    ASAN_POISON_MEMORY_REGION((char *)block + FIRST_OBJECT, BLOCK_SIZE - FIRST_OBJECT);
    __lsan_register_root_region(block, BLOCK_SIZE);
    return block;
}

static void block_free(struct slab *slab, struct block *block)
{
    list_remove(&block->link);
    slab->block_count--;
    __lsan_unregister_root_region(block, BLOCK_SIZE);
    ASAN_UNPOISON_MEMORY_REGION(block, BLOCK_SIZE);
    CHECK(munmap(block, BLOCK_SIZE) == 0);
}

struct slab *slab_new(const char *name, size_t object_size)
{
    CHECK(object_size > 0 && object_size <= 16000);
    struct slab *slab = xcalloc(1, sizeof(*slab));
    slab->name = xstrdup(name);
    slab->object_size = (object_size + ALIGN - 1) / ALIGN * ALIGN;
    slab->per_block = (BLOCK_SIZE - FIRST_OBJECT) / slab->object_size;
    list_init(&slab->partial);
    list_init(&slab->full);
    return slab;
}

void slab_free(struct slab **slab)
{
    struct slab *mine = *slab;
    if (!mine)
        return;
    *slab = NULL;
    if (mine->in_use)
        log_error("objects of a slab are still in use", F_STR("slab", mine->name), F_UINT("count", mine->in_use));
    CHECK(mine->in_use == 0);
    if (mine->spare)
        block_free(mine, mine->spare);
    CHECK(mine->block_count == 0);
    free(mine->name);
    free(mine);
}

void *slab_get(struct slab *slab)
{
    struct list *first = list_first(&slab->partial);
    struct block *block = first ? container_of(first, struct block, link) : block_new(slab);
    if (block == slab->spare)
        slab->spare = NULL;
    void *object = block->free;
    if (object) {
        ASAN_UNPOISON_MEMORY_REGION(object, slab->object_size);
        memcpy(&block->free, object, sizeof(void *));
        memset(object, 0, slab->object_size);
    } else { /* memory fresh from the system is zero already */
        object = (char *)block + FIRST_OBJECT + block->carved++ * slab->object_size;
        ASAN_UNPOISON_MEMORY_REGION(object, slab->object_size);
    }
    block->used++;
    slab->in_use++;
    if (block->used == slab->per_block) {
        list_remove(&block->link);
        list_push(&slab->full, &block->link);
    }
    return object;
}

void slab_put(struct slab *slab, void *object)
{
    struct block *block = block_of(object);
    CHECK(block->slab == slab && block->used > 0);
    if (block->used == slab->per_block) {
        list_remove(&block->link);
        /* At the front: filling the fuller blocks first lets the others become free. */
        list_push_front(&slab->partial, &block->link);
    }
    memcpy(object, &block->free, sizeof(void *));
    block->free = object;
    ASAN_POISON_MEMORY_REGION(object, slab->object_size);
    block->used--;
    slab->in_use--;
    if (block->used > 0)
        return;
    if (slab->spare) {
        block_free(slab, block);
        return;
    }
    slab->spare = block;
    list_remove(&block->link);
    list_push(&slab->partial, &block->link); /* last: it is taken only when the others are full */
}

size_t slab_in_use(const struct slab *slab)
{
    return slab->in_use;
}

size_t slab_bytes(const struct slab *slab)
{
    return slab->block_count * BLOCK_SIZE;
}
