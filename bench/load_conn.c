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

#include "bench/load.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/jwt_sign.h"

enum { CONNECTING_MAX = 256, READ_MAX = 65536, TOKEN_TTL_S = 86400 };

struct load *load_new(const struct load_plan *plan)
{
    struct load *load = xcalloc(1, sizeof(*load));
    load->plan = *plan;
    load->conns = xcalloc(plan->connections, sizeof(*load->conns));
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load->plan.secret)
        load->plan.secret = JWT_DEV_SECRET;
    return load;
}

/* The i-th of the gateways' addresses, in turn. */
static struct sockaddr_in address_of(const struct load_plan *plan, uint32_t i)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (plan->raw_port) {
        address.sin_port = htons(plan->raw_port);
        return address;
    }
    uint32_t count = 1;
    for (const char *p = plan->gateways; (p = strchr(p, ',')); p++)
        count++;
    const char *at = plan->gateways;
    for (uint32_t skip = i % count; skip > 0; skip--)
        at = strchr(at, ',') + 1;
    char host[64];
    size_t len = strcspn(at, ":");
    CHECK(len < sizeof(host) && at[len] == ':');
    memcpy(host, at, len);
    host[len] = '\0';
    CHECK(inet_pton(AF_INET, host, &address.sin_addr) == 1);
    address.sin_port = htons((uint16_t)strtol(at + len + 1, NULL, 10));
    return address;
}

static void send_request(struct load *load, struct load_conn *conn, uint32_t i)
{
    char user[64], request[2048];
    snprintf(user, sizeof(user), "%s%u", load->plan.prefix, i);
    uint64_t now = (uint64_t)time(NULL);
    char *token = jwt_sign_hs256(&(struct jwt_claims){.user = user, .issued_s = now, .expires_s = now + TOKEN_TTL_S},
                                 load->plan.secret, strlen(load->plan.secret));
    int len = snprintf(
        request, sizeof(request),
        "GET /ws?device=bench&token=%s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token);
    free(token);
    CHECK(send(conn->fd, request, (size_t)len, MSG_NOSIGNAL) == len);
}

static bool open_one(struct load *load, uint32_t i)
{
    struct load_conn *conn = &load->conns[i];
    struct sockaddr_in address = address_of(&load->plan, i);
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fprintf(stderr, "herald-load: connection %u: %s\n", i, strerror(errno));
        return false;
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (load->plan.raw_port) {
        conn->is_up = true;
        load->up++;
    } else {
        send_request(load, conn, i);
    }
    fcntl(conn->fd, F_SETFL, O_NONBLOCK);
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &(struct epoll_event){.events = EPOLLIN, .data.u32 = i}) ==
           0;
}

bool load_connect(struct load *load)
{
    uint64_t deadline = clock_mono_ms() + 120000;
    uint32_t opened = 0;
    while (load->up < load->plan.connections) {
        while (opened < load->plan.connections && opened - load->up < CONNECTING_MAX)
            if (!open_one(load, opened++))
                return false;
        load_poll(load, 10000);
        if (load->closed || clock_mono_ms() > deadline) {
            fprintf(stderr, "herald-load: %u of %u connected, %lu closed\n", load->up, load->plan.connections,
                    (unsigned long)load->closed);
            return false;
        }
    }
    return true;
}

/* A masked client frame; the mask is zero, which RFC 6455 allows and costs nothing. */
static void send_frame(struct load_conn *conn, uint8_t opcode, const void *payload, size_t len)
{
    uint8_t frame[256] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | len)};
    CHECK(len <= 125);
    memcpy(frame + 6, payload, len);
    if (send(conn->fd, frame, len + 6, MSG_NOSIGNAL) < 0)
        conn->is_up = false;
}

static bool find_number(const char *text, size_t len, const char *name, uint64_t *value_r)
{
    const char *at = memmem(text, len, name, strlen(name));
    if (!at)
        return false;
    *value_r = strtoull(at + strlen(name), NULL, 10);
    return true;
}

