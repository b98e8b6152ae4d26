/*
 * A client that only connects: N users, each a WebSocket handshake with a token, done when the auth_response says 200.
 *
 *     herald-handshakes --gateway HOST:PORT --count N [--parallel P] [--algorithm A --key-file F] [--prefix U]
 *                       [--then HOST:PORT --jitter MS] [--source ADDRESS] [--raw]
 *
 * Tokens are signed before "ready" is printed. Each line on standard input starts a round, which prints a JSON object
 * when all N are in. A round connects those who are not: the first one all, at most P at a time (0: all at once). A
 * connection that ends goes to --then, at once or spread over --jitter. 503 is obeyed: back after Retry-After and up to
 * a second more. --raw: any answer will do (herald-handshake-floor).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/handshake_tokens.h"
#include "common/check.h"
#include "common/clock.h"

enum { EVENTS_MAX = 512, SLOT_MS = 50, SLOTS = 2048, AGAIN_MS = 500, RECEIVE_MAX = 65536 };

enum state { WAITING, CONNECTING, ASKED, IN };

struct client {
    int fd;
    uint8_t state;
    uint32_t next; /* in its slot of the calendar; UINT32_MAX ends it */
    uint64_t since_ms;
    char *token;
};

static struct {
    struct sockaddr_in gateway, then, source;
    const char *algorithm, *key_file, *prefix;
    uint32_t count, parallel, jitter_ms;
    bool is_raw, has_then, has_source;

    struct client *clients;
    uint32_t slots[SLOTS]; /* who is to try when: a calendar of SLOT_MS */
    uint64_t slot_at;      /* the next one to look at */
    int epoll;
    uint32_t in, under_way;
    uint64_t refused, failed, lost;
    uint32_t slowest_ms; /* of this round: from the first attempt on */
} all;

static void plan(uint32_t i, uint64_t at_ms)
{
    uint64_t slot = at_ms / SLOT_MS;
    slot = slot < all.slot_at ? all.slot_at : slot;
    CHECK(slot - all.slot_at < SLOTS);
    all.clients[i].state = WAITING;
    all.clients[i].next = all.slots[slot % SLOTS];
    all.slots[slot % SLOTS] = i;
}

static void leave(uint32_t i)
{
    struct client *c = &all.clients[i];
    all.in -= c->state == IN;
    all.under_way -= c->state == CONNECTING || c->state == ASKED;
    close(c->fd); /* which takes it out of the epoll set */
    c->fd = -1;
}

static void again(uint32_t i, uint64_t after_ms)
{
    leave(i);
    plan(i, clock_mono_ms() + after_ms);
}

static void ask(uint32_t i)
{
    struct client *c = &all.clients[i];
    char request[2048];
    int len = snprintf(request, sizeof(request),
                       "GET /ws?device=bench HTTP/1.1\r\nHost: gateway.example.com:8080\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                       "dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n",
                       c->token);
    c->state = ASKED;
    if (send(c->fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        all.failed++;
        again(i, AGAIN_MS);
    }
}

static void enter(uint32_t i)
{
    struct client *c = &all.clients[i];
    if (c->since_ms == 0)
        c->since_ms = clock_mono_ms();
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(c->fd >= 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (all.has_source) {
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
        CHECK(bind(c->fd, (struct sockaddr *)&all.source, sizeof(all.source)) == 0);
    }
    all.under_way++;
    c->state = CONNECTING;
    bool is_there = connect(c->fd, (struct sockaddr *)&all.gateway, sizeof(all.gateway)) == 0;
    if (!is_there && errno != EINPROGRESS) {
        all.failed++;
        again(i, AGAIN_MS + (uint64_t)random() % AGAIN_MS);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | (is_there ? 0 : EPOLLOUT), .data.u32 = i};
    CHECK(epoll_ctl(all.epoll, EPOLL_CTL_ADD, c->fd, &event) == 0);
    if (is_there)
        ask(i);
}

static void connected(uint32_t i)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    CHECK(epoll_ctl(all.epoll, EPOLL_CTL_MOD, all.clients[i].fd, &event) == 0);
    ask(i);
}

static void ended(uint32_t i)
{
    bool was_in = all.clients[i].state == IN;
    all.lost += was_in;
    all.failed += !was_in;
    if (was_in && all.has_then)
        all.gateway = all.then;
    again(i, was_in ? (all.jitter_ms ? (uint64_t)random() % all.jitter_ms : 0) : AGAIN_MS);
}

static void receive(uint32_t i)
{
    static char text[RECEIVE_MAX + 1];
    struct client *c = &all.clients[i];
    ssize_t n = recv(c->fd, text, RECEIVE_MAX, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        ended(i);
        return;
    }
    if (c->state == IN)
        return;
    text[n] = '\0';
    const char *answer = memmem(text, (size_t)n, "auth_response\",\"code\":200", 25);
    const char *retry = strstr(text, "Retry-After: ");
    if (strncmp(text, "HTTP/1.1 503", 12) == 0 && retry) {
        all.refused++;
        again(i, strtoull(retry + 13, NULL, 10) * 1000 + (uint64_t)random() % 1000);
    } else if (answer || all.is_raw) {
        c->state = IN;
        all.in++;
        all.under_way--;
        uint32_t took_ms = (uint32_t)(clock_mono_ms() - c->since_ms);
        all.slowest_ms = took_ms > all.slowest_ms ? took_ms : all.slowest_ms;
        c->since_ms = 0;
    }
}

static void serve(int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(all.epoll, events, EVENTS_MAX, wait_ms);
    for (int e = 0; e < count; e++) {
        uint32_t i = events[e].data.u32;
        if (all.clients[i].state == CONNECTING && events[e].events & (EPOLLERR | EPOLLHUP))
            ended(i);
        else if (all.clients[i].state == CONNECTING)
            connected(i);
        else
            receive(i);
    }
}

static bool is_full(void)
{
    return all.parallel > 0 && all.under_way >= all.parallel;
}

/* Those whose time has come, as many as may be under way. */
static void start_due(void)
{
    uint64_t now = clock_mono_ms() / SLOT_MS;
    while (all.slot_at <= now) {
        uint32_t *first = &all.slots[all.slot_at % SLOTS];
        while (*first != UINT32_MAX && !is_full()) {
            uint32_t i = *first;
            *first = all.clients[i].next;
            enter(i);
        }
        if (*first != UINT32_MAX)
            return;
        all.slot_at++;
    }
}

static void run_round(bool is_first)
{
    uint64_t begun_us = clock_wall_us();
    all.refused = all.failed = all.lost = 0;
    all.slowest_ms = 0;
    /* later rounds begin when the first of them lost its connection */
    while (!is_first && all.in == all.count) {
        serve(100);
        begun_us = clock_wall_us();
    }
    while (all.in < all.count || (!is_first && all.lost < all.count)) {
        start_due();
        serve(is_full() ? 100 : 1);
    }
    printf("{\"count\": %u, \"refused\": %lu, \"failed\": %lu, \"lost\": %lu, \"seconds\": %.3f, \"slowest_ms\": %u}\n",
           all.count, (unsigned long)all.refused, (unsigned long)all.failed, (unsigned long)all.lost,
           (double)(clock_wall_us() - begun_us) / 1e6, all.slowest_ms);
    fflush(stdout);
}

static struct sockaddr_in address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64] = "";
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    CHECK(len < sizeof(host));
    memcpy(host, text, len);
    CHECK(inet_pton(AF_INET, host, &address.sin_addr) == 1);
    address.sin_port = htons(colon ? (uint16_t)strtol(colon + 1, NULL, 10) : 0);
    return address;
}

