#include "gateway/session/redis_clock.h"

#include <stdlib.h>

#include "common/check.h"

enum { CLOCK_MAGIC = 0x4C4F434B, ASK_MS = 1000, KEPT = 10 };

struct redis_clock {
    uint32_t magic, life; /* life: grows when the connection is lost; older answers say nothing */
    struct loop *loop;
    struct redis *redis;
    uint64_t asked_ms;
    uint32_t asked_life, count;
    bool is_asking;
    int64_t ahead_ms[KEPT]; /* of the loop's clock; the last answers */
};

struct redis_clock *redis_clock_new(struct loop *loop, struct redis *redis)
{
    struct redis_clock *clock = xcalloc(1, sizeof *clock);
    clock->magic = CLOCK_MAGIC;
    clock->loop = loop;
    clock->redis = redis;
    return clock;
}

void redis_clock_free(struct redis_clock **clock)
{
    if (!*clock)
        return;
    CHECK(!(*clock)->is_asking);
    (*clock)->magic = 0;
    free(*clock);
    *clock = NULL;
}

static void take(struct redis_clock *clock, int64_t redis_ms)
{
    clock->ahead_ms[clock->count++ % KEPT] = redis_ms - (int64_t)loop_fresh_ms(clock->loop);
}

/* [seconds, microseconds], as texts */
static void on_time(void *arg, enum err err, const struct redis_reply *reply)
{
    struct redis_clock *clock = arg;
    MAGIC_CHECK(clock, CLOCK_MAGIC);
    clock->is_asking = false;
    if (err != ERR_OK || redis_reply_count(reply) != 2 || clock->asked_life != clock->life)
        return;
    int64_t seconds = strtoll(redis_reply_str(redis_reply_at(reply, 0), NULL), NULL, 10);
    int64_t us = strtoll(redis_reply_str(redis_reply_at(reply, 1), NULL), NULL, 10);
    take(clock, seconds * 1000 + us / 1000);
}

void redis_clock_tick(struct redis_clock *clock)
{
    uint64_t now_ms = loop_now_ms(clock->loop);
    bool is_due = clock->count == 0 || now_ms - clock->asked_ms >= ASK_MS;
    if (clock->is_asking || !is_due || !redis_is_up(clock->redis))
        return;
    clock->asked_ms = now_ms;
    clock->asked_life = clock->life;
    clock->is_asking = redis_words(clock->redis, on_time, clock, "TIME", NULL) == ERR_OK;
}

void redis_clock_lost(struct redis_clock *clock)
{
    clock->life++;
    clock->count = 0;
}

int64_t redis_clock_at(const struct redis_clock *clock, uint64_t mono_ms)
{
    uint32_t kept = clock->count < KEPT ? clock->count : KEPT;
    if (kept == 0)
        return 0;
    int64_t ahead_ms = clock->ahead_ms[0];
    for (uint32_t i = 1; i < kept; i++)
        ahead_ms = clock->ahead_ms[i] > ahead_ms ? clock->ahead_ms[i] : ahead_ms;
    return (int64_t)mono_ms + ahead_ms;
}

void redis_clock_correct(struct redis_clock *clock, int64_t redis_ms)
{
    clock->count = 0;
    take(clock, redis_ms);
}
