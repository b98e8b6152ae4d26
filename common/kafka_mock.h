/*
 * A Kafka cluster inside this process, on loopback ports the system chooses: librdkafka's mock. For herald-devbroker
 * and for tests. It keeps about 5 MB a partition, in memory; it knows producing (idempotent, too), consuming, groups
 * and offsets, and creates topics at their first use, with 4 partitions; it has no admin requests.
 */
#ifndef HERALD_COMMON_KAFKA_MOCK_H
#define HERALD_COMMON_KAFKA_MOCK_H

#include <stdint.h>

#include "err.h"

struct kafka_mock;

/* NULL, and logged, when it cannot start. */
struct kafka_mock *kafka_mock_new(int brokers);
void kafka_mock_free(struct kafka_mock **mock);
/* bootstrap.servers */
const char *kafka_mock_address(const struct kafka_mock *mock);
/* ERR_INVALID: the name cannot be a topic's, or it is there already. */
enum err kafka_mock_create_topic(struct kafka_mock *mock, const char *topic, int partitions) MUST_CHECK;
/* The next `count` produce requests are refused as too large. */
void kafka_mock_refuse_produce(struct kafka_mock *mock, int count);

#endif
