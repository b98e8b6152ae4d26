/*
 * LD_PRELOAD: counts what a daemon allocates and copies, in the file named in HERALD_COUNT (made by the caller, 4096
 * zero bytes), which it shares with its children and whoever looks. Counted are calls that go through the dynamic
 * linker: malloc, calloc, realloc, aligned_alloc, posix_memalign; and memcpy and memmove of COPY_MIN bytes and more,
 * which is what can hold the body of a benchmark's message. Told apart: calls from the program itself (common/ is part
 * of it) and from libraries. What the kernel copies, and what the C library does inside itself, is not seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COUNTS_LEN = 4096, COPY_MIN = 256 };

/* In the order in which bench/counters.py reads them; the program's own first, then the libraries'. */
struct counts {
    uint64_t allocations[2], allocated_bytes[2], copies[2], copied_bytes[2];
};

static struct counts nowhere, *counts = &nowhere;
static uintptr_t program_begin, program_end;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static int find_program(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size, (void)arg;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X)) {
            program_begin = object->dlpi_addr + segment->p_vaddr;
            program_end = program_begin + segment->p_memsz;
        }
    }
    return 1; /* the first object is the program */
}

__attribute__((constructor)) static void setup(void)
{
    const char *path = getenv("HERALD_COUNT");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, COUNTS_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    dl_iterate_phdr(find_program, NULL);
    if (fd >= 0)
        close(fd);
    if (at != MAP_FAILED)
        counts = at;
}

static void count(uint64_t *calls, uint64_t *bytes, size_t size, const void *caller)
{
    int is_library = (uintptr_t)caller < program_begin || (uintptr_t)caller >= program_end;
    __atomic_fetch_add(&calls[is_library], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&bytes[is_library], size, __ATOMIC_RELAXED);
}

#define ALLOCATED(size) count(counts->allocations, counts->allocated_bytes, size, __builtin_return_address(0))
#define COPIED(size)                                                                                                   \
    ((size) < COPY_MIN ? (void)0 : count(counts->copies, counts->copied_bytes, size, __builtin_return_address(0)))

void *malloc(size_t size)
{
    ALLOCATED(size);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    ALLOCATED(n * size);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    ALLOCATED(size);
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    ALLOCATED(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **p_r, size_t alignment, size_t size)
{
    ALLOCATED(size);
    *p_r = __libc_memalign(alignment, size);
    return *p_r ? 0 : ENOMEM;
}

typedef void *copy_fn(void *to, const void *from, size_t size);

/* Before the dynamic linker can be asked: byte by byte, upwards or downwards, so that areas may overlap. */
static void *copy_slowly(void *to, const void *from, size_t size)
{
    volatile char *t = to;
    const volatile char *f = from;
    if (t <= f)
        for (size_t i = 0; i < size; i++)
            t[i] = f[i];
    else
        for (size_t i = size; i > 0; i--)
            t[i - 1] = f[i - 1];
    return to;
}

static copy_fn *real_copy;

static void *copy(void *to, const void *from, size_t size)
{
    static int is_asking;
    if (!real_copy && !__atomic_exchange_n(&is_asking, 1, __ATOMIC_ACQ_REL))
        real_copy = (copy_fn *)dlsym(RTLD_NEXT, "memmove"); /* right for both */
    return real_copy ? real_copy(to, from, size) : copy_slowly(to, from, size);
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    COPIED(size);
    return copy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
    COPIED(size);
    return copy(to, from, size);
}

/* What libraries that were built with _FORTIFY_SOURCE call. */
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room);
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room)
{
    COPIED(size);
    if (size > room)
        abort();
    return copy(to, from, size);
}

void *__memmove_chk(void *to, const void *from, size_t size, size_t room);
void *__memmove_chk(void *to, const void *from, size_t size, size_t room)
{
    COPIED(size);
    if (size > room)
        abort();
    return copy(to, from, size);
}
