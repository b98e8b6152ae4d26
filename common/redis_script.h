/*
 * The Lua scripts of common/lua/, compiled in (build/generated/lua_scripts.h, made from the files). They are loaded
 * after each connect and called by SHA-1 with EVALSHA; when Redis answers NOSCRIPT all the same (SCRIPT FLUSH), the
 * call is sent again whole (EVAL), which puts it behind commands given in the meantime. Each file's head comment tells
 * KEYS, ARGV, the reply and the argument why it is atomic enough; the same text is the documentation.
 */
#ifndef HERALD_COMMON_REDIS_SCRIPT_H
#define HERALD_COMMON_REDIS_SCRIPT_H

#include "redis.h"

#define REDIS_SCRIPT_LIST(X)                                                                                           \
    X(LEASE_RENEW, lease_renew)         /* write or renew an instance's lease */                                       \
    X(LEASE_RELEASE, lease_release)     /* compare-and-delete */                                                       \
    X(MEMBERS_PUBLISH, members_publish) /* fenced write of the snapshot + pub/sub */                                   \
    X(LEADER_ACQUIRE, leader_acquire)   /* lock with fencing token */                                                  \
    X(LEADER_RELEASE, leader_release)                                                                                  \
    X(ROUTE_REGISTER, route_register) /* a session opens: route, devices, replaced owner, box length */                \
    X(ROUTE_REFRESH, route_refresh)   /* the owner prolongs; says when it is no longer the owner */                    \
    X(ROUTE_REMOVE, route_remove)     /* compare-and-delete */                                                         \
    X(BOX_APPEND, box_append)         /* spill in order, once per source position; returns the live routes */          \
    X(BOX_ACK, box_ack)               /* remove acknowledged entries; empty -> gone */                                 \
    X(SOURCE_BEGIN, source_begin)     /* which owner of a partition is the newer one */                                \
    X(DEDUP_CLAIM, dedup_claim)       /* a producer-given id, by the source position that came first */                \
    X(HANDOVER_ADD, handover_add)     /* a mailbox to be handed over */                                                \
    X(HANDOVER_CLAIM, handover_claim) /* those that are due */                                                         \
    X(HANDOVER_END, handover_end)

enum redis_script {
#define X(name, file) REDIS_SCRIPT_##name,
    REDIS_SCRIPT_LIST(X)
#undef X
        REDIS_SCRIPT_COUNT
};

/* argv: the keys, then the arguments. As redis_command(). */
enum err redis_script(struct redis *redis, enum redis_script script, redis_fn *fn, void *arg, int key_count, int argc,
                      const char *const *argv, const size_t *lens) MUST_CHECK;
/* The script's text, for SCRIPT LOAD. */
const char *redis_script_source(enum redis_script script, size_t *len_r);

#endif