static void take_push(struct load *load, struct load_conn *conn, const char *text, size_t len)
{
    uint64_t n, due_us, seq;
    if (!find_number(text, len, "\"n\":", &n) || !find_number(text, len, "\"t\":", &due_us))
        return;
    if (n < conn->next)
        load->repeated++;
    else if (n > conn->next)
        load->lost += n - conn->next;
    if (n >= conn->next)
        conn->next = n + 1;
    load->received++;
    uint64_t now = clock_wall_us();
    load->last_us = now;
    load_latency_add(load, now > due_us ? now - due_us : 0);
    if (find_number(text, len, "\"seq\":", &seq))
        conn->seq = seq;
}

static void take_frame(struct load *load, struct load_conn *conn, uint8_t opcode, const uint8_t *payload, size_t len)
{
    if (opcode == 0x9) {
        send_frame(conn, 0xA, payload, len);
    } else if (opcode == 0x8) {
        load->closed++;
    } else if (!conn->is_up && memmem(payload, len, "\"auth_response\"", 15)) {
        conn->is_up = memmem(payload, len, "200", 3) != NULL;
        load->up += conn->is_up;
    } else {
        take_push(load, conn, (const char *)payload, len);
    }
}

/* Consumes whole frames (or the HTTP head); returns the bytes used. */
static size_t take(struct load *load, struct load_conn *conn, const uint8_t *bytes, size_t len)
{
    if (load->plan.raw_port) {
        load->received += len;
        return len;
    }
    if (len >= 4 && memcmp(bytes, "HTTP", 4) == 0) {
        const uint8_t *end = memmem(bytes, len, "\r\n\r\n", 4);
        return end ? (size_t)(end - bytes) + 4 : 0;
    }
    if (len < 2)
        return 0;
    size_t head = 2, payload = bytes[1] & 0x7F;
    if (payload == 126) {
        if (len < 4)
            return 0;
        head = 4, payload = (size_t)bytes[2] << 8 | bytes[3];
    }
    CHECK(payload != 127);
    if (len < head + payload)
        return 0;
    take_frame(load, conn, bytes[0] & 0x0F, bytes + head, payload);
    return head + payload;
}

static void keep_rest(struct load_conn *conn, const uint8_t *bytes, size_t len)
{
    free(conn->rest);
    conn->rest = NULL;
    conn->rest_len = len;
    if (len > 0) {
        conn->rest = xmalloc(len);
        memcpy(conn->rest, bytes, len);
    }
}

static void read_conn(struct load *load, struct load_conn *conn)
{
    static uint8_t buffer[2 * READ_MAX];
    size_t rest = conn->rest_len;
    if (rest > 0)
        memcpy(buffer, conn->rest, rest);
    ssize_t n = recv(conn->fd, buffer + rest, READ_MAX, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        load->closed++;
        epoll_ctl(load->epoll, EPOLL_CTL_DEL, conn->fd, NULL);
        return;
    }
    if (n < 0)
        return;
    size_t len = rest + (size_t)n, used = 0, step;
    buffer[len] = '\0';
    while (used < len && (step = take(load, conn, buffer + used, len - used)) > 0)
        used += step;
    keep_rest(conn, buffer + used, len - used);
    if (conn->seq) {
        char ack[64];
        int ack_len = snprintf(ack, sizeof(ack), "{\"type\":\"ack\",\"seq\":%lu}", (unsigned long)conn->seq);
        send_frame(conn, 0x1, ack, (size_t)ack_len);
        conn->seq = 0;
    }
}

void load_poll(struct load *load, uint64_t wait_us)
{
    struct epoll_event events[512];
    struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000};
    int n = epoll_pwait2(load->epoll, events, 512, &wait, NULL);
    for (int i = 0; i < n; i++)
        read_conn(load, &load->conns[events[i].data.u32]);
}
