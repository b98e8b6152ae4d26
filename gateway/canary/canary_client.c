#include "gateway/canary/canary_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/json_scan.h"
#include "common/log.h"

enum {
    CLIENT_MAGIC = 0x4343414e,
    RECEIVE_SIZE = 4096,
    INPUT_MAX = 64 * 1024, /* what it is sent is far smaller; more is a fault */
    SMALL_MAX = 125        /* RFC 6455 5.2: a payload whose length stands in the second byte */
};
enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct canary_client {
    uint32_t magic;
    struct loop *loop;
    struct conns *conns;
    const char *path;
    canary_push_fn *fn;
    void *arg;
    int fd; /* -1: not connected */
    struct loop_fd watch;
    struct buf in;
    bool is_upgraded, is_open;
};

void canary_client_drop(struct canary_client *client)
{
    if (client->fd < 0)
        return;
    loop_fd_release(&client->watch);
    close(client->fd);
    client->fd = -1;
    client->is_upgraded = client->is_open = false;
    buf_clear(&client->in);
}

static void give_up(struct canary_client *client, const char *why)
{
    log_limited(LOG_WARN, "the canary lost its connection", F_STR("why", why));
    canary_client_drop(client);
}

static void write_all(struct canary_client *client, const void *bytes, size_t len)
{
    if (send(client->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        give_up(client, "its socket takes no more");
}

/* One masked frame (5.3). The mask only has to be there: no proxy stands between. */
static void write_frame(struct canary_client *client, unsigned opcode, const char *payload, size_t len)
{
    static const unsigned char mask[4] = {0x63, 0x61, 0x6e, 0x61};
    unsigned char frame[6 + SMALL_MAX] = {(unsigned char)(0x80 | opcode), (unsigned char)(0x80 | len)};
    CHECK(len <= SMALL_MAX);
    memcpy(frame + 2, mask, sizeof mask);
    for (size_t i = 0; i < len; i++)
        frame[6 + i] = (unsigned char)payload[i] ^ mask[i % sizeof mask];
    write_all(client, frame, 6 + len);
}

static void acknowledge(struct canary_client *client, int64_t seq)
{
    char text[64];
    int len = snprintf(text, sizeof text, "{\"type\":\"ack\",\"seq\":%" PRId64 "}", seq);
    write_frame(client, OP_TEXT, text, (size_t)len);
}

static void take_text(struct canary_client *client, const char *text, size_t len)
{
    enum { TYPE, CODE, SEQ, CONTENT, COUNT };
    static const char *const names[COUNT] = {"type", "code", "seq", "content"};
    struct json_span spans[COUNT];
    int64_t number;
    if (json_scan_object(text, len, names, COUNT, spans, NULL, NULL) != ERR_OK) {
        give_up(client, "what it was sent is no JSON object");
    } else if (json_span_is(&spans[TYPE], "auth_response")) {
        client->is_open = json_span_int(&spans[CODE], &number) == ERR_OK && number == 200;
    } else if (json_span_is(&spans[TYPE], "push") && json_span_int(&spans[SEQ], &number) == ERR_OK) {
        client->fn(client->arg, spans[CONTENT].at, spans[CONTENT].len);
        acknowledge(client, number);
    }
}

static void take_frame(struct canary_client *client, unsigned opcode, const char *payload, size_t len)
{
    if (opcode == OP_TEXT)
        take_text(client, payload, len);
    else if (opcode == OP_PING && len <= SMALL_MAX)
        write_frame(client, OP_PONG, payload, len);
    else if (opcode == OP_CLOSE)
        canary_client_drop(client); /* the worker stops, or frees memory: to be tried again */
    else
        give_up(client, "a frame of a kind that it does not know");
}

/* 5.2, as a server writes it: whole and unmasked. Returns the bytes that were taken; 0: the frame is not all here. */
static size_t take_first(struct canary_client *client, const char *bytes, size_t len)
{
    const unsigned char *head = (const unsigned char *)bytes;
    if (len < 2)
        return 0;
    size_t at = 2, payload_len = head[1] & 0x7f;
    bool is_whole = (head[0] & 0x80) && !(head[0] & 0x70) && !(head[1] & 0x80) && payload_len < 127;
    if (!is_whole) {
        give_up(client, "a frame that it did not expect");
        return 0;
    }
    if (payload_len == 126) {
        if (len < 4)
            return 0;
        payload_len = (size_t)head[2] << 8 | head[3];
        at = 4;
    }
    if (len < at + payload_len)
        return 0;
    take_frame(client, head[0] & 0x0f, bytes + at, payload_len);
    return at + payload_len;
}

/* Returns the bytes of the answer; 0: it is not all here. */
static size_t take_answer(struct canary_client *client)
{
    const char *end = memmem(client->in.bytes, client->in.len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(client->in.bytes, "HTTP/1.1 101 ", 13) != 0) {
        give_up(client, "it was refused");
        return 0;
    }
    client->is_upgraded = true;
    return (size_t)(end + 4 - client->in.bytes);
}

static void take_input(struct canary_client *client)
{
    size_t taken = client->is_upgraded ? 0 : take_answer(client), more = 1;
    while (client->is_upgraded && more > 0) {
        more = take_first(client, client->in.bytes + taken, client->in.len - taken);
        taken += more;
    }
    if (client->fd < 0)
        return; /* dropped meanwhile, and the buffer with it */
    client->in.len -= taken;
    memmove(client->in.bytes, client->in.bytes + taken, client->in.len);
    if (client->in.len > INPUT_MAX)
        give_up(client, "too much for it");
}

static void on_ready(int fd, short events, void *arg)
{
    struct canary_client *client = arg;
    MAGIC_CHECK(client, CLIENT_MAGIC);
    (void)events;
    ssize_t n = recv(fd, buf_reserve(&client->in, RECEIVE_SIZE), RECEIVE_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        give_up(client, "closed");
        return;
    }
    client->in.len += (size_t)n;
    take_input(client);
}

void canary_client_connect(struct canary_client *client)
{
    int pair[2];
    if (client->fd >= 0)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        log_limited(LOG_WARN, "no socket pair for the canary", F_ERRNO(errno));
        return;
    }
    client->fd = pair[0];
    conns_adopt(client->conns, pair[1]);
    loop_fd_init(client->loop, &client->watch, client->fd, on_ready, client);
    loop_fd_want(&client->watch, LOOP_READ);
    struct buf request;
    buf_init(&request);
    buf_add_str(&request, "GET ");
    buf_add_str(&request, client->path);
    buf_add_str(&request, " HTTP/1.1\r\nHost: canary\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2FuYXJ5LWNhbmFyeS1jYQ==\r\n\r\n");
    write_all(client, request.bytes, request.len);
    buf_release(&request);
}

bool canary_client_is_open(const struct canary_client *client)
{
    return client->is_open;
}

struct canary_client *canary_client_new(struct loop *loop, struct conns *conns, const char *path, canary_push_fn *fn,
                                        void *arg)
{
    struct canary_client *client = xcalloc(1, sizeof *client);
    *client = (struct canary_client){
        .magic = CLIENT_MAGIC, .loop = loop, .conns = conns, .path = path, .fn = fn, .arg = arg, .fd = -1};
    buf_init(&client->in);
    return client;
}

void canary_client_free(struct canary_client **client)
{
    if (!*client)
        return;
    canary_client_drop(*client);
    buf_release(&(*client)->in);
    (*client)->magic = 0;
    free(*client);
    *client = NULL;
}
