/* What the admin server refuses, and that it counts it. */
#include "admin_test_world.h"

enum { CONNECTIONS_MAX = 4, HEAD_MAX = 1024, BODY_MAX = 4096, IDLE_MS = 200 };

static int set_up_small(void **state)
{
    settings.connections_max = CONNECTIONS_MAX;
    settings.head_max = HEAD_MAX;
    settings.body_max = BODY_MAX;
    return set_up(state);
}

static int set_up_hasty(void **state)
{
    settings.idle_ms = IDLE_MS;
    return set_up_small(state);
}

/* Exactly so many, once the server has noticed. */
static bool has_refused(void *arg)
{
    get("/metrics", "200", "herald_admin_refused_total");
    return strstr(answer.text, arg);
}

static void assert_refused(const char *what, int count)
{
    char line[80];
    snprintf(line, sizeof line, "herald_admin_refused_total{what=\"%s\"} %d\n", what, count);
    turn_until(has_refused, line);
}

static void too_large(void **state)
{
    (void)state;
    static char filler[64 << 10];
    memset(filler, 'x', sizeof filler);
    int fd = dial();
    static const char head[] = "POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n";
    send_all(fd, head, sizeof head - 1);
    send_all(fd, filler, sizeof filler);
    receive(fd);
    assert_has("HTTP/1.1 413 ");
    close(fd);
    assert_refused("requests", 1);

    fd = dial();
    send_all(fd, "GET / HTTP/1.1\r\nX: ", 19);
    send_all(fd, filler, HEAD_MAX);
    receive(fd);
    assert_true(answer.is_closed || strstr(answer.text, "HTTP/1.1 4"));
    close(fd);
    assert_refused("requests", 2);
    get("/healthz", "200", "ok\n");
}

/* A connection that is used again counts as well; one that just rests does not. */
static void too_slow(void **state)
{
    (void)state;
    int fd = dial_and_ask();
    send_all(fd, "GET / HT", 8);
    receive(fd);
    assert_true(answer.is_closed);
    close(fd);
    assert_refused("requests", 1);
    fd = dial_and_ask();
    answer = (struct answer){.fd = fd};
    receive(fd);
    assert_true(answer.is_closed);
    close(fd);
    assert_refused("requests", 1);
}

static void connections_have_a_limit(void **state)
{
    (void)state;
    int fds[CONNECTIONS_MAX];
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
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
    for (size_t i = 1; i < CONNECTIONS_MAX; i++)
        close(fds[i]);
    close(waiting);
    get("/healthz", "200", "ok\n");
    assert_refused("connections", 2); /* the one that waited took the last place again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(too_large, set_up_small, tear_down),
        cmocka_unit_test_setup_teardown(connections_have_a_limit, set_up_small, tear_down),
        cmocka_unit_test_setup_teardown(too_slow, set_up_hasty, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
