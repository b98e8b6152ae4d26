/*
 * What Redis' clock showed at a moment of this process: asked for once a second (TIME), so that a registration can say
 * when its session began, by the one clock that all gateways share. The answer was made before it was read, so the
 * clock is never further back than this says, and ahead of it by the way of the fastest of the last answers: some
 * milliseconds. What a connection told is forgotten with it: behind the next one there may be another Redis.
 */
#ifndef HERALD_GATEWAY_SESSION_REDIS_CLOCK_H
#define HERALD_GATEWAY_SESSION_REDIS_CLOCK_H

#include <stdint.h>

#include "common/loop.h"
#include "common/redis.h"

struct redis_clock;

struct redis_clock *redis_clock_new(struct loop *loop, struct redis *redis);
/* After redis_free(). */
void redis_clock_free(struct redis_clock **clock);
/* Asks when it is time to; call it often, and when Redis is back. */
void redis_clock_tick(struct redis_clock *clock);
/* The connection is gone. */
void redis_clock_lost(struct redis_clock *clock);
/* By the loop's clock; in ms since the Unix epoch. 0: not known. */
int64_t redis_clock_at(const struct redis_clock *clock, uint64_t mono_ms);
/* What was known proved wrong (that clock was set): it shows this, now. */
void redis_clock_correct(struct redis_clock *clock, int64_t redis_ms);

#endif
