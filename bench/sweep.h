/* One message to each of many users, through Kafka, at a steady rate as long as they arrive: each carries its user's
 * number, the sweep's, and when it was produced. */
#ifndef HERALD_BENCH_SWEEP_H
#define HERALD_BENCH_SWEEP_H

#include <stdint.h>

struct sweep {
    const char *brokers, *prefix, *class;
    uint32_t users, rate, number;
    uint32_t (*user)(void *arg, uint32_t i); /* the number of the i-th of them */
    uint32_t window; /* messages produced and not received, at most: the machine may be slower than the rate */
    uint64_t (*received)(void *arg);
    void *arg;
};

/* Until Kafka has all, or so few arrive that nothing has moved for quiet_ms. Returns when the first was produced, Unix
 * time in microseconds. */
uint64_t sweep_run(const struct sweep *sweep, uint64_t quiet_ms);

#endif
