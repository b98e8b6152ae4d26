#include "net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
}

static void check_flags(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void test_split(void **state)
{
    static const struct {
        const char *address, *host;
        int port; /* -1: invalid */
    } rows[] = {{"127.0.0.1:80", "127.0.0.1", 80},
                {":0", "", 0},
                {"*:65535", "*", 65535},
                {"[::1]:9", "::1", 9},
                {"host", "", -1},
                {"host:", "", -1},
                {"host:x", "", -1},
                {"host:-1", "", -1},
                {"host:65536", "", -1},
                {"host:1x", "", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char host[NET_HOST_MAX + 1];
        uint16_t port = 1;
        assert_int_equal(net_split(rows[i].address, host, &port), rows[i].port < 0 ? ERR_INVALID : ERR_OK);
        if (rows[i].port < 0)
            continue;
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

static void assert_advertised(const char *listen, const char *name, const char *expected)
{
    char text[300];
    net_advertise(listen, name, 7, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void test_advertise(void **state)
{
    char own[300], expected[320];
    (void)state;
    assert_advertised("127.0.0.1:0", "gw1", "127.0.0.1:7");
    assert_advertised("tcp://10.0.0.1:*", "gw1", "tcp://10.0.0.1:7");
    assert_advertised("[::1]:9", NULL, "[::1]:7");
    assert_advertised("0.0.0.0:9", "gw1", "gw1:7");
    assert_advertised(":9", "gw1", "gw1:7");
    assert_advertised("tcp://*:*", "gw1", "tcp://gw1:7");
    assert_advertised("tcp://[::]:*", "gw1", "tcp://gw1:7");
    assert_int_equal(gethostname(own, sizeof(own)), 0);
    snprintf(expected, sizeof(expected), "%s:7", own);
    assert_advertised("*:9", NULL, expected);
}

static int tcp_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
    return value;
}

static void check_accepts(const char *host)
{
    int listener = -1, fd = -1;
    struct in6_addr peer;
    char text[INET6_ADDRSTRLEN];
    assert_int_equal(net_listen(host, 0, 16, false, &listener), ERR_OK);
    check_flags(listener);
    uint16_t port = net_local_port(listener);
    assert_int_not_equal(port, 0);
    assert_int_equal(net_accept(listener, &fd, &peer), ERR_AWAY);
    int client = connect_to(port);
    wait_readable(listener);
    assert_int_equal(net_accept(listener, &fd, &peer), ERR_OK);
    assert_string_equal(inet_ntop(AF_INET6, &peer, text, sizeof(text)),
                        "::ffff:127.0.0.1"); /* through either listener */
    check_flags(fd);
    assert_true(tcp_option(fd, TCP_NODELAY));
    close(fd);
    close(client);
    close(listener);
}

static void test_listen_and_accept(void **state)
{
    (void)state;
    check_accepts("127.0.0.1");
    check_accepts("");
    check_accepts("*");
}

/* Set on the listener, found on who is accepted: through IPv4, and through the listener for both. */
static void test_tuning_is_inherited(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", ""};
    (void)state;
    for (int i = 0; i < 2; i++) {
        int listener, fd;
        struct in6_addr peer;
        assert_int_equal(net_listen(hosts[i], 0, 16, false, &listener), ERR_OK);
        assert_int_equal(net_tune(listener, &(struct net_tuning){.user_timeout_ms = 31000, .notsent_lowat = 65537}),
                         ERR_OK);
        int client = connect_to(net_local_port(listener));
        wait_readable(listener);
        assert_int_equal(net_accept(listener, &fd, &peer), ERR_OK);
        assert_int_equal(tcp_option(fd, TCP_USER_TIMEOUT), 31000);
        assert_int_equal(tcp_option(fd, TCP_NOTSENT_LOWAT), 65537);
        assert_true(tcp_option(fd, TCP_NODELAY));
        close(fd);
        close(client);
        close(listener);
    }
}

static void test_port_is_taken(void **state)
{
    (void)state;
    int one, two = -1;
    assert_int_equal(net_listen("127.0.0.1", 0, 16, false, &one), ERR_OK);
    assert_int_equal(net_listen("127.0.0.1", net_local_port(one), 16, false, &two), ERR_SYSTEM);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(two, -1);
    close(one);
}

static void test_reuse_port(void **state)
{
    (void)state;
    int one, two;
    assert_int_equal(net_listen("127.0.0.1", 0, 16, true, &one), ERR_OK);
    assert_int_equal(net_listen("127.0.0.1", net_local_port(one), 16, true, &two), ERR_OK);
    assert_int_equal(net_local_port(one), net_local_port(two));
    close(one);
    close(two);
}

static void test_bad_host(void **state)
{
    (void)state;
    int fd;
    assert_int_equal(net_listen("256.1.1.1.invalid", 0, 16, false, &fd), ERR_SYSTEM);
    assert_int_equal(net_listen("192.0.2.1", 0, 16, false, &fd), ERR_SYSTEM); /* not an address of ours */
}

static void test_no_descriptors(void **state)
{
    (void)state;
    int listener, fd;
    struct in6_addr peer;
    assert_int_equal(net_listen("127.0.0.1", 0, 16, false, &listener), ERR_OK);
    int client = connect_to(net_local_port(listener));
    wait_readable(listener);
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)client + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err err = net_accept(listener, &fd, &peer);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(net_accept(listener, &fd, &peer), ERR_OK); /* it still waits */
    close(fd);
    close(client);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_advertise),
        cmocka_unit_test(test_listen_and_accept),
        cmocka_unit_test(test_tuning_is_inherited),
        cmocka_unit_test(test_port_is_taken),
        cmocka_unit_test(test_reuse_port),
        cmocka_unit_test(test_bad_host),
        cmocka_unit_test(test_no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
