/* A real loop and a real socket in one thread: the client sends and receives without blocking between turns. */
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

enum { DEADLINE_MS = 5000, TICK_MS = 2, CONNECTION_MAX = 128 };

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

static void nothing(void *arg)
{
    (void)arg;
}

static bool is_ready(void *arg, struct buf *why)
{
    assert_ptr_equal(arg, &not_ready);
    if (not_ready)
        buf_add_str(why, not_ready);
    return !not_ready;
}

static void on_scrape(void *arg)
{
    (void)arg;
    metric_add(SCRAPES, 1);
}

/* Answers with what the handler sees. */
static void echo(struct admin_request *request, void *arg)
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

static void hold(struct admin_request *request, void *arg)
{
    (void)arg;
    held = request;
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    tick = loop_timer_new(loop, nothing, NULL);
    loop_timer_start(tick, TICK_MS, TICK_MS);
    metric_setup(table, 1);
    not_ready = NULL;
    held = NULL;
    if (admin_new(loop, "127.0.0.1:0", is_ready, &not_ready, &admin) != ERR_OK)
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

static int tear_down(void **state)
{
    (void)state;
    admin_free(&admin);
    loop_timer_free(&tick);
    loop_free(&loop);
    return 0;
}

/* --- a client --- */

static int dial(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(admin_port(admin)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void turn_until(bool (*is_done)(void *), void *arg)
{
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (!is_done(arg)) {
        assert_true(clock_mono_ms() < deadline);
        loop_turn(loop);
    }
}

static void send_all(int fd, const char *text, size_t len)
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

static bool is_complete(void *arg)
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

static void receive(int fd)
{
    bool is_head = answer.has_no_body;
    answer = (struct answer){.fd = fd, .has_no_body = is_head};
    turn_until(is_complete, &answer);
}

static void ask_on(int fd, const char *request)
{
    send_all(fd, request, strlen(request));
    answer.has_no_body = strncmp(request, "HEAD", 4) == 0;
    receive(fd);
}

static void ask(const char *method, const char *target, const char *more)
{
    char request[1024];
    int fd = dial();
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n%s", method, target, more);
    ask_on(fd, request);
    close(fd);
}

static void assert_has(const char *part)
{
    if (!strstr(answer.text, part))
        fail_msg("no \"%s\" in \"%s\"", part, answer.text);
}

static void get(const char *target, const char *status, const char *body)
{
    ask("GET", target, "\r\n");
    assert_has(status);
    assert_has(body);
}

static bool is_held(void *arg)
{
    (void)arg;
    return held != NULL;
}

/* --- tests --- */

static void built_in_pages(void **state)
{
    (void)state;
    get("/healthz", "HTTP/1.1 200 OK", "\r\n\r\nok\n");
    get("/readyz", "HTTP/1.1 200 OK", "\r\n\r\nready\n");
    not_ready = "redis is away";
    get("/readyz", "HTTP/1.1 503 ", "\r\n\r\nnot ready: redis is away\n");
    get("/metrics", "200 OK", "\nherald_test_scrapes_total 1\n");
    assert_has("Content-Type: text/plain; version=0.0.4");
    get("/metrics?x", "200 OK", "\nherald_test_scrapes_total 2\n");
}

static void unknown_paths_and_methods(void **state)
{
    (void)state;
    get("/nowhere", "HTTP/1.1 404 ", "{\"error\":\"not found\"}");
    get("/", "HTTP/1.1 404 ", "");
    get("/usersandmore", "HTTP/1.1 404 ", "");
    ask("POST", "/healthz", "Content-Length: 0\r\n\r\n");
    assert_has("HTTP/1.1 405 ");
    assert_has("\r\nAllow: GET, HEAD\r\n");
    ask("PATCH", "/users/7", "Content-Length: 0\r\n\r\n");
    assert_has("HTTP/1.1 405 ");
    assert_has("\r\nAllow: GET, HEAD, DELETE\r\n");
    ask("GET", "/send", "\r\n");
    assert_has("\r\nAllow: POST\r\n");
    ask("BREW", "/healthz", "\r\n");
    assert_true(strstr(answer.text, "HTTP/1.1 4") || strstr(answer.text, "HTTP/1.1 501 "));
}

static void head_has_the_length_and_no_body(void **state)
{
    (void)state;
    int fd = dial();
    ask_on(fd, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("HTTP/1.1 200 OK");
    assert_has("Content-Length: 3\r\n");
    assert_string_equal(strstr(answer.text, "\r\n\r\n"), "\r\n\r\n");
    ask_on(fd, "GET /users HTTP/1.1\r\nHost: x\r\n\r\n"); /* nothing stray stands before it */
    assert_memory_equal(answer.text, "HTTP/1.1 200", 12);
    close(fd);
}

static void queries_are_decoded(void **state)
{
    (void)state;
    get("/users?a=1&b=x%20y+z", "200", "list path=/users rest= a=1 b=x y z ");
    get("/users?flag&b=&a=q=r", "200", " a=q=r b= ");
    get("/users?b", "200", " a=- b= ");
    get("/users?aa=1&xb=2", "200", " a=- b=- ");
    get("/users?a=1&a=2", "200", " a=1 ");
    get("/users?a=z%00z&b=%zz", "200", " a=- b=%zz ");
    ask("GET", "/users", "X-Test: t\r\n\r\n");
    assert_has(" x=t ");
    assert_has("X-Extra: yes\r\n");
}

static void the_best_route_answers(void **state)
{
    (void)state;
    get("/users/42", "200", "one path=/users/42 rest=42 ");
    get("/users/", "200", "one path=/users/ rest= ");
    get("/users/a%2Fb%20c/d?a=1", "200", "one path=/users/a%2Fb%20c/d rest=a/b c/d a=1 ");
    get("/users/me", "200", "exact path=/users/me rest= ");
    get("/users/mee", "200", "one path=/users/mee rest=mee ");
    get("/users/all/x", "200", "longer path=/users/all/x rest=x ");
    get("/users/a%00b", "400", "zero byte");
    ask("DELETE", "/users/42", "\r\n");
    assert_has("delete path=/users/42 rest=42 ");
}

static void bodies(void **state)
{
    (void)state;
    ask("POST", "/send", "Content-Length: 5\r\n\r\nhello");
    assert_has(" body=hello");
    ask("POST", "/send", "Content-Length: 0\r\n\r\n");
    assert_has(" body=");
    ask("POST", "/send", "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    assert_has(" body=hello");
}

static void one_byte_at_a_time(void **state)
{
    (void)state;
    static const char request[] = "POST /send?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    int fd = dial();
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        send_all(fd, request + i, 1);
        loop_turn(loop);
    }
    receive(fd);
    assert_has(" a=1 ");
    assert_has(" body=hello");
    close(fd);
}

static void too_large(void **state)
{
    (void)state;
    static char filler[2 << 20];
    memset(filler, 'x', sizeof filler);
    int fd = dial();
    static const char head[] = "POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n";
    send_all(fd, head, sizeof head - 1);
    send_all(fd, filler, sizeof filler);
    receive(fd);
    assert_has("HTTP/1.1 413 ");
    close(fd);

    fd = dial();
    send_all(fd, "GET / HTTP/1.1\r\nX: ", 19);
    ssize_t n = send(fd, filler, 64 << 10, MSG_DONTWAIT | MSG_NOSIGNAL);
    assert_true(n > 16 << 10);
    receive(fd);
    assert_true(answer.is_closed || strstr(answer.text, "HTTP/1.1 4"));
    close(fd);
    get("/healthz", "200", "ok\n");
}

static void a_connection_is_used_again(void **state)
{
    (void)state;
    int fd = dial();
    ask_on(fd, "GET /users?a=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(" a=1 ");
    ask_on(fd, "GET /users?a=2 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(" a=2 ");
    close(fd);
}

static void a_late_reply(void **state)
{
    (void)state;
    int fd = dial();
    send_all(fd, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n", 31);
    turn_until(is_held, NULL);
    get("/healthz", "200", "ok\n"); /* others are served meanwhile */
    admin_reply(held, 200, "text/plain", "at last", 7);
    receive(fd);
    assert_has("at last");
    close(fd);
}

static void a_late_reply_after_the_client_left(void **state)
{
    (void)state;
    for (int is_reset = 0; is_reset < 2; is_reset++) {
        struct linger linger = {is_reset, 0};
        int fd = dial();
        held = NULL;
        send_all(fd, "GET /late?a=1 HTTP/1.1\r\nHost: x\r\n\r\n", 35);
        turn_until(is_held, NULL);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        close(fd);
        get("/healthz", "200", "ok\n");
        assert_string_equal(admin_query(held, "a"), "1");
        admin_reply(held, 200, "text/plain", "nobody", 6);
        get("/healthz", "200", "ok\n");
    }
}

static void a_late_reply_after_the_end(void **state)
{
    (void)state;
    int fd = dial(), fresh = dial();
    send_all(fd, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n", 31);
    turn_until(is_held, NULL);
    admin_free(&admin);
    assert_null(admin);
    assert_string_equal(admin_path(held), "/late");
    assert_null(admin_header(held, "Host"));
    admin_reply_error(held, 500, "too late");
    receive(fd);
    assert_true(answer.is_closed);
    assert_int_equal(answer.len, 0);
    close(fd);
    close(fresh);
}

/* Connects and waits until the server has accepted: it answers on it. */
static int dial_and_ask(void)
{
    int fd = dial();
    ask_on(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("200 OK");
    return fd;
}

static void connections_have_a_limit(void **state)
{
    (void)state;
    static int fds[CONNECTION_MAX];
    for (size_t i = 0; i < CONNECTION_MAX; i++)
        fds[i] = dial_and_ask();
    int waiting = dial();
    send_all(waiting, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 34);
    answer = (struct answer){.fd = waiting};
    for (int turns = 0; turns < 20; turns++) {
        loop_turn(loop);
        assert_false(is_complete(&answer));
    }
    close(fds[0]); /* one leaves, and the one that waited is served */
    receive(waiting);
    assert_has("200 OK");
    for (size_t i = 1; i < CONNECTION_MAX; i++)
        close(fds[i]);
    close(waiting);
    get("/healthz", "200", "ok\n");
}

static void a_fork_leaves_the_parents_connections_alone(void **state)
{
    (void)state;
    int idle = dial_and_ask(), busy = dial(), fresh = dial();
    send_all(busy, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n", 31);
    turn_until(is_held, NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        loop_after_fork(loop);
        admin_after_fork(&admin);
        admin_reply(held, 500, "text/plain", "from the child", 14);
        loop_turn(loop);
        loop_turn(loop);
        _exit(admin == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    ask_on(idle, "GET /users?a=9 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(" a=9 ");
    admin_reply(held, 200, "text/plain", "from the parent", 15);
    receive(busy);
    assert_has("from the parent");
    ask_on(fresh, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("200 OK");
    close(idle);
    close(busy);
    close(fresh);
    get("/healthz", "200", "ok\n");
}

static void addresses_that_cannot_be_bound(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "9080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":-1"};
    struct admin *other = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(admin_new(loop, wrong[i], NULL, NULL, &other), ERR_INVALID);
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", admin_port(admin));
    assert_int_equal(admin_new(loop, taken, NULL, NULL, &other), ERR_SYSTEM);
    assert_null(other);
    assert_int_equal(admin_new(loop, "*:0", NULL, NULL, &other), ERR_OK);
    assert_int_not_equal(admin_port(other), 0);
    admin_free(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(built_in_pages),
        TEST(unknown_paths_and_methods),
        TEST(head_has_the_length_and_no_body),
        TEST(queries_are_decoded),
        TEST(the_best_route_answers),
        TEST(bodies),
        TEST(one_byte_at_a_time),
        TEST(too_large),
        TEST(a_connection_is_used_again),
        TEST(a_late_reply),
        TEST(a_late_reply_after_the_client_left),
        TEST(a_late_reply_after_the_end),
        TEST(connections_have_a_limit),
        TEST(a_fork_leaves_the_parents_connections_alone),
        TEST(addresses_that_cannot_be_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
