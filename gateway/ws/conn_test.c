/* Connections over real sockets on the loopback, driven by a real loop, with short times. */
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
    unsigned upgraded_count, closed_count, message_count;
    enum close_reason reason;
    struct buf messages; /* each followed by a | */
    bool is_echoing, is_authenticating, is_sending;
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

static void on_upgraded(void *arg, struct conn *c, const struct upgrade_request *r)
{
    struct world *w = arg;
    assert_string_equal(r->device, "d1");
    assert_string_equal(conn_peer(c), "127.0.0.1");
    assert_int_equal(conn_state(c), CONN_AUTH);
    w->conn = c;
    w->upgraded_count++;
    if (w->is_authenticating)
        conn_authenticated(c);
}

static void *receipt(unsigned number)
{
    return (void *)(uintptr_t)number;
}

static void send_text(struct world *w, const char *text, size_t len, unsigned number)
{
    struct message *frame = frame_new(FRAME_TEXT, text, len);
    w->is_sending = true;
    conn_send(w->conn, frame, receipt(number));
    w->is_sending = false;
    message_unref(&frame);
}

static void on_message(void *arg, struct conn *c, bool is_text, const char *bytes, size_t len)
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

static void on_fate(void *arg, struct conn *c, void *number, enum err fate)
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

static void on_closed(void *arg, struct conn *c, enum close_reason reason)
{
    struct world *w = arg;
    assert_int_equal(conn_state(c), CONN_CLOSING);
    w->closed_count++;
    w->reason = reason;
}

static const struct conn_events events = {
    .upgraded = on_upgraded, .message = on_message, .fate = on_fate, .closed = on_closed};

static int setup(void **state)
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

static int teardown(void **state)
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

static struct client client_connect(const struct world *w, int receive_buffer)
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

static void client_free(struct client *client)
{
    close(client->fd);
    buf_release(&client->in);
}

static void client_write(struct client *client, const void *bytes, size_t len)
{
    assert_int_equal(send(client->fd, bytes, len, MSG_NOSIGNAL), len);
}

static void client_frame(struct client *client, unsigned opcode, const char *payload, size_t len)
{
    char frame[200];
    assert_true(len < 126);
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | len);
    memset(frame + 2, 0, 4); /* a mask of zeros changes nothing */
    memcpy(frame + 6, payload, len);
    client_write(client, frame, 6 + len);
}

static void client_read(struct client *client)
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

static size_t count_bytes(const struct client *client)
{
    return client->in.len;
}

static bool has_answer(const struct client *client)
{
    return strstr(client->in.bytes, "\r\n\r\n") != NULL;
}

/* What follows the HTTP answer. */
static size_t frames_len(const struct client *client)
{
    if (!has_answer(client))
        return 0;
    return count_bytes(client) - (size_t)(strstr(client->in.bytes, "\r\n\r\n") + 4 - client->in.bytes);
}

static const char *frames(const struct client *client)
{
    return strstr(client->in.bytes, "\r\n\r\n") + 4;
}

static bool ends_with(const struct client *client, const char *bytes, size_t len)
{
    return client->in.len >= len && memcmp(client->in.bytes + client->in.len - len, bytes, len) == 0;
}

static struct client client_upgrade(struct world *w)
{
    struct client client = client_connect(w, 0);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, has_answer(&client));
    assert_memory_equal(client.in.bytes, "HTTP/1.1 101 ", 13);
    return client;
}

/* --- upgrade and messages */

static void upgrade_and_echo(void **state)
{
    struct world *w = *state;
    w->is_echoing = true;
    struct client client = client_upgrade(w);
    assert_int_equal(w->upgraded_count, 1);
    assert_int_equal(conn_state(w->conn), CONN_OPEN);
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 1);
    client_frame(&client, FRAME_TEXT, "hello", 5);
    UNTIL(w, &client, frames_len(&client) == 7);
    assert_memory_equal(frames(&client), "\x81\x05hello", 7);
    assert_string_equal(w->messages.bytes, "hello|");
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_LOST);
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 0);
}

static void everything_one_byte_at_a_time(void **state)
{
    struct world *w = *state;
    struct client client = client_connect(w, 0);
    struct buf all;
    buf_init(&all);
    buf_add(&all, request, sizeof(request) - 1);
    buf_add(&all, "\x01\x83\0\0\0\0one\x89\x80\0\0\0\0\x80\x83\0\0\0\0two", 24);
    for (size_t i = 0; i < all.len; i++) {
        client_write(&client, all.bytes + i, 1);
        loop_turn(w->loop);
    }
    UNTIL(w, &client, w->message_count == 1 && frames_len(&client) == 2);
    assert_string_equal(w->messages.bytes, "onetwo|");
    assert_memory_equal(frames(&client), "\x8A\x00", 2); /* the ping between was answered */
    buf_release(&all);
    client_free(&client);
}

