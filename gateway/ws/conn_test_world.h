/*
 * What the tests of connections share: one worker's connections over real sockets on the loopback, driven by a real
 * loop, and a client's end. A header of functions, because a test is one file and the objects of the gateway.
 */
#ifndef HERALD_GATEWAY_WS_CONN_TEST_WORLD_H
#define HERALD_GATEWAY_WS_CONN_TEST_WORLD_H

#include "gateway/ws/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/net.h"
#include "gateway/metrics.h"
#include "gateway/ws/frame.h"

enum { DEADLINE_MS = 10000, RECEIPTS_MAX = 4096 };

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
static const char request[] = "GET /ws?device=d1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n";

/* One worker's connections, and what it was told. */
struct world {
    struct loop *loop;
    struct conns *conns;
    struct conn_settings settings;
    int listener;
    char path[4];

    struct conn *conn; /* the last one upgraded */
    unsigned upgraded_count, closed_count, message_count, room_count, moved_count;
    enum close_reason reason;
    struct buf messages; /* each followed by a | */
    bool is_echoing, is_authenticating, is_sending, is_holding;
    enum close_reason close_on_message; /* CLOSE_REASON_COUNT: none */
    unsigned char fates[RECEIPTS_MAX];  /* by receipt: 1 + enum err, 0: none yet */
    unsigned fate_counts[ERR_SYSTEM + 1];
};

/* A client's end. */
struct client {
    int fd;
    struct buf in;
    bool is_eof;
};

static inline void on_upgraded(void *arg, struct conn *c, const struct upgrade_request *r)
{
    struct world *w = arg;
    if (!conn_is_own(c)) {
        assert_string_equal(r->device, "d1");
        assert_string_equal(conn_peer(c), "127.0.0.1");
    }
    assert_int_equal(conn_state(c), CONN_AUTH);
    w->conn = c;
    w->upgraded_count++;
    if (w->is_holding)
        conn_hold(c);
    if (w->is_authenticating)
        conn_authenticated(c);
}

static inline void *receipt(unsigned number)
{
    return (void *)(uintptr_t)number;
}

static inline void send_text(struct world *w, const char *text, size_t len, unsigned number)
{
    struct message *frame = frame_new(FRAME_TEXT, text, len);
    w->is_sending = true;
    conn_send(w->conn, frame, receipt(number));
    w->is_sending = false;
    message_unref(&frame);
}

static inline void on_message(void *arg, struct conn *c, bool is_text, const char *bytes, size_t len)
{
    struct world *w = arg;
    assert_true(is_text);
    buf_add(&w->messages, bytes, len);
    buf_add_char(&w->messages, '|');
    w->message_count++;
    w->conn = c;
    if (w->is_echoing)
        send_text(w, bytes, len, 0);
    if (w->close_on_message != CLOSE_REASON_COUNT)
        conn_close(c, w->close_on_message, "bye");
}

static inline void on_fate(void *arg, struct conn *c, void *number, enum err fate)
{
    struct world *w = arg;
    (void)c;
    assert_false(w->is_sending);
    assert_int_equal(w->closed_count, 0);
    uintptr_t i = (uintptr_t)number;
    assert_in_range(i, 1, RECEIPTS_MAX - 1);
    assert_int_equal(w->fates[i], 0); /* exactly once */
    w->fates[i] = (unsigned char)(1 + fate);
    w->fate_counts[fate]++;
}

static inline void on_closed(void *arg, struct conn *c, enum close_reason reason)
{
    struct world *w = arg;
    assert_int_equal(conn_state(c), CONN_CLOSING);
    w->closed_count++;
    w->reason = reason;
}

static inline void on_room(void *arg, struct conn *c)
{
    struct world *w = arg;
    assert_false(w->is_sending || conn_is_blocked(c));
    w->room_count++;
}

static inline void on_moved(void *arg, struct conn *c)
{
    struct world *w = arg;
    assert_false(w->is_sending);
    assert_int_equal(conn_state(c), CONN_OPEN);
    w->moved_count++;
}

static const struct conn_events events = {.upgraded = on_upgraded,
                                          .message = on_message,
                                          .fate = on_fate,
                                          .closed = on_closed,
                                          .room = on_room,
                                          .moved = on_moved};

