/*
 * Asynchronous Redis over hiredis: everything is pipelined, nothing waits a round trip for another; what a loop turn
 * gives leaves in one write at its end. A lost connection is made again with jittered back-off. Only redis*.c include
 * hiredis (0.14: RESP2); of it, connecting, the reply parser and its objects are used, not its async layer, whose
 * subscribed mode and freeing inside callbacks are too fragile.
 *
 * Resolving a host name blocks the loop (getaddrinfo): give an address, or a name that resolves locally.
 *
 * Silence: when commands are under way and nothing was received for `redis.timeout`, the connection is dropped.
 * An idle one is asked with PING after half of that, so a dead peer is noticed on a subscribed connection too.
 *
 * Commands given while the connection is away fail at once with ERR_AWAY; those under way when it is lost fail with
 * ERR_AWAY too, and may or may not have been executed: what is sent must be safe to repeat. At most
 * `pending_max` commands and REDIS_OUT_MAX bytes not yet taken by the kernel are under way; beyond that ERR_FULL.
 * Replies LOADING, READONLY and MASTERDOWN also mean ERR_AWAY: the connection is dropped and made again, maybe
 * elsewhere.
 */
#ifndef HERALD_COMMON_REDIS_H
#define HERALD_COMMON_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "loop.h"

struct redis;
struct redis_reply; /* borrowed: valid only inside the callback */

enum { REDIS_OUT_MAX = 256 << 20 };

/* ERR_OK: reply is the reply. ERR_REFUSED: an error reply of Redis, logged (but NOSCRIPT), and reply is the error.
 * Else reply is NULL. */
typedef void redis_fn(void *arg, enum err err, const struct redis_reply *reply);
/* Connection came up (true: AUTH, SELECT, SCRIPT LOAD done and known subscriptions confirmed) or was lost (false: after
 * the callbacks of what was under way). Commands may be given from here. Never called inside redis_new(). */
typedef void redis_state_fn(void *arg, bool is_up);

/* Options shared by all daemons: redis.address, redis.user, ... as rows for their tables. */
struct redis_options {
    char *address; /* host:port */
    char *user, *password;
    int64_t database, pending_max, connect_timeout_ms, backoff_max_ms;
};
/* Expands to option rows; `type` is the settings struct, `field` its struct redis_options. */
#define REDIS_OPTION_ROWS(type, field)                                                                                 \
    {"redis", "address", OPTION_STRING, offsetof(type, field.address), "127.0.0.1:6379",                               \
     0,       0,         NULL,          "host:port of Redis"},                                                         \
        {"redis", "user", OPTION_STRING, offsetof(type, field.user), "", 0, 0, NULL, "ACL user; empty: the default"},  \
        {"redis", "password", OPTION_SECRET, offsetof(type, field.password), "", 0, 0, NULL, "password"},              \
        {"redis", "database", OPTION_INT, offsetof(type, field.database), "0", 0, 1023, NULL, "database number"},      \
        {"redis", "pending_max", OPTION_INT, offsetof(type, field.pending_max), "100000",                              \
         100,     10000000,      NULL,       "commands under way at the most"},                                        \
        {"redis",                                                                                                      \
         "timeout",                                                                                                    \
         OPTION_DURATION,                                                                                              \
         offsetof(type, field.connect_timeout_ms),                                                                     \
         "2s",                                                                                                         \
         100,                                                                                                          \
         60000,                                                                                                        \
         NULL,                                                                                                         \
         "time to connect, and to answer, before the connection is dropped"},                                          \
    {                                                                                                                  \
        "redis", "backoff_max", OPTION_DURATION, offsetof(type, field.backoff_max_ms), "1s", 100, 60000, NULL,         \
            "longest pause between attempts to connect; jittered"                                                      \
    }

/* `name` stands in logs. Connecting starts at once. */
struct redis *redis_new(struct loop *loop, const struct redis_options *options, const char *name,
                        redis_state_fn *on_state, void *arg);
/* What was given goes to the kernel as far as it takes it now, without waiting. Callbacks of commands under way are
 * called with ERR_CLOSED; on_state is not called. May be called inside any callback of this connection. */
void redis_free(struct redis **redis);
bool redis_is_up(const struct redis *redis);
/* Commands under way. */
uint32_t redis_pending(const struct redis *redis);

struct redis_counts {
    uint64_t commands, errors; /* taken; answered with an error */
    uint64_t full;             /* refused with ERR_FULL */
    uint64_t connects, losses;
};
const struct redis_counts *redis_counts(const struct redis *redis);

/* argv of argc binary-safe arguments, copied. fn may be NULL. ERR_OK: fn will be called exactly once;
 * else it is not. */
enum err redis_command(struct redis *redis, redis_fn *fn, void *arg, int argc, const char *const *argv,
                       const size_t *lens) MUST_CHECK;
/* The same from NUL-terminated words: redis_words(r, fn, arg, "GET", key, NULL). */
enum err redis_words(struct redis *redis, redis_fn *fn, void *arg, ...) __attribute__((sentinel)) MUST_CHECK;

/* Pub/sub: this connection then takes no commands but further subscriptions. They are renewed after a reconnection by
 * themselves, and confirmed before on_state(true); one added later is sent at once. `fn` gets each message; payload
 * NULL for a null payload (FLUSHALL on __redis__:invalidate: then all is meant). An array payload (invalidation) is
 * handed out an element at a time. */
typedef void redis_message_fn(void *arg, const char *channel, const char *payload, size_t len);
void redis_subscribe(struct redis *redis, const char *channel, redis_message_fn *fn, void *arg);
/* CLIENT ID of this connection, asked after each connect before on_state(true) and before subscriptions; 0 while away.
 */
uint64_t redis_client_id(const struct redis *redis);

enum redis_kind { REDIS_NIL, REDIS_STRING, REDIS_INTEGER, REDIS_ARRAY, REDIS_STATUS, REDIS_ERROR };
/* NULL, which comes with most errors, reads as NIL everywhere. */
enum redis_kind redis_reply_kind(const struct redis_reply *reply);
/* Of STRING, STATUS and ERROR; "" and 0 else. */
const char *redis_reply_str(const struct redis_reply *reply, size_t *len_r);
/* Of INTEGER; 0 else. */
int64_t redis_reply_int(const struct redis_reply *reply);
/* Of ARRAY; 0 and NULL else or beyond the end. */
size_t redis_reply_count(const struct redis_reply *reply);
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i);

#endif