static void early_bytes_are_not_lost(void **state)
{
    struct world *w = *state;
    struct client client = client_connect(w, 0);
    struct buf all;
    buf_init(&all);
    buf_add(&all, request, sizeof(request) - 1);
    buf_add(&all, "\x81\x85\0\0\0\0early\x81\x84\0\0\0\0ha", 19); /* the second frame is not complete */
    client_write(&client, all.bytes, all.len);
    UNTIL(w, &client, has_answer(&client) && w->message_count == 1);
    client_write(&client, "lf", 2);
    UNTIL(w, &client, w->message_count == 2);
    assert_string_equal(w->messages.bytes, "early|half|");
    buf_release(&all);
    client_free(&client);
}

static void a_turn_is_one_write(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    uint64_t writes = metric_get(METRIC_WS_WRITES), sent = metric_get(METRIC_WS_FRAMES_OUT);
    for (unsigned i = 1; i <= 10; i++)
        send_text(w, "0123456789", 10, i);
    assert_int_equal(w->fate_counts[ERR_OK], 0);
    UNTIL(w, &client, frames_len(&client) == 120);
    assert_int_equal(metric_get(METRIC_WS_WRITES) - writes, 1);
    assert_int_equal(metric_get(METRIC_WS_FRAMES_OUT) - sent, 10);
    assert_int_equal(w->fate_counts[ERR_OK], 10);
    client_free(&client);
}

static void a_ping_is_answered_with_its_payload(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    client_frame(&client, FRAME_PING, "payload", 7);
    UNTIL(w, &client, frames_len(&client) == 9);
    assert_memory_equal(frames(&client), "\x8A\x07payload", 9);
    client_free(&client);
}

/* --- closing */

static void the_client_closes(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_text(w, "last", 4, 1);
    client_frame(&client, FRAME_CLOSE, "\x0F\xA1why", 5);
    UNTIL(w, &client, client.is_eof);
    assert_int_equal(frames_len(&client), 6 + 4);
    assert_memory_equal(frames(&client), "\x81\x04last\x88\x02\x0F\xA1", 10);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_PEER);
    assert_int_equal(w->fates[1], 1 + ERR_OK);
    client_free(&client);
}

static void we_close(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_text(w, "last", 4, 1);
    conn_close(w->conn, CLOSE_REPLACED, "newer");
    conn_close(w->conn, CLOSE_INTERNAL, "no-op");
    assert_int_equal(conn_state(w->conn), CONN_CLOSING);
    send_text(w, "too late", 8, 2);
    assert_int_equal(w->fates[2], 0);
    UNTIL(w, &client, frames_len(&client) == 6 + 9);
    assert_memory_equal(frames(&client), "\x81\x04last\x88\x07\x11\x39newer", 15); /* 4409 */
    assert_int_equal(w->fates[1], 1 + ERR_OK);
    assert_int_equal(w->fates[2], 1 + ERR_CLOSED);
    client_frame(&client, FRAME_TEXT, "ignored", 7);
    client_frame(&client, FRAME_CLOSE, "\x11\x39", 2);
    UNTIL(w, &client, client.is_eof);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_REPLACED);
    assert_int_equal(w->message_count, 0);
    client_free(&client);
}

static void a_close_that_is_not_answered_ends_by_time(void **state)
{
    struct world *w = *state;
    w->settings.close_timeout_ms = 200;
    struct client client = client_upgrade(w);
    uint64_t start_ms = clock_mono_ms();
    conn_close(w->conn, CLOSE_SHUTDOWN, NULL);
    UNTIL(w, &client, w->closed_count == 1);
    assert_in_range(clock_mono_ms() - start_ms, 200, 5000);
    assert_int_equal(w->reason, CLOSE_SHUTDOWN);
    client_free(&client);
}

static void closing_from_an_upcall_ends_the_messages(void **state)
{
    struct world *w = *state;
    w->close_on_message = CLOSE_POLICY;
    struct client client = client_upgrade(w);
    client_write(&client, "\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b", 14);
    UNTIL(w, &client, frames_len(&client) == 7);
    assert_memory_equal(frames(&client),
                        "\x88\x05\x03\xF0"
                        "bye",
                        7);
    assert_string_equal(w->messages.bytes, "a|");
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_POLICY);
}

