/*
 * For tests of the admin server. A real loop and a real socket in one thread: the client sends and receives without
 * blocking between turns.
 */
#ifndef HERALD_COMMON_ADMIN_TEST_WORLD_H
#define HERALD_COMMON_ADMIN_TEST_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin.h"
#include "check.h"
#include "clock.h"
#include "metric.h"

enum { DEADLINE_MS = 5000, TICK_MS = 2 };

enum { SCRAPES };
static const struct metric table[] = {
    {"herald_test_scrapes_total", METRIC_COUNTER, "Scrapes.", NULL, NULL, NULL},
    {0},
};

static struct loop *loop;
static struct loop_timer *tick; /* so that a turn never waits for long */
static struct admin *admin;
static const char *not_ready; /* NULL: ready */
static struct admin_request *held;

static inline void nothing(void *arg)
{
    (void)arg;
}

static inline bool is_ready(void *arg, struct buf *why)
{
    assert_ptr_equal(arg, &not_ready);
    if (not_ready)
        buf_add_str(why, not_ready);
    return !not_ready;
}

static inline void on_scrape(void *arg)
{
    (void)arg;
    metric_add(SCRAPES, 1);
}

/* Answers with what the handler sees. */
static inline void echo(struct admin_request *request, void *arg)
{
    struct buf out;
    size_t len;
    const char *body = admin_body(request, &len);
    const char *a = admin_query(request, "a"), *b = admin_query(request, "b"), *x = admin_header(request, "X-Test");
    buf_init(&out);
    buf_printf(&out, "%s path=%s rest=%s a=%s b=%s x=%s body=%.*s", (const char *)arg, admin_path(request),
               admin_path_rest(request), a ? a : "-", b ? b : "-", x ? x : "-", (int)len, body);
    admin_reply_header(request, "X-Extra", "yes");
    admin_reply(request, 200, "text/plain", out.bytes, out.len);
    buf_release(&out);
}

static inline void hold(struct admin_request *request, void *arg)
{
    (void)arg;
    held = request;
}

static struct admin_settings settings = {.listen = (char *)"127.0.0.1:0",
                                         .connections_max = 128,
                                         .head_max = 16 << 10,
                                         .body_max = 1 << 20,
                                         .idle_ms = 10000};

static inline int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    tick = loop_timer_new(loop, nothing, NULL);
    loop_timer_start(tick, TICK_MS, TICK_MS);
    metric_setup(table, 1);
    not_ready = NULL;
    held = NULL;
    if (admin_new(loop, &settings, is_ready, &not_ready, &admin) != ERR_OK)
        return -1;
    admin_on_scrape(admin, on_scrape, NULL);
    admin_route(admin, "GET", "/users", echo, (void *)"list");
    admin_route(admin, "GET", "/users/", echo, (void *)"one");
    admin_route(admin, "DELETE", "/users/", echo, (void *)"delete");
    admin_route(admin, "GET", "/users/me", echo, (void *)"exact");
    admin_route(admin, "GET", "/users/all/", echo, (void *)"longer");
    admin_route(admin, "POST", "/send", echo, (void *)"send");
    admin_route(admin, "GET", "/late", hold, NULL);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    admin_free(&admin);
    loop_timer_free(&tick);
    loop_free(&loop);
    return 0;
}

/* --- a client --- */

static inline int dial(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(admin_port(admin)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void turn_until(bool (*is_done)(void *), void *arg)
{
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (!is_done(arg)) {
        assert_true(clock_mono_ms() < deadline);
        loop_turn(loop);
    }
}

static inline void send_all(int fd, const char *text, size_t len)
{
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
            continue;
        }
        assert_true(n < 0 && errno == EAGAIN && clock_mono_ms() < deadline);
        loop_turn(loop);
    }
}

struct answer {
    int fd;
    char text[16384];
    size_t len;
    bool is_closed;
    bool has_no_body; /* to a HEAD */
};

static inline bool is_complete(void *arg)
{
    struct answer *a = arg;
    ssize_t n = recv(a->fd, a->text + a->len, sizeof a->text - 1 - a->len, MSG_DONTWAIT);
    if (n > 0)
        a->len += (size_t)n;
    a->text[a->len] = '\0';
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return a->is_closed = true;
    const char *end = strstr(a->text, "\r\n\r\n"), *length = strcasestr(a->text, "Content-Length: ");
    if (!end || !length)
        return false;
    return a->has_no_body || a->len >= (size_t)(end + 4 - a->text) + strtoul(length + 16, NULL, 10);
}

static struct answer answer; /* of the last exchange */

static inline void receive(int fd)
{
    bool is_head = answer.has_no_body;
    answer = (struct answer){.fd = fd, .has_no_body = is_head};
    turn_until(is_complete, &answer);
}

static inline void ask_on(int fd, const char *request)
{
    send_all(fd, request, strlen(request));
    answer.has_no_body = strncmp(request, "HEAD", 4) == 0;
    receive(fd);
}

static inline void ask(const char *method, const char *target, const char *more)
{
    char request[1024];
    int fd = dial();
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n%s", method, target, more);
    ask_on(fd, request);
    close(fd);
}

static inline void assert_has(const char *part)
{
    if (!strstr(answer.text, part))
        fail_msg("no \"%s\" in \"%s\"", part, answer.text);
}

static inline void get(const char *target, const char *status, const char *body)
{
    ask("GET", target, "\r\n");
    assert_has(status);
    assert_has(body);
}

static inline bool is_held(void *arg)
{
    (void)arg;
    return held != NULL;
}

/* --- tests --- */

/* Connects and waits until the server has accepted: it answers on it. */
static inline int dial_and_ask(void)
{
    int fd = dial();
    ask_on(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("200 OK");
    return fd;
}

#endif
