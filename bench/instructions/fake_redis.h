/*
 * In place of common/redis*.c: every user has one route and empty mailboxes, scripts succeed. Answers wait until the
 * driver lets them come.
 */
#ifndef HERALD_BENCH_FAKE_REDIS_H
#define HERALD_BENCH_FAKE_REDIS_H

#include "common/redis.h"

/* The route of a user, as text to be split by spaces: "<instance> <generation> <connection> <since>". */
typedef void fake_route_fn(const char *key, char *text_r, size_t size);
/* The clock is what scripts answer as Redis' time. */
void fake_redis_setup(fake_route_fn *route, int64_t clock_ms);
/* All connections are up. */
void fake_redis_up(void);
/* What was asked until now is answered. */
void fake_redis_answer(void);

#endif