static void broken(struct world *w, const char *bytes, size_t len, const char *answer, enum close_reason reason)
{
    w->closed_count = w->upgraded_count = 0;
    struct client client = client_upgrade(w);
    client_write(&client, bytes, len);
    UNTIL(w, &client, client.is_eof); /* our side is shut down, and waits for the other */
    assert_int_equal(frames_len(&client), 4);
    assert_memory_equal(frames(&client), answer, 4);
    assert_int_equal(w->closed_count, 0);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, reason);
}

static void broken_frames_are_told_why(void **state)
{
    struct world *w = *state;
    broken(w, "\x81\x01x", 3, "\x88\x02\x03\xEA", CLOSE_PROTOCOL);
    broken(w, "\x81\x81\0\0\0\0\xFF", 7, "\x88\x02\x03\xEF", CLOSE_BAD_UTF8);
    broken(w, "\x82\xFF\0\0\0\0\0\1\0\1\0\0\0\0x", 15, "\x88\x02\x03\xF1", CLOSE_TOO_BIG);
    assert_int_equal(w->message_count, 0);
}

static void a_reset_in_the_middle_of_a_frame(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    client_write(&client, "\x81\xFE\x10\x00\0\0\0\0half", 12);
    struct linger reset = {.l_onoff = 1};
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    client_free(&client);
    send_text(w, "nobody", 6, 1);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_LOST);
    assert_int_not_equal(w->fates[1], 0);
}

static void end_of_stream_without_a_close_frame(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    shutdown(client.fd, SHUT_WR);
    UNTIL(w, &client, w->closed_count == 1 && client.is_eof);
    assert_int_equal(w->reason, CLOSE_LOST);
    client_free(&client);
}

static void all_are_closed(void **state)
{
    struct world *w = *state;
    struct client one = client_upgrade(w), two = client_upgrade(w), three = client_connect(w, 0);
    UNTIL(w, NULL, conns_count(w->conns, CONN_HEAD) == 1);
    conns_stop_accepting(w->conns);
    conns_close_all(w->conns, CLOSE_SHUTDOWN);
    UNTIL(w, &one, frames_len(&one) == 4);
    UNTIL(w, &two, frames_len(&two) == 4);
    assert_memory_equal(frames(&two), "\x88\x02\x03\xE9", 4);
    UNTIL(w, &three, three.is_eof);
    assert_memory_equal(three.in.bytes, "HTTP/1.1 503 ", 13);
    client_free(&one);
    client_free(&two);
    client_free(&three);
    UNTIL(w, NULL, w->closed_count == 2 && conns_count(w->conns, CONN_CLOSING) == 0);
}

/* --- slow readers */

/* Sends until a frame is dropped; returns how many were sent. */
static unsigned fill(struct world *w)
{
    static char big[32768];
    unsigned number = 0;
    uint64_t dropped = metric_get(METRIC_WS_DROPPED);
    while (metric_get(METRIC_WS_DROPPED) == dropped) {
        assert_true(number + 1 < RECEIPTS_MAX);
        send_text(w, big, sizeof(big), ++number);
    }
    loop_turn(w->loop);
    return number;
}

static struct client upgrade_slow(struct world *w)
{
    struct client client = client_connect(w, 4096);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, has_answer(&client));
    return client;
}

static void a_full_queue_drops_what_comes_next_and_recovers(void **state)
{
    struct world *w = *state;
    uint64_t dropped = metric_get(METRIC_WS_DROPPED);
    struct client client = upgrade_slow(w);
    unsigned sent = fill(w);
    assert_int_equal(w->fates[sent], 1 + ERR_FULL);
    assert_int_equal(metric_get(METRIC_WS_DROPPED) - dropped, 1);
    size_t queued = (size_t)metric_get(METRIC_WS_QUEUED_BYTES);
    assert_in_range(queued, w->settings.queue_max_bytes - 40000, w->settings.queue_max_bytes);
    UNTIL(w, &client, w->fate_counts[ERR_OK] == sent - 1); /* it reads again: all others arrive, in order */
    size_t whole = (size_t)(sent - 1) * (32768 + 4);
    UNTIL(w, &client, frames_len(&client) == whole);
    for (unsigned i = 0; i < sent - 1; i++)
        assert_memory_equal(frames(&client) + (size_t)i * (32768 + 4), "\x81\x7E\x80\x00", 4);
    send_text(w, "again", 5, sent + 1);
    UNTIL(w, &client, frames_len(&client) == whole + 7);
    assert_int_equal(conn_state(w->conn), CONN_OPEN);
    assert_int_equal(metric_get(METRIC_WS_QUEUED_BYTES), 0);
    client_free(&client);
}

