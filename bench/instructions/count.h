/*
 * What the drivers of the instruction ratchet share (count.py). A driver plays one script a given number of rounds, of
 * BATCH messages each, with the daemon's real objects over fakes of what is not the daemon's: the loop
 * (common/loop_fake.c), ZeroMQ (fake_bus.c), Redis (fake_redis.c), Kafka (fake_kafka.c).
 *
 * Only what runs inside a hop is counted: callgrind collects between entering and leaving functions of that name. Their
 * bodies are calls into the daemon and nothing else; what the script has to prepare or to look at is done outside.
 */
#ifndef HERALD_BENCH_COUNT_H
#define HERALD_BENCH_COUNT_H

#include <stdint.h>

enum { BATCH = 128, WARM_ROUNDS = 4 };

/* Never inlined, merged with one that reads the same, or left by a jump: its name is how callgrind finds it. */
#define HOP(name) __attribute__((noipa, optimize("no-optimize-sibling-calls"))) static void hop_##name

struct script {
    const char *name;
    uint32_t units; /* of a round: messages, frames or connections; what the count is divided by */
    void (*start)(void);
    void (*round)(void);
};

/* Plays the script that argv[1] names, argv[2] rounds after a few to warm up, and prints the units of these rounds. */
int count_main(int argc, char **argv, const struct script *scripts, uint32_t script_count);

/* 128 bytes of frame are what the floor sends; of them this is the content of a push. */
#define CONTENT "{\"text\":\"0123456789012345678901234567890\"}"

#endif
