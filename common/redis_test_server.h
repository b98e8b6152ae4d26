/*
 * For tests only: a real redis-server on a port of its own, in a folder of its own, and the reading of replies as text.
 * A test program includes it once.
 */
#ifndef HERALD_COMMON_REDIS_TEST_SERVER_H
#define HERALD_COMMON_REDIS_TEST_SERVER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "check.h"
#include "clock.h"
#include "loop.h"
#include "redis.h"
#include "redis_script.h"

enum { TEST_DEADLINE_MS = 10000 };

/* Turns the loop until the condition holds. A ticking timer (test_ticker) keeps a turn from waiting for ever. */
#define TURN_UNTIL(loop, condition)                                                                                    \
    do {                                                                                                               \
        uint64_t deadline_ms = clock_mono_ms() + TEST_DEADLINE_MS;                                                     \
        while (!(condition)) {                                                                                         \
            if (clock_mono_ms() > deadline_ms)                                                                         \
                fail_msg("waited in vain for: %s", #condition);                                                        \
            loop_turn(loop);                                                                                           \
        }                                                                                                              \
    } while (0)

static inline void test_tick(void *arg)
{
    (void)arg;
}

static inline struct loop_timer *test_ticker(struct loop *loop)
{
    struct loop_timer *timer = loop_timer_new(loop, test_tick, NULL);
    loop_timer_start(timer, 10, 10);
    return timer;
}

/* For what must not happen: there is no condition to wait for. */
static inline void test_turn_for(struct loop *loop, uint64_t ms)
{
    for (uint64_t until_ms = clock_mono_ms() + ms; clock_mono_ms() < until_ms;)
        loop_turn(loop);
}

/* --- the server --------------------------------------------------------------------------------------------------- */

struct test_server {
    pid_t pid;
    uint16_t port;
    char dir[64], address[32];
};

static inline int test_socket(uint16_t port, bool is_listener)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = is_listener ? bind(fd, (struct sockaddr *)&to, sizeof to)
                             : connect(fd, (struct sockaddr *)&to, sizeof to);
    if (!failed)
        return fd;
    close(fd);
    return -1;
}

static inline uint16_t test_free_port(void)
{
    int fd = test_socket(0, true);
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    assert_true(fd >= 0 && !getsockname(fd, (struct sockaddr *)&at, &len));
    close(fd);
    return ntohs(at.sin_port);
}

static inline bool test_server_answers(const struct test_server *server)
{
    int fd = test_socket(server->port, false);
    if (fd < 0)
        return false;
    char byte = 0;
    bool is_there = write(fd, "PING\r\n", 6) == 6 && read(fd, &byte, 1) == 1 && (byte == '+' || byte == '-');
    close(fd);
    return is_there;
}

/* Starts on server->port; argument pairs like "--requirepass", "x" may follow, ended by NULL. */
static inline void test_server_run(struct test_server *server, const char *option, const char *value)
{
    char port[8];
    snprintf(port, sizeof port, "%u", server->port);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (!server->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir",
               server->dir, option, value, (char *)NULL);
        _exit(127);
    }
    for (uint64_t until_ms = clock_mono_ms() + TEST_DEADLINE_MS; !test_server_answers(server); poll(NULL, 0, 5))
        assert_true(clock_mono_ms() < until_ms && waitpid(server->pid, NULL, WNOHANG) == 0);
}

static inline void test_server_start(struct test_server *server, const char *option, const char *value)
{
    snprintf(server->dir, sizeof server->dir, "/tmp/herald-redis-XXXXXX");
    assert_non_null(mkdtemp(server->dir));
    server->port = test_free_port();
    snprintf(server->address, sizeof server->address, "127.0.0.1:%u", server->port);
    test_server_run(server, option, value);
}

static inline void test_server_kill(struct test_server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

static inline void test_server_stop(struct test_server *server)
{
    test_server_kill(server);
    rmdir(server->dir);
}

static inline struct redis_options test_options(const struct test_server *server)
{
    return (struct redis_options){.address = (char *)(uintptr_t)server->address,
                                  .pending_max = 1000,
                                  .connect_timeout_ms = 2000,
                                  .backoff_max_ms = 100};
}

/* --- answers as text ---------------------------------------------------------------------------------------------- */

/* "5", "text", "nil", "-ERR ...", "[1, a, [b]]" */
static inline void test_render(struct buf *out, const struct redis_reply *reply)
{
    size_t len;
    const char *text = redis_reply_str(reply, &len);
    switch (redis_reply_kind(reply)) {
    case REDIS_NIL:
        buf_add_str(out, "nil");
        break;
    case REDIS_INTEGER:
        buf_add_int(out, redis_reply_int(reply));
        break;
    case REDIS_ARRAY:
        for (size_t i = 0; i < redis_reply_count(reply); i++) {
            buf_add_str(out, i ? ", " : "[");
            test_render(out, redis_reply_at(reply, i));
        }
        buf_add_str(out, redis_reply_count(reply) ? "]" : "[]");
        break;
    case REDIS_ERROR:
        buf_add_char(out, '-');
        buf_add(out, text, len);
        break;
    default:
        buf_add(out, text, len);
    }
}

struct test_answer {
    int calls;
    enum err err;
    struct buf text;
};

static inline void test_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct test_answer *answer = arg;
    answer->calls++;
    answer->err = err;
    buf_clear(&answer->text);
    if (reply)
        test_render(&answer->text, reply);
    else
        buf_add_str(&answer->text, err_name(err));
}

/* Asks and waits. The text is valid until the next call. */
static inline const char *test_ask(struct loop *loop, struct redis *redis, int argc, const char *const *argv)
{
    static struct test_answer answer;
    if (!answer.text.bytes)
        buf_init(&answer.text);
    answer.calls = 0;
    assert_int_equal(redis_command(redis, test_answered, &answer, argc, argv, NULL), ERR_OK);
    TURN_UNTIL(loop, answer.calls);
    return answer.text.bytes;
}

static inline const char *test_run(struct loop *loop, struct redis *redis, enum redis_script script, int key_count,
                                   int argc, const char *const *argv)
{
    static struct test_answer answer;
    if (!answer.text.bytes)
        buf_init(&answer.text);
    answer.calls = 0;
    assert_int_equal(redis_script(redis, script, test_answered, &answer, key_count, argc, argv, NULL), ERR_OK);
    TURN_UNTIL(loop, answer.calls);
    return answer.text.bytes;
}

#define WORDS(...)                                                                                                     \
    (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[])                                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define ASK(loop, redis, ...) test_ask(loop, redis, WORDS(__VA_ARGS__))
#define RUN(loop, redis, script, key_count, ...) test_run(loop, redis, script, key_count, WORDS(__VA_ARGS__))

/* A server, a loop that ticks, and one connection that is up: what most tests of scripts stand on. */
static inline void test_redis_up(struct test_server *server, struct loop **loop, struct loop_timer **ticker,
                                 struct redis **redis)
{
    test_server_start(server, NULL, NULL);
    *loop = loop_new();
    *ticker = test_ticker(*loop);
    struct redis_options options = test_options(server);
    *redis = redis_new(*loop, &options, "commands", NULL, NULL);
    TURN_UNTIL(*loop, redis_is_up(*redis));
}

static inline void test_redis_down(struct test_server *server, struct loop **loop, struct loop_timer **ticker,
                                   struct redis **redis)
{
    redis_free(redis);
    loop_timer_free(ticker);
    loop_free(loop);
    test_server_stop(server);
}

#endif
