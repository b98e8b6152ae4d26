#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench/client.h"
#include "common/check.h"
#include "common/clock.h"

enum { READ_MAX = 65536, REST_MAX = 1 << 20, RETRY_MS = 1000 };

/* A masked client frame; the mask is zero, which RFC 6455 allows and costs nothing. */
static void send_frame(const struct client_conn *conn, uint8_t opcode, const void *payload, size_t len)
{
    uint8_t frame[256] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | len)};
    CHECK(len <= 125);
    memcpy(frame + 6, payload, len);
    /* what the kernel does not take is missed by the server, and then by the judge */
    (void)!send(conn->fd, frame, len + 6, MSG_NOSIGNAL);
}

static const char *after(const char *text, size_t len, const char *name)
{
    const char *at = memmem(text, len, name, strlen(name));
    return at ? at + strlen(name) : NULL;
}

static bool find_number(const char *text, size_t len, const char *name, uint64_t *value_r)
{
    const char *at = after(text, len, name);
    if (at)
        *value_r = strtoull(at, NULL, 10);
    return at != NULL;
}

static void judge(struct client *client, struct client_conn *conn, size_t stream, uint32_t number)
{
    struct tally *tally = client->tally;
    struct order *order = &client->orders[(size_t)(conn - client->conns) * client->plan->stream_count + stream];
    uint32_t missed;
    switch (order_take(order, number, &missed)) {
    case ORDER_GAP:
        tally_add(&tally->lost, missed);
        break;
    case ORDER_LATE:
        tally_add(&tally->lost, (uint64_t)-1);
        tally_add(&tally->late, 1);
        break;
    case ORDER_REPEATED:
        tally_add(conn->openings > 1 ? &tally->redelivered : &tally->repeated, 1);
        return;
    case ORDER_RIGHT:
        break;
    }
    tally_add(&tally->received_of[stream], 1);
    tally_add(&tally->received, 1);
}

/* {"type":"push",...,"seq":7,"content":{"s":0,"n":12,"t":1767225600000000,...},...}; what has no such content is none
 * of ours: canaries, what was sent to warm the producer up. */
static void take_push(struct client *client, struct client_conn *conn, const char *text, size_t len)
{
    uint64_t stream, number, due_us, seq;
    const char *content = after(text, len, "\"content\":{\"s\":");
    if (find_number(text, content ? (size_t)(content - text) : len, "\"seq\":", &seq))
        conn->seq = seq;
    if (!content)
        return;
    size_t left = len - (size_t)(content - text);
    stream = strtoull(content, NULL, 10);
    if (stream >= client->plan->stream_count || !find_number(content, left, "\"n\":", &number) ||
        !find_number(content, left, "\"t\":", &due_us))
        return;
    uint64_t now = clock_wall_us();
    __atomic_store_n(&client->tally->last_us, now, __ATOMIC_RELAXED);
    hist_add(&client->tally->latency[stream], now > due_us ? now - due_us : 0);
    judge(client, conn, stream, (uint32_t)number);
}

static void take_frame(struct client *client, struct client_conn *conn, uint8_t opcode, const uint8_t *payload,
                       size_t len)
{
    if (opcode == 0x9)
        send_frame(conn, 0xA, payload, len < 125 ? len : 125);
    else if (opcode == 0x8)
        client_closed(client, conn, 0);
    else if (conn->state == CLIENT_GREETING && memmem(payload, len, "\"auth_response\"", 15)) {
        if (memmem(payload, len, "200", 3))
            client_up(client, conn);
    } else
        take_push(client, conn, (const char *)payload, len);
}

/* The answer to the upgrade: 101, or a refusal, perhaps with the seconds after which to try again. */
static size_t take_head(struct client *client, struct client_conn *conn, const uint8_t *bytes, size_t len)
{
    const char *text = (const char *)bytes, *end = memmem(bytes, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(text, "HTTP/1.1 101", 12) != 0) {
        uint64_t retry_s = 0;
        find_number(text, (size_t)(end - text), "Retry-After: ", &retry_s);
        tally_add(&client->tally->refused, 1);
        client_closed(client, conn, retry_s > 0 ? retry_s * 1000 : RETRY_MS);
    }
    return (size_t)(end - text) + 4;
}

/* Consumes one whole frame, or the HTTP head; returns the bytes used. */
static size_t take(struct client *client, struct client_conn *conn, const uint8_t *bytes, size_t len)
{
    if (conn->state == CLIENT_GREETING && len >= 12 && memcmp(bytes, "HTTP", 4) == 0)
        return take_head(client, conn, bytes, len);
    if (len < 2 || (len < 4 && (bytes[1] & 0x7F) == 126)) /* an empty ping has two bytes */
        return 0;
    size_t head = 2, payload = bytes[1] & 0x7F;
    CHECK(payload != 127 && !(bytes[0] & 0x70)); /* no message here is that long, and nothing was negotiated */
    if (payload == 126)
        head = 4, payload = (size_t)bytes[2] << 8 | bytes[3];
    if (len < head + payload)
        return 0;
    take_frame(client, conn, bytes[0] & 0x0F, bytes + head, payload);
    return head + payload;
}

static void keep_rest(struct client_conn *conn, const uint8_t *bytes, size_t len)
{
    free(conn->rest);
    conn->rest = NULL;
    conn->rest_len = (uint32_t)len;
    if (len > 0) {
        conn->rest = xmalloc(len);
        memcpy(conn->rest, bytes, len);
    }
}

static void acknowledge(struct client_conn *conn)
{
    char ack[64];
    int len = snprintf(ack, sizeof ack, "{\"type\":\"ack\",\"seq\":%lu}", (unsigned long)conn->seq);
    send_frame(conn, 0x1, ack, (size_t)len);
    conn->seq = 0;
}

void client_read(struct client *client, struct client_conn *conn)
{
    static uint8_t buffer[REST_MAX + READ_MAX + 1];
    size_t rest = conn->rest_len;
    CHECK(rest <= REST_MAX);
    if (rest > 0)
        memcpy(buffer, conn->rest, rest);
    ssize_t n = recv(conn->fd, buffer + rest, READ_MAX, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        client_closed(client, conn, 0);
        return;
    }
    tally_add(&client->tally->reads, 1);
    if (client->plan->is_raw)
        return;
    size_t len = rest + (size_t)n, used = 0, step;
    buffer[len] = '\0';
    while (used < len && conn->state >= CLIENT_GREETING && (step = take(client, conn, buffer + used, len - used)) > 0)
        used += step;
    if (conn->state < CLIENT_GREETING)
        return;
    if (used < len || rest > 0)
        keep_rest(conn, buffer + used, len - used);
    if (conn->seq)
        acknowledge(conn);
}
