/* For tests with the real loop: turns it until something holds. */
#ifndef HERALD_COMMON_LOOP_WAIT_H
#define HERALD_COMMON_LOOP_WAIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "loop.h"

enum { WAIT_MS = 20000 };

typedef bool condition_fn(const void *arg);

static inline void wake(void *arg)
{
    (void)arg;
}

/* Fails when the condition does not hold in time. */
static inline void loop_wait(struct loop *loop, condition_fn *condition, const void *arg)
{
    struct loop_timer *timer = loop_timer_new(loop, wake, NULL); /* so that a turn ends without events */
    loop_timer_start(timer, 5, 5);
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (!condition(arg) && clock_mono_ms() < until_ms)
        loop_turn(loop);
    loop_timer_free(&timer);
    assert_true(condition(arg));
}

#endif
