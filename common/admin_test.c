#include "admin_test_world.h"

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

static enum err listen_at(const char *address, struct admin **admin_r)
{
    struct admin_settings other = settings;
    other.listen = (char *)address;
    return admin_new(loop, &other, NULL, NULL, admin_r);
}

static void addresses_that_cannot_be_bound(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "9080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":-1"};
    struct admin *other = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(listen_at(wrong[i], &other), ERR_INVALID);
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", admin_port(admin));
    assert_int_equal(listen_at(taken, &other), ERR_SYSTEM);
    assert_null(other);
    assert_int_equal(listen_at("*:0", &other), ERR_OK);
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
        TEST(a_connection_is_used_again),
        TEST(a_late_reply),
        TEST(a_late_reply_after_the_client_left),
        TEST(a_late_reply_after_the_end),
        TEST(a_fork_leaves_the_parents_connections_alone),
        TEST(addresses_that_cannot_be_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