static void one_turn_may_bring_more_than_the_queue_holds(void **state)
{
    struct world *w = *state;
    w->settings.queue_max_bytes = 4096;
    struct client client = client_upgrade(w);
    char text[1000] = {0};
    for (unsigned i = 1; i <= 20; i++)
        send_text(w, text, sizeof(text), i);
    assert_int_equal(w->fate_counts[ERR_OK], 0); /* written, but not told inside conn_send() */
    UNTIL(w, &client, frames_len(&client) == (size_t)20 * 1004);
    assert_int_equal(w->fate_counts[ERR_OK], 20);
    static char bigger[5000];
    send_text(w, bigger, sizeof(bigger), 21); /* would never fit */
    UNTIL(w, &client, w->fates[21] == 1 + ERR_FULL);
    client_free(&client);
}

static void a_queue_that_grows_old_closes_as_slow(void **state)
{
    struct world *w = *state;
    w->settings.queue_max_age_ms = 200;
    w->settings.close_timeout_ms = 200;
    struct client client = upgrade_slow(w);
    unsigned sent = fill(w);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_SLOW);
    assert_int_equal(w->fate_counts[ERR_OK] + w->fate_counts[ERR_FULL] + w->fate_counts[ERR_CLOSED], sent);
    assert_true(w->fate_counts[ERR_CLOSED] > 0);
    client_free(&client);
}

static void a_slow_client_that_wakes_up_is_told_4008(void **state)
{
    struct world *w = *state;
    w->settings.queue_max_age_ms = 200;
    struct client client = upgrade_slow(w);
    fill(w);
    UNTIL(w, NULL, conn_state(w->conn) == CONN_CLOSING);
    UNTIL(w, &client, ends_with(&client, "\x88\x0A\x0F\xA8too slow", 12));
    /* what came before are whole frames: the stream was not cut */
    assert_int_equal((frames_len(&client) - 12) % (32768 + 4), 0);
    client_free(&client);
}

static void a_slow_client_does_not_hold_up_another(void **state)
{
    struct world *w = *state;
    struct client slow = upgrade_slow(w);
    fill(w);
    w->is_echoing = true;
    struct client quick = client_upgrade(w);
    client_frame(&quick, FRAME_TEXT, "hello", 5);
    UNTIL(w, &quick, frames_len(&quick) == 7);
    client_free(&quick);
    client_free(&slow);
    UNTIL(w, NULL, conns_count(w->conns, CONN_OPEN) == 0);
}

/* --- time */

static void pings_keep_a_silent_client_alive(void **state)
{
    struct world *w = *state;
    w->settings.ping_interval_ms = 200;
    w->settings.idle_timeout_ms = 1000;
    struct client client = client_upgrade(w);
    uint64_t end_ms = clock_mono_ms() + 2000;
    size_t answered = 0;
    while (clock_mono_ms() < end_ms) {
        loop_turn(w->loop);
        client_read(&client);
        for (; answered + 2 <= frames_len(&client); answered += 2) {
            assert_memory_equal(frames(&client) + answered, "\x89\x00", 2);
            client_frame(&client, FRAME_PONG, "", 0);
        }
    }
    assert_in_range(answered / 2, 4, 10);
    assert_int_equal(w->closed_count, 0);
    client_free(&client);
}

static void silence_is_closed_with_4408(void **state)
{
    struct world *w = *state;
    w->settings.ping_interval_ms = 200;
    w->settings.idle_timeout_ms = 500;
    struct client client = client_upgrade(w);
    uint64_t start_ms = clock_mono_ms();
    static const char goodbye[] = "\x88\x13\x11\x38heartbeat timeout";
    UNTIL(w, &client, ends_with(&client, goodbye, sizeof(goodbye) - 1));
    assert_in_range(clock_mono_ms() - start_ms, 450, 5000);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_TIMEOUT);
}

static void who_does_not_authenticate_is_closed(void **state)
{
    struct world *w = *state;
    w->settings.auth_timeout_ms = 300;
    w->is_authenticating = false;
    struct client client = client_upgrade(w);
    assert_int_equal(conn_state(w->conn), CONN_AUTH);
    UNTIL(w, &client, frames_len(&client) > 4);
    assert_memory_equal(frames(&client),
                        "\x88\x18\x11\x38"
                        "authentication timeout",
                        26);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_TIMEOUT);
}

