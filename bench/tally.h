/*
 * What one client process counted, in memory it shares with the parent. Written by the client alone; the parent reads
 * at any time, and may clear it while nothing is under way.
 */
#ifndef HERALD_BENCH_TALLY_H
#define HERALD_BENCH_TALLY_H

#include <stdint.h>

#include "bench/hist.h"
#include "bench/plan.h"

struct tally {
    uint64_t up;          /* connections that have their auth_response, now */
    uint64_t opened;      /* connections that got it, ever */
    uint64_t closed;      /* connections that were closed by the other side, or could not be made */
    uint64_t refused;     /* answered with something else than 101 */
    uint64_t received;    /* messages, each number once */
    uint64_t lost;        /* numbers skipped and not come since */
    uint64_t late;        /* numbers that came after a later one */
    uint64_t repeated;    /* numbers that came twice on one connection */
    uint64_t redelivered; /* numbers that came again on a later connection: at-least-once allows that */
    uint64_t reads;       /* recv() calls with something in them */
    uint64_t last_us;     /* wall clock, of the last message */
    uint64_t received_of[PLAN_STREAMS_MAX];
    struct hist latency[PLAN_STREAMS_MAX];
};

/* One writer, so no locked instruction is needed; the reader sees whole numbers. */
static inline void tally_add(uint64_t *count, uint64_t n)
{
    __atomic_store_n(count, *count + n, __ATOMIC_RELAXED);
}

static inline uint64_t tally_get(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

#endif
