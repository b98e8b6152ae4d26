/* Reading and writing of a connection's socket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/ws/conn_internal.h"
#include "gateway/ws/frame.h"

enum { PIECES_MAX = 64 }; /* frames in one system call */

/* --- in */

static void answer_ping(struct conn *c, const struct ws_item *item)
{
    if (c->state != CONN_AUTH && c->state != CONN_OPEN)
        return;
    if (!conn_has_room(c, FRAME_HEAD_MAX + item->len)) {
        metric_add(METRIC_WS_DROPPED, 1);
        return;
    }
    struct message *pong = frame_new(FRAME_PONG, item->bytes, item->len);
    conn_queue(c, pong, NULL);
    message_unref(&pong);
}

static void take_message(struct conn *c, const struct ws_item *item)
{
    struct conns *conns = c->conns;
    if (c->state == CONN_AUTH || c->state == CONN_OPEN)
        conns->events->message(conns->arg, c, item->kind == WS_ITEM_TEXT, item->bytes, item->len);
}

static void take_close(struct conn *c, const struct ws_item *item)
{
    c->is_close_received = c->is_deaf = true;
    if (c->state == CONN_CLOSING)
        conn_mark_dirty(c); /* it was the answer to ours: to be finished when nothing is queued any more */
    else
        conn_close_code(c, CLOSE_PEER, item->close_code, NULL);
}

static void take_broken(struct conn *c, const struct ws_item *item)
{
    c->is_deaf = true;
    if (c->state == CONN_CLOSING)
        conn_mark_dirty(c);
    else if (item->close_code == 1009)
        conn_close(c, CLOSE_TOO_BIG, NULL);
    else
        conn_close(c, item->close_code == 1007 ? CLOSE_BAD_UTF8 : CLOSE_PROTOCOL, NULL);
}

static void count_item(enum ws_item_kind kind)
{
    static const uint8_t frame_kinds[] = {[WS_ITEM_TEXT] = WS_FRAME_TEXT,
                                          [WS_ITEM_BINARY] = WS_FRAME_BINARY,
                                          [WS_ITEM_PING] = WS_FRAME_PING,
                                          [WS_ITEM_PONG] = WS_FRAME_PONG,
                                          [WS_ITEM_CLOSE] = WS_FRAME_CLOSE};
    if (kind != WS_ITEM_BROKEN)
        metric_add_labelled(METRIC_WS_FRAMES_IN, frame_kinds[kind], 1);
}

static void take_item(struct conn *c, const struct ws_item *item)
{
    count_item(item->kind);
    switch (item->kind) {
    case WS_ITEM_TEXT:
    case WS_ITEM_BINARY:
        take_message(c, item);
        break;
    case WS_ITEM_PING:
        answer_ping(c, item);
        break;
    case WS_ITEM_CLOSE:
        take_close(c, item);
        break;
    case WS_ITEM_BROKEN:
        take_broken(c, item);
        break;
    case WS_ITEM_PONG: /* that something was heard is all there is to it */
    case WS_ITEM_NONE:
        break;
    }
}

void conn_frames_input(struct conn *c, const char *bytes, size_t len)
{
    struct conns *conns = c->conns;
    if (c->is_deaf)
        return;
    if (!c->codec)
        c->codec = ws_codec_get(conns->codecs, c->is_deflate);
    ws_codec_input(c->codec, bytes, len);
    /* upcalls may close the connection, but never end it (conn_gone): the codec stays */
    for (struct ws_item item; (item = ws_codec_next(c->codec)).kind != WS_ITEM_NONE;)
        take_item(c, &item);
    if (c->is_deaf || ws_codec_is_idle(c->codec))
        ws_codec_put(conns->codecs, &c->codec);
}

static void on_eof(struct conn *c)
{
    if (c->state != CONN_CLOSING || !c->outq) {
        conn_gone(c, CLOSE_LOST);
        return;
    }
    c->is_eof = true; /* a peer that only shut down its side still gets its answer */
    poll_set_want(c->conns->sockets, &c->socket, LOOP_WRITE);
}

static void read_some(struct conn *c)
{
    struct conns *conns = c->conns;
    ssize_t n = recv(c->socket.fd, conns->receive, sizeof(conns->receive), 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            conn_gone(c, CLOSE_LOST);
        return;
    }
    if (n == 0) {
        on_eof(c);
        return;
    }
    c->heard_ms = loop_now_ms(conns->loop);
    metric_add(METRIC_WS_BYTES_IN, (uint64_t)n);
    if (c->is_deaf)
        return;
    if (c->state == CONN_HEAD)
        conn_head_input(c, conns->receive, (size_t)n);
    else
        conn_frames_input(c, conns->receive, (size_t)n);
}

/* --- out */

static void block(struct conn *c)
{
    metric_add(METRIC_WS_WRITE_BLOCKED, 1);
    c->outq->is_blocked = true;
    list_remove(&c->outq->dirty);
    wheel_remove(c->conns->late, &c->outq->late);
    poll_set_want(c->conns->sockets, &c->socket, c->is_eof ? LOOP_WRITE : LOOP_READ | LOOP_WRITE);
    conn_arm(c);
}

static bool is_blocking(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

/* One call with what is queued first; *bytes_r: how much that was. */
static ssize_t write_first(struct conn *c, size_t *bytes_r)
{
    struct iovec pieces[PIECES_MAX];
    int count = outq_gather(c->outq, pieces, PIECES_MAX, bytes_r);
    if (count == 1) /* by perf, sendmsg() takes 0.4 us for its header and vector */
        return send(c->socket.fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
    struct msghdr msg = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
    return sendmsg(c->socket.fd, &msg, MSG_NOSIGNAL);
}

bool conn_write(struct conn *c)
{
    struct conns *conns = c->conns;
    while (c->outq->first) {
        size_t bytes;
        ssize_t n = write_first(c, &bytes);
        metric_add(METRIC_WS_WRITES, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && !is_blocking(errno))
            return false;
        if (n > 0) {
            c->sent_ms = loop_now_ms(conns->loop);
            metric_add(METRIC_WS_BYTES_OUT, (uint64_t)n);
            metric_add(METRIC_WS_FRAMES_OUT, outq_wrote(conns->outqs, c->outq, (size_t)n, conn_fate_written));
        }
        if (n < 0 || (size_t)n < bytes) { /* a short write says the same as EAGAIN, without a second call */
            block(c);
            return true;
        }
    }
    return true;
}

void conn_flush(struct conn *c)
{
    struct conns *conns = c->conns;
    bool was_blocked = c->outq->is_blocked;
    c->outq->is_blocked = false;
    if (!conn_write(c)) {
        conn_gone(c, CLOSE_LOST);
        return;
    }
    if (c->outq->is_blocked)
        return;
    outq_put(conns->outqs, &c->outq);
    if (was_blocked && !c->is_eof)
        poll_set_want(conns->sockets, &c->socket, LOOP_READ);
    if (was_blocked && c->is_upgraded)
        conn_add_room(c);
    if (c->state == CONN_CLOSING)
        conn_closing_drained(c);
}

void conn_on_ready(struct poll_member *socket, int events)
{
    struct conn *c = container_of(socket, struct conn, socket);
    MAGIC_CHECK(c, CONN_MAGIC);
    if ((events & LOOP_WRITE) && c->outq)
        conn_flush(c);
    if ((events & LOOP_READ) && c->state != CONN_GONE)
        read_some(c);
}
