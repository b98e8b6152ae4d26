/* Writes to Kafka what a schedule says, when it is due. */
#ifndef HERALD_BENCH_PRODUCER_H
#define HERALD_BENCH_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/schedule.h"

struct producer;

/* Returns when it knows the topic and its connections stand: a producer's first record waits for metadata, connection
 * and producer id, which is no part of a delivery's latency. Ends the process when Kafka does not take it. */
struct producer *producer_new(const struct plan *plan);
/* Sends all that is due at now_us. Returns how many us nothing will be; 0: Kafka takes no more at the moment. */
uint64_t producer_turn(struct producer *producer, struct schedule *schedule, uint64_t now_us);
/* The longest that a push was given to the Kafka client after it was due, since the last call: how far the generator
 * itself was behind. That time is part of the latency. */
uint64_t producer_behind_us(struct producer *producer);
/* Waits for what is queued, at most a second. */
void producer_free(struct producer **producer);

#endif
