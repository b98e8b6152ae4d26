/*
 * When which message is due: open loop, so nothing that is slow puts off what comes after it (no coordinated omission).
 * Pure; times are wall-clock us, given in.
 */
#ifndef HERALD_BENCH_SCHEDULE_H
#define HERALD_BENCH_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/plan.h"

/* Exposed to be embedded. */
struct schedule {
    const struct plan *plan;
    uint64_t start_us;
    uint64_t from[PLAN_STREAMS_MAX], sent[PLAN_STREAMS_MAX], upto[PLAN_STREAMS_MAX]; /* numbers of pushes */
};

struct due {
    size_t stream;
    uint64_t i;     /* the number of this push in its stream */
    uint64_t at_us; /* when it was due */
};

/* Nothing is due before schedule_begin(). */
void schedule_init(struct schedule *schedule, const struct plan *plan);
/* The next `seconds` begin at start_us; numbers go on where they were. */
void schedule_begin(struct schedule *schedule, uint64_t start_us, uint64_t seconds);
/* What is due the earliest of all; false: nothing is left. It stays until schedule_sent(). */
bool schedule_next(const struct schedule *schedule, struct due *due_r);
void schedule_sent(struct schedule *schedule, const struct due *due);
/* Deliveries that the pushes since schedule_begin() are to make; and of one stream. */
uint64_t schedule_expected(const struct schedule *schedule);
uint64_t schedule_expected_of(const struct schedule *schedule, size_t stream);

#endif
