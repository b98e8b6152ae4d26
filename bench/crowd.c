#include "bench/crowd.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/jwt_sign.h"

enum { READ_MAX = 16384, TOKEN_TTL_S = 86400, EVENTS = 256, ADDRESSES = 4, RETRY_MS = 50, REST_MAX = 65535 };
enum client_state { CLIENT_DOWN, CLIENT_CONNECTING, CLIENT_ASKING, CLIENT_UP, CLIENT_LEFT };

struct client {
    int fd;
    uint8_t state;
    uint8_t got;       /* messages of this sweep */
    uint16_t rest_len; /* an incomplete frame, or the HTTP head */
    char *rest;
};

struct crowd {
    const struct crowd_plan *plan;
    struct crowd_tally *tally;
    struct client *clients;
    int epoll, orders;
    uint32_t *todo; /* to be connected: a stack */
    uint32_t todo_count, under_way, opened, sweep;
    uint32_t rest; /* of todo: to be left alone for now */
};

static const uint32_t ORDERS = UINT32_MAX; /* in place of a client's number */

/* --- connecting --- */

static void drop(struct client *client)
{
    close(client->fd); /* leaves the epoll set, too */
    client->fd = -1;
    free(client->rest);
    client->rest = NULL;
    client->rest_len = 0;
}

/* Was refused, or did not get through: comes again by another address, so that another worker may take it. */
static void again(struct crowd *crowd, uint32_t i, volatile uint32_t *counter)
{
    drop(&crowd->clients[i]);
    crowd->clients[i].state = CLIENT_DOWN;
    crowd->under_way--;
    ++*counter;
    crowd->todo[crowd->todo_count++] = i;
}

static struct sockaddr_in next_address(struct crowd *crowd)
{
    const struct crowd_plan *plan = crowd->plan;
    uint32_t turn = crowd->opened++;
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(plan->ports[turn / ADDRESSES % plan->port_count]),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + plan->addresses * ADDRESSES + turn % ADDRESSES)};
}

static void watch(struct crowd *crowd, uint32_t i, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.u32 = i};
    CHECK(epoll_ctl(crowd->epoll, how, crowd->clients[i].fd, &event) == 0);
}

