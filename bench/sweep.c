#include "bench/sweep.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/kafka.h"
#include "common/loop.h"

enum { TICK_MS = 1, FLUSH_MS = 60000 };

struct progress {
    uint64_t sent, stored;
};

static void on_stored(void *arg, enum err err)
{
    struct progress *progress = arg;
    CHECK(err == ERR_OK);
    progress->stored++;
}

static bool produce(struct kafka_producer *producer, const struct sweep *sweep, uint64_t due_us,
                    struct progress *progress)
{
    char key[64], text[256];
    uint64_t user = sweep->user(sweep->arg, (uint32_t)progress->sent);
    int key_len = snprintf(key, sizeof(key), "%s%lu", sweep->prefix, (unsigned long)user);
    int len = snprintf(text, sizeof(text),
                       "{\"to\":{\"user\":\"%s\"},\"class\":\"%s\",\"content\":{\"n\":%lu,\"w\":%u,\"t\":%lu}}", key,
                       sweep->class, (unsigned long)user, sweep->number, (unsigned long)due_us);
    return kafka_produce(producer, "herald.push", key, (size_t)key_len, text, (size_t)len, NULL, 0, on_stored,
                         progress) == ERR_OK;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* Is due, and not too many are on their way. */
static uint64_t allowed(const struct sweep *sweep, uint64_t passed_us)
{
    uint64_t due = passed_us * sweep->rate / 1000000 + 1, window = sweep->received(sweep->arg) + sweep->window;
    uint64_t least = due < window ? due : window;
    return least < sweep->users ? least : sweep->users;
}

uint64_t sweep_run(const struct sweep *sweep, uint64_t quiet_ms)
{
    char linger[] = "linger.ms=5", *properties[] = {linger};
    struct kafka_options options = {.brokers = (char *)sweep->brokers, .properties = {properties, 1}};
    struct loop *loop = loop_new();
    struct loop_task nothing;
    struct kafka_producer *producer;
    struct progress progress = {0};
    loop_task_init(&nothing, do_nothing, NULL);
    CHECK(kafka_producer_new(loop, &options, &producer) == ERR_OK);
    uint64_t first_us = clock_wall_us(), moved_us = first_us, now_us = first_us;
    while (progress.stored < sweep->users && now_us - moved_us < quiet_ms * 1000) {
        now_us = clock_wall_us();
        for (uint64_t until = allowed(sweep, now_us - first_us);
             progress.sent < until && produce(producer, sweep, now_us, &progress);)
            moved_us = now_us, progress.sent++;
        loop_defer(loop, &nothing); /* what the producer has to tell is taken without waiting for it */
        loop_turn(loop);
        poll(NULL, 0, TICK_MS);
    }
    kafka_producer_free(&producer, FLUSH_MS);
    loop_free(&loop);
    return first_us;
}
