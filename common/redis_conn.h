/*
 * One TCP connection to Redis: bytes out in one write a loop turn, replies in through hiredis' parser. What replies
 * mean, and what happens after a loss, is redis.c's.
 */
#ifndef HERALD_COMMON_REDIS_CONN_H
#define HERALD_COMMON_REDIS_CONN_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "loop.h"

/* Each may close the connection (or open another, later); the conn's memory must last until depth is 0. */
struct redis_conn_events {
    void (*opened)(void *arg);
    void (*replied)(void *arg, const redisReply *reply);
    void (*lost)(void *arg, const char *why); /* not closed yet: redis_conn_close() */
};

struct redis_conn {
    uint32_t magic;
    uint32_t life;  /* grows with each close: tells a callback's caller that the connection is gone */
    uint32_t depth; /* of entries from the loop that are being worked on */
    struct loop *loop;
    const struct redis_conn_events *events;
    void *arg;
    int fd; /* -1: closed */
    bool is_opening;
    struct loop_fd watch;
    redisReader *reader;
    struct buf out;
    size_t out_sent;
    uint64_t heard_ms; /* last time that something arrived */
    struct loop_task flush_task;
};

/* host:port, [v6]:port or host alone. What is not that is logged, and its port is 6379. *host_r is malloc()ed. */
void redis_conn_address(const char *address, char **host_r, uint16_t *port_r);

void redis_conn_init(struct redis_conn *conn, struct loop *loop, const struct redis_conn_events *events, void *arg);
void redis_conn_release(struct redis_conn *conn);
/* Begins to connect; blocks while a name is resolved. ERR_SYSTEM: failed at once, why is in why[]. */
enum err redis_conn_open(struct redis_conn *conn, const char *host, uint16_t port, char why[128]) MUST_CHECK;
/* Appends a command; it leaves at the end of the turn. lens NULL: argv are strings. */
void redis_conn_send(struct redis_conn *conn, int argc, const char *const *argv, const size_t *lens);
/* Bytes that the kernel has not taken yet. */
size_t redis_conn_unsent(const struct redis_conn *conn);
/* Gives the kernel what it takes now, without upcalls. */
void redis_conn_push(struct redis_conn *conn);
void redis_conn_close(struct redis_conn *conn);

#endif