static void ask(struct crowd *crowd, uint32_t i)
{
    const struct crowd_plan *plan = crowd->plan;
    char user[64], request[1024];
    snprintf(user, sizeof(user), "%s%u", plan->prefix, plan->first + i);
    uint64_t now_s = (uint64_t)time(NULL);
    struct jwt_claims claims = {.user = user, .issued_s = now_s, .expires_s = now_s + TOKEN_TTL_S};
    char *token = jwt_sign_hs256(&claims, plan->secret, strlen(plan->secret));
    int len = snprintf(request, sizeof(request),
                       "GET /ws?device=d&token=%s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                       token);
    free(token);
    crowd->clients[i].state = CLIENT_ASKING;
    if (send(crowd->clients[i].fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        again(crowd, i, &crowd->tally->failed);
}

static void open_one(struct crowd *crowd, uint32_t i)
{
    struct client *client = &crowd->clients[i];
    struct sockaddr_in address = next_address(crowd);
    crowd->under_way++;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        fprintf(stderr, "herald-million: %s\n", strerror(errno));
        exit(1);
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    bool is_made = connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (!is_made && errno != EINPROGRESS) {
        again(crowd, i, &crowd->tally->failed);
        return;
    }
    client->state = CLIENT_CONNECTING;
    watch(crowd, i, is_made ? EPOLLIN : EPOLLOUT, EPOLL_CTL_ADD);
    if (is_made)
        ask(crowd, i);
}

static void open_some(struct crowd *crowd)
{
    for (uint32_t tries = crowd->plan->window; tries > 0; tries--)
        if (crowd->todo_count > crowd->rest && crowd->under_way < crowd->plan->window)
            open_one(crowd, crowd->todo[--crowd->todo_count]);
}

/* --- frames --- */

/* The mask is zero, which RFC 6455 allows and costs nothing. A client that cannot be sent to is found by its read. */
static void send_frame(struct client *client, uint8_t opcode, const void *payload, size_t len)
{
    uint8_t frame[256] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | len)};
    CHECK(len <= 125);
    memcpy(frame + 6, payload, len);
    (void)send(client->fd, frame, len + 6, MSG_NOSIGNAL);
}

static bool find_number(const char *text, size_t len, const char *name, uint64_t *value_r)
{
    const char *at = memmem(text, len, name, strlen(name));
    if (!at)
        return false;
    *value_r = strtoull(at + strlen(name), NULL, 10); /* the buffer ends with a NUL */
    return true;
}

static void note_latency(struct crowd_tally *tally, uint64_t us)
{
    size_t i = us < 2 ? 0 : (size_t)(log2((double)us) * 16);
    tally->latency[i < CROWD_LATENCIES ? i : CROWD_LATENCIES - 1]++;
}

static void take_push(struct crowd *crowd, uint32_t i, const char *text, size_t len)
{
    struct client *client = &crowd->clients[i];
    struct crowd_tally *tally = crowd->tally;
    uint64_t user, sweep, due_us, seq;
    if (!find_number(text, len, "\"n\":", &user) || !find_number(text, len, "\"w\":", &sweep) ||
        !find_number(text, len, "\"t\":", &due_us) || user != crowd->plan->first + i || sweep != crowd->sweep) {
        tally->wrong++;
    } else {
        uint64_t now_us = clock_wall_us();
        client->got += client->got < UINT8_MAX;
        tally->received++;
        tally->last_us = now_us;
        note_latency(tally, now_us > due_us ? now_us - due_us : 0);
    }
    if (find_number(text, len, "\"seq\":", &seq)) {
        char ack[64];
        int ack_len = snprintf(ack, sizeof(ack), "{\"type\":\"ack\",\"seq\":%lu}", (unsigned long)seq);
        send_frame(client, 0x1, ack, (size_t)ack_len);
    }
}

static void take_auth_response(struct crowd *crowd, struct client *client, const char *text, size_t len)
{
    if (!memmem(text, len, "\"auth_response\"", 15) || !memmem(text, len, "200", 3))
        return;
    client->state = CLIENT_UP;
    crowd->under_way--;
    crowd->tally->up++;
}

static void take_frame(struct crowd *crowd, uint32_t i, uint8_t opcode, const char *payload, size_t len)
{
    struct client *client = &crowd->clients[i];
    if (opcode == 0x9) {
        crowd->tally->pings++;
        send_frame(client, 0xA, payload, len);
    } else if (opcode == 0x1 && client->state == CLIENT_ASKING) {
        take_auth_response(crowd, client, payload, len);
    } else if (opcode == 0x1) {
        take_push(crowd, i, payload, len);
    } /* behind a close frame comes the end of input */
}

/* Consumes a whole frame, or the HTTP head; returns the bytes used, 0: it is not complete, -1: refused. */
static ssize_t take(struct crowd *crowd, uint32_t i, const char *bytes, size_t len)
{
    if (len >= 12 && memcmp(bytes, "HTTP", 4) == 0) {
        const char *end = memmem(bytes, len, "\r\n\r\n", 4);
        if (memcmp(bytes + 9, "101", 3) != 0)
            return -1;
        return end ? end - bytes + 4 : 0;
    }
    if (len < 4)
        return len >= 2 && bytes[1] == 0 ? (take_frame(crowd, i, bytes[0] & 0x0F, bytes + 2, 0), 2) : 0;
    size_t head = 2, payload = bytes[1] & 0x7F;
    CHECK(payload != 127); /* nobody sends so much; a length of 127 comes in two bytes */
    if (payload == 126) {
        head = 4;
        payload = (size_t)(uint8_t)bytes[2] << 8 | (uint8_t)bytes[3];
    }
    if (len < head + payload)
        return 0;
    take_frame(crowd, i, bytes[0] & 0x0F, bytes + head, payload);
    return (ssize_t)(head + payload);
}

/* --- reading --- */

static void ended(struct crowd *crowd, uint32_t i)
{
    struct client *client = &crowd->clients[i];
    if (client->state != CLIENT_UP) {
        again(crowd, i, &crowd->tally->failed);
        return;
    }
    drop(client);
    client->state = CLIENT_LEFT;
    crowd->tally->closed++;
    crowd->tally->up--;
}

static void keep_rest(struct client *client, const char *bytes, size_t len)
{
    char *rest = NULL;
    CHECK(len <= REST_MAX);
    if (len > 0) {
        rest = xmalloc(len);
        memcpy(rest, bytes, len);
    }
    free(client->rest);
    client->rest = rest;
    client->rest_len = (uint16_t)len;
}

static void read_some(struct crowd *crowd, uint32_t i)
{
    static char buffer[REST_MAX + READ_MAX + 1];
    struct client *client = &crowd->clients[i];
    size_t used = 0, len = client->rest_len;
    if (len > 0)
        memcpy(buffer, client->rest, len);
    ssize_t n = recv(client->fd, buffer + len, READ_MAX, 0), step;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        ended(crowd, i);
        return;
    }
    len += (size_t)n;
    buffer[len] = '\0';
    while (used < len && (step = take(crowd, i, buffer + used, len - used)) != 0) {
        if (step < 0) {
            again(crowd, i, &crowd->tally->refused);
            return;
        }
        used += (size_t)step;
    }
    if (used < len || client->rest)
        keep_rest(client, buffer + used, len - used);
}

