/* In place of common/kafka_*.c: one partition, whose records the driver hands in; the producer takes everything. */
#ifndef HERALD_BENCH_FAKE_KAFKA_H
#define HERALD_BENCH_FAKE_KAFKA_H

#include "common/kafka.h"

/* The partition is assigned. */
void fake_kafka_assign(void);
/* The next record; the bytes have to stay until it was freed. */
void fake_kafka_record(const char *key, size_t key_len, const char *value, size_t len, int64_t timestamp_ms);
/* The next offset to be read, as committed. */
int64_t fake_kafka_committed(void);

#endif