static void set_option(int option)
{
    switch (option) {
    case 'g':
        all.gateway = address(optarg);
        break;
    case 'n':
        all.count = (uint32_t)strtoul(optarg, NULL, 10);
        break;
    case 'p':
        all.parallel = (uint32_t)strtoul(optarg, NULL, 10);
        break;
    case 'a':
        all.algorithm = optarg;
        break;
    case 'k':
        all.key_file = optarg;
        break;
    case 'u':
        all.prefix = optarg;
        break;
    case 't':
        all.then = address(optarg);
        all.has_then = true;
        break;
    case 'j':
        all.jitter_ms = (uint32_t)strtoul(optarg, NULL, 10);
        break;
    case 's':
        all.source = address(optarg);
        all.has_source = true;
        break;
    case 'R':
        all.is_raw = true;
        break;
    default:
        exit(2);
    }
}

static void prepare(void)
{
    struct signer *signer = signer_new(all.algorithm, all.key_file);
    all.clients = xcalloc(all.count, sizeof(*all.clients));
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    all.slot_at = clock_mono_ms() / SLOT_MS;
    memset(all.slots, 0xFF, sizeof(all.slots));
    for (uint32_t i = all.count; i-- > 0;) {
        char user[64];
        snprintf(user, sizeof(user), "%s%u", all.prefix, i);
        all.clients[i].token = signer_token(signer, user);
        all.clients[i].fd = -1;
        plan(i, 0);
    }
    signer_free(&signer);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"gateway", required_argument, NULL, 'g'},
        {"count", required_argument, NULL, 'n'},
        {"parallel", required_argument, NULL, 'p'},
        {"algorithm", required_argument, NULL, 'a'},
        {"key-file", required_argument, NULL, 'k'},
        {"prefix", required_argument, NULL, 'u'},
        {"then", required_argument, NULL, 't'},
        {"jitter", required_argument, NULL, 'j'},
        {"source", required_argument, NULL, 's'},
        {"raw", no_argument, NULL, 'R'},
        {NULL, 0, NULL, 0},
    };
    int option;
    all.algorithm = "HS256";
    all.prefix = "h";
    all.count = 1000;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        set_option(option);
    srandom((unsigned)getpid());
    prepare();
    printf("ready\n");
    fflush(stdout);
    char line[16];
    for (bool is_first = true;; is_first = false) {
        struct pollfd input[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = all.epoll, .events = POLLIN}};
        (void)poll(input, is_first ? 1 : 2, -1);
        if (input[1].revents & POLLIN)
            serve(0);
        if (!(input[0].revents & (POLLIN | POLLHUP)))
            continue;
        if (!fgets(line, sizeof(line), stdin))
            return 0;
        run_round(is_first);
    }
}