/* --- orders --- */

static void leave(struct crowd *crowd, uint32_t percent)
{
    for (uint32_t i = 0; i < crowd->plan->count; i++) {
        struct client *client = &crowd->clients[i];
        if (client->state != CLIENT_UP || (uint32_t)(random() % 100) >= percent)
            continue;
        drop(client);
        client->state = CLIENT_LEFT;
        crowd->tally->up--;
    }
}

static void count(struct crowd *crowd)
{
    uint32_t once = 0, never = 0, twice = 0;
    for (uint32_t i = 0; i < crowd->plan->count; i++) {
        const struct client *client = &crowd->clients[i];
        if (client->state == CLIENT_UP) {
            once += client->got == 1;
            never += client->got == 0;
            twice += client->got > 1;
        }
    }
    crowd->tally->once = once;
    crowd->tally->never = never;
    crowd->tally->twice = twice;
}

static void begin_sweep(struct crowd *crowd, uint32_t number)
{
    crowd->sweep = number;
    crowd->tally->received = crowd->tally->wrong = 0;
    memset((void *)crowd->tally->latency, 0, sizeof(crowd->tally->latency));
    for (uint32_t i = 0; i < crowd->plan->count; i++)
        crowd->clients[i].got = 0;
}

static void obey(struct crowd *crowd)
{
    struct crowd_order order;
    if (read(crowd->orders, &order, sizeof(order)) != sizeof(order))
        exit(0);
    if (order.op == CROWD_OPEN)
        crowd->rest = crowd->plan->count - crowd_share(crowd->plan->count, order.value);
    else if (order.op == CROWD_SWEEP)
        begin_sweep(crowd, order.value);
    else if (order.op == CROWD_COUNT)
        count(crowd);
    else
        leave(crowd, order.value);
    crowd->tally->obeyed++;
}

/* --- its life --- */

static void serve(struct crowd *crowd, const struct epoll_event *event)
{
    uint32_t i = event->data.u32;
    if (i == ORDERS) {
        obey(crowd);
    } else if (crowd->clients[i].fd >= 0 && crowd->clients[i].state != CLIENT_CONNECTING) {
        read_some(crowd, i);
    } else if (crowd->clients[i].fd >= 0 && (event->events & (EPOLLERR | EPOLLHUP))) {
        again(crowd, i, &crowd->tally->failed);
    } else if (crowd->clients[i].fd >= 0) {
        watch(crowd, i, EPOLLIN, EPOLL_CTL_MOD);
        ask(crowd, i);
    }
}

void crowd_run(const struct crowd_plan *plan, int orders, struct crowd_tally *tally)
{
    struct crowd crowd = {
        .plan = plan, .tally = tally, .orders = orders, .todo_count = plan->count, .rest = plan->count};
    struct epoll_event events[EVENTS];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)
        setsid(); /* the scheduler shares out by sessions: 60 crowds in one would starve beside those of the servers */
    srandom(plan->first + 1);
    crowd.clients = xcalloc(plan->count, sizeof(*crowd.clients));
    crowd.todo = xcalloc(plan->count, sizeof(*crowd.todo));
    for (uint32_t i = 0; i < plan->count; i++) {
        crowd.clients[i].fd = -1;
        crowd.todo[i] = plan->count - 1 - i;
    }
    crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, orders, &(struct epoll_event){.events = EPOLLIN, .data.u32 = ORDERS}) ==
          0);
    for (;;) {
        uint32_t failed = tally->failed + tally->refused;
        int n = epoll_wait(crowd.epoll, events, EVENTS, crowd.todo_count > crowd.rest ? RETRY_MS : -1);
        for (int i = 0; i < n; i++)
            serve(&crowd, &events[i]);
        if (crowd.todo_count > crowd.rest && (tally->failed + tally->refused == failed || n == 0))
            open_some(&crowd);
    }
}
