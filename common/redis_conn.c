#include "redis_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "decimal.h"
#include "log.h"

enum {
    MAGIC = 0x52434f4e,
    DEFAULT_PORT = 6379,
    READ_BYTES = 32 << 10,
    READS_PER_EVENT = 8,        /* then other descriptors get their turn */
    HEAD_MAX = DECIMAL_MAX + 5, /* of a word, and its end */
    OUT_KEEP = 1 << 20          /* a larger buffer is given back once it is empty */
};

/* --- sending ------------------------------------------------------------------------------------------------------ */

/* <mark><number> CR LF */
static char *put_head(char *to, char mark, uint64_t number)
{
    *to++ = mark;
    to = decimal_put_uint(to, number);
    memcpy(to, "\r\n", 2);
    return to + 2;
}

static void add_word(struct buf *out, const char *word, size_t len)
{
    char *start = buf_reserve(out, len + HEAD_MAX);
    char *at = put_head(start, '$', len);
    if (len)
        memcpy(at, word, len);
    memcpy(at + len, "\r\n", 2);
    out->len += (size_t)(at - start) + len + 2;
}

void redis_conn_send(struct redis_conn *conn, int argc, const char *const *argv, const size_t *lens)
{
    struct buf *out = &conn->out;
    char *start = buf_reserve(out, HEAD_MAX);
    out->len += (size_t)(put_head(start, '*', (uint64_t)argc) - start);
    for (int i = 0; i < argc; i++)
        add_word(out, argv[i], lens ? lens[i] : strlen(argv[i]));
    loop_defer(conn->loop, &conn->flush_task);
}

size_t redis_conn_unsent(const struct redis_conn *conn)
{
    return conn->out.len - conn->out_sent;
}

/* ERR_FULL: the kernel has no room now. ERR_AWAY: the connection is broken; errno says why. */
static enum err write_out(struct redis_conn *conn)
{
    while (redis_conn_unsent(conn)) {
        ssize_t n = send(conn->fd, conn->out.bytes + conn->out_sent, redis_conn_unsent(conn), MSG_NOSIGNAL);
        if (n >= 0)
            conn->out_sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return ERR_FULL;
        else if (errno != EINTR)
            return ERR_AWAY;
    }
    return ERR_OK;
}

/* Forgets what was sent: all of it, or, when that is worth the move, the part in front. */
static void tidy_out(struct redis_conn *conn)
{
    struct buf *out = &conn->out;
    if (conn->out_sent == out->len && out->size > OUT_KEEP) {
        buf_release(out);
        buf_init(out);
    } else if (conn->out_sent == out->len) {
        buf_clear(out);
    } else if (conn->out_sent > out->len / 2) {
        memmove(out->bytes, out->bytes + conn->out_sent, out->len - conn->out_sent);
        out->len -= conn->out_sent;
    } else {
        return;
    }
    conn->out_sent = 0;
}

static void flush(struct redis_conn *conn)
{
    enum err err = write_out(conn);
    if (err == ERR_AWAY) {
        conn->events->lost(conn->arg, strerror(errno));
        return;
    }
    tidy_out(conn);
    loop_fd_want(&conn->watch, LOOP_READ | (err == ERR_FULL ? LOOP_WRITE : 0));
}

static void on_flush(void *arg)
{
    struct redis_conn *conn = arg;
    MAGIC_CHECK(conn, MAGIC);
    conn->depth++;
    flush(conn);
    conn->depth--;
}

void redis_conn_push(struct redis_conn *conn)
{
    if (conn->fd >= 0 && !conn->is_opening)
        (void)!write_out(conn);
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

static void take_replies(struct redis_conn *conn)
{
    uint32_t life = conn->life;
    while (conn->life == life) {
        void *reply = NULL;
        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
            conn->events->lost(conn->arg, "protocol error");
            return;
        }
        if (!reply)
            return;
        conn->events->replied(conn->arg, reply);
        freeReplyObject(reply);
    }
}

