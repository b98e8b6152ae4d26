/* A Kafka producer in place of common/kafka_producer.c: a test looks at what was produced and says what became of it.
 */
#ifndef HERALD_ROUTER_RECORD_FAKE_PRODUCER_H
#define HERALD_ROUTER_RECORD_FAKE_PRODUCER_H

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/kafka.h"

enum { FAKE_SENT = 4096 };

/* What was produced and has no answer yet, oldest first, and how many ever were. */
static struct {
    struct fake_sent {
        char key[64], value[640], topic[64];
        bool has_key;
        kafka_delivered_fn *fn;
        void *arg;
    } sent[FAKE_SENT];
    int count, total;
    enum err refusal; /* of further ones */
    const struct fake_sent *told;
} fake_kafka;

enum err kafka_producer_new(struct loop *loop, const struct kafka_options *options, struct kafka_producer **producer_r)
{
    (void)loop, (void)options;
    *producer_r = (struct kafka_producer *)&fake_kafka;
    return ERR_OK;
}

void kafka_producer_free(struct kafka_producer **producer, int flush_ms)
{
    (void)flush_ms;
    *producer = NULL;
}

void kafka_ensure_topic(struct kafka_producer *producer, const char *topic, int32_t partitions)
{
    (void)producer, (void)topic, (void)partitions;
}

enum err kafka_produce(struct kafka_producer *producer, const char *topic, const void *key, size_t key_len,
                       const void *value, size_t len, const struct kafka_header *headers, size_t header_count,
                       kafka_delivered_fn *fn, void *arg)
{
    struct fake_sent *sent = &fake_kafka.sent[fake_kafka.count];
    (void)producer, (void)headers, (void)header_count;
    if (fake_kafka.refusal)
        return fake_kafka.refusal;
    CHECK(fake_kafka.count < FAKE_SENT && key_len < sizeof(sent->key) && len < sizeof(sent->value));
    *sent = (struct fake_sent){.has_key = key != NULL, .fn = fn, .arg = arg};
    snprintf(sent->topic, sizeof(sent->topic), "%s", topic);
    if (key)
        memcpy(sent->key, key, key_len);
    memcpy(sent->value, value, len);
    fake_kafka.count++;
    fake_kafka.total++;
    return ERR_OK;
}

void kafka_unsent(const struct kafka_producer *producer, struct kafka_record *record_r)
{
    const struct fake_sent *told = fake_kafka.told;
    (void)producer;
    CHECK(told);
    *record_r = (struct kafka_record){.key = told->has_key ? told->key : NULL,
                                      .key_len = strlen(told->key),
                                      .value = told->value,
                                      .len = strlen(told->value)};
}

/* What became of the oldest. */
static inline void fake_kafka_answer(enum err err)
{
    CHECK(fake_kafka.count > 0);
    struct fake_sent sent = fake_kafka.sent[0];
    memmove(&fake_kafka.sent[0], &fake_kafka.sent[1], (size_t)--fake_kafka.count * sizeof(sent));
    fake_kafka.told = &sent;
    sent.fn(sent.arg, err);
    fake_kafka.told = NULL;
}

#endif
