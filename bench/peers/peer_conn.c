#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/peers/peer.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/jwt_sign.h"

enum { CONNECTING_MAX = 256, READ_MAX = 65536, TOKEN_TTL_S = 86400, OPEN_MS = 60000, TEXT_MAX = 4096 };

int peer_connect(const struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(peer->plan.address, ':');
    char host[64] = "";
    CHECK(colon && (size_t)(colon - peer->plan.address) < sizeof(host));
    memcpy(host, peer->plan.address, (size_t)(colon - peer->plan.address));
    CHECK(inet_pton(AF_INET, host, &address.sin_addr) == 1);
    address.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fprintf(stderr, "herald-peer-load: %s: %s\n", peer->plan.address, strerror(errno));
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static size_t put(char *to, size_t at, size_t size, const char *text, size_t len)
{
    CHECK(at + len < size);
    memcpy(to + at, text, len);
    return at + len;
}

static size_t put_token(const struct peer *peer, const char *user, char *to, size_t at, size_t size)
{
    uint64_t now = (uint64_t)time(NULL);
    char *token = jwt_sign_hs256(&(struct jwt_claims){.user = user, .issued_s = now, .expires_s = now + TOKEN_TTL_S},
                                 peer->plan.secret, strlen(peer->plan.secret));
    at = put(to, at, size, token, strlen(token));
    free(token);
    return at;
}

size_t peer_expand(const struct peer *peer, const char *form, uint32_t i, const char *content, char *text_r,
                   size_t size)
{
    char user[64];
    size_t at = 0, user_len = (size_t)snprintf(user, sizeof(user), "%s%u", peer->plan.prefix, i);
    while (*form) {
        size_t plain = strcspn(form, "{");
        at = put(text_r, at, size, form, plain);
        form += plain;
        if (strncmp(form, "{user}", 6) == 0) {
            at = put(text_r, at, size, user, user_len);
            form += 6;
        } else if (strncmp(form, "{token}", 7) == 0) {
            at = put_token(peer, user, text_r, at, size);
            form += 7;
        } else if (strncmp(form, "{content}", 9) == 0) {
            at = put(text_r, at, size, content, strlen(content));
            form += 9;
        } else if (*form) {
            at = put(text_r, at, size, form++, 1);
        }
    }
    text_r[at] = '\0';
    return at;
}

/* --- opening --- */

static bool open_one(struct peer *peer, uint32_t i)
{
    struct peer_conn *conn = &peer->conns[i];
    *conn = (struct peer_conn){.fd = peer_connect(peer)};
    if (conn->fd < 0)
        return false;
    if (peer->plan.is_raw) {
        conn->is_up = true;
        peer->up++;
    } else {
        char request[TEXT_MAX], path[TEXT_MAX / 2];
        peer_expand(peer, peer->plan.path, i, "", path, sizeof(path));
        int len = snprintf(request, sizeof(request),
                           "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                           path);
        CHECK(send(conn->fd, request, (size_t)len, MSG_NOSIGNAL) == len);
    }
    fcntl(conn->fd, F_SETFL, O_NONBLOCK);
    return epoll_ctl(peer->epoll, EPOLL_CTL_ADD, conn->fd, &(struct epoll_event){.events = EPOLLIN, .data.u32 = i}) ==
           0;
}

bool peer_open(struct peer *peer, uint32_t count)
{
    uint64_t deadline_ms = clock_mono_ms() + OPEN_MS;
    CHECK(count <= peer->plan.connections);
    while (peer->up < count) {
        while (peer->opened < count && peer->opened - peer->up < CONNECTING_MAX)
            if (!open_one(peer, peer->opened++))
                return false;
        peer_poll(peer, 10000);
        if (peer->closed || clock_mono_ms() > deadline_ms) {
            fprintf(stderr, "herald-peer-load: %u of %u connected, %lu closed\n", peer->up, count,
                    (unsigned long)peer->closed);
            return false;
        }
    }
    return true;
}

void peer_close_all(struct peer *peer)
{
    for (uint32_t i = 0; i < peer->opened; i++) {
        close(peer->conns[i].fd);
        free(peer->conns[i].rest);
    }
    peer->opened = peer->up = 0;
}

/* --- frames --- */

/* A masked client frame; the mask is zero, which RFC 6455 allows and costs nothing. */
static void send_frame(struct peer_conn *conn, uint8_t opcode, const void *payload, size_t len)
{
    uint8_t frame[256] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | len)};
    CHECK(len <= 125);
    memcpy(frame + 6, payload, len);
    if (send(conn->fd, frame, len + 6, MSG_NOSIGNAL) < 0)
        conn->is_up = false;
}

