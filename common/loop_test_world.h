/* For tests of the real loop. */
#ifndef HERALD_COMMON_LOOP_TEST_WORLD_H
#define HERALD_COMMON_LOOP_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "loop.h"

static struct loop *loop;
static char trace[256]; /* which callbacks ran, in order */

static inline int setup(void **state)
{
    (void)state;
    loop = loop_new();
    trace[0] = '\0';
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    loop_free(&loop);
    assert_null(loop);
    return 0;
}

static inline void note(const char *what)
{
    strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

#endif
