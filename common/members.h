/*
 * The membership view: the registry's published snapshot (`herald:members`), read at start, when `herald:membership`
 * says that it changed, and every second (pub/sub may lose). While Redis or every registry is away, the last one
 * stands. Versions only grow; an older snapshot is ignored.
 */
#ifndef HERALD_COMMON_MEMBERS_H
#define HERALD_COMMON_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "lease.pb-c.h"
#include "loop.h"
#include "redis.h"

struct members;
struct member {
    char *instance;      /* "gw1-0" */
    uint64_t generation; /* the live one */
    Herald__V1__Role role;
    char *endpoint; /* ZeroMQ, tcp://host:port */
    void *user;     /* for the owner of the view; NULL at first */
};

/* What happens to members; may be NULL each. A restart (same name, higher generation) is gone, then joined. `m` may be
 * kept until its gone() has returned; members_find() no longer finds it then. members_free() tells nobody, and must not
 * be called inside these. */
struct members_events {
    void (*joined)(void *arg, struct member *m);
    void (*gone)(void *arg, struct member *m);
};

/* commands: an ordinary connection; the view makes its own second connection for the channel. */
struct members *members_new(struct loop *loop, struct redis *commands, const struct redis_options *options,
                            const struct members_events *events, void *arg);
/* Before redis_free() of commands. */
void members_free(struct members **members);
uint64_t members_version(const struct members *members);
/* The live member of that name; NULL when there is none. */
struct member *members_find(const struct members *members, const char *instance, size_t len);
/* Walks all; *cursor starts at 0; NULL at the end. */
struct member *members_next(const struct members *members, size_t *cursor);

/* The value of herald:members is `<version>\n<packed herald.v1.Members>`; the version is that in front. allocator NULL:
 * memory_protobuf(), to be freed with herald__v1__members__free_unpacked(). ERR_INVALID, ERR_TOO_LARGE. */
enum err members_parse(ProtobufCAllocator *allocator, const char *value, size_t len,
                       Herald__V1__Members **members_r) MUST_CHECK;

#endif