static void an_unfinished_request_is_dropped(void **state)
{
    struct world *w = *state;
    w->settings.head_timeout_ms = 300;
    uint64_t closed = metric_get_labelled(METRIC_WS_CLOSED, CLOSE_HEAD_TIMEOUT);
    struct client silent = client_connect(w, 0), slow = client_connect(w, 0);
    client_write(&slow, request, 40);
    UNTIL(w, &silent, silent.is_eof);
    UNTIL(w, &slow, slow.is_eof);
    assert_int_equal(metric_get_labelled(METRIC_WS_CLOSED, CLOSE_HEAD_TIMEOUT) - closed, 2);
    assert_int_equal(count_bytes(&slow), 0);
    assert_int_equal(w->closed_count, 0); /* nobody was told of them */
    client_free(&silent);
    client_free(&slow);
}

/* --- refusals */

static void refusals_arrive_whole(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *request, *start;
    } rows[] = {
        {"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 "},
        {"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "},
        {"POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 413 "},
        {"\x16\x03\x01 this is TLS", "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct client client = client_connect(w, 0);
        client_write(&client, rows[i].request, strlen(rows[i].request));
        if (i % 2)
            shutdown(client.fd, SHUT_WR); /* a half-closed client still gets its answer */
        UNTIL(w, &client, client.is_eof);
        assert_memory_equal(client.in.bytes, rows[i].start, 13);
        assert_non_null(strstr(client.in.bytes, "\r\n\r\n"));
        client_free(&client);
        UNTIL(w, NULL, conns_count(w->conns, CONN_CLOSING) == 0);
    }
    assert_int_equal(w->upgraded_count, 0);
}

static void one_too_many_gets_503(void **state)
{
    struct world *w = *state;
    w->settings.connections_max = 1;
    struct client first = client_upgrade(w), second = client_connect(w, 0);
    client_write(&second, request, sizeof(request) - 1);
    UNTIL(w, &second, second.is_eof);
    assert_memory_equal(second.in.bytes, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(second.in.bytes, "\r\nRetry-After: "));
    client_free(&second);
    client_free(&first);
    UNTIL(w, NULL, w->closed_count == 1);
    w->closed_count = w->upgraded_count = 0;
    struct client third = client_upgrade(w);
    client_free(&third);
}

static void out_of_descriptors_is_waited_for(void **state)
{
    struct world *w = *state;
    uint64_t pauses = metric_get(METRIC_WS_ACCEPT_PAUSES);
    struct rlimit old, low;
    getrlimit(RLIMIT_NOFILE, &old);
    struct client client = client_connect(w, 0); /* waits in the backlog */
    low = old;
    low.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &low);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, metric_get(METRIC_WS_ACCEPT_PAUSES) - pauses >= 2);
    setrlimit(RLIMIT_NOFILE, &old);
    UNTIL(w, &client, has_answer(&client));
    client_free(&client);
}

#define WS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(upgrade_and_echo),
        WS_TEST(everything_one_byte_at_a_time),
        WS_TEST(early_bytes_are_not_lost),
        WS_TEST(a_turn_is_one_write),
        WS_TEST(a_ping_is_answered_with_its_payload),
        WS_TEST(the_client_closes),
        WS_TEST(we_close),
        WS_TEST(a_close_that_is_not_answered_ends_by_time),
        WS_TEST(closing_from_an_upcall_ends_the_messages),
        WS_TEST(broken_frames_are_told_why),
        WS_TEST(a_reset_in_the_middle_of_a_frame),
        WS_TEST(end_of_stream_without_a_close_frame),
        WS_TEST(all_are_closed),
        WS_TEST(a_full_queue_drops_what_comes_next_and_recovers),
        WS_TEST(one_turn_may_bring_more_than_the_queue_holds),
        WS_TEST(a_queue_that_grows_old_closes_as_slow),
        WS_TEST(a_slow_client_that_wakes_up_is_told_4008),
        WS_TEST(a_slow_client_does_not_hold_up_another),
        WS_TEST(pings_keep_a_silent_client_alive),
        WS_TEST(silence_is_closed_with_4408),
        WS_TEST(who_does_not_authenticate_is_closed),
        WS_TEST(an_unfinished_request_is_dropped),
        WS_TEST(refusals_arrive_whole),
        WS_TEST(one_too_many_gets_503),
        WS_TEST(out_of_descriptors_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
