#include "memory.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "log.h"

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return xmalloc(size);
}

static void *crypto_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return xrealloc(p, size);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

void memory_init(void)
{
    static bool is_done;
    if (is_done)
        return;
    is_done = true;
    json_set_alloc_funcs(xmalloc, free);
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        log_warn("OpenSSL was in use before the program began: it keeps its own memory"); /* a preloaded library */
}

static void *protobuf_alloc(void *arg, size_t size)
{
    (void)arg;
    return xmalloc(size);
}

static void protobuf_free(void *arg, void *p)
{
    (void)arg;
    free(p);
}

ProtobufCAllocator *memory_protobuf(void)
{
    static ProtobufCAllocator allocator = {.alloc = protobuf_alloc, .free = protobuf_free};
    return &allocator;
}