static void connected(struct peer *peer, struct peer_conn *conn)
{
    conn->is_up = true;
    peer->up++;
}

static void upgraded(struct peer *peer, struct peer_conn *conn, const char *head)
{
    char text[TEXT_MAX];
    if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "herald-peer-load: %.200s\n", head);
        peer->closed++;
        return;
    }
    for (int i = 0; i < FIRST_MAX && peer->plan.first[i]; i++) {
        size_t len = peer_expand(peer, peer->plan.first[i], (uint32_t)(conn - peer->conns), "", text, sizeof(text));
        send_frame(conn, 0x1, text, len);
    }
    if (!peer->plan.ready)
        connected(peer, conn);
}

/* Several messages may share a frame, a line each (Centrifugo). */
static void take_text(struct peer *peer, struct peer_conn *conn, const char *text, size_t len, size_t head_len)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end ? (size_t)(end - text) : len, used = end ? line_len + 1 : len;
        if (peer->plan.has_pong && line_len == 2 && memcmp(text, "{}", 2) == 0)
            send_frame(conn, 0x1, "{}", 2);
        else
            peer_take(peer, conn, text, line_len, head_len + used);
        text += used;
        len -= used;
        head_len = 0;
    }
}

static void take_frame(struct peer *peer, struct peer_conn *conn, uint8_t opcode, const uint8_t *payload, size_t len,
                       size_t frame_len)
{
    if (opcode == 0x9) {
        send_frame(conn, 0xA, payload, len);
    } else if (opcode == 0x8) {
        peer->closed++;
    } else if (!conn->is_up) {
        if (memmem(payload, len, peer->plan.ready, strlen(peer->plan.ready)))
            connected(peer, conn);
    } else {
        take_text(peer, conn, (const char *)payload, len, frame_len - len);
    }
}

/* Consumes one frame (or the HTTP head); returns the bytes used, 0: not whole yet. */
static size_t take(struct peer *peer, struct peer_conn *conn, const uint8_t *bytes, size_t len)
{
    if (peer->plan.is_raw) {
        peer->received += len;
        return len;
    }
    if (len >= 4 && memcmp(bytes, "HTTP", 4) == 0) {
        const uint8_t *end = memmem(bytes, len, "\r\n\r\n", 4);
        if (end)
            upgraded(peer, conn, (const char *)bytes);
        return end ? (size_t)(end - bytes) + 4 : 0;
    }
    if (len < 2)
        return 0;
    size_t head = 2, payload = bytes[1] & 0x7F;
    CHECK(payload != 127); /* 64 KiB or more */
    if (payload == 126) {
        if (len < 4)
            return 0;
        head = 4, payload = (size_t)bytes[2] << 8 | bytes[3];
    }
    if (len < head + payload)
        return 0;
    take_frame(peer, conn, bytes[0] & 0x0F, bytes + head, payload, head + payload);
    return head + payload;
}

static void keep_rest(struct peer_conn *conn, const uint8_t *bytes, size_t len)
{
    free(conn->rest);
    conn->rest = NULL;
    conn->rest_len = len;
    if (len > 0) {
        conn->rest = xmalloc(len);
        memcpy(conn->rest, bytes, len);
    }
}

static void read_conn(struct peer *peer, struct peer_conn *conn)
{
    static uint8_t buffer[2 * READ_MAX + 1];
    size_t rest = conn->rest_len;
    if (rest > 0)
        memcpy(buffer, conn->rest, rest);
    ssize_t n = recv(conn->fd, buffer + rest, READ_MAX, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        peer->closed++;
        epoll_ctl(peer->epoll, EPOLL_CTL_DEL, conn->fd, NULL);
        return;
    }
    if (n < 0)
        return;
    size_t len = rest + (size_t)n, used = 0, step;
    buffer[len] = '\0';
    while (used < len && (step = take(peer, conn, buffer + used, len - used)) > 0)
        used += step;
    keep_rest(conn, buffer + used, len - used);
}

void peer_poll(struct peer *peer, uint64_t wait_us)
{
    struct epoll_event events[512];
    struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000};
    int n = epoll_pwait2(peer->epoll, events, 512, &wait, NULL);
    for (int i = 0; i < n; i++)
        read_conn(peer, &peer->conns[events[i].data.u32]);
}