static inline int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    memcpy(w->path, "/ws", 4);
    w->settings = (struct conn_settings){
        .path = w->path,
        .message_max = 65536,
        .head_max = 8192,
        .head_timeout_ms = 5000,
        .auth_timeout_ms = 5000,
        .idle_timeout_ms = 60000,
        .ping_interval_ms = 0,
        .close_timeout_ms = 5000,
        .queue_max_bytes = 1 << 20,
        .queue_max_age_ms = 60000,
        .connections_max = 100,
        .unauthenticated_max = 100,
        .accept_batch = 16,
    };
    w->is_authenticating = true;
    w->close_on_message = CLOSE_REASON_COUNT;
    buf_init(&w->messages);
    w->loop = loop_new();
    assert_int_equal(net_listen("127.0.0.1", 0, 16, false, &w->listener), ERR_OK);
    w->conns = conns_new(w->loop, &w->settings, &events, w);
    conns_start_accepting(w->conns, w->listener);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *w = *state;
    conns_free(&w->conns);
    assert_int_equal(w->closed_count, w->upgraded_count);
    loop_free(&w->loop);
    close(w->listener);
    buf_release(&w->messages);
    free(w);
    return 0;
}

/* --- the client */

static inline struct client client_connect(const struct world *w, int receive_buffer)
{
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(client.fd >= 0);
    if (receive_buffer)
        setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(net_local_port(w->listener))};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    fcntl(client.fd, F_SETFL, O_NONBLOCK);
    buf_init(&client.in);
    buf_add_str(&client.in, "");
    return client;
}

static inline void client_free(struct client *client)
{
    close(client->fd);
    buf_release(&client->in);
}

static inline void client_write(struct client *client, const void *bytes, size_t len)
{
    assert_int_equal(send(client->fd, bytes, len, MSG_NOSIGNAL), len);
}

static inline void client_frame(struct client *client, unsigned opcode, const char *payload, size_t len)
{
    char frame[200];
    assert_true(len < 126);
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | len);
    memset(frame + 2, 0, 4); /* a mask of zeros changes nothing */
    memcpy(frame + 6, payload, len);
    client_write(client, frame, 6 + len);
}

static inline void client_read(struct client *client)
{
    for (;;) {
        ssize_t n = recv(client->fd, buf_reserve(&client->in, 65536), 65536, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            client->is_eof = true;
            return;
        }
        client->in.len += (size_t)n;
        client->in.bytes[client->in.len] = '\0';
    }
}

/* Turns the loop, and reads the client where there is one, until the condition holds. */
#define UNTIL(w, reader, condition)                                                                                    \
    do {                                                                                                               \
        uint64_t until_ms = clock_mono_ms() + DEADLINE_MS;                                                             \
        struct client *until_client = (reader);                                                                        \
        while (!(condition)) {                                                                                         \
            if (clock_mono_ms() > until_ms)                                                                            \
                fail_msg("in vain: %s", #condition);                                                                   \
            loop_turn((w)->loop);                                                                                      \
            if (until_client)                                                                                          \
                client_read(until_client);                                                                             \
        }                                                                                                              \
    } while (0)

static inline size_t count_bytes(const struct client *client)
{
    return client->in.len;
}

static inline bool has_answer(const struct client *client)
{
    return strstr(client->in.bytes, "\r\n\r\n") != NULL;
}

/* What follows the HTTP answer. */
static inline size_t frames_len(const struct client *client)
{
    if (!has_answer(client))
        return 0;
    return count_bytes(client) - (size_t)(strstr(client->in.bytes, "\r\n\r\n") + 4 - client->in.bytes);
}

static inline const char *frames(const struct client *client)
{
    return strstr(client->in.bytes, "\r\n\r\n") + 4;
}

static inline bool ends_with(const struct client *client, const char *bytes, size_t len)
{
    return client->in.len >= len && memcmp(client->in.bytes + client->in.len - len, bytes, len) == 0;
}

static inline struct client client_upgrade(struct world *w)
{
    struct client client = client_connect(w, 0);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, has_answer(&client));
    assert_memory_equal(client.in.bytes, "HTTP/1.1 101 ", 13);
    return client;
}

#define WS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
