#include "bench/opener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/jwt_sign.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum {
    UNDER_WAY_MAX = 256,
    TOKEN_TTL_S = 86400,
    ADDRESS_MAX = 256,
    PER_SOURCE = 4000, /* connections from one loopback address: the kernel looks long for the last free ports */
    BUCKET_US = 10000,
    BUCKETS = 4096, /* 41 s of waiting */
    NOBODY = 0xFFFFFFFF
};

struct opener {
    struct client *client;
    struct sockaddr_in *addresses;
    uint32_t address_count;
    uint32_t opened, under_way; /* of the first openings; of all */
    uint64_t start_us, bucket_done;
    uint32_t buckets[BUCKETS]; /* those that wait to be opened again, by time */
    uint32_t ready;            /* whose time has come */
    uint32_t waiting;
};

static struct sockaddr_in address_from(const char *text, size_t len)
{
    char host[64];
    size_t host_len = strcspn(text, ":");
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK(host_len < len && host_len < sizeof host);
    memcpy(host, text, host_len);
    host[host_len] = '\0';
    CHECK(inet_pton(AF_INET, host, &address.sin_addr) == 1);
    address.sin_port = htons((uint16_t)strtoul(text + host_len + 1, NULL, 10));
    return address;
}

struct opener *opener_new(struct client *client)
{
    struct opener *opener = xcalloc(1, sizeof *opener);
    opener->client = client;
    opener->addresses = xcalloc(ADDRESS_MAX, sizeof *opener->addresses);
    for (const char *at = client->plan->gateways; *at && opener->address_count < ADDRESS_MAX;) {
        size_t len = strcspn(at, ",");
        opener->addresses[opener->address_count++] = address_from(at, len);
        at += len + (at[len] == ',');
    }
    for (size_t i = 0; i < BUCKETS; i++)
        opener->buckets[i] = NOBODY;
    opener->ready = NOBODY;
    opener->start_us = client->now_us;
    opener->bucket_done = client->now_us / BUCKET_US;
    return opener;
}

/* The index among all connections of the plan. */
static uint32_t index_of(const struct client *client, const struct client_conn *conn)
{
    return client->first + (uint32_t)(conn - client->conns);
}

/* From 127.0.0.1 on, a source address for so many connections that their ports suffice. */
static bool choose_source(int fd, uint32_t index)
{
    if (index < PER_SOURCE)
        return true;
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / PER_SOURCE)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    return bind(fd, (struct sockaddr *)&source, sizeof source) == 0;
}

static bool is_loopback(const struct sockaddr_in *address)
{
    return ntohl(address->sin_addr.s_addr) >> 24 == 127;
}

static void open_one(struct opener *opener, struct client_conn *conn)
{
    struct client *client = opener->client;
    uint32_t index = index_of(client, conn);
    const struct sockaddr_in *address = &opener->addresses[(index + conn->openings) % opener->address_count];
    conn->openings++;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    conn->state = CLIENT_CONNECTING;
    opener->under_way++;
    if (conn->fd < 0 || (is_loopback(address) && !choose_source(conn->fd, index)) ||
        (connect(conn->fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno != EINPROGRESS)) {
        client_closed(client, conn, 0);
        return;
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)(conn - client->conns)};
    CHECK(epoll_ctl(client->epoll, EPOLL_CTL_ADD, conn->fd, &event) == 0);
}

void opener_greet(struct opener *opener, struct client_conn *conn)
{
    struct client *client = opener->client;
    const struct plan *plan = client->plan;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(conn - client->conns)};
    CHECK(epoll_ctl(client->epoll, EPOLL_CTL_MOD, conn->fd, &event) == 0);
    conn->state = CLIENT_GREETING;
    if (plan->is_raw) {
        client_up(client, conn);
        return;
    }
    char user[64], request[2048];
    snprintf(user, sizeof user, "%s%u", plan->prefix, index_of(client, conn));
    uint64_t now = (uint64_t)time(NULL);
    char *token = jwt_sign_hs256(&(struct jwt_claims){.user = user, .issued_s = now, .expires_s = now + TOKEN_TTL_S},
                                 plan->secret, strlen(plan->secret));
    int len = snprintf(
        request, sizeof request,
        "GET /ws?device=bench&token=%s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token);
    free(token);
    if (send(conn->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        client_closed(client, conn, 0);
}

void opener_done(struct opener *opener)
{
    opener->under_way--;
}

void opener_later(struct opener *opener, struct client_conn *conn, uint64_t delay_ms)
{
    uint64_t buckets = delay_ms * 1000 / BUCKET_US + 1;
    uint64_t at = opener->bucket_done + (buckets < BUCKETS ? buckets : BUCKETS - 1);
    uint32_t *bucket = &opener->buckets[at % BUCKETS];
    conn->due_next = *bucket;
    *bucket = (uint32_t)(conn - opener->client->conns);
    opener->waiting++;
}

static void take_buckets(struct opener *opener)
{
    uint64_t now = opener->client->now_us / BUCKET_US;
    while (opener->bucket_done < now) {
        uint32_t *bucket = &opener->buckets[++opener->bucket_done % BUCKETS];
        while (*bucket != NOBODY) {
            struct client_conn *conn = &opener->client->conns[*bucket];
            uint32_t self = *bucket;
            *bucket = conn->due_next;
            conn->due_next = opener->ready;
            opener->ready = self;
        }
    }
}

/* How many of the first openings the ramp allows by now. */
static uint64_t allowed(const struct opener *opener)
{
    const struct plan *plan = opener->client->plan;
    if (plan->ramp == 0)
        return opener->client->count;
    uint64_t all = (opener->client->now_us - opener->start_us) * plan->ramp / 1000000;
    return 1 + all * opener->client->count / plan->connections;
}

uint64_t opener_turn(struct opener *opener)
{
    struct client *client = opener->client;
    take_buckets(opener);
    while (opener->ready != NOBODY && opener->under_way < UNDER_WAY_MAX) {
        struct client_conn *conn = &client->conns[opener->ready];
        opener->ready = conn->due_next;
        opener->waiting--;
        open_one(opener, conn);
    }
    while (opener->opened < client->count && opener->under_way < UNDER_WAY_MAX && opener->opened < allowed(opener))
        open_one(opener, &client->conns[opener->opened++]);
    if (opener->waiting > 0)
        return BUCKET_US;
    return opener->opened < client->count ? 1000 : 100000;
}
