#include "bench/instructions/fake_kafka.h"

#include "common/check.h"

struct kafka_consumer {
    struct kafka_consumer_events events;
    void *arg;
    const char *topic;
    int64_t next, committed;
};

static struct kafka_consumer fake = {.committed = -1};

void fake_kafka_assign(void)
{
    fake.events.state(fake.arg, true);
    fake.events.assigned(fake.arg, fake.topic, 0);
}

void fake_kafka_record(const char *key, size_t key_len, const char *value, size_t len, int64_t timestamp_ms)
{
    const struct kafka_record record = {.topic = fake.topic,
                                        .offset = fake.next++,
                                        .timestamp_ms = timestamp_ms,
                                        .key = key,
                                        .value = value,
                                        .key_len = key_len,
                                        .len = len,
                                        .handle = &fake};
    fake.events.record(fake.arg, &record);
}

int64_t fake_kafka_committed(void)
{
    return fake.committed;
}

/* --- common/kafka.h --- */

enum err kafka_producer_new(struct loop *loop, const struct kafka_options *options, struct kafka_producer **producer_r)
{
    (void)loop, (void)options;
    *producer_r = (struct kafka_producer *)(void *)&fake;
    return ERR_OK;
}

enum err kafka_produce(struct kafka_producer *producer, const char *topic, const void *key, size_t key_len,
                       const void *value, size_t len, const struct kafka_header *headers, size_t header_count,
                       kafka_delivered_fn *fn, void *arg)
{
    (void)producer, (void)topic, (void)key, (void)key_len, (void)value, (void)len, (void)headers, (void)header_count;
    (void)fn, (void)arg;
    CHECK(!"no script of these produces");
    return ERR_AWAY;
}

void kafka_unsent(const struct kafka_producer *producer, struct kafka_record *record_r)
{
    (void)producer;
    *record_r = (struct kafka_record){0};
}

void kafka_producer_free(struct kafka_producer **producer, int flush_ms)
{
    (void)flush_ms;
    *producer = NULL;
}

enum err kafka_consumer_new(struct loop *loop, const struct kafka_consumer_settings *settings,
                            const struct kafka_consumer_events *events, void *arg, struct kafka_consumer **consumer_r)
{
    (void)loop;
    fake.events = *events;
    fake.arg = arg;
    fake.topic = settings->topic;
    *consumer_r = &fake;
    return ERR_OK;
}

void kafka_consumer_free(struct kafka_consumer **consumer)
{
    *consumer = NULL;
}

void kafka_record_free(struct kafka_record *record)
{
    record->handle = NULL;
}

size_t kafka_record_headers(const struct kafka_record *record, struct kafka_header *headers_r, size_t max)
{
    (void)record, (void)headers_r, (void)max;
    return 0;
}

void kafka_commit(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset)
{
    (void)topic, (void)partition;
    consumer->committed = offset;
}

int64_t kafka_committed(struct kafka_consumer *consumer, int32_t partition)
{
    (void)partition;
    return consumer->committed;
}

int32_t kafka_generation(struct kafka_consumer *consumer)
{
    (void)consumer;
    return 3;
}

void kafka_pause(struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
    (void)consumer, (void)topic, (void)partition;
}

void kafka_resume(struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
    (void)consumer, (void)topic, (void)partition;
}

void kafka_ensure_topic(struct kafka_producer *producer, const char *topic, int32_t partitions)
{
    (void)producer, (void)topic, (void)partitions;
}