static void receive(struct redis_conn *conn)
{
    char bytes[READ_BYTES];
    uint32_t life = conn->life;
    for (int i = 0; i < READS_PER_EVENT && conn->life == life; i++) {
        ssize_t n = recv(conn->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        if (n <= 0) {
            conn->events->lost(conn->arg, n ? strerror(errno) : "closed by Redis");
            return;
        }
        conn->heard_ms = loop_now_ms(conn->loop);
        if (redisReaderFeed(conn->reader, bytes, (size_t)n) != REDIS_OK) {
            conn->events->lost(conn->arg, "protocol error");
            return;
        }
        take_replies(conn);
        if ((size_t)n < sizeof bytes)
            return;
    }
}

/* --- connecting --------------------------------------------------------------------------------------------------- */

static void finish_opening(struct redis_conn *conn)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        conn->events->lost(conn->arg, strerror(error ? error : errno));
        return;
    }
    conn->is_opening = false;
    loop_fd_want(&conn->watch, LOOP_READ);
    conn->events->opened(conn->arg);
}

static void on_ready(int fd, short events, void *arg)
{
    (void)fd;
    struct redis_conn *conn = arg;
    MAGIC_CHECK(conn, MAGIC);
    uint32_t life = conn->life;
    conn->depth++;
    if (conn->is_opening) {
        finish_opening(conn);
    } else {
        if (events & LOOP_READ)
            receive(conn);
        if ((events & LOOP_WRITE) && conn->life == life)
            flush(conn);
    }
    conn->depth--;
}

void redis_conn_address(const char *address, char **host_r, uint16_t *port_r)
{
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    long long port = colon ? strtoll(colon + 1, &end, 10) : DEFAULT_PORT;
    bool is_valid = !colon || (end != colon + 1 && !*end && port > 0 && port <= UINT16_MAX);
    if (!is_valid)
        log_error("redis address is not host:port", F_STR("address", address));
    size_t len = colon ? (size_t)(colon - address) : strlen(address);
    bool is_bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    *host_r = is_bracketed ? xstrndup(address + 1, len - 2) : xstrndup(address, len);
    *port_r = is_valid ? (uint16_t)port : DEFAULT_PORT;
}

enum err redis_conn_open(struct redis_conn *conn, const char *host, uint16_t port, char why[128])
{
    redisContext *c = redisConnectNonBlock(host, port);
    CHECK(c != NULL);
    if (c->err) {
        snprintf(why, 128, "%s", c->errstr);
        redisFree(c);
        return ERR_SYSTEM;
    }
    conn->fd = redisFreeKeepFd(c);
    fcntl(conn->fd, F_SETFD, FD_CLOEXEC);
    conn->reader = redisReaderCreate();
    CHECK(conn->reader != NULL);
    conn->is_opening = true;
    conn->heard_ms = loop_now_ms(conn->loop);
    loop_fd_init(conn->loop, &conn->watch, conn->fd, on_ready, conn);
    loop_fd_want(&conn->watch, LOOP_WRITE);
    return ERR_OK;
}

void redis_conn_close(struct redis_conn *conn)
{
    if (conn->fd < 0)
        return;
    loop_fd_release(&conn->watch);
    close(conn->fd);
    conn->fd = -1;
    redisReaderFree(conn->reader);
    conn->reader = NULL;
    conn->is_opening = false;
    buf_clear(&conn->out);
    conn->out_sent = 0;
    conn->life++;
    loop_task_cancel(conn->loop, &conn->flush_task);
}

void redis_conn_init(struct redis_conn *conn, struct loop *loop, const struct redis_conn_events *events, void *arg)
{
    *conn = (struct redis_conn){.magic = MAGIC, .loop = loop, .events = events, .arg = arg, .fd = -1};
    buf_init(&conn->out);
    loop_task_init(&conn->flush_task, on_flush, conn);
}

void redis_conn_release(struct redis_conn *conn)
{
    redis_conn_close(conn);
    buf_release(&conn->out);
    conn->magic = 0;
}
