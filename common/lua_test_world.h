/* For tests of the scripts: a real Redis, a loop, a connection, and a clean slate before each test. */
#ifndef HERALD_COMMON_LUA_TEST_WORLD_H
#define HERALD_COMMON_LUA_TEST_WORLD_H

#include "redis_test_server.h"

static struct test_server server;
static struct loop *loop;
static struct loop_timer *ticker;
static struct redis *r;

#define ASKED(...) ASK(loop, r, __VA_ARGS__)

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
