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
    size_t object_size, per_block, first; /* first: where a block's objects begin */
    size_t in_use, block_count;
    bool is_spare_old;         /* slab_compact() has seen it */
    struct list partial, full; /* blocks with and without a free object */
    struct block *spare;       /* one free block is kept, so that a single object to and fro costs no system call */
};

/* Stands at the start of its block, which is aligned to its size: an object finds its block by its address. */
struct block {
    uint32_t magic;
    uint32_t used, carved; /* objects in use; objects that were ever handed out */
    bool is_stuck;         /* slab_compact() could not empty it, and none of its objects was put back since */
    struct slab *slab;
    struct list link;
    void *free;      /* a chain through the first word of each */
    uint64_t live[]; /* a bit for each object: in use */
};

static struct block *block_of(const void *object)
{
    struct block *block = (struct block *)((uintptr_t)object & ~(uintptr_t)(BLOCK_SIZE - 1));
    MAGIC_CHECK(block, BLOCK_MAGIC);
    return block;
}

static void *object_at(struct block *block, size_t i)
{
    return (char *)block + block->slab->first + i * block->slab->object_size;
}

/* Marks it as in use, or no longer. */
static void flip(struct block *block, const void *object)
{
    size_t i = (size_t)((const char *)object - (char *)block - block->slab->first) / block->slab->object_size;
    block->live[i / 64] ^= UINT64_C(1) << (i % 64);
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
    ASAN_POISON_MEMORY_REGION((char *)block + slab->first, BLOCK_SIZE - slab->first);
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

/* Where objects begin when a block has so many. */
static size_t first_of(size_t per_block)
{
    return (sizeof(struct block) + (per_block + 63) / 64 * sizeof(uint64_t) + ALIGN - 1) / ALIGN * ALIGN;
}

struct slab *slab_new(const char *name, size_t object_size)
{
    CHECK(object_size > 0 && object_size <= 16000);
    struct slab *slab = xcalloc(1, sizeof(*slab));
    slab->name = xstrdup(name);
    slab->object_size = (object_size + ALIGN - 1) / ALIGN * ALIGN;
    slab->per_block = (BLOCK_SIZE - sizeof(struct block)) / slab->object_size;
    while (first_of(slab->per_block) + slab->per_block * slab->object_size > BLOCK_SIZE)
        slab->per_block--;
    slab->first = first_of(slab->per_block);
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
        object = object_at(block, block->carved++);
        ASAN_UNPOISON_MEMORY_REGION(object, slab->object_size);
    }
    flip(block, object);
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
    flip(block, object);
    block->is_stuck = false;
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
    slab->is_spare_old = false;
    list_remove(&block->link);
    list_push(&slab->partial, &block->link); /* last: it is taken only when the others are full */
}

struct slab *slab_of(const void *object)
{
    return block_of(object)->slab;
}

/* --- compaction --- */

static bool is_wasteful(const struct slab *slab)
{
    size_t room = (slab->block_count - (slab->spare != NULL)) * slab->per_block, unused = room - slab->in_use;
    return unused >= slab->per_block && unused > room / 8;
}

/* The emptiest block that may be emptied, NULL: there is none; the fullest that has room comes to the front, for
 * slab_get(). */
static struct block *choose(struct slab *slab)
{
    struct block *emptiest = NULL, *fullest = NULL;
    list_each (link, &slab->partial) {
        struct block *block = container_of(link, struct block, link);
        if (block == slab->spare)
            continue;
        if (!block->is_stuck && (!emptiest || block->used < emptiest->used))
            emptiest = block;
        if (!fullest || block->used >= fullest->used)
            fullest = block;
    }
    if (!emptiest || emptiest == fullest)
        return NULL;
    list_remove(&fullest->link);
    list_push_front(&slab->partial, &fullest->link);
    return emptiest;
}

static bool move(struct slab *slab, void *from, slab_move_fn *fn, void *arg)
{
    void *to = slab_get(slab);
    memcpy(to, from, slab->object_size);
    bool is_moved = fn(arg, from, to);
    slab_put(slab, is_moved ? from : to);
    return is_moved;
}

/* Until it is empty or `*tries` are used up. It is off the list meanwhile, so that slab_get() takes from others. */
static size_t empty(struct slab *slab, struct block *block, size_t *tries, slab_move_fn *fn, void *arg)
{
    size_t moved = 0, i = 0;
    list_remove(&block->link);
    for (; i<block->carved && * tries> 0; i++) {
        if (!(block->live[i / 64] >> (i % 64) & 1))
            continue;
        bool is_last = block->used == 1;
        --*tries;
        if (!move(slab, object_at(block, i), fn, arg))
            continue;
        moved++;
        if (is_last)
            return moved; /* the block is free now */
    }
    block->is_stuck = i == block->carved;
    list_push(&slab->partial, &block->link);
    return moved;
}

static void free_old_spare(struct slab *slab)
{
    if (slab->spare && slab->is_spare_old) {
        block_free(slab, slab->spare);
        slab->spare = NULL;
    }
    slab->is_spare_old = true;
}

size_t slab_compact(struct slab *slab, size_t max, slab_move_fn *fn, void *arg)
{
    size_t moved = 0, tries = max;
    free_old_spare(slab);
    while (tries > 0 && is_wasteful(slab)) {
        struct block *block = choose(slab);
        if (!block) { /* all are stuck: the next call tries them again */
            list_each (link, &slab->partial)
                container_of(link, struct block, link)->is_stuck = false;
            break;
        }
        moved += empty(slab, block, &tries, fn, arg);
    }
    return moved;
}

size_t slab_in_use(const struct slab *slab)
{
    return slab->in_use;
}

size_t slab_bytes(const struct slab *slab)
{
    return slab->block_count * BLOCK_SIZE;
}
