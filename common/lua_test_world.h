/* For tests of the scripts: a real Redis, a loop, a connection, and a clean slate before each test. */
#ifndef HERALD_COMMON_LUA_TEST_WORLD_H
#define HERALD_COMMON_LUA_TEST_WORLD_H

#include "redis_test_server.h"

static struct test_server server;
static struct loop *loop;
static struct loop_timer *ticker;
static struct redis *r;

#define ASKED(...) ASK(loop, r, __VA_ARGS__)

/* The i-th part of a flat array's text. */
static const char *part(const char *text, int i)
{
    static char copy[4096];
    snprintf(copy, sizeof copy, "%s", text + 1);
    char *at = copy, *word;
    do {
        word = at;
        size_t len = strcspn(at, ",]");
        at += len + 2;
        word[len] = '\0';
    } while (i--);
    return word;
}

static inline long long number(const char *text, int i)
{
    return strtoll(part(text, i), NULL, 10);
}

static inline int world_up(void **state)
{
    (void)state;
    test_redis_up(&server, &loop, &ticker, &r);
    return 0;
}

static inline int world_down(void **state)
{
    (void)state;
    test_redis_down(&server, &loop, &ticker, &r);
    return 0;
}

static inline int flush_all(void **state)
{
    (void)state;
    ASKED("FLUSHALL");
    return 0;
}

#endif
